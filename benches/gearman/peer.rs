use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::process::Process;
use super::programs;
use super::role::Role;
use super::say;
use super::server::Server;

/// Whose workers they are.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) pace: Pace,
    /// Whether it can be many workers in one process.
    pub(crate) registers: bool,
    program: Program,
    /// Preloaded, so that TCP_NODELAY is set.
    preload: Option<PathBuf>,
}

/// How fast it is, roughly, so that a round of everybody takes about as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Compiled,
    Interpreted,
    /// Waits 40 ms for each job, for want of TCP_NODELAY.
    Stalled,
}

#[derive(Clone, Debug)]
enum Program {
    Layshaft,
    /// Its arguments are server and port, and then what to do.
    Other(PathBuf),
    Python(PathBuf),
}

impl Peer {
    /// Finds or builds all that can be had, ours first; says of each other one why it is left out.
    pub(crate) fn all() -> Vec<Self> {
        let ours =
            Self { name: "layshaft", pace: Pace::Compiled, registers: true, program: Program::Layshaft, preload: None };
        let shim = programs::nodelay_library();
        let mut peers = vec![ours];
        let mut add = |name, stalls: Option<&'static str>, pace, registers, program: anyhow::Result<Program>| {
            let program = match program {
                Ok(program) => program,
                Err(error) => return say(&format!("{name} is left out: {error:#}")),
            };
            let peer = Self { name, pace, registers, program, preload: None };
            let Some(cured) = stalls else { return peers.push(peer) };
            match &shim {
                Ok(shim) => peers.push(Self { name: cured, preload: Some(shim.clone()), ..peer.clone() }),
                Err(error) => say(&format!("{cured} is left out: {error:#}")),
            }
            peers.push(Self { pace: Pace::Stalled, ..peer });
        };
        let c = programs::c_worker().map(Program::Other);
        add("libgearman", None, Pace::Compiled, true, c);
        let rust = programs::rust_workers();
        let rust_worker = |name: &str| match &rust {
            Ok(folder) => Ok(Program::Other(folder.join(name))),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        add("gearman 0.2", Some("gearman 0.2 +nodelay"), Pace::Compiled, true, rust_worker("gearman_rs"));
        add("rustygear", Some("rustygear +nodelay"), Pace::Compiled, true, rust_worker("rustygear"));
        let gear = programs::python_worker("gear_worker.py", "gear", "gear==0.16.0").map(Program::Python);
        add("gear", Some("gear +nodelay"), Pace::Interpreted, true, gear);
        let pygearman = programs::python_worker("pygearman_worker.py", "gearman", "pygearman==0.2.6");
        add("pygearman", None, Pace::Interpreted, false, pygearman.map(Program::Python));
        peers
    }

    /// Starts a worker that echoes whatever it is sent.
    pub(crate) fn work(&self, server: &Server, function: &str) -> anyhow::Result<Process> {
        let (address, kind, function) = (server.address, server.kind, function.to_owned());
        self.start(address, &["work", &function], || Role::Work { server: address, kind, function: function.clone() })
    }

    /// Starts many workers in one process, each of which registers many functions.
    pub(crate) fn register(&self, server: &Server, workers: usize, functions: usize) -> anyhow::Result<Process> {
        let (address, kind) = (server.address, server.kind);
        let counts = [workers.to_string(), functions.to_string()];
        self.start(address, &["register", &counts[0], &counts[1]], || Role::Register {
            server: address,
            kind,
            workers,
            functions,
        })
    }

    /// Says whether this is the one of a pair that does not stall.
    pub(crate) fn is_cured(&self) -> bool {
        self.preload.is_some()
    }

    fn start(&self, server: SocketAddr, task: &[&str], role: impl Fn() -> Role) -> anyhow::Result<Process> {
        let mut command = match &self.program {
            Program::Layshaft => role().command()?,
            Program::Other(program) => Command::new(program),
            Program::Python(script) => {
                let mut command = Command::new("python3");
                command.arg(script);
                command
            }
        };
        if !matches!(self.program, Program::Layshaft) {
            command.args([server.ip().to_string(), server.port().to_string()]).args(task);
        }
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        Process::spawn(command.stderr(Stdio::null()))
    }
}
