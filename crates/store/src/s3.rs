//! A bucket as a store, by aws-sdk-s3.
//!
//! The prefix is cut off the keys, so that a bucket and a folder with the same content look the same. The
//! server's listing is passed on as it comes: AWS sorts by bytes, some servers sort folder by folder, and
//! each goes on from its own token without a gap.
//!
//! The SDK tries a request again, but not a body that breaks off while it is read; [`PhotoStore::get`] here
//! does, for with photos the body is where the time goes.

mod client;
#[cfg(feature = "events")]
mod events;
mod explain;
mod listing;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use bytes::{Bytes, BytesMut};
use tracing::debug;

use self::client::BODY_TIMEOUT;
pub use self::client::{behaviour, limited};
#[cfg(feature = "events")]
pub use self::events::{Event, EventQueue};
use self::explain::{Asked, explain};
use crate::{Continuation, Object, ObjectKey, PAGE_LIMIT, Page, PhotoStore, StoreError};

/// How often a body is fetched before its breaking off is called an outage.
const BODY_ATTEMPTS: u32 = 3;

#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or with '/' at its end: `a` must not take in `ab/`.
    prefix: String,
    place: String,
}

impl S3Store {
    /// A store on a client of the caller's, best made with [`limited`].
    pub fn new(client: Client, bucket: &str, prefix: &str) -> Result<Self, StoreError> {
        let prefix = prefix.trim_end_matches('/');
        let place = if prefix.is_empty() { format!("s3://{bucket}") } else { format!("s3://{bucket}/{prefix}") };
        let invalid = |why: String| StoreError::Invalid { place: place.clone(), action: "open", why };
        if bucket.is_empty() || bucket.contains(char::is_whitespace) {
            return Err(invalid("this is no name of a bucket".to_owned()));
        }
        let prefix = match prefix {
            "" => String::new(),
            text => {
                let key = ObjectKey::parse(text).map_err(|why| invalid(format!("the prefix: {why}")))?;
                format!("{key}/")
            }
        };
        Ok(Self { client, bucket: bucket.to_owned(), prefix, place })
    }

    /// A store as the usual AWS variables, profiles and roles describe it. Nothing is asked of the server yet.
    pub async fn connect(bucket: &str, prefix: &str) -> Result<Self, StoreError> {
        let (client, endpoint) = client::from_environment().await;
        let mut store = Self::new(client, bucket, prefix)?;
        if let Some(endpoint) = endpoint {
            store.place = format!("{} at {endpoint}", store.place);
        }
        Ok(store)
    }

    fn full(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }

    fn asked<'a>(&'a self, action: &'static str, key: Option<&'a ObjectKey>) -> Asked<'a> {
        Asked { place: &self.place, action, key }
    }

    async fn body(
        &self,
        key: &ObjectKey,
        body: ByteStream,
        length: Option<u64>,
        limit: u64,
    ) -> Result<Bytes, StoreError> {
        let broken = |why: String| StoreError::Unavailable { place: self.place.clone(), action: "read", why };
        let Ok(read) = tokio::time::timeout(BODY_TIMEOUT, collect(body, length, limit)).await else {
            return Err(broken(format!("an object took more than {} s", BODY_TIMEOUT.as_secs())));
        };
        let bytes = match read {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(self.too_large(key, limit.saturating_add(1), limit)),
            Err(error) => return Err(broken(explain::chain(&error))),
        };
        match length {
            Some(length) if length != bytes.len() as u64 => {
                Err(broken(format!("{} of {length} bytes came", bytes.len())))
            }
            _ => Ok(bytes),
        }
    }

    fn too_large(&self, key: &ObjectKey, bytes: u64, limit: u64) -> StoreError {
        StoreError::TooLarge { place: self.place.clone(), key: key.clone(), bytes, limit }
    }
}

/// The body, or `None` once it is longer than the limit, whatever its header said.
async fn collect(mut body: ByteStream, length: Option<u64>, limit: u64) -> Result<Option<Bytes>, ByteStreamError> {
    let room = usize::try_from(length.unwrap_or(0).min(limit)).unwrap_or(0);
    let mut bytes = BytesMut::with_capacity(room);
    while let Some(chunk) = body.try_next().await? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

#[async_trait]
impl PhotoStore for S3Store {
    fn describe(&self) -> String {
        self.place.clone()
    }

    async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError> {
        let listing = self.listing(after, PAGE_LIMIT).await?;
        self.page(&listing, after)
    }

    async fn get(&self, key: &ObjectKey, limit_bytes: u64) -> Result<Object, StoreError> {
        let mut attempt = 1;
        loop {
            let request = self.client.get_object().bucket(&self.bucket).key(self.full(key));
            let answer = request.send().await;
            let answer = answer.map_err(|error| explain(self.asked("read", Some(key)), &error))?;
            let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
            if let Some(bytes) = length.filter(|&bytes| bytes > limit_bytes) {
                return Err(self.too_large(key, bytes, limit_bytes));
            }
            let version = listing::version(answer.e_tag(), length, answer.last_modified());
            match self.body(key, answer.body, length, limit_bytes).await {
                Ok(bytes) => return Ok(Object { bytes, version }),
                Err(error) if error.is_transient() && attempt < BODY_ATTEMPTS => {
                    debug!(attempt, %error, "a body broke off, fetching it again");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes, content_type: &str) -> Result<(), StoreError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .content_type(content_type)
            .body(ByteStream::from(bytes));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(explain(self.asked("write to", None), &error)),
        }
    }

    /// Lists one object and asks for its head: that needs the bucket, the keys and both rights.
    async fn check(&self) -> Result<(), StoreError> {
        let listing = self.listing(None, 1).await?;
        let Some(key) = listing.keys().next() else {
            return Ok(());
        };
        let head = self.client.head_object().bucket(&self.bucket).key(key).send().await;
        match head.map_err(|error| explain(self.asked("read", None), &error)) {
            // Deleted since the listing.
            Ok(_) | Err(StoreError::NoSuchBucket { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::from_conf(limited(aws_sdk_s3::config::Builder::new()).build())
    }

    #[test]
    fn a_prefix_is_a_folder_whether_or_not_it_is_written_with_a_slash() {
        for written in ["north/2026", "north/2026/"] {
            let store = S3Store::new(client(), "photos", written).unwrap();
            assert_eq!(store.prefix, "north/2026/");
            assert_eq!(store.describe(), "s3://photos/north/2026");
            let key = ObjectKey::parse("a.jpg").unwrap();
            assert_eq!(store.full(&key), "north/2026/a.jpg");
        }
        assert_eq!(S3Store::new(client(), "photos", "").unwrap().prefix, "");
    }

    #[test]
    fn a_location_that_is_no_bucket_or_prefix_is_refused() {
        for (bucket, prefix) in [("", ""), ("my photos", ""), ("photos", "../x"), ("photos", "/x")] {
            let refused = S3Store::new(client(), bucket, prefix);
            assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{bucket:?} {prefix:?}");
        }
    }
}
