//! The state behind one lock, so that packets leave in the order in which they were caused.
//!
//! Connections, the clock and the store come in here, and leave with what was decided. Nothing waits while it holds the
//! lock: who has something to send is woken and fetches it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::due::Clock;
use super::peer::{ConnectionId, Ending};
use super::request::Request;
use super::state::{Settings, State};
use super::store::{Change, JobNumber, Kept, Settled, Writer};
use crate::gearman::codec::CodecError;

#[derive(Debug)]
pub(super) struct Core {
    max_body: usize,
    max_input: usize,
    max_connections: usize,
    started: Instant,
    inner: Mutex<Inner>,
    /// Something is due earlier than the clock was set to ring.
    is_due_earlier: Notify,
}

#[derive(Debug)]
struct Inner {
    state: State,
    wakers: Vec<Option<Waker>>,
    free: Vec<ConnectionId>,
    /// Requests that have come in part, and what all of them hold together.
    partial: BTreeMap<ConnectionId, Partial>,
    partial_bytes: usize,
    partials: u64,
    /// When the clock rings.
    rings_at: Option<Instant>,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Partial {
    /// Counts up: the smallest one has been incomplete for longest.
    since: u64,
    bytes: usize,
}

/// What a connection's task has to know after its turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) ending: Option<Ending>,
    /// What is to be sent beyond what was taken.
    pub(super) left: usize,
}

impl Core {
    pub(super) fn new(settings: Settings, max_body: usize, max_input: usize, max_connections: usize) -> Self {
        let inner = Inner {
            state: State::new(settings),
            // Connection 0 is never used: nobody is shown as having none.
            wakers: vec![None],
            free: Vec::new(),
            partial: BTreeMap::new(),
            partial_bytes: 0,
            partials: 0,
            rings_at: None,
            writer: None,
        };
        let started = Instant::now();
        let is_due_earlier = Notify::new();
        Self { max_body, max_input, max_connections, started, inner: Mutex::new(inner), is_due_earlier }
    }

    /// Takes up what the store has kept; returns what it has to do before anybody is served.
    pub(super) fn restore(&self, jobs: Vec<Kept>, last_number: JobNumber) -> Vec<Change> {
        let mut inner = self.lock();
        inner.state.restore(jobs, last_number);
        inner.state.reserve_numbers();
        inner.state.keeping.take_changes()
    }

    pub(super) fn set_writer(&self, writer: Writer) {
        self.lock().writer = Some(writer);
    }

    /// Returns the thread that writes to the store, to be waited for at the end.
    pub(super) fn take_writer(&self) -> Option<Writer> {
        self.lock().writer.take()
    }

    /// Takes a peer in; `None` when there are too many, or the server stops.
    pub(super) fn connect(&self, host: IpAddr) -> Option<ConnectionId> {
        let mut inner = self.lock();
        if inner.state.is_closing || inner.state.peers.len() >= self.max_connections {
            return None;
        }
        let id = match inner.free.pop() {
            Some(id) => id,
            None => {
                let id = ConnectionId(u32::try_from(inner.wakers.len()).ok()?);
                inner.wakers.push(None);
                id
            }
        };
        inner.state.connected(id, host);
        Some(id)
    }

    pub(super) fn disconnect(&self, id: ConnectionId) {
        let mut inner = self.lock();
        inner.state.disconnected(id);
        inner.forget_partial(id);
        inner.wakers[id.0 as usize] = None;
        inner.free.push(id);
        self.spread(&mut inner, None);
    }

    /// Fetches what is to be sent, and sees to it that the task is woken when there is more.
    pub(super) fn turn(&self, id: ConnectionId, waker: &Waker, output: &mut BytesMut) -> Turn {
        let mut inner = self.lock();
        match &mut inner.wakers[id.0 as usize] {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        inner.turn(id, output)
    }

    /// Handles every whole request of the input; says how much of it is done with.
    ///
    /// After what breaks the protocol the connection ends, but not before what was asked until then is answered.
    pub(super) fn receive(
        &self,
        id: ConnectionId,
        input: &[u8],
        output: &mut BytesMut,
    ) -> (usize, Turn, Option<CodecError>) {
        let mut inner = self.lock();
        let mut done = 0;
        let mut broken = None;
        loop {
            // Of who is sent nothing more, nothing more is looked at: not after what nobody understands, nor after
            // more questions than it reads answers to.
            if inner.state.peers.is_ending(id) {
                done = input.len();
                break;
            }
            match Request::read(&input[done..], self.max_body) {
                Ok(Some((request, length))) => {
                    inner.state.handle(id, &request);
                    done += length;
                }
                Ok(None) => break,
                Err(error) => {
                    inner.state.peers.close(id);
                    broken = Some(error);
                }
            }
        }
        inner.note_partial(id, done > 0, input.len() - done);
        inner.limit_partials(self.max_input);
        self.spread(&mut inner, Some(id));
        (done, inner.turn(id, output), broken)
    }

    /// Hears from the store.
    pub(super) fn settle(&self, settled: &[Settled]) {
        let mut inner = self.lock();
        for &(number, is_kept) in settled {
            inner.state.settle(number, is_kept);
        }
        self.spread(&mut inner, None);
    }

    /// Does what is due whenever it is; never ends.
    pub(super) async fn keep_time(&self) {
        loop {
            let wait = self.ring();
            let rings = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = rings => {}
                () = self.is_due_earlier.notified() => {}
            }
        }
    }

    /// Ends every connection when what was sent on it has gone out.
    pub(super) fn close_all(&self) {
        let mut inner = self.lock();
        inner.state.is_closing = true;
        inner.state.peers.close_all();
        self.spread(&mut inner, None);
    }

    fn ring(&self) -> Option<Duration> {
        let mut inner = self.lock();
        inner.state.wake();
        let wait = inner.state.next_due();
        // Before anything is spread, which rings again if it is due earlier than this.
        inner.rings_at = wait.map(|wait| Instant::now() + wait);
        self.spread(&mut inner, None);
        wait
    }

    /// Passes on what was decided: to connections but the one that will see by itself, to the store, to the clock.
    fn spread(&self, inner: &mut Inner, but: Option<ConnectionId>) {
        for id in inner.state.peers.take_touched() {
            if Some(id) != but
                && let Some(Some(waker)) = inner.wakers.get(id.0 as usize)
            {
                waker.wake_by_ref();
            }
        }
        let changes = inner.state.keeping.take_changes();
        if let Some(writer) = &inner.writer
            && !changes.is_empty()
        {
            writer.push(changes);
        }
        if let Some(wait) = inner.state.next_due() {
            let at = Instant::now() + wait;
            if inner.rings_at.is_none_or(|rings_at| at < rings_at) {
                inner.rings_at = Some(at);
                self.is_due_earlier.notify_one();
            }
        }
    }

    /// Locks the state, and tells it what time it is.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let steady = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        inner.state.set_clock(Clock { unix: u64::try_from(unix).unwrap_or(u64::MAX), steady });
        inner
    }
}

impl Inner {
    fn turn(&mut self, id: ConnectionId, output: &mut BytesMut) -> Turn {
        let ending = self.state.peers.take_output(id, output);
        Turn { ending, left: self.state.peers.backlog(id) - output.len() }
    }

    /// Notes how much of an incomplete request a connection holds.
    fn note_partial(&mut self, id: ConnectionId, is_another: bool, bytes: usize) {
        if bytes == 0 {
            return self.forget_partial(id);
        }
        let next = self.partials + 1;
        let partial = self.partial.entry(id).or_insert(Partial { since: next, bytes: 0 });
        if is_another {
            partial.since = next;
        }
        if partial.since == next {
            self.partials = next;
        }
        self.partial_bytes = self.partial_bytes - partial.bytes + bytes;
        partial.bytes = bytes;
    }

    fn forget_partial(&mut self, id: ConnectionId) {
        if let Some(partial) = self.partial.remove(&id) {
            self.partial_bytes -= partial.bytes;
        }
    }

    /// Drops those whose requests have been incomplete for longest: who sends at all has sent a request long before.
    fn limit_partials(&mut self, limit: usize) {
        while self.partial_bytes > limit {
            let oldest = self.partial.iter().min_by_key(|(_, partial)| partial.since).map(|(&id, _)| id);
            let Some(id) = oldest else { return };
            self.forget_partial(id);
            self.state.peers.drop_now(id);
        }
    }
}
