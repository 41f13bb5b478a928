//! What a file has to pass before it is in force: pin and signature, interface, settings, laws.
//!
//! A gate never changes what is in force; it says yes, or which slot, which gate and what to do.

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmtime::Engine;

use super::binding::Sidecar;
use super::call::{CallError, Instance};
use super::chain::Voice;
use super::code_cache::CodeCache;
use super::component::{Hook, Module};
use super::config::Config;
use super::digest::Digest;
use super::folder::{Contents, fingerprint};
use super::generation::Slot;
use super::health::Health;
use super::laws;
use super::need::Sight;
use super::signature::{self, Signatures, Signed};
use super::status::{Gate, Refusal};
use super::tally::Tallies;

/// A policy that has passed all gates: what of it goes into a generation.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) stem: String,
    pub(super) module: Arc<Module>,
    pub(super) sidecar: Option<String>,
    pub(super) fingerprint: Digest,
    pub(super) signatures: Signatures,
    pub(super) signed: Option<Signed>,
    /// One for each binding.
    pub(super) slots: Vec<Arc<Slot>>,
    pub(super) advice: Vec<String>,
}

impl Version {
    /// Notes who vouches for it.
    pub(super) fn vouched(&mut self, signed: Signed, signatures: &Signatures) {
        self.signed = Some(signed);
        self.signatures.clone_from(signatures);
    }
}

/// Asks whether the site trusts these very files, whatever is in them.
pub(super) fn vouched(config: &Config, name: &str, stem: &str, contents: &Contents) -> Result<Signed, Refusal> {
    let refuse = |gate: Gate, reason: String| Refusal { slot: name.into(), gate, reason };
    if let Some(pin) = config.guard(name).sha256 {
        let digest = Digest::of(&contents.module);
        if pin != digest {
            let reason = format!(
                "its sha256 is {digest}, and policies.slots.{name}.sha256 accepts {pin} only: change one of them"
            );
            return Err(refuse(Gate::Pin, reason));
        }
    }
    let signed = signed(config, name, stem, contents);
    match &signed.fault {
        Some(fault) if signed.demanded => Err(refuse(Gate::Signature, fault.clone())),
        _ => Ok(signed),
    }
}

/// Returns how files are signed, whether that is demanded or not.
pub(super) fn signed(config: &Config, name: &str, stem: &str, contents: &Contents) -> Signed {
    signature::examine(&config.keys, config.demands_signature(name), name, stem, contents)
}

/// Compiles a module, unless that was done before.
pub(super) fn interface(
    engine: &Engine,
    config: &Config,
    cache: Option<&CodeCache>,
    name: &str,
    bytes: &[u8],
) -> Result<Arc<Module>, Refusal> {
    let refuse =
        |error: super::LoadError| Refusal { slot: name.into(), gate: Gate::Interface, reason: error.to_string() };
    Module::load(engine, bytes, &config.limits, cache).map(Arc::new).map_err(refuse)
}

/// Has a version that was in force pass again what any has to pass by itself; `module` compiles it.
pub(super) fn readmit(
    config: &Config,
    tallies: &Tallies,
    name: &str,
    stem: &str,
    contents: &Contents,
    module: impl FnOnce() -> Result<Arc<Module>, Refusal>,
) -> Result<Version, Refusal> {
    let signed = vouched(config, name, stem, contents)?;
    let mut version = settle(config, tallies, name, stem, module()?, contents.sidecar.as_deref())?;
    version.vouched(signed, &contents.signatures);
    Ok(version)
}

/// Binds a module to its settings, and tries both.
pub(super) fn settle(
    config: &Config,
    tallies: &Tallies,
    name: &str,
    stem: &str,
    module: Arc<Module>,
    sidecar: Option<&str>,
) -> Result<Version, Refusal> {
    let refuse = |gate: Gate, reason: String| Refusal { slot: name.into(), gate, reason };
    let settled = match sidecar {
        Some(text) => Sidecar::parse(text).map_err(|error| refuse(Gate::Settings, format!("{stem}.toml: {error}")))?,
        None => Sidecar::absent(),
    };
    let guard = config.guard(name);
    let (sight, advice) = Sight::new(name, &module.description.needs, &guard.grants, &config.secret_parameters)
        .map_err(|error| refuse(Gate::Settings, error))?;
    configure(config, &module, &settled.settings)
        .map_err(|error| refuse(Gate::Settings, format!("{error}; see {stem}.toml")))?;
    laws::breach(config, &module, &settled.settings).map_err(|example| refuse(Gate::Laws, example))?;
    let several = settled.binds.len() > 1;
    let settings: Arc<str> = settled.settings.into();
    let slots = settled.binds.into_iter().enumerate().map(|(index, bind)| {
        let slot_name = if several { format!("{name}#{}", index + 1) } else { name.to_owned() };
        let single_use = guard.single_use || bind.single_use;
        let grants = guard.grants.clone();
        Arc::new(Slot {
            tally: tallies.of(&slot_name),
            voice: Voice { name: slot_name.into(), policy: name.into(), grants, single_use },
            module: module.clone(),
            settings: settings.clone(),
            bind,
            mode: guard.mode,
            sight: sight.clone(),
            limits: config.limits.clone(),
            health: Health::default(),
        })
    });
    Ok(Version {
        stem: stem.to_owned(),
        sidecar: sidecar.map(str::to_owned),
        fingerprint: fingerprint(&module.digest, sidecar),
        signatures: Signatures::default(),
        signed: None,
        slots: slots.collect(),
        module,
        advice,
    })
}

/// Tries settings alone.
pub(super) fn configure(config: &Config, module: &Module, settings: &str) -> Result<(), CallError> {
    Instance::start(module, settings, &config.limits).map(drop)
}

/// Returns the bindings of a sidecar that may be broken; what cannot be read binds everywhere, to be safe.
pub(super) fn binds_of(sidecar: Option<&str>) -> Vec<super::binding::Bind> {
    sidecar.and_then(|text| Sidecar::parse(text).ok()).unwrap_or_else(Sidecar::absent).binds
}

/// Returns the hooks of a version, for people.
pub(super) fn hooks_of(version: &Version) -> BTreeSet<Hook> {
    version.module.hooks.clone()
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
