use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::super::Priority;
use super::super::client::{Client, Submission};
use super::super::server::{self, Server};
use super::*;

#[test]
fn status_lines_are_cut_at_tabs_from_the_end() {
    let status = |line| function_status(line).map(|s| (s.function, s.queued, s.running, s.workers));
    assert_eq!(status("build:a b:c\t3\t1\t2"), Some(("build:a b:c".to_owned(), 3, 1, 2)));
    assert_eq!(status("a\tb\t3\t1\t2"), Some(("a\tb".to_owned(), 3, 1, 2)));
    assert_eq!(status("\t0\t0\t0"), Some((String::new(), 0, 0, 0)));
    for malformed in ["", "f", "f\t1\t2", "f\t1\t2\tx", "f\t1\t-2\t3"] {
        assert_eq!(status(malformed), None, "{malformed:?}");
    }
}

#[test]
fn priority_lines_are_cut_at_tabs_from_the_end() {
    let status = |line| priority_status(line).map(|s| (s.function, s.high, s.normal, s.low, s.workers));
    assert_eq!(status("build:a b\t3\t1\t2\t4"), Some(("build:a b".to_owned(), 3, 1, 2, 4)));
    assert_eq!(status("a\tb\t0\t0\t0\t0"), Some(("a\tb".to_owned(), 0, 0, 0, 0)));
    for malformed in ["", "f", "f\t1\t2\t3", "f\t1\t2\t3\tx", "f\t1\t-2\t3\t4"] {
        assert_eq!(status(malformed), None, "{malformed:?}");
    }
}

#[test]
fn unique_lines_may_begin_with_the_handle() {
    let unique = |line| {
        let UniqueLine { handle, unique } = unique_line(line);
        (handle.unwrap_or_default(), unique)
    };
    assert_eq!(unique("u-1"), (String::new(), "u-1".to_owned()));
    assert_eq!(unique("H:box:1\tu-1"), ("H:box:1".to_owned(), "u-1".to_owned()));
    assert_eq!(unique("with\ttab"), (String::new(), "with\ttab".to_owned()));
    assert_eq!(unique(""), (String::new(), String::new()));
}

#[test]
fn worker_lines_are_read_as_both_servers_write_them() {
    let worker = |line| worker_line(line).map(|w| (w.fd, w.ip, w.client_id, w.functions.join(",")));
    let row = |fd: &str, ip: &str, id: &str, functions: &str| {
        Some((fd.to_owned(), ip.to_owned(), id.to_owned(), functions.to_owned()))
    };
    assert_eq!(worker("36 127.0.0.1 - :"), row("36", "127.0.0.1", "-", ""));
    assert_eq!(worker("36 127.0.0.1  : f"), row("36", "127.0.0.1", "", "f"));
    assert_eq!(worker("9 ::1 node 1_exec-0 : build:a stop:b"), row("9", "::1", "node 1_exec-0", "build:a,stop:b"));
    assert_eq!(worker("9 ::1 b'id' : "), row("9", "::1", "b'id'", ""));
    for malformed in ["", "9", "9 ::1", "9 ::1 x"] {
        assert_eq!(worker(malformed), None, "{malformed:?}");
    }
}

#[tokio::test]
async fn an_administrator_sees_what_the_server_holds() {
    let (server, stop) = start().await;
    let client = Client::connect(&server, Default::default()).await.unwrap();
    let submission = Submission { function: "f".into(), unique: "u".into(), background: true, ..Submission::default() };
    let job = client.submit(submission).await.unwrap();

    let mut admin = Admin::connect(&server, Config::default()).await.unwrap();
    assert_eq!(admin.server_kind().await.unwrap(), ServerKind::Gearmand { version: admin.version().await.unwrap() });
    let waiting = FunctionStatus { function: "f".to_owned(), queued: 1, running: 0, workers: 0 };
    assert_eq!(admin.status().await.unwrap(), [waiting]);
    let jobs = admin.show_jobs().await.unwrap();
    let handle = String::from_utf8_lossy(job.handle()).into_owned();
    assert_eq!(jobs, [JobLine { handle, retries: 0, ignored: false, background: true }]);
    assert_eq!(admin.workers().await.unwrap().len(), 2, "client and administrator are connected");

    admin.cancel(job.handle()).await.unwrap();
    let again = admin.cancel(job.handle()).await.unwrap_err();
    assert!(matches!(&again, Error::Refused { text, .. } if text == "UNKNOWN_JOB"), "{again}");
    let forged = admin.cancel(&Bytes::from_static(b"H:x:1\ngetpid")).await.unwrap_err();
    assert!(matches!(forged, Error::InvalidHandle(_)));
    assert_eq!(admin.show_jobs().await.unwrap(), []);
    stop.cancel();
}

#[tokio::test]
async fn an_administrator_changes_what_a_server_keeps_of_a_function() {
    let (server, stop) = start().await;
    let mut admin = Admin::connect(&server, Config::default()).await.unwrap();
    admin.create_function("f").await.unwrap();
    let limit = QueueLimit::ByPriority { high: Some(2), normal: Some(1), low: None };
    admin.limit_queue("f", limit).await.unwrap();
    let client = Client::connect(&server, Default::default()).await.unwrap();
    let job = |priority| Submission { function: "f".into(), background: true, priority, ..Submission::default() };
    client.submit(job(Priority::Normal)).await.unwrap();
    let refused = client.submit(job(Priority::Normal)).await.unwrap_err();
    assert!(refused.to_string().contains("full"), "{refused}");
    client.submit(job(Priority::Low)).await.unwrap();
    let waiting = PriorityStatus { function: "f".to_owned(), high: 0, normal: 1, low: 1, workers: 0 };
    assert_eq!(admin.priority_status().await.unwrap(), [waiting]);
    admin.limit_queue("f", QueueLimit::ForAll(None)).await.unwrap();
    client.submit(Submission { unique: "u".into(), ..job(Priority::Normal) }).await.unwrap();
    let uniques: Vec<String> =
        admin.show_unique_jobs().await.unwrap().into_iter().map(|line| line.unique).filter(|u| !u.is_empty()).collect();
    assert_eq!(uniques, ["u"]);
    admin.drop_function("f").await.unwrap();
    assert!(matches!(admin.drop_function("f").await, Err(Error::Refused { .. })));
    assert_eq!(admin.process_id().await.unwrap(), std::process::id());
    assert!(!admin.verbosity().await.unwrap().is_empty());
    for name in ["", "two words", "f\ngetpid", "f\t"] {
        assert!(matches!(admin.create_function(name).await, Err(Error::InvalidFunction(_))), "{name:?}");
    }
    stop.cancel();
}

#[tokio::test]
async fn a_server_that_does_not_know_a_command_is_told_from_one_that_refuses_it() {
    let limit = Duration::from_millis(50);
    let config = Config { reply_timeout: limit, ..Config::default() };
    // As geard: silent about everything but a few commands.
    let server = scripted(&[("status", ".\n")]).await;
    let mut admin = Admin::connect(&server, config).await.unwrap();
    let silent = [
        admin.priority_status().await.map(drop),
        admin.show_jobs().await.map(drop),
        admin.show_unique_jobs().await.map(drop),
        admin.create_function("f").await,
        admin.drop_function("f").await,
        admin.limit_queue("f", QueueLimit::ForAll(Some(1))).await,
        admin.process_id().await.map(drop),
        admin.verbosity().await.map(drop),
        admin.version().await.map(drop),
    ];
    for answer in silent {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::NoAnswer { .. }) && error.to_string().contains("geard"), "{error}");
    }
    assert_eq!(admin.status().await.unwrap(), [], "and then it goes on");
}

#[tokio::test]
async fn answers_that_are_none_are_understood_as_such() {
    let answers: &'static [(&str, &str)] = Box::leak(Box::new([
        ("version", "OKAY\r\n"),
        ("getpid", "OK seven\r\n"),
        ("verbose", "OK \x1b[31mINFO\r\n"),
        ("prioritystatus", "f\t1\t2\t3\n.\n"),
        ("show jobs", "ERR UNKNOWN_SHOW_ARGUMENTS\r\n"),
    ]));
    let mut admin = Admin::connect(&scripted(answers).await, Config::default()).await.unwrap();
    assert!(matches!(admin.version().await, Err(Error::Malformed { .. })));
    assert!(matches!(admin.process_id().await, Err(Error::Malformed { .. })));
    assert_eq!(admin.verbosity().await.unwrap(), "[31mINFO", "nothing that a terminal would obey");
    assert!(matches!(admin.priority_status().await, Err(Error::Malformed { .. })));
    assert!(matches!(admin.show_jobs().await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn an_administrator_comes_back_after_the_server_hung_up() {
    let (server, stop) = start().await;
    let mut admin = Admin::connect(&server, Config::default()).await.unwrap();
    admin.connection = Some(hung_up().await);
    assert!(admin.status().await.is_ok());
    stop.cancel();
}

#[tokio::test]
async fn a_server_that_is_silent_about_its_version_and_knows_status_is_geard() {
    let kind = |answers| async move {
        let config = Config { version_timeout: Duration::from_millis(50), ..Config::default() };
        let admin = Admin::connect(&scripted(answers).await, config).await.unwrap();
        admin.server_kind().await.unwrap()
    };
    assert_eq!(kind([("status", "f\t0\t0\t1\n.\n")].as_slice()).await, ServerKind::Geard);
    assert_eq!(
        kind([("version", "OK 1.1.20\n")].as_slice()).await,
        ServerKind::Gearmand { version: "1.1.20".to_owned() }
    );
    assert_eq!(kind([("version", "ERR unknown_command\r\n")].as_slice()).await, ServerKind::Other);
    assert_eq!(kind([("status", "hello\n.\n")].as_slice()).await, ServerKind::Other);
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let endless: &'static str = Box::leak("f\t0\t0\t1\n".repeat(1000).into_boxed_str());
    let answers: &'static [(&str, &str)] = Box::leak(Box::new([("status", endless), ("workers", "1 ip")]));
    let config = Config { max_reply: 4096, reply_timeout: Duration::from_millis(50), ..Config::default() };
    let mut admin = Admin::connect(&scripted(answers).await, config).await.unwrap();
    assert!(matches!(admin.status().await.unwrap_err(), Error::TooLong { .. }));
    assert!(matches!(admin.workers().await.unwrap_err(), Error::NoAnswer { .. }));
}

async fn start() -> (String, CancellationToken) {
    let server = Server::bind("127.0.0.1:0", server::Config::default()).await.unwrap();
    let address = server.local_addr().to_string();
    let stop = CancellationToken::new();
    tokio::spawn(server.run(stop.clone()));
    (address, stop)
}

/// Returns a connection whose other end is closed, and known to be.
async fn hung_up() -> Stream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    drop(listener.accept().await.unwrap());
    stream.readable().await.unwrap();
    Stream::plain(stream)
}

/// Answers known commands with fixed text, and others not at all.
async fn scripted(answers: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut input = BytesMut::new();
                while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
                    let command = String::from_utf8_lossy(&input).trim().to_owned();
                    input.clear();
                    for (known, answer) in answers {
                        if *known == command {
                            stream.write_all(answer.as_bytes()).await.unwrap();
                        }
                    }
                }
            });
        }
    });
    address
}
