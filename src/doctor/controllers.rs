//! Whether each controller can be worked with.

use std::collections::BTreeMap;

use super::facts::{Controller, Facts, Seen};
use super::finding::{Code, Finding};
use crate::domain::ControllerName;
use crate::jenkins::{Error, release};

/// A lost answer is looked up among builds that are newer than the intent; five minutes are allowed for between the
/// clocks, and this is the point at which somebody should know.
const MOST_AHEAD: i64 = 60;

/// What is lost before which version, the worst first.
const LOST: [((u32, u32), Code, &str); 6] = [
    (
        release::FIRST_THAT_SERVES,
        Code::VersionTooOld,
        "it does not say which queue item a request became, so that no build can be followed",
    ),
    (
        (1, 601),
        Code::VersionTooOld,
        "builds do not tell their queue item, so that a build is not found that left the queue",
    ),
    (
        release::FIRST_WITH_LABELS,
        Code::VersionOld,
        "it does not tell the labels of nodes and projects: they are read from each one's config.xml, for which the user needs Agent/ExtendedRead and Job/ExtendedRead",
    ),
    ((2, 211), Code::VersionOld, "cancelling does not tell what came of it, which costs one more request"),
    (
        (2, 308),
        Code::VersionOld,
        "it does not say that a build was merged into an equal one, which costs one more request",
    ),
    ((2, 482), Code::VersionOld, "offline marks do not outlive a restart of the controller"),
];

pub(super) fn examine(facts: &Facts, findings: &mut Vec<Finding>) {
    for controller in &facts.controllers {
        let found = match &controller.seen {
            Err(error) => vec![unreachable(controller, error)],
            Ok(seen) => look_at(controller, seen),
        };
        findings.extend(found.into_iter().map(|finding| finding.on([controller.name.clone()])));
    }
    same_jenkins(facts, findings);
}

fn unreachable(controller: &Controller, error: &Error) -> Finding {
    let url = &controller.url;
    let (code, fix) = match error {
        Error::Unauthorized => (
            Code::WrongToken,
            "make a new API token for that user (user, Security, API Token) and put it alone into the file that token_file names"
                .to_owned(),
        ),
        Error::Forbidden { .. } if !controller.has_user => {
            (Code::PermissionMissing, "write user and token_file of somebody who may read the controller".to_owned())
        }
        Error::Forbidden { required_permission: Some(id), .. } => {
            (Code::PermissionMissing, format!("grant the user {} (Manage Jenkins, Security)", shown(id)))
        }
        Error::Forbidden { .. } => {
            (Code::PermissionMissing, "grant the user Overall/Read (Manage Jenkins, Security)".to_owned())
        }
        Error::Starting => (
            Code::ControllerStarting,
            format!("wait until it has started; if it has, look at the proxy before {url}, which answers 503"),
        ),
        Error::Redirected { to, .. } => (
            Code::UrlRedirected,
            format!("write the address to which {url} leads in a browser, context path included: it begins with {to}"),
        ),
        Error::LoginPage { .. } => (
            Code::WrongToken,
            format!("look at what stands before {url}: it must let requests with an API token pass without a login"),
        ),
        Error::TooOld { .. } => (Code::VersionTooOld, "update Jenkins to 2.94 or newer".to_owned()),
        Error::NotJson { .. } | Error::NotFound { .. } | Error::Malformed { .. } | Error::Rejected { .. } => (
            Code::NotJenkins,
            format!("open {url}api/json in a browser: url needs the context path, and no login page of a proxy before it"),
        ),
        Error::Unreachable { reason } | Error::Interrupted { reason } if is_about_tls(reason) => (
            Code::ControllerTls,
            "put the authority that signed its certificate into the system's store, or name its PEM file in SSL_CERT_FILE"
                .to_owned(),
        ),
        Error::Unreachable { .. } | Error::Interrupted { .. } => (
            Code::ControllerUnreachable,
            format!("see from this machine with: curl -sS -o /dev/null {url}; no proxy is used"),
        ),
        Error::TimedOut | Error::TooLarge { .. } | Error::Truncated { .. } => (
            Code::ControllerSlow,
            "write a longer request_timeout for it, and look at its load; `layshaft doctor --timeout 10m` waits longer"
                .to_owned(),
        ),
        Error::Setup { .. }
        | Error::NotBuildable { .. }
        | Error::UnexpectedStatus { .. }
        | Error::NoQueueItem { .. }
        | Error::NotPrivileged
        | Error::ScriptFailed { .. }
        | Error::Unaddressable { .. } => (
            Code::ControllerFails,
            format!("look into the log of the controller, and of what stands before {url}"),
        ),
    };
    Finding::new(code, error.to_string(), fix)
}

fn look_at(controller: &Controller, seen: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(text) = &seen.instance.version {
        found.extend(version(text));
    } else {
        found.push(Finding::new(
            Code::NotJenkins,
            "its answers have no X-Jenkins header",
            format!("look at what stands before {}: it must pass the header on", controller.url),
        ));
    }
    if let Some(ahead) = seen.ahead.filter(|ahead| ahead.abs() > MOST_AHEAD) {
        let (by, how) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
        found.push(Finding::new(
            Code::ClockSkew,
            format!("its clock is {by} s {how} ours; beyond five minutes a lost answer may lead to a second build"),
            "let both machines take their time from NTP (timedatectl set-ntp true)",
        ));
    }
    if seen.may_connect == Some(false) {
        found.push(Finding::new(
            Code::PermissionMissing,
            "the user lacks Agent/Connect: an offline mark that a policy takes back stays",
            format!("grant the user {} (Manage Jenkins, Security)", shown("hudson.model.Computer.Connect")),
        ));
    }
    if seen.projects.is_empty() {
        found.push(Finding::new(
            Code::NoProjects,
            "no project is visible",
            "grant the user Job/Read, also in folders, or define projects there",
        ));
    }
    found
}

fn version(text: &str) -> Option<Finding> {
    let version = release::read(text)?;
    let lost: Vec<_> = LOST.iter().filter(|(since, ..)| version < *since).collect();
    let (_, code, _) = lost.first()?;
    let what: Vec<&str> = lost.iter().map(|(_, _, what)| *what).collect();
    let (major, minor) = lost.last()?.0;
    let seen = format!("Jenkins {text}: {}", what.join("; "));
    Some(Finding::new(*code, seen, format!("update Jenkins to {major}.{minor} or newer")))
}

/// Two names for one controller: every executor would be served twice.
fn same_jenkins(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut by_session: BTreeMap<&str, Vec<&ControllerName>> = BTreeMap::new();
    for (controller, seen) in facts.seen() {
        if let Some(session) = &seen.instance.session {
            by_session.entry(session).or_default().push(&controller.name);
        }
    }
    for names in by_session.into_values().filter(|names| names.len() > 1) {
        findings.push(
            Finding::new(
                Code::SameJenkins,
                "they are one Jenkins under several names, whose executors would be served several times",
                "take all of these [[controllers]] but one out",
            )
            .on(names.into_iter().cloned()),
        );
    }
}

fn is_about_tls(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    ["certificate", "tls", "handshake", "corrupt message"].iter().any(|word| reason.contains(word))
}

fn shown(id: &str) -> String {
    match crate::jenkins::permission_name(id) {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}
