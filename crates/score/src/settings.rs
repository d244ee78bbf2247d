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
    /// Skin that stands out as a pit by this many robust standard deviations of ordinary skin is a scar.
    pub mask_threshold: f64,
    /// The same for a raised scar. Grains and papules are bumps too, so more is asked of it.
    pub raised_threshold: f64,
    /// The mask is grown by this, mm: the walls belong to the scar.
    pub mask_grow_mm: f64,
    /// A speck below this is noise, mm².
    pub least_piece_mm2: f64,
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
            mask_threshold: 1.85,
            raised_threshold: 4.0,
            mask_grow_mm: 0.2,
            least_piece_mm2: 0.3,
            reference_gap_mm: 0.5,
            least_scar_mm2: 2.0,
            highlight: 0.85,
        }
    }
}
