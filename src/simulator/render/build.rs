use serde_json::{Value as Json, json};

use super::{View, hollow};
use crate::domain::ProjectKind;
use crate::simulator::fleet::ParameterKind;
use crate::simulator::tree::Selection;
use crate::simulator::world::{Build, Cause, Project, Value, parent_of, short_name};

impl View<'_> {
    pub(crate) fn build(&self, project: &Project, build: &Build, selection: Selection<'_>) -> Json {
        let version = self.world.settings.version;
        let full_name = project.spec.full_name.as_str();
        let display_name = format!("#{}", build.number);
        let is_pipeline = project.spec.kind == ProjectKind::Pipeline;
        let neighbour = |number: Option<u64>, inside| match number {
            Some(number) => self.build_link(project, number, inside),
            None => Json::Null,
        };
        let mut bean = self
            .bean(build_class(project), selection)
            .lazy("actions", 1, |inside| self.build_actions(build, inside))
            .list("artifacts", 1, std::iter::empty::<()>(), |(), _| Json::Null)
            .field("building", build.is_building())
            .field("description", build.description.clone())
            .field("displayName", display_name.as_str())
            .field("duration", build.duration())
            .lazy("estimatedDuration", 1, |_| project.estimated_duration().map_or(json!(-1), Json::from))
            .lazy("executor", 1, |inside| match build.in_progress {
                true => {
                    let number = build.place.executor.map_or(-1, i64::from);
                    let class = if number < 0 { "hudson.model.OneOffExecutor" } else { "hudson.model.Executor" };
                    self.bean(class, inside).field("number", number).field("idle", false).done()
                }
                false => Json::Null,
            })
            .lazy("fullDisplayName", 1, |_| format!("{} {display_name}", self.full_display_name(project)).into())
            .field("id", build.number.to_string())
            .field_if(version.exports_in_progress(), "inProgress", build.in_progress)
            .field("keepLog", false)
            .shown("number", 2, build.number);
        if version.exports_queue_id() {
            bean = bean.field("queueId", build.queue_id);
        }
        bean = bean
            .field("result", build.result.map(crate::domain::BuildResult::as_str))
            .field("timestamp", build.scheduled)
            .lazy("url", 2, |_| self.build_url(full_name, build.number).into());
        if is_pipeline {
            bean = bean.list("changeSets", 1, std::iter::empty::<()>(), |(), _| Json::Null);
        } else {
            bean = bean
                .field("builtOn", build.place.node.as_str())
                .lazy("changeSet", 1, |inside| hollow("hudson.scm.EmptyChangeLogSet", self, inside));
        }
        if project.spec.kind == ProjectKind::Matrix && !project.is_configuration {
            let runs = self.world.configurations(full_name).filter(|(_, cell)| cell.builds.contains_key(&build.number));
            bean = bean.list("runs", 1, runs, |(_, cell), inside| self.build_link(cell, build.number, inside));
        }
        bean.list("culprits", 1, std::iter::empty::<()>(), |(), _| Json::Null)
            .lazy("nextBuild", 1, |inside| {
                neighbour(project.builds.range(build.number + 1..).next().map(|(number, _)| *number), inside)
            })
            .lazy("previousBuild", 1, |inside| {
                neighbour(project.builds.range(..build.number).next_back().map(|(number, _)| *number), inside)
            })
            .done()
    }

    /// A build where another object refers to it.
    pub(super) fn build_link(&self, project: &Project, number: u64, selection: Selection<'_>) -> Json {
        match project.builds.get(&number) {
            Some(build) => self.build(project, build, selection),
            None => self.plain(selection).done(),
        }
    }

    /// The part of a pipeline that occupies an executor. It carries no parameters.
    pub(super) fn placeholder(&self, project: &str, build: &Build, selection: Selection<'_>) -> Json {
        self.bean(
            "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask$PlaceholderExecutable",
            selection,
        )
        .field("displayName", format!("part of {project} #{}", build.number))
        .field("estimatedDuration", -1)
        .shown("number", 2, build.number)
        .field("timestamp", build.started)
        .lazy("url", 2, |_| self.build_url(project, build.number).into())
        .done()
    }

    /// Some plugins' actions export nothing, and show as an empty object.
    fn build_actions(&self, build: &Build, selection: Selection<'_>) -> Json {
        let mut actions = Vec::new();
        if !build.parameters.is_empty() {
            actions.push(self.parameters_action(&build.parameters, selection));
        }
        actions.push(self.cause_action(&build.causes, selection));
        actions.push(self.plain(selection).done());
        Json::Array(actions)
    }

    pub(super) fn parameters_action(&self, parameters: &[Value], selection: Selection<'_>) -> Json {
        self.bean("hudson.model.ParametersAction", selection)
            .list("parameters", 2, parameters.iter(), |parameter, inside| self.parameter(parameter, inside))
            .done()
    }

    pub(super) fn cause_action(&self, causes: &[Cause], selection: Selection<'_>) -> Json {
        self.bean("hudson.model.CauseAction", selection)
            .list("causes", 2, causes.iter(), |cause, inside| self.cause(cause, inside))
            .done()
    }

    /// Passwords show no value, and the NodeLabel plugin's values show theirs under another name.
    pub(super) fn parameter(&self, value: &Value, selection: Selection<'_>) -> Json {
        let bean = self.bean(&value.kind.value_class(), selection).shown("name", 3, value.name.as_str());
        match value.kind {
            ParameterKind::Password => bean.done(),
            ParameterKind::Boolean => bean.shown("value", 4, value.value == "true").done(),
            ParameterKind::Node | ParameterKind::Label => bean.shown("label", 3, value.value.as_str()).done(),
            ParameterKind::String | ParameterKind::Text | ParameterKind::Choice => {
                bean.shown("value", 4, value.value.as_str()).done()
            }
        }
    }

    fn cause(&self, cause: &Cause, selection: Selection<'_>) -> Json {
        let class = match cause {
            Cause::User { .. } => "hudson.model.Cause$UserIdCause",
            Cause::Remote { .. } => "hudson.model.Cause$RemoteCause",
            Cause::Timer => "hudson.triggers.TimerTrigger$TimerTriggerCause",
            Cause::Upstream { .. } => "hudson.model.Cause$UpstreamCause",
        };
        let bean =
            self.bean(class, selection).shown("shortDescription", 3, self.language.say(cause.short_description()));
        match cause {
            Cause::User { id } => bean.shown("userId", 3, id.as_str()).shown("userName", 3, id.as_str()),
            Cause::Remote { address, note } => bean.shown("addr", 3, address.as_str()).shown("note", 3, note.as_str()),
            Cause::Upstream { project, number } => {
                bean.shown("upstreamBuild", 3, *number).shown("upstreamProject", 3, project.as_str())
            }
            Cause::Timer => bean,
        }
        .done()
    }

    pub(super) fn full_display_name(&self, project: &Project) -> String {
        let full_name = project.spec.full_name.as_str();
        match (project.is_configuration, parent_of(full_name)) {
            (true, Some(matrix)) => format!("{} » {}", matrix.replace('/', " » "), short_name(full_name)),
            _ => full_name.replace('/', " » "),
        }
    }
}

fn build_class(project: &Project) -> &'static str {
    match project.spec.kind {
        ProjectKind::Matrix if project.is_configuration => "hudson.matrix.MatrixRun",
        ProjectKind::Matrix => "hudson.matrix.MatrixBuild",
        ProjectKind::Maven => "hudson.maven.MavenModuleSetBuild",
        ProjectKind::Pipeline => "org.jenkinsci.plugins.workflow.job.WorkflowRun",
        ProjectKind::Freestyle | ProjectKind::Other | ProjectKind::Unknown => "hudson.model.FreeStyleBuild",
    }
}
