-- One row for each model call, and the sums of all calls ever made, so that old calls can be dropped.

CREATE TABLE calls (
    id            INTEGER PRIMARY KEY,
    instance_id   TEXT    NOT NULL,
    provider      TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_micros   INTEGER NOT NULL,
    started_at_ns INTEGER NOT NULL,
    first_byte_ms INTEGER,
    duration_ms   INTEGER NOT NULL,
    outcome       TEXT    NOT NULL
) STRICT;

CREATE INDEX calls_started ON calls (started_at_ns);

CREATE TABLE totals (
    instance_id   TEXT    PRIMARY KEY,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_micros   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
