//! Crews of sessions and servers on a wire that loses, delays and breaks, watched by somebody who sees all of it.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::gearman::codec::Frame;
use crate::gearman::packet::{Kind, Magic, Packet};
use crate::gearman::session::{Event, Report, Session};

const SERVERS: usize = 3;
const FUNCTIONS: [&str; 2] = ["f", "g"];

/// One identity at one server: its session, and the connection as both ends see it.
#[derive(Debug)]
struct Line {
    session: Session,
    is_up: bool,
    was_answered: bool,
    to_server: VecDeque<Packet>,
    to_worker: VecDeque<Packet>,
    /// What the server knows of the worker.
    offered: BTreeSet<Bytes>,
    is_asleep: bool,
    job: Option<Job>,
}

#[derive(Clone, Debug)]
struct Job {
    number: usize,
    function: &'static str,
}

#[derive(Debug, Default)]
struct Server {
    jobs: VecDeque<Job>,
    /// It reads nothing and says nothing, but what it has said still arrives.
    hangs: bool,
    /// Like gearmand with `-w 1`.
    wakes_one: bool,
}

#[derive(Debug)]
struct Crew {
    lines: Vec<Line>,
    turn: Turn,
    functions: BTreeSet<Bytes>,
}

#[derive(Debug)]
struct World {
    servers: Vec<Server>,
    crews: Vec<Crew>,
    /// Places at which a crew has asked others to look.
    told: VecDeque<(usize, usize)>,
    submitted: usize,
    /// The jobs that were grabbed, in order: who, where.
    grabbed: Vec<(usize, usize)>,
    has_refused: bool,
}

#[derive(Clone, Debug)]
enum Input {
    Submit {
        server: usize,
        function: &'static str,
    },
    Connect {
        crew: usize,
        server: usize,
    },
    Lose {
        crew: usize,
        server: usize,
    },
    /// Lets the server read, or the worker hear, the next packet.
    Read {
        crew: usize,
        server: usize,
    },
    Hear {
        crew: usize,
        server: usize,
    },
    Write {
        crew: usize,
    },
    Hang {
        server: usize,
        hangs: bool,
    },
    Refuse {
        crew: usize,
        server: usize,
    },
    Offer {
        crew: usize,
        functions: Vec<&'static str>,
    },
    Grant {
        crew: usize,
    },
    Revoke {
        crew: usize,
    },
    End {
        crew: usize,
    },
    HandBack {
        crew: usize,
    },
    Tell,
}

fn input() -> impl Strategy<Value = Input> {
    let crew = 0..2_usize;
    let server = 0..SERVERS;
    let both = (crew.clone(), server.clone());
    let function = prop::sample::select(&FUNCTIONS[..]);
    prop_oneof![
        4 => (server.clone(), function.clone()).prop_map(|(server, function)| Input::Submit { server, function }),
        3 => both.clone().prop_map(|(crew, server)| Input::Connect { crew, server }),
        1 => both.clone().prop_map(|(crew, server)| Input::Lose { crew, server }),
        12 => both.clone().prop_map(|(crew, server)| Input::Read { crew, server }),
        12 => both.clone().prop_map(|(crew, server)| Input::Hear { crew, server }),
        12 => crew.clone().prop_map(|crew| Input::Write { crew }),
        1 => (server, any::<bool>()).prop_map(|(server, hangs)| Input::Hang { server, hangs }),
        1 => both.prop_map(|(crew, server)| Input::Refuse { crew, server }),
        3 => (crew.clone(), prop::sample::subsequence(&FUNCTIONS[..], 0..=2))
            .prop_map(|(crew, functions)| Input::Offer { crew, functions }),
        3 => crew.clone().prop_map(|crew| Input::Grant { crew }),
        2 => crew.clone().prop_map(|crew| Input::Revoke { crew }),
        3 => crew.clone().prop_map(|crew| Input::End { crew }),
        1 => crew.prop_map(|crew| Input::HandBack { crew }),
        4 => Just(Input::Tell),
    ]
}

impl Place for Line {
    fn stand(&self) -> Stand {
        if self.session.job().is_some() {
            Stand::Running
        } else if self.session.is_grabbing() {
            Stand::Grabbing
        } else if !self.is_up || !self.was_answered || !self.session.has_functions() {
            Stand::Absent
        } else if self.session.is_asleep() {
            Stand::Asleep
        } else if self.session.is_drowsy() {
            Stand::Drowsy
        } else {
            Stand::Awake
        }
    }

    fn grant(&mut self) {
        self.session.grant();
    }

    fn revoke(&mut self) {
        self.session.revoke();
    }

    fn compose(&mut self) {
        if self.is_up {
            self.to_server.extend(self.session.take_packets());
        }
    }
}

impl Line {
    fn new() -> Self {
        Self {
            session: Session::new("node_exec-0"),
            is_up: false,
            was_answered: false,
            to_server: VecDeque::new(),
            to_worker: VecDeque::new(),
            offered: BTreeSet::new(),
            is_asleep: false,
            job: None,
        }
    }

    /// Whether a grab is on its way to the server, or a job on its way from there, or at work.
    fn count_of_grabs_and_jobs(&self) -> usize {
        let grabs = self.to_server.iter().filter(|packet| packet.kind == Kind::GrabJobUniq).count();
        let jobs = self.to_worker.iter().filter(|packet| packet.kind == Kind::JobAssignUniq).count();
        grabs + jobs + usize::from(self.session.job().is_some())
    }

    fn answer(&mut self, kind: Kind, arguments: &[&[u8]]) {
        let arguments = arguments.iter().map(|argument| Bytes::copy_from_slice(argument)).collect();
        self.to_worker.push_back(Packet::from_parts(Magic::Response, kind, arguments));
    }
}

impl Server {
    fn read(&mut self, line: &mut Line) {
        let Some(packet) = line.to_server.pop_front() else { return };
        let argument = |index: usize| packet.argument(index).clone();
        let offers = |line: &Line, job: &Job| line.offered.contains(job.function.as_bytes());
        match packet.kind {
            Kind::ResetAbilities => line.offered.clear(),
            Kind::CanDo => drop(line.offered.insert(argument(0))),
            Kind::CantDo => drop(line.offered.remove(&argument(0))),
            Kind::GrabJobUniq => {
                line.is_asleep = false;
                match self.jobs.iter().position(|job| offers(line, job)) {
                    Some(position) => {
                        let job = self.jobs.remove(position).unwrap();
                        let handle = format!("H:{}", job.number);
                        line.answer(Kind::JobAssignUniq, &[handle.as_bytes(), job.function.as_bytes(), b"u", b""]);
                        line.job = Some(job);
                    }
                    None => line.answer(Kind::NoJob, &[]),
                }
            }
            Kind::PreSleep => {
                line.is_asleep = true;
                if self.jobs.iter().any(|job| offers(line, job)) {
                    line.is_asleep = false;
                    line.answer(Kind::Noop, &[]);
                }
            }
            Kind::WorkComplete => line.job = None,
            Kind::GetStatus => line.answer(Kind::StatusRes, &[&argument(0), b"0", b"0", b"0", b"0"]),
            _ => {}
        }
    }
}

impl World {
    fn new(wakes_one: bool) -> Self {
        let crew = || Crew {
            lines: (0..SERVERS).map(|_| Line::new()).collect(),
            turn: Turn { looks: vec![Look::Due; SERVERS], ..Turn::default() },
            functions: BTreeSet::new(),
        };
        Self {
            servers: (0..SERVERS).map(|_| Server { wakes_one, ..Server::default() }).collect(),
            crews: vec![crew(), crew()],
            told: VecDeque::new(),
            submitted: 0,
            grabbed: Vec::new(),
            has_refused: false,
        }
    }

    fn take(&mut self, input: &Input) {
        match input {
            Input::Submit { server, function } => {
                self.submitted += 1;
                let job = Job { number: self.submitted, function };
                self.enqueue(*server, job);
            }
            Input::Connect { crew, server } => {
                let line = &mut self.crews[*crew].lines[*server];
                if !line.is_up {
                    line.is_up = true;
                    line.session.connected();
                    self.crews[*crew].turn.came(*server);
                    self.settle(*crew);
                    // The greeting leaves with the registration.
                    let line = &mut self.crews[*crew].lines[*server];
                    line.compose();
                    line.to_server.push_back(Packet::request(Kind::GetStatus, [Bytes::new()]));
                }
            }
            Input::Lose { crew, server } => self.lose(*crew, *server),
            Input::Read { crew, server } => {
                if !self.servers[*server].hangs {
                    self.servers[*server].read(&mut self.crews[*crew].lines[*server]);
                }
            }
            Input::Hear { crew, server } => {
                let line = &mut self.crews[*crew].lines[*server];
                if let Some(packet) = line.to_worker.pop_front() {
                    line.was_answered = true;
                    line.session.receive(Frame::Packet(packet));
                }
                self.settle(*crew);
            }
            Input::Write { crew } => self.write(*crew),
            Input::Hang { server, hangs } => self.servers[*server].hangs = *hangs,
            Input::Refuse { crew, server } => {
                let line = &mut self.crews[*crew].lines[*server];
                if line.is_up && !self.servers[*server].hangs {
                    self.has_refused = true;
                    line.answer(Kind::Error, &[b"INVALID_PACKET", b"what was that?"]);
                }
            }
            Input::Offer { crew, functions } => {
                let crew_index = *crew;
                let crew = &mut self.crews[crew_index];
                crew.functions = functions.iter().map(|function| Bytes::from(*function)).collect();
                for line in &mut crew.lines {
                    line.session.offer(crew.functions.clone());
                }
                crew.turn.all_are_due();
                self.settle(crew_index);
            }
            Input::Grant { crew } => {
                let Crew { lines, turn, .. } = &mut self.crews[*crew];
                turn.grant(lines);
                self.settle(*crew);
            }
            Input::Revoke { crew } => {
                let Crew { lines, turn, .. } = &mut self.crews[*crew];
                let owed = turn.revoke(lines);
                self.tell(*crew, owed);
                self.settle(*crew);
            }
            Input::End { crew } => {
                let Crew { lines, turn, .. } = &mut self.crews[*crew];
                if let Some(line) = lines.iter_mut().find(|line| line.session.job().is_some()) {
                    line.session.report(Report::Complete(Bytes::new()));
                    turn.all_are_due();
                }
                self.settle(*crew);
            }
            Input::HandBack { crew } => {
                let runner = self.crews[*crew].lines.iter().position(|line| line.session.job().is_some());
                if let Some(server) = runner {
                    self.lose(*crew, server);
                }
            }
            Input::Tell => {
                if let Some((crew, server)) = self.told.pop_front() {
                    let other = 1 - crew;
                    let Crew { lines, turn, .. } = &mut self.crews[other];
                    if turn.is_leased() {
                        turn.woken(server, lines);
                    }
                    self.settle(other);
                }
            }
        }
    }

    fn enqueue(&mut self, server: usize, job: Job) {
        let function = job.function;
        let wakes_one = self.servers[server].wakes_one;
        self.servers[server].jobs.push_back(job);
        for crew in &mut self.crews {
            let line = &mut crew.lines[server];
            if line.is_asleep && line.offered.contains(function.as_bytes()) {
                line.is_asleep = false;
                line.answer(Kind::Noop, &[]);
                if wakes_one {
                    break;
                }
            }
        }
    }

    fn lose(&mut self, crew: usize, server: usize) {
        let line = &mut self.crews[crew].lines[server];
        let had_job = line.session.disconnected().is_some();
        let session = std::mem::replace(&mut line.session, Session::new(""));
        let lost = std::mem::replace(line, Line { session, ..Line::new() });
        if let Some(job) = lost.job {
            self.enqueue(server, job);
        }
        if had_job {
            let Crew { lines, turn, .. } = &mut self.crews[crew];
            let owed = turn.revoke(lines);
            self.tell(crew, owed);
        }
        self.settle(crew);
    }

    fn write(&mut self, crew: usize) {
        for line in &mut self.crews[crew].lines {
            line.compose();
        }
    }

    fn tell(&mut self, crew: usize, places: Vec<usize>) {
        self.told.extend(places.into_iter().map(|place| (crew, place)));
    }

    /// What a crew does after each piece of work.
    fn settle(&mut self, crew: usize) {
        loop {
            let Crew { lines, turn, .. } = &mut self.crews[crew];
            turn.advance(lines);
            let event =
                lines.iter_mut().enumerate().find_map(|(place, line)| Some((place, line.session.next_event()?)));
            let Some((place, event)) = event else { return };
            match event {
                Event::Woken => {
                    if turn.woken(place, lines) {
                        self.tell(crew, vec![place]);
                    }
                }
                Event::Assigned(_) => match turn.assigned(place) {
                    Some(owed) => {
                        self.grabbed.push((crew, place));
                        self.tell(crew, owed);
                    }
                    None => return self.lose(crew, place),
                },
                Event::Violated(_) => return self.lose(crew, place),
                Event::Revoked | Event::Refused { .. } | Event::Delivered { .. } => {}
            }
        }
    }

    fn check(&self) {
        for crew in &self.crews {
            // A server that refuses a grab and then answers it has two jobs out, one of which goes back unseen.
            let busy: usize = match self.has_refused {
                true => {
                    crew.lines.iter().filter(|line| line.session.job().is_some() || line.session.is_grabbing()).count()
                }
                false => crew.lines.iter().map(Line::count_of_grabs_and_jobs).sum(),
            };
            assert!(busy <= 1, "{busy} grabs or jobs at once: {crew:#?}");
            let leased = crew.lines.iter().filter(|line| line.session.is_leased()).count();
            assert!(leased <= usize::from(crew.turn.is_leased()), "{leased} leases");
        }
    }

    /// Lets everything run that can, while some server may hang and some crew may keep what it has, until nothing moves.
    fn run(&mut self, keeps: Option<usize>, leased: [bool; 2]) {
        for round in 0.. {
            assert!(round < 1000, "it never comes to rest: {self:#?}");
            let mut is_at_rest = self.told.is_empty();
            self.take(&Input::Tell);
            for (crew, is_leased) in leased.into_iter().enumerate() {
                if is_leased {
                    // Again, after a job was lost.
                    self.take(&Input::Grant { crew });
                }
                self.write(crew);
                for server in 0..SERVERS {
                    self.take(&Input::Connect { crew, server });
                    let line = &self.crews[crew].lines[server];
                    let hangs = self.servers[server].hangs;
                    let (to_read, to_hear) = (if hangs { 0 } else { line.to_server.len() }, line.to_worker.len());
                    is_at_rest &= to_read + to_hear == 0;
                    if hangs && line.session.is_grabbing() && to_hear == 0 {
                        // Unanswered for too long.
                        self.lose(crew, server);
                        is_at_rest = false;
                    }
                    for _ in 0..to_read {
                        self.take(&Input::Read { crew, server });
                        self.check();
                    }
                    for _ in 0..to_hear {
                        self.take(&Input::Hear { crew, server });
                        self.check();
                    }
                }
                if keeps != Some(crew) {
                    is_at_rest &= self.crews[crew].lines.iter().all(|line| line.session.job().is_none());
                    self.take(&Input::End { crew });
                }
            }
            if is_at_rest {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_crew_ever_asks_twice_and_every_job_of_a_living_server_is_taken(
        inputs in prop::collection::vec(input(), 0..150),
        wakes_one in any::<bool>(),
        hanging in prop::option::of(0..SERVERS),
        keeps in prop::option::of(0..2_usize),
        is_leased in any::<bool>(),
    ) {
        let mut world = World::new(wakes_one);
        for input in &inputs {
            world.take(input);
            world.check();
        }
        for (number, server) in world.servers.iter_mut().enumerate() {
            server.hangs = Some(number) == hanging;
        }
        // Whoever keeps its job for ever may or may not have a lease for another one: the other one has to see to it.
        let leased = [0, 1].map(|crew| keeps != Some(crew) || is_leased);
        for (crew, is_leased) in leased.into_iter().enumerate() {
            world.take(&Input::Offer { crew, functions: FUNCTIONS.to_vec() });
            world.take(&if is_leased { Input::Grant { crew } } else { Input::Revoke { crew } });
        }
        world.run(keeps, leased);
        // One that keeps its job and has a lease took at most that one.
        for (number, server) in world.servers.iter().enumerate().filter(|(_, server)| !server.hangs) {
            prop_assert!(server.jobs.is_empty(), "jobs wait at server {}: {:#?}", number, world);
        }
        // And so it is with what comes later, to sleepers.
        for server in (0..SERVERS).filter(|server| Some(*server) != hanging) {
            world.take(&Input::Submit { server, function: "f" });
            world.run(keeps, leased);
            prop_assert!(world.servers[server].jobs.is_empty(), "a later job waits at server {}: {:#?}", server, world);
        }
    }

    #[test]
    fn servers_that_always_have_jobs_are_served_in_turn(counts in prop::collection::vec(1..6_usize, SERVERS)) {
        let mut world = World::new(false);
        for (server, count) in counts.iter().enumerate() {
            for _ in 0..*count {
                world.take(&Input::Submit { server, function: "f" });
            }
        }
        world.take(&Input::Offer { crew: 0, functions: vec!["f"] });
        // All have answered before the lease comes.
        world.run(None, [false; 2]);
        world.run(None, [true, false]);
        let places: Vec<usize> = world.grabbed.iter().map(|(_, place)| *place).collect();
        let mut expected = Vec::new();
        for round in 0..6 {
            // The round begins behind the place that had the lease last, and that was none: the first.
            expected.extend([1, 2, 0].into_iter().filter(|server| counts[*server] > round));
        }
        prop_assert_eq!(places, expected);
    }
}
