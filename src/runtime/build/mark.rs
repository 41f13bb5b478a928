//! What we write on a node that we take offline, so that we know it again. Pure.
//!
//! Jenkins shows of a reason only what follows the last ` : `, and that with `'"&<>` written as HTML entities; so neither
//! may be in what is looked for, and what people read should not suffer either.

use crate::classic;
use crate::domain::BuildId;
use crate::policy::Digest;

/// Longer words of a policy are cut; Jenkins shows them on a page.
const LONGEST: usize = 500;

/// The reason that a node shows while it is offline because of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Mark {
    pub(in crate::runtime) text: String,
    /// The part by which it is recognised.
    pub(in crate::runtime) token: String,
}

impl Mark {
    /// What a client asked for, in the plugin's own words.
    pub(in crate::runtime) fn of_client() -> Self {
        Self { text: classic::offline::REASON.to_owned(), token: classic::offline::REASON.to_owned() }
    }

    /// What a policy asked for because of a build. The token is the build's own, so that no mark is taken for that of
    /// another build on the same node, and stays the same over a restart.
    pub(super) fn of_policy(build: Option<&BuildId>, words: &str) -> Self {
        let token = Self::token(build);
        let words = &words[..words.floor_char_boundary(LONGEST)];
        Self { text: shown_as_written(&format!("{words} {token}")), token }
    }

    /// Returns the token of a build's mark.
    pub(super) fn token(build: Option<&BuildId>) -> String {
        match build {
            Some(build) => format!("[layshaft {}]", Digest::of(build.to_string().as_bytes()).short()),
            None => "[layshaft]".to_owned(),
        }
    }

    /// Returns the token at the end of a reason, if it is a mark that a policy asked for.
    pub(in crate::runtime) fn token_on(reason: &str) -> Option<&str> {
        let reason = reason.trim_end();
        let token = &reason[reason.rfind("[layshaft")?..];
        let digits = token.strip_prefix("[layshaft")?.strip_suffix(']')?;
        let is_digest = |digits: &str| digits.len() == 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        (digits.is_empty() || digits.strip_prefix(' ').is_some_and(is_digest)).then_some(token)
    }

    /// Returns whether a reason is what is written on a node for a client: the plugin's own words.
    pub(in crate::runtime) fn is_of_client(reason: &str) -> bool {
        reason.trim() == classic::offline::REASON
    }

    /// Returns whether a reason that Jenkins shows is one with this token.
    pub(super) fn is_on(token: &str, reason: Option<&str>) -> bool {
        reason.is_some_and(|reason| reason.contains(token))
    }
}

/// Rewrites a text so that Jenkins shows all of it, as it is.
fn shown_as_written(text: &str) -> String {
    let plain = |character| match character {
        '"' | '\'' => '`',
        '<' => '(',
        '>' => ')',
        '&' => '+',
        character if character.is_control() => ' ',
        character => character,
    };
    let mut text: String = text.chars().map(plain).collect();
    while text.contains(" : ") {
        text = text.replace(" : ", ": ");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::domain::ProjectName;

    use super::*;

    fn build(number: u64) -> BuildId {
        BuildId { project: ProjectName::new("it's <odd> & \"so\" : on"), number }
    }

    #[test]
    fn whatever_a_policy_says_jenkins_shows_it_as_written() {
        let words =
            ["plain", "it's \"so\" <b>&amp;</b>", "a : b : : c :", " : ", ":", "x :\n: y", "", &"ü : ".repeat(400)];
        for words in words {
            let Mark { text, token } = Mark::of_policy(Some(&build(1)), words);
            assert!(text.ends_with(&token), "{text}");
            assert!(!text.contains(" : ") && !text.contains(['"', '\'', '<', '>', '&', '\n']), "{text}");
        }
    }

    #[test]
    fn a_mark_is_known_by_its_build_and_not_taken_for_that_of_another() {
        let mark = Mark::of_policy(Some(&build(1)), "single use");
        assert!(Mark::is_on(&Mark::token(Some(&build(1))), Some(&mark.text)));
        assert!(!Mark::is_on(&Mark::token(Some(&build(2))), Some(&mark.text)));
        assert!(!Mark::is_on(&mark.token, Some("maintenance")) && !Mark::is_on(&mark.token, None));
        assert!(Mark::is_on(&Mark::of_client().token, Some("Offline due to Gearman request")));
    }

    #[test]
    fn a_policys_mark_is_told_from_what_others_write() {
        for build in [Some(&build(7)), None] {
            let mark = Mark::of_policy(build, "held for a look [layshaft] ]");
            assert_eq!(Mark::token_on(&mark.text), Some(mark.token.as_str()));
        }
        for others in
            ["", "maintenance", "see [layshaft docs]", "[layshaft 123]", "[layshaft 0123456789ab] broken", "layshaft]"]
        {
            assert_eq!(Mark::token_on(others), None, "{others}");
        }
        assert!(Mark::is_of_client("Offline due to Gearman request") && !Mark::is_of_client("Offline due to Gearman"));
    }
}
