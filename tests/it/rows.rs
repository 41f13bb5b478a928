//! Holds `docs/rows.md` against the names of the tests.

use std::collections::BTreeSet;
use std::path::Path;

use super::floor_plan::sources;

/// Returns the rows that tests of a folder are named after.
fn shown(folder: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = sources(&root.join(folder)).into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    let is_row =
        |word: &&str| word.strip_prefix('f').is_some_and(|number| number.len() >= 2 && number.parse::<u32>().is_ok());
    let rows_of = |text: String| -> Vec<String> {
        let names = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
        names.flat_map(|name| name.split('_').take_while(is_row).map(str::to_uppercase).collect::<Vec<_>>()).collect()
    };
    texts.flat_map(rows_of).collect()
}

#[test]
fn every_row_that_is_promised_is_shown_and_every_row_that_is_shown_is_on_the_page() {
    let page = include_str!("../../docs/rows.md");
    let promised: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| F")?.split(' ').next())
        .map(|row| format!("F{row}"))
        .collect();
    assert_eq!(shown("tests/it"), promised);
}
