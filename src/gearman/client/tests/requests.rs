//! What goes out, and what its answers are taken for.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

#[test]
fn every_kind_of_submission_has_its_packet() {
    let plain = || job("f", "u", "p\0q");
    let at = Some(Epoch::from_seconds(1_800_000_000));
    let reducer = Some(Bytes::from_static(b"sum"));
    let packet = |submission: Submission| {
        let packet = submission.into_packet(100).unwrap();
        format!("{} {}", packet.kind.name(), packet.arguments().iter().map(|a| format!("{a:?}")).collect::<String>())
    };
    for (submission, expected) in [
        (plain(), r#"SUBMIT_JOB b"f"b"u"b"p\0q""#),
        (Submission { priority: Priority::High, ..plain() }, r#"SUBMIT_JOB_HIGH b"f"b"u"b"p\0q""#),
        (Submission { priority: Priority::Low, background: true, ..plain() }, r#"SUBMIT_JOB_LOW_BG b"f"b"u"b"p\0q""#),
        (Submission { at, ..plain() }, r#"SUBMIT_JOB_EPOCH b"f"b"u"b"1800000000"b"p\0q""#),
        (Submission { reducer: reducer.clone(), ..plain() }, r#"SUBMIT_REDUCE_JOB b"f"b"u"b"sum"b""b"p\0q""#),
        (
            Submission { reducer, background: true, ..plain() },
            r#"SUBMIT_REDUCE_JOB_BACKGROUND b"f"b"u"b"sum"b""b"p\0q""#,
        ),
    ] {
        assert_eq!(packet(submission), expected);
    }
}

#[test]
fn what_the_protocol_cannot_say_is_refused() {
    let at = Some(Epoch::from_seconds(1));
    let reducer = Some(Bytes::from_static(b"sum"));
    for submission in [
        Submission { at, priority: Priority::High, ..job("f", "", "") },
        Submission { reducer: reducer.clone(), priority: Priority::Low, ..job("f", "", "") },
        Submission { at, reducer, ..job("f", "", "") },
    ] {
        let refused = submission.into_packet(100).unwrap_err();
        assert!(matches!(refused, Error::NoSuchRequest { .. }), "{refused}");
    }
    let reducer = Some(Bytes::from_static(b"s\0um"));
    let refused = Submission { reducer, ..job("f", "", "") }.into_packet(100).unwrap_err();
    assert!(matches!(refused, Error::Nul { what: "reducer" }), "{refused}");
}

#[test]
fn a_time_is_rounded_up_so_that_no_job_comes_early() {
    let epoch = |time: SystemTime| Epoch::from(time).seconds();
    assert_eq!(epoch(UNIX_EPOCH), 0);
    assert_eq!(epoch(UNIX_EPOCH + Duration::from_nanos(1)), 1);
    assert_eq!(epoch(UNIX_EPOCH + Duration::from_secs(7)), 7);
    assert_eq!(epoch(UNIX_EPOCH - Duration::from_secs(7)), 0);
    assert_eq!(Epoch::after(UNIX_EPOCH, Duration::from_secs(9)), Some(Epoch::from_seconds(9)));
    assert_eq!(Epoch::after(UNIX_EPOCH, Duration::MAX), None);
}

#[tokio::test]
async fn a_job_is_found_by_its_unique_too() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    let _job = client.submit(job("f", "u-1", "p")).await.unwrap();
    let mut worker = Peer::connect(&server).await;
    let (handle, _) = worker.grab("f").await;
    worker.send(Kind::WorkStatus, [handle.clone(), "1".into(), "4".into()]).await;
    worker.send(Kind::GetStatus, [handle]).await;
    assert_eq!(worker.receive().await.kind, Kind::StatusRes, "the server has seen the progress");
    let job = JobStatus { known: true, running: true, numerator: 1, denominator: 4 };
    assert_eq!(client.job_status_unique(&"u-1".into()).await.unwrap(), UniqueStatus { job, clients: 1 });
    assert_eq!(client.job_status_unique(&"u-2".into()).await.unwrap(), UniqueStatus::default());
}

#[tokio::test]
async fn a_server_sends_back_what_it_was_sent() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    client.echo(Bytes::from_static(b"a\0b")).await.unwrap();
    client.echo(Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn a_reduce_job_reaches_its_worker() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    let mut submitted =
        client.submit(Submission { reducer: Some("sum".into()), ..job("f", "u", "p\0q") }).await.unwrap();
    let mut worker = Peer::connect(&server).await;
    worker.send(Kind::CanDo, ["f".into()]).await;
    worker.send(Kind::GrabJobAll, []).await;
    let assigned = worker.receive().await;
    assert_eq!(assigned.kind, Kind::JobAssignAll);
    assert_eq!((&assigned.argument(3)[..], &assigned.argument(4)[..]), (&b"sum"[..], &b"p\0q"[..]));
    worker.send(Kind::WorkComplete, [assigned.argument(0).clone(), "6".into()]).await;
    assert_eq!(submitted.next().await, Some(Update::Complete("6".into())));
}

#[tokio::test]
async fn a_job_that_waits_or_runs_can_be_cancelled() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config::default()).await.unwrap();
    let mut running = client.submit(job("f", "", "p")).await.unwrap();
    let mut worker = Peer::connect(&server).await;
    worker.grab("f").await;
    let mut waiting = client.submit(job("f", "", "p")).await.unwrap();
    for job in [&mut running, &mut waiting] {
        client.cancel(job.handle()).await.unwrap();
        assert_eq!(job.next().await, Some(Update::Fail));
        let again = client.cancel(job.handle()).await;
        // The server may still hold what its worker was not told of.
        assert!(again.is_ok() || matches!(again, Err(admin::Error::Refused { .. })));
    }
    let unknown = client.cancel(&"H:none:1".into()).await.unwrap_err();
    assert!(matches!(&unknown, admin::Error::Refused { text, .. } if text == "UNKNOWN_JOB"), "{unknown}");
}

#[tokio::test]
async fn what_the_server_shall_know_first_is_said_first() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heartbeat = Some(Duration::from_secs(30));
    let config = Config { client_id: "me".into(), exceptions: true, heartbeat, ..Config::default() };
    let client = Client::connect(&address, config).await.unwrap();
    let mut server = Peer::new(listener.accept().await.unwrap().0);
    let submitting = tokio::spawn(async move { client.submit(job("f", "", "p")).await });
    let mut kinds = Vec::new();
    while kinds.last() != Some(&Kind::SubmitJob) {
        kinds.push(server.receive().await.kind);
    }
    assert_eq!(kinds, [Kind::EchoReq, Kind::SetClientId, Kind::OptionReq, Kind::SubmitJob]);
    server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
    assert!(submitting.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_client_id_is_shown_by_the_server() {
    let (server, _stop) = start().await;
    let client = Client::connect(&server, Config { client_id: "first".into(), ..Config::default() }).await.unwrap();
    client.echo("read by now".into()).await.unwrap();
    let mut admin = Admin::connect(&server, admin::Config::default()).await.unwrap();
    let mut ids = async || -> Vec<String> {
        admin.workers().await.unwrap().into_iter().map(|line| line.client_id).filter(|id| id != "-").collect()
    };
    assert_eq!(ids().await, ["first"]);
    client.set_client_id("second".into()).await.unwrap();
    client.echo("read by now".into()).await.unwrap();
    assert_eq!(ids().await, ["second"]);
    assert!(matches!(client.set_client_id("a\0b".into()).await, Err(Error::Nul { what: "client id" })));
}
