//! Commands as text.

use super::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        name: "version, getpid, verbose",
        says: "version, getpid, verbose",
        script: r"
            a : version
            a : getpid
            a : verbose
        ",
        differs: "gearmand's level is ERROR unless it is told otherwise",
    },
    Probe {
        name: "words that no server knows",
        says: "ERR",
        script: r"
            a : nonsense
            a : nonsense with words
            a ! \n
            a ! \x20\n
        ",
        differs: "",
    },
    Probe {
        name: "commands in any case, ended by LF",
        says: "",
        script: r"
            w > CAN_DO $f
            a ; STATUS
            a : Status
            a : status more
        ",
        differs: "",
    },
    Probe {
        name: "status: queued, running, workers",
        says: "status",
        script: r"
            w > CAN_DO $f
            c > SUBMIT_JOB $f '' 1
            c > SUBMIT_JOB $f '' 2
            w > GRAB_JOB
            a : status
            w closes
            a : status
        ",
        differs: "",
    },
    Probe {
        name: "prioritystatus",
        says: "prioritystatus",
        script: r"
            c > SUBMIT_JOB_HIGH_BG $f '' 1
            c > SUBMIT_JOB_LOW_BG $f '' 2
            w > CAN_DO $f
            a : prioritystatus
            w > GRAB_JOB
            a : prioritystatus
        ",
        differs: "",
    },
    Probe {
        name: "workers",
        says: "workers: descriptor, address, client id, functions",
        script: r"
            w > SET_CLIENT_ID $me
            a : workers
            w > CAN_DO $g
            w > CAN_DO $f
            a : workers
            w > CANT_DO $g
            a : workers
        ",
        differs: "",
    },
    Probe {
        name: "show jobs, show unique jobs",
        says: "show",
        script: r"
            c > SUBMIT_JOB_BG $f $u 1
            c > SUBMIT_JOB $f $v 2
            a : show jobs
            a : show unique jobs
            w > CAN_DO $f
            w > GRAB_JOB
            a : show jobs
        ",
        differs: "",
    },
    Probe {
        name: "show of something else",
        says: "show",
        script: r"
            a : show
            a : show nothing
            a : show unique
            a : show unique nothing
        ",
        differs: "",
    },
    Probe {
        name: "cancelling a job that waits",
        says: "cancel job",
        script: r"
            c > SUBMIT_JOB $f $u x
            a : cancel job H1
            a : show jobs
            w > CAN_DO $f
            w > GRAB_JOB
            a : show jobs
        ",
        differs: "it is gone at once; gearmand lists it until a worker next looks at the queue",
    },
    Probe {
        name: "cancelling a job that runs",
        says: "cancel job",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            a : cancel job H1
            a : status
            w > WORK_DATA H1 x
            w > WORK_COMPLETE H1 r
            a : status
        ",
        differs: "clients hear nothing more of it after WORK_FAIL; gearmand still sends them what its worker reports",
    },
    Probe {
        name: "submitting again what was cancelled while it ran",
        says: "",
        script: r"
            c > SUBMIT_JOB $f $u x
            w > CAN_DO $f
            w > GRAB_JOB
            a : cancel job H1
            c > SUBMIT_JOB $f $u x
        ",
        differs: "a new job; gearmand joins the one that was cancelled",
    },
    Probe {
        name: "cancelling what is not there",
        says: "cancel job",
        script: r"
            a : cancel job H:nobody:1
            a : cancel task H:nobody:1
            a : CANCEL JOB H:nobody:1
            a : cancel
            a : cancel job
        ",
        differs: "",
    },
    Probe {
        name: "creating and dropping a function",
        says: "create function, drop function",
        script: r"
            a : create function $f
            a : status
            a : create function $f
            a : drop function $f
            a : status
            a : drop function $f
        ",
        differs: "",
    },
    Probe {
        name: "creating a function with a bare LF",
        says: "create function",
        script: r"
            a ; create function $name
            a : status
        ",
        differs: "gearmand cuts the last letter",
    },
    Probe {
        name: "dropping a function that somebody works on",
        says: "drop function",
        script: r"
            w > CAN_DO $f
            a : drop function $f
            a : status
        ",
        differs: "",
    },
    Probe {
        name: "dropping a function with a job that waits",
        says: "drop function",
        script: r"
            c > SUBMIT_JOB $f $u x
            a : drop function $f
            a : status
            c > GET_STATUS H1
        ",
        differs: "the job's clients are told that it failed; gearmand loses it",
    },
    Probe {
        name: "create and drop without a name",
        says: "",
        script: r"
            a : create
            a : create function
            a : create thing $f
            a : drop
            a : drop function
            a : drop thing $f
        ",
        differs: "",
    },
    Probe {
        name: "maxqueue holds for a function that is known",
        says: "maxqueue",
        script: r"
            w > CAN_DO $f
            a : maxqueue $f 1
            c > SUBMIT_JOB_BG $f '' 1
            c > SUBMIT_JOB_BG $f '' 2
            a : maxqueue $f 2
            c > SUBMIT_JOB_BG $f '' 3
            a : maxqueue $f
            c > SUBMIT_JOB_BG $f '' 4
        ",
        differs: "",
    },
    Probe {
        name: "maxqueue by priority",
        says: "maxqueue: high, normal, low",
        script: r"
            w > CAN_DO $f
            a : maxqueue $f 0 1 2
            c > SUBMIT_JOB_BG $f '' 1
            c > SUBMIT_JOB_BG $f '' 2
            c > SUBMIT_JOB_LOW_BG $f '' 3
            c > SUBMIT_JOB_LOW_BG $f '' 4
            c > SUBMIT_JOB_HIGH_BG $f '' 5
        ",
        differs: "",
    },
    Probe {
        name: "maxqueue on a name that nobody has used",
        says: "maxqueue",
        script: r"
            a : maxqueue $f 1
            c > SUBMIT_JOB_BG $f '' 1
            c > SUBMIT_JOB_BG $f '' 2
        ",
        differs: "",
    },
    Probe {
        name: "maxqueue without a name, and with words for numbers",
        says: "maxqueue",
        script: r"
            a : maxqueue
            a : maxqueue $f many
            a : maxqueue $f -1
        ",
        differs: "",
    },
    Probe {
        name: "shutdown",
        says: "shutdown [graceful]; gone since 1.1.15",
        script: r"
            a : shutdown
            a : shutdown graceful
        ",
        differs: "",
    },
    Probe {
        name: "what only geard knows",
        says: "",
        script: r"
            a : acl list
            a : acl self-revoke
        ",
        differs: "",
    },
];
