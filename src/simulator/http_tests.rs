use std::time::Duration;

use reqwest::{Client, Method, Response, redirect};
use serde_json::{Value, json};

use super::*;
use crate::domain::{Mode, ProjectKind};

pub(super) struct Site {
    pub(super) simulator: Simulator,
    pub(super) client: Client,
}

impl Site {
    pub(super) async fn new(fleet: Fleet) -> Self {
        Self::with(fleet, |_| ()).await
    }

    /// Starts a controller on a manual clock.
    pub(super) async fn with(fleet: Fleet, change: impl FnOnce(&mut Options)) -> Self {
        // Whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut options = Options { clock: Clock::manual(), ..Options::new("bob", "secret", fleet) };
        change(&mut options);
        let simulator = Simulator::start(options).await.unwrap();
        let client = Client::builder().redirect(redirect::Policy::none()).cookie_store(true).build().unwrap();
        Self { simulator, client }
    }

    pub(super) async fn send(&self, method: Method, path: &str) -> Response {
        let url = format!("{}{}", self.simulator.url(), path.trim_start_matches('/'));
        self.client.request(method, url).basic_auth("bob", Some("secret")).send().await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let response = self.send(Method::GET, path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub(super) async fn post(&self, path: &str) -> Response {
        self.send(Method::POST, path).await
    }

    async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let url = format!("{}{}", self.simulator.url(), path.trim_start_matches('/'));
        self.client.post(url).basic_auth("bob", Some("secret")).form(form).send().await.unwrap()
    }

    #[track_caller]
    fn build(&self, project: &str, number: u64) -> BuildRecord {
        let builds = self.simulator.builds();
        builds.into_iter().find(|build| build.project == project && build.number == number).expect("the build is there")
    }
}

pub(super) fn manual(full_name: &str) -> ProjectSpec {
    ProjectSpec { duration: Length::Manual, ..ProjectSpec::new(full_name) }
}

fn with_uuid(full_name: &str) -> ProjectSpec {
    ProjectSpec { parameters: vec![ParameterSpec::new("UUID", ParameterKind::String, "")], ..manual(full_name) }
}

fn fleet(nodes: Vec<NodeSpec>, projects: Vec<ProjectSpec>) -> Fleet {
    Fleet { nodes, projects, ..Fleet::default() }
}

pub(super) fn one_agent(projects: Vec<ProjectSpec>) -> Fleet {
    fleet(vec![NodeSpec::new("agent-1", 1, &["linux"])], projects)
}

#[track_caller]
pub(super) fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).expect("the header is there").to_str().unwrap()
}

#[track_caller]
fn queue_id(response: &Response) -> u64 {
    let location = header(response, "location");
    location.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn logins_are_refused_as_jenkins_refuses_them() {
    let site = Site::new(Fleet::default()).await;
    let url = format!("{}api/json", site.simulator.url());
    let anonymous = site.client.get(&url).send().await.unwrap();
    assert_eq!(anonymous.status(), 403);
    assert!(anonymous.headers().contains_key("x-jenkins"));
    let wrong = site.client.get(&url).basic_auth("bob", Some("guess")).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(header(&wrong, "www-authenticate"), "Basic realm=\"Jenkins\"");
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let site = Site::with(one_agent(vec![manual("lint")]), |options| {
        options.users[0].permissions = [Permission::OverallRead].into();
    })
    .await;
    site.simulator.quiet_down(true);
    let queued = site.simulator.start_foreign_build("lint", &Parameters::new()).unwrap();
    assert_eq!(site.post(&format!("queue/item/{queued}/cancelQueue")).await.status(), 204, "here alone it is not");
    assert_eq!(site.simulator.queue().len(), 1);
    let refused = site.post("job/lint/build").await;
    assert_eq!(refused.status(), 403);
    assert_eq!(header(&refused, "x-required-permission"), "hudson.model.Item.Build");
    assert_eq!(site.post("computer/agent-1/changeOfflineCause").await.status(), 403);
}

#[tokio::test]
async fn what_may_not_be_read_does_not_exist_but_keeps_its_executor_busy() {
    let site = Site::with(one_agent(vec![manual("secret/lint")]), |options| {
        options.users[0].unreadable.insert("secret".to_owned());
    })
    .await;
    site.simulator.start_foreign_build("secret/lint", &Parameters::new()).unwrap();
    assert_eq!(site.send(Method::GET, "job/secret/job/lint/api/json").await.status(), 404);
    assert_eq!(site.get("api/json?tree=jobs[name]").await["jobs"], json!([]));
    let node = site.get("computer/agent-1/api/json?tree=executors[idle,currentExecutable[url]]").await;
    assert_eq!(node["executors"], json!([{"currentExecutable": null, "idle": false}]));
}

#[tokio::test]
async fn a_password_needs_a_crumb_of_the_same_session() {
    let site = Site::with(one_agent(vec![manual("lint")]), |options| {
        options.users[0].password = Some("pass".into());
    })
    .await;
    let url = |path: &str| format!("{}{path}", site.simulator.url());
    let post = |client: &Client| client.post(url("job/lint/build")).basic_auth("bob", Some("pass"));
    assert_eq!(post(&site.client).send().await.unwrap().status(), 403);
    let crumb = site.client.get(url("crumbIssuer/api/json")).basic_auth("bob", Some("pass"));
    let crumb: Value = crumb.send().await.unwrap().json().await.unwrap();
    let (field, value) = (crumb["crumbRequestField"].as_str().unwrap(), crumb["crumb"].as_str().unwrap());
    assert_eq!(post(&site.client).header(field, value).send().await.unwrap().status(), 201);
    // The same crumb without the cookie is worth nothing.
    assert_eq!(post(&Client::new()).header(field, value).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn equal_requests_are_merged_and_others_are_not() {
    let site = Site::new(one_agent(vec![with_uuid("lint")])).await;
    let busy = site.post_form("job/lint/buildWithParameters", &[("UUID", "0")]).await;
    assert_eq!(busy.status(), 201);
    let first = site.post_form("job/lint/buildWithParameters", &[("UUID", "a")]).await;
    let twin = site.post_form("job/lint/buildWithParameters", &[("UUID", "a")]).await;
    let other = site.post_form("job/lint/buildWithParameters", &[("UUID", "b")]).await;
    assert_eq!((first.status().as_u16(), twin.status().as_u16(), other.status().as_u16()), (201, 303, 201));
    assert_eq!(queue_id(&first), queue_id(&twin));
    assert_ne!(queue_id(&first), queue_id(&other));
}

#[tokio::test]
async fn a_plain_build_is_merged_without_a_word() {
    let site = Site::new(Fleet { quiet_period: Duration::from_secs(5), ..one_agent(vec![manual("lint")]) }).await;
    let (first, twin) = (site.post("job/lint/build").await, site.post("job/lint/build").await);
    assert_eq!((first.status().as_u16(), twin.status().as_u16()), (201, 201));
    assert_eq!(queue_id(&first), queue_id(&twin));
}

#[tokio::test]
async fn undeclared_parameters_are_dropped_and_missing_ones_get_their_default() {
    let mut project = with_uuid("lint");
    project.parameters.push(ParameterSpec::new("SECRET", ParameterKind::Password, "s3"));
    project.parameters.push(ParameterSpec::new("LOUD", ParameterKind::Boolean, "true"));
    let site = Site::new(one_agent(vec![project])).await;
    site.post_form("job/lint/buildWithParameters", &[("NOPE", "1"), ("UUID", "u"), ("LOUD", "yes")]).await;
    let build = site.get("job/lint/1/api/json?tree=actions[parameters[*]]").await;
    assert_eq!(
        build["actions"][0]["parameters"],
        json!([
            {"_class": "hudson.model.StringParameterValue", "name": "UUID", "value": "u"},
            {"_class": "hudson.model.PasswordParameterValue", "name": "SECRET"},
            {"_class": "hudson.model.BooleanParameterValue", "name": "LOUD", "value": false},
        ])
    );
}

#[tokio::test]
async fn requests_that_jenkins_refuses_are_refused() {
    let asked = ProjectSpec {
        parameters: vec![ParameterSpec {
            choices: vec!["red".to_owned()],
            ..ParameterSpec::new("COLOUR", ParameterKind::Choice, "")
        }],
        ..manual("asked")
    };
    let site =
        Site::new(one_agent(vec![asked, manual("plain"), ProjectSpec { disabled: true, ..manual("off") }])).await;
    for (path, status) in [
        ("job/asked/build", 400),
        ("job/asked/buildWithParameters?COLOUR=green", 500),
        ("job/asked/buildWithParameters?COLOUR=red&COLOUR=red", 500),
        ("job/plain/buildWithParameters", 400),
        ("job/plain/build?delay=soon", 500),
        ("job/off/build", 409),
        ("job/off/buildWithParameters", 409),
        ("job/nothing/build", 404),
        ("job/a;b/build", 400),
        ("createItem?name=x", 400),
        ("createItem?name=a%3Fb", 400),
        ("queue/cancelItem?id=99", 404),
        ("computer/(master)/doDelete", 400),
        ("computer/nothing/toggleOffline", 404),
    ] {
        assert_eq!(site.post(path).await.status(), status, "{path}");
    }
    let read = site.send(Method::GET, "job/plain/build").await;
    assert_eq!((read.status().as_u16(), header(&read, "allow")), (405, "POST"));
    assert_eq!(site.send(Method::GET, "api/json?tree=jobs[").await.status(), 500);
    assert_eq!(site.send(Method::GET, "api/json?depth=deep").await.status(), 500);
}

#[tokio::test]
async fn a_bare_delay_is_milliseconds() {
    let site = Site::new(Fleet { quiet_period: Duration::from_secs(9), ..one_agent(vec![manual("lint")]) }).await;
    let waiting = queue_id(&site.post("job/lint/build?delay=5sec").await);
    let item = site.get(&format!("queue/item/{waiting}/api/json")).await;
    assert_eq!(item["_class"], "hudson.model.Queue$WaitingItem");
    assert_eq!(item["timestamp"].as_u64().unwrap() - item["inQueueSince"].as_u64().unwrap(), 5000);
    site.post(&format!("queue/cancelItem?id={waiting}")).await;
    let started = queue_id(&site.post("job/lint/build?delay=5").await);
    assert_eq!(site.get(&format!("queue/item/{started}/api/json")).await["_class"], "hudson.model.Queue$LeftItem");
}

#[tokio::test]
async fn cancelling_tells_whether_it_was_in_time() {
    let site = Site::new(one_agent(vec![manual("lint")])).await;
    let started = queue_id(&site.post("job/lint/build").await);
    let queued = queue_id(&site.post("job/lint/build").await);
    assert_eq!(site.post(&format!("queue/item/{started}/cancelQueue")).await.status(), 204, "it never tells");
    assert_eq!(site.post(&format!("queue/cancelItem?id={started}")).await.status(), 500);
    assert_eq!(site.post(&format!("queue/cancelItem?id={queued}")).await.status(), 204);
    let item = site.get(&format!("queue/item/{queued}/api/json?tree=cancelled,executable[number]")).await;
    assert_eq!((&item["cancelled"], &item["executable"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn stopping_answers_the_same_whether_or_not_anything_runs() {
    let site = Site::new(one_agent(vec![manual("lint")])).await;
    site.post("job/lint/build").await;
    for _ in 0..2 {
        assert_eq!(site.post("job/lint/1/stop").await.status(), 302);
    }
    assert_eq!(site.build("lint", 1).result, Some(BuildResult::Aborted));
    assert_eq!(site.post("job/lint/1/kill").await.status(), 404);
}

#[tokio::test]
async fn left_items_are_forgotten_after_five_minutes() {
    let site = Site::new(one_agent(vec![manual("lint")])).await;
    let id = queue_id(&site.post("job/lint/build").await);
    let path = format!("queue/item/{id}/api/json?tree=executable[number]");
    site.simulator.advance(Duration::from_secs(299));
    assert_eq!(site.get(&path).await["executable"]["number"], 1);
    site.simulator.advance(Duration::from_secs(1));
    assert_eq!(site.send(Method::GET, &path).await.status(), 404);
    // The build still knows which item it was.
    assert_eq!(site.get("job/lint/api/json?tree=builds[queueId]{0,5}").await["builds"][0]["queueId"], id);
}

#[tokio::test]
async fn offline_marks_are_set_without_a_race_and_show_their_reason() {
    let site = Site::new(one_agent(vec![])).await;
    let node = "computer/agent-1/api/json?tree=offline,temporarilyOffline,offlineCauseReason,offlineCause[description]";
    for _ in 0..2 {
        let path = "computer/agent-1/changeOfflineCause?offlineMessage=by%20us%20:%20%3Ctoken%3E";
        assert_eq!(site.post(path).await.status(), 302);
    }
    let marked = site.get(node).await;
    assert_eq!(marked["temporarilyOffline"], true);
    // Everything before the last colon is lost.
    assert_eq!(marked["offlineCauseReason"], "&lt;token&gt;");
    assert_eq!(marked["offlineCause"]["_class"], "hudson.slaves.OfflineCause$UserCause");
    site.post("computer/agent-1/toggleOffline").await;
    assert_eq!(site.get(node).await["offline"], false);
}

#[tokio::test]
async fn a_negated_unknown_label_is_every_node() {
    let mut fleet = one_agent(vec![]);
    fleet.nodes[0].mode = Mode::Exclusive;
    let site = Site::new(fleet).await;
    let label = site.get("label/%21no_such_label/api/json?tree=nodes[nodeName,mode,numExecutors]").await;
    assert_eq!(
        label["nodes"],
        json!([
            {"_class": "hudson.model.Hudson", "mode": "NORMAL", "nodeName": "", "numExecutors": 0},
            {"_class": "hudson.slaves.DumbSlave", "mode": "EXCLUSIVE", "nodeName": "agent-1", "numExecutors": 1},
        ])
    );
    let matched = site.get("label/linux%26%26!windows/api/json?tree=nodes[nodeName]").await;
    assert_eq!(matched["nodes"][0]["nodeName"], "agent-1");
    assert_eq!(site.get("label/windows/api/json").await["offline"], true);
}

#[tokio::test]
async fn names_with_an_encoded_slash_are_one_project() {
    let site = Site::new(one_agent(vec![manual("proj/feature%2Fx"), manual("with space")])).await;
    let found = site.get("job/proj/job/feature%252Fx/api/json?tree=fullName,url").await;
    assert_eq!(found["fullName"], "proj/feature%2Fx");
    assert_eq!(found["url"], format!("{}job/proj/job/feature%252Fx/", site.simulator.url()));
    assert_eq!(site.get("job/with%20space/api/json?tree=name").await["name"], "with space");
}

#[tokio::test]
async fn a_restart_shows_in_the_session_and_forgets_left_items() {
    let pipeline = ProjectSpec { kind: ProjectKind::Pipeline, label: Some("linux".to_owned()), ..manual("flow") };
    let site = Site::new(fleet(
        vec![NodeSpec::new("agent-1", 2, &["linux"])],
        vec![ProjectSpec { label: Some("linux".to_owned()), ..manual("lint") }, pipeline],
    ))
    .await;
    let left = queue_id(&site.post("job/lint/build").await);
    let queued = queue_id(&site.post("job/lint/build").await);
    site.post("job/flow/build").await;
    let before = site.send(Method::GET, "api/json?tree=quietingDown").await;
    site.simulator.restart();
    let after = site.send(Method::GET, "api/json?tree=quietingDown").await;
    assert_ne!(header(&before, "x-jenkins-session"), header(&after, "x-jenkins-session"));
    assert_eq!(site.send(Method::GET, &format!("queue/item/{left}/api/json")).await.status(), 404);
    assert_eq!(site.build("lint", 1).result, Some(BuildResult::Aborted));
    assert_eq!(site.build("lint", 2).queue_id, queued);
    let flow = site.build("flow", 1);
    assert!(flow.building && flow.node == Some(NodeName::agent("agent-1")));
}

#[tokio::test]
async fn faults_hit_on_the_wire_and_say_whether_the_request_was_seen() {
    let site = Site::new(one_agent(vec![with_uuid("lint")])).await;
    let trigger = async |uuid: &str| {
        let url = format!("{}job/lint/buildWithParameters?UUID={uuid}", site.simulator.url());
        // A client of its own: a pooled connection might be retried.
        Client::new().post(url).basic_auth("bob", Some("secret")).send().await
    };
    site.simulator.fault(FaultRule::once("/job", Fault::DropBeforeAccept));
    assert!(trigger("a").await.is_err());
    assert!(site.simulator.builds().is_empty() && site.simulator.queue().is_empty());
    site.simulator.fault(FaultRule::once("/job", Fault::DropAfterAccept));
    assert!(trigger("b").await.is_err());
    assert_eq!(site.build("lint", 1).parameters.get("UUID"), Some("b"));

    site.simulator.fault(FaultRule::once("/api", Fault::Status(503)));
    assert_eq!(site.send(Method::GET, "api/json").await.status(), 503);
    site.simulator.fault(FaultRule::once("/api", Fault::Truncate));
    let cut = site.send(Method::GET, "api/json").await;
    assert_eq!(cut.status(), 200);
    assert!(serde_json::from_str::<Value>(&cut.text().await.unwrap()).unwrap_err().is_eof());
    site.simulator.fault(FaultRule::once("/api", Fault::Html));
    assert!(header(&site.send(Method::GET, "api/json").await, "content-type").starts_with("text/html"));
    assert_eq!(site.get("api/json?tree=nodeName").await["nodeName"], "");
    assert_eq!(site.simulator.requests()["POST /job/*/buildWithParameters"], 1);
}

#[tokio::test]
async fn an_old_core_answers_as_it_did() {
    let site = Site::with(one_agent(vec![with_uuid("lint"), manual("plain")]), |options| {
        options.version = "1.580.3".parse().unwrap();
        options.crumbs = false;
    })
    .await;
    let first = site.post("job/lint/buildWithParameters?UUID=a").await;
    assert_eq!((first.status().as_u16(), header(&first, "x-jenkins")), (201, "1.580.3"));
    let build = site.get("job/lint/1/api/json").await;
    for absent in ["_class", "queueId", "inProgress"] {
        assert!(build.get(absent).is_none(), "{absent}");
    }
    let queued = queue_id(&site.post("job/lint/buildWithParameters?UUID=b").await);
    let merged = site.post("job/lint/buildWithParameters?UUID=b").await;
    assert_eq!((merged.status().as_u16(), queue_id(&merged)), (201, queued));
    assert_eq!(site.post(&format!("queue/cancelItem?id={queued}")).await.status(), 302);
    assert_eq!(site.post("queue/cancelItem?id=4711").await.status(), 302);
    let queued = queue_id(&site.post("job/lint/buildWithParameters?UUID=c").await);
    assert_eq!(site.post(&format!("queue/item/{queued}/cancelQueue")).await.status(), 302);
    assert!(site.simulator.queue().is_empty());
    assert_eq!(site.post("job/plain/buildWithParameters").await.status(), 500);
    let node = site.get("computer/(master)/api/json").await;
    assert_eq!(node["displayName"], "master");
    assert!(node.get("assignedLabels").is_none());
    assert_eq!(site.send(Method::GET, "computer/(built-in)/api/json").await.status(), 404);
}

#[tokio::test]
async fn a_large_fleet_is_listed_whole() {
    let nodes = (0..2000).map(|n| NodeSpec::new(format!("agent-{n:04}"), 2, &["linux", "big"])).collect();
    let projects = (0..5000).map(|n| with_uuid(&format!("team-{}/project-{n}", n % 50))).collect();
    let site = Site::new(fleet(nodes, projects)).await;
    for n in 0..100 {
        let path = format!("job/team-{}/job/project-{n}/buildWithParameters?UUID={n}", n % 50);
        assert_eq!(site.post(&path).await.status(), 201);
    }
    let nodes = "computer/api/json?tree=computer[displayName,offline,assignedLabels[name],executors[number,idle,\
                 currentExecutable[number,url,actions[parameters[name,value]]]]]";
    assert_eq!(site.get(nodes).await["computer"].as_array().unwrap().len(), 2001);
    let projects = "api/json?tree=jobs[fullName,jobs[fullName,buildable,property[parameterDefinitions[name,type]],\
                    jobs[name]{0,1}]]";
    assert_eq!(site.get(projects).await["jobs"].as_array().unwrap().len(), 50);
    for n in 100..600 {
        site.simulator
            .update_project(&format!("team-{}/project-{n}", n % 50), |spec| spec.label = Some("sparc".into()));
        let path = format!("job/team-{}/job/project-{n}/buildWithParameters?UUID={n}", n % 50);
        assert_eq!(site.post(&path).await.status(), 201);
    }
    let queue = "queue/api/json?tree=items[id,inQueueSince,blocked,buildable,pending,stuck,why,task[name,url],\
                 actions[parameters[name,value]]]";
    assert_eq!(site.get(queue).await["items"].as_array().unwrap().len(), 500);
}

#[tokio::test]
async fn what_real_controllers_show_is_shown_here_too() {
    let Some(folder) = std::env::var_os("LAYSHAFT_FIXTURES").map(std::path::PathBuf::from) else {
        return skip("LAYSHAFT_FIXTURES is not set");
    };
    let site = Site::new(one_agent(vec![manual("lint")])).await;
    site.post("job/lint/build").await;
    for (recorded, path) in [
        ("jobGet", "job/lint/api/json"),
        ("buildGet", "job/lint/1/api/json"),
        ("queueItem", "queue/item/1/api/json"),
        ("nodeGet", "computer/agent-1/api/json"),
        ("nodeList", "computer/api/json"),
        ("labelGet", "label/linux/api/json"),
    ] {
        let recorded = std::fs::read(folder.join(format!("jenkins/node-jenkins/{recorded}.json"))).unwrap();
        let recorded: Value = serde_json::from_slice(&recorded).unwrap();
        let simulated = site.get(path).await;
        for field in recorded.as_object().unwrap().keys() {
            assert!(simulated.get(field).is_some(), "{path} lacks {field}");
        }
    }
}

#[tokio::test]
async fn a_controller_that_is_dropped_is_gone() {
    let site = Site::new(Fleet::default()).await;
    let url = site.simulator.url();
    site.get("api/json").await;
    drop(site);
    let is_gone = async {
        while Client::new().get(&url).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_gone).await.expect("it stops serving");
}

#[tokio::test]
async fn an_executor_is_stopped_only_for_the_build_that_was_meant() {
    let site = Site::new(one_agent(vec![manual("lint")])).await;
    site.post("job/lint/build").await;
    assert_eq!(site.post("computer/agent-1/executors/0/stopBuild?runExtId=lint%232").await.status(), 404);
    assert_eq!(site.post("computer/agent-1/executors/0/stopBuild?runExtId=lint%231").await.status(), 302);
    assert_eq!(site.build("lint", 1).result, Some(BuildResult::Aborted));
}

#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
