-- What became of each region of a measured photo: its quality tier, and why it has no value of the primary measure, if it
-- has none. Until now a photo and its regions had one tier, and a region was refused with its photo.
CREATE TABLE run_region (
    run_id INTEGER NOT NULL REFERENCES photo_run (run_id),
    region TEXT NOT NULL,
    tier   TEXT,
    reason TEXT,
    detail TEXT,
    PRIMARY KEY (run_id, region)
);
INSERT INTO run_region (run_id, region, tier)
SELECT DISTINCT o.run_id, o.region, r.tier
  FROM observation o
  JOIN photo_run r ON r.run_id = o.run_id
 WHERE r.tier IS NOT NULL;

DROP VIEW v_observations;

CREATE VIEW v_observations AS
SELECT s.clinic_id, s.patient_id, s.session_date, s.session_no,
       s.day_number - b.day_number AS days_since_baseline,
       s.days_since_treatment,
       p.view, p.shot, o.region, o.measure, o.value, o.unit, o.sd, o.ci95_lo, o.ci95_hi, o.n_pixels,
       g.tier AS quality_tier, r.endpoint_eligible,
       p.object_key, r.content_sha256, bp.content_sha256 AS baseline_sha256,
       r.protocol_id, r.protocol_digest, r.program_version,
       r.finished_at AS computed_at,
       s.session,
       CASE WHEN bp.px_per_mm IS NULL THEN 'unknown' ELSE 'manifest' END AS scale_source
  FROM observation o
  JOIN run_region g ON g.run_id = o.run_id AND g.region = o.region
  JOIN photo_run r ON r.run_id = o.run_id AND r.is_current = 1 AND r.state = 'measured'
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  JOIN photo bp ON bp.photo_id = r.baseline_photo_id
  JOIN session b ON b.session_id = bp.session_id;

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
DROP VIEW v_retakes;

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
  FROM run_region g
  JOIN photo_run r ON r.run_id = g.run_id AND r.is_current = 1 AND r.state = 'measured'
  JOIN photo p ON p.photo_id = r.photo_id AND p.is_current = 1
  JOIN session s ON s.session_id = p.session_id
  LEFT JOIN reason a ON a.code = g.reason
 WHERE g.reason IS NOT NULL AND g.reason <> 'baseline_not_measurable';
