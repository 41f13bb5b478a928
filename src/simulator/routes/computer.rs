use std::collections::BTreeSet;

use super::view;
use crate::domain::Mode;
use crate::label::split_list;
use crate::simulator::auth::Permission;
use crate::simulator::fleet::NodeSpec;
use crate::simulator::request::{Answer, Body, Request, Routed};
use crate::simulator::routes::create::check_name;
use crate::simulator::world::{BUILT_IN, Node, Occupant, OfflineMark, Order, World};
use crate::xml::{Element, escape};

/// More executors than that are a mistake, and would only fill memory.
pub(super) const MOST_EXECUTORS: u32 = 10_000;

pub(super) fn route(world: &mut World, request: &Request, path: &[&str]) -> Routed {
    match path {
        [] => Ok(Answer::page(200, "Nodes")),
        ["api", "json"] => request.json(|wanted| view(world, request).computers(wanted)),
        ["doCreateItem"] => create(world, request),
        [name, rest @ ..] => {
            // The old name of the controller's own node works on every release.
            let name = match *name {
                "(master)" => BUILT_IN,
                "(built-in)" if world.settings.version.calls_own_node_built_in() => BUILT_IN,
                name => name,
            };
            match world.nodes.get(name) {
                Some(node) if !node.removed => one(world, request, name, rest),
                _ => Ok(Answer::not_found()),
            }
        }
    }
}

fn one(world: &mut World, request: &Request, name: &str, path: &[&str]) -> Routed {
    let Some(node) = world.nodes.get(name) else { return Ok(Answer::not_found()) };
    match path {
        [] | ["log"] => Ok(Answer::page(200, name)),
        ["api", "json"] => request.json(|wanted| view(world, request).computer(node, wanted)),
        ["toggleOffline"] => {
            let (marked, permission) = match node.mark {
                Some(_) => (false, Permission::AgentConnect),
                None => (true, Permission::AgentDisconnect),
            };
            set_mark(world, request, name, marked, permission)
        }
        ["changeOfflineCause"] => set_mark(world, request, name, true, Permission::AgentDisconnect),
        ["doDisconnect"] => {
            request.must_post()?;
            request.must_have(Permission::AgentDisconnect)?;
            let mark = mark(world, request);
            world.set_disconnected(name, Some(mark));
            Ok(Answer::redirect("."))
        }
        ["launchSlaveAgent"] => {
            request.must_post()?;
            request.must_have(Permission::AgentConnect)?;
            if node.disconnected.is_none() {
                return Ok(Answer::page(200, "Already connected"));
            }
            world.set_disconnected(name, None);
            Ok(Answer::redirect("log"))
        }
        ["config.xml"] if request.is_post => {
            request.must_have(Permission::AgentConfigure)?;
            reconfigure(world, request, name)
        }
        ["config.xml"] => {
            request.must_have(Permission::AgentExtendedRead)?;
            Ok(Answer::new(200, Body::Xml(configuration(node))))
        }
        ["doDelete"] => {
            request.must_post()?;
            request.must_have(Permission::AgentDelete)?;
            if name == BUILT_IN {
                return Ok(Answer::bad_request("the built-in node cannot be deleted"));
            }
            world.remove_node(name);
            Ok(Answer::redirect(".."))
        }
        ["executors", number, "stop"] => {
            request.must_post()?;
            request.must_have(Permission::ItemCancel)?;
            if let Some((project, number)) = build_on(node, number) {
                world.stop(&project, number, Order::Stop);
            }
            Ok(request.back())
        }
        ["executors", number, "stopBuild"] => {
            request.must_post()?;
            request.must_have(Permission::ItemCancel)?;
            // Only that build, as `JOB#NUMBER`, and no other that has come to the executor since.
            let wanted = request.parameter("runExtId");
            match build_on(node, number).filter(|(project, number)| wanted == Some(&format!("{project}#{number}"))) {
                Some((project, number)) => {
                    world.stop(&project, number, Order::Stop);
                    Ok(request.back())
                }
                None => Ok(Answer::not_found()),
            }
        }
        _ => Ok(Answer::not_found()),
    }
}

fn set_mark(world: &mut World, request: &Request, name: &str, marked: bool, permission: Permission) -> Routed {
    request.must_post()?;
    request.must_have(permission)?;
    let mark = marked.then(|| mark(world, request));
    world.mark_offline(name, mark);
    Ok(Answer::redirect("."))
}

fn mark(world: &World, request: &Request) -> OfflineMark {
    let reason = request.parameter("offlineMessage").unwrap_or_default().trim().to_owned();
    OfflineMark { user: request.caller.user.name.clone(), reason, at: world.now }
}

fn build_on(node: &Node, executor: &str) -> Option<(String, u64)> {
    match node.executors.get(&executor.parse().ok()?)?.as_ref()? {
        Occupant::Build { project, number } | Occupant::Placeholder { project, number } => {
            Some((project.clone(), *number))
        }
        Occupant::Pending { .. } => None,
    }
}

/// Serves the form behind "new node".
fn create(world: &mut World, request: &Request) -> Routed {
    request.must_post()?;
    request.must_have(Permission::AgentCreate)?;
    let name = request.parameter("name").unwrap_or_default().trim();
    check_name(name)?;
    if world.nodes.contains_key(name) {
        return Ok(Answer::bad_request(&format!("Agent called '{name}' already exists")));
    }
    let form = request.parameter("json").unwrap_or("{}");
    let Ok(form) = serde_json::from_str::<serde_json::Value>(form) else {
        return Ok(Answer::bad_request("the form is not JSON"));
    };
    let text = |key: &str| form.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let executors = form.get("numExecutors").map_or(Some(1), |number| match number {
        serde_json::Value::String(text) => text.parse().ok(),
        number => number.as_u64().and_then(|number| u32::try_from(number).ok()),
    });
    let Some(executors) = executors.filter(|number| *number <= MOST_EXECUTORS) else {
        return Ok(Answer::bad_request("the number of executors is not valid"));
    };
    let mode = if text("mode") == "EXCLUSIVE" { Mode::Exclusive } else { Mode::Normal };
    world.add_node(&NodeSpec {
        name: name.to_owned(),
        executors,
        labels: split_list(&text("labelString")),
        mode,
        description: text("nodeDescription"),
    });
    Ok(Answer::redirect("."))
}

fn configuration(node: &Node) -> String {
    let labels = node.labels.iter().map(|label| quote_label(label)).collect::<Vec<_>>().join(" ");
    format!(
        "<?xml version=\"1.1\" encoding=\"UTF-8\"?>\n<{root}>\n  <name>{}</name>\n  <description>{}</description>\n  \
         <numExecutors>{}</numExecutors>\n  <mode>{}</mode>\n  <label>{}</label>\n</{root}>\n",
        escape(&node.name),
        escape(&node.description),
        node.executor_count,
        if node.mode == Mode::Exclusive { "EXCLUSIVE" } else { "NORMAL" },
        escape(&labels),
        root = if node.is_built_in() { "hudson" } else { "slave" },
    )
}

fn reconfigure(world: &mut World, request: &Request, name: &str) -> Routed {
    let root = match Element::parse(&request.body) {
        Ok(root) => root,
        Err(error) => return Ok(Answer::oops(&error.to_string())),
    };
    let executors = root.text_of("numExecutors").and_then(|text| text.parse().ok());
    let labels: Option<BTreeSet<String>> = root.text_of("label").map(|list| split_list(list).into_iter().collect());
    let mode = root.text_of("mode").map(|mode| if mode == "EXCLUSIVE" { Mode::Exclusive } else { Mode::Normal });
    world.reconfigure_node(name, executors.filter(|number| *number <= MOST_EXECUTORS), labels, mode);
    if let (Some(node), Some(text)) = (world.nodes.get_mut(name), root.text_of("description")) {
        text.clone_into(&mut node.description);
    }
    Ok(Answer::empty(200))
}

fn quote_label(label: &str) -> String {
    if label.contains(char::is_whitespace) { format!("\"{label}\"") } else { label.to_owned() }
}
