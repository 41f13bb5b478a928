use std::time::Duration;

use crate::simulator::auth::Permission;
use crate::simulator::fleet::{ParameterKind, ParameterSpec};
use crate::simulator::request::{Answer, Request, Routed};
use crate::simulator::world::{Cause, Scheduled, Value, World};

/// Serves `/job/J/build`: for projects without parameters, or with a form that names them.
pub(super) fn build(world: &mut World, request: &Request, project: &str) -> Routed {
    check(world, request, project, 500)?;
    let delay = delay(request)?;
    let declared = declared(world, project);
    let values = match (request.parameter("json"), declared.is_empty()) {
        (_, true) => Vec::new(),
        (Some(form), false) => values_of_form(form, &declared)?,
        (None, false) => return Ok(Answer::bad_request("This page expects a form submission")),
    };
    let cause = cause(world, request, project);
    // Merged or not, the answer is the same here.
    let (Scheduled::Created(id) | Scheduled::Merged(id)) = world.schedule(project, values, cause, delay);
    Ok(queued(world, request, 201, id))
}

/// Serves `/job/J/buildWithParameters`: what the project does not declare is dropped without a word.
pub(super) fn build_with_parameters(world: &mut World, request: &Request, project: &str) -> Routed {
    let version = world.settings.version;
    check(world, request, project, 0)?;
    let declared = declared(world, project);
    if declared.is_empty() {
        let status = if version.refuses_undeclared_with_400() { 400 } else { 500 };
        return Ok(Answer::page(status, "This build is not parameterized!").with("X-Error", "not parameterized"));
    }
    let delay = delay(request)?;
    let values = declared.iter().map(|parameter| value_of(request, parameter)).collect::<Result<Vec<_>, _>>()?;
    let cause = cause(world, request, project);
    Ok(match world.schedule(project, values, cause, delay) {
        Scheduled::Created(id) => queued(world, request, 201, id),
        Scheduled::Merged(id) if version.tells_merged_with_303() => queued(world, request, 303, id),
        Scheduled::Merged(id) => queued(world, request, 201, id),
    })
}

/// Goes on if the project may be built. Releases before 409 answered `old_status`, where 0 means that they did not look.
fn check(world: &World, request: &Request, project: &str, old_status: u16) -> Result<(), Box<Answer>> {
    request.must_post()?;
    request.must_have(Permission::ItemBuild)?;
    if world.is_buildable(project) {
        return Ok(());
    }
    let status = if world.settings.version.refuses_disabled_with_409() { 409 } else { old_status };
    if status == 0 { Ok(()) } else { Err(Box::new(Answer::page(status, &format!("{project} is not buildable")))) }
}

pub(super) fn declared(world: &World, project: &str) -> Vec<ParameterSpec> {
    world.project(project).map(|project| project.spec.parameters.clone()).unwrap_or_default()
}

fn value_of(request: &Request, parameter: &ParameterSpec) -> Result<Value, Box<Answer>> {
    let mut given = request.parameters(&parameter.name);
    let value = given.next();
    if given.next().is_some() {
        return Err(Box::new(Answer::oops(&format!("Illegal number of parameter values for {}", parameter.name))));
    }
    read_value(parameter, value.map(str::to_owned))
}

pub(super) fn read_value(parameter: &ParameterSpec, given: Option<String>) -> Result<Value, Box<Answer>> {
    let text = given.unwrap_or_else(|| parameter.default_value());
    let value = match parameter.kind {
        ParameterKind::Boolean => text.eq_ignore_ascii_case("true").to_string(),
        ParameterKind::Choice if !parameter.choices.contains(&text) => {
            let reason = format!("Illegal choice for parameter {}: {text}", parameter.name);
            return Err(Box::new(Answer::oops(&reason)));
        }
        ParameterKind::Node | ParameterKind::Label => text.trim().to_owned(),
        _ => text,
    };
    Ok(Value { name: parameter.name.clone(), kind: parameter.kind, value })
}

/// Reads `{"parameter":[{"name":…,"value":…}]}`; here an undeclared name is an error.
fn values_of_form(form: &str, declared: &[ParameterSpec]) -> Result<Vec<Value>, Box<Answer>> {
    let oops = |text: &str| Box::new(Answer::oops(text));
    let form: serde_json::Value = serde_json::from_str(form).map_err(|_| oops("the form is not JSON"))?;
    let sent = match form.get("parameter") {
        None => Vec::new(),
        Some(serde_json::Value::Array(sent)) => sent.clone(),
        Some(one) => vec![one.clone()],
    };
    let mut values = Vec::new();
    for pair in sent {
        let name = pair.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
        let parameter = declared.iter().find(|parameter| parameter.name == name);
        let parameter = parameter.ok_or_else(|| oops(&format!("No such parameter definition: {name}")))?;
        let text = pair.get("value").map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        values.push(read_value(parameter, text)?);
    }
    Ok(values)
}

/// A bare number is milliseconds, of which Jenkins then takes whole seconds.
fn delay(request: &Request) -> Result<Option<Duration>, Box<Answer>> {
    let Some(text) = request.parameter("delay") else { return Ok(None) };
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match (number.parse::<u64>(), unit.trim()) {
        (Ok(milliseconds), "") => milliseconds / 1000,
        (Ok(seconds), "sec" | "secs" | "second" | "seconds") => seconds,
        (Ok(minutes), "min" | "mins" | "minute" | "minutes") => minutes.saturating_mul(60),
        _ => return Err(Box::new(Answer::oops(&format!("{text} is not a delay")))),
    };
    Ok(Some(Duration::from_secs(seconds)))
}

/// Only a project with a token of its own lets the trigger give a cause.
fn cause(world: &World, request: &Request, project: &str) -> Cause {
    let own_token = world.project(project).and_then(|project| project.spec.trigger_token.as_deref());
    match (own_token, request.parameter("token")) {
        (Some(own), Some(given)) if own == given => Cause::Remote {
            address: request.peer.clone(),
            note: request.parameter("cause").unwrap_or_default().to_owned(),
        },
        _ => Cause::User { id: request.caller.user.name.clone() },
    }
}

fn queued(world: &World, request: &Request, status: u16, id: u64) -> Answer {
    if !world.settings.version.answers_trigger_with_queue_item() {
        return request.back();
    }
    Answer::empty(status).with("Location", format!("{}queue/item/{id}/", request.origin))
}
