//! One connection to a server, which proves that nothing more is to come by a question that the server answers.

use std::collections::VecDeque;
use std::time::Duration;

use layshaft::gearman::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a server may take to answer what it does answer.
const PATIENCE: Duration = Duration::from_secs(20);

const HEADER: usize = 12;

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Packet {
        magic: [u8; 4],
        number: u32,
        body: Vec<u8>,
    },
    Line(String),
    /// It closed the connection.
    Closed,
}

pub(super) struct Peer {
    stream: TcpStream,
    input: VecDeque<u8>,
    fences: u32,
    pub(super) is_closed: bool,
}

impl Peer {
    pub(super) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, input: VecDeque::new(), fences: 0, is_closed: false }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        // A server that has closed the connection is seen when reading.
        let _closed_is_seen_later = self.stream.write_all(bytes).await;
    }

    /// Returns everything that the server has sent until now. Every server answers GET_STATUS in order.
    pub(super) async fn heard(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        if self.is_closed {
            return heard;
        }
        self.fences += 1;
        let fence = format!("fence-{}", self.fences);
        self.send(&packet(b"\0REQ", Kind::GetStatus as u32, fence.as_bytes())).await;
        loop {
            let next = tokio::time::timeout(PATIENCE, self.next()).await.expect("the server answers GET_STATUS");
            let is_end = match &next {
                Heard::Packet { number, body, .. } => {
                    *number == Kind::StatusRes as u32 && body.starts_with(format!("{fence}\0").as_bytes())
                }
                Heard::Closed => {
                    heard.push(Heard::Closed);
                    true
                }
                Heard::Line(_) => false,
            };
            if is_end {
                return heard;
            }
            heard.push(next);
        }
    }

    /// Returns what the server sends within a time; nothing if it stays silent.
    pub(super) async fn heard_within(&mut self, limit: Duration) -> Option<Heard> {
        if self.is_closed {
            return None;
        }
        tokio::time::timeout(limit, self.next()).await.ok()
    }

    /// Sends a command and returns its answer's lines, which end with a point; `None` when the connection is closed.
    pub(super) async fn listing(&mut self, command: &str) -> Option<Vec<String>> {
        self.send(format!("{command}\r\n").as_bytes()).await;
        let mut lines = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, self.next()).await.expect("the server answers an administrator") {
                Heard::Line(line) if line == "." => return Some(lines),
                Heard::Line(line) => lines.push(line),
                Heard::Closed => return None,
                other => panic!("{other:?} instead of a line"),
            }
        }
    }

    async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.take() {
                return heard;
            }
            let mut bytes = [0; 16 << 10];
            match self.stream.read(&mut bytes).await {
                Ok(0) | Err(_) => {
                    self.is_closed = true;
                    return Heard::Closed;
                }
                Ok(read) => self.input.extend(&bytes[..read]),
            }
        }
    }

    fn take(&mut self) -> Option<Heard> {
        if *self.input.front()? != 0 {
            let end = self.input.iter().position(|&byte| byte == b'\n')?;
            let line: Vec<u8> = self.input.drain(..=end).collect();
            return Some(Heard::Line(String::from_utf8_lossy(&line).trim_end().to_owned()));
        }
        if self.input.len() < HEADER {
            return None;
        }
        let header: Vec<u8> = self.input.iter().take(HEADER).copied().collect();
        let word = |from: usize| u32::from_be_bytes(header[from..from + 4].try_into().unwrap());
        let length = word(8) as usize;
        if self.input.len() < HEADER + length {
            return None;
        }
        let body = self.input.drain(..HEADER + length).skip(HEADER).collect();
        Some(Heard::Packet { magic: header[..4].try_into().unwrap(), number: word(4), body })
    }
}

/// Puts a packet together; nothing of it is checked.
pub(super) fn packet(magic: &[u8; 4], number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [magic, &number.to_be_bytes()[..], &length.to_be_bytes()[..], body].concat()
}
