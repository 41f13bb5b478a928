//! What the program logs, kept in memory for all tests together: each looks for what only it can have caused.

use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// What trips over a bug: whoever logs all texts of one of these.
static BUGS: Mutex<Vec<Vec<String>>> = Mutex::new(Vec::new());
static STARTED: OnceLock<()> = OnceLock::new();

struct Memory;

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Memory {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// Keeps what is logged from now on.
pub(crate) fn keep() {
    STARTED.get_or_init(|| {
        let lines = fmt::layer().with_writer(Memory).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new("layshaft=info")).with(lines).with(Bugs);
        // Another test may have set one for itself.
        let _set_already = subscriber.try_init();
    });
}

/// Makes whoever logs all of these texts in one event panic there, as a bug beside it would.
pub(crate) fn bug_at(parts: &[&str]) {
    let bug = parts.iter().map(|part| (*part).to_owned()).collect();
    BUGS.lock().unwrap_or_else(PoisonError::into_inner).push(bug);
}

struct Bugs;

impl<S: tracing::Subscriber> Layer<S> for Bugs {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let bugs = BUGS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(!bugs.iter().any(|bug| bug.iter().all(|part| said.0.contains(part))), "a bug, as the test wants it");
    }
}

#[derive(Default)]
struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

/// Returns the lines in which all of these texts occur.
pub(crate) fn lines_with(parts: &[&str]) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lines = String::from_utf8_lossy(&lines).into_owned();
    lines.lines().filter(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned).collect()
}
