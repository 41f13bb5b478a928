//! Whether a connection whose lease was revoked may still bring a job.
//!
//! Each revocation has a number, and the connection repeats the latest once nothing can come of the lease any more,
//! whether there was a grab, a job, or no connection. News that crossed a revocation has an older number, or none, and
//! settles nothing; and no reason outlives its end, since it is the connection's state that is looked at and not the
//! event that changed it.

/// What one side has said and the other answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settling {
    revoked: u64,
    settled: u64,
}

/// The connection's half: the revocation that it has not answered.
#[derive(Debug, Default)]
pub(super) struct Unanswered(Option<u64>);

impl Settling {
    /// Returns the number of a new revocation.
    pub(super) fn revoke(&mut self) -> u64 {
        self.revoked += 1;
        self.revoked
    }

    /// The connection has answered.
    pub(super) fn settle(&mut self, number: u64) {
        self.settled = self.settled.max(number);
    }

    /// Returns whether the latest revocation has not been answered.
    pub(super) fn is_under_way(self) -> bool {
        self.settled < self.revoked
    }
}

impl Unanswered {
    pub(super) fn revoke(&mut self, number: u64) {
        self.0 = Some(number);
    }

    /// Returns what is to be answered now. A job may come of a grab, and of an event that was not looked at yet.
    pub(super) fn answer(&mut self, is_grabbing: bool, has_news: bool) -> Option<u64> {
        if is_grabbing || has_news { None } else { self.0.take() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_answered_once_when_nothing_can_come_any_more() {
        let (mut settling, mut unanswered) = (Settling::default(), Unanswered::default());
        assert!(!settling.is_under_way());
        unanswered.revoke(settling.revoke());
        for (is_grabbing, has_news) in [(true, false), (true, true), (false, true)] {
            assert_eq!(unanswered.answer(is_grabbing, has_news), None);
        }
        assert!(settling.is_under_way());
        settling.settle(unanswered.answer(false, false).unwrap());
        assert!(!settling.is_under_way());
        assert_eq!(unanswered.answer(false, false), None, "it was said already");
    }

    #[test]
    fn an_answer_that_crossed_another_revocation_settles_nothing() {
        let (mut settling, mut unanswered) = (Settling::default(), Unanswered::default());
        unanswered.revoke(settling.revoke());
        let crossing = unanswered.answer(false, false).unwrap();
        let second = settling.revoke();
        settling.settle(crossing);
        assert!(settling.is_under_way());
        unanswered.revoke(second);
        settling.settle(unanswered.answer(false, false).unwrap());
        assert!(!settling.is_under_way());
    }

    #[test]
    fn the_latest_revocation_answers_for_those_before_it() {
        let (mut settling, mut unanswered) = (Settling::default(), Unanswered::default());
        for _ in 0..3 {
            unanswered.revoke(settling.revoke());
        }
        settling.settle(unanswered.answer(false, false).unwrap());
        assert!(!settling.is_under_way());
    }
}
