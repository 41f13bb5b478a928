use super::*;
use crate::domain::{Node, Parameters, Project};
use crate::policy::asked::{Asked, SentValue};
use crate::policy::config::{Grant, SlotGuard};
use crate::policy::decision::tests::with_request;
use crate::policy::guest::{Guest, abstains, rules, satisfies, vetoes};
use crate::policy::pass::World;
use crate::policy::recorder::Decisions;
use crate::policy::reload::tests::Site;
use crate::policy::samples::{controller, node, project};

fn filter(answer: &crate::policy::guest::Bytes) -> Vec<u8> {
    Guest::new("lists").filter(answer).needs_values().build()
}

/// Has a job decided about, and returns the record of it.
async fn decide(policies: &Policies, decisions: &mut Decisions, sent: &[(&str, &str)]) -> Record {
    with_request(sent, |request| policies.live().filter(request));
    let mut batch = decisions.take(10).await;
    assert_eq!((batch.records.len(), batch.unrecorded), (1, 0));
    batch.records.remove(0)
}

fn site(values: &[&str]) -> Site {
    let mut site = Site::new();
    site.config.log.values = values.iter().map(|&value| value.to_owned()).collect();
    let guard = SlotGuard { grants: [Grant::Values].into(), ..SlotGuard::default() };
    site.config.slots.insert("lists".to_owned(), guard);
    site
}

fn reject(reason: &str) -> Vec<u8> {
    filter(&crate::policy::guest::Bytes::default().byte(1).none_pair().byte(0).text(reason).none_pair())
}

#[tokio::test]
async fn a_decision_is_made_again_by_what_was_in_force_then_also_after_a_restart() {
    let site = site(&["*"]);
    site.put("10-lists.wasm", reject("not today"));
    site.put("10-lists.toml", "[settings]\nday = 1");
    let policies = site.open();
    let mut decisions = policies.decisions().unwrap();
    assert!(policies.decisions().is_none(), "there is one who keeps them");
    let record = decide(&policies, &mut decisions, &[("A", "1")]).await;
    assert_eq!((record.verdict.clone(), record.why.as_str()), (Composed::Rejected, "policy lists: not today"));
    site.put("10-lists.wasm", filter(&rules(&[], false, "all may pass")));
    site.put("10-lists.toml", "[settings]\nday = 2");
    assert_eq!(policies.reload().await.refused, []);
    site.delete("10-lists.wasm");
    site.put("20-other.wasm", Guest::new("other").matching(&abstains()).build());
    policies.retire("lists", BTreeSet::new()).await.unwrap();
    drop((policies, decisions));

    let policies = site.open();
    let explained = policies.explain(record.clone(), BTreeMap::new()).await;
    let again = explained.again.unwrap();
    assert_eq!((explained.differences, explained.trouble), (Vec::new(), None));
    assert_eq!((again.verdict, again.told[0].reason()), (Composed::Rejected, "not today"));
    assert_eq!(again.told[0].fuel, record.told[0].fuel);

    let steps = policies.bisect(record, BTreeMap::new()).await;
    let words: Vec<_> =
        steps.iter().map(|step| (step.generation, step.verdict.as_ref().unwrap().word(), step.differs)).collect();
    assert_eq!(words[..2], [(1, "rejected", false), (2, "passed", true)]);
    assert!(words[2..].iter().all(|(_, word, differs)| (*word, *differs) == ("passed", false)), "{words:?}");
    assert!(steps[1].changed[0].starts_with("lists: replaced by "), "{:?}", steps[1].changed);
    assert!(steps[1].changed[0].contains("other settings"), "{:?}", steps[1].changed);
}

#[tokio::test]
async fn what_is_not_kept_is_said_and_never_guessed() {
    let site = site(&[]);
    site.put("10-lists.wasm", filter(&rules(&[("A", 1, "")], false, "")));
    let policies = site.open();
    let mut decisions = policies.decisions().unwrap();
    let record = decide(&policies, &mut decisions, &[("A", "hunter2")]).await;
    assert_eq!(record.asked.job().unwrap().sent[0].value, SentValue::Withheld);
    let explained = policies.explain(record.clone(), BTreeMap::new()).await;
    assert_eq!(explained.missing, ["A".to_owned()].into());
    let known = policies.explain(record.clone(), [("A".to_owned(), "hunter2".to_owned())].into()).await;
    assert_eq!((known.missing, known.differences), (BTreeSet::new(), Vec::new()));
    assert!(!serde_json::to_string(&known.again).unwrap().contains("hunter2"));
    assert_eq!(known.record, record, "what was learnt is not told on");

    let of_long_ago = Record { generation: 99, ..record.clone() };
    let explained = policies.explain(of_long_ago, BTreeMap::new()).await;
    let trouble = explained.trouble.unwrap();
    assert!(trouble.contains("generation 99 is no longer kept: policies.log.keep is 14days"), "{trouble}");
    let too_large = policies.explain(Record { cut: true, ..record }, BTreeMap::new()).await;
    assert!(too_large.again.is_none() && too_large.trouble.unwrap().contains("too large"));
}

#[tokio::test]
async fn a_module_that_was_changed_in_the_store_is_not_asked() {
    let site = site(&[]);
    site.put("10-lists.wasm", reject("no"));
    let policies = site.open();
    let mut decisions = policies.decisions().unwrap();
    let record = decide(&policies, &mut decisions, &[]).await;
    site.put("10-lists.wasm", reject("never"));
    policies.reload().await;
    let path = site.config.state.as_ref().unwrap().join(format!("modules/{}.wasm", record.told[0].module));
    std::fs::write(path, reject("forged")).unwrap();
    let explained = policies.explain(record, BTreeMap::new()).await;
    assert!(explained.trouble.unwrap().contains("policy lists of then cannot be read: the kept module was changed"));
}

/// Puts one pair to a pass.
fn pair(policies: &Policies, node: &Node, project: &Project) {
    let generation = policies.live();
    let world = World { named_labels: ["gpu".to_owned(), "cpu".to_owned()].into() };
    let expression = crate::label::Expression::lookup("gpu || cpu");
    let mut pass = generation.pass(&world);
    for _ in 0..2 {
        let _answer = pass.matches(&controller("ci"), project, Some(&expression), node, false);
    }
}

#[tokio::test]
async fn answers_about_the_table_are_sampled_each_once_and_can_be_asked_again() {
    let mut site = Site::new();
    site.config.log.table_samples = 1;
    site.put("10-wide.wasm", Guest::new("wide").matching(&satisfies(&["gpu"])).build());
    let policies = site.open();
    let mut decisions = policies.decisions().unwrap();
    let (one, other) = (node("n1", &["tmp"]), node("n2", &["cpu"]));
    pair(&policies, &one, &project("lint"));
    pair(&policies, &other, &project("lint"));
    let records = decisions.take(10).await.records;
    assert_eq!(records.len(), 1, "{records:?}");
    let Asked::Matches(asked) = &records[0].asked else { panic!() };
    assert_eq!((asked.expression.as_deref(), asked.classic), (Some("gpu||cpu"), false));
    assert_eq!(records[0].verdict, Composed::NoMatch { vetoed: false }, "it was not granted to widen");
    assert!(records[0].why.contains("to let it widen"), "{}", records[0].why);
    site.put("10-wide.wasm", Guest::new("wide").matching(&vetoes()).build());
    policies.reload().await;
    pair(&policies, &one, &project("lint"));
    let vetoed = decisions.take(10).await.records.remove(0);
    assert_eq!((vetoed.generation, &vetoed.verdict), (2, &Composed::NoMatch { vetoed: true }));
    for record in [&records[0], &vetoed] {
        let explained = policies.explain(record.clone(), BTreeMap::new()).await;
        assert_eq!((explained.differences, explained.trouble), (Vec::new(), None));
    }
}

#[tokio::test]
async fn a_full_queue_costs_records_and_never_a_decision() {
    let site = site(&[]);
    let policies = site.open();
    with_request(&[], |request| policies.live().filter(request));
    let mut decisions = policies.decisions().unwrap();
    for _ in 0..1000 {
        let filtered = with_request(&[("A", "1")], |request| policies.live().filter(request));
        assert!(matches!(filtered, crate::policy::Filtered::Pass { .. }));
    }
    let batch = decisions.take(usize::MAX).await;
    assert_eq!((batch.records.len(), batch.unrecorded), (512, 488), "and none before somebody listened");
    assert_eq!(batch.records[0].asked.job().unwrap().requested(), {
        let mut requested = Parameters::new();
        requested.set("A", None);
        requested
    });
}
