//! The client against a server that answers as it is told, byte by byte where it matters.

mod script;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::script::{Act, Script, TOKEN, answer, config, credentials, json, status};
use super::*;
use crate::domain::{BuildId, LeftItem, Mode, NodeName, Parameters, ProjectName, QueueItemId};

fn project() -> ProjectName {
    ProjectName::new("team/feature%2Fx")
}

fn build() -> BuildId {
    BuildId { project: project(), number: 3 }
}

#[tokio::test]
async fn every_request_is_authenticated_unasked_and_every_answer_names_its_process() {
    let script = Script::new([json(r#"{"quietingDown": true}"#)]).await;
    let answer = script.client.quieting_down().await.unwrap();
    assert!(answer.value);
    let instance = Instance { session: Some("s1".into()), version: Some("2.500".into()) };
    assert_eq!(answer.instance, instance);
    assert_eq!(script.client.newest_instance(), instance);
    let request = &script.requests()[0];
    assert_eq!(request.line, "GET /ctx/api/json?tree=quietingDown");
    let headers = request.headers.to_ascii_lowercase();
    assert!(request.headers.contains("Basic Ym90OjExYWEtdmVyeS1zZWNyZXQ="), "{headers}");
    assert!(headers.contains("accept-language: en\r\n") && headers.contains("gzip"), "{headers}");
}

#[tokio::test]
async fn failures_of_reading_are_told_apart() {
    let denied = answer(403, &[("X-Required-Permission", "hudson.model.Hudson.Read")], "<html>");
    let path = || "/queue/api/json".to_owned();
    let short = Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"items\": [{\"id\":".to_vec());
    let forbidden = |permission: Option<&str>| Error::Forbidden {
        path: path(),
        required_permission: permission.map(str::to_owned),
    };
    for (act, expected) in [
        (status(401), Error::Unauthorized),
        (status(403), forbidden(None)),
        (denied, forbidden(Some("hudson.model.Hudson.Read"))),
        (answer(403, &[("X-Required-Permission", "<script>.x")], ""), forbidden(None)),
        (status(404), Error::NotFound { path: path() }),
        (status(503), Error::Starting),
        (status(500), Error::UnexpectedStatus { path: path(), status: 500 }),
        (status(200), Error::NotJson { path: path() }),
        (json(r#"{"items": [{"id":"#), Error::Truncated { path: path() }),
        (short, Error::Truncated { path: path() }),
        (
            answer(302, &[("Location", "https://sso.example.org/login?from=%2Fqueue")], ""),
            Error::LoginPage { path: path(), to: "https://sso.example.org".into() },
        ),
        (
            answer(301, &[("Location", "https://ci.example.org/queue/api/json?secret")], ""),
            Error::Redirected { path: path(), to: "https://ci.example.org".into() },
        ),
    ] {
        let script = Script::new([act]).await;
        assert_eq!(script.client.queue().await.unwrap_err(), expected);
        assert_eq!(script.lines().len(), 1, "nothing is followed or repeated: {expected}");
    }
}

#[tokio::test]
async fn a_controller_that_does_not_answer_is_given_up_on() {
    let soon = Duration::from_millis(200);
    let script = Script::with([Act::Hang], soon, 1 << 20).await;
    assert_eq!(script.client.queue().await.unwrap_err(), Error::TimedOut);
    let half = Act::Send(b"HTTP/1.1 200 OK\r\n".to_vec());
    let script = Script::with([half], soon, 1 << 20).await;
    assert!(matches!(script.client.queue().await.unwrap_err(), Error::Interrupted { .. }));
}

#[tokio::test]
async fn compressed_answers_are_read_and_their_real_size_is_bounded() {
    let compressed = |body: &[u8]| {
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length: ";
        Act::Send([format!("{head}{}\r\n\r\n", body.len()).as_bytes(), body].concat())
    };
    let script = Script::new([compressed(QUIETING_DOWN_GZ)]).await;
    assert!(script.client.quieting_down().await.unwrap().value);
    let script = Script::with([compressed(BLANKS_GZ)], Duration::from_secs(20), 9_999).await;
    let error = script.client.quieting_down().await.unwrap_err();
    assert_eq!(error, Error::TooLarge { path: "/api/json".to_owned(), limit: 9_999 });
}

#[tokio::test]
async fn a_build_is_asked_for_without_quiet_period_and_with_parameters_in_the_body() {
    let queued = || answer(201, &[("Location", "http://wrong.host/queue/item/17/")], "");
    let script = Script::new([queued(), queued()]).await;
    let mut parameters: Parameters = [("UUID", "a b&c"), ("ä", "ö")].into_iter().collect();
    parameters.set("nothing", None);
    for parameterised in [true, false] {
        let trigger = script.client.start(&project(), parameterised, &parameters).await.unwrap();
        assert_eq!(trigger, Trigger::Queued(QueueItemId(17)));
    }
    let requests = script.requests();
    assert_eq!(requests[0].line, "POST /ctx/job/team/job/feature%252Fx/buildWithParameters?delay=0sec");
    assert_eq!(requests[0].body, "UUID=a+b%26c&%C3%A4=%C3%B6");
    assert_eq!(requests[1].line, "POST /ctx/job/team/job/feature%252Fx/build?delay=0sec");
    assert_eq!(requests[1].body, "");
    assert!(requests[1].headers.to_ascii_lowercase().contains("content-length: 0"));
}

#[tokio::test]
async fn a_parameter_named_delay_is_not_given_twice() {
    let script = Script::new([answer(201, &[("Location", "/queue/item/1/")], "")]).await;
    script.client.start(&project(), true, &[("delay", "5sec")].into_iter().collect()).await.unwrap();
    let request = &script.requests()[0];
    assert!(request.line.ends_with("/buildWithParameters") && request.body == "delay=5sec", "{request:?}");
}

#[tokio::test]
async fn only_a_build_that_may_have_been_started_leaves_doubt() {
    for (act, unknown) in [
        (Act::Hang, true),
        (Act::Close, true),
        (status(500), true),
        (status(502), true),
        (answer(201, &[], ""), true),
        (status(400), false),
        (status(401), false),
        (status(404), false),
        (status(409), false),
        (status(503), false),
        (answer(403, &[("X-Required-Permission", "hudson.model.Item.Build")], ""), false),
        (answer(302, &[("Location", "/login")], ""), false),
    ] {
        let script = Script::with([act], Duration::from_millis(300), 1 << 20).await;
        let error = script.client.start(&project(), true, &Parameters::new()).await.unwrap_err();
        assert_eq!(error.is_outcome_unknown(), unknown, "{error:?}");
        assert_eq!(script.lines().len(), 1, "a start is sent once: {error:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&config(&url, Duration::from_secs(20)), credentials()).unwrap();
    let error = client.start(&project(), true, &Parameters::new()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && !error.is_outcome_unknown(), "{error:?}");
}

#[tokio::test]
async fn a_crumb_is_fetched_when_it_is_asked_for_and_kept_with_its_session() {
    let no_crumb = || answer(403, &[], "<html>No valid crumb was included in the request</html>");
    let crumb = |value: &str| {
        let body = format!(r#"{{"_class": "x", "crumb": "{value}", "crumbRequestField": "Jenkins-Crumb"}}"#);
        answer(200, &[("Set-Cookie", &format!("JSESSIONID={value}; Path=/"))], &body)
    };
    let done = || answer(302, &[("Location", ".")], "");
    let script = Script::new([
        no_crumb(),
        crumb("c1"),
        done(),
        done(),
        no_crumb(),
        crumb("c2"),
        done(),
        no_crumb(),
        status(404),
    ])
    .await;
    for _ in 0..3 {
        script.client.stop(&build()).await.unwrap();
    }
    let error = script.client.stop(&build()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { required_permission: None, .. }), "{error:?}");
    let seen: Vec<_> = script
        .requests()
        .iter()
        .map(|request| {
            let headers = request.headers.to_ascii_lowercase();
            let value = |name: &str| {
                let line = headers.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or("-").trim().to_owned()
            };
            format!("{} {} {}", &request.line[..4], value("jenkins-crumb:"), value("cookie:"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            "POST - -",
            "GET  - -",
            "POST c1 jsessionid=c1",
            "POST c1 jsessionid=c1",
            "POST c1 jsessionid=c1",
            "GET  - jsessionid=c1",
            "POST c2 jsessionid=c2",
            "POST c2 jsessionid=c2",
            "GET  - jsessionid=c2",
        ]
    );
}

#[tokio::test]
async fn a_named_permission_is_not_mistaken_for_a_crumb() {
    let script = Script::new([answer(403, &[("X-Required-Permission", "hudson.model.Item.Cancel")], "")]).await;
    let error = script.client.stop(&build()).await.unwrap_err();
    assert!(error.to_string().contains("Job/Cancel"), "{error}");
    assert_eq!(script.lines(), ["POST /ctx/job/team/job/feature%252Fx/3/stop"]);
}

#[tokio::test]
async fn cancelling_is_understood_on_every_version() {
    let left = |body: &str| json(&format!(r#"{{"_class": "hudson.model.Queue$LeftItem", {body}}}"#));
    let old = || answer(302, &[("Location", "http://ci/queue/")], "");
    for (acts, expected) in [
        (vec![status(204)], Cancelled::Yes),
        (vec![status(404)], Cancelled::Unknown),
        (vec![status(422)], Cancelled::NotPermitted),
        (vec![status(500)], Cancelled::TooLate),
        (vec![old(), left(r#""cancelled": true"#)], Cancelled::Yes),
        (vec![old(), left(r#""cancelled": false, "executable": {"url": "/job/a/1/"}"#)], Cancelled::TooLate),
        (vec![old(), json(r#"{"_class": "hudson.model.Queue$BuildableItem"}"#)], Cancelled::TooLate),
        (vec![old(), status(404)], Cancelled::Unknown),
    ] {
        let script = Script::new(acts).await;
        assert_eq!(script.client.cancel(QueueItemId(5)).await.unwrap(), expected);
        assert_eq!(script.lines()[0], "POST /ctx/queue/cancelItem?id=5");
    }
    let script = Script::new([answer(302, &[("Location", "/login")], "")]).await;
    assert!(matches!(script.client.cancel(QueueItemId(5)).await.unwrap_err(), Error::LoginPage { .. }));
}

#[tokio::test]
async fn left_items_and_builds_that_are_gone_are_answers_and_not_errors() {
    let script = Script::new([status(404), status(404), status(503)]).await;
    assert_eq!(script.client.left_item(QueueItemId(5)).await.unwrap(), LeftItem::Unknown);
    assert_eq!(script.client.build(&build()).await.unwrap(), None);
    assert_eq!(script.client.build(&build()).await.unwrap_err(), Error::Starting);
    let lines = script.lines();
    assert!(lines[0].starts_with("GET /ctx/queue/item/5/api/json?tree="), "{lines:?}");
    assert!(lines[1].starts_with("GET /ctx/job/team/job/feature%252Fx/3/api/json?tree="), "{lines:?}");
}

#[tokio::test]
async fn acting_on_builds_and_nodes_uses_the_calls_that_every_version_has() {
    let done = || answer(302, &[("Location", "http://elsewhere/x/job/team/job/feature%252Fx/3/")], "");
    let marked = answer(302, &[("Location", "http://elsewhere/computer/(master)/")], "");
    let script = Script::new([done(), answer(302, &[("Location", ".")], ""), status(404), done(), marked]).await;
    let client = &script.client;
    client.stop(&build()).await.unwrap();
    client.terminate(&build()).await.unwrap();
    assert!(matches!(client.kill(&build()).await.unwrap_err(), Error::NotFound { .. }));
    client.set_description(&build(), "a <b>&").await.unwrap();
    client.mark_offline(&NodeName::BuiltIn, "by layshaft").await.unwrap();
    let requests = script.requests();
    let base = "POST /ctx/job/team/job/feature%252Fx/3";
    assert_eq!(requests[1].line, format!("{base}/term"));
    assert_eq!(requests[2].line, format!("{base}/kill"));
    assert_eq!(
        (&*requests[3].line, &*requests[3].body),
        (&*format!("{base}/submitDescription"), "description=a+%3Cb%3E%26")
    );
    assert_eq!(requests[4].line, "POST /ctx/computer/(master)/changeOfflineCause");
    assert_eq!(requests[4].body, "offlineMessage=by+layshaft");
}

#[tokio::test]
async fn a_redirect_elsewhere_is_not_taken_for_done() {
    let to = |location: &str| answer(302, &[("Location", location)], "");
    for (location, expected) in [
        ("https://proxy.example.org/", "set `url` to its final address"),
        ("/job/team/job/feature%252Fx/", "another path"),
        ("https://sso.example.org/adfs/ls?wa=signin", "login page (https://sso.example.org)"),
    ] {
        let script = Script::new([to(location), to(location)]).await;
        let stopped = script.client.stop(&build()).await.unwrap_err().to_string();
        let marked = script.client.mark_offline(&NodeName::agent("a"), "x").await.unwrap_err().to_string();
        assert!(stopped.contains(expected) && marked.contains(expected), "{stopped}; {marked}");
        assert_eq!(script.lines().len(), 2, "nothing is followed");
    }
    let script = Script::new([answer(302, &[], "")]).await;
    assert!(script.client.stop(&build()).await.is_err(), "a redirect to nowhere");
}

#[tokio::test]
async fn a_node_is_toggled_only_right_after_its_own_mark_was_seen() {
    let mark = |marked, reason: &str| {
        json(&format!(r#"{{"temporarilyOffline": {marked}, "offlineCauseReason": "{reason}"}}"#))
    };
    let done = || answer(302, &[("Location", ".")], "");
    let theirs = Clearing::MarkedOtherwise { reason: Some("maintenance".into()) };
    for (acts, ours, expected, requests) in [
        (vec![mark(false, "")], None, Clearing::WasNotMarked, 1),
        (vec![mark(true, "maintenance")], Some("layshaft"), theirs, 1),
        (vec![mark(true, "x layshaft y"), done()], Some("layshaft"), Clearing::Cleared, 2),
        (vec![mark(true, "maintenance"), done()], None, Clearing::Cleared, 2),
    ] {
        let script = Script::new(acts).await;
        assert_eq!(script.client.clear_offline(&NodeName::agent("a 1"), ours).await.unwrap(), expected);
        assert_eq!(script.lines().len(), requests);
        assert_eq!(
            script.lines().get(1).map_or("POST /ctx/computer/a%201/toggleOffline", |line| line),
            "POST /ctx/computer/a%201/toggleOffline"
        );
    }
}

#[tokio::test]
async fn folders_deeper_than_one_request_are_read_in_their_place() {
    let unread = r#"{"name": "f", "jobs": [{"name": "x"}]}, {"name": "g", "jobs": [{"name": "x"}]}"#;
    let nested = (0..7).fold(unread.to_owned(), |inner, _| format!(r#"{{"name": "f", "jobs": [{inner}]}}"#));
    let deep = format!(r#"{{"jobs": [{nested}, {{"name": "last", "buildable": true}}]}}"#);
    let script =
        Script::new([json(&deep), json(r#"{"jobs": [{"name": "in", "buildable": true}]}"#), status(404)]).await;
    let projects = script.client.projects().await.unwrap().value;
    assert_eq!(projects.iter().map(|project| project.name.full()).collect::<Vec<_>>(), ["f/f/f/f/f/f/f/f/in", "last"]);
    let lines = script.lines();
    let parent = "/job/f".repeat(7);
    assert!(lines[1].starts_with(&format!("GET /ctx{parent}/job/f/api/json?tree=jobs%5Bname")), "{lines:?}");
    assert!(lines[2].starts_with(&format!("GET /ctx{parent}/job/g/api/json")), "{lines:?}");
}

#[tokio::test]
async fn folders_that_nest_without_end_are_given_up_on() {
    let nested = |full_name: &str| {
        let chain = |inner: String, part: usize| {
            format!(r#"{{"name": "f", "fullName": "{full_name}/{part}", "jobs": [{inner}]}}"#)
        };
        let innermost = (1..9).rev().fold(r#"{"name": "x"}"#.to_owned(), chain);
        json(&format!(r#"{{"jobs": [{innermost}]}}"#))
    };
    let deeper = |depth: usize| nested(&vec!["f"; depth].join("/"));
    let script = Script::new((0..64).map(|round| deeper(1 + round * 8))).await;
    assert!(script.client.projects().await.unwrap().value.is_empty());
    assert!(script.lines().len() < 20, "{}", script.lines().len());
}

#[tokio::test]
async fn a_modes_request_names_a_label_that_no_node_has() {
    let script = Script::new([json(r#"{"nodes": [{"nodeName": "", "mode": "EXCLUSIVE"}]}"#)]).await;
    let modes = script.client.modes().await.unwrap().value;
    assert_eq!(modes.get(&NodeName::BuiltIn), Some(&Mode::Exclusive));
    assert_eq!(script.lines(), ["GET /ctx/label/%21no_such_label/api/json?tree=nodes%5BnodeName%2Cmode%5D"]);
}

#[tokio::test]
async fn listed_builds_are_limited_and_carry_what_a_lookup_needs() {
    let body = r#"{"builds": [{"number": 4, "queueId": 9, "timestamp": 5, "actions": [{"parameters": [{"name": "UUID", "value": "u"}]}]}]}"#;
    let script = Script::new([json(body)]).await;
    let builds = script.client.builds_of(&project(), 50).await.unwrap();
    assert_eq!((builds[0].queue_id, builds[0].parameters.get("UUID")), (Some(QueueItemId(9)), Some("u")));
    assert!(script.lines()[0].ends_with("%7B0%2C50%7D"), "{:?}", script.lines());
}

#[tokio::test]
async fn the_token_is_in_no_error_and_in_no_debug_output() {
    let basic = "Ym90OjExYWEtdmVyeS1zZWNyZXQ=";
    let echo = format!("{TOKEN} {basic}");
    for act in [
        status(401),
        answer(200, &[], &format!(r#"{{"items": [{{"id": {echo}}}]}}"#)),
        answer(200, &[], &format!(r#""{echo}""#)),
        answer(302, &[("Location", &format!("http://ci/{TOKEN}?{basic}"))], ""),
        answer(403, &[("X-Required-Permission", &echo)], ""),
        answer(500, &[], &echo),
        Act::Close,
    ] {
        let script = Script::new([act]).await;
        let error = script.client.queue().await.unwrap_err();
        let shown = format!("{error} {error:?} {:?} {:?}", script.client, credentials());
        assert!(!shown.contains(TOKEN) && !shown.contains(basic), "{shown}");
    }
}

#[tokio::test]
async fn a_poller_draws_the_whole_picture_through_a_real_client() {
    use axum::{Router, response::IntoResponse, routing::get};
    let reply = |body: &'static str| get(move || async move { ([("X-Jenkins-Session", "s1")], body).into_response() });
    let root = r#"{"quietingDown": true, "jobs": [{"name": "a", "buildable": true, "property": [{"parameterDefinitions":
        [{"name": "UUID", "type": "StringParameterDefinition"}]}]}]}"#;
    let nodes = r#"{"computer": [{"_class": "hudson.model.Hudson$MasterComputer", "offline": false,
        "executors": [{"idle": true}]}]}"#;
    let router = Router::new()
        .route("/api/json", reply(root))
        .route("/computer/api/json", reply(nodes))
        .route("/label/{label}/api/json", reply(r#"{"nodes": [{"nodeName": "", "mode": "EXCLUSIVE"}]}"#))
        .route("/queue/api/json", reply(r#"{"items": [{"id": 5, "task": {"url": "http://x/job/a/"}}]}"#));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&format!("http://{}", listener.local_addr().unwrap()), Duration::from_secs(20));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let watcher = Poller::spawn(Client::new(&config, credentials()).unwrap(), &config, &stop, &tasks);
    let mut picture = watcher.picture();
    let is_whole = |picture: &Arc<Picture>| {
        picture.nodes.is_some()
            && picture.projects.is_some()
            && picture.queue.is_some()
            && picture.quieting_down.is_some()
    };
    let whole = timeout(Duration::from_secs(30), picture.wait_for(is_whole)).await.unwrap().unwrap().clone();
    let node = &whole.nodes.as_ref().unwrap().value[0];
    assert_eq!((&node.name, node.mode, node.executors[0].idle), (&NodeName::BuiltIn, Mode::Exclusive, true));
    assert!(whole.projects.as_ref().unwrap().value[0].parameter("UUID").is_some());
    assert_eq!(whole.queue.as_ref().unwrap().value[0].project, Some(ProjectName::new("a")));
    assert!(*whole.quieting_down.as_ref().unwrap().value && whole.trouble.is_none());
    stop.cancel();
    tasks.close();
    timeout(Duration::from_secs(30), tasks.wait()).await.expect("the tasks end");
}

#[tokio::test]
async fn a_controller_behind_tls_is_asked_by_tls_and_never_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let first_byte = tokio::spawn(async move { listener.accept().await.unwrap().0.read_u8().await.unwrap() });
    match Client::new(&config(&format!("https://{address}"), Duration::from_secs(20)), credentials()) {
        Ok(client) => {
            let error = client.start(&project(), true, &Parameters::new()).await.unwrap_err();
            assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
            assert_eq!(first_byte.await.unwrap(), 0x16, "a TLS handshake");
        }
        // A machine without any certificates cannot ask by TLS at all.
        Err(error) => assert!(matches!(error, Error::Setup { .. }), "{error:?}"),
    }
}

#[test]
fn the_crypto_provider_may_be_installed_again_and_again() {
    install_crypto_provider();
    install_crypto_provider();
    assert!(rustls::crypto::CryptoProvider::get_default().is_some());
}

/// gzip of `{"quietingDown":true}`.
const QUIETING_DOWN_GZ: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x2c\xcd\x4c\x2d\xc9\xcc\x4b\x77\xc9\x2f\xcf\x53\
    \xb2\x2a\x29\x2a\x4d\xad\x05\x00\xab\xea\xeb\x71\x15\x00\x00\x00";

/// gzip of ten thousand blanks.
const BLANKS_GZ: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\x2a\xef\x9f\xd2\x1c\x6e\
    \x40\x01\x00\x00\x00\x00\x00\x00\x00\x00\xc0\xbf\x01\x54\xd6\x06\x37\x10\x27\x00\x00";
