-- Times are milliseconds since the epoch, by this machine's clock. An attempt is open until it has closed_ms.
CREATE TABLE attempts (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    server           TEXT NOT NULL,
    handle           BLOB NOT NULL,
    unique_id        BLOB NOT NULL,
    function         TEXT NOT NULL,
    controller       TEXT NOT NULL,
    project          TEXT NOT NULL,
    node             TEXT NOT NULL, -- JSON
    worker           TEXT NOT NULL,
    marker_name      TEXT,
    marker_value     TEXT,
    pinned           INTEGER NOT NULL,
    generation       INTEGER NOT NULL,
    offline_wanted   INTEGER NOT NULL,
    parameters       TEXT NOT NULL, -- JSON, secret values left out
    state            TEXT NOT NULL,
    queue_item       INTEGER,
    build_number     INTEGER,
    build_node       TEXT, -- JSON
    build_url        TEXT,
    result           TEXT,
    terminal_kind    TEXT,
    terminal_payload BLOB,
    reason           TEXT,
    intended_ms      INTEGER NOT NULL,
    queued_ms        INTEGER,
    started_ms       INTEGER,
    ended_ms         INTEGER,
    closed_ms        INTEGER
) STRICT;

-- Few attempts are open or were handed back, however many are kept: what is asked for each job looks at those alone.
CREATE INDEX attempts_open ON attempts (server, function, unique_id, handle) WHERE closed_ms IS NULL;
CREATE INDEX attempts_handed_back ON attempts (server, function, unique_id) WHERE state = 'handed-back';
CREATE INDEX attempts_closed ON attempts (closed_ms) WHERE closed_ms IS NOT NULL;
