//! How many workers may open a connection at the same time.
//!
//! geard listens with a backlog of one. Of two hundred connections that are opened at once it gets a handful; the
//! kernel counts the others as connected on this side, drops what they send on the other, and lets them wait half a
//! minute for a retransmission that gets through. So all workers of a process come in through one door, also when they
//! all come back after the server was restarted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// What even a backlog of one holds: the kernel lets one more wait than it is told.
const PLACES: usize = 2;

/// How long a place stays taken once its connection is up: the time for the server to accept it. 200 workers are
/// through in a second, 1000 in five.
const SETTLES_IN: Duration = Duration::from_millis(8);

/// The door through which the workers that share it connect.
#[derive(Clone, Debug)]
pub struct Pace {
    places: Arc<Semaphore>,
}

/// Somebody's place in the door. Dropping it gives it up at once: an attempt that failed leaves nothing to accept.
#[derive(Debug)]
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
}

impl Pace {
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Waits for a place; whoever came first goes first.
    ///
    /// # Cancel safety
    ///
    /// Whoever stops waiting has lost nothing but the place in the queue.
    pub(super) async fn enter(&self) -> Place {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        Place { permit: permit.expect("the door is never closed") }
    }
}

impl Place {
    /// The connection is up: the next may come when the server has had time to accept it.
    pub(super) fn connected(self) {
        let Self { permit } = self;
        tokio::spawn(async move {
            sleep(SETTLES_IN).await;
            drop(permit);
        });
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// Returns after how many times the settling time each of so many workers came in, if they succeed.
    async fn turns(workers: usize, succeed: bool) -> Vec<u128> {
        let (pace, start) = (Pace::new(), Instant::now());
        let mut entering = JoinSet::new();
        for _ in 0..workers {
            let pace = pace.clone();
            entering.spawn(async move {
                let place = pace.enter().await;
                let turn = start.elapsed().as_millis() / SETTLES_IN.as_millis();
                if succeed {
                    place.connected();
                }
                turn
            });
        }
        let mut turns = entering.join_all().await;
        turns.sort_unstable();
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_come_in_than_a_server_with_the_shortest_backlog_accepts() {
        assert_eq!(turns(7, true).await, [0, 0, 1, 1, 2, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_hundred_are_through_in_a_second_and_a_thousand_in_five() {
        for (workers, limit) in [(200, Duration::from_secs(1)), (1000, Duration::from_secs(5))] {
            let last = turns(workers, true).await.pop().unwrap();
            assert!(u32::try_from(last).unwrap() * SETTLES_IN < limit, "{workers} take {last} turns");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_hold_nobody_up() {
        assert_eq!(turns(50, false).await, [0; 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_waiting_leaves_no_gap() {
        let pace = Pace::new();
        let held = [pace.enter().await, pace.enter().await];
        assert!(timeout(SETTLES_IN, pace.enter()).await.is_err());
        drop(held);
        assert!(timeout(Duration::ZERO, async { (pace.enter().await, pace.enter().await) }).await.is_ok());
    }
}
