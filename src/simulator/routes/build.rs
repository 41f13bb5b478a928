use super::view;
use crate::domain::ProjectKind;
use crate::simulator::auth::Permission;
use crate::simulator::request::{Answer, Body, Request, Routed};
use crate::simulator::world::{Build, Order, World};

/// Finds the number that a path means: a number, or a word such as `lastBuild`.
pub(super) fn find(world: &World, project: &str, text: &str) -> Option<u64> {
    let builds = &world.project(project)?.builds;
    if let Ok(number) = text.parse() {
        return builds.contains_key(&number).then_some(number);
    }
    let good = |build: &&Build| build.result == Some(crate::domain::BuildResult::Success);
    let mut newest_first = builds.values().rev();
    let found = match text {
        "lastBuild" => newest_first.next(),
        "lastCompletedBuild" => newest_first.find(|build| !build.is_building()),
        "lastStableBuild" | "lastSuccessfulBuild" => newest_first.filter(|build| !build.is_building()).find(good),
        _ => None,
    };
    found.map(|build| build.number)
}

pub(super) fn route(world: &mut World, request: &Request, project: &str, number: u64, path: &[&str]) -> Routed {
    let Some(build) = world.build(project, number) else { return Ok(Answer::not_found()) };
    match path {
        [] => Ok(Answer::page(200, &format!("{project} #{number}"))),
        ["api", "json"] => request.json(|wanted| match world.project(project) {
            Some(found) => view(world, request).build(found, build, wanted),
            None => serde_json::Value::Null,
        }),
        ["consoleText"] => Ok(Answer::new(200, Body::Text(build.log.clone()))),
        ["logText", "progressiveText"] => Ok(progressive_text(build, request)),
        ["stop"] => stop(world, request, project, number, Order::Stop),
        ["term"] if is_pipeline(world, project) => stop(world, request, project, number, Order::Terminate),
        ["kill"] if is_pipeline(world, project) => stop(world, request, project, number, Order::Kill),
        ["submitDescription"] => {
            request.must_post()?;
            request.must_have(Permission::RunUpdate)?;
            let text = request.parameter("description").unwrap_or_default().to_owned();
            if let Some(build) = world.build_mut(project, number) {
                build.description = Some(text).filter(|text| !text.is_empty());
            }
            Ok(Answer::redirect("."))
        }
        ["doDelete"] => {
            request.must_post()?;
            request.must_have(Permission::RunDelete)?;
            if world.delete_build(project, number) {
                return Ok(Answer::redirect(".."));
            }
            Ok(Answer::bad_request("the build is running"))
        }
        _ => Ok(Answer::not_found()),
    }
}

/// Answers the same whether or not anything was there to stop.
fn stop(world: &mut World, request: &Request, project: &str, number: u64, order: Order) -> Routed {
    request.must_post()?;
    request.must_have(Permission::ItemCancel)?;
    world.stop(project, number, order);
    Ok(request.back())
}

fn is_pipeline(world: &World, project: &str) -> bool {
    world.project(project).is_some_and(|project| project.spec.kind == ProjectKind::Pipeline)
}

/// The log from an offset on; one beyond its end starts over.
fn progressive_text(build: &Build, request: &Request) -> Answer {
    let start = request.parameter("start").and_then(|start| start.parse::<usize>().ok()).unwrap_or(0);
    let start = if start > build.log.len() { 0 } else { start };
    let text = String::from_utf8_lossy(&build.log.as_bytes()[start..]).into_owned();
    let answer = Answer::new(200, Body::Text(text)).with("X-Text-Size", build.log.len().to_string());
    if build.is_building() { answer.with("X-More-Data", "true") } else { answer }
}
