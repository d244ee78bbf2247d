//! The ledger in a file of SQLite.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod database;
mod file;
#[path = "../promises/mod.rs"]
mod promises;
