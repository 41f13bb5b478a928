//! The rooms that read what strangers write, to be fuzzed without the rest of the program.

/// Uses nothing else of the program.
#[path = "../../src/gearman/mod.rs"]
pub mod gearman;

/// Uses the values and the label expressions, and `wit/` of the repository, for which there is a link here.
#[cfg(feature = "policy")]
#[path = "../../src/policy/mod.rs"]
pub mod policy;

#[cfg(feature = "policy")]
#[path = "../../src/domain/mod.rs"]
pub mod domain;

#[cfg(feature = "policy")]
#[path = "../../src/label/mod.rs"]
pub mod label;
