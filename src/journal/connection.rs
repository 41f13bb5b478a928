//! Opens the database: whose file it is, whether it is sound, and which schema it has.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::Error;

/// Each brings the schema from its index to the next number. Those that were released never change.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
];

/// "LAYS", where SQLite keeps a place for a program to sign its files.
const APPLICATION_ID: i64 = 0x4c41_5953;

/// Opens or creates the journal at `path`; waits up to `patience` for another process that is about to leave it.
pub(super) fn open(path: &Path, patience: Duration) -> Result<Connection, Error> {
    create_private(path).map_err(|error| Error::Open { path: path.to_owned(), reason: error.to_string() })?;
    let connection = Connection::open(path).map_err(|error| explain(path, &error))?;
    prepare(connection, path, patience)
}

pub(super) fn open_in_memory() -> Result<Connection, Error> {
    let path = Path::new(":memory:");
    let connection = Connection::open_in_memory().map_err(|error| explain(path, &error))?;
    prepare(connection, path, Duration::ZERO)
}

/// Creates the file for its owner alone, since parameters are in it; SQLite gives its other files the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

fn prepare(mut connection: Connection, path: &Path, patience: Duration) -> Result<Connection, Error> {
    configure(&connection, patience).map_err(|error| explain(path, &error))?;
    check_owner(&connection, path)?;
    check_soundness(&connection, path)?;
    migrate(&mut connection, MIGRATIONS).map_err(|error| explain(path, &error))?;
    Ok(connection)
}

fn configure(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    // Two daemons on one journal would each take the other's attempts for their own.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The lock is taken by the first write, not by the pragma.
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")
}

fn check_owner(connection: &Connection, path: &Path) -> Result<(), Error> {
    let read = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| explain(path, &error));
    let (owner, found) = (read("PRAGMA application_id")?, read("PRAGMA user_version")?);
    let is_empty = read("SELECT count(*) FROM sqlite_master")? == 0;
    let known = MIGRATIONS.len() as i64;
    match owner {
        APPLICATION_ID if found > known => Err(Error::NewerSchema { path: path.to_owned(), found, known }),
        APPLICATION_ID => Ok(()),
        0 if is_empty && found == 0 => Ok(()),
        _ => Err(Error::Foreign { path: path.to_owned() }),
    }
}

fn check_soundness(connection: &Connection, path: &Path) -> Result<(), Error> {
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| explain(path, &error))?;
    if verdict == "ok" { Ok(()) } else { Err(Error::Damaged { path: path.to_owned(), reason: verdict }) }
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(0);
    for (i, migration) in migrations.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Says what SQLite's complaint about a file means for the person who has to act.
fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    let (path, reason) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::InUse { path },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::Damaged { path, reason },
        _ => Error::Open { path, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn migrations_run_once_each_and_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
        migrate(&mut connection, &steps[..1]).unwrap();
        connection.execute("INSERT INTO a VALUES (1)", []).unwrap();
        migrate(&mut connection, &steps).unwrap();
        migrate(&mut connection, &steps).unwrap();
        assert_eq!(user_version(&connection), 2);
        let row: (i64, Option<i64>) =
            connection.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (1, None));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_schema_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (x); nonsense"]).is_err());
        assert_eq!(user_version(&connection), 1);
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }
}
