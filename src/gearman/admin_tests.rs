use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

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
