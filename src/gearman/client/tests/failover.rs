//! Several servers.

use super::*;

/// An address where nobody listens.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

async fn waiting(server: &str) -> u64 {
    let mut admin = Admin::connect(server, admin::Config::default()).await.unwrap();
    admin.status().await.unwrap().iter().map(|function| function.queued).sum()
}

fn failover<const N: usize>(servers: [String; N]) -> Failover {
    Failover::new(servers.map(Endpoint::from).into(), Config::default())
}

fn background(payload: &str) -> Submission {
    Submission { background: true, ..job("f", "", payload) }
}

#[tokio::test]
async fn the_first_server_that_can_be_reached_gets_the_job() {
    let (second, _stop) = start().await;
    let mut client = failover([nobody().await, second.clone()]);
    client.submit(background("p"), InDoubt::GiveUp).await.unwrap();
    assert_eq!(client.client().await.unwrap().server().address.to_string(), second);
    assert_eq!(waiting(&second).await, 1);
}

#[tokio::test]
async fn a_server_that_is_lost_while_idle_is_replaced_at_the_next_submission() {
    let (first, stop) = start().await;
    let (second, _stop) = start().await;
    let mut client = failover([first.clone(), second.clone()]);
    client.submit(background("p"), InDoubt::GiveUp).await.unwrap();
    assert_eq!(waiting(&first).await, 1);
    let connection = client.client().await.unwrap();
    stop.cancel();
    while !connection.is_lost() {
        tokio::task::yield_now().await;
    }
    client.submit(background("p"), InDoubt::GiveUp).await.unwrap();
    client.submit(background("p"), InDoubt::GiveUp).await.unwrap();
    assert_eq!(waiting(&second).await, 2, "and it stays there");
}

#[tokio::test]
async fn a_job_that_may_have_been_accepted_goes_elsewhere_only_if_that_was_asked_for() {
    let (other, _stop) = start().await;
    for in_doubt in [InDoubt::GiveUp, InDoubt::TryNext] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fails = listener.local_addr().unwrap().to_string();
        let mut client = failover([fails, other.clone()]);
        let (submitted, ()) = tokio::join!(client.submit(background("p"), in_doubt), async {
            let mut server = Peer::new(listener.accept().await.unwrap().0);
            assert_eq!(server.receive().await.kind, Kind::SubmitJobBg);
        });
        match in_doubt {
            InDoubt::GiveUp => {
                assert!(matches!(submitted, Err(Error::Unconfirmed { .. })), "{submitted:?}");
                assert_eq!(waiting(&other).await, 0);
                assert_eq!(
                    client.client().await.unwrap().server().address.to_string(),
                    other,
                    "the next job goes there"
                );
            }
            InDoubt::TryNext => {
                submitted.unwrap();
                assert_eq!(waiting(&other).await, 1);
            }
        }
    }
}

#[tokio::test]
async fn what_a_server_refuses_is_not_tried_elsewhere() {
    let (first, _stop) = start().await;
    let (second, _other) = start().await;
    let mut client = failover([first, second.clone()]);
    let too_long = Submission { unique: "u".repeat(65).into(), ..background("p") };
    let refused = client.submit(too_long, InDoubt::TryNext).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    assert_eq!(waiting(&second).await, 0);
}

#[tokio::test]
async fn when_no_server_can_be_reached_each_is_named_with_its_reason() {
    let (one, two) = (nobody().await, nobody().await);
    let mut client = failover([one.clone(), two.clone()]);
    let error = client.submit(background("p"), InDoubt::GiveUp).await.unwrap_err().to_string();
    assert!(error.contains(&one) && error.contains(&two) && error.contains("refused"), "{error}");
    let mut alone = failover([one.clone()]);
    let error = alone.client().await.unwrap_err();
    assert!(matches!(&error, Error::Connect(error) if error.to_string().contains(&one)), "{error}");
    assert!(matches!(Failover::new(Vec::new(), Config::default()).client().await, Err(Error::NoServer(_))));
}

#[tokio::test]
async fn a_single_server_that_is_back_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = failover([listener.local_addr().unwrap().to_string()]);
    for round in 0..3 {
        let (submitted, server) = tokio::join!(client.submit(background("p"), InDoubt::GiveUp), async {
            let mut server = Peer::new(listener.accept().await.unwrap().0);
            server.receive().await;
            server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
            server
        });
        submitted.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let connection = client.client().await.unwrap();
        drop(server);
        while !connection.is_lost() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_job_stays_with_the_server_that_accepted_it() {
    let (other, _stop) = start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let accepts = listener.local_addr().unwrap().to_string();
    let mut client = failover([nobody().await, accepts.clone(), other.clone()]);
    let (submitted, server) = tokio::join!(client.submit(background("p"), InDoubt::GiveUp), async {
        let mut server = Peer::new(listener.accept().await.unwrap().0);
        server.receive().await;
        server.respond(Kind::JobCreated, ["H:x:1".into()]).await;
        server
    });
    let job = submitted.unwrap();
    assert_eq!(job.client().server().address.to_string(), accepts);
    drop((server, listener));
    while !job.client().is_lost() {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.client().await.unwrap().server().address.to_string(), other);
    assert_eq!(job.client().server().address.to_string(), accepts);
    assert!(matches!(job.client().job_status(job.handle()).await, Err(Error::Lost)), "nobody else is asked");
}
