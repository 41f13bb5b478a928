//! Holds `docs/rows.md` and `docs/traps.md` against the names of the tests.

use std::collections::BTreeSet;
use std::path::Path;

use super::floor_plan::sources;

/// Returns the rows of one letter that tests are named after.
fn shown(letter: char) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = sources(&root.join("tests/it")).into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    let is_row = |word: &&str| {
        let number = word.strip_prefix(['f', 't']);
        number.is_some_and(|number| number.len() >= 2 && number.parse::<u32>().is_ok())
    };
    let rows_of = |text: String| -> Vec<String> {
        let names = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
        let words =
            names.flat_map(|name| name.split('_').take_while(is_row).map(str::to_uppercase).collect::<Vec<_>>());
        words.filter(|row| row.starts_with(letter)).collect()
    };
    texts.flat_map(rows_of).collect()
}

/// Returns the rows of one letter that a page promises.
fn promised(page: &str, letter: char) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let is_row = |row: &&str| row.strip_prefix(letter).is_some_and(|number| number.parse::<u32>().is_ok());
    rows.filter(is_row).map(str::to_owned).collect()
}

#[test]
fn every_row_that_is_promised_is_shown_and_every_row_that_is_shown_is_on_the_page() {
    assert_eq!(shown('F'), promised(include_str!("../../docs/rows.md"), 'F'));
    assert_eq!(shown('T'), promised(include_str!("../../docs/traps.md"), 'T'));
}
