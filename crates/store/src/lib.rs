//! Where photos come from and pictures go to.
//!
//! [`PhotoStore`] is the one trait, with three backends: a local folder, memory (for tests) and S3 (cargo
//! feature `s3`, on by default). All three run the same suite in `tests/conformance`, so that a night from a
//! folder and a night from a bucket with the same content have the same result.
//!
//! Keys are data that strangers write. [`ObjectKey`] is a key that was looked at; nothing else is ever joined
//! to a path or sent to a server. [`Layout`] says what a key means: whose photo, of which visit and view.

mod error;
mod folder;
mod key;
mod layout;
mod memory;
mod open;
#[cfg(feature = "s3")]
pub mod s3;
mod store;

pub use error::StoreError;
pub use folder::FolderStore;
pub use key::{KeyError, ObjectKey};
pub use layout::{Entry, Layout, LayoutError, PhotoAddress, SessionAddress};
pub use memory::MemoryStore;
pub use open::{open, open_output};
#[cfg(feature = "s3")]
pub use s3::S3Store;
pub use store::{BadKey, Continuation, Object, ObjectInfo, PAGE_LIMIT, Page, PhotoStore, Problem};
