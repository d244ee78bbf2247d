use cicatrix_photo::{Frame, Plane};

use crate::features::Features;
use crate::local_contrast::normalize;
use crate::settings::Precision;

/// Pixels of the finest level: beyond 3 MP the gain is under 0.02 px and the cost is four times higher.
const FINEST_PIXELS: usize = 3_200_000;
/// Pixels of the level on which features are found.
const FEATURE_PIXELS: usize = 800_000;
/// Levels of the search, finest first.
const LEVELS: usize = 4;
/// A level with a shorter side below this has too few cells.
const SHORTEST_SIDE: usize = 96;
/// A photo with a shorter side below this has no levels at all, and is refused.
const LEAST_SIDE: usize = 16;

/// One level of the pyramid.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    /// Pixels of the photo per pixel of the level: 1, 2, 4, …
    pub(crate) factor: usize,
    /// 0 for the finest level that the photo can have, then 1, 2, …
    pub(crate) rank: usize,
    /// Locally normalized green.
    pub(crate) normalized: Plane,
}

/// A photo made ready for registration. The baseline's is made once per series.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub width: usize,
    pub height: usize,
    /// Finest first.
    pub(crate) levels: Vec<Level>,
    pub(crate) features: Features,
}

impl Prepared {
    /// `precision` as it will be asked of the registration: for scoring the finest level is not made.
    pub fn new(frame: &Frame, precision: Precision) -> Self {
        let mut factor = 1;
        while frame.pixels() > FINEST_PIXELS * factor * factor {
            factor *= 2;
        }
        let mut plane = frame.green_for_matching(factor);
        let mut levels = Vec::new();
        let mut features = None;
        // In fewer pixels there is nothing to find, nor to blur.
        let ranks = if plane.width.min(plane.height) < LEAST_SIDE { 0..0 } else { 0..LEVELS };
        for rank in ranks {
            if rank > 0 {
                if plane.width.min(plane.height) < 2 * SHORTEST_SIDE {
                    break;
                }
                (plane, factor) = (plane.half(), factor * 2);
            }
            let too_fine =
                rank == 0 && precision == Precision::Scoring && plane.width.min(plane.height) >= 2 * SHORTEST_SIDE;
            if too_fine && plane.data.len() > FEATURE_PIXELS {
                continue;
            }
            let normalized = normalize(&plane);
            if features.is_none() && plane.data.len() <= FEATURE_PIXELS {
                features = Some(Features::find(&normalized, |v| to_photo(v, factor)));
            }
            if !too_fine {
                levels.push(Level { factor, rank, normalized });
            }
        }
        let features = features.unwrap_or_default();
        Self { width: frame.width, height: frame.height, levels, features }
    }

    /// Features of the next coarser level, if there is one.
    pub(crate) fn coarser_features(&self) -> Option<Features> {
        let level = self.levels.iter().find(|level| level.normalized.data.len() <= FEATURE_PIXELS / 3)?;
        Some(Features::find(&level.normalized, |v| to_photo(v, level.factor)))
    }
}

/// Place in the photo of a place in a level.
pub(crate) fn to_photo(level: f64, factor: usize) -> f64 {
    (level + 0.5) * factor as f64 - 0.5
}

/// Place in a level of a place in the photo.
pub(crate) fn to_level(photo: f64, factor: usize) -> f64 {
    (photo + 0.5) / factor as f64 - 0.5
}
