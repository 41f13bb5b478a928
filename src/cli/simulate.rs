use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Exit;
use super::interrupts::Interrupts;
use super::terminal::{say, say_json};
use crate::domain::human_duration;
use crate::simulator::{Fleet, Options, Permission, Simulator};

/// Controllers beyond this are a slip of the hand.
const MOST_CONTROLLERS: i64 = 100;

/// Nodes and projects of one controller beyond this do not fit into anybody's Jenkins.
const MOST_PARTS: i64 = 100_000;

/// Simulate Jenkins controllers, to try a configuration and policies on a fleet.
///
/// They answer over HTTP as Jenkins does; builds are durations with a result and run nothing. Jobs and nodes can be
/// created, changed and deleted over the API meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  layshaft simulate --controllers 2 --nodes 10 --projects 50 --config trial/layshaft.toml
  layshaft server & layshaft run --config trial/layshaft.toml
  layshaft simulate --print-fleet > fleet.toml; layshaft simulate --fleet fleet.toml")]
pub(super) struct Simulate {
    /// Where the first controller listens; each further one takes the next port. Port 0 picks free ones.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Who may log in, and do everything.
    #[arg(long, default_value = "layshaft")]
    user: String,
    /// That user's API token [default: a random one, which is printed].
    #[arg(long, env = "LAYSHAFT_SIMULATE_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
    /// How many controllers.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MOST_CONTROLLERS))]
    controllers: u32,
    /// How many nodes each of them has.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=MOST_PARTS))]
    nodes: u32,
    /// How many projects; the same on all of them.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=MOST_PARTS))]
    projects: u32,
    /// Take the fleet from this file instead; docs/simulate.md tells what it may say.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["controllers", "nodes", "projects"])]
    fleet: Option<PathBuf>,
    /// Print the fleet as such a file, and end.
    #[arg(long)]
    print_fleet: bool,
    /// Write a configuration for `layshaft run` that serves these controllers, and the token beside it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object with the controllers.
    #[arg(long)]
    json: bool,
}

/// What a fleet file says: controllers by name, each as large as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FleetFile {
    pub(super) controllers: BTreeMap<String, Fleet>,
    /// How they answer, for those that are special.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    servers: BTreeMap<String, Server>,
}

/// How a controller answers, beside what it consists of.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Server {
    /// The release that it behaves as, such as "2.361.4".
    version: Option<String>,
    context_path: String,
    gzip: bool,
    /// Whether CSRF protection is on.
    crumbs: Option<bool>,
    keep_builds: Option<usize>,
    #[serde(with = "human_duration")]
    start_latency: Duration,
    /// What the user may not do, by Jenkins' identifiers.
    forbidden: BTreeSet<String>,
    unreadable: BTreeSet<String>,
    discoverable: BTreeSet<String>,
}

/// What is told of a controller that listens.
#[derive(Debug, Serialize)]
struct Listening {
    name: String,
    url: String,
    nodes: usize,
    projects: usize,
}

impl Simulate {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let file = self.fleet_file()?;
        if self.print_fleet {
            say(toml::to_string(&file)?.trim_end())?;
            return Ok(Exit::Ok);
        }
        let token = self.token.clone().unwrap_or_else(random_token);
        ensure!(!token.expose_secret().is_empty(), "the token is empty; leave --token out to have a random one");
        let mut interrupts = Interrupts::catch()?;
        let mut simulators = Vec::new();
        let mut listening = Vec::new();
        for ((name, fleet), listen) in file.controllers.into_iter().zip(addresses(self.listen)) {
            let parts = (fleet.nodes.len(), fleet.projects.len());
            let mut options = Options { listen, ..Options::new(&self.user, token.clone(), fleet) };
            if let Some(server) = file.servers.get(&name) {
                server.apply(&mut options).with_context(|| format!("servers.{name} is not right"))?;
            }
            let simulator = Simulator::start(options).await?;
            listening.push(Listening { name, url: simulator.url(), nodes: parts.0, projects: parts.1 });
            simulators.push(simulator);
        }
        if let Some(file) = &self.config {
            write_config(file, &self.user, &token, &listening).with_context(|| {
                format!(
                    "failed to write {}; what is there already is left alone, so name another folder, or delete it",
                    file.display()
                )
            })?;
        }
        self.tell(&listening, &token)?;
        interrupts.next().await;
        Ok(Exit::Ok)
    }

    fn fleet_file(&self) -> anyhow::Result<FleetFile> {
        let Some(file) = &self.fleet else {
            let width = self.controllers.to_string().len();
            let names = (1..=self.controllers).map(|number| format!("ci{number:0width$}"));
            let (nodes, projects) = (self.nodes as usize, self.projects as usize);
            let controllers = names.map(|name| (name.clone(), Fleet::sample(&name, nodes, projects))).collect();
            return Ok(FleetFile { controllers, servers: BTreeMap::new() });
        };
        let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        let fleets: FleetFile = toml::from_str(&text).with_context(|| format!("{} is not a fleet", file.display()))?;
        if fleets.controllers.is_empty() {
            bail!("{} names no controller; write [controllers.NAME]", file.display());
        }
        if let Some(stray) = fleets.servers.keys().find(|name| !fleets.controllers.contains_key(*name)) {
            bail!("{} has servers.{stray} and no controllers.{stray}", file.display());
        }
        Ok(fleets)
    }

    fn tell(&self, listening: &[Listening], token: &SecretString) -> anyhow::Result<()> {
        // A token that was given is its giver's to keep.
        let token = self.token.is_none().then(|| token.expose_secret());
        if self.json {
            return say_json(&serde_json::json!({ "user": self.user, "token": token, "controllers": listening }));
        }
        for Listening { name, url, nodes, projects } in listening {
            say(format!("{name} listens on {url} with {nodes} nodes and {projects} projects"))?;
        }
        match token {
            Some(token) => say(format!("Log in as {} with the token {token}.", self.user))?,
            None => say(format!("Log in as {} with the token that was given.", self.user))?,
        }
        if let Some(config) = &self.config {
            say(format!("To serve them: layshaft server, and layshaft run --config {}", config.display()))?;
        }
        Ok(())
    }
}

impl Server {
    fn apply(&self, options: &mut Options) -> anyhow::Result<()> {
        if let Some(version) = &self.version {
            options.version = version.parse()?;
        }
        options.context_path.clone_from(&self.context_path);
        options.gzip = self.gzip;
        options.crumbs = self.crumbs.unwrap_or(options.crumbs);
        options.keep_builds = self.keep_builds.unwrap_or(options.keep_builds);
        options.start_latency = self.start_latency;
        for user in &mut options.users {
            for id in &self.forbidden {
                let Some(permission) = Permission::from_id(id) else {
                    let known = Permission::ALL.map(Permission::id).join(", ");
                    bail!("{id:?} is not a permission; there are {known}");
                };
                // Administrators may do everything.
                user.permissions.retain(|had| *had != permission && *had != Permission::OverallAdminister);
            }
            user.unreadable.clone_from(&self.unreadable);
            user.discoverable.clone_from(&self.discoverable);
        }
        Ok(())
    }
}

/// Returns one address for each controller, the port counting up; any free ones if the first is to be any.
fn addresses(first: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    (0..).map_while(move |step| {
        let port = if first.port() == 0 { 0 } else { first.port().checked_add(step)? };
        Some(SocketAddr::new(first.ip(), port))
    })
}

/// Writes the configuration and what it needs beside it; what is there already is not written over.
fn write_config(file: &Path, user: &str, token: &SecretString, listening: &[Listening]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let folder = file.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder.join("policies"))?;
    let new = |path: &Path| std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    let user = toml::Value::from(user);
    let controllers = listening.iter().map(|Listening { name, url, .. }| {
        format!(
            "\n[[controllers]]\nname = \"{name}\"\nurl = \"{url}\"\nuser = {user}\ntoken_file = \"simulate.token\"\n"
        )
    });
    let intro = "# For simulated controllers; see `layshaft simulate --help`.\n".to_owned();
    let text: String = std::iter::once(intro).chain(controllers).collect();
    new(file)?.write_all(text.as_bytes())?;
    let secret = folder.join("simulate.token");
    let written = new(&secret).and_then(|mut file| file.write_all(token.expose_secret().as_bytes()));
    written.with_context(|| format!("the token's file {} cannot be made", secret.display()))
}

fn random_token() -> SecretString {
    format!("{:032x}", fastrand::u128(..)).into()
}
