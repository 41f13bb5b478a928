//! Parameters: what a client may pass, and what it hears when it may not.

use layshaft::gearman::client::Update;
use layshaft::policy::Grant;
use layshaft::runtime::RejectAs;
use layshaft::simulator::{ParameterKind, ParameterSpec, ProjectSpec};

use crate::support::guest::{Bytes, Guest, LOOP, past_the_gates};
use crate::support::{Site, SiteBuilder, completion, eventually, fleet, log, marked, on_both_servers, project};

const SETTINGS: &str = r#"
    [[settings.deny]]
    name = "internals"
    parameter = "JENKINS_*"

    [[settings.deny]]
    name = "no-shell"
    parameter = "*_ARGS"
    values = ["*;*"]

    [[settings.rules]]
    name = "deploys"
    projects = ["deploy"]
    allow = ["VERSION"]
    drop = ["TOKEN"]
"#;

fn deploy() -> ProjectSpec {
    let mut spec = project("deploy", None);
    for name in ["VERSION", "TOKEN", "OTHER", "OFFLINE_NODE_WHEN_COMPLETE"] {
        spec.parameters.push(ParameterSpec::new(name, ParameterKind::String, "default"));
    }
    spec
}

fn builder() -> SiteBuilder {
    SiteBuilder::new()
        .controller("ci", fleet(&[("a", 1, &[])], vec![deploy(), marked("quick", None)]))
        .example_policy("30-parameter-allowlist.wasm", "parameter-allowlist")
        .policy_file("30-parameter-allowlist.toml", SETTINGS)
        .grant("parameter-allowlist", &[Grant::Values])
}

/// Shows that the worker goes on as if nothing had been.
async fn still_builds(site: &Site) {
    assert_eq!(completion(&site.server.run("build:quick", "u-quick", "{}").await)["result"], "SUCCESS");
}

on_both_servers! {
    async fn n03_f112_parameters_are_allowed_and_dropped_and_those_of_the_host_are_not_judged(server) {
        log::keep();
        let site = builder().start(server).await;
        let payload = r#"{
            "VERSION": "1.2", "TOKEN": "f112-secret", "OTHER": "x", "UNDECLARED": "y", "NODE": "elsewhere",
            "OFFLINE_NODE_WHEN_COMPLETE": "0"
        }"#;
        let mut job = site.server.submit("build:deploy", "u-1", payload).await;
        job.started().await;
        let ci = site.controller("ci");
        let build = ci.builds().remove(0);
        let sent: Vec<(&str, Option<&str>)> = build.parameters.iter().collect();
        assert_eq!(sent, [
            ("UUID", Some("u-1")), ("NODE", Some("a")), ("VERSION", Some("1.2")), ("TOKEN", Some("default")),
            ("OTHER", Some("default")), ("OFFLINE_NODE_WHEN_COMPLETE", Some("0")),
        ]);
        let logged = |parameter: &str| {
            let parameter = format!("parameter={parameter} ");
            log::lines_with(&["policy dropped a parameter", "project=deploy", &parameter, "rule `deploys`"])
        };
        for parameter in ["TOKEN", "OTHER", "UNDECLARED"] {
            assert!(!logged(parameter).is_empty(), "{parameter} was dropped silently");
        }
        assert_eq!(log::lines_with(&["f112-secret"]), [""; 0], "no value is ever logged");
        ci.finish("deploy", 1, layshaft::domain::BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
    }

    async fn f112_a_rejected_job_starts_nothing_and_its_client_is_told_why(server) {
        log::keep();
        let site = builder().start(server).await;
        let updates = site.server.run("build:deploy", "u-1", r#"{"JENKINS_HOME":"/tmp"}"#).await;
        let [Update::Exception(text)] = &updates[..] else { panic!("{updates:?}") };
        let reason = "rejected by policy parameter-allowlist: parameter `JENKINS_HOME` is denied by deny rule `internals`";
        assert_eq!(String::from_utf8_lossy(text), reason);
        assert!(!log::lines_with(&[reason]).is_empty(), "the decision is logged");
        still_builds(&site).await;
        assert!(site.controller("ci").builds().iter().all(|build| build.project == "quick"));
    }

    async fn f112_a_client_that_would_try_again_gets_a_failure_with_the_reason(server) {
        let site = builder().start(server).await;
        let payload = r#"{"ZUUL_UUID":"z","MAKE_ARGS":"all; f112-rm"}"#;
        let updates = site.server.run("build:deploy", "u-1", payload).await;
        assert_eq!(updates.len(), 1, "one terminal packet and nothing else");
        let completed = completion(&updates);
        assert_eq!(completed["result"], "FAILURE");
        assert_eq!((&completed["name"], &completed["manager"]), (&"deploy".into(), &"ci".into()));
        assert_eq!(completed["worker"], "a_exec-0");
        let reason = completed["reason"].as_str().unwrap();
        assert!(reason.contains("`MAKE_ARGS` has a value that is denied by deny rule `no-shell`"), "{reason}");
        assert!(!reason.contains("f112-rm"), "{reason}");
        still_builds(&site).await;
    }

    async fn f112_how_a_client_is_told_is_the_sites_choice(server) {
        let mut as_result = builder();
        as_result.config.reject_as = RejectAs::Result;
        let site = as_result.start(server).await;
        let rejected = r#"{"JENKINS_HOME":"x","ZUUL_UUID":"z"}"#;
        let updates = site.server.run("build:deploy", "u-1", r#"{"JENKINS_HOME":"x"}"#).await;
        assert_eq!(completion(&updates)["result"], "FAILURE");
        let mut always = site.config();
        always.reject_as = RejectAs::Exception;
        site.reconfigure_with(always);
        eventually("jobs are rejected with an exception", || async {
            let updates = site.server.run("build:deploy", "u-2", rejected).await;
            matches!(&updates[..], [Update::Exception(_)])
        })
        .await;
    }

    async fn f112_a_failing_policy_starts_no_build_where_it_is_bound(server) {
        let failing = past_the_gates(LOOP, &Bytes::default());
        let guest = Guest::new("loops").function("parameters", "filter", failing).build();
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &[])], vec![deploy(), marked("quick", None)]))
            .policy_file("30-loops.wasm", guest)
            .policy_file("30-loops.toml", "[[bind]]\nprojects = ['deploy']")
            .start(server)
            .await;
        let updates = site.server.run("build:deploy", "u-1", "{}").await;
        let [Update::Exception(text)] = &updates[..] else { panic!("{updates:?}") };
        let text = String::from_utf8_lossy(text);
        assert!(text.contains("policy loops failed, so no build was started") && text.contains("fuel"), "{text}");
        still_builds(&site).await;
        assert!(site.controller("ci").builds().iter().all(|build| build.project == "quick"));
        let failing = site.policy("loops").await.unwrap().failing.unwrap();
        assert!(failing.contains("parameters fails") && failing.contains("rollback loops"), "{failing}");
    }
}
