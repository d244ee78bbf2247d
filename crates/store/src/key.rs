//! A key that is safe to use: relative, plain, without a way out of its folder.
//!
//! Whoever may upload chooses the key, so a key is checked before it is joined to a path, put into a request
//! or shown. The rules are stricter than S3's: what a local folder could not hold under the same name, or
//! could mistake for a way out, is refused everywhere, so that folder and bucket agree.

use std::fmt;
use std::str::FromStr;

/// Why a text is no object key. Such an object is reported as `bad_key` and never fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is empty")]
    Empty,
    #[error("the key has {bytes} bytes, at most {limit} are allowed", bytes = .0, limit = ObjectKey::MAX_BYTES)]
    TooLong(usize),
    #[error("the key begins with '/'")]
    Absolute,
    #[error("the key has an empty part: '//' or a '/' at its end")]
    EmptySegment,
    #[error("the key has a part '.' or '..'")]
    DotSegment,
    #[error("the key has a backslash")]
    Backslash,
    #[error("the key has a control character")]
    Control,
    #[error("the key is not proper UTF-8")]
    NotUtf8,
}

/// A relative key with '/' between its parts, such as
/// `incoming/clinic=c-014/patient=pt-7k2m/session=2026-11-21-01/face.frontal.1.jpg`.
///
/// Ordered by bytes, as S3 lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Half of what S3 allows: room for a prefix, and for what is derived from the key.
    pub const MAX_BYTES: usize = 512;

    pub fn parse(text: &str) -> Result<Self, KeyError> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key one level below, or several when `below` has a '/'.
    pub fn join(&self, below: &str) -> Result<Self, KeyError> {
        Self::parse(&format!("{}/{below}", self.0))
    }

    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// What follows the last '/'.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.as_str(), |(_, name)| name)
    }

    /// What precedes the last '/', if there is one.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(folder, _)| Self(folder.to_owned()))
    }
}

fn check(text: &str) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.len() > ObjectKey::MAX_BYTES {
        return Err(KeyError::TooLong(text.len()));
    }
    if text.starts_with('/') {
        return Err(KeyError::Absolute);
    }
    if text.contains('\\') {
        return Err(KeyError::Backslash);
    }
    if text.contains(char::is_control) {
        return Err(KeyError::Control);
    }
    // The mark that a lossy decoding leaves: the true name is another one and could not be fetched.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(KeyError::NotUtf8);
    }
    for segment in text.split('/') {
        match segment {
            "" => return Err(KeyError::EmptySegment),
            "." | ".." => return Err(KeyError::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_could_leave_its_folder_is_refused() {
        let refused = [
            ("", KeyError::Empty),
            ("/etc/passwd", KeyError::Absolute),
            ("..", KeyError::DotSegment),
            ("a/../b", KeyError::DotSegment),
            ("a/..", KeyError::DotSegment),
            ("./a", KeyError::DotSegment),
            ("a//b", KeyError::EmptySegment),
            ("a/", KeyError::EmptySegment),
            ("a\\..\\b", KeyError::Backslash),
            ("a\0b", KeyError::Control),
            ("a\nb", KeyError::Control),
            ("a\u{7f}", KeyError::Control),
            ("a\u{85}", KeyError::Control),
            ("a\u{fffd}", KeyError::NotUtf8),
        ];
        for (text, why) in refused {
            assert_eq!(ObjectKey::parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_key_of_512_bytes_is_the_longest() {
        assert!(ObjectKey::parse(&"k".repeat(512)).is_ok());
        assert_eq!(ObjectKey::parse(&"k".repeat(513)), Err(KeyError::TooLong(513)));
        assert!(KeyError::TooLong(513).to_string().contains("513 bytes, at most 512"));
    }

    #[test]
    fn strange_but_harmless_keys_are_kept_as_they_are() {
        for text in ["a b", "a+b", "a=b", "...", "a/..b", "ä/日本.jpg", "100%.jpg", ".hidden", "C:"] {
            assert_eq!(ObjectKey::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_key_knows_its_folder_and_its_name() {
        let key = ObjectKey::parse("a/b/c.jpg").unwrap();
        assert_eq!(key.file_name(), "c.jpg");
        let folder = key.parent().unwrap();
        assert_eq!(folder.as_str(), "a/b");
        assert_eq!(folder.join("c.jpg").unwrap(), key);
        assert_eq!(folder.join("../c.jpg"), Err(KeyError::DotSegment));
        assert_eq!(ObjectKey::parse("c.jpg").unwrap().parent(), None);
        assert_eq!(key.segments().collect::<Vec<_>>(), ["a", "b", "c.jpg"]);
    }
}
