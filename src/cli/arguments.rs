//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::exit::Exit;
use super::{check_config, completions, demo, describe, mode, policy, run, server, simulate, status, stop, submit};
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
    /// Stop a running build.
    Stop(stop::Stop),
    /// Set the description of a build.
    Describe(describe::Describe),
    /// Show controllers, nodes, functions, policies and running builds.
    Status(status::Show),
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
        let socket = self.socket.clone().unwrap_or_else(web::find_socket);
        Ok(web::Client::new(&socket)?)
    }
}

/// Which Gearman server is meant.
#[derive(Debug, Args)]
pub(super) struct JobServer {
    /// The Gearman server.
    #[arg(long, env = "LAYSHAFT_GEARMAN_SERVER", value_name = "HOST:PORT", default_value = "127.0.0.1:4730")]
    pub(super) server: String,
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
