//! One page of a bucket's listing.
//!
//! A key with a control character makes the listing's XML unreadable, and with it the 999 other keys of the
//! page: one hostile upload would end every night. So a page that cannot be read is asked for again with the
//! keys percent-encoded. Not at once that way, for some servers take the wish and do not fulfil it.

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{EncodingType, Object as Listed};
use tracing::debug;

use super::S3Store;
use super::explain::explain;
use crate::{BadKey, Continuation, ObjectInfo, ObjectKey, Page, StoreError};

/// What the server said.
pub(super) struct Listing {
    output: ListObjectsV2Output,
    encoded: bool,
}

impl Listing {
    /// Whole keys, with the prefix.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        self.output.contents().iter().filter_map(|object| self.key(object))
    }

    fn key(&self, object: &Listed) -> Option<String> {
        let key = object.key()?;
        Some(if self.encoded { decoded(key) } else { key.to_owned() })
    }
}

impl S3Store {
    pub(super) async fn listing(&self, after: Option<&Continuation>, limit: usize) -> Result<Listing, StoreError> {
        let request = self.list_request(after, limit);
        let error = match request.clone().send().await {
            Ok(output) => return Ok(Listing { output, encoded: false }),
            Err(error) => error,
        };
        if !is_unreadable(&error) {
            return Err(explain(self.asked("list", None), &error));
        }
        debug!("a page of the listing could not be read, asking for it with encoded keys");
        match request.encoding_type(EncodingType::Url).send().await {
            Ok(output) => Ok(Listing { output, encoded: true }),
            Err(error) => Err(explain(self.asked("list", None), &error)),
        }
    }

    fn list_request(&self, after: Option<&Continuation>, limit: usize) -> ListObjectsV2FluentBuilder {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_prefix((!self.prefix.is_empty()).then(|| self.prefix.clone()));
        match after {
            None => request,
            Some(after) => match after.token() {
                Some(token) => request.continuation_token(token),
                None => request.start_after(format!("{}{}", self.prefix, after.as_str())),
            },
        }
    }

    pub(super) fn page(&self, listing: &Listing, after: Option<&Continuation>) -> Result<Page, StoreError> {
        let mut page = Page::default();
        for object in listing.output.contents() {
            if let Some(key) = listing.key(object) {
                self.add(&key, object, &mut page);
            }
        }
        page.next = self.next(listing, after)?;
        Ok(page)
    }

    fn add(&self, whole_key: &str, object: &Listed, page: &mut Page) {
        let Some(text) = whole_key.strip_prefix(&self.prefix) else {
            debug!("the server listed an object that is not under the prefix");
            return;
        };
        let bytes = object.size().and_then(|size| u64::try_from(size).ok());
        // Consoles make such empty objects to show a folder. They are nobody's photo and no mistake.
        if bytes == Some(0) && (text.is_empty() || text.ends_with('/')) {
            return;
        }
        match ObjectKey::parse(text) {
            Ok(key) => page.objects.push(ObjectInfo {
                key,
                bytes: bytes.unwrap_or(0),
                version: version(object.e_tag(), bytes, object.last_modified()),
            }),
            Err(why) => page.bad.push(BadKey { key: text.to_owned(), why }),
        }
    }

    fn next(&self, listing: &Listing, after: Option<&Continuation>) -> Result<Option<Continuation>, StoreError> {
        if listing.output.is_truncated() != Some(true) {
            return Ok(None);
        }
        let token = listing.output.next_continuation_token().map(str::to_owned);
        let last = listing.keys().last();
        if token.is_none() && last.is_none() {
            return Err(StoreError::Invalid {
                place: self.place.clone(),
                action: "list",
                why: "the server says that there is more, but not where".to_owned(),
            });
        }
        let last = last.as_deref().and_then(|key| key.strip_prefix(&self.prefix));
        let last = last.or(after.map(Continuation::as_str)).unwrap_or_default();
        Ok(Some(Continuation::after_text(last).with_token(token)))
    }
}

/// Whether the server said yes and then something that is no listing.
fn is_unreadable<E>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|answer| answer.status().is_success())
}

/// The ETag without its quotes; where there is none, size and time of change.
pub(super) fn version(e_tag: Option<&str>, bytes: Option<u64>, changed: Option<&DateTime>) -> String {
    if let Some(e_tag) = e_tag {
        return e_tag.trim_matches('"').to_owned();
    }
    let (secs, nanos) = changed.map_or((0, 0), |at| (at.secs(), at.subsec_nanos()));
    format!("{}-{secs}.{nanos:09}", bytes.unwrap_or(0))
}

/// Undoes `encoding-type=url`, where a space is a '+'.
pub(super) fn decoded(text: &str) -> String {
    let input = text.as_bytes();
    let mut bytes = Vec::with_capacity(input.len());
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        let (byte, used) = match byte {
            b'+' => (b' ', 1),
            b'%' => input.get(at + 1..at + 3).and_then(hex).map_or((b'%', 1), |byte| (byte, 3)),
            other => (other, 1),
        };
        bytes.push(byte);
        at += used;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_key_is_read_back() {
        assert_eq!(decoded("clinic%3Dc/a+b%2Bc%01.jpg"), "clinic=c/a b+c\u{1}.jpg");
        assert_eq!(decoded("%E5%86%99"), "写");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%+1%zz"), "% 1%zz");
        assert_eq!(decoded("%ff"), "\u{fffd}");
    }

    #[test]
    fn a_version_is_the_etag_or_size_and_time() {
        assert_eq!(version(Some("\"abc-2\""), Some(5), None), "abc-2");
        let at = DateTime::from_secs(7);
        assert_eq!(version(None, Some(5), Some(&at)), "5-7.000000000");
    }
}
