//! `submit`, `queue` and `cancel` as a person or a script uses them, on each server.

use std::process::{Output, Stdio};

use layshaft::gearman::client::{Client, Config, Submission};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::support::{GearmanServer, Hand, Kind, eventually, free_port, on_both_servers, on_every_server, within};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
    command.args(arguments).env_remove("LAYSHAFT_GEARMAN_SERVER").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(arguments: &[&str]) -> Output {
    within(arguments[0], program(arguments).output()).await.unwrap()
}

/// A command that runs while a test goes on.
fn start(arguments: &[&str]) -> Child {
    program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn ended(child: Child) -> Output {
    within("the command ends", child.wait_with_output()).await.unwrap()
}

fn interrupt(child: &Child) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

/// Reads what a command prints until it has printed some text.
async fn until_printed(child: &mut Child, text: &str) -> String {
    let out = child.stdout.as_mut().unwrap();
    let mut printed = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&printed).contains(text) {
            assert_ne!(out.read_buf(&mut printed).await.unwrap(), 0, "it ended without {text:?}");
        }
    };
    within(text, reading).await;
    String::from_utf8_lossy(&printed).into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn expect_exit(output: &Output, exit: i32) -> (String, String) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{out}{err}");
    (out, err)
}

fn events(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn wait_in(server: &GearmanServer, function: &str) -> String {
    let client = Client::connect(&server.address, Config::default()).await.unwrap();
    let submission = Submission { function: function.to_owned().into(), background: true, ..Submission::default() };
    text(client.submit(submission).await.unwrap().handle())
}

/// Waits until a function has no job that is still to be done.
async fn until_dropped(server: &GearmanServer, function: &str) {
    eventually("the server has dropped the job", || async {
        match server.kind {
            // Counts it until a worker looks at the queue, and marks it.
            Kind::Gearmand => server.admin().await.show_jobs().await.unwrap().iter().all(|job| job.ignored),
            _ => server.waiting_jobs_of(function).await == 0,
        }
    })
    .await;
}

/// A server that takes connections and what is said on them, and never says a word.
async fn mute() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
        }
    });
    address
}

const STARTED: &str = r#"{"name":"my lint","number":7,"manager":"ci","url":"http://ci/7/"}"#;

on_every_server! {
    async fn what_a_worker_says_is_told_in_order(server) {
        let submit = start(&["submit", "f", "--param", "A=1", "--server", &server.address]);
        let (mut hand, payload) = Hand::take(&server.address, "f").await;
        assert_eq!(payload, r#"{"A":"1"}"#);
        hand.data("one\ntwo").await;
        hand.status(1, 4).await;
        hand.status(1, 4).await;
        hand.warning("careful").await;
        hand.data("three\n").await;
        hand.complete("the result").await;
        let (out, _) = expect_exit(&ended(submit).await, 0);
        let lines: Vec<&str> = out.lines().skip(1).collect();
        assert!(out.starts_with(&format!("submitted {} to {}", hand.handle(), server.address)), "{out}");
        assert_eq!(lines, ["one", "two", "1 of 4 (25 %)", "warning careful", "three", "the result"]);

        let submit = start(&["submit", "f", "--unique", "u", "--json", "--server", &server.address]);
        let (mut hand, _) = Hand::take(&server.address, "f").await;
        hand.data(STARTED).await;
        hand.status(1, 4).await;
        hand.complete("").await;
        let (out, _) = expect_exit(&ended(submit).await, 0);
        let told: Vec<Value> = events(&out);
        let kinds: Vec<&str> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["submitted", "data", "progress", "complete"]);
        assert_eq!((&told[0]["unique"], &told[1]["data"]["number"]), (&"u".into(), &7.into()));
    }

    async fn a_job_that_fails_has_its_exit_code(server) {
        for is_exception in [true, false] {
            let submit = start(&["submit", "f", "--server", &server.address]);
            let (mut hand, _) = Hand::take(&server.address, "f").await;
            if is_exception { hand.exception("boom").await } else { hand.fail().await }
            let (out, _) = expect_exit(&ended(submit).await, 6);
            assert_eq!(out.contains("boom"), is_exception, "{out}");
        }
    }

    async fn an_interrupted_submission_says_what_goes_on_and_how_to_end_it(server) {
        let mut submit = start(&["submit", "build:lint", "--server", &server.address]);
        let (mut hand, _) = Hand::take(&server.address, "build:lint").await;
        hand.data(STARTED).await;
        until_printed(&mut submit, "started my lint #7 of ci").await;
        interrupt(&submit);
        let (out, _) = expect_exit(&ended(submit).await, 130);
        let command = format!("layshaft stop 'my lint' 7 --host ci --server {}", server.address);
        assert!(out.contains(&command), "{out}");

        let mut submit = start(&["submit", "g", "--server", &server.address]);
        until_printed(&mut submit, "submitted").await;
        interrupt(&submit);
        let (out, _) = expect_exit(&ended(submit).await, 130);
        assert!(out.contains("has not started"), "{out}");
        until_dropped(&server, "g").await;
    }

    async fn an_interrupt_cancels_the_job_or_stops_its_build_if_that_was_asked_for(server) {
        let arguments = ["submit", "build:lint", "--cancel-on-interrupt", "--server", &server.address];
        let mut submit = start(&arguments);
        until_printed(&mut submit, "submitted").await;
        interrupt(&submit);
        let (out, _) = expect_exit(&ended(submit).await, 130);
        assert!(out.contains("cancelled H:"), "{out}");
        until_dropped(&server, "build:lint").await;

        let mut submit = start(&arguments);
        let (mut build, _) = Hand::take(&server.address, "build:lint").await;
        build.data(STARTED).await;
        until_printed(&mut submit, "started").await;
        let stopping = {
            let address = server.address.clone();
            tokio::spawn(async move {
                let (mut manager, request) = Hand::take(&address, "stop:ci").await;
                manager.complete("").await;
                request
            })
        };
        eventually("somebody manages ci", || async { server.workers_for("stop:ci").await == 1 }).await;
        interrupt(&submit);
        let request = within("the request to stop", stopping).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&request).unwrap()["name"], "my lint");
        build.complete(r#"{"name":"my lint","number":7,"result":"ABORTED"}"#).await;
        expect_exit(&ended(submit).await, 3);
    }

    async fn the_queue_is_shown_as_far_as_the_server_tells_it(server) {
        let handle = wait_in(&server, "f").await;
        wait_in(&server, "f").await;
        wait_in(&server, "g").await;
        let (_hand, _) = Hand::take(&server.address, "g").await;
        let (out, _) = expect_exit(&run(&["queue", "f", "g", "--json", "--jobs", "--server", &server.address]).await, 0);
        let told: Value = serde_json::from_str(&out).unwrap();
        let functions = &told[0]["functions"];
        let row = |index: usize| ["function", "waiting", "running", "workers"].map(|key| functions[index][key].clone());
        assert_eq!(row(0), [Value::from("f"), 2.into(), 0.into(), 0.into()]);
        assert_eq!(row(1), [Value::from("g"), 0.into(), 1.into(), 1.into()]);
        let (shown, _) = expect_exit(&run(&["queue", "--jobs", "--server", &server.address]).await, 0);
        if server.kind == Kind::Geard {
            assert_eq!((&functions[0]["waiting_by_priority"], &told[0]["jobs"]), (&Value::Null, &Value::Null));
            assert!(shown.contains("does not tell its version") && shown.contains("does not list jobs"), "{shown}");
        } else {
            assert_eq!(functions[0]["waiting_by_priority"]["normal"], 2);
            assert_eq!(told[0]["jobs"].as_array().unwrap().len(), 3);
            assert!(shown.contains("version") && shown.contains(&handle), "{shown}");
        }
        let (out, _) = expect_exit(&run(&["queue", "g", "--json", "--server", &server.address]).await, 0);
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((told[0]["functions"].as_array().unwrap().len(), told[0].get("jobs")), (1, None));
    }

    async fn a_job_is_cancelled_by_its_handle_and_refusals_say_why(server) {
        let cancel = async |handle: &str| run(&["cancel", handle, "--server", &server.address]).await;
        let waiting = wait_in(&server, "f").await;
        let (out, _) = expect_exit(&cancel(&waiting).await, 0);
        assert!(out.contains("is cancelled"), "{out}");
        until_dropped(&server, "f").await;
        let (_, err) = expect_exit(&cancel("H:none:1").await, 1);
        assert!(err.contains("no such job"), "{err}");
        let running = wait_in(&server, "g").await;
        let (_hand, _) = Hand::take(&server.address, "g").await;
        let json = run(&["cancel", &running, "--json", "--server", &server.address]).await;
        let is_possible = server.kind != Kind::Geard;
        let (out, _) = expect_exit(&json, if is_possible { 0 } else { 1 });
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&told["cancelled"], &told["was_running"]), (&is_possible.into(), &true.into()));
        assert_eq!(told["reason"].as_str().is_some_and(|reason| reason.contains("only what waits")), !is_possible);
    }

    async fn a_server_that_cannot_be_reached_is_passed_over(server) {
        let nobody = format!("127.0.0.1:{}", free_port());
        let both = format!("{nobody},{}", server.address);
        let mut submit = program(&["submit", "f", "--background", "--json"]);
        let (out, _) = expect_exit(&within("submit", submit.env("LAYSHAFT_GEARMAN_SERVER", &both).output()).await.unwrap(), 0);
        assert_eq!(events(&out)[0]["server"], server.address.as_str());
        let handle = events(&out)[0]["handle"].as_str().unwrap().to_owned();
        let (out, err) = expect_exit(&run(&["queue", "--server", &nobody, "--server", &server.address]).await, 5);
        assert!(out.contains('f') && err.contains(&nobody), "{out}{err}");
        let (_, err) = expect_exit(&run(&["cancel", &handle, "--server", &both]).await, 0);
        assert!(err.contains(&nobody), "{err}");
        let (_, err) = expect_exit(&run(&["stop", "lint", "7", "--host", "ci", "--server", &both]).await, 1);
        assert!(err.contains("nobody serves stop:ci"), "{err}");
    }
}

on_both_servers! {
    async fn a_job_for_later_is_left_with_the_server(server) {
        let arguments = ["submit", "f", "--in", "1h", "--accept-within", "1s", "--server", &server.address];
        let output = run(&arguments).await;
        if server.kind == Kind::Geard {
            let (_, err) = expect_exit(&output, 5);
            assert!(err.contains("geard never does") && err.contains("may have been accepted"), "{err}");
        } else {
            expect_exit(&output, 0);
            assert_eq!(server.waiting_jobs_of("f").await, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_server_is_given_up_and_the_job_is_not_submitted_twice_unasked() {
    let other = GearmanServer::start(Kind::Gearmand).await;
    let both = format!("{},{}", mute().await, other.address);
    let arguments = ["submit", "f", "--background", "--accept-within", "500ms", "--server", &both];
    let (_, err) = expect_exit(&run(&arguments).await, 5);
    assert!(err.contains("may have been accepted") && err.contains("--retry-in-doubt"), "{err}");
    assert_eq!(other.waiting_jobs_of("f").await, 0);
    expect_exit(&run(&[&arguments[..], &["--retry-in-doubt"]].concat()).await, 0);
    assert_eq!(other.waiting_jobs_of("f").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_handles_of_two_servers_are_not_guessed_at() {
    let (one, two) = (GearmanServer::start(Kind::Geard).await, GearmanServer::start(Kind::Geard).await);
    let handle = wait_in(&one, "f").await;
    assert_eq!(handle, wait_in(&two, "f").await);
    let both = format!("{},{}", one.address, two.address);
    let (_, err) = expect_exit(&run(&["cancel", &handle, "--server", &both]).await, 1);
    assert!(err.contains("name the one that is meant"), "{err}");
    assert_eq!((one.waiting_jobs_of("f").await, two.waiting_jobs_of("f").await), (1, 1));
    expect_exit(&run(&["cancel", &handle, "--server", &two.address]).await, 0);
    assert_eq!((one.waiting_jobs_of("f").await, two.waiting_jobs_of("f").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    for arguments in [
        &["submit", "build:lint", "--server", "a:b:c"][..],
        &["submit", "build:lint", "--server", "http://gear"],
        &["submit", ""],
        &["submit", " "],
        &["queue", "--server", ""],
        &["cancel", "H:x:1", "--server", "gear:0"],
    ] {
        let (out, err) = expect_exit(&run(arguments).await, 2);
        assert!(out.is_empty() && !err.is_empty(), "{arguments:?}: {out}{err}");
    }
}
