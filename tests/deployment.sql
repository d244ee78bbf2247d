-- Twelve patients of a clinic with a baseline and six sessions each, so that what dashboards ask has an answer; for tests/deployment.
INSERT INTO reason VALUES ('blur', 'focus', 'focus on the skin and take it again'), ('truncated', 'quarantine', 'upload it again');
INSERT INTO source (location, recorded_at) VALUES ('s3://photos/north', '2026-01-01T00:00:00Z');
INSERT INTO night (source, started_at, finished_at, counts)
VALUES ('s3://photos/north', '2026-07-01T22:00:00Z', '2026-07-01T23:00:00Z', '{}');
INSERT INTO stray VALUES (1, 'north/incoming/holiday.jpg', 'truncated', 'no photo of a session');

INSERT INTO session (clinic_id, patient_id, session, session_date, day_number, session_no, flagged_baseline, is_baseline,
                     problem_reason, recorded_at, updated_at, source_id)
SELECT 'c-1', 'p-' || p, to_char(date '2026-01-01' + 30 * s, 'YYYY-MM-DD') || '-01', to_char(date '2026-01-01' + 30 * s, 'YYYY-MM-DD'),
       (date '2026-01-01' + 30 * s) - date '1970-01-01', s, 0, CASE WHEN s = 0 THEN 1 ELSE 0 END,
       CASE WHEN s = 6 THEN 'metadata_missing' END, '2026-07-01T22:00:00Z', '2026-07-01T22:00:00Z', 1
  FROM generate_series(1, 12) AS p, generate_series(0, 6) AS s;

INSERT INTO photo (session_id, view, shot, object_key, version, bytes, regions, recorded_at)
SELECT session_id, 'closeup.left_cheek', shot, 'north/incoming/' || session_id || '.' || shot || '.jpg', 'v', 1000, '[]', '2026-07-01T22:00:00Z'
  FROM session, generate_series(1, 2) AS shot;

INSERT INTO photo_run (photo_id, baseline_photo_id, protocol_id, protocol_digest, program_version, night_id, state, reason,
                       created_at, finished_at, source_id)
SELECT photo_id, photo_id, 'standard-3', 'd', '0.1.0', 1,
       CASE photo_id % 7 WHEN 0 THEN 'not_measurable' WHEN 1 THEN 'quarantined' WHEN 2 THEN 'ready' ELSE 'measured' END,
       CASE photo_id % 7 WHEN 0 THEN 'blur' WHEN 1 THEN 'truncated' END,
       '2026-07-01T22:00:00Z', '2026-07-01T22:30:00Z', 1
  FROM photo;

INSERT INTO session_change
SELECT clinic_id, patient_id, session, 'closeup.left_cheek', 'cheek_l', measure, 1, 1 + change / 100,
       CASE WHEN is_measured THEN change END, CASE WHEN is_measured THEN change - 8 END, CASE WHEN is_measured THEN change + 8 END,
       12, CASE WHEN NOT is_measured THEN 'not_measurable' WHEN change < -12 THEN 'improved' ELSE 'no_detectable_change' END,
       CASE WHEN NOT is_measured THEN 'blur' END, 'clinic', 2, 1, 'rendered-5 0a1b', 0.01, 0.02
  FROM (SELECT s.*, -10.0 * session_no - session_id % 5 AS change, session_id % 9 <> 0 AS is_measured FROM session s
         WHERE session_no > 0) AS s,
       (VALUES ('psi'), ('ref_energy')) AS m (measure);

INSERT INTO trend
SELECT DISTINCT clinic_id, patient_id, 'closeup.left_cheek', 'cheek_l', 'psi', 6, '2026-01-31', '2026-06-30', -9, -12, -6, -80, -50
  FROM session;
