//! What Jenkins says to a request for a build, on every version.

use super::Error;
use super::path;
use super::transport::{Reply, refusal};
use crate::domain::{ProjectName, QueueItemId};

/// What became of a request for a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It waits in the queue.
    ///
    /// Where the project has no parameters, and on controllers before 2.308, this may also be an equal item that waited
    /// there already: [`super::Client::requests_for`] tells.
    Queued(QueueItemId),
    /// It was merged into an equal item that waited there already, perhaps somebody else's.
    MergedInto(QueueItemId),
    /// Something inside the controller vetoed it; nothing was started.
    Refused,
}

/// Reads the answer to `build` or `buildWithParameters`.
pub(super) fn read(project: &ProjectName, path: &str, reply: &Reply) -> Result<Trigger, Error> {
    let item = reply.location.as_deref().and_then(path::read_queue_item);
    match (reply.status, item) {
        (201, Some(item)) => Ok(Trigger::Queued(item)),
        (303, Some(item)) => Ok(Trigger::MergedInto(item)),
        (302, None) if leads_home(reply, project) => Ok(Trigger::Refused),
        (302 | 303, None) if leads_to_login(reply) => Err(refusal(path, reply)),
        // Other success answers may have queued something, but what?
        (status @ (200..=299 | 302 | 303), _) => Err(Error::NoQueueItem { path: path.to_owned(), status }),
        _ => Err(refusal(path, reply)),
    }
}

fn leads_home(reply: &Reply, project: &ProjectName) -> bool {
    reply.location.as_deref().is_some_and(|location| path::leads_to_project(location, project))
}

fn leads_to_login(reply: &Reply) -> bool {
    reply.location.as_deref().is_some_and(path::leads_to_login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Reading {
        Is(Trigger),
        CertainlyNot,
        Unknown,
    }

    #[test]
    fn every_answer_of_every_version_is_started_certainly_not_started_or_unknown() {
        use Reading::{CertainlyNot, Is, Unknown};
        let queued = || Is(Trigger::Queued(QueueItemId(7)));
        let item = Some("http://ci/queue/item/7/");
        for (status, location, reading) in [
            (201, item, queued()),
            (201, Some("http://somewhere.else:9/p/queue/item/7"), queued()),
            (201, None, Unknown),
            (201, Some("http://ci/job/a/b/"), Unknown),
            (201, Some("http://ci/queue/item/x/"), Unknown),
            (303, item, Is(Trigger::MergedInto(QueueItemId(7)))),
            (303, Some("http://ci/"), Unknown),
            (302, Some("http://ci/job/a/job/b/"), Is(Trigger::Refused)),
            (302, Some("http://ci/login?from=%2Fjob"), CertainlyNot),
            (302, Some("https://ci/securityRealm/commenceLogin"), CertainlyNot),
            (302, item, Unknown),
            (302, Some("http://ci/elsewhere"), Unknown),
            (302, None, Unknown),
            (200, None, Unknown),
            (301, Some("https://ci/job/a/job/b/build"), CertainlyNot),
            (308, Some("https://ci/job/a/job/b/build"), CertainlyNot),
            (400, None, CertainlyNot),
            (401, None, CertainlyNot),
            (403, None, CertainlyNot),
            (404, None, CertainlyNot),
            (405, None, CertainlyNot),
            (409, None, CertainlyNot),
            (413, None, CertainlyNot),
            (500, None, Unknown),
            (502, None, Unknown),
            (503, None, CertainlyNot),
            (504, None, Unknown),
        ] {
            let reply = Reply { status, location: location.map(str::to_owned), required_permission: None };
            let read = match read(&ProjectName::new("a/b"), "/job/a/job/b/build", &reply) {
                Ok(trigger) => Is(trigger),
                Err(error) if error.is_outcome_unknown() => Unknown,
                Err(_) => CertainlyNot,
            };
            assert_eq!(read, reading, "{status} {location:?}");
        }
    }
}
