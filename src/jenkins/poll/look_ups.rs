//! Single things that are asked after beside a list, a few at a time, so that no round ever waits for them.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, pending};

use tokio::task::JoinSet;

use crate::jenkins::Error;

/// How many of one kind are on their way at once. What a browser would open to one host, and no flood.
const AT_ONCE: usize = 4;

/// What shall be asked after, and what is being asked after. Dropping it ends its requests.
#[derive(Debug)]
pub(super) struct LookUps<K, V> {
    wanted: VecDeque<K>,
    under_way: BTreeSet<K>,
    requests: JoinSet<(K, Result<V, Error>)>,
}

impl<K, V> LookUps<K, V>
where
    K: Ord + Clone + Send + 'static,
    V: Send + 'static,
{
    pub(super) fn new() -> Self {
        Self { wanted: VecDeque::new(), under_way: BTreeSet::new(), requests: JoinSet::new() }
    }

    /// Replaces what shall be asked after; what is on its way goes on, and is not asked after twice.
    pub(super) fn want(&mut self, keys: impl IntoIterator<Item = K>) {
        self.wanted = keys.into_iter().filter(|key| !self.under_way.contains(key)).collect();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.under_way.is_empty()
    }

    /// Returns everything whose answer is still to come.
    pub(super) fn open(&self) -> BTreeSet<K> {
        self.wanted.iter().chain(&self.under_way).cloned().collect()
    }

    /// Waits for the next answer, for ever if there is nothing to ask.
    ///
    /// After a failure that tells something about the controller the rest is no longer wanted: the next round decides.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: requests go on, and no answer is lost.
    pub(super) async fn next<F>(&mut self, ask: impl Fn(K) -> F) -> (K, Result<V, Error>)
    where
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        loop {
            while self.requests.len() < AT_ONCE
                && let Some(key) = self.wanted.pop_front()
            {
                let answer = ask(key.clone());
                self.under_way.insert(key.clone());
                self.requests.spawn(async move { (key, answer.await) });
            }
            match self.requests.join_next().await {
                Some(Ok((key, answer))) => {
                    self.under_way.remove(&key);
                    if answer.as_ref().is_err_and(Error::is_transient) {
                        self.wanted.clear();
                    }
                    return (key, answer);
                }
                // It panicked, so that nobody can say which it was.
                Some(Err(_)) if self.requests.is_empty() => self.under_way.clear(),
                Some(Err(_)) => {}
                None => pending().await,
            }
        }
    }
}
