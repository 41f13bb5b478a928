use std::fmt::Write;

use crate::doctor::{Checked, Finding, Level, Report};

/// So many things of one kind are shown; `--json` has them all.
const SHOWN: usize = 10;

/// Returns a report for people. Findings with one answer stand together.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut rest = report.findings.as_slice();
    while let [first, ..] = rest {
        let alike = rest.iter().take_while(|it| (it.code, &it.fix) == (first.code, &first.fix)).count();
        let (group, others) = rest.split_at(alike);
        rest = others;
        line(&mut text, format_args!("{:<7}  {}", first.level.as_str(), first.code.as_str()));
        for finding in group.iter().take(SHOWN) {
            line(&mut text, format_args!("  {}{}", place(finding), finding.seen));
        }
        if group.len() > SHOWN {
            line(&mut text, format_args!("  and {} more; --json lists them all", group.len() - SHOWN));
        }
        line(&mut text, format_args!("  fix: {}\n", first.fix));
    }
    if !report.not_checked.is_empty() {
        line(&mut text, format_args!("not checked"));
        for what in &report.not_checked {
            line(&mut text, format_args!("  {what}"));
        }
        text.push('\n');
    }
    line(&mut text, format_args!("{}", summary(report)));
    text
}

/// Returns one line about how many findings there are.
pub(super) fn summary(report: &Report) -> String {
    let Checked { controllers, nodes, projects, gearman_servers } = report.checked;
    let looked_at =
        [(controllers, "controller"), (nodes, "node"), (projects, "project"), (gearman_servers, "Gearman server")]
            .map(|(number, what)| counted(number, what));
    let levels = [Level::Error, Level::Warning, Level::Note].map(|level| (report.count(level), level));
    let found: Vec<String> = levels
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, level)| counted(number, level.as_str()))
        .collect();
    let found = if found.is_empty() { "nothing is wrong".to_owned() } else { found.join(", ") };
    format!("{found}; looked at {}", looked_at.join(", "))
}

fn place(finding: &Finding) -> String {
    let controllers: Vec<&str> = finding.controllers.iter().map(|it| it.as_str()).collect();
    let controllers = controllers.join(", ");
    match (&finding.subject, controllers.is_empty()) {
        (Some(subject), false) => format!("{subject} on {controllers}: "),
        (Some(subject), true) => format!("{subject}: "),
        (None, false) => format!("{controllers}: "),
        (None, true) => String::new(),
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use expect_test::expect;

    use super::*;
    use crate::doctor::{Code, Subject};
    use crate::domain::{ControllerName, ProjectName};

    fn finding(code: Code, controllers: &[&str], subject: Option<&str>, seen: &str) -> Finding {
        Finding {
            level: code.level(),
            code,
            controllers: controllers.iter().map(|name| ControllerName::new(*name)).collect::<BTreeSet<_>>(),
            subject: subject.map(|name| Subject::Project(ProjectName::new(name))),
            seen: seen.to_owned(),
            fix: format!("what mends {}", code.as_str()),
        }
    }

    #[test]
    fn a_report_reads_worst_first_with_one_answer_for_what_is_alike() {
        let mut findings = vec![
            finding(Code::ConfigWarning, &[], None, "the token crosses the network"),
            finding(Code::WrongToken, &["ci1"], None, "the controller does not accept it"),
        ];
        findings.sort_by_key(|finding| finding.level);
        findings.extend((0..12).map(|number| {
            finding(Code::NoMarker, &["ci1", "ci2"], Some(&format!("team/lint-{number:02}")), "it declares none")
        }));
        let checked = Checked { controllers: 2, nodes: 1, projects: 12, gearman_servers: 1 };
        let not_checked = vec!["Job/Build of the user on ci2: there is no question".to_owned()];
        let report = Report { findings, not_checked, checked };
        expect![[r#"
            error    wrong-token
              ci1: the controller does not accept it
              fix: what mends wrong-token

            warning  config-warning
              the token crosses the network
              fix: what mends config-warning

            warning  no-marker
              team/lint-00 on ci1, ci2: it declares none
              team/lint-01 on ci1, ci2: it declares none
              team/lint-02 on ci1, ci2: it declares none
              team/lint-03 on ci1, ci2: it declares none
              team/lint-04 on ci1, ci2: it declares none
              team/lint-05 on ci1, ci2: it declares none
              team/lint-06 on ci1, ci2: it declares none
              team/lint-07 on ci1, ci2: it declares none
              team/lint-08 on ci1, ci2: it declares none
              team/lint-09 on ci1, ci2: it declares none
              and 2 more; --json lists them all
              fix: what mends no-marker

            not checked
              Job/Build of the user on ci2: there is no question

            1 error, 13 warnings; looked at 2 controllers, 1 node, 12 projects, 1 Gearman server
        "#]]
        .assert_eq(&render(&report));
        let nothing = Report { findings: Vec::new(), not_checked: Vec::new(), checked };
        assert!(render(&nothing).starts_with("nothing is wrong; looked at 2 controllers"));
    }
}
