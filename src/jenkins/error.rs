//! What can go wrong when a controller is asked, and whether it may have acted all the same.
//!
//! No variant carries anything that we sent, nor text that a controller wrote at length: a token or a secret
//! parameter cannot come back through an error.

/// Why a request to a controller failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("failed to set up the HTTP client: {reason}")]
    Setup { reason: String },
    /// No connection: the request never left.
    #[error("failed to reach the controller: {reason}")]
    Unreachable { reason: String },
    #[error("the controller did not answer in time")]
    TimedOut,
    /// The connection broke after the request had begun to leave.
    #[error("the connection broke before the answer came: {reason}")]
    Interrupted { reason: String },
    #[error("the controller does not accept the user and token; check both, and that the token was not revoked")]
    Unauthorized,
    #[error("jenkins {version} is too old: 1.519 is the first version that tells what became of a build; update it")]
    TooOld { version: String },
    /// A redirect that asks a person to log in.
    #[error(
        "{path} leads to a login page ({to}): neither the user nor the token arrives; check both, and that a proxy in \
         between passes API tokens on"
    )]
    LoginPage { path: String, to: String },
    #[error("the controller refused {path}: {}", missing(required_permission.as_deref()))]
    Forbidden {
        path: String,
        /// Jenkins' own name of the permission, such as `hudson.model.Item.Build`.
        required_permission: Option<String>,
    },
    #[error("{path} does not exist, or the user may not read it")]
    NotFound { path: String },
    /// Disabled, also through a folder, or held back.
    #[error("{path} is not buildable; is the project or its folder disabled?")]
    NotBuildable { path: String },
    /// Jenkins did not like the form of the request: parameters for a project that declares none, or the reverse.
    #[error(
        "the controller rejected the request to {path} as malformed; has the project gained or lost its parameters?"
    )]
    Rejected { path: String },
    #[error("the controller is starting, restarting or behind a proxy that cannot reach it")]
    Starting,
    #[error("the controller redirects {path} to {to}; set `url` to its final address")]
    Redirected { path: String, to: String },
    #[error("{path} answered with a page instead of data; check `url`, and for a proxy or login page in between")]
    NotJson { path: String },
    #[error("the answer of {path} ended early")]
    Truncated { path: String },
    #[error("the answer of {path} makes no sense: {detail}")]
    Malformed { path: String, detail: String },
    #[error("the answer of {path} is larger than {limit} bytes")]
    TooLarge { path: String, limit: usize },
    #[error("{path} was answered with the unexpected status {status}")]
    UnexpectedStatus { path: String, status: u16 },
    /// A build was (perhaps) queued, but the answer does not say as what.
    #[error("{path} was answered with status {status}, but not with a queue item")]
    NoQueueItem { path: String, status: u16 },
    #[error(
        "the controller refused {}: `privileged = true` needs a user with the permission Overall/Administer; grant it, or remove `privileged`",
        "/scriptText"
    )]
    NotPrivileged,
    /// The script console ran into an exception; which values it was about is left out.
    #[error("the controller failed at {step} ({problem})")]
    ScriptFailed { step: String, problem: String, may_have_started: bool },
    /// No item or node of Jenkins can have this name, so it has no address.
    #[error("{name:?} cannot be the name of something on a controller")]
    Unaddressable { name: String },
}

impl Error {
    /// Returns whether the same request may well succeed later, without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut
            | Self::Interrupted { .. }
            | Self::Starting
            | Self::Truncated { .. }
            | Self::Malformed { .. } => true,
            Self::UnexpectedStatus { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }

    /// Returns whether a request that should change something may have done so although it failed.
    ///
    /// False is a promise that it changed nothing; whatever leaves doubt is true.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Setup { .. }
            | Self::Unreachable { .. }
            | Self::TooOld { .. }
            | Self::Unauthorized
            | Self::LoginPage { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::NotBuildable { .. }
            | Self::Rejected { .. }
            | Self::Starting
            | Self::Redirected { .. }
            | Self::NotPrivileged
            | Self::Unaddressable { .. } => false,
            Self::ScriptFailed { may_have_started, .. } => *may_have_started,
            // 408 can come from a proxy that had passed the request on.
            Self::UnexpectedStatus { status, .. } => !(400..500).contains(status) || *status == 408,
            Self::TimedOut
            | Self::Interrupted { .. }
            | Self::NotJson { .. }
            | Self::Truncated { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::NoQueueItem { .. } => true,
        }
    }

    /// Returns whether asking for less may help.
    pub(super) fn is_too_heavy(&self) -> bool {
        matches!(self, Self::TimedOut | Self::TooLarge { .. } | Self::Truncated { .. })
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

fn missing(permission: Option<&str>) -> String {
    let Some(id) = permission else {
        return "no permission is named; the user may lack Overall/Read, or a crumb is needed and could not be had"
            .into();
    };
    match permission_name(id) {
        Some(shown) => format!("grant the user the permission {shown} ({id})"),
        None => format!("grant the user the permission {id}"),
    }
}

/// Returns what Jenkins' pages call a permission.
pub fn permission_name(id: &str) -> Option<&'static str> {
    Some(match id {
        "hudson.model.Hudson.Read" => "Overall/Read",
        "hudson.model.Item.Read" => "Job/Read",
        "hudson.model.Item.Build" => "Job/Build",
        "hudson.model.Item.Cancel" => "Job/Cancel",
        "hudson.model.Run.Update" => "Run/Update",
        "hudson.model.Computer.Disconnect" => "Agent/Disconnect",
        "hudson.model.Computer.Connect" => "Agent/Connect",
        "hudson.model.Computer.ExtendedRead" => "Agent/ExtendedRead",
        "hudson.model.Item.ExtendedRead" => "Job/ExtendedRead",
        "hudson.model.Item.Configure" => "Job/Configure",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_is_named_as_jenkins_shows_it() {
        let forbid = |permission: Option<&str>| Error::Forbidden {
            path: "/job/a/build".into(),
            required_permission: permission.map(str::to_owned),
        };
        assert_eq!(
            forbid(Some("hudson.model.Item.Build")).to_string(),
            "the controller refused /job/a/build: grant the user the permission Job/Build (hudson.model.Item.Build)"
        );
        assert!(forbid(Some("x.Y.Z")).to_string().ends_with("grant the user the permission x.Y.Z"));
        assert!(forbid(None).to_string().contains("crumb"));
    }

    #[test]
    fn only_errors_that_leave_no_doubt_say_that_nothing_happened() {
        let status = |status| Error::UnexpectedStatus { path: String::new(), status };
        for (error, unknown, transient) in [
            (Error::Unreachable { reason: String::new() }, false, true),
            (Error::Starting, false, true),
            (Error::Unauthorized, false, false),
            (Error::TimedOut, true, true),
            (Error::Interrupted { reason: String::new() }, true, true),
            (status(500), true, true),
            (status(502), true, true),
            (status(200), true, false),
            (status(408), true, true),
            (status(413), false, false),
            (status(429), false, true),
        ] {
            assert_eq!((error.is_outcome_unknown(), error.is_transient()), (unknown, transient), "{error:?}");
        }
    }
}
