//! Keeps a picture of one controller by asking it over and over, in few large requests.
//!
//! Each part of the picture has a task of its own with at most one list on its way, so that a slow list of projects
//! never delays the nodes; single things are looked up beside it, a few at a time. The poller only reads and only tells: it decides nothing, and it forgets nothing because of
//! one failed or incomplete answer.
//!
//! ```text
//! nodes ──┐
//! modes ──┤                       watch
//! quiet ──┼─▶ Board (one Picture) ─────▶ Watcher ─▶ readers
//! projects┤         ▲ bells
//! queue ──┘         └───────────────────  hurry, watch_queue
//! ```

mod board;
mod configured_labels;
mod gathered;
mod look_ups;
mod memory;
mod pace;
mod picture;
mod rounds;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use self::board::Board;
use self::pace::Pace;
use self::rounds::{ModesRound, NodesRound, ProjectsRound, QueueRound, QuietingDownRound, Round, Source};
use super::{Client, Config};

pub use self::board::QueueInterest;
pub use self::picture::{Part, Picture, Seen, Trouble};

/// The shortest time between two requests of a kind, however much anybody hurries.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Starts the tasks that ask a controller.
#[derive(Debug)]
pub struct Poller;

/// What the poller has seen so far, and the ways to make it look sooner. Clones watch the same picture.
#[derive(Clone, Debug)]
pub struct Watcher {
    board: Arc<Board>,
}

impl Poller {
    /// Starts to ask a controller; the tasks end when `stop` is cancelled, and `tasks` tells when they have.
    pub fn spawn(client: Client, config: &Config, stop: &CancellationToken, tasks: &TaskTracker) -> Watcher {
        // Seeded by the address: each controller has its own jitter, and the same one in every run.
        let seed =
            config.url.as_str().bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        spawn(client, config, seed, stop, tasks)
    }
}

impl Watcher {
    /// Returns the picture, and hears of every change and of every look that confirmed it.
    pub fn picture(&self) -> watch::Receiver<Arc<Picture>> {
        self.board.subscribe()
    }

    /// Asks for a part now. Calls while its request is on its way make one more; a failing controller is not hurried.
    pub fn hurry(&self, part: Part) {
        self.board.hurry(part);
    }

    /// Makes the queue be read often, for as long as the guard lives.
    pub fn watch_queue(&self) -> QueueInterest {
        QueueInterest::new(Arc::clone(&self.board))
    }
}

fn spawn<S: Source>(source: S, config: &Config, seed: u64, stop: &CancellationToken, tasks: &TaskTracker) -> Watcher {
    let board = Arc::new(Board::new(config.poll.clone()));
    let start = Starter { board: &board, seed, stop, tasks };
    start.round(ModesRound::new(source.clone(), Arc::clone(&board)));
    start.round(NodesRound::new(source.clone(), Arc::clone(&board)));
    start.round(QuietingDownRound::new(source.clone(), Arc::clone(&board)));
    start.round(ProjectsRound::new(source.clone(), Arc::clone(&board)));
    start.round(QueueRound::new(source, Arc::clone(&board)));
    Watcher { board }
}

struct Starter<'a> {
    board: &'a Arc<Board>,
    seed: u64,
    stop: &'a CancellationToken,
    tasks: &'a TaskTracker,
}

impl Starter<'_> {
    fn round<R: Round>(&self, round: R) {
        let pace = Pace::new(self.seed ^ R::PART as u64);
        let turning = turn(round, Arc::clone(self.board), pace);
        let stop = self.stop.clone();
        // Only reads are cut off by the stop.
        let until_stopped = async move { stop.run_until_cancelled(turning).await };
        // The caller's span names the controller.
        self.tasks.spawn(until_stopped.in_current_span());
    }
}

async fn turn<R: Round>(mut round: R, board: Arc<Board>, mut pace: Pace) {
    loop {
        // The look that begins now is what everybody waited for who hurried so far.
        board.silence(R::PART);
        let asked_at = Instant::now();
        let outcome = round.look(asked_at).await;
        board.settle(R::PART, asked_at, &outcome);
        let answered_at = Instant::now();
        let pause = match &outcome {
            Ok(()) => pace.after_answer(round.interval(), answered_at - asked_at),
            Err(_) => pace.after_failure(round.interval()),
        };
        let ask_again_at = answered_at + pause;
        loop {
            // All arms are cancel safe: a bell that rang meanwhile stays rung.
            tokio::select! {
                () = sleep_until(ask_again_at) => break,
                () = board.rung(R::PART), if outcome.is_ok() => {
                    sleep_until(asked_at + SHORTEST_PAUSE).await;
                    break;
                }
                () = round.look_up() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
