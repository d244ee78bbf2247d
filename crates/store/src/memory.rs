//! A store that lives as long as the process: for tests of everything above.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Continuation, Object, ObjectInfo, ObjectKey, PAGE_LIMIT, Page, PhotoStore, StoreError};

const PLACE: &str = "memory";

#[derive(Debug, Default)]
pub struct MemoryStore {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    objects: BTreeMap<String, Stored>,
    puts: u64,
}

#[derive(Debug)]
struct Stored {
    key: ObjectKey,
    object: Object,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // A panic elsewhere leaves the map whole: each change is one insert.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PhotoStore for MemoryStore {
    fn describe(&self) -> String {
        PLACE.to_owned()
    }

    async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError> {
        let content = self.content();
        let start = match after {
            Some(after) => Bound::Excluded(after.as_str()),
            None => Bound::Unbounded,
        };
        let mut rest = content.objects.range::<str, _>((start, Bound::Unbounded));
        let mut page = Page::default();
        for stored in rest.by_ref().map(|(_, stored)| stored).take(PAGE_LIMIT) {
            page.objects.push(ObjectInfo {
                key: stored.key.clone(),
                bytes: stored.object.bytes.len() as u64,
                version: stored.object.version.clone(),
            });
        }
        if rest.next().is_some() {
            page.next = page.objects.last().map(|object| Continuation::after(&object.key));
        }
        Ok(page)
    }

    async fn get(&self, key: &ObjectKey, limit_bytes: u64) -> Result<Object, StoreError> {
        let content = self.content();
        let Some(stored) = content.objects.get(key.as_str()) else {
            return Err(StoreError::NotFound { place: PLACE.to_owned(), key: key.clone() });
        };
        let bytes = stored.object.bytes.len() as u64;
        if bytes > limit_bytes {
            return Err(StoreError::TooLarge { place: PLACE.to_owned(), key: key.clone(), bytes, limit: limit_bytes });
        }
        Ok(stored.object.clone())
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes, _content_type: &str) -> Result<(), StoreError> {
        let mut content = self.content();
        content.puts += 1;
        let object = Object { bytes, version: content.puts.to_string() };
        content.objects.insert(key.as_str().to_owned(), Stored { key: key.clone(), object });
        Ok(())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
