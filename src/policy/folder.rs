//! The folder, read once: which policies it holds, in which order.
//!
//! Reading decides nothing: what is unreadable is handed on as such, since a file that is gone and a file that cannot
//! be read are different things.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::digest::Digest;
use super::signature::Signatures;

/// Longer settings than this are a mistake.
const LONGEST_SIDECAR: u64 = 1 << 20;
/// What minisign writes has some 300 bytes.
const LONGEST_SIGNATURE: u64 = 8 << 10;

/// A policy's file and what is beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyFile {
    /// Without number and ending.
    pub(super) name: String,
    /// Without ending: it decides the order.
    pub(super) stem: String,
    pub(super) contents: Result<Contents, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) module: Vec<u8>,
    pub(super) sidecar: Option<String>,
    /// Not part of the version: it is the same whoever vouches for it.
    pub(super) signatures: Signatures,
}

impl PolicyFile {
    pub(super) fn file_name(&self) -> String {
        format!("{}.wasm", self.stem)
    }
}

impl Contents {
    /// Returns what tells this version of a policy from every other: module and sidecar.
    pub(super) fn fingerprint(&self) -> Digest {
        fingerprint(&Digest::of(&self.module), self.sidecar.as_deref())
    }
}

pub(super) fn fingerprint(module: &Digest, sidecar: Option<&str>) -> Digest {
    Digest::of(format!("{module}\n{}", sidecar.map_or("none".to_owned(), |text| format!("some\n{text}"))).as_bytes())
}

/// Returns the names of the policies in a folder without ending, in order, and of settings that are beside none.
fn list(folder: &Path) -> io::Result<(Vec<String>, Vec<String>)> {
    let mut stems = Vec::new();
    let mut orphans = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file_name = entry?.file_name();
        // Hidden names are how editors, rsync and ConfigMap mounts call what is not yet, or no longer, meant.
        let Some(file_name) = file_name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        if let Some(stem) = file_name.strip_suffix(".wasm") {
            stems.push(stem.to_owned());
        } else if let Some(stem) = file_name.strip_suffix(".toml") {
            orphans.push(stem.to_owned());
        }
    }
    stems.sort_by_cached_key(|stem| order(stem));
    orphans.retain(|orphan| !stems.contains(orphan));
    Ok((stems, orphans))
}

/// Returns the policy files in a folder, in order. Reads none of them.
///
/// # Errors
/// A folder that cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (stems, _) = list(folder)?;
    Ok(stems.into_iter().map(|stem| folder.join(stem + ".wasm")).collect())
}

/// Reads all policies, in order. Two files of one name: the later one is handed on as unreadable.
pub(super) fn read(folder: &Path, max_module: u64) -> Result<Vec<PolicyFile>, String> {
    let (stems, orphans) = list(folder).map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    for stem in orphans {
        tracing::warn!(file = %format!("{stem}.toml"), "settings without a policy: no .wasm of that name is beside it");
    }
    let mut first_of_name: BTreeMap<String, String> = BTreeMap::new();
    let mut files = Vec::new();
    for stem in stems {
        let name = name_of(&stem).to_owned();
        let contents = match first_of_name.get(&name) {
            Some(first) => Err(same_name(first)),
            None => read_contents(folder, &stem, max_module),
        };
        first_of_name.entry(name.clone()).or_insert_with(|| stem.clone());
        files.push(PolicyFile { name, stem, contents });
    }
    Ok(files)
}

/// Reads one file by the rules of the folder in which it is.
pub(super) fn read_one(path: &Path, max_module: u64) -> Result<PolicyFile, String> {
    let file_name = path.file_name().unwrap_or_default();
    let file_name = file_name.to_str().ok_or("its file name is not UTF-8: rename it")?;
    let Some(stem) = file_name.strip_suffix(".wasm") else {
        return Err("the folder takes files that end in .wasm: rename it".to_owned());
    };
    if file_name.starts_with('.') {
        return Err("the folder leaves files alone that begin with a dot: rename it".to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let name = name_of(stem).to_owned();
    // A folder that may not be listed has no other that is known.
    let (stems, _) = list(folder).unwrap_or_default();
    let contents = match stems.iter().find(|other| name_of(other) == name) {
        Some(first) if first != stem => Err(same_name(first)),
        _ => read_contents(folder, stem, max_module),
    };
    Ok(PolicyFile { name, stem: stem.to_owned(), contents })
}

fn same_name(first: &str) -> String {
    format!("{first}.wasm has the same name: give one of them another")
}

/// Returns how stems sort: by number, as people count, then by name; without number last.
pub(super) fn order(stem: &str) -> (u64, String) {
    let number = stem.split_once('-').and_then(|(number, _)| number.parse().ok());
    (number.unwrap_or(u64::MAX), stem.to_owned())
}

pub(super) fn name_of(stem: &str) -> &str {
    match stem.split_once('-') {
        Some((number, name))
            if !name.is_empty() && !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()) =>
        {
            name
        }
        _ => stem,
    }
}

fn read_contents(folder: &Path, stem: &str, max_module: u64) -> Result<Contents, String> {
    if !name_of(stem).chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err("its file name has more than letters, digits, '-', '_' and '.': rename it".to_owned());
    }
    let module = read_file(&folder.join(format!("{stem}.wasm")), max_module)?
        .ok_or_else(|| "it went away while it was being read".to_owned())?;
    let sidecar = read_file(&folder.join(format!("{stem}.toml")), LONGEST_SIDECAR)?
        .map(|bytes| String::from_utf8(bytes).map_err(|_| format!("{stem}.toml is not UTF-8")))
        .transpose()?;
    let signature = |ending: &str| {
        let read = read_file(&folder.join(format!("{stem}.{ending}.minisig")), LONGEST_SIGNATURE);
        // What is not text will be found to be no signature.
        read.map(|bytes| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let signatures = Signatures { module: signature("wasm")?, sidecar: signature("toml")? };
    Ok(Contents { module, sidecar, signatures })
}

fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let name = path.file_name().unwrap_or_default().display();
    let size = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(format!("{name} is not a file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{name} cannot be read: {error}")),
    };
    if size > limit {
        return Err(format!("{name} has {size} bytes and more than {limit} are not read"));
    }
    fs::read(path).map(Some).map_err(|error| format!("{name} cannot be read: {error}"))
}

/// What the folder looks like from outside, to see whether it is at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    Files(BTreeMap<PathBuf, (u64, Option<SystemTime>)>),
    Unreadable(std::io::ErrorKind),
}

impl Stamp {
    pub(super) fn of(folder: &Path) -> Self {
        let look = || -> std::io::Result<BTreeMap<_, _>> {
            let mut files = BTreeMap::new();
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                // Through links: a ConfigMap's files are links that never change themselves.
                let Ok(metadata) = fs::metadata(&path) else { continue };
                files.insert(path, (metadata.len(), metadata.modified().ok()));
            }
            Ok(files)
        };
        match look() {
            Ok(files) => Self::Files(files),
            Err(error) => Self::Unreadable(error.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_in_the_order_in_which_people_count() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["10-b.wasm", "9-a.wasm", "plain.wasm", "9-a.toml", ".hidden.wasm", "x.wasm.tmp", "11-b.wasm", "30-ü.wasm"]
        {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("12-dir.wasm")).unwrap();
        let files = read(folder.path(), 100).unwrap();
        let seen: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.contents.is_ok())).collect();
        assert_eq!(seen, [("a", true), ("b", true), ("b", false), ("dir", false), ("ü", false), ("plain", true)]);
        assert_eq!(files[0].contents.as_ref().unwrap().sidecar.as_deref(), Some("9-a.toml"));
        assert!(read(folder.path(), 3).unwrap()[0].contents.as_ref().unwrap_err().contains("8 bytes"));
        assert!(read(&folder.path().join("none"), 3).is_err());
    }

    #[test]
    fn one_file_is_read_by_the_rules_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = |name: &str| {
            fs::write(folder.path().join(name), "x").unwrap();
            let read = read_one(&folder.path().join(name), 100);
            read.and_then(|file| file.contents).unwrap_err()
        };
        for (name, part) in [
            ("a.txt", "end in .wasm"),
            (".a.wasm", "begin with a dot"),
            ("1-a b.wasm", "more than letters"),
            ("10-ü.wasm", "more than letters"),
        ] {
            assert!(wrong(name).contains(part), "{name}");
        }
        fs::write(folder.path().join("10-a.wasm"), "x").unwrap();
        assert!(wrong("20-a.wasm").contains("10-a.wasm has the same name"));
        let first = read_one(&folder.path().join("10-a.wasm"), 100).unwrap();
        assert_eq!((first.name.as_str(), first.stem.as_str()), ("a", "10-a"));
        assert!(first.contents.is_ok());
    }

    #[test]
    fn settings_are_part_of_a_version() {
        let version = |sidecar: Option<&str>| Contents {
            module: vec![1],
            sidecar: sidecar.map(str::to_owned),
            signatures: Signatures::default(),
        };
        assert_ne!(version(None).fingerprint(), version(Some("")).fingerprint());
        assert_ne!(version(Some("a")).fingerprint(), version(Some("b")).fingerprint());
    }
}
