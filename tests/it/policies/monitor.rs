//! A policy on trial changes nothing of what jobs get, and what it would have changed is told.

use std::collections::BTreeMap;
use std::time::Duration;

use layshaft::domain::{BuildResult, NodeName};
use layshaft::policy::{Limits, Usage};
use layshaft::simulator::ProjectSpec;

use crate::support::guest::{Bytes, Guest, LOOP, past_the_gates, rules, vetoes};
use crate::support::{Site, SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project};

const JOBS: usize = 6;

async fn usage(site: &Site, hook: &str) -> Usage {
    let policy = site.policy("trial").await.unwrap();
    policy.usage.into_iter().find(|usage| usage.hook.as_str() == hook).unwrap()
}

fn counted(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    counts.iter().filter(|(_, count)| **count > 0).map(|(word, count)| (word.as_str(), *count)).collect()
}

fn site(project: ProjectSpec) -> SiteBuilder {
    let fleet = fleet(&[("a", 2, &["gpu"])], vec![project]);
    SiteBuilder::new().controller("ci", fleet).on_trial("trial")
}

on_both_servers! {
    async fn a_policy_on_trial_that_loops_for_ever_delays_no_job(server) {
        // Each of its calls is stopped by the clock alone.
        let limits = Limits { fuel: 1 << 60, deadline: Duration::from_secs(1), ..Limits::default() };
        let guest = Guest::new("trial").function("parameters", "filter", past_the_gates(LOOP, &rules(&[], false, "")));
        let site = site(marked("lint", Some("gpu"))).limits(limits).policy_file("10-trial.wasm", guest.build()).start(server).await;
        for number in 0..JOBS {
            let job = site.server.submit("build:lint", &format!("u-{number}"), "{}").await;
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        let at_once = usage(&site, "parameters").await;
        assert!(at_once.calls < JOBS as u64, "jobs waited for it: {at_once:?}");
        eventually("its failure is counted", || async { usage(&site, "parameters").await.errors["deadline"] > 0 }).await;
        let later = usage(&site, "parameters").await;
        assert_eq!(later.failed(), later.calls);
        assert!(later.would_have["fail"] > 0);
        let policy = site.policy("trial").await.unwrap();
        assert_eq!((policy.failing, policy.error), (None, None), "nobody feels it");
    }

    async fn what_a_policy_on_trial_would_have_changed_is_told_without_values(server) {
        let start = Bytes::default().byte(0).text("").none_pair();
        let end = Bytes::default().byte(2).text("hunter2 was here").text("it saw hunter2").none_pair();
        let guest = Guest::new("trial")
            .filter(&rules(&[("TOKEN", 1, ""), ("UUID", 0, "")], false, "hunter2 is no token"))
            .matching(&vetoes())
            .offline(&start, &end)
            .needs_values();
        let site = site(project("lint", Some("gpu"))).policy_file("10-trial.wasm", guest.build()).start(server).await;
        site.offers("a_exec-0", &["build:lint", "build:lint:gpu"]).await;
        let mut job = site.server.submit("build:lint", "u-1", r#"{"TOKEN": "hunter2"}"#).await;
        job.started().await;
        eventually("the start of the build is asked about", || async { usage(&site, "offline").await.calls == 1 }).await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        eventually("its end is asked about", || async { usage(&site, "offline").await.calls == 2 }).await;
        let (parameters, offline) = (usage(&site, "parameters").await, usage(&site, "offline").await);
        assert_eq!(counted(&parameters.would_have), [("drop", 1)]);
        assert_eq!(parameters.examples, ["lint on a: would have dropped TOKEN"]);
        assert_eq!(counted(&offline.would_have), [("offline", 1)]);
        assert_eq!(offline.examples, ["lint on a: would have taken the node offline"]);
        let matching = usage(&site, "matching").await;
        assert_eq!(counted(&matching.would_have).first().map(|(what, _)| *what), Some("veto"), "{matching:?}");
        assert_eq!(matching.examples, ["lint on a: would have vetoed it"]);
        // None of it was done.
        assert_eq!(site.offline("ci", &NodeName::agent("a")), None);
        assert!(!format!("{:?}", site.policy("trial").await).contains("hunter2"));
    }
}
