//! One request to a controller: authenticated, bounded in time and size, never redirected.
//!
//! A request that may change something is sent once. The one exception is a crumb that was asked for: Jenkins checks
//! it before anything else, so that the refused request cannot have done a thing.

use std::fmt;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::{BaseUrl, Config, Credentials, Error, path, wire};

/// Five thousand projects with their parameters take four megabytes; whatever is beyond this is not a controller.
const LARGEST_ANSWER: usize = 64 << 20;

/// How long a name may take to resolve and a connection to open; the rest of the time is for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Jetty closes idle connections after 30 s. Staying below spares requests that meet a closing connection, which
/// would leave it open whether a build was started.
const KEEP_CONNECTION: Duration = Duration::from_secs(20);

const SESSION: HeaderName = HeaderName::from_static("x-jenkins-session");
const VERSION: HeaderName = HeaderName::from_static("x-jenkins");
const REQUIRED_PERMISSION: HeaderName = HeaderName::from_static("x-required-permission");

/// Which process answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Changes with every start of the controller.
    pub session: Option<String>,
    pub version: Option<String>,
}

/// What a controller said, and which of its processes said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub value: T,
    pub instance: Instance,
}

/// What is left of the answer to a request that should change something.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) required_permission: Option<String>,
}

#[derive(Clone)]
pub(super) struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    http: reqwest::Client,
    base: BaseUrl,
    credentials: Credentials,
    largest_answer: usize,
    crumb: Mutex<Option<(HeaderName, HeaderValue)>>,
    newest_instance: Mutex<Instance>,
}

/// Makes ring the process's cryptography provider, unless there is one; may be called any number of times.
pub fn install_crypto_provider() {
    static INSTALL: Once = Once::new();
    // It only fails when somebody else has installed one, which serves as well.
    INSTALL.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

impl<T> Answer<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), instance: self.instance }
    }
}

impl Transport {
    pub(super) fn new(config: &Config, credentials: Credentials) -> Result<Self, Error> {
        Self::with_limit(config, credentials, LARGEST_ANSWER)
    }

    pub(super) fn with_limit(config: &Config, credentials: Credentials, limit: usize) -> Result<Self, Error> {
        install_crypto_provider();
        let mut headers = HeaderMap::new();
        // Texts are localised otherwise; we only show them, but always in one language.
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("layshaft/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .gzip(true)
            .cookie_store(true)
            .connect_timeout(CONNECT_TIMEOUT.min(config.request_timeout))
            .timeout(config.request_timeout)
            .pool_idle_timeout(KEEP_CONNECTION);
        if !config.url.is_https() {
            // Spares the search for the system's certificates, and the failure where there are none.
            let no_roots = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
            builder = builder.tls_backend_preconfigured(no_roots.with_no_client_auth());
        }
        let http = builder.build().map_err(|error| Error::Setup { reason: root_cause(&error) })?;
        Ok(Self {
            shared: Arc::new(Shared {
                http,
                base: config.url.clone(),
                credentials,
                largest_answer: limit,
                crumb: Mutex::default(),
                newest_instance: Mutex::default(),
            }),
        })
    }

    pub(super) fn base(&self) -> &BaseUrl {
        &self.shared.base
    }

    /// Returns which process gave the newest answer.
    pub(super) fn newest_instance(&self) -> Instance {
        self.shared.newest_instance.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the parts of an object that `tree` names.
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str, tree: &str) -> Result<Answer<T>, Error> {
        let address = format!("{path}/api/json");
        let request = self.request(Method::GET, &address).query(&[("tree", tree)]);
        let Answer { value: body, instance } = self.get(request, &address).await?;
        Ok(Answer { value: wire::decode(&body, &address)?, instance })
    }

    /// Reads the `config.xml` of a project or node.
    pub(super) async fn read_configuration(&self, path: &str) -> Result<Vec<u8>, Error> {
        let address = format!("{path}/config.xml");
        Ok(self.get(self.request(Method::GET, &address), &address).await?.value)
    }

    async fn get(&self, request: RequestBuilder, address: &str) -> Result<Answer<Vec<u8>>, Error> {
        let mut response = request.send().await.map_err(|error| sending_failed(&error))?;
        let instance = self.note_instance(response.headers());
        if response.status() != StatusCode::OK {
            return Err(refusal(address, &Reply::of(&response)));
        }
        let value = self.body(&mut response, address, self.shared.largest_answer).await?;
        Ok(Answer { value, instance })
    }

    /// Returns what the controller's clock showed when it answered, to the second; none if it does not say.
    pub(super) async fn clock(&self) -> Result<Option<SystemTime>, Error> {
        let address = "/api/json";
        let request = self.request(Method::GET, address).query(&[("tree", wire::QUIETING_DOWN_TREE)]);
        let response = request.send().await.map_err(|error| sending_failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(refusal(address, &Reply::of(&response)));
        }
        Ok(text(response.headers(), &DATE).and_then(|date| httpdate::parse_http_date(&date).ok()))
    }

    /// Sends a request that should change something, and returns its answer whatever the status is.
    pub(super) async fn post(
        &self,
        path: &str,
        query: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Result<Reply, Error> {
        // Status and headers say it all; waiting for a page would only add ways to fail.
        self.post_with_crumb(path, query, form).await.map(|response| Reply::of(&response))
    }

    /// Sends a request that should change something, and returns its answer with what it says, if that is 200.
    pub(super) async fn post_for_text(
        &self,
        path: &str,
        form: &[(&str, &str)],
        limit: usize,
    ) -> Result<(Reply, String), Error> {
        let mut response = self.post_with_crumb(path, &[], Some(form)).await?;
        let reply = Reply::of(&response);
        if response.status() != StatusCode::OK {
            return Ok((reply, String::new()));
        }
        let body = self.body(&mut response, path, limit).await?;
        Ok((reply, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn post_with_crumb(
        &self,
        path: &str,
        query: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Result<Response, Error> {
        let crumb = self.shared.crumb.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = self.post_once(path, query, form, crumb).await?;
        let reply = Reply::of(&response);
        if reply.status != 403 || reply.required_permission.is_some() {
            return Ok(response);
        }
        // Either a crumb is missing (or outdated), or a permission that Jenkins does not name.
        let Some(crumb) = self.fresh_crumb().await else { return Ok(response) };
        *self.shared.crumb.lock().unwrap_or_else(PoisonError::into_inner) = Some(crumb.clone());
        self.post_once(path, query, form, Some(crumb)).await
    }

    async fn post_once(
        &self,
        path: &str,
        query: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
        crumb: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response, Error> {
        let mut request = self.request(Method::POST, path);
        if !query.is_empty() {
            request = request.query(query);
        }
        if let Some((name, value)) = crumb {
            request = request.header(name, value);
        }
        let form = form.unwrap_or_default();
        if form.is_empty() {
            // Nobody else says so, and proxies refuse a POST without a length.
            request = request.header(CONTENT_LENGTH, 0);
        }
        let response = request.form(form).send().await.map_err(|error| sending_failed(&error))?;
        self.note_instance(response.headers());
        Ok(response)
    }

    /// Returns none if there is no crumb to be had; the refusal that led here is the better news then.
    async fn fresh_crumb(&self) -> Option<(HeaderName, HeaderValue)> {
        let crumb = self.read::<wire::Crumb>("/crumbIssuer", wire::CRUMB_TREE).await.ok()?.value;
        let name = HeaderName::from_bytes(crumb.field.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(&crumb.value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.shared.http.request(method, self.shared.base.at(path));
        let Credentials { user, token } = &self.shared.credentials;
        // Unasked, since Jenkins never challenges.
        if user.is_empty() { request } else { request.basic_auth(user, Some(token.expose_secret())) }
    }

    async fn body(&self, response: &mut Response, path: &str, limit: usize) -> Result<Vec<u8>, Error> {
        let too_large = || Error::TooLarge { path: path.to_owned(), limit };
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                // Counted after decompression, so that a small answer cannot unfold without bound.
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(too_large()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) if error.is_timeout() => return Err(Error::TimedOut),
                Err(_) => return Err(Error::Truncated { path: path.to_owned() }),
            }
        }
    }

    fn note_instance(&self, headers: &HeaderMap) -> Instance {
        let instance = Instance { session: text(headers, &SESSION), version: text(headers, &VERSION) };
        if instance.session.is_some() {
            *self.shared.newest_instance.lock().unwrap_or_else(PoisonError::into_inner) = instance.clone();
        }
        instance
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("base", &self.shared.base)
            .field("user", &self.shared.credentials.user)
            .finish_non_exhaustive()
    }
}

impl Reply {
    fn of(response: &Response) -> Self {
        Self {
            status: response.status().as_u16(),
            location: text(response.headers(), &LOCATION),
            required_permission: text(response.headers(), &REQUIRED_PERMISSION).filter(|id| is_permission(id)),
        }
    }
}

/// Returns what a status means that is not the answer that was hoped for.
pub(super) fn refusal(path: &str, reply: &Reply) -> Error {
    let path = path.to_owned();
    match reply.status {
        400 => Error::Rejected { path },
        401 => Error::Unauthorized,
        403 => Error::Forbidden { path, required_permission: reply.required_permission.clone() },
        404 => Error::NotFound { path },
        409 => Error::NotBuildable { path },
        503 => Error::Starting,
        status @ (301 | 302 | 303 | 307 | 308) => match &reply.location {
            Some(location) if path::leads_to_login(location) => Error::LoginPage { path, to: path::origin(location) },
            Some(location) => Error::Redirected { path, to: path::origin(location) },
            None => Error::UnexpectedStatus { path, status },
        },
        status => Error::UnexpectedStatus { path, status },
    }
}

fn sending_failed(error: &reqwest::Error) -> Error {
    if error.is_connect() {
        Error::Unreachable { reason: root_cause(error) }
    } else if error.is_timeout() {
        Error::TimedOut
    } else if error.is_builder() {
        Error::Setup { reason: root_cause(error) }
    } else {
        Error::Interrupted { reason: root_cause(error) }
    }
}

/// Returns the innermost cause, which is the one that a person can act on.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    // Locations may hold raw UTF-8, which is not a header's text by the letter.
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// It is shown to people, so it must look like what it claims to be.
fn is_permission(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$');
    id.contains('.') && id.len() <= 200 && id.bytes().all(fits)
}
