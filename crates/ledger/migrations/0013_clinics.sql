-- A clinic's runs by state and reason, without a look at those of others.
CREATE INDEX photo_run_clinic ON photo_run (clinic_id, is_current, state, reason);
