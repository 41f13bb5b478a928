//! `layshaft server` as a process: what it keeps when it is killed, and what it says when it cannot start.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use bytes::BytesMut;
use layshaft::gearman::codec::{Codec, Frame};
use layshaft::gearman::{Kind, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_util::codec::{Decoder, Encoder};

use crate::support::{eventually, within};

const JOBS: usize = 500;

fn layshaft(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
    command.arg("server").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Starts a server that keeps its jobs in a file.
async fn start(port: &str, file: &Path) -> Child {
    let file = file.to_str().unwrap();
    let process = layshaft(&["-p", port, "-q", "libsqlite3", "--libsqlite3-db", file, "-l", "none"]).spawn().unwrap();
    eventually("the server listens", || async { TcpStream::connect(format!("127.0.0.1:{port}")).await.is_ok() }).await;
    process
}

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A connection that says exactly what it is told to.
struct Peer {
    stream: TcpStream,
    codec: Codec,
    input: BytesMut,
}

impl Peer {
    async fn connect(port: &str) -> Self {
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
        Self { stream, codec: Codec::with_lines(1 << 20), input: BytesMut::new() }
    }

    async fn send(&mut self, packets: &[Packet]) {
        let mut bytes = BytesMut::new();
        for packet in packets {
            self.codec.encode(packet, &mut bytes).unwrap();
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn receive(&mut self) -> Packet {
        loop {
            match self.codec.decode(&mut self.input).unwrap() {
                Some(Frame::Packet(packet)) => return packet,
                Some(other) => panic!("{other:?} instead of a packet"),
                None => {}
            }
            assert_ne!(
                within("an answer", self.stream.read_buf(&mut self.input)).await.unwrap(),
                0,
                "the server hung up"
            );
        }
    }

    /// Grabs jobs, and ends each but those that it is to keep, until none is left; returns handles by unique.
    async fn work(&mut self, keep: usize) -> Vec<(String, String)> {
        self.send(&[Packet::request(Kind::CanDo, ["f".into()])]).await;
        let mut worked = Vec::new();
        loop {
            self.send(&[Packet::request(Kind::GrabJobUniq, [])]).await;
            let assigned = self.receive().await;
            if assigned.kind == Kind::NoJob {
                return worked;
            }
            let text = |index: usize| String::from_utf8(assigned.argument(index).to_vec()).unwrap();
            assert_eq!(text(3), format!("payload of {}", text(2)));
            worked.push((text(2), text(0)));
            if worked.len() <= keep {
                continue;
            }
            self.send(&[Packet::request(Kind::WorkComplete, [assigned.argument(0).clone(), "".into()])]).await;
        }
    }
}

#[tokio::test]
async fn what_was_created_before_the_server_was_killed_is_worked_once_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs");
    let port = free_port();
    let mut server = start(&port, &file).await;

    let kinds = [Kind::SubmitJobBg, Kind::SubmitJobHighBg, Kind::SubmitJobLowBg];
    let unique = |number: usize| format!("unique-{number}");
    let submissions: Vec<Packet> = (0..JOBS)
        .map(|number| {
            let payload = format!("payload of {}", unique(number));
            Packet::request(kinds[number % 3], ["f".into(), unique(number).into(), payload.into()])
        })
        .collect();
    let mut client = Peer::connect(&port).await;
    client.send(&submissions).await;
    let mut created = BTreeMap::new();
    for number in 0..JOBS {
        let answer = client.receive().await;
        assert_eq!(answer.kind, Kind::JobCreated);
        created.insert(unique(number), String::from_utf8(answer.argument(0).to_vec()).unwrap());
    }
    // Three run when the server is killed, and ten have ended; of a later one nobody knows whether it was kept.
    let mut worker = Peer::connect(&port).await;
    worker.send(&[Packet::request(Kind::CanDo, ["f".into()])]).await;
    for number in 0..13 {
        worker.send(&[Packet::request(Kind::GrabJobUniq, [])]).await;
        let assigned = worker.receive().await;
        if number < 10 {
            worker.send(&[Packet::request(Kind::WorkComplete, [assigned.argument(0).clone(), "".into()])]).await;
            created.remove(std::str::from_utf8(assigned.argument(2)).unwrap()).unwrap();
        }
    }
    // What ended is forgotten when the store says so: a job that was created after that shows that it has.
    client.send(&[Packet::request(Kind::SubmitJobBg, ["g".into(), "last".into(), "".into()])]).await;
    assert_eq!(client.receive().await.kind, Kind::JobCreated);
    server.kill().await.unwrap();

    let _server = start(&port, &file).await;
    let worked = Peer::connect(&port).await.work(0).await;
    assert_eq!(worked.len(), created.len(), "each once");
    assert_eq!(worked.into_iter().collect::<BTreeMap<_, _>>(), created, "under its handle");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs");
    let port = free_port();
    let _server = start(&port, &file).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let notes = folder.path().join("notes");
    std::fs::write(&notes, "no database ".repeat(100)).unwrap();
    for (arguments, expected) in [
        (vec!["-p", &port], "failed to listen on 127.0.0.1:"),
        (vec!["-p", "0", "-d", "-L", "256.1.1.1"], "failed to listen on 256.1.1.1:0"),
        (vec!["-p", "0", "--persist", file.to_str().unwrap()], "is in use by another server"),
        (vec!["-p", "0", "--persist", notes.to_str().unwrap()], "is no file of background jobs"),
        (vec!["-p", "0", "-l", "/none/log"], "failed to open the log /none/log"),
        (vec!["-p", "0", "-P", "/none/pid"], "failed to write the process id to /none/pid"),
    ] {
        let output = within("the command ends", layshaft(&arguments).output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_server_in_the_background_is_up_when_the_command_ends_and_leaves_no_pid_file() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let port = free_port();
    let arguments = ["-d", "-p", &port, "-P", pid_file.to_str().unwrap(), "-t", "4", "-b", "64"];
    let output = within("the command ends", layshaft(&arguments).output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut peer = Peer::connect(&port).await;
    peer.send(&[Packet::request(Kind::EchoReq, ["x".into()])]).await;
    assert_eq!(peer.receive().await.argument(0), "x");
    let process = std::fs::read_to_string(&pid_file).unwrap();
    assert!(Command::new("kill").arg(process.trim()).status().await.unwrap().success());
    eventually("the server has ended", || async { !pid_file.exists() }).await;
}

#[tokio::test]
async fn a_pid_file_that_another_server_has_taken_over_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let mut server = layshaft(&["-p", &free_port(), "-P", pid_file.to_str().unwrap()]).spawn().unwrap();
    eventually("the server has started", || async { pid_file.exists() }).await;
    let ours = server.id().unwrap().to_string();
    eventually("the process id is written", || async {
        std::fs::read_to_string(&pid_file).is_ok_and(|text| text.trim() == ours)
    })
    .await;
    std::fs::write(&pid_file, "1\n").unwrap();
    assert!(Command::new("kill").arg(&ours).status().await.unwrap().success());
    assert!(within("the server ends", server.wait()).await.unwrap().success());
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), "1\n");
}

#[tokio::test]
async fn sighup_opens_the_log_again_and_ends_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let (log, rotated) = (folder.path().join("log"), folder.path().join("log.1"));
    for log_file in [log.to_str().unwrap(), "none"] {
        let port = free_port();
        let mut server = layshaft(&["-p", &port, "-l", log_file]).spawn().unwrap();
        eventually("the server listens", || async { TcpStream::connect(format!("127.0.0.1:{port}")).await.is_ok() })
            .await;
        if log_file != "none" {
            std::fs::rename(&log, &rotated).unwrap();
        }
        let process = server.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &process]).status().await.unwrap().success());
        if log_file != "none" {
            eventually("the log is a new file", || async {
                std::fs::read_to_string(&log).is_ok_and(|text| text.contains("opened again"))
            })
            .await;
            assert!(std::fs::read_to_string(&rotated).unwrap().contains("is listening"));
        }
        let mut peer = Peer::connect(&port).await;
        peer.send(&[Packet::request(Kind::EchoReq, ["x".into()])]).await;
        assert_eq!(peer.receive().await.argument(0), "x");
        assert!(server.try_wait().unwrap().is_none());
        assert!(Command::new("kill").arg(&process).status().await.unwrap().success());
        assert!(within("the server ends", server.wait()).await.unwrap().success());
    }
}
