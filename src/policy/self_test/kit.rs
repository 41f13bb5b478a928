//! The table: what may be dropped into the folder, and what has to become of it.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::super::config::Limits;
use super::super::status::Gate;

use Answer::{Fails, Refused, Shows};
use Dropped::{Made, Module, Placed};
use Gate::{Folder, Interface, Laws, Settings};

/// Something hostile, broken or odd, and what has to become of it.
#[derive(Debug)]
pub(super) struct Specimen {
    pub(super) name: &'static str,
    pub(super) does: &'static str,
    pub(super) dropped: Dropped,
    pub(super) answer: Answer,
}

/// How it comes into the folder.
#[derive(Debug)]
pub(super) enum Dropped {
    /// A module of the kit, called like the specimen.
    Module,
    /// A file with this content.
    Made(fn(&Limits, good: &[u8]) -> Vec<u8>),
    /// Something that is no plain file. `Unsupported` where this machine or user cannot make it.
    Placed(fn(&Place<'_>) -> io::Result<()>),
}

/// Where something is placed, and what a good policy looks like.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) outside: &'a Path,
    pub(super) good: &'a [u8],
    pub(super) limits: &'a Limits,
}

/// What has to become of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// It is not let in, for a reason that holds this text; the version before stays.
    Refused(Gate, &'static str),
    /// It is in force, and every hook that it has fails with this text and as `docs/policy-gates.md` says.
    Fails(&'static str),
    /// It is in force, and comes to no more than this.
    Shows(&'static str),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused(gate, words) => write!(f, "refused at gate {gate}: {words}"),
            Fails(words) => write!(f, "in force, and fails: {words}"),
            Shows(words) => write!(f, "in force, and {words}"),
        }
    }
}

const fn specimen(name: &'static str, does: &'static str, dropped: Dropped, answer: Answer) -> Specimen {
    Specimen { name, does, dropped, answer }
}

const fn module(name: &'static str, does: &'static str, answer: Answer) -> Specimen {
    specimen(name, does, Module, answer)
}

const OUT_OF_FUEL: &str = "it ran out of fuel";
const OUT_OF_MEMORY: &str = "it ran out of memory";
const TRAPPED: &str = "it trapped";
const INVALID: &str = "its answer is invalid";

/// Those that take longer than the others to compile; `policies.limits.compile_timeout` bounds them.
pub(super) const LARGE: [&str; 2] = ["many-functions", "deep-blocks"];

pub(super) const KIT: &[Specimen] = &[
    // Files.
    specimen("empty-file", "is empty", Made(|_, _| Vec::new()), Refused(Interface, "the file is empty")),
    specimen(
        "half-a-file",
        "is half of a policy, as a slow copy leaves it",
        Made(|_, good| good[..good.len() / 2].to_vec()),
        Refused(Interface, "if it was still being copied"),
    ),
    specimen(
        "text",
        "is WebAssembly text",
        Made(|_, _| b"(component)".to_vec()),
        Refused(Interface, "WebAssembly text"),
    ),
    specimen(
        "core-module",
        "is a core module",
        Made(|_, _| b"\0asm\x01\0\0\0".to_vec()),
        Refused(Interface, "core module"),
    ),
    specimen("not-wasm", "is a picture", Made(|_, _| b"GIF89a".to_vec()), Refused(Interface, "not WebAssembly")),
    specimen(
        "zeros",
        "is as large as may be, and all zeros",
        Made(|_, _| vec![0; 1 << 20]),
        Refused(Interface, "not WebAssembly"),
    ),
    specimen(
        "too-large",
        "is larger than policies.limits.max_module",
        Placed(too_large),
        Refused(Folder, "are not read"),
    ),
    specimen("folder", "is a folder", Placed(|place| fs::create_dir(place.path)), Refused(Folder, "is not a file")),
    specimen("pipe", "is a named pipe that nobody writes to", Placed(pipe), Refused(Folder, "is not a file")),
    specimen("unreadable", "may not be read", Placed(unreadable), Refused(Folder, "cannot be read")),
    specimen(
        "link-into-nothing",
        "is a link to a file that is not there",
        Placed(|place| symlink(place.outside.join("nothing"), place.path)),
        Refused(Folder, "went away"),
    ),
    specimen(
        "link-to-itself",
        "is a link to itself",
        Placed(|place| symlink(place.path, place.path)),
        Refused(Folder, "cannot be read"),
    ),
    specimen(
        "link-to-a-device",
        "is a link to a file without end",
        Placed(|place| symlink("/dev/zero", place.path)),
        Refused(Folder, "is not a file"),
    ),
    specimen(
        "link-to-a-policy",
        "is a link to a policy elsewhere, as a ConfigMap makes them",
        Placed(linked),
        Shows("names build:good"),
    ),
    // Interface.
    module(
        "imports-wasi",
        "imports a clock of WASI",
        Refused(Interface, "it imports wasi:clocks/monotonic-clock@0.2.0"),
    ),
    module("imports-a-log", "imports a function of its own", Refused(Interface, "it imports log")),
    module("imports-hundreds", "imports nine hundred interfaces", Refused(Interface, "and 895 more")),
    module("unknown-hook", "exports a hook that there is not", Refused(Interface, "layshaft:policy/namings@0.1.0")),
    module("next-version", "exports hooks of version 0.2.0 alone", Refused(Interface, "@0.2.0")),
    module("no-version", "exports hooks without a version", Refused(Interface, "does not know")),
    module("wrong-types", "exports a hook with other types", Refused(Interface, "type mismatch")),
    module("no-meta", "does not introduce itself", Refused(Interface, "policy/meta")),
    module("no-hook", "has no hook", Refused(Interface, "none of the hooks")),
    module("starts-with-4-gb", "starts with 4 GB of memory", Refused(Interface, "policies.limits.memory")),
    module("starts-with-a-huge-table", "starts with a table of 100,000 elements", Refused(Interface, "table")),
    module("nine-memories", "has nine memories", Refused(Interface, "memories")),
    module("two-hundred-instances", "has two hundred core instances", Refused(Interface, "instances")),
    module("start-loops", "loops in its start function", Refused(Interface, OUT_OF_FUEL)),
    module("start-traps", "traps in its start function", Refused(Interface, TRAPPED)),
    module("describe-loops", "loops when it introduces itself", Refused(Interface, OUT_OF_FUEL)),
    module("describe-traps", "traps when it introduces itself", Refused(Interface, TRAPPED)),
    module("describe-recurses", "recurses without end when it introduces itself", Refused(Interface, TRAPPED)),
    module("describe-is-huge", "calls itself by 500,000 bytes", Refused(Interface, INVALID)),
    module("describe-points-nowhere", "calls itself by bytes that it has not", Refused(Interface, INVALID)),
    module("needs-a-bad-glob", "needs labels by a glob that is none", Refused(Interface, "it needs labels")),
    module("needs-no-such-case", "needs what the contract has no case for", Refused(Interface, INVALID)),
    module("doubling-types", "has a type of 2^40 parts", Refused(Interface, "cannot be compiled")),
    module("nested-components", "has components within components, a thousand deep", Refused(Interface, "policy/meta")),
    // Settings.
    module("configure-loops", "loops over its settings", Refused(Settings, OUT_OF_FUEL)),
    module("configure-traps", "traps over its settings", Refused(Settings, TRAPPED)),
    module("configure-grows", "takes all memory for its settings", Refused(Settings, OUT_OF_MEMORY)),
    module("configure-refuses", "refuses its settings with control characters", Refused(Settings, "say  [2J which")),
    module("configure-refuses-at-length", "refuses its settings with 200,000 bytes", Refused(Settings, "…")),
    module("realloc-points-nowhere", "takes its settings outside its memory", Refused(Settings, INVALID)),
    module("realloc-loops", "loops as it takes its settings", Refused(Settings, OUT_OF_FUEL)),
    module("realloc-traps", "traps as it takes its settings", Refused(Settings, TRAPPED)),
    // Laws.
    module("loops", "loops for ever", Refused(Laws, OUT_OF_FUEL)),
    module("recurses", "recurses without end", Refused(Laws, TRAPPED)),
    module("grows-memory", "takes all memory", Refused(Laws, OUT_OF_MEMORY)),
    module("grows-a-table", "takes all elements of a table", Refused(Laws, TRAPPED)),
    module("fills-memory", "fills its memory again and again", Refused(Laws, OUT_OF_FUEL)),
    module("traps", "traps", Refused(Laws, TRAPPED)),
    module("divides-by-zero", "divides by zero", Refused(Laws, TRAPPED)),
    module("reads-out-of-bounds", "reads behind its memory", Refused(Laws, TRAPPED)),
    module("realloc-is-misaligned", "takes the question at an odd address", Refused(Laws, INVALID)),
    module("traps-the-second-time", "traps at its second call", Refused(Laws, TRAPPED)),
    module("answers-by-count", "answers by how often it was asked", Refused(Laws, "keep no state between calls")),
    module("invalid-utf-8", "gives a reason that is not UTF-8", Refused(Laws, INVALID)),
    module("list-out-of-bounds", "answers with a list outside its memory", Refused(Laws, INVALID)),
    module("list-misaligned", "answers with a list at an odd address", Refused(Laws, INVALID)),
    module("answer-out-of-bounds", "answers outside its memory", Refused(Laws, INVALID)),
    module("answer-misaligned", "answers at an odd address", Refused(Laws, INVALID)),
    module("no-such-case", "answers what the contract has no case for", Refused(Laws, INVALID)),
    module("huge-reason", "gives a reason of 500,000 bytes", Refused(Laws, INVALID)),
    module("gigabytes-out-of-one", "gives a trace of 2 GB out of 1 MB of memory", Refused(Laws, INVALID)),
    module(
        "atom-not-asked-for",
        "satisfies a label that nobody asked about",
        Refused(Laws, "which is no atom of the expression"),
    ),
    module("name-empty", "names a project by nothing", Refused(Laws, "empty part")),
    module("name-with-white-space", "gives a name with a space", Refused(Laws, "white space")),
    module("name-with-control-characters", "gives a name with an escape", Refused(Laws, "control character")),
    module("name-with-nul", "gives a name with a NUL", Refused(Laws, "control character")),
    module("name-too-long", "gives a name of 518 bytes", Refused(Laws, "longer than 511 bytes")),
    module("name-huge", "gives a name of 200,000 NULs", Refused(Laws, "…")),
    module("names-too-many", "gives 65 names to one project", Refused(Laws, "more than 64 names")),
    module("label-with-white-space", "gives a label with a space", Refused(Laws, "white space")),
    // Past the gates.
    module("sly-loops", "loops at a real site alone", Fails(OUT_OF_FUEL)),
    module("sly-recurses", "recurses without end at a real site alone", Fails(TRAPPED)),
    module("sly-grows-memory", "takes all memory at a real site alone", Fails(OUT_OF_MEMORY)),
    module("sly-grows-a-table", "takes all elements of a table at a real site alone", Fails(TRAPPED)),
    module("sly-fills-memory", "fills its memory again and again at a real site alone", Fails(OUT_OF_FUEL)),
    module("sly-traps", "traps at a real site alone", Fails(TRAPPED)),
    module("sly-answer-out-of-bounds", "answers outside its memory at a real site alone", Fails(INVALID)),
    module("sly-offline", "loops when builds start and end at a real site alone", Fails(OUT_OF_FUEL)),
    module("sly-name", "gives a name with a space at a real site alone", Fails("white space")),
    module(
        "sly-atom",
        "satisfies what nobody asked about at a real site alone",
        Fails("which is no atom of the expression"),
    ),
    // Lawful.
    module("later-version", "exports hooks of version 0.1.9", Shows("matches")),
    module("many-functions", "has ten thousand functions", Shows("matches")),
    module("deep-blocks", "has blocks within blocks, twenty thousand deep", Shows("matches")),
    module("realloc-repeats-itself", "takes everything at one place", Shows("matches")),
    module(
        "asks-for-everything",
        "asks to see all values of parameters",
        Shows("matches; advice: it asks to see values of parameters and does not"),
    ),
    module("names-a-management-function", "names a project stop:ci", Shows("names build:stop:ci")),
    module("names-with-a-colon", "gives a name with a colon, as if it had a label", Shows("names build:a:b")),
    module("takes-anothers-name", "gives its project the name of another", Shows("names build:witness")),
    module(
        "turns-after-fifty",
        "answers differently from the fifty-first call on",
        Shows("passes VERSION=1 DROPPED=1"),
    ),
    module("sets-without-grant", "sets a parameter", Shows("fails: it sets VERSION and may not")),
    module("drops-what-nobody-sent", "drops a parameter that nobody sent", Shows("passes VERSION=1 DROPPED=1")),
    module("widens-without-grant", "lets a project run where Jenkins would not", Shows("matches, clamped")),
    module("vetoes", "forbids all", Shows("does not match")),
    module("long-message", "takes a node offline with 5,000 NULs", Shows("offline, 501 characters")),
    module(
        "reason-with-escapes",
        "rejects a job with escapes and a line of its own",
        Shows("rejects: no [2J layshaft: all is well"),
    ),
    module("long-reason", "rejects a job with 5,000 NULs", Shows("rejects, 501 characters")),
];

/// Takes no room on the disk.
fn too_large(place: &Place<'_>) -> io::Result<()> {
    let made = File::create(place.path)?.set_len(place.limits.max_module.saturating_add(1));
    made.map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))
}

fn pipe(place: &Place<'_>) -> io::Result<()> {
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path, rustix::fs::Mode::from_raw_mode(0o600)).map_err(io::Error::from)
}

fn unreadable(place: &Place<'_>) -> io::Result<()> {
    fs::write(place.path, place.good)?;
    fs::set_permissions(place.path, Permissions::from_mode(0o000))?;
    match File::open(place.path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this user may read every file")),
        Err(_) => Ok(()),
    }
}

fn linked(place: &Place<'_>) -> io::Result<()> {
    let elsewhere = place.outside.join("good.wasm");
    fs::write(&elsewhere, place.good)?;
    symlink(elsewhere, place.path)
}
