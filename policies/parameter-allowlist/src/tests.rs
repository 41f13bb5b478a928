use super::*;

const SETTINGS: &str = r#"{
    "rules": [
        {"name": "deploys", "projects": ["deploy/*"], "allow": ["VERSION", "ZUUL_*"], "drop": ["ZUUL_TOKEN"]},
        {"projects": ["sandbox/*"], "drop": ["DEBUG"], "rest": "open"}
    ],
    "deny": [
        {"name": "internals", "parameter": "JENKINS_*"},
        {"parameter": "SCRIPT", "values": ["*;*"], "reason": "see the wiki"},
        {"parameter": "PATH", "values": ["/tmp*"], "unseen": "pass", "projects": ["deploy/*"]}
    ]
}"#;

fn ask(project: &str, requested: &[(&str, Option<&str>)]) -> Verdict {
    let requested: Vec<_> = requested.iter().map(|&(name, value)| Requested { name, value }).collect();
    filter(&Settings::read(SETTINGS).unwrap(), project, &requested)
}

#[track_caller]
fn check_rejected(project: &str, requested: (&str, Option<&str>), reason: &str) {
    let verdict = ask(project, &[("FINE", Some("v")), requested]);
    assert_eq!(verdict, Verdict { answer: Answer::Reject, reason: reason.into(), trace: vec![reason.into()] });
}

#[test]
fn the_first_rule_that_covers_the_project_decides() {
    let verdict = ask("deploy/web", &[("VERSION", None), ("ZUUL_REF", None), ("ZUUL_TOKEN", None), ("OTHER", None)]);
    let named = vec![
        ("VERSION".into(), Decision::Allow),
        ("ZUUL_REF".into(), Decision::Allow),
        ("ZUUL_TOKEN".into(), Decision::Drop),
    ];
    assert_eq!(verdict.answer, Answer::Rules { named, rest: Rest::Closed });
    assert_eq!(verdict.reason, "rule `deploys` allows 2, drops 1, leaves out 1");
    assert_eq!(verdict.trace[1], "rule `deploys` drops: `ZUUL_TOKEN`");
}

#[test]
fn an_open_rule_passes_what_it_does_not_list() {
    let verdict = ask("sandbox/x", &[("DEBUG", None), ("OTHER", None)]);
    assert_eq!(verdict.answer, Answer::Rules { named: vec![("DEBUG".into(), Decision::Drop)], rest: Rest::Open });
    assert_eq!(verdict.reason, "rule 2 drops 1, lets through 1");
}

#[test]
fn a_closed_rule_is_closed_even_if_nothing_was_sent() {
    let verdict = ask("deploy/web", &[]);
    assert_eq!(verdict.answer, Answer::Rules { named: vec![], rest: Rest::Closed });
    assert_eq!(verdict.reason, "rule `deploys`: no parameters to judge");
}

#[test]
fn a_project_without_a_rule_is_left_to_others() {
    let verdict = ask("lint", &[("OTHER", None)]);
    assert_eq!((verdict.answer, verdict.reason.as_str()), (Answer::Abstain, "no rule covers `lint`"));
}

#[test]
fn a_denied_parameter_rejects_the_job_whatever_its_value() {
    check_rejected("lint", ("JENKINS_URL", Some("x")), "parameter `JENKINS_URL` is denied by deny rule `internals`");
    check_rejected("deploy/a", ("JENKINS_URL", None), "parameter `JENKINS_URL` is denied by deny rule `internals`");
}

#[test]
fn a_denied_value_rejects_the_job_and_is_not_repeated() {
    let reason = "parameter `SCRIPT` has a value that is denied by deny rule 2: see the wiki";
    check_rejected("lint", ("SCRIPT", Some("ls; rm hunter2")), reason);
    assert_eq!(ask("lint", &[("SCRIPT", Some("ls"))]).answer, Answer::Abstain);
}

#[test]
fn a_value_that_is_not_shown_is_rejected_unless_the_rule_says_otherwise() {
    let reason = "parameter `SCRIPT` has a value that is not shown to this policy and cannot be judged by deny rule 2: see the wiki";
    check_rejected("lint", ("SCRIPT", None), reason);
    assert!(matches!(ask("deploy/a", &[("PATH", None)]).answer, Answer::Rules { .. }));
    assert_eq!(ask("deploy/a", &[("PATH", Some("/tmp/x"))]).answer, Answer::Reject);
}

#[test]
fn every_objection_is_in_the_trace_and_the_first_is_the_reason() {
    let verdict = ask("lint", &[("JENKINS_A", None), ("JENKINS_B", None)]);
    assert_eq!(verdict.trace.len(), 2);
    assert_eq!(verdict.reason, verdict.trace[0]);
}

#[test]
fn settings_that_would_enforce_less_than_they_seem_to_are_refused() {
    for (json, part) in [
        ("{}", "nothing to enforce"),
        (r#"{"rules": [{"alow": ["X"]}]}"#, "settings.rules[1] has no `alow`; it takes `name`, `projects`, `allow`"),
        (r#"{"rules": [{"rest": "shut"}]}"#, "settings.rules[1].rest cannot be `shut`; it takes `open`, `closed`"),
        (r#"{"rules": [{"projects": []}]}"#, "settings.rules[1].projects is empty"),
        (r#"{"rules": [{"projects": "a"}]}"#, "settings.rules[1].projects must be a list of texts, but is a text"),
        (r#"{"deny": [{"parameter": "A"}, {}]}"#, "settings.deny[2] names no parameter"),
        (r#"{"deny": [{"parameter": "{A,B}"}]}"#, "settings.deny[1].parameter: the pattern"),
        (r#"{"deny": [{"parameter": "A", "values": []}]}"#, "settings.deny[1].values is empty"),
        (r#"{"deny": [{"parameter": "A", "unseen": "pass"}]}"#, "settings.deny[1].unseen needs values"),
    ] {
        let error = Settings::read(json).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
