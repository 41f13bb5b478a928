//! Keeps the journal short: builds that were closed long ago are forgotten, at the start and then every day; decisions of
//! policies, and what is needed to make them again, as the site's configuration says, and more often.
//!
//! Never touches what is open, however old it is.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::journal::{Bounds, Journal};
use crate::policy::Policies;

/// Long enough to answer what became of a build that somebody asks about, and to look back over a release; a busy
/// site writes some hundred bytes for each of some thousand builds a day.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Decisions are bounded in number and size too, and a burst of jobs makes many.
const DECISIONS_EVERY: Duration = Duration::from_secs(10 * 60);

/// Forgets what is old for ever.
pub(super) async fn run(journal: Journal, policies: Arc<Policies>) {
    let (mut builds, mut decisions) = (interval(EVERY), interval(DECISIONS_EVERY));
    builds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    decisions.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // A clock that is that far off has forgotten nothing yet.
            _ = builds.tick() => if let Some(limit) = SystemTime::now().checked_sub(KEPT) {
                forget(&journal, limit).await;
            },
            _ = decisions.tick() => forget_decisions(&journal, &policies).await,
        }
    }
}

async fn forget_decisions(journal: &Journal, policies: &Policies) {
    let log = &policies.config().log;
    let not_before = SystemTime::now().checked_sub(log.keep).unwrap_or(SystemTime::UNIX_EPOCH);
    match journal.expire_decisions(Bounds { not_before, most: log.most, most_bytes: log.most_bytes }).await {
        Ok(0) => {}
        Ok(forgotten) => info!(forgotten, "forgot old decisions of policies"),
        Err(error) => warn!(%error, "failed to forget old decisions of policies; it is tried again"),
    }
    if let Err(error) = policies.forget_eras().await {
        warn!(%error, "failed to forget policies that were in force long ago; it is tried again");
    }
}

/// Forgets what was closed before a time.
async fn forget(journal: &Journal, closed_before: SystemTime) {
    match journal.expire(closed_before).await {
        Ok(0) => {}
        Ok(forgotten) => info!(forgotten, "forgot old builds in the journal"),
        Err(error) => warn!(%error, "failed to forget old builds in the journal; it is tried again tomorrow"),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{ControllerName, NodeName, Parameters, ProjectName};
    use crate::journal::{AttemptKey, Intent, State};

    use super::*;

    fn intent(unique: &str) -> Intent {
        Intent {
            key: AttemptKey {
                server: "gear:4730".to_owned(),
                handle: b"H:gear:1".to_vec(),
                unique: unique.into(),
                function: "build:lint".to_owned(),
            },
            controller: ControllerName::new("ci"),
            project: ProjectName::new("lint"),
            node: NodeName::agent("a"),
            worker: "a_exec-0".to_owned(),
            marker: None,
            pinned: false,
            generation: 1,
            offline_wanted: false,
            parameters: Parameters::new(),
        }
    }

    #[tokio::test]
    async fn only_what_was_closed_before_the_limit_is_forgotten() {
        let journal = Journal::in_memory().unwrap();
        journal.intend(intent("open")).await.unwrap();
        let closed = journal.intend(intent("closed")).await.unwrap();
        journal.failed(closed, "gone").await.unwrap();
        let states = async || {
            let recent = journal.recent(10).await.unwrap();
            recent.into_iter().map(|record| record.state).collect::<Vec<_>>()
        };
        forget(&journal, SystemTime::now() - KEPT).await;
        assert_eq!(states().await, [State::Failed, State::Intended]);
        forget(&journal, SystemTime::now() + EVERY).await;
        assert_eq!(states().await, [State::Intended]);
    }
}
