//! A configuration file as it was written: tells for every value in which line it is, or which variable set it.
//!
//! The known keys are serde's alone: what it calls an unknown field is turned into a hint here, so that no list of keys
//! has to be kept beside the types.

use std::cmp::Reverse;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Override;
use super::{Problem, hint};

/// Nobody reads more at once.
const MOST_PROBLEMS: usize = 20;

/// Keys whose absence is an error, with an example.
const EXAMPLES: [(&str, &str); 4] = [
    ("name", "name = \"ci1\""),
    ("url", "url = \"https://ci1.example.org/\""),
    ("folder", "folder = \"policies\""),
    ("ca", "ca = \"gearman-ca.pem\""),
];

/// Two words for one thing: in the environment, either outweighs both.
const SAME: [((&str, &str), &str); 2] = [(("gearman", "server"), "servers"), (("gearman", "servers"), "server")];

#[derive(Debug)]
pub(super) struct Document<'t> {
    file: PathBuf,
    text: &'t str,
    overrides: &'t [Override],
    root: Spanned<DeTable<'t>>,
    entries: Vec<Entry>,
}

/// A key or a list's item, and where it is. Positions behind the text's end stand for overrides.
#[derive(Debug)]
struct Entry {
    path: String,
    /// An item of a list has none.
    key: Option<Range<usize>>,
    value: Range<usize>,
}

impl<'t> Document<'t> {
    pub(super) fn parse(file: &Path, text: &'t str, overrides: &'t [Override]) -> Result<Self, Vec<Problem>> {
        let root = DeTable::parse(text).map_err(|error| {
            let position = error.span().map_or(0, |span| span.start);
            let place = format!("{}:{}", file.display(), line_at(text, position));
            let text = format!("not readable as TOML: {}", one_line(error.message()));
            vec![Problem { place, key: String::new(), text, position }]
        })?;
        let mut document = Self { file: file.to_owned(), text, overrides, root, entries: Vec::new() };
        document.apply_defaults();
        document.apply_overrides();
        document.entries = entries(document.root.get_ref());
        Ok(document)
    }

    /// A site without a word about policies has its folder beside the file.
    fn apply_defaults(&mut self) {
        let position = self.text.len();
        for (section, key, value) in [("policies", "folder", "policies"), ("policies", "state", "state/policies")] {
            let table = section_of(self.root.get_mut(), section, position);
            if let Some(table) = table
                && !table.contains_key(key)
            {
                let value = Spanned::new(position..position, DeValue::String(value.into()));
                table.insert(Spanned::new(position..position, key.into()), value);
            }
        }
    }

    fn apply_overrides(&mut self) {
        for (index, Override { section, key, value, .. }) in self.overrides.iter().enumerate() {
            let position = self.text.len() + 1 + index;
            let Some(table) = section_of(self.root.get_mut(), section, position) else { continue };
            let value = Spanned::new(position..position, scalar(value));
            // Removed first, since an insertion would keep the key's old place.
            table.remove(key.as_str());
            if let Some((_, other)) = SAME.iter().find(|(one, _)| *one == (*section, key.as_str())) {
                table.remove(*other);
            }
            table.insert(Spanned::new(position..position, key.as_str().into()), value);
        }
    }

    /// Reads it as a type. Several unknown keys are reported together.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut root = self.root.clone();
        loop {
            let error = match T::deserialize(toml::Deserializer::from(root.clone())) {
                Ok(read) if problems.is_empty() => return Ok(read),
                Ok(_) => return Err(problems),
                Err(error) => error,
            };
            let position = error.span().map_or(0, |span| span.start);
            let path = self.path_at(position);
            let (key, text) = explain(&path, error.message());
            // What is missing elsewhere may be the very thing that was misspelt.
            if problems.is_empty() || !error.message().starts_with("missing field") {
                problems.push(Problem { place: self.place_at(position), key, text, position });
            }
            let goes_on = error.message().starts_with("unknown field") && problems.len() < MOST_PROBLEMS;
            if !goes_on || !remove_at(root.get_mut(), position) {
                return Err(problems);
            }
        }
    }

    /// Says whether a key or item is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == path)
    }

    /// Returns a problem with a key or item that is there, or with the nearest thing above it.
    pub(super) fn problem(&self, path: &str, text: impl Into<String>) -> Problem {
        let mut above = path;
        let entry = loop {
            if let Some(entry) = self.entries.iter().find(|entry| entry.path == above) {
                break Some(entry);
            }
            match above.rfind(['.', '[']) {
                Some(end) => above = &above[..end],
                None => break None,
            }
        };
        let position = entry.map_or(0, |entry| entry.key.as_ref().unwrap_or(&entry.value).start);
        Problem { place: self.place_at(position), key: path.to_owned(), text: text.into(), position }
    }

    /// Returns a path as the file means it: relative ones are relative to the file.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        let base = self.file.parent().unwrap_or(Path::new("")).join(path);
        std::path::absolute(&base).unwrap_or(base)
    }

    fn place_at(&self, position: usize) -> String {
        match position.checked_sub(self.text.len() + 1).and_then(|index| self.overrides.get(index)) {
            Some(found) => found.variable.clone(),
            None => format!("{}:{}", self.file.display(), line_at(self.text, position)),
        }
    }

    /// Returns the path of the key or value at a position: the innermost that covers it.
    fn path_at(&self, position: usize) -> String {
        let covers = |range: &Range<usize>| range.contains(&position) || range.start == position;
        let covering = |entry: &Entry| {
            let key = entry.key.as_ref().filter(|key| covers(key));
            key.or_else(|| Some(&entry.value).filter(|value| covers(value))).map(Range::len)
        };
        self.entries
            .iter()
            .filter_map(|entry| Some((covering(entry)?, Reverse(entry.path.len()), &entry.path)))
            .min()
            .map(|(_, _, path)| path.clone())
            .unwrap_or_default()
    }
}

/// Finds a section, and makes it if it is not there; dots stand between a section and what is in it.
fn section_of<'a, 't>(root: &'a mut DeTable<'t>, name: &'static str, position: usize) -> Option<&'a mut DeTable<'t>> {
    if let Some((outer, inner)) = name.split_once('.') {
        return section_of(section_of(root, outer, position)?, inner, position);
    }
    if !root.contains_key(name) {
        let table = Spanned::new(position..position, DeValue::Table(DeTable::new()));
        root.insert(Spanned::new(position..position, name.into()), table);
    }
    match root.get_mut(name)?.get_mut() {
        DeValue::Table(table) => Some(table),
        // Not a section at all, which is for serde to say.
        _ => None,
    }
}

/// Reads a variable's text as a number or a truth value if it is one, else as text.
fn scalar(text: &str) -> DeValue<'_> {
    match DeValue::parse(text).map(Spanned::into_inner) {
        Ok(value @ (DeValue::Integer(_) | DeValue::Boolean(_))) => value,
        _ => DeValue::String(text.into()),
    }
}

fn entries(root: &DeTable<'_>) -> Vec<Entry> {
    fn value(found: &mut Vec<Entry>, path: &str, inner: &DeValue<'_>) {
        match inner {
            DeValue::Table(inner) => table(found, path, inner),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    value(found, &path, item.get_ref());
                    found.push(Entry { path, key: None, value: item.span() });
                }
            }
            _ => {}
        }
    }
    fn table(found: &mut Vec<Entry>, path: &str, inner: &DeTable<'_>) {
        for (key, item) in inner {
            let name = key.get_ref();
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            value(found, &path, item.get_ref());
            found.push(Entry { path, key: Some(key.span()), value: item.span() });
        }
    }
    let mut found = Vec::new();
    table(&mut found, "", root);
    found
}

/// Removes the key at a position, wherever it is; says whether there was one.
fn remove_at(table: &mut DeTable<'_>, position: usize) -> bool {
    let found = table.keys().find(|key| key.span().start == position && is_leaf(table, key.get_ref(), position));
    if let Some(key) = found.map(|key| key.get_ref().to_string()) {
        return table.remove(key.as_str()).is_some();
    }
    table.iter_mut().any(|(_, value)| match value.get_mut() {
        DeValue::Table(inner) => remove_at(inner, position),
        DeValue::Array(items) => items.iter_mut().any(|item| match item.get_mut() {
            DeValue::Table(inner) => remove_at(inner, position),
            _ => false,
        }),
        _ => false,
    })
}

/// Tells a key from the section above it that an override brought into being at the same position.
fn is_leaf(table: &DeTable<'_>, key: &str, position: usize) -> bool {
    match table.get(key).map(Spanned::get_ref) {
        Some(DeValue::Table(inner)) => inner.keys().all(|key| key.span().start != position),
        _ => true,
    }
}

/// Turns serde's words into the key that they are about, and into what to write there.
fn explain(path: &str, message: &str) -> (String, String) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let below = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    if message.starts_with("unknown field") {
        let known: Vec<&str> = quoted.iter().skip(1).copied().filter(|known| *known != "token").collect();
        let written = quoted.first().copied().unwrap_or_default();
        let advice = match hint::closest(written, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "nothing may stand here".to_owned(),
            None => format!("known here: {}", known.join(", ")),
        };
        return (path.to_owned(), format!("unknown key; {advice}"));
    }
    if message.starts_with("unknown variant") {
        let written = quoted.first().copied().unwrap_or_default();
        let known: Vec<String> = quoted.iter().skip(1).map(|known| format!("\"{known}\"")).collect();
        return (path.to_owned(), format!("\"{written}\" is none of its values; write {}", known.join(" or ")));
    }
    if message.starts_with("duplicate field `servers`") {
        let text = "there are both `server` and `servers`; write one of them";
        return (path.to_owned(), text.to_owned());
    }
    if message.starts_with("missing field") {
        let field = quoted.first().copied().unwrap_or_default();
        let example = EXAMPLES.iter().find(|(name, _)| *name == field).map(|(_, example)| *example);
        let advice = example.map_or_else(|| format!("write {field} = …"), |example| format!("write {example}"));
        return (below(field), format!("missing; {advice}"));
    }
    let is_wrong = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = is_wrong.and_then(|text| text.split_once(", expected ")) {
        let expected = match expected {
            "a string" => "text, in quotes",
            "a sequence" => "a list, in brackets",
            "a map" => "a section",
            expected if expected.starts_with("struct ") => "a section",
            expected => expected,
        };
        return (path.to_owned(), format!("{} is wrong here; write {expected}", found.replace('`', "")));
    }
    (path.to_owned(), one_line(message))
}

fn line_at(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
