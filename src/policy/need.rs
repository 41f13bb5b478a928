//! Need to know: what a slot sees of a project, a node and a request.
//!
//! Whatever a policy did not ask for, or was not granted, is not in its question. Two nodes that look alike to it are
//! then one question.

use std::collections::BTreeSet;

use globset::GlobSet;

use super::binding::globs;
use super::component::{Needs, ParameterValues};
use super::config::Grant;
use super::decision::Request;
use super::question::{NodeClass, ProjectView};
use crate::domain::{Mode, Node, NodeName, Project};

/// What a slot is shown.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) project: bool,
    pub(super) node_name: bool,
    labels: GlobSet,
    values: ParameterValues,
    secret: GlobSet,
}

impl Sight {
    /// Returns what is shown, and for each need that was not granted a line that says how to grant it.
    pub(super) fn new(
        name: &str,
        needs: &Needs,
        grants: &BTreeSet<Grant>,
        secret_parameters: &[String],
    ) -> Result<(Self, Vec<String>), String> {
        let mut advice = Vec::new();
        let mut granted = |wanted: bool, grant: Grant, what: &str| {
            let granted = wanted && grants.contains(&grant);
            if wanted && !granted {
                let grant = grant.as_str();
                advice.push(format!(
                    "it asks to see {what} and does not: add grants = [\"{grant}\"] to policies.slots.{name}"
                ));
            }
            granted
        };
        let labels = granted(!needs.labels.is_empty(), Grant::Labels, "labels that no expression names");
        let values = granted(needs.parameter_values != ParameterValues::None, Grant::Values, "values of parameters");
        let sight = Self {
            project: needs.project,
            node_name: needs.node_name,
            labels: globs(if labels { &needs.labels } else { &[] }, false)?,
            values: if values { needs.parameter_values.clone() } else { ParameterValues::None },
            secret: globs(secret_parameters, true).map_err(|error| format!("policy.secret_parameters: {error}"))?,
        };
        Ok((sight, advice))
    }

    /// Returns whether a label of a node is shown even if no expression names it.
    pub(super) fn sees_label(&self, node: &Node, label: &str) -> bool {
        // A node carries its own name as a label. Shown where nobody asked for names, it would make every node a class
        // of its own.
        let is_own_name = || matches!(&node.name, NodeName::Agent(name) if name == label);
        self.labels.is_match(label) && (self.node_name || !is_own_name())
    }

    pub(super) fn node(&self, node: &Node, named_labels: &BTreeSet<String>) -> NodeClass {
        let shown = |label: &&String| named_labels.contains(*label) || self.sees_label(node, label);
        NodeClass {
            built_in: node.name == NodeName::BuiltIn,
            exclusive: node.mode == Mode::Exclusive,
            name: self.node_name.then(|| match &node.name {
                NodeName::BuiltIn => "built-in".to_owned(),
                NodeName::Agent(name) => name.clone(),
            }),
            labels: node.labels.iter().filter(shown).cloned().collect(),
        }
    }

    /// Returns the requested parameters, with those values that the slot may see.
    pub(super) fn requested(&self, request: &Request<'_>) -> Vec<(String, Option<String>)> {
        let shown = |name: &str| self.shows(request.project, name);
        request
            .requested
            .iter()
            .map(|(name, value)| (name.to_owned(), value.filter(|_| shown(name)).map(str::to_owned)))
            .collect()
    }

    /// Returns whether the slot is shown the value of a parameter.
    pub(super) fn shows(&self, project: &Project, parameter: &str) -> bool {
        self.values.include(parameter) && !is_secret(&self.secret, project, parameter)
    }
}

/// While it is not known what a project declares, anything could be a password.
pub(super) fn is_secret(secret: &GlobSet, project: &Project, name: &str) -> bool {
    project.parameters.is_none()
        || project.parameter(name).is_some_and(|parameter| parameter.is_password())
        || secret.is_match(name)
}

pub(super) fn project(project: &Project) -> ProjectView {
    ProjectView {
        full_name: project.name.full().to_owned(),
        short_name: project.name.short().to_owned(),
        kind: project.kind,
    }
}

#[cfg(test)]
mod tests {
    use super::super::generation::Controller;
    use super::super::samples;
    use super::*;
    use crate::domain::{ControllerName, DeclaredParameter, FunctionName, Parameters};

    fn needs(labels: &[&str], parameter_values: ParameterValues) -> Needs {
        Needs {
            project: false,
            node_name: false,
            labels: labels.iter().map(|&glob| glob.into()).collect(),
            parameter_values,
        }
    }

    #[test]
    fn nodes_that_differ_in_nothing_asked_for_look_alike() {
        let (sight, advice) = Sight::new("p", &needs(&[], ParameterValues::None), &BTreeSet::new(), &[]).unwrap();
        let named = BTreeSet::from(["gpu".to_owned()]);
        let one = sight.node(&samples::node("n1", &["gpu", "rack-1"]), &named);
        assert_eq!(one, sight.node(&samples::node("n2", &["gpu", "rack-2"]), &named));
        assert_eq!(one.labels, ["gpu"]);
        assert_eq!(one.name, None);
        assert!(advice.is_empty());
    }

    #[test]
    fn a_node_s_own_name_is_no_label_to_whoever_asked_for_all_labels_and_not_for_names() {
        let (sight, _) = Sight::new("p", &needs(&["**"], ParameterValues::None), &[Grant::Labels].into(), &[]).unwrap();
        let one = samples::node("n1", &["gpu", "n1"]);
        assert_eq!(
            sight.node(&one, &BTreeSet::new()),
            sight.node(&samples::node("n2", &["gpu", "n2"]), &BTreeSet::new())
        );
        assert_eq!(sight.node(&one, &BTreeSet::from(["n1".to_owned()])).labels, ["gpu", "n1"]);
    }

    #[test]
    fn labels_that_no_expression_names_are_shown_only_if_granted() {
        let needs = needs(&["rack-*"], ParameterValues::None);
        let node = samples::node("n1", &["gpu", "rack-1", "tmp"]);
        let (sight, advice) = Sight::new("p", &needs, &BTreeSet::new(), &[]).unwrap();
        assert!(sight.node(&node, &BTreeSet::new()).labels.is_empty());
        assert!(advice[0].contains(r#"grants = ["labels"] to policies.slots.p"#), "{advice:?}");
        let (sight, advice) = Sight::new("p", &needs, &[Grant::Labels].into(), &[]).unwrap();
        assert_eq!(sight.node(&node, &BTreeSet::new()).labels, ["rack-1"]);
        assert!(advice.is_empty());
    }

    #[test]
    fn secret_values_are_shown_to_nobody() {
        let controller = Controller { name: ControllerName::new("ci"), tags: BTreeSet::new() };
        let declare = |name: &str, kind: &str| DeclaredParameter { name: name.into(), kind: kind.into() };
        let mut project = samples::project("lint");
        project.parameters =
            Some(vec![declare("PASS", "PasswordParameterDefinition"), declare("BRANCH", "StringParameterDefinition")]);
        let requested: Parameters =
            [("PASS", "p"), ("BRANCH", "main"), ("Api_Token", "t"), ("X", "x")].into_iter().collect();
        let (function, node) = (FunctionName::new("build:lint").unwrap(), samples::node("n1", &[]));
        let named = BTreeSet::new();
        let ask = |values: ParameterValues, grants: &[Grant], project: &Project| {
            let grants = grants.iter().copied().collect();
            let (sight, _) = Sight::new("p", &needs(&[], values), &grants, &["*_token".into()]).unwrap();
            let request = Request {
                controller: &controller,
                project,
                function: &function,
                label: None,
                node: &node,
                named_labels: &named,
                requested: &requested,
                client_asks_offline: false,
            };
            let shown = sight.requested(&request);
            shown.into_iter().filter_map(|(name, value)| value.map(|_| name)).collect::<Vec<_>>()
        };
        assert_eq!(ask(ParameterValues::All, &[Grant::Values], &project), ["BRANCH", "X"]);
        assert_eq!(ask(ParameterValues::Named(["X".into(), "PASS".into()].into()), &[Grant::Values], &project), ["X"]);
        assert!(ask(ParameterValues::All, &[], &project).is_empty());
        project.parameters = None;
        assert!(ask(ParameterValues::All, &[Grant::Values], &project).is_empty());
    }
}
