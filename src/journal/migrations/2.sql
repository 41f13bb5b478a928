-- Builds that a client asked to stop and that had not ended when they were last looked at.
CREATE TABLE stops (
    controller   TEXT NOT NULL,
    project      TEXT NOT NULL,
    build_number INTEGER NOT NULL,
    build_ms     INTEGER NOT NULL, -- when Jenkins says that the build started
    PRIMARY KEY (controller, project, build_number)
) WITHOUT ROWID;
