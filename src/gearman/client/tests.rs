use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::gearman::Priority;
use crate::gearman::server::{self, Server};
use crate::gearman::testing::Peer;

mod failover;
mod hostile;
mod requests;

#[tokio::test]
async fn a_client_follows_its_job_to_the_end() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    let mut job = client.submit(job("f", "u", "in\0put")).await.unwrap();
    assert_eq!(client.job_status(job.handle()).await.unwrap(), JobStatus { known: true, ..JobStatus::default() });

    let mut worker = Peer::connect(&server).await;
    let (handle, payload) = worker.grab("f").await;
    assert_eq!((&handle, &payload[..]), (job.handle(), &b"in\0put"[..]));
    worker.send(Kind::WorkData, [handle.clone(), "some".into()]).await;
    worker.send(Kind::WorkWarning, [handle.clone(), "careful".into()]).await;
    worker.send(Kind::WorkStatus, [handle.clone(), "3".into(), "9".into()]).await;
    assert_eq!(job.next().await, Some(Update::Data("some".into())));
    assert_eq!(job.next().await, Some(Update::Warning("careful".into())));
    assert_eq!(job.next().await, Some(Update::Status { numerator: 3, denominator: 9 }));
    assert_eq!(
        client.job_status(&handle).await.unwrap(),
        JobStatus { known: true, running: true, numerator: 3, denominator: 9 }
    );
    worker.send(Kind::WorkComplete, [handle.clone(), "do\0ne".into()]).await;
    assert_eq!(job.next().await, Some(Update::Complete(Bytes::from_static(b"do\0ne"))));
    assert_eq!(job.next().await, None);
    assert_eq!(client.job_status(&handle).await.unwrap(), JobStatus::default());
}

#[tokio::test]
async fn submissions_that_became_one_job_each_hear_of_it_once() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    let mut first = client.submit(job("f", "u", "p")).await.unwrap();
    let mut worker = Peer::connect(&server).await;
    let (handle, _) = worker.grab("f").await;
    worker.send(Kind::WorkData, [handle.clone(), "1".into()]).await;
    assert_eq!(first.next().await, Some(Update::Data("1".into())));
    let mut second = client.submit(job("f", "u", "p")).await.unwrap();
    drop(client.submit(job("f", "u", "p")).await.unwrap());
    assert_eq!(first.handle(), second.handle());
    for text in ["2", "3"] {
        worker.send(Kind::WorkData, [handle.clone(), text.into()]).await;
    }
    worker.send(Kind::WorkFail, [handle]).await;
    for job in [&mut first, &mut second] {
        assert_eq!(job.next().await, Some(Update::Data("2".into())));
        assert_eq!(job.next().await, Some(Update::Data("3".into())));
        assert_eq!(job.next().await, Some(Update::Fail));
        assert_eq!(job.next().await, None);
    }
}

#[tokio::test]
async fn exceptions_are_told_to_a_client_that_asked_for_them() {
    let (server, _stop) = start().await;
    let asking = Client::connect(&server, Config::default()).await.unwrap();
    asking.option_exceptions().await.unwrap();
    let other = Client::connect(&server, Config::default()).await.unwrap();
    let mut heard = asking.submit(job("f", "u", "p")).await.unwrap();
    let mut failed = other.submit(job("f", "u", "p")).await.unwrap();
    let mut worker = Peer::connect(&server).await;
    let (handle, _) = worker.grab("f").await;
    worker.send(Kind::WorkException, [handle, "boom".into()]).await;
    assert_eq!(heard.next().await, Some(Update::Exception("boom".into())));
    assert_eq!(failed.next().await, Some(Update::Fail));
}

#[tokio::test]
async fn many_submissions_at_once_get_their_own_results() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    let submitted = (0..200).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.submit(job("f", "", &n.to_string())).await.unwrap() })
    });
    let jobs: Vec<_> = submitted.collect();
    let mut worker = Peer::connect(&server).await;
    let done = tokio::spawn(async move {
        for _ in 0..200 {
            let (handle, payload) = worker.grab("f").await;
            worker.send(Kind::WorkComplete, [handle, payload]).await;
        }
    });
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.await.unwrap().next().await, Some(Update::Complete(n.to_string().into())));
    }
    done.await.unwrap();
}

#[tokio::test]
async fn a_background_job_gives_a_handle_and_no_updates() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    for priority in Priority::ALL {
        let submission = Submission { priority, background: true, ..job("f", "", "p") };
        let mut job = client.submit(submission).await.unwrap();
        assert!(job.handle().starts_with(b"H:"));
        assert_eq!(job.next().await, None);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is() {
    let (server, _stop) = start().await;
    let config = Config { max_payload: 3, ..Config::default() };
    let client = Client::connect(&server, config).await.unwrap();
    assert!(matches!(client.submit(job("a\0b", "", "")).await, Err(Error::Nul { what: "function" })));
    assert!(matches!(client.submit(job("f", "a\0b", "")).await, Err(Error::Nul { what: "unique" })));
    assert!(matches!(client.submit(job("f", "", "long")).await, Err(Error::PayloadTooLong { length: 4, limit: 3 })));
    let refused = client.submit(job("f", &"u".repeat(65), "")).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused { code, .. } if code == "ARGUMENT_TOO_LARGE"), "{refused}");
    assert!(client.submit(job("f", "", "p")).await.is_ok(), "the connection lives on");
}

#[tokio::test]
async fn a_lost_server_ends_every_job_and_every_question() {
    let (server, stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    let mut job_on_it = client.submit(job("f", "", "p")).await.unwrap();
    stop.cancel();
    assert_eq!(job_on_it.next().await, Some(Update::ServerLost));
    assert_eq!(job_on_it.next().await, None);
    assert!(matches!(client.submit(job("f", "", "p")).await, Err(Error::Lost)));
    assert!(matches!(client.job_status(job_on_it.handle()).await, Err(Error::Lost)));
}

#[tokio::test]
async fn a_server_that_never_answers_an_option_spoils_no_submission() {
    let (client, mut server) =
        with_scripted_server(Config { reply_timeout: Duration::from_millis(50), ..Config::default() }).await;
    assert!(matches!(client.option_exceptions().await, Err(Error::NoAnswer { .. })));
    let (submitted, ()) = tokio::join!(client.submit(job("f", "", "p")), async {
        assert_eq!(server.receive().await.kind, Kind::OptionReq);
        assert_eq!(server.receive().await.kind, Kind::SubmitJob);
        server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
        // As gearmand sends it when it makes a failure of an exception.
        server.respond(Kind::WorkFail, ["H:x:1\0".into()]).await;
    });
    assert_eq!(submitted.unwrap().next().await, Some(Update::Fail));
}

#[tokio::test]
async fn updates_that_nobody_reads_cost_the_oldest_ones() {
    let (client, mut server) =
        with_scripted_server(Config { max_updates: 4, max_update_bytes: 100, ..Config::default() }).await;
    let (submitted, ()) = tokio::join!(client.submit(job("f", "", "p")), async {
        server.receive().await;
        server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
        for n in 0..10 {
            server.respond(Kind::WorkData, ["H:x:1".into(), n.to_string().into()]).await;
        }
        server.respond(Kind::WorkComplete, ["H:x:1".into(), "x".repeat(200).into()]).await;
        server.respond(Kind::JobCreated, ["H:x:2".into()]).await;
    });
    let mut job = submitted.unwrap();
    // Nothing was submitted, so the answer ends the connection: all before it has been dealt with by then.
    while client.submit(self::job("f", "", "p")).await.is_ok() {}
    assert_eq!(job.next().await, Some(Update::Complete("x".repeat(200).into())));
    assert_eq!((job.next().await, job.missed()), (None, 10));
}

#[tokio::test]
async fn garbage_from_a_server_ends_the_connection() {
    for garbage in [&b"hello\n"[..], b"\0RES\0\0\0\x0d\xff\xff\xff\xff", b"\0RES\0\0\0\x08\0\0\0\0", b"\0RE"] {
        let (client, server) = with_scripted_server(Config::default()).await;
        let mut stream = server.into_stream();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let limit = Duration::from_secs(5);
        let submitted = tokio::time::timeout(limit, client.submit(job("f", "", "p"))).await.unwrap();
        assert!(matches!(submitted, Err(Error::Lost | Error::Unconfirmed { .. })), "{garbage:?}");
        let mut rest = Vec::new();
        let _reset_is_fine = tokio::time::timeout(limit, stream.read_to_end(&mut rest)).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_an_error_that_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::connect(&address, Config::default()).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

fn job(function: &str, unique: &str, payload: &str) -> Submission {
    Submission {
        function: Bytes::copy_from_slice(function.as_bytes()),
        unique: Bytes::copy_from_slice(unique.as_bytes()),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        ..Submission::default()
    }
}

async fn start() -> (String, CancellationToken) {
    let server = Server::bind("127.0.0.1:0", server::Config::default()).await.unwrap();
    let address = server.local_addr().to_string();
    let stop = CancellationToken::new();
    tokio::spawn(server.run(stop.clone()));
    (address, stop)
}

async fn with_scripted_server(config: Config) -> (Client, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::connect(&address, config).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    (client, Peer::new(stream))
}
