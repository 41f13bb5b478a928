use crate::domain::Parameters;

pub(super) const HIDDEN: &str = "***";

/// Hides the values that a client sent from texts that people see.
#[derive(Debug)]
pub(super) struct Mask {
    /// The longest first, so that a value inside another does not spoil it.
    values: Vec<String>,
}

impl Mask {
    pub(super) fn of(parameters: &Parameters) -> Self {
        Self::hiding(parameters.iter().filter_map(|(_, value)| value))
    }

    /// Returns a mask for the values that a question showed.
    pub(super) fn of_values(shown: &[(String, Option<String>)]) -> Self {
        Self::hiding(shown.iter().filter_map(|(_, value)| value.as_deref()))
    }

    pub(super) fn hiding<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut values: Vec<String> = values.filter(|value| !value.is_empty()).map(str::to_owned).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    pub(super) fn apply(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for value in &self.values {
            if masked.contains(value.as_str()) {
                masked = hide(&masked, value);
            }
        }
        masked
    }
}

/// Hides a value wherever it stands; a very short one only as a word of its own, else nothing would stay legible.
fn hide(text: &str, value: &str) -> String {
    if value.chars().count() > 2 {
        return text.replace(value, HIDDEN);
    }
    let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let end = at + value.len();
        let before = rest[..at].chars().next_back().or(hidden.chars().next_back());
        hidden.push_str(&rest[..at]);
        hidden.push_str(if in_word(before) || in_word(rest[end..].chars().next()) { value } else { HIDDEN });
        rest = &rest[end..];
    }
    hidden + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], text: &str, expected: &str) {
        let parameters = values.iter().enumerate().map(|(i, value)| (format!("P{i}"), *value)).collect();
        assert_eq!(Mask::of(&parameters).apply(text), expected);
    }

    #[test]
    fn values_that_were_sent_are_hidden() {
        check(&["hunter2"], "TOKEN=hunter2 is refused", "TOKEN=*** is refused");
        check(&["main", "main-2"], "no main-2 here", "no *** here");
        check(&["1", ""], "got 1 of 10 (1)", "got *** of 10 (***)");
        check(&["ü"], "für ü", "für ***");
        check(&[], "nothing", "nothing");
    }
}
