//! The rounds themselves: what each part asks, and what it makes of the answer.
//!
//! A round only reads. It may be dropped at any await. It waits for its own list and for nothing else: single things
//! are looked up beside it.

mod nodes;
mod projects;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::board::Board;
use super::picture::{Part, Seen};
use crate::domain::{DeclaredParameter, Mode, Node, NodeName, Project, ProjectName, QueueItem};
use crate::jenkins::wire::Configuration;
use crate::jenkins::{Answer, Client, Error};

pub(super) use nodes::NodesRound;
pub(super) use projects::ProjectsRound;

/// How many missing things one round looks up after its list, so that a change of everything does not become a flood.
const MOST_LOOK_UPS: usize = 20;

/// What the rounds ask: a controller, or a scripted one in tests.
pub(super) trait Source: Clone + Send + Sync + 'static {
    fn nodes(&self) -> impl Future<Output = Result<Answer<Vec<Node>>, Error>> + Send;
    fn modes(&self) -> impl Future<Output = Result<Answer<BTreeMap<NodeName, Mode>>, Error>> + Send;
    fn quieting_down(&self) -> impl Future<Output = Result<Answer<bool>, Error>> + Send;
    fn projects(&self) -> impl Future<Output = Result<Answer<Vec<Project>>, Error>> + Send;
    fn projects_with_parameters(&self) -> impl Future<Output = Result<Answer<Vec<Project>>, Error>> + Send;
    fn parameters_of(
        &self,
        project: &ProjectName,
    ) -> impl Future<Output = Result<Vec<DeclaredParameter>, Error>> + Send;
    fn configuration_of(&self, project: &ProjectName) -> impl Future<Output = Result<Configuration, Error>> + Send;
    fn configured_labels(&self, node: &NodeName) -> impl Future<Output = Result<BTreeSet<String>, Error>> + Send;
    fn queue(&self) -> impl Future<Output = Result<Answer<Vec<QueueItem>>, Error>> + Send;
    fn has_node(&self, node: &NodeName) -> impl Future<Output = Result<bool, Error>> + Send;
    fn has_project(&self, project: &ProjectName) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// One part of the picture: look, show, and again after a while.
pub(super) trait Round: Send + 'static {
    const PART: Part;

    fn interval(&self) -> Duration;

    /// Reads the part and shows it. `asked_at` lies before the first request.
    fn look(&mut self, asked_at: Instant) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits for the next answer to a look-up beside the list, and takes it in.
    ///
    /// # Cancel safety
    ///
    /// Must be cancel safe: it is dropped when the next look begins.
    fn look_up(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }
}

pub(super) struct ModesRound<S> {
    source: S,
    board: Arc<Board>,
}

pub(super) struct QuietingDownRound<S> {
    source: S,
    board: Arc<Board>,
}

pub(super) struct QueueRound<S> {
    source: S,
    board: Arc<Board>,
}

impl<S: Source> ModesRound<S> {
    pub(super) fn new(source: S, board: Arc<Board>) -> Self {
        Self { source, board }
    }
}

impl<S: Source> Round for ModesRound<S> {
    const PART: Part = Part::Modes;

    fn interval(&self) -> Duration {
        self.board.intervals().modes
    }

    async fn look(&mut self, _: Instant) -> Result<(), Error> {
        let answer = self.source.modes().await;
        self.board.set_modes(answer.as_ref().ok().map(|answer| answer.value.clone()));
        answer.map(drop)
    }
}

impl<S: Source> QuietingDownRound<S> {
    pub(super) fn new(source: S, board: Arc<Board>) -> Self {
        Self { source, board }
    }
}

impl<S: Source> Round for QuietingDownRound<S> {
    const PART: Part = Part::QuietingDown;

    fn interval(&self) -> Duration {
        self.board.intervals().nodes
    }

    async fn look(&mut self, asked_at: Instant) -> Result<(), Error> {
        let Answer { value, instance } = self.source.quieting_down().await?;
        self.board.show(&instance, asked_at, |picture| Seen::renew(&mut picture.quieting_down, value, asked_at));
        Ok(())
    }
}

impl<S: Source> QueueRound<S> {
    pub(super) fn new(source: S, board: Arc<Board>) -> Self {
        Self { source, board }
    }
}

impl<S: Source> Round for QueueRound<S> {
    const PART: Part = Part::Queue;

    fn interval(&self) -> Duration {
        self.board.queue_interval()
    }

    async fn look(&mut self, asked_at: Instant) -> Result<(), Error> {
        let Answer { value, instance } = self.source.queue().await?;
        self.board.show(&instance, asked_at, |picture| Seen::renew(&mut picture.queue, value, asked_at));
        Ok(())
    }
}

impl Source for Client {
    async fn nodes(&self) -> Result<Answer<Vec<Node>>, Error> {
        Self::nodes(self).await
    }

    async fn modes(&self) -> Result<Answer<BTreeMap<NodeName, Mode>>, Error> {
        Self::modes(self).await
    }

    async fn quieting_down(&self) -> Result<Answer<bool>, Error> {
        Self::quieting_down(self).await
    }

    async fn projects(&self) -> Result<Answer<Vec<Project>>, Error> {
        Self::projects(self).await
    }

    async fn projects_with_parameters(&self) -> Result<Answer<Vec<Project>>, Error> {
        Self::projects_with_parameters(self).await
    }

    async fn parameters_of(&self, project: &ProjectName) -> Result<Vec<DeclaredParameter>, Error> {
        Self::parameters_of(self, project).await
    }

    async fn configuration_of(&self, project: &ProjectName) -> Result<Configuration, Error> {
        Self::configuration_of(self, project).await
    }

    async fn configured_labels(&self, node: &NodeName) -> Result<BTreeSet<String>, Error> {
        Self::configured_labels(self, node).await
    }

    async fn queue(&self) -> Result<Answer<Vec<QueueItem>>, Error> {
        Self::queue(self).await
    }

    async fn has_node(&self, node: &NodeName) -> Result<bool, Error> {
        Self::has_node(self, node).await
    }

    async fn has_project(&self, project: &ProjectName) -> Result<bool, Error> {
        Self::has_project(self, project).await
    }
}
