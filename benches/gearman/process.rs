//! The processes that are measured: servers and workers. Each is killed when it is dropped.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use layshaft::gearman::worker::{Config, Event, Report, Worker};
use tokio::time::Instant;

use super::FUNCTION;

/// The argument that makes this very program a worker.
const WORK: &str = "--work-for";

/// As the daemon has it where the server answers it.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How long a server may take to come up; geard is a Python program.
const START_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    Gearmand,
    Geard,
}

/// Whose worker it is.
#[derive(Debug)]
pub(crate) enum Peer {
    Layshaft,
    Libgearman(PathBuf),
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

#[derive(Debug)]
pub(crate) struct Process(Child);

/// What a worker of ours is told.
#[derive(Debug)]
pub(crate) struct Order {
    server: String,
    heartbeat: Option<Duration>,
}

impl ServerKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gearmand => "gearmand",
            Self::Geard => "geard",
        }
    }

    /// Starts a server on a free port of loopback.
    pub(crate) fn start(self) -> anyhow::Result<Server> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let port = address.port().to_string();
        let mut command = Command::new(self.name());
        match self {
            Self::Gearmand => command.args(["--listen", "127.0.0.1", "--port", &port, "--log-file", "stderr"]),
            Self::Geard => command.args(["-d", "--listen-address", "127.0.0.1", "-p", &port]),
        };
        let process = Process::spawn(command.stderr(Stdio::null())).with_context(|| {
            format!("{} has to be installed (gearmand: apt-get install gearman-job-server)", self.name())
        })?;
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(started.elapsed() < START_PATIENCE, "{} does not listen after {START_PATIENCE:?}", self.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Server { address, process })
    }
}

impl Peer {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Layshaft => "layshaft",
            Self::Libgearman(_) => "libgearman",
        }
    }

    /// Starts a worker that echoes whatever it is sent.
    pub(crate) fn start(&self, kind: ServerKind, server: SocketAddr) -> anyhow::Result<Process> {
        let mut command = match self {
            Self::Layshaft => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args([WORK, &server.to_string(), kind.name()]);
                command
            }
            Self::Libgearman(program) => {
                let mut command = Command::new(program);
                command.args([&server.ip().to_string(), &server.port().to_string(), FUNCTION]);
                command
            }
        };
        Process::spawn(&mut command)
    }
}

impl Process {
    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("failed to start {}", command.get_program().display()))
    }

    /// Returns the processor time of all its threads so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let statistics = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu: u64 = statistics.split(' ').next().unwrap_or_default().parse()?;
            total += on_cpu;
        }
        Ok(Duration::from_nanos(total))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Returns what to do if this process was started to be a worker.
pub(crate) fn order_to_work() -> Option<Order> {
    let mut arguments = std::env::args().skip_while(|argument| argument != WORK).skip(1);
    let server = arguments.next()?;
    let kind = arguments.next()?;
    Some(Order { server, heartbeat: (kind == ServerKind::Gearmand.name()).then_some(HEARTBEAT) })
}

/// Is a worker of ours, on the runtime that the daemon has, until it is killed.
pub(crate) fn work(order: Order) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let echoing = runtime.spawn(async move {
        let mut config = Config::new(order.server, "bench-worker");
        config.heartbeat = order.heartbeat;
        let mut worker = Worker::new(config);
        worker.offer(BTreeSet::from([Bytes::from_static(FUNCTION.as_bytes())]));
        worker.grant();
        loop {
            if let Event::Assigned(job) = worker.event().await {
                worker.report(Report::Complete(job.payload));
            }
        }
    });
    runtime.block_on(echoing)?
}

/// Compiles the worker that is written in C.
pub(crate) fn compile_c_worker() -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/c_worker.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_worker");
    let install = "apt-get install gcc libgearman-dev";
    let output = Command::new("gcc")
        .args(["-O2", "-o"])
        .args([&program, &source])
        .arg("-lgearman")
        .output()
        .with_context(|| format!("gcc cannot be started: {install}"))?;
    if !output.status.success() {
        bail!("gcc failed ({install}): {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(program)
}

pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
