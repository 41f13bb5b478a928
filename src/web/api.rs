//! The routes, and nothing but the routes: who is asking is `access`'s, what happens is the daemon's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tracing::info;

use super::access::{Access, Caller, Denied, Need};
use super::answer::{BuildEntry, Changed, Readiness, Refused};
use super::daemon::{Daemon, Failure};
use super::decisions;
use super::metrics::{self, Scrape};
use crate::domain::{ControllerName, NodeName, human_duration};
use crate::policy::{Gate, ReloadReport, Standing};
use crate::runtime::status::{Mode, Nodes, Released, Status};

/// No request needs a body.
const LONGEST_BODY: usize = 64 << 10;

/// More builds than anybody reads; the journal answers quickly up to here.
const MOST_BUILDS: usize = 1000;

type Answer<T> = Result<Json<T>, Failure>;

/// Everything, for the control channel.
pub(super) fn router<D: Daemon>(daemon: Arc<D>, access: Access) -> Router {
    let access = Arc::new(access);
    let guard = |need: Need| middleware::from_fn_with_state((Arc::clone(&access), need), admit);
    let read = Router::new()
        .route("/api/v1/status", get(status::<D>))
        .route("/api/v1/builds", get(builds::<D>))
        .route("/api/v1/nodes", get(nodes::<D>))
        .route("/api/v1/policies", get(policies::<D>))
        .merge(decisions::routes())
        .route_layer(guard(Need::Read));
    let change = Router::new()
        .route("/api/v1/pause", post(|daemon| set_mode::<D>(daemon, Mode::Paused)))
        .route("/api/v1/resume", post(|daemon| set_mode::<D>(daemon, Mode::Serving)))
        .route("/api/v1/drain", post(|daemon| set_mode::<D>(daemon, Mode::Draining)))
        .route("/api/v1/nodes/{node}/release", post(release::<D>))
        .route("/api/v1/policies/reload", post(reload::<D>))
        .route("/api/v1/policies/{name}/rollback", post(rollback::<D>))
        .route("/api/v1/policies/{name}/accept", post(accept::<D>))
        .route("/api/v1/policies/{name}/retire", post(retire::<D>))
        .route("/api/v1/policies/{name}/disable", post(disable::<D>))
        .route("/api/v1/policies/{name}/enable", post(enable::<D>))
        .route("/api/v1/policies/freeze", post(|daemon| freeze::<D>(daemon, true)))
        .route("/api/v1/policies/thaw", post(|daemon| freeze::<D>(daemon, false)))
        .route_layer(guard(Need::Change));
    let all = watched::<D>(&access).merge(read).merge(change);
    finished(all, "nothing is here; see /api/v1/status").with_state(daemon)
}

/// What monitoring asks for, and nothing that could change anything.
pub(super) fn monitoring<D: Daemon>(daemon: Arc<D>, access: Access) -> Router {
    let watched = watched::<D>(&Arc::new(access));
    finished(watched, "only /health, /ready and /metrics are here").with_state(daemon)
}

fn watched<D: Daemon>(access: &Arc<Access>) -> Router<Arc<D>> {
    let guard = |need: Need| middleware::from_fn_with_state((Arc::clone(access), need), admit);
    let health = Router::new()
        .route("/health", get(|| async { Json(serde_json::json!({ "status": "ok" })) }))
        .route("/ready", get(ready::<D>))
        .route_layer(guard(Need::Health));
    let metrics = Router::new().route("/metrics", get(metrics::<D>)).route_layer(guard(Need::Metrics));
    health.merge(metrics)
}

fn finished<D: Daemon>(routes: Router<Arc<D>>, nothing_here: &'static str) -> Router<Arc<D>> {
    routes
        .fallback(move || async move { refuse(StatusCode::NOT_FOUND, nothing_here) })
        .method_not_allowed_fallback(|| async {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "GET reads and POST changes; this is the other one")
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

/// Lets a request in, or says why not; whoever changes something is written down.
async fn admit(
    State((access, need)): State<(Arc<Access>, Need)>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let path = request.uri().path().to_owned();
    if let Err(denied) = access.check(caller, bearer, need) {
        info!(%caller, path, %denied, "refused a request on the control channel");
        let status = match denied {
            Denied::Token(_) => StatusCode::UNAUTHORIZED,
            Denied::User(_) => StatusCode::FORBIDDEN,
        };
        return refuse(status, &denied.to_string());
    }
    let answer = next.run(request).await;
    if need == Need::Change {
        info!(%caller, path, status = answer.status().as_u16(), "change through the control channel");
    }
    answer
}

async fn ready<D: Daemon>(State(daemon): State<Arc<D>>, ConnectInfo(caller): ConnectInfo<Caller>) -> Response {
    let reasons = match daemon.status().await {
        Ok(status) => status.not_ready,
        Err(failure) => vec![failure.to_string()],
    };
    let ready = reasons.is_empty();
    // The reasons name files and addresses, which strangers on the network need not know.
    let reasons = if matches!(caller, Caller::Local { .. }) { reasons } else { Vec::new() };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons })).into_response()
}

async fn metrics<D: Daemon>(State(daemon): State<Arc<D>>) -> Response {
    // While the daemon cannot say how it is, its policies still can.
    let status = daemon.status().await.ok();
    let scrape = Scrape { status, standing: daemon.policies() };
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], scrape.text()).into_response()
}

async fn status<D: Daemon>(State(daemon): State<Arc<D>>) -> Answer<Status> {
    Ok(Json(daemon.status().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: Option<usize>,
}

async fn builds<D: Daemon>(
    State(daemon): State<Arc<D>>,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Vec<BuildEntry>>, Response> {
    let bad = |_| refuse(StatusCode::BAD_REQUEST, &format!("write ?limit=N, with N from 0 to {MOST_BUILDS}"));
    let Query(Limit { limit }) = limit.map_err(bad)?;
    let limit = limit.unwrap_or(50).min(MOST_BUILDS);
    Ok(Json(daemon.builds(limit).await.map_err(IntoResponse::into_response)?))
}

async fn nodes<D: Daemon>(State(daemon): State<Arc<D>>) -> Answer<Nodes> {
    Ok(Json(daemon.nodes().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    controller: Option<String>,
}

async fn release<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(node): Path<String>,
    owner: Result<Query<Owner>, QueryRejection>,
) -> Result<Json<Released>, Response> {
    let Query(Owner { controller }) = owner.map_err(|error| bad_request(error.body_text()))?;
    let controller = controller.map(ControllerName::new);
    let released = daemon.release(&NodeName::from(node), controller.as_ref()).await;
    Ok(Json(released.map_err(IntoResponse::into_response)?))
}

async fn policies<D: Daemon>(State(daemon): State<Arc<D>>) -> Json<Standing> {
    Json(daemon.policies())
}

async fn set_mode<D: Daemon>(State(daemon): State<Arc<D>>, mode: Mode) -> Answer<Changed> {
    daemon.set_mode(mode)?;
    Ok(Json(Changed { mode }))
}

/// What a change of policies may be asked with.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wishes {
    /// Gates that let everything pass, with commas between them.
    accept: Option<String>,
    /// How long a policy is disabled, such as `30m`.
    r#for: Option<String>,
}

impl Wishes {
    fn read(wishes: Result<Query<Self>, QueryRejection>) -> Result<(BTreeSet<Gate>, Option<Duration>), String> {
        let Query(Self { accept, r#for }) = wishes.map_err(|error| error.body_text())?;
        let gates = accept.iter().flat_map(|gates| gates.split(',')).filter(|gate| !gate.is_empty());
        let gates = gates.map(str::parse).collect::<Result<_, String>>()?;
        let how_long = r#for.map(|text| human_duration::parse(&text)).transpose()?;
        Ok((gates, how_long))
    }
}

type Asked = Result<Query<Wishes>, QueryRejection>;
type Reported = Result<Json<ReloadReport>, Response>;

async fn reload<D: Daemon>(State(daemon): State<Arc<D>>, wishes: Asked) -> Reported {
    let (waived, _) = Wishes::read(wishes).map_err(bad_request)?;
    Ok(Json(daemon.reload_policies(waived).await.map_err(IntoResponse::into_response)?))
}

async fn freeze<D: Daemon>(State(daemon): State<Arc<D>>, frozen: bool) -> Answer<ReloadReport> {
    Ok(Json(daemon.freeze_policies(frozen).await?))
}

async fn rollback<D: Daemon>(State(daemon): State<Arc<D>>, Path(name): Path<String>) -> Answer<ReloadReport> {
    Ok(Json(daemon.roll_back(&name).await?))
}

async fn accept<D: Daemon>(State(daemon): State<Arc<D>>, Path(name): Path<String>) -> Answer<ReloadReport> {
    Ok(Json(daemon.accept(&name).await?))
}

async fn retire<D: Daemon>(State(daemon): State<Arc<D>>, Path(name): Path<String>, wishes: Asked) -> Reported {
    let (waived, _) = Wishes::read(wishes).map_err(bad_request)?;
    Ok(Json(daemon.retire(&name, waived).await.map_err(IntoResponse::into_response)?))
}

async fn disable<D: Daemon>(State(daemon): State<Arc<D>>, Path(name): Path<String>, wishes: Asked) -> Reported {
    let (waived, how_long) = Wishes::read(wishes).map_err(bad_request)?;
    let how_long = how_long.ok_or_else(|| bad_request("write ?for=30m, or how long it shall be".to_owned()))?;
    Ok(Json(daemon.disable(&name, how_long, waived).await.map_err(IntoResponse::into_response)?))
}

async fn enable<D: Daemon>(State(daemon): State<Arc<D>>, Path(name): Path<String>) -> Answer<ReloadReport> {
    Ok(Json(daemon.enable(&name).await?))
}

pub(super) fn bad_request(error: String) -> Response {
    refuse(StatusCode::BAD_REQUEST, &error)
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(Refused { error: error.to_owned() })).into_response()
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Ending | Self::NotYet => StatusCode::SERVICE_UNAVAILABLE,
        };
        refuse(status, &self.to_string())
    }
}
