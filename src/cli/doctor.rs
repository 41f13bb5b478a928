mod gather;
mod patches;
mod progress;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::arguments::{ConfigFile, ControlSocket};
use super::{Exit, terminal};
use crate::config::Config;
use crate::doctor::{self, Level, Report, Sent};

use progress::Progress;

/// A file of payloads beyond this is a mistake.
const LONGEST_PAYLOADS: u64 = 64 << 20;

/// Find out what is wrong with a site, and what to do about each of it.
///
/// Asks the controllers, the Gearman servers, the policy folder and a daemon that runs here; starts, stops and changes
/// nothing. Never shows the value of a parameter.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes of this command: 0 without an error (nor, with --strict, a warning); 1 with one; 2 and
more if it could not look. A file of payloads has a function and its payload on each line, such as
  build:lint:linux {\"ZUUL_UUID\": \"…\", \"ZUUL_BRANCH\": \"master\"}
docs/migrating.md tells what each finding means."
)]
pub(super) struct Doctor {
    #[command(flatten)]
    config: ConfigFile,
    /// What clients send, to see what projects would lose of it; may be repeated.
    #[arg(long, value_name = "FILE")]
    payload: Vec<PathBuf>,
    /// Print Jenkins Job Builder macros that declare what is missing, and the findings in brief beside them.
    #[arg(long, conflicts_with_all = ["json", "config_xml"])]
    jjb: bool,
    /// Write a patch of the config.xml of each project that should declare more into this folder.
    #[arg(long, value_name = "DIR")]
    config_xml: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    /// Take warnings as errors, for the exit code.
    #[arg(long)]
    strict: bool,
    /// How long to look at one controller or server; each request is bounded by its `request_timeout` too.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    socket: ControlSocket,
}

/// What kept the command from looking, or from writing what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}: {reason}", file.display())]
pub(super) struct Failure {
    pub(super) action: &'static str,
    pub(super) file: PathBuf,
    pub(super) reason: String,
}

impl Doctor {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.path())?;
        let sent = sent(&self.payload)?;
        let progress = Progress::default();
        let seeing = async {
            let gathered = gather::gather(&config, sent, &self.socket, self.timeout, &progress).await;
            let written = match &self.config_xml {
                Some(folder) => patches::write(folder, &gathered, &progress).await?,
                None => Vec::new(),
            };
            anyhow::Ok((gathered, written))
        };
        let (gathered, written) = tokio::select! {
            seen = seeing => seen?,
            never = progress.tell() => match never {},
        };
        let report = doctor::examine(&gathered.facts);
        if self.jjb {
            terminal::say(doctor::jjb::macros(&doctor::missing(&gathered.facts)).trim_end())?;
            terminal::complain(&text::summary(&report));
        } else if self.json {
            terminal::say_json(&report)?;
        } else {
            terminal::say(text::render(&report).trim_end())?;
        }
        for line in written {
            terminal::complain(&line);
        }
        Ok(self.exit(&report))
    }

    fn exit(&self, report: &Report) -> Exit {
        let is_bad = report.count(Level::Error) > 0 || (self.strict && report.count(Level::Warning) > 0);
        if is_bad { Exit::Failed } else { Exit::Ok }
    }
}

fn sent(files: &[PathBuf]) -> Result<Vec<Sent>, Failure> {
    let mut texts = String::new();
    for file in files {
        let text = read(file)?;
        doctor::read_payloads(&text).map_err(|error| failure(file, error.to_string()))?;
        texts.push_str(&text);
        texts.push('\n');
    }
    // Together they may have more than is read of one.
    doctor::read_payloads(&texts).map_err(|error| failure(Path::new("the payloads together"), error.to_string()))
}

fn read(file: &Path) -> Result<String, Failure> {
    let read = || {
        let length = std::fs::metadata(file)?.len();
        if length > LONGEST_PAYLOADS {
            return Err(std::io::Error::other(format!("it has {length} bytes, more than {LONGEST_PAYLOADS}")));
        }
        std::fs::read_to_string(file)
    };
    read().map_err(|error| failure(file, error.to_string()))
}

fn failure(file: &Path, reason: String) -> Failure {
    Failure { action: "read", file: file.to_owned(), reason }
}
