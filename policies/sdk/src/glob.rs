//! Globs, of two kinds.
//!
//! For names and values, `*` is any text and `?` any character. For projects, which stand in folders, both stop at `/`, and
//! `**` goes across: the same as in the daemon's own bindings. In both, `\` takes the next character as it is.
//!
//! `[`, `]`, `{` and `}` mean something elsewhere. They are refused here unless escaped, since a pattern that silently
//! never matches may be the one that should have denied something.

use alloc::{format, string::String, vec::Vec};

use crate::quoted;

/// Patterns for names and values, of which one has to match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globs(Vec<Glob>);

/// Patterns for full names of projects, of which one has to match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectGlobs(Vec<Vec<Segment>>);

/// One pattern for a text without structure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glob(Vec<Token>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Anything,
    Any,
    Only(char),
}

/// What stands between two slashes of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of folders, none included.
    Folders,
    One(Glob),
}

impl Globs {
    /// Reads patterns.
    ///
    /// # Errors
    ///
    /// A sentence about the first pattern that cannot be read.
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, String> {
        patterns.into_iter().map(|pattern| Glob::read(pattern.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the pattern that matches everything.
    pub fn everything() -> Self {
        Self(alloc::vec![Glob(alloc::vec![Token::Anything])])
    }

    /// Returns whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a pattern matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(text))
    }
}

impl ProjectGlobs {
    /// Reads patterns.
    ///
    /// # Errors
    ///
    /// A sentence about the first pattern that cannot be read.
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, String> {
        patterns.into_iter().map(|pattern| segments(pattern.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the pattern that matches every project.
    pub fn everything() -> Self {
        Self(alloc::vec![alloc::vec![Segment::Folders]])
    }

    /// Returns whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a pattern matches the whole full name.
    pub fn matches(&self, full_name: &str) -> bool {
        let takes = |segment: &Segment, name| matches!(segment, Segment::One(glob) if glob.matches(name));
        let is_run = |segment: &Segment| *segment == Segment::Folders;
        self.0.iter().any(|segments| matches_all(segments, full_name.split('/'), is_run, takes))
    }
}

impl Glob {
    fn read(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("a pattern is empty, and would match nothing".into());
        }
        let mut tokens = Vec::new();
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            tokens.push(match c {
                '*' => Token::Anything,
                '?' => Token::Any,
                '\\' => match rest.next() {
                    Some(c) => Token::Only(c),
                    None => return Err(format!("the pattern {} ends in `\\`", quoted(pattern))),
                },
                '[' | ']' | '{' | '}' => {
                    return Err(format!("the pattern {} has `{c}`; for a plain one write `\\{c}`", quoted(pattern)));
                }
                c => Token::Only(c),
            });
        }
        Ok(Self(tokens))
    }

    fn matches(&self, text: &str) -> bool {
        let takes = |token: &Token, c| *token == Token::Any || *token == Token::Only(c);
        matches_all(&self.0, text.chars(), |token| *token == Token::Anything, takes)
    }
}

fn segments(pattern: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    for segment in pattern.split('/') {
        segments.push(match segment {
            "**" => Segment::Folders,
            "" if pattern.is_empty() => return Err("a pattern is empty, and would match nothing".into()),
            "" => return Err(format!("the pattern {} has an empty part, which no project has", quoted(pattern))),
            segment => Segment::One(Glob::read(segment)?),
        });
    }
    // `team/**` is what is in the folder, not the folder.
    if segments.len() > 1 && segments.last() == Some(&Segment::Folders) {
        segments.insert(segments.len() - 1, Segment::One(Glob(alloc::vec![Token::Anything])));
    }
    Ok(segments)
}

/// Returns whether the parts of a pattern match all the items; a run takes any number of them, every other part one.
///
/// Only the last run is ever tried again, so that the time is bounded by the product of both lengths.
fn matches_all<P, I: Iterator<Item: Copy> + Clone>(
    parts: &[P],
    mut items: I,
    is_run: impl Fn(&P) -> bool,
    takes: impl Fn(&P, I::Item) -> bool,
) -> bool {
    let mut parts = parts;
    let mut retry: Option<(&[P], I)> = None;
    loop {
        let mut ahead = items.clone();
        match (parts, ahead.next()) {
            ([run, later @ ..], _) if is_run(run) => {
                parts = later;
                retry = Some((later, items.clone()));
                continue;
            }
            ([part, later @ ..], Some(item)) if takes(part, item) => {
                parts = later;
                items = ahead;
                continue;
            }
            ([], None) => return true,
            _ => {}
        }
        let Some((after_run, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        parts = after_run;
        items = from.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_whole_text() {
        for (pattern, text, expected) in [
            ("lint", "lint", true),
            ("lint", "lints", false),
            ("lint", "", false),
            ("*", "", true),
            ("*", "team/app/build", true),
            ("team/*", "team/app/build", true),
            ("team/**", "team/app/build", true),
            ("team/*", "team", false),
            ("*/build", "team/app/build", true),
            ("*build*", "team/app/build", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-c-d", false),
            ("a*bc", "abcbcbc", true),
            ("?", "ä", true),
            ("?", "", false),
            ("?", "ab", false),
            ("gpu-?", "gpu-4", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            (r"a\[1\]", "a[1]", true),
            (r"\\", r"\", true),
            ("LINT", "lint", false),
        ] {
            assert_eq!(Globs::new([pattern]).unwrap().matches(text), expected, "{pattern} against {text}");
        }
    }

    #[test]
    fn projects_stand_in_folders() {
        for (pattern, full_name, expected) in [
            ("lint", "lint", true),
            ("lint", "team/lint", false),
            ("*", "lint", true),
            ("*", "team/lint", false),
            ("**", "lint", true),
            ("**", "team/app/lint", true),
            ("team/*", "team/lint", true),
            ("team/*", "team/app/lint", false),
            ("team/?", "team/a", true),
            ("team/**", "team/app/lint", true),
            ("team/**", "team/lint", true),
            ("team/**", "team", false),
            ("team/**", "teams/lint", false),
            ("**/lint", "lint", true),
            ("**/lint", "team/app/lint", true),
            ("**/lint", "team/app/hlint", false),
            ("team/**/lint", "team/lint", true),
            ("team/**/lint", "team/a/b/lint", true),
            ("**/a/**/b", "a/a/c/b/b", true),
            ("team/*-docs", "team/app-docs", true),
            ("team**", "team/app", false),
        ] {
            let globs = ProjectGlobs::new([pattern]).unwrap();
            assert_eq!(globs.matches(full_name), expected, "{pattern} against {full_name}");
        }
        assert!(ProjectGlobs::everything().matches("a/b") && !ProjectGlobs::default().matches("a"));
        for pattern in ["", "team/", "/team", "team//lint", "team/{a,b}"] {
            assert!(ProjectGlobs::new([pattern]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_cost_little() {
        let pattern = Globs::new(["*a".repeat(60)]).unwrap();
        assert!(!pattern.matches(&"a".repeat(59)));
        assert!(pattern.matches(&"a".repeat(5_000)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(5_000))));
    }

    #[test]
    fn what_would_silently_never_match_is_refused() {
        for (pattern, part) in [("", "empty"), (r"a\", "ends in"), ("{a,b}", r"write `\{`"), ("[ab]", r"write `\[`")] {
            let error = Globs::new([pattern]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn one_of_several_patterns_is_enough() {
        let globs = Globs::new(["a*", "b"]).unwrap();
        assert!(globs.matches("abc") && globs.matches("b") && !globs.matches("c"));
        assert!(Globs::everything().matches("c") && !Globs::default().matches("c") && Globs::default().is_empty());
    }
}
