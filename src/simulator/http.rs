//! From sockets to routes and back: faults, logins, crumbs, and the headers that Jenkins puts on every answer.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body as HttpBody;
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::auth::{self, Caller, Refusal};
use super::fault::{self, Fault};
use super::language::Language;
use super::line::Scissors;
use super::request::{Answer, Body, Request, pairs, segments};
use super::{Shared, routes};

/// Larger requests are refused.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

const CRUMB_FIELD: &str = "Jenkins-Crumb";
const SESSION_COOKIE: &str = "JSESSIONID.simulated";

pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: HttpRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    let fault = fault::take(&mut shared.faults.lock().expect(super::LOCK), parts.method.as_str(), parts.uri.path());
    match fault {
        Some(Fault::DropBeforeAccept) => {
            scissors.sever();
            return Response::new(HttpBody::empty());
        }
        Some(Fault::Latency(latency)) => tokio::time::sleep(latency).await,
        Some(Fault::Status(status)) => return respond(&shared, Answer::page(status, "simulated fault"), false),
        Some(Fault::Html) => return respond(&shared, Answer::page(200, "Sign in to the proxy"), false),
        Some(Fault::Redirect(to)) => return respond(&shared, Answer::redirect(to), false),
        Some(Fault::Truncate | Fault::DropAfterAccept | Fault::Holes) | None => {}
    }
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return respond(&shared, Answer::page(413, "the request is too large"), false);
    };
    let Some(path) = below_context(&shared.context_path, parts.uri.path()) else {
        return outside(&shared, parts.uri.path());
    };
    let mut answer = answer(&shared, &parts, path, &String::from_utf8_lossy(&body), &scissors);
    if let (Some(Fault::Holes), Body::Json(value)) = (fault, &mut answer.body) {
        fault::punch(value, false);
    }
    if fault == Some(Fault::DropAfterAccept) {
        scissors.sever();
    }
    let response = respond(&shared, answer, fault == Some(Fault::Truncate));
    let accepted = text_header(&parts, "accept-encoding").unwrap_or_default();
    if shared.gzip && accepted.contains("gzip") { compressed(response).await } else { response }
}

/// Takes the context path off; none for what lies outside.
fn below_context<'p>(context_path: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(context_path).filter(|rest| rest.starts_with('/'))
}

/// What the servlet container answers by itself, without Jenkins.
fn outside(shared: &Shared, path: &str) -> Response {
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    if path == shared.context_path
        && let Ok(to) = HeaderValue::try_from(format!("{}/", shared.context_path))
    {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

async fn compressed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // The body is our own, and all there.
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    match encoder.write_all(&body).and_then(|()| encoder.finish()) {
        Ok(smaller) => {
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Response::from_parts(parts, HttpBody::from(smaller))
        }
        Err(_) => Response::from_parts(parts, HttpBody::from(body)),
    }
}

fn answer(shared: &Shared, parts: &Parts, path: &str, body: &str, scissors: &Scissors) -> Answer {
    if path.contains(';') {
        return Answer::page(400, "Suspicious request");
    }
    let path = segments(path);
    shared.count(routes::counter_name(parts.method.as_str(), &path));
    if path.first().is_some_and(|first| first == "login") {
        return Answer::page(200, "Sign in to Jenkins");
    }
    let caller = match auth::authenticate(&shared.users, text_header(parts, "authorization")) {
        Ok(caller) => caller,
        Err(refusal) => return refused(refusal),
    };
    let content_type = text_header(parts, "content-type").unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let host = text_header(parts, "host").unwrap_or("localhost");
    let request = Request {
        is_post: parts.method == Method::POST,
        query: pairs(parts.uri.query().unwrap_or_default()),
        form: if is_form { pairs(body) } else { Vec::new() },
        is_xml: content_type.starts_with("application/xml") || content_type.starts_with("text/xml"),
        body: body.to_owned(),
        origin: {
            let origin = shared.location_origin.clone().unwrap_or_else(|| format!("http://{host}/"));
            format!("{}{}/", origin.trim_end_matches('/'), shared.context_path)
        },
        referer: text_header(parts, "referer").map(str::to_owned),
        peer: scissors.peer.ip().to_string(),
        path,
        caller,
        language: Language::accepted(text_header(parts, "accept-language")),
    };
    let session = session_of(parts);
    if request.path == ["crumbIssuer", "api", "json"] {
        return issue_crumb(shared, &request.caller, session);
    }
    if request.is_post && !has_valid_crumb(shared, parts, &request, session) {
        return Answer::page(403, "No valid crumb was included in the request");
    }
    shared.with_world(|world| routes::answer(world, &request))
}

fn refused(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Anonymous => {
            Answer::page(403, "Authentication required").with("X-You-Are-Authenticated-As", "anonymous")
        }
        Refusal::WrongCredentials => {
            Answer::page(401, "Invalid password/token").with("WWW-Authenticate", "Basic realm=\"Jenkins\"")
        }
    }
}

fn issue_crumb(shared: &Shared, caller: &Caller, session: Option<&str>) -> Answer {
    if !shared.crumbs {
        return Answer::not_found();
    }
    let new_session = session.is_none().then(|| shared.new_http_session());
    let session = new_session.as_deref().or(session);
    let crumb = shared.crumb(&caller.user.name, session);
    let answer = Answer::json(json!({
        "_class": "hudson.security.csrf.DefaultCrumbIssuer",
        "crumb": crumb,
        "crumbRequestField": CRUMB_FIELD,
    }));
    match new_session {
        Some(session) => {
            answer.with("Set-Cookie", format!("{SESSION_COOKIE}={session}; Path={}/; HttpOnly", shared.context_path))
        }
        None => answer,
    }
}

/// A token needs no crumb since a certain release; a password always does.
fn has_valid_crumb(shared: &Shared, parts: &Parts, request: &Request, session: Option<&str>) -> bool {
    if !shared.crumbs || (request.caller.by_token && shared.version.token_needs_no_crumb()) {
        return true;
    }
    let given = text_header(parts, CRUMB_FIELD).or_else(|| request.parameter(CRUMB_FIELD));
    given == Some(shared.crumb(&request.caller.user.name, session).as_str())
}

fn session_of(parts: &Parts) -> Option<&str> {
    let cookies = text_header(parts, "cookie")?.split(';');
    let mut sessions = cookies.filter_map(|cookie| cookie.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='));
    sessions.next()
}

fn respond(shared: &Shared, answer: Answer, truncate: bool) -> Response {
    let (content_type, mut body) = match answer.body {
        Body::Empty => (None, String::new()),
        Body::Json(value) => (Some("application/json;charset=utf-8"), value.to_string()),
        Body::Html(text) => (Some("text/html;charset=utf-8"), text),
        Body::Text(text) => (Some("text/plain;charset=utf-8"), text),
        Body::Xml(text) => (Some("application/xml"), text),
    };
    if truncate {
        body.truncate((0..=body.len() / 2).rev().find(|end| body.is_char_boundary(*end)).unwrap_or(0));
    }
    let mut response = Response::new(HttpBody::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    let session = shared.with_world(|world| world.session());
    let date = SystemTime::UNIX_EPOCH + Duration::from_millis(shared.clock.now_ms());
    let own = [
        ("X-Jenkins", shared.version.to_string()),
        ("X-Jenkins-Session", session),
        ("Date", httpdate::fmt_http_date(date)),
    ];
    for (name, value) in answer.headers.into_iter().chain(own) {
        // Text from a request may hold what no header can: such a header is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    response
}

fn text_header<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}
