//! The site's configuration: each room's own `Config`, read from one TOML file and checked as a whole.
//!
//! ```text
//! text ─ document (spans) ◄─ environment
//!            │ serde, then rules
//!            ▼
//!          Config          or every problem, each with its file, line, key and what to write
//! ```
//!
//! Nothing here starts anything or asks the network. What is secret is read from files or the environment, never from
//! the configuration itself, and reaches no message.

mod document;
mod environment;
mod hint;
mod rules;
mod secret;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::{ControllerName, human_duration};
use crate::gearman::tls::{self, Tls};
use crate::{jenkins, policy, runtime};

use document::Document;
pub use environment::Environment;

/// Where the configuration is looked for when nobody says where it is.
pub const DEFAULT_FILES: [&str; 2] = ["layshaft.toml", "/etc/layshaft/layshaft.toml"];

/// A configuration larger than this is a mistake.
const LONGEST_FILE: u64 = 4 << 20;

/// Everything that a daemon is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub gearman: Gearman,
    pub policies: policy::Config,
    pub journal: Journal,
    pub control: Control,
    pub web: Option<Web>,
    pub builds: runtime::Config,
    pub log: Log,
    pub controllers: Vec<Controller>,
    /// What is in force, but hardly meant.
    pub warnings: Vec<String>,
}

/// Which Gearman servers the daemon serves. `[gearman]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gearman {
    /// Each `HOST:PORT`; the port may be left out if it is 4730. `server` is another word for it, for sites with one.
    #[serde(alias = "server", deserialize_with = "servers")]
    pub servers: Vec<String>,
    /// What the servers are.
    pub kind: Kind,
    #[serde(with = "human_duration")]
    pub connect_timeout: Duration,
    /// The longest pause between two attempts to connect.
    #[serde(with = "human_duration")]
    pub longest_pause: Duration,
    /// None: everything goes over the wire as it is. `[gearman.tls]`
    pub tls: Option<tls::Settings>,
    /// The same with its files as they were read; a file that differs makes a difference.
    #[serde(skip)]
    pub loaded_tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Asks each of them.
    #[default]
    Auto,
    Gearmand,
    Geard,
}

/// Where the daemon writes down what it must not forget. `[journal]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    pub file: PathBuf,
}

/// How the daemon is asked and told. `[control]`
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// None: the default place, which depends on who runs the daemon.
    pub socket: Option<PathBuf>,
    /// Who may change things, besides root and the daemon's own user.
    pub users: BTreeSet<u32>,
    pub tcp: Option<ControlTcp>,
}

/// The control channel over TCP: only with a token.
#[derive(Clone, Debug)]
pub struct ControlTcp {
    pub listen: SocketAddr,
    pub token: SecretString,
}

/// Where monitoring asks: `/health`, `/ready` and `/metrics` over TCP, and nothing that could change anything. `[web]`
#[derive(Clone, Debug)]
pub struct Web {
    pub listen: SocketAddr,
    /// None: whoever can reach it may see metrics.
    pub token: Option<SecretString>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// As `RUST_LOG` is written: `info`, `layshaft=debug`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    Human,
    Json,
}

/// One of `[[controllers]]`.
#[derive(Clone, Debug)]
pub struct Controller {
    pub name: ControllerName,
    /// The suffix of `stop:` and `set_description:`.
    pub host: String,
    pub tags: BTreeSet<String>,
    /// Offers builds; otherwise it is only managed.
    pub serve: bool,
    /// Builds are started by a script, which needs an administrator's token.
    pub privileged: bool,
    pub jenkins: jenkins::Config,
    pub credentials: jenkins::Credentials,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read the configuration {}; name another one with --config", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("the configuration is not valid:\n{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// Something in the configuration that has to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `FILE:LINE`, or the name of the environment's variable.
    pub place: String,
    /// Empty if the file cannot be read as TOML at all.
    pub key: String,
    /// What is wrong and what to write.
    pub text: String,
    /// Where it is, for the order in which people read; variables come last.
    position: usize,
}

impl Config {
    /// Reads and checks a configuration, with this process's environment.
    ///
    /// # Errors
    ///
    /// Every problem that was found; then nothing of the configuration is to be used.
    pub fn load(file: &Path) -> Result<Self, Error> {
        Self::load_with(file, &Environment::of_process())
    }

    /// Reads and checks a configuration.
    pub fn load_with(file: &Path, environment: &Environment) -> Result<Self, Error> {
        let failed = |source| Error::Read { file: file.to_owned(), source };
        let length = std::fs::metadata(file).map_err(failed)?.len();
        if length > LONGEST_FILE {
            return Err(failed(std::io::Error::other(format!("it has {length} bytes, more than {LONGEST_FILE}"))));
        }
        let text = std::fs::read_to_string(file).map_err(failed)?;
        Self::parse(file, &text, environment)
    }

    /// Checks a configuration whose text is at hand; `file` is what its relative paths are relative to.
    pub fn parse(file: &Path, text: &str, environment: &Environment) -> Result<Self, Error> {
        let overrides = environment.overrides();
        let document = Document::parse(file, text, &overrides).map_err(Error::Invalid)?;
        let raw: rules::Raw = document.read().map_err(Error::Invalid)?;
        rules::check(raw, &document, environment).map_err(Error::Invalid)
    }

    /// Returns the sections that differ and only take force with a restart.
    pub fn needs_restart_for(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("gearman", self.gearman != other.gearman),
            ("policies", self.policies != other.policies),
            ("journal", self.journal != other.journal),
            ("control", !self.control.is_same(&other.control)),
            ("web", !Web::is_same(self.web.as_ref(), other.web.as_ref())),
            ("log", self.log != other.log),
        ];
        differs.into_iter().filter_map(|(section, differs)| differs.then_some(section)).collect()
    }
}

impl Control {
    fn is_same(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        let tcp = |control: &Self| control.tcp.as_ref().map(|tcp| (tcp.listen, tcp.token.expose_secret().to_owned()));
        self.socket == other.socket && self.users == other.users && tcp(self) == tcp(other)
    }
}

impl Web {
    fn is_same(one: Option<&Self>, other: Option<&Self>) -> bool {
        use secrecy::ExposeSecret;
        let told = |web: &Self| (web.listen, web.token.as_ref().map(|token| token.expose_secret().to_owned()));
        one.map(told) == other.map(told)
    }
}

impl Default for Gearman {
    fn default() -> Self {
        Self {
            servers: vec!["127.0.0.1:4730".to_owned()],
            kind: Kind::default(),
            connect_timeout: Duration::from_secs(5),
            longest_pause: Duration::from_secs(2),
            tls: None,
            loaded_tls: None,
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self { file: "state/journal.db".into() }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, text, .. } = self;
        if key.is_empty() { write!(f, "{place}: {text}") } else { write!(f, "{place}: {key}: {text}") }
    }
}

/// Reads one address, several with commas between them as in the environment, or a list.
fn servers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split(',').map(|address| address.trim().to_owned()).collect())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut addresses = Vec::new();
            while let Some(address) = list.next_element()? {
                addresses.push(address);
            }
            Ok(addresses)
        }
    }
    deserializer.deserialize_any(Visitor)
}

fn lines(problems: &[Problem]) -> String {
    let mut problems: Vec<&Problem> = problems.iter().collect();
    problems.sort_by_key(|problem| problem.position);
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}
