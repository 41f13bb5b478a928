//! Going to the background: the program starts itself again in a process group of its own, and ends when that one says
//! that it serves, or says why it does not.

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::Exit;

/// Set for the one in the background.
const DETACHED: &str = "LAYSHAFT_DETACHED";

pub(super) fn is_detached() -> bool {
    env::var_os(DETACHED).is_some()
}

/// Starts this command line again in the background, and waits until it is ready.
pub(super) fn run_again() -> anyhow::Result<Exit> {
    let program = env::current_exe().context("failed to find out which program this is")?;
    let mut child = Command::new(program)
        .args(env::args_os().skip(1))
        .env(DETACHED, "1")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start in the background")?;
    let mut said = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.take(1).read_to_end(&mut said)?;
    }
    if !said.is_empty() {
        return Ok(Exit::Ok);
    }
    let output = child.wait_with_output()?;
    let reason = String::from_utf8_lossy(&output.stderr);
    let reason = reason.trim();
    bail!("{}", reason.strip_prefix("layshaft: ").unwrap_or(reason));
}

/// Tells the one in the foreground that it may end.
pub(super) fn say_ready() {
    let mut stdout = io::stdout();
    let _it_has_gone = writeln!(stdout, "ready").and_then(|()| stdout.flush());
}
