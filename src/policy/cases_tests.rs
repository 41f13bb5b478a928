use super::super::component::Needs;
use super::super::config::Config;
use super::super::guest::{Guest, rules, satisfies};
use super::*;

const TRAP: &str = "unreachable";

const MATCH: &str = r#"
[[case]]
name = "a case"
hook = "matching.matches"
question = { expression = "gpu && linux", node = { labels = ["linux"] } }
"#;

/// Holds a guest, whose file lives as long as the bench, against one case.
#[track_caller]
fn check(guest: &Guest, case: &str) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("10-p.wasm");
    std::fs::write(&file, guest.build()).unwrap();
    let policy = Workbench::open(&file, &Config::new(folder.path())).unwrap();
    Cases::read(case).unwrap().cases[0].check(&policy)
}

fn gpu() -> Guest {
    Guest::new("p").matching(&satisfies(&["gpu"]))
}

#[test]
fn what_is_expected_has_to_be_equal_and_the_rest_is_not_looked_at() {
    let checked = check(&gpu(), &format!("{MATCH} expect.answer = {{ satisfies = ['gpu'] }}"));
    assert!(checked.passed(), "{checked:?}");
    let told = checked.told.unwrap();
    assert!(told.fuel > 0 && told.verdict.needs_grants == [Grant::Widen].into(), "{told:?}");
    let checked = check(&gpu(), &format!("{MATCH} expect.answer = 'veto'\nexpect.reason = 'why'"));
    let difference =
        Difference { field: "answer".into(), expected: json!("veto"), actual: json!({ "satisfies": ["gpu"] }) };
    assert_eq!(checked.differences, [difference]);
    assert!(!check(&gpu(), &format!("{MATCH} expect.colour = 'red'")).passed());
}

#[test]
fn a_pattern_matches_the_whole_text() {
    assert!(check(&gpu(), &format!("{MATCH} expect.reason-like = 'w?*'")).passed());
    assert!(!check(&gpu(), &format!("{MATCH} expect.reason-like = 'w'")).passed());
    assert!(!check(&gpu(), &format!("{MATCH} expect.answer-like = '*'")).passed());
}

#[test]
fn with_grants_stated_a_verdict_that_needs_more_fails() {
    let expect = "expect.reason = 'why'";
    assert!(check(&gpu(), &format!("{MATCH} grants = ['widen']\n{expect}")).passed());
    let checked = check(&gpu(), &format!("{MATCH} grants = []\n{expect}"));
    assert_eq!(checked.differences[0].field, "grants");
    assert_eq!(checked.differences[0].actual, json!(["widen"]));
}

#[test]
fn a_failure_is_expected_by_its_error_alone() {
    let trap = Guest::new("p").function("matching", "matches", TRAP);
    assert!(!check(&trap, &format!("{MATCH} expect.reason = 'why'")).passed());
    assert!(check(&trap, &format!("{MATCH} expect.error-like = 'it trapped*'")).passed());
    let refuses = Guest::new("p").filter(&rules(&[], true, "")).refusing_settings("no");
    let configure = "[[case]]\nname = 'a'\nhook = 'meta.configure'\n";
    assert!(check(&refuses, &format!("{configure} expect.error = 'no'")).passed());
    assert!(!check(&refuses, configure).passed());
    assert!(check(&gpu(), configure).passed());
    assert!(!check(&gpu(), &format!("{configure} expect.error = 'no'")).passed());
}

#[test]
fn a_hook_that_the_policy_does_not_have_is_a_failure() {
    let case = "[[case]]\nname = 'a'\nhook = 'naming.names'\nquestion.project.full-name = 'a'\nexpect.names = 'none'";
    let checked = check(&gpu(), case);
    assert!(checked.differences[0].actual.as_str().unwrap().contains("does not export naming"), "{checked:?}");
}

#[test]
fn a_policy_describes_itself_and_json_will_do_as_well() {
    let case = r#"{ "case": [{ "name": "a", "hook": "meta.describe", "expect": { "name": "p", "version": "1.0",
        "needs": { "project": false, "node-name": false, "labels": [], "parameter-values": "none" } } }] }"#;
    assert_eq!(check(&gpu(), case).differences, []);
}

#[test]
fn a_file_that_could_show_nothing_is_refused_and_the_case_named() {
    let question = "question = { expression = 'a' }";
    let case = |rest: &str| format!("[[case]]\nname = 'x'\n{rest}");
    for (text, part) in [
        ("", "missing field `case`".to_owned()),
        ("case = []", "no [[case]]".to_owned()),
        (&case("hook = 'naming'"), "no hook is called \"naming\"; there are meta.describe".to_owned()),
        (&case("hook = 'matching.matches'"), "case \"x\": it has no question".to_owned()),
        (&case(&format!("hook = 'matching.matches'\n{question}")), "it expects nothing".to_owned()),
        (
            &case(&format!("hook = 'matching.matches'\n{question}\nexpect.reason-like = '['")),
            "expect.reason-like".to_owned(),
        ),
        (
            &case(&format!("hook = 'matching.matches'\n{question}\noutcome = {{}}\nexpect.reason = ''")),
            "takes no outcome".to_owned(),
        ),
        (
            &case("hook = 'offline.build-ended'\nquestion.project.full-name = 'a'\nexpect.reason = ''"),
            "takes an outcome as well".to_owned(),
        ),
        (&case("hook = 'matching.matches'\nquestion.exression = 'a'\nexpect.reason = ''"), "exression".to_owned()),
        (
            &case(
                "hook = 'offline.build-ended'\nquestion.project.full-name = 'a'\noutcome.build-result = 'red'\nexpect.reason = ''",
            ),
            "\"red\" is no result".to_owned(),
        ),
        (
            &case(
                "hook = 'naming.names'\nquestion.project = { full-name = 'a', kind = 'unknown' }\nexpect.reason = ''",
            ),
            "never asked".to_owned(),
        ),
        (&case("hook = 'meta.configure'\nsettings = 3"), "settings are a table".to_owned()),
        (&case("hook = 'meta.configure'\nexpekt = 3"), "unknown field `expekt`".to_owned()),
        (
            "[[case]]\nname='a'\nhook='meta.configure'\n[[case]]\nname='a'\nhook='meta.configure'",
            "two cases".to_owned(),
        ),
        ("{", "not JSON".to_owned()),
    ] {
        let error = Cases::read(text).unwrap_err();
        assert!(error.contains(&part), "{text}: {error}");
    }
}

#[test]
fn a_question_is_completed_by_what_follows_from_it() {
    let read = |call, question, outcome| Question::read(call, question, outcome).map(|question| question.write().0);
    let question = read(Call::Matches, json!({ "expression": "a||!b", "node": { "labels": ["a"] } }), None).unwrap();
    assert_eq!((&question["atoms"], &question["classic"]), (&json!(["a", "b"]), &json!(true)));
    assert_eq!(question["kind"], "freestyle");
    let exclusive = read(Call::Matches, json!({ "node": { "exclusive": true } }), None).unwrap();
    assert_eq!((&exclusive["classic"], exclusive.get("project")), (&json!(false), None));
    let filter = read(Call::Filter, json!({ "project": { "full-name": "t/lint" }, "label": "x" }), None).unwrap();
    assert_eq!((&filter["function"], &filter["project"]["short-name"]), (&json!("build:lint:x"), &json!("lint")));
}

#[test]
fn a_policy_sees_in_a_case_what_it_would_see_in_the_daemon() {
    let sees = |needs: &Needs, grants: Option<BTreeSet<Grant>>| {
        let question = json!({ "project": { "full-name": "a" }, "node": { "name": "n" }, "requested": [{ "name": "A", "value": "1" }] });
        let question = Question::read(Call::Filter, question, None).unwrap().cut(needs, grants.as_ref()).write().0;
        (question["node"].get("name").is_some(), question["requested"][0].get("value").is_some())
    };
    let needs = Needs { project: false, node_name: false, labels: vec![], parameter_values: ParameterValues::None };
    assert_eq!(sees(&needs, None), (false, false));
    let asks = Needs { node_name: true, parameter_values: ParameterValues::Named(["A".to_owned()].into()), ..needs };
    assert_eq!(sees(&asks, None), (true, true));
    assert_eq!(sees(&asks, Some(BTreeSet::new())), (true, false));
    assert_eq!(sees(&asks, Some([Grant::Values].into())), (true, true));
}
