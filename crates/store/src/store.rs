//! The one trait of all backends, and what its methods give back.
//!
//! It is small on purpose: list, get, put, check. A listing comes in pages of at most [`PAGE_LIMIT`] objects,
//! and a page says how to go on, so that a million photos are listed in the memory of a thousand.
//!
//! ```no_run
//! # async fn sweep(store: &dyn cicatrix_store::PhotoStore) -> Result<(), cicatrix_store::StoreError> {
//! let mut next = None;
//! loop {
//!     let page = store.list(next.as_ref()).await?;
//!     for object in &page.objects {
//!         println!("{}", object.key);
//!     }
//!     next = page.next;
//!     if next.is_none() {
//!         return Ok(());
//!     }
//! }
//! # }
//! ```

use async_trait::async_trait;
use bytes::Bytes;

use crate::{KeyError, ObjectKey, StoreError};

/// The most objects of one page: what S3 gives with one request.
pub const PAGE_LIMIT: usize = 1000;

#[async_trait]
pub trait PhotoStore: Send + Sync + std::fmt::Debug {
    /// The store as people know it, such as `s3://photos/north` or a path.
    fn describe(&self) -> String;

    /// The store by a name that does not depend on the working folder.
    fn identity(&self) -> String {
        self.describe()
    }

    /// One page of the listing, in byte order of the keys; the first one without `after`.
    ///
    /// A page may hold fewer objects than the limit, even none: only a missing `next` is the end.
    async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError>;

    /// The whole object. One above `limit_bytes` is refused before it is read.
    async fn get(&self, key: &ObjectKey, limit_bytes: u64) -> Result<Object, StoreError>;

    /// Writes the object at once: a reader sees the old one or the new one, never a part.
    async fn put(&self, key: &ObjectKey, bytes: Bytes, content_type: &str) -> Result<(), StoreError>;

    /// Whether the store is there and can be read: what is worth knowing before the night begins.
    async fn check(&self) -> Result<(), StoreError>;
}

/// An object and what tells it from another one of the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub bytes: Bytes,
    /// Opaque; another text is another content. The ETag of S3, size and time of change of a file.
    pub version: String,
}

/// An object as the listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: ObjectKey,
    pub bytes: u64,
    /// As in [`Object`], and equal to it on S3 and in a folder. A server that lists without ETags (s3s-fs, for
    /// tests) gives size and time here instead.
    pub version: String,
}

/// Part of a listing.
#[derive(Debug, Default)]
pub struct Page {
    pub objects: Vec<ObjectInfo>,
    /// Objects that are there, but whose keys are not safe to use.
    pub bad: Vec<BadKey>,
    /// Parts of the store that could not be looked at; the rest was.
    pub problems: Vec<Problem>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Continuation>,
}

/// A key as the store told it. It is shown (escaped!), never used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadKey {
    pub key: String,
    pub why: KeyError,
}

/// A folder, written as a key with '/' at its end, or a link, that the listing had to leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: String,
    pub error: StoreError,
}

/// The place where a listing goes on.
///
/// It can be kept as text (the last key seen), and the listing resumed by another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    after: String,
    token: Option<String>,
}

impl Continuation {
    /// Goes on behind this key, whether or not there is such an object.
    pub fn after(key: &ObjectKey) -> Self {
        Self::after_text(key.as_str())
    }

    /// Goes on where [`Continuation::as_str`] was taken. Any text will do; it is only compared with keys.
    pub fn after_text(text: &str) -> Self {
        Self { after: text.to_owned(), token: None }
    }

    pub fn as_str(&self) -> &str {
        &self.after
    }

    /// A server's own mark, which by its contract goes on exactly where the page ended.
    #[cfg(feature = "s3")]
    pub(crate) fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    #[cfg(feature = "s3")]
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}
