//! Make before break: when names are announced, when servers are asked what waits there, when a name goes.
//!
//! What stays is decided in `keeping`; here time passes, connections report and servers are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::computing::Computed;
use super::identity::ConnectionId;
use super::keeping::{Keeping, Waiting};
use super::reconciler::{Link, Reconciler, Request};
use super::site::Site;
use super::snapshot::Snapshot;
use crate::domain::{ControllerName, FunctionName};
use crate::policy::{Generation, Policies};

/// So long a connection that does not get rid of what it has to say holds up the withdrawal of old names on all.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(5);

/// How often servers are asked what waits there, each with one request for all names.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// More names than these do not fit into a line that somebody reads.
const MOST_NAMED: usize = 5;

/// What the reconciler has to know beside the names that are kept.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    pub(super) keeping: Keeping,
    /// What is offered has to be made again, since something else is kept.
    is_due: bool,
    /// The policies by which the rules gave the present table.
    ruled_by: Option<u64>,
    past: Option<Past>,
    announcing: Option<Announcement>,
}

/// Policies of an earlier life of the daemon, whose names are kept as if it had never stopped.
#[derive(Debug)]
pub(super) struct Past {
    generation: Arc<Generation>,
    until: Instant,
    /// Controllers whose names of that time were looked at.
    looked_at: BTreeSet<ControllerName>,
}

/// New names that connections have to tell their servers.
#[derive(Debug)]
struct Announcement {
    /// The number of each connection's offer in which they are; none as long as it was not made.
    offers: Option<BTreeMap<ConnectionId, u64>>,
    by: Instant,
}

/// What is kept, and how long that is which is taken away now.
pub(super) struct Grace {
    pub(super) keeping: Keeping,
    /// The policies by which the table before was made.
    pub(super) since: Option<u64>,
    /// None if nothing is kept.
    pub(super) until: Option<Instant>,
    /// Policies of an earlier life, and until when their names stay; set when a controller is there for the first time.
    pub(super) past: Option<(Arc<Generation>, Instant)>,
}

impl Past {
    /// Returns what was in force until lately, for the time that its names have left.
    pub(super) async fn of(policies: &Policies) -> Option<Self> {
        let keep_names = policies.config().keep_names;
        let (generation, since) = policies.of_late(keep_names).await?;
        let until = Instant::now() + keep_names.saturating_sub(since);
        Some(Self { generation, until, looked_at: BTreeSet::new() })
    }

    fn at_new_controllers(&mut self, snapshot: &Snapshot) -> Option<(Arc<Generation>, Instant)> {
        let before = self.looked_at.len();
        self.looked_at.extend(snapshot.controllers.keys().cloned());
        (self.looked_at.len() > before).then(|| (Arc::clone(&self.generation), self.until))
    }
}

impl Keeper {
    pub(super) fn new(past: Option<Past>) -> Self {
        Self { past, ..Self::default() }
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// A table is about to be made.
    pub(super) fn begin(&mut self, snapshot: &Snapshot, keep_names: Duration) -> Grace {
        self.is_due = false;
        let now = Instant::now();
        let until = (!keep_names.is_zero()).then(|| now + keep_names);
        self.past.take_if(|past| past.until <= now);
        let past = self.past.as_mut().and_then(|past| past.at_new_controllers(snapshot));
        Grace { keeping: self.keeping.clone(), since: self.ruled_by, until, past }
    }

    /// A table was made. Returns what is kept from now on.
    pub(super) fn publish(&mut self, computed: &Computed) -> Arc<Keeping> {
        self.ruled_by = computed.generation.or(self.ruled_by);
        if let Some(change) = &computed.change {
            info!(names = change.count(), "policies take names away; each stays while jobs wait for it");
            self.keeping.add(change.clone(), &computed.ruled);
            self.announcing = Some(Announcement { offers: None, by: Instant::now() + ANNOUNCED_WITHIN });
        }
        Arc::new(self.keeping.clone())
    }

    /// Connections were told what to offer.
    pub(super) fn told(&mut self, links: &BTreeMap<ConnectionId, Link>) {
        if let Some(Announcement { offers: offers @ None, .. }) = &mut self.announcing {
            *offers = Some(links.iter().map(|(id, link)| (id.clone(), link.offers)).collect());
        }
    }

    /// A server has said what waits there.
    pub(super) fn heard(&mut self, asked: u64, server: usize, waiting: &Waiting) {
        self.is_due |= self.keeping.heard(asked, server, waiting);
    }
}

impl Announcement {
    /// Returns whether every server that is there was told of the new names, as far as that can be waited for.
    fn is_over(&self, links: &BTreeMap<ConnectionId, Link>, now: Instant) -> bool {
        // One that was opened anew counts from one again, and has been told of everything at once.
        let has_said =
            |(id, offer): (&ConnectionId, &u64)| links.get(id).is_none_or(|link| link.said >= link.offers.min(*offer));
        self.by <= now || self.offers.as_ref().is_some_and(|offers| offers.iter().all(has_said))
    }
}

impl Reconciler {
    /// Sees whether something that is kept may go.
    pub(super) fn look_after_kept_names(&mut self) {
        let now = Instant::now();
        let keeper = &mut self.keeper;
        if keeper.announcing.take_if(|announcement| announcement.is_over(&self.links, now)).is_some() {
            keeper.keeping.announced();
            keeper.is_due = true;
        }
        if let Some(abandoned) = keeper.keeping.expire(now, &self.view.borrow().ruled) {
            keeper.is_due = true;
            if !abandoned.is_empty() {
                warn!(
                    "jobs still wait for {}, which nobody offers any more after policies.keep_names; submit them under \
                     another name, or return to the policy before with `layshaft policy rollback NAME`",
                    some(&abandoned)
                );
            }
        }
        let asks = keeper.keeping.asks();
        self.site.questions.send_if_modified(|known| std::mem::replace(known, asks) != asks);
    }
}

/// Asks one server what waits there for as long as something depends on it.
pub(super) async fn ask(site: Arc<Site>, number: usize, requests: mpsc::UnboundedSender<Request>) {
    let mut questions = site.questions.subscribe();
    let server = &site.servers[number];
    while let Some(asked) = next_question(&mut questions).await {
        match server.waiting().await {
            Ok(waiting) => {
                let waiting = waiting.filter_map(|(name, jobs)| Some((FunctionName::new(name).ok()?, jobs)));
                if requests.send(Request::Waiting { asked, server: number, waiting: waiting.collect() }).is_err() {
                    return;
                }
            }
            // Whoever connects says that the server cannot be reached. What is kept stays.
            Err(error) => debug!(server = server.address(), %error, "cannot ask the gearman server what waits there"),
        }
        // Another question does not wait.
        let _asked_otherwise = timeout(ASKED_EVERY, questions.wait_for(|question| *question != Some(asked))).await;
    }
}

/// Waits until there is something to ask; none if nobody is left to answer.
async fn next_question(questions: &mut watch::Receiver<Option<u64>>) -> Option<u64> {
    *questions.wait_for(Option::is_some).await.ok()?
}

/// Names the first few with their jobs, and counts the others.
fn some(names: &Waiting) -> String {
    let first = names.iter().take(MOST_NAMED).map(|(name, jobs)| format!("{name} ({jobs})"));
    let text = first.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => text,
        others => format!("{text} and {others} more"),
    }
}
