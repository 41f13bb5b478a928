use std::fmt::Write as _;

use clap::{CommandFactory, Parser};
use expect_test::{Expect, expect};
use serde_json::json;

use super::submit::Event;
use super::*;
use crate::domain::BuildResult;
use crate::gearman::admin;
use crate::gearman::client::{self, Update};
use crate::gearman::dial::DialError;
use crate::policy::SlotStatus;
use crate::runtime::status::Status;
use crate::{config, web};

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn what_is_documented_can_be_written() {
    for line in [
        "run",
        "run --config layshaft.toml --log debug",
        "server -p 0 --listen 0.0.0.0",
        "server -d -p 4731 -L localhost -j 3 -R -w 1 -b 32 -t 4 -f 1024 -l stderr --verbose DEBUG -P pid --exceptions",
        "server --queue-type=libsqlite3 --libsqlite3-db=file --job-handle-prefix=x --hashtable-buckets=991 --keepalive",
        "server --persist file",
        "server -q builtin --keepalive-idle -1 --keepalive-interval=-1 --log-file=none --coredump",
        "simulate --listen 127.0.0.1:0 --user u --token t --controllers 3 --nodes 20 --projects 50 --json",
        "simulate --fleet fleet.toml --config layshaft.toml",
        "simulate --print-fleet",
        "submit build:lint",
        "submit build:lint:linux --param A=1 --param B= --unique u --priority high --wait --server gearman:4730 --json",
        "submit build:lint --payload-file - --background --wait",
        "submit build:lint --at 2030-01-31T18:00:00Z --wait",
        "submit build:lint --in 90s --accept-within 5s",
        "submit build:lint --server a --server b:1,[::1]:2,::1 --retry-in-doubt --cancel-on-interrupt",
        "cancel H:gear1:42 --server a,b --json",
        "queue",
        "queue build:lint build:test --jobs --json --server a",
        "stop lint 7 --host ci1",
        "stop --unique u-1 --host ci1",
        "describe lint 7 text --host ci1",
        "status --names --json",
        "nodes --ours --json",
        "node release n1 --controller ci1 --json --socket s",
        "policy list --json",
        "policy check 10-a.wasm --config layshaft.toml --json",
        "policy check 10-a.wasm --key RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        "policy new a-b1 --lang rust --into /tmp",
        "policy inspect 10-a.wasm --json",
        "policy run 10-a.wasm --hook naming.names --input - --settings a.toml --grant widen --grant values --json",
        "policy run 10-a.wasm --hook filter --input {}",
        "policy test 10-a.wasm cases.json --junit report.xml --json",
        "policy bench 10-a.wasm --times 10 --json",
        "policy replay 10-a.wasm",
        "policy replay 10-a.wasm --config layshaft.toml --last 5000 --slower 1.5 --examples 1 --json --socket s",
        "policy replay 10-a.wasm --records - --key k",
        "policy log",
        "policy log --project a/* --policy b --call naming.names --failed --since 2h --verdict x --before 9 --limit 5 --json",
        "policy log --records --limit 1000",
        "policy explain 4711 --key opens.key --json --socket /tmp/s",
        "policy bisect 4711 --key opens.key --json",
        "policy keygen opens.key --json",
        "policy schema",
        "policy schema offline.build-ended",
        "policy contract --wit",
        "policy reload",
        "policy rollback a",
        "policy accept a",
        "policy retire a --socket /tmp/s",
        "pause",
        "resume --json",
        "drain",
        "check-config --config layshaft.toml",
        "doctor --payload a --payload b --json --strict --timeout 10s --socket s",
        "doctor -c layshaft.toml --jjb",
        "doctor --config-xml patches",
        "completions bash",
    ] {
        let words = std::iter::once("layshaft").chain(line.split(' '));
        if let Err(error) = Arguments::try_parse_from(words) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for line in [
        "",
        "start",
        "submit",
        "submit build:lint --param A",
        "simulate --controllers 0",
        "simulate --fleet fleet.toml --nodes 3",
        "submit build:lint --param =1",
        "submit build:lint --param A=1 --payload-file x",
        "submit build:lint --priority urgent",
        "submit build:lint --at tomorrow",
        "submit build:lint --in soon",
        "submit build:lint --in 99999999999999y",
        "submit build:lint --in 5s --at 2030-01-31T18:00:00Z",
        "submit build:lint --in 5s --priority high",
        "submit build:lint --background --cancel-on-interrupt",
        "submit build:lint --server a:b:c",
        "submit build:lint --server a,,b",
        "queue --server a:70000",
        "cancel",
        "stop lint 7",
        "stop lint --host ci1",
        "stop lint 7 --unique u-1 --host ci1",
        "stop lint seven --host ci1",
        "describe lint 7 --host ci1",
        "server -p 70000",
        "server -q libsqlite3",
        "server -q builtin --persist file",
        "server --libsqlite3-db=file --queue-type=builtin",
        "server -q libmemcached",
        "server -u gearman",
        "server --verbose LOUD",
        "node",
        "node release",
        "policy",
        "policy new Name --lang rust",
        "policy new name",
        "policy new name --lang cobol",
        "policy run a.wasm --hook offline --input {}",
        "policy run a.wasm --hook naming",
        "policy run a.wasm --hook naming --input {} --grant everything",
        "policy bench a.wasm --times 0",
        "policy check a.wasm --key RWQ",
        "policy schema naming",
        "policy log --call naming",
        "policy log --since yesterday",
        "policy log --limit 0",
        "policy explain",
        "policy bisect latest",
        "policy keygen",
        "completions klingon",
    ] {
        let words = std::iter::once("layshaft").chain(line.split(' ').filter(|word| !word.is_empty()));
        let error = Arguments::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{line}: {error}");
    }
}

/// What `layshaft policy --help` shows; each command's own help has an example and its exit codes.
#[test]
fn authors_find_their_commands() {
    let mut command = Arguments::command();
    let policy = command.find_subcommand_mut("policy").unwrap();
    let mut listed = String::new();
    for command in policy.get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(listed, "{:<9} {about}", command.get_name()).unwrap();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let for_operators = ["list", "reload", "rollback", "accept", "retire", "disable", "enable", "freeze", "thaw"];
        let is_for_operators = for_operators.contains(&command.get_name());
        assert!(is_for_operators || help.contains(&format!("layshaft policy {}", command.get_name())), "{help}");
    }
    expect![[r#"
        list      List the policies, what they were asked and answered, and what is wrong with them
        reload    Look at the folder now, also at files that were refused before
        rollback  Return a policy to the version before
        accept    Let the version in the folder in again that was rolled back
        retire    End a policy whose file was taken out of the folder
        disable   Take a policy out of force for a while; its file stays
        enable    Put a policy that was disabled in force again
        freeze    Let nothing in from the folder until it is thawed, over restarts too
        thaw      Let in again what lies in the folder
        log       List what policies have decided, the latest first
        explain   Show one decision in full, and make it again by what was in force then
        bisect    Find the change of policies that changed a decision
        keygen    Make a pair of keys, to seal values in the list of decisions and to open them
        new       Write a folder with a new policy to start from
        check     Check a .wasm file, with the .toml beside it, as the daemon would
        inspect   Show what a .wasm file is: its hooks, what it asks to see, what it imports, its digest, its limits
        run       Put one question to a .wasm file
        test      Hold a .wasm file against a file of cases
        bench     Measure what the questions of a file of cases cost
        replay    Put recorded decisions to a .wasm file: what would come out otherwise
        schema    Print the JSON Schema of what a hook is asked and answers, or of a file of cases
        contract  Print the contract with policies
    "#]]
    .assert_eq(&listed);
}

#[test]
fn words_that_cannot_be_what_they_stand_for_are_usage_errors() {
    let usage = i32::from(Exit::Usage.code());
    for words in [
        ["submit", ""],
        ["submit", " "],
        ["submit", "\n"],
        ["submit", " build:lint"],
        ["submit", "build:lint\t"],
        ["submit", "build:\u{0}"],
        ["submit", &"f".repeat(512)],
        ["cancel", ""],
        ["cancel", "H:x:1\nstatus"],
        ["cancel", "two words"],
    ] {
        let error = Arguments::try_parse_from(["layshaft"].iter().chain(&words)).unwrap_err();
        assert_eq!(error.exit_code(), usage, "{words:?}: {error}");
    }
}

#[test]
fn every_command_for_a_running_site_has_an_example() {
    for name in ["submit", "queue", "cancel", "stop", "describe", "nodes", "node"] {
        let mut command = Arguments::command();
        let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
        assert!(help.contains(&format!("layshaft {name}")) && help.contains("Example"), "{help}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    expect![[r#"
        Exit codes:
            0  done; of a build: SUCCESS
            1  failed; of doctor: something is wrong
            2  the command line, or a file that it names, is not understood
            3  the build ended with another result than SUCCESS
            4  no daemon answers on its control socket
            5  the Gearman server cannot be reached, or was lost
            6  the job ended without a result: it failed or was rejected
           77  the daemon does not let this user change anything
           78  the configuration is not valid or cannot be read
          130  interrupted while it waited; what was submitted may go on"#]]
    .assert_eq(&Exit::help());
    assert!(Arguments::command().render_long_help().to_string().contains(&Exit::help()));
}

#[test]
fn an_error_has_its_exit_code_however_deep_it_lies() {
    let unreachable = || web::ClientError::Unreachable { socket: "s".into(), reason: "gone".to_owned() };
    let refused = || {
        client::Error::Connect(DialError::Connect {
            server: "a:1".to_owned(),
            cause: std::io::Error::from(std::io::ErrorKind::ConnectionRefused),
        })
    };
    let limit = std::time::Duration::from_secs(1);
    let unconfirmed = client::Error::Unconfirmed { request: "SUBMIT_JOB", doubt: client::Doubt::Silent { limit } };
    let silent = |command: &str| admin::Error::NoAnswer { command: command.to_owned(), limit };
    for (error, exit) in [
        (anyhow::Error::new(config::Error::Invalid(Vec::new())), Exit::BadConfiguration),
        (anyhow::Error::new(unreachable()), Exit::DaemonUnreachable),
        (anyhow::Error::new(web::ClientError::NotPermitted("no".to_owned())), Exit::NotPermitted),
        (anyhow::Error::new(web::ClientError::Refused("no".to_owned())), Exit::Failed),
        (anyhow::Error::new(refused()).context("no server").context("above"), Exit::ServerUnreachable),
        (anyhow::Error::new(client::Error::Lost), Exit::ServerUnreachable),
        (anyhow::Error::new(unconfirmed).context("not submitted to another server"), Exit::ServerUnreachable),
        (anyhow::Error::new(client::Error::NoServer(Vec::new())), Exit::ServerUnreachable),
        (anyhow::Error::new(silent("status")), Exit::ServerUnreachable),
        // A server that is there and does not know the command.
        (anyhow::Error::new(silent("show jobs")), Exit::Failed),
        (anyhow::anyhow!("something else"), Exit::Failed),
    ] {
        assert_eq!(Exit::of(&error), exit, "{error:#}");
    }
}

#[test]
fn a_job_ends_with_the_exit_code_of_its_build() {
    let complete = |result: &str| Update::Complete(json!({ "name": "lint", "result": result }).to_string().into());
    for (update, exit) in [
        (complete("SUCCESS"), Some(Exit::Ok)),
        (complete("UNSTABLE"), Some(Exit::BuildNotSuccessful)),
        (complete("FAILURE"), Some(Exit::BuildNotSuccessful)),
        (complete("ABORTED"), Some(Exit::BuildNotSuccessful)),
        (complete("NOT_BUILT"), Some(Exit::BuildNotSuccessful)),
        // Of a function that is no build.
        (Update::Complete("done".into()), Some(Exit::Ok)),
        (Update::Complete("".into()), Some(Exit::Ok)),
        (Update::Fail, Some(Exit::JobFailed)),
        (Update::Exception("rejected".into()), Some(Exit::JobFailed)),
        (Update::ServerLost, Some(Exit::ServerUnreachable)),
        (Update::Data("x".into()), None),
        (Update::Status { numerator: 1, denominator: 2 }, None),
    ] {
        assert_eq!(Event::from(update.clone()).exit(), exit, "{update:?}");
    }
}

#[test]
fn events_read_well_for_people_and_for_scripts() {
    let start = json!({ "name": "lint", "number": 7, "manager": "ci1", "worker": "n1_exec-0", "url": "https://ci1/job/lint/7/" });
    let end = json!({ "name": "lint", "number": 7, "result": "FAILURE", "url": "https://ci1/job/lint/7/" });
    let updates = [
        Update::Data(start.to_string().into()),
        Update::Warning(b"\xff careful".as_slice().into()),
        Update::Complete(end.to_string().into()),
        Update::Complete("plain".into()),
        Update::Exception("parameter FOO is not allowed".into()),
        Update::Fail,
    ];
    let mut told = String::new();
    for event in updates.map(Event::from) {
        let (line, json) = (event.line().unwrap_or_default(), serde_json::to_string(&event).unwrap());
        writeln!(told, "{line}\n  {json}").unwrap();
    }
    expect![[r#"
        started lint #7 of ci1 through n1_exec-0 (https://ci1/job/lint/7/)
          {"event":"data","data":{"name":"lint","number":7,"manager":"ci1","worker":"n1_exec-0","url":"https://ci1/job/lint/7/"}}
        warning � careful
          {"event":"warning","data":"� careful"}
        FAILURE (https://ci1/job/lint/7/)
          {"event":"complete","result":"FAILURE","data":{"name":"lint","number":7,"result":"FAILURE","url":"https://ci1/job/lint/7/"}}

          {"event":"complete","result":null,"data":"plain"}
        the job ended with an exception: parameter FOO is not allowed
          {"event":"exception","text":"parameter FOO is not allowed"}
        the job failed; the server gives no reason
          {"event":"fail"}
    "#]].assert_eq(&told);
    let event = Event::from(Update::Complete(end.to_string().into()));
    assert!(matches!(event, Event::Complete { result: Some(BuildResult::Failure), .. }));
}

#[test]
fn nodes_say_because_of_whom_they_are_offline() {
    let node = |name: &str, state: &str, reason: Option<&str>, ours: serde_json::Value| json!({ "controller": "ci1", "name": name, "state": state, "reason": reason, "executors": 2, "busy": 1, "ours": ours });
    let held = json!({ "kind": "held", "policy": "single-use", "message": "held for a look", "since": { "secs_since_epoch": 86400, "nanos_since_epoch": 0 },
        "build": { "project": "team/lint", "number": 7 } });
    let client = json!({ "kind": "client", "message": "Offline due to Gearman request" });
    let nodes = serde_json::from_value(json!({
        "nodes": [
            node("n1", "online", None, json!(null)),
            node("n2", "marked", Some("held for a look [layshaft 0123456789ab]"), held),
            node("n3", "marked", Some("Offline due to Gearman request"), client),
            node("n4", "marked", Some("of an earlier daemon [layshaft]"), json!({})),
            node("n5", "marked", Some("new disk"), json!(null)),
            node("n6", "disconnected", None, json!(null)),
        ],
        "offline_max": 2, "offline_window_ms": 3600000,
        "taken": [{ "controller": "ci1", "label": "gpu", "taken": 2 }],
        "refused": ["policy p wanted node n1 of ci1 offline, and it stays online: it is the last node online that has the label gpu"],
    }))
    .unwrap();
    check(
        &nodes::render(&nodes, false),
        expect![[r#"
         NODE  CONTROLLER  STATE         BUSY    BECAUSE OF         WHY                              BUILD         SINCE
         n1    ci1         online        1 of 2  -                  -                                -             -
         n2    ci1         held          1 of 2  policy single-use  held for a look                  team/lint #7  1970-01-02T00:00:00Z
         n3    ci1         offline       1 of 2  a client           Offline due to Gearman request   -             -
         n4    ci1         offline       1 of 2  layshaft           of an earlier daemon [layshaft]  -             -
         n5    ci1         offline       1 of 2  others             new disk                         -             -
         n6    ci1         disconnected  1 of 2  -                  -                                -             -
        policies took 2 nodes with the label gpu of ci1 offline within 1h (of at most 2)
        policy p wanted node n1 of ci1 offline, and it stays online: it is the last node online that has the label gpu"#]],
    );
    expect!["no node is offline because of us"].assert_eq(&nodes::render(&Default::default(), true));
}

#[test]
fn status_shows_the_whole_picture() {
    let status: Status = serde_json::from_value(json!({
        "version": "1.2.3",
        "mode": "paused",
        "not_ready": ["paused; `layshaft resume` goes on"],
        "gearman": [
            { "server": "127.0.0.1:4730", "kind": "gearmand 1.1.20", "connections": 3, "connected": 2 },
            { "server": "gearman2:4730", "kind": null, "connections": 3, "connected": 0 }
        ],
        "generation": 4,
        "kept": [{ "function": "build:old", "project": "lint", "jobs": 2, "why": "2 jobs wait",
            "until": { "secs_since_epoch": 86400, "nanos_since_epoch": 0 } }],
        "controllers": [{
            "name": "ci1", "host": "ci1", "serve": true, "reachable": true, "fresh": true, "quieting_down": false,
            "jenkins_version": "2.516", "age_ms": 1234, "trouble": "no answer in time", "projects": 9,
            "pictures": [
                { "part": "nodes", "age_ms": 1234, "bound_ms": 4800, "error": null, "failing_for_ms": null },
                { "part": "modes", "age_ms": null, "bound_ms": 96000, "error": "grant the user X", "failing_for_ms": 1 },
                { "part": "quieting-down", "age_ms": 50, "bound_ms": 4800, "error": null, "failing_for_ms": null },
                { "part": "projects", "age_ms": 65000, "bound_ms": 48000, "error": "no answer in time",
                  "failing_for_ms": 35000 },
                { "part": "parameters", "age_ms": 65000, "bound_ms": 648000, "error": null, "failing_for_ms": null },
                { "part": "queue", "age_ms": 9000, "bound_ms": 1600, "error": "no answer in time",
                  "failing_for_ms": 700 }
            ],
            "nodes": [
                { "name": "n1", "online": true, "offline_reason": null, "executors": 2, "busy": 1, "functions": 12,
                  "workers": [
                    { "client_id": "n1_exec-0", "connected": true, "state": "running", "function": "build:lint" },
                    { "client_id": "n1_exec-1", "connected": true, "state": "grabbing", "function": null }
                  ] },
                { "name": "n2", "online": false, "offline_reason": "disk full\nsince Monday", "executors": 1, "busy": 0,
                  "functions": 0, "workers": [] }
            ]
        }],
        "functions": { "build:lint": { "project": "lint", "nodes": 1 } },
        "builds": [{
            "function": "build:lint", "unique": "u-1", "controller": "ci1", "project": "lint", "node": "n1",
            "worker": "n1_exec-0", "state": "running", "queue_item": 5, "number": 7
        }],
        "policies": [{
            "name": "label-hierarchy", "file": "10-label-hierarchy.wasm",
            "digest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "generation": 4,
            "hooks": ["matching"], "state": "live", "mode": "enforce", "required": true, "grants": ["widen"],
            "bindings": 1, "error": null, "advice": []
        }],
        "notes": []
    }))
    .unwrap();
    check(
        &status::render(&status),
        expect![[r#"
        layshaft 1.2.3 is paused
        gearman 127.0.0.1:4730 (gearmand 1.1.20): 2 of 3 connected
        gearman gearman2:4730: not reached yet
        not ready: paused; `layshaft resume` goes on
        trouble with ci1: grant the user X (modes; for 0s)
        trouble with ci1: no answer in time (projects, queue; for 35s)

        controllers
         CONTROLLER  HOST  STATE    JENKINS  NODES  PROJECTS
         ci1         ci1   serving  2.516    2      9

        last seen
         CONTROLLER  NODES      MODES  SHUTDOWN   PROJECTS    PARAMETERS  QUEUE
         ci1         1.2 s ago  never  0.1 s ago  65.0 s ago  65.0 s ago  9.0 s ago

        nodes
         NODE  CONTROLLER  STATE                            BUSY    FUNCTIONS  WORKERS
         n1    ci1         online                           1 of 2  12         1 grabbing, 1 running
         n2    ci1         offline: disk full since Monday  0 of 1  0

        functions
         FUNCTION    PROJECT  NODES
         build:lint  lint     1

        names kept although policies no longer give them
         FUNCTION   PROJECT  WHY          UNTIL
         build:old  lint     2 jobs wait  1970-01-02T00:00:00Z

        policies (generation 4)
         POLICY           STATE  HOOKS     BINDINGS  GRANTS  FILE                     SHA256
         label-hierarchy  live   matching  1         widen   10-label-hierarchy.wasm  e3b0c44298fc

        builds
         FUNCTION    BUILD    CONTROLLER  NODE  STATE    UNIQUE
         build:lint  lint #7  ci1         n1    running  u-1"#]],
    );
}

#[test]
fn what_policies_were_asked_is_a_table_and_what_one_on_trial_would_have_changed_stands_below_it() {
    let usage = |slot: &str, verdicts: serde_json::Value, errors: serde_json::Value, would_have: serde_json::Value| {
        json!({
            "slot": slot, "hook": "parameters", "calls": 7, "verdicts": verdicts, "errors": errors, "latency": [],
            "nanoseconds": 1, "p50_us": 15, "p99_us": null, "fuel": 9, "memo_hits": 0, "memo_misses": 0,
            "would_have": would_have, "skipped": 2, "examples": ["lint on n1: would have dropped A"]
        })
    };
    let policies: Vec<SlotStatus> = serde_json::from_value(json!([{
        "name": "filter", "file": null, "digest": null, "generation": 1, "hooks": [], "state": "live", "mode": "monitor",
        "required": true, "grants": [], "bindings": 2, "error": null, "advice": [],
        "usage": [
            usage("filter#1", json!({ "abstain": 3, "open": 0, "reject": 2 }), json!({ "fuel": 1, "trap": 1 }), json!({})),
            usage("filter#2", json!({ "abstain": 0 }), json!({ "fuel": 0 }), json!({ "drop": 3, "fail": 0 }))
        ]
    }]))
    .unwrap();
    check(
        policy::usage_table(&policies).to_string().replace("\n ", "\n").trim_start(),
        expect![[r#"
            SLOT      HOOK        CALLS  FAILED              P50 µs  P99 µs  ANSWERS
            filter#1  parameters  7      2 (fuel 1, trap 1)  15      -       abstain 3, reject 2
            filter#2  parameters  7      0                   15      -       -"#]],
    );
    let below: Vec<String> = policies[0].usage.iter().flat_map(policy::on_trial).collect();
    check(
        &below.join("\n"),
        expect![[r#"
            filter#2, on trial at parameters: would have changed: drop 3; 2 questions were left out
              lint on n1: would have dropped A"#]],
    );
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    expected.assert_eq(&trimmed.join("\n"));
}

#[test]
fn every_shell_gets_completions() {
    use clap::ValueEnum;
    for shell in clap_complete::Shell::value_variants() {
        let script = String::from_utf8(completions::script(*shell)).unwrap();
        assert!(script.contains("check-config"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let gone = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
    assert!(terminal::is_nobody_reading(&gone));
    assert!(!terminal::is_nobody_reading(&anyhow::anyhow!("broken pipe")));
}
