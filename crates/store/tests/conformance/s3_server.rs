//! A real S3 server, when `CICATRIX_TEST_S3_ENDPOINT` names one, with `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY` and, if it is not to be `cicatrix-test`, `CICATRIX_TEST_S3_BUCKET`. With
//! `CICATRIX_REQUIRE_SERVICES=1` a missing server is a failure.
//!
//! The bucket is made if it is missing; what a run puts there stays, under a prefix of its own. The tests of the whole
//! program (`tests/e2e`) use this file too.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials, Region};
use cicatrix_store::S3Store;
use cicatrix_store::s3::limited;

pub(crate) struct Server {
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl Server {
    pub(crate) fn find() -> Option<Self> {
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

    pub(crate) async fn make_bucket(&self) {
        // It may be there already, also by another test of this run; what comes next tells whether it is.
        if let Err(error) = self.client().create_bucket().bucket(&self.bucket).send().await {
            println!("the bucket was not made: {:?}", error.as_service_error());
        }
    }

    pub(crate) fn store(&self, prefix: &str) -> S3Store {
        S3Store::new(self.client(), &self.bucket, prefix).unwrap()
    }

    fn client(&self) -> Client {
        let credentials = Credentials::new(self.key.as_str(), self.secret.as_str(), None, None, "test");
        let settings = limited(Builder::new())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(self.endpoint.as_str())
            .force_path_style(true);
        Client::from_conf(settings.build())
    }
}

pub(crate) fn prefix_of_this_run() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("run {}-{}", now.as_nanos(), std::process::id())
}
