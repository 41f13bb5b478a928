//! The demo's two controllers, and the policies with their settings.

use std::time::Duration;

use crate::simulator::{Fleet, Length, NodeSpec, ParameterKind, ParameterSpec, ProjectSpec};

/// A file of the demo's policy folder.
pub(super) struct PolicyFile {
    pub(super) name: &'static str,
    pub(super) content: &'static [u8],
}

const NAMING: &[u8] = include_bytes!("../../../policies/folder-names/folder-names.wasm");

/// What lies in the folder at the start.
pub(super) const POLICIES: &[PolicyFile] = &[
    PolicyFile { name: "10-folder-names.wasm", content: NAMING },
    PolicyFile {
        name: "20-label-hierarchy.wasm",
        content: include_bytes!("../../../policies/label-hierarchy/label-hierarchy.wasm"),
    },
    PolicyFile {
        name: "30-parameter-allowlist.wasm",
        content: include_bytes!("../../../policies/parameter-allowlist/parameter-allowlist.wasm"),
    },
    PolicyFile { name: "30-parameter-allowlist.toml", content: ALLOWLIST },
    PolicyFile {
        name: "40-single-use-nodes.wasm",
        content: include_bytes!("../../../policies/single-use-nodes/single-use-nodes.wasm"),
    },
];

const ALLOWLIST: &[u8] = b"\
[[settings.deny]]
name = \"internals\"
parameter = \"JENKINS_*\"

[[settings.rules]]
name = \"everything else\"
projects = [\"**\"]
allow = [\"ZUUL_*\", \"CHANGE\"]
drop = [\"DEBUG_*\"]
";

/// Settings that are dropped beside the naming policy while builds run.
pub(super) const OTHER_NAMES: PolicyFile =
    PolicyFile { name: "10-folder-names.toml", content: b"[settings]\nseparator = \".\"\n" };

/// Something that looks like a policy, and is the first half of one.
pub(super) fn broken() -> &'static [u8] {
    &NAMING[..NAMING.len() / 2]
}

pub(super) fn alpha() -> Fleet {
    fleet(vec![
        NodeSpec::new("alpha-1", 2, &["ubuntu-22.04"]),
        NodeSpec::new("alpha-2", 2, &["ubuntu-24.04", "gpu-2"]),
        NodeSpec::new("alpha-mac", 1, &["macos"]),
    ])
}

pub(super) fn beta() -> Fleet {
    fleet(vec![
        NodeSpec::new("beta-1", 2, &["ubuntu-24.04"]),
        NodeSpec::new("beta-gpu", 1, &["ubuntu-24.04", "gpu-8"]),
        NodeSpec::new("beta-once", 1, &["single-use"]),
    ])
}

/// Both controllers have the same projects, as sites arrange it that share a queue.
fn fleet(nodes: Vec<NodeSpec>) -> Fleet {
    let projects = vec![
        project("lint", "ubuntu", 1700),
        project("shop/web/test", "ubuntu", 2000),
        project("shop/api/test", "ubuntu", 1800),
        project("train", "\"gpu>=4\"", 2200),
        project("deploy", "single-use", 2000),
        project("app", "macos", 1500),
    ];
    Fleet { nodes, projects, ..Fleet::default() }
}

fn project(name: &str, label: &str, milliseconds: u64) -> ProjectSpec {
    let parameter = |name: &str| ParameterSpec::new(name, ParameterKind::String, "");
    ProjectSpec {
        label: Some(label.to_owned()),
        concurrent: true,
        duration: Length::Fixed(Duration::from_millis(milliseconds)),
        parameters: vec![
            parameter("ZUUL_UUID"),
            parameter("CHANGE"),
            parameter("DEBUG_LEVEL"),
            ParameterSpec::new("NODE", ParameterKind::Node, ""),
        ],
        ..ProjectSpec::new(name)
    }
}

/// The functions that the demo calls in turn: before and after the naming policy was replaced.
pub(super) fn functions(replaced: bool) -> [&'static str; 8] {
    if replaced {
        [
            "build:lint:ubuntu",
            "build:shop.web.test",
            "build:shop.api.test:ubuntu",
            "build:train",
            "build:lint",
            "build:app",
            "build:shop.web.test:ubuntu",
            "build:lint",
        ]
    } else {
        [
            "build:lint:ubuntu",
            "build:shop/web/test",
            "build:shop/api/test:ubuntu",
            "build:train",
            "build:lint",
            "build:app",
            "build:shop/web/test:ubuntu",
            "build:deploy",
        ]
    }
}
