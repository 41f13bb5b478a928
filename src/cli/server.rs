use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::interrupts::Interrupts;
use super::{Exit, detach, log};
use crate::config::LogFormat;
use crate::gearman::server;
use crate::gearman::tls::{Acceptor, AcceptorSettings};

/// Run a Gearman server, for trials and for sites too small for gearmand.
///
/// It behaves as gearmand does and takes its flags, but for `--user` and the queues of other databases. Unless it is told
/// to keep them, background jobs are gone when it ends. It holds as many connections as its limit of open files lets it.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// The port to listen on; 0 picks a free one.
    #[arg(long, short, default_value_t = 4730)]
    port: u16,
    /// The address to listen on. The protocol knows no passwords: whoever reaches the port can submit jobs.
    #[arg(long, short = 'L', value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: String,
    /// How many connections may wait to be accepted.
    #[arg(long, short, value_name = "N", default_value_t = 1024)]
    backlog: u32,
    /// How often a job may lose its worker, or take too long, before it fails; 0 is without limit.
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    job_retries: u32,
    /// What handles begin with [default: H: and the name of this machine].
    #[arg(long, value_name = "PREFIX")]
    job_handle_prefix: Option<String>,
    /// Let the functions of a worker take turns; else its oldest job comes first.
    #[arg(long, short = 'R')]
    round_robin: bool,
    /// How many sleeping workers a job wakes; 0 is all.
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    worker_wakeup: usize,
    /// Send exceptions to clients that have not asked for them too.
    #[arg(long)]
    exceptions: bool,
    #[command(flatten)]
    storage: Storage,
    /// Where to log: `stderr`, `none` or a file [default: stderr, and none in the background]. SIGHUP opens the file again,
    /// and is ignored without one.
    #[arg(long, short = 'l', value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// How much to log, and what the command `verbose` answers; LAYSHAFT_LOG outweighs it.
    #[arg(long, value_name = "LEVEL", default_value = "INFO", ignore_case = true)]
    verbose: Verbosity,
    /// Write the process id to this file, and remove it at the end.
    #[arg(long, short = 'P', value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Go to the background as soon as the port is open.
    #[arg(long, short)]
    daemon: bool,
    /// Speak TLS, and show this certificate.
    #[arg(long, alias = "ssl-certificate", value_name = "FILE", requires = "tls_key", help_heading = "TLS")]
    tls_certificate: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, alias = "ssl-key", value_name = "FILE", requires = "tls_certificate", help_heading = "TLS")]
    tls_key: Option<PathBuf>,
    /// Refuse every peer without a certificate of the authority in this PEM file.
    #[arg(long, alias = "ssl-ca-file", value_name = "FILE", requires = "tls_certificate", help_heading = "TLS")]
    tls_client_ca: Option<PathBuf>,
    /// As gearmand has it: TLS is spoken as soon as there is a certificate.
    #[arg(long, hide = true, requires = "tls_certificate")]
    ssl: bool,
    #[command(flatten)]
    meaningless: Meaningless,
}

#[derive(Debug, clap::Args)]
struct StorageArguments {
    /// Keep background jobs in this file: a submission is answered when its job is on the disk, and jobs that have not
    /// ended are there again after a restart or a crash.
    #[arg(long, alias = "libsqlite3-db", value_name = "FILE")]
    persist: Option<PathBuf>,
    /// Where background jobs are queued: `builtin` is the memory, `libsqlite3` the file of `--persist`.
    #[arg(long, short, value_name = "TYPE", requires_if("libsqlite3", "persist"))]
    queue_type: Option<Queue>,
}

/// Where background jobs are: arguments that do not contradict each other.
#[derive(Debug)]
struct Storage {
    persist: Option<PathBuf>,
}

/// What scripts written for gearmand may say.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Accepted from scripts for gearmand, and without meaning here")]
struct Meaningless {
    /// One thread serves all connections.
    #[arg(long, short, value_name = "N")]
    threads: Option<u32>,
    /// The limit of open files is the shell's or the unit's to set.
    #[arg(long, short, value_name = "N")]
    file_descriptors: Option<u32>,
    /// The index of jobs grows by itself.
    #[arg(long, value_name = "N")]
    hashtable_buckets: Option<u64>,
    /// Dead peers are looked for on every connection.
    #[arg(long)]
    keepalive: bool,
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, hide = true)]
    keepalive_idle: Option<i64>,
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, hide = true)]
    keepalive_interval: Option<i64>,
    #[arg(long, value_name = "N", allow_negative_numbers = true, hide = true)]
    keepalive_count: Option<i64>,
    #[arg(long, hide = true)]
    coredump: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Queue {
    Builtin,
    Libsqlite3,
}

/// gearmand's levels.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
enum Verbosity {
    Fatal,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Verbosity {
    fn filter(self) -> &'static str {
        match self {
            Self::Fatal | Self::Alert | Self::Critical | Self::Error => "error",
            Self::Warning => "warn",
            Self::Notice | Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl FromArgMatches for Storage {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let StorageArguments { persist, queue_type } = StorageArguments::from_arg_matches(matches)?;
        if persist.is_some() && queue_type == Some(Queue::Builtin) {
            let text = "the queue `builtin` keeps nothing, so it cannot be used with --persist; leave one of them out";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
        }
        Ok(Self { persist })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Storage {
    fn augment_args(command: clap::Command) -> clap::Command {
        StorageArguments::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        StorageArguments::augment_args_for_update(command)
    }
}

impl Server {
    pub(super) async fn run(&self, log: Option<&str>) -> anyhow::Result<Exit> {
        if self.daemon && !detach::is_detached() {
            return detach::run_again();
        }
        let log_file = self.log_file()?;
        let target = match &log_file {
            Some(file) => log::Target::File(Arc::clone(file)),
            None => self.log_stream(),
        };
        log::start_in(target, log, self.verbose.filter(), LogFormat::Auto)?;
        let mut hangup = signal(SignalKind::hangup())?;
        let server = server::Server::bind(&self.address(), self.config()?).await?;
        info!(address = %server.local_addr(), "gearman server is listening");
        let _pid_file = self.pid_file.as_deref().map(PidFile::write).transpose()?;
        let mut interrupts = Interrupts::catch()?;
        if self.daemon {
            detach::say_ready();
        }
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(stop.clone()));
        loop {
            tokio::select! {
                () = interrupts.next() => break,
                _ = hangup.recv() => {
                    let Some(file) = &log_file else { continue };
                    match file.reopen() {
                        Ok(()) => info!("the log was opened again"),
                        Err(error) => error!("the log goes on where it was: {error:#}"),
                    }
                }
            }
        }
        match &self.storage.persist {
            Some(file) => info!(file = %file.display(), "gearman server is ending; background jobs are kept"),
            None => info!("gearman server is ending; what waits in its queue is gone"),
        }
        stop.cancel();
        serving.await?;
        Ok(Exit::Ok)
    }

    fn address(&self) -> String {
        let Self { listen, port, .. } = self;
        if listen.parse::<Ipv6Addr>().is_ok() { format!("[{listen}]:{port}") } else { format!("{listen}:{port}") }
    }

    fn config(&self) -> anyhow::Result<server::Config> {
        let defaults = server::Config::default();
        Ok(server::Config {
            handle_prefix: self.job_handle_prefix.clone().unwrap_or(defaults.handle_prefix),
            verbosity: format!("{:?}", self.verbose).to_uppercase(),
            job_retries: (self.job_retries > 0).then_some(self.job_retries),
            round_robin: self.round_robin,
            wake_at_most: (self.worker_wakeup > 0).then_some(self.worker_wakeup),
            exceptions: self.exceptions,
            persist: self.storage.persist.clone(),
            backlog: self.backlog,
            tls: self.tls()?,
            ..defaults
        })
    }

    fn log_file(&self) -> anyhow::Result<Option<Arc<log::LogFile>>> {
        let file = self.log_file.as_deref().filter(|file| *file != Path::new("stderr") && *file != Path::new("none"));
        Ok(file.map(log::LogFile::open).transpose()?.map(Arc::new))
    }

    /// Returns where to log if not to a file.
    fn log_stream(&self) -> log::Target {
        let is_silent = self.log_file.as_deref().map_or(self.daemon, |file| file == Path::new("none"));
        if is_silent { log::Target::None } else { log::Target::StandardError }
    }

    fn tls(&self) -> anyhow::Result<Option<Acceptor>> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let settings = AcceptorSettings {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: self.tls_client_ca.clone(),
        };
        Ok(Some(Acceptor::load(&settings)?))
    }
}

/// A file that says which process this is, for as long as it is.
struct PidFile<'a>(&'a Path);

impl<'a> PidFile<'a> {
    fn write(path: &'a Path) -> anyhow::Result<Self> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .with_context(|| format!("failed to write the process id to {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for PidFile<'_> {
    fn drop(&mut self) {
        // Another server may have written its own since.
        let is_ours = std::fs::read_to_string(self.0).is_ok_and(|text| text.trim() == std::process::id().to_string());
        if is_ours {
            let _gone_already = std::fs::remove_file(self.0);
        }
    }
}
