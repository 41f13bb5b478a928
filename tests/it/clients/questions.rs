//! What a client and an administrator can ask of each server, and what those say that do not know the question.

use std::time::{Duration, SystemTime};

use layshaft::gearman::Priority;
use layshaft::gearman::admin::{self, Admin, QueueLimit};
use layshaft::gearman::client::{Client, Config, Epoch, Error, JobStatus, Submission, Update};

use crate::support::{GearmanServer, Hand, Kind, on_both_servers, on_every_server, within};

/// Silence is what some tests wait for; servers that answer do it at once.
const BRIEF: Duration = Duration::from_secs(2);

async fn client(server: &GearmanServer) -> Client {
    let config = Config { reply_timeout: BRIEF, submit_timeout: BRIEF, exceptions: true, ..Config::default() };
    Client::connect(&server.address, config).await.unwrap()
}

async fn administrator(server: &GearmanServer) -> Admin {
    let config = admin::Config { reply_timeout: BRIEF, ..admin::Config::default() };
    Admin::connect(&server.address, config).await.unwrap()
}

fn job(function: &str, unique: &str) -> Submission {
    let (function, unique) = (function.to_owned().into(), unique.to_owned().into());
    Submission { function, unique, payload: "p".into(), ..Submission::default() }
}

on_every_server! {
    async fn a_client_s_questions_are_answered_or_end_in_time(server) {
        let client = client(&server).await;
        let job = client.submit(job("f", "u-1")).await.unwrap();
        let known = JobStatus { known: true, ..JobStatus::default() };
        assert_eq!(client.job_status(job.handle()).await.unwrap(), known);
        assert_eq!(client.job_status(&"H:none:1".into()).await.unwrap(), JobStatus::default());
        let unique = client.job_status_unique(&"u-1".into()).await;
        let echo = client.echo("x\0y".into()).await;
        let option = client.option_exceptions().await;
        if server.kind == Kind::Geard {
            for error in [unique.unwrap_err(), echo.unwrap_err(), option.unwrap_err()] {
                assert!(matches!(error, Error::NoAnswer { .. }) && error.to_string().contains("geard"), "{error}");
            }
        } else {
            let unique = unique.unwrap();
            assert_eq!((unique.job, unique.clients), (known, 1));
            echo.unwrap();
            option.unwrap();
        }
        assert_eq!(client.job_status(job.handle()).await.unwrap(), known, "the connection lives on");
    }

    async fn everything_a_worker_says_is_heard_in_order(server) {
        let client = client(&server).await;
        for priority in Priority::ALL {
            let mut job = client.submit(Submission { priority, ..job("f", "u") }).await.unwrap();
            let (mut hand, payload) = Hand::take(&server.address, "f").await;
            assert_eq!(payload, "p");
            hand.data("one").await;
            hand.status(1, 4).await;
            hand.warning("two").await;
            hand.data("three").await;
            hand.complete("four").await;
            let mut heard = Vec::new();
            while let Some(update) = within("an update", job.next()).await {
                heard.push(update);
            }
            let expected = [
                Update::Data("one".into()),
                Update::Status { numerator: 1, denominator: 4 },
                Update::Warning("two".into()),
                Update::Data("three".into()),
                Update::Complete("four".into()),
            ];
            assert_eq!(heard, expected);
        }
        let mut job = client.submit(job("f", "u")).await.unwrap();
        Hand::take(&server.address, "f").await.0.exception("boom").await;
        assert_eq!(within("the end", job.next()).await, Some(Update::Exception("boom".into())));
    }

    async fn a_job_is_cancelled_where_the_server_can(server) {
        let client = client(&server).await;
        let mut running = client.submit(job("f", "u-1")).await.unwrap();
        let (mut hand, _) = Hand::take(&server.address, "f").await;
        hand.status(1, 2).await;
        assert_eq!(within("it runs", running.next()).await, Some(Update::Status { numerator: 1, denominator: 2 }));
        let mut waiting = client.submit(job("g", "u-2")).await.unwrap();
        client.cancel(waiting.handle()).await.unwrap();
        let cancelled = client.cancel(running.handle()).await;
        if server.kind == Kind::Geard {
            assert!(matches!(cancelled, Err(admin::Error::Refused { .. })), "{cancelled:?}");
            assert_eq!(client.job_status(waiting.handle()).await.unwrap(), JobStatus::default());
            hand.complete("").await;
            assert_eq!(within("the end", running.next()).await, Some(Update::Complete("".into())));
        } else {
            cancelled.unwrap();
            assert_eq!(within("the end", waiting.next()).await, Some(Update::Fail));
            assert_eq!(within("the end", running.next()).await, Some(Update::Fail));
        }
    }

    async fn an_administrator_is_answered_or_told_that_nobody_answers(server) {
        let client = client(&server).await;
        let low = Submission { priority: Priority::Low, background: true, ..job("f", "u-1") };
        let waiting = client.submit(low).await.unwrap();
        let mut admin = administrator(&server).await;
        assert_eq!(admin.status().await.unwrap()[0].queued, 1);
        assert!(!admin.workers().await.unwrap().is_empty());
        if server.kind == Kind::Geard {
            let silent = [
                admin.priority_status().await.map(drop),
                admin.show_jobs().await.map(drop),
                admin.show_unique_jobs().await.map(drop),
                admin.create_function("g").await,
                admin.drop_function("g").await,
                admin.limit_queue("f", QueueLimit::ForAll(Some(1))).await,
                admin.process_id().await.map(drop),
                admin.verbosity().await.map(drop),
                admin.version().await.map(drop),
            ];
            for answer in silent {
                assert!(matches!(answer, Err(admin::Error::NoAnswer { .. })), "{answer:?}");
            }
        } else {
            let [line] = &admin.priority_status().await.unwrap()[..] else { panic!("one function") };
            assert_eq!((line.function.as_str(), line.high, line.normal, line.low), ("f", 0, 0, 1));
            assert_eq!(admin.show_jobs().await.unwrap()[0].handle.as_bytes(), waiting.handle());
            assert_eq!(admin.show_unique_jobs().await.unwrap()[0].unique, "u-1");
            admin.create_function("g").await.unwrap();
            assert_eq!(admin.status().await.unwrap().len(), 2);
            admin.drop_function("g").await.unwrap();
            let unknown = admin.drop_function("g").await;
            assert!(matches!(unknown, Err(admin::Error::Refused { .. })), "{unknown:?}");
            admin.limit_queue("f", QueueLimit::ForAll(Some(1))).await.unwrap();
            let full = client.submit(Submission { background: true, ..job("f", "u-2") }).await;
            assert!(matches!(full, Err(Error::Refused { .. })), "{full:?}");
            assert!(admin.process_id().await.unwrap() > 1);
            assert!(!admin.verbosity().await.unwrap().is_empty());
            assert!(!admin.version().await.unwrap().is_empty());
        }
        admin.cancel(waiting.handle()).await.unwrap();
        let again = admin.cancel(waiting.handle()).await;
        // gearmand keeps what is cancelled until a worker looks at the queue.
        assert_eq!(again.is_ok(), server.kind == Kind::Gearmand, "{again:?}");
    }
}

on_both_servers! {
    async fn a_job_for_later_waits_where_there_are_such_jobs(server) {
        let client = client(&server).await;
        let at = Epoch::after(SystemTime::now(), Duration::from_secs(3600));
        let submitted = client.submit(Submission { at, ..job("f", "u-1") }).await;
        match server.kind {
            Kind::Geard => {
                let error = submitted.unwrap_err();
                assert!(matches!(error, Error::Unconfirmed { .. }) && error.to_string().contains("geard"), "{error}");
            }
            _ => {
                let mut later = submitted.unwrap();
                assert_eq!(later.next().await, None);
                let now = client.submit(job("f", "u-2")).await.unwrap();
                let (hand, _) = Hand::take(&server.address, "f").await;
                assert_eq!(hand.handle().as_bytes(), now.handle(), "the other one is not due");
                assert!(client.job_status(later.handle()).await.unwrap().known);
            }
        }
    }
}
