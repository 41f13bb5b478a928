//! Real Gearman servers, started on a free port of loopback.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;

use layshaft::gearman::Endpoint;
use layshaft::gearman::admin::{self, Admin, FunctionStatus, WorkerLine};
use layshaft::gearman::client::{self, Client, Submission, Submitted, Update};
use layshaft::gearman::tls::Tls;
use tempfile::NamedTempFile;
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};

use super::{CLIENT, Pki, eventually, within};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gearmand,
    /// Wakes one sleeper per job instead of all.
    GearmandWakingOne,
    Geard,
    /// The embedded one, as a program.
    Layshaft,
}

/// A server; it is killed when this is dropped.
pub(crate) struct GearmanServer {
    pub(crate) kind: Kind,
    pub(crate) address: String,
    /// How it is reached, for those that speak TLS.
    tls: Option<Pki>,
    process: Child,
    /// What speaks TLS for it, if it cannot.
    _terminator: Option<Child>,
    /// What it wrote to its standard error.
    log: NamedTempFile,
    /// Its port while it is down: the kernel gives what nobody holds to the next test that asks for one.
    held: Option<TcpSocket>,
}

impl GearmanServer {
    pub(crate) async fn start(kind: Kind) -> Self {
        let port = free_port();
        let log = NamedTempFile::new().unwrap();
        let process = spawn(kind, port, &log);
        let address = format!("127.0.0.1:{port}");
        let mut server = Self { kind, address, tls: None, process, _terminator: None, log, held: None };
        server.wait_until_up().await;
        server
    }

    /// Starts a server that speaks TLS and wants certificates: geard itself, and gearmand behind stunnel, since Debian's
    /// takes `--ssl` and speaks without.
    pub(crate) async fn start_with_tls(kind: Kind, pki: &Pki) -> Self {
        let (port, log) = (free_port(), NamedTempFile::new().unwrap());
        let address = format!("127.0.0.1:{port}");
        let (process, terminator) = match kind {
            Kind::Geard => (spawn_geard_with_tls(port, pki, &log), None),
            Kind::Gearmand | Kind::GearmandWakingOne | Kind::Layshaft => {
                let inner = free_port();
                (spawn(kind, inner, &log), Some(spawn_stunnel(port, inner, pki, &log)))
            }
        };
        let mut server =
            Self { kind, address, tls: Some(pki.clone()), process, _terminator: terminator, log, held: None };
        server.wait_until_up().await;
        server
    }

    /// Returns how a client with a certificate reaches it.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let tls = self.tls.as_ref().map(|pki| Tls::load(&pki.settings()).unwrap());
        Endpoint { address: self.address.as_str().into(), tls }
    }

    async fn wait_until_up(&mut self) {
        eventually("the gearman server answers", || async {
            match Admin::connect(&self.endpoint(), admin::Config::default()).await {
                Ok(mut admin) => admin.status().await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
        assert!(self.process.try_wait().unwrap().is_none(), "the gearman server ended at once; is the port taken?");
    }

    /// Kills the server. Whoever connects is refused until it is started again.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
        self.held.get_or_insert_with(|| hold(self.address.parse().unwrap()));
    }

    /// Kills the server, if it still runs, and starts another one in its place.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        let port = self.address.rsplit(':').next().unwrap().parse().unwrap();
        self.held = None;
        self.process = spawn(self.kind, port, &self.log);
        self.wait_until_up().await;
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    pub(crate) async fn admin(&self) -> Admin {
        Admin::connect(&self.endpoint(), admin::Config::default()).await.unwrap()
    }

    pub(crate) async fn workers(&self) -> Vec<WorkerLine> {
        self.admin().await.workers().await.unwrap()
    }

    /// Returns the client ids of all workers with functions, sorted.
    pub(crate) async fn worker_ids(&self) -> Vec<String> {
        let workers = self.workers().await.into_iter();
        let mut ids: Vec<String> =
            workers.map(|worker| worker.client_id).filter(|id| !id.is_empty() && id != "-").collect();
        ids.sort();
        ids
    }

    /// Returns the functions that a worker offers, sorted.
    pub(crate) async fn functions_of(&self, client_id: &str) -> Vec<String> {
        self.offered_by(client_id).await.unwrap_or_default()
    }

    /// Returns the functions that a worker offers, sorted; none if it is not listed.
    pub(crate) async fn offered_by(&self, client_id: &str) -> Option<Vec<String>> {
        let worker = self.workers().await.into_iter().find(|worker| worker.client_id == client_id)?;
        let mut functions = worker.functions;
        functions.sort();
        Some(functions)
    }

    pub(crate) async fn status(&self) -> Vec<FunctionStatus> {
        self.admin().await.status().await.unwrap()
    }

    /// Returns how many workers offer a function.
    pub(crate) async fn workers_for(&self, function: &str) -> u64 {
        let status = self.status().await;
        status.iter().find(|status| status.function == function).map_or(0, |status| status.workers)
    }

    /// Returns how many jobs of a function wait.
    pub(crate) async fn waiting_jobs_of(&self, function: &str) -> u64 {
        let status = self.status().await;
        status.iter().find(|status| status.function == function).map_or(0, |status| status.queued)
    }

    pub(crate) async fn client(&self) -> Client {
        let client = Client::connect(&self.endpoint(), client::Config::default()).await.unwrap();
        if self.kind != Kind::Geard {
            client.option_exceptions().await.unwrap();
        }
        client
    }

    /// Submits a job in the foreground.
    pub(crate) async fn submit(&self, function: &str, unique: &str, payload: &str) -> Job {
        self.submit_through(&Arc::new(self.client().await), function, unique, payload).await
    }

    /// Submits a job in the foreground over a connection that may carry many.
    pub(crate) async fn submit_through(
        &self,
        client: &Arc<Client>,
        function: &str,
        unique: &str,
        payload: &str,
    ) -> Job {
        let submission = Submission {
            function: function.to_owned().into(),
            unique: unique.to_owned().into(),
            payload: payload.to_owned().into(),
            ..Submission::default()
        };
        let submitted = client.submit(submission).await.unwrap();
        Job { submitted, seen: Vec::new(), _client: Arc::clone(client) }
    }

    /// Submits a job and waits for its end.
    pub(crate) async fn run(&self, function: &str, unique: &str, payload: &str) -> Vec<Update> {
        self.submit(function, unique, payload).await.finish().await
    }
}

/// A job that was submitted, with everything that was heard of it.
pub(crate) struct Job {
    submitted: Submitted,
    seen: Vec<Update>,
    _client: Arc<Client>,
}

impl Job {
    pub(crate) fn handle(&self) -> String {
        String::from_utf8_lossy(self.submitted.handle()).into_owned()
    }

    /// Waits for the next update.
    pub(crate) async fn next(&mut self) -> Update {
        let update = within("an update of the job", self.submitted.next()).await.expect("the job has more to say");
        self.seen.push(update.clone());
        update
    }

    /// Waits for the first data, which says that the build runs.
    pub(crate) async fn started(&mut self) -> serde_json::Value {
        loop {
            if let Update::Data(data) = self.next().await {
                return serde_json::from_slice(&data).unwrap();
            }
        }
    }

    /// Waits for the end, and returns everything that was heard.
    pub(crate) async fn finish(mut self) -> Vec<Update> {
        while !self.seen.last().is_some_and(Update::is_last) {
            self.next().await;
        }
        self.seen
    }
}

/// Returns the JSON of the packet that completed a job.
#[track_caller]
pub(crate) fn completion(updates: &[Update]) -> serde_json::Value {
    match updates.last() {
        Some(Update::Complete(data)) => serde_json::from_slice(data).unwrap(),
        other => panic!("the job was not completed: {other:?}"),
    }
}

/// Returns the text of the exception that ended a job.
#[track_caller]
pub(crate) fn exception(updates: &[Update]) -> String {
    match updates.last() {
        Some(Update::Exception(text)) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("the job did not end in an exception: {other:?}"),
    }
}

fn spawn(kind: Kind, port: u16, log: &NamedTempFile) -> Child {
    let port = port.to_string();
    let command = match kind {
        Kind::Gearmand | Kind::GearmandWakingOne => {
            let mut command = Command::new("gearmand");
            command.args(["--listen", "127.0.0.1", "--port", &port, "--log-file", "stderr"]);
            if kind == Kind::GearmandWakingOne {
                command.args(["-w", "1"]);
            }
            command
        }
        Kind::Layshaft => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
            command.args(["server", "--port", &port]);
            command
        }
        Kind::Geard => {
            let mut command = Command::new("geard");
            command.args(["-d", "--listen-address", "127.0.0.1", "-p", &port]);
            command
        }
    };
    start(command, log)
}

fn spawn_geard_with_tls(port: u16, pki: &Pki, log: &NamedTempFile) -> Child {
    let mut command = Command::new("geard");
    command.args(["-d", "--listen-address", "127.0.0.1", "-p", &port.to_string()]);
    command.arg("--ssl-ca").arg(pki.path("ca.pem"));
    command.arg("--ssl-cert").arg(pki.path("server.pem")).arg("--ssl-key").arg(pki.path("server.key"));
    start(command, log)
}

/// Starts geard's server with an access list by which the certificate of the tests may register what fits a pattern.
///
/// From Python, since a list in a file makes geard 0.16 drop every connection that registers something: it matches
/// patterns of text against names of bytes.
pub(crate) fn spawn_geard_with_access_list(port: u16, pki: &Pki, pattern: &str) -> Child {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/geard_with_access_list.py"));
    command.arg(port.to_string()).args(["server.key", "server.pem", "ca.pem"].map(|file| pki.path(file)));
    command.args([CLIENT, pattern]);
    start(command, &NamedTempFile::new().unwrap())
}

fn spawn_stunnel(port: u16, inner: u16, pki: &Pki, log: &NamedTempFile) -> Child {
    let [ca, certificate, key] =
        ["ca.pem", "server.pem", "server.key"].map(|file| pki.path(file).display().to_string());
    let config = format!(
        "foreground = yes\npid =\n[gearman]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{inner}\ncert = {certificate}\n\
         key = {key}\nCAfile = {ca}\nverifyChain = yes\nrequireCert = yes\nTIMEOUTclose = 0\n"
    );
    let file = pki.path(&format!("stunnel-{port}.conf"));
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("stunnel");
    command.arg(file);
    start(command, log)
}

fn start(mut command: Command, log: &NamedTempFile) -> Child {
    let log = std::fs::File::options().append(true).open(log.path()).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("{command:?} cannot be started ({error}); `tests/run` installs what the tests need"),
    }
}

/// Keeps a port without listening there.
fn hold(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    // Connections of whoever had it before may still be closing.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Asks the kernel for a port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
