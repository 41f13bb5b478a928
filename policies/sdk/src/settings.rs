//! Reading settings, with errors that an operator can act on.
//!
//! Every setting is taken out by name, and `finish` complains about what is left: a misspelt setting must not be a
//! setting that silently does nothing.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde_json::{Map, Value};

use crate::{Globs, ProjectGlobs, list};

/// A table of settings, or one inside it.
#[derive(Debug)]
pub struct Settings {
    /// How a person finds it, such as `settings.rules[2]`.
    path: String,
    left: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Settings {
    /// Reads the JSON text that the host passes to `configure`.
    ///
    /// # Errors
    ///
    /// A sentence for people, as everywhere here.
    pub fn read(json: &str) -> Result<Self, String> {
        match serde_json::from_str(json) {
            Ok(value) => Self::at("settings".into(), value),
            Err(error) => Err(format!("the settings are not JSON: {error}")),
        }
    }

    fn at(path: String, value: Value) -> Result<Self, String> {
        match value {
            Value::Object(left) => Ok(Self { path, left, asked: Vec::new() }),
            other => Err(format!("{path} must be a table, but is {}", kind(&other))),
        }
    }

    /// Takes a text.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.not_a("a text", name, &other)),
        }
    }

    /// Takes `true` or `false`.
    pub fn truth(&mut self, name: &'static str) -> Result<Option<bool>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(other) => Err(self.not_a("true or false", name, &other)),
        }
    }

    /// Takes a list of texts.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::Array(entries) = value else { return Err(self.not_a("a list of texts", name, &value)) };
        let texts = entries.into_iter().map(|entry| match entry {
            Value::String(text) => Ok(text),
            other => Err(format!("{}.{name} must be a list of texts, but holds {}", self.path, kind(&other))),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// Takes a list of globs for names or values.
    pub fn globs(&mut self, name: &'static str) -> Result<Option<Globs>, String> {
        let Some(texts) = self.texts(name)? else { return Ok(None) };
        Globs::new(texts).map(Some).map_err(|error| format!("{}.{name}: {error}", self.path))
    }

    /// Takes a list of globs for full names of projects.
    pub fn project_globs(&mut self, name: &'static str) -> Result<Option<ProjectGlobs>, String> {
        let Some(texts) = self.texts(name)? else { return Ok(None) };
        ProjectGlobs::new(texts).map(Some).map_err(|error| format!("{}.{name}: {error}", self.path))
    }

    /// Takes one of the words in `choices`, and returns what stands beside it there.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Result<Option<T>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        self.chosen(name, &text, choices).map(Some)
    }

    /// Takes a list of words in `choices`.
    pub fn choices<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Result<Option<Vec<T>>, String> {
        let Some(texts) = self.texts(name)? else { return Ok(None) };
        texts.iter().map(|text| self.chosen(name, text, choices)).collect::<Result<_, _>>().map(Some)
    }

    /// Takes a table.
    pub fn table(&mut self, name: &'static str) -> Result<Option<Self>, String> {
        let path = format!("{}.{name}", self.path);
        self.take(name).map(|value| Self::at(path, value)).transpose()
    }

    /// Takes a list of tables, `[[settings.name]]` in a sidecar. An absent one is empty.
    pub fn tables(&mut self, name: &'static str) -> Result<Vec<Self>, String> {
        let Some(value) = self.take(name) else { return Ok(Vec::new()) };
        let Value::Array(entries) = value else { return Err(self.not_a("a list of tables", name, &value)) };
        let tables = entries.into_iter().zip(1..);
        tables.map(|(entry, number)| Self::at(format!("{}.{name}[{number}]", self.path), entry)).collect()
    }

    /// Takes every entry, each a list of texts, sorted by name.
    pub fn every_texts(mut self) -> Result<Vec<(String, Vec<String>)>, String> {
        let names: Vec<String> = self.left.keys().cloned().collect();
        let texts = names.into_iter().map(|name| {
            let value = self.left.remove(&name).unwrap_or_default();
            let texts = match value {
                Value::Array(entries) => entries.into_iter().map(text_of).collect::<Option<Vec<_>>>(),
                _ => None,
            };
            match texts {
                Some(texts) => Ok((name, texts)),
                None => Err(format!("{}.{name} must be a list of texts", self.path)),
            }
        });
        texts.collect()
    }

    /// Returns how a person finds this table, such as `settings.rules[2]`, counted from 1.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// Names the settings that nobody asked for.
    pub fn finish(self) -> Result<(), String> {
        if self.left.is_empty() {
            return Ok(());
        }
        let unknown = list(self.left.keys().map(String::as_str));
        Err(format!("{} has no {unknown}; it takes {}", self.path, list(self.asked)))
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.left.remove(name)
    }

    fn chosen<T: Copy>(&self, name: &str, text: &str, choices: &[(&str, T)]) -> Result<T, String> {
        match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(*choice),
            None => {
                let words = list(choices.iter().map(|(word, _)| *word));
                Err(format!("{}.{name} cannot be {}; it takes {words}", self.path, crate::quoted(text)))
            }
        }
    }

    fn not_a(&self, expected: &str, name: &str, found: &Value) -> String {
        format!("{}.{name} must be {expected}, but is {}", self.path, kind(found))
    }
}

fn text_of(value: Value) -> Option<String> {
    value.as_str().map(ToString::to_string)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_notes_what_is_not() {
        let mut settings = Settings::read(
            r#"{"text": "t", "truth": false, "texts": ["a"], "word": "red", "table": {"x": ["y"]}, "tables": [{}, {}]}"#,
        )
        .unwrap();
        assert_eq!(settings.text("text").unwrap().as_deref(), Some("t"));
        assert_eq!(settings.text("none").unwrap(), None);
        assert_eq!(settings.truth("truth").unwrap(), Some(false));
        assert_eq!(settings.texts("texts").unwrap(), Some(vec!["a".into()]));
        assert_eq!(settings.choice("word", &[("red", 1), ("green", 2)]).unwrap(), Some(1));
        let table = settings.table("table").unwrap().unwrap();
        assert_eq!(table.every_texts().unwrap(), [("x".into(), vec!["y".into()])]);
        let tables = settings.tables("tables").unwrap();
        assert_eq!(tables.iter().map(Settings::path).collect::<Vec<_>>(), ["settings.tables[1]", "settings.tables[2]"]);
        assert_eq!(settings.finish(), Ok(()));
    }

    #[test]
    fn a_misspelt_setting_is_an_error_that_lists_the_right_ones() {
        let mut settings = Settings::read(r#"{"lables": []}"#).unwrap();
        settings.globs("labels").unwrap();
        settings.text("message").unwrap();
        assert_eq!(settings.finish().unwrap_err(), "settings has no `lables`; it takes `labels`, `message`");
    }

    #[test]
    fn errors_say_where_and_what() {
        let read = |json| Settings::read(json).unwrap();
        assert_eq!(read(r#"{"a": 1}"#).text("a").unwrap_err(), "settings.a must be a text, but is a number");
        assert_eq!(read(r#"{"a": 1}"#).texts("a").unwrap_err(), "settings.a must be a list of texts, but is a number");
        assert_eq!(
            read(r#"{"a": [1]}"#).texts("a").unwrap_err(),
            "settings.a must be a list of texts, but holds a number"
        );
        assert_eq!(read(r#"{"a": [1]}"#).tables("a").unwrap_err(), "settings.a[1] must be a table, but is a number");
        assert_eq!(read(r#"{"a": "x"}"#).truth("a").unwrap_err(), "settings.a must be true or false, but is a text");
        assert_eq!(
            read(r#"{"a": "blue"}"#).choice("a", &[("red", 1), ("green", 2)]).unwrap_err(),
            "settings.a cannot be `blue`; it takes `red`, `green`"
        );
        assert_eq!(
            read(r#"{"a": [""]}"#).globs("a").unwrap_err(),
            "settings.a: a pattern is empty, and would match nothing"
        );
        assert_eq!(Settings::read("[]").unwrap_err(), "settings must be a table, but is a list");
        assert!(Settings::read("{").unwrap_err().starts_with("the settings are not JSON: "));
    }
}
