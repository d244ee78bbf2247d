//! A real S3 server, when `CICATRIX_TEST_S3_ENDPOINT` names one, with `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY` and, if it is not to be `cicatrix-test`, `CICATRIX_TEST_S3_BUCKET`. With
//! `CICATRIX_REQUIRE_SERVICES=1` a missing server is a failure.
//!
//! The bucket is made if it is missing; what a run puts there stays, under a prefix of its own.

use std::env;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials, Region};
use cicatrix_store::s3::limited;
use cicatrix_store::{PhotoStore, S3Store, StoreError};

use crate::suite;

struct Server {
    endpoint: String,
    bucket: String,
    key: String,
    secret: String,
}

impl Server {
    fn find() -> Option<Self> {
        let Ok(endpoint) = env::var("CICATRIX_TEST_S3_ENDPOINT") else {
            let required = env::var("CICATRIX_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!required, "no S3 server: CICATRIX_TEST_S3_ENDPOINT is not set");
            println!("skipped: no S3 server (set CICATRIX_TEST_S3_ENDPOINT)");
            return None;
        };
        let needed = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        Some(Self {
            endpoint,
            bucket: env::var("CICATRIX_TEST_S3_BUCKET").unwrap_or_else(|_| "cicatrix-test".to_owned()),
            key: needed("AWS_ACCESS_KEY_ID"),
            secret: needed("AWS_SECRET_ACCESS_KEY"),
        })
    }

    fn client(&self, secret: &str) -> Client {
        let credentials = Credentials::new(self.key.as_str(), secret, None, None, "test");
        let settings = limited(Builder::new())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(self.endpoint.as_str())
            .force_path_style(true);
        Client::from_conf(settings.build())
    }

    async fn make_bucket(&self) -> Client {
        let client = self.client(&self.secret);
        // It may be there already, also by another test of this run; `check` tells whether it is.
        if let Err(error) = client.create_bucket().bucket(&self.bucket).send().await {
            println!("the bucket was not made: {:?}", error.as_service_error());
        }
        client
    }
}

fn prefix_of_this_run() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("run {}-{}", now.as_nanos(), std::process::id())
}

#[tokio::test]
async fn a_real_server_conforms() {
    let Some(server) = Server::find() else { return };
    let client = server.make_bucket().await;
    let store = S3Store::new(client, &server.bucket, &prefix_of_this_run()).unwrap();
    suite::conforms(Arc::new(store)).await;
}

#[tokio::test]
async fn a_real_server_denies_wrong_credentials() {
    let Some(server) = Server::find() else { return };
    server.make_bucket().await;
    let store = S3Store::new(server.client("wrong"), &server.bucket, "").unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_real_server_knows_no_bucket_that_was_not_made() {
    let Some(server) = Server::find() else { return };
    let store = S3Store::new(server.client(&server.secret), "cicatrix-nothing-here", "").unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchBucket { .. }), "{error}");
}
