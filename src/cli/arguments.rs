//! What can be written on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use super::exit::Exit;
use super::{
    cancel, check_config, completions, demo, describe, doctor, mode, nodes, policy, queue, run, server, simulate,
    status, stop, submit,
};
use crate::gearman::tls::{self, Tls};
use crate::gearman::{Address, Endpoint};
use crate::web;

/// Lets any idle executor of any Jenkins controller serve one shared Gearman job queue.
#[derive(Debug, Parser)]
#[command(name = "layshaft", version, max_term_width = 120, after_help = Exit::help(), after_long_help = Exit::help())]
pub struct Arguments {
    /// What to log to the standard error, such as `info` or `layshaft=debug`.
    #[arg(long, global = true, env = "LAYSHAFT_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon that a configuration describes.
    Run(run::Run),
    /// Show the main job working, on servers and controllers of its own.
    Demo(demo::Demo),
    /// Run a Gearman server, for trials and for sites too small for gearmand.
    Server(server::Server),
    /// Simulate Jenkins controllers, to try a configuration and policies on a fleet.
    Simulate(simulate::Simulate),
    /// Submit a job, and wait for its build.
    Submit(submit::Submit),
    /// Show what waits and runs on Gearman servers, and who is there to do it.
    Queue(queue::Queue),
    /// Cancel a job.
    Cancel(cancel::Cancel),
    /// Stop a running build.
    Stop(stop::Stop),
    /// Set the description of a build.
    Describe(describe::Describe),
    /// Show controllers, nodes, functions, policies and running builds.
    Status(status::Show),
    /// List nodes, and which are offline because of policies.
    Nodes(nodes::List),
    /// Bring a node back that is offline because of policies.
    Node(nodes::Change),
    /// See and change which policies are in force.
    Policy(policy::Policy),
    /// Take no more jobs; running builds go on, and builds can be stopped and described.
    Pause(mode::Change),
    /// Take jobs again.
    Resume(mode::Change),
    /// Take no more jobs, and end with the last running build.
    Drain(mode::Change),
    /// Check a configuration without running anything.
    CheckConfig(check_config::CheckConfig),
    /// Find out what is wrong with a site, and what to do about each of it.
    Doctor(doctor::Doctor),
    /// Print the completions for a shell.
    Completions(completions::Completions),
}

/// Which daemon is meant.
#[derive(Debug, Args)]
pub(super) struct ControlSocket {
    /// The daemon's control socket [default: the first that is there of those that a daemon makes by itself].
    #[arg(long, env = "LAYSHAFT_CONTROL_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl ControlSocket {
    pub(super) fn client(&self) -> anyhow::Result<web::Client> {
        self.client_or(None)
    }

    /// Prefers what is written on the command line to what a configuration says.
    pub(super) fn client_or(&self, configured: Option<&Path>) -> anyhow::Result<web::Client> {
        let configured = || configured.map_or_else(web::find_socket, Path::to_owned);
        Ok(web::Client::new(&self.socket.clone().unwrap_or_else(configured))?)
    }
}

/// Which Gearman servers are meant.
#[derive(Debug, Args)]
pub(super) struct JobServer {
    /// The Gearman server; several, repeated or with commas between them, are tried in order.
    #[arg(
        long = "server",
        env = "LAYSHAFT_GEARMAN_SERVER",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        value_parser = str::parse::<Address>,
        default_value = "127.0.0.1:4730"
    )]
    servers: Vec<Address>,
    /// Speak TLS, and trust certificates of the authority in this PEM file.
    #[arg(long, env = "LAYSHAFT_GEARMAN_TLS_CA", value_name = "FILE", help_heading = TLS)]
    tls_ca: Option<PathBuf>,
    /// The certificate to show to the server; geard wants one.
    #[arg(long, env = "LAYSHAFT_GEARMAN_TLS_CERTIFICATE", value_name = "FILE", requires_all = ["tls_ca", "tls_key"], help_heading = TLS)]
    tls_certificate: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, env = "LAYSHAFT_GEARMAN_TLS_KEY", value_name = "FILE", requires = "tls_certificate", help_heading = TLS)]
    tls_key: Option<PathBuf>,
    /// The name in the server's certificate, if it is not the host.
    #[arg(long, env = "LAYSHAFT_GEARMAN_TLS_SERVER_NAME", value_name = "NAME", requires = "tls_ca", help_heading = TLS)]
    tls_server_name: Option<String>,
    /// What of the server's certificate to check: its name too, or only that the authority signed it.
    #[arg(long, env = "LAYSHAFT_GEARMAN_TLS_VERIFY", value_enum, default_value_t, requires = "tls_ca", help_heading = TLS)]
    tls_verify: Verify,
}

const TLS: &str = "TLS";

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Verify {
    #[default]
    Full,
    Chain,
}

impl JobServer {
    /// Returns how to reach the servers, in order; there is always one. Reads the files that TLS needs.
    pub(super) fn endpoints(&self) -> anyhow::Result<Vec<Endpoint>> {
        let settings = |ca: &PathBuf| tls::Settings {
            ca: ca.clone(),
            certificate: self.tls_certificate.clone(),
            key: self.tls_key.clone(),
            server_name: self.tls_server_name.clone(),
            verify: match self.tls_verify {
                Verify::Full => tls::Verify::Full,
                Verify::Chain => tls::Verify::Chain,
            },
        };
        let tls = self.tls_ca.as_ref().map(|ca| Tls::load(&settings(ca))).transpose()?;
        let endpoint = |address: &Address| Endpoint { address: address.clone(), tls: tls.clone() };
        Ok(self.servers.iter().map(endpoint).collect())
    }

    /// Says whether there is another server to turn to.
    pub(super) fn has_several(&self) -> bool {
        self.servers.len() > 1
    }
}

/// Which configuration is meant.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration [default: layshaft.toml here, else /etc/layshaft/layshaft.toml].
    #[arg(long, short, env = "LAYSHAFT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    pub(super) fn path(&self) -> PathBuf {
        let [here, system] = crate::config::DEFAULT_FILES.map(PathBuf::from);
        self.config.clone().unwrap_or_else(|| if system.exists() && !here.exists() { system } else { here })
    }
}
