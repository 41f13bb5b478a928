//! Builds that were asked to stop: so that a daemon that is restarted goes on with those that have not.

use rusqlite::{Connection, params};

use super::Error;
use super::store::{from_integer, prepared, to_integer};
use crate::domain::{BuildId, ControllerName, ProjectName};

/// A client's wish that a build should end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub controller: ControllerName,
    pub build: BuildId,
    /// When Jenkins says that the build started, in milliseconds: a project that was made anew has other builds under the
    /// same numbers.
    pub build_started_ms: u64,
}

pub(super) fn ask(connection: &Connection, stop: &Stop) -> Result<(), Error> {
    let sql = "INSERT OR REPLACE INTO stops (controller, project, build_number, build_ms) VALUES (?1, ?2, ?3, ?4)";
    let Stop { controller, build, build_started_ms } = stop;
    let row =
        params![controller.as_str(), build.project.full(), to_integer(build.number), to_integer(*build_started_ms),];
    prepared(connection, sql, |statement| statement.execute(row)).map(drop).map_err(Error::during("write down a stop"))
}

pub(super) fn close(connection: &Connection, controller: &ControllerName, build: &BuildId) -> Result<(), Error> {
    let sql = "DELETE FROM stops WHERE controller = ?1 AND project = ?2 AND build_number = ?3";
    let row = params![controller.as_str(), build.project.full(), to_integer(build.number)];
    prepared(connection, sql, |statement| statement.execute(row)).map(drop).map_err(Error::during("forget a stop"))
}

pub(super) fn open(connection: &Connection) -> Result<Vec<Stop>, Error> {
    let sql = "SELECT controller, project, build_number, build_ms FROM stops";
    let stop = |row: &rusqlite::Row<'_>| {
        let project = ProjectName::new(row.get::<_, String>(1)?);
        Ok(Stop {
            controller: ControllerName::new(row.get::<_, String>(0)?),
            build: BuildId { project, number: from_integer(row.get(2)?) },
            build_started_ms: from_integer(row.get(3)?),
        })
    };
    prepared(connection, sql, |statement| statement.query_map([], stop)?.collect())
        .map_err(Error::during("read the stops"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    #[tokio::test]
    async fn a_stop_is_kept_until_it_is_closed_and_a_later_one_takes_its_place() {
        let journal = Journal::in_memory().unwrap();
        let stop = |number, build_started_ms| Stop {
            controller: ControllerName::new("ci"),
            build: BuildId { project: ProjectName::new("team/lint"), number },
            build_started_ms,
        };
        for stop in [stop(1, 10), stop(2, 20), stop(1, 30)] {
            journal.stop_asked(stop).await.unwrap();
        }
        assert_eq!(journal.open_stops().await.unwrap(), [stop(1, 30), stop(2, 20)]);
        journal.stop_closed(&ControllerName::new("ci"), &stop(1, 0).build).await.unwrap();
        journal.stop_closed(&ControllerName::new("other"), &stop(2, 0).build).await.unwrap();
        assert_eq!(journal.open_stops().await.unwrap(), [stop(2, 20)]);
    }
}
