//! The script console, for the one script that Layshaft sends there: nothing here runs Groovy. What the script does with
//! its data is done to the world, and what it prints is printed; whatever else comes is answered as a script that fails.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::trigger::{declared, read_value};
use crate::simulator::auth::{Permission, decode_base64};
use crate::simulator::fleet::ParameterKind;
use crate::simulator::request::{Answer, Body, Request, Routed};
use crate::simulator::world::{Cause, Scheduled, Value, World};

/// The very file that is sent.
const SCRIPT: &str = include_str!("../../jenkins/start.groovy");
const DATA: &str = "/* REQUEST */";

/// As the script reads it.
#[derive(Deserialize)]
struct Wanted {
    nonce: String,
    project: String,
    parameters: Vec<(String, String)>,
    pin: Option<(String, String)>,
}

pub(super) fn run(world: &mut World, request: &Request) -> Routed {
    request.must_post()?;
    request.must_have(Permission::OverallAdminister)?;
    let script = request.parameter("script").unwrap_or_default();
    let text = match data_of(script) {
        Some(wanted) => {
            let said = start(world, request, &wanted);
            format!("layshaft {} {said}\n", wanted.nonce)
        }
        // Jenkins says 200 to this too.
        None => {
            "org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\n\tat Script1\n".to_owned()
        }
    };
    Ok(Answer::new(200, Body::Text(text)))
}

/// Takes the data out of the script, if it is that script and no other.
fn data_of(script: &str) -> Option<Wanted> {
    let (before, after) = SCRIPT.split_once(DATA)?;
    let data = script.strip_prefix(before)?.strip_suffix(after)?;
    let mut encoded = String::new();
    for piece in data.split(", ") {
        encoded.push_str(piece.strip_prefix('\'')?.strip_suffix('\'')?);
    }
    serde_json::from_slice(&decode_base64(&encoded)?).ok()
}

fn start(world: &mut World, request: &Request, wanted: &Wanted) -> serde_json::Value {
    if world.project(&wanted.project).is_none() {
        return json!({"outcome": "missing"});
    }
    if !world.is_buildable(&wanted.project) {
        return json!({"outcome": "disabled"});
    }
    let declared = declared(world, &wanted.project);
    let mut values = Vec::new();
    for parameter in &declared {
        let sent = wanted.parameters.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| value.clone());
        let Ok(value) = read_value(parameter, sent) else {
            let problem = "java.lang.IllegalArgumentException";
            return json!({"outcome": "failed", "step": "setting a declared parameter", "problem": problem, "asked": false});
        };
        values.push(value);
    }
    let text = |name: &String, value: &String, kind| Value { name: name.clone(), kind, value: value.clone() };
    for (name, value) in &wanted.parameters {
        if declared.iter().all(|parameter| parameter.name != *name) {
            let kind = if value.contains('\n') { ParameterKind::Text } else { ParameterKind::String };
            values.push(text(name, value, kind));
        }
    }
    let pin = wanted.pin.as_ref().filter(|_| world.has_node_label_plugin);
    if let Some((name, label)) = pin {
        values.push(text(name, label, ParameterKind::Label));
    }
    let pinned = pin.is_some();
    let cause = Cause::User { id: request.caller.user.name.clone() };
    let scheduled = world.schedule(&wanted.project, values, cause, Some(Duration::ZERO));
    let (item, created) = match scheduled {
        Scheduled::Created(id) => (id, true),
        Scheduled::Merged(id) => (id, false),
    };
    json!({"outcome": "queued", "item": item, "created": created, "pinned": pinned})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_script_that_is_sent_is_known() {
        // {"nonce":"n","project":"p","parameters":[["A","1"]],"pin":null}, in two pieces.
        let encoded = "eyJub25jZSI6Im4iLCJwcm9qZWN0IjoicCIsInBhcmFtZXRlcnMiOltbIkEiLCIxIl1dLCJwaW4iOm51bGx9";
        let (one, two) = encoded.split_at(40);
        let script = SCRIPT.replace(DATA, &format!("'{one}', '{two}'"));
        let wanted = data_of(&script).unwrap();
        assert_eq!((wanted.nonce.as_str(), wanted.project.as_str(), wanted.pin), ("n", "p", None));
        assert_eq!(wanted.parameters, [("A".to_owned(), "1".to_owned())]);
        for other in
            [SCRIPT, "println(1)", &script.replace("asked = true", "asked = false"), &format!("{script}\nmore")]
        {
            assert!(data_of(other).is_none());
        }
    }
}
