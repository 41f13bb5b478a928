//! One policy on its author's bench: looked at, asked and measured by the code that the daemon runs it with.
//!
//! It knows no folder, no chain and no site; what several policies make of a question together is not seen here.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::binding::Sidecar;
use super::call::{CallError, Instance};
use super::component::{Description, Hook, Module};
use super::config::{Config, Grant, Limits};
use super::digest::Digest;
use super::folder::{self, Contents};
use super::signature::Signed;
use super::status::{Gate, Refusal};
use super::written::{Question, Verdict};
use super::{engine, gate, reload};

/// A policy that was loaded and not put into force.
#[derive(Debug)]
pub struct Workbench {
    pub(super) config: Config,
    pub(super) name: String,
    pub(super) stem: String,
    pub(super) contents: Contents,
    pub(super) module: Arc<Module>,
}

/// What a file is, whatever its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    pub description: Description,
    pub hooks: BTreeSet<Hook>,
    pub signed: Signed,
    /// Always empty, else it would not have been loaded: its verdicts are a function of question and settings.
    pub imports: Vec<String>,
    pub limits: Limits,
}

/// A verdict, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    #[serde(flatten)]
    pub verdict: Verdict,
    /// For starting, `configure` and the question together, as the limit counts it. The same each time.
    pub fuel: u64,
    /// For starting and `configure`.
    pub start_microseconds: u64,
    /// For the question.
    pub microseconds: u64,
}

/// What one question costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// On an instance of its own, as in a decision about a job: start, `configure`, question.
    pub fresh: Spread,
    /// On an instance that has answered before, as in a pass over the function table.
    pub kept: Spread,
}

/// How long something took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub fuel: u64,
    /// How often it was measured.
    pub n: usize,
    pub median_nanoseconds: u64,
    pub p95_nanoseconds: u64,
}

impl Workbench {
    /// Reads and compiles a file by the rules of the policy folder, with the sidecar beside it.
    ///
    /// # Errors
    /// A file that the daemon would refuse, with the same words.
    pub fn open(path: &Path, config: &Config) -> Result<Self, reload::Error> {
        let file = folder::read_one(path, config.limits.max_module);
        let name = match &file {
            Ok(file) => file.name.clone(),
            Err(_) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let refuse = |gate: Gate, reason: String| reload::Error::Refused(Refusal { slot: name.clone(), gate, reason });
        let (stem, contents) = file
            .and_then(|file| Ok((file.stem, file.contents?)))
            .map_err(|reason| refuse(Gate::Folder, format!("{}: {reason}", path.display())))?;
        let engine = engine::start(&config.limits).map_err(|error| reload::Error::Engine(format!("{error:#}")))?;
        let module = Module::load(&engine, &contents.module, &config.limits, None).map_err(|error| {
            let shown = path.display().to_string();
            let component = path.with_extension("component.wasm").display().to_string();
            // The line to run, with this file's name in it.
            let reason = error.to_string().replace("COMPONENT", &component).replace("FILE", &shown);
            refuse(Gate::Interface, reason)
        })?;
        Ok(Self { config: config.clone(), name, stem, contents, module: Arc::new(module) })
    }

    /// Returns what the file is.
    pub fn inspect(&self) -> Inspection {
        Inspection {
            digest: self.module.digest.clone(),
            size: self.contents.module.len() as u64,
            description: self.module.description.clone(),
            hooks: self.module.hooks.clone(),
            signed: gate::signed(&self.config, &self.name, &self.stem, &self.contents),
            imports: Vec::new(),
            limits: self.config.limits.clone(),
        }
    }

    /// Returns the settings in the sidecar beside the file, as JSON; `{}` if there is none.
    ///
    /// # Errors
    /// A sidecar that cannot be read.
    pub fn settings(&self) -> Result<String, String> {
        let sidecar = self.contents.sidecar.as_deref().map(Sidecar::parse).transpose();
        let sidecar = sidecar.map_err(|error| format!("{}.toml: {error}", self.stem))?;
        Ok(sidecar.unwrap_or_else(Sidecar::absent).settings)
    }

    /// Puts a question to a fresh instance. The policy sees what it asks to see and, if grants are stated, was granted.
    ///
    /// # Errors
    /// How the call failed, the settings' refusal included.
    pub fn ask(
        &self,
        settings: &str,
        question: &Question,
        grants: Option<&BTreeSet<Grant>>,
    ) -> Result<Told, CallError> {
        let question = self.seen(question, grants)?;
        let begin = Instant::now();
        let mut instance = Instance::start(&self.module, settings, &self.config.limits)?;
        let started = begin.elapsed();
        let verdict = question.ask(&mut instance)?;
        Ok(Told {
            verdict,
            fuel: self.config.limits.fuel.saturating_sub(instance.fuel_left()),
            start_microseconds: microseconds(started),
            microseconds: microseconds(begin.elapsed() - started),
        })
    }

    /// Tries settings alone.
    ///
    /// # Errors
    /// The settings' refusal, or how `configure` failed.
    pub fn configure(&self, settings: &str) -> Result<(), CallError> {
        gate::configure(&self.config, &self.module, settings)
    }

    /// Asks again and again, for about as long as `time` and at most `most` times in each way.
    ///
    /// # Errors
    /// How a call failed.
    pub fn measure(
        &self,
        settings: &str,
        question: &Question,
        grants: Option<&BTreeSet<Grant>>,
        time: Duration,
        most: usize,
    ) -> Result<Cost, CallError> {
        let asking = self.asking(settings, question, grants)?;
        let (time, most) = (time / 2, most.max(1));
        let fresh = spread(time, most, || {
            let mut instance = asking.keep()?;
            instance.ask()?;
            Ok(instance.fuel_in_all())
        })?;
        let mut instance = asking.keep()?;
        instance.ask()?;
        let kept = spread(time, most, || {
            instance.ask()?;
            Ok(instance.fuel())
        })?;
        Ok(Cost { fresh, kept })
    }

    pub(super) fn seen(&self, question: &Question, grants: Option<&BTreeSet<Grant>>) -> Result<Question, CallError> {
        let hook = question.call().hook();
        if !self.module.hooks.contains(&hook) {
            return Err(CallError::Invalid(format!("the policy does not export {hook}, so it is never asked")));
        }
        Ok(question.clone().cut(&self.module.description.needs, grants))
    }
}

/// Times `run` until the time is over; it returns the fuel that it took.
fn spread(time: Duration, most: usize, mut run: impl FnMut() -> Result<u64, CallError>) -> Result<Spread, CallError> {
    let end = Instant::now() + time;
    let mut took = Vec::new();
    let mut fuel = 0;
    while took.is_empty() || (took.len() < most && Instant::now() < end) {
        let begin = Instant::now();
        fuel = run()?;
        took.push(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    Ok(Spread { fuel, n: took.len(), median_nanoseconds: at(50), p95_nanoseconds: at(95) })
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Returns the settings in a text of the form of a sidecar, as JSON.
///
/// # Errors
/// What is wrong with the text.
pub fn settings_of(sidecar: &str) -> Result<String, String> {
    Sidecar::parse(sidecar).map(|sidecar| sidecar.settings)
}
