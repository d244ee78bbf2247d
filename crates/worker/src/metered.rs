//! A store whose requests are counted and timed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use cicatrix_store::{Continuation, Object, ObjectKey, Page, PhotoStore, StoreError};

use crate::meter::Meter;

#[derive(Debug)]
pub struct Metered {
    store: Arc<dyn PhotoStore>,
    meter: Meter,
}

impl Metered {
    /// The same store, which tells this meter.
    pub fn over(store: Arc<dyn PhotoStore>, meter: &Meter) -> Arc<dyn PhotoStore> {
        Arc::new(Self { store, meter: meter.clone() })
    }

    async fn told<T>(
        &self,
        op: &'static str,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let answer = request.await;
        self.meter.requested(op, answer.as_ref().err().map_or("ok", code), begun.elapsed());
        answer
    }
}

/// One of the meter's codes.
fn code(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotFound { .. } => "not_found",
        StoreError::Denied { .. } => "denied",
        error if error.is_transient() => "unavailable",
        _ => "other",
    }
}

#[async_trait]
impl PhotoStore for Metered {
    fn describe(&self) -> String {
        self.store.describe()
    }

    fn identity(&self) -> String {
        self.store.identity()
    }

    async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError> {
        self.told("list", self.store.list(after)).await
    }

    async fn get(&self, key: &ObjectKey, limit_bytes: u64) -> Result<Object, StoreError> {
        self.told("get", self.store.get(key, limit_bytes)).await
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes, content_type: &str) -> Result<(), StoreError> {
        self.told("put", self.store.put(key, bytes, content_type)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.told("check", self.store.check()).await
    }
}
