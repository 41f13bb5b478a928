//! What the control channel asks and tells: the runtime, or whatever stands in for it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use super::{BuildEntry, DecisionEntry};
use crate::domain::{ControllerName, NodeName};
use crate::journal::Wanted;
use crate::policy::{self, Explanation, Gate, Record, ReloadReport, Standing, Step};
use crate::runtime::status::{Mode, Nodes, Released, Status};
use crate::runtime::{self, ReleaseError, Runtime};

/// The runtime answers at once, but only when it has found out what its Gearman server is.
const PATIENCE: Duration = Duration::from_secs(3);

/// A daemon as its operators know it.
pub trait Daemon: Send + Sync + 'static {
    fn status(&self) -> impl Future<Output = Result<Status, Failure>> + Send;
    /// Returns builds from the journal, the latest first.
    fn builds(&self, limit: usize) -> impl Future<Output = Result<Vec<BuildEntry>, Failure>> + Send;
    fn nodes(&self) -> impl Future<Output = Result<Nodes, Failure>> + Send;
    /// Brings a node back that is offline because of the daemon.
    fn release(
        &self,
        node: &NodeName,
        controller: Option<&ControllerName>,
    ) -> impl Future<Output = Result<Released, Failure>> + Send;
    fn policies(&self) -> Standing;
    fn set_mode(&self, mode: Mode) -> Result<(), Failure>;
    /// Looks at the folder of policies now; the waived gates let everything pass.
    fn reload_policies(&self, waived: BTreeSet<Gate>) -> impl Future<Output = Result<ReloadReport, Failure>> + Send;
    /// Lets nothing in from the folder until it is thawed.
    fn freeze_policies(&self, frozen: bool) -> impl Future<Output = Result<ReloadReport, Failure>> + Send;
    fn roll_back(&self, policy: &str) -> impl Future<Output = Result<ReloadReport, Failure>> + Send;
    fn accept(&self, policy: &str) -> impl Future<Output = Result<ReloadReport, Failure>> + Send;
    fn retire(
        &self,
        policy: &str,
        waived: BTreeSet<Gate>,
    ) -> impl Future<Output = Result<ReloadReport, Failure>> + Send;
    /// Takes a policy out of force for a while.
    fn disable(
        &self,
        policy: &str,
        how_long: Duration,
        waived: BTreeSet<Gate>,
    ) -> impl Future<Output = Result<ReloadReport, Failure>> + Send;
    fn enable(&self, policy: &str) -> impl Future<Output = Result<ReloadReport, Failure>> + Send;
    /// Returns decisions of policies, the latest first.
    fn decisions(
        &self,
        wanted: Wanted,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DecisionEntry>, Failure>> + Send;
    fn decision(&self, id: i64) -> impl Future<Output = Result<Record, Failure>> + Send;
    /// Makes a decision again by what was in force then; `values` are those that its record does not have.
    fn explain(
        &self,
        id: i64,
        values: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Explanation, Failure>> + Send;
    /// Puts the question of a decision to all that was in force since it is known.
    fn bisect(
        &self,
        id: i64,
        values: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Vec<Step>, Failure>> + Send;
}

/// Why a request was not granted. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Broken(String),
    #[error("the daemon is ending")]
    Ending,
    #[error("the daemon does not serve yet: it waits for its gearman server; its log says more")]
    NotYet,
}

impl Daemon for Runtime {
    async fn status(&self) -> Result<Status, Failure> {
        match tokio::time::timeout(PATIENCE, Self::status(self)).await {
            Ok(status) => Ok(status?),
            Err(_) => Err(Failure::NotYet),
        }
    }

    async fn builds(&self, limit: usize) -> Result<Vec<BuildEntry>, Failure> {
        let records = self.journal().recent(limit).await.map_err(|error| Failure::Broken(error.to_string()))?;
        Ok(records.into_iter().map(BuildEntry::from).collect())
    }

    async fn nodes(&self) -> Result<Nodes, Failure> {
        Ok(Self::nodes(self).await?)
    }

    async fn release(&self, node: &NodeName, controller: Option<&ControllerName>) -> Result<Released, Failure> {
        Ok(Self::release(self, node, controller).await?)
    }

    fn policies(&self) -> Standing {
        Self::policies(self).standing()
    }

    fn set_mode(&self, mode: Mode) -> Result<(), Failure> {
        match mode {
            Mode::Serving => self.resume()?,
            Mode::Paused => self.pause()?,
            Mode::Draining => self.drain()?,
        }
        Ok(())
    }

    async fn reload_policies(&self, waived: BTreeSet<Gate>) -> Result<ReloadReport, Failure> {
        Ok(Self::policies(self).reload_accepting(waived).await)
    }

    async fn freeze_policies(&self, frozen: bool) -> Result<ReloadReport, Failure> {
        Ok(Self::policies(self).freeze(frozen).await?)
    }

    async fn roll_back(&self, policy: &str) -> Result<ReloadReport, Failure> {
        Ok(Self::policies(self).rollback(policy).await?)
    }

    async fn accept(&self, policy: &str) -> Result<ReloadReport, Failure> {
        Ok(Self::policies(self).accept(policy).await?)
    }

    async fn retire(&self, policy: &str, waived: BTreeSet<Gate>) -> Result<ReloadReport, Failure> {
        Ok(Self::policies(self).retire(policy, waived).await?)
    }

    async fn disable(&self, policy: &str, how_long: Duration, waived: BTreeSet<Gate>) -> Result<ReloadReport, Failure> {
        Ok(Self::policies(self).disable(policy, how_long, waived).await?)
    }

    async fn enable(&self, policy: &str) -> Result<ReloadReport, Failure> {
        Ok(Self::policies(self).enable(policy).await?)
    }

    async fn decisions(&self, wanted: Wanted, limit: usize) -> Result<Vec<DecisionEntry>, Failure> {
        let found =
            self.journal().decisions(wanted, limit).await.map_err(|error| Failure::Broken(error.to_string()))?;
        Ok(found.into_iter().map(DecisionEntry::from).collect())
    }

    async fn decision(&self, id: i64) -> Result<Record, Failure> {
        let json = self.journal().decision(id).await.map_err(|error| Failure::Broken(error.to_string()))?;
        let unknown = || {
            Failure::NotFound(format!(
                "no decision {id} is kept: see `layshaft policy log`; policies.log says for how long"
            ))
        };
        Record::from_json(&json.ok_or_else(unknown)?).map_err(Failure::Broken)
    }

    async fn explain(&self, id: i64, values: BTreeMap<String, String>) -> Result<Explanation, Failure> {
        let record = Daemon::decision(self, id).await?;
        Ok(Self::policies(self).explain(record, values).await)
    }

    async fn bisect(&self, id: i64, values: BTreeMap<String, String>) -> Result<Vec<Step>, Failure> {
        let record = Daemon::decision(self, id).await?;
        Ok(Self::policies(self).bisect(record, values).await)
    }
}

impl From<runtime::Error> for Failure {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::Stopped => Self::Ending,
            error => Self::Broken(error.to_string()),
        }
    }
}

impl From<ReleaseError> for Failure {
    fn from(error: ReleaseError) -> Self {
        match &error {
            ReleaseError::Unknown { .. } | ReleaseError::UnknownThere { .. } | ReleaseError::UnknownController(_) => {
                Self::NotFound(error.to_string())
            }
            ReleaseError::Jenkins { .. } | ReleaseError::Journal(_) => Self::Broken(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

impl From<policy::Error> for Failure {
    fn from(error: policy::Error) -> Self {
        match &error {
            policy::Error::Unknown(_) => Self::NotFound(error.to_string()),
            policy::Error::Engine(_) | policy::Error::State { .. } | policy::Error::NotWritten { .. } => {
                Self::Broken(error.to_string())
            }
            _ => Self::Refused(error.to_string()),
        }
    }
}
