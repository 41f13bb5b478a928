//! The rules, one conversation each.
//!
//! A line `A > ...` is what connection A sends and is indented under what it causes: `B < ...` is what B is sent then.
//! A connection begins when it is first named. Arguments are words; `''` is an empty one. `A : ...` is a line of text,
//! `A closes` a lost connection. `time passes N` lets so many milliseconds go by from second 1000 on, and `store keeps`
//! or `store fails` is what becomes of what the store was asked to do. Run with UPDATE_EXPECT=1 to see what the server
//! would answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use expect_test::{Expect, expect};

use super::peer::ConnectionId;
use super::state::Settings;
use super::trial::{Action, Trial};
use crate::gearman::codec::Frame;
use crate::gearman::{Kind, Magic, Packet};

#[test]
fn a_job_goes_to_a_worker_and_its_result_to_the_client() {
    check(expect![[r"
        w > CAN_DO f
        w > GRAB_JOB_UNIQ
          w < NO_JOB
        w > PRE_SLEEP
        c > SUBMIT_JOB f u1 payload
          w < NOOP
          c < JOB_CREATED H:test:1
        w > GRAB_JOB_UNIQ
          w < JOB_ASSIGN_UNIQ H:test:1 f u1 payload
        w > WORK_DATA H:test:1 some
          c < WORK_DATA H:test:1 some
        w > WORK_WARNING H:test:1 careful
          c < WORK_WARNING H:test:1 careful
        w > WORK_STATUS H:test:1 3 9
          c < WORK_STATUS H:test:1 3 9
        c > GET_STATUS H:test:1
          c < STATUS_RES H:test:1 1 1 3 9
        w > WORK_COMPLETE H:test:1 done
          c < WORK_COMPLETE H:test:1 done
        c > GET_STATUS H:test:1
          c < STATUS_RES H:test:1 0 0 0 0
    "]]);
}

#[test]
fn each_grab_is_answered_in_its_own_form() {
    check(expect![[r"
        c > SUBMIT_JOB f a 1
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB f b 2
          c < JOB_CREATED H:test:2
        c > SUBMIT_JOB f c 3
          c < JOB_CREATED H:test:3
        c > SUBMIT_REDUCE_JOB f d r '' 4
          c < JOB_CREATED H:test:4
        w > CAN_DO f
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > GRAB_JOB_UNIQ
          w < JOB_ASSIGN_UNIQ H:test:2 f b 2
        w > GRAB_JOB_ALL
          w < JOB_ASSIGN_UNIQ H:test:3 f c 3
        w > GRAB_JOB_ALL
          w < JOB_ASSIGN_ALL H:test:4 f d r 4
        w > GRAB_JOB_ALL
          w < NO_JOB
    "]]);
}

#[test]
fn an_equal_unique_joins_the_job_of_its_function_waiting_or_running() {
    check(expect![[r"
        a > SUBMIT_JOB f u first
          a < JOB_CREATED H:test:1
        b > SUBMIT_JOB f u second
          b < JOB_CREATED H:test:1
        b > SUBMIT_JOB g u other
          b < JOB_CREATED H:test:2
        w > CAN_DO f
        w > GRAB_JOB_UNIQ
          w < JOB_ASSIGN_UNIQ H:test:1 f u first
        c > SUBMIT_JOB_HIGH f u third
          c < JOB_CREATED H:test:1
        c > GET_STATUS_UNIQUE u
          c < STATUS_RES_UNIQUE u 1 1 0 0 3
        w > WORK_COMPLETE H:test:1 r
          a < WORK_COMPLETE H:test:1 r
          b < WORK_COMPLETE H:test:1 r
          c < WORK_COMPLETE H:test:1 r
        c > SUBMIT_JOB f u fourth
          c < JOB_CREATED H:test:3
        c > GET_STATUS_UNIQUE none
          c < STATUS_RES_UNIQUE none 0 0 0 0 0
    "]]);
}

#[test]
fn a_dash_joins_by_payload_and_an_empty_unique_never() {
    check(expect![[r"
        a > SUBMIT_JOB_BG f - same
          a < JOB_CREATED H:test:1
        a > SUBMIT_JOB_BG f - same
          a < JOB_CREATED H:test:1
        a > SUBMIT_JOB_BG f - other
          a < JOB_CREATED H:test:2
        a > SUBMIT_JOB_BG g - same
          a < JOB_CREATED H:test:3
        a > SUBMIT_JOB_BG f - ''
          a < JOB_CREATED H:test:4
        a > SUBMIT_JOB_BG f - ''
          a < JOB_CREATED H:test:5
        a > SUBMIT_JOB_BG f '' same
          a < JOB_CREATED H:test:6
        a > SUBMIT_JOB_BG f '' same
          a < JOB_CREATED H:test:7
    "]]);
}

#[test]
fn a_connection_that_submits_twice_is_told_twice() {
    check(expect![[r"
        a > SUBMIT_JOB f u p
          a < JOB_CREATED H:test:1
        a > SUBMIT_JOB f u p
          a < JOB_CREATED H:test:1
        w > CAN_DO f
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f p
        w > WORK_FAIL H:test:1
          a < WORK_FAIL H:test:1
          a < WORK_FAIL H:test:1
    "]]);
}

#[test]
fn the_most_urgent_job_of_any_function_goes_first_and_the_oldest_among_equals() {
    check(expect![[r"
        c > SUBMIT_JOB_LOW_BG f a low
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB_BG g b normal
          c < JOB_CREATED H:test:2
        c > SUBMIT_JOB_BG f c normal
          c < JOB_CREATED H:test:3
        c > SUBMIT_JOB_HIGH_BG h d high
          c < JOB_CREATED H:test:4
        c > SUBMIT_JOB_HIGH_BG f e high
          c < JOB_CREATED H:test:5
        c : prioritystatus
          c < f	1	1	1	0
          c < g	0	1	0	0
          c < h	1	0	0	0
          c < .
        w > CAN_DO f
        w > CAN_DO g
        w > CAN_DO h
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:4 h high
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:5 f high
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:2 g normal
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:3 f normal
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f low
    "]]);
}

#[test]
fn a_noop_is_not_repeated_until_the_worker_grabs() {
    check(expect![[r"
        w > CAN_DO f
        w > PRE_SLEEP
        v > CAN_DO f
        v > CAN_DO g
        v > PRE_SLEEP
        c > SUBMIT_JOB_BG f '' 1
          w < NOOP
          v < NOOP
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB_BG f '' 2
          c < JOB_CREATED H:test:2
        c > SUBMIT_JOB_BG g '' 3
          c < JOB_CREATED H:test:3
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:2 f 2
        w > GRAB_JOB
          w < NO_JOB
        w > PRE_SLEEP
        c > SUBMIT_JOB_BG f '' 4
          w < NOOP
          c < JOB_CREATED H:test:4
    "]]);
}

#[test]
fn pre_sleep_with_a_job_waiting_is_answered_each_time_and_registering_never() {
    check(expect![[r"
        c > SUBMIT_JOB_BG f '' 1
          c < JOB_CREATED H:test:1
        w > CAN_DO f
        w > PRE_SLEEP
          w < NOOP
        w > PRE_SLEEP
          w < NOOP
        v > CAN_DO g
        v > PRE_SLEEP
        v > CAN_DO f
        v > GRAB_JOB
          v < JOB_ASSIGN H:test:1 f 1
    "]]);
}

#[test]
fn withdrawing_a_function_hands_its_running_jobs_back_at_once() {
    check(expect![[r"
        c > SUBMIT_JOB f u 1
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB g u 2
          c < JOB_CREATED H:test:2
        w > CAN_DO f
        w > CAN_DO g
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:2 g 2
        v > CAN_DO f
        v > PRE_SLEEP
        w > CANT_DO f
          v < NOOP
        c : status
          c < f	1	0	1
          c < g	1	1	1
          c < .
        v > GRAB_JOB_UNIQ
          v < JOB_ASSIGN_UNIQ H:test:1 f u 1
        w > WORK_DATA H:test:1 late
          w < ERROR JOB_NOT_FOUND Job+does+not+exist+on+server
        w > WORK_COMPLETE H:test:1 late
          w < ERROR JOB_NOT_FOUND Job+given+in+work+result+not+found
        v > WORK_COMPLETE H:test:1 new
          c < WORK_COMPLETE H:test:1 new
        w > RESET_ABILITIES
        w > CANT_DO never-offered
        c : status
          c < f	0	0	1
          c < g	1	0	0
          c < .
        w > GRAB_JOB
          w < NO_JOB
    "]]);
}

#[test]
fn a_lost_worker_hands_its_job_back_under_the_same_handle_behind_the_others() {
    check(expect![[r"
        c > SUBMIT_JOB f a 1
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB f b 2
          c < JOB_CREATED H:test:2
        w > CAN_DO f
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > WORK_STATUS H:test:1 1 2
          c < WORK_STATUS H:test:1 1 2
        w closes
        c > GET_STATUS H:test:1
          c < STATUS_RES H:test:1 1 0 0 0
        c : show jobs
          c < H:test:1	1	0	0
          c < H:test:2	0	0	0
          c < .
        v > CAN_DO f
        v > GRAB_JOB
          v < JOB_ASSIGN H:test:2 f 2
        v > GRAB_JOB
          v < JOB_ASSIGN H:test:1 f 1
    "]]);
}

#[test]
fn a_job_fails_when_it_has_lost_as_many_workers_as_it_may() {
    check_with(
        Settings { job_retries: Some(2), ..Settings::default() },
        expect![[r"
        c > SUBMIT_JOB f a 1
          c < JOB_CREATED H:test:1
        v > CAN_DO f
        v > GRAB_JOB
          v < JOB_ASSIGN H:test:1 f 1
        v closes
        w > CAN_DO f
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w closes
          c < WORK_FAIL H:test:1
        c : status
          c < f	0	0	0
          c < .
    "]],
    );
}

#[test]
fn a_client_that_leaves_takes_its_waiting_job_along_and_leaves_the_running_one() {
    check(expect![[r"
        w > CAN_DO f
        a > SUBMIT_JOB f a 1
          a < JOB_CREATED H:test:1
        a > SUBMIT_JOB f b 2
          a < JOB_CREATED H:test:2
        b > SUBMIT_JOB f b 2
          b < JOB_CREATED H:test:2
        a > SUBMIT_JOB f c 3
          a < JOB_CREATED H:test:3
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        a closes
        b : status
          b < f	2	1	1
          b < .
        w > WORK_COMPLETE H:test:1 done
        b closes
        x : status
          x < f	0	0	1
          x < .
    "]]);
}

#[test]
fn a_running_job_that_nobody_waits_for_is_not_started_again() {
    check(expect![[r"
        a > SUBMIT_JOB f a 1
          a < JOB_CREATED H:test:1
        w > CAN_DO f
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        a closes
        w closes
        x : status
          x < f	0	0	0
          x < .
    "]]);
}

#[test]
fn a_background_job_outlives_its_client_and_those_that_joined() {
    check(expect![[r"
        a > SUBMIT_JOB_BG f u 1
          a < JOB_CREATED H:test:1
        b > SUBMIT_JOB f u 1
          b < JOB_CREATED H:test:1
        a closes
        b closes
        w > CAN_DO f
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > WORK_COMPLETE H:test:1 done
    "]]);
}

#[test]
fn only_the_connection_that_runs_a_job_may_report_on_it() {
    check(expect![[r"
        c > SUBMIT_JOB f u 1
          c < JOB_CREATED H:test:1
        w > CAN_DO f
        w > WORK_COMPLETE H:test:1 early
          w < ERROR JOB_NOT_FOUND Job+given+in+work+result+not+found
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        v > CAN_DO f
        v > WORK_COMPLETE H:test:1 stolen
          v < ERROR JOB_NOT_FOUND Job+given+in+work+result+not+found
        v > WORK_EXCEPTION H:test:1 boom
          v < ERROR JOB_NOT_FOUND An+exception+was+received+for+a+job+that+does+not+exist
        v > WORK_DATA H:test:01 x
          v < ERROR JOB_NOT_FOUND Job+does+not+exist+on+server
        w > WORK_FAIL H:test:1\0
          c < WORK_FAIL H:test:1
        w > WORK_STATUS H:test:1 1 1
          w < ERROR JOB_NOT_FOUND Job+given+in+work+result+not+found
    "]]);
}

#[test]
fn exceptions_go_to_who_asked_for_them_and_end_the_job() {
    check(expect![[r"
        a > OPTION_REQ Exceptions
          a < OPTION_RES Exceptions
        b > OPTION_REQ other
          b < ERROR UNKNOWN_OPTION Server+does+not+recognize+given+option
        a > SUBMIT_JOB f u 1
          a < JOB_CREATED H:test:1
        b > SUBMIT_JOB f u 1
          b < JOB_CREATED H:test:1
        w > CAN_DO_TIMEOUT f 1000
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > WORK_EXCEPTION H:test:1 boom
          a < WORK_EXCEPTION H:test:1 boom
          b < WORK_FAIL H:test:1
        w > WORK_FAIL H:test:1
          w < ERROR JOB_NOT_FOUND Job+given+in+work+result+not+found
    "]]);
}

#[test]
fn a_cancelled_job_fails_for_its_clients_and_is_not_joined_again() {
    check(expect![[r"
        c > SUBMIT_JOB f u 1
          c < JOB_CREATED H:test:1
        c : cancel job H:test:1
          c < WORK_FAIL H:test:1
          c < OK
        c : Cancel Job H:test:1
          c < ERR UNKNOWN_JOB
        c > SUBMIT_JOB f u 1
          c < JOB_CREATED H:test:2
        w > CAN_DO f
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:2 f 1
        c : cancel job H:test:2
          c < WORK_FAIL H:test:2
          c < OK
        c : show jobs
          c < H:test:2	0	1	0
          c < .
        c > SUBMIT_JOB f u 1
          c < JOB_CREATED H:test:3
        c : status
          c < f	2	1	1
          c < .
        w > WORK_DATA H:test:2 x
        w > WORK_COMPLETE H:test:2 x
        c : status
          c < f	1	0	1
          c < .
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:3 f 1
        c : cancel job H:test:3
          c < WORK_FAIL H:test:3
          c < OK
        w closes
        c : status
          c < f	0	0	0
          c < .
    "]]);
}

#[test]
fn what_a_server_does_not_expect_is_refused_and_an_unknown_type_ends_the_connection() {
    check(expect![[r"
        a > ECHO_REQ hello\0there
          a < ECHO_RES hello\0there
        a > ALL_YOURS
          a < ERROR INVALID_COMMAND Command+not+expected
        a > JOB_CREATED x
          a < ERROR INVALID_COMMAND Command+not+expected
        a > SUBMIT_JOB_SCHED f u 0 0 0 0 0 p
          a < ERROR INVALID_COMMAND Command+not+expected
        a > SUBMIT_JOB_EPOCH f u 1 p
          a < JOB_CREATED H:test:1
        a > SUBMIT_JOB f aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa p
          a < ERROR ARGUMENT_TOO_LARGE Unique+value+too+large
        a RES GRAB_JOB
          a < ERROR INVALID_MAGIC Request+magic+expected
        a unknown 999
          a < (closed)
    "]]);
}

#[test]
fn administrators_are_answered_as_by_gearmand() {
    check(expect![[r"
        a > SET_CLIENT_ID node-1_exec-0
        a > CAN_DO f
        a > CAN_DO f
        a > CAN_DO g
        b > SUBMIT_JOB_BG f u-1 p
          b < JOB_CREATED H:test:1
        b : WORKERS
          b < 1 10.0.0.1 node-1_exec-0 : f g
          b < 2 10.0.0.2 - :
          b < .
        b : Status
          b < f	1	0	1
          b < g	0	0	1
          b < .
        b : show unique jobs
          b < u-1
          b < .
        b : show nothing
          b < ERR UNKNOWN_SHOW_ARGUMENTS
        b : version
          b < OK 1
        b : getpid
          b < OK 42
        b : verbose
          b < OK ERROR
        b : create function h
          b < OK
        b : create function
          b < ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+create
        b : drop function H
          b < OK
        b : drop function h
          b < ERR function not found
        b : drop function f
          b < ERR there are still connected workers or executing clients
        b : cancel job
          b < ERR UNKNOWN_COMMAND Unknown+server+commandcancel
        b : frobnicate now
          b < ERR UNKNOWN_COMMAND Unknown+server+commandfrobnicate
        b : 
          b < ERR UNKNOWN_COMMAND Unknown+server+command
        b : shutdown
          b < ERR UNKNOWN_COMMAND Unknown+server+commandshutdown
    "]]);
}

#[test]
fn a_job_for_a_later_time_waits_for_it_and_then_wakes_its_workers() {
    check(expect![[r"
        w > CAN_DO f
        w > GRAB_JOB
          w < NO_JOB
        w > PRE_SLEEP
        c > SUBMIT_JOB_EPOCH f u 1002 later
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB_EPOCH f v 1500 much-later
          c < JOB_CREATED H:test:2
        c > SUBMIT_JOB_EPOCH f - 999 past
          w < NOOP
          c < JOB_CREATED H:test:3
        w > GRAB_JOB_UNIQ
          w < JOB_ASSIGN_UNIQ H:test:3 f - past
        w > PRE_SLEEP
        c : status
          c < f	3	1	1
          c < .
        c : prioritystatus
          c < f	0	2	0	1
          c < .
        c > SUBMIT_JOB f u joins
          c < JOB_CREATED H:test:1
        c > GET_STATUS_UNIQUE u
          c < STATUS_RES_UNIQUE u 1 0 0 0 1
        time passes 1999
        w > GRAB_JOB
          w < NO_JOB
        w > PRE_SLEEP
        time passes 1
          w < NOOP
        w > GRAB_JOB_UNIQ
          w < JOB_ASSIGN_UNIQ H:test:1 f u later
        w > WORK_COMPLETE H:test:1 done
          c < WORK_COMPLETE H:test:1 done
        c : cancel job H:test:2
          c < OK
        c : status
          c < f	1	1	1
          c < .
        time passes 1000000
    "]]);
}

#[test]
fn a_time_that_is_no_number_is_refused() {
    check(expect![[r"
        c > SUBMIT_JOB_EPOCH f u tomorrow p
          c < ERROR INVALID_ARGUMENT Epoch+is+not+a+number+of+seconds
        c > SUBMIT_JOB_EPOCH f u 12x p
          c < ERROR INVALID_ARGUMENT Epoch+is+not+a+number+of+seconds
        c > SUBMIT_JOB_EPOCH f u 99999999999999999999 p
          c < ERROR INVALID_ARGUMENT Epoch+is+not+a+number+of+seconds
        c > SUBMIT_JOB_EPOCH f a 18446744073709551615 p
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB_EPOCH f b -5 p
          c < JOB_CREATED H:test:2
        c > SUBMIT_JOB_EPOCH f c '' p
          c < JOB_CREATED H:test:3
        c : show unique jobs
          c < a
          c < b
          c < c
          c < .
        w > CAN_DO f
        w > GRAB_JOB_UNIQ
          w < JOB_ASSIGN_UNIQ H:test:2 f b p
        w > GRAB_JOB_UNIQ
          w < JOB_ASSIGN_UNIQ H:test:3 f c p
        w > GRAB_JOB_UNIQ
          w < NO_JOB
    "]]);
}

#[test]
fn a_worker_that_takes_too_long_loses_the_job_and_keeps_its_connection() {
    check(expect![[r"
        c > SUBMIT_JOB f u 1
          c < JOB_CREATED H:test:1
        w > CAN_DO_TIMEOUT f 10
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > PRE_SLEEP
        time passes 999
        time passes 1
          w < NOOP
        w > WORK_COMPLETE H:test:1 late
          w < ERROR JOB_NOT_FOUND Job+given+in+work+result+not+found
        c : show jobs
          c < H:test:1	1	0	0
          c < .
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        w > WORK_COMPLETE H:test:1 in-time
          c < WORK_COMPLETE H:test:1 in-time
        time passes 5000
    "]]);
}

#[test]
fn the_last_registration_says_how_long_a_job_may_take() {
    check(expect![[r"
        w > CAN_DO_TIMEOUT f 1000
        w > CAN_DO f
        v > CAN_DO_TIMEOUT g -1
        v > CAN_DO_TIMEOUT g 0
        x > CAN_DO_TIMEOUT h 1500x
        x > CANT_DO h
        x > CAN_DO h
        c > SUBMIT_JOB f u 1
          c < JOB_CREATED H:test:1
        c > SUBMIT_JOB g u 1
          c < JOB_CREATED H:test:2
        c > SUBMIT_JOB h u 1
          c < JOB_CREATED H:test:3
        w > GRAB_JOB
          w < JOB_ASSIGN H:test:1 f 1
        v > GRAB_JOB
          v < JOB_ASSIGN H:test:2 g 1
        x > GRAB_JOB
          x < JOB_ASSIGN H:test:3 h 1
        time passes 100000
        c : show jobs
          c < H:test:1	0	0	0
          c < H:test:2	0	0	0
          c < H:test:3	0	0	0
          c < .
    "]]);
}

#[test]
fn taking_too_long_counts_as_a_loss() {
    check_with(
        Settings { job_retries: Some(2), ..Settings::default() },
        expect![[r"
            c > SUBMIT_JOB f u 1
              c < JOB_CREATED H:test:1
            w > CAN_DO_TIMEOUT f 2000
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:1 f 1
            time passes 2000
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:1 f 1
            time passes 2000
              c < WORK_FAIL H:test:1
            w > GRAB_JOB
              w < NO_JOB
        "]],
    );
}

#[test]
fn the_functions_of_a_worker_take_turns_when_they_are_told_to() {
    check_with(
        Settings { round_robin: true, ..Settings::default() },
        expect![[r"
            w > CAN_DO f
            w > CAN_DO g
            w > CAN_DO h
            c > SUBMIT_JOB_BG f '' 1
              c < JOB_CREATED H:test:1
            c > SUBMIT_JOB_BG f '' 2
              c < JOB_CREATED H:test:2
            c > SUBMIT_JOB_BG f '' 3
              c < JOB_CREATED H:test:3
            c > SUBMIT_JOB_BG g '' 4
              c < JOB_CREATED H:test:4
            c > SUBMIT_JOB_BG g '' 5
              c < JOB_CREATED H:test:5
            c > SUBMIT_JOB_HIGH_BG g '' 6
              c < JOB_CREATED H:test:6
            c > SUBMIT_JOB_BG h '' 7
              c < JOB_CREATED H:test:7
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:6 g 6
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:7 h 7
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:1 f 1
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:4 g 4
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:2 f 2
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:5 g 5
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:3 f 3
        "]],
    );
}

#[test]
fn a_job_wakes_no_more_workers_than_it_may() {
    check_with(
        Settings { wake_at_most: 1, ..Settings::default() },
        expect![[r"
            u > CAN_DO f
            u > PRE_SLEEP
            v > CAN_DO f
            v > PRE_SLEEP
            c > SUBMIT_JOB_BG f '' 1
              u < NOOP
              c < JOB_CREATED H:test:1
            c > SUBMIT_JOB_BG f '' 2
              v < NOOP
              c < JOB_CREATED H:test:2
            c > SUBMIT_JOB_BG f '' 3
              c < JOB_CREATED H:test:3
        "]],
    );
}

#[test]
fn exceptions_may_be_everybodys() {
    check_with(
        Settings { exceptions: true, ..Settings::default() },
        expect![[r"
            c > SUBMIT_JOB f u 1
              c < JOB_CREATED H:test:1
            w > CAN_DO f
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:1 f 1
            w > WORK_EXCEPTION H:test:1 boom
              c < WORK_EXCEPTION H:test:1 boom
        "]],
    );
}

#[test]
fn limits_that_are_no_numbers_are_none() {
    check(expect![[r"
        c > SUBMIT_JOB_BG f '' 1
          c < JOB_CREATED H:test:1
        c : maxqueue f abc
          c < OK
        c > SUBMIT_JOB_BG f '' 2
          c < JOB_CREATED H:test:2
        c : maxqueue f 1 2
          c < OK
        c > SUBMIT_JOB_BG f '' 3
          c < ERROR QUEUE_ERROR Job+queue+is+full
        c > SUBMIT_JOB_HIGH_BG f '' 3
          c < ERROR QUEUE_ERROR Job+queue+is+full
        c > SUBMIT_JOB_LOW_BG f '' 3
          c < JOB_CREATED H:test:3
        c : maxqueue f 1 2 3
          c < OK
        c > SUBMIT_JOB_LOW_BG f '' 4
          c < ERROR QUEUE_ERROR Job+queue+is+full
        c : maxqueue f -1
          c < OK
        c > SUBMIT_JOB_HIGH_BG f '' 4
          c < JOB_CREATED H:test:4
        c : maxqueue
          c < ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+maxqueue
    "]]);
}

#[test]
fn a_background_job_is_created_and_seen_when_it_is_stored() {
    check_with(
        Settings { keeps_jobs: true, ..Settings::default() },
        expect![[r"
            w > CAN_DO f
            w > PRE_SLEEP
            c > SUBMIT_JOB_BG f u 1
            c > ECHO_REQ behind-it
            c > SUBMIT_JOB f w 2
              w < NOOP
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:2 f 2
            w > WORK_COMPLETE H:test:2 done
            w > GRAB_JOB
              w < NO_JOB
            w > PRE_SLEEP
            store keeps
              c < JOB_CREATED H:test:1
              w < NOOP
              c < ECHO_RES behind-it
              c < JOB_CREATED H:test:2
              c < WORK_COMPLETE H:test:2 done
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:1 f 1
            c > SUBMIT_JOB_BG f u 1
              c < JOB_CREATED H:test:1
            w > WORK_COMPLETE H:test:1 done
            c > SUBMIT_JOB_EPOCH f u 1001 p
            store keeps
              c < JOB_CREATED H:test:3
            w > PRE_SLEEP
            time passes 1000
              w < NOOP
            x > SUBMIT_JOB_BG f left ''
            x closes
            store keeps
            c : status
              c < f	2	0	1
              c < .
        "]],
    );
}

#[test]
fn a_background_job_that_cannot_be_stored_is_refused() {
    check_with(
        Settings { keeps_jobs: true, ..Settings::default() },
        expect![[r"
            w > CAN_DO f
            a > SUBMIT_JOB_BG f u 1
            b > SUBMIT_JOB_BG f u 1
            b : status
            store fails
              a < ERROR QUEUE_ERROR Job+could+not+be+stored
              b < ERROR QUEUE_ERROR Job+could+not+be+stored
              b < f	1	0	1
              b < .
            b : status
              b < f	0	0	1
              b < .
            a > SUBMIT_JOB_BG f u 1
            b > SUBMIT_JOB f u 1
              b < JOB_CREATED H:test:2
            store fails
              a < ERROR QUEUE_ERROR Job+could+not+be+stored
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:2 f 1
            a > SUBMIT_JOB_BG f u 1
            b closes
            w > WORK_COMPLETE H:test:2 done
            store fails
              a < ERROR QUEUE_ERROR Job+could+not+be+stored
            a : show jobs
              a < .
        "]],
    );
}

#[test]
fn a_job_that_runs_can_still_become_one_that_is_stored() {
    check_with(
        Settings { keeps_jobs: true, ..Settings::default() },
        expect![[r"
            w > CAN_DO f
            a > SUBMIT_JOB f u 1
              a < JOB_CREATED H:test:1
            w > GRAB_JOB
              w < JOB_ASSIGN H:test:1 f 1
            b > SUBMIT_JOB_BG f u 1
            a closes
            w closes
            store keeps
              b < JOB_CREATED H:test:1
            v > CAN_DO f
            v > GRAB_JOB
              v < JOB_ASSIGN H:test:1 f 1
            v > WORK_FAIL H:test:1
            b > SUBMIT_JOB_BG f u 1
            b : cancel job H:test:2
            store keeps
              b < JOB_CREATED H:test:2
              b < OK
            b : status
              b < f	0	0	1
              b < .
        "]],
    );
}

#[test]
fn a_function_that_is_dropped_fails_the_jobs_that_wait_for_it() {
    check(expect![[r"
        a > SUBMIT_JOB f u p
          a < JOB_CREATED H:test:1
        b : drop function f
          a < WORK_FAIL H:test:1
          b < OK
        b : status
          b < .
        b : show jobs
          b < .
    "]]);
}

#[test]
fn a_queue_takes_no_more_jobs_than_it_may() {
    check_with(
        Settings { max_jobs: 4, max_job_bytes: 100, max_functions: 2, ..Settings::default() },
        expect![[r"
        a > SUBMIT_JOB_BG f 1 p
          a < JOB_CREATED H:test:1
        b : maxqueue f 2
          b < OK
        b : maxqueue unseen 2
          b < OK
        a > SUBMIT_JOB_BG f 2 p
          a < JOB_CREATED H:test:2
        a > SUBMIT_JOB_BG f 3 p
          a < ERROR QUEUE_ERROR Job+queue+is+full
        a > SUBMIT_JOB_BG f 2 p
          a < JOB_CREATED H:test:2
        b : maxqueue f 9 1 1
          b < OK
        a > SUBMIT_JOB_BG f 3 p
          a < ERROR QUEUE_ERROR Job+queue+is+full
        a > SUBMIT_JOB_HIGH_BG f 3 p
          a < JOB_CREATED H:test:3
        b : maxqueue f
          b < OK
        a > SUBMIT_JOB_BG f 4 pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp
          a < ERROR QUEUE_ERROR Job+queue+is+full
        a > SUBMIT_JOB_BG f 4 p
          a < JOB_CREATED H:test:4
        a > SUBMIT_JOB_BG g 5 p
          a < ERROR QUEUE_ERROR Job+queue+is+full
        a > CAN_DO made-up-1
        a > CANT_DO made-up-1
        a > CAN_DO made-up-2
        a > CAN_DO made-up-3
          a < ERROR QUEUE_ERROR Too+many+functions
        a > SUBMIT_JOB_BG made-up-4 '' p
          a < ERROR QUEUE_ERROR Too+many+functions
        b : status
          b < f	4	0	0
          b < made-up-2	0	0	1
          b < .
    "]],
    );
}

#[test]
fn names_cannot_forge_a_line() {
    check(expect![[r"
        a > SET_CLIENT_ID me\n.\n
        a > CAN_DO f\n.\n
        b : workers
          b < 1 10.0.0.1 me?.? : f?.?
          b < 2 10.0.0.2 - :
          b < .
    "]]);
}

#[track_caller]
fn check(conversation: Expect) {
    check_with(Settings::default(), conversation);
}

/// Says the lines that are not answers to a fresh server, and compares all that was said.
#[track_caller]
fn check_with(settings: Settings, conversation: Expect) {
    let mut trial = Trial::new(settings);
    let mut names: BTreeMap<String, ConnectionId> = BTreeMap::new();
    let mut said = String::new();
    // Only the literal's own indentation may go: the answers' is what tells them apart.
    let script: Vec<&str> = conversation.data().lines().filter(|line| !line.trim().is_empty()).collect();
    let indentation = script.iter().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    for line in script {
        let line = &line[indentation..];
        if line.starts_with(' ') {
            continue;
        }
        let (name, rest) = line.split_once(' ').expect("a line names who speaks");
        let actions = match (name, rest.split_once(' ')) {
            ("time", Some(("passes", milliseconds))) => trial.pass(milliseconds.parse().expect("a number")),
            ("store", None) => trial.store(rest == "keeps"),
            _ => {
                let next = ConnectionId(names.len() as u32 + 1);
                let id = *names.entry(name.to_owned()).or_insert_with(|| {
                    trial.connect(next);
                    next
                });
                act(&mut trial, id, rest)
            }
        };
        said.extend([line, "\n"]);
        for action in actions {
            let (to, lines) = shown(&action);
            let name = names.iter().find(|(_, id)| **id == to).expect("only those that were named are answered").0;
            for line in lines {
                said.extend(["  ", name, " < ", &line, "\n"]);
            }
        }
    }
    conversation.assert_eq(&said);
}

fn act(trial: &mut Trial, id: ConnectionId, what: &str) -> Vec<Action> {
    let frame = match what.split_once(' ') {
        None if what == ":" => Frame::Line(Bytes::new()),
        None => {
            assert_eq!(what, "closes");
            return trial.disconnect(id);
        }
        Some((":", text)) => Frame::Line(text.trim().to_owned().into()),
        Some((">", packet)) => Frame::Packet(parse(Magic::Request, packet)),
        Some(("RES", packet)) => Frame::Packet(parse(Magic::Response, packet)),
        Some(("unknown", number)) => {
            Frame::Unknown { magic: Magic::Request, number: number.parse().expect("a packet type is a number") }
        }
        Some((other, _)) => panic!("{other} is not something to do"),
    };
    trial.handle(id, &frame)
}

fn parse(magic: Magic, text: &str) -> Packet {
    let mut words = text.split(' ');
    let name = words.next().expect("a packet has a name");
    let kind = *Kind::ALL.iter().find(|kind| kind.name() == name).expect("the packet exists");
    let unescape = |word: &str| word.replace("''", "").replace("\\0", "\0").replace("\\n", "\n");
    Packet::from_parts(magic, kind, words.map(|word| unescape(word).into()).collect())
}

fn shown(action: &Action) -> (ConnectionId, Vec<String>) {
    match action {
        Action::Send(to, packet) => {
            let mut line = packet.kind.name().to_owned();
            for argument in packet.arguments() {
                let argument = String::from_utf8_lossy(argument).replace('\0', "\\0").replace(' ', "+");
                line.extend([" ", if argument.is_empty() { "''" } else { &argument }]);
            }
            (*to, vec![line])
        }
        Action::Text(to, text) => (*to, String::from_utf8_lossy(text).lines().map(str::to_owned).collect()),
        Action::Close(to) => (*to, vec!["(closed)".to_owned()]),
    }
}
