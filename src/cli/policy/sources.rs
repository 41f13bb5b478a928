//! Where a fleet and the policies in force come from: the daemon that runs here, or files of another time and place.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::super::arguments::ControlSocket;
use super::{PATIENCE, simulated};
use crate::config::Config;
use crate::policy::{self, Lineup};
use crate::runtime::fleet::Fleet;

/// More than the largest sites have.
const LONGEST_FLEET: u64 = 512 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Sources {
    /// Take the fleet from this file, which `layshaft fleet export` or `layshaft simulate --print-fleet` wrote [default: what
    /// the daemon sees now].
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Take the policies that are in force from this folder [default: what the daemon has in force].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Take limits, grants and the folder from this configuration [default: what the daemon goes by].
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A fleet, and how to come by its policies.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) fleet: Fleet,
    pub(super) config: policy::Config,
    pub(super) warnings: Vec<String>,
    /// Nobody says where policies are.
    without_policies: bool,
    /// The policies are those that the fleet was seen with.
    of_fleet: bool,
}

/// Why nothing was looked at. As an exit code it is told from an answer that is no.
#[derive(Debug, thiserror::Error)]
#[error("nothing was compared")]
pub(in super::super) struct NotCompared(#[source] anyhow::Error);

impl NotCompared {
    /// Wraps errors that have no exit code of their own.
    pub(super) fn wrap(error: anyhow::Error) -> anyhow::Error {
        if super::Exit::of(&error) == super::Exit::Failed { Self(error).into() } else { error }
    }
}

impl Sources {
    pub(super) fn are_named(&self) -> bool {
        self.fleet.is_some() || self.folder.is_some() || self.config.is_some()
    }

    pub(super) async fn gather(&self, socket: &ControlSocket) -> anyhow::Result<Gathered> {
        let mut fleet = match &self.fleet {
            Some(file) => read(file).with_context(|| format!("{} is not understood", file.display()))?,
            None => socket.client()?.fleet().await?,
        };
        if fleet.controllers.is_empty() {
            bail!("the fleet has no controllers: wait until the daemon has reached one, see `layshaft status`");
        }
        let gone = fleet.controllers.iter().filter(|(_, controller)| controller.serve && !controller.reachable);
        let warnings: Vec<String> =
            gone.map(|(name, _)| format!("controller {name} does not answer, so nothing of it is looked at")).collect();
        let mut config = match (&self.config, &fleet.policies) {
            (Some(file), _) => {
                let config = Config::load(file)?;
                fleet.pin_parameters = config.builds.pin_parameters;
                config.policies
            }
            (None, Some(policies)) => policies.config(),
            (None, None) => policy::Config::new(""),
        };
        let without_policies = self.config.is_none() && fleet.policies.is_none() && self.folder.is_none();
        if let Some(folder) = &self.folder {
            (config.folder, config.state) = (folder.clone(), None);
        }
        // An author waits for a compilation longer than a daemon does.
        config.limits.compile_timeout = config.limits.compile_timeout.max(PATIENCE);
        let of_fleet = self.config.is_none() && self.folder.is_none();
        Ok(Gathered { fleet, config, warnings, without_policies, of_fleet })
    }
}

impl Gathered {
    /// Returns the policies that are in force.
    pub(super) fn in_force(&mut self) -> anyhow::Result<Lineup> {
        if self.without_policies {
            let warning = "no folder of policies is known: --folder names one; so far none is in force";
            self.warnings.push(warning.to_owned());
            return Ok(Lineup::classic(&self.config)?);
        }
        let unread = "the policies in force are not known: name their folder (--folder) or configuration (--config)";
        let lineup = Lineup::in_force(&self.config).context(unread)?;
        self.warnings.extend(lineup.warnings().iter().cloned());
        if let Some(policies) = self.fleet.policies.as_ref().filter(|_| self.of_fleet) {
            let here = lineup.digests();
            let names = policies.in_force.keys().chain(here.keys());
            let other = names.filter(|name| policies.in_force.get(*name) != here.get(*name));
            let other: std::collections::BTreeSet<&String> = other.collect();
            self.warnings.extend(other.into_iter().map(|name| {
                format!("policy {name} was in force in another version, or not at all, when the fleet was seen")
            }));
        }
        Ok(lineup)
    }
}

/// Reads a fleet in either form.
fn read(file: &Path) -> anyhow::Result<Fleet> {
    let metadata = std::fs::metadata(file)?;
    if !metadata.is_file() {
        bail!("it is not a file");
    }
    if metadata.len() > LONGEST_FLEET {
        bail!("it has {} bytes, and more than {LONGEST_FLEET} are not read", metadata.len());
    }
    let text = std::fs::read_to_string(file)?;
    if text.trim_start().starts_with('{') {
        Fleet::read(&text).map_err(|error| anyhow!(error))
    } else {
        simulated::read(&text)
    }
}
