//! The three priorities of a job, and the packets that ask for them.

use super::packet::Kind;

/// How urgent a job is; the first in order is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// Returns the packet that submits a job of this priority.
    pub const fn to_submit(self, background: bool) -> Kind {
        match (self, background) {
            (Self::High, false) => Kind::SubmitJobHigh,
            (Self::High, true) => Kind::SubmitJobHighBg,
            (Self::Normal, false) => Kind::SubmitJob,
            (Self::Normal, true) => Kind::SubmitJobBg,
            (Self::Low, false) => Kind::SubmitJobLow,
            (Self::Low, true) => Kind::SubmitJobLowBg,
        }
    }

    /// Returns what a packet asks for, priority and whether in the background, if it submits a plain job.
    pub const fn from_submit(kind: Kind) -> Option<(Self, bool)> {
        match kind {
            Kind::SubmitJobHigh => Some((Self::High, false)),
            Kind::SubmitJobHighBg => Some((Self::High, true)),
            Kind::SubmitJob => Some((Self::Normal, false)),
            Kind::SubmitJobBg => Some((Self::Normal, true)),
            Kind::SubmitJobLow => Some((Self::Low, false)),
            Kind::SubmitJobLowBg => Some((Self::Low, true)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_submission_reads_back_as_it_was_written() {
        for priority in Priority::ALL {
            for background in [false, true] {
                assert_eq!(Priority::from_submit(priority.to_submit(background)), Some((priority, background)));
            }
        }
    }
}
