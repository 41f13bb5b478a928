//! `stop:HOST` and `set_description:HOST`: how their payloads are read and what the client is told.
//!
//! The texts are the plugin's own, capitals included, since clients look for them.

use super::payload::{self, PayloadError};
use crate::domain::Parameters;

/// Which build is meant: a project by the name that the client used, and a build number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildReference {
    pub name: String,
    /// Any 32-bit number reads, as in the plugin; those below 1 are simply never found.
    pub number: i32,
}

/// What `stop` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopRequest {
    Build(BuildReference),
    /// The build of the job with this unique, also while it has no number yet. The plugin had no such thing.
    Unique(String),
}

/// What `set_description` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptionRequest {
    pub build: BuildReference,
    /// None clears the description.
    pub html_description: Option<String>,
}

/// Why a request got no further; the text goes to the client in WORK_EXCEPTION.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManagementError {
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error("{key} is missing or null in the payload")]
    Missing { key: &'static str },
    #[error("Build id is invalid or not specified")]
    EmptyId,
    #[error("For input string: {text:?}: number must be an integer of 32 bits")]
    InvalidNumber { text: String },
    #[error("Cannot find build {}: {}", .0.name, .0.number)]
    NoBuildToStop(BuildReference),
    #[error("Cannot find executor for build {}: {}", .0.name, .0.number)]
    NoExecutor(BuildReference),
    #[error("Cannot find build number {number}")]
    NoBuildToDescribe { number: i32 },
    #[error("Unable to set description for {}: {}", .0.name, .0.number)]
    CannotSaveDescription(BuildReference),
}

/// Reads the payload of `stop`: a name and a number, or a `unique` where there is no number. (Clients add a `uuid` of
/// their own to every payload.)
///
/// # Errors
///
/// Fails if the payload doesn't read, or lacks a name or a number that is one.
pub fn read_stop(payload: &[u8]) -> Result<StopRequest, ManagementError> {
    let request = payload::read(payload)?;
    let unique = request.get("unique").filter(|unique| !unique.is_empty());
    if let Some(unique) = unique.filter(|_| request.get("number").is_none()) {
        return Ok(StopRequest::Unique(unique.to_owned()));
    }
    if text(&request, "name")?.is_empty() || text(&request, "number")?.is_empty() {
        return Err(ManagementError::EmptyId);
    }
    build_reference(&request).map(StopRequest::Build)
}

/// Reads the payload of `set_description`.
///
/// # Errors
///
/// Fails if the payload doesn't read, or lacks a name or a number that is one.
pub fn read_set_description(payload: &[u8]) -> Result<DescriptionRequest, ManagementError> {
    let request = payload::read(payload)?;
    let html_description = request.get("html_description").map(str::to_owned);
    Ok(DescriptionRequest { build: build_reference(&request)?, html_description })
}

/// Returns the data of the WORK_COMPLETE that answers a `set_description` that was carried out.
pub fn description_reply(request: &DescriptionRequest) -> String {
    let description = request.html_description.as_deref().unwrap_or("null");
    format!("Description for Jenkins build {} was updated to {description}", request.build.number)
}

fn build_reference(request: &Parameters) -> Result<BuildReference, ManagementError> {
    let (name, number) = (text(request, "name")?, text(request, "number")?);
    // Rust reads an i32 by the rules of Java's Integer.parseInt: an optional sign, digits, nothing else.
    let Ok(number) = number.parse() else {
        const LONGEST_SHOWN: usize = 40;
        return Err(ManagementError::InvalidNumber { text: number.chars().take(LONGEST_SHOWN).collect() });
    };
    Ok(BuildReference { name: name.to_owned(), number })
}

fn text<'a>(request: &'a Parameters, key: &'static str) -> Result<&'a str, ManagementError> {
    request.get(key).ok_or(ManagementError::Missing { key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(number: i32) -> BuildReference {
        BuildReference { name: "lint".into(), number }
    }

    #[test]
    fn numbers_read_as_java_integers() {
        let readable =
            [("130", 130), ("\"130\"", 130), ("\"+7\"", 7), ("-1", -1), ("2147483647", i32::MAX), ("007", 7)];
        for (text, number) in readable {
            let payload = format!(r#"{{"name": "lint", "number": {text}, "uuid": "x"}}"#);
            assert_eq!(read_stop(payload.as_bytes()), Ok(StopRequest::Build(reference(number))), "{text}");
        }
        for text in ["5.0", "1e3", "\" 130\"", "\"130 \"", "2147483648", "\"+\"", "true", "\"\u{661}\""] {
            let payload = format!(r#"{{"name": "lint", "number": {text}}}"#);
            let error = read_stop(payload.as_bytes()).unwrap_err();
            assert!(matches!(error, ManagementError::InvalidNumber { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn a_unique_stands_for_a_number_that_is_not_there_yet() {
        let unique = Ok(StopRequest::Unique("u-1".to_owned()));
        assert_eq!(read_stop(br#"{"unique": "u-1"}"#), unique);
        assert_eq!(read_stop(br#"{"name": "lint", "number": null, "unique": "u-1"}"#), unique);
        let build = Ok(StopRequest::Build(reference(1)));
        assert_eq!(read_stop(br#"{"name": "lint", "number": 1, "unique": "u-1", "uuid": "x"}"#), build);
        assert!(read_stop(br#"{"name": "lint", "unique": ""}"#).is_err());
    }

    #[test]
    fn a_request_without_name_or_number_says_which() {
        let table = [
            (r#"{"name": "lint"}"#, "number is missing or null in the payload"),
            (r#"{"name": null, "number": 1}"#, "name is missing or null in the payload"),
            (r#"{"name": "", "number": 1}"#, "Build id is invalid or not specified"),
            (r#"{"name": "lint", "number": ""}"#, "Build id is invalid or not specified"),
            ("", "the payload is empty or null where an object is expected; send {} for an empty one"),
        ];
        for (payload, message) in table {
            assert_eq!(read_stop(payload.as_bytes()).unwrap_err().to_string(), message, "{payload}");
        }
        // The plugin looks for an empty id in `stop` alone: here the name is merely one that no project has.
        assert!(read_set_description(br#"{"name": "", "number": 1}"#).is_ok());
        assert!(matches!(
            read_set_description(br#"{"name": "lint", "number": ""}"#),
            Err(ManagementError::InvalidNumber { .. })
        ));
    }

    #[test]
    fn a_description_is_kept_as_sent_and_a_missing_one_clears() {
        let sent =
            read_set_description(br#"{"name": "lint", "number": "7", "html_description": "<b>1 & 2</b>"}"#).unwrap();
        assert_eq!(sent.build, reference(7));
        assert_eq!(description_reply(&sent), "Description for Jenkins build 7 was updated to <b>1 & 2</b>");

        let missing = read_set_description(br#"{"name": "lint", "number": 7}"#).unwrap();
        assert_eq!(missing.html_description, None);
        assert_eq!(description_reply(&missing), "Description for Jenkins build 7 was updated to null");
    }

    #[test]
    fn refusals_carry_the_texts_that_clients_know() {
        let table = [
            (ManagementError::NoBuildToStop(reference(7)), "Cannot find build lint: 7"),
            (ManagementError::NoExecutor(reference(7)), "Cannot find executor for build lint: 7"),
            (ManagementError::NoBuildToDescribe { number: 7 }, "Cannot find build number 7"),
            (ManagementError::CannotSaveDescription(reference(7)), "Unable to set description for lint: 7"),
        ];
        for (error, text) in table {
            assert_eq!(error.to_string(), text);
        }
    }
}
