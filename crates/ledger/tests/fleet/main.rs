//! The ledger on a PostgreSQL server, named by `CICATRIX_TEST_POSTGRES` (a role that may create databases). Without one the
//! tests say that they are skipped, and fail where `CICATRIX_REQUIRE_SERVICES` is 1.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod database;
#[path = "../promises/mod.rs"]
mod promises;
mod workers;
