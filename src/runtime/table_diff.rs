//! What becomes of a function table. PURE: two tables in, their difference out, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::table::{FunctionTable, Row};
use crate::domain::{ControllerName, FunctionName, NodeName, ProjectName};

/// So many nodes are named; the others are counted.
const MOST_NAMED: usize = 3;

/// The difference between two function tables. A place is a function on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDiff {
    pub functions_before: usize,
    pub functions_after: usize,
    pub places_before: usize,
    pub places_after: usize,
    pub places_added: usize,
    pub places_withdrawn: usize,
    /// Names that nobody offered.
    pub added: Vec<Listed>,
    /// Names that nobody offers any more.
    pub withdrawn: Vec<Listed>,
    /// Names that other nodes offer than before.
    pub moved: Vec<Moved>,
    /// Names that mean another project than before.
    pub meaning: Vec<Meant>,
    /// What a person should know, and need not have known before.
    pub notes_added: Vec<String>,
    pub notes_gone: Vec<String>,
}

/// A name that all of its nodes gain or lose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub function: FunctionName,
    pub project: ProjectName,
    pub nodes: Nodes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub function: FunctionName,
    pub project: ProjectName,
    pub gained: Nodes,
    pub lost: Nodes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meant {
    pub function: FunctionName,
    pub before: ProjectName,
    pub after: ProjectName,
}

/// Some nodes, of which a few are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    pub count: usize,
    pub examples: Vec<Place>,
}

/// A node of a controller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub controller: ControllerName,
    pub node: NodeName,
}

impl TableDiff {
    pub fn is_same(&self) -> bool {
        let Self { added, withdrawn, moved, meaning, notes_added, notes_gone, .. } = self;
        let lists = [added.len(), withdrawn.len(), moved.len(), meaning.len(), notes_added.len(), notes_gone.len()];
        lists.iter().all(|length| *length == 0)
    }
}

impl Nodes {
    pub(super) fn add(&mut self, controller: &ControllerName, node: &NodeName) {
        self.count += 1;
        if self.examples.len() < MOST_NAMED {
            self.examples.push(Place { controller: controller.clone(), node: node.clone() });
        }
    }
}

/// What nodes gain and lose of one function.
#[derive(Default)]
struct Change {
    gained: Nodes,
    lost: Nodes,
}

pub(super) fn diff(before: &FunctionTable, after: &FunctionTable) -> TableDiff {
    let changes = changes(before, after);
    let places = |table: &FunctionTable| table.rows().map(|(_, _, row)| row.len()).sum();
    let texts = |table: &FunctionTable| table.notes.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let (notes_before, notes_after) = (texts(before), texts(after));
    let mut diff = TableDiff {
        functions_before: before.names().count(),
        functions_after: after.names().count(),
        places_before: places(before),
        places_after: places(after),
        places_added: changes.values().map(|change| change.gained.count).sum(),
        places_withdrawn: changes.values().map(|change| change.lost.count).sum(),
        notes_added: notes_after.difference(&notes_before).cloned().collect(),
        notes_gone: notes_before.difference(&notes_after).cloned().collect(),
        ..TableDiff::default()
    };
    for (function, Change { gained, lost }) in changes {
        let function = function.clone();
        match (before.owner_of(&function), after.owner_of(&function)) {
            (None, Some(project)) => diff.added.push(Listed { function, project: project.clone(), nodes: gained }),
            (Some(project), None) => diff.withdrawn.push(Listed { function, project: project.clone(), nodes: lost }),
            (Some(_), Some(project)) => diff.moved.push(Moved { function, project: project.clone(), gained, lost }),
            // Whatever a node offers is somebody's.
            (None, None) => {}
        }
    }
    let meant = before.names().filter_map(|function| {
        let before = before.owner_of(function)?;
        let after = after.owner_of(function).filter(|after| *after != before)?;
        Some(Meant { function: function.clone(), before: before.clone(), after: after.clone() })
    });
    diff.meaning = meant.collect();
    diff
}

/// Returns what nodes gain and lose. Those whose row stayed the same are not looked at.
fn changes<'a>(before: &'a FunctionTable, after: &'a FunctionTable) -> BTreeMap<&'a FunctionName, Change> {
    let mut changes: BTreeMap<&FunctionName, Change> = BTreeMap::new();
    for (controller, node, row) in after.rows() {
        for function in missing(row, before.row(controller, node)) {
            changes.entry(function).or_default().gained.add(controller, node);
        }
    }
    for (controller, node, row) in before.rows() {
        for function in missing(row, after.row(controller, node)) {
            changes.entry(function).or_default().lost.add(controller, node);
        }
    }
    changes
}

/// Returns what a row has and the other one lacks.
fn missing<'a>(row: &'a Arc<Row>, other: Option<&Arc<Row>>) -> impl Iterator<Item = &'a FunctionName> {
    let is_same = other.is_some_and(|other| Arc::ptr_eq(other, row));
    let names = (!is_same).then(|| row.keys()).into_iter().flatten();
    names.filter(move |function| other.is_none_or(|other| !other.contains_key(*function)))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::fleet::Fleet;
    use super::super::fleet::tests::{classic, fleet, project};
    use super::*;

    #[track_caller]
    fn check(before: &Fleet, after: &Fleet, expected: Expect) -> TableDiff {
        let generation = classic().generation();
        let offered = before.offered(&generation, None);
        let diff = offered.diff(&after.offered(&generation, Some(&offered)));
        let nodes = |nodes: &Nodes| {
            let names: Vec<_> = nodes.examples.iter().map(|place| place.node.to_string()).collect();
            format!("{} ({})", nodes.count, names.join(" "))
        };
        let listed =
            |sign: &str, one: &Listed| format!("{sign} {} {}: {}\n", one.function, one.project, nodes(&one.nodes));
        let mut text: String = diff.added.iter().map(|one| listed("+", one)).collect();
        text.extend(diff.withdrawn.iter().map(|one| listed("-", one)));
        text.extend(
            diff.moved.iter().map(|one| format!("~ {}: {} {}\n", one.function, nodes(&one.gained), nodes(&one.lost))),
        );
        text.extend(diff.meaning.iter().map(|one| format!("! {} {} {}\n", one.function, one.before, one.after)));
        text.extend(diff.notes_added.iter().map(|note| format!("+ {note}\n")));
        text.extend(diff.notes_gone.iter().map(|note| format!("- {note}\n")));
        expected.assert_eq(&text);
        diff
    }

    #[test]
    fn names_come_go_and_move_and_many_nodes_are_one_line() {
        let nodes: [(&str, &[&str]); 5] =
            [("a", &["linux"]), ("b", &["linux"]), ("c", &["linux"]), ("d", &["linux"]), ("e", &["mac"])];
        let before = fleet(&nodes, vec![project("lint", Some("linux")), project("test", Some("linux||mac"))]);
        let after = fleet(&nodes, vec![project("new", Some("linux")), project("test", Some("mac"))]);
        let diff = check(
            &before,
            &after,
            expect![[r#"
                + build:new new: 4 (a b c)
                + build:new:linux new: 4 (a b c)
                - build:lint lint: 4 (a b c)
                - build:lint:linux lint: 4 (a b c)
                - build:test:linux test: 4 (a b c)
                ~ build:test: 0 () 4 (a b c)
            "#]],
        );
        assert_eq!((diff.functions_before, diff.functions_after), (5, 4));
        assert_eq!((diff.places_before, diff.places_after), (18, 10));
        assert_eq!((diff.places_added, diff.places_withdrawn), (8, 16));
        assert!(!diff.is_same());
        let same = check(&before, &before, expect![""]);
        assert!(same.is_same());
    }

    #[test]
    fn a_name_that_means_another_project_and_a_clash_that_goes_are_told() {
        let before = fleet(&[("a", &[])], vec![project("x/lint", None), project("y/lint", None)]);
        let after = fleet(&[("a", &[])], vec![project("x/lint", None)]);
        let diff = check(
            &before,
            &after,
            expect![[r#"
                ! build:lint y/lint x/lint
                - build:lint means y/lint; x/lint is not offered under that name (a naming policy could tell them apart)
            "#]],
        );
        assert_eq!((diff.places_added, diff.places_withdrawn), (0, 0));
        check(
            &after,
            &before,
            expect![[r#"
                + build:lint means x/lint; y/lint is not offered under that name (a naming policy could tell them apart)
            "#]],
        );
    }
}
