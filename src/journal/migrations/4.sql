-- Why a node is offline because of us. The mark itself is on the node, in Jenkins; the token tells that it is this one.
CREATE TABLE offline_marks (
    controller   TEXT NOT NULL,
    node         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    policy       TEXT,             -- none if a client asked for it
    message      TEXT NOT NULL,
    project      TEXT,
    build_number INTEGER,
    token        TEXT NOT NULL,
    marked_ms    INTEGER NOT NULL,
    PRIMARY KEY (controller, node)
) WITHOUT ROWID;
