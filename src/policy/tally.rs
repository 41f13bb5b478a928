//! What a slot was asked and what came of it, in numbers: the one source of `layshaft policy list` and of `/metrics`.
//!
//! Counting is a handful of relaxed additions, so that it is not felt beside a call. Words are fixed for each hook, so
//! that there are never more series than slots times hooks times words.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::CallError;
use super::component::Hook;
use super::record::FailureClass;
use super::verdict::{EndAnswer, Explained, MatchingAnswer, NamingAnswer, ParametersAnswer, StartAnswer};
use super::would::{Change, Would};

/// Upper bounds of the latency histogram, in microseconds. What took longer is counted behind the last one.
pub const BOUNDS_US: [u64; 22] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// More than any hook has words.
const MOST_WORDS: usize = 8;

/// What one slot was asked at one hook since it is there, over all its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The policy's name, with `#N` behind it if it is bound in several places.
    pub slot: String,
    pub hook: Hook,
    /// How often it was really asked; what was remembered from the same pass is not among it.
    pub calls: u64,
    /// By word. Every word of the hook is there.
    pub verdicts: BTreeMap<String, u64>,
    /// By class: trap, fuel, deadline, memory, invalid, configure.
    pub errors: BTreeMap<String, u64>,
    /// Calls that took up to each of the bounds (1 µs, 2, 5, 10 ... 10 s), and last those that took longer.
    pub latency: Vec<u64>,
    pub nanoseconds: u64,
    /// Half of the calls took no longer, by the histogram; none if there was no call.
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub fuel: u64,
    /// Questions of a pass over the function table that had been asked in it before.
    pub memo_hits: u64,
    pub memo_misses: u64,
    /// What a policy in mode `monitor` would have changed, by what; empty for one in force.
    pub would_have: BTreeMap<String, u64>,
    /// What was left out for a policy in mode `monitor` since it fell behind.
    pub skipped: u64,
    /// The last example of each thing that it would have changed.
    pub examples: Vec<String>,
}

/// The counts of one slot, for all hooks.
#[derive(Debug, Default)]
pub(super) struct Tally {
    hooks: [HookTally; Hook::ALL.len()],
}

#[derive(Debug, Default)]
struct HookTally {
    verdicts: [AtomicU64; MOST_WORDS],
    errors: [AtomicU64; FailureClass::ALL.len()],
    latency: [AtomicU64; BOUNDS_US.len() + 1],
    nanoseconds: AtomicU64,
    fuel: AtomicU64,
    memo_hits: AtomicU64,
    memo_misses: AtomicU64,
    would_have: [AtomicU64; MOST_WORDS],
    skipped: AtomicU64,
    examples: Mutex<BTreeMap<Would, String>>,
}

/// What a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) time: Duration,
    pub(super) fuel: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.time += more.time;
        self.fuel += more.fuel;
    }
}

/// The tallies of all slots that some version still has, by name: counters go on when a version is replaced.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<BTreeMap<String, Weak<Tally>>>);

/// An answer in a word, one of a few for each hook.
pub(super) trait Word {
    const HOOK: Hook;

    /// Returns the word's place among those of the hook.
    fn place(&self) -> usize;

    fn word(&self) -> &'static str {
        words(Self::HOOK)[self.place()]
    }
}

/// Returns the words that an answer at a hook can be.
fn words(hook: Hook) -> &'static [&'static str] {
    match hook {
        Hook::Naming => &["abstain", "names", "aliases"],
        Hook::Matching => &["abstain", "veto", "satisfies"],
        Hook::Parameters => &["abstain", "reject", "open", "closed"],
        Hook::Offline => &["abstain", "share", "reserve", "online", "offline", "held"],
    }
}

impl Tally {
    /// Counts a call.
    pub(super) fn note<A: Word>(&self, answer: Result<&Explained<A>, &CallError>, cost: Cost) {
        let tally = self.of(A::HOOK);
        match answer {
            Ok(explained) => add(&tally.verdicts[explained.answer.place()], 1),
            Err(error) => add(&tally.errors[FailureClass::of(error) as usize], 1),
        }
        let nanoseconds = u64::try_from(cost.time.as_nanos()).unwrap_or(u64::MAX);
        add(&tally.latency[bucket(nanoseconds)], 1);
        add(&tally.nanoseconds, nanoseconds);
        add(&tally.fuel, cost.fuel);
    }

    /// Counts what a pass remembered, and what it did not.
    pub(super) fn note_memo(&self, hook: Hook, hits: u64, misses: u64) {
        add(&self.of(hook).memo_hits, hits);
        add(&self.of(hook).memo_misses, misses);
    }

    /// Counts what a slot on trial would have changed, about `subject`.
    pub(super) fn note_trial(&self, hook: Hook, changes: &[Change], subject: &str) {
        let tally = self.of(hook);
        for change in changes {
            let place = Would::of(hook).iter().position(|known| *known == change.would);
            debug_assert!(place.is_some(), "{hook} has no change {:?}", change.would);
            add(&tally.would_have[place.unwrap_or_default()], 1);
            let mut examples = tally.examples.lock().unwrap_or_else(PoisonError::into_inner);
            examples.insert(change.would, format!("{subject}: would have {change}"));
        }
    }

    pub(super) fn note_skipped(&self, hook: Hook, count: u64) {
        add(&self.of(hook).skipped, count);
    }

    /// Returns the counts of one hook. They are read one after another, while others count on.
    pub(super) fn usage(&self, slot: &str, hook: Hook, on_trial: bool) -> Usage {
        let tally = self.of(hook);
        let latency: Vec<u64> = tally.latency.iter().map(read).collect();
        let by_word = |words: &[&str], counts: &[AtomicU64]| {
            words.iter().zip(counts).map(|(word, count)| ((*word).to_owned(), read(count))).collect()
        };
        let changes: Vec<&str> = Would::of(hook).iter().filter(|_| on_trial).map(|would| would.as_str()).collect();
        let examples = tally.examples.lock().unwrap_or_else(PoisonError::into_inner);
        Usage {
            slot: slot.to_owned(),
            hook,
            calls: latency.iter().sum(),
            verdicts: by_word(words(hook), &tally.verdicts),
            errors: by_word(&FailureClass::ALL.map(FailureClass::as_str), &tally.errors),
            p50_us: quantile(&latency, 50),
            p99_us: quantile(&latency, 99),
            latency,
            nanoseconds: read(&tally.nanoseconds),
            fuel: read(&tally.fuel),
            memo_hits: read(&tally.memo_hits),
            memo_misses: read(&tally.memo_misses),
            would_have: by_word(&changes, &tally.would_have),
            skipped: read(&tally.skipped),
            examples: examples.values().filter(|_| on_trial).cloned().collect(),
        }
    }

    fn of(&self, hook: Hook) -> &HookTally {
        &self.hooks[hook as usize]
    }
}

impl Usage {
    /// Returns how many calls failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Tallies {
    /// Returns the tally of a slot: that of its versions before, as long as one of them can still be asked.
    pub(super) fn of(&self, slot: &str) -> Arc<Tally> {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = tallies.get(slot).and_then(Weak::upgrade) {
            return tally;
        }
        tallies.retain(|_, tally| tally.strong_count() > 0);
        let tally = Arc::new(Tally::default());
        tallies.insert(slot.to_owned(), Arc::downgrade(&tally));
        tally
    }
}

impl Word for NamingAnswer {
    const HOOK: Hook = Hook::Naming;

    fn place(&self) -> usize {
        match self {
            Self { names: None, aliases } if aliases.is_empty() => 0,
            Self { names: Some(_), .. } => 1,
            Self { names: None, .. } => 2,
        }
    }
}

impl Word for MatchingAnswer {
    const HOOK: Hook = Hook::Matching;

    fn place(&self) -> usize {
        match self {
            Self::Abstain => 0,
            Self::Veto => 1,
            Self::Satisfies(_) => 2,
        }
    }
}

impl Word for ParametersAnswer {
    const HOOK: Hook = Hook::Parameters;

    fn place(&self) -> usize {
        match self {
            Self::Abstain => 0,
            Self::Reject => 1,
            Self::Rules { closed: false, .. } => 2,
            Self::Rules { closed: true, .. } => 3,
        }
    }
}

impl Word for StartAnswer {
    const HOOK: Hook = Hook::Offline;

    fn place(&self) -> usize {
        match self {
            Self::Abstain => 0,
            Self::Share => 1,
            Self::Reserve => 2,
        }
    }
}

impl Word for EndAnswer {
    const HOOK: Hook = Hook::Offline;

    fn place(&self) -> usize {
        match self {
            Self::Abstain => 0,
            Self::Online => 3,
            Self::Offline(_) => 4,
            Self::Held(_) => 5,
        }
    }
}

/// Returns the place of a duration among the bounds, which belong to what is below them.
fn bucket(nanoseconds: u64) -> usize {
    BOUNDS_US.partition_point(|bound| bound * 1000 < nanoseconds)
}

/// Returns below how many microseconds so many percent of the calls were, as if those of a bucket lay evenly in it,
/// which is what Prometheus' `histogram_quantile` says too. Of what lies behind the last bound only that is known.
fn quantile(latency: &[u64], percent: u64) -> Option<u64> {
    let calls: u64 = latency.iter().sum();
    // In hundredths of a call.
    let rank = (calls > 0).then_some(calls * percent)?;
    let mut before = 0;
    for (place, count) in latency.iter().enumerate() {
        if *count > 0 && (before + count) * 100 >= rank {
            let lower = place.checked_sub(1).map_or(0, |below| BOUNDS_US[below]);
            let upper = BOUNDS_US.get(place).copied().unwrap_or(lower);
            let within = u128::from(upper - lower) * u128::from(rank - before * 100);
            return Some(lower + u64::try_from(within.div_ceil(u128::from(count * 100))).unwrap_or(upper));
        }
        before += count;
    }
    None
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Relaxed)
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
