use serde::{Deserialize, Serialize};

/// Bands of the relief, σ in millimetres: difference of Gaussians σ and 2σ.
pub(crate) const BANDS: usize = 4;

/// Settings of the measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreSettings {
    /// σ of each band in millimetres. From 0.2 mm: the fine bands carry most of the signal of acne scars.
    pub band_sigma_mm: [f64; BANDS],
    /// Weight of each band in `psi`, ≥ 0. The coarse bands hold undulation and light as well as scars.
    pub band_weight: [f64; BANDS],
    /// Weight of each band in the search for scars.
    pub mask_weight: [f64; BANDS],
    /// Energy is smoothed over this multiple of the band's σ (at least `mask_smooth_floor_mm`) before the threshold.
    pub mask_smooth: f64,
    pub mask_smooth_floor_mm: f64,
    /// A scar stands out from the region's median energy by this factor.
    pub mask_threshold: f64,
    /// Skin nearer to a scar than this is no reference skin, mm.
    pub reference_gap_mm: f64,
    /// Less scar than this in a region is none, mm².
    pub least_scar_mm2: f64,
    /// Linear green above this is a highlight, not skin.
    pub highlight: f64,
}

impl Default for ScoreSettings {
    fn default() -> Self {
        Self {
            band_sigma_mm: [0.2, 0.4, 0.8, 1.6],
            band_weight: [1.0, 1.0, 0.5, 0.25],
            mask_weight: [0.0, 1.0, 1.0, 0.5],
            mask_smooth: 1.5,
            mask_smooth_floor_mm: 0.6,
            mask_threshold: 2.0,
            reference_gap_mm: 0.5,
            least_scar_mm2: 2.0,
            highlight: 0.85,
        }
    }
}
