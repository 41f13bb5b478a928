use std::time::Duration;

use serde::Deserialize;

use super::plan::PipelineSlots;

/// How jobs are run as builds. `[builds]` in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a build may stay in Jenkins' queue before it is cancelled there.
    #[serde(with = "crate::domain::human_duration")]
    pub start_within: Duration,
    /// What becomes of a job whose build was cancelled so.
    pub on_stuck: OnStuck,
    /// How long a job waits for a controller that does not answer before its build is reported as lost.
    #[serde(with = "crate::domain::human_duration")]
    pub lost_after: Duration,
    /// Parameters that tie a build to its job, tried in this order; the first that a project declares is used.
    pub markers: Vec<String>,
    /// String parameters that take the name of the node on which a build shall run. Parameters of the NodeLabel
    /// plugin are recognised by their kind and need not be listed.
    pub pin_parameters: Vec<String>,
    /// How many pipelines run at once on a controller whose built-in node has no executors: `"auto"`, as many as it
    /// has idle executors, or a number.
    #[serde(deserialize_with = "pipeline_slots")]
    pub pipelines: PipelineSlots,
    /// How a client is told that a policy rejected its job.
    pub reject_as: RejectAs,
    /// When a node is marked offline for a client that asked for it with OFFLINE_NODE_WHEN_COMPLETE.
    pub offline_mark: OfflineMark,
    /// How many nodes of a label policies may take offline within `offline_window`; 0 sets no limit. The last node
    /// of a label that some project asks for they never take, unless they are bound as single-use, and the built-in node
    /// not even then.
    pub offline_max: u32,
    #[serde(with = "crate::domain::human_duration")]
    pub offline_window: Duration,
    /// How long a client waits for what it asks of `stop:HOST` or `set_description:HOST`, before it is told that the
    /// controller does not answer. What it asked for goes on.
    #[serde(with = "crate::domain::human_duration")]
    pub answer_within: Duration,
    /// How long a build may run on after it was stopped before it is stopped again, and so on, at most twenty times. Until
    /// then further wishes to stop it fail, since it is being stopped.
    #[serde(with = "crate::domain::human_duration")]
    pub stop_again_after: Duration,
    /// How long after the first stop a pipeline that still runs is terminated (`term`); 0 for never.
    #[serde(with = "crate::domain::human_duration")]
    pub term_after: Duration,
    /// How long after the first stop a pipeline that still runs is killed (`kill`); 0 for never.
    #[serde(with = "crate::domain::human_duration")]
    pub kill_after: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnStuck {
    /// Another worker may take the job; after three times it fails.
    #[default]
    HandBack,
    Fail,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectAs {
    /// As a result for clients that sent ZUUL_UUID, which would otherwise try three times; else as an exception.
    #[default]
    Auto,
    /// WORK_COMPLETE with result FAILURE and the reason.
    Result,
    /// WORK_EXCEPTION with the reason.
    Exception,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfflineMark {
    /// As soon as the build runs, so that nothing else can start there in between. Pipelines and matrix projects mark at
    /// the end all the same, since their next part may need the very node.
    #[default]
    AtStart,
    /// When it has ended, as the plugin did from inside; Jenkins may start something in the gap.
    AtEnd,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_within: Duration::from_secs(5 * 60),
            on_stuck: OnStuck::default(),
            lost_after: Duration::from_secs(10 * 60),
            markers: ["UUID", "uuid", "ZUUL_UUID", "LAYSHAFT_UUID"].map(str::to_owned).into(),
            pin_parameters: vec!["LAYSHAFT_NODE".to_owned()],
            pipelines: PipelineSlots::Auto,
            reject_as: RejectAs::default(),
            offline_mark: OfflineMark::default(),
            offline_max: 0,
            offline_window: Duration::from_secs(60 * 60),
            answer_within: Duration::from_secs(5),
            stop_again_after: Duration::from_secs(60),
            term_after: Duration::from_secs(2 * 60),
            kill_after: Duration::from_secs(5 * 60),
        }
    }
}

fn pipeline_slots<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<PipelineSlots, D::Error> {
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = PipelineSlots;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("\"auto\" or a number of slots")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PipelineSlots, E> {
            if text == "auto" {
                Ok(PipelineSlots::Auto)
            } else {
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        fn visit_i64<E: serde::de::Error>(self, slots: i64) -> Result<PipelineSlots, E> {
            let too_many = |_| E::invalid_value(serde::de::Unexpected::Signed(slots), &self);
            u32::try_from(slots).map(PipelineSlots::Fixed).map_err(too_many)
        }
    }
    deserializer.deserialize_any(Visitor)
}
