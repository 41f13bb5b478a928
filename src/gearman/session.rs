//! One worker's conversation with the server, without sockets and without a clock.
//!
//! ```text
//!           GRAB_JOB_UNIQ           NO_JOB           PRE_SLEEP
//!     Awake ─────────────▶ Grabbing ──────▶ Drowsy ───────────▶ Asleep
//!       ▲                     │ JOB_ASSIGN_UNIQ                    │
//!       │ terminal packet     ▼                                    │
//!       ├───────────────── Running                                 │
//!       └───── NOOP, a lease, a change of the functions ───────────┘
//! ```
//!
//! Inputs change the state; what follows from them is decided when packets are taken, so that many inputs cost one
//! delta and one grab. It never grabs or sleeps without a lease, never has two grabs under way, never sends anything
//! for a job after its terminal packet, and never withdraws a function whose job runs here or may be on its way:
//! gearmand would give that job to another worker, and it would run twice.
//!
//! A terminal packet counts as delivered when the server has answered something that was sent after it: the next grab,
//! or, if none follows, a GET_STATUS of that job, which every server answers. That the system took the packet proves
//! nothing: a server that has died without a word takes nothing in, and gives the job out again when it is back.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::codec::Frame;
use super::packet::{Kind, Packet};

/// So many grabs in a row may be answered with an error before the connection is given up: a server that refuses
/// them and wakes us again at once must meet the back-off of the reconnect.
const REFUSALS_BORNE: u32 = 3;

/// How much of a server's error is kept; it ends up in logs.
const ERROR_TEXT_KEPT: usize = 200;

/// A unit of work that the server handed out.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    pub handle: Bytes,
    pub function: Bytes,
    /// Empty if the client sent none.
    pub unique: Bytes,
    pub payload: Bytes,
}

/// What is said about the running job.
#[derive(Clone, PartialEq, Eq)]
pub enum Report {
    Data(Bytes),
    Warning(Bytes),
    Status { numerator: i64, denominator: i64 },
    Complete(Bytes),
    Fail,
    Exception(Bytes),
}

/// What the owner has to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A job came; it may be for a function that is no longer offered, and it may come after the lease was revoked.
    Assigned(Job),
    /// The server has read the terminal packet of the job with that handle.
    Delivered { handle: Bytes },
    /// A job waits for a sleeper that has no lease: somebody else should grab.
    Woken,
    /// The grab that was under way when the lease was revoked brought nothing.
    Revoked,
    /// The server sent an error; with the handle of the job that ran when it came.
    Refused { code: String, text: String, handle: Option<Bytes> },
    /// The server broke the rules: the connection must be dropped, which hands back whatever it held.
    Violated(&'static str),
}

/// What taking a lease away has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// No job can come any more.
    Done,
    /// A grab is under way: [`Event::Revoked`] or [`Event::Assigned`] says what became of it, unless the connection is lost.
    AwaitGrab,
}

/// The session of one connection.
#[derive(Debug)]
pub struct Session {
    client_id: Bytes,
    /// How long the server lets a job of ours run, in milliseconds; as it is written.
    job_timeout: Option<Bytes>,
    desired: Arc<BTreeSet<Bytes>>,
    /// What the server has been told; the very set `desired` once nothing is left to tell.
    offered: Arc<BTreeSet<Bytes>>,
    /// Whether `desired` and `offered` have to be compared again.
    registration_is_due: bool,
    leased: bool,
    state: State,
    /// Whether an error was taken for the answer to a grab, so that the true one may still come.
    answer_may_follow: bool,
    /// Woken since the last grab: if the lease goes before the next one, somebody else must look.
    owes_a_look: bool,
    /// The job whose terminal packet was sent last, until the server is known to have read it.
    ended: Option<Ended>,
    refusals: u32,
    packets: Vec<Packet>,
    events: VecDeque<Event>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Disconnected,
    /// Grabs as soon as it has a lease and a function.
    Awake,
    /// `again`: the functions changed after the grab had left, so that its NO_JOB says nothing about them.
    Grabbing {
        again: bool,
    },
    /// Was told NO_JOB.
    Drowsy,
    Asleep,
    Running(Job),
}

#[derive(Debug)]
struct Ended {
    handle: Bytes,
    /// Whether something was sent after the terminal packet that the server has to answer.
    asked: bool,
}

impl Session {
    pub fn new(client_id: impl Into<Bytes>) -> Self {
        let nothing = Arc::<BTreeSet<Bytes>>::default();
        Self {
            client_id: client_id.into(),
            job_timeout: None,
            desired: Arc::clone(&nothing),
            offered: nothing,
            registration_is_due: false,
            leased: false,
            state: State::Disconnected,
            answer_may_follow: false,
            owes_a_look: false,
            ended: None,
            refusals: 0,
            packets: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Has the server take jobs back that run for longer than this, from the next connection on.
    pub fn limit_jobs(&mut self, timeout: Duration) {
        // "CAN_DO_TIMEOUT": in milliseconds, whatever some workers send.
        self.job_timeout = Some(timeout.as_millis().to_string().into());
    }

    /// Starts on a fresh connection, of which the server knows nothing.
    pub fn connected(&mut self) {
        self.disconnected();
        self.state = State::Awake;
        self.registration_is_due = true;
        self.send(Kind::SetClientId, [self.client_id.clone()]);
        self.send(Kind::ResetAbilities, []);
    }

    /// Forgets the connection, and returns the job that ran on it: the server has it back.
    pub fn disconnected(&mut self) -> Option<Job> {
        self.packets.clear();
        self.offered = Arc::default();
        self.answer_may_follow = false;
        self.owes_a_look = false;
        self.ended = None;
        self.refusals = 0;
        match std::mem::replace(&mut self.state, State::Disconnected) {
            State::Running(job) => Some(job),
            _ => None,
        }
    }

    /// States the whole set of functions that shall be offered.
    pub fn offer(&mut self, desired: impl Into<Arc<BTreeSet<Bytes>>>) {
        self.desired = desired.into();
        self.registration_is_due = true;
    }

    /// Takes functions for never offered on this connection, since the server has refused them without a word: geard
    /// drops a connection that withdraws what its access list did not let it offer.
    pub fn forget(&mut self, refused: &BTreeSet<Bytes>) {
        if !self.offered.is_disjoint(refused) {
            self.offered = Arc::new(self.offered.difference(refused).cloned().collect());
            self.registration_is_due = true;
        }
    }

    /// Gives the capacity to run jobs, one at a time, until it is revoked.
    pub fn grant(&mut self) {
        if !self.leased && matches!(self.state, State::Drowsy | State::Asleep) {
            self.state = State::Awake;
        }
        self.leased = true;
    }

    /// Takes the capacity away; a running job goes on.
    pub fn revoke(&mut self) -> Revocation {
        self.leased = false;
        if std::mem::take(&mut self.owes_a_look) {
            self.events.push_back(Event::Woken);
        }
        if self.is_grabbing() { Revocation::AwaitGrab } else { Revocation::Done }
    }

    /// Says something about the running job; a terminal report ends it.
    ///
    /// Returns false, and sends nothing, if no job runs: it had its terminal packet, or its connection was lost.
    pub fn report(&mut self, report: Report) -> bool {
        let State::Running(job) = &self.state else { return false };
        let handle = job.handle.clone();
        if report.is_terminal() {
            self.ended = Some(Ended { handle: handle.clone(), asked: false });
            self.state = State::Awake;
            self.registration_is_due = true;
        }
        match report {
            Report::Data(data) => self.send(Kind::WorkData, [handle, data]),
            Report::Warning(data) => self.send(Kind::WorkWarning, [handle, data]),
            Report::Status { numerator, denominator } => {
                self.send(Kind::WorkStatus, [handle, numerator.to_string().into(), denominator.to_string().into()]);
            }
            Report::Complete(data) => self.send(Kind::WorkComplete, [handle, data]),
            Report::Fail => self.send(Kind::WorkFail, [handle]),
            Report::Exception(data) => self.send(Kind::WorkException, [handle, data]),
        }
        true
    }

    /// Takes in what the server sent. Whatever has no meaning here is left aside.
    pub fn receive(&mut self, frame: Frame) {
        let Frame::Packet(packet) = frame else { return };
        if self.state == State::Disconnected {
            return;
        }
        let argument = |index| packet.argument(index).clone();
        match packet.kind {
            Kind::Noop => self.woken(),
            Kind::NoJob => self.found_nothing(),
            Kind::JobAssign => self.assigned(Job {
                handle: argument(0),
                function: argument(1),
                unique: Bytes::new(),
                payload: argument(2),
            }),
            Kind::JobAssignUniq => self.assigned(Job {
                handle: argument(0),
                function: argument(1),
                unique: argument(2),
                payload: argument(3),
            }),
            Kind::JobAssignAll => self.assigned(Job {
                handle: argument(0),
                function: argument(1),
                unique: argument(2),
                payload: argument(4),
            }),
            Kind::StatusRes if self.ended.as_ref().is_some_and(|ended| ended.handle == packet.argument(0)) => {
                self.delivered();
            }
            Kind::Error => self.refused(&packet),
            _ => {}
        }
    }

    /// Returns what has to be written now, in order and in one piece.
    pub fn take_packets(&mut self) -> Vec<Packet> {
        self.settle();
        std::mem::take(&mut self.packets)
    }

    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns the job that runs here.
    pub fn job(&self) -> Option<&Job> {
        match &self.state {
            State::Running(job) => Some(job),
            _ => None,
        }
    }

    /// Says whether the server owes an answer: to a grab, or to the question after a terminal packet.
    pub fn awaits_answer(&self) -> bool {
        self.is_grabbing() || self.ended.is_some()
    }

    /// Says whether a grab is under way.
    pub fn is_grabbing(&self) -> bool {
        matches!(self.state, State::Grabbing { .. })
    }

    /// Says whether there is anything to offer.
    pub fn has_functions(&self) -> bool {
        !self.desired.is_empty()
    }

    /// Says whether the server was told that it shall wake this worker.
    pub fn is_asleep(&self) -> bool {
        self.state == State::Asleep
    }

    /// Says whether there was no job, and the server is to be told next that it shall wake this worker.
    pub fn is_drowsy(&self) -> bool {
        self.state == State::Drowsy
    }

    pub fn is_leased(&self) -> bool {
        self.leased
    }

    /// Returns the functions that the server has been told; none without a connection.
    pub fn functions(&self) -> &Arc<BTreeSet<Bytes>> {
        &self.offered
    }

    fn woken(&mut self) {
        // Only a sleeper can be woken: any other NOOP crossed a packet of ours that asks anyway.
        if self.state == State::Asleep {
            self.state = State::Awake;
            if self.leased {
                self.owes_a_look = true;
            } else {
                self.events.push_back(Event::Woken);
            }
        }
    }

    fn found_nothing(&mut self) {
        if self.is_grabbing() {
            self.refusals = 0;
            self.delivered();
            self.end_grab();
        }
    }

    /// The server has answered; if that was asked after a terminal packet, it has read that one too.
    fn delivered(&mut self) {
        let ended = self.ended.take_if(|ended| ended.asked);
        self.events.extend(ended.map(|Ended { handle, .. }| Event::Delivered { handle }));
    }

    fn end_grab(&mut self) {
        let State::Grabbing { again } = self.state else { return };
        self.registration_is_due = true;
        self.state = if again || !self.leased { State::Awake } else { State::Drowsy };
        if !self.leased {
            self.events.push_back(Event::Revoked);
        }
    }

    fn assigned(&mut self, job: Job) {
        if matches!(self.state, State::Running(_)) {
            return self.events.push_back(Event::Violated("server assigned a job while another one runs"));
        }
        if !self.is_grabbing() && !self.answer_may_follow {
            return self.events.push_back(Event::Violated("server assigned a job that was not asked for"));
        }
        self.refusals = 0;
        self.answer_may_follow = false;
        self.registration_is_due = true;
        self.delivered();
        self.state = State::Running(job.clone());
        self.events.push_back(Event::Assigned(job));
    }

    fn refused(&mut self, packet: &Packet) {
        let code = readable(packet.argument(0));
        let text = readable(packet.argument(1));
        // A late WORK_COMPLETE and the grab leave in one write; the error then answers the former.
        let concerns_a_job = code.eq_ignore_ascii_case("JOB_NOT_FOUND");
        let refuses_grab = self.is_grabbing() && !concerns_a_job;
        let handle = self.job().map(|job| job.handle.clone());
        self.events.push_back(Event::Refused { code, text, handle });
        if refuses_grab {
            self.answer_may_follow = true;
            self.refusals += 1;
            // The error may have been on its way before the terminal packet was.
            if let Some(ended) = &mut self.ended {
                ended.asked = false;
            }
            self.end_grab();
            if self.refusals >= REFUSALS_BORNE {
                self.events.push_back(Event::Violated("server keeps refusing to be asked for jobs"));
            }
        }
    }

    /// Sends what follows from the state.
    fn settle(&mut self) {
        if self.state == State::Disconnected {
            return;
        }
        let changed = self.register();
        let may_grab = self.leased && !self.offered.is_empty();
        match self.state {
            State::Disconnected | State::Running(_) => {}
            State::Grabbing { ref mut again } => *again |= changed,
            // PRE_SLEEP is answered by a NOOP as long as a job waits, so nobody sleeps who could not grab then.
            State::Drowsy if !may_grab => self.state = State::Awake,
            State::Awake | State::Asleep if !may_grab => {}
            State::Awake => self.grab(),
            // A CAN_DO never causes a NOOP, even if jobs wait.
            State::Drowsy | State::Asleep if changed => self.grab(),
            State::Drowsy => {
                self.send(Kind::PreSleep, []);
                self.state = State::Asleep;
            }
            State::Asleep => {}
        }
        self.ask_whether_delivered();
    }

    /// Sees to it that something follows a terminal packet that the server has to answer. Not all know ECHO_REQ.
    fn ask_whether_delivered(&mut self) {
        let is_grabbing = self.is_grabbing();
        let Some(ended) = self.ended.as_mut().filter(|ended| !ended.asked) else { return };
        ended.asked = true;
        if !is_grabbing {
            let handle = ended.handle.clone();
            self.send(Kind::GetStatus, [handle]);
        }
    }

    fn grab(&mut self) {
        self.answer_may_follow = false;
        self.owes_a_look = false;
        self.state = State::Grabbing { again: false };
        self.send(Kind::GrabJobUniq, []);
    }

    /// Brings what is offered as close to what is desired as may be now, and says whether anything was sent.
    fn register(&mut self) -> bool {
        if !std::mem::take(&mut self.registration_is_due) || Arc::ptr_eq(&self.desired, &self.offered) {
            return false;
        }
        let desired = Arc::clone(&self.desired);
        let offered = Arc::clone(&self.offered);
        let mut changed = false;
        for function in desired.difference(&offered) {
            match self.job_timeout.clone() {
                None => self.send(Kind::CanDo, [function.clone()]),
                Some(timeout) => self.send(Kind::CanDoTimeout, [function.clone(), timeout]),
            }
            changed = true;
        }
        let (kept, withdrawn): (Vec<&Bytes>, Vec<&Bytes>) =
            offered.difference(&desired).partition(|function| self.must_stay(function));
        changed |= !withdrawn.is_empty();
        if !withdrawn.is_empty() && desired.is_empty() && self.job().is_none() {
            self.send(Kind::ResetAbilities, []);
        } else {
            for function in withdrawn {
                self.send(Kind::CantDo, [function.clone()]);
            }
        }
        self.offered = if kept.is_empty() { desired } else { Arc::new(desired.iter().chain(kept).cloned().collect()) };
        changed
    }

    /// Says whether a function must not be withdrawn now, since a job of it is here or may be on its way.
    fn must_stay(&self, function: &Bytes) -> bool {
        match &self.state {
            State::Grabbing { .. } => true,
            State::Running(job) => job.function == function,
            _ => false,
        }
    }

    fn send<const N: usize>(&mut self, kind: Kind, arguments: [Bytes; N]) {
        self.packets.push(Packet::request(kind, arguments));
    }
}

impl Report {
    /// Says whether it ends the job.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Complete(_) | Self::Fail | Self::Exception(_))
    }
}

impl fmt::Debug for Job {
    /// Leaves the payload out: it can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("handle", &self.handle)
            .field("function", &self.function)
            .field("unique", &self.unique)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish()
    }
}

impl fmt::Debug for Report {
    /// Leaves the data out: it can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::Warning(data) => write!(f, "Warning({} bytes)", data.len()),
            Self::Status { numerator, denominator } => write!(f, "Status({numerator}/{denominator})"),
            Self::Complete(data) => write!(f, "Complete({} bytes)", data.len()),
            Self::Fail => f.write_str("Fail"),
            Self::Exception(data) => write!(f, "Exception({} bytes)", data.len()),
        }
    }
}

/// Makes text of a foreign argument, short and on one line.
fn readable(argument: &Bytes) -> String {
    let start = &argument[..argument.len().min(ERROR_TEXT_KEPT)];
    String::from_utf8_lossy(start).chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
