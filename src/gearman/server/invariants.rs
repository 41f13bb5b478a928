//! Whatever peers send in whatever order, the server's books balance and nothing panics.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
#[cfg(test)]
use proptest::prelude::*;

use super::idset::IdSet;
use super::job::{Job, Stage};
use super::peer::ConnectionId;
use super::state::{Settings, State};
use super::store::Change;
#[cfg(test)]
use super::trial::Action;
use super::trial::Trial;
use crate::gearman::Priority;
#[cfg(test)]
use crate::gearman::codec::Frame;
#[cfg(test)]
use crate::gearman::{Kind, Magic, Packet};

#[cfg(test)]
#[derive(Clone, Debug)]
enum Event {
    Leaves,
    Sends(Kind, Vec<Bytes>),
    Says(String),
    TimePasses(u64),
    StoreDoes(bool),
}

#[cfg(test)]
proptest! {
    #[test]
    fn the_books_balance_after_any_conversation(
        round_robin in any::<bool>(),
        keeps_jobs in any::<bool>(),
        events in prop::collection::vec((1_u32..5, event()), 1..120),
    ) {
        let mut trial = Trial::new(Settings {
            handle_prefix: "H:h".to_owned(),
            job_retries: Some(3),
            round_robin,
            keeps_jobs,
            wake_at_most: if round_robin { 1 } else { usize::MAX },
            max_jobs: 12,
            max_job_bytes: 40,
            max_functions: 3,
            ..Settings::default()
        });
        let mut stored = BTreeMap::new();
        for (who, event) in events {
            let id = ConnectionId(who);
            if !trial.is_connected(id) {
                trial.connect(id);
            }
            let actions = match event {
                Event::Leaves => trial.disconnect(id),
                Event::Sends(kind, arguments) => {
                    trial.handle(id, &Frame::Packet(Packet::from_parts(Magic::Request, kind, arguments)))
                }
                Event::Says(line) => trial.handle(id, &Frame::Line(line.into())),
                Event::TimePasses(milliseconds) => trial.pass(milliseconds),
                Event::StoreDoes(works) => {
                    write_down(&mut stored, &trial.changes, works);
                    trial.store(works)
                }
            };
            check_books(&trial.state);
            check_store(&trial, &stored);
            for action in actions {
                let (Action::Send(to, _) | Action::Text(to, _) | Action::Close(to)) = action;
                prop_assert!(trial.is_connected(to), "nobody who has left is sent anything");
            }
        }
    }
}

/// Does what a store does: all, or all but the additions.
pub(super) fn write_down(stored: &mut BTreeMap<u64, Bytes>, changes: &[Change], works: bool) {
    for change in changes {
        match change {
            Change::Add(job) if works => drop(stored.insert(job.number, Bytes::copy_from_slice(&job.unique))),
            Change::Remove(number) => drop(stored.remove(number)),
            Change::Add(_) | Change::Reserve(_) => {}
        }
    }
}

/// Once it has done what it was asked to, the store has the background jobs that have not ended, and no others.
pub(super) fn check_store(trial: &Trial, stored: &BTreeMap<u64, Bytes>) {
    let mut stored = stored.clone();
    write_down(&mut stored, &trial.changes, true);
    let jobs = trial.state.jobs.sorted();
    let kept = jobs.iter().filter(|job| job.stored);
    let expected: BTreeMap<u64, Bytes> = kept.map(|job| (job.number, Bytes::copy_from_slice(job.unique()))).collect();
    assert_eq!(stored, expected);
    for job in jobs {
        let is_asked_for = trial.state.keeping.is_asked_for(job.number);
        if trial.state.settings.keeps_jobs {
            assert_eq!(job.background, job.stored && !is_asked_for, "who was told that it is kept can rely on it");
        }
        assert!(!matches!(job.stage, Stage::Storing { .. }) || is_asked_for, "what waits for the store is on its way");
    }
}

#[cfg(test)]
fn event() -> impl Strategy<Value = Event> {
    let word =
        || prop::sample::select(vec!["", "f", "g", "h", "u", "-", "H:h:1", "H:h:2", "H:h:3", "H:h:4", "7", "1002"]);
    let packet = prop::sample::select(Kind::ALL.to_vec()).prop_flat_map(move |kind| {
        prop::collection::vec(word(), kind.arguments().len())
            .prop_map(move |words| Event::Sends(kind, words.into_iter().map(Bytes::from).collect()))
    });
    // Random packets alone seldom make a job run.
    let useful_kinds = vec![
        Kind::CanDo,
        Kind::CanDoTimeout,
        Kind::GrabJob,
        Kind::SubmitJob,
        Kind::SubmitJobBg,
        Kind::SubmitJobEpoch,
        Kind::PreSleep,
    ];
    let useful = (prop::sample::select(useful_kinds), word()).prop_map(|(kind, word)| {
        let name = if word == "g" { "g" } else { "f" };
        let arguments = match kind {
            Kind::CanDo => vec![name],
            Kind::CanDoTimeout => vec![name, "1500"],
            Kind::SubmitJob | Kind::SubmitJobBg => vec![name, word, "payload"],
            Kind::SubmitJobEpoch => vec![name, word, "1003", "payload"],
            _ => vec![],
        };
        Event::Sends(kind, arguments.into_iter().map(Bytes::from).collect())
    });
    let commands = vec!["cancel job", "drop function", "create function", "maxqueue", "status", "workers", "show jobs"];
    let text = (prop::sample::select(commands), word(), word())
        .prop_map(|(command, first, second)| Event::Says(format!("{command} {first} {second}")));
    let store = prop::bool::weighted(0.8).prop_map(Event::StoreDoes);
    let time = (0_u64..2000).prop_map(Event::TimePasses);
    prop_oneof![12 => useful, 12 => packet, 4 => text, 2 => Just(Event::Leaves), 4 => store, 3 => time]
}

pub(super) fn check_books(state: &State) {
    let Settings { max_jobs, max_job_bytes, max_functions, .. } = state.settings;
    let jobs: Vec<&Job> = state.jobs.sorted();
    let functions = state.functions.sorted();
    assert_eq!(state.jobs.len(), jobs.len());
    assert!(jobs.len() <= max_jobs, "as many jobs as there may be");
    let payloads: usize = jobs.iter().map(|job| job.payload().len()).sum();
    assert!(payloads <= max_job_bytes, "payloads as large as they may be");
    let size = |job: &&Job| job.unique().len() + job.reducer().len() + job.payload().len();
    assert_eq!(state.jobs.bytes(), jobs.iter().map(size).sum::<usize>());
    assert!(functions.len() <= max_functions);

    for &(id, function) in &functions {
        let of_it = || jobs.iter().filter(|job| job.function == id);
        assert_eq!(function.total, of_it().count());
        assert_eq!(function.running, of_it().filter(|job| job.is_running()).count());
        for priority in Priority::ALL {
            let waiting = of_it().filter(|job| job.priority == priority && matches!(job.stage, Stage::Waiting(_)));
            assert_eq!(function.queue.len(priority), waiting.count());
        }
        for worker in function.workers.iter() {
            assert!(peer(state, ConnectionId(worker)).functions.contains(id.0));
        }
    }

    // Over every set of functions, the index finds what looking at each job finds.
    for mask in 0..1_usize << functions.len() {
        let mut offered = IdSet::new();
        let mut names = BTreeSet::new();
        for (bit, (id, _)) in functions.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1) {
            assert!(bit < max_functions && offered.insert(id.0));
            names.insert(*id);
        }
        let expected = first(jobs.iter().filter(|job| names.contains(&job.function)));
        assert_eq!(state.functions.next_among(&offered).map(|id| state.jobs.at(id).number), expected.map(|(_, n)| n));
        for &(last, _) in &functions {
            let in_turn = state.functions.next_in_turn(&offered, last).map(|id| state.jobs.at(id));
            assert_eq!(in_turn.map(|job| job.priority), expected.map(|(priority, _)| priority));
            let of_it = in_turn.and_then(|job| first(jobs.iter().filter(|other| other.function == job.function)));
            assert_eq!(in_turn.map(|job| job.number), of_it.map(|(_, number)| number), "the first of its function");
        }
    }

    let mut running: BTreeMap<ConnectionId, usize> = BTreeMap::new();
    let mut for_later = 0;
    for job in &jobs {
        let handle = state.jobs.handle(job.number);
        let id = state.jobs.find(handle.as_ref()).expect("every job is found by its handle");
        let is_wanted = !job.is_abandoned() || state.keeping.is_asked_for(job.number);
        for &watcher in &job.watchers {
            assert!(peer(state, watcher).watching.contains(&id));
        }
        match job.stage {
            Stage::Storing { .. } => assert!(is_wanted, "what waits for the store is wanted"),
            Stage::Waiting(_) => assert!(is_wanted, "what waits is wanted"),
            Stage::Due(when) => {
                assert!(is_wanted, "what is for later is wanted");
                assert!(when * 1000 > state.due.now.unix && state.due.is_noted(when, id));
                for_later += 1;
            }
            Stage::Running(worker) => {
                let peer = peer(state, worker);
                assert!(peer.running.contains(&id));
                assert!(peer.functions.contains(job.function.0), "who runs a job still offers its function");
                *running.entry(worker).or_default() += 1;
            }
        }
    }
    let (epochs, limits) = state.due.lengths();
    assert_eq!(epochs, for_later);
    assert!(limits <= running.values().sum());
    assert!(state.next_due().is_some() == (epochs + limits > 0));

    for (id, peer) in state.peers.iter() {
        assert_eq!(peer.running.len(), running.get(&id).copied().unwrap_or(0));
        for &job in &peer.watching {
            assert!(state.jobs.at(job).watchers.contains(&id));
        }
        for function in peer.functions.iter() {
            let (_, row) = functions.iter().find(|(known, _)| known.0 == function).expect("a function in use stays");
            assert!(row.workers.contains(id.0));
        }
        assert_eq!(state.wakeable.contains(id.0), peer.asleep && !peer.noop_sent);
    }
}

fn peer(state: &State, id: ConnectionId) -> &super::peer::Peer {
    state.peers.find(id).expect("only those who are there are noted")
}

/// Returns the priority and the number of the most urgent, oldest job that waits.
fn first<'a>(jobs: impl Iterator<Item = &'a &'a Job>) -> Option<(Priority, u64)> {
    let waiting = jobs.filter_map(|job| match job.stage {
        Stage::Waiting(place) => Some((job.priority, place, job.number)),
        _ => None,
    });
    waiting.min().map(|(priority, _, number)| (priority, number))
}
