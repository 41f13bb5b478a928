//! What is known of a controller at a time: values to be shared, never to be waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::domain::{Node, Project, QueueItem};
use crate::jenkins::{Instance, Intervals};

/// The parts of a picture, each asked for by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Nodes,
    Modes,
    QuietingDown,
    Projects,
    /// The projects together with the parameters that they declare.
    Parameters,
    Queue,
}

impl Part {
    pub const ALL: [Self; 6] =
        [Self::Nodes, Self::Modes, Self::QuietingDown, Self::Projects, Self::Parameters, Self::Queue];
}

/// All that is known of a controller; a part is none until it was seen once.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Which process of the controller answered last.
    pub session: Option<String>,
    pub version: Option<String>,
    /// How often the controller was seen to have restarted. Left queue items and freestyle builds do not survive it.
    pub restarts: u64,
    pub nodes: Option<Seen<Vec<Node>>>,
    pub quieting_down: Option<Seen<bool>>,
    /// In the controller's order.
    pub projects: Option<Seen<Vec<Project>>>,
    pub queue: Option<Seen<Vec<QueueItem>>>,
    /// The trouble that has lasted longest, if anything that is needed cannot be read now.
    pub trouble: Option<Trouble>,
    troubles: BTreeMap<Part, Trouble>,
    /// When the request for the newest good answer left, of each part.
    read_at: BTreeMap<Part, Instant>,
    session_asked_at: Option<Instant>,
}

/// Something that was read.
#[derive(Debug)]
pub struct Seen<T> {
    /// Stays the same allocation while nothing changes.
    pub value: Arc<T>,
    /// When the request left: what happened later may be missing from the answer.
    pub asked_at: Instant,
    /// Grows with every reading of this part.
    pub sequence: u64,
}

/// Why a part of the picture grows old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub part: Part,
    pub since: Instant,
    pub text: String,
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), asked_at: self.asked_at, sequence: self.sequence }
    }
}

impl<T: PartialEq> Seen<T> {
    pub(super) fn renew(slot: &mut Option<Self>, value: T, asked_at: Instant) {
        *slot = Some(match slot.take() {
            None => Self { value: Arc::new(value), asked_at, sequence: 1 },
            Some(old) => {
                let value = if *old.value == value { old.value } else { Arc::new(value) };
                Self { value, asked_at, sequence: old.sequence + 1 }
            }
        });
    }
}

impl Picture {
    /// Notes which process answered, and returns whether it is another one than before.
    pub(super) fn note_instance(&mut self, instance: &Instance, asked_at: Instant) -> bool {
        let Some(session) = &instance.session else { return false };
        let is_known = self.session.as_ref() == Some(session);
        // An answer that was asked for earlier may come from the process that is gone.
        if !is_known && self.session_asked_at.is_some_and(|newest| asked_at < newest) {
            return false;
        }
        let has_restarted = self.session.is_some() && !is_known;
        if !is_known {
            self.session = Some(session.clone());
            self.session_asked_at = Some(asked_at);
        }
        self.version.clone_from(&instance.version);
        self.restarts += u64::from(has_restarted);
        has_restarted
    }

    /// Returns when the request left whose answer is the newest of this part.
    pub fn read_at(&self, part: Part) -> Option<Instant> {
        self.read_at.get(&part).copied()
    }

    /// Returns why a part cannot be read now.
    pub fn trouble_of(&self, part: Part) -> Option<&Trouble> {
        self.troubles.get(&part)
    }

    /// Returns a part that is too old for jobs to be taken on it.
    pub fn stale(&self, intervals: &Intervals, now: Instant) -> Option<Part> {
        let is_stale = |part: &Part| {
            let after = intervals.stale_after(*part);
            let read_at = self.read_at(*part);
            after.zip(read_at).is_some_and(|(after, read_at)| now.saturating_duration_since(read_at) > after)
        };
        Part::ALL.into_iter().find(is_stale)
    }

    /// Notes that a part was read, and returns the trouble that is over.
    pub(super) fn note_read(&mut self, part: Part, asked_at: Instant) -> Option<Trouble> {
        self.read_at.insert(part, asked_at);
        self.clear_trouble(part)
    }

    /// Notes that nothing is wrong with a part any more, and returns the trouble that is over.
    pub(super) fn clear_trouble(&mut self, part: Part) -> Option<Trouble> {
        let over = self.troubles.remove(&part);
        self.show_trouble();
        over
    }

    /// Notes that a part cannot be read, and returns whether that is news.
    pub(super) fn note_trouble(&mut self, part: Part, text: String) -> bool {
        let since = self.troubles.get(&part).map_or_else(Instant::now, |trouble| trouble.since);
        let trouble = Trouble { part, since, text };
        let is_news = self.troubles.get(&part) != Some(&trouble);
        self.troubles.insert(part, trouble);
        self.show_trouble();
        is_news
    }

    fn show_trouble(&mut self) {
        // Without modes every node counts as open to all, which is no reason to distrust the picture.
        let needed = self.troubles.values().filter(|trouble| trouble.part != Part::Modes);
        self.trouble = needed.min_by_key(|trouble| trouble.since).cloned();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn instance(session: &str) -> Instance {
        Instance { session: Some(session.to_owned()), version: Some("2.5".to_owned()) }
    }

    #[test]
    fn a_restart_is_counted_once_even_if_an_old_answer_comes_late() {
        let mut picture = Picture::default();
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        assert!(!picture.note_instance(&instance("a"), start));
        assert!(!picture.note_instance(&Instance::default(), later));
        assert!(picture.note_instance(&instance("b"), later));
        assert!(!picture.note_instance(&instance("a"), start));
        assert!(!picture.note_instance(&instance("b"), later));
        assert_eq!((picture.restarts, picture.session.as_deref()), (1, Some("b")));
    }

    #[test]
    fn an_equal_reading_keeps_its_allocation_and_still_counts() {
        let mut slot = None;
        let start = Instant::now();
        Seen::renew(&mut slot, vec![1], start);
        let first = slot.clone().unwrap();
        Seen::renew(&mut slot, vec![1], start + Duration::from_secs(1));
        let second = slot.clone().unwrap();
        assert!(Arc::ptr_eq(&first.value, &second.value) && second.asked_at > first.asked_at);
        Seen::renew(&mut slot, vec![2], start + Duration::from_secs(2));
        assert_eq!((slot.as_ref().unwrap().sequence, slot.unwrap().value[0]), (3, 2));
    }

    #[test]
    fn the_trouble_shown_is_the_one_that_lasts_longest() {
        let mut picture = Picture::default();
        assert!(picture.note_trouble(Part::Queue, "a".to_owned()));
        assert!(!picture.note_trouble(Part::Queue, "a".to_owned()));
        assert!(picture.note_trouble(Part::Nodes, "b".to_owned()));
        assert_eq!(picture.trouble.as_ref().unwrap().part, Part::Queue);
        let now = Instant::now();
        assert!(picture.note_read(Part::Queue, now).is_some());
        assert_eq!(picture.trouble.as_ref().unwrap().part, Part::Nodes);
        assert!(picture.note_read(Part::Nodes, now).is_some() && picture.trouble.is_none());
        assert!(picture.note_trouble(Part::Modes, "c".to_owned()));
        assert!(picture.trouble.is_none() && picture.trouble_of(Part::Modes).is_some(), "nobody needs modes");
    }

    #[test]
    fn a_picture_is_stale_by_the_age_of_what_jobs_are_taken_on() {
        let (mut picture, intervals, start) = (Picture::default(), Intervals::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(picture.stale(&intervals, after(9999)), None, "nothing was seen yet, and nothing is offered");
        for part in Part::ALL {
            picture.note_read(part, start);
        }
        assert_eq!(picture.stale(&intervals, after(15)), None);
        assert_eq!(picture.stale(&intervals, after(16)), Some(Part::Nodes));
        picture.note_read(Part::Nodes, after(120));
        assert_eq!(picture.stale(&intervals, after(120)), Some(Part::QuietingDown));
        picture.note_read(Part::QuietingDown, after(140));
        picture.note_read(Part::Nodes, after(140));
        assert_eq!(picture.stale(&intervals, after(144)), None);
        assert_eq!(picture.stale(&intervals, after(145)), Some(Part::Projects));
    }
}
