//! What the types alone cannot say about a configuration: bounds, names that must differ, secrets that must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

mod listening;

use listening::{RawControl, RawWeb};

use super::document::Document;
use super::{Config, Controller, Environment, Gearman, Journal, Log, Problem, secret};
use crate::domain::{ControllerName, FunctionName, human_duration};
use crate::gearman::Address;
use crate::gearman::tls::{self, Tls};
use crate::{jenkins, policy, runtime};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The file as its types read it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    #[serde(default)]
    gearman: Gearman,
    policies: policy::Config,
    #[serde(default)]
    journal: Journal,
    #[serde(default)]
    control: RawControl,
    web: Option<RawWeb>,
    #[serde(default)]
    builds: runtime::Config,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    controllers: Vec<RawController>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawController {
    name: String,
    url: jenkins::BaseUrl,
    #[serde(default)]
    user: String,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
    token: Option<IgnoredAny>,
    host: Option<String>,
    #[serde(default)]
    tags: BTreeSet<String>,
    #[serde(default = "yes")]
    serve: bool,
    #[serde(default)]
    privileged: bool,
    #[serde(default = "request_timeout", with = "human_duration")]
    request_timeout: Duration,
    #[serde(default)]
    poll: jenkins::Intervals,
}

fn yes() -> bool {
    true
}

/// As [`jenkins::Config`] has it.
fn request_timeout() -> Duration {
    Duration::from_secs(30)
}

/// Checks what was read, and makes it whole: paths absolute, names resolved, secrets at hand.
pub(super) fn check(raw: Raw, document: &Document<'_>, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let mut checker = Checker { document, environment, problems: Vec::new(), warnings: Vec::new() };
    let gearman = checker.gearman(raw.gearman);
    let policies = checker.policies(raw.policies);
    let journal = Journal { file: document.resolve(&raw.journal.file) };
    let control = checker.control(raw.control);
    let web = raw.web.and_then(|web| checker.web(web));
    checker.builds(&raw.builds);
    checker.log(&raw.log);
    let controllers = checker.controllers(raw.controllers);
    let Checker { problems, warnings, .. } = checker;
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Config { gearman, policies, journal, control, web, builds: raw.builds, log: raw.log, controllers, warnings })
}

struct Checker<'d> {
    document: &'d Document<'d>,
    environment: &'d Environment,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

/// Where a secret is said to be.
struct Source<'a> {
    file: Option<&'a Path>,
    variable: Option<&'a str>,
    in_the_open: bool,
}

impl Checker<'_> {
    fn complain(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(self.document.problem(key, text));
    }

    fn within(&mut self, key: &str, value: Duration, least: Duration, most: Duration) {
        if value < least || value > most {
            let [value, least, most] = [value, least, most].map(humantime::format_duration);
            self.complain(key, format!("{value} is out of bounds; write something from \"{least}\" to \"{most}\""));
        }
    }

    fn gearman(&mut self, mut gearman: Gearman) -> Gearman {
        let key = if self.document.has("gearman.server") { "gearman.server" } else { "gearman.servers" };
        if gearman.servers.is_empty() {
            self.complain(key, "names no server; write [\"HOST:PORT\"]");
        }
        let mut servers = Vec::new();
        for (index, written) in gearman.servers.iter().enumerate() {
            let item = format!("{key}[{index}]");
            let key = if self.document.has(&item) { &item } else { key };
            match written.parse::<Address>().map(|server| server.to_string()) {
                Ok(server) if servers.contains(&server) => {
                    self.complain(key, format!("{server} is there twice; an executor has one worker at each server"));
                }
                Ok(server) => servers.push(server),
                Err(error) => self.complain(key, format!("{written:?} is not the address of a server: {error}")),
            }
        }
        gearman.servers = servers;
        self.within("gearman.connect_timeout", gearman.connect_timeout, 100 * MILLISECOND, 5 * MINUTE);
        self.within("gearman.longest_pause", gearman.longest_pause, 100 * MILLISECOND, 5 * MINUTE);
        gearman.loaded_tls = gearman.tls.as_mut().and_then(|tls| self.load_tls(tls));
        gearman
    }

    fn load_tls(&mut self, tls: &mut tls::Settings) -> Option<Tls> {
        tls.ca = self.document.resolve(&tls.ca);
        for file in [&mut tls.certificate, &mut tls.key].into_iter().flatten() {
            *file = self.document.resolve(file);
        }
        let loaded = Tls::load(tls);
        loaded.map_err(|error| self.complain("gearman.tls", error.to_string())).ok()
    }

    fn policies(&mut self, mut policies: policy::Config) -> policy::Config {
        policies.folder = self.document.resolve(&policies.folder);
        policies.state = policies.state.map(|state| self.document.resolve(&state));
        if policies.state.as_ref().is_some_and(|state| state.starts_with(&policies.folder)) {
            self.complain(
                "policies.state",
                "must not be inside the folder where policies are dropped; write another path",
            );
        }
        self.within("policies.quiet", policies.quiet, MILLISECOND, MINUTE);
        self.within("policies.rescan", policies.rescan, SECOND, DAY);
        self.within("policies.keep_names", policies.keep_names, Duration::ZERO, DAY);
        self.within("policies.gates.watch_for", policies.gates.watch_for, Duration::ZERO, DAY);
        self.within("policies.log.keep", policies.log.keep, SECOND, 3660 * DAY);
        if policies.gates.withdrawn_percent > 100 {
            self.complain("policies.gates.withdrawn_percent", "is a share of all that is offered; write 0 to 100");
        }
        if policies.keys.is_empty() {
            let slots = policies.slots.iter().filter(|(_, guard)| guard.signed == Some(true));
            let slots = slots.map(|(name, _)| format!("policies.slots.{name}.signed"));
            let all = policies.signed.filter(|signed| *signed).map(|_| "policies.signed".to_owned());
            for key in all.into_iter().chain(slots) {
                self.complain(
                    &key,
                    "demands signatures, and policies.keys has no key; write one there, of minisign.pub",
                );
            }
        }
        self.within("policies.limits.deadline", policies.limits.deadline, 10 * MILLISECOND, MINUTE);
        self.within("policies.limits.compile_timeout", policies.limits.compile_timeout, SECOND, 60 * MINUTE);
        let limits = [
            ("fuel", policies.limits.fuel == 0),
            ("memory", policies.limits.memory == 0),
            ("answer", policies.limits.answer == 0),
            ("max_module", policies.limits.max_module == 0),
        ];
        for (key, _) in limits.into_iter().filter(|(_, is_zero)| *is_zero) {
            self.complain(&format!("policies.limits.{key}"), "nothing runs with 0; leave it out for the default");
        }
        policies
    }

    fn builds(&mut self, builds: &runtime::Config) {
        self.within("builds.start_within", builds.start_within, SECOND, 30 * DAY);
        self.within("builds.lost_after", builds.lost_after, SECOND, 30 * DAY);
        self.within("builds.answer_within", builds.answer_within, 100 * MILLISECOND, MINUTE);
        self.within("builds.stop_again_after", builds.stop_again_after, SECOND, 30 * DAY);
        for (key, after) in [("term_after", builds.term_after), ("kill_after", builds.kill_after)] {
            self.within(&format!("builds.{key}"), after, Duration::ZERO, 30 * DAY);
        }
        for (key, names) in [("markers", &builds.markers), ("pin_parameters", &builds.pin_parameters)] {
            for (index, _) in names.iter().enumerate().filter(|(_, name)| name.trim().is_empty()) {
                self.complain(&format!("builds.{key}[{index}]"), "is empty; write the name of a build parameter");
            }
        }
    }

    fn log(&mut self, log: &Log) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&log.filter) {
            self.complain("log.filter", format!("{error}; write a level such as \"info\" or \"layshaft=debug\""));
        }
    }

    fn controllers(&mut self, raw: Vec<RawController>) -> Vec<Controller> {
        if raw.is_empty() {
            self.complain("controllers", "there is none; write a [[controllers]] section with `name` and `url`");
        }
        let mut names = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        let mut controllers = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let at = |key: &str| format!("controllers[{index}].{key}");
            if raw.name.trim().is_empty() || raw.name.chars().any(char::is_control) {
                self.complain(&at("name"), "must be a word for people; write name = \"ci1\"");
            }
            if let Some(other) = names.insert(raw.name.clone(), index) {
                let text = format!("controllers[{other}] is called {:?} too; write another name", raw.name);
                self.complain(&at("name"), text);
            } else {
                self.host(index, raw.host.as_deref().unwrap_or(&raw.name), raw.host.is_some(), &mut hosts);
            }
            let credentials = self.credentials(index, &raw);
            self.within(&at("request_timeout"), raw.request_timeout, SECOND, 10 * MINUTE);
            self.intervals(&at("poll"), &raw.poll);
            if raw.url.as_str().starts_with("http://") && !raw.user.is_empty() && !is_near(&raw.url) {
                self.warnings.push(format!(
                    "{}: the token of {:?} crosses the network unencrypted; write an https:// address",
                    at("url"),
                    raw.name
                ));
            }
            let Some(credentials) = credentials else { continue };
            let jenkins =
                jenkins::Config { url: raw.url, user: raw.user, request_timeout: raw.request_timeout, poll: raw.poll };
            let host = raw.host.unwrap_or_else(|| raw.name.clone());
            let name = ControllerName::new(raw.name);
            let (tags, serve, privileged) = (raw.tags, raw.serve, raw.privileged);
            controllers.push(Controller { name, host, tags, serve, privileged, jenkins, credentials });
        }
        controllers
    }

    fn host(&mut self, index: usize, host: &str, is_written: bool, hosts: &mut BTreeMap<String, usize>) {
        let key = format!("controllers[{index}].{}", if is_written { "host" } else { "name" });
        if host.is_empty() || host.contains(char::is_whitespace) || FunctionName::set_description(host).is_err() {
            let text = format!("{host:?} cannot be part of a function name; write host = \"ONE-WORD\"");
            self.complain(&key, text);
        }
        if let Some(other) = hosts.insert(host.to_owned(), index) {
            let text = format!("controllers[{other}] has the host {host:?} too; write host = \"ANOTHER\"");
            self.complain(&key, text);
        }
    }

    fn credentials(&mut self, index: usize, raw: &RawController) -> Option<jenkins::Credentials> {
        let at = format!("controllers[{index}]");
        let source = Source {
            file: raw.token_file.as_deref(),
            variable: raw.token_env.as_deref(),
            in_the_open: raw.token.is_some(),
        };
        let token = self.secret(&at, &source);
        match (raw.user.is_empty(), source.is_given()) {
            (false, false) => {
                let text = format!("user {:?} needs a token; write token_file = \"/path/to/a/token\"", raw.user);
                self.complain(&format!("{at}.user"), text);
                None
            }
            (true, true) => {
                self.complain(&at, "a token needs its user; write user = \"NAME\"");
                None
            }
            (true, false) => Some(jenkins::Credentials { user: String::new(), token: SecretString::from("") }),
            (false, true) => Some(jenkins::Credentials { user: raw.user.clone(), token: token? }),
        }
    }

    fn intervals(&mut self, at: &str, poll: &jenkins::Intervals) {
        let jenkins::Intervals { nodes, projects, parameters, queue, idle_queue, modes, stale_after, gone_after } =
            poll;
        let intervals = [
            ("nodes", nodes),
            ("projects", projects),
            ("parameters", parameters),
            ("queue", queue),
            ("idle_queue", idle_queue),
            ("modes", modes),
        ];
        for (key, interval) in intervals {
            self.within(&format!("{at}.{key}"), *interval, 100 * MILLISECOND, DAY);
        }
        // Sooner it would be stale between two looks.
        let bound = poll.bound(jenkins::Part::Nodes);
        if let Some(stale_after) = stale_after {
            self.within(&format!("{at}.stale_after"), *stale_after, bound, DAY);
        }
        if let Some(gone_after) = gone_after {
            let stale_after = poll.stale_after(jenkins::Part::Nodes).unwrap_or(bound);
            self.within(&format!("{at}.gone_after"), *gone_after, stale_after, DAY);
        }
    }

    fn secret(&mut self, at: &str, source: &Source<'_>) -> Option<SecretString> {
        if source.in_the_open {
            self.complain(
                &format!("{at}.token"),
                "a secret may not stand here; put it into a file and write token_file = \"/path/to/it\"",
            );
            return None;
        }
        let (key, found) = match (source.file, source.variable) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.complain(&format!("{at}.token_env"), "there is a token_file too; remove one of them");
                return None;
            }
            (Some(file), None) => ("token_file", secret::from_file(&self.document.resolve(file))),
            (None, Some(variable)) => ("token_env", secret::from_variable(variable, self.environment)),
        };
        match found {
            Ok(found) => {
                self.warnings.extend(found.warning);
                Some(found.secret)
            }
            Err(text) => {
                self.complain(&format!("{at}.{key}"), text);
                None
            }
        }
    }
}

impl Source<'_> {
    fn is_given(&self) -> bool {
        self.file.is_some() || self.variable.is_some() || self.in_the_open
    }
}

/// Returns whether an address stays on this machine.
fn is_near(url: &jenkins::BaseUrl) -> bool {
    let after_scheme = url.as_str().trim_start_matches("http://");
    ["127.", "localhost", "[::1]"].iter().any(|near| after_scheme.starts_with(near))
}
