use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;

use super::*;
use crate::gearman::codec::Frame;
use crate::gearman::packet::Kind;
use crate::gearman::testing::{LIMIT, Peer, beside, next};

/// A server that does what the test says.
struct Server {
    listener: TcpListener,
}

impl Server {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn config(&self) -> Config {
        Config::new(self.listener.local_addr().unwrap().to_string(), "node_exec-0")
    }

    async fn accept(&self) -> Peer {
        Peer::new(self.listener.accept().await.unwrap().0)
    }

    /// Accepts a connection that starts as it has to, and does not answer yet.
    async fn hear_greeting(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.expect(&["SET_CLIENT_ID node_exec-0", "RESET_ABILITIES", "CAN_DO build:a", "GET_STATUS "]).await;
        peer
    }

    async fn greet(&self) -> Peer {
        let mut peer = self.hear_greeting().await;
        peer.respond(Kind::StatusRes, ["", "0", "0", "0", "0"].map(Bytes::from)).await;
        peer
    }
}

impl Peer {
    /// Returns the next packet as text; none when the crew has closed.
    async fn hear(&mut self) -> Option<String> {
        let Frame::Packet(packet) = self.frame().await? else { panic!("a line of text") };
        let arguments = packet.arguments().iter().map(|argument| format!(" {}", String::from_utf8_lossy(argument)));
        Some(packet.kind.name().to_owned() + &arguments.collect::<String>())
    }

    #[track_caller]
    fn expect<'a>(&'a mut self, packets: &'a [&'a str]) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            for &expected in packets {
                assert_eq!(self.hear().await.as_deref(), Some(expected), "at {caller}");
            }
        }
    }

    async fn assign(&mut self, handle: &'static str) {
        self.respond(Kind::JobAssignUniq, [handle, "build:a", "u-1", "{}"].map(Bytes::from)).await;
    }

    /// Is asked for a job, has none, and lets the worker sleep.
    async fn put_to_sleep(&mut self) {
        self.expect(&["GRAB_JOB_UNIQ"]).await;
        self.respond(Kind::NoJob, []).await;
        self.expect(&["PRE_SLEEP"]).await;
    }

    async fn wake(&mut self) {
        self.respond(Kind::Noop, []).await;
    }
}

/// Waits for a job.
async fn assigned(crew: &mut Crew) -> (usize, Job) {
    loop {
        if let Event { server, what: worker::Event::Assigned(job) } = next(crew).await {
            return (server, job);
        }
    }
}

fn crew(configs: impl IntoIterator<Item = Config>) -> Crew {
    let configs: Vec<Config> = configs.into_iter().collect();
    let mut crew = Crew::new(configs.len());
    for (server, config) in configs.into_iter().enumerate() {
        crew.join(server, config);
    }
    crew.offer(BTreeSet::from([Bytes::from("build:a")]));
    crew
}

/// Makes a crew of two that has asked both servers and sleeps at both.
async fn asleep_at_both() -> (Crew, [Server; 2], [Peer; 2]) {
    let servers = [Server::start().await, Server::start().await];
    let mut crew = crew(servers.iter().map(Server::config));
    let (mut peers, _) = beside(&mut crew, async { [servers[0].greet().await, servers[1].greet().await] }).await;
    crew.grant();
    let [first, second] = &mut peers;
    // Which of them answers first is open, and each must be asked alone.
    beside(&mut crew, async { tokio::join!(first.put_to_sleep(), second.put_to_sleep()) }).await;
    (crew, servers, peers)
}

fn job(handle: &'static str) -> Job {
    Job { handle: handle.into(), function: "build:a".into(), unique: "u-1".into(), payload: "{}".into() }
}

fn event(server: usize, what: worker::Event) -> Event {
    Event { server, what }
}

#[tokio::test]
async fn a_crew_of_one_says_what_a_worker_says() {
    async fn converse(server: &Server) -> Vec<String> {
        let mut heard = Vec::new();
        let mut peer = server.accept().await;
        for (count, answer) in [(4, None), (1, Some(Kind::Noop)), (1, None), (3, None)] {
            for _ in 0..count {
                heard.push(peer.hear().await.unwrap());
            }
            match (heard.len(), answer) {
                (4, _) => peer.respond(Kind::NoJob, []).await,
                (_, Some(kind)) => peer.respond(kind, []).await,
                (6, _) => peer.assign("H:1").await,
                _ => peer.respond(Kind::NoJob, []).await,
            }
        }
        // Whoever is cut off comes back with everything.
        drop(peer);
        let mut peer = server.accept().await;
        for _ in 0..4 {
            heard.push(peer.hear().await.unwrap());
        }
        heard
    }
    let functions = || BTreeSet::from([Bytes::from("build:a")]);
    let end = || Report::Complete("end".into());

    let server = Server::start().await;
    let mut worker = Worker::new(server.config());
    worker.offer(functions());
    worker.grant();
    let by_worker = timeout(LIMIT, async {
        let script = converse(&server);
        tokio::pin!(script);
        loop {
            tokio::select! {
                heard = &mut script => return heard,
                event = worker.event() => if matches!(event, worker::Event::Assigned(_)) {
                    worker.report(Report::Data("start".into()));
                    worker.report(end());
                },
            }
        }
    });
    let by_worker = by_worker.await.unwrap();

    let mut crew = crew([server.config()]);
    crew.grant();
    let by_crew = timeout(LIMIT, async {
        let script = converse(&server);
        tokio::pin!(script);
        loop {
            tokio::select! {
                heard = &mut script => return heard,
                event = crew.event() => if matches!(event.what, worker::Event::Assigned(_)) {
                    crew.report(Report::Data("start".into()));
                    crew.report(end());
                },
            }
        }
    });
    let by_crew = by_crew.await.unwrap();
    assert_eq!(by_crew, by_worker);
    assert_eq!(
        by_crew[3..9],
        [
            "GRAB_JOB_UNIQ",
            "PRE_SLEEP",
            "GRAB_JOB_UNIQ",
            "WORK_DATA H:1 start",
            "WORK_COMPLETE H:1 end",
            "GRAB_JOB_UNIQ"
        ]
    );
}

#[tokio::test]
async fn a_job_of_the_second_server_is_taken_while_the_first_has_none() {
    let (mut crew, _servers, [mut first, mut second]) = asleep_at_both().await;
    second.wake().await;
    beside(&mut crew, second.expect(&["GRAB_JOB_UNIQ"])).await;
    second.assign("H:1").await;
    assert_eq!(assigned(&mut crew).await, (1, job("H:1")));
    assert!(crew.report(Report::Complete("end".into())));
    // The round goes on with the other server, and comes back.
    beside(&mut crew, async {
        second.expect(&["WORK_COMPLETE H:1 end", "GET_STATUS H:1"]).await;
        first.put_to_sleep().await;
        second.expect(&["GRAB_JOB_UNIQ"]).await;
    })
    .await;
    second.respond(Kind::StatusRes, ["H:1", "0", "0", "0", "0"].map(Bytes::from)).await;
    assert_eq!(next(&mut crew).await, event(1, worker::Event::Delivered { handle: "H:1".into() }));
}

#[tokio::test]
async fn servers_that_both_have_jobs_take_turns_and_never_run_two_at_once() {
    let (mut crew, _servers, mut peers) = asleep_at_both().await;
    for peer in &mut peers {
        peer.wake().await;
    }
    let mut order = Vec::new();
    let [first, second] = &mut peers;
    // Each always has a job, gives it to whoever asks, and takes its end.
    let serve = async |peer: &mut Peer| loop {
        match peer.hear().await.as_deref() {
            Some("GRAB_JOB_UNIQ") => peer.assign("H:1").await,
            Some("GET_STATUS H:1") => {
                peer.respond(Kind::StatusRes, ["H:1", "0", "0", "0", "0"].map(Bytes::from)).await;
            }
            Some("WORK_COMPLETE H:1 end") => {}
            other => panic!("{other:?}"),
        }
    };
    let run = async {
        while order.len() < 6 {
            let (server, _) = assigned(&mut crew).await;
            assert!(crew.is_running() && !crew.is_grabbing());
            order.push(server);
            assert!(crew.report(Report::Complete("end".into())));
        }
    };
    let both = async { tokio::join!(serve(first), serve(second)) };
    tokio::select! {
        done = timeout(LIMIT, run) => done.unwrap(),
        _ = both => {}
    }
    assert!(order == [0, 1, 0, 1, 0, 1] || order == [1, 0, 1, 0, 1, 0], "{order:?}");
}

#[tokio::test]
async fn a_server_that_dies_costs_the_job_of_the_other_one_nothing() {
    let (mut crew, servers, [first, mut second]) = asleep_at_both().await;
    second.wake().await;
    beside(&mut crew, second.expect(&["GRAB_JOB_UNIQ"])).await;
    second.assign("H:1").await;
    assert_eq!(next(&mut crew).await, event(1, worker::Event::Assigned(job("H:1"))));
    let [first_server, _] = servers;
    drop((first, first_server));
    let lost = next(&mut crew).await;
    assert!(matches!(&lost, Event { server: 0, what: worker::Event::Disconnected { job: None, .. } }), "{lost:?}");
    assert_eq!(crew.job(), Some(&job("H:1")));
    assert!(crew.report(Report::Complete("end".into())));
    // With the other server gone, the result and the next grab leave together again.
    beside(&mut crew, second.expect(&["WORK_COMPLETE H:1 end", "GRAB_JOB_UNIQ"])).await;
}

#[tokio::test]
async fn a_job_that_is_lost_takes_the_lease_with_it_and_the_next_one_is_asked_for_elsewhere() {
    let (mut crew, servers, [mut first, mut second]) = asleep_at_both().await;
    first.wake().await;
    beside(&mut crew, first.expect(&["GRAB_JOB_UNIQ"])).await;
    first.assign("H:1").await;
    assert_eq!(assigned(&mut crew).await, (0, job("H:1")));
    let [first_server, _second_server] = servers;
    drop((first, first_server));
    let Event { server: 0, what: worker::Event::Disconnected { job: Some(lost), .. } } = next(&mut crew).await else {
        panic!("the loss is not told");
    };
    assert_eq!(lost, job("H:1"));
    assert!(!crew.is_leased() && !crew.is_grabbing());
    crew.grant();
    beside(&mut crew, second.expect(&["GRAB_JOB_UNIQ"])).await;
    assert!(!crew.report(Report::Complete("late".into())));
}

#[tokio::test]
async fn a_wake_up_during_a_run_is_told_to_others_and_remembered() {
    let (mut crew, _servers, [mut first, mut second]) = asleep_at_both().await;
    first.wake().await;
    beside(&mut crew, first.expect(&["GRAB_JOB_UNIQ"])).await;
    first.assign("H:1").await;
    assert_eq!(assigned(&mut crew).await, (0, job("H:1")));
    second.wake().await;
    assert_eq!(next(&mut crew).await, event(1, worker::Event::Woken));
    assert!(crew.report(Report::Complete("end".into())));
    beside(&mut crew, async {
        second.expect(&["GRAB_JOB_UNIQ"]).await;
        first.expect(&["WORK_COMPLETE H:1 end", "GET_STATUS H:1"]).await;
    })
    .await;
    assert!(crew.is_grabbing());
}

#[tokio::test]
async fn a_wake_up_during_a_grab_is_told_to_others_only_if_that_brings_a_job() {
    for brings_a_job in [true, false] {
        let (mut crew, _servers, [mut first, mut second]) = asleep_at_both().await;
        first.wake().await;
        beside(&mut crew, first.expect(&["GRAB_JOB_UNIQ"])).await;
        second.wake().await;
        // Behind the wake-up, so that it was heard for sure.
        second.respond(Kind::Error, ["X", "heard"].map(Bytes::from)).await;
        assert!(matches!(next(&mut crew).await, Event { server: 1, what: worker::Event::Refused { .. } }));
        if brings_a_job {
            first.assign("H:1").await;
            assert_eq!(next(&mut crew).await, event(0, worker::Event::Assigned(job("H:1"))));
            assert_eq!(next(&mut crew).await, event(1, worker::Event::Woken));
        } else {
            first.respond(Kind::NoJob, []).await;
            let ((), events) = beside(&mut crew, async {
                first.expect(&["PRE_SLEEP"]).await;
                second.expect(&["GRAB_JOB_UNIQ"]).await;
            })
            .await;
            assert_eq!(events, []);
        }
    }
}

#[tokio::test]
async fn somebody_else_s_wake_up_makes_a_sleeper_look_at_that_server() {
    let (mut crew, _servers, [mut first, mut second]) = asleep_at_both().await;
    for (server, peer) in [(1, &mut second), (0, &mut first)] {
        crew.wake(server);
        beside(&mut crew, peer.put_to_sleep()).await;
    }
    crew.revoke();
    crew.wake(0);
    first.wake().await;
    assert_eq!(next(&mut crew).await, event(0, worker::Event::Woken));
    assert!(!crew.is_grabbing());
}

#[tokio::test]
async fn a_lease_that_goes_during_a_grab_at_the_second_server_is_settled_there() {
    for brings_a_job in [true, false] {
        let (mut crew, _servers, [mut first, mut second]) = asleep_at_both().await;
        second.wake().await;
        beside(&mut crew, second.expect(&["GRAB_JOB_UNIQ"])).await;
        assert_eq!(crew.revoke(), Revocation::AwaitGrab);
        if brings_a_job {
            second.assign("H:1").await;
            assert_eq!(next(&mut crew).await, event(1, worker::Event::Assigned(job("H:1"))));
            assert!(crew.report(Report::Fail));
            beside(&mut crew, second.expect(&["WORK_FAIL H:1", "GET_STATUS H:1"])).await;
        } else {
            second.respond(Kind::NoJob, []).await;
            assert_eq!(next(&mut crew).await, event(1, worker::Event::Revoked));
        }
        assert_eq!(crew.revoke(), Revocation::Done);
        // Nobody has been told to sleep, so both are asked when a lease comes.
        crew.grant();
        beside(&mut crew, async {
            tokio::select! {
                () = first.expect(&["GRAB_JOB_UNIQ"]) => {}
                () = second.expect(&["GRAB_JOB_UNIQ"]) => {}
            }
        })
        .await;
        assert!(crew.is_grabbing());
    }
}

#[tokio::test]
async fn a_server_that_hangs_from_the_start_is_not_asked_and_holds_nobody_up() {
    let servers = [Server::start().await, Server::start().await];
    let mut crew = crew(servers.iter().map(Server::config));
    crew.grant();
    let hanging = &servers[0];
    let ((mut silent, _), _) = beside(&mut crew, async {
        let silent = hanging.hear_greeting().await;
        let mut peer = servers[1].greet().await;
        peer.put_to_sleep().await;
        peer.wake().await;
        peer.put_to_sleep().await;
        (silent, peer)
    })
    .await;
    // Now it answers, and is asked.
    silent.respond(Kind::StatusRes, ["", "0", "0", "0", "0"].map(Bytes::from)).await;
    beside(&mut crew, silent.put_to_sleep()).await;
}

#[tokio::test]
async fn a_server_that_leaves_a_grab_unanswered_loses_the_connection_and_the_others_are_asked() {
    let servers = [Server::start().await, Server::start().await];
    let hasty = |server: &Server| Config { answer_timeout: Duration::from_millis(100), ..server.config() };
    let mut crew = crew([servers[0].config(), hasty(&servers[1])]);
    let (mut peers, _) = beside(&mut crew, async { [servers[0].greet().await, servers[1].greet().await] }).await;
    crew.grant();
    let [first, second] = &mut peers;
    beside(&mut crew, async {
        // The round begins with either.
        let asked = async {
            second.expect(&["GRAB_JOB_UNIQ"]).await;
            assert_eq!(second.hear().await, None, "the connection is given up");
        };
        tokio::join!(asked, first.put_to_sleep());
        first.wake().await;
        first.put_to_sleep().await;
        // On the new connection it is asked when it has answered.
        servers[1].greet().await.put_to_sleep().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_down_holds_nobody_up_and_is_asked_when_it_is_back() {
    // Bound but not listening: connections are refused, and nobody else gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let down = Config { backoff_cap: Duration::from_millis(10), ..Config::new(address, "node_exec-0") };
    let server = Server::start().await;
    let mut crew = crew([down, server.config()]);
    crew.grant();
    let (mut peer, events) = beside(&mut crew, async {
        let mut peer = server.greet().await;
        peer.put_to_sleep().await;
        peer.wake().await;
        peer.put_to_sleep().await;
        peer
    })
    .await;
    assert!(events.contains(&event(1, worker::Event::Connected)), "{events:?}");
    let back = Server { listener: socket.listen(8).unwrap() };
    beside(&mut crew, async {
        back.greet().await.put_to_sleep().await;
        peer.wake().await;
        peer.put_to_sleep().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_comes_after_its_grab_was_refused_goes_back_if_the_turn_has_passed_on() {
    let (mut crew, servers, [mut first, mut second]) = asleep_at_both().await;
    first.wake().await;
    beside(&mut crew, first.expect(&["GRAB_JOB_UNIQ"])).await;
    second.wake().await;
    first.respond(Kind::Error, ["X", "no"].map(Bytes::from)).await;
    beside(&mut crew, second.expect(&["GRAB_JOB_UNIQ"])).await;
    first.assign("H:1").await;
    let (_, events) = beside(&mut crew, async { while first.hear().await.is_some() {} }).await;
    assert!(!events.iter().any(|event| matches!(event.what, worker::Event::Assigned(_))), "{events:?}");
    second.assign("H:2").await;
    assert_eq!(assigned(&mut crew).await, (1, job("H:2")));
    beside(&mut crew, servers[0].greet()).await;
}

#[tokio::test]
async fn handing_back_drops_one_connection_and_the_turn_passes_on() {
    let (mut crew, servers, [mut first, mut second]) = asleep_at_both().await;
    assert_eq!(crew.hand_back(), None);
    first.wake().await;
    beside(&mut crew, first.expect(&["GRAB_JOB_UNIQ"])).await;
    first.assign("H:1").await;
    assert_eq!(assigned(&mut crew).await, (0, job("H:1")));
    assert_eq!(crew.hand_back(), Some(job("H:1")));
    beside(&mut crew, async {
        assert_eq!(first.hear().await, None);
        second.put_to_sleep().await;
        servers[0].greet().await.put_to_sleep().await;
    })
    .await;
}

#[tokio::test]
async fn new_functions_are_offered_to_every_server_and_each_is_asked() {
    let (mut crew, _servers, [mut first, mut second]) = asleep_at_both().await;
    crew.offer(BTreeSet::from([Bytes::from("build:a"), Bytes::from("build:b")]));
    beside(&mut crew, async {
        let asked = async |peer: &mut Peer| {
            peer.expect(&["CAN_DO build:b"]).await;
            peer.put_to_sleep().await;
        };
        tokio::join!(asked(&mut first), asked(&mut second));
    })
    .await;
    crew.offer(BTreeSet::new());
    beside(&mut crew, async { tokio::join!(first.expect(&["RESET_ABILITIES"]), second.expect(&["RESET_ABILITIES"])) })
        .await;
    assert!(!crew.is_grabbing() && crew.is_leased());
}

#[tokio::test]
async fn closing_says_goodbye_to_every_server() {
    let (mut crew, _servers, [mut first, mut second]) = asleep_at_both().await;
    first.wake().await;
    beside(&mut crew, first.expect(&["GRAB_JOB_UNIQ"])).await;
    first.assign("H:1").await;
    assigned(&mut crew).await;
    assert!(crew.report(Report::Complete("end".into())));
    crew.revoke();
    let servers = async {
        first.expect(&["WORK_COMPLETE H:1 end", "GET_STATUS H:1"]).await;
        assert_eq!((first.hear().await, second.hear().await), (None, None));
        drop((first, second));
    };
    let (closed, ()) = timeout(LIMIT, async { tokio::join!(crew.close(), servers) }).await.unwrap();
    closed.unwrap();
}

#[test]
fn crew_can_be_moved_to_another_thread_and_be_waited_for_there() {
    fn is_send(_: &impl Send) {}
    let mut crew = Crew::new(2);
    is_send(&crew);
    is_send(&crew.event());
    is_send(&crew.close());
}
