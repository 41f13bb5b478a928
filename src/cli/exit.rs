//! The exit codes: the one place where they are decided and described.

use std::process::ExitCode;

use crate::gearman::{admin, client};
use crate::{config, web};

use super::{doctor, policy};

/// How a command ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok,
    Failed,
    /// Clap uses it by itself.
    Usage,
    BuildNotSuccessful,
    DaemonUnreachable,
    ServerUnreachable,
    JobFailed,
    NotPermitted,
    BadConfiguration,
    Interrupted,
}

impl Exit {
    const ALL: [Self; 10] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::BuildNotSuccessful,
        Self::DaemonUnreachable,
        Self::ServerUnreachable,
        Self::JobFailed,
        Self::NotPermitted,
        Self::BadConfiguration,
        Self::Interrupted,
    ];

    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::BuildNotSuccessful => 3,
            Self::DaemonUnreachable => 4,
            Self::ServerUnreachable => 5,
            Self::JobFailed => 6,
            // From here on as sysexits.h has them.
            Self::NotPermitted => 77,
            Self::BadConfiguration => 78,
            // As a shell has it of a command that ends by SIGINT.
            Self::Interrupted => 130,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done; of a build: SUCCESS",
            Self::Failed => "failed; of doctor: something is wrong; of policy diff: it differs",
            Self::Usage => "the command line, or a file that it names, is not understood",
            Self::BuildNotSuccessful => "the build ended with another result than SUCCESS",
            Self::DaemonUnreachable => "no daemon answers on its control socket",
            Self::ServerUnreachable => "the Gearman server cannot be reached, or was lost",
            Self::JobFailed => "the job ended without a result: it failed or was rejected",
            Self::NotPermitted => "the daemon does not let this user change anything",
            Self::BadConfiguration => "the configuration is not valid or cannot be read",
            Self::Interrupted => "interrupted while it waited; what was submitted may go on",
        }
    }

    /// Returns the table for `--help`.
    pub(super) fn help() -> String {
        let lines = Self::ALL.iter().map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
    }

    /// Returns what an error is to scripts.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Failed)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if cause.is::<config::Error>() {
            return Some(Self::BadConfiguration);
        }
        // That something is wrong with the site, or differs, has the code 1 there.
        if cause.is::<doctor::Failure>() || cause.is::<policy::NotCompared>() {
            return Some(Self::Usage);
        }
        if let Some(error) = cause.downcast_ref::<web::ClientError>() {
            return match error {
                web::ClientError::Unreachable { .. } => Some(Self::DaemonUnreachable),
                web::ClientError::NotPermitted(_) => Some(Self::NotPermitted),
                _ => None,
            };
        }
        let is_client = cause.downcast_ref::<client::Error>().is_some_and(client::Error::is_loss);
        let is_admin = cause.downcast_ref::<admin::Error>().is_some_and(admin::Error::is_loss);
        (is_client || is_admin).then_some(Self::ServerUnreachable)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
