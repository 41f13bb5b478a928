//! What a worker may do.

use super::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        name: "a grab without a job",
        says: "GRAB_JOB, NO_JOB",
        script: r"
            w > GRAB_JOB
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB_ALL
        ",
        differs: "",
    },
    Probe {
        name: "each grab has its own answer",
        says: "JOB_ASSIGN, JOB_ASSIGN_UNIQ, JOB_ASSIGN_ALL",
        script: r"
            c > SUBMIT_JOB_BG $f $u 1
            c > SUBMIT_JOB_BG $f $v 2
            c > SUBMIT_JOB_BG $f $w 3
            w > CAN_DO $f
            w > GRAB_JOB
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB_ALL
        ",
        differs: "",
    },
    Probe {
        name: "several grabs at once",
        says: "not said",
        script: r"
            c > SUBMIT_JOB $f '' 1
            c > SUBMIT_JOB $f '' 2
            w > CAN_DO $f
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB_UNIQ
            w > WORK_COMPLETE H2 b
            w > WORK_COMPLETE H1 a
        ",
        differs: "",
    },
    Probe {
        name: "registering twice",
        says: "CAN_DO",
        script: r"
            w > CAN_DO $f
            w > CAN_DO $f
            a : status
            w > CANT_DO $f
            a : status
        ",
        differs: "a connection is one worker of a function, however often it says so",
    },
    Probe {
        name: "a job that waits when a worker registers",
        says: "CAN_DO is not answered",
        script: r"
            c > SUBMIT_JOB_BG $f '' x
            w > PRE_SLEEP
            w > CAN_DO $f
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "PRE_SLEEP with a job waiting, again and again",
        says: "PRE_SLEEP: a NOOP if there is a job",
        script: r"
            c > SUBMIT_JOB_BG $f '' x
            w > CAN_DO $f
            w > PRE_SLEEP
            w > PRE_SLEEP
        ",
        differs: "",
    },
    Probe {
        name: "one job wakes all, once",
        says: "NOOP",
        script: r"
            v > CAN_DO $f
            v > PRE_SLEEP
            w > CAN_DO $f
            w > PRE_SLEEP
            c > SUBMIT_JOB_BG $f '' 1
            c > SUBMIT_JOB_BG $f '' 2
            w > GRAB_JOB
            w > PRE_SLEEP
        ",
        differs: "",
    },
    Probe {
        name: "a worker that never slept is not woken",
        says: "",
        script: r"
            w > CAN_DO $f
            c > SUBMIT_JOB_BG $f '' 1
        ",
        differs: "",
    },
    Probe {
        name: "withdrawing a function that was never offered",
        says: "CANT_DO",
        script: r"
            w > CANT_DO $f
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "withdrawing a function while its job runs",
        says: "not said",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > CAN_DO $g
            w > GRAB_JOB
            v > CAN_DO $f
            v > PRE_SLEEP
            w > CANT_DO $f
            a : status
            v > GRAB_JOB
            w > WORK_COMPLETE H1 late
            v > WORK_COMPLETE H1 new
        ",
        differs: "",
    },
    Probe {
        name: "withdrawing everything while a job runs",
        says: "RESET_ABILITIES",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            w > RESET_ABILITIES
            a : status
            v > CAN_DO $f
            v > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "a worker that leaves with a job",
        says: "not said",
        script: r"
            c > SUBMIT_JOB $f $u x
            v > CAN_DO $f
            v > GRAB_JOB
            v closes
            c > GET_STATUS H1
            a : show jobs
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_COMPLETE H1 r
        ",
        differs: "",
    },
    Probe {
        name: "a worker that leaves with a job in the background",
        says: "not said",
        script: r"
            c > SUBMIT_JOB_BG $f $u x
            v > CAN_DO $f
            v > GRAB_JOB
            v closes
            w > CAN_DO $f
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "a job with a time limit that passes",
        says: "CAN_DO_TIMEOUT: seconds, and the job fails",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO_TIMEOUT $f 1
            w > GRAB_JOB
            v > CAN_DO $f
            v > PRE_SLEEP
            v sees
            c > GET_STATUS H1
            w > WORK_COMPLETE H1 late
            v > GRAB_JOB
            v > WORK_COMPLETE H1 new
        ",
        differs: "",
    },
    Probe {
        name: "a time limit that is no number",
        says: "CAN_DO_TIMEOUT",
        script: r"
            w > CAN_DO_TIMEOUT $f soon
            a : status
        ",
        differs: "",
    },
    Probe {
        name: "a time limit of 0",
        says: "CAN_DO_TIMEOUT: a timeout of 0 is none",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO_TIMEOUT $f 0
            w > GRAB_JOB
            v > CAN_DO $f
            v > PRE_SLEEP
            v sees
        ",
        differs: "",
    },
    Probe {
        name: "a time limit taken back",
        says: "CAN_DO after CAN_DO_TIMEOUT",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO_TIMEOUT $f 1
            w > CAN_DO $f
            w > GRAB_JOB
            v > CAN_DO $f
            v > PRE_SLEEP
            v sees
        ",
        differs: "",
    },
    Probe {
        name: "asleep without functions, then with one",
        says: "PRE_SLEEP",
        script: r"
            w > PRE_SLEEP
            w > CAN_DO $f
            c > SUBMIT_JOB_BG $f '' x
            w > CANT_DO $f
            w > PRE_SLEEP
        ",
        differs: "",
    },
    Probe {
        name: "a woken worker that does not grab",
        says: "NOOP",
        script: r"
            w > CAN_DO $f
            w > PRE_SLEEP
            c > SUBMIT_JOB_BG $f '' 1
            w > PRE_SLEEP
            c > SUBMIT_JOB_BG $f '' 2
        ",
        differs: "",
    },
    Probe {
        name: "a job handed back wakes the sleepers",
        says: "not said",
        script: r"
            c > SUBMIT_JOB $f $u x
            v > CAN_DO $f
            v > GRAB_JOB
            w > CAN_DO $f
            w > PRE_SLEEP
            v closes
        ",
        differs: "",
    },
    Probe {
        name: "another connection's report",
        says: "",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            v > CAN_DO $f
            v > WORK_DATA H1 stolen
            v > WORK_STATUS H1 1 2
            v > WORK_WARNING H1 stolen
            v > WORK_COMPLETE H1 stolen
            v > WORK_FAIL H1
            v > WORK_EXCEPTION H1 stolen
        ",
        differs: "",
    },
    Probe {
        name: "reports on a job that nobody knows",
        says: "",
        script: r"
            w > WORK_DATA H:nobody:1 x
            w > WORK_WARNING H:nobody:1 x
            w > WORK_STATUS H:nobody:1 1 2
            w > WORK_COMPLETE H:nobody:1 x
            w > WORK_EXCEPTION H:nobody:1 x
            w > WORK_FAIL H:nobody:1
        ",
        differs: "",
    },
    Probe {
        name: "a handle with a NUL behind it",
        says: "libgearman ends some with one",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_FAIL H1\0
        ",
        differs: "handles are sent without a NUL behind them",
    },
    Probe {
        name: "a report after the end",
        says: "",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_COMPLETE H1 r
            w > WORK_COMPLETE H1 r
            w > WORK_FAIL H1
        ",
        differs: "",
    },
    Probe {
        name: "a failure",
        says: "WORK_FAIL",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_FAIL H1
        ",
        differs: "",
    },
    Probe {
        name: "a name for the connection",
        says: "SET_CLIENT_ID",
        script: r"
            w > SET_CLIENT_ID $me
            w > CAN_DO $f
            w > CAN_DO $g
            a : workers
            w > SET_CLIENT_ID $other
            a : workers
        ",
        differs: "",
    },
    Probe {
        name: "an empty name for the connection",
        says: "SET_CLIENT_ID",
        script: r"
            w > SET_CLIENT_ID ''
            w > CAN_DO $f
            a : workers
        ",
        differs: "shown as -, so that the line keeps its words",
    },
    Probe {
        name: "a connection without a name",
        says: "workers: - if it has none",
        script: r"
            w > CAN_DO $f
            a : workers
        ",
        differs: "",
    },
    Probe {
        name: "a long name for the connection",
        says: "SET_CLIENT_ID",
        script: r"
            w > SET_CLIENT_ID $me{n*200}
            w > CAN_DO $f
            a : workers
        ",
        differs: "",
    },
    Probe {
        name: "a name with white space for the connection",
        says: "a unique string with no whitespace",
        script: r"
            w > SET_CLIENT_ID $my\x20name
            w > CAN_DO $f
            a : workers
        ",
        differs: "",
    },
];
