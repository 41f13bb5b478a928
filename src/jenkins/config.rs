//! Where a controller is, and how often it is asked.
//!
//! The token is not here: whoever reads the configuration resolves it and hands it over as `Credentials`.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Intervals;
use crate::domain::human_duration;

/// How to reach one controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The controller's root address, context path included: `https://ci.example.org/jenkins/`. Its certificate is
    /// checked against the system's store, or the file that `SSL_CERT_FILE` names. No proxy is used.
    pub url: BaseUrl,
    /// The user that the API token belongs to. Empty: nobody logs in, for controllers without security.
    #[serde(default)]
    pub user: String,
    /// How long one request may take, its answer included. Default: 30s.
    #[serde(default = "request_timeout", with = "human_duration")]
    pub request_timeout: Duration,
    /// How often the controller is asked.
    #[serde(default)]
    pub poll: Intervals,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Empty: nobody logs in.
    pub user: String,
    /// An API token; a password works too, at the cost of a crumb.
    pub token: SecretString,
}

/// The root address of a controller: http or https, without credentials, query and fragment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl(Url);

/// Why an address cannot be a controller's. It does not repeat the address, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the controller's address {0}")]
pub struct InvalidUrl(&'static str);

impl BaseUrl {
    /// Reads an address as an operator wrote it, with or without a slash at its end.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let mut url =
            Url::parse(text.trim()).map_err(|_| InvalidUrl("is not a URL such as https://ci.example.org/"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(InvalidUrl("must begin with http:// or https:// and a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl("must not hold credentials; use `user` and a token"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidUrl("must not have a query or a fragment"));
        }
        let context = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{context}/"));
        Ok(Self(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the address of something below the root; `path` begins with a slash and is encoded.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = InvalidUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> Self {
        url.0.into()
    }
}

fn request_timeout() -> Duration {
    Duration::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_needs_only_an_address() {
        let config: Config = toml::from_str("url = 'https://ci.example.org/jenkins'").unwrap();
        assert_eq!(config.url.as_str(), "https://ci.example.org/jenkins/");
        assert_eq!(config.request_timeout, Duration::from_secs(30));
        assert_eq!(config.poll, Intervals::default());
    }

    #[test]
    fn intervals_are_written_as_people_write_them_and_misspelt_ones_are_refused() {
        let text = "url = 'http://ci/'\nuser = 'bot'\nrequest_timeout = '1m 30s'\n[poll]\nqueue = '500ms'";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.request_timeout, Duration::from_secs(90));
        assert_eq!(config.poll.queue, Duration::from_millis(500));
        for bad in ["url = 'http://ci/'\ntoken = 'x'", "url = 'http://ci/'\n[poll]\nnode = '3s'", "user = 'bot'"] {
            assert!(toml::from_str::<Config>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_a_controllers_are_refused_without_repeating_a_password() {
        for bad in ["ci.example.org", "ftp://ci/", "https://bot:hunter2@ci/", "https://ci/?a=b", "https://ci/#x", ""] {
            let error = BaseUrl::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_context_path_stays_before_every_path() {
        for (base, address) in [
            ("https://ci", "https://ci/job/a%252Fb/api/json"),
            ("http://ci:8080/x/y/", "http://ci:8080/x/y/job/a%252Fb/api/json"),
        ] {
            assert_eq!(BaseUrl::parse(base).unwrap().at("/job/a%252Fb/api/json").as_str(), address);
        }
    }
}
