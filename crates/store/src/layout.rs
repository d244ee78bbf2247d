//! What a key means: whose photo it is, of which visit, view and shot.
//!
//! Two ways to write it down. The standard grammar names its folders, so it is found wherever it begins and a
//! store may be opened above or below `incoming/`:
//!
//! ```text
//! incoming/clinic=<id>/patient=<pseudonym>/session=<YYYY-MM-DD>-<nn>/<view>.<shot>.<jpg|jpeg|png|webp|tif|tiff|heic>
//!                                                                    manifest.json
//! incoming/sessions.csv
//! ```
//!
//! A clinic with another habit gives a pattern such as `{patient}/{session}_{view}.{ext}`. A pattern names no
//! folders, so it has to match the whole key: a leading folder that is left out could be the one thing that
//! tells two patients apart.

mod address;
mod name;
mod pattern;
mod standard;

use std::fmt;

use cicatrix_model::ClinicId;

pub use self::address::{PhotoAddress, SessionAddress};
pub use self::pattern::LayoutError;
use self::pattern::Pattern;
use crate::ObjectKey;

/// What an object is, by its key alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Photo(PhotoAddress),
    /// The `manifest.json` of a session.
    Manifest(SessionAddress),
    SessionsCsv,
    /// Nothing to measure: results, derived pictures, hidden and unrelated files.
    Other,
    /// It looks like a photo (or a manifest) of ours but does not follow the layout. `why` is for people and
    /// names no patient.
    Bad {
        why: String,
        /// The session in whose folder it lies, if that can be told.
        session: Option<SessionAddress>,
    },
}

/// The rule by which keys are read.
#[derive(Debug, Clone, Default)]
pub struct Layout(Rule);

#[derive(Debug, Clone, Default)]
enum Rule {
    #[default]
    Standard,
    Pattern(Pattern),
}

impl Layout {
    pub fn standard() -> Self {
        Self::default()
    }

    /// A pattern of literals and the fields `{clinic}`, `{patient}`, `{session}`, `{view}`, `{shot}`, `{ext}`.
    ///
    /// A field takes as little as it can up to the next literal, never a '/'. A session is `YYYY-MM-DD` or
    /// `YYYY-MM-DD-nn`. Without `{shot}` a view may carry its shot as in the standard grammar. Without
    /// `{clinic}` every photo is of `default_clinic`. A field that comes twice has to have the same text.
    pub fn pattern(text: &str, default_clinic: Option<ClinicId>) -> Result<Self, LayoutError> {
        Ok(Self(Rule::Pattern(Pattern::parse(text, default_clinic)?)))
    }

    pub fn classify(&self, key: &ObjectKey) -> Entry {
        if key.segments().any(|segment| segment.starts_with('.')) {
            return Entry::Other;
        }
        match &self.0 {
            Rule::Standard => standard::classify(key),
            Rule::Pattern(pattern) => pattern.classify(key),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Standard => f.write_str("clinic={clinic}/patient={patient}/session={session}/{view}.{shot}.{ext}"),
            Rule::Pattern(pattern) => f.write_str(pattern.text()),
        }
    }
}

/// Folders that this program writes; what lies in them is never a patient's upload.
fn is_ours(folder: &str) -> bool {
    matches!(folder, "derived" | "results" | "reports")
}

#[cfg(test)]
mod tests;
