//! A conversation as text, and how it is held.
//!
//! | step | meaning |
//! |---|---|
//! | `a > CAN_DO $f` | connection `a`, which begins when it is first named, sends a packet; `''` is an empty argument |
//! | `a > 43 x` | a packet with that number |
//! | `a R> CAN_DO $f` | a packet with the magic of a response |
//! | `a : status` | a line of text that ends in CR LF |
//! | `a ; status` | a line of text that ends in LF |
//! | `a ! bytes` | bytes as they stand, with `\0`, `\n` and `\x` and two digits; what comes within a short time is noted |
//! | `* > x` | each type 1 to 42 on a connection of its own, all arguments `x`; equal answers are shown together |
//! | `a sees` | waits until something comes, for a few seconds at most |
//! | `a closes` | the connection is closed, and the server has seen it |
//!
//! `$` stands for a prefix that is the probe's own, so that probes share a server; `H1` is the first handle that was heard
//! of; `{x*64}` is a word of 64 times x; `{now+1}` is a second from now.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use layshaft::gearman::Kind;
use tokio::sync::Mutex;

use super::peer::{Heard, Peer, packet};

/// Silence can be told from slowness only by waiting. What is waited for here is answered at once or never.
const SILENCE: Duration = Duration::from_millis(250);

const SHORTLY: Duration = Duration::from_millis(50);

/// Longer than any time that a probe sets.
const FEW_SECONDS: Duration = Duration::from_secs(3);

/// A name in an answer that is longer than this is shown as its length.
const SHOWN: usize = 100;

pub(super) struct Conversation<'a> {
    address: &'a str,
    prefix: String,
    peers: BTreeMap<String, Peer>,
    handles: Vec<String>,
    outcome: Vec<String>,
}

impl<'a> Conversation<'a> {
    /// Holds a conversation with a server; returns what was heard. `observer` is a connection that is nobody's.
    pub(super) async fn hold(
        script: &str,
        number: usize,
        address: &'a str,
        observer: &Mutex<Peer>,
    ) -> (Vec<String>, Vec<Peer>) {
        let mut conversation = Self {
            address,
            prefix: format!("p{number:03}"),
            peers: BTreeMap::new(),
            handles: Vec::new(),
            outcome: Vec::new(),
        };
        for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
            conversation.step(step, observer).await;
        }
        (conversation.outcome, conversation.peers.into_values().collect())
    }

    async fn step(&mut self, step: &str, observer: &Mutex<Peer>) {
        let (name, rest) = step.split_once(' ').unwrap_or_else(|| panic!("{step}"));
        let (verb, said) = rest.split_once(' ').unwrap_or((rest, ""));
        if name == "*" {
            return self.each_kind(if verb == ">" { b"\0REQ" } else { b"\0RES" }, said).await;
        }
        if !self.peers.contains_key(name) {
            self.peers.insert(name.to_owned(), Peer::connect(self.address).await);
        }
        match verb {
            ">" => self.say(name, &self.packet(b"\0REQ", said)).await,
            "R>" => self.say(name, &self.packet(b"\0RES", said)).await,
            ":" => self.say(name, &[&self.word(said), &b"\r\n"[..]].concat()).await,
            ";" => self.say(name, &[&self.word(said), &b"\n"[..]].concat()).await,
            "!" => {
                let bytes = self.word(said);
                self.peer(name).send(&bytes).await;
                return self.note_within(name, SILENCE, "nothing", observer).await;
            }
            "sees" => return self.note_within(name, FEW_SECONDS, "nothing for seconds", observer).await,
            "closes" => self.close(name, observer).await,
            _ => panic!("{step}"),
        }
        // The one who spoke first: when its question is answered, what it caused has been sent to the others.
        let others: Vec<String> = self.peers.keys().filter(|other| *other != name).cloned().collect();
        for listener in std::iter::once(name.to_owned()).chain(others) {
            if let Some(peer) = self.peers.get_mut(&listener) {
                let heard = peer.heard().await;
                self.note(&listener, heard);
            }
        }
    }

    /// Sends each type on a connection of its own.
    async fn each_kind(&mut self, magic: &[u8; 4], argument: &str) {
        let mut types_by_answer: Vec<(String, Vec<String>)> = Vec::new();
        for kind in Kind::ALL {
            let number = (*kind as u32).to_string();
            let arguments = vec![self.word(argument); kind.arguments().len()];
            let mut peer = Peer::connect(self.address).await;
            peer.send(&packet(magic, *kind as u32, &arguments.join(&0))).await;
            let heard = peer.heard().await;
            let before = self.outcome.len();
            self.note("", heard);
            let answer: Vec<String> =
                self.outcome.drain(before..).map(|line| line.trim_start_matches(": ").to_owned()).collect();
            let answer = if answer.is_empty() { "no answer".to_owned() } else { answer.join(", ") };
            match types_by_answer.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, numbers)) => numbers.push(number),
                None => types_by_answer.push((answer, vec![number])),
            }
            self.peers.insert(format!("{}{}", magic[3], kind.name()), peer);
        }
        for (answer, numbers) in types_by_answer {
            self.outcome.push(format!("{}: {answer}", numbers.join(" ")));
        }
    }

    async fn say(&mut self, name: &str, bytes: &[u8]) {
        self.peer(name).send(bytes).await;
    }

    async fn close(&mut self, name: &str, observer: &Mutex<Peer>) {
        let id = format!("{}-{name}-leaves", self.prefix);
        let farewell = packet(b"\0REQ", Kind::SetClientId as u32, id.as_bytes());
        self.peer(name).send(&farewell).await;
        let heard = self.peer(name).heard().await;
        self.note(name, heard);
        self.peers.remove(name);
        let mut observer = observer.lock().await;
        while observer.listing("workers").await.unwrap().iter().any(|line| line.contains(&id)) {
            tokio::task::yield_now().await;
        }
    }

    fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.get_mut(name).unwrap()
    }

    async fn note_within(&mut self, name: &str, limit: Duration, silence: &str, observer: &Mutex<Peer>) {
        let mut heard: Vec<Heard> = self.peer(name).heard_within(limit).await.into_iter().collect();
        if heard.is_empty() {
            // A busy machine: what came before this question is dealt with when it is answered, or will never be.
            observer.lock().await.listing("status").await.unwrap();
        }
        while let Some(more) = self.peer(name).heard_within(SHORTLY).await {
            heard.push(more);
        }
        if heard.is_empty() {
            self.outcome.push(format!("{name}: {silence}"));
        }
        self.note(name, heard);
    }

    fn note(&mut self, name: &str, heard: Vec<Heard>) {
        let mut lines: Vec<String> = Vec::new();
        for heard in heard {
            match heard {
                Heard::Packet { magic, number, body } => {
                    let shown = self.shown_packet(magic, number, &body);
                    self.outcome.push(format!("{name}: {shown}"));
                }
                Heard::Line(line) => lines.push(line),
                Heard::Closed => self.outcome.push(format!("{name}: closed")),
            }
        }
        if !lines.is_empty() {
            let text = self.shown_lines(&lines);
            self.outcome.push(format!("{name}: {text}"));
        }
    }

    fn shown_packet(&mut self, magic: [u8; 4], number: u32, body: &[u8]) -> String {
        let kind = Kind::from_number(number);
        let mut shown = kind.map_or_else(|| number.to_string(), |kind| kind.name().to_owned());
        if magic != *b"\0RES" {
            shown = format!("{shown} as {}", String::from_utf8_lossy(&magic[1..]));
        }
        let count = kind.map_or(1, |kind| kind.arguments().len());
        if count == 0 && body.is_empty() {
            return shown;
        }
        for (index, argument) in body.splitn(count.max(1), |&byte| byte == 0).enumerate() {
            let is_handle = kind.is_some_and(|kind| kind.arguments().get(index) == Some(&"handle"));
            shown.push(' ');
            shown.push_str(&self.shown_argument(argument, is_handle));
        }
        shown
    }

    fn shown_argument(&mut self, argument: &[u8], is_handle: bool) -> String {
        if argument.is_empty() {
            return "''".to_owned();
        }
        if argument.len() > SHOWN {
            return format!("({} bytes)", argument.len());
        }
        let text = String::from_utf8_lossy(argument);
        let handle = text.trim_end_matches('\0');
        if is_handle && handle.starts_with("H:") && !self.handles.iter().any(|known| known == handle) {
            self.handles.push(handle.to_owned());
        }
        self.shown_text(&text).replace('\0', "\\0").replace(' ', "+")
    }

    /// Puts back what the script says in place of what this run made of it.
    fn shown_text(&self, text: &str) -> String {
        let word = |word: &str| match self.handles.iter().position(|handle| handle == word.trim_end_matches('\0')) {
            Some(index) => word.replace(&self.handles[index], &format!("H{}", index + 1)),
            None => word.replace(&self.prefix, ""),
        };
        match text.strip_prefix("OK ") {
            Some(number) if number.parse::<u32>().is_ok() => "OK (number)".to_owned(),
            Some(version) if version.contains('.') => "OK (version)".to_owned(),
            _ => text.split(['\t', ' ']).map(word).collect::<Vec<_>>().join(" "),
        }
    }

    /// Listings show what is the probe's own, sorted: their order means nothing.
    fn shown_lines(&self, lines: &[String]) -> String {
        let is_own = |line: &&String| {
            let is_handle = |word: &str| self.handles.iter().any(|handle| handle == word);
            line.contains(&self.prefix) || line.split(['\t', ' ']).any(is_handle)
        };
        let shown = |line: &String| match line.split_once(" 127.0.0.1 ") {
            Some((_connection, rest)) => self.shown_worker(rest),
            None => self.shown_text(line),
        };
        match lines.split_last() {
            Some((end, listing)) if end == "." => {
                let mut own: Vec<String> = listing.iter().filter(is_own).map(shown).collect();
                own.sort();
                own.push(end.clone());
                own.join(" / ")
            }
            _ => lines.iter().map(shown).collect::<Vec<_>>().join(" / "),
        }
    }

    /// A worker's functions are sorted too.
    fn shown_worker(&self, line: &str) -> String {
        let Some((id, functions)) = line.split_once(" :") else { return self.shown_text(line) };
        let mut functions: Vec<&str> = functions.split_whitespace().collect();
        functions.sort_unstable();
        self.shown_text(&format!("{id} : {}", functions.join(" "))).trim_end().to_owned()
    }

    fn packet(&self, magic: &[u8; 4], said: &str) -> Vec<u8> {
        let mut words = said.split(' ');
        let kind = words.next().unwrap();
        let number = kind.parse().unwrap_or_else(|_| {
            *Kind::ALL.iter().find(|known| known.name() == kind).unwrap_or_else(|| panic!("{kind}")) as u32
        });
        let arguments: Vec<Vec<u8>> = words.map(|word| self.word(word)).collect();
        packet(magic, number, &arguments.join(&0))
    }

    /// Fills in what a script leaves open.
    fn word(&self, word: &str) -> Vec<u8> {
        if word == "''" {
            return Vec::new();
        }
        let mut text = word.replace('$', &self.prefix);
        for (index, handle) in self.handles.iter().enumerate() {
            text = text.replace(&format!("H{}", index + 1), handle);
        }
        while let Some((before, (inner, after))) =
            text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            let filled = match (inner.split_once('*'), inner.strip_prefix("now+")) {
                (Some((pattern, times)), _) => pattern.repeat(times.parse().unwrap()),
                (_, Some(seconds)) => (unix_time() + seconds.parse::<u64>().unwrap()).to_string(),
                _ => panic!("{word}"),
            };
            text = format!("{before}{filled}{after}");
        }
        unescape(&text)
    }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().unwrap() {
            b'0' => bytes.push(0),
            b'n' => bytes.push(b'\n'),
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => panic!("\\{}", char::from(other)),
        }
    }
    bytes
}
