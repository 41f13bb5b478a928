//! The rounds themselves: what each part asks, and what it makes of the answer.
//!
//! A round only reads. It may be dropped at any await.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::board::Board;
use super::memory::Memory;
use super::picture::{Part, Seen};
use crate::domain::{DeclaredParameter, Mode, Node, NodeName, Project, ProjectName, QueueItem};
use crate::jenkins::{Answer, Client, Error};

/// How many single things one round looks up after its list, so that a change of everything does not become a flood.
const MOST_LOOK_UPS: usize = 20;

/// Looking parameters up one by one is for new projects, or for all where they are too many at once.
const MOST_PARAMETER_LOOK_UPS: usize = 200;

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
}

pub(super) struct NodesRound<S> {
    source: S,
    board: Arc<Board>,
    memory: Memory<NodeName, Node>,
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

pub(super) struct ProjectsRound<S> {
    source: S,
    board: Arc<Board>,
    memory: Memory<ProjectName, Project>,
    parameters: BTreeMap<ProjectName, Vec<DeclaredParameter>>,
    parameters_due: Option<Instant>,
    /// Projects whose parameters could not be read, and when to try again.
    unreadable: BTreeMap<ProjectName, Instant>,
}

impl<S: Source> NodesRound<S> {
    pub(super) fn new(source: S, board: Arc<Board>) -> Self {
        Self { source, board, memory: Memory::new(|node| &node.name) }
    }
}

impl<S: Source> Round for NodesRound<S> {
    const PART: Part = Part::Nodes;

    fn interval(&self) -> Duration {
        self.board.intervals().nodes
    }

    async fn look(&mut self, asked_at: Instant) -> Result<(), Error> {
        let Answer { value: mut nodes, instance } = self.source.nodes().await?;
        // Only the first round waits here: a reserved node must not pass for an open one in the meantime.
        let modes = self.board.modes().await;
        for node in &mut nodes {
            node.mode = modes.get(&node.name).copied().unwrap_or_default();
        }
        self.memory.take_in(nodes);
        let show = |listed: Vec<Node>| {
            self.board.show(&instance, asked_at, |picture| Seen::renew(&mut picture.nodes, listed, asked_at));
        };
        show(self.memory.listed().to_vec());
        let mut is_changed = false;
        for node in self.memory.missing().into_iter().take(MOST_LOOK_UPS) {
            match self.source.has_node(&node).await {
                Ok(true) => self.memory.confirm(&node),
                Ok(false) => {
                    self.memory.forget(&node);
                    is_changed = true;
                }
                Err(error) => debug!(%node, %error, "failed to look for a node that is missing from the list"),
            }
        }
        if is_changed {
            show(self.memory.listed().to_vec());
        }
        Ok(())
    }
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

impl<S: Source> ProjectsRound<S> {
    pub(super) fn new(source: S, board: Arc<Board>) -> Self {
        let memory = Memory::new(|project: &Project| &project.name);
        let (parameters, unreadable) = (BTreeMap::new(), BTreeMap::new());
        Self { source, board, memory, parameters, parameters_due: None, unreadable }
    }

    async fn list(&mut self, asked_at: Instant) -> Result<Answer<Vec<Project>>, Error> {
        let is_due = self.parameters_due.is_none_or(|due| asked_at >= due);
        if !self.board.take_wish_for_parameters() && !is_due {
            return self.source.projects().await;
        }
        let answer = self.source.projects_with_parameters().await;
        let is_too_heavy = answer.as_ref().is_err_and(Error::is_too_heavy);
        if answer.is_ok() || is_too_heavy {
            self.parameters_due = Some(asked_at + self.board.intervals().parameters);
        }
        match answer {
            Err(error) if is_too_heavy => {
                warn!(%error, "failed to read all parameters at once; reading them project by project");
                self.source.projects().await
            }
            answer => answer,
        }
    }

    /// Carries parameters over between lists that have them and lists that do not.
    fn complete(&mut self, projects: &mut [Project]) {
        for project in projects {
            match &project.parameters {
                Some(declared) => drop(self.parameters.insert(project.name.clone(), declared.clone())),
                None => project.parameters = self.parameters.get(&project.name).cloned(),
            }
        }
    }

    async fn look_for_missing(&mut self) -> bool {
        let mut is_changed = false;
        for project in self.memory.missing().into_iter().take(MOST_LOOK_UPS) {
            match self.source.has_project(&project).await {
                Ok(true) => self.memory.confirm(&project),
                Ok(false) => {
                    self.memory.forget(&project);
                    is_changed = true;
                }
                Err(error) => debug!(%project, %error, "failed to look for a project that is missing from the list"),
            }
        }
        is_changed
    }

    async fn look_up_new_parameters(&mut self, asked_at: Instant) -> bool {
        self.unreadable.retain(|_, try_again_at| *try_again_at > asked_at);
        let is_new =
            |project: &&mut Project| project.parameters.is_none() && !self.unreadable.contains_key(&project.name);
        let mut failed = Vec::new();
        let mut is_changed = false;
        for project in self.memory.listed_mut().iter_mut().filter(is_new).take(MOST_PARAMETER_LOOK_UPS) {
            match self.source.parameters_of(&project.name).await {
                Ok(declared) => {
                    self.parameters.insert(project.name.clone(), declared.clone());
                    project.parameters = Some(declared);
                    is_changed = true;
                }
                Err(error) => {
                    debug!(project = %project.name, %error, "failed to read the parameters of a project");
                    failed.push(project.name.clone());
                }
            }
        }
        let try_again_at = asked_at + self.board.intervals().projects;
        self.unreadable.extend(failed.into_iter().map(|project| (project, try_again_at)));
        is_changed
    }
}

impl<S: Source> Round for ProjectsRound<S> {
    const PART: Part = Part::Projects;

    fn interval(&self) -> Duration {
        let is_unread =
            |project: &Project| project.parameters.is_none() && !self.unreadable.contains_key(&project.name);
        let has_unread = self.memory.listed().iter().any(is_unread);
        // While parameters are still unknown, nothing can be offered of those projects.
        let interval = self.board.intervals().projects;
        if has_unread { interval.min(self.board.intervals().nodes) } else { interval }
    }

    async fn look(&mut self, asked_at: Instant) -> Result<(), Error> {
        let Answer { value: mut projects, instance } = self.list(asked_at).await?;
        self.complete(&mut projects);
        self.memory.take_in(projects);
        let board = Arc::clone(&self.board);
        let show = |listed: Vec<Project>| {
            board.show(&instance, asked_at, |picture| Seen::renew(&mut picture.projects, listed, asked_at));
        };
        show(self.memory.listed().to_vec());
        let is_shorter = self.look_for_missing().await;
        let is_fuller = self.look_up_new_parameters(asked_at).await;
        if is_shorter || is_fuller {
            show(self.memory.listed().to_vec());
        }
        let listed: BTreeSet<_> = self.memory.listed().iter().map(|project| &project.name).collect();
        self.parameters.retain(|project, _| listed.contains(project));
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
