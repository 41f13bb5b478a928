//! What must never be in force, dropped into a running site: it costs nobody anything but itself.

use std::process::{Command, Stdio};
use std::time::Duration;

use layshaft::domain::BuildResult;
use layshaft::policy::{Gates, SlotState};

use crate::support::guest::{Bytes, GROW, Guest, LOOP, TRAP, abstains, named, past_the_gates};
use crate::support::{SiteBuilder, completion, example_policy, fleet, on_both_servers, project};

const NAMES: [&str; 2] = ["build:app", "build:team/app"];

fn builder() -> SiteBuilder {
    SiteBuilder::new()
        .controller("ci", fleet(&[("a", 1, &[])], vec![project("team/app", None)]))
        .example_policy("10-folder-names.wasm", "folder-names")
}

/// File, content, and what its operator has to read.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let matching = |body: &str| Guest::new("x").function("matching", "matches", body).build();
    let importing = r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#;
    let half = example_policy("label-hierarchy");
    vec![
        ("20-loops.wasm", matching(LOOP), &["asked to match", "ran out of fuel (policies.limits.fuel)"]),
        (
            "20-loops-at-once.wasm",
            Guest::new("x").matching(&abstains()).configured_by(LOOP).build(),
            &["ran out of fuel", "20-loops-at-once.toml"],
        ),
        ("20-traps.wasm", matching(TRAP), &["it trapped"]),
        ("20-grows.wasm", matching(&format!("{GROW} unreachable")), &["ran out of memory (policies.limits.memory)"]),
        (
            "20-is-too-big.wasm",
            Guest::new("x").matching(&abstains()).memory_pages(2000).build(),
            &["more memory than a policy gets", "policies.limits.memory"],
        ),
        ("20-lies.wasm", Guest::new("x").naming(&named(&["two words"])).build(), &["white space"]),
        (
            "20-half.wasm",
            half[..half.len() / 2].to_vec(),
            &["if it was still being copied, copy it under a temporary name, then rename it"],
        ),
        ("20-empty.wasm", Vec::new(), &["copy it under a temporary name, then rename it"]),
        ("20-core.wasm", b"\0asm\x01\0\0\0".to_vec(), &["core module, not a component: wrap it"]),
        ("20-text.wasm", importing.into(), &["WebAssembly text: translate it first"]),
        (
            "20-wasi.wasm",
            wat::parse_str(importing).unwrap(),
            &["it imports wasi:clocks/monotonic-clock@0.2.0", "build it for wasm32-unknown-unknown"],
        ),
        (
            "20-refuses.wasm",
            Guest::new("x").matching(&abstains()).refusing_settings("say which").build(),
            &["say which", "20-refuses.toml"],
        ),
    ]
}

on_both_servers! {
    async fn f114_whatever_is_dropped_into_a_running_site_what_is_there_goes_on(server) {
        let site = builder().start(server).await;
        site.offers("a_exec-0", &NAMES).await;
        let mut job = site.server.submit("build:team/app", "u-1", "{}").await;
        job.started().await;
        let generation = site.status().await.generation;
        for (file, content, words) in refused() {
            site.drop_policy(file, &content);
            let name = file.trim_start_matches("20-").trim_end_matches(".wasm");
            site.policy_becomes(name, SlotState::Refused, words[0]).await;
            let error = site.policy(name).await.unwrap().error.unwrap();
            assert!(words.iter().all(|word| error.contains(word)), "{name}: {error}");
        }
        // None of them was ever in force, so that nobody misses them.
        let status = site.status().await;
        assert_eq!((status.not_ready, status.notes), (vec![], vec![]));
        assert_eq!(status.generation, generation);
        assert_eq!(site.policy("folder-names").await.unwrap().state, SlotState::Live);
        assert_eq!(site.server.functions_of("a_exec-0").await, NAMES);
        site.controller("ci").finish("team/app", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert_eq!(site.controller("ci").builds().len(), 1);
    }

    async fn f114_a_bad_version_leaves_the_good_one_in_force(server) {
        let site = builder().start(server).await;
        site.offers("a_exec-0", &NAMES).await;
        let generation = site.status().await.generation;
        let mut number = 0;
        for (_, content, words) in refused() {
            site.drop_policy("10-folder-names.wasm", &content);
            site.policy_becomes("folder-names", SlotState::LastGood, words[0]).await;
            number += 1;
            let mut job = site.server.submit("build:team/app", &format!("u-{number}"), "{}").await;
            job.started().await;
            site.controller("ci").finish("team/app", number, BuildResult::Success);
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        assert_eq!(site.status().await.generation, generation, "nothing else came into force");
        site.offers("a_exec-0", &NAMES).await;
        // Half of it directly under its name, then the rest, as a slow copy does.
        let good = example_policy("folder-names");
        let mut other = good.clone();
        other.extend([0, 2, 1, b'x']);
        std::fs::write(site.policies().join("10-folder-names.wasm"), &other[..other.len() / 2]).unwrap();
        site.policy_becomes("folder-names", SlotState::LastGood, "still being copied").await;
        std::fs::write(site.policies().join("10-folder-names.wasm"), &other).unwrap();
        site.policy_becomes("folder-names", SlotState::Live, "").await;
        assert_eq!(site.status().await.generation, generation + 1);
        site.offers("a_exec-0", &NAMES).await;
    }

    async fn f114_what_fails_only_when_it_is_asked_is_contained_and_told(server) {
        let site = builder().gates(Gates { watch_for: Duration::ZERO, ..Gates::default() }).start(server).await;
        site.offers("a_exec-0", &NAMES).await;
        for (body, words) in [(LOOP, "ran out of fuel"), (TRAP, "it trapped"), (GROW, "ran out of memory")] {
            let body = past_the_gates(body, &Bytes::default());
            let guest = Guest::new("sly").function("matching", "matches", body);
            site.impose_policy("20-sly.wasm", &guest.build()).await;
            site.notes(&["the names of team/app on ci stay as they were", "sly", words]).await;
            let policy = site.policy("sly").await.unwrap();
            let failing = policy.failing.unwrap();
            assert!(failing.contains(words) && failing.contains("`layshaft policy rollback sly`"), "{failing}");
            site.offers("a_exec-0", &NAMES).await;
        }
        let mut job = site.server.submit("build:team/app", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").finish("team/app", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
    }
}

/// In a process of its own, where nothing else opens files and takes memory.
#[test]
fn f115_nothing_leaks_however_often_a_policy_is_replaced() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
    let output =
        command.args(["policy", "self-test", "--swaps", "500", "--json"]).stdin(Stdio::null()).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let swaps = &found["swaps"];
    assert_eq!(swaps["count"], 500);
    assert!(swaps["before"]["memory_kib"].as_u64().is_some_and(|memory| memory > 1000), "{swaps}");
    assert_eq!(swaps["flat"], true, "{swaps}");
    // A busy machine may be late, and the command then says so; nothing else may be wrong.
    let broken: Vec<_> = found["kit"].as_array().unwrap().iter().filter(|one| one["outcome"] == "broke").collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let is_late = found["kit"].as_array().unwrap().iter().any(|one| one["outcome"] == "late");
    assert_eq!(output.status.code(), Some(i32::from(is_late)));
}
