//! Lets a node serve the labels that its own labels imply.
//!
//! Three rules add labels, again and again until nothing new comes: a version serves its shorter forms and its name
//! (`ubuntu-22.04` serves `ubuntu-22` and `ubuntu`), a label serves the parents that the settings give it, and an atom
//! that compares (`gpu>=2`) is served by a label with such a number (`gpu-4`, `gpu=4`).
//!
//! It only ever adds atoms that the expression names. It never forbids a project a node by itself; yet where an
//! expression says `!ubuntu`, a node that serves `ubuntu` no longer matches, as it should.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod component;
mod version;

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use layshaft_policy_sdk::{Globs, quoted};

use version::{Comparison, Versioned};

/// What implies what.
#[derive(Debug)]
pub struct Settings {
    /// Labels, and what each serves besides itself; sorted.
    parents: Vec<(String, Vec<String>)>,
    /// Names whose versions serve their shorter forms.
    versions: Globs,
    /// Names that atoms may compare.
    comparisons: Globs,
}

/// An atom that the node serves though it does not carry it.
#[derive(Debug, PartialEq, Eq)]
pub struct Served {
    pub atom: String,
    /// The node's label that leads to it.
    pub by: String,
}

impl Settings {
    /// Reads the settings' JSON text.
    ///
    /// # Errors
    ///
    /// A sentence for the operator.
    pub fn read(json: &str) -> Result<Self, String> {
        let mut settings = layshaft_policy_sdk::Settings::read(json)?;
        let parents = match settings.table("parents")? {
            Some(parents) => parents.every_texts()?,
            None => Vec::new(),
        };
        let versions = settings.globs("versions")?.unwrap_or_else(Globs::everything);
        let comparisons = settings.globs("comparisons")?.unwrap_or_else(Globs::everything);
        settings.finish()?;
        for (child, parents) in &parents {
            if child.is_empty() || parents.iter().any(String::is_empty) {
                return Err(format!("settings.parents.{}: a label cannot be empty", quoted(child)));
            }
            if parents.is_empty() {
                return Err(format!("settings.parents.{} names no parent; leave the line out", quoted(child)));
            }
            if parents.contains(child) {
                return Err(format!("settings.parents.{}: a label is not its own parent", quoted(child)));
            }
        }
        Ok(Self { parents, versions, comparisons })
    }

    fn parents(&self, label: &str) -> &[String] {
        let found = self.parents.binary_search_by(|(child, _)| child.as_str().cmp(label));
        found.map_or(&[], |at| &self.parents[at].1)
    }
}

/// Returns which of the expression's atoms a node with these labels serves and does not carry, in the atoms' order.
pub fn served(settings: &Settings, atoms: &[String], labels: &[String]) -> Vec<Served> {
    let implied = implied(settings, labels);
    let serve = |atom: &String| {
        if labels.contains(atom) {
            return None;
        }
        let by = implied.get(atom.as_str()).copied().or_else(|| compared(settings, atom, &implied))?;
        Some(Served { atom: atom.clone(), by: by.into() })
    };
    atoms.iter().filter_map(serve).collect()
}

/// Returns each label that the node carries or serves, and the carried one that leads to it.
fn implied<'a>(settings: &'a Settings, labels: &'a [String]) -> BTreeMap<&'a str, &'a str> {
    let mut implied = BTreeMap::new();
    for label in labels.iter().map(String::as_str) {
        implied.insert(label, label);
    }
    // Taken from the map, so that the order in which the labels came changes nothing.
    let mut unfollowed: Vec<(&str, &str)> = implied.iter().map(|(label, by)| (*label, *by)).collect();
    while let Some((label, by)) = unfollowed.pop() {
        let parents = settings.parents(label).iter().map(String::as_str);
        let shorter = Versioned::read(label).filter(|versioned| settings.versions.matches(versioned.name));
        for parent in parents.chain(shorter.iter().flat_map(Versioned::shorter_forms)) {
            // What is known already is not followed again, so that labels may be each other's parents.
            implied.entry(parent).or_insert_with(|| {
                unfollowed.push((parent, by));
                by
            });
        }
    }
    implied
}

/// Returns the node's label that leads to a number with which the comparison holds.
fn compared<'a>(settings: &Settings, atom: &str, implied: &BTreeMap<&'a str, &'a str>) -> Option<&'a str> {
    let comparison = Comparison::read(atom).filter(|comparison| settings.comparisons.matches(comparison.name))?;
    let holds = |label: &&str| Versioned::read(label).is_some_and(|versioned| comparison.holds(&versioned));
    implied.iter().find(|(label, _)| holds(label)).map(|(_, by)| *by)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `atoms` and `labels` separated by blanks; the answer as `atom by label`.
    #[track_caller]
    fn check(settings: &str, labels: &str, atoms: &str, expected: &[&str]) {
        let split = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        let served = served(&Settings::read(settings).unwrap(), &split(atoms), &split(labels));
        let shown: Vec<_> = served.iter().map(|served| format!("{} by {}", served.atom, served.by)).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_version_serves_its_shorter_forms_and_its_name() {
        check("{}", "ubuntu-22.04", "ubuntu", &["ubuntu by ubuntu-22.04"]);
        check("{}", "ubuntu-22.04", "ubuntu-22", &["ubuntu-22 by ubuntu-22.04"]);
        check("{}", "python-3.11.2", "python-3.11", &["python-3.11 by python-3.11.2"]);
        check("{}", "linux-rt-5.10", "linux-rt", &["linux-rt by linux-rt-5.10"]);
    }

    #[test]
    fn nothing_else_is_a_version() {
        check("{}", "ubuntu-22.04", "ubuntu-22.0 ubuntu-2 ubuntu-22.04.1 ubunt", &[]);
        check("{}", "ubuntu", "ubuntu-22.04", &[]);
        check("{}", "docker-less arm64 x86_64 jdk-17-headless ubuntu-22. -7", "docker arm x86 jdk jdk-17 ubuntu", &[]);
    }

    #[test]
    fn a_count_of_none_does_not_serve_the_name() {
        check("{}", "gpu-0", "gpu", &[]);
        check("{}", "gpu-0.5", "gpu", &["gpu by gpu-0.5"]);
    }

    #[test]
    fn carried_labels_are_not_repeated() {
        check("{}", "ubuntu ubuntu-22.04", "ubuntu ubuntu-22.04", &[]);
    }

    #[test]
    fn comparisons_are_served_by_numbers() {
        for label in ["gpu-4", "gpu=4"] {
            for (atom, holds) in [
                ("gpu>=2", true),
                ("gpu>=4", true),
                ("gpu>4", false),
                ("gpu<=4", true),
                ("gpu<4", false),
                ("gpu<10", true),
                ("gpu==4", true),
                ("gpu==4.0", true),
                ("gpu==5", false),
                ("gpu>=", false),
                ("gpu>=two", false),
                ("cpu>=2", false),
            ] {
                let expected = format!("{atom} by {label}");
                let expected = [expected.as_str()];
                check("{}", label, atom, if holds { &expected } else { &[] });
            }
        }
        check("{}", "gpu", "gpu>=1", &[]);
        check("{}", "gpu=4", "gpu=4.0 gpu-4 gpu", &["gpu=4.0 by gpu=4"]);
    }

    #[test]
    fn comparisons_count_as_versions_do() {
        check("{}", "ubuntu-22.04", "ubuntu>=20.10", &["ubuntu>=20.10 by ubuntu-22.04"]);
        check("{}", "ubuntu-22.04", "ubuntu>=22.10", &[]);
        check("{}", "jdk-8 jdk-17", "jdk<11 jdk>11", &["jdk<11 by jdk-8", "jdk>11 by jdk-17"]);
    }

    #[test]
    fn parents_are_followed_to_the_end_together_with_versions() {
        let settings = r#"{"parents": {"jammy": ["ubuntu-22.04"], "ubuntu": ["linux"], "a100": ["gpu-memory=80"]}}"#;
        check(
            settings,
            "a100 jammy",
            "gpu-memory>=40 linux ubuntu windows",
            &["gpu-memory>=40 by a100", "linux by jammy", "ubuntu by jammy"],
        );
    }

    #[test]
    fn labels_may_be_each_others_parents() {
        check(r#"{"parents": {"a": ["b"], "b": ["a"]}}"#, "a", "a b", &["b by a"]);
        check(r#"{"parents": {"a": ["b"], "b": ["a"]}}"#, "b", "a b", &["a by b"]);
    }

    #[test]
    fn the_order_of_labels_changes_nothing() {
        for labels in ["ubuntu-22.04 ubuntu-20.04 a", "a ubuntu-20.04 ubuntu-22.04"] {
            check(r#"{"parents": {"a": ["ubuntu"]}}"#, labels, "ubuntu", &["ubuntu by ubuntu-22.04"]);
        }
    }

    #[test]
    fn rules_can_be_narrowed_to_names() {
        let settings = r#"{"versions": ["ubuntu"], "comparisons": ["gpu*"]}"#;
        check(
            settings,
            "ubuntu-22.04 jdk-17 gpu-2",
            "gpu>=1 jdk jdk>=11 ubuntu",
            &["gpu>=1 by gpu-2", "ubuntu by ubuntu-22.04"],
        );
    }

    #[test]
    fn hostile_numbers_are_no_numbers() {
        let huge = format!("gpu-{}", "9".repeat(400));
        check("{}", &huge, "gpu gpu>=1", &[]);
        check("{}", "gpu-4", &format!("gpu<{}", "9".repeat(400)), &[]);
        check("{}", "gpu-\u{664}", "gpu>=1", &[]);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (json, part) in [
            (r#"{"parent": {}}"#, "has no `parent`; it takes `parents`, `versions`, `comparisons`"),
            (r#"{"parents": {"a": "b"}}"#, "settings.parents.a must be a list of texts"),
            (r#"{"parents": {"a": []}}"#, "names no parent"),
            (r#"{"parents": {"a": [""]}}"#, "cannot be empty"),
            (r#"{"parents": {"a": ["a"]}}"#, "not its own parent"),
            (r#"{"versions": ["{a,b}"]}"#, "settings.versions: the pattern"),
        ] {
            let error = Settings::read(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
