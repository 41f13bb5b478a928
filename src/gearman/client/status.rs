//! What the server knows of a job.

use crate::gearman::packet::Packet;

/// What the server knows of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// Waits or runs.
    pub known: bool,
    pub running: bool,
    pub numerator: u64,
    pub denominator: u64,
}

/// What the server knows of a job that was asked for by its unique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UniqueStatus {
    pub job: JobStatus,
    /// How many clients wait for it.
    pub clients: u64,
}

impl JobStatus {
    pub(super) fn read(packet: &Packet) -> Self {
        let field = |index| number(packet.argument(index));
        Self { known: field(1) != 0, running: field(2) != 0, numerator: field(3), denominator: field(4) }
    }
}

impl UniqueStatus {
    pub(super) fn read(packet: &Packet) -> Self {
        Self { job: JobStatus::read(packet), clients: number(packet.argument(5)) }
    }
}

/// geard leaves numbers empty that it does not know.
pub(super) fn number(text: &[u8]) -> u64 {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
