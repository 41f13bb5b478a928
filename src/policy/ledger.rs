//! What was in force, kept over a restart: modules by digest, and which of them is live.
//!
//! A module that does not have the digest it is filed under is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::folder::fingerprint;
use super::history::remove_others;

/// A folder of our own.
#[derive(Debug)]
pub(super) struct Ledger {
    folder: PathBuf,
}

/// What is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) generation: u64,
    pub(super) policies: BTreeMap<String, Entry>,
    #[serde(default)]
    pub(super) quarantined: BTreeSet<Digest>,
    #[serde(default)]
    pub(super) retired: BTreeSet<String>,
    #[serde(default)]
    pub(super) disabled: BTreeMap<String, SystemTime>,
    #[serde(default)]
    pub(super) frozen: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) stem: String,
    pub(super) since: u64,
    pub(super) live: Kept,
    #[serde(default)]
    pub(super) previous: Option<Kept>,
}

/// A version that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) module: Digest,
    pub(super) sidecar: Option<String>,
}

impl Kept {
    pub(super) fn fingerprint(&self) -> Digest {
        fingerprint(&self.module, self.sidecar.as_deref())
    }
}

impl Ledger {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("modules"))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Returns the ledger that another process keeps, to be read only.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Reads what was in force; a missing page is an empty one.
    pub(super) fn read(&self) -> io::Result<Page> {
        match fs::read(self.folder.join("live.json")) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Page::default()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn keep(&self, digest: &Digest, module: &[u8]) -> io::Result<()> {
        if self.module(digest).is_ok() { Ok(()) } else { write_whole(&self.path(digest), module) }
    }

    pub(super) fn module(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let bytes = fs::read(self.path(digest))?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the kept module was changed"))
        }
    }

    /// Writes what is in force now, and throws away modules that nothing needs any more.
    pub(super) fn write(&self, page: &Page) -> io::Result<()> {
        write_whole(&self.folder.join("live.json"), &serde_json::to_vec_pretty(page)?)?;
        let versions = page.policies.values().flat_map(|entry| [Some(&entry.live), entry.previous.as_ref()]);
        let live = versions.flatten().map(|kept| kept.module.clone());
        let needed = live.chain(self.read_history()?.modules()).collect();
        remove_others(&self.folder.join("modules"), "wasm", &needed)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("modules").join(format!("{digest}.wasm"))
    }
}

/// Writes a file so that a crash leaves the old one or the new one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_nothing_needs_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.read().unwrap(), Page::default());
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        ledger.keep(&one, b"one").unwrap();
        ledger.keep(&other, b"other").unwrap();
        let live = Kept { module: one.clone(), sidecar: Some("x".into()) };
        let entry = Entry { stem: "10-a".into(), since: 3, live, previous: None };
        let page = Page { generation: 3, policies: [("a".to_owned(), entry)].into(), ..Page::default() };
        ledger.write(&page).unwrap();
        assert_eq!(ledger.read().unwrap(), page);
        assert_eq!(ledger.module(&one).unwrap(), b"one");
        assert!(ledger.module(&other).is_err());
    }

    #[test]
    fn a_kept_module_that_was_changed_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let digest = Digest::of(b"one");
        ledger.keep(&digest, b"one").unwrap();
        fs::write(ledger.path(&digest), b"two").unwrap();
        assert!(ledger.module(&digest).is_err());
        ledger.keep(&digest, b"one").unwrap();
        assert_eq!(ledger.module(&digest).unwrap(), b"one");
    }
}
