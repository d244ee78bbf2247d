-- Who works: a worker signs in, gives a sign of life every few seconds, and signs off.
CREATE TABLE worker (
    worker_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL,
    source_id       INTEGER NOT NULL REFERENCES source (source_id),
    program_version TEXT NOT NULL,
    protocol_digest TEXT NOT NULL,
    slots           INTEGER NOT NULL,
    started_at      TEXT NOT NULL,
    seen_at         TEXT NOT NULL,
    ended_at        TEXT
);
CREATE INDEX worker_seen ON worker (seen_at);
-- Whether any change comes of another error table is asked at each start.
CREATE INDEX session_change_calibration ON session_change (calibration);
