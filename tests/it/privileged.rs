//! Controllers on which builds are started by a script: what REST alone cannot do.

use std::collections::BTreeSet;

use layshaft::domain::BuildResult;
use layshaft::simulator::{Fault, FaultRule, Fleet, Length, ParameterKind, ParameterSpec, Permission, ProjectSpec};

use crate::support::{
    GearmanServer, Site, SiteBuilder, completion, eventually, exception, fleet, on_both_servers, project,
};

/// Returns a project that declares nothing, and whose builds end when the test says so.
fn bare(name: &str) -> ProjectSpec {
    ProjectSpec { parameters: Vec::new(), label: Some("linux".to_owned()), ..project(name, None) }
}

/// Returns the same with builds that end at once.
fn brief(name: &str) -> ProjectSpec {
    ProjectSpec { duration: Length::default(), ..bare(name) }
}

fn nodes(projects: Vec<ProjectSpec>) -> Fleet {
    fleet(&[("a", 1, &["linux"]), ("b", 1, &["linux"]), ("c", 1, &["linux"])], projects)
}

async fn privileged(fleet: Fleet, server: GearmanServer) -> Site {
    SiteBuilder::new().controller("ci", fleet).privileged("ci").start(server).await
}

/// Returns how often a build was asked for: by script, and otherwise.
fn triggers(site: &Site) -> (u64, u64) {
    let requests = site.controller("ci").requests();
    let count = |route: &str| requests.get(route).copied().unwrap_or(0);
    (count("POST /scriptText"), count("POST /job/*/build") + count("POST /job/*/buildWithParameters"))
}

on_both_servers! {
    async fn f31_f32_a_privileged_controller_gets_what_no_project_declares_to_the_letter(server) {
        let odd = "'].join('')\n\t\"${1+1}\" \\u0027 */ é\u{1f980} & <b> %41+";
        let site = privileged(nodes(vec![brief("lint")]), server).await;
        let long = "x".repeat(100_000);
        let payload = serde_json::json!({"ZUUL_CHANGE": odd, "LONG": long, "it's": "", "OFFLINE_NODE_WHEN_COMPLETE": "0"});
        let updates = site.server.run("build:lint:linux", "u-1", &payload.to_string()).await;
        assert_eq!(completion(&updates)["result"], "SUCCESS");
        let builds = site.controller("ci").builds();
        let sent = [("ZUUL_CHANGE", odd), ("LONG", &long), ("it's", ""), ("OFFLINE_NODE_WHEN_COMPLETE", "0"), ("UUID", "u-1")];
        for (name, value) in sent {
            assert_eq!(builds[0].parameters.get(name), Some(value), "{name}");
        }
        assert_eq!(triggers(&site), (1, 0));
        assert_eq!(site.status().await.notes, [""; 0], "nothing is lost, so nothing is told");
    }

    async fn n05_a_value_with_line_breaks_becomes_a_text_and_any_other_a_string(server) {
        let site = privileged(nodes(vec![brief("lint")]), server).await;
        let updates = site.server.run("build:lint", "u-1", r#"{"LINE":"one","LINES":"one\ntwo"}"#).await;
        assert_eq!(completion(&updates)["result"], "SUCCESS");
        let build = site.ask("ci", "job/lint/1/api/json?tree=actions[parameters[name]]").await;
        let actions = build["actions"].as_array().unwrap();
        let parameters = actions.iter().filter_map(|action| action["parameters"].as_array()).flatten();
        let class_of = |wanted: &str| parameters.clone().find(|one| one["name"] == wanted).unwrap()["_class"].clone();
        assert_eq!(class_of("LINE"), "hudson.model.StringParameterValue");
        assert_eq!(class_of("LINES"), "hudson.model.TextParameterValue");
    }

    async fn f33_a_privileged_controller_fills_in_defaults_of_what_is_not_sent(server) {
        let mut lint = brief("lint");
        lint.parameters.push(ParameterSpec::new("BRANCH", ParameterKind::String, "main"));
        lint.parameters.push(ParameterSpec { choices: vec!["x".to_owned()], ..ParameterSpec::new("PICK", ParameterKind::Choice, "") });
        let site = privileged(nodes(vec![lint]), server).await;
        site.server.run("build:lint", "u-1", "{}").await;
        let parameters = site.controller("ci").builds()[0].parameters.clone();
        assert_eq!((parameters.get("BRANCH"), parameters.get("PICK")), (Some("main"), Some("x")));
        let text = exception(&site.server.run("build:lint", "u-2", r#"{"PICK":"s3cret"}"#).await);
        assert!(text.starts_with("jenkins did not start lint: the controller failed at setting a declared parameter"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!((site.controller("ci").builds().len(), triggers(&site)), (1, (2, 0)));
    }

    async fn f35_a_privileged_controller_pins_what_declares_no_parameter_for_it(server) {
        let site = privileged(nodes(vec![bare("lint")]), server).await;
        let mut jobs = Vec::new();
        for number in 1..=3 {
            jobs.push(site.server.submit("build:lint:linux", &format!("u-{number}"), "{}").await);
        }
        let mut seen = BTreeSet::new();
        for job in &mut jobs {
            let started = job.started().await;
            let node = started["node_name"].as_str().unwrap().to_owned();
            assert_eq!(started["worker"], format!("{node}_exec-0"));
            seen.insert(node);
        }
        assert_eq!(seen.len(), 3);
        for number in 1..=3 {
            site.controller("ci").finish("lint", number, BuildResult::Success);
        }
        for job in jobs {
            job.finish().await;
        }
    }

    async fn f35_a_privileged_controller_without_the_plugin_says_so_and_builds_all_the_same(server) {
        let site = privileged(Fleet { lacks_node_label_plugin: true, ..nodes(vec![brief("lint")]) }, server).await;
        assert_eq!(completion(&site.server.run("build:lint", "u-1", "{}").await)["result"], "SUCCESS");
        site.notes(&["ci cannot pin builds", "install it"]).await;
    }

    async fn f48_equal_jobs_of_a_project_that_declares_nothing_are_built_at_the_same_time(server) {
        let site = privileged(nodes(vec![bare("lint")]), server).await;
        let mut jobs = Vec::new();
        for unique in ["u-1", "u-2", ""] {
            let mut job = site.server.submit("build:lint", unique, "{}").await;
            job.started().await;
            jobs.push(job);
        }
        assert!(site.controller("ci").builds().iter().all(|build| build.building));
    }

    async fn f49_a_script_whose_answer_was_lost_is_looked_up_and_not_repeated(server) {
        let site = privileged(nodes(vec![brief("lint")]), server).await;
        site.controller("ci").fault(FaultRule::once("/scriptText", Fault::DropAfterAccept));
        assert_eq!(completion(&site.server.run("build:lint", "u-1", "{}").await)["number"], 1);
        assert_eq!((site.controller("ci").builds().len(), triggers(&site)), (1, (1, 0)));
    }

    async fn f49_an_answer_that_is_not_the_scripts_own_is_no_answer(server) {
        let site = privileged(nodes(vec![brief("lint")]), server).await;
        let ci = site.controller("ci");
        for fault in [Fault::Html, Fault::Truncate, Fault::DropBeforeAccept] {
            ci.fault(FaultRule::once("/scriptText", fault));
        }
        assert_eq!(completion(&site.server.run("build:lint", "u-1", "{}").await)["number"], 1);
        assert_eq!(ci.builds().len(), 1);
    }

    async fn f46_a_user_who_may_run_no_scripts_is_told_so_and_nothing_is_started_another_way(server) {
        let builder = SiteBuilder::new().controller("ci", nodes(vec![brief("lint"), project("team/app", None)]));
        let site = builder.privileged("ci").forbid("ci", Permission::OverallAdminister).start(server).await;
        for function in ["build:lint", "build:app"] {
            let text = exception(&site.server.run(function, "u-1", "{}").await);
            assert!(text.contains("`privileged = true` needs a user with the permission Overall/Administer"), "{text}");
        }
        assert_eq!(triggers(&site).1, 0);
        assert!(site.controller("ci").builds().is_empty());
    }

    async fn f46_what_vanished_or_was_disabled_in_between_ends_the_job(server) {
        let site = privileged(nodes(vec![bare("gone"), bare("off")]), server).await;
        let ci = site.controller("ci");
        for name in ["gone", "off"] {
            ci.fault(FaultRule { method: Some("GET".to_owned()), ..FaultRule::new("/api/json", Fault::Status(503)) });
            if name == "gone" { ci.remove_project(name) } else { ci.set_disabled(name, true) };
            let text = exception(&site.server.run(&format!("build:{name}"), "u-1", "{}").await);
            assert!(text.starts_with(&format!("jenkins did not start {name}: /scriptText for {name} ")), "{text}");
            ci.clear_faults();
        }
        eventually("nothing is left under way", || async { site.status().await.builds.is_empty() }).await;
    }
}
