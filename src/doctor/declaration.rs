use serde::Serialize;

/// A parameter that a project should declare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Declaration {
    pub name: String,
    /// Ties builds to jobs; what else clients send may have line breaks, and is declared as a text, as the plugin sent it.
    pub is_marker: bool,
}

impl Declaration {
    /// Returns whether the name can be written into somebody's configuration as it is: clients make names up.
    pub(super) fn can_be_written(name: &str) -> bool {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        !name.is_empty() && name.len() <= 100 && name.bytes().all(fits)
    }

    pub(super) fn description(&self) -> &'static str {
        if self.is_marker { "Ties a build to its Gearman job." } else { "Sent by Gearman clients." }
    }
}
