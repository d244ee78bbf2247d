-- The ledger's tables. Times are RFC 3339 in UTC, flags 0 or 1, JSON is text.
-- SQLite first; what differs in PostgreSQL is only how ids are made.

-- What the reason codes mean; filled from the program, so that views can say what to do.
CREATE TABLE reason (
    code         TEXT PRIMARY KEY NOT NULL,
    reason_group TEXT NOT NULL,
    advice       TEXT NOT NULL
);

-- One sweep of a source.
CREATE TABLE night (
    night_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    counts      TEXT
);

-- An object that a sweep found and that is no photo of any session: its name does not follow the layout.
CREATE TABLE stray (
    night_id   INTEGER NOT NULL REFERENCES night (night_id),
    object_key TEXT NOT NULL,
    reason     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    PRIMARY KEY (night_id, object_key)
);

-- One visit of a patient. flagged_baseline is what the manifest says, is_baseline what the plan chose.
CREATE TABLE session (
    session_id           INTEGER PRIMARY KEY AUTOINCREMENT,
    clinic_id            TEXT NOT NULL,
    patient_id           TEXT NOT NULL,
    session              TEXT NOT NULL,
    session_date         TEXT NOT NULL,
    -- Days since 1970-01-01, so that days between sessions need no date function.
    day_number           INTEGER NOT NULL,
    session_no           INTEGER,
    flagged_baseline     INTEGER NOT NULL,
    is_baseline          INTEGER NOT NULL DEFAULT 0,
    sessions_before      INTEGER,
    days_since_treatment INTEGER,
    modality             TEXT,
    device               TEXT,
    needle_depth_mm      REAL,
    fitzpatrick          TEXT,
    manifest             TEXT,
    problem_reason       TEXT,
    problem_detail       TEXT,
    recorded_at          TEXT NOT NULL,
    updated_at           TEXT NOT NULL,
    UNIQUE (clinic_id, patient_id, session)
);
CREATE UNIQUE INDEX session_baseline ON session (clinic_id, patient_id) WHERE is_baseline = 1;

-- One object version of a shot. sha256 is what the manifest claims, content_sha256 what was read.
CREATE TABLE photo (
    photo_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id     INTEGER NOT NULL REFERENCES session (session_id),
    view           TEXT NOT NULL,
    shot           INTEGER NOT NULL,
    object_key     TEXT NOT NULL,
    version        TEXT NOT NULL,
    bytes          INTEGER NOT NULL,
    sha256         TEXT,
    content_sha256 TEXT,
    captured_at    TEXT,
    px_per_mm      REAL,
    regions        TEXT NOT NULL,
    refused_reason TEXT,
    refused_detail TEXT,
    is_current     INTEGER NOT NULL DEFAULT 1,
    recorded_at    TEXT NOT NULL
);
CREATE UNIQUE INDEX photo_current ON photo (session_id, view, shot) WHERE is_current = 1;
CREATE INDEX photo_session ON photo (session_id);

-- One reading of a photo against a baseline under a protocol. baseline_photo_id is the photo itself for
-- the baseline, and 0 for a verdict that needed no reading (there is no such photo, hence no foreign key).
CREATE TABLE photo_run (
    run_id            INTEGER PRIMARY KEY AUTOINCREMENT,
    photo_id          INTEGER NOT NULL REFERENCES photo (photo_id),
    baseline_photo_id INTEGER NOT NULL,
    protocol_id       TEXT NOT NULL,
    protocol_digest   TEXT NOT NULL,
    program_version   TEXT NOT NULL,
    night_id          INTEGER REFERENCES night (night_id),
    is_current        INTEGER NOT NULL DEFAULT 1,
    state             TEXT NOT NULL CHECK (state IN (
        'waiting_for_baseline', 'scheduled', 'ready', 'running', 'measured', 'not_measurable',
        'quarantined', 'failed', 'cancelled', 'superseded')),
    reason            TEXT,
    reasons           TEXT NOT NULL DEFAULT '[]',
    detail            TEXT,
    starts            INTEGER NOT NULL DEFAULT 0 CHECK (starts >= 0),
    job_id            INTEGER,
    worker            TEXT,
    created_at        TEXT NOT NULL,
    started_at        TEXT,
    finished_at       TEXT,
    duration_ms       INTEGER,
    content_sha256    TEXT,
    tier              TEXT,
    endpoint_eligible INTEGER,
    gate              TEXT,
    provenance        TEXT,
    derived           TEXT,
    UNIQUE (photo_id, baseline_photo_id, protocol_digest, program_version)
);
CREATE UNIQUE INDEX photo_run_current ON photo_run (photo_id) WHERE is_current = 1;
CREATE INDEX photo_run_state ON photo_run (is_current, state, reason);
CREATE INDEX photo_run_baseline ON photo_run (baseline_photo_id, state);
CREATE INDEX photo_run_night ON photo_run (night_id);

-- What happened to a run, in order.
CREATE TABLE run_event (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id   INTEGER NOT NULL REFERENCES photo_run (run_id),
    at       TEXT NOT NULL,
    kind     TEXT NOT NULL,
    worker   TEXT,
    detail   TEXT
);
CREATE INDEX run_event_run ON run_event (run_id);

CREATE TABLE observation (
    run_id   INTEGER NOT NULL REFERENCES photo_run (run_id),
    region   TEXT NOT NULL,
    measure  TEXT NOT NULL,
    value    REAL NOT NULL,
    unit     TEXT NOT NULL,
    n_pixels INTEGER NOT NULL,
    sd REAL,
    ci95_lo REAL,
    ci95_hi REAL,
    PRIMARY KEY (run_id, region, measure)
);

-- A session against the baseline. No clock and no ids: the same photos give the same rows.
CREATE TABLE session_change (
    clinic_id         TEXT NOT NULL,
    patient_id        TEXT NOT NULL,
    session           TEXT NOT NULL,
    view              TEXT NOT NULL,
    region            TEXT NOT NULL,
    measure           TEXT NOT NULL,
    baseline_value    REAL,
    value             REAL,
    change_pct        REAL,
    ci95_lo           REAL,
    ci95_hi           REAL,
    mdc95_pct         REAL,
    verdict           TEXT NOT NULL,
    reason            TEXT,
    quality_tier      TEXT,
    n_shots           INTEGER NOT NULL,
    endpoint_eligible INTEGER NOT NULL,
    calibration       TEXT NOT NULL,
    PRIMARY KEY (clinic_id, patient_id, session, view, region, measure)
);

CREATE TABLE trend (
    clinic_id       TEXT NOT NULL,
    patient_id      TEXT NOT NULL,
    view            TEXT NOT NULL,
    region          TEXT NOT NULL,
    measure         TEXT NOT NULL,
    n_sessions      INTEGER NOT NULL,
    first_date      TEXT NOT NULL,
    last_date       TEXT NOT NULL,
    pct_per_session REAL,
    ci95_lo         REAL,
    ci95_hi         REAL,
    PRIMARY KEY (clinic_id, patient_id, view, region, measure)
);

-- Series whose session_change and trend rows must be computed again.
CREATE TABLE stale_series (
    clinic_id  TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    view       TEXT NOT NULL,
    PRIMARY KEY (clinic_id, patient_id, view)
);
