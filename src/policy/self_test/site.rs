//! A policy folder of its own with two policies in force, a witness and a suspect, under the host's own code.
//!
//! The suspect is bound to projects below `suspect/`, the witness to those below `witness/`: whatever becomes of the
//! one, the other has to answer as ever.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::super::component::Hook;
use super::super::config::{Config, Limits};
use super::super::digest::Digest;
use super::super::reload::{Error, Policies};
use super::super::status::{Refusal, SlotStatus};
use super::kit::{Answer, Dropped, Place, Specimen};
use super::told::{CLASSIC, Told, ask, filter};

/// The folder, and what is in force in it.
pub(super) struct Site {
    root: TempDir,
    policies: Policies,
    good: Vec<u8>,
}

/// What became of a specimen.
pub(super) struct Seen {
    pub(super) got: String,
    /// Whether that is what has to become of it.
    pub(super) held: bool,
    /// The longest that anybody had to wait for the host.
    pub(super) took: Duration,
}

impl Site {
    /// Opens a folder under these limits. What a site grants, pins and requires is not for the suspect.
    pub(super) fn open(limits: &Limits, witness: &[u8], good: &[u8]) -> Result<Self, Trouble> {
        let site = Self::open_with_suspect(limits, witness, good)?;
        site.others_are_well().map_err(Trouble::Start)?;
        Ok(site)
    }

    pub(super) fn open_with_suspect(limits: &Limits, witness: &[u8], good: &[u8]) -> Result<Self, Trouble> {
        let root = tempfile::tempdir()?;
        let mut config = Config::new(root.path().join("policies"));
        config.limits = limits.clone();
        fs::create_dir(&config.folder)?;
        fs::create_dir(root.path().join("outside"))?;
        fs::write(config.folder.join("10-witness.wasm"), witness)?;
        fs::write(config.folder.join("10-witness.toml"), "[[bind]]\nprojects = [\"witness/**\"]\n")?;
        fs::write(config.folder.join("20-suspect.wasm"), good)?;
        fs::write(config.folder.join("20-suspect.toml"), "[[bind]]\nprojects = [\"suspect/**\"]\n")?;
        Ok(Self { root, policies: Policies::open(config)?, good: good.to_vec() })
    }

    /// Drops a specimen over the last good version, sees what becomes of it, and takes it away again. None if it cannot
    /// be made here.
    pub(super) async fn examine(
        &self,
        specimen: &Specimen,
        module: Option<&[u8]>,
        limits: &Limits,
    ) -> Result<Result<Seen, String>, Trouble> {
        let path = self.suspect();
        self.put_back_the_good_one(&path).await?;
        remove(&path)?;
        match (&specimen.dropped, module) {
            (Dropped::Module, module) => fs::write(&path, module.unwrap_or_default())?,
            (Dropped::Made(make), _) => fs::write(&path, make(limits, &self.good))?,
            (Dropped::Placed(place), _) => {
                let outside = self.root.path().join("outside");
                let placed = place(&Place { path: &path, outside: &outside, good: &self.good, limits });
                match placed {
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(Err(error.to_string())),
                    placed => placed?,
                }
            }
        }
        let begin = Instant::now();
        let report = self.policies.reload().await;
        let took = begin.elapsed();
        let refusal = report.refused.into_iter().find(|refusal| refusal.slot == "suspect");
        let mut seen = match (&specimen.answer, refusal) {
            (answer, Some(refusal)) => self.after_refusal(answer, &refusal, took),
            (answer, None) => self.in_force(answer, took),
        };
        if let Err(reason) = self.others_are_well() {
            seen.got = format!("{}; others suffer: {reason}", seen.got);
            seen.held = false;
        }
        Ok(Ok(seen))
    }

    /// Replaces one good version by another, so many times.
    pub(super) async fn swap(&self, versions: [&[u8]; 2], times: usize) -> Result<(), Trouble> {
        let path = self.suspect();
        remove(&path)?;
        for version in versions.into_iter().cycle().take(times) {
            fs::write(&path, version)?;
            let report = self.policies.reload().await;
            if self.status().digest != Some(Digest::of(version)) {
                return Err(Trouble::Swap(report.refused.first().map(ToString::to_string).unwrap_or_default()));
            }
            ask(&self.policies.live(), "suspect/lint");
        }
        Ok(())
    }

    /// Measures how long the suspect's first question takes.
    pub(super) fn time_one_question(&self) -> Duration {
        let live = self.policies.live();
        let begin = Instant::now();
        filter(&live, "suspect/lint");
        begin.elapsed()
    }

    fn suspect(&self) -> PathBuf {
        self.policies.config().folder.join("20-suspect.wasm")
    }

    async fn put_back_the_good_one(&self, path: &Path) -> Result<(), Trouble> {
        if self.status().digest == Some(Digest::of(&self.good)) {
            return Ok(());
        }
        remove(path)?;
        fs::write(path, &self.good)?;
        self.policies.reload().await;
        match self.status().digest == Some(Digest::of(&self.good)) {
            true => Ok(()),
            false => Err(Trouble::Start("the good version does not come into force again".to_owned())),
        }
    }

    fn status(&self) -> SlotStatus {
        let list = self.policies.list();
        list.into_iter().find(|status| status.name == "suspect").expect("its file or its last good version is there")
    }

    fn after_refusal(&self, answer: &Answer, refusal: &Refusal, took: Duration) -> Seen {
        let mut got = format!("refused at gate {}: {}", refusal.gate, refusal.reason);
        let mut held = match answer {
            Answer::Refused(gate, words) => refusal.gate == *gate && refusal.reason.contains(words),
            Answer::Fails(_) | Answer::Shows(_) => false,
        };
        let last_good = ask(&self.policies.live(), "suspect/lint").names;
        if self.status().digest != Some(Digest::of(&self.good)) || last_good != "names build:good" {
            got = format!("{got}; the last good version is gone: {last_good}");
            held = false;
        }
        Seen { got, held, took }
    }

    fn in_force(&self, answer: &Answer, took: Duration) -> Seen {
        let told = ask(&self.policies.live(), "suspect/lint");
        let status = self.status();
        let mut got: Vec<String> = Vec::new();
        for hook in &status.hooks {
            got.push(match hook {
                Hook::Matching => told.matching.clone(),
                Hook::Naming => told.names.clone(),
                Hook::Parameters => told.filter.clone(),
                Hook::Offline => told.offline.clone(),
            });
        }
        let held = match answer {
            Answer::Refused(..) => false,
            Answer::Fails(words) => {
                let fails = |told: &String| told.starts_with("fails") && told.contains(words) || told == CLASSIC;
                let is_told = status.failing.as_ref().is_some_and(|failing| failing.contains(words));
                got.iter().all(fails) && is_told
            }
            Answer::Shows(words) => {
                got.extend(status.advice.iter().map(|advice| format!("advice: {advice}")));
                got.join("; ").contains(words)
            }
        };
        if let (Answer::Fails(_), Some(failing)) = (answer, &status.failing) {
            got = vec![format!("in force, {failing}")];
        }
        // What it costs to come into force is its compilation; afterwards it may cost only this.
        let took = if matches!(answer, Answer::Fails(_)) { told.longest } else { took };
        Seen { got: got.join("; "), held, took }
    }

    fn others_are_well(&self) -> Result<(), String> {
        let Told { matching, names, filter, offline, .. } = ask(&self.policies.live(), "witness/lint");
        let expected = ["matches", "names build:witness", "passes VERSION=1", "reserve, offline, 7 characters"];
        let told = [matching, names, filter, offline];
        let wrong = told.iter().zip(expected).find(|(told, expected)| told != expected);
        wrong.map_or(Ok(()), |(told, expected)| Err(format!("the witness says {told:?} and not {expected:?}")))
    }
}

/// Why the kit could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("failed to prepare a policy folder: {0}")]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Policies(#[from] Error),
    #[error("a good policy does not answer as it should under these limits: {0}")]
    Start(String),
    #[error("a good policy was not replaced by another: {0}")]
    Swap(String),
}

/// Removes whatever is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
