use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use comfy_table::Table;
use serde::Serialize;

use super::arguments::JobServer;
use super::status::columns;
use super::{Exit, terminal};
use crate::gearman::Endpoint;
use crate::gearman::admin::{self, Admin, FunctionStatus, JobLine, PriorityStatus};

/// geard is silent about what it does not know; whoever knows it answers at once.
const PATIENCE: Duration = Duration::from_secs(2);

const NOTES: &str = "Examples:
  layshaft queue
  layshaft queue build:lint --jobs --server gear1 --server gear2

geard tells neither priorities, nor jobs, nor its version; they are shown as `?`, and as null in JSON. gearmand
counts a cancelled job as waiting until a worker looks at the queue.";

/// Show what waits and runs on Gearman servers, and who is there to do it.
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Queue {
    /// Only these functions.
    functions: Vec<String>,
    /// List the jobs too, with the handles that `layshaft cancel` takes; of all functions, since no server tells which
    /// one a job is for.
    #[arg(long)]
    jobs: bool,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: JobServer,
}

/// What one server tells.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    server: String,
    /// None: it does not say.
    version: Option<String>,
    functions: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Jobs>,
    /// Why nothing is known of this server.
    error: Option<String>,
}

/// The jobs of a server; none if it does not list them.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Jobs(Option<Vec<Job>>);

#[derive(Debug, Serialize)]
pub(super) struct Row {
    function: String,
    waiting: u64,
    /// None: the server does not say.
    waiting_by_priority: Option<ByPriority>,
    running: u64,
    workers: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ByPriority {
    high: u64,
    normal: u64,
    low: u64,
}

#[derive(Debug, Serialize)]
struct Job {
    handle: String,
    retries: u64,
    background: bool,
    /// Cancelled, or its clients have gone.
    ignored: bool,
}

impl Queue {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let mut pictures = Vec::new();
        let mut exit = Exit::Ok;
        for server in self.server.endpoints()? {
            let picture = match self.ask(&server).await {
                Ok(picture) => picture,
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    exit = Exit::of(&error);
                    Picture::missing(&server, &error)
                }
            };
            pictures.push(picture);
        }
        if self.json {
            terminal::say_json(&pictures)?;
            return Ok(exit);
        }
        for picture in &pictures {
            match &picture.error {
                Some(error) => terminal::complain(&format!("layshaft: {error}")),
                None => terminal::say(terminal::harmless(render(picture).trim_end()))?,
            }
        }
        Ok(exit)
    }

    async fn ask(&self, server: &Endpoint) -> Result<Picture, admin::Error> {
        let patient = admin::Config::default();
        let brief = admin::Config { reply_timeout: PATIENCE, ..patient.clone() };
        // Each on a connection of its own: one that was left unanswered is of no use any more.
        let ask = |config: &admin::Config| Admin::connect(server, config.clone());
        let status = async { ask(&patient).await?.status().await };
        let priorities = async { optional(ask(&brief).await?.priority_status().await) };
        let version = async { optional(ask(&brief).await?.version().await) };
        let jobs = async {
            match self.jobs {
                true => optional(ask(&brief).await?.show_jobs().await).map(|lines| Some(Jobs::from(lines))),
                false => Ok(None),
            }
        };
        let (status, priorities, version, jobs) = tokio::try_join!(status, priorities, version, jobs)?;
        let is_asked = |row: &Row| self.functions.is_empty() || self.functions.contains(&row.function);
        let functions = rows(status, priorities).into_iter().filter(is_asked).collect();
        Ok(Picture { server: server.to_string(), version, functions, jobs, error: None })
    }
}

impl Picture {
    fn missing(server: &Endpoint, error: &anyhow::Error) -> Self {
        let (server, error) = (server.to_string(), Some(format!("{error:#}")));
        Self { server, version: None, functions: Vec::new(), jobs: None, error }
    }
}

impl From<Option<Vec<JobLine>>> for Jobs {
    fn from(lines: Option<Vec<JobLine>>) -> Self {
        let job = |JobLine { handle, retries, ignored, background }| Job { handle, retries, background, ignored };
        Self(lines.map(|lines| lines.into_iter().map(job).collect()))
    }
}

/// Makes no answer of a server that does not know the question.
fn optional<T>(answer: Result<T, admin::Error>) -> Result<Option<T>, admin::Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(admin::Error::NoAnswer { .. } | admin::Error::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts both lists together. A server changes between two answers, so that a function can be in one only.
pub(super) fn rows(status: Vec<FunctionStatus>, priorities: Option<Vec<PriorityStatus>>) -> Vec<Row> {
    let by_name: Option<BTreeMap<String, ByPriority>> = priorities.map(|lines| {
        let entry = |PriorityStatus { function, high, normal, low, .. }| (function, ByPriority { high, normal, low });
        lines.into_iter().map(entry).collect()
    });
    let nothing = ByPriority { high: 0, normal: 0, low: 0 };
    let row = |FunctionStatus { function, queued, running, workers }| Row {
        waiting: queued.saturating_sub(running),
        waiting_by_priority: by_name.as_ref().map(|by_name| by_name.get(&function).copied().unwrap_or(nothing)),
        function,
        running,
        workers,
    };
    let mut rows: Vec<Row> = status.into_iter().map(row).collect();
    rows.sort_by(|one, other| one.function.cmp(&other.function));
    rows
}

pub(super) fn render(picture: &Picture) -> String {
    let Picture { server, version, functions, jobs, .. } = picture;
    let mut text = match version {
        Some(version) => format!("gearman {server} (version {version})\n"),
        None => format!("gearman {server} (does not tell its version)\n"),
    };
    let mut table = columns(["FUNCTION", "WAITING", "HIGH", "NORMAL", "LOW", "RUNNING", "WORKERS"]);
    for row in functions {
        let [high, normal, low] = match row.waiting_by_priority {
            Some(ByPriority { high, normal, low }) => [high, normal, low].map(|number| number.to_string()),
            None => ["?", "?", "?"].map(str::to_owned),
        };
        let [waiting, running, workers] = [row.waiting, row.running, row.workers].map(|number| number.to_string());
        table.add_row([row.function.clone(), waiting, high, normal, low, running, workers]);
    }
    add(&mut text, &table, "no functions");
    match jobs {
        None => {}
        Some(Jobs(None)) => text.push_str("\nthis server does not list jobs\n"),
        Some(Jobs(Some(jobs))) => {
            let mut table = columns(["JOB", "RETRIES", "BACKGROUND", "STATE"]);
            for job in jobs {
                let background = if job.background { "yes" } else { "no" };
                let state = if job.ignored { "nobody waits for it" } else { "" };
                let (retries, state) = (job.retries.to_string(), state.to_owned());
                table.add_row([job.handle.clone(), retries, background.to_owned(), state]);
            }
            text.push('\n');
            add(&mut text, &table, "no jobs");
        }
    }
    text
}

fn add(text: &mut String, table: &Table, nothing: &str) {
    // Writing to a String cannot fail.
    let _infallible = if table.is_empty() { writeln!(text, "{nothing}") } else { writeln!(text, "{table}") };
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn both_lists_of_a_server_make_one_though_it_changed_between_them() {
        let status = |function: &str, queued, running| {
            let function = function.to_owned();
            FunctionStatus { function, queued, running, workers: 2 }
        };
        let priority = |function: &str, high| PriorityStatus {
            function: function.to_owned(),
            high,
            normal: 0,
            low: 3,
            workers: 2,
        };
        let lists = || vec![status("g", 5, 1), status("f", 0, 1), status("new", 1, 0)];
        let shown = |priorities| {
            let (server, functions) = ("gear:1".to_owned(), rows(lists(), priorities));
            let picture = Picture { server, version: None, functions, jobs: Some(Jobs(None)), error: None };
            render(&picture).lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
        };
        expect![[r#"
            gearman gear:1 (does not tell its version)
             FUNCTION  WAITING  HIGH  NORMAL  LOW  RUNNING  WORKERS
             f         0        0     0       0    1        2
             g         4        1     0       3    1        2
             new       1        0     0       0    0        2

            this server does not list jobs
        "#]]
        .assert_eq(&shown(Some(vec![priority("g", 1), priority("gone", 9)])));
        expect![[r#"
            gearman gear:1 (does not tell its version)
             FUNCTION  WAITING  HIGH  NORMAL  LOW  RUNNING  WORKERS
             f         0        ?     ?       ?    1        2
             g         4        ?     ?       ?    1        2
             new       1        ?     ?       ?    0        2

            this server does not list jobs
        "#]]
        .assert_eq(&shown(None));
    }
}
