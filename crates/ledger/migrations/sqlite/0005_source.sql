-- Where a session is listed, and what is listed no more. A run belongs to the source of its session, so that a night
-- works on what is its own. Sessions and runs from before have no source: the first sweep that lists them takes them.
CREATE TABLE source (
    source_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    location    TEXT NOT NULL UNIQUE,
    recorded_at TEXT NOT NULL
);

ALTER TABLE session ADD COLUMN source_id INTEGER REFERENCES source (source_id);
-- Since when a whole sweep does not show it any more.
ALTER TABLE session ADD COLUMN gone_at TEXT;
-- A photo that is gone stays current; without a current run it is not shown.
ALTER TABLE photo ADD COLUMN gone_at TEXT;
ALTER TABLE photo_run ADD COLUMN source_id INTEGER REFERENCES source (source_id);
CREATE INDEX session_source ON session (source_id);
-- The same content under another name: what was renamed or moved to the right patient.
CREATE INDEX photo_version ON photo (version) WHERE is_current = 1;
CREATE INDEX photo_content ON photo (content_sha256) WHERE is_current = 1;
CREATE INDEX photo_run_source ON photo_run (source_id, is_current, state);

DROP VIEW v_sessions;
CREATE VIEW v_sessions AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, s.is_baseline,
       s.day_number - b.day_number AS days_since_baseline,
       s.days_since_treatment, s.sessions_before, s.modality, s.device, s.needle_depth_mm, s.fitzpatrick,
       COUNT(p.photo_id) AS n_photos,
       COALESCE(SUM(CASE WHEN r.state = 'measured' THEN 1 ELSE 0 END), 0) AS n_measured,
       COALESCE(SUM(CASE WHEN r.state = 'not_measurable' THEN 1 ELSE 0 END), 0) AS n_not_measurable,
       COALESCE(SUM(CASE WHEN r.state = 'quarantined' THEN 1 ELSE 0 END), 0) AS n_quarantined,
       COALESCE(SUM(CASE WHEN r.state IN ('failed', 'cancelled') THEN 1 ELSE 0 END), 0) AS n_failed,
       COUNT(p.photo_id) - COALESCE(SUM(CASE WHEN r.state IN (
           'measured', 'not_measurable', 'quarantined', 'failed', 'cancelled') THEN 1 ELSE 0 END), 0)
           AS n_unfinished,
       s.problem_reason, s.problem_detail, s.gone_at, o.location AS source
  FROM session s
  LEFT JOIN source o ON o.source_id = s.source_id
  LEFT JOIN session b ON b.clinic_id = s.clinic_id AND b.patient_id = s.patient_id AND b.is_baseline = 1
  LEFT JOIN (
      photo p LEFT JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1
  ) ON p.session_id = s.session_id AND p.is_current = 1 AND (p.gone_at IS NULL OR r.run_id IS NOT NULL)
 GROUP BY s.session_id, b.session_id, o.source_id
HAVING s.gone_at IS NULL OR COUNT(p.photo_id) > 0;

DROP VIEW v_photos;
CREATE VIEW v_photos AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, p.view, p.shot,
       r.state, r.reason, r.detail, r.reasons, r.tier AS quality_tier, r.endpoint_eligible,
       CASE WHEN r.baseline_photo_id = r.photo_id THEN 1 ELSE 0 END AS is_reference,
       r.gate, r.derived, r.provenance,
       p.object_key, p.version, p.bytes, p.sha256, p.content_sha256, p.captured_at, p.px_per_mm,
       bp.object_key AS baseline_object_key,
       r.protocol_id, r.protocol_digest, r.program_version,
       r.starts, r.worker, r.created_at, r.started_at, r.finished_at, r.duration_ms, r.night_id, r.run_id,
       p.gone_at, o.location AS source
  FROM photo p
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN source o ON o.source_id = s.source_id
  LEFT JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1
  LEFT JOIN photo bp ON bp.photo_id = r.baseline_photo_id
 WHERE p.is_current = 1 AND (p.gone_at IS NULL OR r.run_id IS NOT NULL);

-- Each source has its own last sweep.
DROP VIEW v_quarantine;
CREATE VIEW v_quarantine AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no, s.session, p.view, p.shot,
       r.reason, a.advice, r.detail, r.starts,
       p.object_key, p.version, p.bytes, r.content_sha256, r.finished_at, r.run_id, o.location AS source
  FROM photo_run r
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN source o ON o.source_id = s.source_id
  LEFT JOIN reason a ON a.code = r.reason
 WHERE r.is_current = 1 AND r.state = 'quarantined'
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
