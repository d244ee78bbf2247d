//! What can go wrong with a store, sorted by who has to act.
//!
//! A message says what was tried, where, why it failed and what to do. `place` is the store as people know
//! it (`s3://bucket/prefix` or the folder's path), `action` is the verb that failed.

use crate::ObjectKey;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The object is not there, or no longer.
    #[error("{place} has no object '{key}'")]
    NotFound { place: String, key: ObjectKey },

    /// Someone with the right to give rights has to act.
    #[error("not permitted to {action} {place}: {why}; {advice}")]
    Denied { place: String, action: &'static str, why: String, advice: &'static str },

    #[error(
        "there is no bucket for {place}; create it or correct its name, and check that AWS_ENDPOINT_URL and AWS_REGION mean the right server"
    )]
    NoSuchBucket { place: String },

    #[error("there is no folder '{path}'; create it or correct the path")]
    NoSuchFolder { path: String },

    /// The outage of a server, a network or a disk: the same request may succeed later.
    #[error("could not {action} {place}: {why}; try again, and if it lasts, check that the store can be reached")]
    Unavailable { place: String, action: &'static str, why: String },

    /// The object is larger than the caller allows. It was not read.
    #[error("'{key}' in {place} has {bytes} bytes or more, the limit is {limit}")]
    TooLarge { place: String, key: ObjectKey, bytes: u64, limit: u64 },

    #[error("no space left to {action} {place}: {why}; make space or choose another place")]
    Full { place: String, action: &'static str, why: String },

    /// The request makes no sense there, and will not another time: a setting has to be corrected.
    #[error("cannot {action} {place}: {why}")]
    Invalid { place: String, action: &'static str, why: String },
}

impl StoreError {
    /// Whether the same request may succeed later without anyone acting.
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_outage_is_worth_another_try() {
        let place = "s3://photos".to_owned();
        let outage = StoreError::Unavailable { place: place.clone(), action: "list", why: "503".to_owned() };
        assert!(outage.is_transient());
        assert!(!StoreError::NoSuchBucket { place }.is_transient());
    }

    #[test]
    fn a_message_says_what_where_why_and_what_to_do() {
        let denied = StoreError::Denied {
            place: "/photos".to_owned(),
            action: "read",
            why: "permission denied".to_owned(),
            advice: "give this user the right to it",
        };
        assert_eq!(
            denied.to_string(),
            "not permitted to read /photos: permission denied; give this user the right to it"
        );
    }
}
