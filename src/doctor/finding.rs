use std::collections::BTreeSet;

use serde::Serialize;

use super::facts::Facts;
use crate::domain::{ControllerName, ProjectName};

/// Everything that was found, worst first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// What could not be asked, and why.
    pub not_checked: Vec<String>,
    pub checked: Checked,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub controllers: usize,
    pub nodes: usize,
    pub projects: usize,
    pub gearman_servers: usize,
}

/// One thing that somebody should do something about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub code: Code,
    /// Where it is so; empty if it is of no controller.
    pub controllers: BTreeSet<ControllerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    pub seen: String,
    /// What to do, in one line.
    pub fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something works worse than it could, or other than people expect.
    Warning,
    /// Worth knowing; never a reason to fail.
    Note,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Project(ProjectName),
    Function(String),
    Server(String),
    Policy(String),
    Path(String),
}

macro_rules! codes {
    ($($name:ident $level:ident $text:literal,)*) => {
        /// What kind of finding it is: stable, so that scripts can name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Code { $($name,)* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }
        }
    };
}

// In the order in which they are told within a level.
codes! {
    ConfigWarning Warning "config-warning",
    PoliciesFolder Error "policies-folder",
    PolicyRefused Error "policy-refused",
    OfflineUnlimited Warning "offline-unlimited",
    ControllerUnreachable Error "controller-unreachable",
    ControllerTls Error "controller-tls",
    ControllerStarting Error "controller-starting",
    ControllerSlow Error "controller-slow",
    ControllerFails Error "controller-fails",
    UrlRedirected Error "url-redirected",
    NotJenkins Error "not-jenkins",
    WrongToken Error "wrong-token",
    PermissionMissing Error "permission-missing",
    SameJenkins Error "same-jenkins",
    VersionTooOld Error "version-too-old",
    VersionOld Warning "version-old",
    ClockSkew Warning "clock-skew",
    NoProjects Warning "no-projects",
    ServerUnreachable Error "server-unreachable",
    ServerKind Error "server-kind",
    HostTaken Error "host-taken",
    PluginServes Warning "plugin-serves",
    ForeignExecutors Warning "foreign-executors",
    NoMarker Warning "no-marker",
    MarkerKind Error "marker-kind",
    LabelNotKept Warning "label-not-kept",
    NotPinned Note "not-pinned",
    NameClash Warning "name-clash",
    WhiteSpace Warning "white-space",
    NameTooLong Error "name-too-long",
    KindUnknown Note "kind-unknown",
    NoNode Note "no-node",
    DiffersKind Warning "differs-kind",
    DiffersLabel Warning "differs-label",
    DiffersConcurrent Warning "differs-concurrent",
    DiffersParameters Warning "differs-parameters",
    ProjectMissing Note "project-missing",
    FunctionUnknown Warning "function-unknown",
    ParametersLost Warning "parameters-lost",
}

impl Finding {
    /// Returns a finding of the whole site; what it is about can be added.
    pub(super) fn new(code: Code, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        let (seen, fix) = (harmless(&seen.into()), harmless(&fix.into()));
        Self { level: code.level(), code, controllers: BTreeSet::new(), subject: None, seen, fix }
    }

    pub(super) fn on(mut self, controllers: impl IntoIterator<Item = ControllerName>) -> Self {
        self.controllers.extend(controllers);
        self
    }

    pub(super) fn about(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    pub(super) fn about_project(self, project: &ProjectName) -> Self {
        self.about(Subject::Project(project.clone()))
    }

    /// Returns what findings are ordered by.
    pub(super) fn order(&self) -> (Level, Code, &str, Option<&Subject>, &BTreeSet<ControllerName>, &str) {
        (self.level, self.code, &self.fix, self.subject.as_ref(), &self.controllers, &self.seen)
    }
}

impl Report {
    /// Returns how many findings there are of a level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

impl Checked {
    pub(super) fn of(facts: &Facts) -> Self {
        let seen = || facts.controllers.iter().filter_map(|controller| controller.seen.as_ref().ok());
        Self {
            controllers: facts.controllers.len(),
            nodes: seen().map(|seen| seen.nodes.len()).sum(),
            projects: seen().map(|seen| seen.projects.len()).sum(),
            gearman_servers: facts.servers.len(),
        }
    }
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::Project(name) => name.full(),
            Self::Function(text) | Self::Server(text) | Self::Policy(text) | Self::Path(text) => text,
        };
        f.write_str(&harmless(text))
    }
}

/// Returns a text on one line. Names come from controllers, clients and files.
fn harmless(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// Returns names one after the other, the first few of them.
pub(super) fn listed<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}
