//! A controller, as the rest of the program asks it and acts on it.
//!
//! Reading may be repeated at will. Acting never repeats itself: after an error whose `is_outcome_unknown` is true,
//! the caller looks whether it happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::SystemTime;

use super::path;
use super::transport::{Answer, Instance, Reply, Transport, refusal};
use super::trigger::{self, Trigger};
use super::wire::{self, Detail};
use super::{BaseUrl, Config, Credentials, Error};
use crate::domain::{
    Build, BuildId, DeclaredParameter, LeftItem, Mode, Node, NodeName, Parameters, Project, ProjectName, QueueItem,
    QueueItemId,
};

/// How deep folders may nest; nobody's do, but an answer that pretends so must not keep us reading for ever.
const DEEPEST_FOLDER: usize = 32;

/// How many folders may lie deeper than one request reaches, for the same reason.
const MOST_DEEP_FOLDERS: usize = 1000;

/// A controller over REST. Clones share connections and the crumb.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    is_privileged: bool,
}

/// What became of the wish to cancel a queue item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    Yes,
    /// It is with an executor already: read the item again and follow its build.
    TooLate,
    /// The controller does not know the item (any more).
    Unknown,
    /// The user lacks Job/Cancel.
    NotPermitted,
}

/// What became of the wish to bring a node back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clearing {
    Cleared,
    /// It was not marked at all, so that a toggle would have taken it offline.
    WasNotMarked,
    /// The reason that it shows is not the one that was to be cleared.
    MarkedOtherwise {
        reason: Option<String>,
    },
}

impl Client {
    /// Prepares to ask a controller, without asking it yet.
    pub fn new(config: &Config, credentials: Credentials) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(config, credentials)?, is_privileged: false })
    }

    #[cfg(test)]
    pub(super) fn with_limit(config: &Config, credentials: Credentials, limit: usize) -> Result<Self, Error> {
        Ok(Self { transport: Transport::with_limit(config, credentials, limit)?, is_privileged: false })
    }

    /// Says that the user may run scripts there, and that builds shall be started so: see [`Self::start_by_script`].
    #[must_use]
    pub fn privileged(self, is_privileged: bool) -> Self {
        Self { is_privileged, ..self }
    }

    pub fn is_privileged(&self) -> bool {
        self.is_privileged
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Returns where the controller is.
    pub fn base(&self) -> &BaseUrl {
        self.transport.base()
    }

    /// Returns which process of the controller gave the newest answer.
    pub fn newest_instance(&self) -> Instance {
        self.transport.newest_instance()
    }

    /// Reads all nodes with their executors and running builds, in one request. Their `mode` is not in it: see
    /// [`Self::modes`].
    pub async fn nodes(&self) -> Result<Answer<Vec<Node>>, Error> {
        let answer = self.transport.read("/computer", wire::NODES_TREE).await?;
        let nodes = wire::nodes(answer.value, "/computer")?;
        Ok(Answer { value: nodes, instance: answer.instance })
    }

    /// Reads which nodes take any project, and which only those that name them.
    pub async fn modes(&self) -> Result<Answer<BTreeMap<NodeName, Mode>>, Error> {
        // Modes are exported by label only, and every node lacks a label that nobody has given.
        let answer = self.transport.read("/label/%21no_such_label", wire::MODES_TREE).await?;
        Ok(answer.map(wire::modes))
    }

    /// Returns whether the controller prepares to shut down: it accepts builds then, but starts none.
    pub async fn quieting_down(&self) -> Result<Answer<bool>, Error> {
        let answer = self.transport.read("", wire::QUIETING_DOWN_TREE).await?;
        Ok(answer.map(wire::quieting_down))
    }

    /// Returns what the controller's clock shows, to the second; none if it does not say.
    pub async fn clock(&self) -> Result<Option<SystemTime>, Error> {
        self.transport.clock().await
    }

    /// Returns whether the user has Agent/Connect, without which an offline mark cannot be taken back; none if no node
    /// tells: only those that have it are shown where an agent that is online keeps its files.
    pub async fn may_connect(&self) -> Result<Option<bool>, Error> {
        let answer = self.transport.read("/computer", wire::CONNECT_PERMISSION_TREE).await?;
        Ok(wire::may_connect(answer.value))
    }

    /// Reads a project's configuration, which may hold secrets: it is for the operator's eyes.
    pub async fn config_xml(&self, project: &ProjectName) -> Result<String, Error> {
        let path = path::project(project)?;
        let written = self.transport.read_configuration(&path).await?;
        String::from_utf8(written).map_err(|_| Error::Malformed { path, detail: "config.xml is not UTF-8".to_owned() })
    }

    /// Lists the projects of all folders, in the controller's order, without their parameters.
    pub async fn projects(&self) -> Result<Answer<Vec<Project>>, Error> {
        self.walk(Detail::Light).await
    }

    /// Lists the projects of all folders together with the parameters that they declare. Several times larger.
    pub async fn projects_with_parameters(&self) -> Result<Answer<Vec<Project>>, Error> {
        self.walk(Detail::Parameters).await
    }

    /// Reads which parameters a project declares.
    pub async fn parameters_of(&self, project: &ProjectName) -> Result<Vec<DeclaredParameter>, Error> {
        let path = path::project(project)?;
        let answer = self.transport.read(&path, wire::PARAMETERS_TREE).await?;
        Ok(wire::declared_parameters(answer.value))
    }

    /// Reads what a project's lists do not tell before 2.94; the user needs Job/ExtendedRead or Job/Configure for it.
    pub(super) async fn configuration_of(&self, project: &ProjectName) -> Result<wire::Configuration, Error> {
        let path = path::project(project)?;
        wire::configuration(&self.transport.read_configuration(&path).await?, &path)
    }

    /// Reads the labels that a node is configured with, for controllers before 2.94; the user needs Agent/ExtendedRead
    /// or Agent/Configure for it. The built-in node shows its configuration to nobody.
    pub(super) async fn configured_labels(&self, node: &NodeName) -> Result<BTreeSet<String>, Error> {
        let path = path::node(node)?;
        wire::node_labels(&self.transport.read_configuration(&path).await?, &path)
    }

    /// Returns whether a project is there for us.
    pub async fn has_project(&self, project: &ProjectName) -> Result<bool, Error> {
        self.exists(&path::project(project)?, wire::PROJECT_EXISTS_TREE).await
    }

    /// Returns whether a node is there.
    pub async fn has_node(&self, node: &NodeName) -> Result<bool, Error> {
        self.exists(&path::node(node)?, wire::NODE_EXISTS_TREE).await
    }

    /// Lists what waits to be started. Items that have left are not in it: see [`Self::left_item`].
    pub async fn queue(&self) -> Result<Answer<Vec<QueueItem>>, Error> {
        let answer = self.transport.read("/queue", wire::QUEUE_TREE).await?;
        let items = wire::queue(answer.value, "/queue")?;
        Ok(Answer { value: items, instance: answer.instance })
    }

    /// Returns what became of a queue item. Controllers forget it five minutes after it left, and when they restart.
    pub async fn left_item(&self, id: QueueItemId) -> Result<LeftItem, Error> {
        match self.transport.read(&path::queue_item(id), wire::LEFT_ITEM_TREE).await {
            Ok(answer) => Ok(wire::left_item(answer.value)),
            Err(error) if error.is_not_found() => Ok(LeftItem::Unknown),
            Err(error) => Err(error),
        }
    }

    /// Returns how often a queue item was asked for, also once it has left: more than once means that Jenkins has merged
    /// equal requests. None if the controller no longer says so.
    pub async fn requests_for(&self, id: QueueItemId) -> Result<Option<usize>, Error> {
        match self.transport.read(&path::queue_item(id), wire::CAUSES_TREE).await {
            Ok(answer) => Ok(Some(wire::causes(answer.value)).filter(|&causes| causes > 0)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for a build, without a quiet period.
    ///
    /// `parameterised` is whether the project declares parameters, even if none is set here. Jenkins silently drops
    /// what the project does not declare; a parameter without a value is not sent, so that its default applies.
    pub async fn start(
        &self,
        project: &ProjectName,
        parameterised: bool,
        parameters: &Parameters,
    ) -> Result<Trigger, Error> {
        let action = if parameterised { "buildWithParameters" } else { "build" };
        let path = format!("{}/{action}", path::project(project)?);
        let form: Vec<_> = parameters.iter().filter_map(|(name, value)| Some((name, value?))).collect();
        // Without a unit it would be milliseconds. Jenkins fails on a parameter that is given twice, so a project
        // which declares one of this name gets its own value alone.
        let query: &[_] = if parameterised && parameters.contains("delay") { &[] } else { &[("delay", "0sec")] };
        let form = if parameterised { Some(form.as_slice()) } else { None };
        let reply = self.transport.post(&path, query, form).await?;
        trigger::read(project, &path, &reply)
    }

    /// Takes a build that has not started out of the queue.
    pub async fn cancel(&self, id: QueueItemId) -> Result<Cancelled, Error> {
        let path = "/queue/cancelItem";
        let reply = self.transport.post(path, &[("id", &id.to_string())], None).await?;
        match reply.status {
            200 | 204 => Ok(Cancelled::Yes),
            404 => Ok(Cancelled::Unknown),
            422 => Ok(Cancelled::NotPermitted),
            // The normal answer for an item that was handed to an executor or has left.
            500 => Ok(Cancelled::TooLate),
            // Before 2.211 the answer is the same whatever happened, so the item itself has to tell.
            302 if leads_back(&reply, path) => Ok(match self.left_item(id).await? {
                LeftItem::Cancelled => Cancelled::Yes,
                LeftItem::Unknown => Cancelled::Unknown,
                LeftItem::Queued | LeftItem::Starting | LeftItem::Started(_) => Cancelled::TooLate,
            }),
            _ => Err(refusal(path, &reply)),
        }
    }

    /// Reads a build; none if it does not exist (any more), or does not show yet.
    pub async fn build(&self, id: &BuildId) -> Result<Option<Build>, Error> {
        match self.transport.read(&path::build(id)?, wire::BUILD_TREE).await {
            Ok(answer) => Ok(Some(wire::build(id, answer.value))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the newest builds of a project, newest first. Controllers read each from disk, so keep `limit` small.
    pub async fn builds_of(&self, project: &ProjectName, limit: usize) -> Result<Vec<Build>, Error> {
        let path = path::project(project)?;
        let answer = self.transport.read(&path, &wire::builds_tree(limit)).await?;
        wire::builds(project, answer.value, &path)
    }

    /// Asks a build to stop. It stops later, if at all; on one that has ended it does nothing.
    pub async fn stop(&self, id: &BuildId) -> Result<(), Error> {
        self.act(&format!("{}/stop", path::build(id)?), None).await
    }

    /// Asks a pipeline that ignores `stop` to end; on other kinds of builds it is not found.
    pub async fn terminate(&self, id: &BuildId) -> Result<(), Error> {
        self.act(&format!("{}/term", path::build(id)?), None).await
    }

    /// Ends a pipeline by force; on other kinds of builds it is not found.
    pub async fn kill(&self, id: &BuildId) -> Result<(), Error> {
        self.act(&format!("{}/kill", path::build(id)?), None).await
    }

    /// Replaces a build's description.
    pub async fn set_description(&self, id: &BuildId, description: &str) -> Result<(), Error> {
        let path = format!("{}/submitDescription", path::build(id)?);
        self.act(&path, Some(&[("description", description)])).await
    }

    /// Marks a node temporarily offline, or renews the reason; never brings one back. Running builds go on.
    ///
    /// Jenkins shows only what follows the last ` : ` of the reason.
    pub async fn mark_offline(&self, node: &NodeName, reason: &str) -> Result<(), Error> {
        let path = format!("{}/changeOfflineCause", path::node(node)?);
        self.act(&path, Some(&[("offlineMessage", reason)])).await
    }

    /// Brings a node back, if it is marked and, where `our_reason` is given, if its reason contains that.
    ///
    /// Jenkins has only a toggle: whoever else toggles between our look and our call is undone by it.
    pub async fn clear_offline(&self, node: &NodeName, our_reason: Option<&str>) -> Result<Clearing, Error> {
        let path = path::node(node)?;
        let mark = wire::offline_mark(self.transport.read(&path, wire::OFFLINE_MARK_TREE).await?.value);
        if !mark.temporarily_offline {
            return Ok(Clearing::WasNotMarked);
        }
        if let Some(ours) = our_reason
            && !mark.reason.as_deref().is_some_and(|reason| reason.contains(ours))
        {
            return Ok(Clearing::MarkedOtherwise { reason: mark.reason });
        }
        self.act(&format!("{path}/toggleOffline"), None).await?;
        Ok(Clearing::Cleared)
    }

    async fn walk(&self, detail: Detail) -> Result<Answer<Vec<Project>>, Error> {
        let tree = wire::projects_tree(detail);
        let root = self.transport.read("", &tree).await?;
        let instance = root.instance;
        let mut pending: VecDeque<_> = wire::projects(None, root.value, detail, "/")?.into();
        let mut projects = Vec::new();
        let mut deep_folders = 0;
        while let Some(entry) = pending.pop_front() {
            let folder = match entry {
                wire::Entry::Project(project) => {
                    projects.push(project);
                    continue;
                }
                wire::Entry::UnreadFolder(folder) => folder,
            };
            deep_folders += 1;
            if folder.segments().count() > DEEPEST_FOLDER || deep_folders > MOST_DEEP_FOLDERS {
                tracing::warn!(%folder, "folders nest too deep; what is inside is left out");
                continue;
            }
            let path = path::project(&folder)?;
            match self.transport.read(&path, &tree).await {
                Ok(answer) => {
                    // In its place, since the order of projects means something.
                    for entry in wire::projects(Some(&folder), answer.value, detail, &path)?.into_iter().rev() {
                        pending.push_front(entry);
                    }
                }
                // Deleted meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Answer { value: projects, instance })
    }

    async fn exists(&self, path: &str, tree: &str) -> Result<bool, Error> {
        match self.transport.read::<wire::Anything>(path, tree).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn act(&self, path: &str, form: Option<&[(&str, &str)]>) -> Result<(), Error> {
        let reply = self.transport.post(path, &[], form).await?;
        match reply.status {
            200..=299 => Ok(()),
            // Jenkins' way to say "done": back to the page of what was acted on. A proxy redirects elsewhere.
            302 | 303 if leads_back(&reply, path) => Ok(()),
            _ => Err(refusal(path, &reply)),
        }
    }
}

fn leads_back(reply: &Reply, path: &str) -> bool {
    reply.location.as_deref().is_some_and(|location| path::leads_back(location, path))
}
