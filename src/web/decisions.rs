//! What policies decided: looking through it, and making it again. All of it only reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::answer::milliseconds;
use super::api::bad_request;
use super::daemon::{Daemon, Failure};
use crate::journal::{Decision, Wanted};
use crate::policy::{Explanation, Record, Step};

/// More than anybody reads.
const MOST: usize = 1000;

/// Opened values; a record holds no more.
const LONGEST_BODY: usize = 1 << 20;

/// A decision in the list. Times are milliseconds since the epoch, by the daemon's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionEntry {
    pub id: i64,
    pub at_ms: u64,
    pub generation: u64,
    pub call: String,
    pub controller: String,
    pub project: String,
    /// None for an answer about the function table.
    pub function: Option<String>,
    /// Those that were asked.
    pub policies: Vec<String>,
    pub verdict: String,
    /// Some policy failed.
    pub failed: bool,
    pub why: String,
}

/// Which decisions are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionQuery {
    /// Full name, or a pattern with `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Only where a policy failed.
    pub failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Only those with a smaller number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What whoever asks knows and the record does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    #[serde(default)]
    pub(super) values: BTreeMap<String, String>,
}

pub(super) fn routes<D: Daemon>() -> Router<Arc<D>> {
    Router::new()
        .route("/api/v1/decisions", get(list::<D>))
        .route("/api/v1/decisions/{id}", get(record::<D>))
        // By POST since opened values must be in no address, and nothing is changed.
        .route("/api/v1/decisions/{id}/explain", post(explain::<D>))
        .route("/api/v1/decisions/{id}/bisect", post(bisect::<D>))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

type Answer<T> = Result<Json<T>, Response>;

async fn list<D: Daemon>(
    State(daemon): State<Arc<D>>,
    query: Result<Query<DecisionQuery>, QueryRejection>,
) -> Answer<Vec<DecisionEntry>> {
    let Query(query) = query.map_err(|error| bad_request(error.body_text()))?;
    let limit = query.limit.unwrap_or(50).min(MOST);
    answer(daemon.decisions(query.into(), limit).await)
}

async fn record<D: Daemon>(State(daemon): State<Arc<D>>, id: Id) -> Answer<Record> {
    answer(daemon.decision(number(id)?).await)
}

async fn explain<D: Daemon>(State(daemon): State<Arc<D>>, id: Id, known: Body) -> Answer<Explanation> {
    answer(daemon.explain(number(id)?, values(known)?).await)
}

async fn bisect<D: Daemon>(State(daemon): State<Arc<D>>, id: Id, known: Body) -> Answer<Vec<Step>> {
    answer(daemon.bisect(number(id)?, values(known)?).await)
}

type Id = Result<Path<i64>, PathRejection>;
type Body = Result<Json<Known>, JsonRejection>;

#[expect(clippy::result_large_err, reason = "it is what axum answers with")]
fn number(id: Id) -> Result<i64, Response> {
    id.map(|Path(id)| id).map_err(|_| bad_request("a decision has a number: see /api/v1/decisions".to_owned()))
}

#[expect(clippy::result_large_err, reason = "it is what axum answers with")]
fn values(known: Body) -> Result<BTreeMap<String, String>, Response> {
    // The text of the rejection could have a value in it.
    let bad = |_| bad_request(r#"write {"values": {}}, with what the record does not have"#.to_owned());
    known.map(|Json(known)| known.values).map_err(bad)
}

#[expect(clippy::result_large_err, reason = "it is what axum answers with")]
fn answer<T>(answer: Result<T, Failure>) -> Answer<T> {
    answer.map(Json).map_err(IntoResponse::into_response)
}

impl From<DecisionQuery> for Wanted {
    fn from(query: DecisionQuery) -> Self {
        let DecisionQuery { project, policy, call, verdict, failed, since_ms, before, limit: _ } = query;
        let since = since_ms.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(since)));
        Self { project, policy, call, verdict, failed, since, before }
    }
}

impl From<(i64, Decision)> for DecisionEntry {
    fn from((id, decision): (i64, Decision)) -> Self {
        Self {
            id,
            at_ms: milliseconds(decision.at),
            generation: decision.generation,
            call: decision.call,
            controller: decision.controller,
            project: decision.project,
            function: decision.function,
            policies: decision.policies,
            verdict: decision.verdict,
            failed: decision.failed,
            why: decision.why,
        }
    }
}
