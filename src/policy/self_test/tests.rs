use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Every specimen, held against what has to become of it; and none takes long, however busy the machine is.
#[tokio::test(flavor = "multi_thread")]
async fn f114_everything_hostile_that_we_know_of_is_contained() {
    let found = SelfTest::run(&Limits::default(), 10).await.unwrap();
    let broken: Vec<&Finding> = found.kit.iter().filter(|finding| finding.outcome == Outcome::Broke).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let late: Vec<&Finding> = found.kit.iter().filter(|finding| finding.milliseconds > 10_000.0).collect();
    assert!(late.is_empty(), "{late:#?}");
    let skipped: Vec<&str> =
        found.kit.iter().filter(|finding| finding.outcome == Outcome::Skipped).map(|finding| finding.name).collect();
    assert!(skipped.is_empty() || skipped == ["unreadable"], "{skipped:?}");
    let [fuel, deadline] = found.bounds.as_slice() else { panic!("{:?}", found.bounds) };
    assert!(fuel.milliseconds < deadline.milliseconds, "{:?}", found.bounds);
}

#[test]
fn every_module_of_the_kit_is_tried_and_every_name_is_one_specimen_s() {
    let in_table: Vec<&str> = KIT.iter().map(|specimen| specimen.name).collect();
    assert_eq!(in_table.iter().collect::<BTreeSet<_>>().len(), in_table.len());
    let of_modules: BTreeSet<&str> = KIT
        .iter()
        .filter(|specimen| matches!(specimen.dropped, kit::Dropped::Module))
        .map(|specimen| specimen.name)
        .chain(["witness", "last-good"])
        .collect();
    assert_eq!(of_modules, modules().keys().map(String::as_str).collect());
}

#[test]
fn the_published_table_is_the_kit() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy-hostility.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = KIT
        .iter()
        .map(|specimen| format!("| `{}` | {} | {} |", specimen.name, specimen.does, specimen.answer))
        .collect();
    assert_eq!(rows, expected, "\n{}", expected.join("\n"));
}
