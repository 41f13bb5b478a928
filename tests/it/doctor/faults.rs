use std::time::Duration;

use expect_test::expect;
use layshaft::domain::ProjectKind;
use layshaft::simulator::{Clock, Fault, FaultRule, ParameterKind, ParameterSpec, Permission, ProjectSpec, Version};

use super::{Seed, Site};
use crate::support::{GearmanServer, Kind, example_policy, free_port, project};

/// One thing that is wrong: what is seeded, what is found, and words of the line that says what to do.
struct Seeded {
    what: &'static str,
    seed: fn(&mut Seed),
    /// What breaks on the second controller once it runs.
    breaks: Option<Fault>,
    expected: &'static str,
    fix: &'static str,
}

fn seeded(what: &'static str, expected: &'static str, fix: &'static str, seed: fn(&mut Seed)) -> Seeded {
    Seeded { what, seed, breaks: None, expected, fix }
}

fn broken(what: &'static str, expected: &'static str, fix: &'static str, fault: Fault) -> Seeded {
    Seeded { what, seed: |_| (), breaks: Some(fault), expected, fix }
}

/// Changes a project on both controllers.
fn both(seed: &mut Seed, change: impl Fn(&mut ProjectSpec)) {
    for options in &mut seed.controllers {
        change(&mut options.fleet.projects[0]);
    }
}

fn second(seed: &mut Seed, change: impl Fn(&mut ProjectSpec)) {
    change(&mut seed.controllers[1].fleet.projects[0]);
}

fn forbid(seed: &mut Seed, permission: Permission) {
    let held = &mut seed.controllers[1].users[0].permissions;
    held.retain(|had| *had != permission && *had != Permission::OverallAdminister);
}

fn faults() -> Vec<Seeded> {
    vec![
        seeded(
            "the second controller is not there",
            "controller-unreachable [ci2]",
            "curl -sS -o /dev/null http://127.0.0.1",
            |seed| {
                seed.url = Some(format!("http://127.0.0.1:{}/", free_port()));
            },
        ),
        seeded("the context path is missing", "not-jenkins [ci2]", "/ci/api/json", |seed| {
            seed.url = Some("FIRST/ci/".to_owned());
        }),
        broken("it starts", "controller-starting [ci2]", "wait until it has started", Fault::Status(503)),
        broken("a proxy asks for a login", "not-jenkins [ci2]", "no login page of a proxy", Fault::Html),
        broken("it fails", "controller-fails [ci2]", "look into the log", Fault::Status(500)),
        seeded("the token was revoked", "wrong-token [ci2]", "token_file", |seed| {
            seed.token = "an-old-token".to_owned();
        }),
        seeded(
            "the user may see nothing",
            "permission-missing [ci2]",
            "Overall/Read (hudson.model.Hudson.Read)",
            |seed| {
                forbid(seed, Permission::OverallRead);
            },
        ),
        seeded(
            "the user may connect no agent",
            "permission-missing [ci2]",
            "Agent/Connect (hudson.model.Computer.Connect)",
            |seed| {
                forbid(seed, Permission::AgentConnect);
            },
        ),
        seeded("a folder is hidden from the user", "project-missing [ci2] team/test", "let the user read it", |seed| {
            seed.controllers[1].users[0].unreadable.insert("team".to_owned());
        }),
        seeded("an old Jenkins", "version-old [ci2]", "update Jenkins to 2.482", |seed| {
            seed.controllers[1].version = Version::new(2, 300);
        }),
        seeded("its clock is an hour ahead", "clock-skew [ci2]", "NTP", |seed| {
            seed.controllers[1].clock = Clock::ahead(Duration::from_secs(3600));
        }),
        seeded("one controller is configured twice", "same-jenkins [ci1 ci2]", "but one out", |seed| {
            seed.url = Some("FIRST/".to_owned());
        }),
        seeded("no Gearman server", "server-unreachable [] 127.0.0.1:1", "gearadmin", |seed| {
            seed.gearman = "127.0.0.1:1".to_owned();
        }),
        seeded("another kind of server", "server-kind [] GEARMAN", "write kind = \"gearmand\"", |seed| {
            seed.gearman.push_str("\"\nkind = \"geard");
        }),
        seeded("no policy folder", "policies-folder [] HOME/policies", "mkdir HOME/policies", |seed| {
            seed.policies = None;
        }),
        seeded("a broken policy", "policy-refused [] 10-broken.wasm", "layshaft policy check", |seed| {
            seed.policies = Some(vec![("10-broken.wasm", b"\0asm".to_vec())]);
        }),
        seeded("a policy takes nodes offline without limit", "offline-unlimited []", "offline_max = 2", |seed| {
            seed.policies = Some(vec![("10-single-use-nodes.wasm", example_policy("single-use-nodes"))]);
        }),
        seeded("no marker", "no-marker [ci1 ci2] lint", "declare a String parameter UUID", |seed| {
            both(seed, |lint| drop(lint.parameters.remove(0)));
        }),
        seeded("a marker with choices", "marker-kind [ci1 ci2] lint", "make UUID a String parameter", |seed| {
            both(seed, |lint| lint.parameters[0].kind = ParameterKind::Choice);
        }),
        seeded(
            "a build may land on another label of an or",
            "label-not-kept [ci1] lint; label-not-kept [ci2] lint",
            "a project of its own",
            |seed| {
                both(seed, |lint| {
                    lint.label = Some("gpu || mac".to_owned());
                    lint.parameters.pop();
                });
            },
        ),
        seeded("no pin", "not-pinned [ci1 ci2] lint", "Node parameter of the NodeLabel plugin", |seed| {
            both(seed, |lint| drop(lint.parameters.pop()));
        }),
        seeded("another label on one controller", "differs-label [ci1 ci2] lint", "Jenkins Job Builder", |seed| {
            second(seed, |lint| lint.label = Some("mac".to_owned()));
        }),
        seeded(
            "another parameter on one controller",
            "differs-parameters [ci1 ci2] lint",
            "Jenkins Job Builder",
            |seed| {
                second(seed, |lint| lint.parameters.push(ParameterSpec::new("EXTRA", ParameterKind::Text, "")));
            },
        ),
        seeded(
            "side by side on one controller only",
            "differs-concurrent [ci1 ci2] lint",
            "Jenkins Job Builder",
            |seed| {
                second(seed, |lint| lint.concurrent = false);
            },
        ),
        seeded("another kind on one controller", "differs-kind [ci1 ci2] lint", "Jenkins Job Builder", |seed| {
            second(seed, |lint| lint.kind = ProjectKind::Maven);
        }),
        seeded("one short name in two folders", "name-clash [ci1 ci2] build:test", "naming policy", |seed| {
            for options in &mut seed.controllers {
                options.fleet.projects.push(project("web/test", None));
            }
        }),
        seeded("white space in a name", "white-space [ci1 ci2] my lint", "rename the project", |seed| {
            both(seed, |lint| lint.full_name = "my lint".to_owned());
        }),
        seeded("a label that no node has", "no-node [ci1 ci2] lint", "label a node so", |seed| {
            both(seed, |lint| lint.label = Some("solaris".to_owned()));
        }),
        seeded("a project of a kind that cannot be built", "kind-unknown [ci1 ci2] lint", "freestyle", |seed| {
            both(seed, |lint| lint.kind = ProjectKind::Unknown);
        }),
        seeded("parameters that are not declared", "parameters-lost [ci1 ci2] lint", "--jjb", |seed| {
            seed.payload = Some("build:lint:linux {\"ZUUL_BRANCH\": \"hunter2\", \"UUID\": \"u\"}\n".to_owned());
        }),
        seeded("a function that nobody offers", "function-unknown [] build:nobody", "define the project", |seed| {
            seed.payload = Some("build:nobody {}\n".to_owned());
        }),
    ]
}

async fn start(fault: &Seeded, gearman: &str) -> Site {
    let mut seed = Seed::clean(gearman);
    (fault.seed)(&mut seed);
    let rest = seed.url.as_ref().and_then(|url| Some(url.strip_prefix("FIRST")?.to_owned()));
    if rest.is_some() {
        // Where the first one is, is known once it runs.
        seed.url = Some("http://FIRST".to_owned());
    }
    let site = seed.start().await;
    if let Some(rest) = rest {
        let first = site.controllers[0].url();
        let config = site.path("layshaft.toml");
        let text = super::text(&config).replace("http://FIRST", &format!("{}{rest}", first.trim_end_matches('/')));
        std::fs::write(config, text).unwrap();
    }
    if let Some(fault) = fault.breaks {
        site.controllers[1].fault(FaultRule::new("/", fault));
    }
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_seeded_fault_gives_exactly_its_finding_with_the_line_that_mends_it() {
    let gearman = GearmanServer::start(Kind::Gearmand).await;
    let faults = faults();
    assert!(faults.len() >= 12);
    for fault in faults {
        let site = start(&fault, &gearman.address).await;
        let home = site.home.path().to_str().unwrap();
        let filled = |text: &str| text.replace("HOME", home).replace("GEARMAN", &gearman.address);
        let (exit, report) = site.look().await;
        assert_eq!(super::told(&report).join("; "), filled(fault.expected), "{}: {report:#}", fault.what);
        let finding = &report["findings"][0];
        assert!(finding["fix"].as_str().unwrap().contains(&filled(fault.fix)), "{}: {finding:#}", fault.what);
        assert_eq!(exit, i32::from(finding["level"] == "error"), "{}", fault.what);
        assert!(!report.to_string().contains("hunter2") && !report.to_string().contains(super::TOKEN));
        let strict = site.doctor(&["--strict", "--json"]).await.status.code().unwrap();
        assert_eq!(strict, i32::from(finding["level"] != "note"), "{}", fault.what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_without_faults_has_no_findings_and_nothing_there_is_changed() {
    let gearman = GearmanServer::start(Kind::Gearmand).await;
    let site = Seed::clean(&gearman.address).start().await;
    let output = site.doctor(&["--strict"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    expect![[r#"
        not checked
          Job/Build, Job/Cancel, Run/Update and Agent/Disconnect of the user on ci1, ci2: REST has no question about them that changes nothing; a refusal names the permission in the log
          parameters that clients send and projects do not declare: no daemon runs here that has seen them, and no --payload was given

        nothing is wrong; looked at 2 controllers, 8 nodes, 4 projects, 1 Gearman server
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.stderr, b"", "there was nothing to wait for");
    for controller in &site.controllers {
        let requests = controller.requests();
        assert!(requests.keys().all(|request| request.starts_with("GET ")), "{requests:?}");
        assert!(requests.values().sum::<u64>() < 10, "{requests:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_for_people_reads_worst_first() {
    let gearman = GearmanServer::start(Kind::Gearmand).await;
    let mut seed = Seed::clean(&gearman.address);
    seed.token = "an-old-token".to_owned();
    seed.controllers[0].fleet.projects[0].parameters.clear();
    let site = seed.start().await;
    let output = site.doctor(&[]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    expect![[r#"
        error    wrong-token
          ci2: the controller does not accept the user and token; check both, and that the token was not revoked
          fix: make a new API token for that user (user, Security, API Token) and put it alone into the file that token_file names

        warning  no-marker
          lint on ci1: it declares none of builds.markers (UUID, uuid, ZUUL_UUID, LAYSHAFT_UUID)
          fix: declare a String parameter UUID, empty by default (`layshaft doctor --jjb` and `--config-xml` write it): without one, only one build of a project waits at a time

        note     not-pinned
          lint on ci1: it cannot be pinned: Jenkins chooses the node within its label, not the worker that took the job
          fix: declare a Node parameter of the NodeLabel plugin (Jenkins Job Builder: `- node: {name: NODE}`) if builds must run on the very node

        not checked
          Job/Build, Job/Cancel, Run/Update and Agent/Disconnect of the user on ci1: REST has no question about them that changes nothing; a refusal names the permission in the log
          parameters that clients send and projects do not declare: no daemon runs here that has seen them, and no --payload was given

        1 error, 1 warning, 1 note; looked at 2 controllers, 4 nodes, 2 projects, 1 Gearman server
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f81_a_server_that_is_not_there_and_one_that_speaks_something_else_are_told_apart() {
    for (gearman, found, why) in [
        ("127.0.0.1:1", "server-unreachable", "failed to connect"),
        ("CONTROLLER", "server-kind", "answers neither as gearmand nor as geard"),
    ] {
        let site = Seed::clean(gearman).start().await;
        // Speaks, but not Gearman's language.
        let controller = site.controllers[0].url().replace("http://", "").replace('/', "");
        let config = site.path("layshaft.toml");
        std::fs::write(&config, super::text(&config).replace("CONTROLLER", &controller)).unwrap();
        let (exit, report) = site.look().await;
        let server = gearman.replace("CONTROLLER", &controller);
        assert_eq!((exit, super::told(&report)), (1, vec![format!("{found} [] {server}")]));
        let seen = report["findings"][0]["seen"].as_str().unwrap();
        assert!(seen.contains(why), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_controller_is_waited_for_visibly_and_not_for_ever() {
    let gearman = GearmanServer::start(Kind::Gearmand).await;
    let site = Seed::clean(&gearman.address).start().await;
    site.controllers[1].fault(FaultRule::new("/computer", Fault::Latency(Duration::from_secs(3600))));
    let output = site.doctor(&["--json", "--timeout", "2s"]).await;
    let (exit, report) = super::read(&output);
    assert_eq!((exit, super::told(&report)), (1, vec!["controller-slow [ci2]".to_owned()]), "{report:#}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("doctor: asking ci2 for its nodes …"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_it_from_looking_has_another_exit_code_than_what_it_finds() {
    let mut seed = Seed::clean("127.0.0.1:1");
    seed.payload = Some("build:lint {A: hunter2".to_owned());
    let site = seed.start().await;
    let output = site.doctor(&[]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("payload: line 1: the payload cannot be read") && !told.contains("hunter2"), "{told}");
    std::fs::remove_file(site.path("payload")).unwrap();
    assert_eq!(site.doctor(&[]).await.status.code(), Some(2));
    std::fs::write(site.path("layshaft.toml"), "colour = 1").unwrap();
    assert_eq!(site.doctor(&[]).await.status.code(), Some(78));
}
