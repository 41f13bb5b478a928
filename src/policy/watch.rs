//! Watches the folder: waits until all of it is at rest, then has it loaded.
//!
//! Notifications only say when to look; what to do is decided by what the folder looks like. On mounts without
//! notifications the slow rescan finds the same.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Policies;
use super::folder::Stamp;
use super::status::Gate;

impl Policies {
    /// Keeps what is in force in step with the folder until it is told to stop.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = self.follow() => {}
            _ = self.guard() => {}
        }
    }

    /// Ends only with the runtime that it runs on.
    async fn follow(&self) -> Option<Infallible> {
        let config = self.config();
        let changed = Arc::new(Notify::new());
        let mut watcher = None;
        // Unknown, so that a change between the first load and now is not missed.
        let mut loaded = None;
        let mut is_unreadable = false;
        loop {
            // A folder that was replaced is another folder to the kernel: watched afresh after every change.
            if watcher.is_none() {
                watcher = subscribe(&config.folder, &changed);
            }
            let mut seen = self.stamp().await?;
            if loaded.as_ref() == Some(&seen) {
                tokio::select! {
                    () = changed.notified() => {}
                    () = tokio::time::sleep(config.rescan) => {
                        watcher = None;
                        // What could not be read may be readable by now, without looking different from outside.
                        if is_unreadable {
                            loaded = None;
                        }
                    }
                }
                continue;
            }
            loop {
                tokio::select! {
                    () = changed.notified() => {}
                    () = tokio::time::sleep(config.quiet) => {
                        let now = self.stamp().await?;
                        if now == seen {
                            break;
                        }
                        seen = now;
                    }
                }
            }
            watcher = None;
            let report = self.reload_what_changed().await;
            is_unreadable = report.refused.iter().any(|refusal| refusal.gate == Gate::Folder);
            loaded = Some(seen);
        }
    }

    /// Looks at the folder; none once the runtime shuts down, which takes up no more work.
    async fn stamp(&self) -> Option<Stamp> {
        let folder = self.config().folder.clone();
        match tokio::task::spawn_blocking(move || Stamp::of(&folder)).await {
            Ok(stamp) => Some(stamp),
            Err(error) if error.is_cancelled() => None,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Watches a folder; none if it cannot be watched now, then the rescan has to do.
fn subscribe(folder: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = changed.clone();
    let tell = move |event: notify::Result<notify::Event>| {
        // Reading the folder is an event too, and would have us look for ever.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            changed.notify_one();
        }
    };
    let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) if folder.exists() => {
            warn!(%error, "policy folder cannot be watched, changes are found by looking now and then");
            None
        }
        Err(error) => {
            debug!(%error, "policy folder is not there to be watched");
            None
        }
    }
}
