//! Jobs as they are submitted, and the packets for it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::Error;
use crate::gearman::Priority;
use crate::gearman::packet::{Kind, Packet};

/// A job to be done.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    pub function: Bytes,
    /// Equal ones of a function are one job on gearmand; empty ones never are.
    pub unique: Bytes,
    pub payload: Bytes,
    pub priority: Priority,
    /// Nobody waits for it: it outlives the connection and gives no updates.
    pub background: bool,
    /// Not before this time; such a job is always a background job of normal priority.
    ///
    /// gearmand 1.1.20 hands it out when a worker looks for a job after that time, and wakes nobody for it. geard does
    /// not know such jobs and never answers.
    pub at: Option<Epoch>,
    /// The function that a worker which understands it lets reduce the results; of normal priority.
    pub reducer: Option<Bytes>,
}

/// A time as the protocol has it: whole seconds since 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// Returns the time so long after another one.
    pub fn after(now: SystemTime, wait: Duration) -> Option<Self> {
        now.checked_add(wait).map(Self::from)
    }
}

impl From<SystemTime> for Epoch {
    /// Rounds up: a job never comes before its time. What lies before 1970 is long past.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_secs() + u64::from(since.subsec_nanos() > 0))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Submission {
    /// Says whether the server tells nothing more of the job than its handle.
    pub(super) fn is_background(&self) -> bool {
        self.background || self.at.is_some()
    }

    /// Returns the packet, or why there is none.
    pub(super) fn into_packet(self, max_payload: usize) -> Result<Packet, Error> {
        let is_background = self.is_background();
        let Self { function, unique, payload, priority, at, reducer, .. } = self;
        let reducer_name = reducer.clone().unwrap_or_default();
        for (what, field) in [("function", &function), ("unique", &unique), ("reducer", &reducer_name)] {
            if field.contains(&0) {
                return Err(Error::Nul { what });
            }
        }
        if payload.len() > max_payload {
            return Err(Error::PayloadTooLong { length: payload.len(), limit: max_payload });
        }
        match (at, reducer) {
            (None, None) => Ok(Packet::request(priority.to_submit(is_background), [function, unique, payload])),
            _ if priority != Priority::Normal => {
                Err(Error::NoSuchRequest { what: "a priority together with a later time or a reducer" })
            }
            (Some(at), None) => {
                let at = Bytes::from(at.to_string());
                Ok(Packet::request(Kind::SubmitJobEpoch, [function, unique, at, payload]))
            }
            (None, Some(reducer)) => {
                let kind = if is_background { Kind::SubmitReduceJobBackground } else { Kind::SubmitReduceJob };
                Ok(Packet::request(kind, [function, unique, reducer, Bytes::new(), payload]))
            }
            (Some(_), Some(_)) => Err(Error::NoSuchRequest { what: "a later time together with a reducer" }),
        }
    }
}
