use serde_json::Value as Json;

use super::{ALWAYS, View};
use crate::simulator::fleet::ParameterKind;
use crate::simulator::scheduling::Prospect;
use crate::simulator::tree::Selection;
use crate::simulator::world::{Build, LeftItem, QueueItem, Stage, Task, Value, short_name};

impl View<'_> {
    /// Renders `/queue/api/json`: what has not left, and only what the caller may read.
    pub(crate) fn queue(&self, selection: Selection<'_>) -> Json {
        let items = self.world.queue.values().filter(|item| self.caller.may_read(item.task.project()));
        let discoverable = self.world.queue.values().filter(|item| {
            let project = item.task.project();
            !self.caller.may_read(project) && self.caller.may_discover(project)
        });
        self.bean("hudson.model.Queue", selection)
            .list("discoverableItems", 1, discoverable, |item, inside| {
                self.bean("hudson.model.Queue$StubItem", inside)
                    .lazy("task", ALWAYS, |inside| {
                        self.plain(inside).shown("name", ALWAYS, short_name(item.task.project())).done()
                    })
                    .done()
            })
            .inline_list("items", items, |item, inside| self.queue_item(item, inside))
            .done()
    }

    pub(crate) fn queue_item(&self, item: &QueueItem, selection: Selection<'_>) -> Json {
        let class = match item.stage {
            Stage::Waiting { .. } => "WaitingItem",
            Stage::Blocked { .. } => "BlockedItem",
            Stage::Buildable { .. } | Stage::Pending { .. } => "BuildableItem",
        };
        let bean = self.common(class, item, false, selection);
        match &item.stage {
            Stage::Waiting { due } => bean.shown("timestamp", ALWAYS, *due),
            Stage::Blocked { since } => bean.shown("buildableStartMilliseconds", ALWAYS, *since),
            Stage::Buildable { since } => {
                bean.shown("buildableStartMilliseconds", ALWAYS, *since).shown("pending", ALWAYS, false)
            }
            Stage::Pending { since, .. } => {
                bean.shown("buildableStartMilliseconds", ALWAYS, *since).shown("pending", ALWAYS, true)
            }
        }
        .done()
    }

    pub(crate) fn left_item(&self, left: &LeftItem, selection: Selection<'_>) -> Json {
        self.common("LeftItem", &left.item, true, selection)
            .shown("cancelled", ALWAYS, left.cancelled)
            .lazy("executable", ALWAYS, |inside| self.executable_of(left, inside).unwrap_or(Json::Null))
            .done()
    }

    fn common<'t>(&self, class: &str, item: &QueueItem, has_left: bool, selection: Selection<'t>) -> super::Bean<'t> {
        let blocked = matches!(item.stage, Stage::Blocked { .. });
        let buildable = matches!(item.stage, Stage::Buildable { .. } | Stage::Pending { .. });
        self.bean(&format!("hudson.model.Queue${class}"), selection)
            .lazy("actions", ALWAYS, |inside| self.queue_actions(item, inside))
            .shown("blocked", ALWAYS, blocked && !has_left)
            .shown("buildable", ALWAYS, buildable && !has_left)
            .shown("id", ALWAYS, item.id)
            .shown("inQueueSince", ALWAYS, item.since)
            .lazy("params", ALWAYS, |_| item.parameters.iter().map(parameter_text).collect::<String>().into())
            .lazy("stuck", ALWAYS, |_| (!has_left && self.is_stuck(item)).into())
            .lazy("task", ALWAYS, |inside| self.task(&item.task, inside))
            .shown("url", ALWAYS, format!("queue/item/{}/", item.id))
            .lazy("why", ALWAYS, |_| {
                let why = || self.world.why(item, || self.prospect(item)).map(|why| self.language.say(why));
                if has_left { Json::Null } else { why().into() }
            })
    }

    fn is_stuck(&self, item: &QueueItem) -> bool {
        matches!(item.stage, Stage::Buildable { .. }) && self.prospect(item).is_stuck
    }

    fn prospect(&self, item: &QueueItem) -> Prospect {
        let wish = self.world.wish(item);
        let mut prospects = self.prospects.borrow_mut();
        prospects.entry(wish).or_insert_with_key(|wish| self.world.prospect(wish)).clone()
    }

    fn queue_actions(&self, item: &QueueItem, selection: Selection<'_>) -> Json {
        let mut actions = Vec::new();
        if !item.parameters.is_empty() {
            actions.push(self.parameters_action(&item.parameters, selection));
        }
        if !item.causes.is_empty() {
            actions.push(self.cause_action(&item.causes, selection));
        }
        Json::Array(actions)
    }

    /// Old releases show nothing of the part of a pipeline that waits for a node.
    fn task(&self, task: &Task, selection: Selection<'_>) -> Json {
        match task {
            Task::Project(name) | Task::Configuration { project: name, .. } => match self.world.project(name) {
                Some(project) => self.project(project, selection),
                None => self.plain(selection).shown("name", ALWAYS, short_name(name)).done(),
            },
            Task::Step { project, number, .. } => {
                let bean = self.bean(
                    "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask",
                    selection,
                );
                if !self.world.settings.version.calls_own_node_built_in() {
                    return bean.done();
                }
                bean.shown("name", ALWAYS, format!("part of {project} #{number}"))
                    .field("fullDisplayName", format!("part of {} #{number}", project.replace('/', " » ")))
                    .lazy("url", ALWAYS, |_| self.build_url(project, *number).into())
                    .done()
            }
        }
    }

    fn executable_of(&self, left: &LeftItem, selection: Selection<'_>) -> Option<Json> {
        let name = left.item.task.project();
        let project = self.world.project(name)?;
        let build: &Build = project.builds.get(&left.number?)?;
        match left.item.task {
            Task::Step { .. } => Some(self.placeholder(name, build, selection)),
            Task::Project(_) | Task::Configuration { .. } => Some(self.build(project, build, selection)),
        }
    }
}

fn parameter_text(value: &Value) -> String {
    match value.kind {
        ParameterKind::Password => format!("\n(PasswordParameterValue) {}='****'", value.name),
        _ => format!("\n{}={}", value.name, value.value),
    }
}
