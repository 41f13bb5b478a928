//! Where the rounds show what they have seen, and where others ring for them.
//!
//! It holds no lock while anybody waits.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::picture::{Part, Picture};
use crate::domain::{Mode, NodeName};
use crate::jenkins::{Error, Instance, Intervals};

/// Where the rounds hang what they have seen, and where others ring for them.
pub(super) struct Board {
    intervals: Intervals,
    picture: watch::Sender<Arc<Picture>>,
    /// None until the controller was asked for the first time, whether it answered or not.
    modes: watch::Sender<Option<BTreeMap<NodeName, Mode>>>,
    bells: Bells,
    wants_parameters: AtomicBool,
    queue_watchers: AtomicUsize,
}

/// A bell stays rung until its round has heard it, and rings once however often it was pulled.
#[derive(Default)]
struct Bells {
    nodes: Notify,
    modes: Notify,
    quieting_down: Notify,
    projects: Notify,
    queue: Notify,
}

/// While it lives, the queue is read often.
#[derive(Debug)]
pub struct QueueInterest {
    board: Arc<Board>,
}

impl Board {
    pub(super) fn new(intervals: Intervals) -> Self {
        Self {
            intervals,
            picture: watch::Sender::default(),
            modes: watch::Sender::default(),
            bells: Bells::default(),
            wants_parameters: AtomicBool::default(),
            queue_watchers: AtomicUsize::default(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Picture>> {
        self.picture.subscribe()
    }

    pub(super) fn intervals(&self) -> &Intervals {
        &self.intervals
    }

    pub(super) fn queue_interval(&self) -> Duration {
        let is_watched = self.queue_watchers.load(Ordering::SeqCst) > 0;
        if is_watched { self.intervals.queue } else { self.intervals.idle_queue }
    }

    /// Changes the picture after an answer.
    pub(super) fn show(&self, instance: &Instance, asked_at: Instant, change: impl FnOnce(&mut Picture)) {
        let mut has_restarted = false;
        self.picture.send_modify(|picture| {
            let picture = Arc::make_mut(picture);
            has_restarted = picture.note_instance(instance, asked_at);
            change(picture);
        });
        if has_restarted {
            info!(version = instance.version.as_deref(), "the controller has restarted");
            for part in [Part::Nodes, Part::Modes, Part::QuietingDown, Part::Projects, Part::Queue] {
                self.hurry(part);
            }
        }
    }

    pub(super) fn hurry(&self, part: Part) {
        if part == Part::Parameters {
            self.wants_parameters.store(true, Ordering::SeqCst);
        }
        self.bell(part).notify_one();
    }

    pub(super) async fn rung(&self, part: Part) {
        self.bell(part).notified().await;
    }

    pub(super) fn silence(&self, part: Part) {
        pin!(self.bell(part).notified()).as_mut().enable();
    }

    /// Returns whether somebody hurried for parameters since the last call.
    pub(super) fn take_wish_for_parameters(&self) -> bool {
        self.wants_parameters.swap(false, Ordering::SeqCst)
    }

    /// Keeps modes; none if they could not be read, so that what is known stays.
    pub(super) fn set_modes(&self, modes: Option<BTreeMap<NodeName, Mode>>) {
        self.modes.send_modify(|known| match modes {
            Some(modes) => *known = Some(modes),
            None => drop(known.get_or_insert_default()),
        });
    }

    /// Returns the modes, as soon as the controller was asked for them once.
    pub(super) async fn modes(&self) -> BTreeMap<NodeName, Mode> {
        let mut known = self.modes.subscribe();
        match known.wait_for(Option::is_some).await {
            Ok(modes) => modes.clone().unwrap_or_default(),
            // The sender is ours.
            Err(_) => BTreeMap::new(),
        }
    }

    /// Notes how a round ended that began then.
    pub(super) fn settle(&self, part: Part, asked_at: Instant, outcome: &Result<(), Error>) {
        self.picture.send_if_modified(|picture| {
            let picture = Arc::make_mut(picture);
            match outcome {
                Ok(()) => {
                    let over = picture.note_read(part, asked_at);
                    if let Some(trouble) = &over {
                        info!(?part, after = ?trouble.since.elapsed(), "the controller can be read again");
                    }
                    over.is_some()
                }
                Err(error) => {
                    let is_news = picture.note_trouble(part, error.to_string());
                    if is_news && part == Part::Modes {
                        let text = "failed to read which nodes are reserved; as before, or open to all if never read";
                        info!(%error, "{text}");
                    } else if is_news {
                        warn!(?part, %error, "failed to read the controller");
                    }
                    is_news
                }
            }
        });
    }

    /// Notes why something cannot be read that is looked up beside the lists.
    pub(super) fn note_trouble(&self, part: Part, error: &Error) {
        self.picture.send_if_modified(|picture| {
            let is_news = Arc::make_mut(picture).note_trouble(part, error.to_string());
            if is_news {
                warn!(?part, %error, "failed to read the controller");
            }
            is_news
        });
    }

    /// Notes that all parameters are known; if all were just read, by a list that was asked for then and what was
    /// looked up after it.
    pub(super) fn note_parameters(&self, asked_at: Option<Instant>) {
        self.picture.send_if_modified(|picture| {
            if asked_at.is_none() && picture.trouble_of(Part::Parameters).is_none() {
                return false;
            }
            let picture = Arc::make_mut(picture);
            let over = match asked_at {
                Some(asked_at) => picture.note_read(Part::Parameters, asked_at),
                None => picture.clear_trouble(Part::Parameters),
            };
            over.is_some()
        });
    }

    fn bell(&self, part: Part) -> &Notify {
        match part {
            Part::Nodes => &self.bells.nodes,
            Part::Modes => &self.bells.modes,
            Part::QuietingDown => &self.bells.quieting_down,
            // One round reads both.
            Part::Projects | Part::Parameters => &self.bells.projects,
            Part::Queue => &self.bells.queue,
        }
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("queue_watchers", &self.queue_watchers).finish_non_exhaustive()
    }
}

impl QueueInterest {
    pub(super) fn new(board: Arc<Board>) -> Self {
        if board.queue_watchers.fetch_add(1, Ordering::SeqCst) == 0 {
            board.hurry(Part::Queue);
        }
        Self { board }
    }
}

impl Drop for QueueInterest {
    fn drop(&mut self) {
        self.board.queue_watchers.fetch_sub(1, Ordering::SeqCst);
    }
}
