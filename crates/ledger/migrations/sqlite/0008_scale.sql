-- Where the scale of a measured photo comes from, and its standard deviation as a share of it: a card and eyes tell it too.
ALTER TABLE photo_run ADD COLUMN scale_source TEXT;
ALTER TABLE photo_run ADD COLUMN scale_relative_sd REAL;
UPDATE photo_run
   SET scale_source = (SELECT CASE WHEN bp.px_per_mm IS NULL THEN 'unknown' ELSE 'manifest' END
                         FROM photo bp WHERE bp.photo_id = photo_run.baseline_photo_id)
 WHERE state = 'measured';

DROP VIEW v_observations;
DROP VIEW v_changes;

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

-- The scale is that of the photo that the baseline's regions lie on. v_responders reads v_changes and is as it was.
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

