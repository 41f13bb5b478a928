//! What clients and workers may do wrong to the server: it goes on serving the others, and its memory has bounds.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// So many that a buffer for each would show.
const CROWD: usize = 10_000;

/// A connection takes an entry in the server's tables, a task, and what it has sent; measured at 1650 bytes.
const COST_OF_ONE: usize = 4 << 10;

/// Makes a process that runs one test, with as many file descriptors as may be had.
fn alone(test: &str) -> Command {
    let path = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n "$(ulimit -Hn)" && exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
    command.args([&path, "--exact", "--ignored", "--nocapture"]);
    command
}

/// Returns what the process holds in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Asks something that the server can only answer if nobody holds it up.
async fn is_served(server: &str) {
    let mut peer = Peer::connect(server).await;
    peer.send(Kind::EchoReq, ["still here".into()]).await;
    assert_eq!(peer.receive().await.argument(0), "still here");
}

fn packet<const N: usize>(kind: Kind, arguments: [&[u8]; N]) -> Vec<u8> {
    let body = arguments.join(&0);
    [b"\0REQ", &(kind as u32).to_be_bytes()[..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

#[test]
fn ten_thousand_connections_that_say_nothing_or_half_of_it_cost_little() {
    let run = alone("served_crowd").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn served_crowd() {
    let (server, _stop) = start(Config { max_connections: CROWD + 10, ..Config::default() }).await;
    is_served(&server).await;
    let before = resident();
    let mut crowd = alone("crowd").env("SERVER", &server).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut admin = Peer::connect(&server).await;
    let mut listed = 0;
    // All of them and the one that asks.
    while listed <= CROWD {
        assert!(crowd.try_wait().unwrap().is_none(), "the crowd could not come together");
        is_served(&server).await;
        admin.send_bytes(b"workers\n").await;
        listed = 0;
        while admin.receive_line().await != "." {
            listed += 1;
        }
    }
    let grown = resident() - before;
    assert!(grown < CROWD * COST_OF_ONE, "{} bytes for each", grown / CROWD);
    crowd.kill().unwrap();
    crowd.wait().unwrap();
    is_served(&server).await;
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn crowd() {
    let server = std::env::var("SERVER").unwrap();
    let half = |number: usize| match number % 4 {
        0 => &b""[..],
        1 => b"\0REQ\0\0",
        2 => b"\0REQ\0\0\0\x07\x03\xff\xff\xfffunction\0unique\0and so on",
        _ => b"stat",
    };
    let crowd: Vec<_> = (0..CROWD)
        .map(|number| {
            let mut one = std::net::TcpStream::connect(&server).unwrap();
            one.write_all(half(number)).unwrap();
            one
        })
        .collect();
    // They stay until this process is killed, or whoever started it has ended.
    let _ended = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
    drop(crowd);
}

#[tokio::test]
async fn packets_that_never_end_cost_their_senders_the_connection_and_nobody_else() {
    let (server, _stop) = start(Config { max_input: 4 << 20, ..Config::default() }).await;
    let mut worker = Peer::connect(&server).await;
    let opening = b"\0REQ\0\0\0\x07\x03\xff\xff\xff";
    let mut senders = Vec::new();
    for _ in 0..16 {
        let mut sender = TcpStream::connect(&server).await.unwrap();
        sender.write_all(opening).await.unwrap();
        // Whoever is dropped meanwhile has been told so.
        let _dropped = sender.write_all(&vec![b'x'; 1 << 20]).await;
        senders.push(sender);
    }
    let client = Client::connect(&server, client::Config::default()).await.unwrap();
    let mut job = client.submit(Submission { function: "f".into(), ..Submission::default() }).await.unwrap();
    let (handle, _) = worker.grab("f").await;
    worker.send(Kind::WorkComplete, [handle, "done".into()]).await;
    assert_eq!(job.next().await, Some(Update::Complete("done".into())));
    let mut dropped = 0;
    for mut sender in senders {
        // One more byte shows who is still there.
        let _dropped = sender.write_all(b"x").await;
        let ended = tokio::time::timeout(Duration::from_millis(100), sender.read(&mut [0])).await;
        dropped += usize::from(ended.is_ok());
    }
    assert!(dropped >= 12, "only {dropped} of 16 were dropped, and 4 MiB are all that may be kept");
}

#[tokio::test]
async fn names_of_70_000_bytes_are_refused_and_leave_nothing_behind() {
    let (server, _stop) = start(Config::default()).await;
    let mut peer = Peer::connect(&server).await;
    let name = Bytes::from(vec![b'n'; 70_000]);
    let kinds = [Kind::CanDo, Kind::SubmitJob, Kind::SubmitJobBg];
    for kind in kinds {
        match kind {
            Kind::CanDo => peer.send(kind, [name.clone()]).await,
            _ => peer.send(kind, [name.clone(), "u".into(), "".into()]).await,
        }
        let answer = peer.receive().await;
        assert_eq!((answer.kind, &answer.argument(0)[..]), (Kind::Error, &b"ARGUMENT_TOO_LARGE"[..]));
    }
    peer.send(Kind::SubmitJob, ["f".into(), name.clone(), "".into()]).await;
    assert_eq!(peer.receive().await.argument(0), "ARGUMENT_TOO_LARGE");
    // Cut to what gearmand keeps.
    peer.send(Kind::SetClientId, [name.clone()]).await;
    peer.send_bytes(b"workers\n").await;
    assert!(peer.receive_line().await.len() < 200);
    assert_eq!(peer.receive_line().await, ".");
    peer.send_bytes(b"status\n").await;
    assert_eq!(peer.receive_line().await, ".");
}

#[tokio::test]
async fn a_flood_of_grabs_is_answered_grab_by_grab() {
    let (server, _stop) = start(Config::default()).await;
    let mut peer = Peer::connect(&server).await;
    let flood = [packet(Kind::CanDo, [b"f"]), packet(Kind::GrabJobUniq, []).repeat(20_000)].concat();
    peer.send_bytes(&flood).await;
    peer.send(Kind::EchoReq, ["end".into()]).await;
    for _ in 0..20_000 {
        assert_eq!(peer.receive().await.kind, Kind::NoJob);
    }
    assert_eq!(peer.receive().await.argument(0), "end");
}

#[tokio::test]
async fn made_up_names_are_refused_beyond_the_limit_and_forgotten_with_who_made_them_up() {
    let (server, _stop) = start(Config { max_functions: 100, ..Config::default() }).await;
    let mut worker = Peer::connect(&server).await;
    worker.send(Kind::CanDo, ["wanted".into()]).await;
    worker.send(Kind::EchoReq, ["registered".into()]).await;
    worker.receive().await;
    for _ in 0..3 {
        let mut flooder = Peer::connect(&server).await;
        let names = (0..20_000).flat_map(|number| packet(Kind::CanDo, [format!("made up {number}").as_bytes()]));
        flooder.send_bytes(&names.collect::<Vec<u8>>()).await;
        flooder.send(Kind::EchoReq, ["end".into()]).await;
        let mut refused = 0;
        while flooder.receive().await.kind == Kind::Error {
            refused += 1;
        }
        assert_eq!(refused, 20_000 - 99);
        let mut client = Peer::connect(&server).await;
        client.send(Kind::SubmitJob, ["wanted".into(), "".into(), "".into()]).await;
        assert_eq!(client.receive().await.kind, Kind::JobCreated);
        client.send(Kind::SubmitJob, ["one more".into(), "".into(), "".into()]).await;
        assert_eq!(client.receive().await.argument(0), "QUEUE_ERROR");
    }
}

#[tokio::test]
async fn a_flood_of_status_that_nobody_reads_holds_up_nobody() {
    let (server, _stop) = start(Config { max_output: 8 << 20, ..Config::default() }).await;
    let mut worker = Peer::connect(&server).await;
    for number in 0..1000 {
        worker.send(Kind::CanDo, [format!("{number:04000}").into()]).await;
    }
    worker.send(Kind::EchoReq, ["registered".into()]).await;
    worker.receive().await;
    // Each answer has 4 MB; all of them together would have 36 GB.
    let mut flooder = TcpStream::connect(&server).await.unwrap();
    flooder.write_all(&b"status\n".repeat(9000)).await.unwrap();
    is_served(&server).await;
    // It is dropped, or at least not read from any more.
    let mut answered = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(Duration::from_millis(200), flooder.read(&mut buffer)).await {
        answered += read;
    }
    assert!(answered < 64 << 20, "{answered} bytes were made for it");
    is_served(&server).await;
}

#[tokio::test]
async fn submissions_beyond_the_limits_are_refused_one_by_one() {
    let limits = Config { max_jobs: 1000, max_job_bytes: 1 << 20, ..Config::default() };
    for (payload, fitting) in [(1_usize, 1000), (64 << 10, 15)] {
        let (server, _stop) = start(limits.clone()).await;
        let mut peer = Peer::connect(&server).await;
        let submission = packet(Kind::SubmitJobBg, [b"f", b"", &vec![b'x'; payload]]);
        let mut answers = [0, 0];
        for _ in 0..20 {
            peer.send_bytes(&submission.repeat(100)).await;
            for _ in 0..100 {
                let answer = peer.receive().await;
                answers[usize::from(answer.kind == Kind::Error)] += 1;
                assert!(answer.kind == Kind::JobCreated || answer.argument(0) == "QUEUE_ERROR", "{answer:?}");
            }
        }
        assert!((fitting..=fitting + 1).contains(&answers[0]), "{answers:?}");
        // Each that ends makes room for one more.
        let (handle, _) = peer.grab("f").await;
        peer.send(Kind::WorkComplete, [handle, "".into()]).await;
        peer.send_bytes(&submission.repeat(2)).await;
        assert_eq!([peer.receive().await.kind, peer.receive().await.kind], [Kind::JobCreated, Kind::Error]);
    }
}

#[tokio::test]
async fn ten_thousand_connections_that_come_and_go_leave_nothing_behind() {
    let (server, _stop) = start(Config { max_connections: 200, ..Config::default() }).await;
    let register =
        [packet(Kind::SetClientId, [b"w"]), packet(Kind::CanDo, [b"f"]), packet(Kind::PreSleep, [])].concat();
    for round in 0..100 {
        let mut crowd = Vec::new();
        for _ in 0..100 {
            let mut one = TcpStream::connect(&server).await.unwrap();
            if round % 2 == 0 {
                one.write_all(&register).await.unwrap();
            }
            crowd.push(one);
        }
        drop(crowd);
        // The next hundred find room only when these are gone.
        let mut admin = Peer::connect(&server).await;
        loop {
            admin.send_bytes(b"workers\n").await;
            let mut listed = 0;
            while admin.receive_line().await != "." {
                listed += 1;
            }
            if listed == 1 {
                break;
            }
        }
    }
    let mut admin = Peer::connect(&server).await;
    admin.send_bytes(b"status\n").await;
    assert_eq!(admin.receive_line().await, "f\t0\t0\t0");
    assert_eq!(admin.receive_line().await, ".");
}
