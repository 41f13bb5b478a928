use std::fs;

use serde::Serialize;

/// What this process holds. None of it where there is no `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Resident memory in KiB.
    pub memory_kib: u64,
    pub threads: u64,
    /// Open files.
    pub files: u64,
}

impl Resources {
    pub(super) fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
        };
        let files = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Some(Self { memory_kib: field("VmRSS")?, threads: field("Threads")?, files })
    }

    /// Returns whether nothing has grown that would grow for ever. Some noise is none: a page of the allocator's, a
    /// thread that is on its way out.
    pub(super) fn is_flat_since(&self, before: &Self) -> bool {
        self.memory_kib <= before.memory_kib + MEMORY_NOISE_KIB
            && self.threads <= before.threads + 2
            && self.files <= before.files + 2
    }
}

/// Ten thousand swaps that each lost 1 KiB would be above it.
const MEMORY_NOISE_KIB: u64 = 8 << 10;
