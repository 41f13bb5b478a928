//! An administrator's side of the server: commands and answers are lines of text, as gearmand words them.
//!
//! Names that hold control characters are shown with `?` in their place, so that nobody can forge a line.
//! Where it differs from gearmand: `create function` takes a line that ends in a bare LF; `drop function` fails the jobs
//! that wait for the function instead of losing them; a cancelled job that waited is gone at once.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::function::{Function, FunctionId};
use super::peer::ConnectionId;
use super::state::State;
use super::submit::MAX_FUNCTION_NAME;
use crate::gearman::Priority;

const OK: &str = "OK\r\n";

impl State {
    pub(super) fn text(&mut self, id: ConnectionId, line: &[u8]) {
        let words: Vec<&[u8]> =
            line.split(|byte| byte.is_ascii_whitespace() || *byte == 0).filter(|word| !word.is_empty()).collect();
        let answer = self.answer(&words);
        self.peers.send_text(id, &answer);
    }

    fn answer(&mut self, words: &[&[u8]]) -> String {
        let Some((&command, arguments)) = words.split_first() else { return unknown(b"") };
        match (command.to_ascii_lowercase().as_slice(), arguments) {
            (b"status", _) => self.status(),
            (b"prioritystatus", _) => self.priority_status(),
            (b"workers", _) => self.workers(),
            (b"show", [_, ..]) => self.show(arguments),
            (b"cancel", [what, handle]) if what.eq_ignore_ascii_case(b"job") => self.cancel(handle),
            (b"cancel", [_, _, ..]) => "ERR UNKNOWN_ERROR\r\n".to_owned(),
            (b"create", [what, name]) if what.eq_ignore_ascii_case(b"function") => self.create(name),
            (b"drop", [what, name]) if what.eq_ignore_ascii_case(b"function") => self.drop_function(name),
            (b"maxqueue", [name, limits @ ..]) => self.limit_queue(name, limits),
            (b"create" | b"drop" | b"maxqueue", _) => incomplete(command),
            (b"getpid", _) => format!("OK {}\n", self.settings.process),
            (b"verbose", _) => format!("OK {}\n", self.settings.verbosity),
            (b"version", _) => format!("OK {}\n", self.settings.version),
            _ => unknown(command),
        }
    }

    fn status(&self) -> String {
        let mut text = String::new();
        for (_, function) in self.functions.sorted() {
            let (name, workers) = (printable(&function.name), function.workers.len());
            line(&mut text, format_args!("{name}\t{}\t{}\t{workers}", function.total, function.running));
        }
        listing(text)
    }

    /// Shows how many jobs wait; those for a later time are among the normal ones.
    fn priority_status(&self) -> String {
        let mut text = String::new();
        for (_, function) in self.functions.sorted() {
            let [high, queued, low] = Priority::ALL.map(|priority| function.queue.len(priority));
            let later = function.total - function.running - high - queued - low;
            let (name, workers) = (printable(&function.name), function.workers.len());
            line(&mut text, format_args!("{name}\t{high}\t{}\t{low}\t{workers}", queued + later));
        }
        listing(text)
    }

    fn workers(&self) -> String {
        let mut text = String::new();
        for (id, peer) in self.peers.iter() {
            let client_id = if peer.client_id.is_empty() { "-".into() } else { printable(&peer.client_id) };
            let _infallible = write!(text, "{} {} {client_id} :", id.0, peer.host);
            for function in peer.functions.iter() {
                text.push(' ');
                text.push_str(&printable(&self.functions.get(FunctionId(function)).name));
            }
            text.push('\n');
        }
        listing(text)
    }

    fn show(&self, arguments: &[&[u8]]) -> String {
        let is = |index: usize, word: &[u8]| arguments.get(index).is_some_and(|found| found.eq_ignore_ascii_case(word));
        let mut text = String::new();
        match arguments.len() {
            1 if is(0, b"jobs") => {
                for job in self.jobs.sorted() {
                    let handle = self.jobs.handle(job.number);
                    let (ignored, background) = (u8::from(job.is_abandoned()), u8::from(job.background));
                    let handle = printable(handle.as_ref());
                    line(&mut text, format_args!("{handle}\t{}\t{ignored}\t{background}", job.retries));
                }
                listing(text)
            }
            2 if is(0, b"unique") && is(1, b"jobs") => {
                for job in self.jobs.sorted() {
                    line(&mut text, format_args!("{}", printable(job.unique())));
                }
                listing(text)
            }
            _ => "ERR UNKNOWN_SHOW_ARGUMENTS\r\n".to_owned(),
        }
    }

    /// Ends a job for its clients. Its worker, if it has one, is not told: the protocol has no words for it.
    fn cancel(&mut self, handle: &[u8]) -> String {
        let Some(id) = self.jobs.find(handle) else { return "ERR UNKNOWN_JOB\r\n".to_owned() };
        self.tell_watchers_of_failure(id);
        if !self.jobs.at(id).is_running() {
            self.remove_job(id);
            return OK.to_owned();
        }
        self.clear_watchers(id);
        self.forget_in_store(id);
        self.jobs.separate(id);
        self.jobs.at_mut(id).background = false;
        OK.to_owned()
    }

    fn create(&mut self, name: &[u8]) -> String {
        if name.len() <= MAX_FUNCTION_NAME && self.functions.find_or_create(name).is_some() {
            OK.to_owned()
        } else {
            format!("ERR CREATE_FUNCTION {}\r\n", printable(name))
        }
    }

    fn drop_function(&mut self, name: &[u8]) -> String {
        let Some(id) = self.function_in_any_case(name) else { return "ERR function not found\r\n".to_owned() };
        let function = self.functions.get(id);
        if function.workers.len() > 0 || function.running > 0 {
            return "ERR there are still connected workers or executing clients\r\n".to_owned();
        }
        for id in self.jobs.of(id) {
            self.tell_watchers_of_failure(id);
            self.remove_job(id);
        }
        self.functions.remove(id);
        OK.to_owned()
    }

    /// Finds a function as gearmand's `drop` does, which does not mind upper and lower case; an exact name goes first.
    fn function_in_any_case(&self, name: &[u8]) -> Option<FunctionId> {
        let is_it = |(_, function): &(FunctionId, &Function)| function.name.eq_ignore_ascii_case(name);
        self.functions.find(name).or_else(|| self.functions.sorted().into_iter().find(is_it).map(|(id, _)| id))
    }

    /// One limit holds for all priorities; several are for high, normal and low. A name not seen yet is ignored.
    fn limit_queue(&mut self, name: &[u8], limits: &[&[u8]]) -> String {
        if let Some(id) = self.functions.find(name) {
            let given = |index: usize| limits.get(index).map_or(0, |limit| limit_from(limit));
            self.functions.get_mut(id).max_queue =
                if limits.len() <= 1 { [given(0); 3] } else { [given(0), given(1), given(2)] };
        }
        OK.to_owned()
    }
}

fn line(text: &mut String, line: fmt::Arguments<'_>) {
    let _infallible = writeln!(text, "{line}");
}

fn listing(mut text: String) -> String {
    text.push_str(".\n");
    text
}

fn unknown(command: &[u8]) -> String {
    format!("ERR UNKNOWN_COMMAND Unknown+server+command{}\r\n", printable(command))
}

fn incomplete(command: &[u8]) -> String {
    let command = printable(command);
    format!("ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+{command}\r\n")
}

/// Negative numbers and other words mean: without limit.
fn limit_from(word: &[u8]) -> usize {
    std::str::from_utf8(word).ok().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn printable(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if text.chars().any(char::is_control) { text.replace(char::is_control, "?").into() } else { text }
}
