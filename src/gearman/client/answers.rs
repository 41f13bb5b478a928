//! What the server owes: questions in the order in which they went out, and which of them an answer is for.
//!
//! Answers come in the order of the questions, but some servers never answer some questions (geard: options, echoes,
//! status by unique). JOB_CREATED and ERROR say nothing of their question, so only the order tells; every other answer
//! repeats what was asked and is known by it, however late or early it comes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::status::{JobStatus, UniqueStatus};
use super::updates::Updates;
use super::{Doubt, Error};
use crate::gearman::packet::{Kind, Packet};

/// What the echo of a heartbeat holds.
pub(super) const PULSE: &[u8] = b"layshaft: are you there?";

/// A request, and the answer that is due; some are never answered by any server.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) packet: Packet,
    pub(super) expected: Option<Expected>,
}

/// An answer that is due, and who waits for it.
#[derive(Debug)]
pub(super) enum Expected {
    Created {
        request: Kind,
        background: bool,
        created: oneshot::Sender<Result<(Bytes, Arc<Updates>), Error>>,
    },
    Status {
        handle: Bytes,
        status: oneshot::Sender<Result<JobStatus, Error>>,
    },
    UniqueStatus {
        unique: Bytes,
        status: oneshot::Sender<Result<UniqueStatus, Error>>,
    },
    Option {
        set: oneshot::Sender<Result<(), Error>>,
    },
    Echo {
        data: Bytes,
        echoed: oneshot::Sender<Result<(), Error>>,
    },
    /// Nobody waits; that it is answered at all is what counts.
    Pulse,
}

impl Expected {
    fn is_answered_by(&self, packet: &Packet) -> bool {
        match (self, packet.kind) {
            (Self::Created { .. }, Kind::JobCreated) | (Self::Option { .. }, Kind::OptionRes) => true,
            (Self::Status { handle, .. }, Kind::StatusRes) => handle == &handle_of(packet),
            (Self::UniqueStatus { unique, .. }, Kind::StatusResUnique) => unique == packet.argument(0),
            (Self::Echo { data, .. }, Kind::EchoRes) => data == packet.argument(0),
            (Self::Pulse, Kind::EchoRes) => packet.argument(0) == PULSE,
            _ => false,
        }
    }

    /// Says whether nobody waits and its answer, should it still come, will be known by itself.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Created { .. } => false,
            Self::Status { status, .. } => status.is_closed(),
            Self::UniqueStatus { status, .. } => status.is_closed(),
            Self::Option { set } => set.is_closed(),
            Self::Echo { echoed, .. } => echoed.is_closed(),
            Self::Pulse => true,
        }
    }

    /// The caller may have given up waiting; then nobody minds.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Created { created, .. } => drop(created.send(Err(error))),
            Self::Status { status, .. } => drop(status.send(Err(error))),
            Self::UniqueStatus { status, .. } => drop(status.send(Err(error))),
            Self::Option { set } => drop(set.send(Err(error))),
            Self::Echo { echoed, .. } => drop(echoed.send(Err(error))),
            Self::Pulse => {}
        }
    }

    /// Ends the wait because the connection is lost. `was_sent`: the server may have read the whole request.
    fn lose(self, was_sent: bool) {
        let error = match &self {
            Self::Created { request, .. } if was_sent => {
                Error::Unconfirmed { request: request.name(), doubt: Doubt::Lost }
            }
            _ => Error::Lost,
        };
        self.fail(error);
    }
}

/// The questions of one connection that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Owed {
    questions: VecDeque<Question>,
    submissions: usize,
}

#[derive(Debug)]
struct Question {
    expected: Expected,
    /// Up to which byte of the connection's output it reaches.
    end: u64,
}

impl Owed {
    pub(super) fn push(&mut self, expected: Expected, end: u64) {
        self.submissions += usize::from(matches!(expected, Expected::Created { .. }));
        self.questions.push_back(Question { expected, end });
    }

    pub(super) fn len(&self) -> usize {
        self.questions.len()
    }

    /// Says whether a job may be created any time.
    pub(super) fn owes_a_job(&self) -> bool {
        self.submissions > 0
    }

    /// Returns the question that an answer is for.
    pub(super) fn take(&mut self, packet: &Packet) -> Option<Expected> {
        let is_for = |question: &Question| question.expected.is_answered_by(packet);
        // A server that names the job instead of the unique in its answer is taken to answer in order.
        let by_order = |question: &Question| {
            packet.kind == Kind::StatusResUnique && matches!(question.expected, Expected::UniqueStatus { .. })
        };
        let found = self.questions.iter().position(is_for).or_else(|| self.questions.iter().position(by_order))?;
        let expected = self.remove(found);
        // What was passed over and interests nobody any more would only take up room.
        if found > 0 {
            let mut passed_over = 0..found;
            self.questions.retain(|question| passed_over.next().is_none() || !question.expected.is_given_up());
        }
        expected
    }

    /// Returns the question that an ERROR is for: the oldest one.
    pub(super) fn take_oldest(&mut self) -> Option<Expected> {
        self.remove(0)
    }

    /// Ends every wait; of the connection's output, so many bytes went out.
    pub(super) fn lose_all(&mut self, written: u64) {
        self.submissions = 0;
        for Question { expected, end } in self.questions.drain(..) {
            expected.lose(end <= written);
        }
    }

    fn remove(&mut self, index: usize) -> Option<Expected> {
        let expected = self.questions.remove(index)?.expected;
        self.submissions -= usize::from(matches!(expected, Expected::Created { .. }));
        Some(expected)
    }
}

/// gearmand ends the handle with a NUL when it makes a WORK_FAIL of an exception.
pub(super) fn handle_of(packet: &Packet) -> Bytes {
    let handle = packet.argument(0);
    let length = handle.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    handle.slice(..length)
}
