//! What the benchmarks share: when they run, and how figures are summed up.

mod samples;

pub(crate) use samples::{Samples, Spread};

/// Whether figures are wanted: only `cargo bench` says so, while `cargo test --all-targets` runs benchmarks to see that
/// they run.
pub(crate) fn is_wanted() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
