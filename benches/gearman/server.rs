use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use super::process::Process;
use super::programs;
use super::role::Role;

/// How long a server may take to come up; geard is a Python program.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    Gearmand,
    Geard,
    Layshaft,
}

/// A server that listens.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: ServerKind,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl ServerKind {
    pub(crate) const ALL: [Self; 3] = [Self::Gearmand, Self::Geard, Self::Layshaft];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gearmand => "gearmand",
            Self::Geard => "geard",
            Self::Layshaft => "layshaft",
        }
    }

    /// Says how it is installed, if it is not.
    pub(crate) fn missing(self) -> Option<&'static str> {
        match self {
            Self::Gearmand if !programs::is_installed("gearmand") => Some("apt-get install gearman-job-server"),
            Self::Geard if !programs::is_installed("geard") => Some("pip install gear"),
            _ => None,
        }
    }

    /// Starts a server on a free port of loopback.
    pub(crate) fn start(self) -> anyhow::Result<Server> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let port = address.port().to_string();
        let mut command = match self {
            Self::Gearmand => {
                let mut command = Command::new("gearmand");
                command.args(["--listen", "127.0.0.1", "--port", &port, "--log-file", "stderr"]);
                command
            }
            Self::Geard => {
                let mut command = Command::new("geard");
                command.args(["-d", "--listen-address", "127.0.0.1", "-p", &port]);
                command
            }
            Self::Layshaft => Role::Serve { address }.command()?,
        };
        let process = Process::spawn(command.stderr(Stdio::null()))?;
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(started.elapsed() < START_PATIENCE, "{} does not listen after {START_PATIENCE:?}", self.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        // geard drops a connection that is opened while it still closes another one.
        std::thread::sleep(Duration::from_millis(50));
        Ok(Server { kind: self, address, process })
    }
}

impl Server {
    pub(crate) fn memory(&self) -> anyhow::Result<usize> {
        self.process.memory().context("failed to read a server's memory")
    }
}
