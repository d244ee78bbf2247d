//! The program from outside: a small clinic of rendered skin, the commands that people type, what comes of them.
//!
//! Nothing here knows how the program is built inside: a test reads exit codes, tables and files. Photos are rendered
//! once for all tests, and nights that several tests look at are run once; a photo takes a second or two in a debug
//! build. What a machine does not allow (a small disk, an S3 server) is said with the word "skipped"; with
//! `CICATRIX_REQUIRE_SERVICES=1` a missing S3 server is a failure.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clinic;
mod environment;
#[cfg(feature = "events")]
mod events;
mod export;
#[cfg(feature = "face")]
mod faces;
mod faults;
mod interruption;
mod one_photo;
mod ops;
#[cfg(feature = "otlp")]
mod otlp;
mod program;
mod regions;
mod run;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
#[path = "../../crates/store/tests/conformance/s3_server.rs"]
mod s3_server;
mod score;
mod serve;
mod sources;
