//! What was in force, kept over a restart: modules by digest, and which of them is live.
//!
//! A module that does not have the digest it is filed under is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::folder::fingerprint;
use super::signature::Signatures;
use super::status::Refusal;

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
    /// What gates that cannot be asked again after a restart have kept out.
    #[serde(default)]
    pub(super) refused: BTreeMap<String, TurnedDown>,
}

/// What was refused, so that it is neither tried nor reported again at every look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TurnedDown {
    /// None if it is that the file was taken away.
    pub(super) candidate: Option<Candidate>,
    pub(super) refusal: Refusal,
}

/// A version at a place in the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub(super) stem: String,
    pub(super) fingerprint: Digest,
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
    /// Asked again when it is restored, since a key may have been withdrawn.
    #[serde(default)]
    pub(super) signatures: Signatures,
}

impl Page {
    /// Returns the modules that may be needed again.
    pub(super) fn modules(&self) -> BTreeSet<&Digest> {
        let versions = self.policies.values().flat_map(|entry| [Some(&entry.live), entry.previous.as_ref()]);
        versions.flatten().map(|kept| &kept.module).collect()
    }
}

impl Entry {
    pub(super) fn candidate(&self) -> Candidate {
        Candidate { stem: self.stem.clone(), fingerprint: self.live.fingerprint() }
    }
}

impl Kept {
    pub(super) fn fingerprint(&self) -> Digest {
        fingerprint(&self.module, self.sidecar.as_deref())
    }
}

impl Ledger {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        // Whatever the umask says: where others may write, no compiled code is kept.
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder.join("modules"))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Returns the ledger that another process keeps, to be read only.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Reads what was in force; a missing page is an empty one.
    pub(super) fn read(&self) -> io::Result<Page> {
        read_json(&self.folder.join("live.json"))
    }

    pub(super) fn keep(&self, digest: &Digest, module: &[u8]) -> io::Result<()> {
        if self.module(digest).is_ok() { Ok(()) } else { write_whole(&self.path(digest), module) }
    }

    pub(super) fn module(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        read_unchanged(&self.path(digest), digest, "the kept module was changed")
    }

    /// Writes what is in force now.
    pub(super) fn write(&self, page: &Page) -> io::Result<()> {
        write_whole(&self.folder.join("live.json"), &serde_json::to_vec_pretty(page)?)
    }

    /// Throws away all other modules, but for those that decisions of the past were made by.
    pub(super) fn keep_only(&self, needed: &BTreeSet<&Digest>) -> io::Result<()> {
        let history = self.read_history()?.modules();
        let needed = needed.iter().copied().chain(&history).map(|digest| format!("{digest}.wasm")).collect();
        remove_others(&self.folder.join("modules"), &needed)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("modules").join(format!("{digest}.wasm"))
    }
}

/// Reads what was written as JSON; a missing file is an empty one.
pub(super) fn read_json<T: Default + DeserializeOwned>(path: &Path) -> io::Result<T> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error),
    }
}

/// Reads a file that is kept by its digest; `changed` says what it is if it no longer is that.
pub(super) fn read_unchanged(path: &Path, digest: &Digest, changed: &str) -> io::Result<Vec<u8>> {
    let bytes = fs::read(path)?;
    if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(io::Error::new(io::ErrorKind::InvalidData, changed)) }
}

/// Removes the files of a folder that have none of the names.
pub(super) fn remove_others(folder: &Path, needed: &BTreeSet<String>) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        if !file.file_name().to_str().is_some_and(|name| needed.contains(name)) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// Writes a file so that a crash leaves the old one or the new one, and the new one once this has returned.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    // Until then the folder may still have the old name for the old file.
    match fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all() {
        // There are file systems that cannot do this to a folder.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
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
        let live = Kept { module: one.clone(), sidecar: Some("x".into()), signatures: Signatures::default() };
        let entry = Entry { stem: "10-a".into(), since: 3, live, previous: None };
        let page = Page { generation: 3, policies: [("a".to_owned(), entry)].into(), ..Page::default() };
        ledger.write(&page).unwrap();
        ledger.keep_only(&page.modules()).unwrap();
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
