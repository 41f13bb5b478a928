//! Declares parameters in a project's `config.xml`: as a patch of it, or as the XML to put there.
//!
//! A configuration may hold secrets, and a patch is printed. So it has one line of context on either side, both of them
//! tags, and nothing of the parameters that are there. Where tags do not stand on lines of their own there is no patch.

use super::declaration::Declaration;

const PROPERTY: &str = "hudson.model.ParametersDefinitionProperty";
const DEFINITIONS: &str = "parameterDefinitions";

/// Returns a unified diff that declares the parameters; none if the document is not laid out as Jenkins writes it.
///
/// `file` is what the diff calls it. It applies with `patch` to the document as it was given.
pub fn patch(file: &str, document: &str, declarations: &[Declaration]) -> Option<String> {
    let lines: Vec<&str> = document.split_inclusive('\n').collect();
    let Place { at, replaced, before, after, indent } = place(&lines)?;
    let mut added = before;
    added.extend(fragment_lines(declarations, indent));
    added.extend(after);
    let (previous, next) = (lines.get(at.checked_sub(1)?)?, lines.get(at + usize::from(replaced))?);
    // Text in a context line could be somebody's secret.
    if !is_harmless(previous) || !is_harmless(next) || !next.ends_with('\n') {
        return None;
    }
    let old = 2 + usize::from(replaced);
    let new = 2 + added.len();
    let mut diff = format!("--- a/{file}\n+++ b/{file}\n@@ -{at},{old} +{at},{new} @@\n");
    diff.push_str(&format_line(' ', previous));
    if replaced {
        diff.push_str(&format_line('-', lines.get(at)?));
    }
    let end = if previous.ends_with("\r\n") { "\r\n" } else { "\n" };
    for line in added {
        diff.push_str(&format_line('+', &format!("{line}{end}")));
    }
    diff.push_str(&format_line(' ', next));
    Some(diff)
}

/// Returns the XML of the parameters, to be put into `<parameterDefinitions>`.
pub fn fragment(declarations: &[Declaration]) -> String {
    fragment_lines(declarations, 8).into_iter().map(|line| line + "\n").collect()
}

fn format_line(sign: char, line: &str) -> String {
    format!("{sign}{line}")
}

fn fragment_lines(declarations: &[Declaration], indent: usize) -> Vec<String> {
    let indent = " ".repeat(indent);
    let element = |declaration: &Declaration| {
        let kind = if declaration.is_marker { "String" } else { "Text" };
        let class = format!("hudson.model.{kind}ParameterDefinition");
        let (name, description) = (&declaration.name, declaration.description());
        [
            format!("{indent}<{class}>"),
            format!("{indent}  <name>{name}</name>"),
            format!("{indent}  <description>{description}</description>"),
            format!("{indent}  <defaultValue></defaultValue>"),
            format!("{indent}  <trim>false</trim>"),
            format!("{indent}</{class}>"),
        ]
    };
    declarations.iter().flat_map(element).collect()
}

/// Where parameters go.
struct Place {
    /// Lines are put before this one, counted from 0.
    at: usize,
    /// That line goes.
    replaced: bool,
    /// What has to be opened and closed around them.
    before: Vec<String>,
    after: Vec<String>,
    indent: usize,
}

/// Finds the place in a document with one tag on each line that matters.
fn place(lines: &[&str]) -> Option<Place> {
    let mut open: Vec<String> = Vec::new();
    let mut scanner = Scanner::default();
    let mut properties_end = None;
    for (number, line) in lines.iter().enumerate() {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        let path: Vec<&str> = open.iter().map(String::as_str).collect();
        match path[..] {
            [_, "properties", PROPERTY, DEFINITIONS] if text == format!("</{DEFINITIONS}>") => {
                return Some(Place {
                    at: number,
                    replaced: false,
                    before: Vec::new(),
                    after: Vec::new(),
                    indent: indent + 2,
                });
            }
            [_, "properties", PROPERTY] if text == format!("<{DEFINITIONS}/>") => {
                let pad = " ".repeat(indent);
                let (before, after) = (vec![format!("{pad}<{DEFINITIONS}>")], vec![format!("{pad}</{DEFINITIONS}>")]);
                return Some(Place { at: number, replaced: true, before, after, indent: indent + 2 });
            }
            [_] if text == "<properties/>" => return Some(with_property(number, true, indent)),
            [_, "properties"] if text == "</properties>" => properties_end = Some((number, indent)),
            _ => {}
        }
        scanner.line(line, &mut open)?;
    }
    let is_whole = open.is_empty() && scanner.is_between();
    let (number, indent) = properties_end.filter(|_| is_whole)?;
    Some(with_property(number, false, indent))
}

/// Puts the whole property there, within `<properties>` that are there or are to be opened.
fn with_property(at: usize, replaced: bool, indent: usize) -> Place {
    let pad = |more: usize| " ".repeat(indent + more);
    let mut before = vec![format!("{}<{PROPERTY}>", pad(2)), format!("{}<{DEFINITIONS}>", pad(4))];
    let mut after = vec![format!("{}</{DEFINITIONS}>", pad(4)), format!("{}</{PROPERTY}>", pad(2))];
    if replaced {
        before.insert(0, format!("{}<properties>", pad(0)));
        after.push(format!("{}</properties>", pad(0)));
    }
    Place { at, replaced, before, after, indent: indent + 6 }
}

/// Follows which elements are open, across comments, character data and quoted attributes.
#[derive(Default)]
struct Scanner {
    /// What ends the thing that the last line ended within.
    until: Option<&'static str>,
    tag: String,
    quote: Option<char>,
    in_tag: bool,
}

impl Scanner {
    /// Reads one line; none if the document is not well formed.
    fn line(&mut self, line: &str, open: &mut Vec<String>) -> Option<()> {
        let mut rest = line;
        while !rest.is_empty() {
            if let Some(end) = self.until {
                let Some((_, after)) = rest.split_once(end) else { return Some(()) };
                (self.until, rest) = (None, after);
                continue;
            }
            if !self.in_tag {
                let Some(start) = rest.find('<') else { return Some(()) };
                rest = &rest[start..];
                let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
                if let Some((begin, end)) = skipped.into_iter().find(|(begin, _)| rest.starts_with(begin)) {
                    (self.until, rest) = (Some(end), &rest[begin.len()..]);
                    continue;
                }
                (self.in_tag, rest) = (true, &rest[1..]);
                self.tag.clear();
            }
            let mut characters = rest.chars();
            let char = characters.next()?;
            rest = characters.as_str();
            match (self.quote, char) {
                (None, '>') => {
                    self.in_tag = false;
                    self.close(open)?;
                }
                (None, '"' | '\'') => self.quote = Some(char),
                (Some(quote), _) if quote == char => self.quote = None,
                (Some(_), _) => {}
                (None, _) => self.tag.push(char),
            }
        }
        Some(())
    }

    fn is_between(&self) -> bool {
        self.until.is_none() && !self.in_tag
    }

    /// Takes a tag that has ended into account; none if it does not fit.
    fn close(&self, open: &mut Vec<String>) -> Option<()> {
        let tag = self.tag.trim_end();
        if let Some(name) = tag.strip_prefix('/') {
            return (open.pop()? == name.trim()).then_some(());
        }
        let name = tag.trim_end_matches('/').split_whitespace().next()?;
        if !tag.ends_with('/') {
            open.push(name.to_owned());
        }
        Some(())
    }
}

/// Returns whether a line has nothing but one tag, or is one of those that everybody who sees the project may read.
fn is_harmless(line: &str) -> bool {
    let line = line.trim();
    let open_to_all = ["description", "displayName", "keepDependencies", "assignedNode", "canRoam", "disabled"];
    let is_known = |name: &str| {
        let inside = line.strip_prefix(&format!("<{name}>")).and_then(|rest| rest.strip_suffix(&format!("</{name}>")));
        inside.is_some_and(|text| !text.contains('<'))
    };
    let tag = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    tag.is_some_and(|tag| !tag.contains(['<', '>', '!'])) || open_to_all.into_iter().any(is_known)
}
