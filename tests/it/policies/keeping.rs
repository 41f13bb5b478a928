//! Make before break: what becomes of jobs whose name a change of policies takes away.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use layshaft::domain::BuildResult;
use layshaft::gearman::Kind as Packet;
use layshaft::policy::{Gate, Gates, SlotState};
use layshaft::runtime::status::WorkerState;

use crate::support::guest::{Bytes, Guest, TRAP, named, past_the_gates, vetoes};
use crate::support::{
    GearmanServer, Site, SiteBuilder, completion, eventually, exception, fleet, on_both_servers, project, within,
};

fn naming(name: &str) -> Vec<u8> {
    Guest::new("names").naming(&named(&[name])).build()
}

fn one_executor() -> SiteBuilder {
    let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
    SiteBuilder::new().controller("ci", fleet).policy_file("10-names.wasm", naming("first"))
}

/// Returns the names that are kept, with the jobs that wait for them as far as that is known.
async fn kept(site: &Site) -> Vec<(String, Option<u64>)> {
    let kept = site.status().await.kept.into_iter();
    kept.map(|kept| (kept.function.to_string(), kept.jobs)).collect()
}

/// Has jobs wait from now on.
async fn pause(site: &Site) {
    site.runtime().pause().unwrap();
    site.eventually_worker("a_exec-0", WorkerState::Waiting).await;
}

fn finish_all(site: &Site) {
    for build in site.controller("ci").builds().into_iter().filter(|build| build.building) {
        site.controller("ci").finish(&build.project, build.number, BuildResult::Success);
    }
}

on_both_servers! {
    async fn f115_jobs_that_wait_under_an_old_name_run_as_what_they_meant_and_then_the_name_goes(server) {
        let site = one_executor().start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        let mut jobs = Vec::new();
        for job in ["u-1", "u-2", "u-3"] {
            jobs.push(site.server.submit("build:first", job, "{}").await);
        }
        jobs[0].started().await;
        site.drop_policy("10-names.wasm", &naming("second"));
        site.policy_becomes("names", SlotState::Live, "").await;
        eventually("what waits is known", || async { kept(&site).await == [("build:first".to_owned(), Some(2))] }).await;
        assert_eq!(site.server.functions_of("a_exec-0").await, ["build:first", "build:second"]);
        let until = site.status().await.kept[0].until;
        let in_a_while = SystemTime::now() + Duration::from_secs(500)..SystemTime::now() + Duration::from_secs(600);
        assert!(in_a_while.contains(&until), "{until:?}");
        let last = site.server.submit("build:second", "u-4", "{}").await;
        let mut results = Vec::new();
        eventually("every job has been a build", || async {
            finish_all(&site);
            let builds = site.controller("ci").builds();
            builds.len() == 4 && builds.iter().all(|build| !build.building)
        })
        .await;
        for job in jobs.into_iter().chain([last]) {
            let end = completion(&job.finish().await);
            results.push((end["name"].as_str().unwrap().to_owned(), end["result"].as_str().unwrap().to_owned()));
        }
        let success = |name: &str| (name.to_owned(), "SUCCESS".to_owned());
        assert_eq!(results, [success("first"), success("first"), success("first"), success("second")]);
        let markers: BTreeSet<_> = site.controller("ci").builds().iter().map(|build| build.parameters.get("UUID").map(str::to_owned)).collect();
        assert_eq!(markers.len(), 4, "none was started twice");
        site.offers("a_exec-0", &["build:second"]).await;
        assert_eq!(kept(&site).await, []);
    }

    async fn f115_every_connection_offers_the_new_name_before_any_withdraws_the_old_one(server) {
        let nodes: [(&str, u32, &[&str]); 3] = [("a", 3, &[]), ("b", 3, &[]), ("c", 2, &[])];
        let site = SiteBuilder::new()
            .controller("ci", fleet(&nodes, vec![project("lint", None)]))
            .policy_file("10-names.wasm", naming("first"))
            .gates(Gates { withdrawn_percent: 100, ..Gates::default() })
            .recorded()
            .start(server)
            .await;
        eventually("all offer it", || async { site.server.workers_for("build:first").await == 8 }).await;
        let moment = site.recorder().now();
        site.drop_policy("10-names.wasm", &naming("second"));
        let mut was_there = false;
        let changed_over = async {
            loop {
                let lines = site.server.status().await;
                let workers =
                    |name: &str| lines.iter().find(|line| line.function == name).map_or(0, |line| line.workers);
                let (old, new) = (workers("build:first"), workers("build:second"));
                assert!(old > 0 || new > 0, "nobody offers either name");
                assert!(new > 0 || !was_there, "nobody offers the new name any more");
                was_there |= new > 0;
                if (old, new) == (0, 8) {
                    break;
                }
            }
        };
        within("the old name goes", changed_over).await;
        let sent = site.recorder().sent_since(moment);
        let places = |kind: Packet, name: &str| -> Vec<usize> {
            let is_meant = |(_, (_, packet)): &(usize, &(String, layshaft::gearman::Packet))| {
                packet.kind == kind && packet.argument(0) == name.as_bytes()
            };
            sent.iter().enumerate().filter(is_meant).map(|(place, _)| place).collect()
        };
        let (made, broken) = (places(Packet::CanDo, "build:second"), places(Packet::CantDo, "build:first"));
        assert_eq!((made.len(), broken.len()), (8, 8));
        assert!(made.last() < broken.first(), "{made:?} {broken:?}");
    }

    async fn a_name_that_cannot_be_kept_goes_at_once_and_only_if_a_person_says_so(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None), project("docs", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        site.offers("a_exec-0", &["build:docs", "build:lint"]).await;
        pause(&site).await;
        let _waits = site.server.submit("build:lint", "u-1", "{}").await;
        let veto = Guest::new("veto").matching(&vetoes()).build();
        site.drop_policy("10-veto.toml", b"[[bind]]\nprojects = ['lint']");
        site.drop_policy("10-veto.wasm", &veto);
        site.policy_becomes("veto", SlotState::Refused, "nobody would offer build:lint any more").await;
        assert_eq!(site.runtime().policies().reload_accepting([Gate::Orphans].into()).await.refused, []);
        site.offers("a_exec-0", &["build:docs"]).await;
        assert_eq!(kept(&site).await, []);
    }

    async fn a_name_that_would_mean_another_project_is_not_taken_from_jobs_that_wait(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None), project("docs", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        site.offers("a_exec-0", &["build:docs", "build:lint"]).await;
        pause(&site).await;
        let _waits = site.server.submit("build:lint", "u-1", "{}").await;
        site.drop_policy("20-away.toml", b"[[bind]]\nprojects = ['lint']");
        site.drop_policy("20-away.wasm", &Guest::new("away").naming(&named(&["old-lint"])).build());
        // The name is kept, so that nobody is left behind.
        site.policy_becomes("away", SlotState::Live, "").await;
        eventually("it is kept", || async { kept(&site).await == [("build:lint".to_owned(), Some(1))] }).await;
        site.drop_policy("10-swap.toml", b"[[bind]]\nprojects = ['docs']");
        site.drop_policy("10-swap.wasm", &Guest::new("swap").naming(&named(&["lint"])).build());
        site.policy_becomes("swap", SlotState::Refused, "build:lint would mean docs instead of lint, and jobs wait for it").await;
        site.offers("a_exec-0", &["build:docs", "build:lint", "build:old-lint"]).await;
    }

    async fn a_kept_name_has_an_end_whatever_waits(server) {
        let site = one_executor().keep_names(Duration::from_secs(3)).start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        pause(&site).await;
        let _waits = site.server.submit("build:first", "u-1", "{}").await;
        site.drop_policy("10-names.wasm", &naming("second"));
        eventually("it is kept", || async { kept(&site).await == [("build:first".to_owned(), Some(1))] }).await;
        site.offers("a_exec-0", &["build:second"]).await;
        assert_eq!(kept(&site).await, []);
        assert_eq!(site.server.waiting_jobs_of("build:first").await, 1);
    }

    async fn a_job_under_a_kept_name_is_under_the_new_rules(server) {
        let site = one_executor().start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        pause(&site).await;
        let waits = site.server.submit("build:first", "u-1", "{}").await;
        let trap = past_the_gates(TRAP, &Bytes::default());
        let renamed = Guest::new("names").naming(&named(&["second"])).function("parameters", "filter", trap).build();
        site.drop_policy("10-names.wasm", &renamed);
        eventually("it is kept", || async { kept(&site).await == [("build:first".to_owned(), Some(1))] }).await;
        site.runtime().resume().unwrap();
        let updates = waits.finish().await;
        if site.server.kind == crate::support::Kind::Gearmand {
            assert!(exception(&updates).contains("policy names failed"), "{updates:?}");
        }
        assert_eq!(site.controller("ci").builds().len(), 0);
        site.offers("a_exec-0", &["build:second"]).await;
    }

    async fn a_project_that_is_disabled_or_a_node_that_goes_keeps_no_name(server) {
        let nodes: [(&str, u32, &[&str]); 2] = [("a", 1, &[]), ("b", 1, &[])];
        let projects = vec![project("lint", None), project("docs", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&nodes, projects)).start(server).await;
        site.offers("a_exec-0", &["build:docs", "build:lint"]).await;
        pause(&site).await;
        let _waits = site.server.submit("build:lint", "u-1", "{}").await;
        let renamed = Guest::new("names").naming(&named(&["new"])).build();
        site.drop_policy("10-names.toml", b"[[bind]]\nprojects = ['lint']");
        site.drop_policy("10-names.wasm", &renamed);
        for worker in ["a_exec-0", "b_exec-0"] {
            site.offers(worker, &["build:docs", "build:lint", "build:new"]).await;
        }
        site.controller("ci").set_offline(&layshaft::domain::NodeName::agent("b"), Some("away"));
        site.offers("b_exec-0", &[]).await;
        site.controller("ci").set_offline(&layshaft::domain::NodeName::agent("b"), None);
        site.offers("b_exec-0", &["build:docs", "build:lint", "build:new"]).await;
        site.controller("ci").set_disabled("lint", true);
        for worker in ["a_exec-0", "b_exec-0"] {
            site.offers(worker, &["build:docs"]).await;
        }
    }

    async fn what_is_kept_stays_so_over_a_restart(server) {
        let mut site = one_executor().start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        pause(&site).await;
        let mut waits = site.server.submit("build:first", "u-1", "{}").await;
        site.drop_policy("10-names.wasm", &naming("second"));
        eventually("it is kept", || async { kept(&site).await == [("build:first".to_owned(), Some(1))] }).await;
        site.stop_runtime().await;
        site.start_runtime().await;
        waits.started().await;
        finish_all(&site);
        assert_eq!(completion(&waits.finish().await)["result"], "SUCCESS");
        site.offers("a_exec-0", &["build:second"]).await;
    }

    async fn names_that_a_policy_takes_away_while_the_daemon_is_away_are_kept_too(server) {
        let mut site = one_executor().start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        site.stop_runtime().await;
        site.drop_policy("10-names.wasm", &naming("second"));
        let mut waits = site.server.submit("build:first", "u-1", "{}").await;
        site.start_runtime().await;
        waits.started().await;
        finish_all(&site);
        assert_eq!(completion(&waits.finish().await)["result"], "SUCCESS");
        site.offers("a_exec-0", &["build:second"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_wait_at_any_server_keep_their_name_at_all_of_them() {
    let first = GearmanServer::start(crate::support::Kind::Gearmand).await;
    let second = GearmanServer::start(crate::support::Kind::Geard).await;
    let site = one_executor().and_serves(&second.address).start(first).await;
    site.offers("a_exec-0", &["build:first"]).await;
    pause(&site).await;
    let mut waits = second.submit("build:first", "u-1", "{}").await;
    site.drop_policy("10-names.wasm", &naming("second"));
    eventually("it is kept", || async { kept(&site).await == [("build:first".to_owned(), Some(1))] }).await;
    assert_eq!(site.server.functions_of("a_exec-0").await, ["build:first", "build:second"]);
    site.runtime().resume().unwrap();
    waits.started().await;
    finish_all(&site);
    assert_eq!(completion(&waits.finish().await)["name"], "first");
    site.offers("a_exec-0", &["build:second"]).await;
    assert_eq!(second.functions_of("a_exec-0").await, ["build:second"]);
}
