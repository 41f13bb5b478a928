//! Whether the server still lives, told from when it was last heard. Reads no clock: it is given the time.

use std::time::Duration;

use tokio::time::Instant;

/// The signs of life on one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    heartbeat: Option<Duration>,
    answer_timeout: Duration,
    heard: Instant,
    /// When an ECHO_REQ went out that nothing has followed yet.
    echoed: Option<Instant>,
    /// When a grab went out that has not been answered yet.
    asked: Option<Instant>,
}

/// What to do now that a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    SendEcho,
    GiveUp,
}

impl Pulse {
    pub(super) fn new(heartbeat: Option<Duration>, answer_timeout: Duration, now: Instant) -> Self {
        Self { heartbeat, answer_timeout, heard: now, echoed: None, asked: None }
    }

    /// Notes that something was read.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.echoed = None;
    }

    /// Notes whether an answer is owed to a grab.
    pub(super) fn awaits_answer(&mut self, awaits: bool, now: Instant) {
        self.asked = awaits.then(|| self.asked.unwrap_or(now));
    }

    /// Returns when to ask for a verdict, if nothing is heard before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.heartbeat_deadline(), self.answer_deadline()].into_iter().flatten().min()
    }

    /// Decides what the silence so far means.
    pub(super) fn verdict(&mut self, now: Instant) -> Verdict {
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.answer_deadline()) {
            return Verdict::GiveUp;
        }
        if !passed(self.heartbeat_deadline()) {
            return Verdict::Wait;
        }
        if self.echoed.is_some() {
            return Verdict::GiveUp;
        }
        self.echoed = Some(now);
        Verdict::SendEcho
    }

    /// Returns for how long nothing has been heard.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    fn heartbeat_deadline(&self) -> Option<Instant> {
        Some(self.echoed.unwrap_or(self.heard) + self.heartbeat?)
    }

    fn answer_deadline(&self) -> Option<Instant> {
        Some(self.asked?.max(self.heard) + self.answer_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_secs(30);
    const ANSWER: Duration = Duration::from_secs(60);

    #[test]
    fn echo_goes_out_after_one_beat_of_silence_and_the_end_comes_after_another() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Some(BEAT), ANSWER, start);
        assert_eq!(pulse.deadline(), Some(start + BEAT));
        assert_eq!(pulse.verdict(start + BEAT - Duration::from_nanos(1)), Verdict::Wait);
        assert_eq!(pulse.verdict(start + BEAT), Verdict::SendEcho);
        assert_eq!(pulse.deadline(), Some(start + BEAT * 2));
        assert_eq!(pulse.verdict(start + BEAT * 2), Verdict::GiveUp);
    }

    #[test]
    fn whatever_is_heard_starts_the_beat_over() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Some(BEAT), ANSWER, start);
        assert_eq!(pulse.verdict(start + BEAT), Verdict::SendEcho);
        pulse.heard(start + BEAT + Duration::from_secs(1));
        assert_eq!(pulse.verdict(start + BEAT * 2), Verdict::Wait);
        assert_eq!(pulse.deadline(), Some(start + BEAT * 2 + Duration::from_secs(1)));
    }

    #[test]
    fn without_heartbeat_only_an_unanswered_grab_has_a_deadline() {
        let start = Instant::now();
        let mut pulse = Pulse::new(None, ANSWER, start);
        assert_eq!(pulse.deadline(), None);
        pulse.awaits_answer(true, start + BEAT);
        pulse.awaits_answer(true, start + BEAT * 2);
        assert_eq!(pulse.deadline(), Some(start + BEAT + ANSWER), "asking again is no sign of life");
        assert_eq!(pulse.verdict(start + BEAT + ANSWER), Verdict::GiveUp);
        pulse.awaits_answer(false, start + BEAT + ANSWER);
        assert_eq!(pulse.deadline(), None);
    }
}
