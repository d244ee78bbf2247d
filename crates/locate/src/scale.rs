use cicatrix_model::ScaleSource;
use serde::{Deserialize, Serialize};

/// Width in millimetres that a close-up is taken to show when nothing says it: an ordinary phone close-up of a cheek.
const NOMINAL_WIDTH_MM: f64 = 65.0;

/// Pixels per millimetre on the skin, and how we know.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    pub px_per_mm: f64,
    pub source: ScaleSource,
}

/// The scale of a photo; without a manifest's word a nominal one, marked unknown.
pub fn scale(manifest_px_per_mm: Option<f64>, width: usize, height: usize) -> Scale {
    match manifest_px_per_mm {
        Some(px_per_mm) => Scale { px_per_mm, source: ScaleSource::Manifest },
        None => Scale { px_per_mm: width.max(height) as f64 / NOMINAL_WIDTH_MM, source: ScaleSource::Unknown },
    }
}
