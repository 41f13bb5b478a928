//! Background jobs in a file of SQLite.
//!
//! One server at a time: the file stays locked until the server's end, however that comes. Nobody but its owner can read
//! it, since payloads can hold secrets.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, params};

use super::store::{Change, Failure, JobNumber, Kept, Store};
use crate::gearman::Priority;

/// "Lshg", in the place where SQLite keeps whose file it is.
const APPLICATION: i32 = 0x4c73_6867;

/// What the tables look like.
const VERSION: i32 = 1;

const TABLES: &str = "
    CREATE TABLE job (
        number INTEGER PRIMARY KEY,
        function BLOB NOT NULL,
        unique_id BLOB NOT NULL,
        reducer BLOB NOT NULL,
        payload BLOB NOT NULL,
        priority INTEGER NOT NULL,
        due INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE reserved (number INTEGER NOT NULL) STRICT;
    INSERT INTO reserved VALUES (0);
";

/// The file that a burst of jobs leaves behind is cut to this.
const KEEP_LOG: &str = "PRAGMA journal_size_limit = 16777216";

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to open {path} for background jobs")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is in use by another server")]
    InUse { path: PathBuf },
    #[error("{path} is no file of background jobs: {what}")]
    Foreign { path: PathBuf, what: String },
    #[error("{path} was written by a later version: it has format {found}, this one knows up to {VERSION}")]
    TooNew { path: PathBuf, found: i32 },
    #[error("failed to open {path} for background jobs")]
    Database { path: PathBuf, source: rusqlite::Error },
}

#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
}

impl SqliteStore {
    /// Opens a file, or makes it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = |source| OpenError::File { path: path.to_owned(), source };
        // Made here, since SQLite would let others read it.
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(file)?;
        let connection = Connection::open(path).map_err(|error| explain(path, error))?;
        let mut store = Self { connection };
        store.prepare(path)?;
        Ok(store)
    }

    fn prepare(&mut self, path: &Path) -> Result<(), OpenError> {
        let failed = |error| explain(path, error);
        let connection = &mut self.connection;
        connection.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
        let number = |connection: &Connection, what: &str| connection.pragma_query_value(None, what, |row| row.get(0));
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
        let application: i32 = number(connection, "application_id").map_err(failed)?;
        let found: i32 = number(connection, "user_version").map_err(failed)?;
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
        let is_new = application == 0 && found == 0 && tables == 0;
        if !is_new && application != APPLICATION {
            let what = "it belongs to another program".to_owned();
            return Err(OpenError::Foreign { path: path.to_owned(), what });
        }
        if found > VERSION {
            return Err(OpenError::TooNew { path: path.to_owned(), found });
        }
        // Whoever made it: others must not read what is about to be written.
        hide(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        connection.query_row(KEEP_LOG, [], |_| Ok(())).map_err(failed)?;
        // A write, even of nothing new, takes the lock that is then kept.
        let transaction = connection.transaction().map_err(failed)?;
        if is_new {
            transaction.execute_batch(TABLES).map_err(failed)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    fn read(&self) -> rusqlite::Result<(Vec<Kept>, JobNumber)> {
        let reserved: i64 = self.connection.query_row("SELECT number FROM reserved", [], |row| row.get(0))?;
        let mut query = self
            .connection
            .prepare("SELECT number, function, unique_id, reducer, payload, priority, due FROM job ORDER BY number")?;
        let jobs = query.query_map([], |row| {
            let blob = |index: usize| row.get_ref(index)?.as_blob().map(Box::from).map_err(rusqlite::Error::from);
            let priority: i64 = row.get(5)?;
            let found = usize::try_from(priority).ok().and_then(|index| Priority::ALL.get(index).copied());
            Ok(Kept {
                number: row.get::<_, i64>(0)? as JobNumber,
                function: blob(1)?,
                unique: blob(2)?,
                reducer: blob(3)?,
                payload: blob(4)?,
                priority: found.ok_or(rusqlite::Error::IntegralValueOutOfRange(5, priority))?,
                due: row.get::<_, i64>(6)? as u64,
            })
        })?;
        Ok((jobs.collect::<Result<_, _>>()?, reserved as JobNumber))
    }

    fn write(&mut self, changes: &[Change]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut add =
                transaction.prepare_cached("INSERT OR REPLACE INTO job VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            let mut remove = transaction.prepare_cached("DELETE FROM job WHERE number = ?1")?;
            let mut reserve = transaction.prepare_cached("UPDATE reserved SET number = ?1")?;
            for change in changes {
                match change {
                    Change::Add(job) => add.execute(params![
                        job.number as i64,
                        job.function,
                        job.unique,
                        job.reducer,
                        job.payload,
                        job.priority as i64,
                        job.due.min(i64::MAX as u64) as i64
                    ])?,
                    Change::Remove(number) => remove.execute([*number as i64])?,
                    Change::Reserve(number) => reserve.execute([*number as i64])?,
                };
            }
        }
        transaction.commit()
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<(Vec<Kept>, JobNumber), Failure> {
        Ok(self.read()?)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), Failure> {
        Ok(self.write(changes)?)
    }
}

/// Keeps others from reading a file and its log, by their names: closing the file would end SQLite's lock.
fn hide(path: &Path) -> io::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    for path in [path, Path::new(&log)] {
        match std::fs::metadata(path) {
            Ok(found) if found.permissions().mode() & 0o077 == 0 => {}
            Ok(_) => std::fs::set_permissions(path, Permissions::from_mode(0o600))?,
            // The log is made when it is needed, and takes after its file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn explain(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Foreign { path, what: error.to_string() }
        }
        _ => OpenError::Database { path, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: JobNumber, payload: &[u8]) -> Kept {
        Kept {
            number,
            function: b"build:\xff".as_slice().into(),
            unique: format!("u{number}").into_bytes().into(),
            reducer: b"r".as_slice().into(),
            payload: payload.into(),
            priority: Priority::ALL[number as usize % 3],
            due: number * 1_000_000_000_000,
        }
    }

    #[test]
    fn what_was_added_and_not_removed_is_there_again_and_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs");
        let mut store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.load().unwrap(), (Vec::new(), 0));
        let changes = [
            Change::Reserve(1000),
            Change::Add(job(2, b"\0two")),
            Change::Add(job(1, b"")),
            Change::Add(job(3, b"3")),
            Change::Remove(3),
            Change::Remove(99),
        ];
        store.apply(&changes).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
        drop(store);
        let mut store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.load().unwrap(), (vec![job(1, b""), job(2, b"\0two")], 1000));
    }

    #[test]
    fn a_file_that_others_could_read_is_theirs_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs");
        std::fs::write(&path, "").unwrap();
        for _of_others_then_ours in 0..2 {
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            let mut store = SqliteStore::open(&path).unwrap();
            store.apply(&[Change::Add(job(1, b"secret"))]).unwrap();
            for file in std::fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap();
                assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
            }
        }
    }

    #[test]
    fn a_file_in_use_is_refused_until_its_server_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs");
        let first = SqliteStore::open(&path).unwrap();
        let error = SqliteStore::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        drop(first);
        SqliteStore::open(&path).unwrap();
    }

    #[test]
    fn files_of_others_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("notes");
        std::fs::write(&text, "not a database, but long enough to look at".repeat(100)).unwrap();
        let other = folder.path().join("other");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE gearman_queue (a)").unwrap();
        let newer = folder.path().join("newer");
        drop(SqliteStore::open(&newer).unwrap());
        Connection::open(&newer).unwrap().pragma_update(None, "user_version", 2).unwrap();
        for (path, expected) in [
            (&text, "is no file of background jobs: file is not a database"),
            (&other, "is no file of background jobs: it belongs to another program"),
            (&newer, "was written by a later version: it has format 2, this one knows up to 1"),
            (&folder.path().join("none/jobs"), "failed to open"),
            (&folder.path().to_owned(), "failed to open"),
        ] {
            let before = std::fs::read(path).ok();
            let error = SqliteStore::open(path).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(std::fs::read(path).ok(), before);
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_an_empty_queue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs");
        let mut store = SqliteStore::open(&path).unwrap();
        let jobs: Vec<Change> = (1..200).map(|number| Change::Add(job(number, &[b'x'; 500]))).collect();
        store.apply(&jobs).unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let length = bytes.len();
        bytes[4096 * 3..length - 4096].fill(0xaa);
        std::fs::write(&path, bytes).unwrap();
        let loaded = SqliteStore::open(&path).map(|mut store| store.load().is_err());
        assert!(loaded.unwrap_or(true));
    }

    #[test]
    fn a_full_disk_takes_nothing_of_a_batch_and_small_jobs_again_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs");
        let mut store = SqliteStore::open(&path).unwrap();
        store.connection.query_row("PRAGMA max_page_count = 16", [], |_| Ok(())).unwrap();
        store.apply(&[Change::Add(job(1, b"small"))]).unwrap();
        let error = store.apply(&[Change::Add(job(2, b"small")), Change::Add(job(3, &[0; 100_000]))]).unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        store.apply(&[Change::Add(job(4, b"small"))]).unwrap();
        let numbers: Vec<JobNumber> = store.load().unwrap().0.iter().map(|job| job.number).collect();
        assert_eq!(numbers, [1, 4]);
    }
}
