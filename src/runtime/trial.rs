//! What a change of policies would do to the function table, and to jobs that wait at the servers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Weak;

use tokio::runtime::Handle;
use tracing::warn;

use super::rules::PolicyRules;
use super::site::Site;
use super::table::{FunctionTable, Note, table};
use crate::domain::{ControllerName, FunctionName, NodeName};
use crate::policy::{Gate, Gates, Generation, Objection, Trial};

/// Examines candidates against the table as it is.
#[derive(Debug)]
pub(super) struct TableTrial {
    /// The site holds the policies, which hold this.
    pub(super) site: Weak<Site>,
    pub(super) runtime: Handle,
}

impl Trial for TableTrial {
    fn examine(&self, live: &Generation, candidate: &Generation, waived: &BTreeSet<Gate>) -> Result<(), Objection> {
        let Some(site) = self.site.upgrade() else { return Ok(()) };
        let (snapshot, now) = {
            let view = site.view.borrow();
            (view.snapshot.clone(), view.table.clone())
        };
        let config = site.config();
        let of = |generation| table(&snapshot, &mut PolicyRules::new(generation, &snapshot, &config), &now);
        let (before, after) = (of(live), of(candidate));
        if !waived.contains(&Gate::Table) {
            too_much(&before, &after, &site.policies.config().gates)
                .map_or(Ok(()), |reason| Err(Objection { gate: Gate::Table, reason }))?;
        }
        let orphaned = orphaned(&before, &after);
        if orphaned.is_empty() || waived.contains(&Gate::Orphans) {
            return Ok(());
        }
        let waiting = self.runtime.block_on(waiting(&site, &orphaned));
        waiting.map_or(Ok(()), |reason| Err(Objection { gate: Gate::Orphans, reason }))
    }
}

/// A function as one node offers it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    function: &'a FunctionName,
    controller: &'a ControllerName,
    node: &'a NodeName,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} of {}", self.function, self.node, self.controller)
    }
}

fn places(table: &FunctionTable) -> BTreeSet<Place<'_>> {
    let mut places = BTreeSet::new();
    for (controller, node, row) in table.rows() {
        places.extend(row.keys().map(|function| Place { function, controller, node }));
    }
    places
}

/// Returns why a change is too large to go unasked, if it is.
fn too_much(before: &FunctionTable, after: &FunctionTable, gates: &Gates) -> Option<String> {
    let failures = |table: &FunctionTable| -> BTreeSet<Note> {
        table.notes.iter().filter(|note| matches!(note, Note::Undecided { .. })).cloned().collect()
    };
    if let Some(failure) = failures(after).difference(&failures(before)).next() {
        return Some(format!("it cannot decide: {failure}"));
    }
    let (offered, left) = (places(before), places(after));
    let withdrawn: Vec<&Place<'_>> = offered.difference(&left).collect();
    let example = withdrawn.first()?;
    let is_small = withdrawn.len() <= gates.withdrawn_anyway
        || withdrawn.len() * 100 <= offered.len() * usize::from(gates.withdrawn_percent);
    (!is_small).then(|| {
        format!(
            "it withdraws {} of {} functions of nodes, such as {example}, which is more than {} % \
             (policies.gates.withdrawn_percent)",
            withdrawn.len(),
            offered.len(),
            gates.withdrawn_percent
        )
    })
}

/// Returns the functions that no node would offer any more.
fn orphaned(before: &FunctionTable, after: &FunctionTable) -> BTreeSet<FunctionName> {
    let functions = |table| places(table).into_iter().map(|place| place.function).collect::<BTreeSet<_>>();
    functions(before).difference(&functions(after)).map(|function| (*function).clone()).collect()
}

/// Asks every server, and tells of jobs that wait for one of the functions. A server that does not answer is no reason:
/// what waits there is not lost.
async fn waiting(site: &Site, functions: &BTreeSet<FunctionName>) -> Option<String> {
    for server in &site.servers {
        let status = match server.status().await {
            Ok(status) => status,
            Err(error) => {
                warn!(server = server.address(), %error, "cannot tell which jobs a change of policies would leave waiting");
                continue;
            }
        };
        for line in status {
            let is_meant = functions.iter().any(|function| function.as_str() == line.function);
            let jobs = line.queued.saturating_sub(line.running);
            if is_meant && jobs > 0 {
                let (function, server) = (line.function, server.address());
                return Some(format!(
                    "nobody would offer {function} any more, and jobs wait for it at {server} ({jobs})"
                ));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProjectName;

    fn wide() -> Vec<(&'static str, &'static str)> {
        ["n1", "n2", "n3", "n4"].into_iter().flat_map(|node| ["a", "b", "c", "d"].map(|name| (node, name))).collect()
    }

    #[test]
    fn a_change_is_too_much_beyond_both_the_share_and_the_number() {
        let before = FunctionTable::offering(&wide());
        for (withdrawn, percent, anyway, is_too_much) in [
            (0, 0, 0, false),
            (4, 25, 0, false),
            (5, 25, 0, true),
            (5, 25, 5, false),
            (6, 25, 5, true),
            (16, 100, 0, false),
        ] {
            let gates = Gates { withdrawn_percent: percent, withdrawn_anyway: anyway, ..Gates::default() };
            let reason = too_much(&before, &FunctionTable::offering(&wide()[withdrawn..]), &gates);
            assert_eq!(reason.is_some(), is_too_much, "{withdrawn} at {percent} % and {anyway}: {reason:?}");
        }
        let gates = Gates { withdrawn_percent: 10, withdrawn_anyway: 0, ..Gates::default() };
        assert_eq!(
            too_much(&before, &FunctionTable::offering(&wide()[8..]), &gates).unwrap(),
            "it withdraws 8 of 16 functions of nodes, such as build:a on n1 of ci, which is more than 10 % \
             (policies.gates.withdrawn_percent)"
        );
    }

    #[test]
    fn a_change_that_cannot_decide_is_refused_unless_the_live_one_could_not_either() {
        let note = Note::Undecided {
            controller: ControllerName::new("ci"),
            project: ProjectName::new("a"),
            error: "policy p failed: it trapped".to_owned(),
        };
        let fine = FunctionTable::offering(&wide());
        let mut failing = FunctionTable::offering(&wide());
        failing.notes.insert(note);
        let gates = Gates::default();
        assert!(too_much(&fine, &failing, &gates).unwrap().contains("it trapped"));
        assert_eq!(too_much(&failing, &failing, &gates), None);
        assert_eq!(too_much(&failing, &fine, &gates), None);
    }

    #[test]
    fn a_function_is_orphaned_when_its_last_node_goes() {
        let before = FunctionTable::offering(&[("n1", "a"), ("n2", "a"), ("n1", "b")]);
        let after = FunctionTable::offering(&[("n2", "a"), ("n3", "c")]);
        assert_eq!(orphaned(&before, &after), [FunctionName::new("build:b").unwrap()].into());
    }
}
