-- What people, exports and dashboards read, on both databases; made anew with each version of the schema. Names and order of
-- columns are part of the contract with scripts outside: new columns come last.

DROP VIEW IF EXISTS v_responders;
DROP VIEW IF EXISTS v_observations;
DROP VIEW IF EXISTS v_changes;
DROP VIEW IF EXISTS v_trends;
DROP VIEW IF EXISTS v_sessions;
DROP VIEW IF EXISTS v_photos;
DROP VIEW IF EXISTS v_regions;
DROP VIEW IF EXISTS v_retakes;
DROP VIEW IF EXISTS v_quarantine;
DROP VIEW IF EXISTS v_nights;
DROP VIEW IF EXISTS v_events;
DROP VIEW IF EXISTS v_actions;
DROP VIEW IF EXISTS v_patients;
DROP VIEW IF EXISTS v_workers;
DROP VIEW IF EXISTS v_dictionary;

CREATE VIEW v_observations AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no,
       s.day_number - b.day_number AS days_since_baseline,
       s.days_since_treatment,
       p.view, p.shot, o.region, o.measure, o.value, o.unit, o.sd, o.ci95_lo, o.ci95_hi, o.n_pixels,
       g.tier AS quality_tier, r.endpoint_eligible,
       p.object_key, r.content_sha256, bp.content_sha256 AS baseline_sha256,
       r.protocol_id, r.protocol_digest, r.program_version,
       r.finished_at AS computed_at,
       s.session, r.scale_source, r.scale_relative_sd
  FROM observation o
  JOIN run_region g ON g.run_id = o.run_id AND g.region = o.region
  JOIN photo_run r ON r.run_id = o.run_id AND r.is_current = 1 AND r.state = 'measured'
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  JOIN photo bp ON bp.photo_id = r.baseline_photo_id
  JOIN session b ON b.session_id = bp.session_id;

-- The scale is that of the photo that the baseline's regions lie on.
CREATE VIEW v_changes AS
SELECT c.clinic_id, c.patient_id, s.session_date, s.session_no, c.session,
       s.day_number - b.day_number AS days_since_baseline,
       c.view, c.region, c.measure, c.baseline_value, c.value, c.change_pct, c.ci95_lo, c.ci95_hi,
       c.mdc95_pct, c.verdict, c.reason, c.quality_tier, c.n_shots, c.endpoint_eligible, c.calibration,
       COALESCE((
           SELECT r.scale_source
             FROM photo p
             JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1 AND r.baseline_photo_id = p.photo_id
            WHERE p.session_id = b.session_id AND p.view = c.view AND p.is_current = 1 AND r.state = 'measured'
       ), 'unknown') AS scale_source,
       c.p_value, c.p_holm
  FROM session_change c
  JOIN session s ON s.clinic_id = c.clinic_id AND s.patient_id = c.patient_id AND s.session = c.session
  LEFT JOIN session b ON b.clinic_id = c.clinic_id AND b.patient_id = c.patient_id AND b.is_baseline = 1;

CREATE VIEW v_responders AS
SELECT clinic_id, patient_id, session_date, session_no, session, days_since_baseline, view, region,
       change_pct, ci95_lo, ci95_hi, mdc95_pct, quality_tier,
       responder_25, responder_50, responder_75,
       CASE WHEN responder_25 = 1 AND LAG(responder_25) OVER course = 1 THEN 1 ELSE 0 END AS confirmed_25,
       CASE WHEN responder_50 = 1 AND LAG(responder_50) OVER course = 1 THEN 1 ELSE 0 END AS confirmed_50,
       CASE WHEN responder_75 = 1 AND LAG(responder_75) OVER course = 1 THEN 1 ELSE 0 END AS confirmed_75
  FROM (
    SELECT c.*,
           CASE WHEN c.verdict = 'improved' AND c.change_pct <= -25 AND c.change_pct <= -c.mdc95_pct
                THEN 1 ELSE 0 END AS responder_25,
           CASE WHEN c.verdict = 'improved' AND c.change_pct <= -50 AND c.change_pct <= -c.mdc95_pct
                THEN 1 ELSE 0 END AS responder_50,
           CASE WHEN c.verdict = 'improved' AND c.change_pct <= -75 AND c.change_pct <= -c.mdc95_pct
                THEN 1 ELSE 0 END AS responder_75
      FROM v_changes c
     WHERE c.measure = 'psi' AND c.endpoint_eligible = 1 AND c.change_pct IS NOT NULL
       -- A baseline may be chosen late: what was before it is no response.
       AND c.days_since_baseline >= 0 AND NOT EXISTS (
           SELECT 1 FROM session b
            WHERE b.clinic_id = c.clinic_id AND b.patient_id = c.patient_id AND b.session = c.session
              AND b.is_baseline = 1)
  ) AS judged
WINDOW course AS (PARTITION BY clinic_id, patient_id, view, region ORDER BY session);

CREATE VIEW v_trends AS
SELECT clinic_id, patient_id, view, region, measure, n_sessions, first_date, last_date,
       pct_per_session, ci95_lo, ci95_hi, next_lo_pct, next_hi_pct
  FROM trend;

CREATE VIEW v_sessions AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, s.is_baseline,
       s.day_number - b.day_number AS days_since_baseline,
       s.days_since_treatment, s.sessions_before, s.modality, s.device, s.needle_depth_mm, s.fitzpatrick,
       COUNT(CASE WHEN p.gone_at IS NULL OR r.run_id IS NOT NULL THEN p.photo_id END) AS n_photos,
       COALESCE(SUM(CASE WHEN r.state = 'measured' THEN 1 ELSE 0 END), 0) AS n_measured,
       COALESCE(SUM(CASE WHEN r.state = 'not_measurable' THEN 1 ELSE 0 END), 0) AS n_not_measurable,
       COALESCE(SUM(CASE WHEN r.state = 'quarantined' THEN 1 ELSE 0 END), 0) AS n_quarantined,
       COALESCE(SUM(CASE WHEN r.state IN ('failed', 'cancelled') THEN 1 ELSE 0 END), 0) AS n_failed,
       COUNT(CASE WHEN p.gone_at IS NULL OR r.run_id IS NOT NULL THEN p.photo_id END) - COALESCE(SUM(CASE WHEN r.state IN (
           'measured', 'not_measurable', 'quarantined', 'failed', 'cancelled') THEN 1 ELSE 0 END), 0)
           AS n_unfinished,
       s.problem_reason, s.problem_detail, s.gone_at, o.location AS source
  FROM session s
  LEFT JOIN source o ON o.source_id = s.source_id
  LEFT JOIN session b ON b.clinic_id = s.clinic_id AND b.patient_id = s.patient_id AND b.is_baseline = 1
  LEFT JOIN photo p ON p.session_id = s.session_id AND p.is_current = 1
  LEFT JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1
-- By names too, though the id is enough: SQLite then looks only at the patient that is asked for.
 GROUP BY s.clinic_id, s.patient_id, s.session, s.session_id, b.session_id, o.source_id
HAVING s.gone_at IS NULL OR COUNT(CASE WHEN p.gone_at IS NULL OR r.run_id IS NOT NULL THEN p.photo_id END) > 0;

-- A photo that is gone stays current; without a current run it is not shown.
CREATE VIEW v_photos AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, p.view, p.shot,
       -- Ready, and its clinic is held: its window is closed, or it is paused.
       CASE WHEN r.state = 'ready' AND r.job_id IS NULL AND (t.held = 'window' OR EXISTS (
           SELECT 1 FROM pause u WHERE u.clinic_id = '' OR u.clinic_id = r.clinic_id)) THEN 'scheduled' ELSE r.state END
           AS state,
       r.reason, r.detail, r.reasons, r.tier AS quality_tier, r.endpoint_eligible,
       CASE WHEN r.baseline_photo_id = r.photo_id THEN 1 ELSE 0 END AS is_reference,
       r.gate, r.derived, r.provenance,
       p.object_key, p.version, p.bytes, p.sha256, p.content_sha256, p.captured_at, p.px_per_mm,
       bp.object_key AS baseline_object_key,
       r.protocol_id, r.protocol_digest, r.program_version,
       r.starts, r.worker, r.created_at, r.started_at, r.finished_at, r.duration_ms, r.night_id, r.run_id,
       p.gone_at, o.location AS source, r.setbacks, r.dismissed_at
  FROM photo p
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN source o ON o.source_id = s.source_id
  LEFT JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1
  LEFT JOIN turn t ON t.source_id = r.source_id AND t.clinic_id = r.clinic_id
  LEFT JOIN photo bp ON bp.photo_id = r.baseline_photo_id
 WHERE p.is_current = 1 AND (p.gone_at IS NULL OR r.run_id IS NOT NULL);

CREATE VIEW v_regions AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, p.view, p.shot, g.region,
       g.tier AS quality_tier, g.reason, a.reason_group, a.advice, g.detail, p.object_key, g.run_id
  FROM run_region g
  JOIN photo_run r ON r.run_id = g.run_id AND r.is_current = 1 AND r.state = 'measured'
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN reason a ON a.code = g.reason;

-- The worklist of the clinics, with the regions that were refused in photos whose other regions were measured; `region` is
-- none where the whole photo is to be taken again. What only waits for a better baseline is not on it: the baseline is.
CREATE VIEW v_retakes AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, p.view, p.shot,
       r.reason, a.reason_group, a.advice, r.detail, r.reasons,
       -- Another shot of this view in this session was measured, so nothing is lost.
       CASE WHEN EXISTS (
           SELECT 1
             FROM photo p2
             JOIN photo_run r2 ON r2.photo_id = p2.photo_id AND r2.is_current = 1 AND r2.state = 'measured'
            WHERE p2.session_id = p.session_id AND p2.view = p.view AND p2.is_current = 1
       ) THEN 1 ELSE 0 END AS covered_by_other_shot,
       p.object_key, r.finished_at, r.run_id, NULL AS region
  FROM photo_run r
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN reason a ON a.code = r.reason
 WHERE r.is_current = 1 AND r.state = 'not_measurable' AND r.reason <> 'baseline_not_measurable'
   AND r.dismissed_at IS NULL
UNION ALL
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, p.view, p.shot,
       g.reason, a.reason_group, a.advice, g.detail, '["' || g.reason || '"]',
       CASE WHEN EXISTS (
           SELECT 1
             FROM photo p2
             JOIN photo_run r2 ON r2.photo_id = p2.photo_id AND r2.is_current = 1 AND r2.state = 'measured'
             JOIN run_region g2 ON g2.run_id = r2.run_id AND g2.region = g.region AND g2.reason IS NULL
            WHERE p2.session_id = p.session_id AND p2.view = p.view AND p2.is_current = 1
       ) THEN 1 ELSE 0 END,
       p.object_key, r.finished_at, r.run_id, g.region
  -- From the few refused regions, not from all measured runs: written so that no index of runs is chosen.
  FROM run_region g
  JOIN photo_run r ON r.run_id = g.run_id AND r.is_current + 0 = 1 AND r.state || '' = 'measured'
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN reason a ON a.code = g.reason
 WHERE g.reason IS NOT NULL AND g.reason <> 'baseline_not_measurable' AND r.dismissed_at IS NULL;

-- Photos that were set aside, and objects that are no photos; each source has its own last sweep.
CREATE VIEW v_quarantine AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, p.view, p.shot,
       r.reason, a.advice, r.detail, r.starts,
       p.object_key, p.version, p.bytes, r.content_sha256, r.finished_at, r.run_id, o.location AS source
  FROM photo_run r
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN source o ON o.source_id = s.source_id
  LEFT JOIN reason a ON a.code = r.reason
 WHERE r.is_current = 1 AND r.state = 'quarantined' AND r.dismissed_at IS NULL
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       t.reason, a.advice, t.detail, NULL,
       t.object_key, NULL, NULL, NULL, n.finished_at, NULL, n.source
  FROM stray t
  JOIN night n ON n.night_id = t.night_id
  LEFT JOIN reason a ON a.code = t.reason
 WHERE t.night_id IN (SELECT MAX(night_id) FROM night GROUP BY source)
   -- A source that moved is another one now.
   AND n.source IN (SELECT location FROM source);

CREATE VIEW v_nights AS
SELECT night_id, source, started_at, finished_at, counts, saw_all
  FROM night;

CREATE VIEW v_events AS
SELECT e.event_id, e.run_id, e.at, e.kind, e.worker, e.detail, s.clinic_id, p.view, p.shot, e.who,
       s.patient_id, s.session
  FROM run_event e
  JOIN photo_run r ON r.run_id = e.run_id
  JOIN photo p ON p.photo_id = r.photo_id
  JOIN session s ON s.session_id = p.session_id;

-- What people did that is not about one run.
CREATE VIEW v_actions AS
SELECT action_id, at, kind, clinic_id, who, why, detail
  FROM action;

CREATE VIEW v_patients AS
SELECT clinic_id, patient_id, COUNT(*) AS n_sessions, MIN(session_date) AS first_date, MAX(session_date) AS last_date
  FROM session
 WHERE gone_at IS NULL
 GROUP BY clinic_id, patient_id;

CREATE VIEW v_workers AS
SELECT w.name AS worker, o.location AS source, w.program_version, w.protocol_digest, w.slots, w.started_at, w.seen_at, w.ended_at
  FROM worker w
  JOIN source o ON o.source_id = w.source_id;

CREATE VIEW v_dictionary AS
SELECT table_name, name, unit, meaning
  FROM dictionary;
