//! An administrator's side of the server: commands and answers are lines of text, as gearmand words them.
//!
//! Names that hold control characters are shown with `?` in their place, so that nobody can forge a line.
//! Where it differs from gearmand: `create function` takes a line that ends in a bare LF; `drop function` fails the jobs
//! that wait for the function instead of losing them; a cancelled job that waited is gone at once.

use std::borrow::Cow;

use super::function::FunctionId;
use super::job::{Job, Stage};
use super::state::{ConnectionId, State};
use super::submit::MAX_FUNCTION_NAME;
use crate::gearman::Priority;

const OK: &str = "OK\r\n";

impl State {
    pub(super) fn text(&mut self, id: ConnectionId, line: &[u8]) {
        let words: Vec<&[u8]> =
            line.split(|byte| byte.is_ascii_whitespace() || *byte == 0).filter(|word| !word.is_empty()).collect();
        let answer = self.answer(&words);
        self.reply_text(id, answer);
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
            (b"verbose", _) => "OK INFO\n".to_owned(),
            (b"version", _) => format!("OK {}\n", self.settings.version),
            _ => unknown(command),
        }
    }

    fn status(&self) -> String {
        listing(self.functions.iter().map(|(_, function)| {
            let workers = function.workers.len();
            format!("{}\t{}\t{}\t{workers}\n", printable(&function.name), function.total, function.running)
        }))
    }

    fn priority_status(&self) -> String {
        listing(self.functions.iter().map(|(_, function)| {
            let [high, normal, low] = Priority::ALL.map(|priority| function.queue.len(priority));
            format!("{}\t{high}\t{normal}\t{low}\t{}\n", printable(&function.name), function.workers.len())
        }))
    }

    fn workers(&self) -> String {
        listing(self.connections.iter().map(|(id, connection)| {
            let mut line = format!("{} {} {} :", id.0, connection.host, printable(&connection.client_id));
            for &function in &connection.functions {
                line.push(' ');
                line.push_str(&printable(&self.functions.get(function).name));
            }
            line.push('\n');
            line
        }))
    }

    fn show(&self, arguments: &[&[u8]]) -> String {
        let is = |index: usize, word: &[u8]| arguments.get(index).is_some_and(|found| found.eq_ignore_ascii_case(word));
        match arguments.len() {
            1 if is(0, b"jobs") => listing(self.jobs.iter().map(job_line)),
            2 if is(0, b"unique") && is(1, b"jobs") => {
                listing(self.jobs.iter().map(|job| format!("{}\n", printable(&job.unique))))
            }
            _ => "ERR UNKNOWN_SHOW_ARGUMENTS\r\n".to_owned(),
        }
    }

    /// Ends a job for its clients. Its worker, if it has one, is not told: the protocol has no words for it.
    fn cancel(&mut self, handle: &[u8]) -> String {
        let Some(number) = self.jobs.find(handle) else { return "ERR UNKNOWN_JOB\r\n".to_owned() };
        self.tell_watchers_of_failure(number);
        self.clear_watchers(number);
        self.jobs.separate(number);
        match self.jobs.get_mut(number) {
            Some(job) if matches!(job.stage, Stage::Running(_)) => job.cancelled = true,
            _ => self.remove_job(number),
        }
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
        if !function.workers.is_empty() || function.running > 0 {
            return "ERR there are still connected workers or executing clients\r\n".to_owned();
        }
        let waiting: Vec<_> = function.queue.jobs().collect();
        for number in waiting {
            self.tell_watchers_of_failure(number);
            self.remove_job(number);
        }
        self.functions.remove(id);
        OK.to_owned()
    }

    /// Finds a function as gearmand's `drop` does, which does not mind upper and lower case; an exact name goes first.
    fn function_in_any_case(&self, name: &[u8]) -> Option<FunctionId> {
        let in_any_case = || self.functions.iter().find(|(_, function)| function.name.eq_ignore_ascii_case(name));
        self.functions.find(name).or_else(|| in_any_case().map(|(id, _)| id))
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

/// Shows handle, retries, whether its end interests nobody, and whether it was submitted in the background.
fn job_line(job: &Job) -> String {
    let ignored = u8::from(job.cancelled || job.is_abandoned());
    let background = u8::from(job.background && !job.cancelled);
    format!("{}\t{}\t{ignored}\t{background}\n", printable(&job.handle), job.retries)
}

fn listing(lines: impl Iterator<Item = String>) -> String {
    let mut text: String = lines.collect();
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
