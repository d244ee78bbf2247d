//! The photographic scar index and its companions.

use cicatrix_photo::Plane;

use crate::relief::Relief;
use crate::settings::{BANDS, ScoreSettings};

/// `psi`, the photographic scar index: contrast of the scars beyond that of healthy skin, in units of the latter.
///
/// `√(Σ_k w_k · max(E_k^scar − E_k^ref, 0)) / √(Σ_k w_k · E_k^ref)` with `E_k` the mean of the squared band k of
/// the relief ([`Relief`]) over the scar mask or the reference skin. Unit 1, range [`PSI_FLOOR`] upward; typical acne scars 1 to 4.
///
/// Proportional to scar depth for shallow scars under one light. Gain and gamma of the camera cancel exactly, ambient
/// light and gloss for the most part, the elevation of the light to about a third. Known limits: a change of the
/// reference skin itself (dry, swollen) moves it by about a fifth of that change. `None` where either mask is empty.
/// White balance and exposure cancel; doubled gloss moved it by a tenth on one of two renderers.
pub fn psi(relief: &Relief, scar: &Plane, reference: &Plane, settings: &ScoreSettings) -> Option<(f64, u64)> {
    let (inside, n) = relief.mean_energy(scar);
    let (outside, n_reference) = relief.mean_energy(reference);
    if n < LEAST_PIXELS || n_reference < LEAST_PIXELS {
        return None;
    }
    let weighted = |f: &dyn Fn(usize) -> f64| (0..BANDS).map(|k| settings.band_weight[k] * f(k)).sum::<f64>();
    let excess = weighted(&|k| (inside[k] - outside[k]).max(0.0));
    let skin = weighted(&|k| outside[k]);
    (skin > 0.0).then(|| ((excess / skin).sqrt().max(PSI_FLOOR), n))
}

/// Scars that stand out less than this, or not at all, are told as this much: what has healed out of sight is a large
/// improvement, not a missing number.
pub const PSI_FLOOR: f64 = 0.05;

/// Fewer grid pixels than this carry no statistics.
const LEAST_PIXELS: u64 = 30;

/// `ref_energy`: `Σ_k w_k · E_k^ref`, contrast energy of reference skin, ln². The drift channel: it moves with light,
/// focus, moisture and make-up, and should stay when skin and setting do.
pub fn ref_energy(relief: &Relief, reference: &Plane, settings: &ScoreSettings) -> Option<(f64, u64)> {
    let (energy, n) = relief.mean_energy(reference);
    let sum = (0..BANDS).map(|k| settings.band_weight[k] * energy[k]).sum::<f64>();
    (n >= LEAST_PIXELS && sum > 0.0).then_some((sum, n))
}
