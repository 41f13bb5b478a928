//! What controllers before 2.94 tell in `config.xml` alone: the labels of nodes and projects.

use std::collections::BTreeSet;

use crate::domain::{Project, ProjectKind};
use crate::jenkins::Error;
use crate::label;
use crate::xml::Element;

/// What a project's configuration says beyond its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jenkins) struct Configuration {
    label: Option<String>,
    /// None for kinds of plugins.
    kind: Option<ProjectKind>,
}

impl Configuration {
    /// Adds to a project what its list does not tell.
    pub(in crate::jenkins) fn complete(&self, project: &mut Project) {
        project.label.clone_from(&self.label);
        project.label_unknown = false;
        // Before 2.0 lists tell no kind either.
        if let (ProjectKind::Other, Some(kind)) = (project.kind, self.kind) {
            project.kind = kind;
        }
    }
}

/// Reads the labels that a node is configured with; its own name is not among them.
pub(in crate::jenkins) fn node_labels(body: &[u8], path: &str) -> Result<BTreeSet<String>, Error> {
    let root = parse(body, path)?;
    Ok(root.text_of("label").map(label::split_list).unwrap_or_default().into_iter().collect())
}

pub(in crate::jenkins) fn configuration(body: &[u8], path: &str) -> Result<Configuration, Error> {
    let root = parse(body, path)?;
    let kind = match root.name.as_str() {
        "project" => Some(ProjectKind::Freestyle),
        "maven2-moduleset" => Some(ProjectKind::Maven),
        "matrix-project" => Some(ProjectKind::Matrix),
        // The workflow plugin writes its own version behind the name.
        name if name.starts_with("flow-definition") => Some(ProjectKind::Pipeline),
        _ => None,
    };
    let may_roam = root.text_of("canRoam") == Some("true");
    let label = root.text_of("assignedNode").filter(|label| !label.is_empty() && !may_roam);
    Ok(Configuration { label: label.map(str::to_owned), kind })
}

fn parse(body: &[u8], path: &str) -> Result<Element, Error> {
    let text = String::from_utf8_lossy(body);
    let malformed =
        |error: crate::xml::MalformedXml| Error::Malformed { path: path.to_owned(), detail: error.to_string() };
    let root = Element::parse(&text).map_err(malformed)?;
    if root.name.eq_ignore_ascii_case("html") { Err(Error::NotJson { path: path.to_owned() }) } else { Ok(root) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_labels_of_its_own_and_not_those_of_something_in_it() {
        let body =
            b"<?xml version='1.0' encoding='UTF-8'?>\n<slave><name>a</name><nodeProperties><x.Y><label>no</label>\
            </x.Y></nodeProperties><label>linux &quot;big iron&quot;  x86</label></slave>";
        let labels = node_labels(body, "/x").unwrap();
        assert_eq!(labels.iter().map(String::as_str).collect::<Vec<_>>(), ["big iron", "linux", "x86"]);
        assert!(node_labels(b"<slave><name>a</name></slave>", "/x").unwrap().is_empty());
    }

    #[test]
    fn a_project_tells_its_label_and_kind() {
        for (body, label, kind) in [
            (
                "<project><assignedNode>a &amp;&amp; b</assignedNode><canRoam>false</canRoam></project>",
                Some("a && b"),
                Some(ProjectKind::Freestyle),
            ),
            (
                "<project><assignedNode>a</assignedNode><canRoam>true</canRoam></project>",
                None,
                Some(ProjectKind::Freestyle),
            ),
            (
                "<matrix-project plugin=\"m@1\"><canRoam>true</canRoam></matrix-project>",
                None,
                Some(ProjectKind::Matrix),
            ),
            ("<flow-definition plugin=\"w@1\"/>", None, Some(ProjectKind::Pipeline)),
            ("<x.Y><assignedNode>b</assignedNode></x.Y>", Some("b"), None),
        ] {
            let read = configuration(body.as_bytes(), "/x").unwrap();
            assert_eq!((read.label.as_deref(), read.kind), (label, kind), "{body}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_an_error() {
        for body in
            ["", "{}", "<html><body>Sign in</body></html>", "<project><assignedNode>a", "<!DOCTYPE html><html/>"]
        {
            assert!(configuration(body.as_bytes(), "/x").is_err(), "{body}");
        }
    }
}
