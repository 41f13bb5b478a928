//! Under which names a project is offered.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::domain::{BuildFunction, ProjectName};

/// Returns the functions of a project on a node that matches: `build:PROJECT`, and `build:PROJECT:ATOM` for each atom.
pub fn build_functions(short_name: &str, suffixes: &BTreeSet<&str>) -> Vec<BuildFunction> {
    let with_label = suffixes.iter().map(|atom| BuildFunction::new(short_name, Some(atom)));
    std::iter::once(BuildFunction::new(short_name, None)).chain(with_label).collect()
}

/// Returns the atoms that become suffixes: those of the project's expression that the node carries.
///
/// Whether an atom is negated is not looked at, so `a || !b` on a node with both gives both. A node's own name is a
/// label like any other here: it becomes a suffix only where the expression names it.
pub fn suffixes<'a>(atoms: &BTreeSet<&'a str>, node_labels: &BTreeSet<String>) -> BTreeSet<&'a str> {
    atoms.iter().copied().filter(|atom| node_labels.contains(*atom)).collect()
}

/// Compares two projects of a controller by the order in which the plugin walks them.
///
/// Depth first, ignoring case, folders as if their name ended in a slash. Where two projects share a function name, the
/// one walked last is started by it.
pub fn walk_order(left: &ProjectName, right: &ProjectName) -> Ordering {
    let by_walk = sort_keys(left).cmp(sort_keys(right));
    // Two names that differ in case alone need some order, always the same.
    by_walk.then_with(|| left.cmp(right))
}

fn sort_keys(project: &ProjectName) -> impl Iterator<Item = String> {
    let mut segments = project.segments().peekable();
    std::iter::from_fn(move || {
        let mut key = segments.next()?.to_lowercase();
        if segments.peek().is_some() {
            key.push('/');
        }
        Some(key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_name_comes_first_and_then_the_atoms_in_order() {
        let names: Vec<_> = build_functions("lint", &BTreeSet::from(["zeta", "big iron", "alpha"]))
            .into_iter()
            .map(|function| function.name().unwrap().to_string())
            .collect();
        assert_eq!(names, ["build:lint", "build:lint:alpha", "build:lint:big iron", "build:lint:zeta"]);
    }

    #[test]
    fn only_atoms_that_the_node_carries_become_suffixes() {
        let labels = BTreeSet::from(["a".to_owned(), "b".to_owned(), "host-1".to_owned()]);
        assert_eq!(suffixes(&BTreeSet::from(["b", "c", "a"]), &labels), BTreeSet::from(["a", "b"]));
        assert_eq!(suffixes(&BTreeSet::from(["host-1"]), &labels), BTreeSet::from(["host-1"]));
        assert_eq!(suffixes(&BTreeSet::new(), &labels), BTreeSet::new());
    }

    #[test]
    fn projects_are_walked_depth_first_ignoring_case() {
        let walked = ["Alpha", "app", "app-x", "app/a", "app/Sub/z", "app/zoo", "appa", "beta", "Beta", "zoo/a"];
        let mut sorted = walked.map(ProjectName::new);
        sorted.reverse();
        sorted.sort_by(walk_order);
        // Between two names that differ in case alone the exact text decides.
        let expected = ["Alpha", "app", "app-x", "app/a", "app/Sub/z", "app/zoo", "appa", "Beta", "beta", "zoo/a"];
        assert_eq!(sorted, expected.map(ProjectName::new));
    }
}
