use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::component::{Description, Hook};
use super::config::Config;
use super::digest::Digest;
use super::signature::Signed;
use super::tally::Tallies;
use super::workbench::Workbench;
use super::{gate, reload};

/// What a policy file is, for its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    pub digest: Digest,
    pub description: Description,
    pub hooks: BTreeSet<Hook>,
    pub bindings: usize,
    pub signed: Signed,
    /// What it asks to see and would need grants for.
    pub advice: Vec<String>,
}

/// Takes one file, with the sidecar beside it, through the gates that need no running site: pin, signature, interface,
/// settings, laws.
///
/// # Errors
/// A file that the daemon would refuse, with the same words.
pub fn check(path: &Path, config: &Config) -> Result<CheckReport, reload::Error> {
    let Workbench { name, stem, contents, module, .. } = Workbench::open(path, config)?;
    let signed = gate::vouched(config, &name, &stem, &contents).map_err(reload::Error::Refused)?;
    let sidecar = contents.sidecar.as_deref();
    let version =
        gate::settle(config, &Tallies::default(), &name, &stem, module, sidecar).map_err(reload::Error::Refused)?;
    Ok(CheckReport {
        digest: version.module.digest.clone(),
        description: version.module.description.clone(),
        hooks: gate::hooks_of(&version),
        bindings: version.slots.len(),
        signed,
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
        assert!(check(&path, &config).unwrap_err().to_string().contains("10-lists.wasm: it cannot be read"));
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
