-- A user for KEDA, which counts the runs whose turn may come: a few columns of three tables. As the owner of the ledger's tables, once they are made
-- (by the first cicatrix scan): SCALER_PASSWORD=… psql -v ON_ERROR_STOP=1 -f scaler.sql
\getenv password SCALER_PASSWORD
CREATE ROLE cicatrix_scaler LOGIN PASSWORD :'password' CONNECTION LIMIT 5;
ALTER ROLE cicatrix_scaler SET default_transaction_read_only = on;
ALTER ROLE cicatrix_scaler SET statement_timeout = '10s';
GRANT USAGE ON SCHEMA public TO cicatrix_scaler;
GRANT SELECT (is_current, state, job_id, source_id, clinic_id) ON photo_run TO cicatrix_scaler;
GRANT SELECT (source_id, clinic_id, held) ON turn TO cicatrix_scaler;
GRANT SELECT (clinic_id) ON pause TO cicatrix_scaler;
