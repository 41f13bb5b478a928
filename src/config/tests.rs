use std::fmt::Write as _;
use std::path::Path;

use expect_test::{Expect, expect};
use secrecy::ExposeSecret;

use super::*;

const EXAMPLE: &str = include_str!("../../layshaft.example.toml");
const CI1: &str = "[[controllers]]\nname = 'ci1'\nurl = 'http://127.0.0.1:8080/'\n";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let environment = environment.iter().copied().collect();
    Config::parse(Path::new("/etc/layshaft/layshaft.toml"), text, &environment)
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    check_with(text, &[], expected);
}

#[track_caller]
fn check_with(text: &str, environment: &[(&str, &str)], expected: Expect) {
    match parse(text, environment) {
        Ok(_) => panic!("this was accepted:\n{text}"),
        Err(error) => expected.assert_eq(&error.to_string().replace("/etc/layshaft/", "")),
    }
}

#[test]
fn a_controller_is_all_that_is_needed() {
    let config = parse(CI1, &[]).unwrap();
    assert_eq!(config.gearman.servers, ["127.0.0.1:4730"]);
    assert_eq!(config.policies.folder, Path::new("/etc/layshaft/policies"));
    assert_eq!(config.policies.state.as_deref(), Some(Path::new("/etc/layshaft/state/policies")));
    assert_eq!(config.journal.file, Path::new("/etc/layshaft/state/journal.db"));
    assert!(config.control.tcp.is_none() && config.control.socket.is_none());
    let [controller] = &config.controllers[..] else { panic!("{:?}", config.controllers) };
    assert_eq!((controller.host.as_str(), controller.serve), ("ci1", true));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn monitoring_is_served_where_the_section_says_and_not_without_one() {
    assert!(parse(&format!("[web]\n{CI1}"), &[]).unwrap().web.is_none());
    let open = format!("[web]\nlisten = '127.0.0.1:9'\nmetrics_without_token = true\n{CI1}");
    let web = parse(&open, &[]).unwrap().web.unwrap();
    assert!(web.token.is_none() && web.listen.port() == 9);
    let guarded = format!("[web]\ntoken_env = 'T'\n{CI1}");
    let environment = [("T", "scrape"), ("LAYSHAFT_WEB_LISTEN", "[::1]:9")];
    let config = parse(&guarded, &environment).unwrap();
    assert_eq!(config.web.as_ref().unwrap().token.as_ref().unwrap().expose_secret(), "scrape");
    assert_eq!(parse(&open, &[]).unwrap().needs_restart_for(&config), ["web"]);
}

#[test]
fn unknown_keys_are_errors_with_line_and_hint() {
    check(
        &format!("{CI1}tokenfile = 'x'\n\n[gearman]\nservr = 'a'\ncolour = 'red'\n[polices]\nfolder = 'x'\n"),
        expect![[r#"
            the configuration is not valid:
              layshaft.toml:4: controllers[0].tokenfile: unknown key; did you mean `token_file`?
              layshaft.toml:7: gearman.servr: unknown key; did you mean `server`?
              layshaft.toml:8: gearman.colour: unknown key; known here: server, servers, kind, connect_timeout, longest_pause, tls
              layshaft.toml:9: polices: unknown key; did you mean `policies`?"#]],
    );
    check(
        &format!("{CI1}[controllers.poll]\nnode = '3s'\n"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[0].poll.node: unknown key; did you mean `nodes`?"#]],
    );
    check(
        &format!("[policies.limits]\nfule = 1\n{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:2: policies.limits.fule: unknown key; did you mean `fuel`?"#]],
    );
    check(
        &format!("[policies.slots.a]\ngrant = ['widen']\n{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:2: policies.slots.a.grant: unknown key; did you mean `grants`?"#]],
    );
    check(
        &format!("verbose = true\n{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:1: verbose: unknown key; known here: gearman, policies, journal, control, web, builds, log, controllers"#]],
    );
}

#[test]
fn values_of_the_wrong_kind_are_errors_with_line_and_what_to_write() {
    for (text, expected) in [
        (
            "[gearman]\nserver = 4730\n",
            expect![[r#"
                the configuration is not valid:
                  layshaft.toml:2: gearman.server: integer 4730 is wrong here; write text, in quotes"#]],
        ),
        (
            "[gearman]\nkind = 'gearmn'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:2: gearman.kind: "gearmn" is none of its values; write "auto" or "gearmand" or "geard""#]],
        ),
        (
            "[gearman]\n\nconnect_timeout = '5 parsecs'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:3: gearman.connect_timeout: "5 parsecs" is not a duration such as "3s" or "5m": unknown time unit "parsecs", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations)"#]],
        ),
        (
            "gearman = 'x'\n",
            expect![[r#"
                the configuration is not valid:
                  layshaft.toml:1: gearman: string "x" is wrong here; write a section"#]],
        ),
        (
            "[builds]\npipelines = 'many'\n",
            expect![[r#"
                the configuration is not valid:
                  layshaft.toml:2: builds.pipelines: string "many" is wrong here; write "auto" or a number of slots"#]],
        ),
        (
            "[builds]\non_stuck = 'retry'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:2: builds.on_stuck: "retry" is none of its values; write "hand-back" or "fail""#]],
        ),
        (
            "[policies.slots.a]\nsha256 = 'abc'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:2: policies.slots.a.sha256: "abc" is not a sha256, which has 64 hex digits"#]],
        ),
        (
            "[policies.slots.a]\ngrants = ['all']\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:2: policies.slots.a.grants[0]: "all" is none of its values; write "widen" or "rewrite" or "veto" or "values" or "labels""#]],
        ),
        (
            "[control]\nusers = [true]\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:2: control.users: write a user's name in quotes, or the number of a user"#]],
        ),
        (
            "[log]\nformat = 'xml'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:2: log.format: "xml" is none of its values; write "auto" or "human" or "json""#]],
        ),
    ] {
        check(&format!("{text}{CI1}"), expected);
    }
}

#[test]
fn what_cannot_be_read_at_all_is_said_with_its_line() {
    check(
        "[gearman\n",
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:1: not readable as TOML: unclosed table, expected `]`"#]],
    );
    check(
        "[gearman]\nserver = 'a'\nserver = 'b'\n",
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:3: not readable as TOML: duplicate key"#]],
    );
    check(
        "",
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:1: controllers: there is none; write a [[controllers]] section with `name` and `url`"#]],
    );
}

#[test]
fn controllers_have_a_name_an_address_and_a_host_of_their_own() {
    check(
        "[[controllers]]\nurl = 'http://ci/'\n",
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:1: controllers[0].name: missing; write name = "ci1""#]],
    );
    check(
        "[[controllers]]\nname = 'ci1'\n",
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:1: controllers[0].url: missing; write url = "https://ci1.example.org/""#]],
    );
    check(
        "[[controllers]]\nname = 'ci1'\nurl = 'ftp://bot:hunter2@ci/'\n",
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:3: controllers[0].url: the controller's address must begin with http:// or https:// and a host"#]],
    );
    check(
        &format!("{CI1}{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[1].name: controllers[0] is called "ci1" too; write another name"#]],
    );
    check(
        &format!("{CI1}[[controllers]]\nname = 'ci2'\nhost = 'ci1'\nurl = 'http://ci/'\n"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:6: controllers[1].host: controllers[0] has the host "ci1" too; write host = "ANOTHER""#]],
    );
    check(
        "[[controllers]]\nname = 'ci one'\nurl = 'http://ci/'\n",
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:2: controllers[0].name: "ci one" cannot be part of a function name; write host = "ONE-WORD""#]],
    );
}

#[test]
fn bounds_are_checked_all_at_once() {
    check(
        &format!(
            "[gearman]\nserver = 'gearman://host'\nconnect_timeout = '1h'\n[builds]\nstart_within = '0s'\nmarkers = ['']\n\
             [policies]\nfolder = 'p'\nstate = 'p/state'\n[policies.limits]\nfuel = 0\n[control]\nlisten = 'everywhere'\n\
             users = ['nobody-has-this-name']\n[log]\nfilter = 'layshaft=loud'\n{CI1}[controllers.poll]\nqueue = '1ms'\n"
        ),
        expect![[r#"
            the configuration is not valid:
              layshaft.toml:2: gearman.server: "gearman://host" is not the address of a server: write HOST, HOST:PORT or [V6]:PORT
              layshaft.toml:3: gearman.connect_timeout: 1h is out of bounds; write something from "100ms" to "5m"
              layshaft.toml:5: builds.start_within: 0s is out of bounds; write something from "1s" to "30days"
              layshaft.toml:6: builds.markers[0]: is empty; write the name of a build parameter
              layshaft.toml:9: policies.state: must not be inside the folder where policies are dropped; write another path
              layshaft.toml:11: policies.limits.fuel: nothing runs with 0; leave it out for the default
              layshaft.toml:13: control.listen: "everywhere" is not an address; write "ADDRESS:PORT", such as "127.0.0.1:8730"
              layshaft.toml:13: control.listen: over TCP a token is needed; write token_file = "/path/to/a/token"
              layshaft.toml:14: control.users[0]: this machine's /etc/passwd has no user "nobody-has-this-name"; write the user's number
              layshaft.toml:16: log.filter: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5; write a level such as "info" or "layshaft=debug"
              layshaft.toml:21: controllers[0].poll.queue: 1ms is out of bounds; write something from "100ms" to "1day""#]],
    );
}

#[test]
fn a_secret_comes_from_a_file_or_a_variable_and_never_from_the_configuration() {
    check(
        &format!("{CI1}user = 'bot'\n"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:4: controllers[0].user: user "bot" needs a token; write token_file = "/path/to/a/token""#]],
    );
    check(
        &format!("{CI1}token_env = 'T'\n"),
        expect![[r#"
            the configuration is not valid:
              layshaft.toml:1: controllers[0]: a token needs its user; write user = "NAME"
              layshaft.toml:4: controllers[0].token_env: the environment has no variable T; set it before the start, or use `token_file`"#]],
    );
    check(
        &format!("{CI1}user = 'bot'\ntoken = 'hunter2'\n"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[0].token: a secret may not stand here; put it into a file and write token_file = "/path/to/it""#]],
    );
    check(
        &format!("{CI1}user = 'bot'\ntoken_env = 'T'\ntoken_file = '/t'\n"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[0].token_env: there is a token_file too; remove one of them"#]],
    );
    check(
        &format!("{CI1}user = 'bot'\ntoken_env = 'T'\n"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[0].token_env: the environment has no variable T; set it before the start, or use `token_file`"#]],
    );
    check_with(
        &format!("{CI1}user = 'bot'\ntoken_env = 'T'\n"),
        &[("T", " \n")],
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[0].token_env: the variable T is empty; it must hold the token"#]],
    );
    check_with(
        &format!("{CI1}user = 'bot'\ntoken_env = 'T'\n"),
        &[("T", "hunter\n2")],
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[0].token_env: the variable T has more than one line; it must hold the token alone"#]],
    );
    check(
        &format!("{CI1}user = 'bot'\ntoken_file = 'not-there'\n"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:5: controllers[0].token_file: cannot read not-there: No such file or directory (os error 2); put the token there, alone"#]],
    );
    check(
        &format!("[control]\ntoken_env = 'T'\n{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:2: control.token_env: the environment has no variable T; set it before the start, or use `token_file`"#]],
    );
    check(
        &format!("[web]\nlisten = '127.0.0.1:1'\n{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:2: web.listen: metrics need a token; write token_file = "/path/to/a/token", or metrics_without_token = true where only those can reach it who may see them"#]],
    );
    check_with(
        &format!("[web]\nlisten = 'here'\ntoken_env = 'T'\nmetrics_without_token = true\n{CI1}"),
        &[("T", "secret")],
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:2: web.listen: "here" is not an address; write "ADDRESS:PORT", such as "127.0.0.1:9730"
          layshaft.toml:4: web.metrics_without_token: there is a token too; remove one of them"#]],
    );
    check(
        &format!("[web]\nmetrics_without_token = true\n{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:1: web: nothing is served without `listen`; add it, such as listen = "127.0.0.1:9730""#]],
    );
    check(
        &format!("[control]\nlisten = '127.0.0.1:1'\n{CI1}"),
        expect![[r#"
        the configuration is not valid:
          layshaft.toml:2: control.listen: over TCP a token is needed; write token_file = "/path/to/a/token""#]],
    );
}

#[test]
fn a_secret_is_read_without_its_line_end_and_shows_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ci1.token"), "hunter2\n").unwrap();
    let text =
        format!("{CI1}user = 'bot'\ntoken_file = 'ci1.token'\n[control]\nlisten = '127.0.0.1:0'\ntoken_env = 'T'\n");
    let environment = [("T", "swordfish")].into_iter().collect();
    let config = Config::parse(&folder.path().join("layshaft.toml"), &text, &environment).unwrap();
    assert_eq!(config.controllers[0].credentials.token.expose_secret(), "hunter2");
    assert_eq!(config.control.tcp.as_ref().unwrap().token.expose_secret(), "swordfish");
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("swordfish"), "{shown}");
}

#[test]
fn a_token_that_everybody_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t");
    std::fs::write(&file, "hunter2").unwrap();
    let text = format!("{CI1}user = 'bot'\ntoken_file = '{}'\n", file.display());
    for (mode, warnings) in [(0o644, 1), (0o640, 0)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(parse(&text, &[]).unwrap().warnings.len(), warnings, "{mode:o}");
    }
}

#[test]
fn a_token_that_would_cross_the_network_unencrypted_is_warned_about() {
    for (url, warnings) in
        [("http://ci.example.org/", 1), ("https://ci.example.org/", 0), ("http://localhost:8080/", 0)]
    {
        let text = format!("[[controllers]]\nname = 'ci1'\nurl = '{url}'\nuser = 'bot'\ntoken_env = 'T'\n");
        assert_eq!(parse(&text, &[("T", "x")]).unwrap().warnings.len(), warnings, "{url}");
    }
}

#[test]
fn the_environment_outweighs_the_file() {
    let environment = [
        ("LAYSHAFT_GEARMAN_SERVER", "gearman.example.org"),
        ("LAYSHAFT_GEARMAN_KIND", "geard"),
        ("LAYSHAFT_BUILDS_PIPELINES", "4"),
        ("LAYSHAFT_BUILDS_START_WITHIN", "90s"),
        ("LAYSHAFT_JOURNAL_FILE", "/var/lib/layshaft/journal.db"),
        ("LAYSHAFT_POLICIES_FOLDER", "/srv/policies"),
        ("LAYSHAFT_LOG", "trace"),
    ];
    let config = parse(&format!("[gearman]\nserver = 'elsewhere:1'\n{CI1}"), &environment).unwrap();
    assert_eq!(config.gearman.servers, ["gearman.example.org:4730"]);
    assert_eq!(config.gearman.kind, Kind::Geard);
    assert_eq!(config.builds.pipelines, runtime::PipelineSlots::Fixed(4));
    assert_eq!(config.builds.start_within, Duration::from_secs(90));
    assert_eq!(config.journal.file, Path::new("/var/lib/layshaft/journal.db"));
    assert_eq!(config.policies.folder, Path::new("/srv/policies"));
    assert_eq!(config.log.filter, "info");
}

#[test]
fn servers_are_one_or_several_from_the_file_or_the_environment() {
    let several = ["a:4730", "b:1", "[::1]:4730"];
    for (text, variable, expected) in [
        ("server = 'a'", None, &several[..1]),
        ("servers = ['a', 'b:1', '::1']", None, &several),
        ("server = 'x'", Some(("LAYSHAFT_GEARMAN_SERVERS", "a, b:1,::1")), &several),
        ("servers = ['x', 'y']", Some(("LAYSHAFT_GEARMAN_SERVER", "a")), &several[..1]),
        ("servers = ['x']", Some(("LAYSHAFT_GEARMAN_SERVERS", "a,b:1")), &several[..2]),
    ] {
        let config = parse(&format!("{CI1}[gearman]\n{text}\n"), &variable.into_iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(config.gearman.servers, expected, "{text} {variable:?}");
    }
    for (text, expected) in [
        (
            "server = 'a'\nservers = ['b']\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:4: gearman: there are both `server` and `servers`; write one of them"#]],
        ),
        (
            "servers = ['a', 'b:x', 'a:4730']\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:5: gearman.servers[1]: "b:x" is not the address of a server: write HOST, HOST:PORT or [V6]:PORT
              layshaft.toml:5: gearman.servers[2]: a:4730 is there twice; an executor has one worker at each server"#]],
        ),
        (
            "servers = []\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:5: gearman.servers: names no server; write ["HOST:PORT"]"#]],
        ),
        (
            "servers = [4730]\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:5: gearman.servers[0]: integer 4730 is wrong here; write text, in quotes"#]],
        ),
    ] {
        check(&format!("{CI1}[gearman]\n{text}"), expected);
    }
}

#[test]
fn what_is_wrong_with_the_environment_is_said_of_the_variable() {
    check_with(
        CI1,
        &[("LAYSHAFT_GEARMAN_SERVR", "x")],
        expect![[r#"
        the configuration is not valid:
          LAYSHAFT_GEARMAN_SERVR: gearman.servr: unknown key; did you mean `server`?"#]],
    );
    check_with(
        CI1,
        &[("LAYSHAFT_GEARMAN_SERVER", "a b")],
        expect![[r#"
        the configuration is not valid:
          LAYSHAFT_GEARMAN_SERVER: gearman.server: "a b" is not the address of a server: write HOST, HOST:PORT or [V6]:PORT"#]],
    );
    check_with(
        CI1,
        &[("LAYSHAFT_BUILDS_START_WITHIN", "soon")],
        expect![[r#"
        the configuration is not valid:
          LAYSHAFT_BUILDS_START_WITHIN: builds.start_within: "soon" is not a duration such as "3s" or "5m": expected number at 0"#]],
    );
    check_with(
        CI1,
        &[("LAYSHAFT_CONTROL_TOKEN", "hunter2")],
        expect![[r#"
        the configuration is not valid:
          LAYSHAFT_CONTROL_TOKEN: control.token: a secret may not stand here; put it into a file and write token_file = "/path/to/it""#]],
    );
    check_with(
        CI1,
        &[("LAYSHAFT_CONTROL_USERS", "alice")],
        expect![[r#"
            the configuration is not valid:
              LAYSHAFT_CONTROL_USERS: control.users: string "alice" is wrong here; write a list, in brackets"#]],
    );
}

#[test]
fn what_needs_a_restart_is_told_from_what_does_not() {
    let before = parse(CI1, &[]).unwrap();
    for (text, sections) in [
        (CI1.to_owned(), vec![]),
        (format!("{CI1}serve = false\n[builds]\nlost_after = '1m'\n"), vec![]),
        (format!("{CI1}[gearman]\nserver = 'a'\n[log]\nfilter = 'debug'\n"), vec!["gearman", "log"]),
        (format!("{CI1}[policies]\nquiet = '1s'\n[journal]\nfile = 'x'\n"), vec!["policies", "journal"]),
        (format!("{CI1}[control]\nusers = ['root']\n"), vec!["control"]),
    ] {
        assert_eq!(before.needs_restart_for(&parse(&text, &[]).unwrap()), sections, "{text}");
    }
}

#[test]
fn a_renewed_file_of_tls_needs_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "ca");
    write_certificate(folder.path(), "ours");
    let load = || {
        let text = format!("{CI1}[gearman.tls]\nca = 'ca.pem'\ncertificate = 'ours.pem'\nkey = 'ours.key'\n");
        Config::parse(&folder.path().join("layshaft.toml"), &text, &Environment::default()).unwrap()
    };
    let mut before = load();
    assert_eq!(before.needs_restart_for(&load()), Vec::<&str>::new());
    for renewed in ["ours", "ca"] {
        write_certificate(folder.path(), renewed);
        let after = load();
        assert_eq!(before.needs_restart_for(&after), ["gearman"], "{renewed}");
        before = after;
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let error = Config::load_with(Path::new("/nowhere/layshaft.toml"), &Environment::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read the configuration /nowhere/layshaft.toml; name another one with --config"
    );
}

#[test]
fn the_example_is_a_valid_configuration_as_it_stands() {
    let config = parse(EXAMPLE, &[]).unwrap();
    assert_eq!(config.controllers.len(), 1);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn the_example_with_every_key_in_force_is_valid_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ci1.token"), "hunter2").unwrap();
    std::fs::write(folder.path().join("control.token"), "swordfish").unwrap();
    std::fs::write(folder.path().join("metrics.token"), "scrape").unwrap();
    write_certificate(folder.path(), "layshaft");
    write_certificate(folder.path(), "gearman-ca");
    // A secret has one place only.
    let text = with_every_key(EXAMPLE, &["token_env", "servers"]);
    let config = Config::parse(&folder.path().join("layshaft.toml"), &text, &Environment::default()).unwrap();
    let plain = parse(EXAMPLE, &[]).unwrap();
    assert!(config.gearman.tls.is_some());
    assert_eq!(
        Gearman { tls: None, loaded_tls: None, ..config.gearman },
        plain.gearman,
        "the example shows another default than the program has"
    );
    assert_eq!(config.policies.limits, plain.policies.limits, "the example shows another default");
    assert_eq!(config.log, plain.log, "the example shows another default than the program has");
    assert_eq!(format!("{:?}", config.builds), format!("{:?}", plain.builds), "the example shows another default");
    let [mut shown, unsaid] = [&config.controllers, &plain.controllers].map(|all| all[0].jenkins.poll.clone());
    let part = jenkins::Part::Nodes;
    assert_eq!((shown.stale_after(part), shown.gone_after()), (unsaid.stale_after(part), unsaid.gone_after()));
    (shown.stale_after, shown.gone_after) = (None, None);
    assert_eq!(shown, unsaid, "the example shows another default");
}

#[test]
fn files_for_tls_are_looked_for_beside_the_configuration_and_read() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "ca");
    write_certificate(folder.path(), "ours");
    write_certificate(folder.path(), "theirs");
    let load = |tls: &str, variables: &[(&str, &str)]| {
        let environment = variables.iter().copied().collect();
        let file = folder.path().join("layshaft.toml");
        Config::parse(&file, &format!("{CI1}[gearman.tls]\n{tls}"), &environment)
    };
    let config = load("ca = 'ca.pem'\ncertificate = 'ours.pem'\nkey = 'ours.key'\nverify = 'chain'\n", &[]).unwrap();
    let tls = config.gearman.tls.unwrap();
    assert_eq!(tls.ca, folder.path().join("ca.pem"));
    assert_eq!(tls.key, Some(folder.path().join("ours.key")));
    assert_eq!(tls.verify, crate::gearman::tls::Verify::Chain);
    let from_environment = load("", &[("LAYSHAFT_GEARMAN_TLS_CA", "ca.pem")]).unwrap();
    assert_eq!(from_environment.gearman.tls.unwrap().ca, folder.path().join("ca.pem"));
    for (tls, expected) in [
        (
            "",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:4: gearman.tls.ca: missing; write ca = "gearman-ca.pem""#]],
        ),
        (
            "ca = 'ca.pem'\nverify = 'hostname'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:6: gearman.tls.verify: "hostname" is none of its values; write "full" or "chain""#]],
        ),
        (
            "ca = 'ca.pem'\ncertificate = 'ours.pem'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:4: gearman.tls: certificate is set without key; a certificate and its key go together"#]],
        ),
        (
            "ca = 'ca.pem'\ncertificate = 'ours.pem'\nkey = 'theirs.key'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:4: gearman.tls: the key in theirs.key does not belong to the certificate in ours.pem"#]],
        ),
        (
            "ca = 'none.pem'\n",
            expect![[r#"
            the configuration is not valid:
              layshaft.toml:4: gearman.tls: failed to read the CA's certificate none.pem: No such file or directory (os error 2)"#]],
        ),
    ] {
        let error = load(tls, &[]).unwrap_err().to_string();
        expected.assert_eq(&error.replace(&format!("{}/", folder.path().display()), ""));
    }
}

/// Writes a certificate that signed itself, and its key.
fn write_certificate(folder: &Path, name: &str) {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certified.cert.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), certified.signing_key.serialize_pem()).unwrap();
}

#[test]
fn the_example_has_every_key() {
    let every = with_every_key(EXAMPLE, &[]);
    let has = |section: &str, key: &str| {
        let start = every.find(&format!("[{section}]\n")).unwrap_or_else(|| panic!("no [{section}] in the example"));
        let rest = &every[start + 1..];
        let section = &rest[..rest.find("\n[").unwrap_or(rest.len())];
        section.lines().any(|line| line.starts_with(&format!("{key} =")))
    };
    // Serde itself says which keys there are.
    for (section, prefix) in [
        ("gearman", "[gearman]\n"),
        ("gearman.tls", "[gearman.tls]\n"),
        ("policies", "[policies]\n"),
        ("policies.limits", "[policies.limits]\n"),
        ("policies.gates", "[policies.gates]\n"),
        ("policies.log", "[policies.log]\n"),
        ("policies.slots.label-hierarchy", "[policies.slots.x]\n"),
        ("journal", "[journal]\n"),
        ("control", "[control]\n"),
        ("builds", "[builds]\n"),
        ("log", "[log]\n"),
        ("[controllers]", "[[controllers]]\nname = 'x'\nurl = 'http://x/'\n"),
        ("controllers.poll", "[[controllers]]\nname = 'x'\nurl = 'http://x/'\n[controllers.poll]\n"),
    ] {
        let error = parse(&format!("{prefix}zzzzzzzzzzzzzzzzzz = 1\n"), &[]).unwrap_err().to_string();
        let known = error.split("known here: ").nth(1).unwrap_or_else(|| panic!("no keys in: {error}"));
        for key in known.lines().next().unwrap().split(", ") {
            let is_a_section = ["limits", "gates", "keys", "slots", "poll", "tls"].contains(&key)
                || prefix == "[policies]\n" && key == "log";
            assert!(is_a_section || has(section, key), "[{section}] of the example has no {key}");
        }
    }
}

/// Takes the comment signs from the keys, but for some.
fn with_every_key(example: &str, but: &[&str]) -> String {
    let mut text = String::new();
    for line in example.lines() {
        let key = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        let key = key.filter(|rest| !but.iter().any(|but| rest.starts_with(but)));
        writeln!(text, "{}", key.unwrap_or(line)).unwrap();
    }
    text
}
