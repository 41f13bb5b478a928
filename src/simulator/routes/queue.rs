use super::view;
use crate::simulator::auth::Permission;
use crate::simulator::request::{Answer, Request, Routed};
use crate::simulator::world::{Cancelled, World};

pub(super) fn route(world: &mut World, request: &Request, path: &[&str]) -> Routed {
    match path {
        ["api", "json"] => request.json(|wanted| view(world, request).queue(wanted)),
        ["cancelItem"] => cancel(world, request),
        ["item", id, rest @ ..] => match id.parse() {
            Ok(id) => item(world, request, id, rest),
            Err(_) => Ok(Answer::not_found()),
        },
        _ => Ok(Answer::not_found()),
    }
}

fn item(world: &mut World, request: &Request, id: u64, path: &[&str]) -> Routed {
    let task = world.queue.get(&id).or_else(|| world.left.get(&id).map(|left| &left.item)).map(|item| &item.task);
    if task.is_none_or(|task| !request.caller.may_read(task.project())) {
        return Ok(Answer::not_found());
    }
    match path {
        [] if world.settings.version.has_queue_item_page() => Ok(Answer::page(200, "Queue item")),
        ["api", "json"] => request.json(|wanted| {
            let view = view(world, request);
            match (world.queue.get(&id), world.left.get(&id)) {
                (Some(item), _) => view.queue_item(item, wanted),
                (None, Some(left)) => view.left_item(left, wanted),
                (None, None) => serde_json::Value::Null,
            }
        }),
        ["cancelQueue"] => {
            request.must_post()?;
            // Whoever may not, or comes too late, is told nothing of it.
            if request.caller.may(Permission::ItemCancel) {
                world.cancel(id);
            }
            let redirects = !world.settings.version.cancel_tells_outcome();
            Ok(if redirects { request.back() } else { Answer::empty(204) })
        }
        _ => Ok(Answer::not_found()),
    }
}

/// Old releases answer the same whatever happened; newer ones say 500 when it was too late.
fn cancel(world: &mut World, request: &Request) -> Routed {
    request.must_post()?;
    let tells_outcome = world.settings.version.cancel_tells_outcome();
    let Some(id) = request.parameter("id").and_then(|id| id.parse().ok()) else {
        return Ok(if tells_outcome { Answer::not_found() } else { request.back() });
    };
    let item = world.queue.get(&id).or_else(|| world.left.get(&id).map(|left| &left.item));
    let is_visible = item.is_some_and(|item| request.caller.may_read(item.task.project()));
    if !tells_outcome {
        if is_visible && request.caller.may(Permission::ItemCancel) {
            world.cancel(id);
        }
        return Ok(request.back());
    }
    if !is_visible {
        return Ok(Answer::not_found());
    }
    if !request.caller.may(Permission::ItemCancel) {
        return Ok(Answer::page(422, "Item for id is not cancellable"));
    }
    Ok(match world.cancel(id) {
        Cancelled::Done => Answer::empty(204),
        Cancelled::TooLate => Answer::page(500, &format!("Could not cancel run for id {id}")),
        Cancelled::Unknown => Answer::not_found(),
    })
}
