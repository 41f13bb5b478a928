//! What a change of policies would do to the function table, and to jobs that wait at the servers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::warn;

use super::config::Config;
use super::keeping::Left;
use super::rules::PolicyRules;
use super::site::{Site, View};
use super::table::{FunctionTable, Note, table};
use crate::domain::{ControllerName, FunctionName, NodeName};
use crate::policy::{self, Comparison, Gate, Gates, Generation, Objection, Stage};

/// Examines candidates against the table as it is.
#[derive(Debug)]
pub(super) struct TableGates {
    /// The site holds the policies, which hold this.
    pub(super) site: Weak<Site>,
    pub(super) runtime: Handle,
}

/// The table under a base, on controllers as they were when the comparison began.
struct TableComparison<'a> {
    site: Arc<Site>,
    runtime: &'a Handle,
    view: View,
    config: Arc<Config>,
    before: Arc<FunctionTable>,
    /// What waits at the servers, once somebody has asked them.
    waiting: Option<Vec<Waiting>>,
    took: BTreeMap<Stage, Duration>,
}

/// Jobs of one function that wait at a server.
struct Waiting {
    function: String,
    jobs: u64,
    server: String,
}

impl policy::TableGates for TableGates {
    fn against<'a>(&'a self, base: &'a Generation, is_live: bool) -> Option<Box<dyn Comparison + 'a>> {
        let site = self.site.upgrade()?;
        let begin = Instant::now();
        let (view, config) = (site.view.borrow().clone(), site.config());
        let known = || {
            let (number, snapshot) = view.ruled_by.as_ref()?;
            let holds = is_live && *number == base.number() && snapshot.gives_the_same_table(&view.snapshot);
            holds.then(|| Arc::clone(&view.ruled))
        };
        let before = known().unwrap_or_else(|| Arc::new(table_under(base, &view, &config)));
        let took = BTreeMap::from([(Stage::Table, begin.elapsed())]);
        Some(Box::new(TableComparison { site, runtime: &self.runtime, view, config, before, waiting: None, took }))
    }
}

impl Comparison for TableComparison<'_> {
    fn examine(&mut self, candidate: &Generation, waived: &BTreeSet<Gate>) -> Result<(), Objection> {
        let begin = Instant::now();
        let after = table_under(candidate, &self.view, &self.config);
        let too_much = too_much(&self.before, &after, &self.site.policies.config().gates);
        let compared = Instant::now();
        *self.took.entry(Stage::Table).or_default() += compared - begin;
        if let Some(reason) = too_much.filter(|_| !waived.contains(&Gate::Table)) {
            return Err(Objection { gate: Gate::Table, reason });
        }
        let asked = self.orphans(&after, waived);
        *self.took.entry(Stage::Orphans).or_default() += compared.elapsed();
        asked
    }

    fn took(&self) -> BTreeMap<Stage, Duration> {
        self.took.clone()
    }
}

impl TableComparison<'_> {
    fn orphans(&mut self, after: &FunctionTable, waived: &BTreeSet<Gate>) -> Result<(), Objection> {
        if waived.contains(&Gate::Orphans) {
            return Ok(());
        }
        let keeps = !self.site.policies.config().keep_names.is_zero();
        let left = self.view.keeping.left_behind(&self.before, after, &self.view.snapshot, keeps);
        if left.is_empty() {
            return Ok(());
        }
        let (runtime, site) = (self.runtime, &self.site);
        let waiting = self.waiting.get_or_insert_with(|| runtime.block_on(waiting(site)));
        let left: BTreeMap<&str, &Left> = left.iter().map(|(function, left)| (function.as_str(), left)).collect();
        let objection = |waiting: &Waiting| {
            let Waiting { function, jobs, server } = waiting;
            let reason = match left.get(function.as_str())? {
                Left::Nobody => {
                    format!("nobody would offer {function} any more, and jobs wait for it at {server} ({jobs})")
                }
                Left::Another { meant, means } => {
                    format!(
                        "{function} would mean {means} instead of {meant}, and jobs wait for it at {server} ({jobs})"
                    )
                }
            };
            Some(Objection { gate: Gate::Orphans, reason })
        };
        waiting.iter().find_map(objection).map_or(Ok(()), Err)
    }
}

fn table_under(generation: &Generation, view: &View, config: &Config) -> FunctionTable {
    table(&view.snapshot, &mut PolicyRules::new(generation, &view.snapshot, config), &view.ruled)
}

/// A function as one node offers it.
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

/// Returns what a change withdraws, node by node. Nodes whose row stayed the same are not looked at.
fn withdrawn<'a>(before: &'a FunctionTable, after: &'a FunctionTable) -> impl Iterator<Item = Place<'a>> {
    before.rows().flat_map(|(controller, node, row)| {
        let left = after.row(controller, node);
        let is_same = left.is_some_and(|left| Arc::ptr_eq(left, row));
        let offered = (!is_same).then_some(row).into_iter().flat_map(|row| row.keys());
        let gone = offered.filter(move |function| left.is_none_or(|left| !left.contains_key(*function)));
        gone.map(move |function| Place { function, controller, node })
    })
}

/// Returns why a change is too large to go unasked, if it is.
fn too_much(before: &FunctionTable, after: &FunctionTable, gates: &Gates) -> Option<String> {
    let failures = |table: &FunctionTable| -> BTreeSet<Note> {
        table.notes.iter().filter(|note| matches!(note, Note::Undecided { .. })).cloned().collect()
    };
    if let Some(failure) = failures(after).difference(&failures(before)).next() {
        return Some(format!("it cannot decide: {failure}"));
    }
    let example = withdrawn(before, after).next()?;
    let withdrawn = withdrawn(before, after).count();
    let offered: usize = before.rows().map(|(_, _, row)| row.len()).sum();
    let is_small =
        withdrawn <= gates.withdrawn_anyway || withdrawn * 100 <= offered * usize::from(gates.withdrawn_percent);
    (!is_small).then(|| {
        format!(
            "it withdraws {withdrawn} of {offered} functions of nodes, such as {example}, which is more than {} % \
             (policies.gates.withdrawn_percent)",
            gates.withdrawn_percent
        )
    })
}

/// Asks every server what waits there. One that does not answer is passed over: what waits there is not lost.
async fn waiting(site: &Site) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for server in &site.servers {
        match server.waiting().await {
            Ok(jobs) => waiting.extend(jobs.map(|(function, jobs)| {
                let server = server.address().to_owned();
                Waiting { function, jobs, server }
            })),
            Err(error) => {
                warn!(server = server.address(), %error, "cannot tell which jobs a change of policies would leave waiting");
            }
        }
    }
    waiting
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
}
