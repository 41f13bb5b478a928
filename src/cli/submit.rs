mod event;
mod progress;
mod screen;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use self::event::Build;
pub(super) use self::event::Event;
use self::screen::{REFRESH, Screen};
use super::arguments::JobServer;
use super::interrupts::Interrupts;
use super::{Exit, manage, terminal};
use crate::domain::{Function, FunctionName};
use crate::gearman::client::{self, Epoch, InDoubt, Submission, Submitted};
use crate::gearman::{Endpoint, Priority, admin};

/// The longest payload that any server takes from us.
const LONGEST_PAYLOAD: u64 = 64 << 20;

/// How often a background job is asked after.
const PAUSE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "Examples:
  layshaft submit build:lint --param CHANGE=1,2
  layshaft submit build:lint --background --in 30m
  layshaft submit build:lint --server gear1,gear2:4731 --cancel-on-interrupt

Ctrl-C ends the waiting only: a build that runs goes on, and what ends it is told. A job that has not started is dropped
by the server, since nobody waits for it any more.";

/// Submit a job, and wait for its build.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Submit {
    /// The function, such as build:PROJECT or build:PROJECT:LABEL.
    #[arg(value_parser = function)]
    function: FunctionName,
    /// A build parameter; may be given several times.
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Send this file as it is instead of parameters; - reads the standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "parameters")]
    payload_file: Option<PathBuf>,
    /// The job's unique id, which also ties the build to the job [default: a random one].
    #[arg(long, value_name = "ID")]
    unique: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    priority: Precedence,
    /// Do not wait: the job goes on without anybody.
    #[arg(long)]
    background: bool,
    /// Not before this time, such as 2030-01-31T18:00:00Z; always in the background. gearmand 1.1.20 wakes no worker for
    /// it, and geard does not know such jobs.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "priority")]
    at: Option<Epoch>,
    /// Not before so much time has passed, such as 90s or 2h; otherwise as --at.
    #[arg(long = "in", value_name = "DURATION", value_parser = time_in, conflicts_with_all = ["at", "priority"])]
    after: Option<Epoch>,
    /// Wait for the end, which is the default; with --background, ask after the job until it is gone. Its result is
    /// then not known here.
    #[arg(long)]
    wait: bool,
    /// On Ctrl-C or SIGTERM, stop the build, or cancel the job if no build of it has started.
    #[arg(long, conflicts_with_all = ["background", "at", "after"])]
    cancel_on_interrupt: bool,
    /// If a server does not say whether it has accepted the job, submit it to the next one as well. It may then run
    /// twice: servers know nothing of each other's jobs.
    #[arg(long)]
    retry_in_doubt: bool,
    /// How long the server may take to accept the job.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "30s")]
    accept_within: Duration,
    /// Print one JSON object per event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: JobServer,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Precedence {
    High,
    #[default]
    Normal,
    Low,
}

/// A job that is waited for, and what is known of it.
struct Watch {
    job: Submitted,
    screen: Screen,
    /// Known from when its worker has told of it.
    build: Option<Build>,
}

impl Submit {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let payload = self.payload()?;
        let unique = self.unique.clone().unwrap_or_else(random_unique);
        let endpoints = self.server.endpoints()?;
        let (mut servers, client) = manage::connect(endpoints.clone(), self.accept_within).await?;
        self.warn_if_nobody_offers(client.server()).await;
        let at = self.at.or(self.after);
        let background = self.background || at.is_some();
        let submission = Submission {
            function: Bytes::from(self.function.to_string()),
            unique: Bytes::from(unique.clone()),
            payload,
            priority: self.priority.into(),
            background,
            at,
            reducer: None,
        };
        let in_doubt = if self.retry_in_doubt { InDoubt::TryNext } else { InDoubt::GiveUp };
        let job = servers.submit(submission, in_doubt).await.map_err(|error| self.advise(error))?;
        let is_build = matches!(self.function.function(), Some(Function::Build(_)));
        let mut screen = Screen::new(self.json, is_build);
        // Before anybody hears of the job: an interrupt that follows is one of the waiting.
        let interrupts = Interrupts::catch().context("failed to catch signals")?;
        let (handle, server) = (shown(job.handle()), job.client().server().to_string());
        screen.tell(Event::Submitted { handle, unique, server })?;
        if background && !self.wait {
            return Ok(Exit::Ok);
        }
        let watch = Watch { job, screen, build: None };
        if background { watch.until_gone(interrupts).await } else { self.follow(watch, interrupts, &endpoints).await }
    }

    async fn follow(&self, mut watch: Watch, mut interrupts: Interrupts, servers: &[Endpoint]) -> anyhow::Result<Exit> {
        let mut refresh = tokio::time::interval(REFRESH);
        let mut missed = 0;
        let mut is_stopping = false;
        loop {
            let update = tokio::select! {
                update = watch.job.next() => update,
                _ = refresh.tick(), if watch.screen.is_live() => {
                    watch.screen.refresh();
                    continue;
                }
                () = interrupts.next() => {
                    if self.cancel_on_interrupt && !is_stopping {
                        is_stopping = true;
                        match watch.end(servers).await? {
                            Some(exit) => return Ok(exit),
                            None => continue,
                        }
                    }
                    return watch.leave().await;
                }
            };
            if watch.job.missed() > missed {
                watch.screen.tell(Event::Missed { updates: watch.job.missed() - missed })?;
                missed = watch.job.missed();
            }
            let event = update.map_or(Event::ServerLost, Event::from);
            if let Event::Data { data, .. } = &event
                && let Some(build) = Build::started(data)
            {
                watch.build = Some(build);
            }
            let exit = event.exit();
            watch.screen.tell(event)?;
            if let Some(exit) = exit {
                return Ok(exit);
            }
        }
    }

    fn payload(&self) -> anyhow::Result<Bytes> {
        if let Some(file) = &self.payload_file {
            return read(file).with_context(|| format!("failed to read the payload from {}", file.display()));
        }
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Ok(Bytes::from(Value::Object(parameters).to_string()))
    }

    /// A job that nobody offers waits for ever without a word; so here is one.
    async fn warn_if_nobody_offers(&self, server: &Endpoint) {
        if manage::is_offered(server, self.function.as_str()).await == Some(false) {
            let function = &self.function;
            terminal::complain(&format!("nobody offers {function} now; the job waits (see `layshaft queue`)"));
        }
    }

    fn advise(&self, error: client::Error) -> anyhow::Error {
        let is_in_doubt = matches!(error, client::Error::Unconfirmed { .. });
        let error = anyhow::Error::new(error);
        if is_in_doubt && self.server.has_several() && !self.retry_in_doubt {
            error.context("not submitted to another server, where it could run a second time (--retry-in-doubt does)")
        } else {
            error
        }
    }
}

impl Watch {
    /// Asks after a job of which the server tells nothing by itself.
    async fn until_gone(mut self, mut interrupts: Interrupts) -> anyhow::Result<Exit> {
        let mut told = (0, 0);
        loop {
            let status = self.job.client().job_status(self.job.handle()).await?;
            if !status.known {
                self.screen.tell(Event::Gone)?;
                return Ok(Exit::Ok);
            }
            let progress = (status.numerator, status.denominator);
            if progress != told {
                told = progress;
                let (numerator, denominator) = progress;
                self.screen.tell(Event::Progress { numerator, denominator, seconds_left: None })?;
            }
            self.screen.refresh();
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = interrupts.next() => {
                    let handle = shown(self.job.handle());
                    let to_end_it = Some(self.cancel_command());
                    self.screen.tell(Event::Interrupted { handle, is_running: true, to_end_it })?;
                    return Ok(Exit::Interrupted);
                }
            }
        }
    }

    /// Ends the waiting, and says what goes on.
    async fn leave(mut self) -> anyhow::Result<Exit> {
        let handle = shown(self.job.handle());
        // A server that does not say may let it run.
        let status = self.job.client().job_status(self.job.handle()).await;
        let is_running = status.map_or(true, |status| status.running);
        let to_end_it = is_running.then(|| self.stop_command().unwrap_or_else(|| self.cancel_command()));
        self.screen.tell(Event::Interrupted { handle, is_running, to_end_it })?;
        Ok(Exit::Interrupted)
    }

    /// Ends what was submitted. Returns none if the end of it is still to be waited for.
    async fn end(&mut self, servers: &[Endpoint]) -> anyhow::Result<Option<Exit>> {
        if let Some(Build { name, number, manager: Some(host), .. }) = &self.build {
            self.screen.clear();
            terminal::complain(&format!("stopping {name} #{number}"));
            let payload = json!({ "name": name, "number": number });
            let stopped = manage::ask(servers, &FunctionName::stop(host)?, &payload).await;
            if let Err(error) = stopped {
                terminal::complain(&format!("failed to stop {name} #{number}: {error:#}"));
            }
            return Ok(None);
        }
        // A server that was restarted may have given the handle to another job. What follows tells of the loss.
        if self.job.client().is_lost() {
            return Ok(None);
        }
        match self.job.client().cancel(self.job.handle()).await {
            Ok(()) => {
                self.screen.tell(Event::Cancelled { handle: shown(self.job.handle()) })?;
                Ok(Some(Exit::Interrupted))
            }
            // It has ended, and its last word is on its way; or this is geard, where what runs cannot be cancelled.
            Err(error @ admin::Error::Refused { .. }) => {
                self.screen.clear();
                terminal::complain(&format!("failed to cancel the job: {error}"));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn stop_command(&self) -> Option<String> {
        let Build { name, number, manager, .. } = self.build.as_ref()?;
        let (name, host) = (quoted(name), quoted(manager.as_ref()?));
        Some(format!("layshaft stop {name} {number} --host {host} --server {}", self.job.client().server()))
    }

    fn cancel_command(&self) -> String {
        format!("layshaft cancel {} --server {}", quoted(&shown(self.job.handle())), self.job.client().server())
    }
}

impl From<Precedence> for Priority {
    fn from(precedence: Precedence) -> Self {
        match precedence {
            Precedence::High => Self::High,
            Precedence::Normal => Self::Normal,
            Precedence::Low => Self::Low,
        }
    }
}

fn shown(handle: &Bytes) -> String {
    String::from_utf8_lossy(handle).into_owned()
}

/// Returns a word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn function(text: &str) -> Result<FunctionName, String> {
    if text.trim() != text {
        return Err("it begins or ends with white space".to_owned());
    }
    FunctionName::new(text).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<Epoch, String> {
    match humantime::parse_rfc3339_weak(text) {
        Ok(time) => Ok(Epoch::from(time)),
        Err(_) => Err("write it in UTC, as 2030-01-31T18:00:00Z".to_owned()),
    }
}

fn time_in(text: &str) -> Result<Epoch, String> {
    let wait = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    Epoch::after(SystemTime::now(), wait).ok_or_else(|| "that is too long".to_owned())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn random_unique() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn read(file: &Path) -> anyhow::Result<Bytes> {
    let mut payload = Vec::new();
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(std::io::stdin().lock()) } else { Box::new(std::fs::File::open(file)?) };
    source.take(LONGEST_PAYLOAD + 1).read_to_end(&mut payload)?;
    if payload.len() as u64 > LONGEST_PAYLOAD {
        bail!("it is longer than {LONGEST_PAYLOAD} bytes");
    }
    Ok(payload.into())
}
