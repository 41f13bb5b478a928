//! What clients send, from a file: on each line a function and the payload that goes with it.
//!
//! ```text
//! # comments and empty lines are skipped
//! build:lint:linux {"ZUUL_UUID": "0d1c…", "ZUUL_BRANCH": "master"}
//! build:my lint    {param1:red}
//! ```
//!
//! Payloads are read as leniently as a worker reads them. Their values are forgotten at once.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Sent;
use crate::classic::payload;

/// Clients make names up: beyond this a file is no record of what they send.
const MOST_FUNCTIONS: usize = 20_000;
const MOST_PARAMETERS: usize = 500;

/// Why a file of payloads does not read; never shows a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadPayload {
    pub line: usize,
    pub reason: String,
}

/// Reads such a file; several payloads of one function are put together.
pub fn read(text: &str) -> Result<Vec<Sent>, BadPayload> {
    let mut by_function: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let bad = |reason: &str| BadPayload { line: index + 1, reason: reason.to_owned() };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (function, payload) = line.split_at(line.find(['{', '[']).unwrap_or(line.len()));
        let function = function.trim_end();
        if !function.starts_with("build:") {
            return Err(bad("it does not begin with a function such as build:lint, with its payload behind it"));
        }
        if payload.is_empty() {
            return Err(bad("there is no payload behind the function; write {} for an empty one"));
        }
        let read = payload::read(payload.as_bytes()).map_err(|error| bad(&without_position(&error)))?;
        if by_function.len() >= MOST_FUNCTIONS && !by_function.contains_key(function) {
            return Err(bad("there are more than 20000 functions in the file"));
        }
        let names = by_function.entry(function).or_default();
        names.extend(read.names().map(str::to_owned));
        if names.len() > MOST_PARAMETERS {
            return Err(bad("more than 500 parameters were sent with this function"));
        }
    }
    let sent = |(function, parameters): (&str, _)| Sent { function: function.to_owned(), parameters };
    Ok(by_function.into_iter().map(sent).collect())
}

/// A payload is one line here, so that its own line number would only mislead.
fn without_position(error: &payload::PayloadError) -> String {
    match error {
        payload::PayloadError::Syntax { reason, .. } => format!("the payload cannot be read: {reason}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_of_one_function_are_put_together_and_their_values_are_gone() {
        let text = "# from the log\n\nbuild:lint {\"A\": \"secret\", \"B\": 1}\n  build:my lint:big iron\t{c:d}\nbuild:lint {C=>x}\n";
        let read = read(text).unwrap();
        let names = |index: usize| -> Vec<&str> {
            let sent: &Sent = &read[index];
            sent.parameters.iter().map(String::as_str).collect()
        };
        assert_eq!((read[0].function.as_str(), names(0)), ("build:lint", vec!["A", "B", "C"]));
        assert_eq!((read[1].function.as_str(), names(1)), ("build:my lint:big iron", vec!["c"]));
        assert!(!format!("{read:?}").contains("secret"));
    }

    #[test]
    fn what_does_not_read_is_told_by_line_and_without_its_content() {
        for (text, line, words) in [
            ("build:lint {}\nlint {}", 2, "begin with a function"),
            ("build:lint", 1, "write {} for an empty one"),
            ("build:lint {\"hunter2\"}", 1, "cannot be read"),
            ("\nbuild:lint {a:{hunter2:1}}", 2, "cannot be an object"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.reason.contains(words) && !error.reason.contains("hunter2"), "{error}");
        }
        let many: String = (0..=MOST_PARAMETERS).map(|number| format!("build:lint {{P{number}:x}}\n")).collect();
        assert!(read(&many).unwrap_err().reason.contains("500"));
    }
}
