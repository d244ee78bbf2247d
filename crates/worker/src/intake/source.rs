//! A store that is asked again when it is out for a moment, and whose refusals are sorted: what is wrong with one
//! object concerns that object, what is wrong with the store ends the sweep.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cicatrix_store::{Continuation, Object, ObjectKey, Page, PhotoStore, StoreError};
use tokio::time::sleep;
use tracing::debug;

/// Pauses between the tries, which are one more. Short, for the S3 client has tried before; an outage that lasts is
/// waited out by running the sweep again.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// What came when a small object was asked for.
#[derive(Debug)]
pub(super) enum Answer {
    /// There is none; it may have gone away since the listing.
    Nothing,
    Bytes(Bytes),
    /// It is there and cannot be had, for this reason.
    Refused(String),
}

#[derive(Debug)]
pub(super) struct Source {
    store: Arc<dyn PhotoStore>,
}

impl Source {
    pub(super) fn new(store: Arc<dyn PhotoStore>) -> Self {
        Self { store }
    }

    pub(super) fn identity(&self) -> String {
        self.store.identity()
    }

    pub(super) async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError> {
        for pause in PAUSES {
            match self.store.list(after).await {
                Err(error) if error.is_transient() => {
                    debug!(%error, "a page of the listing did not come, asking again");
                    sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
        self.store.list(after).await
    }

    /// An object of at most `limit` bytes.
    pub(super) async fn find(&self, key: &ObjectKey, limit: u64) -> Result<Answer, StoreError> {
        let error = match self.get(key, limit).await {
            Ok(object) => return Ok(Answer::Bytes(object.bytes)),
            Err(error) => error,
        };
        match error {
            StoreError::NotFound { .. } => Ok(Answer::Nothing),
            StoreError::TooLarge { bytes, .. } => {
                Ok(Answer::Refused(format!("it has {bytes} bytes or more, the limit is {limit}")))
            }
            StoreError::Denied { .. } => {
                // Credentials that ran out refuse everything: that is no session's fault.
                self.store.check().await?;
                Ok(Answer::Refused(error.to_string()))
            }
            StoreError::Invalid { .. } => Ok(Answer::Refused(error.to_string())),
            _ => Err(error),
        }
    }

    async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Object, StoreError> {
        for pause in PAUSES {
            match self.store.get(key, limit).await {
                Err(error) if error.is_transient() => {
                    debug!(%error, "an object did not come, asking again");
                    sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
        self.store.get(key, limit).await
    }
}
