use expect_test::{Expect, expect};

use super::*;
use crate::gearman::Magic;

/// Plays a conversation and compares it with what is expected of the session.
///
/// Each line of the script is an input, or several with `;` between them before anything is written: `connect`,
/// `disconnect`, `offer NAMES..`, `forget NAMES..`, `grant`, `revoke`, `report WHAT ARGUMENTS..`, or what the server sends: `< KIND ARGUMENTS..`
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
        "forget" => session.forget(&words.collect()),
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
fn what_the_server_refused_without_a_word_is_not_withdrawn_and_may_be_offered_again() {
    check(
        "offer f g; connect
         forget g other; offer f
         offer f g
         forget g
         disconnect; connect",
        expect![[r#"
            offer f g; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO f
                > CAN_DO g
            forget g other; offer f
            offer f g
                > CAN_DO g
            forget g
                > CAN_DO g
            disconnect; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO f
                > CAN_DO g
        "#]],
    );
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
                ! Delivered { handle: b"H:1" }
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
                > GET_STATUS H:1
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
                ! Delivered { handle: b"H:1" }
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
fn lease_that_goes_between_being_woken_and_asking_sends_somebody_else() {
    check(
        "offer f; grant; connect
         < NO_JOB
         < NOOP; revoke
         grant; revoke
         grant",
        expect![[r#"
            offer f; grant; connect
                > SET_CLIENT_ID node_exec-0
                > RESET_ABILITIES
                > CAN_DO f
                > GRAB_JOB_UNIQ
            < NO_JOB
                > PRE_SLEEP
            < NOOP; revoke
                = Done
                ! Woken
            grant; revoke
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
                > GET_STATUS H:1
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
                > GET_STATUS H:1
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
                > GET_STATUS H:1
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
                ! Delivered { handle: b"H:1" }
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
                ! Delivered { handle: b"H:1" }
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

#[test]
fn settled_session_shares_its_set_with_its_owner() {
    let mut session = Session::new("node_exec-0");
    let desired = Arc::new(BTreeSet::from(["a".into(), "b".into()]));
    session.offer(Arc::clone(&desired));
    session.connected();
    session.take_packets();
    assert!(Arc::ptr_eq(session.functions(), &desired), "a thousand workers must not hold a thousand copies");
}
