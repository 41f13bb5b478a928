//! A worker: one identity at one server, connected again whenever the connection is lost, for ever.
//!
//! Owned and polled by one task. What it is told (`offer`, `grant`, `report`, ...) is kept and leaves together when
//! `event` is next polled; everything that takes time happens inside `event`, also while a job runs, so that a lost
//! server is noticed then too. It decides nothing about jobs.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::alarm::Alarm;
use super::backoff::Backoff;
use super::codec;
use super::connection::{Connection, ConnectionError};
use super::dial::KeepAlive;
use super::endpoint::Endpoint;
use super::pace::{Backlog, Pace};
use super::packet::{Kind, Packet};
use super::pulse::{Pulse, Verdict};
use super::restraint::Restraint;
use super::session::{self, Session};

pub use super::session::{Job, Report, Revocation};

/// How long the last packets may take to leave when a worker closes.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct Config {
    pub server: Endpoint,
    /// The name under which the server lists this worker.
    pub client_id: String,
    /// For the look-up of the name, and for each of its addresses.
    pub connect_timeout: Duration,
    pub keep_alive: KeepAlive,
    /// After so long a silence an ECHO_REQ is sent, after as long again the connection is given up. Only for servers
    /// that answer it: geard does not.
    pub heartbeat: Option<Duration>,
    /// The longest that a server may leave a grab unanswered; works with every server.
    pub answer_timeout: Duration,
    /// The longest pause between two attempts to connect.
    pub backoff_cap: Duration,
    /// The longest packet that is taken from the server.
    pub max_payload: usize,
    /// After so long the server takes a job back and gives it out again; gearmand raises it to a second. Its late
    /// result is refused. Not on geard, which leaves such functions unregistered without a word.
    pub job_timeout: Option<Duration>,
    /// Asks something right behind the registration that every server answers, for owners who want to see it answer
    /// before they rely on it.
    pub greets: bool,
    /// Shared by all workers that have a clone of this: so they do not all connect at once.
    pub pace: Pace,
}

/// What the owner has to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection is up and everything is registered anew.
    Connected,
    /// The connection was lost, or the first attempt of an outage failed. The server has the job back, if there was one.
    Disconnected { error: String, job: Option<Job> },
    /// A job came; it may be for a function that is no longer offered, and it may come after the lease was revoked.
    Assigned(Job),
    /// The server has read the terminal packet of the job with that handle: it has answered what was sent after it.
    Delivered { handle: Bytes },
    /// A job waits for a sleeper that has no lease: somebody else should grab.
    Woken,
    /// The grab that was under way when the lease was revoked brought nothing.
    Revoked,
    /// Everything that there was to say has been written: see [`Worker::tell_when_said`].
    Said,
    /// The server sent an error; with the handle of the job that ran when it came.
    Refused { code: String, text: String, handle: Option<Bytes> },
}

#[derive(Debug)]
pub struct Worker {
    config: Config,
    session: Session,
    link: Link,
    backoff: Backoff,
    events: VecDeque<Event>,
    /// Whether the owner has heard of the outage that lasts.
    outage_is_known: bool,
    /// Whether the owner wants to hear once everything is written.
    owes_word: bool,
}

enum Link {
    Down {
        retry_at: Instant,
    },
    /// Kept here, since whoever waits for an event may stop waiting before the connection is there.
    Connecting(Pin<Box<dyn Future<Output = Result<Connection, ConnectionError>> + Send>>),
    Up(Box<Live>),
}

/// A connection that is up, and how it is doing.
struct Live {
    connection: Connection,
    pulse: Pulse,
    alarm: Alarm,
    restraint: Restraint,
    since: Instant,
    owes_greeting: bool,
    was_heard: bool,
}

/// What an exchange of bytes came to.
enum Exchanged {
    /// Something was read.
    Heard,
    /// Nothing was read yet, and nothing is left to write.
    Said,
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
enum Loss {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("{0}")]
    Violation(&'static str),
    #[error("server has been silent for {0:?}")]
    Silence(Duration),
    #[error("server has owed an answer for {0:?}")]
    NoAnswer(Duration),
}

impl Worker {
    /// Makes a worker that connects when its first event is waited for.
    pub fn new(config: Config) -> Self {
        let mut session = Session::new(config.client_id.clone());
        if let Some(timeout) = config.job_timeout {
            session.limit_jobs(timeout);
        }
        Self {
            session,
            link: Link::Down { retry_at: Instant::now() },
            backoff: Backoff::new(config.backoff_cap, &config.client_id),
            events: VecDeque::new(),
            outage_is_known: false,
            owes_word: false,
            config,
        }
    }

    /// Does all the work, and returns what the owner has to hear next. Never ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped while it waits, not even an attempt to connect.
    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.next_event() {
                return event;
            }
            self.step().await;
        }
    }

    /// Does the next piece of the work: waits for a pause to end, a connection to come up, or something to be said.
    ///
    /// # Cancel safety
    ///
    /// As [`Worker::event`].
    pub(super) async fn step(&mut self) {
        // A server that floods us with what means nothing must not starve the other tasks.
        tokio::task::coop::consume_budget().await;
        match &mut self.link {
            Link::Down { retry_at } => {
                sleep_until(*retry_at).await;
                self.link = Link::Connecting(Box::pin(connect(self.config.clone())));
            }
            Link::Connecting(attempt) => match attempt.as_mut().await {
                Ok(connection) => self.gain(connection),
                Err(error) => self.lose(&error.into(), Duration::ZERO),
            },
            Link::Up(live) => {
                let since = live.since;
                let outcome = live.converse(&mut self.session, self.owes_word).await;
                if let Ok(Exchanged::Said) = outcome {
                    self.owes_word = false;
                    self.events.push_back(Event::Said);
                }
                self.hear(outcome.map(drop), since);
            }
        }
    }

    /// Returns what the owner has not heard yet, without waiting.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Lines up what there is to say, so that the session stands where that leads to. It leaves with the next step.
    pub(super) fn compose(&mut self) {
        let Link::Up(live) = &mut self.link else { return };
        if let Err(error) = live.compose(&mut self.session) {
            let lived = live.since.elapsed();
            self.lose(&error.into(), lived);
        }
    }

    /// States the whole set of functions that shall be offered.
    pub fn offer(&mut self, desired: impl Into<Arc<BTreeSet<Bytes>>>) {
        self.session.offer(desired);
    }

    /// Has the owner hear, with [`Event::Said`], once all that it has said until now has been written. Of a connection
    /// that is down there is nothing to hear until it is up again, where everything is said anew.
    pub fn tell_when_said(&mut self) {
        self.owes_word = true;
    }

    /// Says whether the owner waits for nothing to be written to a server that is there.
    pub fn has_said_all(&self) -> bool {
        !self.owes_word || !self.is_connected()
    }

    /// Takes functions for never offered on this connection, since the server has refused them without a word. Before
    /// they are withdrawn: geard drops a connection that withdraws what it does not know.
    pub fn forget(&mut self, refused: &BTreeSet<Bytes>) {
        self.session.forget(refused);
    }

    /// Gives the capacity to run jobs, one at a time, until it is revoked.
    pub fn grant(&mut self) {
        self.session.grant();
    }

    /// Takes the capacity away; a running job goes on, and one may still be on its way.
    pub fn revoke(&mut self) -> Revocation {
        let revocation = self.session.revoke();
        // Taking a lease away breaks no rule.
        let _none = self.pass_on_events();
        revocation
    }

    /// Says something about the running job; a terminal report ends it.
    ///
    /// Returns false, and sends nothing, if no job runs: it had its terminal packet, or its connection was lost.
    pub fn report(&mut self, report: Report) -> bool {
        self.session.report(report)
    }

    /// Gives the running job back to the server by dropping the connection, and connects again at once.
    ///
    /// Returns that job. Without one nothing happens. With a lease the worker grabs again, and may get the same job:
    /// revoke it or withdraw the function before. geard does not queue the job again but fails it.
    pub fn hand_back(&mut self) -> Option<Job> {
        self.session.job()?;
        self.link = Link::Down { retry_at: Instant::now() };
        self.session.disconnected()
    }

    /// Writes what is left to say and closes in order; the server has a running job back.
    ///
    /// A job that is on its way is handed back too, which on geard means that it fails: revoke, and await what
    /// becomes of the grab, before.
    ///
    /// # Errors
    ///
    /// When it is not certain that everything has reached the server.
    pub async fn close(mut self) -> Result<(), ConnectionError> {
        let Link::Up(live) = self.link else { return Ok(()) };
        let mut connection = live.connection;
        self.session.revoke();
        for packet in self.session.take_packets() {
            connection.queue(&packet)?;
        }
        connection.close(CLOSING_PATIENCE).await
    }

    /// Returns the job that runs here.
    pub fn job(&self) -> Option<&Job> {
        self.session.job()
    }

    pub fn is_running(&self) -> bool {
        self.session.job().is_some()
    }

    /// Says whether a grab is under way that may bring a job.
    pub fn is_grabbing(&self) -> bool {
        self.session.is_grabbing()
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    /// Returns the functions that the server has been told; none without a connection.
    pub fn functions(&self) -> &Arc<BTreeSet<Bytes>> {
        self.session.functions()
    }

    /// Says whether the server has said anything on this connection: one that hangs accepts connections too.
    pub(super) fn was_answered(&self) -> bool {
        matches!(&self.link, Link::Up(live) if live.was_heard)
    }

    /// Says whether there is anything to offer.
    pub(super) fn has_functions(&self) -> bool {
        self.session.has_functions()
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.session.is_asleep()
    }

    pub(super) fn is_drowsy(&self) -> bool {
        self.session.is_drowsy()
    }

    fn gain(&mut self, connection: Connection) {
        let now = Instant::now();
        let pulse = Pulse::new(self.config.heartbeat, self.config.answer_timeout, now);
        self.link = Link::Up(Box::new(Live {
            connection,
            pulse,
            alarm: Alarm::default(),
            restraint: Restraint::new(now),
            since: now,
            owes_greeting: self.config.greets,
            was_heard: false,
        }));
        self.outage_is_known = false;
        self.session.connected();
        self.events.push_back(Event::Connected);
    }

    fn hear(&mut self, outcome: Result<(), Loss>, since: Instant) {
        let loss = match (outcome, self.pass_on_events()) {
            (_, Some(rule)) => Loss::Violation(rule),
            (Err(loss), None) => loss,
            (Ok(()), None) => return,
        };
        self.lose(&loss, since.elapsed());
    }

    /// Passes on what the session has to say, and returns the rule that the server broke, if it did.
    fn pass_on_events(&mut self) -> Option<&'static str> {
        let mut violation = None;
        while let Some(event) = self.session.next_event() {
            self.events.push_back(match event {
                session::Event::Assigned(job) => Event::Assigned(job),
                session::Event::Delivered { handle } => Event::Delivered { handle },
                session::Event::Woken => Event::Woken,
                session::Event::Revoked => Event::Revoked,
                session::Event::Refused { code, text, handle } => Event::Refused { code, text, handle },
                session::Event::Violated(rule) => {
                    violation.get_or_insert(rule);
                    continue;
                }
            });
        }
        violation
    }

    fn lose(&mut self, loss: &Loss, lived: Duration) {
        let job = self.session.disconnected();
        let delay = self.backoff.next_delay(lived);
        debug!(client_id = self.config.client_id, error = %loss, ?delay, "gearman server is out of reach");
        self.link = Link::Down { retry_at: Instant::now() + delay };
        if !self.outage_is_known || job.is_some() {
            self.events.push_back(Event::Disconnected { error: loss.to_string(), job });
        }
        self.outage_is_known = true;
    }
}

impl Config {
    /// Fills in what seldom needs to differ.
    pub fn new(server: impl Into<Endpoint>, client_id: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            client_id: client_id.into(),
            connect_timeout: Duration::from_secs(5),
            keep_alive: KeepAlive::default(),
            heartbeat: None,
            answer_timeout: Duration::from_secs(60),
            backoff_cap: Duration::from_secs(2),
            max_payload: codec::DEFAULT_MAX_BODY,
            job_timeout: None,
            greets: false,
            pace: Pace::new(),
        }
    }

    /// Sets the timers so that a server that is silently gone is given up within so long: by the heartbeat where it is
    /// answered, and by the kernel, which counts in seconds.
    pub fn notice_silence_within(&mut self, limit: Duration) {
        self.heartbeat = Some(limit / 2);
        self.keep_alive = KeepAlive::within(limit);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { .. } => f.write_str("Down"),
            Self::Connecting(_) => f.write_str("Connecting"),
            Self::Up(live) => f.debug_tuple("Up").field(&live.connection).finish(),
        }
    }
}

async fn connect(config: Config) -> Result<Connection, ConnectionError> {
    // Who answers no echo is taken for geard.
    let backlog = if config.heartbeat.is_some() { Backlog::Usual } else { Backlog::Shortest };
    let place = config.pace.enter(backlog).await;
    let connection =
        Connection::open(&config.server, config.connect_timeout, config.keep_alive, config.max_payload).await?;
    place.connected();
    Ok(connection)
}

impl Live {
    /// Writes what the session has to say, and lets it hear what comes, once.
    ///
    /// Cancel safe: what was taken from the session is in the connection's queue before anything is waited for, and a
    /// rest ends when it would have.
    async fn converse(&mut self, session: &mut Session, owes_word: bool) -> Result<Exchanged, Loss> {
        if let Some(later) = self.restraint.rests_until() {
            sleep_until(later).await;
        }
        self.compose(session)?;
        let (was_grabbing, was_owed) = (session.is_grabbing(), session.awaits_answer());
        self.pulse.awaits_answer(was_owed, Instant::now());
        if let Exchanged::Said = self.exchange(owes_word).await? {
            return Ok(Exchanged::Said);
        }
        self.was_heard = true;
        while let Some(frame) = self.connection.next_frame()? {
            session.receive(frame);
        }
        let now = Instant::now();
        self.pulse.heard(self.connection.is_mid_packet(), now);
        let has_answered_grab = was_grabbing && !session.is_grabbing();
        if has_answered_grab || !session.awaits_answer() {
            self.pulse.answered();
        }
        match (has_answered_grab, session.job()) {
            (true, None) => self.restraint.looked_in_vain(now),
            (true, Some(_)) => self.restraint.found(),
            (false, _) => {}
        }
        Ok(Exchanged::Heard)
    }

    /// Takes what the session has to say into the queue.
    fn compose(&mut self, session: &mut Session) -> Result<(), ConnectionError> {
        for packet in session.take_packets() {
            self.connection.queue(&packet)?;
        }
        if std::mem::take(&mut self.owes_greeting) {
            // Asks for a job that nobody has: not all servers know ECHO_REQ.
            self.connection.queue(&Packet::request(Kind::GetStatus, [Bytes::new()]))?;
        }
        Ok(())
    }

    /// Exchanges bytes, and asks for a sign of life where they fail to come. Who owes the owner a word stops once
    /// everything is written.
    async fn exchange(&mut self, owes_word: bool) -> Result<Exchanged, Loss> {
        loop {
            let deadline = self.pulse.deadline();
            let exchanged = poll_fn(|context| {
                // After a stall of our own, what has come in meanwhile counts before the clock does.
                if let Poll::Ready(exchanged) = self.connection.poll_exchange(context) {
                    return Poll::Ready(Some(exchanged.map(|()| Exchanged::Heard)));
                }
                if owes_word && self.connection.has_written_all() {
                    return Poll::Ready(Some(Ok(Exchanged::Said)));
                }
                self.alarm.poll_due(context, deadline).map(|()| None)
            });
            if let Some(exchanged) = exchanged.await {
                return Ok(exchanged?);
            }
            let now = Instant::now();
            match self.pulse.verdict(now) {
                Verdict::Wait => {}
                Verdict::SendEcho => self.connection.queue(&Packet::request(Kind::EchoReq, [Bytes::new()]))?,
                Verdict::GiveUpSilence => return Err(Loss::Silence(self.pulse.silence(now))),
                Verdict::GiveUpAnswer => return Err(Loss::NoAnswer(self.pulse.answer_timeout())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
