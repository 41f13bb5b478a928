//! Starting builds through the script console, on controllers whose operator said so: REST alone drops parameters that a
//! project does not declare, and cannot pin a project that declares no parameter for it.
//!
//! The program that runs there is always the same, `start.groovy`. Values go with it as JSON in base64 and are never read
//! as program text. Jenkins answers 200 whatever becomes of a script, so that its answer counts only as one line that
//! repeats a word which nobody else knows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::trigger::Trigger;
use super::{Error, transport};
use crate::domain::{Parameters, ProjectName, QueueItemId};

const SCRIPT: &str = include_str!("start.groovy");

/// Where the data goes.
const REQUEST: &str = "/* REQUEST */";

const PATH: &str = "/scriptText";

/// Java has no longer texts in a program than 65535 bytes.
const PIECE: usize = 32_000;

/// A stack trace is much shorter.
const LARGEST_ANSWER: usize = 1 << 20;

/// Longer words of a controller are cut.
const LONGEST_WORD: usize = 200;

/// What became of a request for a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripted {
    pub trigger: Trigger,
    /// False too if no pin was asked for.
    pub pinned: bool,
}

/// A node for a build, and the parameter that names it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub parameter: String,
    /// The node's own label.
    pub label: String,
}

#[derive(Serialize)]
struct Wanted<'a> {
    nonce: &'a str,
    project: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    pin: Option<(&'a str, &'a str)>,
}

/// What `start.groovy` says.
#[derive(Debug, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
enum Said {
    Queued { item: u64, created: bool, pinned: bool },
    Refused {},
    Missing {},
    Disabled {},
    Failed { step: String, problem: String, asked: bool },
}

impl Client {
    /// Asks for a build through the script console, with all parameters, declared or not. One without a value is not sent,
    /// so that its default applies.
    ///
    /// # Errors
    ///
    /// [`Error::NotPrivileged`] if the user may not run scripts; nothing was started then.
    pub async fn start_by_script(
        &self,
        project: &ProjectName,
        parameters: &Parameters,
        pin: Option<&Pin>,
    ) -> Result<Scripted, Error> {
        let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let script = script(&nonce, project, parameters, pin);
        let posted = self.transport().post_for_text(PATH, &[("script", &script)], LARGEST_ANSWER).await?;
        match posted {
            (reply, text) if reply.status == 200 => read(&nonce, project, &text),
            (reply, _) if reply.status == 403 => Err(Error::NotPrivileged),
            (reply, _) => Err(transport::refusal(PATH, &reply)),
        }
    }
}

fn script(nonce: &str, project: &ProjectName, parameters: &Parameters, pin: Option<&Pin>) -> String {
    let wanted = Wanted {
        nonce,
        project: project.full(),
        parameters: parameters.iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        pin: pin.map(|pin| (pin.parameter.as_str(), pin.label.as_str())),
    };
    let json = serde_json::to_vec(&wanted).expect("texts can always be written");
    let encoded = STANDARD.encode(json);
    let mut pieces = Vec::new();
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(PIECE));
        pieces.push(format!("'{piece}'"));
        rest = after;
    }
    SCRIPT.replacen(REQUEST, &pieces.join(", "), 1)
}

/// Reads what the script printed, of which nothing else than its one line counts.
fn read(nonce: &str, project: &ProjectName, text: &str) -> Result<Scripted, Error> {
    let malformed = |detail: &str| Error::Malformed { path: PATH.to_owned(), detail: detail.to_owned() };
    let prefix = format!("layshaft {nonce} ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(prefix.as_str()));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(malformed("the script did not run to its end; the controller's log may say why"));
    };
    let said = serde_json::from_str(line).map_err(|_| malformed("the script's one line is not as it should be"))?;
    let path = || format!("{PATH} for {project}");
    match said {
        Said::Queued { item, created, pinned } => {
            let item = QueueItemId(item);
            Ok(Scripted { trigger: if created { Trigger::Queued(item) } else { Trigger::MergedInto(item) }, pinned })
        }
        Said::Refused {} => Ok(Scripted { trigger: Trigger::Refused, pinned: false }),
        Said::Missing {} => Err(Error::NotFound { path: path() }),
        Said::Disabled {} => Err(Error::NotBuildable { path: path() }),
        Said::Failed { step, problem, asked } => {
            Err(Error::ScriptFailed { step: word(&step), problem: word(&problem), may_have_started: asked })
        }
    }
}

fn word(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(LONGEST_WORD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "0123456789abcdef";

    fn project() -> ProjectName {
        ProjectName::new("team/lint")
    }

    #[test]
    fn no_value_is_ever_part_of_the_program() {
        let evil =
            ["'].join('') + 'x'.execute() + ['", "${7*7}", "*/ System.exit(0) /*", "\\u0027", "\n\r\0", "é\u{2028}"];
        let parameters: Parameters = evil.iter().map(|value| (*value, *value)).collect();
        let pin = Pin { parameter: evil[0].to_owned(), label: evil[1].to_owned() };
        let script = script(NONCE, &ProjectName::new(evil[2]), &parameters, Some(&pin));
        let (before, after) = SCRIPT.split_once(REQUEST).unwrap();
        let data = script.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
        let encoded = data.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
        assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)), "{data}");
        let decoded: serde_json::Value = serde_json::from_slice(&STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(decoded["parameters"][1], serde_json::json!([evil[1], evil[1]]));
        assert_eq!((&decoded["project"], &decoded["pin"]), (&evil[2].into(), &serde_json::json!([evil[0], evil[1]])));
    }

    #[test]
    fn long_values_come_in_pieces_that_java_can_hold() {
        let parameters = Parameters::from_iter([("TEXT", "x".repeat(200_000))]);
        let script = script(NONCE, &project(), &parameters, None);
        let longest = script.split('\'').map(str::len).max().unwrap();
        assert_eq!(longest, PIECE);
    }

    #[test]
    fn the_data_has_exactly_one_place() {
        assert_eq!(SCRIPT.matches(REQUEST).count(), 1);
    }

    #[track_caller]
    fn check(text: &str, expected: Result<Scripted, Error>) {
        assert_eq!(read(NONCE, &project(), text), expected, "{text}");
    }

    #[test]
    fn what_the_script_says_is_read_strictly() {
        let line = |json: &str| format!("some plugin says hello\nlayshaft {NONCE} {json}\n");
        let queued = |trigger, pinned| Ok(Scripted { trigger, pinned });
        let seven = QueueItemId(7);
        check(
            &line(r#"{"outcome":"queued","item":7,"created":true,"pinned":true}"#),
            queued(Trigger::Queued(seven), true),
        );
        check(
            &line(r#"{"outcome":"queued","item":7,"created":false,"pinned":false}"#),
            queued(Trigger::MergedInto(seven), false),
        );
        check(&line(r#"{"outcome":"refused"}"#), queued(Trigger::Refused, false));
        let path = || "/scriptText for team/lint".to_owned();
        check(&line(r#"{"outcome":"missing"}"#), Err(Error::NotFound { path: path() }));
        check(&line(r#"{"outcome":"disabled"}"#), Err(Error::NotBuildable { path: path() }));
        for asked in [false, true] {
            let failed = Error::ScriptFailed { step: "s".to_owned(), problem: "p".to_owned(), may_have_started: asked };
            check(&line(&format!(r#"{{"outcome":"failed","step":"s","problem":"p\n","asked":{asked}}}"#)), Err(failed));
        }
    }

    #[test]
    fn whatever_else_comes_back_leaves_it_open_whether_a_build_was_started() {
        let queued = r#"{"outcome":"queued","item":7,"created":true,"pinned":true}"#;
        for text in [
            String::new(),
            "groovy.lang.MissingPropertyException: No such property: wanted".to_owned(),
            format!("layshaft other {queued}"),
            format!("Result: layshaft {NONCE} {queued}"),
            format!("layshaft {NONCE} {queued}\nlayshaft {NONCE} {queued}"),
            format!("layshaft {NONCE} {{\"outcome\":\"queued\"}}"),
            format!("layshaft {NONCE} {{\"outcome\":\"queued\",\"item\":-7,\"created\":true,\"pinned\":true}}"),
            format!("layshaft {NONCE} {{\"outcome\":\"refused\",\"more\":1}}"),
            format!("layshaft {NONCE} {{\"outcome\":\"other\"}}"),
            "<html>Sign in</html>".to_owned(),
        ] {
            let error = read(NONCE, &project(), &text).unwrap_err();
            assert!(error.is_outcome_unknown(), "{text}: {error}");
        }
    }
}
