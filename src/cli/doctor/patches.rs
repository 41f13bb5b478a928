//! Writes, for each project that should declare more, a patch of its `config.xml`.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Failure;
use super::gather::Gathered;
use super::progress::Progress;
use crate::doctor::{Missing, config_xml, missing};
use crate::domain::{ControllerName, ProjectName};

/// What stays as it is in the name of a file.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Writes the patches, and returns what to tell about it.
pub(super) async fn write(folder: &Path, gathered: &Gathered, progress: &Progress) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    let (mut patches, mut fragments) = (0_usize, 0_usize);
    for it in missing(&gathered.facts).iter().filter(|it| !it.declarations.is_empty()) {
        for controller in &it.controllers {
            let path = folder.join(file(controller, &it.project));
            let step = format!("asking {controller} for the configuration of {}", it.project);
            match progress.during(step, diff(gathered, controller, it)).await {
                Ok(patch) => {
                    patches += 1;
                    save(&path.with_added_extension("patch"), &patch)?;
                }
                Err(reason) => {
                    fragments += 1;
                    let path = path.with_added_extension("xml");
                    save(&path, &config_xml::fragment(&it.declarations))?;
                    told.push(format!(
                        "{} is what to put into <parameterDefinitions> by hand: {reason}",
                        path.display()
                    ));
                }
            }
        }
    }
    told.push(format!(
        "wrote {patches} patches and {fragments} fragments into {}; docs/migrating.md shows how to apply them",
        folder.display()
    ));
    Ok(told)
}

async fn diff(gathered: &Gathered, controller: &ControllerName, missing: &Missing) -> Result<String, String> {
    let client = gathered.clients.get(controller).ok_or("there is no client for it")?;
    let document = client.config_xml(&missing.project).await.map_err(|error| error.to_string())?;
    let jobs: Vec<&str> = missing.project.segments().collect();
    let path = format!("jobs/{}/config.xml", jobs.join("/jobs/"));
    let is_plain = |char: char| !char.is_control();
    let path: String = path.chars().filter(|char| is_plain(*char)).collect();
    config_xml::patch(&path, &document, &missing.declarations)
        .ok_or_else(|| "its config.xml is not laid out as Jenkins writes it".to_owned())
}

/// Returns `CONTROLLER/FOLDER/PROJECT`, in names that every file system takes.
fn file(controller: &ControllerName, project: &ProjectName) -> PathBuf {
    let segments = std::iter::once(controller.as_str()).chain(project.segments());
    segments.map(plain).collect()
}

fn plain(name: &str) -> String {
    match name {
        "" | "." | ".." => "%".to_owned() + name,
        name => utf8_percent_encode(name, PLAIN).to_string(),
    }
}

fn save(file: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, text)
    };
    let failed = |error: std::io::Error| Failure { action: "write", file: file.to_owned(), reason: error.to_string() };
    write().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (controller, project, expected) in [
            ("ci1", "team/lint", "ci1/team/lint"),
            ("../ci", "../../etc/x", "..%2Fci/%../%../etc/x"),
            ("ci 1", "a\\b", "ci%201/a%5Cb"),
        ] {
            let file = file(&ControllerName::new(controller), &ProjectName::new(project));
            assert_eq!(file.to_str().unwrap(), expected);
            assert!(file.components().all(|it| matches!(it, std::path::Component::Normal(_))));
        }
    }
}
