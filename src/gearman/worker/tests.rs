use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};

use super::*;
use crate::gearman::codec::{Codec, Frame};
use crate::gearman::testing::{LIMIT, beside, next};

mod hostile;

/// A server that does what the test says.
struct Server {
    listener: TcpListener,
}

/// The server's side of one connection.
struct Peer {
    stream: TcpStream,
    buffer: bytes::BytesMut,
}

impl Server {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn config(&self) -> Config {
        Config::new(self.listener.local_addr().unwrap().to_string(), "node_exec-0")
    }

    fn worker(&self) -> Worker {
        Worker::new(self.config())
    }

    async fn accept(&self) -> Peer {
        Peer { stream: self.listener.accept().await.unwrap().0, buffer: bytes::BytesMut::new() }
    }

    /// Accepts a connection that starts as it has to.
    async fn greet(&self, functions: &[&str]) -> Peer {
        let mut peer = self.accept().await;
        peer.expect(&["SET_CLIENT_ID node_exec-0", "RESET_ABILITIES"]).await;
        for function in functions {
            peer.expect(&[&format!("CAN_DO {function}")]).await;
        }
        peer
    }
}

impl Peer {
    /// Reads one packet and shows it; `None` when the worker has closed.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(frame) = Codec::default().decode(&mut self.buffer).unwrap() {
                let Frame::Packet(packet) = frame else { panic!("{frame:?}") };
                let arguments =
                    packet.arguments().iter().map(|argument| format!(" {}", String::from_utf8_lossy(argument)));
                return Some(packet.kind.name().to_owned() + &arguments.collect::<String>());
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    #[track_caller]
    fn expect<'a>(&'a mut self, packets: &'a [&'a str]) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            for &expected in packets {
                assert_eq!(self.next().await.as_deref(), Some(expected), "at {caller}");
            }
        }
    }

    async fn send<const N: usize>(&mut self, kind: Kind, arguments: [&'static str; N]) {
        let mut wire = bytes::BytesMut::new();
        Codec::default().encode(&Packet::response(kind, arguments.map(Bytes::from)), &mut wire).unwrap();
        self.stream.write_all(&wire).await.unwrap();
    }

    async fn assign(&mut self, handle: &'static str) {
        self.send(Kind::JobAssignUniq, [handle, "build:a", "u-1", "{}"]).await;
    }

    async fn is_closed(&mut self) {
        while self.next().await.is_some() {}
    }

    fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Waits for the event that says that the connection is lost.
async fn lost(worker: &mut Worker) -> (String, Option<Job>) {
    loop {
        if let Event::Disconnected { error, job } = next(worker).await {
            return (error, job);
        }
    }
}

fn functions<const N: usize>(names: [&'static str; N]) -> BTreeSet<Bytes> {
    names.into_iter().map(Bytes::from).collect()
}

fn job(handle: &'static str) -> Job {
    Job { handle: handle.into(), function: "build:a".into(), unique: "u-1".into(), payload: "{}".into() }
}

#[tokio::test]
async fn worker_runs_one_job_after_the_other() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, events) = beside(&mut worker, async {
        let mut peer = server.greet(&["build:a"]).await;
        peer.expect(&["GRAB_JOB_UNIQ"]).await;
        peer
    })
    .await;
    assert_eq!(events, [Event::Connected]);
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    assert!(worker.is_running());

    assert!(worker.report(Report::Data("start".into())));
    assert!(worker.report(Report::Complete("end".into())));
    assert!(!worker.is_running());
    beside(&mut worker, peer.expect(&["WORK_DATA H:1 start", "WORK_COMPLETE H:1 end", "GRAB_JOB_UNIQ"])).await;
    peer.assign("H:2").await;
    assert_eq!(next(&mut worker).await, Event::Delivered { handle: "H:1".into() });
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:2")));
}

#[test]
fn worker_can_be_moved_to_another_thread_and_be_waited_for_there() {
    fn is_send(_: &impl Send) {}
    let mut worker = Worker::new(Config::new("127.0.0.1:1", "node_exec-0"));
    is_send(&worker);
    is_send(&worker.event());
    is_send(&worker.close());
}

#[tokio::test]
async fn result_registration_and_next_grab_leave_in_one_write() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a", "build:b"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a", "build:b"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    worker.offer(functions(["build:b"]));
    worker.report(Report::Complete("end".into()));
    let (bytes, _) = beside(&mut worker, async {
        let mut bytes = [0; 200];
        let read = peer.stream.read(&mut bytes).await.unwrap();
        bytes[..read].to_vec()
    })
    .await;
    assert_eq!(bytes, b"\0REQ\0\0\0\x0d\0\0\0\x07H:1\0end\0REQ\0\0\0\x02\0\0\0\x07build:a\0REQ\0\0\0\x1e\0\0\0\0");
}

#[tokio::test]
async fn worker_without_a_next_grab_asks_whether_its_result_was_read() {
    let server = Server::start().await;
    let mut worker = Worker::new(Config { answer_timeout: Duration::from_millis(300), ..server.config() });
    worker.offer(functions(["build:a"]));
    for (handle, is_answered) in [("H:1", true), ("H:2", false)] {
        worker.grant();
        let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
        beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
        peer.assign(handle).await;
        assert_eq!(next(&mut worker).await, Event::Assigned(job(handle)));
        worker.revoke();
        worker.report(Report::Complete("end".into()));
        let packets = [format!("WORK_COMPLETE {handle} end"), format!("GET_STATUS {handle}")];
        let (_, events) = beside(&mut worker, peer.expect(&[&packets[0], &packets[1]])).await;
        assert_eq!(events, [], "that the system took it proves nothing");
        if is_answered {
            peer.send(Kind::StatusRes, [handle, "0", "0", "0", "0"]).await;
            assert_eq!(next(&mut worker).await, Event::Delivered { handle: handle.into() });
            drop(peer);
            lost(&mut worker).await;
        } else {
            // It took everything in and says nothing more.
            assert_eq!(lost(&mut worker).await, ("server has owed an answer for 300ms".to_owned(), None));
            peer.is_closed().await;
        }
    }
}

#[tokio::test]
async fn every_way_to_lose_a_connection_ends_in_a_full_registration() {
    let server = Server::start().await;
    let mut worker = Worker::new(Config { max_payload: 1000, ..server.config() });
    worker.offer(functions(["build:a", "build:b"]));
    let mut too_long = b"\0RES\0\0\0\x1f\xff\xff\xff\xf0".to_vec();
    too_long.extend([b'x'; 100]);
    let cases: Vec<(&[u8], &str)> = vec![
        (b"", "server closed the connection"),
        (b"\0RES\0\0\0\x1f\0\0\0\x20H:1", "server closed the connection"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "server does not speak the protocol: packet starts with [48, 54, 54, 50]",
        ),
        (&too_long, "server does not speak the protocol: packet of 4294967280 bytes is longer than the limit of 1000"),
        (
            b"\0RES\0\0\0\x1f\0\0\0\x03H:1",
            "server does not speak the protocol: JOB_ASSIGN_UNIQ has 1 of its 4 arguments",
        ),
        (b"\0RES\0\0\0\x1f\0\0\0\x0aH:1\0f\0u\0{}", "server assigned a job that was not asked for"),
    ];
    for (wire, expected) in cases {
        let (mut peer, events) = beside(&mut worker, server.greet(&["build:a", "build:b"])).await;
        assert_eq!(events, [Event::Connected]);
        peer.stream.write_all(wire).await.unwrap();
        peer.stream.shutdown().await.unwrap();
        let (error, job) = lost(&mut worker).await;
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(job, None);
        assert!(worker.functions().is_empty());
    }
    beside(&mut worker, server.greet(&["build:a", "build:b"])).await;
}

#[tokio::test]
async fn reset_in_the_middle_of_a_packet_gives_the_running_job_back() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    peer.stream.write_all(b"\0RES\0\0").await.unwrap();
    peer.reset();
    let (error, lost_job) = lost(&mut worker).await;
    assert!(error.starts_with("connection broke: "), "{error}");
    assert_eq!(lost_job, Some(job("H:1")));
    assert!(!worker.report(Report::Complete("late".into())));
    let ((), events) = beside(&mut worker, async {
        let mut peer = server.greet(&["build:a"]).await;
        peer.expect(&["GRAB_JOB_UNIQ"]).await;
    })
    .await;
    assert_eq!(events, [Event::Connected]);
}

#[tokio::test]
async fn limit_of_a_job_is_told_in_milliseconds_and_costs_nothing_but_its_result() {
    let server = Server::start().await;
    let mut worker = Worker::new(Config { job_timeout: Some(Duration::from_secs(30)), ..server.config() });
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.accept()).await;
    let greeting = ["SET_CLIENT_ID node_exec-0", "RESET_ABILITIES", "CAN_DO_TIMEOUT build:a 30000", "GRAB_JOB_UNIQ"];
    beside(&mut worker, peer.expect(&greeting)).await;
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    // By then the server has taken it back.
    worker.report(Report::Complete("late".into()));
    beside(&mut worker, peer.expect(&["WORK_COMPLETE H:1 late", "GRAB_JOB_UNIQ"])).await;
    peer.send(Kind::Error, ["JOB_NOT_FOUND", "late"]).await;
    assert!(matches!(next(&mut worker).await, Event::Refused { .. }));
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Delivered { handle: "H:1".into() });
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
}

#[tokio::test]
async fn result_that_could_not_leave_is_never_called_delivered() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    peer.reset();
    assert!(worker.report(Report::Complete("end".into())));
    let (_, events) = beside(&mut worker, async {
        let mut peer = server.greet(&["build:a"]).await;
        peer.expect(&["GRAB_JOB_UNIQ"]).await;
        peer.assign("H:1").await;
        peer
    })
    .await;
    assert!(matches!(&events[..], [Event::Disconnected { job: None, .. }, Event::Connected]), "{events:?}");
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
}

#[tokio::test]
async fn what_came_before_garbage_still_counts() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    peer.stream.write_all(b"\0RES\0\0\0\x1f\0\0\0\x12H:1\0build:a\0u-1\0{}GARBAGE").await.unwrap();
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    let (_, lost_job) = lost(&mut worker).await;
    assert_eq!(lost_job, Some(job("H:1")));
}

#[tokio::test]
async fn server_that_assigns_twice_loses_the_connection_and_has_both_jobs_back() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    peer.assign("H:2").await;
    let (error, lost_job) = lost(&mut worker).await;
    assert_eq!(error, "server assigned a job while another one runs");
    assert_eq!(lost_job, Some(job("H:1")));
    peer.is_closed().await;
}

#[tokio::test]
async fn packets_that_drip_in_byte_by_byte_are_understood() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    peer.stream.set_nodelay(true).unwrap();
    let ((), mut events) = beside(&mut worker, async {
        peer.expect(&["GRAB_JOB_UNIQ"]).await;
        for byte in b"\0RES\0\0\0\x1f\0\0\0\x12H:1\0build:a\0u-1\0{}" {
            peer.stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    if events.is_empty() {
        events.push(next(&mut worker).await);
    }
    assert_eq!(events, [Event::Assigned(job("H:1"))]);
}

#[tokio::test]
async fn large_payloads_pass_in_both_directions() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    let payload = Bytes::from(b"x\0y".repeat(2 << 20));
    let mut wire = bytes::BytesMut::new();
    let arguments = ["H:1".into(), "build:a".into(), "u-1".into(), payload.clone()];
    Codec::default().encode(&Packet::response(Kind::JobAssignUniq, arguments), &mut wire).unwrap();
    let sending = async { peer.stream.write_all(&wire).await.unwrap() };
    let (event, ()) = tokio::join!(next(&mut worker), sending);
    assert_eq!(event, Event::Assigned(Job { payload: payload.clone(), ..job("H:1") }));
    // Nobody reads yet: it stays queued, and the worker goes on.
    worker.report(Report::Complete(payload.clone()));
    let (packet, events) = beside(&mut worker, async {
        let packet = peer.next().await.unwrap();
        peer.expect(&["GRAB_JOB_UNIQ"]).await;
        packet
    })
    .await;
    assert_eq!(packet.len(), "WORK_COMPLETE H:1 ".len() + payload.len());
    assert_eq!(events, []);
    peer.send(Kind::NoJob, []).await;
    assert_eq!(next(&mut worker).await, Event::Delivered { handle: "H:1".into() });
}

#[tokio::test]
async fn silent_server_is_asked_for_an_echo_and_then_given_up() {
    let server = Server::start().await;
    let mut worker = Worker::new(Config { heartbeat: Some(Duration::from_millis(300)), ..server.config() });
    worker.offer(functions(["build:a"]));
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, async {
        for _ in 0..3 {
            peer.expect(&["ECHO_REQ "]).await;
            peer.send(Kind::EchoRes, [""]).await;
        }
        peer.expect(&["ECHO_REQ "]).await;
    })
    .await;
    let (error, _) = lost(&mut worker).await;
    assert!(error.starts_with("server has been silent for "), "{error}");
    peer.is_closed().await;
    beside(&mut worker, server.greet(&["build:a"])).await;
}

#[tokio::test]
async fn silence_is_noticed_while_a_job_runs() {
    let server = Server::start().await;
    let mut worker = Worker::new(Config { heartbeat: Some(Duration::from_millis(300)), ..server.config() });
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    let (_, lost_job) = lost(&mut worker).await;
    assert_eq!(lost_job, Some(job("H:1")));
}

#[tokio::test]
async fn grab_without_an_answer_is_not_awaited_for_ever() {
    let server = Server::start().await;
    let mut worker = Worker::new(Config { answer_timeout: Duration::from_millis(100), ..server.config() });
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    let (error, _) = lost(&mut worker).await;
    assert_eq!(error, "server has owed an answer for 100ms");
    peer.expect(&["GRAB_JOB_UNIQ"]).await;
    peer.is_closed().await;
}

#[tokio::test]
async fn worker_that_sleeps_hears_when_it_is_woken_without_a_lease() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, async {
        peer.expect(&["GRAB_JOB_UNIQ"]).await;
        peer.send(Kind::NoJob, []).await;
        peer.expect(&["PRE_SLEEP"]).await;
    })
    .await;
    assert_eq!(worker.revoke(), Revocation::Done);
    peer.send(Kind::Noop, []).await;
    assert_eq!(next(&mut worker).await, Event::Woken);
    worker.grant();
    assert!(!worker.is_grabbing(), "nothing leaves before the worker is polled");
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    assert_eq!(worker.revoke(), Revocation::AwaitGrab);
    peer.send(Kind::NoJob, []).await;
    assert_eq!(next(&mut worker).await, Event::Revoked);
}

#[tokio::test]
async fn owner_hears_once_everything_that_it_offers_has_left() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.tell_when_said();
    assert!(worker.has_said_all(), "to a server that is not there nothing is left to say");
    let (mut peer, events) = beside(&mut worker, server.greet(&["build:a"])).await;
    let said = if events.contains(&Event::Said) { Event::Said } else { next(&mut worker).await };
    assert_eq!((said, worker.has_said_all()), (Event::Said, true));
    worker.offer(functions(["build:b"]));
    worker.tell_when_said();
    assert!(!worker.has_said_all());
    assert_eq!(next(&mut worker).await, Event::Said);
    assert!(worker.has_said_all());
    peer.expect(&["CAN_DO build:b", "CANT_DO build:a"]).await;
}

#[tokio::test]
async fn handing_back_drops_the_connection_and_comes_back_at_once() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a", "build:b"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a", "build:b"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    assert_eq!(worker.hand_back(), None);
    assert!(worker.is_connected(), "without a job there is nothing to hand back");
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    worker.offer(functions(["build:b"]));
    assert_eq!(worker.hand_back(), Some(job("H:1")));
    assert!(!worker.is_connected() && !worker.is_running());
    peer.is_closed().await;
    let ((), events) = beside(&mut worker, async {
        let mut peer = server.greet(&["build:b"]).await;
        peer.expect(&["GRAB_JOB_UNIQ"]).await;
    })
    .await;
    assert_eq!(events, [Event::Connected]);
}

#[tokio::test]
async fn closing_lets_the_last_result_through() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    beside(&mut worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    peer.assign("H:1").await;
    assert_eq!(next(&mut worker).await, Event::Assigned(job("H:1")));
    // Lies unread in the worker's socket when it closes.
    peer.send(Kind::Noop, []).await;
    worker.report(Report::Complete("end".into()));
    let server_side = async {
        peer.expect(&["WORK_COMPLETE H:1 end", "GET_STATUS H:1"]).await;
        assert_eq!(peer.next().await, None);
        drop(peer);
    };
    let (closed, ()) = timeout(LIMIT, async { tokio::join!(worker.close(), server_side) }).await.unwrap();
    closed.unwrap();
}

#[tokio::test]
async fn worker_retries_until_there_is_a_server_and_says_once_that_there_is_none() {
    // Bound but not listening: connections are refused, and nobody else gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let config = Config::new(address.to_string(), "node_exec-0");
    let mut worker = Worker::new(Config { backoff_cap: Duration::from_millis(10), ..config });
    let (error, _) = lost(&mut worker).await;
    assert!(error.starts_with(&format!("failed to connect to {address}: ")), "{error}");
    let further = timeout(Duration::from_millis(200), worker.event()).await;
    assert!(further.is_err(), "the same outage was reported again: {further:?}");
    let server = Server { listener: socket.listen(8).unwrap() };
    let (_, events) = beside(&mut worker, server.greet(&[])).await;
    assert_eq!(events, [Event::Connected]);
}

#[tokio::test]
async fn an_attempt_to_connect_survives_an_impatient_owner() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    let greeting = server.greet(&["build:a"]);
    tokio::pin!(greeting);
    timeout(LIMIT, async {
        loop {
            tokio::select! {
                biased;
                _ = &mut greeting => break,
                _ = worker.event() => {}
                // Polls the worker once per turn and drops what it was waiting for.
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await
    .unwrap();
    assert!(worker.is_connected());
}

#[tokio::test]
async fn server_that_hangs_up_at_once_is_not_asked_in_a_busy_loop() {
    let server = Server::start().await;
    let mut worker = server.worker();
    let mut delays = Vec::new();
    for _ in 0..5 {
        let _ = beside(&mut worker, server.accept()).await;
        lost(&mut worker).await;
        let Link::Down { retry_at } = worker.link else { panic!("{worker:?}") };
        delays.push(retry_at.saturating_duration_since(Instant::now()));
    }
    assert_eq!(delays[0], Duration::ZERO);
    assert!(delays[4] > Duration::from_millis(100), "{delays:?}");
}

#[tokio::test]
async fn connection_has_no_delay_and_is_kept_alive() {
    let server = Server::start().await;
    let mut worker = server.worker();
    let _peer = beside(&mut worker, server.greet(&[])).await;
    let Link::Up(live) = &worker.link else { panic!("{worker:?}") };
    let socket = live.connection.socket();
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn workers_of_one_configuration_connect_a_few_at_a_time_and_come_back_so_after_a_loss() {
    let server = Server::start().await;
    let config = server.config();
    let mut worker = Worker::new(config.clone());
    for _ in 0..2 {
        let others = [config.pace.enter(Backlog::Shortest).await, config.pace.enter(Backlog::Shortest).await];
        tokio::select! {
            event = timeout(Duration::from_millis(50), worker.event()) => assert!(event.is_err(), "{event:?}"),
            _ = server.accept() => panic!("came in through a door that is full"),
        }
        drop(others);
        let (peer, _) = beside(&mut worker, server.greet(&[])).await;
        assert!(worker.is_connected());
        peer.reset();
        lost(&mut worker).await;
    }
}
