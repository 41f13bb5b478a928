//! Where a job is told of: as JSON, in plain lines, or with one line that changes on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::event::Event;
use super::progress::{Progress, short};
use crate::cli::terminal;

/// How often the changing line may change.
pub(super) const REFRESH: Duration = Duration::from_millis(500);

/// A line longer than the terminal would leave its beginning behind whenever it changes.
const LIVE_WIDTH: usize = 78;

pub(super) struct Screen {
    json: bool,
    /// The standard error is a terminal, and what is told goes to people.
    is_live: bool,
    progress: Progress,
    start: Instant,
    /// What the changing line shows; or the last plain line of progress.
    shown: String,
}

impl Screen {
    pub(super) fn new(json: bool, counts_milliseconds: bool) -> Self {
        let is_live = !json && io::stderr().is_terminal();
        let progress = Progress::new(counts_milliseconds);
        Self { json, is_live, progress, start: Instant::now(), shown: String::new() }
    }

    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    pub(super) fn tell(&mut self, event: Event) -> anyhow::Result<()> {
        if let Event::Progress { numerator, denominator, .. } = event {
            return self.note(numerator, denominator);
        }
        if self.json {
            return Ok(terminal::say(serde_json::to_string(&event)?)?);
        }
        self.clear();
        Ok(event.tell_people()?)
    }

    fn note(&mut self, numerator: u64, denominator: u64) -> anyhow::Result<()> {
        let now = self.start.elapsed();
        self.progress.note(now, numerator, denominator);
        if self.json {
            let seconds_left = self.progress.left(now).map(|left| left.as_secs());
            return Ok(terminal::say(serde_json::to_string(&Event::Progress {
                numerator,
                denominator,
                seconds_left,
            })?)?);
        }
        match self.progress.line(now) {
            Some(line) if !self.is_live && line != self.shown => {
                terminal::say(&line)?;
                self.shown = line;
            }
            // The changing line follows by itself.
            _ => {}
        }
        Ok(())
    }

    /// Brings the changing line up to date.
    pub(super) fn refresh(&mut self) {
        let now = self.start.elapsed();
        let line = self.progress.line(now).unwrap_or_else(|| format!("waiting for {}", short(now)));
        if self.is_live && line != self.shown {
            let cut: String = line.chars().take(LIVE_WIDTH).collect();
            let mut err = io::stderr().lock();
            // Back to the start of the line, and away with what it shows.
            let _unseen = write!(err, "\r\x1b[K{cut}").and_then(|()| err.flush());
            self.shown = line;
        }
    }

    /// Takes the changing line away, so that other lines can be printed.
    pub(super) fn clear(&mut self) {
        if self.is_live && !self.shown.is_empty() {
            let mut err = io::stderr().lock();
            let _unseen = write!(err, "\r\x1b[K").and_then(|()| err.flush());
            self.shown.clear();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}
