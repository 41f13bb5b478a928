//! What policies decided: a list that is written in batches, looked through, and cut off at its old end.
//!
//! Records are deflated, which makes a sixth of them; whoever calls the writer packs and unpacks, so that its thread, for
//! which jobs wait, does not.

use std::io::{Read, Write};
use std::time::SystemTime;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::Error;
use super::store::{from_integer, from_millis, prepared, to_integer, to_json, to_millis};

/// A decision, as far as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub at: SystemTime,
    pub generation: u64,
    pub call: String,
    pub controller: String,
    pub project: String,
    pub function: Option<String>,
    /// Those that were asked.
    pub policies: Vec<String>,
    /// In a word.
    pub verdict: String,
    /// Some policy failed.
    pub failed: bool,
    pub why: String,
}

/// A decision to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDecision {
    pub decision: Decision,
    /// A sample of the function table, no decision about a job.
    pub of_table: bool,
    /// All of it, in a form that the journal does not know. No secret is in it.
    pub record: String,
}

/// Which decisions are looked for; what is not named does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Full name, or a pattern with `*`.
    pub project: Option<String>,
    pub policy: Option<String>,
    pub call: Option<String>,
    /// Only where a policy failed.
    pub failed: bool,
    pub verdict: Option<String>,
    pub since: Option<SystemTime>,
    /// Only those with a smaller number.
    pub before: Option<i64>,
}

/// What is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub not_before: SystemTime,
    pub most: u64,
    /// Bytes of records.
    pub most_bytes: u64,
}

/// A record as it is stored.
pub(super) struct Packed(Vec<u8>);

/// More than any record has; a journal from elsewhere is not to fill the memory.
const LARGEST: u64 = 16 << 20;

/// Of so many decisions one may be a sample of the table, else a busy table would leave no room for jobs.
const TABLE_SHARE: u64 = 5;

pub(super) fn insert(connection: &Connection, decisions: &[(NewDecision, Packed)]) -> Result<(), Error> {
    let sql = "INSERT INTO decisions (at_ms, generation, call, of_table, controller, project, function, policies, verdict, \
               failed, why, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let insert = |statement: &mut rusqlite::CachedStatement<'_>| {
        for (NewDecision { decision, of_table, .. }, Packed(record)) in decisions {
            statement.execute(params![
                to_millis(decision.at),
                to_integer(decision.generation),
                decision.call,
                of_table,
                decision.controller,
                decision.project,
                decision.function,
                to_json(&decision.policies),
                decision.verdict,
                decision.failed,
                decision.why,
                record,
            ])?;
        }
        Ok(())
    };
    prepared(connection, sql, insert).map_err(Error::during("write down decisions"))
}

/// Returns decisions with their numbers, the latest first.
pub(super) fn list(connection: &Connection, wanted: &Wanted, limit: usize) -> Result<Vec<(i64, Decision)>, Error> {
    let sql = "SELECT id, at_ms, generation, call, controller, project, function, policies, verdict, failed, why \
               FROM decisions \
               WHERE (:project IS NULL OR project = :project OR (:is_pattern AND project GLOB :project)) \
                 AND (:policy IS NULL OR EXISTS (SELECT 1 FROM json_each(policies) WHERE value = :policy)) \
                 AND (:call IS NULL OR call = :call) AND (NOT :failed OR failed) \
                 AND (:verdict IS NULL OR verdict = :verdict) \
                 AND (:since IS NULL OR at_ms >= :since) AND (:before IS NULL OR id < :before) \
               ORDER BY id DESC LIMIT :limit";
    let Wanted { project, policy, call, failed, verdict, since, before } = wanted;
    let is_pattern = project.as_ref().is_some_and(|project| project.contains('*'));
    let (since, limit) = (since.map(to_millis), i64::try_from(limit).unwrap_or(i64::MAX));
    let parameters: [(&str, &dyn ToSql); 9] = [
        (":project", project),
        (":is_pattern", &is_pattern),
        (":policy", policy),
        (":call", call),
        (":failed", failed),
        (":verdict", verdict),
        (":since", &since),
        (":before", before),
        (":limit", &limit),
    ];
    prepared(connection, sql, |statement| statement.query_map(&parameters[..], decision)?.collect())
        .map_err(Error::during("read decisions"))
}

pub(super) fn find(connection: &Connection, id: i64) -> Result<Option<Packed>, Error> {
    let sql = "SELECT record FROM decisions WHERE id = ?1";
    prepared(connection, sql, |statement| statement.query_row([id], |row| row.get(0).map(Packed)).optional())
        .map_err(Error::during("read a decision"))
}

/// Returns the records of the latest decisions with their numbers, the latest first.
pub(super) fn records(connection: &Connection, of_table: bool, limit: usize) -> Result<Vec<(i64, Packed)>, Error> {
    let sql = "SELECT id, record FROM decisions WHERE of_table = ?1 ORDER BY id DESC LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let record = |row: &Row<'_>| Ok((row.get(0)?, Packed(row.get(1)?)));
    prepared(connection, sql, |statement| statement.query_map(params![of_table, limit], record)?.collect())
        .map_err(Error::during("read records of decisions"))
}

/// Forgets what is too old or too much, the oldest first, and returns how many those were.
pub(super) fn expire(connection: &Connection, bounds: &Bounds) -> Result<usize, Error> {
    let run = |sql: &str, parameters: &[&dyn ToSql]| {
        prepared(connection, sql, |statement| statement.execute(parameters)).map_err(Error::during("forget decisions"))
    };
    let mut forgotten = run("DELETE FROM decisions WHERE at_ms < ?1", &[&to_millis(bounds.not_before)])?;
    for (of_table, most) in [(true, bounds.most / TABLE_SHARE), (false, bounds.most)] {
        let sql = "DELETE FROM decisions WHERE of_table = ?1 AND id <= (SELECT id FROM decisions WHERE of_table = ?1 \
                   ORDER BY id DESC LIMIT 1 OFFSET ?2)";
        forgotten += run(sql, &[&of_table, &i64::try_from(most).unwrap_or(i64::MAX)])?;
    }
    let sql = "DELETE FROM decisions WHERE id <= (SELECT max(id) FROM (SELECT id, sum(length(record)) OVER (ORDER BY id DESC) \
               AS bytes FROM decisions) WHERE bytes > ?1)";
    forgotten += run(sql, &[&i64::try_from(bounds.most_bytes).unwrap_or(i64::MAX)])?;
    Ok(forgotten)
}

impl Packed {
    pub(super) fn pack(record: &str) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(record.as_bytes()).expect("memory takes everything");
        Self(encoder.finish().expect("memory takes everything"))
    }

    /// Returns the record; what is not one is empty.
    pub(super) fn unpack(&self) -> String {
        let mut record = String::new();
        match DeflateDecoder::new(&self.0[..]).take(LARGEST).read_to_string(&mut record) {
            Ok(_) => record,
            Err(_) => String::new(),
        }
    }
}

fn decision(row: &Row<'_>) -> rusqlite::Result<(i64, Decision)> {
    let policies: String = row.get("policies")?;
    let decision = Decision {
        at: from_millis(row.get("at_ms")?),
        generation: from_integer(row.get("generation")?),
        call: row.get("call")?,
        controller: row.get("controller")?,
        project: row.get("project")?,
        function: row.get("function")?,
        policies: serde_json::from_str(&policies).unwrap_or_default(),
        verdict: row.get("verdict")?,
        failed: row.get("failed")?,
        why: row.get("why")?,
    };
    Ok((row.get("id")?, decision))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::Journal;

    fn decision(seconds: u64, project: &str, verdict: &str) -> NewDecision {
        let decision = Decision {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            generation: 7,
            call: "parameters.filter".to_owned(),
            controller: "ci".to_owned(),
            project: project.to_owned(),
            function: Some(format!("build:{project}")),
            policies: vec!["lists".to_owned(), "other's \"one\"".to_owned()],
            verdict: verdict.to_owned(),
            failed: verdict == "failed",
            why: "policy lists: no".to_owned(),
        };
        NewDecision { decision, of_table: false, record: format!("{{\"of\":\"{project}\"}}") }
    }

    #[tokio::test]
    async fn decisions_are_found_by_what_they_are_about_the_latest_first() {
        let journal = Journal::in_memory().unwrap();
        let mut sample = decision(4, "team/lint", "matched");
        (sample.of_table, sample.decision.function) = (true, None);
        sample.decision.call = "matching.matches".to_owned();
        let decided = vec![
            decision(1, "team/lint", "passed"),
            decision(2, "team/x", "rejected"),
            decision(3, "lint", "failed"),
            sample,
        ];
        journal.decided(decided).await.unwrap();
        let found = async |wanted: Wanted| {
            let found = journal.decisions(wanted, 10).await.unwrap();
            found.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        let some = |text: &str| Some(text.to_owned());
        for (wanted, expected) in [
            (Wanted::default(), &[4, 3, 2, 1][..]),
            (Wanted { project: some("team/lint"), ..Wanted::default() }, &[4, 1]),
            (Wanted { project: some("team/*"), ..Wanted::default() }, &[4, 2, 1]),
            (Wanted { project: some("[a-z]*"), call: some("parameters.filter"), ..Wanted::default() }, &[3, 2, 1]),
            (Wanted { policy: some("other's \"one\""), failed: true, ..Wanted::default() }, &[3]),
            (Wanted { policy: some("lis"), ..Wanted::default() }, &[]),
            (Wanted { verdict: some("rejected"), ..Wanted::default() }, &[2]),
            (Wanted { since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(3)), ..Wanted::default() }, &[4, 3]),
            (Wanted { before: Some(3), ..Wanted::default() }, &[2, 1]),
        ] {
            assert_eq!(found(wanted.clone()).await, expected, "{wanted:?}");
        }
        assert_eq!(journal.decision(2).await.unwrap(), Some("{\"of\":\"team/x\"}".to_owned()));
        assert_eq!(journal.decision(9).await.unwrap(), None);
        let records = journal.decision_records(false, 2).await.unwrap();
        assert_eq!(records.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 2]);
        let (_, read) = journal.decisions(Wanted::default(), 1).await.unwrap().remove(0);
        assert_eq!((read.generation, &read.policies[1][..], read.function), (7, "other's \"one\"", None));
    }

    #[test]
    fn what_is_packed_is_smaller_and_unpacks_to_what_it_was() {
        let record = r#"{"name":"ZUUL_CHANGE","value":"withheld"}"#.repeat(1000);
        let packed = Packed::pack(&record);
        assert!(packed.0.len() < record.len() / 20 && packed.unpack() == record);
        assert_eq!(Packed(b"nonsense".to_vec()).unpack(), "");
    }

    #[tokio::test]
    async fn the_oldest_go_by_age_number_and_size_and_samples_leave_room_for_jobs() {
        let journal = Journal::in_memory().unwrap();
        let of_table = |seconds| NewDecision { of_table: true, ..decision(seconds, "t", "matched") };
        let bounds = |seconds, most, most_bytes| Bounds {
            not_before: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            most,
            most_bytes,
        };
        journal.decided((1..=10).map(|at| decision(at, "j", "passed")).collect()).await.unwrap();
        journal.decided((1..=10).map(of_table).collect()).await.unwrap();
        let left = async || {
            let left = journal.decisions(Wanted::default(), 100).await.unwrap();
            left.into_iter().map(|(id, decision)| (decision.project, id)).collect::<Vec<_>>()
        };
        assert_eq!(journal.expire_decisions(bounds(0, 100, 1 << 20)).await.unwrap(), 0);
        assert_eq!(journal.expire_decisions(bounds(3, 100, 1 << 20)).await.unwrap(), 4);
        assert_eq!(journal.expire_decisions(bounds(0, 5, 1 << 20)).await.unwrap(), 3 + 7);
        let expected = [("t", 20), ("j", 10), ("j", 9), ("j", 8), ("j", 7), ("j", 6)];
        assert_eq!(left().await, expected.map(|(project, id)| (project.to_owned(), id)));
        let each = Packed::pack(&decision(1, "j", "passed").record).0.len() as u64;
        assert_eq!(journal.expire_decisions(bounds(0, 5, 4 * each - 1)).await.unwrap(), 3);
        assert_eq!(left().await.len(), 3);
        assert_eq!(journal.expire_decisions(bounds(0, 0, 0)).await.unwrap(), 3);
        journal.decided(vec![decision(1, "j", "passed")]).await.unwrap();
        assert_eq!(left().await, [("j".to_owned(), 21)], "no number is given twice");
    }
}
