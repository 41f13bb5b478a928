//! What the environment says about the configuration.
//!
//! One rule: `LAYSHAFT_<SECTION>_<KEY>` stands for a key of a section that holds one value, and outweighs the file.
//! Lists, other sections and controllers are the file's alone. Other variables are free for `token_env`.

use std::collections::BTreeMap;
use std::fmt;

const PREFIX: &str = "LAYSHAFT_";
/// A section stands before the one that it is in, whose name is the beginning of its own.
const SECTIONS: [&str; 8] = ["gearman.tls", "gearman", "policies", "journal", "control", "web", "builds", "log"];

/// Variables by name. Their values may be secret, so they are never shown.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

/// A value from the environment for a key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Override {
    pub(super) variable: String,
    pub(super) section: &'static str,
    pub(super) key: String,
    pub(super) value: String,
}

impl Environment {
    /// Returns this process's environment; variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(text).collect() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn overrides(&self) -> Vec<Override> {
        self.variables.iter().filter_map(|(name, value)| as_override(name, value)).collect()
    }
}

fn as_override(variable: &str, value: &str) -> Option<Override> {
    let rest = variable.strip_prefix(PREFIX)?;
    let (section, key) = SECTIONS.into_iter().find_map(|section| {
        let key = rest.strip_prefix(&section.to_ascii_uppercase().replace('.', "_"))?.strip_prefix('_')?;
        Some((section, key))
    })?;
    // Kubernetes sets these for a service that happens to be called layshaft-gearman.
    if key == "PORT" || key.starts_with("PORT_") || key.starts_with("SERVICE_") {
        return None;
    }
    let key = key.to_ascii_lowercase();
    Some(Override { variable: variable.to_owned(), section, key, value: value.to_owned() })
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_by_one_rule() {
        for (variable, expected) in [
            ("LAYSHAFT_GEARMAN_SERVER", Some(("gearman", "server"))),
            ("LAYSHAFT_GEARMAN_TLS_SERVER_NAME", Some(("gearman.tls", "server_name"))),
            ("LAYSHAFT_BUILDS_START_WITHIN", Some(("builds", "start_within"))),
            ("LAYSHAFT_LOG_FILTER", Some(("log", "filter"))),
            ("LAYSHAFT_LOG", None),
            ("LAYSHAFT_CONFIG", None),
            ("LAYSHAFT_CI1_TOKEN", None),
            ("LAYSHAFT_CONTROLLERS_URL", None),
            ("LAYSHAFT_GEARMAN_SERVICE_HOST", None),
            ("LAYSHAFT_GEARMAN_PORT_4730_TCP", None),
            ("GEARMAN_SERVER", None),
        ] {
            let read = as_override(variable, "x").map(|found| (found.section, found.key));
            assert_eq!(read, expected.map(|(section, key)| (section, key.to_owned())), "{variable}");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let environment: Environment = [("CI1_TOKEN", "hunter2")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), r#"{"CI1_TOKEN"}"#);
    }
}
