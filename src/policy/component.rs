//! From bytes to a policy that can be instantiated, or an error that says what its author has to do.
//!
//! Nothing that imports anything gets past here; a policy's verdict is then a function of the question.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::mpsc;

use serde::{Deserialize, Serialize};
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::bindings::{self, Indices};
use super::call::{CallError, Instance, Limiter};
use super::code_cache::CodeCache;
use super::config::Limits;
use super::deserialize::deserialize;
use super::digest::Digest;

const PACKAGE: &str = "layshaft:policy/";
const VERSION: &str = "0.1.0";

/// A question that policies are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    Naming,
    Matching,
    Parameters,
    Offline,
}

impl Hook {
    pub(super) const ALL: [Self; 4] = [Self::Naming, Self::Matching, Self::Parameters, Self::Offline];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Naming => "naming",
            Self::Matching => "matching",
            Self::Parameters => "parameters",
            Self::Offline => "offline",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a policy says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub needs: Needs,
}

/// What a policy asks to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    pub project: bool,
    pub node_name: bool,
    /// Globs.
    pub labels: Vec<String>,
    pub parameter_values: ParameterValues,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterValues {
    None,
    Named(BTreeSet<String>),
    All,
}

impl ParameterValues {
    pub(super) fn include(&self, parameter: &str) -> bool {
        match self {
            Self::None => false,
            Self::Named(names) => names.contains(parameter),
            Self::All => true,
        }
    }
}

/// A policy file, compiled and tried.
pub(super) struct Module {
    pub(super) digest: Digest,
    pub(super) hooks: BTreeSet<Hook>,
    pub(super) description: Description,
    pub(super) pre: InstancePre<Limiter>,
    pub(super) indices: Indices,
}

/// Why a file is no policy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "the file has {size} bytes and more than {limit} are not loaded: strip it, or raise policies.limits.max_module"
    )]
    TooLarge { size: u64, limit: u64 },
    #[error("the file is empty: copy it under a temporary name, then rename it")]
    Empty,
    #[error("the file is WebAssembly text: translate it first, with `wasm-tools parse FILE -o FILE.wasm`")]
    Text,
    #[error("the file is not WebAssembly (it does not start with \\0asm)")]
    NotWasm,
    #[error("the file is a core module, not a component: {0}")]
    CoreModule(Wrap),
    #[error(
        "the file cannot be compiled: {0}; if it was still being copied, copy it under a temporary name, then rename it"
    )]
    Compile(String),
    #[error(
        "it starts with more memory than a policy gets: {0}; let it start with less, or raise policies.limits.memory"
    )]
    TooMuchMemory(String),
    #[error("the file took longer than {0:?} to compile: make it smaller, or raise policies.limits.compile_timeout")]
    CompileTimeout(std::time::Duration),
    #[error(
        "it imports {0}; a policy may import nothing at all: build it for wasm32-unknown-unknown, or make the component \
         with `componentize-py … --stub-wasi` or `jco componentize … --backend-qjs-stub-wasi`"
    )]
    Imports(String),
    #[error(
        "it exports {export}, which this version does not know; it knows {PACKAGE}{{meta, naming, matching, parameters, offline}}@{VERSION}"
    )]
    UnknownExport { export: String },
    #[error(
        "it does not export {PACKAGE}meta@{VERSION}, by which a policy introduces itself: build it for a world of \
         wit/policy.wit, which `layshaft policy contract --wit` prints"
    )]
    NoMeta,
    #[error("it exports none of the hooks naming, matching, parameters, offline, so it could never be asked anything")]
    NoHook,
    #[error("its exports do not fit wit/policy.wit: {0}")]
    WrongType(String),
    #[error("it cannot be started: {0}")]
    Start(#[source] CallError),
}

/// How a core module becomes a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// Its interface is written in it.
    New,
    /// The interface has to be written into it first.
    Embed,
    /// It was linked against WASI.
    StubWasi,
}

impl Wrap {
    fn of(bytes: &[u8]) -> Self {
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        match (holds(b"wasi_snapshot_preview1"), holds(b"component-type")) {
            (true, _) => Self::StubWasi,
            (false, true) => Self::New,
            (false, false) => Self::Embed,
        }
    }
}

/// Says what to run. FILE and COMPONENT stand for the names, which only the caller knows.
impl fmt::Display for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "wrap it, with `wasm-tools component new FILE -o COMPONENT`",
            Self::Embed => {
                "wrap it, with `layshaft policy contract --wit > policy.wit; wasm-tools component embed policy.wit --world policy \
                 FILE -o COMPONENT; wasm-tools component new COMPONENT -o COMPONENT`; it has to export the functions of that world"
            }
            Self::StubWasi => {
                "it imports wasi_snapshot_preview1, and a policy may import nothing: build it for wasm32-unknown-unknown, or wrap it with an \
                 adapter that answers every call by itself, with `wasm-tools component new FILE --adapt \
                 wasi_snapshot_preview1=STUB.wasm -o COMPONENT`"
            }
        })
    }
}

impl Module {
    /// Compiles a file, unless its code is kept, and tries it. Takes up to the compile timeout; to be called off the
    /// async threads.
    pub(super) fn load(
        engine: &Engine,
        bytes: &[u8],
        limits: &Limits,
        cache: Option<&CodeCache>,
    ) -> Result<Self, LoadError> {
        look(bytes, limits)?;
        let digest = Digest::of(bytes);
        let kept = cache.and_then(|cache| fetch(engine, &digest, cache));
        let is_new = kept.is_none();
        let component = kept.map_or_else(|| compile(engine, bytes, limits), Ok)?;
        refuse_imports(engine, &component)?;
        refuse_unknown_exports(engine, &component)?;
        let exports = |interface: &str| component.get_export_index(None, interface_name(interface)).is_some();
        if !exports("meta") {
            return Err(LoadError::NoMeta);
        }
        let hooks: BTreeSet<Hook> = Hook::ALL.into_iter().filter(|hook| exports(hook.as_str())).collect();
        if hooks.is_empty() {
            return Err(LoadError::NoHook);
        }
        let wrong_type = |error: wasmtime::Error| LoadError::WrongType(format!("{error:#}"));
        let pre = Linker::new(engine).instantiate_pre(&component).map_err(wrong_type)?;
        let indices = Indices::find(&pre, &hooks).map_err(wrong_type)?;
        // Only a trial shows wrong types: the names alone are held against the contract until here.
        let description = Instance::trial(&pre, limits)
            .map_err(LoadError::Start)?
            .load(&indices)
            .map_err(wrong_type)?
            .describe()
            .map_err(LoadError::Start)?;
        if let Some(cache) = cache.filter(|_| is_new) {
            keep(&component, &digest, cache);
        }
        Ok(Self { digest, hooks, description, pre, indices })
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("digest", &self.digest).field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

/// Recognises what people drop by mistake, before any of it is compiled.
fn look(bytes: &[u8], limits: &Limits) -> Result<(), LoadError> {
    let size = bytes.len() as u64;
    if size > limits.max_module {
        return Err(LoadError::TooLarge { size, limit: limits.max_module });
    }
    match bytes {
        [] => Err(LoadError::Empty),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(LoadError::CoreModule(Wrap::of(bytes))),
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        _ if bytes.trim_ascii_start().starts_with(b"(") => Err(LoadError::Text),
        _ => Err(LoadError::NotWasm),
    }
}

fn fetch(engine: &Engine, digest: &Digest, cache: &CodeCache) -> Option<Component> {
    let fetched = deserialize(engine, &cache.get(digest)?);
    // Such as a limit on memory that was lowered since; compiling says it in the right words.
    fetched.inspect_err(|error| debug!(%digest, %error, "compiled code does not fit any more")).ok()
}

fn keep(component: &Component, digest: &Digest, cache: &CodeCache) {
    let kept = component.serialize().map_err(std::io::Error::other).and_then(|code| cache.put(digest, &code));
    if let Err(error) = kept {
        warn!(%digest, %error, "compiled code cannot be kept, and will be compiled again");
    }
}

/// Compiles on a thread of its own: a compilation cannot be stopped, only no longer waited for.
fn compile(engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Component, LoadError> {
    let (done, compiled) = mpsc::sync_channel(1);
    let (engine, bytes) = (engine.clone(), bytes.to_vec());
    let work = move || {
        // Whoever waited may be gone; then the result is of no use.
        let _ = done.send(Component::new(&engine, bytes));
    };
    std::thread::Builder::new()
        .name("policy-compile".into())
        .spawn(work)
        .map_err(|error| LoadError::Compile(error.to_string()))?;
    match compiled.recv_timeout(limits.compile_timeout) {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => Err(not_compiled(format!("{error:#}"))),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(LoadError::CompileTimeout(limits.compile_timeout)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(LoadError::Compile("the compiler gave up on it".into())),
    }
}

/// The pool refuses modules whose memory would not fit into it, and says so in words only.
fn not_compiled(error: String) -> LoadError {
    if error.contains("memory") && error.contains("exceeds the limit") {
        LoadError::TooMuchMemory(error)
    } else {
        LoadError::Compile(error)
    }
}

fn refuse_imports(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let imports: Vec<String> = component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect();
    if imports.is_empty() { Ok(()) } else { Err(LoadError::Imports(imports.join(", "))) }
}

/// Refuses exports under our package that are no hook, or a hook only in versions that we do not speak; a newer one may
/// stand beside one that we do. Other packages are none of our business.
fn refuse_unknown_exports(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    for (export, _) in component.component_type().exports(engine) {
        let Some(rest) = export.strip_prefix(PACKAGE) else { continue };
        let interface = rest.split('@').next().unwrap_or(rest);
        let is_ours = interface == "meta" || Hook::ALL.iter().any(|hook| hook.as_str() == interface);
        if !is_ours || component.get_export_index(None, interface_name(interface)).is_none() {
            return Err(LoadError::UnknownExport { export: export.to_owned() });
        }
    }
    Ok(())
}

fn interface_name(interface: &str) -> String {
    format!("{PACKAGE}{interface}@{VERSION}")
}

/// Settles what `describe` may say.
pub(super) fn describe(answer: bindings::Description) -> Result<Description, String> {
    for glob in &answer.needs.labels {
        super::binding::globs(std::slice::from_ref(glob), false)
            .map_err(|error| format!("it needs labels {glob:?}: {error}"))?;
    }
    Ok(answer)
}

#[cfg(test)]
#[path = "component_tests.rs"]
mod tests;
