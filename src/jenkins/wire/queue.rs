//! Queue items, and what is left of them once they have left.

use serde::Deserialize;

use super::builds::Executable;
use super::{Action, Lenient, List, Object, count, parameters};
use crate::domain::{BuildId, LeftItem, QueueItem, QueueItemId, QueueState};
use crate::jenkins::{Error, path};

const LEFT_CLASS: &str = "hudson.model.Queue$LeftItem";

pub(in crate::jenkins) const QUEUE_TREE: &str = "items[id,inQueueSince,blocked,buildable,pending,why,task[url],\
    actions[parameters[name,value]]]";
pub(in crate::jenkins) const LEFT_ITEM_TREE: &str = "cancelled,task[url],executable[number,url]";
pub(in crate::jenkins) const CAUSES_TREE: &str = "actions[causes[shortDescription]]";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::jenkins) struct Queue {
    items: List<Item>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Item {
    id: Lenient<i64>,
    in_queue_since: Lenient<i64>,
    blocked: Lenient<bool>,
    buildable: Lenient<bool>,
    pending: Lenient<bool>,
    why: Lenient<String>,
    task: Object<Task>,
    actions: List<Action>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::jenkins) struct FormerItem {
    #[serde(rename = "_class")]
    class: Lenient<String>,
    cancelled: Lenient<bool>,
    task: Object<Task>,
    executable: Object<Executable>,
}

/// An item with nothing but who asked for it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::jenkins) struct Asked {
    actions: List<Action>,
}

/// What waits. Parts of pipelines had no address until November 2020.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Task {
    url: Lenient<String>,
}

pub(in crate::jenkins) fn queue(queue: Queue, path: &str) -> Result<Vec<QueueItem>, Error> {
    queue
        .items
        .read(path, item)
        .ok_or_else(|| Error::Malformed { path: path.to_owned(), detail: "there is no list of items in it".to_owned() })
}

pub(in crate::jenkins) fn left_item(item: FormerItem) -> LeftItem {
    if let Some(build) = started(&item) {
        return LeftItem::Started(build);
    }
    let has_left = item.class.0.as_deref() == Some(LEFT_CLASS) || item.executable.0.is_some();
    match item.cancelled.0 {
        Some(true) => LeftItem::Cancelled,
        // Only items that have left say whether they were cancelled.
        Some(false) => LeftItem::Starting,
        None if has_left => LeftItem::Starting,
        None => LeftItem::Queued,
    }
}

/// Returns how often an item was asked for: requests that are merged leave a cause each.
pub(in crate::jenkins) fn causes(item: Asked) -> usize {
    let actions = item.actions.0.unwrap_or_default();
    actions.into_iter().map(|action| action.causes.0.map_or(0, |causes| causes.len())).sum()
}

fn started(item: &FormerItem) -> Option<BuildId> {
    let executable = item.executable.0.as_ref()?;
    if let Some(build) = executable.url.0.as_deref().and_then(path::read_build) {
        return Some(build);
    }
    let number = executable.number.0.and_then(|number| u64::try_from(number).ok())?;
    match path::read_task(item.task.0.as_ref()?.url.0.as_deref()?)? {
        path::Task::Project(project) => Some(BuildId { project, number }),
        path::Task::PartOf(build) => Some(build),
    }
}

/// Returns none for an item without a number, which nobody could ask for again.
pub(super) fn item(item: Item) -> Option<QueueItem> {
    let is = |flag: &Lenient<bool>| flag.0.unwrap_or(false);
    let state = if is(&item.pending) {
        QueueState::Pending
    } else if is(&item.blocked) {
        QueueState::Blocked
    } else if is(&item.buildable) {
        QueueState::Buildable
    } else {
        QueueState::Waiting
    };
    let (project, part_of) = match item.task.0.and_then(|task| task.url.0).as_deref().and_then(path::read_task) {
        Some(path::Task::Project(project)) => (Some(project), None),
        Some(path::Task::PartOf(build)) => (None, Some(build)),
        None => (None, None),
    };
    Some(QueueItem {
        id: QueueItemId(count(item.id)?),
        project,
        part_of,
        state,
        since_ms: count(item.in_queue_since).unwrap_or(0),
        why: item.why.0,
        parameters: parameters(item.actions),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProjectName;
    use crate::jenkins::wire::decode;

    #[test]
    fn a_part_of_a_pipeline_is_not_an_unstarted_build_of_it() {
        let body = r#"{"items": [
            {"id": 1, "task": {"_class": "x.ExecutorStepExecution$PlaceholderTask"}, "actions": [{}], "buildable": true},
            {"id": 2, "task": {"_class": "x.ExecutorStepExecution$PlaceholderTask", "url": "job/J/12/"}},
            {"id": 3, "task": {"_class": "hudson.model.FreeStyleProject", "url": "http://x/job/a/job/b/"}, "pending": true,
             "buildable": true, "inQueueSince": 5, "why": "Wartet", "actions": [{"parameters": [{"name": "U", "value": "1"}]}]},
            {"id": 4, "task": null, "blocked": true}, {"task": {}}, {}, null]}"#;
        let items = queue(decode(body.as_bytes(), "/queue").unwrap(), "/queue").unwrap();
        let seen: Vec<_> = items
            .iter()
            .map(|item| (item.id.0, item.project.as_ref().map(ProjectName::full), item.part_of.is_some(), item.state))
            .collect();
        assert_eq!(
            seen,
            [
                (1, None, false, QueueState::Buildable),
                (2, None, true, QueueState::Waiting),
                (3, Some("a/b"), false, QueueState::Pending),
                (4, None, false, QueueState::Blocked),
            ]
        );
        assert_eq!(items[2].parameters.get("U"), Some("1"));
        assert!(queue(decode(b"{}", "/queue").unwrap(), "/queue").is_err());
    }

    #[test]
    fn what_became_of_an_item_is_read_from_every_version() {
        let started = || LeftItem::Started(BuildId { project: ProjectName::new("a"), number: 3 });
        for (body, expected) in [
            (r#"{"_class": "hudson.model.Queue$WaitingItem", "task": {"url": "http://x/job/a/"}}"#, LeftItem::Queued),
            (
                r#"{"_class": "hudson.model.Queue$LeftItem", "cancelled": true, "executable": null}"#,
                LeftItem::Cancelled,
            ),
            (
                r#"{"_class": "hudson.model.Queue$LeftItem", "cancelled": false, "executable": null}"#,
                LeftItem::Starting,
            ),
            (r#"{"_class": "hudson.model.Queue$LeftItem"}"#, LeftItem::Starting),
            (r#"{"cancelled": false, "executable": {"number": 3, "url": "http://other/job/a/3/"}}"#, started()),
            (r#"{"executable": {"number": 3, "url": null}, "task": {"url": "http://x/job/a/"}}"#, started()),
            (r#"{"executable": {"url": "http://x/job/a/3/"}, "task": {"_class": "x.PlaceholderTask"}}"#, started()),
            (r#"{"executable": {"number": 3}}"#, LeftItem::Starting),
            (r#"{}"#, LeftItem::Queued),
        ] {
            assert_eq!(left_item(decode(body.as_bytes(), "/x").unwrap()), expected, "{body}");
        }
    }
}
