//! One project put to everything that is in force, and the answers in words.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::super::answers::{End, Filtered, Start, Undecided};
use super::super::decision::{Outcome, Request};
use super::super::generation::{Controller, Generation};
use super::super::pass::World;
use crate::domain::{
    BuildFunction, BuildResult, ControllerName, DeclaredParameter, FunctionName, Node, NodeName, Parameters, Project,
    ProjectKind, ProjectName,
};
use crate::label::Expression;

/// Asked so often as jobs come, one after the other: no job may leave anything behind for the next.
const JOBS: usize = 60;

pub(super) const CLASSIC: &str = "classic, classic";

/// What the host makes of one project.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) matching: String,
    pub(super) names: String,
    pub(super) filter: String,
    pub(super) offline: String,
    /// How long the longest answer took.
    pub(super) longest: Duration,
}

pub(super) fn ask(live: &Generation, project: &str) -> Told {
    let mut told = Told::default();
    let mut longest = Duration::ZERO;
    let mut timed = |work: &mut dyn FnMut() -> String| {
        let begin = Instant::now();
        let text = work();
        longest = longest.max(begin.elapsed());
        text
    };
    let (site, project) = (controller(), self::project(project));
    let expression = Expression::lookup("gpu || linux");
    let world = World { named_labels: ["gpu", "linux"].map(str::to_owned).into() };
    let mut pass = live.pass(&world);
    told.matching = timed(&mut || {
        let mut matches = |node: &Node, classic: bool| pass.matches(&site, &project, Some(&expression), node, classic);
        match (matches(&node(&["linux"]), true), matches(&node(&[]), false)) {
            (Ok(fits), Ok(_)) if !fits.matched => "does not match".to_owned(),
            (_, Ok(other)) if other.matched => "widens".to_owned(),
            (_, Ok(other)) if other.clamped.is_some() => "matches, clamped".to_owned(),
            (Ok(_), Ok(_)) => "matches".to_owned(),
            (Err(failure), _) | (_, Err(failure)) => fails(&failure),
        }
    });
    told.names =
        timed(&mut || match pass.names(&site, &project, true, &node(&["linux"]), &["linux".to_owned()].into()) {
            Ok(names) => match names.names {
                Some(names) => {
                    format!("names {}", names.iter().map(BuildFunction::to_string).collect::<Vec<_>>().join(" "))
                }
                None => "classic names".to_owned(),
            },
            Err(failure) => fails(&failure),
        });
    drop(pass);
    told.filter = timed(&mut || filter(live, project.name.full()));
    for _ in 0..JOBS {
        let again = filter(live, project.name.full());
        if again != told.filter {
            told.filter = format!("first {}, later {again}", told.filter);
            break;
        }
        // What it costs is known by now.
        if told.filter.starts_with("fails") {
            break;
        }
    }
    let started = timed(&mut || {
        with_request(&project, |request| match live.build_started(request) {
            Start::Classic => "classic".to_owned(),
            Start::Share { .. } => "share".to_owned(),
            Start::Reserve { .. } => "reserve".to_owned(),
        })
    });
    let ended = timed(&mut || {
        let outcome = Outcome { result: Some(BuildResult::Success), duration: Duration::from_secs(1) };
        with_request(&project, |request| match live.build_ended(request, &outcome) {
            End::Classic => "classic".to_owned(),
            End::Online { .. } => "online".to_owned(),
            End::Offline { message, .. } => format!("offline, {} characters", message.chars().count()),
            End::Held { message, .. } => format!("held, {} characters", message.chars().count()),
        })
    });
    told.offline = format!("{started}, {ended}");
    told.longest = longest;
    told
}

pub(super) fn filter(live: &Generation, project: &str) -> String {
    with_request(&self::project(project), |request| match live.filter(request) {
        Filtered::Pass { parameters, .. } => {
            let shown = parameters.iter().map(|(name, value)| format!("{name}={}", value.unwrap_or_default()));
            format!("passes {}", shown.collect::<Vec<_>>().join(" "))
        }
        Filtered::Rejected { reason, .. } if reason.chars().count() > 100 => {
            format!("rejects, {} characters", reason.chars().count())
        }
        Filtered::Rejected { reason, .. } => format!("rejects: {reason}"),
        Filtered::Failed { reason, .. } => format!("fails: {reason}"),
    })
}

fn fails(failure: &Undecided) -> String {
    format!("fails: {failure}")
}

fn with_request<T>(project: &Project, ask: impl FnOnce(&Request<'_>) -> T) -> T {
    let requested: Parameters = [("VERSION", "1"), ("DROPPED", "1")].into_iter().collect();
    ask(&Request {
        controller: &controller(),
        project,
        function: &FunctionName::new("build:lint").expect("a short name"),
        label: None,
        node: &node(&["linux"]),
        named_labels: &BTreeSet::new(),
        requested: &requested,
        client_asks_offline: false,
    })
}

fn controller() -> Controller {
    Controller { name: ControllerName::new("ci"), tags: BTreeSet::new() }
}

fn project(name: &str) -> Project {
    let declare =
        |name: &str| DeclaredParameter { name: name.to_owned(), kind: "StringParameterDefinition".to_owned() };
    Project {
        name: ProjectName::new(name),
        kind: ProjectKind::Freestyle,
        buildable: true,
        concurrent: true,
        label: None,
        label_unknown: false,
        parameters: Some(vec![declare("VERSION"), declare("DROPPED")]),
    }
}

fn node(labels: &[&str]) -> Node {
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    Node { labels, executor_count: 1, ..Node::new(NodeName::agent("n1")) }
}
