//! Each fault has exactly its finding, and a site without faults has none.

mod writing;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::{ControllerName, DeclaredParameter, Mode, Node, NodeName, Project, ProjectKind, ProjectName};
use crate::gearman::admin::{ServerKind, WorkerLine};
use crate::jenkins::{Error, Instance};
use crate::policy::Hook;

fn parameter(name: &str, kind: &str) -> DeclaredParameter {
    DeclaredParameter { name: name.to_owned(), kind: format!("{kind}ParameterDefinition") }
}

fn project(name: &str, label: Option<&str>) -> Project {
    let parameters = Some(vec![parameter("UUID", "String"), parameter("NODE", "Node")]);
    Project { label: label.map(str::to_owned), parameters, ..Project::sample(name) }
}

fn node(name: &str, labels: &[&str]) -> Node {
    let labels = labels.iter().copied().chain([name]).map(str::to_owned).collect();
    Node { labels, executor_count: 1, ..Node::new(NodeName::agent(name)) }
}

fn controller(name: &str) -> Controller {
    let seen = Seen {
        instance: Instance { session: Some(format!("session of {name}")), version: Some("2.541".to_owned()) },
        ahead: Some(0),
        nodes: vec![node("a", &["linux"]), node("b", &["linux"]), node("c", &["mac"])],
        projects: vec![project("lint", Some("linux")), project("team/test", None)],
        may_connect: Some(true),
    };
    Controller {
        name: ControllerName::new(name),
        host: name.to_owned(),
        url: format!("https://{name}.example.org/"),
        serve: true,
        has_user: true,
        seen: Ok(seen),
    }
}

fn server(address: &str) -> Server {
    let kind = ServerKind::Gearmand { version: "1.1.20".to_owned() };
    Server { address: address.to_owned(), expected: None, seen: Ok(SeenServer { kind, workers: Vec::new() }) }
}

fn worker(client_id: &str, ip: &str, functions: &[&str]) -> WorkerLine {
    let functions = functions.iter().map(|it| (*it).to_owned()).collect();
    WorkerLine { fd: "31".to_owned(), ip: ip.to_owned(), client_id: client_id.to_owned(), functions }
}

fn clean() -> Facts {
    Facts {
        rules: Rules {
            markers: vec!["UUID".to_owned(), "ZUUL_UUID".to_owned()],
            pin_parameters: Vec::new(),
            offline_max: 0,
        },
        warnings: Vec::new(),
        policies: PolicyFolder { path: "policies".to_owned(), policies: Ok(Vec::new()) },
        controllers: vec![controller("ci1"), controller("ci2")],
        servers: vec![server("gear:4730")],
        daemon: None,
        sent: Vec::new(),
    }
}

fn seen(facts: &mut Facts, controller: usize) -> &mut Seen {
    facts.controllers[controller].seen.as_mut().unwrap()
}

/// Changes a project on both controllers.
fn both(facts: &mut Facts, name: &str, change: impl Fn(&mut Project)) {
    for controller in 0..2 {
        let projects = &mut seen(facts, controller).projects;
        change(projects.iter_mut().find(|project| project.name.full() == name).unwrap());
    }
}

fn one(facts: &mut Facts, name: &str, change: impl Fn(&mut Project)) {
    let projects = &mut seen(facts, 1).projects;
    change(projects.iter_mut().find(|project| project.name.full() == name).unwrap());
}

fn fails(facts: &mut Facts, error: Error) {
    facts.controllers[1].seen = Err(error);
}

fn told(report: &Report) -> Vec<String> {
    let place = |finding: &Finding| {
        let controllers: Vec<&str> = finding.controllers.iter().map(ControllerName::as_str).collect();
        let subject = finding.subject.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        format!("{} [{}]{subject}", finding.code.as_str(), controllers.join(" "))
    };
    report.findings.iter().map(place).collect()
}

#[test]
fn a_site_without_faults_has_no_findings() {
    let report = examine(&clean());
    assert_eq!(told(&report), [""; 0]);
    assert_eq!(report.checked, Checked { controllers: 2, nodes: 6, projects: 4, gearman_servers: 1 });
    assert!(
        report.not_checked[0]
            .starts_with("Job/Build, Job/Cancel, Run/Update and Agent/Disconnect of the user on ci1, ci2")
    );
}

type Fault = (&'static str, fn(&mut Facts), &'static [&'static str], &'static str);

/// What goes wrong, what is found, and words of what to do.
const FAULTS: &[Fault] = &[
    (
        "a warning of the configuration",
        |f| f.warnings.push("everybody can read it; `chmod o= it`".into()),
        &["config-warning []"],
        "`chmod o= it`",
    ),
    (
        "no policy folder",
        |f| f.policies.policies = Err("cannot be read".into()),
        &["policies-folder [] policies"],
        "mkdir policies",
    ),
    (
        "a broken policy",
        |f| f.policies.policies = Ok(vec![Policy { file: "10-a.wasm".into(), hooks: Err("no component".into()) }]),
        &["policy-refused [] 10-a.wasm"],
        "layshaft policy check policies/10-a.wasm",
    ),
    (
        "nodes go offline without end",
        |f| f.policies.policies = Ok(vec![Policy { file: "a.wasm".into(), hooks: Ok([Hook::Offline].into()) }]),
        &["offline-unlimited []"],
        "offline_max = 2",
    ),
    (
        "not there",
        |f| fails(f, Error::Unreachable { reason: "refused".into() }),
        &["controller-unreachable [ci2]"],
        "curl",
    ),
    (
        "another authority",
        |f| fails(f, Error::Unreachable { reason: "invalid peer certificate: UnknownIssuer".into() }),
        &["controller-tls [ci2]"],
        "SSL_CERT_FILE",
    ),
    ("starting", |f| fails(f, Error::Starting), &["controller-starting [ci2]"], "wait"),
    ("slow", |f| fails(f, Error::TimedOut), &["controller-slow [ci2]"], "request_timeout"),
    (
        "failing",
        |f| fails(f, Error::UnexpectedStatus { path: "/".into(), status: 500 }),
        &["controller-fails [ci2]"],
        "log",
    ),
    (
        "elsewhere",
        |f| fails(f, Error::Redirected { path: "/".into(), to: "https://new".into() }),
        &["url-redirected [ci2]"],
        "https://new",
    ),
    (
        "a login page",
        |f| fails(f, Error::NotJson { path: "/".into() }),
        &["not-jenkins [ci2]"],
        "https://ci2.example.org/api/json",
    ),
    ("no context path", |f| fails(f, Error::NotFound { path: "/".into() }), &["not-jenkins [ci2]"], "context path"),
    ("a wrong token", |f| fails(f, Error::Unauthorized), &["wrong-token [ci2]"], "token_file"),
    (
        "no Overall/Read",
        |f| {
            fails(
                f,
                Error::Forbidden { path: "/".into(), required_permission: Some("hudson.model.Hudson.Read".into()) },
            );
        },
        &["permission-missing [ci2]"],
        "Overall/Read (hudson.model.Hudson.Read)",
    ),
    (
        "nobody logs in",
        |f| {
            f.controllers[1].has_user = false;
            fails(f, Error::Forbidden { path: "/".into(), required_permission: None });
        },
        &["permission-missing [ci2]"],
        "write user and token_file",
    ),
    ("no Agent/Connect", |f| seen(f, 1).may_connect = Some(false), &["permission-missing [ci2]"], "Agent/Connect"),
    (
        "one Jenkins twice",
        |f| seen(f, 1).instance.session = Some("session of ci1".into()),
        &["same-jenkins [ci1 ci2]"],
        "but one out",
    ),
    ("too old", |f| seen(f, 1).instance.version = Some("1.509.4".into()), &["version-too-old [ci2]"], "2.482"),
    ("old", |f| seen(f, 1).instance.version = Some("2.289.3".into()), &["version-old [ci2]"], "2.482"),
    ("no version", |f| seen(f, 1).instance.version = None, &["not-jenkins [ci2]"], "pass the header on"),
    ("a fast clock", |f| seen(f, 1).ahead = Some(61), &["clock-skew [ci2]"], "NTP"),
    ("a slow clock", |f| seen(f, 1).ahead = Some(-4000), &["clock-skew [ci2]"], "NTP"),
    (
        "nothing to see",
        |f| {
            seen(f, 0).projects.clear();
            seen(f, 1).projects.clear();
        },
        &["no-projects [ci1]", "no-projects [ci2]"],
        "Job/Read",
    ),
    ("no server", |f| f.servers[0].seen = Err("refused".into()), &["server-unreachable [] gear:4730"], "gearadmin"),
    (
        "another kind of server",
        |f| f.servers[0].expected = Some(ServerKind::Geard),
        &["server-kind [] gear:4730"],
        "kind = \"gearmand\"",
    ),
    (
        "no gearman server at all",
        |f| f.servers[0].seen = Ok(SeenServer { kind: ServerKind::Other, workers: Vec::new() }),
        &["server-kind [] gear:4730"],
        "[gearman]",
    ),
    (
        "no marker",
        |f| both(f, "lint", |p| drop(p.parameters.as_mut().unwrap().remove(0))),
        &["no-marker [ci1 ci2] lint"],
        "String parameter UUID",
    ),
    (
        "a marker that carries nothing",
        |f| both(f, "lint", |p| p.parameters.as_mut().unwrap()[0].kind = "ChoiceParameterDefinition".into()),
        &["marker-kind [ci1 ci2] lint"],
        "make UUID a String parameter",
    ),
    (
        "another label of an or",
        |f| {
            both(f, "lint", |p| {
                p.label = Some("linux || mac".into());
                p.parameters.as_mut().unwrap().pop();
            });
        },
        &["label-not-kept [ci1 ci2] lint"],
        "NodeLabel",
    ),
    (
        "no pin",
        |f| both(f, "lint", |p| drop(p.parameters.as_mut().unwrap().pop())),
        &["not-pinned [ci1 ci2] lint"],
        "NodeLabel",
    ),
    (
        "a short name twice",
        |f| {
            for controller in 0..2 {
                seen(f, controller).projects.push(project("web/test", None));
            }
        },
        &["name-clash [ci1 ci2] build:test"],
        "naming policy",
    ),
    (
        "white space in a name",
        |f| both(f, "lint", |p| p.name = ProjectName::new("my lint")),
        &["white-space [ci1 ci2] my lint"],
        "without white space",
    ),
    (
        "white space in a label",
        |f| {
            for controller in 0..2 {
                seen(f, controller).nodes[0].labels.insert("big iron".into());
            }
            both(f, "lint", |p| p.label = Some("\"big iron\"".into()));
        },
        &["white-space [ci1 ci2] lint"],
        "rename",
    ),
    (
        "a long name",
        |f| both(f, "lint", |p| p.name = ProjectName::new("x".repeat(510))),
        &["name-too-long [ci1 ci2] "],
        "shorter",
    ),
    (
        "an unknown kind",
        |f| both(f, "lint", |p| p.kind = ProjectKind::Unknown),
        &["kind-unknown [ci1 ci2] lint"],
        "freestyle",
    ),
    (
        "a label of nobody",
        |f| both(f, "lint", |p| p.label = Some("solaris".into())),
        &["no-node [ci1 ci2] lint"],
        "label a node so",
    ),
    (
        "another kind",
        |f| one(f, "lint", |p| p.kind = ProjectKind::Maven),
        &["differs-kind [ci1 ci2] lint"],
        "Jenkins Job Builder",
    ),
    (
        "another label",
        |f| one(f, "lint", |p| p.label = Some("mac".into())),
        &["differs-label [ci1 ci2] lint"],
        "same everywhere",
    ),
    (
        "one at a time",
        |f| one(f, "lint", |p| p.concurrent = false),
        &["differs-concurrent [ci1 ci2] lint"],
        "same everywhere",
    ),
    (
        "more parameters",
        |f| one(f, "lint", |p| p.parameters.as_mut().unwrap().push(parameter("A", "Text"))),
        &["differs-parameters [ci1 ci2] lint"],
        "same everywhere",
    ),
    ("only here", |f| drop(seen(f, 1).projects.pop()), &["project-missing [ci2] team/test"], "define it there"),
    (
        "a function of nobody",
        |f| f.sent = read_payloads("build:nobody {}").unwrap(),
        &["function-unknown [] build:nobody"],
        "define the project",
    ),
    (
        "lost parameters",
        |f| {
            f.sent =
                read_payloads("build:lint:linux {\"A\": 1, \"UUID\": \"u\", \"OFFLINE_NODE_WHEN_COMPLETE\": \"1\"}")
                    .unwrap();
        },
        &["parameters-lost [ci1 ci2] lint"],
        "--jjb",
    ),
    (
        "the daemon saw what was lost",
        |f| {
            let key = (ControllerName::new("ci2"), ProjectName::new("team/test"));
            let undeclared = BTreeMap::from([(key, BTreeSet::from(["B".to_owned()]))]);
            f.daemon = Some(Daemon { undeclared, ..Daemon::default() });
        },
        &["parameters-lost [ci2] team/test"],
        "--config-xml",
    ),
];

#[test]
fn each_fault_has_exactly_its_finding_and_says_what_to_do() {
    for (what, fault, expected, words) in FAULTS {
        let mut facts = clean();
        fault(&mut facts);
        let report = examine(&facts);
        let told = told(&report);
        let fits = told.len() == expected.len()
            && told.iter().zip(*expected).all(|(told, expected)| told.starts_with(expected));
        assert!(fits, "{what}: {told:?} instead of {expected:?}");
        for finding in &report.findings {
            assert!(finding.fix.contains(words), "{what}: {}", finding.fix);
            assert!(!finding.fix.contains('\n') && !finding.seen.is_empty(), "{what}");
        }
    }
}

#[test]
fn every_code_has_a_fault_that_shows_it_and_a_line_on_the_page() {
    let shown: BTreeSet<&str> = FAULTS
        .iter()
        .flat_map(|(_, _, expected, _)| expected.iter())
        .chain(STRANGERS)
        .map(|it| it.split(' ').next().unwrap())
        .collect();
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(shown, all);
    let page = include_str!("../../docs/migrating.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let promised: BTreeMap<&str, &str> = rows.collect();
    assert_eq!(promised.keys().copied().collect::<BTreeSet<_>>(), all);
    for code in Code::ALL {
        assert!(promised[code.as_str()].starts_with(&format!(" | {} |", code.level().as_str())), "{}", code.as_str());
    }
}

const STRANGERS: &[&str] = &["host-taken", "plugin-serves", "foreign-executors"];

fn with_workers(workers: Vec<WorkerLine>) -> Facts {
    let mut facts = clean();
    facts.servers[0].seen.as_mut().unwrap().workers = workers;
    facts
}

#[test]
fn the_plugin_is_told_by_its_host_and_its_controller_by_address_or_nodes() {
    let stop = |host: &str| format!("stop:{host}");
    let manager = |host: &str, ip| worker(&format!("{host}_manager"), ip, &[&stop(host)]);
    let executor = |node: &str, ip| worker(&format!("{node}_exec-0"), ip, &["build:lint"]);
    for (workers, expected, words) in [
        (vec![manager("ci1", "10.0.0.1")], "host-taken [ci1] gear:4730", "keep host = \"ci1\""),
        (
            vec![manager("ci2.example.org", "10.0.0.1")],
            "plugin-serves [ci2] gear:4730",
            "write host = \"ci2.example.org\" into the section of controller ci2; then prepare",
        ),
        (
            vec![manager("172.17.0.1", "10.0.0.1"), executor("only-on-2", "10.0.0.1")],
            "plugin-serves [ci2] gear:4730",
            "write host = \"172.17.0.1\" into the section of controller ci2",
        ),
        (
            vec![manager("172.17.0.1", "10.0.0.1"), executor("a", "10.0.0.1")],
            "plugin-serves [] gear:4730",
            "write host = \"172.17.0.1\" into the section of the controller whose plugin it is",
        ),
        (vec![executor("a", "10.0.0.1")], "foreign-executors [] gear:4730", "off and on again"),
    ] {
        let mut facts = with_workers(workers);
        seen(&mut facts, 1).nodes.push(node("only-on-2", &[]));
        let report = examine(&facts);
        assert_eq!(told(&report), [expected]);
        assert!(report.findings[0].fix.contains(words), "{}", report.findings[0].fix);
    }
}

#[test]
fn what_a_daemon_here_has_at_the_server_is_no_stranger_and_a_second_one_of_that_name_is() {
    let ours = || vec![worker("ci1_manager", "::1", &["stop:ci1"]), worker("a_exec-0", "::1", &["build:lint"])];
    let daemon = |server: &str| Daemon {
        servers: [server.to_owned()].into(),
        client_ids: ["ci1_manager", "a_exec-0"].map(str::to_owned).into(),
        undeclared: BTreeMap::new(),
    };
    let report = |workers, daemon| examine(&Facts { daemon: Some(daemon), ..with_workers(workers) });
    assert_eq!(told(&report(ours(), daemon("gear:4730"))), [""; 0]);
    let twice = ours().into_iter().chain([worker("ci1_manager", "10.0.0.1", &["stop:ci1"])]).collect();
    assert_eq!(told(&report(twice, daemon("gear:4730"))), ["host-taken [ci1] gear:4730"]);
    assert_eq!(told(&report(ours(), daemon("another:4730"))), ["host-taken [ci1] gear:4730"]);
}

#[test]
fn what_policies_decide_is_not_guessed() {
    let mut facts = clean();
    both(&mut facts, "lint", |project| project.label = Some("solaris".into()));
    seen(&mut facts, 0).projects.push(project("web/test", None));
    seen(&mut facts, 1).projects.push(project("web/test", None));
    facts.sent = read_payloads("build:web.test {}").unwrap();
    let hooks = Ok([Hook::Naming, Hook::Matching].into());
    facts.policies.policies = Ok(vec![Policy { file: "10-a.wasm".into(), hooks }]);
    let report = examine(&facts);
    assert_eq!(told(&report), [""; 0]);
    let not_checked = report.not_checked.join("\n");
    assert!(
        not_checked.contains("clashes of names") && not_checked.contains("projects without a node"),
        "{not_checked}"
    );
}

#[test]
fn controllers_that_serve_no_builds_and_disabled_projects_have_nothing_to_declare() {
    let mut facts = clean();
    both(&mut facts, "lint", |project| {
        project.parameters = Some(Vec::new());
        project.buildable = false;
    });
    assert_eq!(told(&examine(&facts)), [""; 0]);
    facts.controllers[1].serve = false;
    seen(&mut facts, 1).projects = vec![Project { kind: ProjectKind::Maven, ..project("only here", None) }];
    assert_eq!(told(&examine(&facts)), [""; 0]);
}

#[test]
fn a_project_keeps_its_labels_if_every_node_that_may_build_it_carries_them() {
    for (label, mode, found) in [
        ("linux && !mac", Mode::Normal, "not-pinned"),
        ("linux || mac", Mode::Normal, "label-not-kept"),
        // Only the node `c` fits, and has both.
        ("mac || c", Mode::Exclusive, ""),
        ("!mac", Mode::Normal, "not-pinned"),
    ] {
        let mut facts = clean();
        both(&mut facts, "lint", |project| {
            project.label = Some(label.to_owned());
            project.parameters.as_mut().unwrap().pop();
        });
        for controller in 0..2 {
            seen(&mut facts, controller).nodes[2].mode = mode;
        }
        let codes: Vec<&str> = examine(&facts).findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes.join(" "), found, "{label}");
    }
}
