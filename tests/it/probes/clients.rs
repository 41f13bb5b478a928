//! What a client may ask for.

use super::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        name: "a job in the foreground, from its submission to its end",
        says: "SUBMIT_JOB, JOB_CREATED, WORK_*",
        script: r"
            w > CAN_DO $f
            w > PRE_SLEEP
            c > SUBMIT_JOB $f $u payload
            w > GRAB_JOB_UNIQ
            w > WORK_DATA H1 some\0data
            w > WORK_WARNING H1 careful
            w > WORK_STATUS H1 3 9
            c > GET_STATUS H1
            w > WORK_COMPLETE H1 done
            c > GET_STATUS H1
        ",
        differs: "",
    },
    Probe {
        name: "every way to submit",
        says: "SUBMIT_JOB{,_BG,_HIGH,_HIGH_BG,_LOW,_LOW_BG}",
        script: r"
            c > SUBMIT_JOB $f '' 1
            c > SUBMIT_JOB_BG $f '' 2
            c > SUBMIT_JOB_HIGH $f '' 3
            c > SUBMIT_JOB_HIGH_BG $f '' 4
            c > SUBMIT_JOB_LOW $f '' 5
            c > SUBMIT_JOB_LOW_BG $f '' 6
            c : status
        ",
        differs: "",
    },
    Probe {
        name: "the most urgent job of all functions goes first",
        says: "SUBMIT_JOB_HIGH",
        script: r"
            w > CAN_DO $f
            w > CAN_DO $g
            c > SUBMIT_JOB_LOW_BG $f '' low
            c > SUBMIT_JOB_BG $f '' normal
            c > SUBMIT_JOB_HIGH_BG $g '' high
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB_UNIQ
        ",
        differs: "",
    },
    Probe {
        name: "among equals of two functions",
        says: "not said",
        script: r"
            w > CAN_DO $f
            w > CAN_DO $g
            c > SUBMIT_JOB_BG $g '' older
            c > SUBMIT_JOB_BG $f '' newer
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB_UNIQ
        ",
        differs: "",
    },
    Probe {
        name: "among equals of two functions, registered the other way round",
        says: "not said",
        script: r"
            w > CAN_DO $g
            w > CAN_DO $f
            c > SUBMIT_JOB_BG $g '' older
            c > SUBMIT_JOB_BG $f '' newer
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB_UNIQ
        ",
        differs: "the oldest job goes first; gearmand begins with the function that was registered last, so that others may starve",
    },
    Probe {
        name: "an equal unique joins, waiting or running, per function",
        says: "SUBMIT_JOB: unique ID",
        script: r"
            a > SUBMIT_JOB $f $u first
            b > SUBMIT_JOB $f $u second
            b > SUBMIT_JOB $g $u other
            w > CAN_DO $f
            w > GRAB_JOB_UNIQ
            c > SUBMIT_JOB_HIGH $f $u third
            w > WORK_COMPLETE H1 r
        ",
        differs: "",
    },
    Probe {
        name: "a unique of - joins by payload",
        says: "not said; libgearman",
        script: r"
            a > SUBMIT_JOB_BG $f - same
            a > SUBMIT_JOB_BG $f - same
            a > SUBMIT_JOB_BG $f - other
            a > SUBMIT_JOB_BG $g - same
        ",
        differs: "",
    },
    Probe {
        name: "an empty unique joins nothing",
        says: "",
        script: r"
            a > SUBMIT_JOB_BG $f '' same
            a > SUBMIT_JOB_BG $f '' same
            a > SUBMIT_JOB_BG $f - ''
            a > SUBMIT_JOB_BG $f - ''
        ",
        differs: "",
    },
    Probe {
        name: "who submits twice is told twice",
        says: "",
        script: r"
            a > SUBMIT_JOB $f $u x
            a > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_COMPLETE H1 r
        ",
        differs: "",
    },
    Probe {
        name: "a job joined at another priority stays where it is",
        says: "not said",
        script: r"
            c > SUBMIT_JOB_LOW_BG $f $u low
            c > SUBMIT_JOB_HIGH_BG $f $u high
            a : prioritystatus
        ",
        differs: "",
    },
    Probe {
        name: "a unique of 64 bytes",
        says: "not said",
        script: r"
            c > SUBMIT_JOB_BG $f {u*64} x
            w > CAN_DO $f
            w > GRAB_JOB_UNIQ
        ",
        differs: "it comes back whole; gearmand drops its last byte",
    },
    Probe { name: "a unique of 65 bytes", says: "", script: "c > SUBMIT_JOB_BG $f {u*65} x", differs: "" },
    Probe {
        name: "an empty function name",
        says: "",
        script: r"
            c > SUBMIT_JOB_BG '' $u x
            w > CAN_DO ''
            w > GRAB_JOB_UNIQ
        ",
        differs: "",
    },
    Probe {
        name: "function names are told apart by case",
        says: "",
        script: r"
            c > SUBMIT_JOB_BG $F '' x
            w > CAN_DO $f
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "a function name of 4,096 bytes",
        says: "",
        script: r"
            c > SUBMIT_JOB_BG $f{n*4000} '' x
            w > CAN_DO $f{n*4000}
            w > GRAB_JOB_UNIQ
        ",
        differs: "",
    },
    Probe {
        name: "a function name of 70,000 bytes",
        says: "",
        script: "c > SUBMIT_JOB_BG $f{n*70000} '' x",
        differs: "an error, and the connection lives on; gearmand closes it",
    },
    Probe {
        name: "a payload of 1 MiB with NULs",
        says: "the last argument may hold NULs",
        script: r"
            c > SUBMIT_JOB_BG $f '' {ab\0\0*262144}
            w > CAN_DO $f
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "status of a job that is unknown",
        says: "GET_STATUS",
        script: r"
            c > GET_STATUS H:nobody:1
            c > GET_STATUS ''
        ",
        differs: "",
    },
    Probe {
        name: "status of a job that waits",
        says: "STATUS_RES",
        script: r"
            c > SUBMIT_JOB_BG $f $u x
            c > GET_STATUS H1
        ",
        differs: "",
    },
    Probe {
        name: "status by unique: unknown, waiting, running",
        says: "GET_STATUS_UNIQUE, STATUS_RES_UNIQUE",
        script: r"
            c > GET_STATUS_UNIQUE $u
            c > SUBMIT_JOB $f $u x
            d > SUBMIT_JOB $f $u x
            c > GET_STATUS_UNIQUE $u
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_STATUS H1 1 2
            c > GET_STATUS_UNIQUE $u
        ",
        differs: "",
    },
    Probe {
        name: "option: exceptions, in any case, and another",
        says: "OPTION_REQ: currently exceptions only",
        script: r"
            c > OPTION_REQ exceptions
            c > OPTION_REQ Exceptions
            c > OPTION_REQ other
            c > OPTION_REQ ''
        ",
        differs: "",
    },
    Probe {
        name: "an exception, for who asked and who did not",
        says: "WORK_EXCEPTION: only to clients with the option",
        script: r"
            a > OPTION_REQ exceptions
            a > SUBMIT_JOB $f $u x
            b > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_EXCEPTION H1 boom
            w > WORK_FAIL H1
        ",
        differs: "handles are sent without a NUL behind them",
    },
    Probe {
        name: "a client that leaves: its waiting job",
        says: "",
        script: r"
            c > SUBMIT_JOB $f $u x
            c closes
            w > CAN_DO $f
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "a client that leaves: its running job",
        says: "",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            c closes
            w > WORK_COMPLETE H1 r
        ",
        differs: "",
    },
    Probe {
        name: "a client that joins a background job and leaves",
        says: "",
        script: r"
            a > SUBMIT_JOB_BG $f $u x
            b > SUBMIT_JOB $f $u x
            b closes
            w > CAN_DO $f
            w > GRAB_JOB
        ",
        differs: "what was submitted in the background stays; gearmand drops it with the client that joined",
    },
    Probe {
        name: "a job for a time to come",
        says: "SUBMIT_JOB_EPOCH: runs at the time given",
        script: r"
            w > CAN_DO $f
            w > PRE_SLEEP
            c > SUBMIT_JOB_EPOCH $f $u {now+2} x
            w > GRAB_JOB
            w > PRE_SLEEP
            w sees
            w > GRAB_JOB
        ",
        differs: "the worker is woken when it is time; gearmand 1.1.20 wakes it when the job is submitted, in vain, and never again",
    },
    Probe {
        name: "a job for a time gone by",
        says: "SUBMIT_JOB_EPOCH",
        script: r"
            c > SUBMIT_JOB_EPOCH $f $u 1 x
            w > CAN_DO $f
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "SUBMIT_JOB_SCHED",
        says: "like cron; not implemented in gearmand",
        script: "c > SUBMIT_JOB_SCHED $f $u 0 0 1 1 1 x",
        differs: "",
    },
    Probe {
        name: "a job with a reducer, grabbed in each way",
        says: "SUBMIT_REDUCE_JOB: function, unique, reducer, payload; the wire has an unused argument before the payload",
        script: r"
            c > SUBMIT_REDUCE_JOB $f $u $r '' one
            c > SUBMIT_REDUCE_JOB_BACKGROUND $f $v $r '' two
            c > SUBMIT_REDUCE_JOB $f $w $r '' three
            w > CAN_DO $f
            w > GRAB_JOB_ALL
            w > GRAB_JOB_UNIQ
            w > GRAB_JOB
        ",
        differs: "",
    },
    Probe {
        name: "handles are words",
        says: "",
        script: r"
            c > SUBMIT_JOB_BG $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            w > WORK_STATUS H1 a b
            c > GET_STATUS H1
        ",
        differs: "",
    },
];
