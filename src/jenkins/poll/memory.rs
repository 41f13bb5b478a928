//! Keeps what a list lacks until it is certainly gone. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// In how many answers in a row something must be missing until it counts as gone.
const MISSES_UNTIL_GONE: u32 = 3;

/// Remembers what a list held, since Jenkins leaves out an element without a word when it stumbles over it.
pub(super) struct Memory<K, V> {
    key: fn(&V) -> &K,
    listed: Vec<V>,
    misses: BTreeMap<K, u32>,
}

impl<K: Ord + Clone, V: Clone> Memory<K, V> {
    pub(super) fn new(key: fn(&V) -> &K) -> Self {
        Self { key, listed: Vec::new(), misses: BTreeMap::new() }
    }

    /// Takes an answer in: what it lacks is kept behind what it holds, until it was missing too often. What is just
    /// being `asked` after by itself is not missing any longer for that: the answer decides.
    pub(super) fn take_in(&mut self, answer: Vec<V>, asked: &BTreeSet<K>) {
        let mut named = BTreeSet::new();
        let mut listed: Vec<V> = answer.into_iter().filter(|value| named.insert((self.key)(value).clone())).collect();
        self.misses.retain(|key, _| !named.contains(key));
        for value in std::mem::take(&mut self.listed) {
            let key = (self.key)(&value);
            if named.contains(key) {
                continue;
            }
            let misses = self.misses.entry(key.clone()).or_default();
            *misses += u32::from(!asked.contains(key) || *misses == 0);
            if *misses < MISSES_UNTIL_GONE {
                listed.push(value);
            } else {
                self.misses.remove(key);
            }
        }
        self.listed = listed;
    }

    pub(super) fn listed(&self) -> &[V] {
        &self.listed
    }

    pub(super) fn listed_mut(&mut self) -> &mut [V] {
        &mut self.listed
    }

    /// Returns what is kept although the newest answer lacked it.
    pub(super) fn missing(&self) -> Vec<K> {
        self.misses.keys().cloned().collect()
    }

    /// Notes that something is there although it was missing.
    pub(super) fn confirm(&mut self, key: &K) {
        // It stays missing, but as if for the first time.
        if let Some(misses) = self.misses.get_mut(key) {
            *misses = 0;
        }
    }

    /// Notes that something that was missing is certainly gone; false if a list has held it since.
    pub(super) fn forget(&mut self, key: &K) -> bool {
        let was_missing = self.misses.remove(key).is_some();
        if was_missing {
            let of = self.key;
            self.listed.retain(|value| of(value) != key);
        }
        was_missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory<&'static str, (&'static str, u32)> {
        Memory::new(|(name, _)| name)
    }

    fn take_in(memory: &mut Memory<&'static str, (&'static str, u32)>, answer: Vec<(&'static str, u32)>) {
        memory.take_in(answer, &BTreeSet::new());
    }

    fn names(memory: &Memory<&'static str, (&'static str, u32)>) -> Vec<&'static str> {
        memory.listed().iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn something_is_gone_only_after_it_was_missing_three_times_in_a_row() {
        let mut memory = memory();
        take_in(&mut memory, vec![("b", 1), ("a", 1)]);
        take_in(&mut memory, vec![("a", 2)]);
        take_in(&mut memory, vec![("a", 3)]);
        assert_eq!(names(&memory), ["a", "b"]);
        take_in(&mut memory, vec![("b", 4), ("a", 4)]);
        assert!(memory.missing().is_empty());
        for _ in 0..2 {
            take_in(&mut memory, vec![("a", 5)]);
            assert_eq!((names(&memory), memory.missing()), (vec!["a", "b"], vec!["b"]));
        }
        take_in(&mut memory, vec![("a", 5)]);
        assert_eq!((names(&memory), memory.missing()), (vec!["a"], vec![]));
    }

    #[test]
    fn the_order_is_the_controllers_and_the_newest_value_counts() {
        let mut memory = memory();
        take_in(&mut memory, vec![("b", 1), ("a", 1)]);
        take_in(&mut memory, vec![("c", 2), ("a", 2), ("b", 2), ("c", 3)]);
        assert_eq!(memory.listed(), [("c", 2), ("a", 2), ("b", 2)]);
    }

    #[test]
    fn a_look_at_the_thing_itself_decides_sooner() {
        let mut memory = memory();
        take_in(&mut memory, vec![("a", 1), ("b", 1)]);
        for _ in 0..10 {
            take_in(&mut memory, vec![("a", 1)]);
            memory.confirm(&"b");
            assert_eq!(names(&memory), ["a", "b"]);
        }
        assert!(memory.forget(&"b"));
        assert_eq!((names(&memory), memory.missing()), (vec!["a"], vec![]));
    }

    #[test]
    fn what_is_being_asked_after_waits_for_its_answer_and_a_newer_list_outweighs_that() {
        let mut memory = memory();
        let list = || vec![("a", 1), ("b", 1)];
        take_in(&mut memory, list());
        for _ in 0..10 {
            memory.take_in(vec![("a", 1)], &BTreeSet::from(["b"]));
            assert_eq!((names(&memory), memory.missing()), (vec!["a", "b"], vec!["b"]));
        }
        take_in(&mut memory, list());
        assert!(!memory.forget(&"b"), "the list is newer than the look");
        assert_eq!(names(&memory), ["a", "b"]);
    }
}
