//! A crew: one identity at several servers, which never asks two of them at once.
//!
//! It has a [`Worker`] at each server, all with the same client id and the same functions, and one lease among them that
//! they have in turn. For its owner it is what a worker is, but for the number of the server that comes with each event.
//! A crew of one does what its worker alone would do, with one exception for all: a job that is lost with its connection
//! takes the lease with it. What it set going may go on, and another server could give a job at once.
//!
//! The lease waits for an answer to a grab, since that may be a job, but not for long: a connection whose server does
//! not answer is given up, which hands back whatever may be on its way, and no server is asked on a new connection
//! before it has said something there.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::connection::ConnectionError;
use super::turn::{Place, Stand, Turn};
use super::worker::{self, Config, Job, Report, Revocation, Worker};

/// The longest that one server may let the others wait for its answer to a grab. Registrations of hundreds of workers
/// with a thousand functions each keep geard busy for some seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What the owner has to hear, and of which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub server: usize,
    pub what: worker::Event,
}

#[derive(Debug)]
pub struct Crew {
    members: Vec<Member>,
    turn: Turn,
    /// Whether there are, or will be, several servers.
    is_shared: bool,
    desired: Arc<BTreeSet<Bytes>>,
    events: VecDeque<Event>,
    /// Who is looked at first next time.
    first: usize,
}

/// A server's number, and the worker there.
#[derive(Debug)]
struct Member {
    server: usize,
    worker: Worker,
    /// Whether the server has to have said something before it is asked.
    has_to_answer: bool,
}

impl Crew {
    /// Makes a crew for so many servers, of which each begins with [`Crew::join`].
    pub fn new(servers: usize) -> Self {
        Self {
            members: Vec::new(),
            turn: Turn::default(),
            is_shared: servers > 1,
            desired: Arc::default(),
            events: VecDeque::new(),
            first: 0,
        }
    }

    /// Starts to serve a server too, under a number that the owner chooses. Once for each.
    pub fn join(&mut self, server: usize, mut config: Config) {
        if self.is_shared {
            config.greets = true;
            config.answer_timeout = config.answer_timeout.min(LONGEST_WAIT);
        }
        let mut worker = Worker::new(config);
        worker.offer(Arc::clone(&self.desired));
        self.members.push(Member { server, worker, has_to_answer: self.is_shared });
        self.turn.add();
        self.settle();
    }

    /// Does all the work, and returns what the owner has to hear next. Never ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped while it waits.
    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match &mut self.members[..] {
                [alone] => alone.worker.step().await,
                several => {
                    let stepped = first_step(several, self.first).await;
                    self.first = stepped + 1;
                }
            }
            self.settle();
        }
    }

    /// States the whole set of functions that shall be offered to each server.
    pub fn offer(&mut self, desired: impl Into<Arc<BTreeSet<Bytes>>>) {
        let desired = desired.into();
        if desired == self.desired {
            return;
        }
        self.desired = desired;
        for member in &mut self.members {
            member.worker.offer(Arc::clone(&self.desired));
        }
        // A server that hears of a function wakes nobody for the jobs that it has.
        self.turn.all_are_due();
        self.settle();
    }

    /// Has the owner hear, with [`worker::Event::Said`] of each server that is there, once all that was said until now
    /// has been written.
    pub fn tell_when_said(&mut self) {
        for member in &mut self.members {
            member.worker.tell_when_said();
        }
    }

    /// Says whether nothing is left to write to any server that is there, as far as [`Crew::tell_when_said`] asked.
    pub fn has_said_all(&self) -> bool {
        self.members.iter().all(|member| member.worker.has_said_all())
    }

    /// Takes functions for never offered to a server, which has refused them without a word: see [`Worker::forget`].
    pub fn forget(&mut self, server: usize, refused: &BTreeSet<Bytes>) {
        if let Some(member) = self.members.iter_mut().find(|member| member.server == server) {
            member.worker.forget(refused);
        }
    }

    /// Gives the capacity to run jobs, one at a time, until it is revoked or a job is lost with its connection.
    pub fn grant(&mut self) {
        self.turn.grant(&mut self.members);
        self.settle();
    }

    /// Looks for a job at a server as soon as may be, if it has a lease: that server woke somebody else, who had none.
    pub fn wake(&mut self, server: usize) {
        if let Some(place) = self.members.iter().position(|member| member.server == server)
            && self.turn.is_leased()
        {
            // If it runs a job, it looks everywhere after that, and others were told as well.
            self.turn.woken(place, &self.members);
            self.settle();
        }
    }

    /// Takes the capacity away; a running job goes on, and one may still be on its way.
    pub fn revoke(&mut self) -> Revocation {
        let owed = self.turn.revoke(&mut self.members);
        self.tell_others(owed);
        self.settle();
        if self.is_grabbing() { Revocation::AwaitGrab } else { Revocation::Done }
    }

    /// Says something about the running job; a terminal report ends it.
    ///
    /// Returns false, and sends nothing, if no job runs: it had its terminal packet, or its connection was lost.
    pub fn report(&mut self, report: Report) -> bool {
        let is_terminal = report.is_terminal();
        let Some(runner) = self.runner() else { return false };
        let is_said = runner.worker.report(report);
        if is_terminal {
            self.turn.all_are_due();
            self.settle();
        }
        is_said
    }

    /// Gives the running job back to its server by dropping the connection, and connects again at once.
    ///
    /// Returns that job. Without one nothing happens. With a lease the same job may come again: see
    /// [`Worker::hand_back`].
    pub fn hand_back(&mut self) -> Option<Job> {
        let job = self.runner()?.worker.hand_back();
        self.turn.all_are_due();
        self.settle();
        job
    }

    /// Writes what is left to say to each server and closes in order; a server has a running job back.
    ///
    /// # Errors
    ///
    /// When it is not certain that everything has reached each server.
    pub async fn close(self) -> Result<(), ConnectionError> {
        let mut closing = JoinSet::new();
        for member in self.members {
            closing.spawn(member.worker.close());
        }
        closing.join_all().await.into_iter().collect()
    }

    /// Returns the job that runs here.
    pub fn job(&self) -> Option<&Job> {
        self.members.iter().find_map(|member| member.worker.job())
    }

    pub fn is_running(&self) -> bool {
        self.job().is_some()
    }

    /// Says whether a grab is under way that may bring a job.
    pub fn is_grabbing(&self) -> bool {
        self.members.iter().any(|member| member.worker.is_grabbing())
    }

    /// Says whether there is something that the owner has not heard yet.
    pub fn has_news(&self) -> bool {
        !self.events.is_empty()
    }

    pub fn is_leased(&self) -> bool {
        self.turn.is_leased()
    }

    fn runner(&mut self) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.worker.is_running())
    }

    /// Hears what the workers have to say, and lets the lease go to whose turn it is, until nothing more follows.
    fn settle(&mut self) {
        loop {
            self.turn.advance(&mut self.members);
            let mut is_quiet = true;
            for place in 0..self.members.len() {
                while let Some(event) = self.members[place].worker.next_event() {
                    is_quiet = false;
                    self.hear(place, event);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn hear(&mut self, place: usize, event: worker::Event) {
        if event == worker::Event::Woken && !self.turn.woken(place, &self.members) {
            return;
        }
        let mut owed = Vec::new();
        match &event {
            worker::Event::Connected => self.turn.came(place),
            worker::Event::Disconnected { job: Some(_), .. } => owed = self.turn.revoke(&mut self.members),
            worker::Event::Assigned(_) => match self.turn.assigned(place) {
                Some(places) => owed = places,
                None => return self.refuse(place),
            },
            _ => {}
        }
        self.events.push_back(Event { server: self.members[place].server, what: event });
        self.tell_others(owed);
    }

    /// Gives back a job that came from where nobody had asked for one, as after an error that was no answer to a grab.
    fn refuse(&mut self, place: usize) {
        let Member { server, worker, .. } = &mut self.members[place];
        if worker.hand_back().is_some() {
            let error = "server assigned a job after it had refused to be asked for one".to_owned();
            let what = worker::Event::Disconnected { error, job: None };
            self.events.push_back(Event { server: *server, what });
        }
    }

    fn tell_others(&mut self, places: Vec<usize>) {
        let woken = |place: usize| Event { server: self.members[place].server, what: worker::Event::Woken };
        self.events.extend(places.into_iter().map(woken));
    }
}

impl Place for Member {
    fn stand(&self) -> Stand {
        let worker = &self.worker;
        let can_be_asked = worker.is_connected() && worker.has_functions();
        if worker.is_running() {
            Stand::Running
        } else if worker.is_grabbing() {
            Stand::Grabbing
        } else if !can_be_asked || (self.has_to_answer && !worker.was_answered()) {
            Stand::Absent
        } else if worker.is_asleep() {
            Stand::Asleep
        } else if worker.is_drowsy() {
            Stand::Drowsy
        } else {
            Stand::Awake
        }
    }

    fn grant(&mut self) {
        self.worker.grant();
    }

    fn revoke(&mut self) {
        self.worker.revoke();
    }

    fn compose(&mut self) {
        self.worker.compose();
    }
}

/// Lets all work until one of them has done a piece, and returns its place. Whoever is first in the round is looked at
/// first, so that a server that never stops talking silences no other.
///
/// Cancel safe, as the steps are.
async fn first_step(members: &mut [Member], first: usize) -> usize {
    let count = members.len().max(1);
    let mut steps: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::with_capacity(count);
    for member in members {
        steps.push(Box::pin(member.worker.step()));
    }
    poll_fn(|context| {
        let mut round = (0..steps.len()).map(|step| (first + step) % count);
        match round.find(|place| steps[*place].as_mut().poll(context).is_ready()) {
            Some(place) => Poll::Ready(place),
            None => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests;
