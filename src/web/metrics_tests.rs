use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::policy::{Gate, ReloadCost, Stage};

/// A scrape in which everything is there.
fn scrape(slot: &str) -> Scrape {
    let counts = |word: &str| BTreeMap::from([(word.to_owned(), 2)]);
    let mut latency = vec![0; BOUNDS_US.len() + 1];
    (latency[0], latency[3], latency[BOUNDS_US.len()]) = (1, 2, 1);
    let usage = json!({
        "slot": slot, "hook": "matching", "calls": 4, "verdicts": counts("veto"), "errors": counts("trap"),
        "latency": latency, "nanoseconds": 1_500_000_000_u64, "p50_us": 1, "p99_us": 1, "fuel": 9, "memo_hits": 5,
        "memo_misses": 6, "would_have": counts("veto"), "skipped": 7, "examples": ["lint on n1: would have vetoed it"]
    });
    let policies = json!([{
        "name": "p", "file": null, "digest": null, "generation": 1, "hooks": [], "state": "quarantined", "mode": "monitor",
        "required": true, "grants": [], "bindings": 1, "error": null, "advice": [], "usage": [usage]
    }]);
    let node = |online: bool| json!({ "name": "n", "online": online, "offline_reason": null, "executors": 2, "busy": 1, "functions": 0, "workers": [] });
    let status = json!({
        "version": "1", "mode": "paused", "not_ready": ["paused"], "generation": 1, "functions": {}, "builds": [],
        "jobs": { "complete": 3 }, "policies": [], "notes": [],
        "gearman": [{ "server": "gear:4730", "kind": null, "connections": 3, "connected": 1 }],
        "controllers": [{
            "name": "ci", "host": "ci", "serve": true, "reachable": true, "fresh": true, "quieting_down": false,
            "jenkins_version": null, "age_ms": null, "trouble": null, "pictures": [], "projects": 0,
            "nodes": [node(true), node(true), node(false)]
        }]
    });
    Scrape {
        status: Some(serde_json::from_value(status).unwrap()),
        standing: Standing {
            generation: 4,
            frozen: true,
            refusals: [(Gate::Laws, 1)].into(),
            last_reload: Some(ReloadCost {
                at: UNIX_EPOCH + Duration::from_millis(2_500),
                generation: 4,
                microseconds: 260_000,
                stages: [(Stage::Compile, 250_000)].into(),
            }),
            policies: serde_json::from_value(policies).unwrap(),
        },
    }
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
}

#[test]
fn numbers_are_those_of_the_status() {
    let text = scrape("p").text();
    for line in [
        "layshaft_ready 0",
        "layshaft_mode{mode=\"paused\"} 1",
        "layshaft_mode{mode=\"serving\"} 0",
        "layshaft_gearman_connections{server=\"gear:4730\"} 1",
        "layshaft_executors{controller=\"ci\"} 4",
        "layshaft_executors_busy{controller=\"ci\"} 2",
        "layshaft_jobs_total{outcome=\"complete\"} 3",
        "layshaft_policy_generation 4",
        "layshaft_policy_frozen 1",
        "layshaft_policy_state{policy=\"p\",state=\"quarantined\"} 1",
        "layshaft_policy_refusals_total{gate=\"laws\"} 1",
        "layshaft_policy_reload_seconds{stage=\"compile\"} 0.25",
        "layshaft_policy_reload_timestamp_seconds 2.5",
        "layshaft_policy_verdicts_total{slot=\"p\",hook=\"matching\",verdict=\"veto\"} 2",
        "layshaft_policy_errors_total{slot=\"p\",hook=\"matching\",class=\"trap\"} 2",
        "layshaft_policy_call_seconds_count{slot=\"p\",hook=\"matching\"} 4",
        "layshaft_policy_call_seconds_sum{slot=\"p\",hook=\"matching\"} 1.5",
        "layshaft_policy_call_seconds_bucket{le=\"0.00001\",slot=\"p\",hook=\"matching\"} 3",
        "layshaft_policy_call_seconds_bucket{le=\"10.0\",slot=\"p\",hook=\"matching\"} 3",
        "layshaft_policy_call_seconds_bucket{le=\"+Inf\",slot=\"p\",hook=\"matching\"} 4",
        "layshaft_policy_would_have_total{slot=\"p\",hook=\"matching\",what=\"veto\"} 2",
        "layshaft_policy_trial_skipped_total{slot=\"p\",hook=\"matching\"} 7",
    ] {
        has(&text, line);
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains("n1"), "an example is no metric");
}

#[test]
fn a_slot_s_name_cannot_break_out_of_its_label() {
    let text = scrape("a\"} 1\nb\\").text();
    has(&text, r#"layshaft_policy_fuel_total{slot="a\"} 1\nb\\",hook="matching"} 9"#);
}

#[test]
fn a_daemon_that_does_not_serve_yet_tells_of_its_policies() {
    let text = Scrape { status: None, ..scrape("p") }.text();
    has(&text, "layshaft_policy_generation 4");
    assert!(!text.contains("layshaft_ready"));
}

#[test]
fn the_page_lists_every_metric_and_no_other() {
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `layshaft_"));
    let listed: BTreeSet<(String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let name = cells[0].trim_end_matches('`').trim_end_matches("_total").trim_end_matches("_info");
            (format!("layshaft_{name}"), cells[1].to_owned())
        })
        .collect();
    let text = scrape("p").text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told = types.map(|line| line.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned())).unwrap());
    assert_eq!(told.collect::<BTreeSet<_>>(), listed);
}
