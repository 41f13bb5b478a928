//! Functions as connections are told them: a set is made once, and shared by all that offer the same.
//!
//! A site may have a thousand connections with thousands of functions each, and every event is an occasion to compare
//! what they offer with what they should. So a set knows how it was made of another one, and most comparisons look at
//! no name.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::FunctionName;

#[derive(Clone, Debug, Default)]
pub(super) struct FunctionSet(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: BTreeSet<FunctionName>,
    /// The names as they go to the server.
    on_the_wire: Arc<BTreeSet<Bytes>>,
    /// The set that it was made of, and what was taken out of that.
    made_of: Option<(FunctionSet, BTreeSet<FunctionName>)>,
}

impl FunctionSet {
    pub(super) fn new(names: BTreeSet<FunctionName>) -> Self {
        Self::made(names, None)
    }

    fn made(names: BTreeSet<FunctionName>, made_of: Option<(Self, BTreeSet<FunctionName>)>) -> Self {
        let on_the_wire = names.iter().map(|name| Bytes::copy_from_slice(name.as_str().as_bytes())).collect();
        Self(Arc::new(Inner { names, on_the_wire: Arc::new(on_the_wire), made_of }))
    }

    /// Returns the set without some of its functions.
    pub(super) fn without(&self, taken: BTreeSet<FunctionName>) -> Self {
        if taken.is_empty() {
            return self.clone();
        }
        Self::made(self.0.names.difference(&taken).cloned().collect(), Some((self.clone(), taken)))
    }

    /// Returns whether this is what is left of another set without some of its functions.
    pub(super) fn is_without(&self, whole: &Self, taken: &BTreeSet<FunctionName>) -> bool {
        match &self.0.made_of {
            _ if taken.is_empty() => self == whole,
            Some((known, known_taken)) if known.is(whole) => known_taken == taken,
            _ => self.0.names.iter().eq(whole.0.names.difference(taken)),
        }
    }

    /// Returns whether this is the very same set, and not only an equal one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn on_the_wire(&self) -> Arc<BTreeSet<Bytes>> {
        Arc::clone(&self.0.on_the_wire)
    }
}

impl Deref for FunctionSet {
    type Target = BTreeSet<FunctionName>;

    fn deref(&self) -> &Self::Target {
        &self.0.names
    }
}

impl PartialEq for FunctionSet {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.0.names == other.0.names
    }
}

impl Eq for FunctionSet {}

impl FromIterator<FunctionName> for FunctionSet {
    fn from_iter<I: IntoIterator<Item = FunctionName>>(names: I) -> Self {
        Self::new(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> FunctionSet {
        names.iter().map(|name| FunctionName::new(*name).unwrap()).collect()
    }

    #[test]
    fn what_is_left_of_a_set_is_known_however_it_was_made() {
        let (whole, twin) = (set(&["a", "b", "c"]), set(&["a", "b", "c"]));
        let taken: BTreeSet<FunctionName> = set(&["b"]).iter().cloned().collect();
        let left = whole.without(taken.clone());
        assert_eq!(left, set(&["a", "c"]));
        assert_eq!(left.on_the_wire().len(), 2);
        for set in [&left, &set(&["a", "c"])] {
            assert!(set.is_without(&whole, &taken) && set.is_without(&twin, &taken));
            assert!(!set.is_without(&whole, &BTreeSet::new()));
        }
        assert!(!whole.is_without(&whole, &taken) && whole.is_without(&twin, &BTreeSet::new()));
        assert!(whole.without(BTreeSet::new()).is(&whole) && !whole.is(&twin) && whole == twin);
    }
}
