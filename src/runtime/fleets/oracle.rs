//! What each node has to offer, worked out anew from the plugin's rules: slow, simple, and without the program.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Fleet, Kind, OWN_NODE, State};

/// By controller and node: its functions, each with the projects that want it.
pub(crate) type Wanted = BTreeMap<(String, String), BTreeMap<String, BTreeSet<String>>>;

/// By controller and node: its functions, and the project that each of them means.
pub(crate) type Offered = BTreeMap<(String, String), BTreeMap<String, String>>;

/// Returns what every node would offer if each name could mean several projects.
pub(crate) fn wanted(fleet: &Fleet) -> Wanted {
    let mut wanted = Wanted::new();
    for (name, controller) in fleet.controllers.iter().filter(|(_, controller)| controller.reachable) {
        for (node_name, node) in controller.nodes.iter().filter(|(_, node)| node.state == State::Online) {
            let labels = controller.labels(node_name, node);
            let functions = wanted.entry((name.clone(), node_name.clone())).or_default();
            for (full_name, project) in &controller.projects {
                if project.kind == Kind::Unknown || !controller.is_buildable(full_name, project) {
                    continue;
                }
                let short = full_name.rsplit('/').next().unwrap_or_default();
                let suffixes: Vec<&str> = match (&project.label, project.kind) {
                    (_, Kind::Pipeline) if node_name == OWN_NODE => vec![controller.self_label],
                    (_, Kind::Pipeline) => continue,
                    (None, _) if node.exclusive => continue,
                    (None, _) => Vec::new(),
                    (Some(label), _) if !label.holds(&labels) => continue,
                    (Some(label), _) => label.atoms().into_iter().filter(|atom| labels.contains(*atom)).collect(),
                };
                let plain = format!("build:{short}");
                for function in suffixes.iter().map(|suffix| format!("{plain}:{suffix}")).chain([plain.clone()]) {
                    functions.entry(function).or_default().insert(full_name.clone());
                }
            }
        }
    }
    wanted
}

/// Returns what every node offers. A name that several projects want stays with the one that had it, or goes to the
/// last one walked; `incumbents` is brought up to date.
pub(crate) fn offered(fleet: &Fleet, incumbents: &mut BTreeMap<String, String>) -> Offered {
    let wanted = wanted(fleet);
    let mut contenders: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (function, projects) in wanted.values().flatten() {
        contenders.entry(function).or_default().extend(projects);
    }
    let owner_of = |(function, projects): (&&String, &BTreeSet<&String>)| {
        let incumbent = incumbents.get(*function).filter(|incumbent| projects.contains(incumbent));
        let walked = walk(&projects.iter().map(|name| name.as_str()).collect::<Vec<_>>());
        let owner = incumbent.cloned().or_else(|| walked.last().cloned())?;
        Some(((*function).clone(), owner))
    };
    let owners: BTreeMap<String, String> = contenders.iter().filter_map(owner_of).collect();
    let offered = wanted.iter().map(|(node, functions)| {
        let kept = functions.iter().filter(|(function, projects)| projects.contains(&owners[*function]));
        (node.clone(), kept.map(|(function, _)| (function.clone(), owners[function].clone())).collect())
    });
    let offered = offered.collect();
    *incumbents = owners;
    offered
}

/// Walks projects as Jenkins does: children by name, ignoring case, folders as if their names ended in a slash.
pub(crate) fn walk(full_names: &[&str]) -> Vec<String> {
    let mut children: BTreeMap<(String, &str), Vec<&str>> = BTreeMap::new();
    for name in full_names {
        match name.split_once('/') {
            None => children.entry((name.to_lowercase(), name)).or_default().push(""),
            Some((folder, rest)) => {
                children.entry((format!("{}/", folder.to_lowercase()), folder)).or_default().push(rest);
            }
        }
    }
    let visited = children.into_iter().flat_map(|((_, name), inside)| match inside.as_slice() {
        [""] => vec![name.to_owned()],
        inside => walk(inside).into_iter().map(|rest| format!("{name}/{rest}")).collect(),
    });
    visited.collect()
}
