//! One suite that every backend runs, and what only a server can do wrong.
//!
//! S3 runs twice: in this process without a socket (s3s), always; and against a real server when
//! `CICATRIX_TEST_S3_ENDPOINT` names one, see `s3_server.rs`.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "s3")]
mod faults;
#[cfg(feature = "s3")]
mod in_process;
#[cfg(feature = "s3")]
mod s3_server;
#[cfg(feature = "s3")]
mod server;
mod suite;

use std::sync::Arc;

use cicatrix_store::{FolderStore, MemoryStore};

#[tokio::test]
async fn memory_conforms() {
    suite::conforms(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn memory_lists_in_byte_order() {
    suite::lists_in_byte_order(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn a_folder_conforms() {
    let home = tempfile::tempdir().unwrap();
    suite::conforms(Arc::new(FolderStore::open(home.path()).unwrap())).await;
}

#[tokio::test]
async fn a_folder_lists_in_byte_order() {
    let home = tempfile::tempdir().unwrap();
    suite::lists_in_byte_order(Arc::new(FolderStore::open(home.path()).unwrap())).await;
}
