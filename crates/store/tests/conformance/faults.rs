//! What a server or the line to it can do wrong.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use bytes::Bytes;
use cicatrix_store::{KeyError, PhotoStore, S3Store, StoreError};
use s3s::dto::{GetObjectInput, GetObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object, StreamingBlob};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use crate::in_process::settings;
use crate::suite::key;

fn store(server: impl S3) -> S3Store {
    let settings = settings(server, "testsecret").retry_config(RetryConfig::disabled());
    S3Store::new(Client::from_conf(settings.build()), "photos", "").unwrap()
}

struct Busy;

#[async_trait::async_trait]
impl S3 for Busy {
    async fn list_objects_v2(
        &self,
        _request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        Err(s3_error!(SlowDown))
    }
}

#[tokio::test]
async fn a_busy_server_is_an_outage_and_no_fault_of_the_request() {
    let error = store(Busy).list(None).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("SlowDown"), "{error}");
}

/// One of its keys has a control character, which XML cannot carry.
struct Hostile;

#[async_trait::async_trait]
impl S3 for Hostile {
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let encoded = request.input.encoding_type.is_some();
        let keys = if encoded { ["a+b.jpg", "c%01d.jpg"] } else { ["a b.jpg", "c\u{1}d.jpg"] };
        let object = |key: &str| Object { key: Some(key.to_owned()), size: Some(1), ..Object::default() };
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(keys.into_iter().map(object).collect()),
            encoding_type: request.input.encoding_type,
            ..ListObjectsV2Output::default()
        }))
    }
}

#[tokio::test]
async fn a_key_that_breaks_the_listing_does_not_hide_the_others() {
    let page = store(Hostile).list(None).await.unwrap();
    assert_eq!(page.objects.len(), 1);
    assert_eq!(page.objects[0].key.as_str(), "a b.jpg");
    assert_eq!(page.bad.len(), 1);
    assert_eq!(page.bad[0].why, KeyError::Control);
}

/// Its owner made folders in a web console.
struct Console;

#[async_trait::async_trait]
impl S3 for Console {
    async fn list_objects_v2(
        &self,
        _request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let objects = [("north/", 0), ("north/a.jpg", 1), ("north/b/", 0), ("north/c/", 1)];
        let object =
            |(key, size): (&str, i64)| Object { key: Some(key.to_owned()), size: Some(size), ..Object::default() };
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(objects.into_iter().map(object).collect()),
            ..ListObjectsV2Output::default()
        }))
    }
}

#[tokio::test]
async fn a_folder_made_in_a_console_is_no_object_and_no_mistake() {
    let client = Client::from_conf(settings(Console, "testsecret").build());
    let page = S3Store::new(client, "photos", "north").unwrap().list(None).await.unwrap();
    assert_eq!(page.objects.len(), 1);
    assert_eq!(page.objects[0].key.as_str(), "a.jpg");
    // One with content is an upload with a bad name.
    assert_eq!(page.bad.len(), 1);
    assert_eq!(page.bad[0].key, "c/");
}

/// Sends half a body so many times.
struct Torn {
    times: u32,
    asked: AtomicU32,
}

#[async_trait::async_trait]
impl S3 for Torn {
    async fn get_object(&self, _request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let torn = self.asked.fetch_add(1, Ordering::SeqCst) < self.times;
        let content: &'static [u8] = if torn { b"01234" } else { b"0123456789" };
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::from(Body::from(Bytes::from_static(content)))),
            content_length: Some(10),
            ..GetObjectOutput::default()
        }))
    }
}

fn torn(times: u32) -> Torn {
    Torn { times, asked: AtomicU32::new(0) }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_fetched_again() {
    let object = store(torn(2)).get(&key("a.jpg"), 100).await.unwrap();
    assert_eq!(object.bytes, "0123456789");
}

#[tokio::test]
async fn a_body_that_always_breaks_off_is_an_outage_and_never_half_a_photo() {
    let error = store(torn(u32::MAX)).get(&key("a.jpg"), 100).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

/// Does not say how long its objects are.
struct Endless;

#[async_trait::async_trait]
impl S3 for Endless {
    async fn get_object(&self, _request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let body = Body::from(Bytes::from(vec![0; 1_000_000]));
        Ok(S3Response::new(GetObjectOutput { body: Some(StreamingBlob::from(body)), ..GetObjectOutput::default() }))
    }
}

#[tokio::test]
async fn the_limit_holds_for_a_body_of_unknown_length() {
    let error = store(Endless).get(&key("a.jpg"), 1000).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { limit: 1000, .. }), "{error}");
}
