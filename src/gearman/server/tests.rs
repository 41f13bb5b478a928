use bytes::Bytes;

use super::*;
use crate::gearman::Kind;
use crate::gearman::client::{self, Client, Submission, Update};
use crate::gearman::codec::Frame;
use crate::gearman::testing::Peer;

mod hostile;

#[tokio::test]
async fn text_and_packets_share_a_connection() {
    let (server, _stop) = start(Config::default()).await;
    let mut peer = Peer::connect(&server).await;
    peer.send_bytes(b"\0REQ\0\0\0\x10\0\0\0\x01xstatus\r\nver").await;
    assert_eq!(peer.receive().await.argument(0), "x");
    assert_eq!(peer.receive_line().await, ".");
    peer.send_bytes(b"sion\n\0REQ\0\0\0\x10\0\0\0\x01y").await;
    assert!(peer.receive_line().await.starts_with("OK layshaft/"));
    assert_eq!(peer.receive().await.argument(0), "y");
}

/// On threads of its own: a server that spins must not take the test's with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_for_a_later_time_keeps_nobody_waiting() {
    let (server, _stop) = start(Config::default()).await;
    let mut peer = Peer::connect(&server).await;
    let in_2100 = "4102444800";
    peer.send(Kind::SubmitJobEpoch, ["f".into(), "u".into(), in_2100.into(), "x".into()]).await;
    assert_eq!(peer.receive().await.kind, Kind::JobCreated);
    for _ in 0..3 {
        let mut peer = Peer::connect(&server).await;
        peer.send(Kind::EchoReq, ["still here".into()]).await;
        assert_eq!(peer.receive().await.argument(0), "still here");
    }
}

#[tokio::test]
async fn one_write_may_hold_many_packets_and_a_packet_many_writes() {
    let (server, _stop) = start(Config::default()).await;
    let mut peer = Peer::connect(&server).await;
    peer.send_bytes(&b"\0REQ\0\0\0\x10\0\0\0\x02hi".repeat(100)).await;
    for byte in b"\0REQ\0\0\0\x10\0\0\0\x03end" {
        peer.send_bytes(&[*byte]).await;
    }
    for _ in 0..100 {
        assert_eq!(peer.receive().await.argument(0), "hi");
    }
    assert_eq!(peer.receive().await.argument(0), "end");
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_that_connection_alone() {
    let (server, _stop) = start(Config { max_body: 1 << 20, ..Config::default() }).await;
    let mut bystander = Peer::connect(&server).await;
    let long_line = vec![b'a'; 9000];
    for hostile in [
        &b"\0FOO\0\0\0\x01\0\0\0\x01f"[..],
        b"\0REQ\0\0\0\x01\xff\xff\xff\xf0",
        b"\0REQ\0\0\0\x07\0\x20\0\0",
        b"\0REQ\0\0\0\x07\0\0\0\x01f",
        b"\0REQ\0\0\x03\xe7\0\0\0\0",
        &long_line,
    ] {
        let mut peer = Peer::connect(&server).await;
        peer.send_bytes(hostile).await;
        assert_eq!(peer.frame().await, None, "{:?}", &hostile[..hostile.len().min(12)]);
    }
    // Half a packet, and gone.
    for cut in [1, 4, 11, 13] {
        let mut peer = Peer::connect(&server).await;
        peer.send_bytes(&b"\0REQ\0\0\0\x01\0\0\0\x04func"[..cut]).await;
    }
    bystander.send(Kind::EchoReq, ["still here".into()]).await;
    assert_eq!(bystander.receive().await.argument(0), "still here");
    bystander.send_bytes(b"status\n").await;
    assert_eq!(bystander.receive_line().await, ".", "nothing of it was taken for a function");
}

#[tokio::test]
async fn what_was_asked_before_the_protocol_was_broken_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs");
    let (server, _stop) = start(Config { persist: Some(path), ..Config::default() }).await;
    let echo = b"\0REQ\0\0\0\x10\0\0\0\x01x";
    // Its answer waits for the store; so does the one behind it.
    let submission = b"\0REQ\0\0\0\x12\0\0\0\x05f\0u\0p";
    let garbage = b"\0FOO\0\0\0\x01\0\0\0\x01f";
    let mut peer = Peer::connect(&server).await;
    peer.send_bytes(&[&echo[..], submission, echo, garbage, echo].concat()).await;
    assert_eq!(peer.receive().await.kind, Kind::EchoRes);
    assert_eq!(peer.receive().await.kind, Kind::JobCreated);
    assert_eq!(peer.receive().await.kind, Kind::EchoRes);
    assert_eq!(peer.frame().await, None);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped() {
    let (server, _stop) = start(Config { max_output: 1 << 20, ..Config::default() }).await;
    let client = Client::connect(&server, client::Config::default()).await.unwrap();
    let mut slow = Peer::connect(&server).await;
    slow.send(Kind::SubmitJob, ["f".into(), "u".into(), "".into()]).await;
    assert_eq!(slow.receive().await.kind, Kind::JobCreated);
    let submission = Submission { function: "f".into(), unique: "u".into(), ..Submission::default() };
    let mut job = client.submit(submission).await.unwrap();
    let mut worker = Peer::connect(&server).await;
    let (handle, _) = worker.grab("f").await;
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let watchers = || async {
        let mut admin = Peer::connect(&server).await;
        admin.send(Kind::GetStatusUnique, ["u".into()]).await;
        admin.receive().await.argument(5).clone()
    };
    assert_eq!(watchers().await, "2");
    // More than the socket buffers of both ends hold; the bound is the server's, since the other client is served on.
    let mut sent = 0;
    while watchers().await == "2" {
        assert!(sent < 200, "the slow peer is still there after {sent} MiB");
        worker.send(Kind::WorkData, [handle.clone(), chunk.clone()]).await;
        assert_eq!(job.next().await, Some(Update::Data(chunk.clone())));
        sent += 1;
    }
    worker.send(Kind::WorkComplete, [handle, "done".into()]).await;
    assert_eq!(job.next().await, Some(Update::Complete("done".into())));
}

#[tokio::test]
async fn a_peer_that_asks_without_listening_is_answered_in_the_end() {
    let (server, _stop) = start(Config { max_output: 4 << 20, ..Config::default() }).await;
    let mut peer = Peer::connect(&server).await;
    let chunk = Bytes::from(vec![b'x'; 256 << 10]);
    // 32 MiB of answers: far beyond the bound, but it is the peer's own doing and nobody waits for it.
    let asking = async {
        let stream = tokio::net::TcpStream::connect(&server).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let mut packet = b"\0REQ\0\0\0\x10\0\x04\0\0".to_vec();
        packet.extend_from_slice(&chunk);
        let written = tokio::spawn(async move {
            for _ in 0..128 {
                tokio::io::AsyncWriteExt::write_all(&mut writer, &packet).await.unwrap();
            }
            writer
        });
        let mut left = 128 * (12 + (256 << 10));
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let read = tokio::io::AsyncReadExt::read(&mut reader, &mut buffer).await.unwrap();
            assert!(read > 0, "the connection ended with {left} bytes to come");
            left -= read;
        }
        drop(written.await.unwrap());
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap();
    peer.send(Kind::EchoReq, ["x".into()]).await;
    assert_eq!(peer.receive().await.argument(0), "x");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_until_one_leaves() {
    let (server, _stop) = start(Config { max_connections: 1, ..Config::default() }).await;
    let mut first = Peer::connect(&server).await;
    first.send(Kind::EchoReq, ["x".into()]).await;
    first.receive().await;
    assert_eq!(Peer::connect(&server).await.frame().await, None);
    drop(first);
    let served = async {
        loop {
            let mut next = Peer::connect(&server).await;
            next.send_bytes(b"version\n").await;
            if let Some(Frame::Line(_)) = next.frame().await {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), served).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_sends_and_hangs_up_is_still_answered() {
    let (server, _stop) = start(Config::default()).await;
    let mut stream = tokio::net::TcpStream::connect(&server).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"status\nversion\n").await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with(".\nOK layshaft/"), "{answer:?}");
}

#[tokio::test]
async fn a_lost_worker_is_replaced_over_tcp_too() {
    let (server, _stop) = start(Config { job_retries: Some(2), ..Config::default() }).await;
    let client = Client::connect(&server, client::Config::default()).await.unwrap();
    let submission = Submission { function: "f".into(), ..Submission::default() };
    let mut job = client.submit(submission).await.unwrap();
    for _ in 0..2 {
        let mut worker = Peer::connect(&server).await;
        assert_eq!(&worker.grab("f").await.0, job.handle());
    }
    assert_eq!(job.next().await, Some(Update::Fail));
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_closes_every_connection_and_its_port() {
    let server = Server::bind("127.0.0.1:0", Config::default()).await.unwrap();
    let address = server.local_addr().to_string();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let mut peer = Peer::connect(&address).await;
    peer.send(Kind::EchoReq, ["x".into()]).await;
    peer.receive().await;
    stop.cancel();
    assert_eq!(peer.frame().await, None);
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = Server::bind("127.0.0.1:0", Config::default()).await.unwrap();
    let address = taken.local_addr().to_string();
    let error = Server::bind(&address, Config::default()).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn a_handle_fits_whatever_the_machine_is_called() {
    assert_eq!(fit_for_handles("H:build 1\n.example"), "H:build1.example");
    assert_eq!(fit_for_handles(&"x".repeat(100)).len(), 42);
    assert_eq!(fit_for_handles(" "), "H");
}

async fn start(config: Config) -> (String, CancellationToken) {
    let server = Server::bind("127.0.0.1:0", config).await.unwrap();
    let address = server.local_addr().to_string();
    let stop = CancellationToken::new();
    tokio::spawn(server.run(stop.clone()));
    (address, stop)
}

#[tokio::test]
async fn a_job_for_a_later_time_wakes_a_worker_by_itself() {
    let (server, _stop) = start(Config::default()).await;
    let mut client = Peer::connect(&server).await;
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 2;
    client.send(Kind::SubmitJobEpoch, ["f".into(), "".into(), soon.to_string().into(), "later".into()]).await;
    assert_eq!(client.receive().await.kind, Kind::JobCreated);
    let mut worker = Peer::connect(&server).await;
    assert_eq!(worker.grab("f").await.1, "later");
}

#[tokio::test]
async fn a_worker_that_takes_too_long_loses_its_job_by_itself() {
    let (server, _stop) = start(Config { job_retries: Some(1), ..Config::default() }).await;
    let client = Client::connect(&server, client::Config::default()).await.unwrap();
    let mut worker = Peer::connect(&server).await;
    worker.send(Kind::CanDoTimeout, ["f".into(), "1".into()]).await;
    let submission = Submission { function: "f".into(), ..Submission::default() };
    let mut job = client.submit(submission).await.unwrap();
    worker.send(Kind::GrabJob, []).await;
    assert_eq!(worker.receive().await.kind, Kind::JobAssign);
    assert_eq!(job.next().await, Some(Update::Fail));
}

#[tokio::test]
async fn requests_that_never_end_share_what_they_may_hold() {
    let (server, _stop) = start(Config { max_input: 1 << 20, ..Config::default() }).await;
    let mut announced = b"\0REQ\0\0\0\x07\0\x80\0\0f\0u\0".to_vec();
    announced.resize(700 << 10, b'x');
    let mut slow = Peer::connect(&server).await;
    slow.send_bytes(&announced).await;
    // The first one is given up for the second, which came later and so is more likely to end.
    let mut other = Peer::connect(&server).await;
    other.send_bytes(&announced).await;
    assert_eq!(slow.frame().await, None);
    let mut rest = vec![b'x'; (8 << 20) + 12 - announced.len()];
    rest.truncate(100 << 10);
    other.send_bytes(&rest).await;
    let mut small = Peer::connect(&server).await;
    small.send(Kind::EchoReq, ["x".into()]).await;
    assert_eq!(small.receive().await.argument(0), "x");
}

#[tokio::test]
async fn background_jobs_are_there_again_after_a_restart_under_their_handles() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { persist: Some(folder.path().join("jobs")), ..Config::default() };
    let server = Server::bind("127.0.0.1:0", config()).await.unwrap();
    let address = server.local_addr().to_string();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let mut client = Peer::connect(&address).await;
    let mut handles = Vec::new();
    for (kind, unique) in [(Kind::SubmitJobBg, "a"), (Kind::SubmitJobHighBg, "b"), (Kind::SubmitJob, "c")] {
        client.send(kind, ["f".into(), unique.into(), unique.into()]).await;
        handles.push(client.receive().await.argument(0).clone());
    }
    stop.cancel();
    running.await.unwrap();

    let (address, _stop) = start(config()).await;
    let mut client = Peer::connect(&address).await;
    client.send(Kind::SubmitJobBg, ["f".into(), "a".into(), "joins".into()]).await;
    assert_eq!(client.receive().await.argument(0), &handles[0]);
    client.send(Kind::SubmitJob, ["g".into(), "new".into(), "".into()]).await;
    assert!(!handles.contains(client.receive().await.argument(0)), "a number is not used again");
    let mut worker = Peer::connect(&address).await;
    assert_eq!(worker.grab("f").await, (handles[1].clone(), "b".into()));
    assert_eq!(worker.grab("f").await, (handles[0].clone(), "a".into()));
    worker.send(Kind::GrabJob, []).await;
    assert_eq!(worker.receive().await.kind, Kind::NoJob);
}

#[tokio::test]
async fn a_stop_is_no_loss_of_a_worker_for_the_jobs_that_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs");
    let config = || Config { persist: Some(path.clone()), job_retries: Some(1), ..Config::default() };
    let server = Server::bind("127.0.0.1:0", config()).await.unwrap();
    let address = server.local_addr().to_string();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let mut client = Peer::connect(&address).await;
    client.send(Kind::SubmitJobBg, ["f".into(), "u".into(), "x".into()]).await;
    let handle = client.receive().await.argument(0).clone();
    let mut worker = Peer::connect(&address).await;
    assert_eq!(worker.grab("f").await.0, handle);
    stop.cancel();
    running.await.unwrap();

    let (address, _stop) = start(config()).await;
    let mut admin = Peer::connect(&address).await;
    admin.send_bytes(b"status\n").await;
    assert_eq!(admin.receive_line().await, "f\t1\t0\t0");
    let mut worker = Peer::connect(&address).await;
    assert_eq!(worker.grab("f").await, (handle, "x".into()));
}

/// Keeps no jobs, only which number was reserved last.
#[derive(Clone, Debug, Default)]
struct Reservation(Arc<std::sync::Mutex<store::JobNumber>>);

impl Store for Reservation {
    fn load(&mut self) -> Result<(Vec<store::Kept>, store::JobNumber), Failure> {
        Ok((Vec::new(), *self.0.lock().unwrap()))
    }

    fn apply(&mut self, changes: &[store::Change]) -> Result<(), Failure> {
        for change in changes {
            if let store::Change::Reserve(number) = change {
                *self.0.lock().unwrap() = *number;
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_server_has_reserved_numbers_before_it_gives_any() {
    let store = Reservation::default();
    let mut last = 0;
    for _start in 0..2 {
        // Never run: what is reserved by now is so even if it crashes at once.
        let _server = Server::bind_with_store("127.0.0.1:0", Config::default(), Box::new(store.clone())).await.unwrap();
        let reserved = *store.0.lock().unwrap();
        assert!(reserved > last, "{reserved} after {last}");
        last = reserved;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs");
    let config = || Config { persist: Some(path.clone()), ..Config::default() };
    let (_address, _stop) = start(config()).await;
    let error = Server::bind("127.0.0.1:0", config()).await.unwrap_err();
    assert!(error.to_string().ends_with("jobs is in use by another server"), "{error}");
}
