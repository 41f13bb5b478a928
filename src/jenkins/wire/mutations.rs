//! Answers that went wrong in every way that one can think of: nothing panics, nothing is quoted, and what one element
//! of a list says wrongly never costs another element.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::builds::{Builds, Run};
use super::nodes::{Computer, Computers, LabelledNodes};
use super::projects::{Declared, Folder};
use super::queue::{Asked, FormerItem, Queue};
use super::*;
use crate::domain::{BuildId, ProjectName};

/// A word that stands in every sample, and must stand in no error.
const SECRET: &str = "hunter2";

/// Lists as controllers write them, each with the field that holds it.
fn lists() -> Vec<(&'static str, Value)> {
    let actions = json!([
        {"_class": "hudson.model.CauseAction", "causes": [{"shortDescription": "Started by user bob", "userId": "bob"}]},
        {"_class": "hudson.model.ParametersAction", "parameters": [
            {"_class": "hudson.model.StringParameterValue", "name": "UUID", "value": "u-1"},
            {"_class": "hudson.model.PasswordParameterValue", "name": "KEY"},
            {"_class": "hudson.model.BooleanParameterValue", "name": "LOUD", "value": true},
            {"name": "WORD", "value": SECRET}]},
        {}
    ]);
    let executable = json!({"_class": "hudson.model.FreeStyleBuild", "number": 7, "queueId": 9, "timestamp": 5,
        "url": "http://ci/job/team/job/lint/7/", "actions": actions});
    let node = |name: &str| {
        json!({"_class": "hudson.slaves.SlaveComputer", "displayName": name, "offline": false, "temporarilyOffline": false,
            "offlineCauseReason": SECRET, "numExecutors": 2, "assignedLabels": [{"name": "linux"}, {"name": name}],
            "executors": [{"idle": true, "currentExecutable": null}, {"idle": false, "currentExecutable": executable}],
            "oneOffExecutors": [{"currentExecutable": executable}]})
    };
    let project = |name: &str| {
        json!({"_class": "hudson.model.FreeStyleProject", "name": name, "fullName": format!("team/{name}"),
            "buildable": true, "concurrentBuild": false, "labelExpression": "linux",
            "property": [{}, {"_class": "hudson.model.ParametersDefinitionProperty", "parameterDefinitions": [
                {"name": "UUID", "type": "StringParameterDefinition"}]}]})
    };
    let item = |id: u32| {
        json!({"_class": "hudson.model.Queue$BuildableItem", "id": id, "inQueueSince": 5, "blocked": false,
            "buildable": true, "pending": false, "why": SECRET, "task": {"url": "http://ci/job/lint/"},
            "actions": actions})
    };
    let build = |number: u32| {
        json!({"number": number, "url": format!("http://ci/job/lint/{number}/"), "building": false, "inProgress": false,
            "result": "SUCCESS", "queueId": 9, "builtOn": "a", "timestamp": 5, "duration": 6, "estimatedDuration": -1,
            "actions": actions})
    };
    vec![
        ("computer", json!([node("a"), node("b"), node("c")])),
        ("jobs", json!([project("a"), {"name": "folder", "jobs": [project("x"), project("y")]}, project("c")])),
        ("items", json!([item(1), item(2), item(3)])),
        ("builds", json!([build(3), build(2), build(1)])),
    ]
}

/// Returns what is read of the elements of a list, in order; none if the document is refused.
fn read(field: &str, elements: &[Value]) -> Option<Vec<String>> {
    fn shown<T: fmt::Debug>(list: Vec<T>) -> Vec<String> {
        list.iter().map(|element| format!("{element:?}")).collect()
    }
    let document = Value::Object(Map::from_iter([(field.to_owned(), Value::Array(elements.to_vec()))]));
    let body = document.to_string();
    let body = body.as_bytes();
    match field {
        "computer" => nodes(decode::<Computers>(body, "/x").ok()?, "/x").ok().map(shown),
        "jobs" => projects(None, decode::<Folder>(body, "/x").ok()?, Detail::Parameters, "/x").ok().map(shown),
        "items" => queue(decode::<Queue>(body, "/x").ok()?, "/x").ok().map(shown),
        _ => builds(&ProjectName::new("lint"), decode::<Builds>(body, "/x").ok()?, "/x").ok().map(shown),
    }
}

/// Takes a document for everything that it may be taken for, and returns the errors.
fn read_as_anything(body: &[u8]) -> Vec<Error> {
    let id = BuildId { project: ProjectName::new("lint"), number: 1 };
    let mut errors = Vec::new();
    let mut note = |error: Option<Error>| errors.extend(error);
    note(decode::<Computers>(body, "/x").and_then(|read| nodes(read, "/x")).err());
    note(decode::<Folder>(body, "/x").and_then(|read| projects(None, read, Detail::Light, "/x")).err());
    note(decode::<Queue>(body, "/x").and_then(|read| queue(read, "/x")).err());
    note(decode::<Builds>(body, "/x").and_then(|read| builds(&id.project, read, "/x")).err());
    note(decode::<Run>(body, "/x").map(|read| build(&id, read)).err());
    note(decode::<FormerItem>(body, "/x").map(left_item).err());
    note(decode::<Asked>(body, "/x").map(causes).err());
    note(decode::<LabelledNodes>(body, "/x").map(modes).err());
    note(decode::<Declared>(body, "/x").map(declared_parameters).err());
    note(decode::<Computer>(body, "/x").map(offline_mark).err());
    note(decode::<Root>(body, "/x").map(quieting_down).err());
    note(decode::<Crumb>(body, "/x").err());
    note(decode::<Anything>(body, "/x").err());
    errors
}

/// What becomes of one value somewhere in a document.
#[derive(Clone, Debug)]
enum Mutation {
    Remove,
    Replace(Value),
    /// Puts something before and after what is there, if it is a list.
    Surround(Value),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let strange = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([])),
        Just(json!([null, {}, [[]], 7, "x"])),
        Just(json!({"name": {"name": []}, "url": 3, "jobs": {}, "actions": {"parameters": []}})),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(Value::from("http://ci/job//job/x/-1/")),
        Just(Value::from("x".repeat(5_000))),
    ];
    prop_oneof![
        2 => Just(Mutation::Remove),
        6 => strange.clone().prop_map(Mutation::Replace),
        1 => strange.prop_map(Mutation::Surround),
    ]
}

/// Counts the values of a document, itself included.
fn count_values(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(count_values).sum(),
        Value::Object(fields) => fields.values().map(count_values).sum(),
        _ => 0,
    }
}

/// Changes the value with that number; returns whether it was found.
fn mutate(value: &mut Value, number: &mut usize, mutation: &Mutation) -> bool {
    if *number == 0 {
        match mutation {
            Mutation::Remove => *value = Value::Null,
            Mutation::Replace(other) => value.clone_from(other),
            Mutation::Surround(other) => {
                if let Value::Array(elements) = value {
                    elements.insert(0, other.clone());
                    elements.push(other.clone());
                }
            }
        }
        return true;
    }
    *number -= 1;
    match value {
        Value::Array(elements) => elements.iter_mut().any(|element| mutate(element, number, mutation)),
        Value::Object(fields) => {
            let mut removed = None;
            for (name, field) in fields.iter_mut() {
                let is_meant = *number == 0;
                if mutate(field, number, mutation) {
                    removed = (is_meant && matches!(mutation, Mutation::Remove)).then(|| name.clone());
                    if removed.is_none() {
                        return true;
                    }
                    break;
                }
            }
            removed.is_some_and(|name| fields.shift_remove(&name).is_some())
        }
        _ => false,
    }
}

/// Every recorded answer, if there are any.
fn recorded() -> Vec<Value> {
    let files = super::fixtures::answers();
    files.iter().filter_map(|file| serde_json::from_slice(&std::fs::read(file).ok()?).ok()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn an_element_that_went_wrong_costs_no_other_element(
        list in any::<Index>(),
        element in any::<Index>(),
        mutations in prop::collection::vec((any::<Index>(), mutation()), 1..4),
    ) {
        let lists = lists();
        let (field, list) = &lists[list.index(lists.len())];
        let mut elements = list.as_array().unwrap().clone();
        let at = element.index(elements.len());
        for (value, mutation) in &mutations {
            let mut number = value.index(count_values(&elements[at]));
            prop_assert!(mutate(&mut elements[at], &mut number, mutation));
        }
        let (before, after) = (read(field, &elements[..at]).unwrap(), read(field, &elements[at + 1..]).unwrap());
        let all = read(field, &elements);
        prop_assert!(all.is_some(), "{:?}", elements);
        let all = all.unwrap();
        prop_assert!(all.len() >= before.len() + after.len(), "{:?}", all);
        prop_assert_eq!(&all[..before.len()], before);
        prop_assert_eq!(&all[all.len() - after.len()..], after);
    }

    #[test]
    fn whatever_is_done_to_an_answer_nothing_panics_and_no_error_repeats_it(
        document in any::<Index>(),
        mutations in prop::collection::vec((any::<Index>(), mutation()), 0..6),
        cut in prop::option::of(any::<Index>()),
        flips in prop::collection::vec((any::<Index>(), any::<u8>()), 0..3),
    ) {
        let made = lists().into_iter().map(|(field, list)| Value::Object(Map::from_iter([(field.to_owned(), list)])));
        let documents: Vec<Value> = made.chain(recorded()).collect();
        let mut document = documents[document.index(documents.len())].clone();
        for (value, mutation) in &mutations {
            let mut number = value.index(count_values(&document));
            mutate(&mut document, &mut number, mutation);
        }
        let mut body = document.to_string().into_bytes();
        for (at, byte) in flips {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body.truncate(cut.map_or(body.len(), |cut| cut.index(body.len())));
        for error in read_as_anything(&body) {
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains(SECRET), "{}", text);
        }
    }
}

#[test]
fn what_is_left_out_of_a_list_is_counted() {
    let listed: List<Parameter> = decode(br#"[null, {}, 7, {"name": "a"}, [], "x"]"#, "/x").unwrap();
    assert_eq!((listed.0.as_ref().map(Vec::len), listed.1), (Some(2), 4));
    assert_eq!(listed.read("/x", |parameter| parameter.name.0), Some(vec!["a".to_owned()]));
}
