//! What is to be sent on one connection: filled by whoever causes it, emptied by the connection's own task.
//!
//! Bounded: a peer that does not read what it is sent is dropped, and never holds up the others.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio_util::codec::Encoder;

use super::connection::KEEP_AT_MOST;
use crate::gearman::Packet;
use crate::gearman::codec::Codec;

#[derive(Debug)]
pub(super) struct Outbox {
    limit: usize,
    pending: Mutex<Pending>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: BytesMut,
    /// Taken by the connection's task and not sent yet.
    in_flight: usize,
    ending: Option<Ending>,
}

/// Why nothing more is put into an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything in it is still to be sent.
    Flush,
    /// The peer does not read: drop the connection now.
    Overflow,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, pending: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn send(&self, packet: &Packet) {
        let mut pending = self.lock();
        if self.has_room(&mut pending) && Codec::default().encode(packet, &mut pending.bytes).is_err() {
            pending.ending = Some(Ending::Flush);
        }
        self.changed.notify_one();
    }

    pub(super) fn send_text(&self, text: &[u8]) {
        let mut pending = self.lock();
        if self.has_room(&mut pending) {
            pending.bytes.extend_from_slice(text);
        }
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().ending.get_or_insert(Ending::Flush);
        self.changed.notify_one();
    }

    /// Waits until something was put in since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Moves what is pending into an empty buffer, and says whether more will come.
    pub(super) fn take(&self, output: &mut BytesMut) -> Option<Ending> {
        debug_assert!(output.is_empty());
        if output.capacity() > KEEP_AT_MOST {
            *output = BytesMut::new();
        }
        let mut pending = self.lock();
        std::mem::swap(&mut pending.bytes, output);
        pending.in_flight = output.len();
        pending.ending
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        self.lock().ending
    }

    /// Says how much is still unsent, so that a peer that only asks is not read from until it has listened.
    pub(super) fn backlog(&self) -> usize {
        let pending = self.lock();
        pending.bytes.len() + pending.in_flight
    }

    /// One packet may pass the limit, or a large payload could never be sent.
    fn has_room(&self, pending: &mut Pending) -> bool {
        if pending.ending.is_some() {
            return false;
        }
        if pending.bytes.len() + pending.in_flight > self.limit {
            pending.ending = Some(Ending::Overflow);
            return false;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
