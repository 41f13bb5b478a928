//! Whether each Gearman server can be used, and who else serves the same names there.
//!
//! The gearman plugin calls its connections `HOST_manager` and `NODE_exec-I`, as we do. What a daemon that runs here has
//! at the server is taken out first; what is left is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Controller, Facts, SeenServer, Server};
use super::finding::{Code, Finding, Subject, listed};
use crate::domain::{Function, FunctionName};
use crate::gearman::admin::{ServerKind, WorkerLine};

pub(super) fn examine(facts: &Facts, findings: &mut Vec<Finding>) {
    for server in &facts.servers {
        let subject = Subject::Server(server.address.clone());
        let found = match &server.seen {
            Err(reason) => vec![unreachable(server, reason)],
            Ok(seen) => kind(server, seen).into_iter().chain(foreign(facts, server, seen)).collect(),
        };
        findings.extend(found.into_iter().map(|finding| finding.about(subject.clone())));
    }
}

fn unreachable(server: &Server, reason: &str) -> Finding {
    let fix = format!(
        "see whether it runs and can be reached from here with: gearadmin -h HOST -p PORT --status; [gearman] names {}",
        server.address
    );
    Finding::new(Code::ServerUnreachable, reason, fix)
}

fn kind(server: &Server, seen: &SeenServer) -> Option<Finding> {
    let (found, is_expected) = match &seen.kind {
        ServerKind::Gearmand { .. } => {
            ("gearmand", matches!(server.expected, None | Some(ServerKind::Gearmand { .. })))
        }
        ServerKind::Geard => ("geard", matches!(server.expected, None | Some(ServerKind::Geard))),
        ServerKind::Other => {
            let seen = "it answers neither as gearmand nor as geard does";
            return Some(Finding::new(Code::ServerKind, seen, "name a Gearman server's address in [gearman]"));
        }
    };
    (!is_expected).then(|| {
        let seen = format!("it is {found}, and the configuration says otherwise");
        Finding::new(Code::ServerKind, seen, format!("write kind = \"{found}\" into [gearman], or kind = \"auto\""))
    })
}

/// Workers at one server that are not ours.
struct Strangers<'a> {
    /// By the host that they manage.
    managers: BTreeMap<String, Vec<&'a WorkerLine>>,
    /// Those that offer builds.
    executors: Vec<&'a WorkerLine>,
}

fn foreign(facts: &Facts, server: &Server, seen: &SeenServer) -> Vec<Finding> {
    let strangers = Strangers::among(facts, server, seen);
    let mut findings: Vec<Finding> = strangers
        .managers
        .iter()
        .map(|(host, managers)| {
            let owner = facts.controllers.iter().find(|controller| controller.host == *host);
            match owner {
                Some(controller) => host_taken(controller, managers, &strangers),
                None => plugin_serves(facts, server, host, managers, &strangers),
            }
        })
        .collect();
    // Where a manager is, it explains them.
    let unexplained =
        |worker: &&&WorkerLine| !strangers.managers.values().flatten().any(|manager| manager.ip == worker.ip);
    let executors: Vec<&WorkerLine> = strangers.executors.iter().filter(unexplained).copied().collect();
    if let Some(worker) = executors.first() {
        let seen = format!(
            "{} workers of {} such as {} offer builds, and nobody there serves stop: or set_description:",
            executors.len(),
            worker.ip,
            worker.client_id
        );
        let fix = "switch the gearman plugin there off and on again, which brings its management back, or end the program \
                   that they belong to";
        findings.push(Finding::new(Code::ForeignExecutors, seen, fix));
    }
    findings
}

impl<'a> Strangers<'a> {
    fn among(facts: &Facts, server: &Server, seen: &'a SeenServer) -> Self {
        let daemon = facts.daemon.as_ref().filter(|daemon| daemon.servers.contains(&server.address));
        let mut ours = daemon.map(|daemon| daemon.client_ids.clone()).unwrap_or_default();
        // Our own connection is listed once; a second line of the same name is somebody else's.
        let others =
            seen.workers.iter().filter(|worker| worker.functions.is_empty() || !ours.remove(&worker.client_id));
        let (mut managers, mut executors) = (BTreeMap::<String, Vec<&WorkerLine>>::new(), Vec::new());
        for worker in others {
            let mut hosts = BTreeSet::new();
            let mut builds = false;
            for function in worker.functions.iter().filter_map(|name| FunctionName::new(name.as_str()).ok()) {
                match function.function() {
                    Some(Function::Stop { host } | Function::SetDescription { host }) => drop(hosts.insert(host)),
                    Some(Function::Build(_)) => builds = true,
                    None => {}
                }
            }
            for host in hosts {
                managers.entry(host).or_default().push(worker);
            }
            if builds {
                executors.push(worker);
            }
        }
        Self { managers, executors }
    }

    /// Returns the nodes whose executors connect from where a manager does.
    fn nodes_beside(&self, managers: &[&WorkerLine]) -> BTreeSet<&'a str> {
        let beside = self.executors.iter().filter(|worker| managers.iter().any(|manager| manager.ip == worker.ip));
        beside.filter_map(|worker| node_of(&worker.client_id)).collect()
    }

    fn told(&self, host: &str, managers: &[&WorkerLine]) -> String {
        let named = |worker: &&WorkerLine| match worker.client_id.as_str() {
            "" | "-" => format!("a worker without a client id at {}", worker.ip),
            client_id => format!("{client_id} at {}", worker.ip),
        };
        let nodes = self.nodes_beside(managers);
        let beside = match nodes.len() {
            0 => String::new(),
            _ => format!("; workers of {} connect from there too", listed(nodes)),
        };
        format!("{} serves stop:{host} or set_description:{host}{beside}", listed(managers.iter().map(named)))
    }
}

/// Returns the node of `NODE_exec-I`.
fn node_of(client_id: &str) -> Option<&str> {
    let (node, index) = client_id.rsplit_once("_exec-")?;
    index.parse::<u32>().ok().map(|_| node)
}

fn host_taken(controller: &Controller, managers: &[&WorkerLine], strangers: &Strangers<'_>) -> Finding {
    let host = &controller.host;
    let seen = format!("{}: layshaft run would not serve {} there", strangers.told(host, managers), controller.name);
    let fix = format!(
        "keep host = \"{host}\"; prepare {name} for shutdown, wait for its builds, switch the gearman plugin off there, \
         cancel the shutdown: layshaft run takes over by itself; to run beside the plugin write host = \"{host}-layshaft\"",
        name = controller.name
    );
    Finding::new(Code::HostTaken, seen, fix).on([controller.name.clone()])
}

fn plugin_serves(
    facts: &Facts,
    server: &Server,
    host: &str,
    managers: &[&WorkerLine],
    strangers: &Strangers<'_>,
) -> Finding {
    let seen = strangers.told(host, managers);
    // The daemon keeps away from that host for as long as the plugin serves it.
    let order = "then prepare it for shutdown, wait for its builds, switch the gearman plugin off there, cancel the \
                 shutdown: layshaft run takes over by itself (docs/migrating.md)";
    match owner_of(facts, host, &strangers.nodes_beside(managers)) {
        Some(controller) => {
            let name = &controller.name;
            let fix = format!("write host = \"{host}\" into the section of controller {name}; {order}");
            Finding::new(Code::PluginServes, seen, fix).on([name.clone()])
        }
        None => {
            let fix = format!(
                "write host = \"{host}\" into the section of the controller whose plugin it is; {order}; leave it alone if \
                 it is another program's on {}",
                server.address
            );
            Finding::new(Code::PluginServes, seen, fix)
        }
    }
}

/// Finds the controller whose plugin goes by a host: by its address, else by the nodes that it serves.
fn owner_of<'a>(facts: &'a Facts, host: &str, nodes: &BTreeSet<&str>) -> Option<&'a Controller> {
    let by_address: Vec<&Controller> =
        facts.controllers.iter().filter(|it| url_host(&it.url).eq_ignore_ascii_case(host)).collect();
    if let [only] = by_address[..] {
        return Some(only);
    }
    let overlaps = facts.seen().map(|(controller, seen)| {
        let known = seen.nodes.iter().filter(|node| nodes.contains(node.name.as_reported())).count();
        (known, controller)
    });
    let mut overlaps: Vec<_> = overlaps.filter(|(known, _)| *known > 0).collect();
    overlaps.sort_by_key(|(known, _)| std::cmp::Reverse(*known));
    match overlaps[..] {
        [(_, only)] => Some(only),
        [(most, best), (second, _), ..] if most > second => Some(best),
        _ => None,
    }
}

fn url_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority.split(':').next().unwrap_or(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_of_a_client_id_and_the_host_of_an_address_are_found() {
        for (client_id, node) in [
            ("a_exec-0", Some("a")),
            ("a_exec-b_exec-12", Some("a_exec-b")),
            ("ci_manager", None),
            ("a_exec-", None),
            ("a_exec-x", None),
        ] {
            assert_eq!(node_of(client_id), node, "{client_id}");
        }
        for (url, host) in [
            ("https://ci.example.org/jenkins/", "ci.example.org"),
            ("http://ci:8080/", "ci"),
            ("http://[::1]:8080/", "::1"),
            ("ci", "ci"),
        ] {
            assert_eq!(url_host(url), host);
        }
    }
}
