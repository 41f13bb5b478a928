//! What each address does. Requests in, answers out, the world in between; no sockets here.

mod build;
mod computer;
mod create;
mod project;
mod queue;
mod script;
mod trigger;

use super::auth::Permission;
use super::render::View;
use super::request::{Answer, Request, Routed};
use super::world::World;

pub(crate) fn answer(world: &mut World, request: &Request) -> Answer {
    route(world, request).unwrap_or_else(|refusal| *refusal)
}

fn route(world: &mut World, request: &Request) -> Routed {
    request.must_have(Permission::OverallRead)?;
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        [] => Ok(Answer::page(200, "Dashboard")),
        ["api", "json"] => request.json(|wanted| view(world, request).root(wanted)),
        ["me" | "whoAmI", "api", "json"] => request.json(|wanted| view(world, request).user(wanted)),
        ["label", _] => Ok(Answer::page(200, "Label")),
        ["label", text, "api", "json"] => request.json(|wanted| view(world, request).label(text, wanted)),
        ["scriptText"] => script::run(world, request),
        ["quietDown"] => quiet_down(world, request, true),
        ["cancelQuietDown"] => quiet_down(world, request, false),
        ["createItem"] => create::create_item(world, request, ""),
        ["job", ..] => project::route(world, request, &path),
        ["queue", rest @ ..] => queue::route(world, request, rest),
        ["computer", rest @ ..] => computer::route(world, request, rest),
        _ => Ok(Answer::not_found()),
    }
}

fn view<'w>(world: &'w World, request: &'w Request) -> View<'w> {
    View::new(world, &request.caller, request.language)
}

fn quiet_down(world: &mut World, request: &Request, quieting_down: bool) -> Routed {
    request.must_post()?;
    request.must_have(Permission::OverallAdminister)?;
    world.quieting_down = quieting_down;
    world.settle();
    Ok(Answer::redirect("."))
}

/// Returns the name under which a request is counted, with a star for whatever varies.
pub(crate) fn counter_name(method: &str, path: &[String]) -> String {
    let mut name = format!("{method} ");
    let mut previous = "";
    let mut items = 0;
    for segment in path {
        let varies =
            matches!(previous, "job" | "computer" | "label") && !matches!(segment.as_str(), "api" | "doCreateItem");
        let is_number = segment.bytes().all(|byte| byte.is_ascii_digit());
        if previous == "job" && varies {
            items += 1;
        }
        // A project in folders counts like one outside.
        let is_nested = (segment == "job" && items > 0) || (previous == "job" && items > 1);
        if !is_nested {
            name.push('/');
            name.push_str(if varies || is_number || segment.contains('=') { "*" } else { segment });
        }
        previous = segment;
    }
    if path.is_empty() {
        name.push('/');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::request::segments;

    #[test]
    fn requests_are_counted_by_route() {
        for (path, expected) in [
            ("/", "GET /"),
            ("/api/json", "GET /api/json"),
            ("/job/a/job/b/build", "GET /job/*/build"),
            ("/job/a/12/api/json", "GET /job/*/*/api/json"),
            ("/computer/api/json", "GET /computer/api/json"),
            ("/computer/(master)/api/json", "GET /computer/*/api/json"),
            ("/queue/item/7/api/json", "GET /queue/item/*/api/json"),
        ] {
            assert_eq!(counter_name("GET", &segments(path)), expected);
        }
    }
}
