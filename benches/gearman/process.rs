use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

/// A process that is measured; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("failed to start {}", command.get_program().display()))
    }

    /// Returns the processor time of all its threads so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let statistics = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu: u64 = statistics.split(' ').next().unwrap_or_default().parse()?;
            total += on_cpu;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Returns the bytes of memory that it occupies.
    pub(crate) fn memory(&self) -> anyhow::Result<usize> {
        self.status("VmRSS:")
    }

    /// Returns the most that it has occupied so far.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<usize> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> anyhow::Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).with_context(|| format!("no {field}"))?;
        Ok(kibibytes.trim().parse::<usize>()? << 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
