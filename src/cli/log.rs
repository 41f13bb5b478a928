//! Logs to the standard error: for people on a terminal, as JSON for whatever collects them.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Where a log goes.
#[derive(Debug)]
pub(super) enum Target {
    StandardError,
    File(File),
    None,
}

/// Starts to log. `asked` is what the command line or LAYSHAFT_LOG say, which outweighs the default.
pub(super) fn start(asked: Option<&str>, default: &str, format: LogFormat) -> anyhow::Result<()> {
    start_in(Target::StandardError, asked, default, format)
}

/// Starts to log somewhere.
pub(super) fn start_in(target: Target, asked: Option<&str>, default: &str, format: LogFormat) -> anyhow::Result<()> {
    let is_terminal = matches!(target, Target::StandardError) && io::stderr().is_terminal();
    let filter = asked.filter(|filter| !filter.is_empty()).unwrap_or(default);
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("{filter:?} is no filter; write a level such as info, or layshaft=debug"))?;
    let is_human = match format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => is_terminal,
    };
    let target = Arc::new(target);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Patient(Arc::clone(&target)));
    let started =
        if is_human { log.with_ansi(is_terminal).try_init() } else { log.json().flatten_event(true).try_init() };
    started.map_err(|error| anyhow::anyhow!("failed to start the log: {error}"))
}

/// A target, for as long as it takes what is written there: a full disk or a reader that has gone away costs lines of
/// the log, and never the daemon.
struct Patient(Arc<Target>);

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _lost = match &*self.0 {
            Target::StandardError => io::stderr().lock().write_all(bytes),
            Target::File(file) => (&mut &*file).write_all(bytes),
            Target::None => Ok(()),
        };
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _lost = match &*self.0 {
            Target::StandardError => io::stderr().lock().flush(),
            Target::File(_) | Target::None => Ok(()),
        };
        Ok(())
    }
}
