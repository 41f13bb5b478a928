//! Scripts that start jobs without a Zuul between.

use layshaft::domain::{BuildResult, NodeName};
use layshaft::simulator::{ParameterKind, ParameterSpec};
use serde_json::{Value, json};
use tokio::process::Command;

use super::driver;
use crate::support::{
    GearmanServer, Kind, Site, SiteBuilder, eventually, fleet, marked, on_both_servers, project, within,
};

/// Runs one of the scripts that `gear_scripts.py` stands for, and returns what it says at its end.
async fn script(server: &GearmanServer, name: &str, arguments: &[&str]) -> Value {
    let (host, port) = server.address.split_once(':').unwrap();
    let mut python = Command::new("python3");
    python.arg(driver("gear_scripts.py")).args([name, host, port]).args(arguments).kill_on_drop(true);
    let output = within("the script", python.output()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn gear_client(server: &GearmanServer, function: &str, iterations: u32, parameters: Value) -> Vec<Value> {
    let arguments = [function, &iterations.to_string(), &parameters.to_string()];
    let Value::Array(jobs) = script(server, "gear-client", &arguments).await else { panic!("no list") };
    jobs
}

/// Returns what the data of a job say.
fn data(job: &Value) -> Vec<Value> {
    let texts = job["data"].as_array().unwrap().iter();
    texts.map(|text| serde_json::from_str(text.as_str().unwrap()).unwrap()).collect()
}

/// Starts a controller with a project that declares what gear_client.py sends, and one executor.
async fn site(server: GearmanServer) -> Site {
    let mut my_project = marked("myProject", None);
    let declared = ["uuid", "param1", "OFFLINE_NODE_WHEN_COMPLETE"];
    my_project.parameters = declared.map(|name| ParameterSpec::new(name, ParameterKind::Text, "")).into();
    SiteBuilder::new()
        .controller("ci", fleet(&[("a", 1, &[])], vec![my_project, project("long", None)]))
        .start(server)
        .await
}

on_both_servers! {
    async fn f71_gear_client_runs_a_build(server) {
        let site = site(server).await;
        let jobs = gear_client(&site.server, "build:myProject", 1, json!({"OFFLINE_NODE_WHEN_COMPLETE": "false"})).await;
        let [start, end] = &data(&jobs[0])[..] else { panic!("{jobs:?}") };
        assert_eq!((&start["name"], &start["number"], &start["result"]), (&"myProject".into(), &1.into(), &Value::Null));
        let mut expected = start.clone();
        expected["result"] = "SUCCESS".into();
        assert_eq!(end, &expected);
        assert_eq!(site.controller("ci").builds()[0].parameters.get("uuid"), jobs[0]["unique"].as_str());
        assert_eq!(site.offline("ci", &NodeName::agent("a")), None);
    }

    async fn f71_gear_client_runs_the_same_job_several_times(server) {
        let site = site(server).await;
        let parameters = json!({"OFFLINE_NODE_WHEN_COMPLETE": "false", "param1": "sun"});
        let jobs = gear_client(&site.server, "build:myProject", 4, parameters).await;
        let ends: Vec<Value> = jobs.iter().map(|job| data(job).pop().unwrap()).collect();
        let told: Vec<_> = ends.iter().map(|end| (end["number"].as_u64().unwrap(), end["result"].as_str().unwrap())).collect();
        assert_eq!(told, [(1, "SUCCESS"), (2, "SUCCESS"), (3, "SUCCESS"), (4, "SUCCESS")]);
        for (build, job) in site.controller("ci").builds().iter().zip(&jobs) {
            assert_eq!((build.parameters.get("param1"), build.parameters.get("uuid")), (Some("sun"), job["unique"].as_str()));
        }
    }

    async fn f71_gear_client_stops_a_build(server) {
        let site = site(server).await;
        let stop = async {
            eventually("the build runs", || async { !site.controller("ci").builds().is_empty() }).await;
            gear_client(&site.server, "stop:ci", 1, json!({"name": "long", "number": "1"})).await
        };
        let (stopped, jobs) = tokio::join!(stop, gear_client(&site.server, "build:long", 1, json!({})));
        assert_eq!((&stopped[0]["failed"], &stopped[0]["data"]), (&false.into(), &json!([])));
        assert_eq!(data(&jobs[0]).pop().unwrap()["result"], "ABORTED");
        let again = gear_client(&site.server, "stop:ci", 1, json!({"name": "long", "number": "1"})).await;
        assert_eq!(again[0]["failed"], true, "it has ended");
    }

    async fn f71_gear_client_describes_a_build(server) {
        let site = site(server).await;
        gear_client(&site.server, "build:myProject", 1, json!({})).await;
        let parameters = json!({"name": "myProject", "number": "1", "html_description": "<h1>My New Description</h1>"});
        let jobs = gear_client(&site.server, "set_description:ci", 1, parameters).await;
        let told = "Description for Jenkins build 1 was updated to <h1>My New Description</h1>";
        assert_eq!((&jobs[0]["failed"], &jobs[0]["data"]), (&false.into(), &json!([told])));
        let description = site.controller("ci").builds()[0].description.clone();
        assert_eq!(description.as_deref(), Some("<h1>My New Description</h1>"));
    }

    async fn f71_gear_client_finds_the_node_offline_after_a_build(server) {
        let site = site(server).await;
        let jobs = gear_client(&site.server, "build:myProject", 1, json!({"OFFLINE_NODE_WHEN_COMPLETE": "true"})).await;
        assert_eq!(site.offline("ci", &NodeName::agent("a")).as_deref(), Some("Offline due to Gearman request"));
        assert_eq!(data(&jobs[0]).pop().unwrap()["result"], "SUCCESS");
    }

    async fn f73_the_jobs_runner_reads_an_address_from_the_first_data_and_a_result_from_the_last(server) {
        let site = site(server).await;
        let ci = site.controller("ci");
        let parameters = r#"{"ZUUL_PROJECT": "mediawiki/core", "DISABLE_RECURSE": 1}"#;
        let finish = async {
            eventually("the build runs", || async { ci.finish("long", 1, BuildResult::Unstable) }).await;
        };
        let arguments = ["long", parameters];
        let (told, ()) = tokio::join!(script(&site.server, "jobs-runner", &arguments), finish);
        assert_eq!(told, json!({"url": format!("{}job/long/1//console", ci.url()), "result": "UNSTABLE"}));
        let told = script(&site.server, "jobs-runner", &["long", "no object"]).await;
        let why = "payload is not a JSON object of parameters: ";
        match site.server.kind {
            // It passes exceptions on to those only who asked for them.
            Kind::Gearmand => assert_eq!(told, json!({"failed": []})),
            _ => assert!(told["exception"].as_str().unwrap().starts_with(why), "{told}"),
        }
    }

    async fn f74_the_payload_of_the_plugin_s_own_example_starts_a_build(server) {
        let mut pep8 = project("pep8", Some("precise"));
        let colours = ["param1", "param2", "param3"];
        pep8.parameters.extend(colours.map(|name| ParameterSpec::new(name, ParameterKind::String, "")));
        let fleet = fleet(&[("a", 1, &["precise"])], vec![pep8]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let (host, port) = site.server.address.split_once(':').unwrap();
        let unique = "0a1b2c3d-0000-4000-8000-000000000000";
        let mut gearman = Command::new("gearman");
        gearman.args(["-h", host, "-p", port, "-f", "build:pep8:precise", "-u", unique]);
        let client = gearman.arg("{param1:red, param2:white, param3:blue}").kill_on_drop(true).output();
        let finish = async {
            eventually("the build runs", || async {
                site.controller("ci").finish("pep8", 1, BuildResult::Success)
            })
            .await;
        };
        let (output, ()) = tokio::join!(within("gearman", client), finish);
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(said.contains(r#""result":"SUCCESS""#), "{said}");
        let build = site.controller("ci").builds().remove(0);
        let sent = ["UUID", "param1", "param2", "param3"].map(|name| build.parameters.get(name));
        assert_eq!(sent, [Some(unique), Some("red"), Some("white"), Some("blue")]);
    }
}
