use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::super::arguments::ControlSocket;
use super::super::{Exit, terminal};
use super::sources::{NotCompared, Sources};
use crate::policy::{Digest, Lineup, Seated};
use crate::runtime::table_diff::{Listed, Meant, Moved, Nodes, TableDiff};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works the whole function table out twice: as it is, and with the file among the policies, in the place of the one of its
name, with the settings beside it and the grants of the site. Nothing is put in force, and nothing of the file runs in the
daemon. A place is a function on a node.

Exit code 0: both are the same; 1: they differ; 2 and more: nothing was compared.

Examples:
  layshaft policy diff 30-candidate.wasm
  layshaft policy diff 30-candidate.wasm --against classic --json | jq .withdrawn
  layshaft policy diff --remove names
  layshaft fleet export > fleet.json
  layshaft policy diff 30-candidate.wasm --fleet fleet.json --folder policies")]
pub(super) struct Diff {
    /// The candidate, as it would lie in the daemon's folder; without it and --remove, all policies in force are compared
    /// with the classic rules.
    #[arg(conflicts_with = "remove", required_unless_present_any = ["remove", "against"])]
    file: Option<PathBuf>,
    /// See what would become of the table without this policy.
    #[arg(long, value_name = "NAME", conflicts_with = "against")]
    remove: Option<String>,
    /// What to compare with: `live`, all that is in force; or `classic`, no policy at all, to which the file comes alone.
    #[arg(long, value_enum, default_value_t)]
    against: Against,
    #[command(flatten)]
    sources: Sources,
    /// Show so many lines of each kind; JSON has them all.
    #[arg(long, value_name = "N", default_value_t = 40)]
    most: usize,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Against {
    #[default]
    Live,
    Classic,
}

/// The comparison, for scripts.
#[derive(Debug, Serialize)]
struct Report {
    same: bool,
    against: Against,
    /// None if it is about one that goes, or about all of them.
    candidate: Option<Seated>,
    removed: Option<(String, Digest)>,
    warnings: Vec<String>,
    #[serde(flatten)]
    diff: TableDiff,
}

impl Diff {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let report = self.compare().await.map_err(NotCompared::wrap)?;
        if self.json {
            terminal::say_json(&report)?;
        } else {
            for warning in &report.warnings {
                terminal::complain(&format!("warning: {}", terminal::harmless(warning)));
            }
            terminal::say(terminal::harmless(told(&report, self.most).trim_end()))?;
        }
        Ok(if report.same { Exit::Ok } else { Exit::Failed })
    }

    async fn compare(&self) -> anyhow::Result<Report> {
        let mut gathered = self.sources.gather(&self.socket).await?;
        let (before, mut after) = match (self.against, &self.file) {
            (Against::Live, _) => {
                let in_force = gathered.in_force()?;
                (in_force.clone(), in_force)
            }
            (Against::Classic, Some(_)) => {
                let classic = Lineup::classic(&gathered.config)?;
                (classic.clone(), classic)
            }
            (Against::Classic, None) => (Lineup::classic(&gathered.config)?, gathered.in_force()?),
        };
        let known = after.warnings().len();
        let candidate = self.file.as_ref().map(|file| after.seat(file)).transpose()?;
        let removed = self.remove.as_ref().map(|name| Ok::<_, anyhow::Error>((name.clone(), after.remove(name)?)));
        let removed = removed.transpose()?;
        gathered.warnings.extend(after.warnings().iter().skip(known).cloned());
        let fleet = &gathered.fleet;
        let before = fleet.offered(&before.generation(), None);
        let diff = before.diff(&fleet.offered(&after.generation(), Some(&before)));
        let warnings = gathered.warnings;
        Ok(Report { same: diff.is_same(), against: self.against, candidate, removed, warnings, diff })
    }
}

fn told(report: &Report, most: usize) -> String {
    let Report { against, candidate, removed, diff, .. } = report;
    let against = match against {
        Against::Live => "what is in force",
        Against::Classic => "the classic rules",
    };
    let what = match (candidate, removed) {
        (Some(Seated { name, digest, replaces: None }), _) => format!("with policy {name} ({})", digest.short()),
        (Some(Seated { name, digest, replaces: Some(before) }), _) => {
            format!("with policy {name} ({}) in the place of {}", digest.short(), before.short())
        }
        (None, Some((name, digest))) => format!("without policy {name} ({})", digest.short()),
        (None, None) => "with all policies in force".to_owned(),
    };
    let mut text = format!("{what}, against {against}\n{}", counts(diff));
    section(&mut text, "added", &diff.added, most, |one| listed('+', one));
    section(&mut text, "withdrawn", &diff.withdrawn, most, |one| listed('-', one));
    section(&mut text, "on other nodes", &diff.moved, most, moved);
    section(&mut text, "with another meaning", &diff.meaning, most, |Meant { function, before, after }| {
        format!("! {function}  {before} -> {after}")
    });
    let notes = diff.notes_added.iter().map(|note| format!("+ {note}"));
    let notes: Vec<String> = notes.chain(diff.notes_gone.iter().map(|note| format!("- {note}"))).collect();
    section(&mut text, "notes", &notes, most, Clone::clone);
    if report.same {
        text.push_str("nothing changes\n");
    }
    text
}

fn counts(diff: &TableDiff) -> String {
    let TableDiff { functions_before, functions_after, places_before, places_after, .. } = diff;
    let changes = [
        (diff.added.len(), "added"),
        (diff.withdrawn.len(), "withdrawn"),
        (diff.moved.len(), "on other nodes"),
        (diff.meaning.len(), "with another meaning"),
    ];
    let places = [(diff.places_added, "added"), (diff.places_withdrawn, "withdrawn")];
    let row = |what: &str, before: usize, after: usize, changes: &[(usize, &str)]| {
        let changes: Vec<String> =
            changes.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let changes = if changes.is_empty() { "none other".to_owned() } else { changes.join(", ") };
        format!("  {what:<10} {before} -> {after}: {changes}\n")
    };
    row("functions", *functions_before, *functions_after, &changes)
        + &row("places", *places_before, *places_after, &places)
}

fn section<T>(text: &mut String, title: &str, items: &[T], most: usize, line: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "{title}");
    for item in items.iter().take(most) {
        let _infallible = writeln!(text, "  {}", line(item));
    }
    if let Some(more) = items.len().checked_sub(most).filter(|more| *more > 0) {
        let _infallible = writeln!(text, "  and {more} more: --most {} or --json shows them", items.len());
    }
}

fn listed(sign: char, Listed { function, project, nodes: on }: &Listed) -> String {
    format!("{sign} {function} ({project}) on {}", nodes(on))
}

fn moved(Moved { function, project, gained, lost }: &Moved) -> String {
    let parts = [("gained by", gained), ("lost by", lost)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, on)| on.count > 0).map(|(what, on)| format!("{what} {}", nodes(on))).collect();
    format!("~ {function} ({project}) {}", parts.join("; "))
}

/// Names a few nodes and counts them all.
pub(super) fn nodes(Nodes { count, examples }: &Nodes) -> String {
    let names: Vec<String> = examples.iter().map(|place| format!("{} of {}", place.node, place.controller)).collect();
    let more = if *count > examples.len() { ", …" } else { "" };
    let noun = if *count == 1 { "node" } else { "nodes" };
    format!("{count} {noun}: {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn counts_come_first_and_long_lists_are_cut() {
        let place = |node: &str| serde_json::json!({ "controller": "ci", "node": node });
        let on = |count: usize, names: &[&str]| serde_json::json!({ "count": count, "examples": names.iter().map(|name| place(name)).collect::<Vec<_>>() });
        let listed = |function: &str, nodes: serde_json::Value| serde_json::json!({ "function": function, "project": "p", "nodes": nodes });
        let diff: TableDiff = serde_json::from_value(serde_json::json!({
            "functions_before": 3, "functions_after": 4, "places_before": 9, "places_after": 12,
            "places_added": 5, "places_withdrawn": 2,
            "added": [listed("build:a", on(4, &["n1", "n2", "n3"])), listed("build:b", on(1, &["n1"])), listed("build:c", on(1, &["n1"]))],
            "withdrawn": [],
            "moved": [{ "function": "build:d", "project": "d", "gained": on(1, &["n1"]), "lost": on(2, &["n2", "n3"]) }],
            "meaning": [{ "function": "build:e", "before": "x/e", "after": "y/e" }],
            "notes_added": ["somebody clashes"], "notes_gone": ["somebody clashed"],
        }))
        .unwrap();
        let digest = |text: &[u8]| Digest::of(text);
        let candidate = Seated { name: "names".into(), digest: digest(b"a"), replaces: Some(digest(b"b")) };
        let report = Report {
            same: false,
            against: Against::Live,
            candidate: Some(candidate),
            removed: None,
            warnings: Vec::new(),
            diff,
        };
        expect![[r#"
            with policy names (ca978112ca1b) in the place of 3e23e8160039, against what is in force
              functions  3 -> 4: 3 added, 1 on other nodes, 1 with another meaning
              places     9 -> 12: 5 added, 2 withdrawn
            added
              + build:a (p) on 4 nodes: n1 of ci, n2 of ci, n3 of ci, …
              + build:b (p) on 1 node: n1 of ci
              and 1 more: --most 3 or --json shows them
            on other nodes
              ~ build:d (d) gained by 1 node: n1 of ci; lost by 2 nodes: n2 of ci, n3 of ci
            with another meaning
              ! build:e  x/e -> y/e
            notes
              + somebody clashes
              - somebody clashed
        "#]]
        .assert_eq(&told(&report, 2));
    }
}
