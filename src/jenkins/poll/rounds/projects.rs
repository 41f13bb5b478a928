use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::{MOST_LOOK_UPS, Round, Source};
use crate::domain::{DeclaredParameter, Project, ProjectKind, ProjectName};
use crate::jenkins::poll::board::Board;
use crate::jenkins::poll::gathered::Gathered;
use crate::jenkins::poll::look_ups::LookUps;
use crate::jenkins::poll::memory::Memory;
use crate::jenkins::poll::picture::{Part, Seen};
use crate::jenkins::wire::Configuration;
use crate::jenkins::{Answer, Error, Instance, release};

/// What is asked about one project.
struct Details {
    parameters: Vec<DeclaredParameter>,
    /// Before 2.94.
    configuration: Option<Configuration>,
}

/// The list of projects. Their parameters come with it seldom, and for new and changed projects beside it.
pub(in crate::jenkins::poll) struct ProjectsRound<S> {
    source: S,
    board: Arc<Board>,
    memory: Memory<ProjectName, Project>,
    parameters: BTreeMap<ProjectName, Vec<DeclaredParameter>>,
    /// For controllers before 2.94.
    configurations: BTreeMap<ProjectName, Configuration>,
    parameters_due: Option<Instant>,
    /// When the list was asked for that all parameters were to be read with, until they are.
    rereading_since: Option<Instant>,
    /// Whose details are still to be read, however many lists come in between.
    owed: BTreeSet<ProjectName>,
    /// Whose details cannot be read, and until when that is not tried again.
    refused: BTreeMap<ProjectName, Instant>,
    existence: LookUps<ProjectName, bool>,
    details: LookUps<ProjectName, Details>,
    gathered: Gathered,
    /// Which process gave the newest list, and when it was asked for.
    newest: (Instance, Instant),
}

impl<S: Source> ProjectsRound<S> {
    pub(in crate::jenkins::poll) fn new(source: S, board: Arc<Board>) -> Self {
        Self {
            source,
            board,
            memory: Memory::new(|project: &Project| &project.name),
            parameters: BTreeMap::new(),
            configurations: BTreeMap::new(),
            parameters_due: None,
            rereading_since: None,
            owed: BTreeSet::new(),
            refused: BTreeMap::new(),
            existence: LookUps::new(),
            details: LookUps::new(),
            gathered: Gathered::default(),
            newest: (Instance::default(), Instant::now()),
        }
    }

    /// Reads the list, and returns whose parameters have to be looked up for all that.
    async fn list(&mut self, asked_at: Instant) -> Result<(Answer<Vec<Project>>, Vec<ProjectName>), Error> {
        let is_due = self.parameters_due.is_none_or(|due| asked_at >= due);
        let is_wished = self.board.take_wish_for_parameters();
        if !is_wished && !is_due {
            let mut answer = self.source.projects().await?;
            self.complete(&mut answer);
            let open = self.with_open_questions(&answer.value, asked_at);
            return Ok((answer, open));
        }
        // One by one it may take longer than the interval: what is still owed comes first then.
        let goes_on = !is_wished && self.rereading_since.is_some();
        let (answer, all) = match self.source.projects_with_parameters().await {
            Err(error) if error.is_too_heavy() => {
                warn!(%error, "failed to read all parameters at once; reading them project by project");
                let mut answer = self.source.projects().await?;
                self.complete(&mut answer);
                let all: BTreeSet<_> = answer.value.iter().map(|project| project.name.clone()).collect();
                (answer, all)
            }
            answer => {
                let mut answer = answer?;
                self.complete(&mut answer);
                let untold = answer.value.iter().filter(|project| needs_configuration(project, &answer.instance));
                let untold = untold.map(|project| project.name.clone()).collect();
                (answer, untold)
            }
        };
        self.parameters_due = Some(asked_at + self.board.intervals().parameters);
        self.owed.retain(|project| all.contains(project));
        if goes_on && !self.owed.is_empty() {
            let open = self.with_open_questions(&answer.value, asked_at);
            return Ok((answer, open));
        }
        self.rereading_since = Some(asked_at);
        Ok((answer, all.into_iter().collect()))
    }

    /// Carries over what this list does not tell. A project whose label is not known counts as one whose parameters
    /// are not known, so that both are looked up; and it is offered nowhere, since no label would mean everywhere.
    fn complete(&mut self, answer: &mut Answer<Vec<Project>>) {
        if answer.instance.session != self.newest.0.session {
            self.refused.clear();
        }
        for project in &mut answer.value {
            match &project.parameters {
                Some(declared) => drop(self.parameters.insert(project.name.clone(), declared.clone())),
                None => project.parameters = self.parameters.get(&project.name).cloned(),
            }
            if needs_configuration(project, &answer.instance) {
                match self.configurations.get(&project.name) {
                    Some(configuration) => configuration.complete(project),
                    None => (project.label_unknown, project.parameters) = (true, None),
                }
            }
        }
    }

    /// Returns the projects whose parameters somebody must look up: nobody knows them, or somebody has just edited
    /// what a light list shows, and perhaps more.
    fn with_open_questions(&self, light: &[Project], asked_at: Instant) -> Vec<ProjectName> {
        let known: BTreeMap<&ProjectName, &Project> =
            self.memory.listed().iter().map(|project| (&project.name, project)).collect();
        let is_open = |project: &&Project| {
            let is_edited = |known: &&Project| {
                let of = |project: &Project| (project.kind, project.buildable, project.concurrent);
                project.buildable && (of(project) != of(known) || project.label != known.label)
            };
            let is_refused = self.refused.get(&project.name).is_some_and(|until| asked_at < *until);
            project.parameters.is_none() && !is_refused || known.get(&project.name).is_some_and(is_edited)
        };
        light.iter().filter(is_open).map(|project| project.name.clone()).collect()
    }

    fn show(&self) {
        let (instance, asked_at) = &self.newest;
        let listed = self.memory.listed().to_vec();
        self.board.show(instance, *asked_at, |picture| Seen::renew(&mut picture.projects, listed, *asked_at));
    }

    fn note_parameters(&mut self) {
        let all_known = || self.memory.listed().iter().all(|project| project.parameters.is_some());
        if self.owed.is_empty() && all_known() {
            self.board.note_parameters(self.rereading_since.take());
        }
    }

    fn take_existence(&mut self, project: &ProjectName, answer: Result<bool, Error>) {
        match answer {
            Ok(true) => self.memory.confirm(project),
            Ok(false) => {
                let is_changed = self.memory.forget(project);
                self.gathered.note(is_changed);
            }
            Err(error) => debug!(%project, %error, "failed to look for a project that is missing from the list"),
        }
    }

    fn take_details(&mut self, name: ProjectName, answer: Result<Details, Error>) {
        let listed = self.memory.listed_mut().iter_mut().find(|project| project.name == name);
        let Details { parameters, configuration } = match answer {
            Ok(details) => details,
            // The next round tries again what may well succeed then.
            Err(error) => {
                debug!(project = %name, %error, "failed to read what a project declares");
                if !error.is_transient() {
                    self.owed.remove(&name);
                    self.rereading_since = None;
                    self.refused.insert(name, Instant::now() + self.board.intervals().parameters);
                }
                if listed.is_some_and(|project| project.parameters.is_none()) {
                    self.board.note_trouble(Part::Parameters, &error);
                }
                return;
            }
        };
        self.owed.remove(&name);
        self.refused.remove(&name);
        if let Some(project) = listed {
            let mut completed = Project { parameters: Some(parameters.clone()), ..project.clone() };
            if let Some(configuration) = &configuration {
                configuration.complete(&mut completed);
            }
            self.gathered.note(*project != completed);
            *project = completed;
        }
        self.configurations.extend(configuration.map(|configuration| (name.clone(), configuration)));
        self.parameters.insert(name, parameters);
    }
}

/// Returns whether the label of a project is told in its configuration alone. Pipelines have none of their own.
fn needs_configuration(project: &Project, instance: &Instance) -> bool {
    release::lacks_labels(instance.version.as_deref()) && project.kind != ProjectKind::Pipeline
}

impl<S: Source> Round for ProjectsRound<S> {
    const PART: Part = Part::Projects;

    fn interval(&self) -> Duration {
        self.board.intervals().projects
    }

    async fn look(&mut self, asked_at: Instant) -> Result<(), Error> {
        let (Answer { value: projects, instance }, open) = self.list(asked_at).await?;
        self.memory.take_in(projects, &self.existence.open());
        self.newest = (instance, asked_at);
        self.show();
        self.existence.want(self.memory.missing().into_iter().take(MOST_LOOK_UPS));
        self.owed.extend(open);
        let listed: BTreeSet<_> = self.memory.listed().iter().map(|project| &project.name).collect();
        self.owed.retain(|project| listed.contains(project));
        self.refused.retain(|project, _| listed.contains(project));
        self.details.want(self.owed.iter().cloned());
        self.parameters.retain(|project, _| listed.contains(project));
        self.configurations.retain(|project, _| listed.contains(project));
        self.note_parameters();
        Ok(())
    }

    async fn look_up(&mut self) {
        let source = &self.source;
        let exists = |project: ProjectName| {
            let source = source.clone();
            async move { source.has_project(&project).await }
        };
        let is_old = release::lacks_labels(self.newest.0.version.as_deref());
        let details = |project: ProjectName| {
            let source = source.clone();
            async move {
                let parameters = source.parameters_of(&project).await?;
                let configuration = if is_old { Some(source.configuration_of(&project).await?) } else { None };
                Ok(Details { parameters, configuration })
            }
        };
        // Both arms are cancel safe.
        tokio::select! {
            (project, answer) = self.existence.next(exists) => self.take_existence(&project, answer),
            (project, answer) = self.details.next(details) => self.take_details(project, answer),
        }
        self.note_parameters();
        if self.gathered.take(self.existence.is_idle() && self.details.is_idle(), Instant::now()) {
            self.show();
        }
    }
}
