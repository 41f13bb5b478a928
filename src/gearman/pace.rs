//! How many workers may open a connection at the same time.
//!
//! geard listens with a backlog of one, gearmand with one of 32. Of two hundred connections that are opened at once they
//! get some; the kernel counts the others as connected on this side, drops what they send on the other, and lets them
//! wait half a minute for a retransmission that gets through. So all workers of a process come in through one door, also
//! when they all come back after the server was restarted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Half of gearmand's backlog.
const PLACES: u32 = 16;

/// How long a place stays taken once its connection is up: the time for the server to accept it. At geard 200 workers
/// are through in a second, 1000 in five; elsewhere in an eighth of that.
const SETTLES_IN: Duration = Duration::from_millis(8);

/// The door through which the workers that share it connect.
#[derive(Clone, Debug)]
pub struct Pace {
    places: Arc<Semaphore>,
}

/// How many connections a server lets wait until it accepts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backlog {
    /// One, as geard does.
    Shortest,
    /// 32 or more.
    Usual,
}

/// Somebody's place in the door. Dropping it gives it up at once: an attempt that failed leaves nothing to accept.
#[derive(Debug)]
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
}

impl Pace {
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES as usize)) }
    }

    /// Waits for a place; whoever came first goes first.
    ///
    /// # Cancel safety
    ///
    /// Whoever stops waiting has lost nothing but the place in the queue.
    pub(super) async fn enter(&self, backlog: Backlog) -> Place {
        let share = match backlog {
            // Even a backlog of one holds two: the kernel lets one more wait than it is told.
            Backlog::Shortest => PLACES / 2,
            Backlog::Usual => 1,
        };
        let permit = Arc::clone(&self.places).acquire_many_owned(share).await;
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
    async fn turns(workers: usize, backlog: Backlog, succeed: bool) -> Vec<u128> {
        let (pace, start) = (Pace::new(), Instant::now());
        let mut entering = JoinSet::new();
        for _ in 0..workers {
            let pace = pace.clone();
            entering.spawn(async move {
                let place = pace.enter(backlog).await;
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
        assert_eq!(turns(7, Backlog::Shortest, true).await, [0, 0, 1, 1, 2, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_usual_backlog_comes_in_at_once() {
        let turns = turns(40, Backlog::Usual, true).await;
        let in_turn = |turn| turns.iter().filter(|&&found| found == turn).count();
        assert_eq!([in_turn(0), in_turn(1), in_turn(2)], [16, 16, 8]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_hundred_are_through_in_a_second_and_a_thousand_in_five() {
        for (workers, limit) in [(200, Duration::from_secs(1)), (1000, Duration::from_secs(5))] {
            let last = turns(workers, Backlog::Shortest, true).await.pop().unwrap();
            assert!(u32::try_from(last).unwrap() * SETTLES_IN < limit, "{workers} take {last} turns");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_hold_nobody_up() {
        assert_eq!(turns(50, Backlog::Shortest, false).await, [0; 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_waiting_leaves_no_gap() {
        let pace = Pace::new();
        let enter = || pace.enter(Backlog::Shortest);
        let held = [enter().await, enter().await];
        assert!(timeout(SETTLES_IN, enter()).await.is_err());
        drop(held);
        assert!(timeout(Duration::ZERO, async { (enter().await, enter().await) }).await.is_ok());
    }
}
