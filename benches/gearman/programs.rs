//! The peers' programs: compiled on demand, or found where they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Compiles the workers that are written in C.
pub(crate) fn c_worker() -> anyhow::Result<PathBuf> {
    gcc("c_worker", &["-pthread"], &["-lgearman"]).context("apt-get install gcc libgearman-dev")
}

/// Compiles the library that sets TCP_NODELAY for those who do not.
pub(crate) fn nodelay_library() -> anyhow::Result<PathBuf> {
    gcc("nodelay", &["-shared", "-fPIC"], &["-ldl"]).context("apt-get install gcc")
}

/// Builds the workers that are made of other crates, and returns the folder that holds them.
pub(crate) fn rust_workers() -> anyhow::Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(sources().join("rust/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("cargo failed to build benches/peers/rust");
    }
    Ok(target.join("release"))
}

/// Returns a worker written in Python, if the package that it uses is installed for `python3`.
pub(crate) fn python_worker(script: &str, module: &str, package: &str) -> anyhow::Result<PathBuf> {
    let import = format!("import {module}");
    let found = Command::new("python3").args(["-c", &import]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        bail!("python3 does not find it (pip install {package})");
    }
    Ok(sources().join(script))
}

pub(crate) fn is_installed(program: &str) -> bool {
    let asked = Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

fn gcc(name: &str, options: &[&str], libraries: &[&str]) -> anyhow::Result<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = sources().join(name).with_extension("c");
    let output = Command::new("gcc")
        .args(["-O2", "-o"])
        .args([&program, &source])
        .args(options)
        .args(libraries)
        .output()
        .context("gcc cannot be started")?;
    if !output.status.success() {
        bail!("gcc failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(program)
}

fn sources() -> PathBuf {
    let this_file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file!());
    this_file.ancestors().nth(2).unwrap_or(&this_file).join("peers")
}
