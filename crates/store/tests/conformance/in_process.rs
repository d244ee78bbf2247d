//! S3 without a socket: s3s-fs plugged into the SDK as its HTTP client.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials, Region};
use cicatrix_store::s3::limited;
use cicatrix_store::{FolderStore, PhotoStore, S3Store, StoreError};
use s3s::S3;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;

use crate::suite;

const BUCKET: &str = "photos";

/// The settings of a client for a server in this process.
pub(crate) fn settings(server: impl S3, secret: &str) -> Builder {
    let mut service = S3ServiceBuilder::new(server);
    service.set_auth(SimpleAuth::from_single("test", "testsecret"));
    limited(Builder::new())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", secret, None, None, "test"))
        .endpoint_url("http://localhost")
        .force_path_style(true)
        .http_client(s3s_aws::Client::from(service.build()))
}

fn client(home: &Path, secret: &str) -> Client {
    Client::from_conf(settings(FileSystem::new(home).unwrap(), secret).build())
}

fn store(home: &Path, prefix: &str) -> Arc<dyn PhotoStore> {
    std::fs::create_dir_all(home.join(BUCKET)).unwrap();
    Arc::new(S3Store::new(client(home, "testsecret"), BUCKET, prefix).unwrap())
}

#[tokio::test]
async fn a_bucket_conforms() {
    let home = tempfile::tempdir().unwrap();
    suite::conforms(store(home.path(), "")).await;
}

#[tokio::test]
async fn a_prefix_conforms_and_does_not_show_in_the_keys() {
    let home = tempfile::tempdir().unwrap();
    let neighbour = store(home.path(), "clinic one b");
    suite::put(&*neighbour, "not/mine.jpg", b"x").await;
    suite::conforms(store(home.path(), "clinic one")).await;
}

#[tokio::test]
async fn a_bucket_lists_in_byte_order() {
    let home = tempfile::tempdir().unwrap();
    suite::lists_in_byte_order(store(home.path(), "here")).await;
}

#[tokio::test]
async fn a_folder_and_a_bucket_with_the_same_content_look_the_same() {
    let home = tempfile::tempdir().unwrap();
    let bucket = store(home.path(), "incoming");
    let other_home = tempfile::tempdir().unwrap();
    let folder = FolderStore::open(other_home.path()).unwrap();
    for name in ["clinic=c/patient=p/a.jpg", "clinic=c/patient=p.1/b.jpg", "sessions.csv"] {
        suite::put(&*bucket, name, b"content").await;
        suite::put(&folder, name, b"content").await;
    }
    let in_bucket = suite::whole_listing(&*bucket).await;
    let in_folder = suite::whole_listing(&folder).await;
    let shown = |objects: &[cicatrix_store::ObjectInfo]| {
        objects.iter().map(|object| (object.key.clone(), object.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&in_bucket), shown(&in_folder));
    assert_eq!(in_bucket.len(), 3);
}

#[tokio::test]
async fn a_missing_bucket_is_told_before_the_night() {
    let home = tempfile::tempdir().unwrap();
    let store = S3Store::new(client(home.path(), "testsecret"), "nothing-here", "").unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchBucket { .. }), "{error}");
    assert!(error.to_string().contains("s3://nothing-here"), "{error}");
}

#[tokio::test]
async fn wrong_credentials_are_denied_and_not_tried_again() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(BUCKET)).unwrap();
    let store = S3Store::new(client(home.path(), "wrong"), BUCKET, "").unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    assert!(!error.is_transient());
}
