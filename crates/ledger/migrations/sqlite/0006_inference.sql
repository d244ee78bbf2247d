-- Changes with their p-value, and that of the primary measure adjusted (Holm) for all views and regions of the patient's
-- session; trends with the band in which the next session is to be expected. v_responders reads v_changes and is as it
-- was. Rows of before are filled when their series is computed again.
ALTER TABLE session_change ADD COLUMN p_value REAL;
ALTER TABLE session_change ADD COLUMN p_holm REAL;
ALTER TABLE trend ADD COLUMN next_lo_pct REAL;
ALTER TABLE trend ADD COLUMN next_hi_pct REAL;

DROP VIEW v_changes;
DROP VIEW v_trends;

CREATE VIEW v_changes AS
SELECT c.clinic_id, c.patient_id, s.session_date, s.session_no, c.session,
       s.day_number - b.day_number AS days_since_baseline,
       c.view, c.region, c.measure, c.baseline_value, c.value, c.change_pct, c.ci95_lo, c.ci95_hi,
       c.mdc95_pct, c.verdict, c.reason, c.quality_tier, c.n_shots, c.endpoint_eligible, c.calibration,
       CASE WHEN EXISTS (
           SELECT 1
             FROM photo p
             JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1 AND r.baseline_photo_id = p.photo_id
            WHERE p.session_id = b.session_id AND p.view = c.view AND p.is_current = 1
              AND r.state = 'measured' AND p.px_per_mm IS NOT NULL
       ) THEN 'manifest' ELSE 'unknown' END AS scale_source,
       c.p_value, c.p_holm
  FROM session_change c
  JOIN session s ON s.clinic_id = c.clinic_id AND s.patient_id = c.patient_id AND s.session = c.session
  LEFT JOIN session b ON b.clinic_id = c.clinic_id AND b.patient_id = c.patient_id AND b.is_baseline = 1;

CREATE VIEW v_trends AS
SELECT clinic_id, patient_id, view, region, measure, n_sessions, first_date, last_date,
       pct_per_session, ci95_lo, ci95_hi, next_lo_pct, next_hi_pct
  FROM trend;
