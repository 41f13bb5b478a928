//! The Gearman room alone, to be fuzzed: it uses nothing else of the program.

#[path = "../../src/gearman/mod.rs"]
pub mod gearman;
