//! Jenkins Job Builder macros that declare what is missing.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::declaration::Declaration;
use super::missing::Missing;
use crate::domain::ProjectName;

/// Returns YAML with a macro for each set of parameters; a comment names the projects that need it.
///
/// Nothing in it needs escaping in YAML or in Job Builder's templates: names that would are left out before.
pub fn macros(missing: &[Missing]) -> String {
    let mut by_set: BTreeMap<&[Declaration], Vec<&Missing>> = BTreeMap::new();
    for it in missing.iter().filter(|it| !it.declarations.is_empty()) {
        by_set.entry(&it.declarations).or_default().push(it);
    }
    let mut sets: Vec<_> = by_set.into_iter().collect();
    sets.sort_by_key(|(_, users)| users.iter().map(|it| &it.project).min());
    let mut yaml =
        "# Written by layshaft doctor. Name the macro among the `parameters` of each project's job.\n".to_owned();
    let mut taken = BTreeMap::new();
    for (declarations, users) in sets {
        yaml.push('\n');
        for Missing { project, controllers, left_out, .. } in &users {
            let controllers: Vec<&str> = controllers.iter().map(|it| it.as_str()).collect();
            line(&mut yaml, format_args!("# {} on {}", comment(project.full()), comment(&controllers.join(", "))));
            for name in left_out {
                line(
                    &mut yaml,
                    format_args!("#   left out, since its name is no name of a parameter: {}", comment(name)),
                );
            }
        }
        let Some(first) = users.iter().map(|it| &it.project).min() else { continue };
        line(&mut yaml, format_args!("- parameter:\n    name: '{}'\n    parameters:", name(first, &mut taken)));
        for declaration in declarations {
            let kind = if declaration.is_marker { "string" } else { "text" };
            line(
                &mut yaml,
                format_args!(
                    "      - {kind}:\n          name: '{}'\n          default: ''\n          description: '{}'",
                    declaration.name,
                    declaration.description()
                ),
            );
        }
    }
    yaml
}

/// Returns a name after the first project that needs the macro, and never the same twice.
fn name(project: &ProjectName, taken: &mut BTreeMap<String, u32>) -> String {
    let words: String =
        project.full().chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let name = format!("layshaft-parameters-of-{words}");
    let times = taken.entry(name.clone()).or_default();
    *times += 1;
    if *times > 1 { format!("{name}-{times}") } else { name }
}

fn comment(text: &str) -> String {
    text.chars().take(200).map(|char| if char.is_control() { '?' } else { char }).collect()
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{line}");
}
