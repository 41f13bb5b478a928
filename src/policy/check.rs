use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::component::{Description, Hook};
use super::config::Config;
use super::digest::Digest;
use super::status::Refusal;
use super::{engine, folder, gate, reload};

/// What a policy file is, for its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    pub digest: Digest,
    pub description: Description,
    pub hooks: BTreeSet<Hook>,
    pub bindings: usize,
    /// What it asks to see and would need grants for.
    pub advice: Vec<String>,
}

/// Takes one file, with the sidecar beside it, through the gates that need no site: interface, settings, laws.
///
/// # Errors
/// A file that the daemon would refuse, with the same words.
pub fn check(path: &Path, config: &Config) -> Result<CheckReport, reload::Error> {
    let refuse = |slot: &str, reason: String| {
        reload::Error::Refused(Refusal { slot: slot.into(), gate: super::status::Gate::Folder, reason })
    };
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let name = folder::name_of(&stem);
    let bytes =
        std::fs::read(path).map_err(|error| refuse(name, format!("{} cannot be read: {error}", path.display())))?;
    let sidecar = match std::fs::read_to_string(path.with_extension("toml")) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(refuse(name, format!("{stem}.toml cannot be read: {error}"))),
    };
    let engine = engine::start(&config.limits).map_err(|error| reload::Error::Engine(format!("{error:#}")))?;
    let module = gate::interface(&engine, config, name, &bytes).map_err(reload::Error::Refused)?;
    let version = gate::settle(config, name, &stem, module, sidecar.as_deref()).map_err(reload::Error::Refused)?;
    Ok(CheckReport {
        digest: version.module.digest.clone(),
        description: version.module.description.clone(),
        hooks: gate::hooks_of(&version),
        bindings: version.slots.len(),
        advice: version.advice,
    })
}

#[cfg(test)]
mod tests {
    use super::super::guest::{Guest, rules};
    use super::*;

    #[test]
    fn an_author_is_told_what_the_daemon_would_say() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path());
        let path = folder.path().join("10-lists.wasm");
        assert!(check(&path, &config).unwrap_err().to_string().contains("10-lists.wasm cannot be read"));
        std::fs::write(&path, Guest::new("lists").filter(&rules(&[], true, "")).needs_values().build()).unwrap();
        std::fs::write(path.with_extension("toml"), "[[bind]]\n[[bind]]").unwrap();
        let report = check(&path, &config).unwrap();
        assert_eq!((report.hooks, report.bindings), ([Hook::Parameters].into(), 2));
        assert!(report.advice[0].contains(r#"grants = ["values"] to policies.slots.lists"#), "{:?}", report.advice);
        std::fs::write(path.with_extension("toml"), "[settings").unwrap();
        let error = check(&path, &config).unwrap_err().to_string();
        assert!(error.contains("policy lists refused at gate settings: 10-lists.toml"), "{error}");
    }
}
