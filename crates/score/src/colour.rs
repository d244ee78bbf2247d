//! Redness and pigment of scars against the skin around them, and colours of skin where a card tells them.
//!
//! Differences are within one photo: gains of camera and light cancel. Read where detail finer than 1 mm is smoothed away,
//! since scar walls look red-rimmed without any blood: red light spreads farther under the skin than green.

use cicatrix_photo::{Plane, masked_gaussian, masked_median};
use palette::{IntoColor, Lab, LinSrgb};

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
    lesion_minus_ring(&erythema(ln_red, ln_green), weight, mask, px_per_mm)
}

fn erythema(ln_red: &Plane, ln_green: &Plane) -> Plane {
    ln_red.zip(ln_green, |r, g| r - g)
}

fn melanin(ln_red: &Plane) -> Plane {
    ln_red.map(|r| -r)
}

/// `delta_mi`: melanin of the scars minus that of the ring, `100·log10(1/R)` in linear light. Typical range −3 to 10.
/// Shadow inside deep scars adds to it.
pub fn delta_mi(ln_red: &Plane, weight: &Plane, mask: &ScarMask, px_per_mm: f64) -> Option<(f64, u64)> {
    lesion_minus_ring(&melanin(ln_red), weight, mask, px_per_mm)
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

/// How much redness and pigment vary on a baseline's ordinary skin: robust standard deviations, ln.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourNoise {
    erythema: f32,
    melanin: f32,
}

/// Skin around a spot that its colour is compared with, σ in mm: where the ring of scars begins and ends.
const AROUND_MM: f64 = 5.0;
/// A spot stands out by this many standard deviations.
const STANDS_OUT: f32 = 2.0;

impl ColourNoise {
    pub fn of(ln_red: &Plane, ln_green: &Plane, weight: &Plane, mask: &ScarMask, px_per_mm: f64) -> Self {
        let spread = |index: &Plane| {
            let excess = excess(index, weight, mask, px_per_mm).map(f32::abs);
            1.4826 * masked_median(&excess, &mask.reference.zip(weight, |r, w| r * w))
        };
        Self { erythema: spread(&erythema(ln_red, ln_green)), melanin: spread(&melanin(ln_red)) }
    }

    /// `redness_area`: nodes of the region that are redder than the skin around them by twice the baseline's noise; times
    /// the area of a node `redness_area_mm2`. A twentieth of ordinary skin is, by the meaning of noise.
    pub fn redness_nodes(
        &self,
        ln_red: &Plane,
        ln_green: &Plane,
        weight: &Plane,
        mask: &ScarMask,
        px_per_mm: f64,
    ) -> u64 {
        standing_out(&excess(&erythema(ln_red, ln_green), weight, mask, px_per_mm), weight, mask, self.erythema)
    }

    /// `pigment_area`: the same of melanin. Shadow in deep scars counts as pigment.
    pub fn pigment_nodes(&self, ln_red: &Plane, weight: &Plane, mask: &ScarMask, px_per_mm: f64) -> u64 {
        standing_out(&excess(&melanin(ln_red), weight, mask, px_per_mm), weight, mask, self.melanin)
    }
}

/// An index, smoothed, less that of the ordinary skin around.
fn excess(index: &Plane, weight: &Plane, mask: &ScarMask, px_per_mm: f64) -> Plane {
    let smooth = masked_gaussian(index, weight, (SIGMA_MM * px_per_mm) as f32);
    let skin = mask.reference.zip(weight, |r, w| r * w);
    let around = masked_gaussian(index, &skin, (AROUND_MM * px_per_mm) as f32);
    smooth.zip(&around, |s, a| s - a)
}

fn standing_out(excess: &Plane, weight: &Plane, mask: &ScarMask, noise: f32) -> u64 {
    let usable = mask.region.zip(weight, |r, w| r * w);
    excess.data.iter().zip(&usable.data).filter(|(e, u)| **u > 0.5 && **e > STANDS_OUT * noise).count() as u64
}

/// `a_star` (CIELAB, D65; redness, 5 to 25 on skin) and `ita_deg`, the individual typology angle
/// `atan2(L* − 50, b*)` in degrees (above 55 very light, under −30 dark; Chardon 1991, Int. J. Cosmet. Sci. 13:191), of
/// the mean colour of ordinary skin. `rgb` are linear red, green and blue with sRGB primaries, as a colour card has
/// them; without one they are not given, since exposure alone moves the angle by tens of degrees.
pub fn a_star_ita(rgb: [&Plane; 3], weight: &Plane, mask: &ScarMask) -> Option<(f64, f64, u64)> {
    let [r, g, b] = rgb.map(|plane| mean(plane, &mask.reference, weight));
    let (r, n) = r?;
    let lab: Lab<_, f64> = LinSrgb::new(r, g?.0, b?.0).into_color();
    Some((lab.a, (lab.l - 50.0).atan2(lab.b).to_degrees(), n))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_skin_has_a_high_angle_and_a_dark_one_a_low_one() {
        let region = Plane::filled(20, 20, 1.0);
        let mask = ScarMask::without_scars(&region);
        let angle = |rgb: [f32; 3]| {
            let planes = rgb.map(|v| Plane::filled(20, 20, v));
            a_star_ita(planes.each_ref(), &region, &mask).unwrap()
        };
        // sRGB (224, 172, 150) and (92, 62, 48) by colour.science: a* 15.8 and 10.3, ITA 51.4 and -59.0.
        let light = angle([0.7454, 0.4125, 0.3050]);
        let dark = angle([0.1070, 0.0482, 0.0296]);
        assert!((10.0..20.0).contains(&light.0) && light.1 > 41.0, "{light:?}");
        assert!(dark.1 < -30.0, "{dark:?}");
    }
}
