-- What the hub knows. Times are nanoseconds since 1970 UTC; ids are the text form with their prefix.

CREATE TABLE instances (
    id             TEXT    PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    display_name   TEXT,
    driver         TEXT    NOT NULL,
    agent_kind     TEXT    NOT NULL,
    agent_version  TEXT    NOT NULL,
    model          TEXT,
    memory_bytes   INTEGER NOT NULL CHECK (memory_bytes >= 0),
    cpus_milli     INTEGER NOT NULL CHECK (cpus_milli >= 0),
    pids           INTEGER NOT NULL CHECK (pids >= 0),
    egress         TEXT    NOT NULL,
    labels         TEXT    NOT NULL CHECK (json_valid(labels)),
    generation     INTEGER NOT NULL CHECK (generation >= 0),
    created_at_ns  INTEGER NOT NULL,
    desired        TEXT    NOT NULL CHECK (desired IN ('running', 'stopped', 'deleted')),
    delete_data    INTEGER NOT NULL CHECK (delete_data IN (0, 1)),
    run_generation INTEGER NOT NULL CHECK (run_generation BETWEEN 0 AND generation),
    status         TEXT    NOT NULL CHECK (json_valid(status))
) STRICT;

-- No foreign key to instances: a job tells what happened to an instance also after it is gone.
CREATE TABLE jobs (
    id            TEXT    PRIMARY KEY,
    kind          TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    instance_id   TEXT,
    progress      TEXT    NOT NULL CHECK (json_valid(progress)),
    reason        TEXT,
    message       TEXT,
    created_at_ns INTEGER NOT NULL,
    updated_at_ns INTEGER NOT NULL
) STRICT;

CREATE INDEX jobs_newest ON jobs (created_at_ns, id);
CREATE INDEX jobs_open ON jobs (instance_id) WHERE state IN ('queued', 'running');

CREATE TABLE audit (
    id         TEXT    PRIMARY KEY,
    at_ns      INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    resource   TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    detail     TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_newest ON audit (at_ns, id);

CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows do not change');
END;

CREATE TABLE users (
    id            TEXT    PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    role          TEXT    NOT NULL CHECK (role IN ('owner')),
    password_phc  TEXT    NOT NULL,
    created_at_ns INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX users_one_owner ON users (role) WHERE role = 'owner';

-- Sessions, tokens and the setup code hold SHA-256 of random secrets, never the secrets.
CREATE TABLE sessions (
    hash               BLOB    PRIMARY KEY CHECK (length(hash) = 32),
    id                 TEXT    NOT NULL UNIQUE,
    user_id            TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at_ns      INTEGER NOT NULL,
    seen_at_ns         INTEGER NOT NULL,
    idle_expires_at_ns INTEGER NOT NULL,
    expires_at_ns      INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE tokens (
    id              TEXT    PRIMARY KEY,
    name            TEXT    NOT NULL,
    hash            BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id         TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    scopes          TEXT    NOT NULL CHECK (json_valid(scopes)),
    created_at_ns   INTEGER NOT NULL,
    expires_at_ns   INTEGER,
    last_used_at_ns INTEGER
) STRICT;

CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE setup_code (
    slot          INTEGER PRIMARY KEY CHECK (slot = 1),
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    expires_at_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE vault (
    slot      INTEGER PRIMARY KEY CHECK (slot = 1),
    key_check BLOB    NOT NULL
) STRICT;

CREATE TABLE secrets (
    scope   TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    value   BLOB    NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE providers (
    name          TEXT    PRIMARY KEY,
    kind          TEXT    NOT NULL,
    base_url      TEXT    NOT NULL,
    models        TEXT    NOT NULL CHECK (json_valid(models)),
    created_at_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
