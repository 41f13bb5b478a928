//! `stop:HOST` and `set_description:HOST`, as the plugin answers them.

use std::time::Duration;

use layshaft::domain::{BuildResult, Parameters};
use layshaft::gearman::client::Update;
use layshaft::simulator::{Fault, FaultRule, ProjectSpec};

use crate::support::{
    Site, SiteBuilder, completion, eventually, exception, fleet, marked, on_both_servers, project, stuck,
};

async fn site(server: crate::support::GearmanServer) -> Site {
    let projects = vec![
        project("lint", None),
        project("team/app", None),
        project("other/app", None),
        project("team/deep/only", None),
    ];
    SiteBuilder::new().controller("ci", fleet(&[("a", 2, &[])], projects)).start(server).await
}

async fn stop(site: &Site, payload: &str) -> Vec<Update> {
    site.server.run("stop:ci", "", payload).await
}

async fn describe(site: &Site, payload: &str) -> Vec<Update> {
    site.server.run("set_description:ci", "", payload).await
}

fn description(site: &Site, number: u64) -> Option<String> {
    let builds = site.controller("ci").builds();
    builds.into_iter().find(|build| build.number == number).unwrap().description.filter(|text| !text.is_empty())
}

on_both_servers! {
    async fn f60_a_running_build_is_stopped_and_its_own_job_completes_as_aborted(server) {
        let site = site(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        let started = job.started().await;
        let request = serde_json::json!({"name": started["name"], "number": started["number"], "uuid": "x"});
        let answer = site.server.run(&format!("stop:{}", started["manager"].as_str().unwrap()), "", &request.to_string()).await;
        assert_eq!(answer, [Update::Complete("".into())]);
        let updates = job.finish().await;
        assert_eq!(completion(&updates)["result"], "ABORTED");
        assert_eq!(updates.iter().filter(|update| update.is_last()).count(), 1);
    }

    async fn f61_a_build_that_has_ended_or_is_being_stopped_cannot_be_stopped(server) {
        let site = site(server).await;
        let ci = site.controller("ci");
        ci.update_project("lint", |spec| spec.ignores_stop = true);
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        let request = r#"{"name":"lint","number":"1"}"#;
        assert_eq!(stop(&site, request).await, [Update::Complete("".into())], "said at once, not when the build has ended");
        assert_eq!(stop(&site, request).await, [Update::Fail]);
        ci.finish("lint", 1, BuildResult::Success);
        job.finish().await;
        assert_eq!(stop(&site, request).await, [Update::Fail]);
    }

    async fn f65_a_build_that_waits_in_the_jenkins_queue_is_stopped_by_the_unique_of_its_job(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![stuck("stuck"), project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let ci = site.controller("ci");
        let job = site.server.submit("build:stuck", "u-1", r#"{"delay":"600sec"}"#).await;
        eventually("the build waits", || async { ci.queue().len() == 1 }).await;
        assert_eq!(exception(&stop(&site, r#"{"unique":"u-2"}"#).await), r#"no job with the unique "u-2" is under way on ci"#);
        assert_eq!(stop(&site, r#"{"unique":"u-1","uuid":"x"}"#).await, [Update::Complete("".into())]);
        assert_eq!(exception(&job.finish().await), "the build was cancelled in the jenkins queue");
        assert!(ci.queue().is_empty() && ci.builds().is_empty());
        let mut running = site.server.submit("build:lint", "u-3", "{}").await;
        running.started().await;
        assert_eq!(stop(&site, r#"{"unique":"u-3"}"#).await, [Update::Complete("".into())]);
        assert_eq!(completion(&running.finish().await)["result"], "ABORTED");
    }

    async fn f65_t01_what_is_queued_as_one_with_a_strangers_build_is_not_taken_out_of_the_queue(server) {
        let bare = ProjectSpec { parameters: Vec::new(), ..project("bare", None) };
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![bare])).start(server).await;
        let ci = site.controller("ci");
        ci.update_project("bare", |spec| spec.quiet_period = Some(Duration::from_secs(600)));
        let stranger = ci.start_foreign_build("bare", &Parameters::new()).unwrap();
        let _waiting = site.server.submit("build:bare", "u-1", "{}").await;
        eventually("the build is queued", || async {
            site.status().await.builds.iter().any(|build| build.queue_item.is_some())
        })
        .await;
        let refused = exception(&stop(&site, r#"{"unique":"u-1"}"#).await);
        assert!(refused.contains("somebody else may have asked for"), "{refused}");
        assert_eq!(ci.queue().iter().map(|item| item.id).collect::<Vec<_>>(), [stranger]);
    }

    async fn f62_f63_f68_requests_that_make_no_sense_say_why(server) {
        let site = site(server).await;
        site.server.submit("build:lint", "u-1", "{}").await.started().await;
        let table = [
            ("stop:ci", r#"{"name":"lint","number":7}"#, "Cannot find build lint: 7"),
            ("stop:ci", r#"{"name":"nothing","number":1}"#, "Cannot find build nothing: 1"),
            ("stop:ci", r#"{"name":"lint","number":-1}"#, "Cannot find build lint: -1"),
            ("stop:ci", r#"{"name":"","number":1}"#, "Build id is invalid or not specified"),
            ("stop:ci", r#"{"name":"lint","number":""}"#, "Build id is invalid or not specified"),
            ("stop:ci", r#"{"name":"lint"}"#, "number is missing or null"),
            ("stop:ci", r#"{"number":1}"#, "name is missing or null"),
            ("stop:ci", r#"{"name":null,"number":1}"#, "name is missing or null"),
            ("stop:ci", r#"{"name":"lint","number":5.0}"#, "For input string: \"5.0\""),
            ("stop:ci", r#"{"name":"lint","number":1e3}"#, "For input string: \"1e3\""),
            ("stop:ci", r#"{"name":"lint","number":" 1"}"#, "For input string: \" 1\""),
            ("stop:ci", r#"{"name":"lint","number":2147483648}"#, "For input string: \"2147483648\""),
            ("stop:ci", "", "the payload is empty or null"),
            ("stop:ci", "{", "cannot read payload"),
            ("set_description:ci", r#"{"name":"lint","number":7,"html_description":"x"}"#, "Cannot find build number 7"),
            ("set_description:ci", r#"{"name":"nothing","number":1}"#, "Cannot find build number 1"),
            ("set_description:ci", r#"{"name":"lint"}"#, "number is missing or null"),
            ("set_description:ci", r#"{"name":"lint","number":"x"}"#, "For input string: \"x\""),
            ("set_description:ci", "null", "the payload is empty or null"),
        ];
        for (function, payload, expected) in table {
            let updates = site.server.run(function, "", payload).await;
            let text = exception(&updates);
            assert!(text.starts_with(expected), "{function} {payload}: {text}");
            assert_eq!(updates.len(), 1);
        }
        assert!(site.controller("ci").builds()[0].building, "nothing was stopped");
    }

    async fn f63_numbers_read_as_in_java_and_further_keys_are_ignored(server) {
        let site = site(server).await;
        for (build, number) in (1..).zip(["1", r#""2""#, r#""+3""#]) {
            let mut job = site.server.submit("build:lint", &format!("u-{build}"), "{}").await;
            job.started().await;
            let request = format!(r#"{{name: lint, number: {number}, uuid: "x", more: true}}"#);
            assert_eq!(stop(&site, &request).await, [Update::Complete("".into())], "{number}");
            assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        }
    }

    async fn f67_descriptions_are_set_on_running_and_ended_builds_and_cleared(server) {
        let site = site(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        let html = "<a href='x?a=1&amp;b=2'>grün</a> + \"1\"\nnext";
        let request = serde_json::json!({"name": "lint", "number": 1, "html_description": html}).to_string();
        let answer = describe(&site, &request).await;
        assert_eq!(answer, [Update::Complete(format!("Description for Jenkins build 1 was updated to {html}").into())]);
        assert_eq!(description(&site, 1).as_deref(), Some(html));
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        job.finish().await;
        describe(&site, r#"{"name":"LINT","number":"1","html_description":"done"}"#).await;
        assert_eq!(description(&site, 1).as_deref(), Some("done"));
        let answer = describe(&site, r#"{"name":"lint","number":1}"#).await;
        assert_eq!(answer, [Update::Complete("Description for Jenkins build 1 was updated to null".into())]);
        assert_eq!(description(&site, 1), None);
    }

    async fn f68_a_description_that_jenkins_does_not_save_is_an_exception(server) {
        let site = site(server).await;
        site.server.submit("build:lint", "u-1", "{}").await.started().await;
        site.controller("ci").fault(FaultRule::once("/job/lint/1/submitDescription", Fault::Status(500)));
        let text = exception(&describe(&site, r#"{"name":"lint","number":1,"html_description":"x"}"#).await);
        assert!(text.starts_with("Unable to set description for lint: 1"), "{text}");
    }

    async fn f60_f69_stop_is_answered_while_every_executor_is_busy(server) {
        let site = site(server).await;
        let mut jobs = Vec::new();
        for number in 1..=3 {
            jobs.push(site.server.submit("build:lint", &format!("u-{number}"), "{}").await);
        }
        for job in &mut jobs[..2] {
            job.started().await;
        }
        assert_eq!(stop(&site, r#"{"name":"lint","number":1}"#).await, [Update::Complete("".into())]);
        // The executor that became free takes the job that waited.
        assert_eq!(jobs[2].started().await["number"], 3);
    }

    async fn f60_projects_in_folders_are_found_by_every_name_that_means_one(server) {
        let site = site(server).await;
        for (build, name) in (1..).zip(["only", "ONLY", "team/deep/only"]) {
            let mut job = site.server.submit("build:only", &format!("u-{build}"), "{}").await;
            assert_eq!(job.started().await["name"], "only");
            let request = format!(r#"{{"name":"{name}","number":{build}}}"#);
            assert_eq!(stop(&site, &request).await, [Update::Complete("".into())], "{name}");
            job.finish().await;
        }
    }

    async fn f60_a_short_name_that_two_projects_share_means_the_one_that_is_offered(server) {
        let site = site(server).await;
        let ci = site.controller("ci");
        let mut job = site.server.submit("build:app", "u-1", "{}").await;
        let number = job.started().await["number"].clone();
        let offered = ci.builds()[0].project.clone();
        let other = if offered == "team/app" { "other/app" } else { "team/app" };
        ci.start_foreign_build(other, &layshaft::domain::Parameters::new());
        crate::support::eventually("the other one builds", || async { ci.builds().len() == 2 }).await;
        assert_eq!(stop(&site, &format!(r#"{{"name":"app","number":{number}}}"#)).await, [Update::Complete("".into())]);
        job.finish().await;
        let still = ci.builds().into_iter().find(|build| build.project == other).unwrap();
        assert!(still.building, "the other project's build has the same number and goes on");
        assert_eq!(stop(&site, &format!(r#"{{"name":"{other}","number":1}}"#)).await, [Update::Complete("".into())]);
        let text = exception(&stop(&site, r#"{"name":"APP","number":1}"#).await);
        assert!(text.starts_with("APP could mean ") && text.ends_with("; use the full name"), "{text}");
    }

    async fn builds_of_others_are_stopped_and_described_too(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None), marked("quick", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let ci = site.controller("ci");
        ci.start_foreign_build("lint", &layshaft::domain::Parameters::new());
        crate::support::eventually("it builds", || async { !ci.builds().is_empty() }).await;
        describe(&site, r#"{"name":"lint","number":1,"html_description":"x"}"#).await;
        assert_eq!(description(&site, 1).as_deref(), Some("x"));
        assert_eq!(stop(&site, r#"{"name":"lint","number":1}"#).await, [Update::Complete("".into())]);
        assert_eq!(ci.builds()[0].result, Some(BuildResult::Aborted));
    }
}
