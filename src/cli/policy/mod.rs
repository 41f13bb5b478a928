//! `layshaft policy`: one file per command. Those for operators ask the daemon, those for authors run a file by the
//! daemon's own code and ask nobody.

mod ask;
mod bench;
mod check;
mod contract;
mod explain;
mod inspect;
mod keygen;
mod log;
mod new;
mod records;
mod replay;
mod run;
mod test;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{Exit, in_tokio};
use crate::config::Config;
use crate::policy::{self, PublicKey, Signed, Workbench};

pub(super) use ask::table;
#[cfg(test)]
pub(super) use ask::{on_trial, usage_table};

/// See and change which policies are in force; write, try and test new ones.
#[derive(Debug, clap::Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the policies, what they were asked and answered, and what is wrong with them.
    List(ask::Ask),
    /// Look at the folder now, also at files that were refused before.
    Reload(ask::Gated),
    /// Return a policy to the version before.
    Rollback(ask::Name),
    /// Let the version in the folder in again that was rolled back.
    Accept(ask::Name),
    /// End a policy whose file was taken out of the folder.
    Retire(ask::NameGated),
    /// Take a policy out of force for a while; its file stays.
    Disable(ask::Disable),
    /// Put a policy that was disabled in force again.
    Enable(ask::Name),
    /// Let nothing in from the folder until it is thawed, over restarts too.
    Freeze(ask::Ask),
    /// Let in again what lies in the folder.
    Thaw(ask::Ask),
    /// List what policies have decided, the latest first.
    Log(log::Log),
    /// Show one decision in full, and make it again by what was in force then.
    Explain(explain::Explain),
    /// Find the change of policies that changed a decision.
    Bisect(explain::Bisect),
    /// Make a pair of keys, to seal values in the list of decisions and to open them.
    Keygen(keygen::Keygen),
    /// Write a folder with a new policy to start from.
    New(new::New),
    /// Check a .wasm file, with the .toml beside it, as the daemon would.
    Check(check::Check),
    /// Show what a .wasm file is: its hooks, what it asks to see, what it imports, its digest, its limits.
    Inspect(inspect::Inspect),
    /// Put one question to a .wasm file.
    Run(run::Run),
    /// Hold a .wasm file against a file of cases.
    Test(test::Test),
    /// Measure what the questions of a file of cases cost.
    Bench(bench::Bench),
    /// Put recorded decisions to a .wasm file: what would come out otherwise.
    Replay(replay::Replay),
    /// Print the JSON Schema of what a hook is asked and answers, or of a file of cases.
    Schema(contract::Schema),
    /// Print the contract with policies.
    Contract(contract::Contract),
}

impl Policy {
    /// Those for operators ask the daemon; those for authors need neither one nor any other thread.
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.action {
            Action::List(ask) => in_tokio(ask.list()),
            Action::Reload(ask::Gated { gates, ask }) => {
                in_tokio(ask.change(async |client| client.reload_policies(&gates.waived()).await))
            }
            Action::Rollback(ask::Name { name, ask }) => {
                in_tokio(ask.change(async |client| client.roll_back(name).await))
            }
            Action::Accept(ask::Name { name, ask }) => in_tokio(ask.change(async |client| client.accept(name).await)),
            Action::Retire(ask::NameGated { name, gated: ask::Gated { gates, ask } }) => {
                in_tokio(ask.change(async |client| client.retire(name, &gates.waived()).await))
            }
            Action::Disable(ask::Disable { name, how_long, gated: ask::Gated { gates, ask } }) => {
                in_tokio(ask.change(async |client| client.disable(name, *how_long, &gates.waived()).await))
            }
            Action::Enable(ask::Name { name, ask }) => in_tokio(ask.change(async |client| client.enable(name).await)),
            Action::Freeze(ask) => in_tokio(ask.change(async |client| client.freeze_policies(true).await)),
            Action::Thaw(ask) => in_tokio(ask.change(async |client| client.freeze_policies(false).await)),
            Action::Log(log) => in_tokio(log.run()),
            Action::Explain(explain) => in_tokio(explain.run()),
            Action::Bisect(bisect) => in_tokio(bisect.run()),
            Action::Keygen(keygen) => keygen.run(),
            Action::New(new) => new.run(),
            Action::Check(check) => check.run(),
            Action::Inspect(inspect) => inspect.run(),
            Action::Run(run) => run.run(),
            Action::Test(test) => test.run(),
            Action::Bench(bench) => bench.run(),
            Action::Replay(replay) => replay.run(),
            Action::Schema(schema) => schema.run(),
            Action::Contract(contract) => contract.run(),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(600);

/// Which policy file is meant, and under which limits.
#[derive(Debug, clap::Args)]
struct File {
    /// The policy, as it would lie in the daemon's folder.
    file: PathBuf,
    /// The configuration whose limits and grants count; without it the defaults do.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Whose signatures count.
#[derive(Debug, clap::Args)]
struct Keys {
    /// Demand that this key has signed it: the key, or a file such as minisign.pub. May be repeated.
    #[arg(long = "key", value_name = "KEY|FILE", value_parser = key)]
    keys: Vec<PublicKey>,
}

impl Keys {
    fn add_to(&self, config: &mut policy::Config) {
        for key in &self.keys {
            config.keys.insert("--key".to_owned() + " " + &key.id(), key.clone());
            config.signed = Some(true);
        }
    }
}

fn key(text: &str) -> Result<PublicKey, String> {
    PublicKey::try_from(text.to_owned()).or_else(|error| match std::fs::metadata(text) {
        Ok(_) => PublicKey::try_from(read_text(Path::new(text)).map_err(|error| format!("{error:#}"))?),
        Err(_) => Err(error),
    })
}

impl File {
    fn config(&self) -> anyhow::Result<policy::Config> {
        Ok(match &self.config {
            Some(config) => Config::load(config)?.policies,
            None => policy::Config::new(self.file.parent().unwrap_or(Path::new(""))),
        })
    }

    /// Opens it for its author, who waits for a compilation longer than a daemon does.
    fn open(&self) -> anyhow::Result<Workbench> {
        self.open_under(self.config()?)
    }

    fn open_under(&self, mut config: policy::Config) -> anyhow::Result<Workbench> {
        config.limits.compile_timeout = config.limits.compile_timeout.max(PATIENCE);
        Workbench::open(&self.file, &config).with_context(|| self.refused())
    }

    fn refused(&self) -> String {
        format!("the daemon would refuse {}", self.file.display())
    }
}

/// Returns the word that scripts see for a value, for people too.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Questions and cases beyond this are a mistake.
const LONGEST_TEXT: u64 = 16 << 20;

/// Returns how files are signed, in a line.
fn signature(signed: &Signed) -> String {
    match (signed.names(), &signed.fault) {
        (Some(names), _) => format!("by {names}"),
        (None, fault) => format!("not known to be: {}", fault.as_deref().unwrap_or_default()),
    }
}

/// Reads a text from a file, or from the standard input if it is called `-`. Only a file that ends is read.
fn read_text(path: &Path) -> anyhow::Result<String> {
    let open = || -> std::io::Result<Box<dyn std::io::Read>> {
        if path == Path::new("-") {
            return Ok(Box::new(std::io::stdin()));
        }
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is not a file"));
        }
        Ok(Box::new(std::fs::File::open(path)?))
    };
    let mut bytes = Vec::new();
    // One more than the limit, so that a text that is cut is known as such.
    let read = open().and_then(|file| file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("failed to read {}", path.display()))?;
    if bytes.len() as u64 > LONGEST_TEXT {
        bail!("{} has more than {LONGEST_TEXT} bytes, and more are not read: split it", path.display());
    }
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.toml");
        std::fs::write(&path, vec![b'#'; LONGEST_TEXT as usize]).unwrap();
        assert_eq!(read_text(&path).unwrap().len() as u64, LONGEST_TEXT);
        std::fs::write(&path, vec![b'#'; LONGEST_TEXT as usize + 1]).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("more than 16777216 bytes"));
        std::fs::write(&path, b"\xff").unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("not UTF-8"));
    }
}
