//! A local folder as a store: what a clinic without a bucket has.
//!
//! File names are keys, so the same content gives the same listing as a bucket. Links are not followed, for
//! a link could lead out of the folder. A put is a temporary file beside its target and a rename. All work on
//! files runs on tokio's blocking threads.
//!
//! The version of an object is size and time of change, which costs nothing to read and survives a copy by
//! `rsync -a`. Its limit: a change that keeps the size, within one tick of the file system's clock (some
//! milliseconds), is not seen.

mod tree;
mod walk;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use self::tree::Tree;
use self::walk::Walk;
use crate::{Continuation, Object, ObjectKey, Page, PhotoStore, StoreError};

#[derive(Debug)]
pub struct FolderStore {
    tree: Arc<Tree>,
    /// The walk behind the last page, so that going on does not read the folders again. Without it (another
    /// process, two listings at a time) a walk begins anew at the right place.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    at: Continuation,
    walk: Walk,
}

impl FolderStore {
    /// A folder to read from; it must exist.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self { tree: Arc::new(Tree::open(path.as_ref())?), kept: Mutex::default() })
    }

    /// A folder to write to: made if it is missing, and proven to be writable.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self { tree: Arc::new(Tree::create(path.as_ref())?), kept: Mutex::default() })
    }

    fn take_walk(&self, after: Option<&Continuation>) -> Option<Walk> {
        let mut slot = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|kept| Some(&kept.at) == after) {
            return slot.take().map(|kept| kept.walk);
        }
        None
    }

    fn keep(&self, at: &Continuation, walk: Walk) {
        let mut slot = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Kept { at: at.clone(), walk });
    }
}

#[async_trait]
impl PhotoStore for FolderStore {
    fn describe(&self) -> String {
        self.tree.place().to_owned()
    }

    fn identity(&self) -> String {
        self.tree.root().display().to_string()
    }

    async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError> {
        let kept = self.take_walk(after);
        let tree = Arc::clone(&self.tree);
        let after = after.map(|after| after.as_str().to_owned()).unwrap_or_default();
        let (page, walk) = blocking(self.tree.place(), move || {
            let mut walk = match kept {
                Some(walk) => walk,
                None => Walk::begin(&tree, after)?,
            };
            let page = walk.page();
            Ok((page, walk))
        })
        .await?;
        if let Some(next) = &page.next {
            self.keep(next, walk);
        }
        Ok(page)
    }

    async fn get(&self, key: &ObjectKey, limit_bytes: u64) -> Result<Object, StoreError> {
        let (tree, key) = (Arc::clone(&self.tree), key.clone());
        blocking(self.tree.place(), move || tree.read(&key, limit_bytes)).await
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes, _content_type: &str) -> Result<(), StoreError> {
        let (tree, key) = (Arc::clone(&self.tree), key.clone());
        blocking(self.tree.place(), move || tree.write(&key, &bytes)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let tree = Arc::clone(&self.tree);
        blocking(self.tree.place(), move || tree.check()).await
    }
}

/// Runs work that waits for a disk where it holds up no one else.
pub(crate) async fn blocking<T: Send + 'static>(
    place: &str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = match tokio::task::spawn_blocking(work).await {
        Ok(result) => return result,
        Err(stopped) => stopped,
    };
    match stopped.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(StoreError::Unavailable {
            place: place.to_owned(),
            action: "use",
            why: "the program is shutting down".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
