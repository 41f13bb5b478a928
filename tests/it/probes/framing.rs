//! Headers, lengths, types, and text between packets.

use super::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        name: "bytes are echoed as they are",
        says: "ECHO_REQ: whatever is sent is returned",
        script: r"
            a > ECHO_REQ some\0thing
            a > ECHO_REQ ''
        ",
        differs: "",
    },
    Probe {
        name: "packets in pieces and several at once",
        says: "a stream has no boundaries",
        script: r"
            a ! \0REQ\0\0\0\x10\0\0\0\x01a\0REQ\0\0
            a ! \0\x10\0\0
            a ! \0\x02bc
        ",
        differs: "",
    },
    Probe {
        name: "each type, as a request",
        says: "the table of types",
        script: "* > $x",
        differs: "an epoch that is no number is refused; gearmand takes it for 0",
    },
    Probe {
        name: "each type, as a response",
        says: "a server sends \\0RES, a client \\0REQ",
        script: "* R> $x",
        differs: "",
    },
    Probe { name: "type 0", says: "not in the table", script: "a > 0", differs: "" },
    Probe { name: "type 43", says: "not in the table", script: "a > 43 x", differs: "" },
    Probe { name: "type 999", says: "not in the table", script: "a > 999", differs: "" },
    Probe {
        name: "magic of a response",
        says: "a server sends \\0RES, a client \\0REQ",
        script: r"
            a R> ECHO_REQ x
            a R> CAN_DO $f
            a : status
        ",
        differs: "",
    },
    Probe { name: "no magic", says: "", script: r"a ! \0ABC\0\0\0\x10\0\0\0\0", differs: "" },
    Probe {
        name: "a length of nearly 4 GiB",
        says: "the size is 4 bytes, big-endian",
        script: r"a ! \0REQ\0\0\0\x10\xff\xff\xff\xf0",
        differs: "a length beyond the limit of 64 MiB closes the connection; gearmand waits for it all",
    },
    Probe {
        name: "an argument too few",
        says: "arguments are separated by NUL",
        script: r"a ! \0REQ\0\0\0\x07\0\0\0\x01f",
        differs: "what can never be understood closes the connection; gearmand waits for ever",
    },
    Probe {
        name: "two arguments too few",
        says: "",
        script: r"a ! \0REQ\0\0\0\x07\0\0\0\x03f\0u",
        differs: "what can never be understood closes the connection; gearmand waits for ever",
    },
    Probe {
        name: "bytes behind the last argument of a packet without any",
        says: "GRAB_JOB: none",
        script: "a > GRAB_JOB x",
        differs: "",
    },
    Probe {
        name: "text behind packets, packets behind text",
        says: "the administrative protocol is spoken on the same port",
        script: r"
            a > ECHO_REQ x
            a : maxqueue $f
            a > ECHO_REQ y
        ",
        differs: "",
    },
    Probe { name: "two lines in one write", says: "", script: r"a ! version\nversion\n", differs: "" },
    Probe { name: "a line without an end", says: "", script: "a ! {word*2500}", differs: "" },
    Probe { name: "a line of 2,000 letters", says: "", script: "a : nonsense {word*500}", differs: "" },
];
