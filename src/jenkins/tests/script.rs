//! A server that answers as it is told, one connection at a time, and remembers what it was asked.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::jenkins::{BaseUrl, Client, Config, Credentials, Intervals};

pub(super) const TOKEN: &str = "11aa-very-secret";

#[derive(Clone)]
pub(super) enum Act {
    Send(Vec<u8>),
    /// Takes the request and says nothing.
    Hang,
    /// Takes the request and closes the connection.
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Method and address.
    pub(super) line: String,
    pub(super) headers: String,
    pub(super) body: String,
}

pub(super) struct Script {
    pub(super) client: Client,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Script {
    pub(super) async fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::with(acts, Duration::from_secs(20), 1 << 20).await
    }

    pub(super) async fn with(acts: impl IntoIterator<Item = Act>, request_timeout: Duration, limit: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ctx/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(listener, acts.into_iter().collect(), Arc::clone(&requests)));
        let config = config(&url, request_timeout);
        Self { client: Client::with_limit(&config, credentials(), limit).unwrap(), requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }
}

async fn serve(listener: TcpListener, mut acts: VecDeque<Act>, requests: Arc<Mutex<Vec<Request>>>) {
    let mut hanging = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let Some(request) = receive(&mut stream).await else { continue };
        requests.lock().unwrap().push(request);
        match acts.pop_front() {
            Some(Act::Send(answer)) => {
                stream.write_all(&answer).await.unwrap();
                stream.shutdown().await.ok();
            }
            Some(Act::Hang) => hanging.push(stream),
            Some(Act::Close) | None => {}
        }
    }
}

async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, headers) = head.split_once("\r\n")?;
            let headers = headers.to_ascii_lowercase();
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let line = line.trim_end_matches(" HTTP/1.1").to_owned();
                let original = head.split_once("\r\n")?.1.to_owned();
                return Some(Request { line, headers: original, body: body.to_owned() });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

pub(super) fn config(url: &str, request_timeout: Duration) -> Config {
    Config { url: BaseUrl::parse(url).unwrap(), user: "bot".into(), request_timeout, poll: Intervals::default() }
}

pub(super) fn credentials() -> Credentials {
    Credentials { user: "bot".into(), token: SecretString::from(TOKEN) }
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Act {
    let mut answer = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in [("X-Jenkins", "2.500"), ("X-Jenkins-Session", "s1")].iter().chain(headers) {
        write!(answer, "{name}: {value}\r\n").unwrap();
    }
    Act::Send((answer + "\r\n" + body).into_bytes())
}

pub(super) fn json(body: &str) -> Act {
    answer(200, &[("Content-Type", "application/json;charset=utf-8")], body)
}

pub(super) fn status(status: u16) -> Act {
    answer(status, &[("Content-Type", "text/html")], "<html><body>Jenkins</body></html>")
}
