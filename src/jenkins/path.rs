//! Addresses: of what we ask for, and those that a controller sends.
//!
//! Ours are built from names, segment by segment. A controller's are only read from their end, since their host, port
//! and prefix come from its configuration and from whatever proxies it: they are never followed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Error;
use crate::domain::{BuildId, NodeName, ProjectName, QueueItemId};

/// Whatever RFC 3986 does not call unreserved, the per cent sign included: a branch `feature%2Fx` needs `%252F`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a queued task's address points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Project(ProjectName),
    /// A part of a pipeline's build, which waits for an executor.
    PartOf(BuildId),
}

/// Returns `/job/folder/job/name`.
pub(super) fn project(name: &ProjectName) -> Result<String, Error> {
    let mut path = String::new();
    for part in name.segments() {
        path.push_str("/job/");
        path.push_str(&segment(part).ok_or_else(|| Error::Unaddressable { name: name.full().to_owned() })?);
    }
    Ok(path)
}

pub(super) fn build(id: &BuildId) -> Result<String, Error> {
    Ok(format!("{}/{}", project(&id.project)?, id.number))
}

/// Returns a node's address; the built-in node answers to `(master)` on every version.
pub(super) fn node(name: &NodeName) -> Result<String, Error> {
    match name {
        NodeName::BuiltIn => Ok("/computer/(master)".to_owned()),
        NodeName::Agent(name) => match segment(name) {
            Some(encoded) => Ok(format!("/computer/{encoded}")),
            None => Err(Error::Unaddressable { name: name.clone() }),
        },
    }
}

pub(super) fn queue_item(id: QueueItemId) -> String {
    format!("/queue/item/{id}")
}

/// Reads `…/job/folder/job/name/12/`.
///
/// None for anything else, such as a cell of a matrix build.
pub(super) fn read_build(url: &str) -> Option<BuildId> {
    let mut segments = segments(url);
    let number = decimal(segments.pop()?)?;
    Some(BuildId { project: read_project_segments(&segments)?, number })
}

/// Reads `…/job/folder/job/name/` or, for a part of a pipeline, `…/job/name/12/`.
pub(super) fn read_task(url: &str) -> Option<Task> {
    if let Some(build) = read_build(url) {
        return Some(Task::PartOf(build));
    }
    read_project_segments(&segments(url)).map(Task::Project)
}

/// Reads the end of a `Location`: `…/queue/item/12/`.
pub(super) fn read_queue_item(location: &str) -> Option<QueueItemId> {
    match segments(location).as_slice() {
        [.., "queue", "item", id] => decimal(id).map(QueueItemId),
        _ => None,
    }
}

/// Returns whether a redirect leads to the page of that project.
pub(super) fn leads_to_project(location: &str, name: &ProjectName) -> bool {
    read_project_segments(&segments(location)).as_ref() == Some(name)
}

/// Returns whether a redirect leads from an action to the page that the action is on, whatever stands before that. It
/// comes as `.`, or as an address of which the controller made it.
pub(super) fn leads_back(location: &str, action: &str) -> bool {
    let (page, _) = action.rsplit_once('/').unwrap_or_default();
    let read = |url| segments(url).into_iter().filter(|part| *part != ".").map(decoded).collect::<Option<Vec<_>>>();
    match (read(location), read(page)) {
        (Some(to), Some(page)) => to.is_empty() && location.starts_with('.') || to.ends_with(&page),
        _ => false,
    }
}

/// Returns whether a redirect asks a person to log in.
pub(super) fn leads_to_login(location: &str) -> bool {
    let segments = segments(location);
    let is_login = |part: &str| {
        matches!(part, "securityRealm" | "login" | "loginEntry" | "signin" | "oauth2" | "saml2" | "sso" | "adfs")
    };
    // A project or node may bear such a name.
    let is_name = |index: usize| index > 0 && matches!(segments[index - 1], "job" | "computer");
    segments.iter().enumerate().any(|(index, part)| is_login(part) && !is_name(index))
}

/// Returns scheme and host of a redirect, which is all that a person needs to see of it.
pub(super) fn origin(location: &str) -> String {
    match reqwest::Url::parse(location) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => "another path".to_owned(),
    }
}

fn segment(name: &str) -> Option<String> {
    // Both dots would be resolved away, encoded or not; Jenkins allows neither as a name.
    if matches!(name, "" | "." | "..") { None } else { Some(utf8_percent_encode(name, RESERVED).to_string()) }
}

fn segments(url: &str) -> Vec<&str> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    // A doubled slash occurs in real answers.
    url[..end].split('/').filter(|part| !part.is_empty()).collect()
}

/// Takes `job/NAME` pairs from the end; what stands before them (host, context path, views) does not matter.
fn read_project_segments(segments: &[&str]) -> Option<ProjectName> {
    let mut names = Vec::new();
    let mut rest = segments;
    while let [before @ .., "job", name] = rest {
        names.push(decoded(name)?);
        rest = before;
    }
    // A left-over `job` means that the pairs were read out of step.
    if names.is_empty() || rest.last() == Some(&"job") {
        return None;
    }
    names.reverse();
    Some(ProjectName::new(names.join("/")))
}

fn decoded(segment: &str) -> Option<String> {
    let name = percent_decode_str(segment).decode_utf8().ok()?;
    if name.contains('/') || matches!(name.as_ref(), "." | "..") { None } else { Some(name.into_owned()) }
}

fn decimal(text: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_page_of_an_action_is_the_way_back_from_it() {
        let action = "/job/team/job/feature%252Fx/3/stop";
        for (location, is_back) in [
            (".", true),
            ("./", true),
            ("http://other.host/ctx/job/team/job/feature%252Fx/3/", true),
            ("/job/team/job/feature%252Fx/3/.", true),
            ("", false),
            ("/", false),
            ("..", false),
            ("http://other.host/job/team/job/feature%252Fx/", false),
            ("http://other.host/job/team/job/feature%252Fx/4/", false),
            ("https://sso.example.org/?back=/job/team/job/feature%252Fx/3/", false),
        ] {
            assert_eq!(leads_back(location, action), is_back, "{location:?}");
        }
        assert!(leads_back("http://ci/computer/a%201/", "/computer/a%201/toggleOffline"));
        assert!(leads_back("http://ci/queue/", "/queue/cancelItem"));
    }

    #[test]
    fn each_part_of_a_name_is_encoded_by_itself() {
        for (name, path) in [
            ("a", "/job/a"),
            ("a/b/c", "/job/a/job/b/job/c"),
            ("proj/feature%2Fx", "/job/proj/job/feature%252Fx"),
            ("two words", "/job/two%20words"),
            ("c++;x?y#z", "/job/c%2B%2B%3Bx%3Fy%23z"),
            ("matrix/AXIS1=v1,AXIS2=v2", "/job/matrix/job/AXIS1%3Dv1%2CAXIS2%3Dv2"),
            ("größe", "/job/gr%C3%B6%C3%9Fe"),
            ("a.b-c_d~e", "/job/a.b-c_d~e"),
        ] {
            assert_eq!(project(&ProjectName::new(name)).unwrap(), path);
        }
    }

    #[test]
    fn names_that_would_lead_elsewhere_have_no_address() {
        for name in ["", ".", "..", "a/../b", "a//b", "/a", "a/"] {
            assert!(project(&ProjectName::new(name)).is_err(), "{name:?}");
        }
        assert!(node(&NodeName::agent("..")).is_err());
    }

    #[test]
    fn the_built_in_node_is_addressed_by_the_alias_that_every_version_has() {
        assert_eq!(node(&NodeName::BuiltIn).unwrap(), "/computer/(master)");
        assert_eq!(node(&NodeName::agent("agent 7")).unwrap(), "/computer/agent%207");
    }

    #[test]
    fn a_build_is_read_from_the_end_of_its_address() {
        for (url, build) in [
            ("http://ci/job/a/12/", Some(("a", 12))),
            ("https://other:8443/jenkins/job/a/job/b/3/", Some(("a/b", 3))),
            ("http://ci/view/all/job/a/12", Some(("a", 12))),
            ("http://ci/job/proj/job/feature%252Fx/7/", Some(("proj/feature%2Fx", 7))),
            ("http://ci/job/Simple%20Jenkins%20Test/25/", Some(("Simple Jenkins Test", 25))),
            ("http://ci/job/config-provider-model//12/", Some(("config-provider-model", 12))),
            ("http://ci/job/job/12/", Some(("job", 12))),
            ("http://ci/job/job/job/a/12/?x=/job/b/1#f", Some(("job/a", 12))),
            ("job/J/12/", Some(("J", 12))),
            ("http://ci/job/M/AXIS=v/12/", None),
            ("http://ci/job/a/job/12/", None),
            ("http://ci/job/a/", None),
            ("http://ci/job/a/lastBuild/", None),
            ("http://ci/job/a/-1/", None),
            ("http://ci/job/a/+1/", None),
            ("http://ci/job/a/99999999999999999999999/", None),
            ("http://ci/job/a%2Fb/1/", None),
            ("http://ci/job/%FF/1/", None),
            ("http://ci/job/%2e%2e/1/", None),
            ("", None),
        ] {
            let expected = build.map(|(project, number)| BuildId { project: ProjectName::new(project), number });
            assert_eq!(read_build(url), expected, "{url}");
        }
    }

    #[test]
    fn a_task_is_a_project_or_a_part_of_a_build() {
        let part = BuildId { project: ProjectName::new("J"), number: 12 };
        for (url, task) in [
            ("http://ci/job/a/job/b/", Some(Task::Project(ProjectName::new("a/b")))),
            ("http://ci/job/a/job/12/", Some(Task::Project(ProjectName::new("a/12")))),
            ("job/J/12/", Some(Task::PartOf(part))),
            ("http://ci/job/M/AXIS=v/", None),
            ("http://ci/job/job/AXIS=v/", None),
            ("http://ci/", None),
        ] {
            assert_eq!(read_task(url), task, "{url}");
        }
    }

    #[test]
    fn only_the_end_of_a_location_counts() {
        for (location, id) in [
            ("http://ci/queue/item/130/", Some(130)),
            ("http://10.0.0.7:8080/x/queue/item/130", Some(130)),
            ("/queue/item/5/", Some(5)),
            ("queue/item/5/", Some(5)),
            ("http://ci/queue/item/", None),
            ("http://ci/queue/item/x/", None),
            ("http://ci/queue/item/5/api/", None),
            ("http://ci/item/5/", None),
            ("http://ci/job/a/", None),
        ] {
            assert_eq!(read_queue_item(location), id.map(QueueItemId), "{location}");
        }
    }

    #[test]
    fn a_redirect_to_a_login_page_is_told_from_one_to_a_project() {
        for (location, login) in [
            ("http://ci/login?from=%2F", true),
            ("http://ci/securityRealm/commenceLogin", true),
            ("https://sso.example.org/oauth2/start", true),
            ("http://ci/job/login/12/", false),
            ("http://ci/computer/login/", false),
            (".", false),
        ] {
            assert_eq!(leads_to_login(location), login, "{location}");
        }
        assert!(leads_to_project("http://x/ci/job/a/job/b/", &ProjectName::new("a/b")));
        assert!(!leads_to_project("http://x/ci/job/a/job/b/", &ProjectName::new("b")));
        assert_eq!(origin("https://ci.example.org:8443/a?secret=1"), "https://ci.example.org:8443");
    }

    proptest! {
        #[test]
        fn whatever_can_be_addressed_is_read_back_from_its_address(name in "[^/]{1,12}(/[^/]{1,12}){0,3}", number: u64) {
            let id = BuildId { project: ProjectName::new(name), number };
            if let Ok(path) = build(&id) {
                prop_assert_eq!(read_build(&format!("http://host:1/ctx{path}/")), Some(id));
            }
        }

        #[test]
        fn no_address_makes_the_reader_panic(url in "(job|/|[a-z0-9%?#]|.){0,40}") {
            let _ = (read_build(&url), read_task(&url), read_queue_item(&url), leads_to_login(&url), origin(&url));
        }
    }
}
