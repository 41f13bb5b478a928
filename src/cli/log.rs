//! Logs to the standard error: for people on a terminal, as JSON for whatever collects them.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Where a log goes.
#[derive(Debug)]
pub(super) enum Target {
    StandardError,
    File(Arc<LogFile>),
    None,
}

/// A log in a file, which whoever rotates it may rename.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: RwLock<File>,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { path: path.to_owned(), file: RwLock::new(append_to(path)?) })
    }

    /// Goes on in the file that has the name now; without one it is made.
    ///
    /// # Errors
    ///
    /// Then it goes on in the old one.
    pub(super) fn reopen(&self) -> anyhow::Result<()> {
        let file = append_to(&self.path)?;
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file.read().unwrap_or_else(PoisonError::into_inner)).write_all(bytes)
    }
}

fn append_to(path: &Path) -> anyhow::Result<File> {
    let opened = File::options().append(true).create(true).open(path);
    opened.with_context(|| format!("failed to open the log {}", path.display()))
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
            Target::File(file) => file.write_all(bytes),
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
