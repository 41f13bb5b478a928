-- What policies decided. The record is JSON that the journal does not look into; no value of a parameter is in it that the
-- site has not allowed to be kept.
CREATE TABLE decisions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms      INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    call       TEXT NOT NULL,
    of_table   INTEGER NOT NULL, -- a sample of the function table, no decision about a job
    controller TEXT NOT NULL,
    project    TEXT NOT NULL,
    function   TEXT,
    policies   TEXT NOT NULL, -- JSON, names of those that were asked
    verdict    TEXT NOT NULL,
    failed     INTEGER NOT NULL,
    why        TEXT NOT NULL,
    record     BLOB NOT NULL -- deflated
) STRICT;

CREATE INDEX decisions_at ON decisions (at_ms);
