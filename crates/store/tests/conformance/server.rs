//! The suite against a real server, and what a server refuses.

use std::sync::Arc;

use cicatrix_store::{PhotoStore, StoreError};

use crate::s3_server::{Server, prefix_of_this_run};
use crate::suite;

#[tokio::test]
async fn a_real_server_conforms() {
    let Some(server) = Server::find() else { return };
    server.make_bucket().await;
    suite::conforms(Arc::new(server.store(&prefix_of_this_run()))).await;
}

#[tokio::test]
async fn a_real_server_denies_wrong_credentials() {
    let Some(server) = Server::find() else { return };
    server.make_bucket().await;
    let stranger = Server { secret: "wrong".to_owned(), ..server };
    let error = stranger.store("").check().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_real_server_knows_no_bucket_that_was_not_made() {
    let Some(server) = Server::find() else { return };
    let elsewhere = Server { bucket: "cicatrix-nothing-here".to_owned(), ..server };
    let error = elsewhere.store("").check().await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchBucket { .. }), "{error}");
}
