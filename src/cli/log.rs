//! Logs to the standard error: for people on a terminal, as JSON for whatever collects them.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts to log. `asked` is what the command line or LAYSHAFT_LOG say, which outweighs the default.
pub(super) fn start(asked: Option<&str>, default: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = asked.filter(|filter| !filter.is_empty()).unwrap_or(default);
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("{filter:?} is no filter; write a level such as info, or layshaft=debug"))?;
    let is_human = match format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Patient);
    let started = if is_human {
        log.with_ansi(io::stderr().is_terminal()).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("failed to start the log: {error}"))
}

/// The standard error, for as long as somebody takes what is written there: a full disk or a reader that has gone away
/// costs lines of the log, and never the daemon.
struct Patient;

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _lost = io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _lost = io::stderr().lock().flush();
        Ok(())
    }
}
