//! The statements. Each runs within a transaction of the writer.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, types};

use super::node::StoredNode;
use super::{
    Attempt, AttemptId, AttemptKey, BuildRecord, Ending, Error, Intent, Marker, StartedBuild, State, Terminal,
    TerminalKind, Times,
};
use crate::domain::{BuildResult, ControllerName, NodeName, ProjectName, QueueItemId};

/// Where an attempt is for the same job as a key: by unique, or by handle where there is none.
const SAME_JOB: &str = "server = :server AND function = :function AND unique_id = :unique_id \
                        AND (length(:unique_id) > 0 OR handle = :handle)";

/// Written out, since an index on some rows serves only a query that names the same rows.
const OPEN: &str = "closed_ms IS NULL";
const HANDED_BACK: &str = "state = 'handed-back'";

pub(super) fn intend(connection: &Connection, intent: &Intent, now: SystemTime) -> Result<AttemptId, Error> {
    if let Some(open) = find_open(connection, &intent.key)? {
        return Err(Error::AlreadyOpen { id: open.id });
    }
    let sql = "INSERT INTO attempts (server, handle, unique_id, function, controller, project, node, worker, marker_name, \
               marker_value, pinned, generation, offline_wanted, parameters, state, intended_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    let Intent { key, controller, project, node, worker, marker, pinned, generation, offline_wanted, parameters } =
        intent;
    let row = params![
        key.server,
        key.handle,
        key.unique,
        key.function,
        controller.as_str(),
        project.full(),
        to_json(&StoredNode::from(node)),
        worker,
        marker.as_ref().map(|marker| &marker.name),
        marker.as_ref().map(|marker| &marker.value),
        pinned,
        to_integer(*generation),
        offline_wanted,
        to_json(parameters),
        State::Intended.as_str(),
        to_millis(now),
    ];
    prepared(connection, sql, |statement| statement.insert(row))
        .map(AttemptId)
        .map_err(Error::during("write down an attempt"))
}

pub(super) fn queued(connection: &Connection, id: AttemptId, item: QueueItemId, now: SystemTime) -> Result<(), Error> {
    let sql = "UPDATE attempts SET state = ?2, queue_item = ?3, queued_ms = ?4 WHERE id = ?1";
    advance(connection, id, State::Queued, sql, &[&to_integer(item.0), &to_millis(now)])
}

pub(super) fn started(
    connection: &Connection,
    id: AttemptId,
    build: &StartedBuild,
    now: SystemTime,
) -> Result<(), Error> {
    let sql = "UPDATE attempts SET state = ?2, build_number = ?3, build_node = ?4, build_url = ?5, started_ms = ?6 WHERE id = ?1";
    let node = build.node.as_ref().map(|node| to_json(&StoredNode::from(node)));
    advance(connection, id, State::Started, sql, &[&to_integer(build.number), &node, &build.url, &to_millis(now)])
}

pub(super) fn ended(connection: &Connection, id: AttemptId, ending: &Ending, now: SystemTime) -> Result<(), Error> {
    let sql = "UPDATE attempts SET state = ?2, result = ?3, terminal_kind = ?4, terminal_payload = ?5, ended_ms = ?6 WHERE id = ?1";
    let Ending { result, terminal: Terminal { kind, payload } } = ending;
    let result = result.map(BuildResult::as_str);
    advance(connection, id, State::Ended, sql, &[&result, &kind.as_str(), payload, &to_millis(now)])
}

pub(super) fn close(
    connection: &Connection,
    id: AttemptId,
    to: State,
    reason: Option<&str>,
    now: SystemTime,
) -> Result<(), Error> {
    let sql = "UPDATE attempts SET state = ?2, reason = ?3, closed_ms = ?4 WHERE id = ?1";
    advance(connection, id, to, sql, &[&reason, &to_millis(now)])
}

pub(super) fn adopted(connection: &Connection, id: AttemptId, handle: &[u8], worker: &str) -> Result<(), Error> {
    let state = state_of(connection, id)?;
    if !state.is_open() {
        return Err(Error::Closed { id, state });
    }
    let sql = "UPDATE attempts SET handle = ?2, worker = ?3 WHERE id = ?1";
    prepared(connection, sql, |statement| statement.execute(params![id.0, handle, worker]))
        .map(drop)
        .map_err(Error::during("note an adoption"))
}

pub(super) fn open_attempts(connection: &Connection) -> Result<Vec<Attempt>, Error> {
    let sql = format!("SELECT * FROM attempts WHERE {OPEN} ORDER BY id");
    prepared(connection, &sql, |statement| statement.query_map([], attempt)?.collect())
        .map_err(Error::during("read the open attempts"))
}

pub(super) fn find_open(connection: &Connection, key: &AttemptKey) -> Result<Option<Attempt>, Error> {
    let sql = format!("SELECT * FROM attempts WHERE {OPEN} AND {SAME_JOB} ORDER BY id DESC LIMIT 1");
    prepared(connection, &sql, |statement| statement.query_row(&same_job(key)[..], attempt).optional())
        .map_err(Error::during("look for an open attempt"))
}

pub(super) fn hand_backs(connection: &Connection, key: &AttemptKey, since: SystemTime) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM attempts WHERE {HANDED_BACK} AND closed_ms >= :since AND {SAME_JOB}");
    let since = to_millis(since);
    let mut parameters = same_job(key).to_vec();
    parameters.push((":since", &since));
    prepared(connection, &sql, |statement| statement.query_row(&parameters[..], |row| row.get(0)))
        .map(from_integer)
        .map_err(Error::during("count hand-backs"))
}

pub(super) fn recent(connection: &Connection, limit: usize) -> Result<Vec<BuildRecord>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT * FROM attempts ORDER BY id DESC LIMIT ?1";
    prepared(connection, sql, |statement| {
        statement.query_map([limit], |row| attempt(row).map(BuildRecord::from))?.collect()
    })
    .map_err(Error::during("read the recent builds"))
}

pub(super) fn expire(connection: &Connection, older_than: SystemTime) -> Result<usize, Error> {
    let sql = "DELETE FROM attempts WHERE closed_ms < ?1";
    prepared(connection, sql, |statement| statement.execute([to_millis(older_than)]))
        .map_err(Error::during("forget old attempts"))
}

/// Takes an attempt to its next state; `sql` gets the id, the state and then `values`.
fn advance(connection: &Connection, id: AttemptId, to: State, sql: &str, values: &[&dyn ToSql]) -> Result<(), Error> {
    let from = state_of(connection, id)?;
    if !from.may_become(to) {
        return Err(Error::IllegalTransition { id, from, to });
    }
    let mut parameters: Vec<&dyn ToSql> = vec![&id.0];
    let word = to.as_str();
    parameters.push(&word);
    parameters.extend_from_slice(values);
    prepared(connection, sql, |statement| statement.execute(&parameters[..]))
        .map(drop)
        .map_err(Error::during("note what became of an attempt"))
}

fn state_of(connection: &Connection, id: AttemptId) -> Result<State, Error> {
    let sql = "SELECT state FROM attempts WHERE id = ?1";
    prepared(connection, sql, |statement| {
        statement.query_row([id.0], |row| word(row, "state", State::from_word)).optional()
    })
    .map_err(Error::during("read an attempt's state"))?
    .flatten()
    .ok_or(Error::NoSuchAttempt { id })
}

pub(super) fn prepared<T>(
    connection: &Connection,
    sql: &str,
    act: impl FnOnce(&mut rusqlite::CachedStatement<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    act(&mut connection.prepare_cached(sql)?)
}

fn same_job(key: &AttemptKey) -> [(&'static str, &dyn ToSql); 4] {
    [(":server", &key.server), (":function", &key.function), (":unique_id", &key.unique), (":handle", &key.handle)]
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let state = word(row, "state", State::from_word)?.ok_or_else(|| unreadable(row, "state"))?;
    let marker_name: Option<String> = row.get("marker_name")?;
    let marker_value: Option<String> = row.get("marker_value")?;
    let intent = Intent {
        key: AttemptKey {
            server: row.get("server")?,
            handle: row.get("handle")?,
            unique: row.get("unique_id")?,
            function: row.get("function")?,
        },
        controller: ControllerName::new(row.get::<_, String>("controller")?),
        project: ProjectName::new(row.get::<_, String>("project")?),
        node: node(row, "node")?.ok_or_else(|| unreadable(row, "node"))?,
        worker: row.get("worker")?,
        marker: marker_name.zip(marker_value).map(|(name, value)| Marker { name, value }),
        pinned: row.get("pinned")?,
        generation: from_integer(row.get("generation")?),
        offline_wanted: row.get("offline_wanted")?,
        parameters: from_json(row, "parameters")?.ok_or_else(|| unreadable(row, "parameters"))?,
    };
    Ok(Attempt {
        id: AttemptId(row.get("id")?),
        intent,
        state,
        queue_item: row.get::<_, Option<i64>>("queue_item")?.map(|id| QueueItemId(from_integer(id))),
        build: started_build(row)?,
        ending: ending(row)?,
        reason: row.get("reason")?,
        times: times(row)?,
    })
}

fn started_build(row: &Row<'_>) -> rusqlite::Result<Option<StartedBuild>> {
    let Some(number) = row.get::<_, Option<i64>>("build_number")? else { return Ok(None) };
    let node = node(row, "build_node")?;
    Ok(Some(StartedBuild { number: from_integer(number), node, url: row.get("build_url")? }))
}

fn node(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<NodeName>> {
    Ok(from_json::<StoredNode>(row, column)?.map(NodeName::from))
}

fn ending(row: &Row<'_>) -> rusqlite::Result<Option<Ending>> {
    let Some(kind) = word(row, "terminal_kind", TerminalKind::from_word)? else { return Ok(None) };
    let result = word(row, "result", BuildResult::from_word)?;
    Ok(Some(Ending { result, terminal: Terminal { kind, payload: row.get("terminal_payload")? } }))
}

fn times(row: &Row<'_>) -> rusqlite::Result<Times> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|millis| millis.map(from_millis));
    Ok(Times {
        intended: from_millis(row.get("intended_ms")?),
        queued: time("queued_ms")?,
        started: time("started_ms")?,
        ended: time("ended_ms")?,
        closed: time("closed_ms")?,
    })
}

/// Reads a column that holds one word of an enumeration, or null.
fn word<T>(row: &Row<'_>, column: &str, parse: fn(&str) -> Option<T>) -> rusqlite::Result<Option<T>> {
    let Some(word) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
    parse(&word).map(Some).ok_or_else(|| unreadable(row, column))
}

fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let Some(text) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|_| unreadable(row, column))
}

/// Names the column but not what is in it, which might be a parameter.
fn unreadable(row: &Row<'_>, column: &str) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(0);
    rusqlite::Error::InvalidColumnType(index, column.to_owned(), types::Type::Text)
}

pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names and parameters can always be written")
}

/// SQLite has signed integers only; the bits are kept.
pub(super) fn to_integer(number: u64) -> i64 {
    number as i64
}

pub(super) fn from_integer(integer: i64) -> u64 {
    integer as u64
}

/// A time before the epoch counts as the epoch.
pub(super) fn to_millis(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn from_millis(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::connection;

    #[test]
    fn what_is_asked_for_each_job_never_looks_at_closed_attempts() {
        let connection = connection::open_in_memory().unwrap();
        for (condition, index) in [(OPEN, "attempts_open"), (HANDED_BACK, "attempts_handed_back")] {
            let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM attempts WHERE {condition} AND {SAME_JOB}");
            let key = AttemptKey { server: "s".into(), handle: vec![1], unique: vec![], function: "f".into() };
            let plan: String =
                connection.query_row(&sql, &same_job(&key)[..], |row| row.get("detail")).expect("a plan");
            assert!(plan.contains(&format!("USING INDEX {index} (server=? AND function=? AND unique_id=?)")), "{plan}");
        }
    }
}
