//! From what a person typed to a store: `s3://bucket/prefix`, else the path of a folder.

use std::path::PathBuf;
use std::sync::Arc;

use crate::folder::blocking;
use crate::{FolderStore, PhotoStore, StoreError};

/// Opens a place to read from. A folder must exist; of a bucket nothing is asked yet, see [`PhotoStore::check`].
pub async fn open(location: &str) -> Result<Arc<dyn PhotoStore>, StoreError> {
    match Location::parse(location)? {
        Location::Bucket { bucket, prefix } => open_bucket(&bucket, &prefix).await,
        Location::Folder(path) => {
            let store = blocking(location, move || FolderStore::open(path)).await?;
            Ok(Arc::new(store))
        }
    }
}

/// Opens a place to write to. A folder is created, and a probe is written to it and taken away again.
pub async fn open_output(location: &str) -> Result<Arc<dyn PhotoStore>, StoreError> {
    match Location::parse(location)? {
        Location::Bucket { bucket, prefix } => open_bucket(&bucket, &prefix).await,
        Location::Folder(path) => {
            let store = blocking(location, move || FolderStore::create(path)).await?;
            Ok(Arc::new(store))
        }
    }
}

#[cfg(feature = "s3")]
async fn open_bucket(bucket: &str, prefix: &str) -> Result<Arc<dyn PhotoStore>, StoreError> {
    Ok(Arc::new(crate::S3Store::connect(bucket, prefix).await?))
}

#[cfg(not(feature = "s3"))]
async fn open_bucket(bucket: &str, _prefix: &str) -> Result<Arc<dyn PhotoStore>, StoreError> {
    Err(invalid(&format!("s3://{bucket}"), "this program was built without the feature 's3'"))
}

#[derive(Debug, PartialEq)]
enum Location {
    Bucket { bucket: String, prefix: String },
    Folder(PathBuf),
}

impl Location {
    fn parse(text: &str) -> Result<Self, StoreError> {
        if text.is_empty() {
            return Err(invalid("the store", "its name is empty; give a folder or s3://bucket/prefix"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Location::Folder(PathBuf::from(text)));
        };
        if scheme != "s3" {
            return Err(invalid(text, "only a folder or s3://bucket/prefix can be opened"));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid(text, "the bucket's name is missing; write s3://bucket/prefix"));
        }
        Ok(Location::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

fn invalid(place: &str, why: &str) -> StoreError {
    StoreError::Invalid { place: place.to_owned(), action: "open", why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(bucket: &str, prefix: &str) -> Location {
        Location::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() }
    }

    #[test]
    fn a_location_is_a_bucket_or_a_folder() {
        assert_eq!(Location::parse("s3://photos").unwrap(), bucket("photos", ""));
        assert_eq!(Location::parse("s3://photos/").unwrap(), bucket("photos", ""));
        assert_eq!(Location::parse("s3://photos/a/b/").unwrap(), bucket("photos", "a/b/"));
        assert_eq!(Location::parse("./photos").unwrap(), Location::Folder(PathBuf::from("./photos")));
    }

    #[test]
    fn a_location_of_another_kind_is_refused_with_what_to_write() {
        for text in ["", "s3://", "s3:///x", "https://example.org/x", "gs://photos"] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains("s3://bucket/prefix"), "{text:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_folder_to_read_must_exist_and_a_folder_to_write_is_made() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("out/pictures");
        let location = path.to_str().unwrap();
        let error = open(location).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSuchFolder { .. }), "{error}");
        open_output(location).await.unwrap().check().await.unwrap();
        open(location).await.unwrap().check().await.unwrap();
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "the probe was left behind");
    }
}
