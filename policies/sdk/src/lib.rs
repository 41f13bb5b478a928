//! What policies share: reading settings, globs, texts for people, and the runtime of a component that imports nothing.
//!
//! Nothing here knows a hook or a wit type. Natively everything but the runtime is there too, so that decisions can be
//! tested with `cargo test` and without WebAssembly.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod configured;
mod glob;
#[cfg(target_arch = "wasm32")]
mod runtime;
mod settings;
mod wording;

pub use configured::Configured;
pub use glob::{Globs, ProjectGlobs};
pub use settings::Settings;
pub use wording::{list, quoted};
