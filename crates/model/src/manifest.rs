//! `manifest.json` of a session, schema `cicatrix.session/1`: the upload's commit marker.
//!
//! Unknown fields are kept, so that a clinic's own notes survive. What is not sensible is refused with the
//! field's name.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClinicId, PatientId, Region, View};

pub const SCHEMA: &str = "cicatrix.session/1";

/// A photo with more regions than this was not drawn by a hand.
const MOST_REGIONS: usize = 32;
const MOST_SCARS: usize = 512;

/// Why a manifest cannot be used although it is well-formed JSON.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ManifestError {
    #[error("'schema' is '{0}', this program reads '{SCHEMA}'")]
    Schema(String),
    #[error("photo '{file}': {problem}")]
    Photo { file: String, problem: String },
    #[error("the photo '{0}' is described twice")]
    Twice(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionManifest {
    pub schema: String,
    pub clinic_id: ClinicId,
    pub patient_id: PatientId,
    #[schemars(with = "String")]
    pub session_date: Date,
    #[serde(default)]
    pub session_no: Option<u32>,
    /// This session is the one that all others are compared with.
    #[serde(default)]
    pub baseline: bool,
    #[serde(default)]
    pub treatment: Treatment,
    #[serde(default)]
    pub subject: Subject,
    #[serde(default)]
    pub consent: Option<Consent>,
    #[serde(default)]
    pub clinician_scores: BTreeMap<String, f64>,
    pub photos: Vec<PhotoEntry>,
    /// Fields this program does not know, kept as they came.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// What was done before this session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Treatment {
    #[serde(default)]
    pub modality: Option<String>,
    #[serde(default)]
    pub sessions_before: Option<u32>,
    /// Days since the last treatment session; under the protocol's limit the photo is no endpoint.
    #[serde(default)]
    pub days_since_last: Option<u32>,
    #[serde(default)]
    pub needle_depth_mm: Option<f64>,
    #[serde(default)]
    pub passes: Option<u32>,
    #[serde(default)]
    pub device: Option<String>,
    #[serde(default)]
    pub adjuncts: Vec<String>,
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// Skin type, I to VI.
    #[serde(default)]
    pub fitzpatrick: Option<String>,
    #[serde(default)]
    pub age_band: Option<String>,
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    #[serde(default)]
    pub scope: Vec<String>,
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lighting {
    #[default]
    Standard,
    CrossPolarised,
    ParallelPolarised,
    Raking,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColourTarget {
    #[default]
    None,
    Classic24,
    Grey,
}

/// One photo of the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhotoEntry {
    pub view: View,
    /// Number of the shot, from 1; shots of a view are re-seated repeats.
    #[serde(default = "one")]
    pub n: u16,
    /// File name beside the manifest.
    pub file: String,
    #[serde(default)]
    pub sha256: Option<String>,
    #[serde(default)]
    pub bytes: Option<u64>,
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub captured_at: Option<Timestamp>,
    #[serde(default)]
    pub lighting: Lighting,
    #[serde(default)]
    pub colour_target: ColourTarget,
    /// Pixels per millimetre on the skin, upright image.
    #[serde(default)]
    pub px_per_mm: Option<f64>,
    /// Regions to score, used on the baseline's photo; at most 32, each with a name of its own.
    #[serde(default)]
    pub regions: Vec<RegionPolygon>,
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// A region as a polygon in pixels of the upright photo; pixel centres lie at integers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegionPolygon {
    pub name: Region,
    pub polygon_px: Vec<[f64; 2]>,
    /// Outlines of the region's scars, each as a polygon. Drawn ones are measured instead of those that the program would
    /// find; at most 512.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scars: Vec<Vec<[f64; 2]>>,
}

fn one() -> u16 {
    1
}

fn is_polygon(points: &[[f64; 2]]) -> bool {
    (3..=4096).contains(&points.len()) && points.iter().flatten().all(|c| c.is_finite())
}

impl SessionManifest {
    /// Checks what serde cannot: schema name, scales, polygons, file names, doubles.
    pub fn validate(&self) -> Result<(), ManifestError> {
        if self.schema != SCHEMA {
            return Err(ManifestError::Schema(self.schema.clone()));
        }
        let mut seen = std::collections::BTreeSet::new();
        for photo in &self.photos {
            let problem = |text: &str| ManifestError::Photo {
                file: photo.file.chars().take(64).collect(),
                problem: text.to_owned(),
            };
            if photo.file.is_empty() || photo.file.contains(['/', '\\', '\0']) {
                return Err(problem("'file' must be a plain name beside the manifest"));
            }
            if photo.n == 0 {
                return Err(problem("'n' counts from 1"));
            }
            if photo.px_per_mm.is_some_and(|s| !(s.is_finite() && s > 0.0 && s < 1000.0)) {
                return Err(problem("'px_per_mm' must be between 0 and 1000"));
            }
            if photo.sha256.as_ref().is_some_and(|s| s.len() != 64 || !s.bytes().all(|b| b.is_ascii_hexdigit())) {
                return Err(problem("'sha256' must be 64 hexadecimal digits"));
            }
            if photo.regions.len() > MOST_REGIONS {
                return Err(problem(&format!("{} regions, a photo has at most {MOST_REGIONS}", photo.regions.len())));
            }
            let mut names = std::collections::BTreeSet::new();
            for region in &photo.regions {
                if !names.insert(&region.name) {
                    return Err(problem(&format!(
                        "two regions are named '{}': give each a name of its own",
                        region.name
                    )));
                }
                if !is_polygon(&region.polygon_px) {
                    return Err(problem("a region polygon needs 3 to 4096 finite points"));
                }
                if region.scars.len() > MOST_SCARS || !region.scars.iter().all(|scar| is_polygon(scar)) {
                    return Err(problem(&format!(
                        "'scars' of region '{}' are at most {MOST_SCARS} polygons of 3 to 4096 finite points each",
                        region.name
                    )));
                }
            }
            if !seen.insert((&photo.view, photo.n)) {
                return Err(ManifestError::Twice(format!("{}.{}", photo.view, photo.n)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{ "schema": "cicatrix.session/1", "clinic_id": "c-014", "patient_id": "pt-7k2m",
        "session_date": "2026-11-21", "session_no": 3, "room": "B",
        "treatment": {"modality": "microneedling", "days_since_last": 42, "adjuncts": ["prp"]},
        "photos": [{"view": "closeup.left_cheek", "n": 1, "file": "a.jpg", "px_per_mm": 12.4, "iso": 100,
                    "regions": [{"name": "cheek_l", "polygon_px": [[0, 0], [10, 0], [10, 10]]}]}] }"#;

    fn example() -> SessionManifest {
        serde_json::from_str(EXAMPLE).unwrap()
    }

    #[test]
    fn unknown_fields_are_kept() {
        let manifest = example();
        manifest.validate().unwrap();
        let again = serde_json::to_value(&manifest).unwrap();
        assert_eq!(again["room"], "B");
        assert_eq!(again["photos"][0]["iso"], 100);
    }

    #[test]
    fn a_photo_described_twice_is_refused() {
        let mut manifest = example();
        manifest.photos.push(manifest.photos[0].clone());
        assert!(matches!(manifest.validate(), Err(ManifestError::Twice(_))));
    }

    #[test]
    fn two_regions_of_one_name_are_refused_and_so_are_too_many() {
        let mut manifest = example();
        let first = manifest.photos[0].regions[0].clone();
        manifest.photos[0].regions.push(first.clone());
        let twice = manifest.validate().unwrap_err().to_string();
        assert!(twice.contains("two regions are named 'cheek_l'"), "{twice}");

        let named = |i: usize| RegionPolygon { name: Region::new(format!("r{i}")).unwrap(), ..first.clone() };
        manifest.photos[0].regions = (0..MOST_REGIONS).map(named).collect();
        manifest.validate().unwrap();
        manifest.photos[0].regions.push(named(MOST_REGIONS));
        let many = manifest.validate().unwrap_err().to_string();
        assert!(many.contains("33 regions"), "{many}");
    }

    #[test]
    fn a_scar_needs_three_points() {
        let mut manifest = example();
        manifest.photos[0].regions[0].scars = vec![vec![[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]]];
        manifest.validate().unwrap();
        manifest.photos[0].regions[0].scars.push(vec![[1.0, 1.0], [2.0, 1.0]]);
        let said = manifest.validate().unwrap_err().to_string();
        assert!(said.contains("'scars' of region 'cheek_l'"), "{said}");
    }

    #[test]
    fn a_file_name_that_leaves_the_session_is_refused() {
        let mut manifest = example();
        manifest.photos[0].file = "../other/a.jpg".to_owned();
        assert!(matches!(manifest.validate(), Err(ManifestError::Photo { .. })));
    }
}
