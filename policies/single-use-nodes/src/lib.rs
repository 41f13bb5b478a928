//! Takes nodes with certain labels offline after one build.
//!
//! A build on such a node reserves it as it starts, so that nothing else starts there; as it ends, the node goes
//! offline, and whoever replaces used nodes finds it there. For chosen projects a node on which a build went wrong is
//! held, for a person to look at. Other nodes are none of its business, and the built-in node never is.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod component;
mod message;

use alloc::{format, string::String, vec::Vec};

use layshaft_policy_sdk::offline::BuildResult;
use layshaft_policy_sdk::{Globs, ProjectGlobs, quoted};

use message::Message;

/// Which nodes, and what is said of them.
#[derive(Debug)]
pub struct Settings {
    labels: Globs,
    message: Message,
    hold: Option<Hold>,
}

/// When a node is kept for a person.
#[derive(Debug)]
struct Hold {
    projects: ProjectGlobs,
    results: Vec<BuildResult>,
    message: Message,
}

/// Where a build runs, and what it builds.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    pub controller: &'a str,
    pub project: &'a str,
    pub built_in: bool,
    pub labels: &'a [String],
}

/// What is answered as a build starts.
#[derive(Debug, PartialEq, Eq)]
pub enum Start {
    Abstain { reason: String },
    Reserve { reason: String },
}

/// What is answered as a build ends.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Abstain { reason: String },
    Offline { message: String, reason: String },
    Held { message: String, reason: String },
}

/// Results as settings and messages call them.
const RESULTS: [(&str, BuildResult); 6] = [
    ("success", BuildResult::Success),
    ("unstable", BuildResult::Unstable),
    ("failure", BuildResult::Failure),
    ("not-built", BuildResult::NotBuilt),
    ("aborted", BuildResult::Aborted),
    ("unknown", BuildResult::Unknown),
];

fn name(result: BuildResult) -> &'static str {
    RESULTS.into_iter().find(|(_, known)| *known == result).map_or("unknown", |(name, _)| name)
}

impl Settings {
    /// Reads the settings' JSON text.
    ///
    /// # Errors
    ///
    /// A sentence for the operator.
    pub fn read(json: &str) -> Result<Self, String> {
        let mut settings = layshaft_policy_sdk::Settings::read(json)?;
        let labels = match settings.globs("labels")? {
            Some(labels) if labels.is_empty() => {
                return Err(
                    "settings.labels is empty, so that no node would be single-use; leave it out for `single-use`"
                        .into(),
                );
            }
            Some(labels) => labels,
            None => Globs::new(["single-use"])?,
        };
        let message = Message::take(&mut settings, "single use: {project} ended with {result}")?;
        let hold = settings.table("hold")?.map(Hold::read).transpose()?;
        settings.finish()?;
        Ok(Self { labels, message, hold })
    }
}

impl Hold {
    fn read(mut settings: layshaft_policy_sdk::Settings) -> Result<Self, String> {
        let projects = settings.project_globs("projects")?.unwrap_or_default();
        if projects.is_empty() {
            return Err(format!("{} names no projects: write projects = [\"PATTERN\"]", settings.path()));
        }
        let results = settings.choices("results", &RESULTS)?.unwrap_or_else(|| [BuildResult::Failure].into());
        if results.is_empty() {
            return Err(format!("{}.results is empty, so that nothing would be held", settings.path()));
        }
        let message = Message::take(&mut settings, "held for a look: {project} ended with {result}")?;
        settings.finish()?;
        Ok(Self { projects, results, message })
    }
}

/// Decides as a build starts.
pub fn started(settings: &Settings, build: Build<'_>) -> Start {
    match single_use(settings, build) {
        Ok(label) => Start::Reserve { reason: format!("label {} makes the node single-use", quoted(label)) },
        Err(reason) => Start::Abstain { reason: reason.into() },
    }
}

/// Decides as a build ends.
pub fn ended(settings: &Settings, build: Build<'_>, result: BuildResult) -> End {
    let label = match single_use(settings, build) {
        Ok(label) => quoted(label),
        Err(reason) => return End::Abstain { reason: reason.into() },
    };
    match &settings.hold {
        Some(hold) if hold.results.contains(&result) && hold.projects.matches(build.project) => End::Held {
            message: hold.message.fill(build.controller, build.project, name(result)),
            reason: format!("label {label} makes the node single-use; {} builds of this project hold it", name(result)),
        },
        _ => End::Offline {
            message: settings.message.fill(build.controller, build.project, name(result)),
            reason: format!("label {label} makes the node single-use"),
        },
    }
}

/// Returns the label that makes the node single-use, or why nothing does.
fn single_use<'a>(settings: &Settings, build: Build<'a>) -> Result<&'a str, &'static str> {
    if build.built_in {
        return Err("the built-in node is never single-use");
    }
    let labels = build.labels.iter().map(String::as_str);
    labels.filter(|label| settings.labels.matches(label)).min().ok_or("no label of the node makes it single-use")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"{
        "labels": ["single-use", "vm-*"],
        "hold": {"projects": ["release/*"], "results": ["failure", "aborted"], "message": "{controller}: look at {project}"}
    }"#;

    fn start(settings: &str, built_in: bool, labels: &[String]) -> Start {
        let build = Build { controller: "main", project: "team/lint", built_in, labels };
        started(&Settings::read(settings).unwrap(), build)
    }

    fn end(project: &str, labels: &[String], result: BuildResult) -> End {
        let build = Build { controller: "main", project, built_in: false, labels };
        ended(&Settings::read(SETTINGS).unwrap(), build, result)
    }

    fn labels(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn a_build_reserves_a_single_use_node() {
        let reason = "label `vm-7` makes the node single-use".into();
        assert_eq!(start(SETTINGS, false, &labels("linux vm-7")), Start::Reserve { reason });
    }

    #[test]
    fn without_settings_the_label_is_single_use() {
        assert!(matches!(start("{}", false, &labels("single-use")), Start::Reserve { .. }));
        assert!(matches!(start("{}", false, &labels("vm-7")), Start::Abstain { .. }));
    }

    #[test]
    fn other_nodes_are_left_alone() {
        assert!(matches!(start(SETTINGS, false, &labels("linux")), Start::Abstain { .. }));
        assert!(matches!(end("release/a", &labels("linux"), BuildResult::Failure), End::Abstain { .. }));
    }

    #[test]
    fn the_built_in_node_is_never_single_use() {
        let reason = "the built-in node is never single-use".into();
        assert_eq!(start(SETTINGS, true, &labels("single-use")), Start::Abstain { reason });
    }

    #[test]
    fn after_the_build_the_node_goes_offline_whatever_the_result() {
        for (result, name) in [(BuildResult::Success, "success"), (BuildResult::Failure, "failure")] {
            let expected = End::Offline {
                message: format!("single use: team/lint ended with {name}"),
                reason: "label `single-use` makes the node single-use".into(),
            };
            assert_eq!(end("team/lint", &labels("single-use"), result), expected);
        }
    }

    #[test]
    fn named_projects_hold_the_node_on_which_they_went_wrong() {
        let held = End::Held {
            message: "main: look at release/a".into(),
            reason: "label `vm-1` makes the node single-use; aborted builds of this project hold it".into(),
        };
        assert_eq!(end("release/a", &labels("vm-1"), BuildResult::Aborted), held);
        assert!(matches!(end("release/a", &labels("vm-1"), BuildResult::Success), End::Offline { .. }));
        assert!(matches!(end("release/a", &labels("vm-1"), BuildResult::Unstable), End::Offline { .. }));
    }

    #[test]
    fn every_result_has_its_name() {
        for (word, result) in RESULTS {
            assert_eq!(name(result), word);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (json, part) in [
            (r#"{"labels": []}"#, "settings.labels is empty"),
            (r#"{"label": "x"}"#, "has no `label`; it takes `labels`, `message`, `hold`"),
            (
                r#"{"message": "{projekt}"}"#,
                "settings.message: `{projekt}` is unknown; it takes {controller}, {project}, {result}",
            ),
            (r#"{"message": "{project"}"#, "settings.message: a `{` is not closed"),
            (r#"{"message": ""}"#, "settings.message is empty"),
            (r#"{"hold": {}}"#, "settings.hold names no projects"),
            (r#"{"hold": {"projects": ["a"], "results": ["red"]}}"#, "settings.hold.results cannot be `red`"),
            (r#"{"hold": {"projects": ["a"], "results": []}}"#, "settings.hold.results is empty"),
        ] {
            let error = Settings::read(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
