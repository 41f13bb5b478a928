//! Why nodes are offline because of us: Jenkins shows a text only, and people ask days later.

use std::time::SystemTime;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::Error;
use super::node::StoredNode;
use super::store::{from_integer, from_millis, prepared, to_integer, to_json, to_millis};
use crate::domain::{BuildId, ControllerName, NodeName, ProjectName};

/// A mark of ours, as it was set last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflineMark {
    pub controller: ControllerName,
    pub node: NodeName,
    pub kind: MarkKind,
    /// None if a client asked for it.
    pub policy: Option<String>,
    pub message: String,
    pub build: Option<BuildId>,
    /// What of the reason in Jenkins tells that it is this mark.
    pub token: String,
    pub marked: SystemTime,
}

/// What a node is marked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    /// While a build runs there, so that nothing else starts.
    Reserved,
    /// A policy took it after a build.
    Offline,
    /// A policy keeps it after a build, for a person to look at.
    Held,
    /// A client asked for it with OFFLINE_NODE_WHEN_COMPLETE.
    Client,
}

impl MarkKind {
    const ALL: [Self; 4] = [Self::Reserved, Self::Offline, Self::Held, Self::Client];

    /// Returns whether a policy wanted it.
    pub fn is_policys(self) -> bool {
        self != Self::Client
    }

    /// Returns the word for it, which is also what is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Offline => "offline",
            Self::Held => "held",
            Self::Client => "client",
        }
    }
}

pub(super) fn set(connection: &Connection, mark: &OfflineMark) -> Result<(), Error> {
    let sql = "INSERT OR REPLACE INTO offline_marks (controller, node, kind, policy, message, project, build_number, token, \
               marked_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let OfflineMark { controller, node, kind, policy, message, build, token, marked } = mark;
    let row = params![
        controller.as_str(),
        to_json(&StoredNode::from(node)),
        kind.as_str(),
        policy,
        message,
        build.as_ref().map(|build| build.project.full()),
        build.as_ref().map(|build| to_integer(build.number)),
        token,
        to_millis(*marked),
    ];
    prepared(connection, sql, |statement| statement.execute(row))
        .map(drop)
        .map_err(Error::during("write down why a node is offline"))
}

pub(super) fn clear(connection: &Connection, controller: &ControllerName, node: &NodeName) -> Result<(), Error> {
    let sql = "DELETE FROM offline_marks WHERE controller = ?1 AND node = ?2";
    let place = params![controller.as_str(), to_json(&StoredNode::from(node))];
    prepared(connection, sql, |statement| statement.execute(place))
        .map(drop)
        .map_err(Error::during("forget why a node was offline"))
}

/// Forgets marks that are older than anybody asks about; nodes come and go.
pub(super) fn expire(connection: &Connection, older_than: SystemTime) -> Result<(), Error> {
    let sql = "DELETE FROM offline_marks WHERE marked_ms < ?1";
    prepared(connection, sql, |statement| statement.execute([to_millis(older_than)]))
        .map(drop)
        .map_err(Error::during("forget why nodes were offline"))
}

pub(super) fn all(connection: &Connection) -> Result<Vec<OfflineMark>, Error> {
    let sql =
        "SELECT controller, node, kind, policy, message, project, build_number, token, marked_ms FROM offline_marks";
    prepared(connection, sql, |statement| statement.query_map([], mark)?.collect())
        .map_err(Error::during("read why nodes are offline"))
}

fn mark(row: &Row<'_>) -> rusqlite::Result<OfflineMark> {
    let (node, kind): (String, String) = (row.get(1)?, row.get(2)?);
    let project: Option<String> = row.get(5)?;
    let number: Option<i64> = row.get(6)?;
    let unreadable =
        |column| rusqlite::Error::InvalidColumnType(column, "offline_marks".into(), rusqlite::types::Type::Text);
    Ok(OfflineMark {
        controller: ControllerName::new(row.get::<_, String>(0)?),
        node: serde_json::from_str::<StoredNode>(&node).map_err(|_| unreadable(1))?.into(),
        kind: MarkKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| unreadable(2))?,
        policy: row.get(3)?,
        message: row.get(4)?,
        build: project
            .zip(number)
            .map(|(project, number)| BuildId { project: ProjectName::new(project), number: from_integer(number) }),
        token: row.get(7)?,
        marked: from_millis(row.get(8)?),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::Journal;

    fn mark(node: NodeName, kind: MarkKind) -> OfflineMark {
        OfflineMark {
            controller: ControllerName::new("ci"),
            node,
            kind,
            policy: Some("p".to_owned()),
            message: "held for a look".to_owned(),
            build: Some(BuildId { project: ProjectName::new("team/lint"), number: 7 }),
            token: "[layshaft 0123456789ab]".to_owned(),
            marked: SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567),
        }
    }

    #[tokio::test]
    async fn the_latest_mark_of_a_node_is_kept_until_it_is_back_or_long_ago() {
        let journal = Journal::in_memory().unwrap();
        let agent = NodeName::agent("(built-in)");
        for kind in MarkKind::ALL {
            journal.marked_offline(mark(agent.clone(), kind)).await.unwrap();
        }
        let client = OfflineMark { policy: None, build: None, ..mark(NodeName::BuiltIn, MarkKind::Client) };
        journal.marked_offline(client.clone()).await.unwrap();
        let marks = journal.offline_marks().await.unwrap();
        assert_eq!(marks.len(), 2, "an agent of that name is another node");
        assert!(marks.contains(&mark(agent.clone(), MarkKind::Client)) && marks.contains(&client));
        journal.brought_back(&ControllerName::new("other"), &agent).await.unwrap();
        journal.brought_back(&ControllerName::new("ci"), &NodeName::BuiltIn).await.unwrap();
        assert_eq!(journal.offline_marks().await.unwrap(), [mark(agent, MarkKind::Client)]);
        journal.expire(SystemTime::now()).await.unwrap();
        assert_eq!(journal.offline_marks().await.unwrap(), []);
    }
}
