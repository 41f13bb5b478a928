//! Projects and folders: which there are, what kind each is, and which parameters they declare.

use serde::Deserialize;

use super::{Lenient, List};
use crate::domain::{DeclaredParameter, Project, ProjectKind, ProjectName};
use crate::jenkins::{Error, path};

/// How many levels one request reaches; `tree` cannot recurse. Organisation folders within folders take five.
const LEVELS: usize = 8;

pub(in crate::jenkins) const PARAMETERS_TREE: &str = "property[parameterDefinitions[name,type]]";
pub(in crate::jenkins) const PROJECT_EXISTS_TREE: &str = "name";

/// How much is asked about each project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jenkins) enum Detail {
    Light,
    Parameters,
}

/// One step of the walk through all folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jenkins) enum Entry {
    Project(Project),
    /// It has something inside, but lies deeper than one request reaches.
    UnreadFolder(ProjectName),
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::jenkins) struct Folder {
    jobs: List<Item>,
}

/// A project, a folder, or whatever a plugin puts among them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Item {
    #[serde(rename = "_class")]
    class: Lenient<String>,
    name: Lenient<String>,
    full_name: Lenient<String>,
    buildable: Lenient<bool>,
    color: Lenient<String>,
    concurrent_build: Lenient<bool>,
    label_expression: Lenient<String>,
    property: List<Property>,
    jobs: List<Self>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::jenkins) struct Declared {
    property: List<Property>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Property {
    parameter_definitions: List<Definition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Definition {
    name: Lenient<String>,
    #[serde(rename = "type")]
    kind: Lenient<String>,
}

pub(in crate::jenkins) fn projects_tree(detail: Detail) -> String {
    let mut fields = "name,fullName,buildable,concurrentBuild,labelExpression".to_owned();
    if detail == Detail::Parameters {
        fields.push(',');
        fields.push_str(PARAMETERS_TREE);
    }
    // Whether there is anything deeper is all that one element tells.
    let deepest = "jobs[name]{0,1}".to_owned();
    (0..LEVELS).fold(deepest, |inner, _| format!("jobs[{fields},{inner}]"))
}

/// Flattens what a folder (or the root) holds, in its order.
pub(in crate::jenkins) fn projects(
    parent: Option<&ProjectName>,
    folder: Folder,
    detail: Detail,
    path: &str,
) -> Result<Vec<Entry>, Error> {
    let Some(items) = folder.jobs.0 else {
        return Err(Error::Malformed {
            path: path.to_owned(),
            detail: "there is no list of projects in it".to_owned(),
        });
    };
    let mut entries = Vec::new();
    flatten(parent, items, detail, LEVELS, &mut entries);
    Ok(entries)
}

pub(in crate::jenkins) fn declared_parameters(declared: Declared) -> Vec<DeclaredParameter> {
    definitions(declared.property)
}

fn flatten(parent: Option<&ProjectName>, items: Vec<Item>, detail: Detail, levels: usize, entries: &mut Vec<Entry>) {
    for mut item in items {
        let Some(name) = full_name(parent, &mut item) else { continue };
        match item.jobs.0.take() {
            // Multibranch projects are buildable and folders at once; building one means to index it.
            Some(inner) if levels > 1 => flatten(Some(&name), inner, detail, levels - 1, entries),
            Some(inner) if inner.is_empty() => {}
            Some(_) => entries.push(Entry::UnreadFolder(name)),
            None => entries.extend(project(name, item, detail).map(Entry::Project)),
        }
    }
}

/// Returns none for a name that has no address, and so is nothing that could be built.
fn full_name(parent: Option<&ProjectName>, item: &mut Item) -> Option<ProjectName> {
    let name = match (item.full_name.0.take(), item.name.0.take(), parent) {
        (Some(full_name), _, _) => full_name,
        (None, Some(name), Some(parent)) => format!("{parent}/{name}"),
        (None, name, _) => name?,
    };
    Some(ProjectName::new(name)).filter(|name| path::project(name).is_ok())
}

/// Returns none for what cannot be built at all.
fn project(name: ProjectName, item: Item, detail: Detail) -> Option<Project> {
    let kind = kind(item.class.0.as_deref(), item.concurrent_build.0.is_some());
    Some(Project {
        name,
        kind,
        buildable: item.buildable.0.or_else(|| Some(item.color.0? != "disabled"))?,
        concurrent: item.concurrent_build.0.unwrap_or(kind == ProjectKind::Pipeline),
        label: item.label_expression.0.filter(|label| !label.trim().is_empty()),
        label_unknown: false,
        parameters: match detail {
            Detail::Light => None,
            Detail::Parameters => Some(definitions(item.property)),
        },
    })
}

/// Plugins' own kinds are known by what they derive from: every classic project tells whether its builds may run side
/// by side, and what does not is built in no way that is known here.
fn kind(class: Option<&str>, tells_concurrency: bool) -> ProjectKind {
    match class {
        Some("hudson.model.FreeStyleProject") => ProjectKind::Freestyle,
        Some("hudson.maven.MavenModuleSet") => ProjectKind::Maven,
        Some("hudson.matrix.MatrixProject") => ProjectKind::Matrix,
        Some("org.jenkinsci.plugins.workflow.job.WorkflowJob") => ProjectKind::Pipeline,
        // Before 2.0 no class is told.
        None => ProjectKind::Other,
        Some(_) if tells_concurrency => ProjectKind::Other,
        Some(_) => ProjectKind::Unknown,
    }
}

fn definitions(properties: List<Property>) -> Vec<DeclaredParameter> {
    let declared = |definition: Definition| {
        Some(DeclaredParameter { name: definition.name.0?, kind: definition.kind.0.unwrap_or_default() })
    };
    properties.into_iter().flat_map(|property| property.parameter_definitions).filter_map(declared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jenkins::wire::decode;

    fn read(body: &str, detail: Detail) -> Vec<Entry> {
        projects(None, decode(body.as_bytes(), "/").unwrap(), detail, "/").unwrap()
    }

    fn names(entries: &[Entry]) -> Vec<String> {
        let name = |entry: &Entry| match entry {
            Entry::Project(project) => project.name.to_string(),
            Entry::UnreadFolder(name) => format!("{name}/…"),
        };
        entries.iter().map(name).collect()
    }

    #[test]
    fn the_tree_nests_the_same_fields_and_looks_one_level_further() {
        let tree = projects_tree(Detail::Light);
        assert_eq!(tree.matches("fullName").count(), LEVELS);
        assert!(tree.ends_with(&format!("jobs[name]{{0,1}}{}", "]".repeat(LEVELS))), "{tree}");
        assert!(!tree.contains("property") && !tree.contains(' '));
        assert_eq!(projects_tree(Detail::Parameters).matches(PARAMETERS_TREE).count(), LEVELS);
    }

    #[test]
    fn folders_and_multibranch_projects_are_walked_and_strangers_left_out() {
        let entries = read(
            r#"{"jobs": [
                {"_class": "hudson.model.FreeStyleProject", "name": "z", "fullName": "z", "buildable": true},
                {"_class": "com.cloudbees.hudson.plugins.folder.Folder", "name": "f", "fullName": "f", "jobs": [
                  {"_class": "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject", "name": "mb",
                   "buildable": true, "jobs": [
                     {"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": "feature%2Fx", "buildable": true},
                     {"_class": "com.cloudbees.hudson.plugins.folder.Folder", "name": "deep", "jobs": [
                        {"name": "in", "buildable": false},
                        {"name": "deeper", "jobs": [{"name": "x"}]}, {"name": "empty", "jobs": []}]}]},
                  null, {}]},
                {"_class": "hudson.model.ExternalJob", "name": "external"},
                {"name": "..", "buildable": true}, {"name": "a//b", "buildable": true},
                {"_class": "hudson.model.FreeStyleProject", "name": "a", "buildable": true}]}"#,
            Detail::Light,
        );
        assert_eq!(names(&entries), ["z", "f/mb/feature%2Fx", "f/mb/deep/in", "a"]);
    }

    #[test]
    fn a_project_tells_its_kind_label_and_whether_its_builds_may_run_side_by_side() {
        let entries = read(
            r#"{"jobs": [
                {"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": "p", "buildable": true},
                {"_class": "hudson.model.FreeStyleProject", "name": "f", "buildable": true, "labelExpression": "a&&b"},
                {"_class": "hudson.maven.MavenModuleSet", "name": "m", "buildable": true, "concurrentBuild": true,
                 "labelExpression": ""},
                {"_class": "x.Template", "name": "t", "color": "disabled", "labelExpression": null},
                {"_class": "x.MultiJob", "name": "mj", "buildable": true, "concurrentBuild": false},
                {"name": "old", "color": "blue"}]}"#,
            Detail::Light,
        );
        let seen: Vec<_> = entries
            .iter()
            .map(|entry| match entry {
                Entry::Project(p) => (p.kind, p.buildable, p.concurrent, p.label.as_deref()),
                Entry::UnreadFolder(name) => panic!("{name}"),
            })
            .collect();
        assert_eq!(
            seen,
            [
                (ProjectKind::Pipeline, true, true, None),
                (ProjectKind::Freestyle, true, false, Some("a&&b")),
                (ProjectKind::Maven, true, true, None),
                (ProjectKind::Unknown, false, false, None),
                (ProjectKind::Other, true, false, None),
                (ProjectKind::Other, true, false, None),
            ]
        );
    }

    #[test]
    fn parameters_are_unknown_unless_asked_for_and_else_perhaps_none() {
        let body = r#"{"jobs": [
            {"name": "a", "buildable": true, "property": [{}, null, {"parameterDefinitions": [
              {"name": "UUID", "type": "StringParameterDefinition"}, {"name": "P", "type": "PasswordParameterDefinition"},
              {"name": "N"}, {"type": "x"}, null]}]},
            {"name": "b", "buildable": true, "property": []}, {"name": "c", "buildable": true}]}"#;
        let parameters = |detail| -> Vec<Option<Vec<String>>> {
            let of = |entry: Entry| match entry {
                Entry::Project(p) => p.parameters.map(|list| list.into_iter().map(|p| p.name).collect()),
                Entry::UnreadFolder(name) => panic!("{name}"),
            };
            read(body, detail).into_iter().map(of).collect()
        };
        assert_eq!(parameters(Detail::Light), [None, None, None]);
        let declared = ["UUID", "P", "N"].map(str::to_owned).to_vec();
        assert_eq!(parameters(Detail::Parameters), [Some(declared), Some(vec![]), Some(vec![])]);
    }

    #[test]
    fn an_answer_without_the_list_is_not_an_empty_list() {
        let empty = || decode(b"{}", "/").unwrap();
        assert!(projects(None, empty(), Detail::Light, "/").is_err());
    }
}
