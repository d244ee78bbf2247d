//! Redness and pigment of scars against the skin around them.
//!
//! Differences within one photo: gains of camera and light cancel. Read where detail finer than 1 mm is smoothed away,
//! since scar walls look red-rimmed without any blood: red light spreads farther under the skin than green.

use cicatrix_photo::{Plane, masked_gaussian};

use crate::mask::{ScarMask, dilate};

/// Smoothing before colours are read, mm.
const SIGMA_MM: f64 = 1.0;
/// The ring of surrounding skin, mm from the scar.
const RING_MM: (f64, f64) = (2.0, 5.0);
const LEAST_PIXELS: f64 = 30.0;

/// `delta_ei`: erythema of the scars minus that of a 2–5 mm ring around them, `100·log10(R/G)` in linear light.
/// Typical range −2 to 10. Its limit: make-up and a tone curve between the photos.
pub fn delta_ei(
    ln_red: &Plane,
    ln_green: &Plane,
    weight: &Plane,
    mask: &ScarMask,
    px_per_mm: f64,
) -> Option<(f64, u64)> {
    let index = ln_red.zip(ln_green, |r, g| r - g);
    lesion_minus_ring(&index, weight, mask, px_per_mm)
}

/// `delta_mi`: melanin of the scars minus that of the ring, `100·log10(1/R)` in linear light. Typical range −3 to 10.
/// Shadow inside deep scars adds to it.
pub fn delta_mi(ln_red: &Plane, weight: &Plane, mask: &ScarMask, px_per_mm: f64) -> Option<(f64, u64)> {
    lesion_minus_ring(&ln_red.map(|r| -r), weight, mask, px_per_mm)
}

fn lesion_minus_ring(index: &Plane, weight: &Plane, mask: &ScarMask, px_per_mm: f64) -> Option<(f64, u64)> {
    let smooth = masked_gaussian(index, weight, (SIGMA_MM * px_per_mm) as f32);
    let near = dilate(&mask.scar, RING_MM.0 * px_per_mm);
    let far = dilate(&mask.scar, RING_MM.1 * px_per_mm);
    let ring = far.zip(&near, |f, n| f * (1.0 - n)).zip(&mask.region, |a, b| a * b);
    let (lesion, n) = mean(&smooth, &mask.scar, weight)?;
    let (around, _) = mean(&smooth, &ring, weight)?;
    Some((100.0 * (lesion - around) / std::f64::consts::LN_10, n))
}

fn mean(plane: &Plane, mask: &Plane, weight: &Plane) -> Option<(f64, u64)> {
    let (mut sum, mut n) = (0.0, 0.0);
    for ((v, m), w) in plane.data.iter().zip(&mask.data).zip(&weight.data) {
        let weight = f64::from(m * w);
        sum += weight * f64::from(*v);
        n += weight;
    }
    (n >= LEAST_PIXELS).then(|| (sum / n, n as u64))
}
