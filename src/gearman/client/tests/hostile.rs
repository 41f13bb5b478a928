//! Servers that do not do as they should.

use super::*;

fn impatient() -> Config {
    let limit = Duration::from_millis(50);
    Config { reply_timeout: limit, submit_timeout: limit, ..Config::default() }
}

#[tokio::test]
async fn every_question_to_a_mute_server_has_an_end() {
    let (client, _server) = with_scripted_server(impatient()).await;
    let handle = Bytes::from_static(b"H:x:1");
    let (status, unique) = (client.job_status(&handle).await, client.job_status_unique(&"u".into()).await);
    let (echo, option) = (client.echo("x".into()).await, client.option_exceptions().await);
    for (question, error) in [
        ("GET_STATUS", status.unwrap_err()),
        ("GET_STATUS_UNIQUE", unique.unwrap_err()),
        ("ECHO_REQ", echo.unwrap_err()),
        ("OPTION_REQ", option.unwrap_err()),
    ] {
        assert!(matches!(error, Error::NoAnswer { question: asked, .. } if asked == question), "{error}");
    }
    let submitted = client.submit(job("f", "", "p")).await.unwrap_err();
    assert_eq!(
        submitted.to_string(),
        "within 50ms the gearman server has not answered SUBMIT_JOB; the job may have been accepted all the same"
    );
}

#[tokio::test]
async fn a_server_that_reads_nothing_makes_nobody_wait_for_ever() {
    let (client, _server) = with_scripted_server(impatient()).await;
    let payload = "p".repeat(900 << 10);
    // Far more than the kernel's buffers and the client's own take in.
    let submitting = (0..200).map(|_| {
        let (client, job) = (client.clone(), job("f", "", &payload));
        tokio::spawn(async move { client.submit(job).await.map(drop) })
    });
    let submitting: Vec<_> = submitting.collect();
    let mut not_even_sent = 0;
    for submitted in submitting {
        match submitted.await.unwrap().unwrap_err() {
            Error::Unconfirmed { .. } => {}
            Error::NoAnswer { .. } => not_even_sent += 1,
            other => panic!("{other}"),
        }
    }
    assert!(not_even_sent > 0);
}

#[tokio::test]
async fn a_late_handle_goes_to_the_submission_that_gave_up_and_to_no_other() {
    let (client, mut server) = with_scripted_server(impatient()).await;
    assert!(matches!(client.submit(job("f", "", "1")).await, Err(Error::Unconfirmed { .. })));
    let patient = client.clone();
    let (submitted, ()) = tokio::join!(patient.submit(job("f", "", "2")), async {
        server.receive().await;
        server.receive().await;
        server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
        server.respond(Kind::JobCreated, ["H:x:2".into()]).await;
        server.respond(Kind::WorkComplete, ["H:x:1".into(), "of the first".into()]).await;
        server.respond(Kind::WorkComplete, ["H:x:2".into(), "of the second".into()]).await;
    });
    let mut submitted = submitted.unwrap();
    assert_eq!(submitted.handle(), "H:x:2");
    assert_eq!(submitted.next().await, Some(Update::Complete("of the second".into())));
}

#[tokio::test]
async fn answers_in_another_order_find_their_questions() {
    let (client, mut server) = with_scripted_server(Config::default()).await;
    let (one, two) = (Bytes::from_static(b"H:x:1"), Bytes::from_static(b"H:x:2"));
    let asked = tokio::spawn({
        let (client, one, two, unique) = (client.clone(), one.clone(), two.clone(), Bytes::from_static(b"u"));
        async move {
            let echoes = async { (client.echo("a".into()).await, client.echo("b".into()).await) };
            tokio::join!(
                client.job_status(&one),
                client.job_status(&two),
                client.submit(job("f", "", "p")),
                client.job_status_unique(&unique),
                echoes,
            )
        }
    });
    for _ in 0..5 {
        server.receive().await;
    }
    let status = |handle: &Bytes, numerator: &'static str| {
        [handle.clone(), "1".into(), "1".into(), numerator.into(), "9".into()]
    };
    server.respond(Kind::EchoRes, ["a".into()]).await;
    server.respond(Kind::StatusResUnique, ["u", "1", "0", "0", "0", "3"].map(Bytes::from)).await;
    server.respond(Kind::JobCreated, ["H:x:3\0".into()]).await;
    server.respond(Kind::StatusRes, status(&two, "2")).await;
    server.respond(Kind::StatusRes, status(&one, "1")).await;
    assert_eq!(server.receive().await.kind, Kind::EchoReq);
    server.respond(Kind::EchoRes, ["b".into()]).await;
    let (first, second, submitted, unique, echoes) = asked.await.unwrap();
    assert_eq!((first.unwrap().numerator, second.unwrap().numerator), (1, 2));
    assert_eq!(submitted.unwrap().handle(), "H:x:3", "without the NUL");
    assert_eq!(unique.unwrap().clients, 3);
    assert!(matches!(echoes, (Ok(()), Ok(()))), "{echoes:?}");
}

#[tokio::test]
async fn what_nobody_asked_for_does_no_harm() {
    let (client, mut server) = with_scripted_server(Config::default()).await;
    let (job_before, ()) = tokio::join!(client.submit(job("f", "", "p")), async {
        server.receive().await;
        server.respond(Kind::JobCreated, ["H:x:0".into()]).await;
    });
    let mut job_before = job_before.unwrap();
    let unknown = || Bytes::from_static(b"H:other:1");
    server.respond(Kind::Error, ["ERR".into(), "out of the blue".into()]).await;
    server.respond(Kind::StatusRes, ["H:other:1", "1", "1", "1", "2"].map(Bytes::from)).await;
    server.respond(Kind::StatusResUnique, ["u", "1", "1", "1", "2", "3"].map(Bytes::from)).await;
    server.respond(Kind::EchoRes, ["x".into()]).await;
    server.respond(Kind::OptionRes, ["exceptions".into()]).await;
    server.respond(Kind::WorkData, [unknown(), "x".into()]).await;
    server.respond(Kind::WorkStatus, [unknown(), "1".into(), "x".into()]).await;
    server.respond(Kind::WorkComplete, [unknown(), "x".into()]).await;
    server.respond(Kind::Noop, []).await;
    server.respond(Kind::NoJob, []).await;
    server.send_bytes(b"\0RES\0\0\x03\xe7\0\0\0\x02xx").await;
    // An error has no question to be known by, so all of it has to be read before there is one.
    server.respond(Kind::WorkComplete, [job_before.handle().clone(), "".into()]).await;
    assert_eq!(job_before.next().await, Some(Update::Complete("".into())));
    let (submitted, ()) = tokio::join!(client.submit(job("f", "", "p")), async {
        server.receive().await;
        server.respond(Kind::StatusRes, ["H:other:2", "1", "1", "1", "2"].map(Bytes::from)).await;
        server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
        server.respond(Kind::WorkStatus, ["H:x:1".into(), "-1".into(), "99999999999999999999999".into()]).await;
        server.respond(Kind::WorkFail, ["H:x:1".into()]).await;
    });
    let mut submitted = submitted.unwrap();
    assert_eq!(submitted.next().await, Some(Update::Status { numerator: 0, denominator: 0 }));
    assert_eq!(submitted.next().await, Some(Update::Fail));
}

#[tokio::test]
async fn updates_that_overtake_their_handle_are_not_lost() {
    let (client, mut server) = with_scripted_server(Config::default()).await;
    let (submitted, ()) = tokio::join!(client.submit(job("f", "", "p")), async {
        server.receive().await;
        server.respond(Kind::WorkData, ["H:x:1".into(), "data".into()]).await;
        server.respond(Kind::WorkData, ["H:x:2".into(), "of another job".into()]).await;
        server.respond(Kind::WorkComplete, ["H:x:1".into(), "done".into()]).await;
        server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
    });
    let mut submitted = submitted.unwrap();
    assert_eq!(submitted.next().await, Some(Update::Data("data".into())));
    assert_eq!(submitted.next().await, Some(Update::Complete("done".into())));
    assert_eq!(submitted.next().await, None);
}

#[tokio::test]
async fn a_second_handle_for_one_submission_ends_the_connection() {
    let (client, mut server) = with_scripted_server(Config::default()).await;
    let (submitted, ()) = tokio::join!(client.submit(job("f", "", "p")), async {
        server.receive().await;
        server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
        server.respond(Kind::JobCreated, ["H:x:2".into()]).await;
    });
    let mut submitted = submitted.unwrap();
    assert_eq!(submitted.next().await, Some(Update::ServerLost), "whose job this is cannot be told any more");
    assert!(matches!(client.submit(job("f", "", "p")).await, Err(Error::Lost)));
}

#[tokio::test]
async fn a_server_lost_before_its_answer_leaves_a_doubt_and_one_lost_before_the_request_leaves_none() {
    let (client, mut server) = with_scripted_server(Config::default()).await;
    let (submitted, ()) = tokio::join!(client.submit(job("f", "", "p")), async {
        server.receive().await;
        drop(server);
    });
    assert!(matches!(submitted, Err(Error::Unconfirmed { doubt: Doubt::Lost, .. })), "{submitted:?}");
    assert!(client.is_lost());
    assert!(matches!(client.submit(job("f", "", "p")).await, Err(Error::Lost)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answered_echoes_and_falls_silent_is_lost() {
    let (client, mut server) = with_scripted_server(Config {
        heartbeat: Some(Duration::from_secs(30)),
        submit_timeout: Duration::from_secs(3600),
        ..Config::default()
    })
    .await;
    let submitting = tokio::spawn({
        let client = client.clone();
        async move { client.submit(job("f", "", "p")).await }
    });
    let echo = server.receive().await;
    assert_eq!(echo.kind, Kind::EchoReq);
    assert_eq!(server.receive().await.kind, Kind::SubmitJob);
    server.respond(Kind::EchoRes, [echo.argument(0).clone()]).await;
    server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
    let mut submitted = submitting.await.unwrap().unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(submitted.next().await, Some(Update::ServerLost));
    assert!(started.elapsed() >= Duration::from_secs(59), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_echoes_may_be_silent_for_as_long_as_a_job_takes() {
    let (client, mut server) =
        with_scripted_server(Config { heartbeat: Some(Duration::from_secs(30)), ..Config::default() }).await;
    let submitting = tokio::spawn({
        let client = client.clone();
        async move { client.submit(job("f", "", "p")).await }
    });
    assert_eq!(server.receive().await.kind, Kind::EchoReq);
    server.receive().await;
    server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
    let mut submitted = submitting.await.unwrap().unwrap();
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, submitted.next()).await.is_err());
    server.respond(Kind::WorkComplete, ["H:x:1".into(), "".into()]).await;
    assert_eq!(submitted.next().await, Some(Update::Complete("".into())));
}
