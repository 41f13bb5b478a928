use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Serialize;
use serde_json::Value;

use super::super::{Exit, terminal};
use super::{File, read_text};
use crate::policy::{Cases, Checked, Difference, Told};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The form of the file is in `layshaft policy schema cases` and in docs/policies.md.

Exit code 0: all cases passed; 1: one did not, or the file is no policy.

Examples:
  layshaft policy test 20-labels.wasm
  layshaft policy test 20-labels.wasm tests/cases.toml --junit report.xml")]
pub(super) struct Test {
    #[command(flatten)]
    file: File,
    /// The cases, as TOML or JSON [default: cases.toml beside the policy].
    cases: Option<PathBuf>,
    /// Write a report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

/// How one case went, for scripts.
#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    passed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<DifferenceLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<&'a Told>,
}

#[derive(Debug, Serialize)]
struct DifferenceLine<'a> {
    field: &'a str,
    expected: &'a Value,
    actual: &'a Value,
}

impl Test {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let path = cases_path(&self.file.file, self.cases.as_deref());
        let cases = read_cases(&path)?;
        let policy = self.file.open()?;
        let checked: Vec<(&str, Checked)> =
            cases.cases.iter().map(|case| (case.name.as_str(), case.check(&policy))).collect();
        let failed = checked.iter().filter(|(_, checked)| !checked.passed()).count();
        if let Some(file) = &self.junit {
            let suite = policy.inspect().description.name;
            std::fs::write(file, junit(&suite, &checked))
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        if self.json {
            let lines: Vec<Line<'_>> = checked.iter().map(|(name, checked)| line(name, checked)).collect();
            terminal::say_json(&lines)?;
        } else {
            let mut text = String::new();
            for (name, checked) in &checked {
                let _ = writeln!(text, "{:<4}  {name}", if checked.passed() { "ok" } else { "FAIL" });
                checked.differences.iter().for_each(|difference| text.push_str(&diff(difference)));
            }
            let _ = write!(text, "{} passed, {failed} failed", checked.len() - failed);
            terminal::say(terminal::harmless(&text))?;
        }
        Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
    }
}

/// Returns which cases are meant if none are named.
pub(super) fn cases_path(policy: &Path, cases: Option<&Path>) -> PathBuf {
    cases.map_or_else(|| policy.with_file_name("cases.toml"), Path::to_owned)
}

pub(super) fn read_cases(path: &Path) -> anyhow::Result<Cases> {
    Cases::read(&read_text(path)?).map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn line<'a>(name: &'a str, checked: &'a Checked) -> Line<'a> {
    let difference = |difference: &'a Difference| DifferenceLine {
        field: &difference.field,
        expected: &difference.expected,
        actual: &difference.actual,
    };
    Line {
        name,
        passed: checked.passed(),
        differences: checked.differences.iter().map(difference).collect(),
        told: checked.told.as_ref(),
    }
}

fn diff(Difference { field, expected, actual }: &Difference) -> String {
    let shown = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
    format!("      {field}\n        - expected {}\n        + got      {}\n", shown(expected), shown(actual))
}

/// Writes the form that CI servers read.
fn junit(suite: &str, checked: &[(&str, Checked)]) -> String {
    let failures = checked.iter().filter(|(_, checked)| !checked.passed()).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\">\n",
        escaped(suite),
        checked.len()
    );
    for (name, checked) in checked {
        let microseconds = checked.told.as_ref().map_or(0, |told| told.start_microseconds + told.microseconds);
        let seconds = format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
        let _ =
            write!(xml, "  <testcase classname=\"{}\" name=\"{}\" time=\"{seconds}\"", escaped(suite), escaped(name));
        if checked.passed() {
            xml.push_str("/>\n");
        } else {
            let text: String = checked.differences.iter().map(diff).collect();
            let fields: Vec<&str> = checked.differences.iter().map(|difference| difference.field.as_str()).collect();
            let message = escaped(&format!("differs in {}", fields.join(", ")));
            let _ = write!(xml, ">\n    <failure message=\"{message}\">{}</failure>\n  </testcase>\n", escaped(&text));
        }
    }
    xml.push_str("</testsuite>\n");
    xml
}

/// XML 1.0 has no place for most control characters, not even escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_report_is_xml_whatever_a_policy_says() {
        let difference = Difference { field: "reason".into(), expected: "<a>".into(), actual: "\u{1}&".into() };
        let failed = Checked { told: None, differences: vec![difference] };
        let passed = Checked { told: None, differences: vec![] };
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuite name="p" tests="2" failures="1" errors="0">
              <testcase classname="p" name="good" time="0.000000"/>
              <testcase classname="p" name="&quot;bad&quot;" time="0.000000">
                <failure message="differs in reason">      reason
                    - expected &quot;&lt;a&gt;&quot;
                    + got      &quot;\u0001&amp;&quot;
            </failure>
              </testcase>
            </testsuite>
        "#]]
        .assert_eq(&junit("p", &[("good", passed), ("\"bad\"", failed)]));
        assert_eq!(escaped("a\u{1b}[1m"), "a\u{fffd}[1m");
    }
}
