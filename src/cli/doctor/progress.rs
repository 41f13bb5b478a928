use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cli::terminal;

/// What is under way: told to the standard error when it takes longer than a moment.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<BTreeSet<String>>);

impl Progress {
    /// Waits for something, which is told by its name if it lasts.
    pub(super) async fn during<T>(&self, what: String, step: impl Future<Output = T>) -> T {
        self.steps().insert(what.clone());
        // What is given up is no longer under way either.
        let _over = Over { progress: self, what };
        step.await
    }

    fn steps(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every second what lasts, if it is not what was told before. Never ends.
    pub(super) async fn tell(&self) -> Infallible {
        let mut told = String::new();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let line = self.steps().iter().map(String::as_str).collect::<Vec<_>>().join("; ");
            if !line.is_empty() && line != told {
                terminal::complain(&format!("doctor: {line} …"));
                told = line;
            }
        }
    }
}

/// A step that ends with this.
struct Over<'a> {
    progress: &'a Progress,
    what: String,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.progress.steps().remove(&self.what);
    }
}
