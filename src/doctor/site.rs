//! What the configuration alone cannot know: the policy folder, and what policies of that kind need around them.

use super::facts::{Facts, PolicyFolder};
use super::finding::{Code, Finding, Subject};
use crate::policy::Hook;

pub(super) fn examine(facts: &Facts, findings: &mut Vec<Finding>) {
    for warning in &facts.warnings {
        // They say what to do behind what is so.
        let (seen, fix) = warning.rsplit_once("; ").unwrap_or((warning, "change it there"));
        findings.push(Finding::new(Code::ConfigWarning, seen, fix));
    }
    let PolicyFolder { path, policies } = &facts.policies;
    match policies {
        Err(reason) => findings.push(
            Finding::new(
                Code::PoliciesFolder,
                reason,
                format!(
                    "mkdir {path}, readable for the daemon's user; an empty folder means that the classic rules decide"
                ),
            )
            .about(Subject::Path(path.clone())),
        ),
        Ok(policies) => {
            for policy in policies {
                let Err(reason) = &policy.hooks else { continue };
                let fix =
                    format!("layshaft policy check {path}/{} says the same; mend the file or take it out", policy.file);
                findings
                    .push(Finding::new(Code::PolicyRefused, reason, fix).about(Subject::Policy(policy.file.clone())));
            }
        }
    }
    if facts.rules.offline_max == 0 && facts.is_asked_of_policies(Hook::Offline) {
        findings.push(Finding::new(
            Code::OfflineUnlimited,
            "a policy may take nodes offline, and builds.offline_max = 0 sets no limit",
            "write into [builds]: offline_max = 2, or however many nodes of a label may go within offline_window",
        ));
    }
}

/// Returns what could not be asked.
pub(super) fn not_checked(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    let users: Vec<&str> = facts.seen().filter(|(it, _)| it.has_user).map(|(it, _)| it.name.as_str()).collect();
    if !users.is_empty() {
        lines.push(format!(
            "Job/Build, Job/Cancel, Run/Update and Agent/Disconnect of the user on {}: REST has no question about them \
             that changes nothing; a refusal names the permission in the log",
            users.join(", ")
        ));
    }
    for (controller, seen) in facts.seen().filter(|(it, _)| it.has_user) {
        if seen.may_connect.is_none() {
            let name = &controller.name;
            lines.push(format!("Agent/Connect of the user on {name}: only an agent that is online tells it"));
        }
        if seen.ahead.is_none() {
            lines.push(format!("the clock of {}: its answers have no Date", controller.name));
        }
    }
    if facts.daemon.is_none() && facts.sent.is_empty() {
        lines.push(
            "parameters that clients send and projects do not declare: no daemon runs here that has seen them, and no \
             --payload was given"
                .to_owned(),
        );
    }
    for (hook, what) in [
        (Hook::Naming, "clashes of names: a policy names the functions; `layshaft status` shows clashes"),
        (
            Hook::Matching,
            "projects without a node: a policy decides what matches; `layshaft status` shows what is offered",
        ),
    ] {
        if facts.is_asked_of_policies(hook) {
            lines.push(what.to_owned());
        }
    }
    lines
}
