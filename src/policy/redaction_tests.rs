use proptest::prelude::*;

use super::SentValue::Withheld;
use super::*;
use crate::domain::{BuildResult, DeclaredParameter, FunctionName, Node, Parameters};
use crate::policy::config::{Grant, SlotGuard};
use crate::policy::decision::tests::generation as generation_of;
use crate::policy::decision::{Outcome, Request};
use crate::policy::generation::{Controller, Generation};
use crate::policy::guest::{Bytes, Guest, rules};
use crate::policy::record::Record;
use crate::policy::recorder::{Decisions, Recorder};
use crate::policy::samples;
use crate::policy::seal::PrivateKey;

/// A job as a client sends it, with declared parameters `P0`, `P1` ... and the password `PASS`.
struct Job {
    controller: Controller,
    project: Project,
    function: FunctionName,
    node: Node,
    named_labels: std::collections::BTreeSet<String>,
    requested: Parameters,
}

impl Job {
    fn new(requested: &[(&str, &str)]) -> Self {
        let declare = |name: &str, kind: &str| DeclaredParameter { name: name.into(), kind: kind.into() };
        let mut project = samples::project("team/lint");
        let mut declared: Vec<_> = (0..8).map(|i| declare(&format!("P{i}"), "StringParameterDefinition")).collect();
        declared.push(declare("PASS", "PasswordParameterDefinition"));
        project.parameters = Some(declared);
        Self {
            controller: samples::controller("ci"),
            project,
            function: FunctionName::new("build:lint").unwrap(),
            node: samples::node("n1", &["linux"]),
            named_labels: ["linux".to_owned()].into(),
            requested: requested.iter().copied().collect(),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            controller: &self.controller,
            project: &self.project,
            function: &self.function,
            label: None,
            node: &self.node,
            named_labels: &self.named_labels,
            requested: &self.requested,
            client_asks_offline: false,
        }
    }
}

fn redaction(values: &[&str], seal_to: Option<PublicKey>) -> Redaction {
    let mut config = Config::new("policies");
    config.secret_parameters = vec!["*token*".to_owned()];
    config.log.values = values.iter().map(|&glob| glob.to_owned()).collect();
    config.log.seal_to = seal_to;
    Redaction::new(&config).unwrap()
}

/// Lets a generation's decisions be recorded under another redaction than its site's.
fn listening(generation: Arc<Generation>, redaction: Redaction) -> (Generation, Decisions) {
    let (recorder, redaction) = (Recorder::new(20), Arc::new(redaction));
    let decisions = recorder.listen(Arc::clone(&redaction)).unwrap();
    let generation = Generation {
        number: generation.number,
        slots: generation.slots.clone(),
        blocked: Vec::new(),
        monitor: generation.monitor.clone(),
        redaction,
        recorder: Some(recorder),
    };
    (generation, decisions)
}

fn taken(mut decisions: Decisions) -> Vec<Record> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batch = runtime.block_on(decisions.take(100));
    assert_eq!(batch.unrecorded, 0);
    batch.records
}

fn granted(grants: &[Grant]) -> SlotGuard {
    SlotGuard { grants: grants.iter().copied().collect(), ..SlotGuard::default() }
}

/// A policy that says everything it can where it should not.
fn talkative(secret: &str) -> Arc<Generation> {
    let named = [("P0", 2, secret), ("P1", 2, secret), (secret, 1, ""), ("P2", 1, "")];
    let held = Bytes::default().byte(3).text(secret).text(secret).none_pair();
    let started = Bytes::default().byte(0).text(secret).none_pair();
    let guest = Guest::new("p").filter(&rules(&named, false, secret)).offline(&started, &held);
    generation_of(&guest.needs_values(), None, granted(&[Grant::Values, Grant::Rewrite]))
}

#[test]
fn a_record_has_the_names_and_only_the_values_that_are_allowed() {
    let generation = talkative("hunter2");
    let (generation, decisions) = listening(generation, redaction(&["P1", "P3", "PASS", "my_token"], None));
    let sent = [("P0", "hunter2"), ("P3", "main"), ("PASS", "word"), ("my_token", "t0ken"), ("P4", "no")];
    let job = Job::new(&sent);
    generation.filter(&job.request());
    let record = taken(decisions).remove(0);
    let asked = record.asked.job().unwrap();
    let values: Vec<_> = asked.sent.iter().map(|sent| (&*sent.name, sent.value.clone())).collect();
    let shown = SentValue::Shown("main".to_owned());
    let expected = [("P0", Withheld), ("P3", shown), ("PASS", Withheld), ("my_token", Withheld), ("P4", Withheld)];
    assert_eq!(values, expected);
    let Told::Verdict(verdict) = &record.told[0].answer else { panic!("{record:?}") };
    let expected = serde_json::json!({
        "answer": { "rules": { "named": [
            { "name": "P0", "decision": { "set": "***" } },
            // Allowed, but for what is in it.
            { "name": "P1", "decision": { "set": "***" } },
            { "name": "***", "decision": "drop" },
            { "name": "P2", "decision": "drop" },
        ], "rest": "open" } },
        "reason": "***",
        "trace": [],
    });
    assert_eq!(Value::Object(verdict.clone()), expected);
    assert!(record.told[0].fuel > 0);
    let read = Record::from_json(&record.to_json()).unwrap();
    assert_eq!(read, record);
}

#[test]
fn what_is_sealed_is_opened_with_the_other_key_alone_and_is_the_same_question_then() {
    let (private, public) = PrivateKey::generate();
    let (generation, decisions) = listening(talkative("x"), redaction(&["P1"], Some(public)));
    let job = Job::new(&[("P0", "hunter2"), ("P1", "main")]);
    generation.filter(&job.request());
    let mut record = taken(decisions).remove(0);
    assert_eq!(record.asked.missing(&generation), ["P0".to_owned()].into());
    assert!(!record.is_replayable(&generation));
    let sealed = record.asked.job().unwrap().sealed.clone().unwrap();
    record.asked.learn(&private.open(&sealed).unwrap());
    assert!(record.is_replayable(&generation));
    assert_eq!(record.asked.job().unwrap().requested(), job.requested);
    let again = generation.ask_again(&record.asked);
    assert_eq!(
        (again.told[0].answer.clone(), again.told[0].fuel),
        (record.told[0].answer.clone(), record.told[0].fuel)
    );
    assert_eq!(again.verdict, record.verdict);
    assert!(!serde_json::to_string(&again).unwrap().contains("hunter2"));
}

#[test]
fn a_value_that_no_policy_would_see_is_not_missed() {
    let guest = Guest::new("p").filter(&rules(&[], false, "fine"));
    let (generation, decisions) = listening(generation_of(&guest, None, granted(&[])), redaction(&[], None));
    generation.filter(&Job::new(&[("P0", "hunter2")]).request());
    assert!(taken(decisions)[0].is_replayable(&generation));
}

#[test]
fn a_question_too_large_to_wait_is_recorded_without_what_makes_it_large() {
    let guest = Guest::new("p").filter(&rules(&[("P0", 2, "secret-of-p0")], true, "fine")).needs_values();
    let generation = generation_of(&guest, None, granted(&[Grant::Values, Grant::Rewrite]));
    let (generation, decisions) = listening(generation, redaction(&["P0"], None));
    let large = "x".repeat(300 << 10);
    generation.filter(&Job::new(&[("P0", "a"), ("P1", &large)]).request());
    let record = taken(decisions).remove(0);
    assert!(record.cut && record.to_json().len() < 4000, "{}", record.to_json().len());
    assert_eq!((record.verdict.word(), record.told[0].word().as_str()), ("passed", "rules"));
    assert!(!record.to_json().contains("secret-of-p0"));
    assert!(!record.is_replayable(&generation));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever a client sends and a policy repeats: what is not allowed is not in what is stored.
    #[test]
    fn no_withheld_value_is_in_a_record(
        secret in "[ -~äß\"\\\\]{1,12}", others in prop::collection::vec("[a-z0-9%/{}\"]{3,12}", 0..6), seals: bool,
    ) {
        // Nothing else that a record holds looks like it.
        let secret = format!("§§{secret}§§");
        let others: Vec<String> = others.iter().map(|value| format!("¤{value}¤")).collect();
        let (_, public) = PrivateKey::generate();
        let (generation, decisions) = listening(talkative(&secret), redaction(&["P7"], seals.then_some(public)));
        let names: Vec<String> = (1..=others.len()).map(|i| format!("P{i}")).collect();
        let mut sent = vec![("P0", secret.as_str()), ("PASS", secret.as_str()), ("P7", "allowed")];
        sent.extend(names.iter().map(String::as_str).zip(others.iter().map(String::as_str)));
        let job = Job::new(&sent);
        generation.filter(&job.request());
        let outcome = Outcome { result: Some(BuildResult::Failure), duration: std::time::Duration::from_secs(1) };
        generation.build_ended(&job.request(), &outcome);
        let records = taken(decisions);
        prop_assert_eq!(records.len(), 2);
        for record in records {
            let json = record.to_json();
            let parsed: Value = serde_json::from_str(&json).unwrap();
            prop_assert!(json.contains("allowed"));
            for hidden in others.iter().chain([&secret]) {
                prop_assert!(!json.contains(hidden.as_str()) && !holds(&parsed, hidden), "{} in {}", hidden, json);
            }
        }
    }
}

/// Looks for a text as it is, not as JSON writes it.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(held) => held.contains(text),
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(fields) => fields.iter().any(|(key, item)| key.contains(text) || holds(item, text)),
        _ => false,
    }
}
