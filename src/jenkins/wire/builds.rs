//! Builds: as their own pages show them, and as executors do.

use std::time::Duration;

use serde::Deserialize;

use super::nodes::node_name;
use super::{Action, Lenient, List, count, parameters};
use crate::domain::{Build, BuildId, BuildResult, ProjectName, QueueItemId, RunningBuild};
use crate::jenkins::{Error, path};

pub(in crate::jenkins) const BUILD_TREE: &str = "number,url,building,inProgress,result,queueId,builtOn,timestamp,\
    duration,estimatedDuration,actions[parameters[name,value]]";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::jenkins) struct Builds {
    builds: List<Run>,
}

/// A build as its own page shows it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::jenkins) struct Run {
    number: Lenient<i64>,
    url: Lenient<String>,
    building: Lenient<bool>,
    in_progress: Lenient<bool>,
    result: Lenient<String>,
    queue_id: Lenient<i64>,
    built_on: Lenient<String>,
    timestamp: Lenient<i64>,
    duration: Lenient<i64>,
    estimated_duration: Lenient<i64>,
    actions: List<Action>,
}

/// A build, or a part of a pipeline's, as the executor shows it that runs it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Executable {
    pub(super) number: Lenient<i64>,
    pub(super) url: Lenient<String>,
    timestamp: Lenient<i64>,
    queue_id: Lenient<i64>,
    actions: List<Action>,
}

pub(in crate::jenkins) fn builds_tree(limit: usize) -> String {
    // The range stands after the bracket.
    format!("builds[{BUILD_TREE}]{{0,{limit}}}")
}

pub(in crate::jenkins) fn builds(project: &ProjectName, listed: Builds, path: &str) -> Result<Vec<Build>, Error> {
    let numbered = |run: Run| {
        let number = run.number.0.and_then(|number| u64::try_from(number).ok())?;
        Some(build(&BuildId { project: project.clone(), number }, run))
    };
    listed.builds.read(path, numbered).ok_or_else(|| Error::Malformed {
        path: path.to_owned(),
        detail: "there is no list of builds in it".to_owned(),
    })
}

pub(in crate::jenkins) fn build(id: &BuildId, run: Run) -> Build {
    let building = run.building.0.unwrap_or(false);
    Build {
        id: id.clone(),
        // `building` ends before post-build steps do, but is all that controllers before 2.369 tell.
        in_progress: run.in_progress.0.unwrap_or(building),
        result: run.result.0.as_deref().and_then(BuildResult::from_word),
        queue_id: count(run.queue_id).filter(|id| *id > 0).map(QueueItemId),
        built_on: run.built_on.0.map(node_name),
        url: run.url.0,
        started_ms: count(run.timestamp).unwrap_or(0),
        duration: Duration::from_millis(count(run.duration).unwrap_or(0)),
        estimated_duration: count(run.estimated_duration).map(Duration::from_millis),
        parameters: parameters(run.actions),
    }
}

impl Executable {
    /// Returns none where the address is no build's: cells of a matrix, hidden builds, other plugins' tasks.
    pub(super) fn running(self) -> Option<RunningBuild> {
        Some(RunningBuild {
            id: path::read_build(self.url.0.as_deref()?)?,
            queue_id: count(self.queue_id).filter(|id| *id > 0).map(QueueItemId),
            started_ms: count(self.timestamp),
            parameters: parameters(self.actions),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NodeName;
    use crate::jenkins::wire::decode;

    fn read(body: &str) -> Build {
        let id = BuildId { project: ProjectName::new("a"), number: 3 };
        build(&id, decode(body.as_bytes(), "/x").unwrap())
    }

    #[test]
    fn a_build_is_over_when_nothing_of_it_is_in_progress_whatever_its_result_says() {
        for (body, in_progress, result) in [
            (r#"{"building": true, "result": null}"#, true, None),
            (r#"{"building": true, "result": "FAILURE"}"#, true, Some(BuildResult::Failure)),
            (r#"{"building": false, "inProgress": true, "result": "SUCCESS"}"#, true, Some(BuildResult::Success)),
            (r#"{"building": false, "inProgress": false, "result": "NOT_BUILT"}"#, false, Some(BuildResult::NotBuilt)),
            (r#"{"building": false, "result": "ABORTED"}"#, false, Some(BuildResult::Aborted)),
            (r#"{"building": false, "result": "SOMETHING"}"#, false, None),
            (r#"{}"#, false, None),
        ] {
            let build = read(body);
            assert_eq!((build.in_progress, build.result), (in_progress, result), "{body}");
        }
    }

    #[test]
    fn where_it_ran_is_empty_for_the_built_in_node_and_absent_for_pipelines() {
        assert_eq!(read(r#"{"builtOn": ""}"#).built_on, Some(NodeName::BuiltIn));
        assert_eq!(read(r#"{"builtOn": "agent-7"}"#).built_on, Some(NodeName::agent("agent-7")));
        assert_eq!(read(r#"{"builtOn": null}"#).built_on, None);
        assert_eq!(read("{}").built_on, None);
    }

    #[test]
    fn unknown_numbers_are_none_and_not_minus_one() {
        let build = read(r#"{"queueId": -1, "estimatedDuration": -1, "duration": 0, "timestamp": 1477640156281}"#);
        assert_eq!((build.queue_id, build.estimated_duration), (None, None));
        assert_eq!((build.duration, build.started_ms), (Duration::ZERO, 1_477_640_156_281));
    }

    #[test]
    fn listed_builds_without_a_number_are_left_out() {
        let body = r#"{"builds": [{"number": 9, "queueId": 4}, {"number": -1}, {}, null, {"number": "8"}]}"#;
        let builds = builds(&ProjectName::new("a"), decode(body.as_bytes(), "/x").unwrap(), "/x").unwrap();
        assert_eq!(
            builds.iter().map(|build| (build.id.number, build.queue_id)).collect::<Vec<_>>(),
            [(9, Some(QueueItemId(4)))]
        );
        assert!(super::builds(&ProjectName::new("a"), decode(b"{}", "/x").unwrap(), "/x").is_err());
    }
}
