//! Prints. A reader that has gone away, as in `layshaft status | head`, is no error.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Prints a line to the standard output.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints bytes as they are, and ends the line if they do not. On a terminal, nothing in them is obeyed.
pub(super) fn say_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        out.write_all(harmless(&String::from_utf8_lossy(bytes)).as_bytes())?;
    } else {
        out.write_all(bytes)?;
    }
    if bytes.last() != Some(&b'\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Returns a text of others without what a terminal would obey.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(is_obeyed) { text.replace(is_obeyed, "\u{fffd}").into() } else { text.into() }
}

/// Prints a value for scripts, over several lines.
pub(super) fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(say(serde_json::to_string_pretty(value)?)?)
}

/// Prints a line to the standard error. That nobody reads there is nothing that could be told.
pub(super) fn complain(line: &str) {
    let _unread = writeln!(io::stderr().lock(), "{line}");
}

pub(super) fn is_nobody_reading(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
