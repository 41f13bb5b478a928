//! Names functions after the full name of a project, folders included.
//!
//! The classic rules name a function after the last part alone, so that `team-a/app` and `team-b/app` collide. Here
//! each has a name of its own, and the short one stays as an alias for as long as it means one project.
//!
//! The label variants are those of the classic rules: the name, and the name with each matched label.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod component;

use alloc::{format, string::String, vec, vec::Vec};

use layshaft_policy_sdk::quoted;

/// The longest function name, in bytes, that every Gearman server takes.
const LONGEST: usize = 511;

/// How the full name is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// Stands between folders, and between folder and project.
    pub separator: String,
    /// Whether short names are kept as aliases.
    pub short_names: bool,
}

/// One function name, without `build:`.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    pub project: String,
    pub label: Option<String>,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// None leaves the names to the next policy, and at last to the classic rules.
    pub names: Option<Vec<Name>>,
    pub aliases: Vec<Name>,
    pub reason: String,
    pub trace: Vec<String>,
}

impl Settings {
    /// Reads the settings' JSON text.
    ///
    /// # Errors
    ///
    /// A sentence for the operator.
    pub fn read(json: &str) -> Result<Self, String> {
        let mut settings = layshaft_policy_sdk::Settings::read(json)?;
        let separator = settings.text("separator")?.unwrap_or_else(|| "/".into());
        let short_names = settings.truth("short_names")?.unwrap_or(true);
        settings.finish()?;
        if separator.is_empty() {
            return Err("settings.separator is empty; folder and project would run into each other".into());
        }
        if separator.contains(':') {
            return Err("settings.separator has a `:`, which separates a project from its label".into());
        }
        if separator.chars().any(is_illegal) {
            return Err("settings.separator has white space, which function names cannot have".into());
        }
        Ok(Self { separator, short_names })
    }
}

/// Names a project on a class of nodes that carry `matched_labels`.
pub fn names(
    settings: &Settings,
    full_name: &str,
    short_name: &str,
    short_name_unique: bool,
    matched_labels: &[String],
) -> Verdict {
    if !full_name.contains('/') {
        return Verdict::abstain("the project is in no folder".into());
    }
    let project = full_name.replace('/', &settings.separator);
    if let Some(obstacle) = obstacle(&project) {
        return Verdict::abstain(format!("{} {obstacle}", quoted(&project)));
    }
    let mut trace = Vec::new();
    let names = with_labels(&project, matched_labels, &mut trace);
    let (aliases, alias_note) = if !settings.short_names {
        (Vec::new(), "short names are off")
    } else if !short_name_unique {
        (Vec::new(), "its short name is not unique")
    } else if obstacle(short_name).is_some() {
        (Vec::new(), "its short name cannot be a function name")
    } else {
        (with_labels(short_name, matched_labels, &mut Vec::new()), "its short name is an alias")
    };
    Verdict { names: Some(names), aliases, reason: format!("{}; {alias_note}", quoted(&project)), trace }
}

impl Verdict {
    fn abstain(reason: String) -> Self {
        Self { names: None, aliases: Vec::new(), reason, trace: Vec::new() }
    }
}

/// The classic form: the name alone, then with each matched label that can be part of a name.
fn with_labels(project: &str, matched_labels: &[String], trace: &mut Vec<String>) -> Vec<Name> {
    let mut names = vec![Name { project: project.into(), label: None }];
    for label in matched_labels {
        match obstacle(&format!("{project}:{label}")) {
            None => names.push(Name { project: project.into(), label: Some(label.clone()) }),
            Some(obstacle) => trace.push(format!("not offered with label {}: the name {obstacle}", quoted(label))),
        }
    }
    names
}

/// Says why a name cannot follow `build:`.
fn obstacle(name: &str) -> Option<&'static str> {
    if name.chars().any(is_illegal) {
        Some("has white space")
    } else if "build:".len() + name.len() > LONGEST {
        Some("is too long for a function name")
    } else {
        None
    }
}

/// Clients cut lines of the server's `status` at white space.
fn is_illegal(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        Settings::read(json).unwrap()
    }

    fn ask(settings: &Settings, full_name: &str, unique: bool, labels: &[&str]) -> Verdict {
        let short_name = full_name.rsplit('/').next().unwrap();
        let labels: Vec<_> = labels.iter().map(|label| String::from(*label)).collect();
        names(settings, full_name, short_name, unique, &labels)
    }

    fn shown(names: &[Name]) -> Vec<String> {
        let show = |name: &Name| match &name.label {
            Some(label) => format!("{}:{label}", name.project),
            None => name.project.clone(),
        };
        names.iter().map(show).collect()
    }

    #[test]
    fn a_project_in_folders_is_offered_under_both_names_with_each_label() {
        let verdict = ask(&settings("{}"), "team/app/lint", true, &["gpu", "linux"]);
        assert_eq!(shown(&verdict.names.unwrap()), ["team/app/lint", "team/app/lint:gpu", "team/app/lint:linux"]);
        assert_eq!(shown(&verdict.aliases), ["lint", "lint:gpu", "lint:linux"]);
        assert_eq!(verdict.reason, "`team/app/lint`; its short name is an alias");
    }

    #[test]
    fn a_short_name_of_several_projects_is_no_alias() {
        let verdict = ask(&settings("{}"), "team/lint", false, &[]);
        assert_eq!(shown(&verdict.names.unwrap()), ["team/lint"]);
        assert_eq!(verdict.aliases, []);
    }

    #[test]
    fn short_names_can_be_turned_off() {
        let verdict = ask(&settings(r#"{"short_names": false}"#), "team/lint", true, &[]);
        assert_eq!((shown(&verdict.names.unwrap()), verdict.aliases), (vec!["team/lint".into()], vec![]));
    }

    #[test]
    fn the_separator_replaces_every_slash() {
        let verdict = ask(&settings(r#"{"separator": "."}"#), "team/app/lint", true, &["gpu"]);
        assert_eq!(shown(&verdict.names.unwrap()), ["team.app.lint", "team.app.lint:gpu"]);
    }

    #[test]
    fn a_project_outside_folders_keeps_its_classic_name() {
        assert_eq!(ask(&settings("{}"), "lint", true, &["gpu"]).names, None);
    }

    #[test]
    fn names_that_cannot_be_function_names_are_left_to_the_classic_rules() {
        assert_eq!(
            ask(&settings("{}"), "team/my app", true, &[]),
            Verdict::abstain("`team/my app` has white space".into())
        );
        let long = format!("{}/lint", "x".repeat(501));
        assert_eq!(ask(&settings("{}"), &long, true, &[]).names, None);
        assert!(ask(&settings("{}"), &long[1..], true, &[]).names.is_some(), "511 bytes with `build:`");
    }

    #[test]
    fn a_label_that_cannot_be_in_a_name_is_left_out_and_said() {
        let verdict = ask(&settings("{}"), "team/lint", true, &["big iron", "gpu"]);
        assert_eq!(shown(&verdict.names.unwrap()), ["team/lint", "team/lint:gpu"]);
        assert_eq!(shown(&verdict.aliases), ["lint", "lint:gpu"]);
        assert_eq!(verdict.trace, ["not offered with label `big iron`: the name has white space"]);
    }

    #[test]
    fn settings_that_would_break_names_are_refused() {
        for (json, part) in [
            (r#"{"separator": ""}"#, "run into each other"),
            (r#"{"separator": ":"}"#, "separates a project from its label"),
            (r#"{"separator": " "}"#, "white space"),
            (r#"{"separator": 1}"#, "must be a text"),
            (r#"{"seperator": "."}"#, "has no `seperator`; it takes `separator`, `short_names`"),
        ] {
            let error = Settings::read(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
