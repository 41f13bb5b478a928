//! Globs for names: `*` is any text, also across `/`, `?` one character, `\` takes the next character as it is.
//!
//! `[`, `]`, `{` and `}` mean something elsewhere. They are refused here unless escaped, since a pattern that silently
//! never matches may be the one that should have denied something.

use alloc::{format, string::String, vec::Vec};
use core::str::Chars;

use crate::quoted;

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Anything,
    Any,
    Only(char),
}

/// Patterns of which one has to match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globs(Vec<Glob>);

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// A sentence for people.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern is empty, and would match nothing".into());
        }
        let mut tokens = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            tokens.push(match c {
                '*' => Token::Anything,
                '?' => Token::Any,
                '\\' => Token::Only(rest.next().ok_or_else(|| format!("the pattern {} ends in `\\`", quoted(text)))?),
                '[' | ']' | '{' | '}' => {
                    return Err(format!("the pattern {} has `{c}`; for a plain one write `\\{c}`", quoted(text)));
                }
                c => Token::Only(c),
            });
        }
        Ok(Self { text: text.into(), tokens })
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the whole of `text` matches.
    ///
    /// Only the last `*` is ever tried again, so that the time is bounded by the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut tokens = self.tokens.as_slice();
        let mut retry: Option<(&[Token], Chars<'_>)> = None;
        loop {
            match tokens {
                [Token::Anything, later @ ..] => {
                    tokens = later;
                    retry = Some((later, rest.clone()));
                    continue;
                }
                [token, later @ ..] => match rest.clone().next() {
                    Some(c) if *token == Token::Any || *token == Token::Only(c) => {
                        rest.next();
                        tokens = later;
                        continue;
                    }
                    _ => {}
                },
                [] if rest.as_str().is_empty() => return true,
                [] => {}
            }
            let Some((after_anything, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            tokens = after_anything;
            rest = from.clone();
        }
    }
}

impl Globs {
    /// Reads patterns.
    ///
    /// # Errors
    ///
    /// A sentence about the first pattern that cannot be read.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, String> {
        texts.into_iter().map(|text| Glob::new(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the pattern that matches everything.
    pub fn everything() -> Self {
        Self(alloc::vec![Glob { text: "*".into(), tokens: alloc::vec![Token::Anything] }])
    }

    /// Returns whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a pattern matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(text))
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
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} against {text}");
        }
    }

    #[test]
    fn many_stars_cost_little() {
        let pattern = Glob::new(&"*a".repeat(60)).unwrap();
        assert!(!pattern.matches(&"a".repeat(59)));
        assert!(pattern.matches(&"a".repeat(5_000)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(5_000))));
    }

    #[test]
    fn what_would_silently_never_match_is_refused() {
        for (pattern, part) in [("", "empty"), (r"a\", "ends in"), ("{a,b}", r"write `\{`"), ("[ab]", r"write `\[`")] {
            let error = Glob::new(pattern).unwrap_err();
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
