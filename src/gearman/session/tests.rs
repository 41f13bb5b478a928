use expect_test::{Expect, expect};

use super::*;
use crate::gearman::Magic;

/// Plays a conversation and compares it with what is expected of the session.
///
/// Each line of the script is an input, or several with `;` between them before anything is written: `connect`,
/// `disconnect`, `offer NAMES..`, `grant`, `revoke`, `report WHAT ARGUMENTS..`, or what the server sends: `< KIND ARGUMENTS..`
/// (`-` is empty). Answers are indented: `>` is written, `!` is for the owner.
#[track_caller]
fn check(script: &str, expected: Expect) {
    let mut session = Session::new("node_exec-0");
    let mut transcript = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        transcript.push(line.to_owned());
        for input in line.split(';') {
            if let Some(answer) = feed(&mut session, input.trim()) {
                transcript.push(format!("    = {answer}"));
            }
        }
        while let Some(event) = session.next_event() {
            transcript.push(format!("    ! {event:?}"));
        }
        for packet in session.take_packets() {
            assert_eq!(packet.magic, Magic::Request);
            transcript.push(format!("    > {}", shown(&packet)));
        }
    }
    transcript.push(String::new());
    expected.assert_eq(&transcript.join("\n"));
}

fn feed(session: &mut Session, input: &str) -> Option<String> {
    let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
    let words = rest.split_whitespace().map(|word| Bytes::from(if word == "-" { "" } else { word }.to_owned()));
    match verb {
        "connect" => session.connected(),
        "disconnect" => return session.disconnected().map(|job| format!("{job:?}")),
        "offer" => session.offer(words.collect::<BTreeSet<_>>()),
        "grant" => session.grant(),
        "revoke" => return Some(format!("{:?}", session.revoke())),
        "report" => return (!session.report(report(rest))).then(|| "nobody to report for".to_owned()),
        "<" => {
            let (name, _) = rest.split_once(' ').unwrap_or((rest, ""));
            session.receive(match Kind::ALL.iter().find(|kind| kind.name() == name) {
                Some(&kind) => Frame::Packet(Packet::from_parts(Magic::Response, kind, words.skip(1).collect())),
                None => Frame::Unknown { magic: Magic::Response, number: 4711 },
            });
        }
        _ => panic!("the script says {input:?}"),
    }
    None
}

fn report(words: &str) -> Report {
    let mut words = words.split_whitespace();
    let what = words.next().unwrap();
    let mut number = || words.next().unwrap().parse().unwrap();
    match what {
        "status" => Report::Status { numerator: number(), denominator: number() },
        "fail" => Report::Fail,
        "data" => Report::Data(words.collect::<String>().into()),
        "warning" => Report::Warning(words.collect::<String>().into()),
        "complete" => Report::Complete(words.collect::<String>().into()),
        "exception" => Report::Exception(words.collect::<String>().into()),
        _ => panic!("the script reports {what:?}"),
    }
}

fn shown(packet: &Packet) -> String {
    let arguments = packet.arguments().iter().map(|argument| String::from_utf8_lossy(argument).into_owned());
    std::iter::once(packet.kind.name().to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_build_goes_over_the_wire_in_the_order_that_clients_know() {
    check(
        "offer build:lemon build:lemon:fruit; grant
         connect
         < JOB_ASSIGN_UNIQ H:1 build:lemon u-1 {}
         report data {start}; report status 0 60000
         offer build:lemon build:melon
         report complete {end}
         < NO_JOB
         < NOOP
         < NO_JOB",
        expect![[r#"
            offer build:lemon build:lemon:fruit; grant
            connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO build:lemon
                > CAN_DO build:lemon:fruit
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 build:lemon u-1 {}
                ! Assigned(Job { handle: b"H:1", function: b"build:lemon", unique: b"u-1", payload: 2 bytes })
            report data {start}; report status 0 60000
                > WORK_DATA H:1 {start}
                > WORK_STATUS H:1 0 60000
            offer build:lemon build:melon
                > CAN_DO build:melon
                > CANT_DO build:lemon:fruit
            report complete {end}
                > WORK_COMPLETE H:1 {end}
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
            < NOOP
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
        "#]],
    );
}

#[test]
fn connection_starts_clean_and_does_not_grab_without_lease_or_function() {
    check(
        "connect",
        expect![[r#"
        connect
            > SET_CLIENT_ID node_exec-0
            > RESET_ABILITIES
    "#]],
    );
    check(
        "grant; connect",
        expect![[r#"
        grant; connect
            > SET_CLIENT_ID node_exec-0
            > RESET_ABILITIES
    "#]],
    );
    check(
        "offer b a; connect",
        expect![[r#"
        offer b a; connect
            > SET_CLIENT_ID node_exec-0
            > RESET_ABILITIES
            > CAN_DO a
            > CAN_DO b
    "#]],
    );
    check(
        "offer a; connect; grant",
        expect![[r#"
        offer a; connect; grant
            > SET_CLIENT_ID node_exec-0
            > RESET_ABILITIES
            > CAN_DO a
            > GRAB_JOB_UNIQ
    "#]],
    );
}

#[test]
fn registration_is_a_delta_and_a_leased_worker_grabs_once_after_it() {
    check(
        "offer a b; connect
         offer a b
         offer b c
         grant
         < NO_JOB
         offer b c
         offer b c d
         < NO_JOB
         offer c d; offer c d e; offer c d
         < NO_JOB
         offer
         offer a",
        expect![[r#"
            offer a b; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > CAN_DO b
            offer a b
            offer b c
                > CAN_DO c
                > CANT_DO a
            grant
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
            offer b c
            offer b c d
                > CAN_DO d
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
            offer c d; offer c d e; offer c d
                > CANT_DO b
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
            offer
                > RESET_ABILITIES
            offer a
                > CAN_DO a
                > GRAB_JOB_UNIQ
        "#]],
    );
}

#[test]
fn functions_change_while_a_job_runs_but_its_own_stays_until_its_end() {
    check(
        "offer a b; grant; connect
         < JOB_ASSIGN_UNIQ H:1 a - -
         offer c
         offer
         offer a
         offer
         report complete done
         offer a",
        expect![[r#"
            offer a b; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > CAN_DO b
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 a - -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"", payload: 0 bytes })
            offer c
                > CAN_DO c
                > CANT_DO b
            offer
                > CANT_DO c
            offer a
            offer
            report complete done
                > WORK_COMPLETE H:1 done
                > RESET_ABILITIES
            offer a
                > CAN_DO a
                > GRAB_JOB_UNIQ
        "#]],
    );
}

#[test]
fn function_of_the_running_job_that_is_wanted_again_is_left_alone() {
    check(
        "offer a b; grant; connect
         < JOB_ASSIGN_UNIQ H:1 a - -
         offer b
         offer a b
         report fail",
        expect![[r#"
            offer a b; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > CAN_DO b
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 a - -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"", payload: 0 bytes })
            offer b
            offer a b
            report fail
                > WORK_FAIL H:1
                > GRAB_JOB_UNIQ
        "#]],
    );
}

#[test]
fn nothing_is_withdrawn_while_a_job_may_be_on_its_way() {
    check(
        "offer a b; grant; connect
         offer b c
         < JOB_ASSIGN_UNIQ H:1 a - -
         report complete done
         < NO_JOB",
        expect![[r#"
            offer a b; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > CAN_DO b
                > GRAB_JOB_UNIQ
            offer b c
                > CAN_DO c
            < JOB_ASSIGN_UNIQ H:1 a - -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"", payload: 0 bytes })
            report complete done
                > WORK_COMPLETE H:1 done
                > CANT_DO a
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
        "#]],
    );
    check(
        "offer a; grant; connect
         offer
         < NO_JOB
         < NO_JOB",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            offer
            < NO_JOB
                > RESET_ABILITIES
            < NO_JOB
        "#]],
    );
}

#[test]
fn functions_added_behind_a_grab_are_asked_for_by_another_one() {
    check(
        "offer a; grant; connect
         offer a b
         < NO_JOB
         < NO_JOB",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            offer a b
                > CAN_DO b
            < NO_JOB
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
        "#]],
    );
}

#[test]
fn without_lease_nothing_is_asked_and_a_lease_grabs_at_once() {
    check(
        "offer a; connect
         < NOOP
         offer a b
         grant
         < NO_JOB
         revoke
         < NOOP
         < NOOP
         grant
         < NO_JOB
         revoke
         grant",
        expect![[r#"
            offer a; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
            < NOOP
            offer a b
                > CAN_DO b
            grant
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
            revoke
                = Done
            < NOOP
                ! Woken
            < NOOP
            grant
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
            revoke
                = Done
            grant
                > GRAB_JOB_UNIQ
        "#]],
    );
}

#[test]
fn lease_revoked_during_a_grab_is_settled_by_its_answer() {
    check(
        "offer a; grant; connect
         revoke
         < NO_JOB
         grant
         revoke
         < JOB_ASSIGN_UNIQ H:1 a u -
         report complete done
         grant",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            revoke
                = AwaitGrab
            < NO_JOB
                ! Revoked
            grant
                > GRAB_JOB_UNIQ
            revoke
                = AwaitGrab
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
            report complete done
                > WORK_COMPLETE H:1 done
            grant
                > GRAB_JOB_UNIQ
        "#]],
    );
}

#[test]
fn lease_that_comes_and_goes_before_anything_is_written_costs_nothing() {
    check(
        "offer a; connect
         grant; revoke
         grant; revoke; grant
         < JOB_ASSIGN_UNIQ H:1 a u -
         report complete done; revoke",
        expect![[r#"
            offer a; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
            grant; revoke
                = Done
            grant; revoke; grant
                = Done
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
            report complete done; revoke
                = Done
                > WORK_COMPLETE H:1 done
        "#]],
    );
}

#[test]
fn job_of_a_function_that_is_not_offered_is_still_a_job() {
    check(
        "offer a; grant; connect
         < JOB_ASSIGN_UNIQ H:1 zzz u -
         offer
         report fail",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 zzz u -
                ! Assigned(Job { handle: b"H:1", function: b"zzz", unique: b"u", payload: 0 bytes })
            offer
                > CANT_DO a
            report fail
                > WORK_FAIL H:1
        "#]],
    );
}

#[test]
fn other_forms_of_assignment_are_understood() {
    check(
        "offer a; grant; connect
         < JOB_ASSIGN H:1 a payload
         report complete done
         < JOB_ASSIGN_ALL H:2 a u reducer payload",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN H:1 a payload
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"", payload: 7 bytes })
            report complete done
                > WORK_COMPLETE H:1 done
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_ALL H:2 a u reducer payload
                ! Assigned(Job { handle: b"H:2", function: b"a", unique: b"u", payload: 7 bytes })
        "#]],
    );
}

#[test]
fn nothing_is_said_about_a_job_after_its_end() {
    check(
        "offer a; grant; connect
         report data early
         < JOB_ASSIGN_UNIQ H:1 a u -
         report warning careful; report exception trace; report fail; report data late; report complete done",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            report data early
                = nobody to report for
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
            report warning careful; report exception trace; report fail; report data late; report complete done
                = nobody to report for
                = nobody to report for
                = nobody to report for
                > WORK_WARNING H:1 careful
                > WORK_EXCEPTION H:1 trace
                > GRAB_JOB_UNIQ
        "#]],
    );
}

#[test]
fn result_of_a_cancelled_job_is_refused_and_the_next_job_comes_all_the_same() {
    check(
        "offer a; grant; connect
         < JOB_ASSIGN_UNIQ H:1 a u -
         report status 1 2
         < ERROR JOB_NOT_FOUND cancelled
         report complete done
         < ERROR JOB_NOT_FOUND cancelled; < JOB_ASSIGN_UNIQ H:2 a u -",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
            report status 1 2
                > WORK_STATUS H:1 1 2
            < ERROR JOB_NOT_FOUND cancelled
                ! Refused { code: "JOB_NOT_FOUND", text: "cancelled", handle: Some(b"H:1") }
            report complete done
                > WORK_COMPLETE H:1 done
                > GRAB_JOB_UNIQ
            < ERROR JOB_NOT_FOUND cancelled; < JOB_ASSIGN_UNIQ H:2 a u -
                ! Refused { code: "JOB_NOT_FOUND", text: "cancelled", handle: None }
                ! Assigned(Job { handle: b"H:2", function: b"a", unique: b"u", payload: 0 bytes })
        "#]],
    );
}

#[test]
fn refused_grab_counts_as_no_job_and_a_late_answer_to_it_as_an_answer() {
    check(
        "offer a; grant; connect
         < ERROR INVALID_PACKET what
         < NO_JOB
         < NOOP
         < ERROR INVALID_PACKET what
         < JOB_ASSIGN_UNIQ H:1 a u -",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            < ERROR INVALID_PACKET what
                ! Refused { code: "INVALID_PACKET", text: "what", handle: None }
                > PRE_SLEEP
            < NO_JOB
            < NOOP
                > GRAB_JOB_UNIQ
            < ERROR INVALID_PACKET what
                ! Refused { code: "INVALID_PACKET", text: "what", handle: None }
                > PRE_SLEEP
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
        "#]],
    );
}

#[test]
fn server_that_refuses_every_grab_is_left_to_the_back_off() {
    check(
        "offer a; grant; connect
         < ERROR INVALID_COMMAND what
         < NOOP
         < ERROR INVALID_COMMAND what
         < NOOP
         < ERROR INVALID_COMMAND what",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            < ERROR INVALID_COMMAND what
                ! Refused { code: "INVALID_COMMAND", text: "what", handle: None }
                > PRE_SLEEP
            < NOOP
                > GRAB_JOB_UNIQ
            < ERROR INVALID_COMMAND what
                ! Refused { code: "INVALID_COMMAND", text: "what", handle: None }
                > PRE_SLEEP
            < NOOP
                > GRAB_JOB_UNIQ
            < ERROR INVALID_COMMAND what
                ! Refused { code: "INVALID_COMMAND", text: "what", handle: None }
                ! Violated("server keeps refusing to be asked for jobs")
                > PRE_SLEEP
        "#]],
    );
}

#[test]
fn what_means_nothing_is_survived() {
    check(
        "offer a; grant; connect
         < NOOP; < NOOP; < ECHO_RES -; < JOB_CREATED H:9; < WHAT_IS_THIS; < ERROR JOB_NOT_FOUND x
         < NO_JOB
         < NO_JOB; < ECHO_RES -; < WHAT_IS_THIS; < ERROR UNKNOWN x
         < NOOP; < NOOP
         < JOB_ASSIGN_UNIQ H:1 a u -
         < NOOP; < NO_JOB; < ECHO_RES -; < ERROR UNKNOWN x",
        expect![[r#"
            offer a; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            < NOOP; < NOOP; < ECHO_RES -; < JOB_CREATED H:9; < WHAT_IS_THIS; < ERROR JOB_NOT_FOUND x
                ! Refused { code: "JOB_NOT_FOUND", text: "x", handle: None }
            < NO_JOB
                > PRE_SLEEP
            < NO_JOB; < ECHO_RES -; < WHAT_IS_THIS; < ERROR UNKNOWN x
                ! Refused { code: "UNKNOWN", text: "x", handle: None }
            < NOOP; < NOOP
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
            < NOOP; < NO_JOB; < ECHO_RES -; < ERROR UNKNOWN x
                ! Refused { code: "UNKNOWN", text: "x", handle: Some(b"H:1") }
        "#]],
    );
}

#[test]
fn jobs_that_were_not_asked_for_are_handed_back() {
    check(
        "offer a; connect
         < JOB_ASSIGN_UNIQ H:1 a u -
         disconnect
         connect; grant
         < JOB_ASSIGN_UNIQ H:1 a u -
         < JOB_ASSIGN_UNIQ H:2 a u -
         disconnect",
        expect![[r#"
            offer a; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Violated("server assigned a job that was not asked for")
            disconnect
            connect; grant
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
            < JOB_ASSIGN_UNIQ H:2 a u -
                ! Violated("server assigned a job while another one runs")
            disconnect
                = Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes }
        "#]],
    );
}

#[test]
fn new_connection_starts_from_nothing_and_keeps_the_lease() {
    check(
        "offer a b; grant; connect
         < JOB_ASSIGN_UNIQ H:1 a u -
         disconnect; report complete done
         < JOB_ASSIGN_UNIQ H:2 a u -
         connect
         disconnect
         offer c; revoke
         connect",
        expect![[r#"
            offer a b; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > CAN_DO b
                > GRAB_JOB_UNIQ
            < JOB_ASSIGN_UNIQ H:1 a u -
                ! Assigned(Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes })
            disconnect; report complete done
                = Job { handle: b"H:1", function: b"a", unique: b"u", payload: 0 bytes }
                = nobody to report for
            < JOB_ASSIGN_UNIQ H:2 a u -
            connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO a
                > CAN_DO b
                > GRAB_JOB_UNIQ
            disconnect
            offer c; revoke
                = Done
            connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO c
        "#]],
    );
}

#[test]
fn text_of_an_error_is_made_short_and_harmless() {
    let mut session = Session::new("node_exec-0");
    session.connected();
    let text = Bytes::from(format!("a\u{1b}[2J\r\n{}", "x".repeat(1000)));
    session.receive(Frame::Packet(Packet::response(Kind::Error, ["CODE".into(), text])));
    let Some(Event::Refused { text, .. }) = session.next_event() else { panic!("no event") };
    assert!(text.starts_with("a [2J  xxx"));
    assert_eq!(text.len(), ERROR_TEXT_KEPT);
}

mod random {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Input {
        Connect,
        Disconnect,
        Offer(BTreeSet<Bytes>),
        Grant,
        Revoke,
        Report(Report),
        Answer(Option<&'static str>),
        Refuse(&'static str),
        Wake,
        Rogue(Kind),
        Write,
    }

    const FUNCTIONS: [&str; 4] = ["a", "b", "c", "d"];

    fn input() -> impl Strategy<Value = Input> {
        let function = prop::sample::select(vec!["a", "b", "c", "d", "never offered"]);
        let functions = prop::collection::btree_set(prop::sample::select(&FUNCTIONS[..]).prop_map(Bytes::from), 0..4);
        let report = prop::sample::select(vec![
            Report::Data(Bytes::new()),
            Report::Status { numerator: 1, denominator: -1 },
            Report::Warning(Bytes::new()),
            Report::Complete(Bytes::new()),
            Report::Fail,
            Report::Exception(Bytes::new()),
        ]);
        prop_oneof![
            1 => Just(Input::Connect),
            1 => Just(Input::Disconnect),
            4 => functions.prop_map(Input::Offer),
            3 => Just(Input::Grant),
            2 => Just(Input::Revoke),
            4 => report.prop_map(Input::Report),
            6 => prop::option::weighted(0.6, function).prop_map(Input::Answer),
            1 => prop::sample::select(vec!["JOB_NOT_FOUND", "INVALID_PACKET"]).prop_map(Input::Refuse),
            3 => Just(Input::Wake),
            1 => prop::sample::select(Kind::ALL).prop_map(Input::Rogue),
            9 => Just(Input::Write),
        ]
    }

    /// What a server sees of a worker, and what it must never see.
    #[derive(Debug, Default)]
    struct Observer {
        greeted: bool,
        offered: BTreeSet<Bytes>,
        grab_is_out: bool,
        asleep: bool,
        answered_with_nothing: bool,
        running: Option<(Bytes, Bytes)>,
        jobs: u32,
    }

    impl Observer {
        fn see(&mut self, packet: &Packet, leased: bool) {
            let argument = || packet.argument(0).clone();
            match packet.kind {
                Kind::SetClientId => assert!(!self.greeted, "greeted twice"),
                Kind::ResetAbilities => {
                    assert!(self.running.is_none(), "reset while a job runs");
                    assert!(!self.grab_is_out, "reset while a job may be on its way");
                    self.offered.clear();
                    self.greeted = true;
                }
                Kind::CanDo => assert!(self.offered.insert(argument()), "offered twice: {packet:?}"),
                Kind::CantDo => {
                    assert!(self.offered.remove(&argument()), "withdrew what was not offered: {packet:?}");
                    assert!(!self.grab_is_out, "withdrew while a job may be on its way");
                    assert!(
                        self.running.as_ref().is_none_or(|(_, function)| *function != argument()),
                        "withdrew {packet:?}"
                    );
                }
                Kind::GrabJobUniq => {
                    assert!(leased, "grabbed without a lease");
                    assert!(!self.grab_is_out, "two grabs under way");
                    assert!(self.running.is_none(), "grabbed while a job runs");
                    assert!(!self.offered.is_empty(), "grabbed without a function");
                    (self.grab_is_out, self.asleep, self.answered_with_nothing) = (true, false, false);
                }
                Kind::PreSleep => {
                    assert!(leased, "slept without a lease");
                    assert!(self.answered_with_nothing, "slept without having heard NO_JOB");
                    (self.asleep, self.answered_with_nothing) = (true, false);
                }
                Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => {
                    assert_eq!(self.running.as_ref().map(|(handle, _)| handle.clone()), Some(argument()));
                }
                Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => {
                    assert_eq!(self.running.take().map(|(handle, _)| handle), Some(argument()));
                }
                kind => panic!("sent {}", kind.name()),
            }
        }

        fn write(&mut self, session: &mut Session) {
            for packet in session.take_packets() {
                assert!(self.greeted || matches!(packet.kind, Kind::SetClientId | Kind::ResetAbilities));
                self.see(&packet, session.is_leased());
            }
            assert_eq!(self.offered, **session.functions());
            assert_eq!(self.grab_is_out, session.is_grabbing());
            if self.greeted && !self.grab_is_out && self.running.is_none() {
                assert_eq!(self.offered, *session.desired, "an idle worker owes nothing");
                let is_up_for_work = self.asleep || !session.is_leased() || self.offered.is_empty();
                assert!(is_up_for_work, "a leased worker neither asks nor sleeps");
            }
        }

        fn forget(&mut self) {
            *self = Self { jobs: self.jobs, ..Self::default() };
        }
    }

    fn play(inputs: Vec<Input>) {
        let mut session = Session::new("id");
        let mut observer = Observer::default();
        for input in inputs {
            let response = |kind, arguments: &[&str]| {
                let arguments = arguments.iter().map(|argument| Bytes::copy_from_slice(argument.as_bytes()));
                Frame::Packet(Packet::from_parts(Magic::Response, kind, arguments.collect()))
            };
            match input {
                Input::Connect => {
                    observer.forget();
                    session.connected();
                }
                Input::Disconnect => {
                    observer.forget();
                    session.disconnected();
                }
                Input::Offer(functions) => session.offer(functions),
                Input::Grant => session.grant(),
                Input::Revoke => {
                    let grab_is_out = session.is_grabbing();
                    assert_eq!(session.revoke() == Revocation::AwaitGrab, grab_is_out);
                }
                Input::Report(report) => {
                    let was_running = session.job().is_some();
                    assert_eq!(session.report(report), was_running);
                }
                Input::Answer(Some(function)) if observer.grab_is_out => {
                    observer.jobs += 1;
                    let handle = format!("H:{}", observer.jobs);
                    session.receive(response(Kind::JobAssignUniq, &[&handle, function, "u", "p"]));
                    observer.grab_is_out = false;
                    observer.running = Some((handle.into(), function.into()));
                }
                Input::Answer(None) if observer.grab_is_out => {
                    session.receive(response(Kind::NoJob, &[]));
                    (observer.grab_is_out, observer.answered_with_nothing) = (false, true);
                }
                Input::Answer(_) => {}
                Input::Refuse(code) => {
                    session.receive(response(Kind::Error, &[code, "text"]));
                    if code != "JOB_NOT_FOUND" && observer.grab_is_out {
                        (observer.grab_is_out, observer.answered_with_nothing) = (false, true);
                    }
                }
                Input::Wake => {
                    session.receive(response(Kind::Noop, &[]));
                    observer.asleep = false;
                }
                Input::Rogue(Kind::Error | Kind::NoJob | Kind::Noop) => {}
                Input::Rogue(kind) if kind.name().starts_with("JOB_ASSIGN") && observer.grab_is_out => {}
                Input::Rogue(kind) => session.receive(response(kind, &vec!["x"; kind.arguments().len()])),
                Input::Write => observer.write(&mut session),
            }
            let mut violated = false;
            while let Some(event) = session.next_event() {
                match event {
                    Event::Violated(_) => violated = true,
                    Event::Assigned(job) => {
                        // A rogue assignment may pass for the late answer to a refused grab.
                        observer.running = Some((job.handle, job.function));
                        observer.answered_with_nothing = false;
                    }
                    Event::Woken | Event::Revoked => assert!(!session.is_leased()),
                    Event::Refused { .. } => {}
                }
            }
            if violated {
                observer.forget();
                session.disconnected();
            }
        }
        observer.write(&mut session);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn no_conversation_breaks_a_rule(inputs in prop::collection::vec(input(), 0..80)) {
            play(inputs);
        }
    }
}
