//! The pictures of one controller, as a build's task looks at them for as long as it runs.
//!
//! A new configuration replaces the poller under a running build; whoever kept looking at the old one would wait for
//! ever. So nobody keeps one: each look asks who polls now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::jenkins::{Picture, QueueInterest};

use super::super::site::Controller;
use super::Task;

pub(super) struct Pictures<'a> {
    task: &'a Task<'a>,
    controller: Arc<Controller>,
    receiver: watch::Receiver<Arc<Picture>>,
    interest: Option<QueueInterest>,
}

impl<'a> Pictures<'a> {
    pub(super) fn new(task: &'a Task<'a>) -> Self {
        let controller = task.current();
        let receiver = controller.watcher.picture();
        Self { task, controller, receiver, interest: None }
    }

    /// Has the queue read often, for as long as this lives.
    pub(super) fn of_queue_too(mut self) -> Self {
        self.interest = Some(self.controller.watcher.watch_queue());
        self
    }

    /// Returns the picture as it is now.
    pub(super) fn latest(&mut self) -> Arc<Picture> {
        let current = self.task.current();
        if !Arc::ptr_eq(&current, &self.controller) {
            self.receiver = current.watcher.picture();
            self.interest = self.interest.take().map(|_| current.watcher.watch_queue());
            self.controller = current;
        }
        Arc::clone(&self.receiver.borrow_and_update())
    }

    /// Waits until a picture is published, but not for longer than `patience`.
    pub(super) async fn changed(&mut self, patience: Duration) {
        let _published_or_not = timeout(patience, async {
            if self.receiver.changed().await.is_err() {
                // Its poller is gone, and so is every change.
                std::future::pending::<()>().await;
            }
        })
        .await;
    }
}
