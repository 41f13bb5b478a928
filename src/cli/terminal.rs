//! Prints. A reader that has gone away, as in `layshaft status | head`, is no error.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

/// Prints a line to the standard output.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
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
