//! The state and everybody's outbox behind one lock, so that packets leave in the order in which they were caused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use super::outbox::Outbox;
use super::state::{Action, ConnectionId, Settings, State};
use crate::gearman::codec::{Codec, CodecError};

#[derive(Debug)]
pub(super) struct Core {
    max_body: usize,
    max_output: usize,
    max_connections: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    outboxes: BTreeMap<ConnectionId, Arc<Outbox>>,
    last_connection: u64,
}

impl Core {
    pub(super) fn new(settings: Settings, max_body: usize, max_output: usize, max_connections: usize) -> Self {
        let inner = Inner { state: State::new(settings), outboxes: BTreeMap::new(), last_connection: 0 };
        Self { max_body, max_output, max_connections, inner: Mutex::new(inner) }
    }

    pub(super) fn max_body(&self) -> usize {
        self.max_body
    }

    /// Takes a peer in; `None` when there are too many.
    pub(super) fn connect(&self, host: String) -> Option<(ConnectionId, Arc<Outbox>)> {
        let mut inner = self.lock();
        if inner.outboxes.len() >= self.max_connections {
            return None;
        }
        inner.last_connection += 1;
        let id = ConnectionId(inner.last_connection);
        let outbox = Arc::new(Outbox::new(self.max_output));
        inner.outboxes.insert(id, Arc::clone(&outbox));
        inner.state.connected(id, host);
        Some((id, outbox))
    }

    pub(super) fn disconnect(&self, id: ConnectionId) {
        let mut inner = self.lock();
        inner.outboxes.remove(&id);
        let actions = inner.state.disconnected(id);
        inner.carry_out(actions);
    }

    /// Handles every whole frame that a peer has sent.
    pub(super) fn receive(&self, id: ConnectionId, codec: &mut Codec, input: &mut BytesMut) -> Result<(), CodecError> {
        let mut inner = self.lock();
        while let Some(frame) = codec.decode(input)? {
            let actions = inner.state.handle(id, frame);
            inner.carry_out(actions);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn carry_out(&self, actions: Vec<Action>) {
        for action in actions {
            let (Action::Send(to, _) | Action::Text(to, _) | Action::Close(to)) = &action;
            let Some(outbox) = self.outboxes.get(to) else { continue };
            match &action {
                Action::Send(_, packet) => outbox.send(packet),
                Action::Text(_, text) => outbox.send_text(text),
                Action::Close(_) => outbox.close(),
            }
        }
    }
}
