//! A timer that is put off often and rings seldom.
//!
//! A deadline that moves with every packet would cost a timer of the runtime for each of them. This one stays set while
//! its deadline moves away, and looks again when it would have rung.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits until a deadline has passed; without one, for ever.
    pub(super) fn poll_due(&mut self, context: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() == deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn due(alarm: &mut Alarm, deadline: Option<Instant>) {
        poll_fn(|context| alarm.poll_due(context, deadline)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_latest_deadline_it_was_given_whether_later_or_earlier() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let given_up = timeout(SECOND, due(&mut alarm, Some(start + SECOND * 5))).await;
        assert!(given_up.is_err());
        for seconds in [7, 10] {
            let given_up = timeout(SECOND, due(&mut alarm, Some(start + SECOND * seconds))).await;
            assert!(given_up.is_err(), "{seconds}");
        }
        due(&mut alarm, Some(start + SECOND * 8)).await;
        assert_eq!(start.elapsed(), SECOND * 8);
        due(&mut alarm, Some(start + SECOND * 9)).await;
        assert_eq!(start.elapsed(), SECOND * 9);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_it_does_not_ring_even_if_it_was_set() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        assert!(timeout(SECOND, due(&mut alarm, Some(start + SECOND * 5))).await.is_err());
        assert!(timeout(SECOND * 60, due(&mut alarm, None)).await.is_err());
    }
}
