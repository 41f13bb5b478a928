//! A hash map that can only be looked up in: it lists nothing, so that its order cannot show anywhere.

use std::borrow::Borrow;
#[expect(clippy::disallowed_types, reason = "what is disallowed is its order, which stays in this file")]
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

#[derive(Debug)]
#[expect(clippy::disallowed_types, reason = "what is disallowed is its order, which stays in this file")]
pub(super) struct Lookup<K, V, S = RandomState>(HashMap<K, V, S>);

impl<K, V, S: Default> Default for Lookup<K, V, S> {
    fn default() -> Self {
        Self(Default::default())
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Lookup<K, V, S> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    /// Gives back memory that a smaller map does not need.
    pub(super) fn shrink_to(&mut self, capacity: usize) {
        self.0.shrink_to(capacity);
    }
}
