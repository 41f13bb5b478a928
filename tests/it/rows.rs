//! Holds `docs/rows.md`, `docs/traps.md` and `docs/bounds.md` against the names of the tests.

use std::collections::BTreeSet;
use std::path::Path;

use super::floor_plan::sources;

/// Returns the texts of all tests.
fn texts() -> impl Iterator<Item = String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&root.join("tests/it")).into_iter().map(|file| std::fs::read_to_string(file).unwrap())
}

/// Returns the rows of one letter that tests are named after.
fn shown(letter: char) -> BTreeSet<String> {
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
    texts().flat_map(rows_of).collect()
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

#[test]
fn every_test_that_the_threats_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources(&root.join("src")).into_iter().chain(sources(&root.join("tests/it")));
    let tests: String = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let page = include_str!("../../docs/policy-threats.md");
    // Nothing else on the page has so many words.
    let named: BTreeSet<&str> = quoted(page).filter(|word| word.matches('_').count() > 4).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}

/// Returns what stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_bound_names_tests_of_its_row_and_keys_that_there_are() {
    let tests: String = texts().collect();
    let example = include_str!("../../layshaft.example.toml");
    let page = include_str!("../../docs/bounds.md");
    let promised = promised(include_str!("../../docs/rows.md"), 'F');
    let mut bounds = 0;
    for line in page.lines().filter(|line| line.starts_with("| F")) {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let row = cells[0].trim_start_matches("| ");
        assert!(promised.contains(row), "{row} is on no other page");
        let shown: Vec<&str> = quoted(cells[cells.len() - 1]).collect();
        let is_of_row = |test: &&str| test.split('_').any(|word| word.eq_ignore_ascii_case(row));
        assert!(shown.iter().any(is_of_row), "{row} has no test of its own: {shown:?}");
        for test in shown {
            assert!(tests.contains(&format!("fn {test}(")), "there is no test {test}");
        }
        for key in cells[3..cells.len() - 1].iter().flat_map(|cell| quoted(cell)) {
            let name = key.rsplit('.').next().unwrap();
            assert!(example.contains(&format!("#{name} = ")), "there is no key {key}");
        }
        bounds += 1;
    }
    assert!(bounds >= 8, "the table is there");
}
