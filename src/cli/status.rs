use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use comfy_table::{Table, presets};

use super::arguments::ControlSocket;
use super::{Exit, terminal};
use crate::jenkins::Part;
use crate::runtime::status::{
    BuildState, BuildStatus, ControllerStatus, GearmanStatus, KeptName, Mode, Status, WorkerState, WorkerStatus,
};

/// Show controllers, nodes, functions, policies and running builds.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Only the names of the functions on offer, with their projects.
    #[arg(long)]
    names: bool,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

impl Show {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let status = self.socket.client()?.status().await?;
        match (self.names, self.json) {
            (false, false) => terminal::say(render(&status).trim_end())?,
            (false, true) => terminal::say_json(&status)?,
            (true, false) => terminal::say(functions(&status))?,
            (true, true) => terminal::say_json(&status.functions)?,
        }
        Ok(Exit::Ok)
    }
}

/// Returns the whole picture for people.
pub(super) fn render(status: &Status) -> String {
    let mut text = format!("layshaft {} {}\n", status.version, mode(status.mode));
    for server in &status.gearman {
        let GearmanStatus { server, kind, connections, connected } = server;
        let state =
            kind.as_ref().map_or("not reached yet".to_owned(), |_| format!("{connected} of {connections} connected"));
        let kind = kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        line(&mut text, format!("gearman {server}{kind}: {state}"));
    }
    for reason in &status.not_ready {
        line(&mut text, format!("not ready: {reason}"));
    }
    for note in &status.notes {
        line(&mut text, format!("note: {note}"));
    }
    for controller in &status.controllers {
        for trouble in troubles(controller) {
            line(&mut text, format!("trouble with {}: {trouble}", controller.name));
        }
    }
    section(&mut text, "controllers", controllers(&status.controllers));
    section(&mut text, "last seen", last_seen(&status.controllers));
    section(&mut text, "nodes", nodes(&status.controllers));
    section(&mut text, "functions", functions(status));
    if !status.kept.is_empty() {
        section(&mut text, "names kept although policies no longer give them", kept(&status.kept));
    }
    section(&mut text, &format!("policies (generation {})", status.generation), super::policy::table(&status.policies));
    section(&mut text, "builds", builds(&status.builds));
    text
}

fn section(text: &mut String, title: &str, table: Table) {
    if table.is_empty() {
        line(text, format!("\n{title}: none"));
    } else {
        line(text, format!("\n{title}\n{table}"));
    }
}

fn line(text: &mut String, line: String) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{line}");
}

/// Returns an empty table in the style of them all.
pub(super) fn columns<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn controllers(controllers: &[ControllerStatus]) -> Table {
    let mut table = columns(["CONTROLLER", "HOST", "STATE", "JENKINS", "NODES", "PROJECTS"]);
    for controller in controllers {
        table.add_row([
            controller.name.to_string(),
            controller.host.clone(),
            state(controller).to_owned(),
            controller.jenkins_version.clone().unwrap_or_else(|| "?".to_owned()),
            controller.nodes.len().to_string(),
            controller.projects.to_string(),
        ]);
    }
    table
}

/// Returns what is wrong with a controller: what cannot be read for the same reason stands together.
fn troubles(controller: &ControllerStatus) -> Vec<String> {
    let mut reasons: BTreeMap<&str, (Vec<&str>, u64)> = BTreeMap::new();
    for picture in &controller.pictures {
        let Some(error) = &picture.error else { continue };
        let (parts, longest) = reasons.entry(error).or_default();
        parts.push(word(picture.part));
        *longest = picture.failing_for_ms.unwrap_or(0).max(*longest);
    }
    let told = controller.trouble.iter().filter(|trouble| !reasons.contains_key(trouble.as_str())).cloned();
    let unread = reasons.iter().map(|(error, (parts, longest))| {
        let parts = parts.join(", ");
        format!("{error} ({parts}; for {})", humantime::format_duration(Duration::from_secs(longest / 1000)))
    });
    told.chain(unread).collect()
}

/// Returns how old each part of each controller's picture is.
fn last_seen(controllers: &[ControllerStatus]) -> Table {
    let columns_of_parts = Part::ALL.map(|part| word(part).to_uppercase());
    let mut table = columns::<0>([]);
    table.set_header(std::iter::once("CONTROLLER".to_owned()).chain(columns_of_parts));
    for controller in controllers {
        let age = |part: Part| {
            let picture = controller.pictures.iter().find(|picture| picture.part == part);
            let age = picture.and_then(|picture| picture.age_ms);
            age.map_or("never".to_owned(), |age| format!("{:.1} s ago", age as f64 / 1000.0))
        };
        table.add_row(std::iter::once(controller.name.to_string()).chain(Part::ALL.map(age)));
    }
    table
}

fn word(part: Part) -> &'static str {
    match part {
        Part::Nodes => "nodes",
        Part::Modes => "modes",
        Part::QuietingDown => "shutdown",
        Part::Projects => "projects",
        Part::Parameters => "parameters",
        Part::Queue => "queue",
    }
}

fn state(controller: &ControllerStatus) -> &'static str {
    match controller {
        ControllerStatus { reachable: false, .. } => "not reachable",
        ControllerStatus { fresh: false, .. } => "takes no jobs: seen too long ago",
        ControllerStatus { quieting_down: true, .. } => "quieting down",
        ControllerStatus { serve: false, .. } => "managed only",
        _ => "serving",
    }
}

fn nodes(controllers: &[ControllerStatus]) -> Table {
    let mut table = columns(["NODE", "CONTROLLER", "STATE", "BUSY", "FUNCTIONS", "WORKERS"]);
    for controller in controllers {
        for node in &controller.nodes {
            let state = match (&node.offline_reason, node.online) {
                (_, true) => "online".to_owned(),
                (Some(reason), false) if !reason.is_empty() => format!("offline: {}", shortened(reason)),
                (_, false) => "offline".to_owned(),
            };
            table.add_row([
                node.name.to_string(),
                controller.name.to_string(),
                state,
                format!("{} of {}", node.busy, node.executors),
                node.functions.to_string(),
                workers(&node.workers),
            ]);
        }
    }
    table
}

fn workers(workers: &[WorkerStatus]) -> String {
    let word = |worker: &WorkerStatus| match (worker.connected, worker.state) {
        (false, _) => "disconnected",
        (true, WorkerState::Grabbing) => "grabbing",
        (true, WorkerState::Waiting) => "waiting",
        (true, WorkerState::Running) => "running",
    };
    let mut words: Vec<&str> = workers.iter().map(word).collect();
    words.sort_unstable();
    let counted = words.chunk_by(|one, other| one == other).map(|same| format!("{} {}", same.len(), same[0]));
    counted.collect::<Vec<_>>().join(", ")
}

fn functions(status: &Status) -> Table {
    let mut table = columns(["FUNCTION", "PROJECT", "NODES"]);
    for (name, function) in &status.functions {
        table.add_row([name.to_string(), function.project.to_string(), function.nodes.to_string()]);
    }
    table
}

fn kept(names: &[KeptName]) -> Table {
    let mut table = columns(["FUNCTION", "PROJECT", "WHY", "UNTIL"]);
    for KeptName { function, project, jobs: _, why, until } in names {
        let until = humantime::format_rfc3339_seconds(*until).to_string();
        table.add_row([function.to_string(), project.to_string(), why.clone(), until]);
    }
    table
}

fn builds(builds: &[BuildStatus]) -> Table {
    let mut table = columns(["FUNCTION", "BUILD", "CONTROLLER", "NODE", "STATE", "UNIQUE"]);
    for build in builds {
        table.add_row([
            build.function.to_string(),
            build.number.map_or("-".to_owned(), |number| format!("{} #{number}", build.project)),
            build.controller.to_string(),
            build.node.as_ref().map_or("-".to_owned(), ToString::to_string),
            match build.state {
                BuildState::Starting => "starting",
                BuildState::Queued => "queued",
                BuildState::Running => "running",
                BuildState::Undelivered => "undelivered",
            }
            .to_owned(),
            build.unique.clone(),
        ]);
    }
    table
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Serving => "is serving",
        Mode::Paused => "is paused",
        Mode::Draining => "is draining",
    }
}

/// A reason may be a page of somebody's HTML.
pub(super) fn shortened(text: &str) -> String {
    let one_line: Vec<&str> = text.split_whitespace().collect();
    let text = one_line.join(" ");
    if text.chars().count() <= 60 { text } else { text.chars().take(59).chain(['…']).collect() }
}
