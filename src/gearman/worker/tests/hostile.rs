//! What a server may do wrong, row by row: the worker lives, works on or is registered again, and its owner hears of it.

use super::*;
use crate::gearman::Magic;

/// What the worker is doing when the server strikes. It has a lease and offers `build:a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asleep,
    Grabbing,
    /// `H:1`.
    Running,
}

/// What becomes of the connection.
#[derive(Debug)]
enum Fate {
    /// The worker answers with these packets, and does this then.
    LivesOn(&'static [&'static str], Stage),
    /// It drops the connection, for this reason.
    Ends(&'static str),
}

/// A name, when it happens, what the server says, what the owner hears, and what becomes of it.
type Row = (&'static str, Stage, Vec<u8>, &'static [&'static str], Fate);

use Fate::{Ends, LivesOn};
use Stage::{Asleep, Grabbing, Running};

const MAX_PAYLOAD: usize = 1000;

fn packet<const N: usize>(kind: Kind, arguments: [&[u8]; N]) -> Vec<u8> {
    framed(Magic::Response, kind, arguments)
}

fn framed<const N: usize>(magic: Magic, kind: Kind, arguments: [&[u8]; N]) -> Vec<u8> {
    let mut wire = bytes::BytesMut::new();
    let packet = Packet::new(magic, kind, arguments.map(Bytes::copy_from_slice));
    Codec::default().encode(&packet, &mut wire).unwrap();
    wire.to_vec()
}

fn error(code: &str) -> Vec<u8> {
    packet(Kind::Error, [code.as_bytes(), b"text"])
}

fn assignment(handle: &[u8], function: &[u8], payload: &[u8]) -> Vec<u8> {
    packet(Kind::JobAssignUniq, [handle, function, b"u-1", payload])
}

/// Every packet that a worker has no use for, asleep or not.
fn meaningless() -> Vec<u8> {
    let kinds = Kind::ALL.iter().filter(|kind| !kind.name().starts_with("JOB_ASSIGN") && **kind != Kind::Noop);
    let mut stream = Vec::new();
    for &kind in kinds.filter(|kind| !matches!(kind, Kind::Error | Kind::NoJob)) {
        let arguments = kind.arguments().iter().map(|_| Bytes::from_static(b"7")).collect();
        let mut wire = bytes::BytesMut::new();
        Codec::default().encode(&Packet::from_parts(Magic::Response, kind, arguments), &mut wire).unwrap();
        stream.extend_from_slice(&wire);
    }
    stream
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let noop = packet(Kind::Noop, []);
    let no_job = packet(Kind::NoJob, []);
    let unknown = b"\0RES\0\0\x12\x67\0\0\0\x05.....".to_vec();
    let long = vec![b'x'; 900];
    vec![
        ("error while idle", Asleep, error("SERVER_ERROR"), &["refused SERVER_ERROR"], LivesOn(&[], Asleep)),
        ("errors without end", Asleep, error("E").repeat(50), &["refused E"; 50], LivesOn(&[], Asleep)),
        ("error that names nothing", Asleep, packet(Kind::Error, [b"", b""]), &["refused "], LivesOn(&[], Asleep)),
        ("unknown type", Asleep, unknown.clone(), &[], LivesOn(&[], Asleep)),
        ("unknown type to a grab", Grabbing, unknown.clone(), &[], LivesOn(&[], Grabbing)),
        ("unknown type while a job runs", Running, unknown, &[], LivesOn(&[], Running)),
        ("packets without meaning", Asleep, meaningless(), &[], LivesOn(&[], Asleep)),
        ("packets without meaning to a grab", Grabbing, meaningless(), &[], LivesOn(&[], Grabbing)),
        ("packets without meaning while a job runs", Running, meaningless(), &[], LivesOn(&[], Running)),
        ("a worker's own packets", Asleep, framed(Magic::Request, Kind::CanDo, [b"build:a"]), &[], LivesOn(&[], Asleep)),
        ("two noops", Asleep, noop.repeat(2), &[], LivesOn(&["GRAB_JOB_UNIQ"], Grabbing)),
        ("noops without end", Asleep, noop.repeat(10_000), &[], LivesOn(&["GRAB_JOB_UNIQ"], Grabbing)),
        ("noops to a grab", Grabbing, noop.repeat(100), &[], LivesOn(&[], Grabbing)),
        ("noops while a job runs", Running, noop.repeat(100), &[], LivesOn(&[], Running)),
        ("no job for nobody who asked", Asleep, no_job.clone(), &[], LivesOn(&[], Asleep)),
        ("no job, twice", Grabbing, no_job.repeat(2), &[], LivesOn(&["PRE_SLEEP"], Asleep)),
        ("no job while a job runs", Running, no_job.clone(), &[], LivesOn(&[], Running)),
        ("noop before its sleep", Grabbing, [noop.clone(), no_job.clone()].concat(), &[], LivesOn(&["PRE_SLEEP"], Asleep)),
        ("error to a grab", Grabbing, error("X"), &["refused X"], LivesOn(&["PRE_SLEEP"], Asleep)),
        ("error to a grab, then its answer", Grabbing, [error("X"), no_job].concat(), &["refused X"], LivesOn(&["PRE_SLEEP"], Asleep)),
        ("error to a grab, then a job", Grabbing, [error("X"), assignment(b"H:1", b"build:a", b"")].concat(), &["refused X", "assigned H:1"], LivesOn(&[], Running)),
        ("error about a job that was cancelled", Grabbing, error("JOB_NOT_FOUND"), &["refused JOB_NOT_FOUND"], LivesOn(&[], Grabbing)),
        ("error about the job", Running, error("JOB_NOT_FOUND"), &["refused JOB_NOT_FOUND for H:1"], LivesOn(&[], Running)),
        ("failure of the job, told to its worker", Running, packet(Kind::WorkFail, [b"H:1\0"]), &[], LivesOn(&[], Running)),
        ("job of a function that is not offered", Grabbing, assignment(b"H:1", b"build:b", b""), &["assigned H:1"], LivesOn(&[], Running)),
        ("job of a nameless function", Grabbing, assignment(b"H:1", b"", b""), &["assigned H:1"], LivesOn(&[], Running)),
        ("job with NULs in its payload", Grabbing, assignment(b"H:1", b"build:a", b"\0a\0\0b\0"), &["assigned H:1"], LivesOn(&[], Running)),
        ("job in the oldest form", Grabbing, packet(Kind::JobAssign, [b"H:1", b"build:a", b"{}"]), &["assigned H:1"], LivesOn(&[], Running)),
        ("job with a reducer", Grabbing, packet(Kind::JobAssignAll, [b"H:1", b"build:a", b"", b"r", b"{}"]), &["assigned H:1"], LivesOn(&[], Running)),
        ("job that nobody asked for", Asleep, assignment(b"H:1", b"build:a", b""), &[], Ends("server assigned a job that was not asked for")),
        ("two jobs for one grab", Grabbing, [assignment(b"H:1", b"build:a", b""), assignment(b"H:2", b"build:a", b"")].concat(), &["assigned H:1"], Ends("server assigned a job while another one runs")),
        ("a second job while one runs", Running, assignment(b"H:1", b"build:a", b""), &[], Ends("server assigned a job while another one runs")),
        ("job of four arguments in one", Grabbing, b"\0RES\0\0\0\x1f\0\0\0\x03H:1".to_vec(), &[], Ends("server does not speak the protocol: JOB_ASSIGN_UNIQ has 1 of its 4 arguments")),
        ("job longer than may be", Grabbing, assignment(b"H:1", b"build:a", &[long.clone(), long].concat()), &[], Ends("server does not speak the protocol: packet of 1816 bytes")),
        ("length of 4 GiB", Grabbing, b"\0RES\0\0\0\x1f\xff\xff\xff\xf0".to_vec(), &[], Ends("server does not speak the protocol: packet of 4294967280 bytes")),
        ("length of 4 GiB of an unknown type", Asleep, b"\0RES\0\0\x12\x67\xff\xff\xff\xf0".to_vec(), &[], Ends("server does not speak the protocol: packet of 4294967280 bytes")),
        ("text instead of packets", Asleep, b"ERR UNKNOWN_COMMAND\r\n".to_vec(), &[], Ends("server does not speak the protocol: packet starts with [45, 52, 52, 20]")),
        ("magic that is almost right", Grabbing, b"\0REX\0\0\0\x0a\0\0\0\0".to_vec(), &[], Ends("server does not speak the protocol: packet starts with [00, 52, 45, 58]")),
        ("garbage while a job runs", Running, b"\xff".repeat(64), &[], Ends("server does not speak the protocol: packet starts with [ff, ff, ff, ff]")),
    ]
}

#[tokio::test]
async fn whatever_a_server_says_the_worker_works_on_or_comes_back() {
    for (name, stage, wire, expected, fate) in rows() {
        let server = Server::start().await;
        let mut worker = Worker::new(Config { max_payload: MAX_PAYLOAD, ..server.config() });
        worker.offer(functions(["build:a"]));
        worker.grant();
        let mut peer = bring_to(stage, &server, &mut worker).await;
        peer.stream.write_all(&wire).await.unwrap();
        let stage = match fate {
            LivesOn(packets, stage) => {
                // Never taken for the answer to a grab.
                peer.stream.write_all(&error("job_not_found")).await.unwrap();
                let mut events = told(&mut worker, |event| event.starts_with("refused job_not_found")).await;
                events.pop();
                assert_eq!(events, expected, "{name}");
                beside(&mut worker, peer.expect(packets)).await;
                stage
            }
            Ends(reason) => {
                let mut events = told(&mut worker, |event| event.starts_with("disconnected")).await;
                let (end, before) = (events.pop().unwrap(), events);
                let has_lost = if stage == Running || expected.contains(&"assigned H:1") { "H:1" } else { "nothing" };
                assert!(end.starts_with(&format!("disconnected with {has_lost}: {reason}")), "{name}: {end}");
                assert_eq!(before, expected, "{name}");
                peer.is_closed().await;
                peer = bring_to(Grabbing, &server, &mut worker).await;
                Grabbing
            }
        };
        works_on(stage, &mut worker, &mut peer, name).await;
    }
}

/// Lets a new connection come as far as that.
async fn bring_to(stage: Stage, server: &Server, worker: &mut Worker) -> Peer {
    let (mut peer, _) = beside(worker, server.greet(&["build:a"])).await;
    beside(worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
    match stage {
        Grabbing => {}
        Asleep => {
            peer.send(Kind::NoJob, []).await;
            beside(worker, peer.expect(&["PRE_SLEEP"])).await;
        }
        Running => {
            peer.assign("H:1").await;
            told(worker, |event| event == "assigned H:1").await;
        }
    }
    peer
}

/// From wherever it is, the worker ends its job if it has one, takes another one, and ends that.
async fn works_on(stage: Stage, worker: &mut Worker, peer: &mut Peer, name: &str) {
    match stage {
        Running => {
            assert!(worker.report(Report::Complete("end".into())), "{name}");
            beside(worker, peer.expect(&["WORK_COMPLETE H:1 end", "GRAB_JOB_UNIQ"])).await;
        }
        Asleep => {
            peer.send(Kind::Noop, []).await;
            beside(worker, peer.expect(&["GRAB_JOB_UNIQ"])).await;
        }
        Grabbing => {}
    }
    assert_eq!(**worker.functions(), functions(["build:a"]), "{name}");
    peer.assign("H:9").await;
    told(worker, |event| event == "assigned H:9").await;
    assert!(worker.report(Report::Complete("end".into())), "{name}");
    beside(worker, peer.expect(&["WORK_COMPLETE H:9 end", "GRAB_JOB_UNIQ"])).await;
}

/// Returns what the owner hears, up to what is waited for; that a result was delivered is other tests' business.
async fn told(worker: &mut Worker, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let event = match next(worker).await {
            Event::Connected | Event::Delivered { .. } => continue,
            Event::Assigned(job) => format!("assigned {}", job.handle.escape_ascii()),
            Event::Refused { code, handle: None, .. } => format!("refused {code}"),
            Event::Refused { code, handle: Some(handle), .. } => {
                format!("refused {code} for {}", handle.escape_ascii())
            }
            Event::Disconnected { error, job } => {
                let lost = job.map_or("nothing".to_owned(), |job| job.handle.escape_ascii().to_string());
                format!("disconnected with {lost}: {error}")
            }
            other => format!("{other:?}"),
        };
        let is_over = is_last(&event);
        heard.push(event);
        if is_over {
            return heard;
        }
    }
}

#[tokio::test]
async fn handles_are_given_back_to_the_byte() {
    for handle in [&b"H:\xff\xfe:1"[..], b"", b"H:a b\n:1", &[b'h'; 600]] {
        let server = Server::start().await;
        let mut worker = server.worker();
        worker.offer(functions(["build:a"]));
        worker.grant();
        let mut peer = bring_to(Grabbing, &server, &mut worker).await;
        peer.stream.write_all(&assignment(handle, b"build:a", b"")).await.unwrap();
        told(&mut worker, |event| event.starts_with("assigned")).await;
        worker.report(Report::Complete("end".into()));
        let (frame, _) = beside(&mut worker, async {
            let mut codec = Codec::default();
            loop {
                if let Some(frame) = codec.decode(&mut peer.buffer).unwrap() {
                    return frame;
                }
                peer.stream.read_buf(&mut peer.buffer).await.unwrap();
            }
        })
        .await;
        let expected = [Bytes::copy_from_slice(handle), "end".into()];
        assert_eq!(frame, Frame::Packet(Packet::request(Kind::WorkComplete, expected)));
    }
}

#[tokio::test]
async fn assignment_that_is_late_by_a_connection_is_handed_back() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let peer = bring_to(Grabbing, &server, &mut worker).await;
    worker.revoke();
    peer.reset();
    lost(&mut worker).await;
    let (mut peer, _) = beside(&mut worker, server.greet(&["build:a"])).await;
    peer.assign("H:1").await;
    assert_eq!(lost(&mut worker).await, ("server assigned a job that was not asked for".to_owned(), None));
    peer.is_closed().await;
    worker.grant();
    let mut peer = bring_to(Grabbing, &server, &mut worker).await;
    works_on(Grabbing, &mut worker, &mut peer, "").await;
}

/// More often than this, and nobody waits for the minute to end: in a busy loop it never would.
const FAR_TOO_OFTEN: usize = 10_000;

/// How often a server that answers every grab and every sleep alike is asked within a minute.
async fn asked_within_a_minute(grab: &'static [Kind], sleep: &'static [Kind]) -> usize {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let mut grabs = 0;
    let serving = async {
        loop {
            let mut peer = server.accept().await;
            while let Some(packet) = peer.next().await {
                let answers = match packet.as_str() {
                    "GRAB_JOB_UNIQ" => grab,
                    "PRE_SLEEP" => sleep,
                    _ => continue,
                };
                grabs += usize::from(packet == "GRAB_JOB_UNIQ");
                if grabs == FAR_TOO_OFTEN {
                    return;
                }
                for answer in answers {
                    match answer {
                        Kind::Error => peer.send(Kind::Error, ["GRAB_REFUSED", ""]).await,
                        &kind => peer.send(kind, []).await,
                    }
                }
            }
        }
    };
    let owning = async {
        loop {
            worker.event().await;
        }
    };
    tokio::select! {
        () = serving => {}
        () = owning => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => {}
    }
    grabs
}

#[tokio::test(start_paused = true)]
async fn server_that_refuses_every_grab_is_asked_seldom() {
    for sleep in [&[][..], &[Kind::Noop], &[Kind::Noop, Kind::Noop], &[Kind::Error]] {
        let asked = asked_within_a_minute(&[Kind::Error], sleep).await;
        assert!((1..200).contains(&asked), "{asked} times, with {sleep:?} to a sleeper");
    }
    let asked = asked_within_a_minute(&[Kind::Error, Kind::NoJob, Kind::Noop], &[Kind::Noop]).await;
    assert!((1..200).contains(&asked), "{asked} times");
}

#[tokio::test(start_paused = true)]
async fn server_that_wakes_for_nothing_is_asked_a_hundred_times_a_second_at_most() {
    let asked = asked_within_a_minute(&[Kind::NoJob], &[Kind::Noop]).await;
    assert!((5_900..=6_000).contains(&asked), "{asked} times");
}

#[tokio::test(start_paused = true)]
async fn grab_that_is_not_answered_is_given_up_although_the_server_lives() {
    let server = Server::start().await;
    let mut worker = Worker::new(Config { heartbeat: Some(Duration::from_secs(10)), ..server.config() });
    worker.offer(functions(["build:a"]));
    worker.grant();
    let mut peer = bring_to(Grabbing, &server, &mut worker).await;
    let start = Instant::now();
    let echoing = async {
        while let Some(packet) = peer.next().await {
            assert_eq!(packet, "ECHO_REQ ");
            peer.send(Kind::EchoRes, [""]).await;
            peer.send(Kind::Noop, []).await;
        }
    };
    let ((error, job), ()) = tokio::join!(lost_after(&mut worker, Duration::from_secs(90)), echoing);
    assert_eq!((error.as_str(), job), ("server has owed an answer for 60s", None));
    assert_eq!(start.elapsed().as_secs(), 60);
    let mut peer = bring_to(Grabbing, &server, &mut worker).await;
    works_on(Grabbing, &mut worker, &mut peer, "").await;
}

#[tokio::test(start_paused = true)]
async fn one_slow_answer_after_the_other_is_no_silence() {
    let server = Server::start().await;
    let mut worker = server.worker();
    worker.offer(functions(["build:a"]));
    worker.grant();
    let mut peer = bring_to(Grabbing, &server, &mut worker).await;
    let assigning = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            peer.assign("H:1").await;
            peer.expect(&["WORK_COMPLETE H:1 end", "GRAB_JOB_UNIQ"]).await;
        }
    };
    let working = async {
        loop {
            match worker.event().await {
                Event::Assigned(_) => assert!(worker.report(Report::Complete("end".into()))),
                Event::Delivered { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::select! {
        () = assigning => {}
        () = working => {}
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_drips_in_is_waited_for_and_one_that_stops_half_way_is_not() {
    let wire = assignment(b"H:1", b"build:a", b"{}");
    for stops_at in [None, Some(5), Some(20)] {
        let server = Server::start().await;
        let mut worker = server.worker();
        worker.offer(functions(["build:a"]));
        worker.grant();
        let mut peer = bring_to(Grabbing, &server, &mut worker).await;
        let dripping = async {
            for byte in &wire[..stops_at.unwrap_or(wire.len())] {
                tokio::time::sleep(Duration::from_secs(50)).await;
                peer.stream.write_all(&[*byte]).await.unwrap();
            }
        };
        let heard = async {
            loop {
                match worker.event().await {
                    Event::Assigned(_) => return "assigned".to_owned(),
                    Event::Disconnected { error, .. } => return error,
                    _ => {}
                }
            }
        };
        let (heard, ()) = tokio::join!(heard, dripping);
        let expected = if stops_at.is_none() { "assigned" } else { "server has owed an answer for 60s" };
        assert_eq!(heard, expected, "{stops_at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn half_open_connection_is_noticed_after_two_beats_whatever_the_worker_does() {
    for stage in [Asleep, Grabbing, Running] {
        let server = Server::start().await;
        let mut worker = Worker::new(Config { heartbeat: Some(Duration::from_secs(10)), ..server.config() });
        worker.offer(functions(["build:a"]));
        worker.grant();
        let peer = bring_to(stage, &server, &mut worker).await;
        let start = Instant::now();
        let (error, job) = lost_after(&mut worker, Duration::from_secs(30)).await;
        assert!(error.starts_with("server has been silent for "), "{stage:?}: {error}");
        assert_eq!(job.is_some(), stage == Running);
        assert_eq!(start.elapsed().as_secs(), 20, "{stage:?}");
        drop(peer);
        let mut peer = bring_to(Grabbing, &server, &mut worker).await;
        works_on(Grabbing, &mut worker, &mut peer, "").await;
    }
}

async fn lost_after(worker: &mut Worker, limit: Duration) -> (String, Option<Job>) {
    let losing = async {
        loop {
            if let Event::Disconnected { error, job } = worker.event().await {
                return (error, job);
            }
        }
    };
    timeout(limit, losing).await.expect("the loss is noticed")
}
