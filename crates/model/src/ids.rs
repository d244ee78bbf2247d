//! Names of clinics, patients and sessions: short, plain, safe in a path, a key or a log field.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("an id needs 1 to 64 characters, this has {0}")]
    Length(usize),
    #[error("an id is made of letters, digits, '-', '_' and '.', and begins with a letter or digit")]
    Characters,
    #[error("a session is written <YYYY-MM-DD>-<nn>, for example 2026-11-21-01")]
    Session,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() || text.len() > 64 {
        return Err(IdError::Length(text.len()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.chars().all(plain) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(IdError::Characters);
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id! {
    /// A clinic, `c-014`.
    #[derive(Debug)]
    ClinicId
}
id! {
    /// A patient's pseudonym, `pt-7k2m`. Its `Debug` form is redacted, so that it does not slip into a log.
    PatientId
}

impl fmt::Debug for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientId(…)")
    }
}

/// One visit: its date and a number that tells two visits of a day apart, `2026-11-21-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionKey {
    pub date: Date,
    /// 1 to 99.
    pub ordinal: u8,
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.date, self.ordinal)
    }
}

impl FromStr for SessionKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (date, ordinal) = match (text.len(), text.rsplit_once('-')) {
            (13, Some(parts)) => parts,
            (10, _) => (text, "01"),
            _ => return Err(IdError::Session),
        };
        let date: Date = date.parse().map_err(|_| IdError::Session)?;
        let ordinal: u8 = ordinal.parse().map_err(|_| IdError::Session)?;
        let key = Self { date, ordinal };
        // A number may be parsed from more than its digits, such as '+1'.
        if ordinal == 0 || !key.to_string().starts_with(text) {
            return Err(IdError::Session);
        }
        Ok(key)
    }
}

impl TryFrom<String> for SessionKey {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<SessionKey> for String {
    fn from(key: SessionKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_reads_back_as_written() {
        let key: SessionKey = "2026-11-21-03".parse().unwrap();
        assert_eq!(key.to_string(), "2026-11-21-03");
        assert_eq!("2026-11-21".parse::<SessionKey>().unwrap().ordinal, 1);
    }

    #[test]
    fn a_session_key_is_made_of_digits_alone() {
        for bad in ["2026-11-21-+1", "2026-11-21--1", "2026-11-21-1", "2026-11-21-00", "2026-11-21-1a"] {
            assert_eq!(bad.parse::<SessionKey>(), Err(IdError::Session), "{bad:?} was taken for a session");
        }
    }

    #[test]
    fn an_id_that_could_climb_out_of_a_folder_is_refused() {
        for bad in ["", "..", "../x", "a/b", "a\\b", "a b", "-x", "ä", &"x".repeat(65)] {
            assert!(PatientId::new(bad).is_err(), "{bad:?} was taken for an id");
        }
        assert!(PatientId::new("pt-7k2m").is_ok());
    }

    #[test]
    fn a_patient_does_not_show_in_debug_output() {
        let shown = format!("{:?}", PatientId::new("pt-7k2m").unwrap());
        assert!(!shown.contains("7k2m"));
    }
}
