use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use layshaft::domain::{ControllerName, DeclaredParameter, Mode, Node, NodeName, Project, ProjectKind, ProjectName};
use layshaft::policy::{Config, Controller, Grant, SlotGuard};
use tempfile::TempDir;

/// A policy folder with some of the example policies, and what they are granted.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) config: Config,
    root: TempDir,
    changes: Cell<u32>,
}

impl Site {
    pub(crate) fn new(policies: &[&str]) -> anyhow::Result<Self> {
        let root = tempfile::tempdir()?;
        let mut config = Config::new(root.path().join("policies"));
        config.state = Some(root.path().join("state"));
        fs::create_dir(&config.folder)?;
        for &name in policies {
            for ending in ["wasm", "toml"] {
                fs::copy(shipped(name, ending), config.folder.join(format!("10-{name}.{ending}")))?;
            }
            let grants = [Grant::Widen, Grant::Values, Grant::Labels].into();
            config.slots.insert(name.to_owned(), SlotGuard { grants, ..SlotGuard::default() });
        }
        Ok(Self { config, root, changes: Cell::default() })
    }

    /// Replaces a policy by one that decides the same and has other bytes, in one step.
    pub(crate) fn change(&self, name: &str) -> anyhow::Result<()> {
        self.changes.set(self.changes.get() + 1);
        let mut component =
            fs::read(shipped(name, "wasm")).context("the example policies are built by policies/build")?;
        // A custom section: id, length, length of the name, name, contents.
        component.extend([0, 9, 4]);
        component.extend(b"note");
        component.extend(self.changes.get().to_le_bytes());
        let beside = self.root.path().join("next.wasm");
        fs::write(&beside, component)?;
        fs::rename(beside, self.config.folder.join(format!("10-{name}.wasm")))?;
        Ok(())
    }
}

fn shipped(name: &str, ending: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policies/{name}/{name}.{ending}"))
}

pub(crate) fn controller() -> Controller {
    Controller { name: ControllerName::new("ci"), tags: ["production".to_owned()].into() }
}

pub(crate) fn project() -> Project {
    let declared =
        |name: &str| DeclaredParameter { name: name.to_owned(), kind: "StringParameterDefinition".to_owned() };
    Project {
        name: ProjectName::new("deploy/webapp"),
        kind: ProjectKind::Freestyle,
        buildable: true,
        concurrent: true,
        label: Some("linux".to_owned()),
        label_unknown: false,
        parameters: Some(["VERSION", "DEPLOY_ARGS", "ZUUL_PROJECT", "ZUUL_REF"].map(declared).into()),
    }
}

/// Makes a node that serves `ubuntu` and `"gpu>=2"` by its version and number, among labels of its own.
pub(crate) fn node(number: usize) -> Node {
    let labels = ["ubuntu-22.04", "gpu-4", "linux", "x86_64", "docker", "rack-7"].map(str::to_owned);
    let name = format!("node-{number}");
    Node {
        name: NodeName::agent(&name),
        offline: false,
        temporarily_offline: false,
        offline_reason: None,
        mode: Mode::Normal,
        labels: labels.into_iter().chain([name]).collect(),
        executor_count: 1,
        executors: Vec::new(),
        flyweights: Vec::new(),
    }
}
