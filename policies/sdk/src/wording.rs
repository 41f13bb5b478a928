//! Texts for people, made of names that a stranger may have chosen.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

/// The most characters of one name that are shown.
const LONGEST: usize = 80;

/// The most names of a list that are shown.
const MOST: usize = 8;

/// Returns the name in backticks, control characters replaced and shortened if it is very long.
pub fn quoted(name: &str) -> String {
    let mut shown: String = name.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Returns the names quoted and separated by commas; the end of a very long list is only counted.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let shown: Vec<_> = names.iter().take(MOST).map(|name| quoted(name)).collect();
    match names.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", ").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_cut_and_cleaned() {
        assert_eq!(quoted("A\nB"), "`A\u{fffd}B`");
        assert_eq!(quoted(&"x".repeat(80)), format!("`{}`", "x".repeat(80)));
        assert_eq!(quoted(&"x".repeat(81)), format!("`{}…`", "x".repeat(80)));
    }

    #[test]
    fn long_lists_are_counted() {
        assert_eq!(list([]), "");
        assert_eq!(list(["a", "b"]), "`a`, `b`");
        assert_eq!(list(["a"; 8]), ["`a`"; 8].join(", "));
        assert_eq!(list(["a"; 10]), format!("{} and 2 more", ["`a`"; 8].join(", ")));
    }
}
