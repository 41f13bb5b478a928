//! Jenkins' JSON, and nothing but that: which fields are asked for, and what their values mean.
//!
//! Controllers differ by fifteen years of versions and by their plugins, so every field may be missing, null or of
//! another shape; what cannot be understood is left out. Only a document that lacks what was asked for as a whole is
//! an error, since an empty list would mean that everything is gone. No error repeats what a document says.

mod builds;
mod configuration;
mod nodes;
mod projects;
mod queue;

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Error;
use crate::domain::Parameters;

pub(super) use builds::{BUILD_TREE, build, builds, builds_tree};
pub(super) use configuration::{Configuration, configuration, node_labels};
pub(super) use nodes::{
    CONNECT_PERMISSION_TREE, MODES_TREE, MOST_EXECUTORS, NODE_EXISTS_TREE, NODES_TREE, OFFLINE_MARK_TREE, may_connect,
    modes, nodes, offline_mark,
};
pub(super) use projects::{
    Detail, Entry, PARAMETERS_TREE, PROJECT_EXISTS_TREE, declared_parameters, projects, projects_tree,
};
pub(super) use queue::{CAUSES_TREE, LEFT_ITEM_TREE, QUEUE_TREE, causes, left_item, queue};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod mutations;

pub(super) const CRUMB_TREE: &str = "crumb,crumbRequestField";
pub(super) const QUIETING_DOWN_TREE: &str = "quietingDown";

/// What a POST must carry when its user came with a password.
#[derive(Deserialize)]
pub(super) struct Crumb {
    #[serde(rename = "crumb")]
    pub(super) value: String,
    #[serde(rename = "crumbRequestField")]
    pub(super) field: String,
}

/// The controller itself.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Root {
    quieting_down: Lenient<bool>,
}

/// Some object, whose content does not matter.
pub(super) struct Anything;

/// A value; None if it is missing, null or of another shape.
struct Lenient<T>(Option<T>);

/// An object; None if it is missing, null or something else.
struct Object<T>(Option<T>);

/// The objects of an array, and how many other elements were left out; None if it is missing or not an array.
struct List<T>(Option<Vec<T>>, usize);

/// One of the `actions` of a queue item or build: an open set, to which any plugin adds its own.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Action {
    #[serde(rename = "_class")]
    class: Lenient<String>,
    parameters: List<Parameter>,
    causes: List<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameter {
    #[serde(rename = "_class")]
    class: Lenient<String>,
    name: Lenient<String>,
    value: Lenient<Value>,
}

/// Reads a document.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8], path: &str) -> Result<T, Error> {
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        // Java's strings may hold half a surrogate pair, which Jenkins passes on as an escape and no string here can
        // hold. One such parameter of one build must not hide all nodes.
        Err(error) => match mend_surrogates(body).and_then(|mended| serde_json::from_slice(&mended).ok()) {
            Some(value) => Ok(value),
            None => Err(flaw(body, &error, path)),
        },
    }
}

pub(super) fn quieting_down(root: Root) -> bool {
    root.quieting_down.0.unwrap_or(false)
}

fn flaw(body: &[u8], error: &serde_json::Error, path: &str) -> Error {
    let path = path.to_owned();
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'<') => Error::NotJson { path },
        None => Error::Truncated { path },
        _ if error.is_eof() => Error::Truncated { path },
        // The error's own text quotes the document, and with it perhaps a secret parameter.
        _ => Error::Malformed { path, detail: format!("line {}, column {}", error.line(), error.column()) },
    }
}

/// Replaces escapes of lone surrogates by U+FFFD; None if there are none.
fn mend_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let mut mended = body.to_vec();
    let mut changed = false;
    let mut at = 0;
    while at < mended.len() {
        match (mended[at], surrogate(&mended, at)) {
            (_, Some(Half::High)) if matches!(surrogate(&mended, at + 6), Some(Half::Low)) => at += 12,
            (_, Some(_)) => {
                mended[at + 2..at + 6].copy_from_slice(b"fffd");
                changed = true;
                at += 6;
            }
            (b'\\', None) => at += 2,
            _ => at += 1,
        }
    }
    changed.then_some(mended)
}

enum Half {
    High,
    Low,
}

fn surrogate(body: &[u8], at: usize) -> Option<Half> {
    let escape = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let unit = u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()?;
    match unit {
        0xD800..=0xDBFF => Some(Half::High),
        0xDC00..=0xDFFF => Some(Half::Low),
        _ => None,
    }
}

/// Collects the parameters out of `actions`.
fn parameters(actions: List<Action>) -> Parameters {
    let mut collected = Parameters::new();
    // Other actions may have `parameters` of their own kind.
    let of_parameters =
        |action: &Action| action.class.0.as_ref().is_none_or(|class| class.ends_with("ParametersAction"));
    for parameter in actions.into_iter().filter(of_parameters).flat_map(|action| action.parameters) {
        let is_secret = parameter.class.0.is_some_and(|class| class.ends_with("PasswordParameterValue"));
        let Some(name) = parameter.name.0 else { continue };
        if !collected.contains(&name) {
            collected.set(name, parameter.value.0.and_then(text).filter(|_| !is_secret));
        }
    }
    collected
}

/// Returns a value as it would be typed into a form.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns a number that counts something; Jenkins writes -1 for "not known".
fn count(number: Lenient<i64>) -> Option<u64> {
    number.0.and_then(|number| u64::try_from(number).ok())
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None, 0)
    }
}

impl<T> List<T> {
    /// Reads the elements, leaving out those that mean nothing: one that a plugin got wrong must not hide the others.
    /// None if there is no list.
    fn read<U>(self, path: &str, read: impl FnMut(T) -> Option<U>) -> Option<Vec<U>> {
        let Self(Some(elements), mut left_out) = self else { return None };
        left_out += elements.len();
        let read: Vec<U> = elements.into_iter().filter_map(read).collect();
        left_out -= read.len();
        if left_out > 0 {
            tracing::debug!(path, left_out, "left out elements of a list that mean nothing here");
        }
        Some(read)
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.unwrap_or_default().into_iter()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(serde_json::from_value(value).ok()))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Shape(PhantomData))? {
            Found::Object(object) => Ok(Self(Some(object))),
            Found::List(_) | Found::Other => Ok(Self(None)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ListShape(PhantomData))? {
            Found::List((list, left_out)) => Ok(Self(Some(list), left_out)),
            Found::Object(()) | Found::Other => Ok(Self::default()),
        }
    }
}

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Shape::<Ignored>(PhantomData))? {
            Found::Object(_) => Ok(Self),
            Found::List(_) | Found::Other => Err(D::Error::custom("not an object")),
        }
    }
}

#[derive(Deserialize)]
struct Ignored {}

enum Found<O, L> {
    Object(O),
    List(L),
    Other,
}

/// Takes an object and swallows anything else.
struct Shape<T>(PhantomData<T>);

/// Takes an array's objects and swallows anything else.
struct ListShape<T>(PhantomData<T>);

/// The visits of scalars, which mean nothing where an object or an array belongs.
macro_rules! swallow_scalars {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Found::Other)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Found::Other)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Found::Other)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Found::Other)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Found::Other)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Found::Other)
        }
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Shape<T> {
    type Value = Found<T, ()>;

    swallow_scalars!();

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Found::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::List(()))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListShape<T> {
    type Value = Found<(), (Vec<T>, usize)>;

    swallow_scalars!();

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Object(()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let (mut list, mut left_out) = (Vec::new(), 0);
        while let Some(Object(element)) = elements.next_element()? {
            match element {
                Some(element) => list.push(element),
                None => left_out += 1,
            }
        }
        Ok(Found::List((list, left_out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Item {
        actions: List<Action>,
    }

    #[track_caller]
    fn check_parameters(actions: &str, expected: &[(&str, Option<&str>)]) {
        let item: Item = decode(format!(r#"{{"actions":{actions}}}"#).as_bytes(), "/x").unwrap();
        assert_eq!(parameters(item.actions).iter().collect::<Vec<_>>(), expected, "{actions}");
    }

    #[test]
    fn parameters_are_read_whatever_stands_around_them() {
        check_parameters("null", &[]);
        check_parameters("{}", &[]);
        check_parameters(r#"[{}, null, 7, [], "x", {"parameters": null}, {"parameters": {"name": "a"}}]"#, &[]);
        check_parameters(
            r#"[{"causes": []}, {"_class": "hudson.model.ParametersAction", "parameters": [null, {},
                {"name": "a", "value": "1"}, {"name": "b", "value": true}, {"name": "c", "value": 12},
                {"name": "d", "value": null}, {"name": "e"}, {"name": "f", "value": ["x"]}, {"name": 3, "value": "x"},
                {"_class": "hudson.model.PasswordParameterValue", "name": "g", "value": "hunter2"}]}]"#,
            &[
                ("a", Some("1")),
                ("b", Some("true")),
                ("c", Some("12")),
                ("d", None),
                ("e", None),
                ("f", None),
                ("g", None),
            ],
        );
    }

    #[test]
    fn parameters_of_other_actions_are_not_the_builds() {
        check_parameters(
            r#"[{"_class": "hudson.model.SomeOtherAction", "parameters": [{"name": "a", "value": "theirs"}]},
                {"_class": "hudson.matrix.MatrixChildParametersAction", "parameters": [{"name": "a", "value": "ours"}]}]"#,
            &[("a", Some("ours"))],
        );
    }

    #[test]
    fn half_a_surrogate_pair_does_not_hide_the_rest() {
        check_parameters(
            r#"[{"parameters": [{"name": "a", "value": "\uD83D x \uDE00 \uD83D\uDE00 \\uD83D"}]}]"#,
            &[("a", Some("\u{fffd} x \u{fffd} 😀 \\uD83D"))],
        );
        check_parameters(r#"[{"parameters": [{"name": "a", "value": "\uD83D"}]}]"#, &[("a", Some("\u{fffd}"))]);
    }

    #[test]
    fn documents_that_cannot_be_read_are_told_apart_and_never_quoted() {
        let read = |body: &str| decode::<Item>(body.as_bytes(), "/x").err().map(|error| (error.is_transient(), error));
        let path = || "/x".to_owned();
        assert_eq!(read(r#"{"actions": [{"par"#), Some((true, Error::Truncated { path: path() })));
        assert_eq!(read(""), Some((true, Error::Truncated { path: path() })));
        assert_eq!(read("\n <html>hunter2"), Some((false, Error::NotJson { path: path() })));
        let (transient, error) = read(r#"{"actions": hunter2}"#).unwrap();
        assert!(transient && !format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        let (_, error) = read(r#""hunter2""#).unwrap();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
        let body = format!(r#"{{"actions":{}"#, "[".repeat(100_000));
        assert!(decode::<Item>(body.as_bytes(), "/x").is_err());
    }
}
