use serde_json::Value as Json;

use super::{ALWAYS, View, hollow};
use crate::domain::{BuildResult, ProjectKind};
use crate::simulator::fleet::ParameterSpec;
use crate::simulator::tree::Selection;
use crate::simulator::world::{Build, Folder, Item, Project, Task, Value, short_name};

/// Jenkins loads this many builds for `builds`; `allBuilds` has the rest.
const NEWEST: usize = 100;

impl<'w> View<'w> {
    pub(crate) fn item(&self, full_name: &str, item: &Item, selection: Selection<'_>) -> Json {
        match item {
            Item::Folder(folder) => self.folder(full_name, folder, selection),
            Item::Project(project) => self.project(project, selection),
        }
    }

    pub(super) fn readable_children<'v>(&'v self, folder: &'v str) -> impl Iterator<Item = (&'v str, &'v Item)> {
        self.world.children(folder).filter(|(name, _)| self.caller.may_read(name) && self.is_listed(name))
    }

    pub(crate) fn project(&self, project: &Project, selection: Selection<'_>) -> Json {
        let world = self.world;
        let version = world.settings.version;
        let spec = &project.spec;
        let full_name = spec.full_name.as_str();
        let link = |found: Option<&Build>, inside| match found {
            Some(build) => self.build(project, build, inside),
            None => Json::Null,
        };
        let newest = |wanted: fn(&Build) -> bool| project.builds.values().rev().find(|build| wanted(build));
        let declared = (!spec.parameters.is_empty()).then_some(Some(spec.parameters.as_slice()));
        let properties = [None].into_iter().chain(declared);
        let is_pipeline = spec.kind == ProjectKind::Pipeline;
        let mut bean = self
            .bean(project_class(project), selection)
            .list("actions", 1, std::iter::once(()), |(), inside| self.plain(inside).done())
            .field("description", spec.description.as_str())
            .field("displayName", short_name(full_name))
            .field("displayNameOrNull", Json::Null)
            .lazy("fullDisplayName", 1, |_| self.full_display_name(project).into())
            .shown("fullName", 1, full_name)
            .shown("name", ALWAYS, short_name(full_name))
            .lazy("url", ALWAYS, |_| self.item_url(full_name).into())
            .lazy("buildable", 1, |_| world.is_buildable(full_name).into())
            .list("builds", 1, project.builds.values().rev().take(NEWEST), |build, inside| {
                self.build(project, build, inside)
            })
            .list("allBuilds", -2, project.builds.values().rev(), |build, inside| self.build(project, build, inside))
            .lazy("color", 2, |_| self.color(project).into())
            .lazy("firstBuild", 1, |inside| link(project.builds.values().next(), inside))
            .list("healthReport", 1, std::iter::empty::<()>(), |(), _| Json::Null)
            .lazy("inQueue", 1, |_| self.queue_item_of(full_name).is_some().into())
            .field("keepDependencies", false)
            .lazy("lastBuild", 1, |inside| link(newest(|_| true), inside))
            .lazy("lastCompletedBuild", 1, |inside| link(newest(|build| !build.is_building()), inside))
            .lazy("lastFailedBuild", 1, |inside| link(newest(|build| ended(build, &[BuildResult::Failure])), inside))
            .lazy("lastStableBuild", 1, |inside| link(newest(|build| ended(build, &[BuildResult::Success])), inside))
            .lazy("lastSuccessfulBuild", 1, |inside| {
                link(newest(|build| ended(build, &[BuildResult::Success, BuildResult::Unstable])), inside)
            })
            .lazy("lastUnstableBuild", 1, |inside| link(newest(|build| ended(build, &[BuildResult::Unstable])), inside))
            .lazy("lastUnsuccessfulBuild", 1, |inside| {
                link(newest(|build| !build.is_building() && build.result != Some(BuildResult::Success)), inside)
            })
            .field("nextBuildNumber", project.next_number)
            .inline_list("property", properties, |parameters, inside| self.property(parameters, inside))
            .lazy("queueItem", 1, |inside| {
                self.queue_item_of(full_name).map_or(Json::Null, |item| self.queue_item(item, inside))
            })
            // What is no classic project and no pipeline has neither of these.
            .field_if(spec.kind != ProjectKind::Unknown, "concurrentBuild", spec.concurrent)
            .field_if(spec.kind != ProjectKind::Unknown && version.exports_disabled(), "disabled", spec.disabled);
        if spec.kind == ProjectKind::Unknown {
            return bean.done();
        }
        if is_pipeline {
            return bean.field("resumeBlocked", false).done();
        }
        if version.exports_labels() {
            bean = bean.field("labelExpression", exported_label(spec.label.as_deref()));
        }
        if spec.kind == ProjectKind::Matrix && !project.is_configuration {
            bean = bean.list("activeConfigurations", 1, world.configurations(full_name), |(_, cell), inside| {
                self.project(cell, inside)
            });
        }
        if spec.kind == ProjectKind::Maven {
            bean = bean.list("modules", 1, std::iter::empty::<()>(), |(), _| Json::Null);
        }
        bean.list("downstreamProjects", 1, std::iter::empty::<()>(), |(), _| Json::Null)
            .lazy("scm", 1, |inside| hollow("hudson.scm.NullSCM", self, inside))
            .list("upstreamProjects", 1, std::iter::empty::<()>(), |(), _| Json::Null)
            .done()
    }

    fn folder(&self, full_name: &str, folder: &Folder, selection: Selection<'_>) -> Json {
        let class = match folder.multibranch {
            true => "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject",
            false => "com.cloudbees.hudson.plugins.folder.Folder",
        };
        let mut bean = self
            .bean(class, selection)
            .list("actions", 1, std::iter::empty::<()>(), |(), _| Json::Null)
            .field("description", "")
            .field("displayName", short_name(full_name))
            .field("displayNameOrNull", Json::Null)
            .field("fullDisplayName", full_name.replace('/', " » "))
            .shown("fullName", 1, full_name)
            .shown("name", ALWAYS, short_name(full_name))
            .lazy("url", ALWAYS, |_| self.item_url(full_name).into())
            .list("healthReport", 1, std::iter::empty::<()>(), |(), _| Json::Null)
            .list("jobs", 1, self.readable_children(full_name), |(name, item), inside| self.item(name, item, inside))
            .lazy("primaryView", 1, |inside| hollow("hudson.model.AllView", self, inside))
            .list("views", 1, std::iter::empty::<()>(), |(), _| Json::Null);
        if folder.multibranch {
            bean = bean.lazy("buildable", 1, |_| self.world.is_buildable(full_name).into());
        }
        bean.done()
    }

    /// A property without parameters stands for those of other plugins, which export nothing.
    fn property(&self, parameters: Option<&[ParameterSpec]>, selection: Selection<'_>) -> Json {
        let Some(parameters) = parameters else {
            return hollow("jenkins.model.BuildDiscarderProperty", self, selection);
        };
        self.bean("hudson.model.ParametersDefinitionProperty", selection)
            .list("parameterDefinitions", 1, parameters, |parameter, inside| {
                self.parameter_definition(parameter, inside)
            })
            .done()
    }

    fn parameter_definition(&self, parameter: &ParameterSpec, selection: Selection<'_>) -> Json {
        let default = Value { name: parameter.name.clone(), kind: parameter.kind, value: parameter.default_value() };
        let bean = self
            .bean(&parameter.kind.definition_class(), selection)
            .lazy("defaultParameterValue", 3, |inside| self.parameter(&default, inside))
            .shown("description", 3, "")
            .shown("name", 3, parameter.name.as_str())
            .shown("type", 3, format!("{}ParameterDefinition", parameter.kind.stem()));
        if parameter.choices.is_empty() {
            bean.done()
        } else {
            bean.shown("choices", 3, parameter.choices.clone()).done()
        }
    }

    fn queue_item_of(&self, full_name: &str) -> Option<&'w crate::simulator::world::QueueItem> {
        let mut items = self.world.queue.values();
        items.find(|item| matches!(&item.task, Task::Project(name) if name == full_name))
    }

    pub(super) fn color(&self, project: &Project) -> String {
        if !self.world.is_buildable(&project.spec.full_name) {
            return "disabled".to_owned();
        }
        let over = project.builds.values().rev().find(|build| !build.is_building());
        let color = match over.and_then(|build| build.result) {
            None => "notbuilt",
            Some(BuildResult::Success) => "blue",
            Some(BuildResult::Unstable) => "yellow",
            Some(BuildResult::Failure) => "red",
            Some(BuildResult::NotBuilt) => "notbuilt",
            Some(BuildResult::Aborted) => "aborted",
        };
        let is_building = project.builds.values().next_back().is_some_and(Build::is_building);
        if is_building { format!("{color}_anime") } else { color.to_owned() }
    }
}

/// A project that is tied to the controller's own node exports no label, like one that may run anywhere.
fn exported_label(label: Option<&str>) -> Option<&str> {
    label.filter(|label| !label.trim().is_empty() && !matches!(*label, "built-in" | "master"))
}

fn ended(build: &Build, results: &[BuildResult]) -> bool {
    !build.is_building() && build.result.is_some_and(|result| results.contains(&result))
}

fn project_class(project: &Project) -> &'static str {
    match project.spec.kind {
        ProjectKind::Matrix if project.is_configuration => "hudson.matrix.MatrixConfiguration",
        ProjectKind::Matrix => "hudson.matrix.MatrixProject",
        ProjectKind::Maven => "hudson.maven.MavenModuleSet",
        ProjectKind::Pipeline => "org.jenkinsci.plugins.workflow.job.WorkflowJob",
        ProjectKind::Freestyle => "hudson.model.FreeStyleProject",
        ProjectKind::Other => "com.tikal.jenkins.plugins.multijob.MultiJobProject",
        ProjectKind::Unknown => "hudson.model.ExternalJob",
    }
}
