//! The rule that every engine is given, in Rust: run natively it is what the others' answers are held against, and the
//! guests are made of it.

#![no_std]

extern crate alloc;

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// No build is started.
    pub rejected: bool,
    /// The parameters that pass, as requested; none if it is rejected.
    pub allowed: Vec<String>,
    pub reason: String,
}

struct Rule {
    name: &'static str,
    /// Projects whose full name starts so.
    prefix: &'static str,
    names: [&'static str; 3],
}

const RULES: [Rule; 4] = [
    Rule { name: "team-a", prefix: "team-a/", names: ["BRANCH", "VERSION", "TARGET"] },
    Rule { name: "team-b", prefix: "team-b/", names: ["GERRIT_REFSPEC", "GERRIT_BRANCH", "BUILD_TYPE"] },
    Rule { name: "team-c", prefix: "team-c/", names: ["RELEASE_BRANCH", "VERSION", "DEPLOY_TARGET"] },
    Rule { name: "team-d", prefix: "team-d/", names: ["SUITE", "SEED", "RETRIES"] },
];

/// Decides which of the requested parameters a project gets: none at all if the loader's variable is among them.
pub fn decide<'a>(project: &str, requested: impl Iterator<Item = &'a str> + Clone) -> Verdict {
    if requested.clone().any(|name| name == "LD_PRELOAD") {
        let reason = "parameter `LD_PRELOAD` is denied by deny rule `loader`: it would run code on the node";
        return Verdict { rejected: true, allowed: Vec::new(), reason: reason.to_owned() };
    }
    let rule = RULES.iter().find(|rule| project.starts_with(rule.prefix));
    let (name, names) = rule.map_or(("others", &[][..]), |rule| (rule.name, &rule.names[..]));
    let mut allowed = Vec::new();
    let mut left_out = 0;
    for requested in requested {
        if requested.starts_with("ZUUL_") || names.contains(&requested) {
            allowed.push(requested.to_owned());
        } else {
            left_out += 1;
        }
    }
    let reason = format!("rule `{name}` allows {}, leaves out {left_out}", allowed.len());
    Verdict { rejected: false, allowed, reason }
}
