use std::time::Duration;

use serde_json::{Value, json};

/// Something that goes wrong on purpose with the next requests to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// How the path begins, without query: `/queue`.
    pub path_prefix: String,
    /// Only requests of this method, such as `POST`; none means all.
    pub method: Option<String>,
    pub kind: Fault,
    /// How many requests it hits; none means until the rules are cleared.
    pub times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer comes late.
    Latency(Duration),
    /// The request is not looked at and answered with this status and a page.
    Status(u16),
    /// 200 with a page where JSON was asked for, as from a proxy's login.
    Html,
    /// A redirect to that address, as from a proxy that wants people to log in.
    Redirect(&'static str),
    /// 200 with half an answer.
    Truncate,
    /// Every list has an empty object and a null in it, as where plugins export nothing; only an executor is never
    /// without a word on whether it is idle.
    Holes,
    /// The connection is closed, and the request has never been looked at.
    DropBeforeAccept,
    /// The request is carried out; its answer is lost.
    DropAfterAccept,
}

impl FaultRule {
    pub fn new(path_prefix: impl Into<String>, kind: Fault) -> Self {
        Self { path_prefix: path_prefix.into(), method: None, kind, times: None }
    }

    pub fn once(path_prefix: impl Into<String>, kind: Fault) -> Self {
        Self { times: Some(1), ..Self::new(path_prefix, kind) }
    }
}

/// Puts holes into every list of an answer.
pub(crate) fn punch(value: &mut Value, of_executors: bool) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| punch(value, name == "executors")),
        Value::Array(elements) => {
            elements.iter_mut().for_each(|element| punch(element, false));
            elements.push(Value::Null);
            if !of_executors {
                elements.insert(0, json!({}));
            }
        }
        _ => {}
    }
}

/// Takes the fault for a request: that of the first rule that matches and is not used up.
pub(crate) fn take(rules: &mut Vec<FaultRule>, method: &str, path: &str) -> Option<Fault> {
    let position = rules.iter().position(|rule| {
        path.starts_with(&rule.path_prefix) && rule.method.as_deref().is_none_or(|wanted| wanted == method)
    })?;
    let rule = &mut rules[position];
    let kind = rule.kind;
    if let Some(times) = &mut rule.times {
        *times = times.saturating_sub(1);
        if *times == 0 {
            rules.remove(position);
        }
    }
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_hits_as_often_as_it_says_and_only_what_it_names() {
        let post_only = FaultRule { method: Some("POST".to_owned()), ..FaultRule::once("/job", Fault::Html) };
        let mut rules = vec![post_only, FaultRule { times: Some(2), ..FaultRule::new("/queue", Fault::Truncate) }];
        assert_eq!(take(&mut rules, "GET", "/job/a/build"), None);
        assert_eq!(take(&mut rules, "POST", "/job/a/build"), Some(Fault::Html));
        assert_eq!(take(&mut rules, "POST", "/job/a/build"), None);
        assert_eq!(take(&mut rules, "GET", "/queue/api/json"), Some(Fault::Truncate));
        assert_eq!(take(&mut rules, "GET", "/queue/api/json"), Some(Fault::Truncate));
        assert_eq!(take(&mut rules, "GET", "/queue/api/json"), None);
    }
}
