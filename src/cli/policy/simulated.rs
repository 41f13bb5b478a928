//! A fleet of `layshaft simulate` as a daemon would see it.

use std::collections::BTreeSet;

use crate::cli::simulate::FleetFile;
use crate::domain::{ControllerName, DeclaredParameter, NodeName, Project, ProjectKind, ProjectName};
use crate::runtime::fleet::{Fleet, FleetController, FleetNode};
use crate::simulator::{self, NodeSpec, ProjectSpec};

/// What the simulated controllers call their own node.
const SELF_LABEL: &str = "built-in";

pub(super) fn read(text: &str) -> anyhow::Result<Fleet> {
    let file: FleetFile = toml::from_str(text)?;
    let controllers = file.controllers.iter().map(|(name, fleet)| (ControllerName::new(name), controller(fleet)));
    Ok(Fleet::new(controllers.collect()))
}

fn controller(fleet: &simulator::Fleet) -> FleetController {
    let simulator::Fleet { built_in, nodes, folders, projects, .. } = fleet;
    let node = |name: NodeName, own: &str, labels: &[String], mode| FleetNode {
        name,
        online: true,
        mode,
        labels: labels.iter().map(String::as_str).chain([own]).map(str::to_owned).collect::<BTreeSet<_>>(),
    };
    let own = node(NodeName::BuiltIn, SELF_LABEL, &built_in.labels, built_in.mode);
    let agent = |spec: &NodeSpec| node(NodeName::agent(&spec.name), &spec.name, &spec.labels, spec.mode);
    let disabled: Vec<String> =
        folders.iter().filter(|folder| folder.disabled).map(|folder| format!("{}/", folder.full_name)).collect();
    let project = |spec: &ProjectSpec| project(spec, disabled.iter().any(|folder| spec.full_name.starts_with(folder)));
    FleetController {
        tags: BTreeSet::new(),
        serve: true,
        reachable: true,
        nodes: std::iter::once(own).chain(nodes.iter().map(agent)).collect(),
        projects: projects.iter().map(project).collect(),
    }
}

fn project(spec: &ProjectSpec, in_disabled_folder: bool) -> Project {
    let declared = spec.parameters.iter().map(|parameter| DeclaredParameter {
        name: parameter.name.clone(),
        kind: format!("{:?}ParameterDefinition", parameter.kind),
    });
    Project {
        name: ProjectName::new(&spec.full_name),
        kind: spec.kind,
        buildable: !spec.disabled && !in_disabled_folder,
        concurrent: spec.concurrent,
        // The label of a pipeline is that of its steps, and none of its own.
        label: spec.label.clone().filter(|_| spec.kind != ProjectKind::Pipeline),
        label_unknown: false,
        parameters: Some(declared.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Mode;

    #[test]
    fn a_simulated_fleet_is_what_a_daemon_would_see() {
        let fleet = read(
            r#"
            [controllers.ci]
            built_in = { mode = "exclusive" }
            nodes = [{ name = "a", labels = ["linux"] }]
            folders = [{ full_name = "old", disabled = true }]
            projects = [
                { full_name = "team/lint", label = "linux", parameters = [{ name = "NODE", kind = "node" }] },
                { full_name = "old/lint" },
                { full_name = "deploy", kind = "pipeline", label = "linux" },
            ]
            "#,
        )
        .unwrap();
        let controller = &fleet.controllers[&ControllerName::new("ci")];
        let nodes: Vec<_> =
            controller.nodes.iter().map(|node| (node.name.to_string(), node.mode, node.labels.len())).collect();
        assert_eq!(nodes, [("(built-in)".into(), Mode::Exclusive, 1), ("a".into(), Mode::Normal, 2)]);
        let [lint, old, deploy] = &controller.projects[..] else { panic!() };
        assert!(lint.pin(&[]).is_some() && lint.buildable && !old.buildable);
        assert_eq!((lint.label.as_deref(), deploy.label.as_deref()), (Some("linux"), None));
        assert!(read("[controllers]\nx = 1").is_err());
    }
}
