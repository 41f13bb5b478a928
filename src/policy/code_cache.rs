//! Compiled code, kept by the digest of its module, so that a restart does not compile what an earlier life has compiled.
//!
//! Compiled code is believed blindly once it is loaded. So only what this daemon wrote itself is: the folder is ours
//! alone, and each file carries a MAC under a key that lies in that folder. What is damaged, foreign, for another module
//! or from another version is as good as none.
//!
//! Wasmtime's own `cache` was weighed: it brings zstd (in C) and four other crates, believes whatever lies in its folder,
//! and throws away by age and size in place of by what may be needed again.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use tracing::warn;
use wasmtime::Engine;

use super::digest::Digest;
use super::ledger::remove_others;

const FOLDER: &str = "compiled";
const KEY: &str = "key";
/// Bytes of the key, and of a MAC, which stands before the code.
const MAC: usize = 32;

/// The folder where compiled code is kept.
#[derive(Debug)]
pub(super) struct CodeCache {
    folder: PathBuf,
    key: hmac::Key,
    /// What compiled code depends on beside the module: wasmtime, its settings, the processor, this program.
    made_by: Digest,
}

/// Code that this daemon wrote.
pub(super) struct Authentic(Vec<u8>);

impl Authentic {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0[MAC..]
    }
}

impl CodeCache {
    /// Opens the folder inside the daemon's state, and makes it if it is not there.
    ///
    /// # Errors
    /// A folder that somebody else could write into.
    pub(super) fn open(state: &Path, engine: &Engine) -> io::Result<Self> {
        let state = &fs::canonicalize(state)?;
        let folder = state.join(FOLDER);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Whoever may write the folder around it could put another one in its place.
        is_ours(state, 0o022)?;
        is_ours(&folder, 0o077)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &read_key(&folder)?);
        Ok(Self { folder, key, made_by: made_by(engine) })
    }

    /// Returns the code of a module, if it was compiled by the like of this daemon and is as it was written.
    pub(super) fn get(&self, module: &Digest) -> Option<Authentic> {
        let name = self.name(module);
        let bytes = match fs::read(self.folder.join(&name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(file = %name, %error, "compiled code cannot be read, and is compiled afresh");
                return None;
            }
        };
        let is_ours = bytes.split_at_checked(MAC).is_some_and(|(mac, code)| {
            // The name is part of it, so that one module's code cannot pass for another's.
            hmac::verify(&self.key, &message(&name, code), mac).is_ok()
        });
        if !is_ours {
            warn!(file = %name, "compiled code is damaged or foreign, and is compiled afresh");
        }
        is_ours.then_some(Authentic(bytes))
    }

    /// Keeps what `Component::serialize` returned for a module.
    pub(super) fn put(&self, module: &Digest, code: &[u8]) -> io::Result<()> {
        let name = self.name(module);
        let mac = hmac::sign(&self.key, &message(&name, code));
        // Not synced: what a crash leaves of it is found to be damaged.
        write(&self.folder, &name, &[mac.as_ref(), code])
    }

    /// Throws away the code of all other modules, and what was compiled by another version.
    pub(super) fn keep_only(&self, modules: &BTreeSet<&Digest>) -> io::Result<()> {
        let mut needed: BTreeSet<String> = modules.iter().map(|module| self.name(module)).collect();
        needed.insert(KEY.to_owned());
        remove_others(&self.folder, &needed)
    }

    fn name(&self, module: &Digest) -> String {
        Digest::of(format!("{module} {}", self.made_by).as_bytes()).to_string()
    }
}

fn message(name: &str, code: &[u8]) -> Vec<u8> {
    [name.as_bytes(), code].concat()
}

/// Refuses a folder of somebody else, or one whose mode has any of these bits.
fn is_ours(folder: &Path, forbidden: u32) -> io::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    // The owner of what the kernel says about this process is its user.
    let own = fs::metadata("/proc/self")?.uid();
    let refuse = |what: &str| {
        let text = format!("{} {what}", folder.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    };
    if !metadata.is_dir() {
        return refuse("is not a folder");
    }
    if metadata.uid() != own {
        return refuse("belongs to another user: `chown` it to the daemon's");
    }
    if metadata.mode() & forbidden != 0 {
        return refuse(&format!("may be used by others: `chmod {:03o}` it", 0o700 | (0o755 & !forbidden & 0o077)));
    }
    Ok(())
}

/// Reads the key. Without one, or with one that others could read, there is a new one, and all code is foreign.
fn read_key(folder: &Path) -> io::Result<[u8; MAC]> {
    let path = folder.join(KEY);
    if let (Ok(metadata), Ok(bytes)) = (fs::symlink_metadata(&path), fs::read(&path))
        && metadata.is_file()
        && metadata.mode() & 0o077 == 0
        && let Ok(key) = bytes.try_into()
    {
        return Ok(key);
    }
    let mut key = [0; MAC];
    SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("the system has no random numbers"))?;
    write(folder, KEY, &[&key])?;
    Ok(key)
}

/// Writes a file that nobody else may read, whole or not at all.
fn write(folder: &Path, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.tmp"));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    for part in parts {
        file.write_all(part)?;
    }
    fs::rename(temporary, folder.join(name))
}

fn made_by(engine: &Engine) -> Digest {
    let mut hasher = Collected(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
    Digest::from_hash(hasher.0)
}

/// Takes in what is hashed by a function that is the same in every life of the daemon.
struct Collected(Sha256);

impl Hasher for Collected {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks: the whole hash is taken.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::policy::config::Limits;
    use crate::policy::engine;

    struct Kept {
        state: tempfile::TempDir,
        engine: Engine,
    }

    impl Kept {
        fn new() -> Self {
            Self { state: tempfile::tempdir().unwrap(), engine: engine::start(&Limits::default()).unwrap() }
        }

        fn open(&self) -> CodeCache {
            CodeCache::open(self.state.path(), &self.engine).unwrap()
        }

        fn mode(&self, path: &str, mode: u32) {
            fs::set_permissions(self.state.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    fn code(cache: &CodeCache, module: &Digest) -> Option<Vec<u8>> {
        cache.get(module).map(|code| code.as_bytes().to_vec())
    }

    #[test]
    fn what_was_written_is_read_in_the_next_life_and_goes_with_what_needs_it() {
        let kept = Kept::new();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let cache = kept.open();
        cache.put(&one, b"code").unwrap();
        cache.put(&other, b"more").unwrap();
        let cache = kept.open();
        assert_eq!(code(&cache, &one).as_deref(), Some(b"code".as_slice()));
        cache.keep_only(&[&other].into()).unwrap();
        assert_eq!(code(&cache, &one), None);
        assert_eq!(code(&kept.open(), &other).as_deref(), Some(b"more".as_slice()));
        let another = CodeCache { made_by: Digest::of(b"another version"), ..kept.open() };
        assert_eq!(code(&another, &other), None);
    }

    #[test]
    fn what_is_damaged_or_foreign_is_as_good_as_none() {
        let kept = Kept::new();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let cache = kept.open();
        cache.put(&one, b"code").unwrap();
        let path = cache.folder.join(cache.name(&one));
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(code(&cache, &one), None, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(code(&cache, &one), None, "cut at {at}");
        }
        // One module's code under another's name.
        fs::write(cache.folder.join(cache.name(&other)), &whole).unwrap();
        assert_eq!(code(&cache, &other), None);
        fs::write(&path, &whole).unwrap();
        assert!(code(&cache, &one).is_some());
        // Under another key everything is foreign; one that others could read is no key.
        kept.mode("compiled/key", 0o644);
        assert_eq!(code(&kept.open(), &one), None);
    }

    #[test]
    fn a_folder_that_others_could_write_is_not_used() {
        let kept = Kept::new();
        drop(kept.open());
        for (path, mode, part) in [("compiled", 0o750, "chmod 700"), (".", 0o775, "chmod 755")] {
            kept.mode("compiled", 0o700);
            kept.mode(path, mode);
            let error = CodeCache::open(kept.state.path(), &kept.engine).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        kept.mode(".", 0o755);
        fs::remove_dir_all(kept.state.path().join("compiled")).unwrap();
        std::os::unix::fs::symlink("/tmp", kept.state.path().join("compiled")).unwrap();
        let error = CodeCache::open(kept.state.path(), &kept.engine).unwrap_err().to_string();
        assert!(error.contains("is not a folder"), "{error}");
    }
}
