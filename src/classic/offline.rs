//! When a client asks that the node goes offline after its build.

use crate::domain::Parameters;

/// The parameter by which a client asks for it.
pub const PARAMETER: &str = "OFFLINE_NODE_WHEN_COMPLETE";

/// The reason that Jenkins then shows for the node.
pub const REASON: &str = "Offline due to Gearman request";

/// Returns whether the client asked for it: by exactly one of four spellings, and no other.
pub fn is_wanted(parameters: &Parameters) -> bool {
    matches!(parameters.get(PARAMETER), Some("1" | "true" | "True" | "TRUE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::payload;

    #[test]
    fn exactly_four_spellings_ask_for_it() {
        let wanted = [r#""1""#, r#""true""#, r#""True""#, r#""TRUE""#, "1", "true"];
        let not_wanted =
            ["null", r#""0""#, r#""false""#, r#""yes""#, r#""on""#, r#""tRUE""#, r#"" true""#, "1.0", r#""""#, "01"];
        let rows = wanted.map(|value| (value, true)).into_iter().chain(not_wanted.map(|value| (value, false)));
        for (value, expected) in rows {
            let sent = payload::read(format!("{{\"{PARAMETER}\": {value}}}").as_bytes()).unwrap();
            assert_eq!(is_wanted(&sent), expected, "{value}");
        }
        assert!(!is_wanted(&Parameters::new()));
    }
}
