use super::{build, create, trigger, view};
use crate::simulator::auth::Permission;
use crate::simulator::render::item_path;
use crate::simulator::request::{Answer, Request, Routed};
use crate::simulator::world::{Item, World, child_name, parent_of};

/// Serves `/job/A/job/B/…`.
pub(super) fn route(world: &mut World, request: &Request, path: &[&str]) -> Routed {
    let (full_name, rest) = split(world, path);
    if !request.caller.may_read(&full_name) {
        // Unlike other refusals this one does not name the permission.
        let is_known = request.caller.may_discover(&full_name) && world.items.contains_key(&full_name);
        return Ok(if is_known { Answer::page(403, "Please log in to access the job") } else { Answer::not_found() });
    }
    match world.items.get(&full_name) {
        None => Ok(Answer::not_found()),
        Some(Item::Folder(_)) => folder(world, request, &full_name, rest),
        Some(Item::Project(_)) => project(world, request, &full_name, rest),
    }
}

/// Takes the item's name off a path; a matrix cell follows its project without `job`.
fn split<'p>(world: &World, path: &'p [&'p str]) -> (String, &'p [&'p str]) {
    let mut full_name = String::new();
    let mut rest = path;
    while let ["job", name, further @ ..] = rest {
        full_name = child_name(&full_name, name);
        rest = further;
    }
    if let [cell, further @ ..] = rest {
        let configuration = child_name(&full_name, cell);
        if cell.contains('=') && world.project(&configuration).is_some_and(|project| project.is_configuration) {
            return (configuration, further);
        }
    }
    (full_name, rest)
}

fn folder(world: &mut World, request: &Request, full_name: &str, path: &[&str]) -> Routed {
    let is_multibranch = matches!(world.items.get(full_name), Some(Item::Folder(folder)) if folder.multibranch);
    match path {
        ["createItem"] => create::create_item(world, request, full_name),
        ["build"] if is_multibranch => {
            request.must_post()?;
            request.must_have(Permission::ItemBuild)?;
            Ok(request.back())
        }
        _ => any_item(world, request, full_name, path),
    }
}

fn project(world: &mut World, request: &Request, full_name: &str, path: &[&str]) -> Routed {
    match path {
        ["build"] => trigger::build(world, request, full_name),
        ["buildWithParameters"] => trigger::build_with_parameters(world, request, full_name),
        ["cancelQueue"] => {
            request.must_post()?;
            request.must_have(Permission::ItemCancel)?;
            world.cancel_all_of(full_name);
            Ok(Answer::redirect("."))
        }
        ["nextbuildnumber", "submit"] => set_next_number(world, request, full_name),
        _ => match path.first().and_then(|name| build::find(world, full_name, name)) {
            Some(number) => build::route(world, request, full_name, number, &path[1..]),
            None => any_item(world, request, full_name, path),
        },
    }
}

/// What projects and folders have in common.
fn any_item(world: &mut World, request: &Request, full_name: &str, path: &[&str]) -> Routed {
    match path {
        // Clients that follow redirects end on the form.
        [] | ["configure"] => Ok(Answer::page(200, full_name)),
        ["api", "json"] => request.json(|wanted| match world.items.get(full_name) {
            Some(item) => view(world, request).item(full_name, item, wanted),
            None => serde_json::Value::Null,
        }),
        ["config.xml"] if request.is_post => {
            request.must_have(Permission::ItemConfigure)?;
            create::reconfigure(world, request, full_name)
        }
        ["config.xml"] => {
            request.must_have(Permission::ItemConfigure)?;
            Ok(create::configuration(world, full_name))
        }
        ["enable"] => set_disabled(world, request, full_name, false),
        ["disable"] => set_disabled(world, request, full_name, true),
        ["submitDescription"] => {
            request.must_post()?;
            request.must_have(Permission::ItemConfigure)?;
            if let (Some(project), Some(text)) = (world.project_mut(full_name), request.parameter("description")) {
                text.clone_into(&mut project.spec.description);
            }
            Ok(Answer::redirect("."))
        }
        ["doDelete"] => {
            request.must_post()?;
            request.must_have(Permission::ItemDelete)?;
            world.remove_item(full_name);
            let parent = parent_of(full_name).map(|parent| item_path(None, parent)).unwrap_or_default();
            Ok(Answer::redirect(&format!("{}{parent}", request.origin)))
        }
        ["doRename" | "confirmRename"] => rename(world, request, full_name),
        _ => Ok(Answer::not_found()),
    }
}

fn set_disabled(world: &mut World, request: &Request, full_name: &str, disabled: bool) -> Routed {
    request.must_post()?;
    request.must_have(Permission::ItemConfigure)?;
    world.set_disabled(full_name, disabled);
    Ok(Answer::redirect("."))
}

fn rename(world: &mut World, request: &Request, full_name: &str) -> Routed {
    request.must_post()?;
    request.must_have(Permission::ItemConfigure)?;
    let name = request.parameter("newName").unwrap_or_default();
    create::check_name(name)?;
    let renamed = child_name(parent_of(full_name).unwrap_or_default(), name);
    if !world.rename(full_name, &renamed) {
        return Ok(Answer::bad_request("The name is taken, or the project is building"));
    }
    Ok(Answer::redirect(&format!("{}{}", request.origin, item_path(world.project(&renamed), &renamed))))
}

/// The Next Build Number plugin: a number that was used is ignored.
fn set_next_number(world: &mut World, request: &Request, full_name: &str) -> Routed {
    request.must_post()?;
    request.must_have(Permission::ItemConfigure)?;
    let text = request.parameter("nextBuildNumber").unwrap_or_else(|| {
        // python-jenkins sends the form without saying that it is one.
        request.body.trim().strip_prefix("nextBuildNumber=").unwrap_or_default()
    });
    if let (Ok(number), Some(project)) = (text.parse::<u64>(), world.project_mut(full_name)) {
        let last = project.builds.keys().next_back().copied().unwrap_or(0);
        if number > last {
            project.next_number = number;
        }
    }
    Ok(Answer::redirect(".."))
}
