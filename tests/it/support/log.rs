//! What the program logs, kept in memory for all tests together: each looks for what only it can have caused.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
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
        let subscriber =
            tracing_subscriber::fmt().with_writer(Memory).with_ansi(false).with_env_filter("layshaft=info");
        // Another test may have set one for itself.
        let _set_already = subscriber.try_init();
    });
}

/// Returns the lines in which all of these texts occur.
pub(crate) fn lines_with(parts: &[&str]) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lines = String::from_utf8_lossy(&lines).into_owned();
    lines.lines().filter(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned).collect()
}
