//! The other end of the control channel: what the command line asks a daemon with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use super::answer::{BuildEntry, Changed, Readiness, Refused};
use super::decisions::{DecisionEntry, DecisionQuery, Known};
use crate::domain::{ControllerName, NodeName};
use crate::jenkins::install_crypto_provider;
use crate::policy::{Explanation, Gate, Record, ReloadReport, Standing, Step};
use crate::runtime::status::{Mode, Nodes, Released, Status};

/// A local daemon answers at once; only a change of policies may take as long as its compilation, and a controller as
/// long as it likes.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_FOR_JENKINS: Duration = Duration::from_secs(60);
const PATIENCE_FOR_POLICIES: Duration = Duration::from_secs(4 * 60);

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    socket: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no daemon answers on {}: {reason}; start one with `layshaft run`, or name its socket with --socket", socket.display())]
    Unreachable { socket: PathBuf, reason: String },
    #[error("{0}")]
    NotPermitted(String),
    #[error("{0}")]
    Refused(String),
    #[error("the answer on {} is not understood: {reason}; is the daemon of another version?", socket.display())]
    NotUnderstood { socket: PathBuf, reason: String },
}

impl Client {
    /// Prepares to ask the daemon behind a socket, without asking it yet.
    pub fn new(socket: &Path) -> Result<Self, ClientError> {
        install_crypto_provider();
        let failed =
            |error: reqwest::Error| ClientError::Unreachable { socket: socket.to_owned(), reason: root_cause(&error) };
        let http = reqwest::Client::builder().no_proxy().unix_socket(socket).build().map_err(failed)?;
        Ok(Self { http, socket: socket.to_owned() })
    }

    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "api/v1/status", PATIENCE).await
    }

    pub async fn readiness(&self) -> Result<Readiness, ClientError> {
        self.ask(Method::GET, "ready", PATIENCE).await
    }

    pub async fn builds(&self, limit: usize) -> Result<Vec<BuildEntry>, ClientError> {
        self.ask(Method::GET, &format!("api/v1/builds?limit={limit}"), PATIENCE).await
    }

    pub async fn nodes(&self) -> Result<Nodes, ClientError> {
        self.ask(Method::GET, "api/v1/nodes", PATIENCE).await
    }

    pub async fn release(&self, node: &NodeName, controller: Option<&ControllerName>) -> Result<Released, ClientError> {
        let controller = controller.map(|name| format!("?controller={}", segment(name.as_str()))).unwrap_or_default();
        let path = format!("api/v1/nodes/{}/release{controller}", segment(&node.to_string()));
        self.ask(Method::POST, &path, PATIENCE_FOR_JENKINS).await
    }

    pub async fn policies(&self) -> Result<Standing, ClientError> {
        self.ask(Method::GET, "api/v1/policies", PATIENCE).await
    }

    pub async fn set_mode(&self, mode: Mode) -> Result<Changed, ClientError> {
        let word = match mode {
            Mode::Serving => "resume",
            Mode::Paused => "pause",
            Mode::Draining => "drain",
        };
        self.ask(Method::POST, &format!("api/v1/{word}"), PATIENCE).await
    }

    pub async fn reload_policies(&self, waived: &BTreeSet<Gate>) -> Result<ReloadReport, ClientError> {
        self.change_policies(&format!("reload?{}", accept(waived))).await
    }

    pub async fn freeze_policies(&self, frozen: bool) -> Result<ReloadReport, ClientError> {
        self.change_policies(if frozen { "freeze" } else { "thaw" }).await
    }

    pub async fn roll_back(&self, policy: &str) -> Result<ReloadReport, ClientError> {
        self.change_policies(&format!("{}/rollback", segment(policy))).await
    }

    pub async fn accept(&self, policy: &str) -> Result<ReloadReport, ClientError> {
        self.change_policies(&format!("{}/accept", segment(policy))).await
    }

    pub async fn retire(&self, policy: &str, waived: &BTreeSet<Gate>) -> Result<ReloadReport, ClientError> {
        self.change_policies(&format!("{}/retire?{}", segment(policy), accept(waived))).await
    }

    pub async fn disable(
        &self,
        policy: &str,
        how_long: Duration,
        waived: &BTreeSet<Gate>,
    ) -> Result<ReloadReport, ClientError> {
        let millis = how_long.as_millis();
        self.change_policies(&format!("{}/disable?for={millis}ms&{}", segment(policy), accept(waived))).await
    }

    pub async fn enable(&self, policy: &str) -> Result<ReloadReport, ClientError> {
        self.change_policies(&format!("{}/enable", segment(policy))).await
    }

    pub async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionEntry>, ClientError> {
        self.ask_with(Method::GET, "api/v1/decisions", PATIENCE, |request| request.query(query)).await
    }

    pub async fn decision(&self, id: i64) -> Result<Record, ClientError> {
        self.ask(Method::GET, &format!("api/v1/decisions/{id}"), PATIENCE).await
    }

    pub async fn explain(&self, id: i64, values: BTreeMap<String, String>) -> Result<Explanation, ClientError> {
        self.ask_again(&format!("api/v1/decisions/{id}/explain"), values).await
    }

    pub async fn bisect(&self, id: i64, values: BTreeMap<String, String>) -> Result<Vec<Step>, ClientError> {
        self.ask_again(&format!("api/v1/decisions/{id}/bisect"), values).await
    }

    /// Asks for what may have to compile policies of the past.
    async fn ask_again<T: DeserializeOwned>(
        &self,
        path: &str,
        values: BTreeMap<String, String>,
    ) -> Result<T, ClientError> {
        self.ask_with(Method::POST, path, PATIENCE_FOR_POLICIES, |request| request.json(&Known { values })).await
    }

    async fn change_policies(&self, change: &str) -> Result<ReloadReport, ClientError> {
        self.ask(Method::POST, &format!("api/v1/policies/{change}"), PATIENCE_FOR_POLICIES).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, limit: Duration) -> Result<T, ClientError> {
        self.ask_with(method, path, limit, |request| request).await
    }

    async fn ask_with<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        limit: Duration,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<T, ClientError> {
        let unreachable = |error: reqwest::Error| match is_forbidden(&error) {
            true => ClientError::NotPermitted(format!(
                "you may not open {}; become root, or one of its group",
                self.socket.display()
            )),
            false => ClientError::Unreachable { socket: self.socket.clone(), reason: root_cause(&error) },
        };
        let request = complete(self.http.request(method, format!("http://layshaft/{path}")).timeout(limit));
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        // Not being ready is an answer, and has the shape of one.
        let not_understood = |error: serde_json::Error| ClientError::NotUnderstood {
            socket: self.socket.clone(),
            reason: format!("{status}: {error}"),
        };
        if status.is_success() || (status == StatusCode::SERVICE_UNAVAILABLE && path == "ready") {
            return serde_json::from_slice(&body).map_err(not_understood);
        }
        let Refused { error } = serde_json::from_slice(&body).map_err(not_understood)?;
        Err(match status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ClientError::NotPermitted(error),
            _ => ClientError::Refused(error),
        })
    }
}

fn segment(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, SEGMENT)
}

/// Returns the part of a query that waives gates.
fn accept(waived: &BTreeSet<Gate>) -> String {
    let gates: Vec<String> = waived.iter().map(Gate::to_string).collect();
    format!("accept={}", gates.join(","))
}

/// Returns whether the socket is there and not for this user.
fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let mut io_errors = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io_errors.any(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// Returns what a person can act on; what lies above it only says that a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
