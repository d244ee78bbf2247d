-- A user for dashboards and analysts: reads, and nothing else. As the owner of the ledger's tables, once, before or after they
-- are made: READER_PASSWORD=… psql -v ON_ERROR_STOP=1 -f reader.sql
\getenv password READER_PASSWORD
CREATE ROLE cicatrix_reader LOGIN PASSWORD :'password' CONNECTION LIMIT 20;
ALTER ROLE cicatrix_reader SET default_transaction_read_only = on;
-- A careless query over years of photos does not last into the night.
ALTER ROLE cicatrix_reader SET statement_timeout = '60s';
GRANT USAGE ON SCHEMA public TO cicatrix_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO cicatrix_reader;
-- Views are dropped and made anew with each version of the schema, and a grant goes with the view.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO cicatrix_reader;
