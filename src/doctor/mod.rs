//! What is wrong with a site, and what to do about each of it. Pure: facts in, findings out.
//!
//! Who gathers the facts asks controllers, Gearman servers, the policy folder and a running daemon, and changes nothing
//! there; what cannot be asked without changing something is told as not checked, and never guessed. No finding shows
//! the value of a parameter.
//!
//! ```text
//! facts ─┬─ controllers   reached, permitted, new enough, in time
//!        ├─ projects      tied to jobs, pinned, named
//!        ├─ alike         the same on every controller
//!        ├─ servers       reached, and nobody else's
//!        ├─ site          policies, limits
//!        └─ missing       what clients send and projects do not declare ── jjb, config_xml: how to declare it
//! ```

mod alike;
pub mod config_xml;
mod controllers;
mod declaration;
mod facts;
mod finding;
pub mod jjb;
mod missing;
mod payloads;
mod projects;
mod servers;
mod site;

#[cfg(test)]
mod tests;

pub use declaration::Declaration;
pub use facts::{Controller, Daemon, Facts, Policy, PolicyFolder, Rules, Seen, SeenServer, Sent, Server};
pub use finding::{Checked, Code, Finding, Level, Report, Subject};
pub use missing::{Missing, missing};
pub use payloads::{BadPayload, read as read_payloads};

/// Examines a site.
pub fn examine(facts: &Facts) -> Report {
    let mut findings = Vec::new();
    site::examine(facts, &mut findings);
    controllers::examine(facts, &mut findings);
    servers::examine(facts, &mut findings);
    projects::examine(facts, &mut findings);
    alike::examine(facts, &mut findings);
    missing::examine(facts, &mut findings);
    findings.sort_by(|one, other| one.order().cmp(&other.order()));
    Report { findings, not_checked: site::not_checked(facts), checked: Checked::of(facts) }
}
