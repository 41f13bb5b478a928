//! Other people's clients, unchanged, and our own where none is to be had. `docs/clients.md` tells which.

mod jenkins;
mod nodepool;
mod questions;
mod scripts;
mod zuul;
mod zuul_process;

use std::path::PathBuf;

/// Returns one of the clients that `tests/clients/install` fetches; none, having said so, if it was not run.
///
/// `tests/run` runs it, unless told to install nothing, and then does not accept that one is missing.
fn fetched(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let path = cache.unwrap_or_default().join("layshaft/clients").join(name);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{} is not there; tests/clients/install fetches it", path.display()));
    None
}

#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("LAYSHAFT_CLIENTS").is_none_or(|clients| clients != "required"), "{why}");
    eprintln!("skipped: {why}");
}

/// Returns the path of one of our programs that drive a client.
fn driver(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}
