//! What stands around a controller: its place below a host, a proxy that compresses, languages, half-hidden projects.

use std::io::Read as _;

use reqwest::{Method, header};
use serde_json::json;

use super::http_tests::{Site, header as text_of, manual, one_agent};
use super::*;

#[tokio::test]
async fn a_controller_may_live_below_a_context_path() {
    let site =
        Site::with(one_agent(vec![manual("team/lint")]), |options| options.context_path = "/jenkins/".into()).await;
    assert!(site.simulator.url().ends_with("/jenkins/"), "{}", site.simulator.url());
    let triggered = site.post("job/team/job/lint/build").await;
    assert_eq!(triggered.status(), 201);
    assert_eq!(text_of(&triggered, "location"), format!("{}queue/item/1/", site.simulator.url()));
    let build = site.get("job/team/job/lint/1/api/json?tree=url").await;
    assert_eq!(build["url"], format!("{}job/team/job/lint/1/", site.simulator.url()));
    let host = site.simulator.url().replace("/jenkins/", "");
    for (path, status, to) in
        [("/jenkins", 302, Some("/jenkins/")), ("/api/json", 404, None), ("/jenkinsfile/api/json", 404, None)]
    {
        let outside = site.client.get(format!("{host}{path}")).send().await.unwrap();
        let location = outside.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        assert_eq!((outside.status().as_u16(), location.as_deref()), (status, to), "{path}");
        assert!(!outside.headers().contains_key("x-jenkins"), "that is not Jenkins' answer");
    }
}

#[tokio::test]
async fn a_proxy_may_compress_what_clients_accept() {
    for compresses in [true, false] {
        let site = Site::with(one_agent(vec![]), |options| options.gzip = compresses).await;
        let url = format!("{}api/json", site.simulator.url());
        let asked = site.client.get(&url).basic_auth("bob", Some("secret"));
        // A client that does not decode by itself.
        let plain = reqwest::Client::builder().no_gzip().build().unwrap();
        let accepts =
            plain.get(&url).basic_auth("bob", Some("secret")).header("accept-encoding", "gzip").send().await.unwrap();
        let is_compressed = accepts.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
        assert_eq!(is_compressed, compresses);
        let body = accepts.bytes().await.unwrap();
        let mut text = String::new();
        match compresses {
            true => drop(flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap()),
            false => text = String::from_utf8(body.to_vec()).unwrap(),
        }
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json, asked.send().await.unwrap().json::<serde_json::Value>().await.unwrap());
        let identity = plain.get(&url).basic_auth("bob", Some("secret")).send().await.unwrap();
        assert!(!identity.headers().contains_key("content-encoding"), "nobody asked for it");
    }
}

#[tokio::test]
async fn texts_for_people_are_in_the_language_that_was_asked_for() {
    let site = Site::new(one_agent(vec![manual("lint")])).await;
    site.post("job/lint/build").await;
    site.post("job/lint/build").await;
    site.post("computer/agent-1/changeOfflineCause?offlineMessage=away%20:%20back").await;
    let seen = async |language: &str| {
        let get = async |path: &str| {
            let url = format!("{}{path}", site.simulator.url());
            let request = site.client.get(url).basic_auth("bob", Some("secret"));
            request.header("accept-language", language).send().await.unwrap().json::<serde_json::Value>().await.unwrap()
        };
        let nodes =
            get("computer/api/json?tree=computer[displayName,offlineCauseReason,offlineCause[description]]").await;
        let queue = get("queue/api/json?tree=items[why,actions[causes[shortDescription]]]").await;
        [
            nodes["computer"][0]["displayName"].clone(),
            nodes["computer"][1]["displayName"].clone(),
            nodes["computer"][1]["offlineCause"]["description"].clone(),
            nodes["computer"][1]["offlineCauseReason"].clone(),
            queue["items"][0]["why"].clone(),
            queue["items"][0]["actions"][0]["causes"][0]["shortDescription"].clone(),
        ]
    };
    let (english, german) = (seen("en-GB, de;q=0.5").await, seen("de-DE,en").await);
    assert_eq!(english[0], "Built-In Node");
    assert_eq!(english[1..4], [json!("agent-1"), json!("Disconnected by bob : away : back"), json!("back")]);
    let differing: Vec<bool> = english.iter().zip(&german).map(|(english, german)| english != german).collect();
    // The name of an agent and what a person wrote are in nobody's language.
    assert_eq!(differing, [true, false, true, false, true, true], "{german:?}");
}

#[tokio::test]
async fn what_may_only_be_discovered_is_forbidden_and_not_unknown() {
    let site = Site::with(one_agent(vec![manual("secret/lint"), manual("secret/other")]), |options| {
        options.users[0].unreadable.insert("secret".to_owned());
        options.users[0].discoverable.insert("secret/lint".to_owned());
    })
    .await;
    for (path, status) in [
        ("job/secret/job/lint/api/json", 403),
        ("job/secret/job/lint/1/api/json", 403),
        ("job/secret/job/other/api/json", 404),
        ("job/secret/api/json", 404),
        ("job/secret/job/nothing/api/json", 404),
    ] {
        let answer = site.send(Method::GET, path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert!(!answer.headers().contains_key("x-required-permission"));
    }
    for project in ["secret/lint", "secret/lint", "secret/other", "secret/other"] {
        site.simulator.start_foreign_build(project, &Parameters::new()).unwrap();
    }
    let queue = site.get("queue/api/json?tree=items[id],discoverableItems[task[name]]").await;
    assert_eq!(queue["items"], json!([]));
    let tasks: Vec<_> =
        queue["discoverableItems"].as_array().unwrap().iter().map(|item| &item["task"]["name"]).collect();
    assert_eq!(tasks, ["lint"], "the other waiting project is a secret");
}

#[tokio::test]
async fn ranges_stars_and_bad_syntax_are_what_they_are_in_jenkins() {
    let nodes = ["a", "b", "c", "d"].map(|name| NodeSpec::new(name, 0, &[]));
    let site = Site::new(Fleet { nodes: nodes.into(), ..Fleet::default() }).await;
    for (range, expected) in [
        ("{1}", vec!["a"]),
        ("{3,}", vec!["c", "d"]),
        ("{,2}", vec!["Built-In Node", "a"]),
        ("{1,3}", vec!["a", "b"]),
        ("{9,}", vec![]),
    ] {
        let listed = site.get(&format!("computer/api/json?tree=computer[displayName]{range}")).await;
        let names: Vec<_> = listed["computer"].as_array().unwrap().iter().map(|node| &node["displayName"]).collect();
        assert_eq!(names, expected, "{range}");
    }
    let starred = site.get("computer/api/json?tree=computer[*]").await;
    assert!(starred["computer"][1].get("monitorData").is_some());
    for bad in ["computer[", "computer[displayName]]", "computer{1", "computer{x}", "", "a,,b"] {
        assert_eq!(site.send(Method::GET, &format!("computer/api/json?tree={bad}")).await.status(), 500, "{bad}");
    }
    assert_eq!(site.send(Method::GET, "label/linux/").await.status(), 200);
    assert_eq!(site.send(Method::GET, "label/a;b/api/json").await.status(), 400);
    let read = site.send(Method::GET, "computer/a/toggleOffline").await;
    assert_eq!((read.status().as_u16(), text_of(&read, "allow")), (405, "POST"));
}
