//! What a client is told about its build: the JSON of WORK_DATA and WORK_COMPLETE, the numbers of WORK_STATUS.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::domain::BuildResult;

/// One flat JSON object; what is not known is absent rather than null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The project part of the function name as offered.
    pub name: String,
    /// None for a job that was rejected before there was a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// HOST: what `stop:` and `set_description:` are to be followed by.
    pub manager: String,
    /// The client id of the connection that grabbed the job.
    pub worker: String,
    /// The build's absolute address; none if the controller does not know its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<BuildResult>,
    /// Empty for the built-in node, none while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// All labels of that node, its own name among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_labels: Option<BTreeSet<String>>,
    /// Why a job was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(flatten)]
    pub details: WorkerDetails,
}

/// What Zuul shows about a worker if it is told; the plugin never said any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WorkerDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_hostname: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub worker_ips: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_fqdn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_version: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub worker_extra: BTreeMap<String, String>,
}

/// The numbers of the one WORK_STATUS that follows the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Milliseconds since the build started.
    pub numerator: i32,
    /// Jenkins' estimate of the whole duration in milliseconds, -1 if it has none.
    pub denominator: i32,
}

impl Report {
    /// Returns the JSON text.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, integers and lists of them can always be written")
    }
}

impl Progress {
    /// Computes the progress of a build; both times are milliseconds since the epoch, by the same clock.
    pub fn of_build(started_ms: u64, now_ms: u64, estimated_duration: Option<Duration>) -> Self {
        Self {
            numerator: truncate(now_ms.wrapping_sub(started_ms)),
            denominator: estimated_duration.map_or(-1, |estimate| truncate(estimate.as_millis() as u64)),
        }
    }
}

/// Keeps the low 32 bits, as a Java cast does; clients have only ever seen such numbers.
fn truncate(milliseconds: u64) -> i32 {
    milliseconds as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Report {
        Report {
            name: "pep8".into(),
            number: Some(42),
            manager: "ci1.example.org".into(),
            worker: "precise-123_exec-0".into(),
            url: Some("https://ci1/job/pep8/42/".into()),
            node_name: Some("precise-123".into()),
            node_labels: Some(["precise", "precise-123"].map(str::to_owned).into()),
            ..Report::default()
        }
    }

    fn check(report: &Report, expected: &str) {
        assert_eq!(String::from_utf8(report.to_json()).unwrap(), expected);
    }

    #[test]
    fn the_start_of_a_classic_build_names_the_node() {
        check(
            &started(),
            r#"{"name":"pep8","number":42,"manager":"ci1.example.org","worker":"precise-123_exec-0","url":"https://ci1/job/pep8/42/","node_name":"precise-123","node_labels":["precise","precise-123"]}"#,
        );
    }

    #[test]
    fn the_end_adds_the_result_and_keeps_the_rest() {
        let start: serde_json::Value = serde_json::from_slice(&started().to_json()).unwrap();
        let ended = Report { result: Some(BuildResult::NotBuilt), ..started() };
        let mut end: serde_json::Value = serde_json::from_slice(&ended.to_json()).unwrap();
        assert_eq!(end.as_object_mut().unwrap().remove("result"), Some("NOT_BUILT".into()));
        assert_eq!(end, start);
    }

    #[test]
    fn a_pipeline_without_a_known_address_has_no_such_keys_and_the_built_in_node_an_empty_name() {
        let report = Report { url: None, node_name: None, node_labels: None, ..started() };
        check(&report, r#"{"name":"pep8","number":42,"manager":"ci1.example.org","worker":"precise-123_exec-0"}"#);
        let on_built_in = Report { node_name: Some(String::new()), ..report };
        let json: serde_json::Value = serde_json::from_slice(&on_built_in.to_json()).unwrap();
        assert_eq!(json["node_name"], "");
    }

    #[test]
    fn a_rejection_has_a_result_and_a_reason_but_no_number() {
        let rejected = Report {
            number: None,
            url: None,
            node_name: None,
            node_labels: None,
            result: Some(BuildResult::Failure),
            reason: Some("TARGET is not in the list".into()),
            ..started()
        };
        check(
            &rejected,
            r#"{"name":"pep8","manager":"ci1.example.org","worker":"precise-123_exec-0","result":"FAILURE","reason":"TARGET is not in the list"}"#,
        );
    }

    #[test]
    fn worker_details_stand_beside_the_other_keys() {
        let details = WorkerDetails {
            worker_name: Some("precise-123_exec-0".into()),
            worker_ips: vec!["192.0.2.1".into()],
            worker_extra: [("rack".to_owned(), "7".to_owned())].into(),
            ..WorkerDetails::default()
        };
        let json: serde_json::Value = serde_json::from_slice(&Report { details, ..started() }.to_json()).unwrap();
        assert_eq!(json["worker_name"], "precise-123_exec-0");
        assert_eq!(json["worker_ips"][0], "192.0.2.1");
        assert_eq!(json["worker_extra"]["rack"], "7");
        assert!(json.get("worker_fqdn").is_none());
    }

    #[test]
    fn progress_is_in_milliseconds_cut_to_32_bits() {
        let table = [
            (1_000, 1_250, Some(60_000), (250, 60_000)),
            (1_000, 1_000, None, (0, -1)),
            (1_000, 900, Some(0), (-100, 0)),
            (0, 0x1_0000_0005, Some(0x8000_0000), (5, i32::MIN)),
        ];
        for (started_ms, now_ms, estimate, (numerator, denominator)) in table {
            let progress = Progress::of_build(started_ms, now_ms, estimate.map(Duration::from_millis));
            assert_eq!(progress, Progress { numerator, denominator }, "{started_ms} {now_ms}");
        }
    }
}
