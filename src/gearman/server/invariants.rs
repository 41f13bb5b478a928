//! Whatever peers send in whatever order, the server's books balance and nothing panics.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
#[cfg(test)]
use proptest::prelude::*;

use super::job::{Job, Stage};
#[cfg(test)]
use super::state::Action;
use super::state::{ConnectionId, Settings, State};
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
}

#[cfg(test)]
proptest! {
    #[test]
    fn the_books_balance_after_any_conversation(events in prop::collection::vec((0_u64..4, event()), 1..120)) {
        let mut state = State::new(Settings {
            host: "h".to_owned(),
            version: "1".to_owned(),
            process: 1,
            job_retries: Some(3),
            max_jobs: 12,
            max_job_bytes: 40,
            max_functions: 3,
        });
        for (who, event) in events {
            let id = ConnectionId(who);
            if !state.connections.contains_key(&id) {
                state.connected(id, "10.0.0.1".to_owned());
            }
            let actions = match event {
                Event::Leaves => state.disconnected(id),
                Event::Sends(kind, arguments) => {
                    let packet = Packet::from_parts(Magic::Request, kind, arguments);
                    state.handle(id, Frame::Packet(packet))
                }
                Event::Says(line) => state.handle(id, Frame::Line(line.into())),
            };
            check_books(&state);
            for action in actions {
                let (Action::Send(to, _) | Action::Text(to, _) | Action::Close(to)) = action;
                prop_assert!(state.connections.contains_key(&to), "nobody who has left is sent anything");
            }
        }
    }
}

#[cfg(test)]
fn event() -> impl Strategy<Value = Event> {
    let word = || prop::sample::select(vec!["", "f", "g", "h", "u", "-", "H:h:1", "H:h:2", "H:h:3", "H:h:4", "7"]);
    let packet = prop::sample::select(Kind::ALL.to_vec()).prop_flat_map(move |kind| {
        prop::collection::vec(word(), kind.arguments().len())
            .prop_map(move |words| Event::Sends(kind, words.into_iter().map(Bytes::from).collect()))
    });
    // Random packets alone seldom make a job run.
    let useful = (prop::sample::select(vec![Kind::CanDo, Kind::GrabJob, Kind::SubmitJob, Kind::PreSleep]), word())
        .prop_map(|(kind, word)| {
            let name = if word == "g" { "g" } else { "f" };
            let arguments = match kind {
                Kind::CanDo => vec![name],
                Kind::SubmitJob => vec![name, word, "payload"],
                _ => vec![],
            };
            Event::Sends(kind, arguments.into_iter().map(Bytes::from).collect())
        });
    let commands = vec!["cancel job", "drop function", "create function", "maxqueue", "status", "workers", "show jobs"];
    let text = (prop::sample::select(commands), word(), word())
        .prop_map(|(command, first, second)| Event::Says(format!("{command} {first} {second}")));
    prop_oneof![6 => useful, 6 => packet, 2 => text, 1 => Just(Event::Leaves)]
}

pub(super) fn check_books(state: &State) {
    let Settings { max_jobs, max_job_bytes, max_functions, .. } = state.settings;
    let jobs: Vec<&Job> = state.jobs.iter().collect();
    assert_eq!(state.jobs.len(), jobs.len());
    assert!(jobs.len() <= max_jobs, "as many jobs as there may be");
    assert!(
        jobs.iter().map(|job| job.payload.len()).sum::<usize>() <= max_job_bytes,
        "payloads as large as they may be"
    );
    assert_eq!(
        state.jobs.bytes(),
        jobs.iter().map(|job| job.payload.len() + job.unique.len() + job.reducer.len()).sum::<usize>()
    );
    assert!(state.functions.iter().count() <= max_functions);

    for (id, function) in state.functions.iter() {
        let of_it = || jobs.iter().filter(|job| job.function == id);
        assert_eq!(function.total, of_it().count());
        assert_eq!(function.running, of_it().filter(|job| job.is_running()).count());
        let waiting: usize = Priority::ALL.into_iter().map(|priority| function.queue.len(priority)).sum();
        assert_eq!(function.total - function.running, waiting);
        for worker in &function.workers {
            assert!(state.connections[worker].functions.contains(&id));
        }
    }

    // Over every set of functions, the index finds what looking at each job finds.
    let ids: Vec<_> = state.functions.iter().map(|(id, _)| id).collect();
    for mask in 0..1_usize << ids.len() {
        let offered: BTreeSet<_> = (0..ids.len()).filter(|bit| mask >> bit & 1 == 1).map(|bit| ids[bit]).collect();
        let expected = first(jobs.iter().filter(|job| offered.contains(&job.function)));
        assert_eq!(state.functions.next_among(&offered).and_then(|n| state.jobs.get(n)).map(|j| &j.handle), expected);
    }

    let mut running: BTreeMap<ConnectionId, usize> = BTreeMap::new();
    for job in &jobs {
        let number = state.jobs.find(&job.handle).expect("every job is found by its handle");
        for watcher in &job.watchers {
            assert!(state.connections[watcher].watching.contains(&number));
        }
        match job.stage {
            Stage::Waiting(_) => {
                assert!(!job.is_abandoned() && !job.cancelled, "what waits is wanted");
            }
            Stage::Running(worker) => {
                let connection = &state.connections[&worker];
                assert!(connection.running.contains(&number));
                assert!(connection.functions.contains(&job.function), "who runs a job still offers its function");
                *running.entry(worker).or_default() += 1;
            }
        }
    }
    for (id, connection) in &state.connections {
        assert_eq!(connection.running.len(), running.get(id).copied().unwrap_or(0));
        for &number in &connection.watching {
            assert!(state.jobs.get(number).is_some_and(|job| job.watchers.contains(id)));
        }
        for &function in &connection.functions {
            assert!(state.functions.get(function).workers.contains(id));
        }
        assert_eq!(state.wakeable.contains(id), connection.asleep && !connection.noop_sent);
    }
}

/// Returns the handle of the most urgent, oldest job that waits.
fn first<'a>(jobs: impl Iterator<Item = &'a &'a Job>) -> Option<&'a Bytes> {
    let waiting = jobs.filter_map(|job| match job.stage {
        Stage::Waiting(place) => Some((job.priority, place, &job.handle)),
        Stage::Running(_) => None,
    });
    waiting.min().map(|(_, _, handle)| handle)
}
