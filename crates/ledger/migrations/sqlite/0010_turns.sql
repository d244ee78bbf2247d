-- Who goes next is the ledger's to say: a run has no job until its turn has come, so the engine holds no more than what is
-- worked on next.

-- clinic_id as the session has it. urgency: 1 somebody waits for it, 2 as usual, 3 read again for a new method. attempt counts
-- every start and is never reset, so that a late word of an old start is known. setbacks are tries that an outage ended.
ALTER TABLE photo_run ADD COLUMN clinic_id TEXT;
ALTER TABLE photo_run ADD COLUMN urgency INTEGER NOT NULL DEFAULT 2;
ALTER TABLE photo_run ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE photo_run ADD COLUMN setbacks INTEGER NOT NULL DEFAULT 0;
-- Somebody has looked at it and it is off the lists.
ALTER TABLE photo_run ADD COLUMN dismissed_at TEXT;
UPDATE photo_run SET clinic_id = (
    SELECT s.clinic_id FROM photo p JOIN session s ON s.session_id = p.session_id WHERE p.photo_id = photo_run.photo_id);
UPDATE photo_run SET job_id = NULL WHERE state = 'waiting_for_baseline';
DELETE FROM river_job WHERE kind = 'assess_view' AND state = 'pending';

-- The person, where one did it.
ALTER TABLE run_event ADD COLUMN who TEXT;

-- Made the baseline by a person, whatever the manifests say.
ALTER TABLE session ADD COLUMN pinned_at TEXT;

-- The clock of fairness between clinics: what the last one to get a turn had got.
ALTER TABLE source ADD COLUMN turn_clock REAL NOT NULL DEFAULT 0;

-- Where a sweep that was cut goes on: over what it went, and the last key whose patient is recorded.
ALTER TABLE night ADD COLUMN scope TEXT;
ALTER TABLE night ADD COLUMN cursor TEXT;

-- What a clinic has got of a source, and why its photos wait, if they do: 'window' or 'paused'.
CREATE TABLE turn (
    source_id INTEGER NOT NULL REFERENCES source (source_id),
    clinic_id TEXT NOT NULL,
    served    REAL NOT NULL DEFAULT 0,
    held      TEXT,
    PRIMARY KEY (source_id, clinic_id)
);

-- No photo of this clinic is begun; of none, where clinic_id is empty.
CREATE TABLE pause (
    clinic_id TEXT PRIMARY KEY NOT NULL,
    paused_at TEXT NOT NULL,
    who       TEXT NOT NULL,
    why       TEXT
);

-- What people did that is not about one run.
CREATE TABLE action (
    action_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at        TEXT NOT NULL,
    kind      TEXT NOT NULL,
    clinic_id TEXT,
    who       TEXT NOT NULL,
    why       TEXT,
    detail    TEXT
);

CREATE INDEX photo_run_turn ON photo_run (source_id, clinic_id, urgency, run_id)
    WHERE is_current = 1 AND state = 'ready' AND job_id IS NULL;
CREATE INDEX photo_run_handed_out ON photo_run (job_id, source_id, clinic_id)
    WHERE is_current = 1 AND state IN ('ready', 'running') AND job_id IS NOT NULL;
CREATE INDEX photo_run_open ON photo_run (source_id, state, created_at, clinic_id, job_id)
    WHERE is_current = 1 AND state IN ('waiting_for_baseline', 'scheduled', 'ready', 'running');
CREATE INDEX photo_run_finished ON photo_run (finished_at, source_id, is_current, state, clinic_id);
