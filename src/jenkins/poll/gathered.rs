//! When to show what single look-ups have changed. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A picture makes everybody look who waits for one, so that thousands of answers must not make thousands of pictures.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Changes that nobody was shown yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    is_changed: bool,
    shown_at: Option<Instant>,
}

impl Gathered {
    pub(super) fn note(&mut self, is_changed: bool) {
        self.is_changed |= is_changed;
    }

    /// Returns whether to show the changes now, and counts them as shown then; `is_last` is whether no more can come
    /// soon.
    pub(super) fn take(&mut self, is_last: bool, now: Instant) -> bool {
        let is_due = self.is_changed && (is_last || self.shown_at.is_none_or(|at| now >= at + SHOW_EVERY));
        if is_due {
            *self = Self { is_changed: false, shown_at: Some(now) };
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_changes_are_shown_once_a_second_and_the_last_one_at_once() {
        let mut gathered = Gathered::default();
        let start = Instant::now();
        let mut shown = Vec::new();
        for tick in 0..25 {
            gathered.note(true);
            if gathered.take(tick == 24, start + Duration::from_millis(100 * tick)) {
                shown.push(tick);
            }
        }
        assert_eq!(shown, [0, 10, 20, 24]);
        assert!(!gathered.take(true, start + Duration::from_secs(60)), "nothing has changed");
    }
}
