//! A set of small numbers: which functions a connection offers, which connections offer a function.
//!
//! Both sides of a registration are kept, 200 connections times 1,000 functions of them, so a set is a sorted list while
//! it is sparse and one bit per number when it is dense: a registration then costs bits, and what a worker offers is
//! held against what waits 64 functions at a time.

#[derive(Clone, Debug)]
pub(super) struct IdSet(Form);

#[derive(Clone, Debug)]
enum Form {
    /// In order.
    Few(Vec<u32>),
    Many {
        words: Vec<u64>,
        len: usize,
    },
}

impl IdSet {
    pub(super) const fn new() -> Self {
        Self(Form::Few(Vec::new()))
    }

    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Form::Few(ids) => ids.len(),
            Form::Many { len, .. } => *len,
        }
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        match &self.0 {
            Form::Few(ids) => ids.binary_search(&id).is_ok(),
            Form::Many { words, .. } => is_set(words, id),
        }
    }

    /// Says whether it is new.
    pub(super) fn insert(&mut self, id: u32) -> bool {
        match &mut self.0 {
            Form::Few(ids) => {
                let Err(at) = ids.binary_search(&id) else { return false };
                ids.insert(at, id);
                // A bit is cheaper than a number of 32 of them as soon as every 32nd number is in.
                let highest = ids.last().copied().unwrap_or(id);
                if ids.len() > 4 && highest as usize / 32 < ids.len() {
                    self.become_many(highest);
                }
                true
            }
            Form::Many { words, len } => {
                if is_set(words, id) {
                    return false;
                }
                if words_up_to(id) > words.len() && words_up_to(id) > 2 * (*len + 2) {
                    self.become_few();
                    return self.insert(id);
                }
                set(words, id);
                *len += 1;
                true
            }
        }
    }

    /// Says whether it was in.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        match &mut self.0 {
            Form::Few(ids) => {
                let Ok(at) = ids.binary_search(&id) else { return false };
                ids.remove(at);
                if ids.is_empty() {
                    *ids = Vec::new();
                }
                true
            }
            Form::Many { words, len } => {
                if !is_set(words, id) {
                    return false;
                }
                clear(words, id);
                *len -= 1;
                if words.len() > 2 * (*len + 2) {
                    self.become_few();
                }
                true
            }
        }
    }

    /// Lists the members in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let (few, words): (&[u32], &[u64]) = match &self.0 {
            Form::Few(ids) => (ids, &[]),
            Form::Many { words, .. } => (&[], words),
        };
        few.iter().copied().chain(ones(words.iter().copied()))
    }

    /// Returns the first members that both have, so many at most.
    pub(super) fn common(&self, other: &Self, at_most: usize) -> Vec<u32> {
        match (&self.0, &other.0) {
            (Form::Many { words: ours, .. }, Form::Many { words: theirs, .. }) => {
                ones(ours.iter().zip(theirs).map(|(ours, theirs)| ours & theirs)).take(at_most).collect()
            }
            (Form::Many { .. }, Form::Few(ids)) => {
                ids.iter().copied().filter(|&id| self.contains(id)).take(at_most).collect()
            }
            (Form::Few(ids), _) => ids.iter().copied().filter(|&id| other.contains(id)).take(at_most).collect(),
        }
    }

    /// Returns the member whose bit is set and whose key is least.
    pub(super) fn least_in(&self, bits: &[u64], key: impl Fn(u32) -> u64) -> Option<u32> {
        match &self.0 {
            Form::Few(ids) => ids.iter().copied().filter(|&id| is_set(bits, id)).min_by_key(|&id| key(id)),
            Form::Many { words, .. } => {
                ones(words.iter().zip(bits).map(|(ours, theirs)| ours & theirs)).min_by_key(|&id| key(id))
            }
        }
    }

    /// Returns the member whose bit is set that comes next after a number, or the first one if none does.
    pub(super) fn next_in(&self, bits: &[u64], after: u32) -> Option<u32> {
        let mut first = None;
        for id in self.iter().filter(|&id| is_set(bits, id)) {
            if id > after {
                return Some(id);
            }
            first = first.or(Some(id));
        }
        first
    }

    fn become_many(&mut self, highest: u32) {
        let len = self.len();
        let mut words = vec![0; words_up_to(highest)];
        for id in self.iter() {
            set(&mut words, id);
        }
        self.0 = Form::Many { words, len };
    }

    fn become_few(&mut self) {
        self.0 = Form::Few(self.iter().collect());
    }
}

/// Sets a bit, making room for it.
pub(super) fn set(words: &mut Vec<u64>, id: u32) {
    let at = id as usize / 64;
    if at >= words.len() {
        words.resize(at + 1, 0);
    }
    words[at] |= 1 << (id % 64);
}

pub(super) fn clear(words: &mut [u64], id: u32) {
    if let Some(word) = words.get_mut(id as usize / 64) {
        *word &= !(1 << (id % 64));
    }
}

fn is_set(words: &[u64], id: u32) -> bool {
    words.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
}

fn words_up_to(id: u32) -> usize {
    id as usize / 64 + 1
}

fn ones(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
    (0_u32..).step_by(64).zip(words).flat_map(|(base, word)| {
        std::iter::successors((word != 0).then_some(word), |&left| {
            let left = left & (left - 1);
            (left != 0).then_some(left)
        })
        .map(move |left| base + left.trailing_zeros())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_whichever_form_it_takes(
            changes in prop::collection::vec((any::<bool>(), prop_oneof![0_u32..40, 0_u32..5000]), 0..300),
            other in prop::collection::btree_set(0_u32..5000, 0..200),
        ) {
            let mut model = BTreeSet::new();
            let mut set_of_ids = IdSet::new();
            for (is_in, id) in changes {
                if is_in {
                    prop_assert_eq!(set_of_ids.insert(id), model.insert(id));
                } else {
                    prop_assert_eq!(set_of_ids.remove(id), model.remove(&id));
                }
                prop_assert_eq!(set_of_ids.len(), model.len());
            }
            prop_assert_eq!(set_of_ids.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            let (mut second, mut bits) = (IdSet::new(), Vec::new());
            for &id in &other {
                second.insert(id);
                set(&mut bits, id);
            }
            let both: Vec<u32> = model.intersection(&other).copied().collect();
            prop_assert_eq!(set_of_ids.common(&second, usize::MAX), both.clone());
            prop_assert_eq!(second.common(&set_of_ids, 3), both.iter().copied().take(3).collect::<Vec<_>>());
            prop_assert_eq!(set_of_ids.least_in(&bits, |id| u64::from(u32::MAX - id)), both.last().copied());
            let after_20 = both.iter().copied().find(|&id| id > 20).or(both.first().copied());
            prop_assert_eq!(set_of_ids.next_in(&bits, 20), after_20);
        }
    }
}
