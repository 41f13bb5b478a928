//! Reads secrets: from files and variables, never from the configuration itself.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

use super::Environment;

/// A token is some dozen characters; a longer file is the wrong one.
const LONGEST: u64 = 64 << 10;

/// A secret, and what to warn about.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) secret: SecretString,
    pub(super) warning: Option<String>,
}

/// Reads a secret from a file, without the white space around it.
pub(super) fn from_file(file: &Path) -> Result<Found, String> {
    let shown = file.display();
    let failed = |error: std::io::Error| format!("cannot read {shown}: {error}; put the token there, alone");
    let opened = std::fs::File::open(file).map_err(failed)?;
    let metadata = opened.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file; put the token there, alone"));
    }
    let mut text = String::new();
    opened.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("{shown} is too long for a token; put the token there, alone"));
    }
    let secret = clean(&text).map_err(|reason| format!("{shown} {reason}"))?;
    let open_to_all = metadata.permissions().mode() & 0o004 != 0;
    let warning = open_to_all.then(|| format!("everybody on this machine can read {shown}; `chmod o= {shown}`"));
    Ok(Found { secret, warning })
}

/// Reads a secret from the environment.
pub(super) fn from_variable(name: &str, environment: &Environment) -> Result<Found, String> {
    let Some(text) = environment.get(name) else {
        return Err(format!("the environment has no variable {name}; set it before the start, or use `token_file`"));
    };
    let secret = clean(text).map_err(|reason| format!("the variable {name} {reason}"))?;
    Ok(Found { secret, warning: None })
}

fn clean(text: &str) -> Result<SecretString, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty; it must hold the token");
    }
    if text.chars().any(char::is_control) {
        return Err("has more than one line; it must hold the token alone");
    }
    Ok(SecretString::from(text))
}
