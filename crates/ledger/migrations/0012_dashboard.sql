-- What the views' columns say: written by the program, for those who read by SQL.
CREATE TABLE dictionary (
    table_name TEXT NOT NULL,
    name       TEXT NOT NULL,
    unit       TEXT NOT NULL,
    meaning    TEXT NOT NULL,
    PRIMARY KEY (table_name, name)
);

-- What a session came to, of the primary measure (outcomes.rs).
ALTER TABLE session ADD COLUMN outcome_ln DOUBLE PRECISION;
ALTER TABLE session ADD COLUMN outcome_n BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN outcome_missing BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN outcome_is_last BIGINT NOT NULL DEFAULT 0;
CREATE INDEX session_outcome ON session (is_baseline, clinic_id, patient_id, session, session_no, outcome_ln, outcome_n,
    outcome_missing, outcome_is_last, device, needle_depth_mm, fitzpatrick);
-- A worker computes the changes of what was there before, and with them the outcomes; no photo is read for it.
INSERT INTO stale_series (clinic_id, patient_id, view)
SELECT DISTINCT clinic_id, patient_id, view FROM session_change WHERE 1 = 1
ON CONFLICT (clinic_id, patient_id, view) DO NOTHING;

-- How many sessions have which verdict.
CREATE INDEX session_change_verdict ON session_change (measure, verdict);
-- The few regions that were refused among all that were measured.
CREATE INDEX run_region_refused ON run_region (run_id, region, reason) WHERE reason IS NOT NULL;

-- A sweep that was cut, or could not list some place, leaves something for the next one.
ALTER TABLE night ADD COLUMN saw_all BIGINT NOT NULL DEFAULT 0;
