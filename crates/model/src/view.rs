//! How a photo looks at the body (view) and which piece of skin is scored (region).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ClinicId, IdError};

/// Why a text is not a view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no view: use face.frontal, face.left45, face.right45, face.left90, face.right90, closeup.<region> or body.<site>"
)]
pub struct ViewError(pub String);

/// The standard view that a photo was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum View {
    FaceFrontal,
    FaceLeft45,
    FaceRight45,
    FaceLeft90,
    FaceRight90,
    /// A close-up without a face; the text names the place.
    Closeup(String),
    /// Another part of the body.
    Body(String),
}

impl View {
    /// Whether it shows a face, of which there are units.
    pub fn is_face(&self) -> bool {
        !matches!(self, View::Closeup(_) | View::Body(_))
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            View::FaceFrontal => f.write_str("face.frontal"),
            View::FaceLeft45 => f.write_str("face.left45"),
            View::FaceRight45 => f.write_str("face.right45"),
            View::FaceLeft90 => f.write_str("face.left90"),
            View::FaceRight90 => f.write_str("face.right90"),
            View::Closeup(place) => write!(f, "closeup.{place}"),
            View::Body(site) => write!(f, "body.{site}"),
        }
    }
}

impl FromStr for View {
    type Err = ViewError;
    fn from_str(text: &str) -> Result<Self, ViewError> {
        let error = || ViewError(text.chars().take(64).collect());
        Ok(match text {
            "face.frontal" => View::FaceFrontal,
            "face.left45" => View::FaceLeft45,
            "face.right45" => View::FaceRight45,
            "face.left90" => View::FaceLeft90,
            "face.right90" => View::FaceRight90,
            _ => {
                let (kind, place) = text.split_once('.').ok_or_else(error)?;
                let place: Result<ClinicId, IdError> = place.parse();
                let place = place.map_err(|_| error())?.to_string();
                if place.contains('.') {
                    return Err(error());
                }
                match kind {
                    "closeup" => View::Closeup(place),
                    "body" => View::Body(place),
                    _ => return Err(error()),
                }
            }
        })
    }
}

impl TryFrom<String> for View {
    type Error = ViewError;
    fn try_from(text: String) -> Result<Self, ViewError> {
        text.parse()
    }
}

impl From<View> for String {
    fn from(view: View) -> String {
        view.to_string()
    }
}

/// A piece of skin that is scored by itself: `cheek_l`, `forehead`, … or `whole` for the frame.
///
/// It is drawn once, on the baseline, and carried to follow-ups by the registration, so that a region
/// is always the same skin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    pub fn whole() -> Self {
        Self("whole".to_owned())
    }

    pub fn new(name: impl Into<String>) -> Result<Self, IdError> {
        let name = ClinicId::new(name)?;
        Ok(Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Region {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<Region> for String {
    fn from(region: Region) -> String {
        region.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_reads_back_as_written() {
        for text in ["face.frontal", "face.left45", "face.right90", "closeup.left_cheek", "body.back"] {
            assert_eq!(text.parse::<View>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_view_with_a_path_in_it_is_refused() {
        for bad in ["", "closeup", "closeup.", "closeup.a/b", "closeup.a.b", "selfie.x", "closeup..."] {
            assert!(bad.parse::<View>().is_err(), "{bad:?} was taken for a view");
        }
    }
}
