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
    /// When a grab went out that has not been answered yet, or the last byte of a packet that is half there.
    asked: Option<Instant>,
}

/// What to do now that a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    SendEcho,
    /// Nothing has been heard for too long.
    GiveUpSilence,
    /// Whatever else it says, the server owes the answer to a grab for too long.
    GiveUpAnswer,
}

impl Pulse {
    pub(super) fn new(heartbeat: Option<Duration>, answer_timeout: Duration, now: Instant) -> Self {
        Self { heartbeat, answer_timeout, heard: now, echoed: None, asked: None }
    }

    /// Notes that something was read, and whether it ended inside a packet: that may be the answer, on its way.
    pub(super) fn heard(&mut self, is_mid_packet: bool, now: Instant) {
        self.heard = now;
        self.echoed = None;
        if is_mid_packet {
            self.asked = self.asked.map(|_| now);
        }
    }

    /// Notes whether an answer is owed to a grab.
    pub(super) fn awaits_answer(&mut self, awaits: bool, now: Instant) {
        self.asked = awaits.then(|| self.asked.unwrap_or(now));
    }

    /// Notes that the answer has come.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    /// Returns when to ask for a verdict, if nothing is heard before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.heartbeat_deadline(), self.answer_deadline()].into_iter().flatten().min()
    }

    /// Decides what the silence so far means.
    pub(super) fn verdict(&mut self, now: Instant) -> Verdict {
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.answer_deadline()) {
            return Verdict::GiveUpAnswer;
        }
        if !passed(self.heartbeat_deadline()) {
            return Verdict::Wait;
        }
        if self.echoed.is_some() {
            return Verdict::GiveUpSilence;
        }
        self.echoed = Some(now);
        Verdict::SendEcho
    }

    /// Returns for how long nothing has been heard.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    pub(super) fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    fn heartbeat_deadline(&self) -> Option<Instant> {
        Some(self.echoed.unwrap_or(self.heard) + self.heartbeat?)
    }

    fn answer_deadline(&self) -> Option<Instant> {
        Some(self.asked? + self.answer_timeout)
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
        assert_eq!(pulse.verdict(start + BEAT * 2), Verdict::GiveUpSilence);
    }

    #[test]
    fn whatever_is_heard_starts_the_beat_over() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Some(BEAT), ANSWER, start);
        assert_eq!(pulse.verdict(start + BEAT), Verdict::SendEcho);
        pulse.heard(false, start + BEAT + Duration::from_secs(1));
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
        pulse.heard(false, start + BEAT * 2);
        assert_eq!(pulse.deadline(), Some(start + BEAT + ANSWER), "what else is heard is no answer");
        assert_eq!(pulse.verdict(start + BEAT + ANSWER), Verdict::GiveUpAnswer);
        pulse.heard(true, start + BEAT + ANSWER);
        assert_eq!(pulse.deadline(), Some(start + BEAT + ANSWER * 2), "it may be coming");
        pulse.awaits_answer(false, start + BEAT + ANSWER);
        assert_eq!(pulse.deadline(), None);
    }
}
