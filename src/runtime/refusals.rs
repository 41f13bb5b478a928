//! Finds functions that a Gearman server refuses without a word.
//!
//! geard's access list drops a CAN_DO that it does not allow, and nobody is told: the worker looks registered and gets
//! no job, ever. So what the connections offer is compared with what the server lists, soon after it has changed and
//! now and then; what two comparisons in a row miss is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::domain::FunctionName;
use crate::gearman::admin::WorkerLine;

use super::function_set::FunctionSet;
use super::reconciler::Request;
use super::site::Site;

/// Registrations are on their way for a moment; the list of all workers can be long.
const SETTLED: Duration = Duration::from_secs(5);

/// An access list can change at any time.
const REGULARLY: Duration = Duration::from_secs(5 * 60);

/// More names than these do not fit into a line that somebody reads.
const MOST_NAMED: usize = 5;

/// What each connection to a server that is up offers, by its client id.
pub(super) type Offers = BTreeMap<String, FunctionSet>;

/// Functions, each with the client ids of those that offer it and are not listed with it.
pub(super) type Refused = BTreeMap<FunctionName, BTreeSet<String>>;

/// Compares at one server until nobody is left to ask.
pub(super) async fn watch(site: Arc<Site>, number: usize, requests: mpsc::UnboundedSender<Request>) {
    let server = &site.servers[number];
    let mut changes = site.registrations.subscribe();
    let mut before = Refused::new();
    loop {
        let again = if before == *server.refused.borrow() { REGULARLY } else { SETTLED };
        pause(&mut changes, again).await;
        let (reply, offers) = oneshot::channel();
        if requests.send(Request::Offers(number, reply)).is_err() {
            return;
        }
        let Ok(offers) = offers.await else { return };
        let listed = match server.list_workers().await {
            Ok(listed) => listed,
            // Whoever connects says that the server cannot be reached.
            Err(error) => {
                debug!(%error, "cannot compare what is offered with what the gearman server lists");
                continue;
            }
        };
        let now = missing(&offers, &listed);
        let refused = in_both(&before, &now);
        before = now;
        server.refused.send_if_modified(|known| {
            let has_changed = *known != refused;
            tell(server.address(), known, &refused);
            *known = refused;
            has_changed
        });
    }
}

/// Returns what is refused to one connection.
pub(super) fn of<'a>(refused: &'a Refused, client_id: &'a str) -> impl Iterator<Item = &'a FunctionName> {
    refused.iter().filter(move |(_, ids)| ids.contains(client_id)).map(|(function, _)| function)
}

/// Says in a sentence what is refused, and what to do; none if nothing is.
pub(super) fn describe(server: &str, refused: &Refused) -> Option<String> {
    let ids: BTreeSet<&str> = refused.values().flatten().map(String::as_str).collect();
    (!refused.is_empty()).then(|| {
        format!(
            "the gearman server {server} does not list {} for {}, which offer them, and gives no job of them; if it has an access list \
             (geard's --acl), let the common name of our certificate register them, and restart the daemon",
            some(refused.keys().map(FunctionName::as_str)),
            some(ids.into_iter()),
        )
    })
}

/// Waits until registrations have settled after a change, or until it is time anyway.
async fn pause(changes: &mut watch::Receiver<()>, again: Duration) {
    let latest = Instant::now() + again;
    let mut due = latest;
    loop {
        tokio::select! {
            Ok(()) = changes.changed() => due = latest.min(Instant::now() + SETTLED),
            () = sleep_until(due) => return,
        }
    }
}

/// Returns what is offered and not listed. Connections that are not listed at all have just come or gone.
fn missing(offers: &Offers, listed: &[WorkerLine]) -> Refused {
    let mut by_id: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in listed {
        by_id.entry(&line.client_id).or_default().extend(line.functions.iter().map(String::as_str));
    }
    let mut missing = Refused::new();
    for (id, functions) in offers {
        let Some(listed) = by_id.get(id.as_str()) else { continue };
        // The list of workers is cut at spaces, so that such a name is never found in it.
        let is_missing =
            |name: &&FunctionName| !name.as_str().contains(char::is_whitespace) && !listed.contains(name.as_str());
        for function in functions.iter().filter(is_missing) {
            missing.entry(function.clone()).or_default().insert(id.clone());
        }
    }
    missing
}

fn in_both(before: &Refused, now: &Refused) -> Refused {
    let both = |(function, ids): (&FunctionName, &BTreeSet<String>)| {
        let ids: BTreeSet<String> = ids.intersection(before.get(function)?).cloned().collect();
        (!ids.is_empty()).then(|| (function.clone(), ids))
    };
    now.iter().filter_map(both).collect()
}

fn tell(server: &str, known: &Refused, refused: &Refused) {
    let is_new = |(function, _): &(&FunctionName, &BTreeSet<String>)| !known.contains_key(*function);
    let new: Refused = refused.iter().filter(is_new).map(|(function, ids)| (function.clone(), ids.clone())).collect();
    if let Some(text) = describe(server, &new) {
        warn!("{text}");
    }
    let accepted: Vec<&str> =
        known.keys().filter(|function| !refused.contains_key(*function)).map(FunctionName::as_str).collect();
    if !accepted.is_empty() {
        info!(server, "no longer refused by the gearman server, or no longer offered: {}", some(accepted.into_iter()));
    }
}

/// Names the first few, and counts the others.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let others = names.len().saturating_sub(MOST_NAMED);
    let mut text = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if others > 0 {
        // Writing to a String cannot fail.
        let _infallible = write!(text, " and {others} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn offers(offers: &[(&str, &[&str])]) -> Offers {
        let names = |functions: &[&str]| functions.iter().map(|name| FunctionName::new(*name).unwrap()).collect();
        offers.iter().map(|(id, functions)| ((*id).to_owned(), FunctionSet::new(names(functions)))).collect()
    }

    fn line(client_id: &str, functions: &[&str]) -> WorkerLine {
        WorkerLine {
            fd: "9".to_owned(),
            ip: "127.0.0.1".to_owned(),
            client_id: client_id.to_owned(),
            functions: functions.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn shown(refused: &Refused) -> Vec<String> {
        refused.iter().map(|(function, ids)| format!("{function} {ids:?}")).collect()
    }

    #[test]
    fn what_is_offered_and_not_listed_is_missing() {
        let offered = offers(&[
            ("a_exec-0", &["build:x", "build:y"]),
            ("b_exec-0", &["build:x"]),
            ("c_exec-0", &["build:x"]),
            ("d_exec-0", &["build:has space"]),
        ]);
        // Somebody else has our client id too, as a connection that has not been noticed to be gone.
        let listed = [
            line("a_exec-0", &["build:x"]),
            line("a_exec-0", &["build:z"]),
            line("b_exec-0", &[]),
            line("d_exec-0", &["build:has", "space"]),
            line("other", &["build:y"]),
        ];
        let missing = missing(&offered, &listed);
        assert_eq!(shown(&missing), [r#"build:x {"b_exec-0"}"#, r#"build:y {"a_exec-0"}"#]);
    }

    #[test]
    fn only_what_two_comparisons_in_a_row_miss_on_the_same_connection_is_refused() {
        let missed = |offered: &[(&str, &[&str])]| {
            let ids: Vec<WorkerLine> = offered.iter().map(|(id, _)| line(id, &[])).collect();
            missing(&offers(offered), &ids)
        };
        let first = missed(&[("a", &["build:x", "build:y"]), ("b", &["build:x"])]);
        let second = missed(&[("a", &["build:x"]), ("c", &["build:x", "build:y"])]);
        assert_eq!(shown(&in_both(&first, &second)), [r#"build:x {"a"}"#]);
        assert!(in_both(&Refused::new(), &first).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_comparison_waits_until_registrations_rest_but_not_for_ever() {
        let (changed, mut changes) = watch::channel(());
        let start = Instant::now();
        changed.send_replace(());
        pause(&mut changes, REGULARLY).await;
        assert_eq!(start.elapsed(), SETTLED);
        pause(&mut changes, REGULARLY).await;
        assert_eq!(start.elapsed(), SETTLED + REGULARLY);

        let start = Instant::now();
        let never_at_rest = async {
            loop {
                changed.send_replace(());
                tokio::time::sleep(SETTLED / 2).await;
            }
        };
        tokio::select! {
            () = never_at_rest => {}
            () = pause(&mut changes, REGULARLY) => assert_eq!(start.elapsed(), REGULARLY),
        }
    }

    #[test]
    fn a_report_names_a_few_and_says_what_to_do() {
        let many: Vec<String> = (0..7).map(|number| format!("build:p{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let refused = missing(&offers(&[("a_exec-0", &many)]), &[line("a_exec-0", &[])]);
        expect!["the gearman server gear:4730 does not list build:p0, build:p1, build:p2, build:p3, build:p4 and 2 more for a_exec-0, which offer them, and gives no job of them; if it has an access list (geard's --acl), let the common name of our certificate register them, and restart the daemon"].assert_eq(&describe("gear:4730", &refused).unwrap());
        assert_eq!(describe("gear:4730", &Refused::new()), None);
    }
}
