//! Answers that real controllers gave between 2012 and 2026. They live outside the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::builds::{Builds, Run};
use super::nodes::{Computer, Computers, LabelledNodes};
use super::projects::{Declared, Folder};
use super::queue::{FormerItem, Item, Queue};
use super::*;
use crate::domain::{BuildId, BuildResult, LeftItem, Node, NodeName, Project, ProjectKind, ProjectName, QueueState};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("LAYSHAFT_FIXTURES").map(|path| PathBuf::from(path).join("jenkins"));
    if folder.is_none() {
        eprintln_skip();
    }
    folder
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should know that this one proved nothing")]
fn eprintln_skip() {
    eprintln!("skipped: LAYSHAFT_FIXTURES is not set");
}

fn bytes(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[track_caller]
fn read<T: DeserializeOwned>(file: &Path) -> T {
    decode(&bytes(file), "/x").unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn listed(folder: Folder) -> Vec<Project> {
    let of = |entry: Entry| match entry {
        Entry::Project(project) => project,
        Entry::UnreadFolder(name) => panic!("{name}"),
    };
    projects(None, folder, Detail::Parameters, "/").unwrap().into_iter().map(of).collect()
}

fn single(file: &Path) -> Node {
    super::nodes::node(read::<Computer>(file)).unwrap()
}

/// Returns every JSON file that was recorded, also those that nobody here knows yet.
pub(super) fn answers() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("LAYSHAFT_FIXTURES") else { return Vec::new() };
    let mut folders = vec![PathBuf::from(folder).join("jenkins")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "json" => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

#[test]
fn every_recorded_answer_is_read_as_whatever_it_may_be_taken_for() {
    let Some(_) = folder() else { return };
    let files = answers();
    for file in &files {
        let keys = match serde_json::from_slice::<Value>(&bytes(file)).unwrap() {
            Value::Object(object) => object.keys().cloned().collect::<BTreeSet<_>>(),
            other => panic!("{}: {other}", file.display()),
        };
        let id = BuildId { project: ProjectName::new("a"), number: 1 };
        let shown = nodes(read::<Computers>(file), "/x").is_ok();
        assert_eq!(shown, keys.contains("computer"), "{}", file.display());
        assert_eq!(queue(read::<Queue>(file), "/x").is_ok(), keys.contains("items"), "{}", file.display());
        let walked = projects(None, read::<Folder>(file), Detail::Parameters, "/x");
        assert_eq!(walked.is_ok(), keys.contains("jobs"), "{}", file.display());
        let run = builds(&id.project, read::<Builds>(file), "/x");
        assert_eq!(run.is_ok(), keys.contains("builds"), "{}", file.display());
        // None of these may fail, whatever the document is.
        build(&id, read::<Run>(file));
        left_item(read::<FormerItem>(file));
        modes(read::<LabelledNodes>(file));
        declared_parameters(read::<Declared>(file));
        quieting_down(read::<Root>(file));
    }
    assert!(files.len() > 40, "only {} files were found", files.len());
}

#[test]
fn recorded_addresses_of_builds_name_their_build_whatever_host_they_have() {
    fn check(value: &Value, found: &mut usize) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|element| check(element, found)),
            Value::Object(fields) => {
                if let (Some(number), Some(Value::String(url))) = (fields.get("number"), fields.get("url")) {
                    *found += 1;
                    let build = crate::jenkins::path::read_build(url).map(|build| build.number);
                    // Cells of a matrix are not ours to name.
                    let expected = if url.contains('=') { None } else { number.as_u64() };
                    assert_eq!(build, expected, "{url}");
                }
                fields.values().for_each(|field| check(field, found));
            }
            _ => {}
        }
    }
    let Some(_) = folder() else { return };
    let mut found = 0;
    for file in answers() {
        check(&read::<Value>(&file), &mut found);
    }
    assert!(found > 100, "only {found} builds were found");
}

#[test]
fn recorded_executors_that_say_nothing_are_busy_and_show_no_build() {
    let Some(folder) = folder() else { return };
    for (file, executors, offline) in
        [("DATA0", 8, false), ("DATA1", 2, false), ("DATA2", 4, false), ("DATA3", 1, false)]
    {
        let node = single(&folder.join(format!("jenkinsapi/test_executors__{file}.json")));
        assert_eq!(
            (node.executor_count, node.executors.len(), node.offline),
            (executors, executors as usize, offline),
            "{file}"
        );
        assert!(node.executors.iter().all(|executor| !executor.idle && executor.build.is_none()), "{file}");
        assert!(node.flyweights.is_empty(), "an empty object is no build");
    }
}

#[test]
fn recorded_projects_say_whether_they_can_be_built_on_every_version() {
    let Some(folder) = folder() else { return };
    for (file, buildable, concurrent, kind) in [
        ("node-jenkins/jobGet", true, false, ProjectKind::Other),
        ("node-jenkins/jobGetDisabled", false, false, ProjectKind::Other),
        ("jenkinsapi/configs__JOB_DATA", true, false, ProjectKind::Other),
        // Texts in German, and a name with folder and spaces.
        ("jenkins-control-plugin/JsonRequestManager_loadJob_Jenkins2", true, false, ProjectKind::Other),
        ("jenkins-control-plugin/JobWithExtensibleChoiceParameter", true, false, ProjectKind::Freestyle),
    ] {
        let mut document: Value = read(&folder.join(format!("{file}.json")));
        // One project as it would stand in a list.
        let listed = serde_json::json!({ "jobs": [document.take()] });
        let projects = self::listed(serde_json::from_value(listed).unwrap());
        let seen: Vec<_> =
            projects.iter().map(|project| (project.buildable, project.concurrent, project.kind)).collect();
        assert_eq!(seen, [(buildable, concurrent, kind)], "{file}");
        assert_eq!(projects[0].label, None, "labels show since 2.94");
    }
}

#[test]
fn recorded_labels_of_old_versions_tell_no_modes() {
    let Some(folder) = folder() else { return };
    for file in ["node-jenkins/labelGet", "jenkinsapi/test_label__DATA"] {
        assert!(modes(read(&folder.join(format!("{file}.json")))).is_empty(), "{file}");
    }
    for file in ["node-jenkins/jobList", "jenkinsapi/test_nodes__DATA0", "jenkinsapi/test_executors__DATAM"] {
        assert!(!quieting_down(read(&folder.join(format!("{file}.json")))), "{file}");
    }
}

#[test]
fn recorded_node_lists_name_the_built_in_node_and_say_who_is_online() {
    let Some(folder) = folder() else { return };
    let read = |file: &str| nodes(read::<Computers>(&folder.join(file)), "/x").unwrap();
    let brief = |nodes: &[Node]| -> Vec<_> {
        nodes.iter().map(|node| (node.name.to_string(), node.is_online(), node.temporarily_offline)).collect()
    };
    let old = read("node-jenkins/nodeList.json");
    let test = "test-node-abc00edf-4e7e-4dfe-a6d6-157d19d592bc".to_owned();
    assert_eq!(
        brief(&old),
        [("(built-in)".to_owned(), true, false), ("test".to_owned(), false, true), (test, false, false)]
    );
    assert_eq!((old[0].executor_count, old[0].executors.len()), (3, 3));
    // Empty objects do not say that they are idle.
    assert!(old[0].executors.iter().all(|executor| !executor.idle && executor.build.is_none()));
    let newer = read("jenkins-control-plugin/JsonRequestManager_computer.json");
    assert_eq!(newer[0].name, NodeName::BuiltIn);
    assert_eq!(newer[0].labels, ["Jenkins", "master", "windows"].map(str::to_owned).into());
    assert_eq!((newer[1].is_online(), &newer[1].labels), (false, &["Test", "remote"].map(str::to_owned).into()));
    let made = read("jenkinsapi/test_nodes__DATA1.json");
    assert_eq!(brief(&made)[1..], [("bobnit".to_owned(), false, false), ("halob".to_owned(), false, false)]);
}

#[test]
fn recorded_marks_show_their_reason() {
    let Some(folder) = folder() else { return };
    for (file, offline, temporarily, reason) in [
        ("nodeGet", true, false, None),
        ("nodeGetOffline", true, false, Some("away")),
        ("nodeGetOfflineUpdate", true, false, Some("update")),
        ("nodeGetOnline", false, false, None),
        ("nodeGetTempOffline", true, true, Some("away")),
        ("nodeGetTempOfflineUpdate", true, true, Some("update")),
    ] {
        let file = folder.join(format!("node-jenkins/{file}.json"));
        let node = single(&file);
        let seen = (node.offline, node.temporarily_offline, node.offline_reason.as_deref());
        assert_eq!(seen, (offline, temporarily, reason), "{}", file.display());
        assert_eq!(node.labels, BTreeSet::from([node.name.to_string()]));
        let mark = offline_mark(read(&file));
        assert_eq!((mark.temporarily_offline, mark.reason.as_deref()), (temporarily, reason));
    }
}

#[test]
fn recorded_queue_items_are_pending_started_or_both() {
    let Some(folder) = folder() else { return };
    let items = queue(read(&folder.join("node-jenkins/queueList.json")), "/x").unwrap();
    let name = "test-job-b7ef0845-6515-444c-96a1-d2266d5e0f18";
    assert_eq!(items.len(), 1);
    assert_eq!((items[0].id.0, items[0].state, items[0].since_ms), (130, QueueState::Pending, 1_406_363_479_853));
    assert_eq!(items[0].project, Some(ProjectName::new(name)));
    let file = folder.join("node-jenkins/queueItem.json");
    let started = BuildId { project: ProjectName::new(name), number: 28 };
    assert_eq!(left_item(read(&file)), LeftItem::Started(started));
    assert_eq!(super::queue::item(read::<Item>(&file)).unwrap().state, QueueState::Waiting);
}

#[test]
fn recorded_builds_keep_their_result_place_and_parameters() {
    let Some(folder) = folder() else { return };
    let of = |file: &str| {
        let id = BuildId { project: ProjectName::new("foo"), number: 1 };
        build(&id, read(&folder.join(file)))
    };
    let plain = of("node-jenkins/buildGet.json");
    assert_eq!((plain.in_progress, plain.result), (false, Some(BuildResult::Success)));
    assert_eq!((plain.built_on, plain.queue_id, plain.started_ms), (Some(NodeName::BuiltIn), None, 1_406_265_317_652));
    assert_eq!(plain.duration.as_millis(), 11);
    let made = of("jenkinsapi/configs__BUILD_DATA.json");
    assert_eq!(made.built_on, Some(NodeName::agent("localhost")));
    let expected = [("masterBuild", Some("masterBuild")), ("lastBuild", Some("1"))];
    assert_eq!(made.parameters.iter().collect::<Vec<_>>(), expected);
    let filtered = of("jenkinsapi/test_build___data.json");
    assert_eq!(filtered.parameters.iter().collect::<Vec<_>>(), [("param", Some("value"))]);
}

#[test]
fn recorded_builds_with_null_actions_are_read() {
    let Some(folder) = folder() else { return };
    let file = folder.join("jenkins-control-plugin/JsonRequestManager_jobWithNullAction.json");
    let mut document: Value = read(&file);
    let run = serde_json::from_value(document["lastBuild"].take()).unwrap();
    let build = build(&BuildId { project: ProjectName::new("test"), number: 8 }, run);
    assert_eq!(build.parameters.iter().collect::<Vec<_>>(), [("Test Parameter", None)]);
}

#[test]
fn recorded_project_lists_tell_what_can_be_built_and_with_which_parameters() {
    let Some(folder) = folder() else { return };
    let of = |file: &str| listed(read(&folder.join("jenkins-control-plugin").join(file)));
    let many = of("JsonRequestManager_loadDataFor105.json");
    assert!(many.len() > 100, "{}", many.len());
    assert_eq!(many[0].name.full(), "clean-hanging-jenkins-polling-threads");
    assert!(!many[0].buildable && many[1].buildable);
    let parameterised = of("JsonRequestManager_loadJobManyParameters.json");
    let kinds: Vec<_> =
        parameterised[0].parameters.iter().flatten().map(|p| (p.name.as_str(), p.is_password())).collect();
    assert_eq!(
        kinds[..5],
        [("runIntegrationTest", false), ("environment", false), ("tag", false), ("pass", true), ("file", false)]
    );
    // Only the colour tells here.
    for file in ["JsonRequestManger_loadWithEmptyBooleans.json", "JsonRequestManger_loadWithEmptyDate.json"] {
        assert_eq!(of(file).iter().map(|project| project.buildable).collect::<Vec<_>>(), [false], "{file}");
    }
    let old = of("bugWithEmptyHealthReportAndNullLastBuild.json");
    assert_eq!(old.iter().take(2).map(|project| project.buildable).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn recorded_definitions_of_plugins_are_parameters_like_others() {
    let Some(folder) = folder() else { return };
    let declared =
        declared_parameters(read(&folder.join("jenkins-control-plugin/JobWithExtensibleChoiceParameter.json")));
    let seen: Vec<_> = declared.iter().map(|p| (p.name.as_str(), p.kind.as_str())).collect();
    let expected =
        [("ExtensibleChoice", "ExtensibleChoiceParameterDefinition"), ("SimpleChoice", "ChoiceParameterDefinition")];
    assert_eq!(seen, expected);
}
