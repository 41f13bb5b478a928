//! The one place outside generated code that the compiler does not check: compiled code is believed.

#![expect(unsafe_code, reason = "wasmtime cannot tell compiled code from anything else; see SAFETY below")]

use wasmtime::Engine;
use wasmtime::component::Component;

use super::code_cache::Authentic;

/// Makes a component of code that was compiled before.
///
/// # Errors
/// Code for another version of wasmtime, another processor or other settings of the engine.
pub(super) fn deserialize(engine: &Engine, code: &Authentic) -> wasmtime::Result<Component> {
    // SAFETY: the bytes have to be what `Component::serialize` returned, unchanged. `Authentic` is made by
    // `CodeCache::get` alone, of bytes in memory that nobody else writes, after their MAC was found to be right; only
    // `CodeCache::put` makes such MACs, of what `Component::serialize` returned, and the key is readable by this
    // daemon's user alone. Whoever is that user needs no forged file.
    unsafe { Component::deserialize(engine, code.as_bytes()) }
}
