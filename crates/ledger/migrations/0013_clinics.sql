-- A clinic's runs by state and reason, without a look at those of others.
CREATE INDEX photo_run_clinic ON photo_run (clinic_id, is_current, state, reason);
-- The few that somebody took off the lists.
CREATE INDEX photo_run_dismissed ON photo_run (finished_at, is_current, clinic_id, state) WHERE dismissed_at IS NOT NULL;
