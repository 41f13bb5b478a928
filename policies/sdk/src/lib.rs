//! What policies are made with: a trait per hook, the contract's types, reading settings, globs, texts for people, and the
//! runtime of a component that imports nothing.
//!
//! Natively everything but the runtime is there too, so that a policy can be tested with `cargo test` and without
//! WebAssembly.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

#[cfg(any(target_arch = "wasm32", test))]
#[allow(unsafe_code, reason = "an allocator hands out memory")]
mod allocator;
#[doc(hidden)]
pub mod bindings;
mod configured;
mod contract;
mod glob;
mod policy;
#[cfg(target_arch = "wasm32")]
mod runtime;
mod settings;
mod wording;

#[doc(hidden)]
pub use alloc::string::String;
pub use configured::Configured;
pub use contract::{Description, Needs, ParameterValues, matching, naming, offline, parameters};
pub use glob::{Globs, ProjectGlobs};
pub use policy::{Matching, Naming, Offline, Parameters, Policy};
pub use settings::Settings;
pub use wording::{list, quoted};
