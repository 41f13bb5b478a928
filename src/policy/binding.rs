//! The file beside a policy, `NN-name.toml`: its settings and where it is in force.
//!
//! Grants, pins and modes are not read from here: whoever may write the folder could grant them to himself.

use std::collections::BTreeSet;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

use super::generation::Controller;
use crate::domain::ProjectName;

/// A sidecar, understood.
#[derive(Clone, Debug)]
pub(super) struct Sidecar {
    /// A JSON object, keys in order, so that equal settings are equal text.
    pub(super) settings: String,
    /// Never empty: without a `[[bind]]` the policy is in force everywhere.
    pub(super) binds: Vec<Bind>,
}

/// Where a slot is in force. What is not named does not restrict.
#[derive(Clone, Debug, Default)]
pub(super) struct Bind {
    controllers: Option<GlobSet>,
    tags: Option<BTreeSet<String>>,
    projects: Option<GlobSet>,
    labels: Option<GlobSet>,
    pub(super) single_use: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    settings: toml::Table,
    #[serde(default)]
    bind: Vec<BindText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BindText {
    controllers: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    projects: Option<Vec<String>>,
    labels: Option<Vec<String>>,
    #[serde(default)]
    single_use: bool,
}

impl Sidecar {
    /// Returns what holds without a sidecar: no settings, everywhere.
    pub(super) fn absent() -> Self {
        Self { settings: "{}".into(), binds: vec![Bind::default()] }
    }

    /// Reads a sidecar; on an error says what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text: Text =
            toml::from_str(text).map_err(|error| format!("{}{}", error.to_string().trim_end(), hint(&error)))?;
        let settings = json_object(text.settings)?;
        let mut binds = text.bind.into_iter().map(Bind::read).collect::<Result<Vec<_>, _>>()?;
        if binds.is_empty() {
            binds.push(Bind::default());
        }
        Ok(Self { settings, binds })
    }
}

impl Bind {
    fn read(text: BindText) -> Result<Self, String> {
        let tags = text.tags.map(|tags| not_empty("tags", tags)).transpose()?;
        Ok(Self {
            controllers: globs_of("controllers", text.controllers)?,
            tags: tags.map(BTreeSet::from_iter),
            projects: globs_of("projects", text.projects)?,
            labels: globs_of("labels", text.labels)?,
            single_use: text.single_use,
        })
    }

    /// Returns whether a node is another one to this binding if it has the label.
    pub(super) fn minds_label(&self, label: &str) -> bool {
        self.labels.as_ref().is_some_and(|globs| globs.is_match(label))
    }

    /// Returns whether the slot is in force for a project on a node with these labels.
    pub(super) fn holds(&self, controller: &Controller, project: &ProjectName, labels: &BTreeSet<String>) -> bool {
        self.controllers.as_ref().is_none_or(|globs| globs.is_match(controller.name.as_str()))
            && self.tags.as_ref().is_none_or(|tags| !tags.is_disjoint(&controller.tags))
            && self.projects.as_ref().is_none_or(|globs| globs.is_match(project.full()))
            && self.labels.as_ref().is_none_or(|globs| labels.iter().any(|label| globs.is_match(label)))
    }
}

/// Builds globs for names: `*` stops at `/`, `**` does not.
pub(super) fn globs(patterns: &[String], ignore_case: bool) -> Result<GlobSet, String> {
    let glob = |pattern: &String| -> Result<Glob, globset::Error> {
        GlobBuilder::new(pattern).literal_separator(true).case_insensitive(ignore_case).build()
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern).map_err(|error| error.to_string())?);
    }
    set.build().map_err(|error| error.to_string())
}

fn globs_of(key: &str, patterns: Option<Vec<String>>) -> Result<Option<GlobSet>, String> {
    let Some(patterns) = patterns else { return Ok(None) };
    let patterns = not_empty(key, patterns)?;
    globs(&patterns, false).map(Some).map_err(|error| format!("{key}: {error}"))
}

fn not_empty(key: &str, list: Vec<String>) -> Result<Vec<String>, String> {
    if list.is_empty() { Err(format!("{key} = [] would bind nothing: leave it out to bind all")) } else { Ok(list) }
}

fn hint(error: &toml::de::Error) -> &'static str {
    if error.message().contains("unknown field") {
        "; the file has a [settings] table for the policy itself, and [[bind]] with controllers, tags, projects, labels, \
         single_use; grants, sha256, mode and required belong into the daemon's own configuration, not beside the policy"
    } else {
        ""
    }
}

fn json_object(table: toml::Table) -> Result<String, String> {
    Ok(json(toml::Value::Table(table))?.to_string())
}

pub(super) fn json(value: toml::Value) -> Result<serde_json::Value, String> {
    use serde_json::Value;
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or(format!("{number} cannot be written as JSON"))?,
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect::<Result<_, _>>()?,
        toml::Value::Table(table) => {
            let mut entries = table.into_iter().collect::<Vec<_>>();
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            let object = entries.into_iter().map(|(key, value)| Ok((key, json(value)?)));
            Value::Object(object.collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(name: &str, tags: &[&str]) -> Controller {
        Controller {
            name: crate::domain::ControllerName::new(name),
            tags: tags.iter().map(|&tag| tag.into()).collect(),
        }
    }

    #[test]
    fn settings_become_the_same_json_whatever_their_order() {
        let one = Sidecar::parse("[settings]\nb = [1, 2.5]\na = { y = true, x = 'é' }").unwrap();
        let other = Sidecar::parse("settings.a.x = 'é'\nsettings.a.y = true\nsettings.b = [1, 2.5]").unwrap();
        assert_eq!(one.settings, r#"{"a":{"x":"é","y":true},"b":[1,2.5]}"#);
        assert_eq!(one.settings, other.settings);
        assert_eq!(Sidecar::absent().settings, Sidecar::parse("").unwrap().settings);
    }

    #[test]
    fn a_binding_holds_where_everything_that_it_names_holds() {
        let sidecar = Sidecar::parse(
            "[[bind]]\ncontrollers = ['ci-*']\ntags = ['prod', 'edge']\nprojects = ['team/**']\nlabels = ['gpu-*']\n[[bind]]",
        )
        .unwrap();
        let cases = [
            ("ci-1", &["prod"][..], "team/a/b", "gpu-a100", true),
            ("xx-1", &["prod"], "team/a/b", "gpu-a100", false),
            ("ci-1", &["test"], "team/a/b", "gpu-a100", false),
            ("ci-1", &["prod"], "other/a", "gpu-a100", false),
            ("ci-1", &["prod"], "team/a", "cpu", false),
        ];
        for (name, tags, project, label, expected) in cases {
            let asked = (controller(name, tags), ProjectName::new(project), BTreeSet::from([label.to_owned()]));
            assert_eq!(sidecar.binds[0].holds(&asked.0, &asked.1, &asked.2), expected, "{asked:?}");
            assert!(sidecar.binds[1].holds(&asked.0, &asked.1, &asked.2), "{asked:?}");
        }
    }

    #[test]
    fn mistakes_are_errors_that_say_what_to_write() {
        for (text, part) in [
            ("grants = ['widen']", "belong into the daemon's own configuration"),
            ("[[bind]]\nproject = ['a']", "[[bind]] with controllers"),
            ("[[bind]]\nlabels = []", "leave it out"),
            ("[[bind]]\nprojects = ['a[']", "projects"),
            ("[settings]\nx = nan", "JSON"),
            ("settings = 3", "settings"),
        ] {
            let error = Sidecar::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
