use expect_test::expect_file;

use super::super::cases::Cases;
use super::super::written::Question;
use super::*;

/// Returns where a value leaves a schema; knows what the schemas here are made of, and refuses what else they say.
fn breach(schema: &Value, value: &Value) -> Option<String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        let broken = match keyword.as_str() {
            "$schema" | "title" | "description" => false,
            "type" => match rule.as_str().unwrap() {
                "object" => !value.is_object(),
                "array" => !value.is_array(),
                "string" => !value.is_string(),
                "boolean" => !value.is_boolean(),
                "integer" => !value.is_u64(),
                other => panic!("a type {other}"),
            },
            "minimum" => value.as_u64().is_none_or(|number| number < rule.as_u64().unwrap()),
            "const" => value != rule,
            "enum" => !rule.as_array().unwrap().contains(value),
            "items" => match value.as_array().into_iter().flatten().find_map(|item| breach(rule, item)) {
                Some(inner) => return Some(inner),
                None => false,
            },
            "required" => rule.as_array().unwrap().iter().any(|name| value.get(name.as_str().unwrap()).is_none()),
            "properties" => {
                let known = rule.as_object().unwrap();
                let inner =
                    value.as_object().into_iter().flatten().find_map(|(name, value)| breach(known.get(name)?, value));
                if inner.is_some() {
                    return inner;
                }
                false
            }
            "additionalProperties" => {
                assert_eq!(rule, false);
                let known = schema["properties"].as_object().unwrap();
                value.as_object().into_iter().flatten().any(|(name, _)| !known.contains_key(name))
            }
            "anyOf" => rule.as_array().unwrap().iter().all(|choice| breach(choice, value).is_some()),
            other => panic!("no test knows {other}"),
        };
        if broken {
            return Some(format!("{keyword} {rule} is not kept by {value}"));
        }
    }
    None
}

fn committed() -> Vec<(String, String)> {
    let policies = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let folders = std::fs::read_dir(policies).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.map(|folder| folder.join("cases.toml")).filter(|file| file.exists());
    files.map(|file| (file.display().to_string(), std::fs::read_to_string(&file).unwrap())).collect()
}

#[test]
fn the_page_is_what_the_contract_says() {
    expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy-contract.md")].assert_eq(&page());
}

#[test]
fn every_committed_case_fits_the_schema_of_cases() {
    let schema = schema("cases").unwrap();
    let committed = committed();
    assert!(committed.len() >= 4);
    for (file, text) in committed {
        let cases = super::super::binding::json(toml::Value::Table(toml::from_str(&text).unwrap())).unwrap();
        // One by one: of several choices it would only be known that none fits.
        for case in cases["case"].as_array().unwrap() {
            let choices = schema["properties"]["case"]["items"]["anyOf"].as_array().unwrap();
            let choice = choices.iter().find(|choice| choice["properties"]["hook"]["const"] == case["hook"]).unwrap();
            assert_eq!(breach(choice, case), None, "{file}: {}", case["name"]);
        }
        assert_eq!(breach(&schema, &cases), None, "{file}");
        assert!(Cases::read(&text).is_ok(), "{file}");
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let schema = schema("cases").unwrap();
    for case in [
        json!({ "name": "a", "hook": "naming.name", "question": {}, "expect": {} }),
        json!({ "name": "a", "hook": "naming.names", "question": { "project": {} }, "expect": {} }),
        json!({ "name": "a", "hook": "naming.names", "question": { "project": { "full-name": 1 } }, "expect": {} }),
        json!({ "name": "a", "hook": "meta.configure", "expect": { "eror": "x" } }),
    ] {
        assert!(breach(&schema, &json!({ "case": [case] })).is_some(), "{case}");
    }
}

/// The host's own values and the contract's are two descriptions of one thing.
#[test]
fn a_question_as_the_host_writes_it_fits_its_schema_with_every_field() {
    let project = json!({ "full-name": "team/lint" });
    let node = json!({ "name": "n1", "labels": ["linux"] });
    let requested = json!([{ "name": "A", "value": "1" }, { "name": "B" }]);
    let declared = json!([{ "name": "A", "kind": "StringParameterDefinition" }]);
    for (call, question, outcome) in [
        (Call::Names, json!({ "project": project, "node": node, "matched-labels": ["linux"] }), None),
        (Call::Matches, json!({ "project": project, "node": node, "expression": "linux&&!arm" }), None),
        (
            Call::Filter,
            json!({ "project": project, "node": node, "label": "linux", "requested": requested, "declared": declared }),
            None,
        ),
        (
            Call::BuildStarted,
            json!({ "project": project, "node": node, "label": "linux", "requested": requested }),
            None,
        ),
        (
            Call::BuildEnded,
            json!({ "project": project, "node": node, "label": "linux", "requested": requested }),
            Some(json!({ "build-result": "not-built" })),
        ),
    ] {
        let schema = schema(call.as_str()).unwrap();
        let question = Question::read(call, question, outcome).unwrap();
        let (written, outcome) = question.write();
        for (part, written) in [("question", Some(&written)), ("outcome", outcome.as_ref())] {
            let Some(written) = written else { continue };
            let schema = &schema["properties"][part];
            assert_eq!(breach(schema, written), None, "{call}");
            let named: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            let missing: Vec<_> = named.into_iter().filter(|name| written.get(name).is_none()).collect();
            assert!(missing.is_empty(), "{call} {part} lacks {missing:?}");
        }
        assert_eq!(Question::read(call, written, outcome).unwrap(), question, "it reads what it wrote");
    }
}
