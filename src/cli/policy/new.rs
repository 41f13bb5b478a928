use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::super::{Exit, terminal};
use crate::policy;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes a folder that builds with what package registries have: the source of a small policy that works, settings, cases, a
build command and a README. Asks no network; an existing folder is left alone.

Exit code 0: written; 1: not, for the reason that is told.

Examples:
  layshaft policy new no-docs-on-gpu --lang rust
  layshaft policy new no-docs-on-gpu --lang js && cd no-docs-on-gpu && ./build && layshaft policy test no-docs-on-gpu.wasm")]
pub(super) struct New {
    /// What the policy is called, and its folder.
    #[arg(value_parser = name)]
    name: String,
    /// The language to write it in.
    #[arg(long, value_enum)]
    lang: Language,
    /// Where the folder is written.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Language {
    Rust,
    C,
    Js,
    Python,
}

/// One file of a template: where it is written, what it holds, and whether it is a command.
type File = (&'static str, &'static [u8], Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Has the name filled in.
    Text,
    /// The same, and can be run.
    Command,
    /// Is written as it is.
    Plain,
}

macro_rules! template {
    ($path:literal) => {
        include_bytes!(concat!("../../../policies/templates/", $path))
    };
}

macro_rules! sdk {
    ($($file:literal),*) => {
        [$((concat!("sdk/src/", $file), include_bytes!(concat!("../../../policies/sdk/src/", $file)).as_slice(), Kind::Plain)),*]
    };
}

const COMMON: [File; 3] = [
    ("cases.toml", template!("cases.toml.in"), Kind::Text),
    ("{{name}}.toml", template!("settings.toml"), Kind::Text),
    (".gitignore", b"target/\nnode_modules/\n__pycache__/\n", Kind::Plain),
];

const RUST: [File; 5] = [
    ("Cargo.toml", template!("rust/Cargo.toml.in"), Kind::Text),
    (".cargo/config.toml", template!("rust/config.toml"), Kind::Plain),
    ("src/lib.rs", template!("rust/src/lib.rs"), Kind::Text),
    ("build", template!("rust/build"), Kind::Command),
    ("sdk/Cargo.toml", template!("rust/sdk-Cargo.toml.in"), Kind::Plain),
];

const SDK: [File; 15] = sdk!(
    "lib.rs",
    "allocator.rs",
    "configured.rs",
    "contract.rs",
    "glob.rs",
    "policy.rs",
    "runtime.rs",
    "settings.rs",
    "wording.rs",
    "bindings/mod.rs",
    "bindings/meta.rs",
    "bindings/naming.rs",
    "bindings/matching.rs",
    "bindings/parameters.rs",
    "bindings/offline.rs"
);

const JS: [File; 4] = [
    ("policy.js", template!("js/policy.js"), Kind::Text),
    ("package.json", template!("js/package.json"), Kind::Text),
    ("build", template!("js/build"), Kind::Command),
    ("wit/policy.wit", policy::WIT.as_bytes(), Kind::Plain),
];

const PYTHON: [File; 3] = [
    ("policy.py", template!("python/policy.py"), Kind::Text),
    ("build", template!("python/build"), Kind::Command),
    ("wit/policy.wit", policy::WIT.as_bytes(), Kind::Plain),
];

const C: [File; 4] = [
    ("policy.c", template!("c/policy.c"), Kind::Text),
    ("layshaft.h", template!("c/layshaft.h"), Kind::Plain),
    ("build", template!("c/build"), Kind::Command),
    ("wit/policy.wit", policy::WIT.as_bytes(), Kind::Plain),
];

impl Language {
    fn files(self) -> Vec<File> {
        let own: &[&[File]] = match self {
            Self::Rust => &[&RUST, &SDK],
            Self::C => &[&C],
            Self::Js => &[&JS],
            Self::Python => &[&PYTHON],
        };
        COMMON.iter().chain(own.iter().copied().flatten()).copied().collect()
    }

    /// What the README adds.
    fn more(self) -> &'static str {
        match self {
            Self::Rust => {
                "\n`cargo test` tests the decision without WebAssembly. `sdk/` is a copy of Layshaft's own and is not to be changed.\n"
            }
            Self::C => {
                "\n`layshaft.h` is the contract as it lies in memory, for `meta` and `matching`, and is not to be changed.\n"
            }
            Self::Js => {
                "\nFor another hook take another world of `wit/policy.wit`, or write one that exports several, and name it in `build`.\n"
            }
            Self::Python => {
                "\nFor another hook take another world of `wit/policy.wit`, or write one that exports several, and name it in `build`.\nThe component holds a whole Python; see what it costs with `layshaft policy bench`.\n"
            }
        }
    }
}

impl New {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if let Some(path) = self.clash() {
            bail!("the files of a policy called {} would include two called {path}: take another name", self.name);
        }
        let folder = self.into.join(&self.name);
        if let Err(error) = fs::create_dir(&folder) {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                bail!("{} is there already, and nothing of it is overwritten: take another name", folder.display());
            }
            return Err(error).with_context(|| format!("failed to make the folder {}", folder.display()));
        }
        for (path, contents, kind) in self.lang.files() {
            let contents = match std::str::from_utf8(contents) {
                Ok(text) if kind != Kind::Plain => self.filled(text).into_bytes(),
                _ => contents.to_vec(),
            };
            write(&folder.join(self.filled(path)), &contents, kind == Kind::Command)?;
        }
        let readme = self.filled(include_str!("../../../policies/templates/README.md.in"));
        write(&folder.join("README.md"), readme.as_bytes(), false)?;
        let name = &self.name;
        terminal::say(format!(
            "{} is written. Next:\n  cd {}\n  ./build\n  layshaft policy test {name}.wasm",
            folder.display(),
            folder.display()
        ))?;
        Ok(Exit::Ok)
    }

    /// Returns a path that the template would write twice; letter case does not count, as on some file systems.
    fn clash(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        let mut paths = self.lang.files().into_iter().map(|(path, ..)| self.filled(path));
        paths.find(|path| !seen.insert(path.to_ascii_lowercase()))
    }

    fn filled(&self, text: &str) -> String {
        let ident = self.name.replace('-', "_");
        text.replace("{{name}}", &self.name).replace("{{ident}}", &ident).replace("{{more}}\n", self.lang.more())
    }
}

fn write(path: &Path, contents: &[u8], is_command: bool) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        if is_command {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
        }
        options.open(path)?.write_all(contents)
    };
    written().with_context(|| format!("failed to write {}", path.display()))
}

/// Takes what can be a file, a slot and a package.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.chars().all(is_plain)
        && !text.ends_with('-');
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("write small letters, digits and hyphens, a letter first".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_file_of_the_template_has_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for (name, lang, expected) in [
            ("cases", Language::C, Some("cases.toml")),
            ("cargo", Language::Rust, Some("cargo.toml")),
            ("cargo", Language::C, None),
        ] {
            let new = New { name: name.to_owned(), lang, into: folder.path().to_owned() };
            assert_eq!(new.clash().map(|path| path.to_ascii_lowercase()).as_deref(), expected, "{name} in {lang:?}");
        }
        let new = New { name: "cases".to_owned(), lang: Language::Js, into: folder.path().to_owned() };
        assert!(new.run().unwrap_err().to_string().contains("take another name"));
        assert!(!folder.path().join("cases").exists());
    }
}
