//! Shading contrast of a photo in bands: what relief looks like.

use cicatrix_photo::{Plane, masked_gaussian};

use crate::pits::Shot;
use crate::settings::{BANDS, ScoreSettings};

/// Coarser than this (σ, mm) relief is read in red, finer in green. Blood absorbs green and hardly red: redness that
/// fades would else be taken for relief that fills. Finer than this, red is blurred by scatter under the skin.
const RED_FROM_MM: f64 = 0.3;

/// What of ln light is relief: green where it is fine, red where it is coarse.
pub(crate) fn plain_shade([ln_red, ln_green, _]: [&Plane; 3], weight: &Plane, px_per_mm: f64) -> Plane {
    let colour = ln_green.zip(ln_red, |g, r| g - r);
    let colour = masked_gaussian(&colour, weight, (RED_FROM_MM * px_per_mm) as f32);
    ln_green.zip(&colour, |g, c| g - c)
}

/// Bands of the logarithm of light.
#[derive(Debug, Clone)]
pub struct Relief {
    /// `B_k`, ln, per band.
    pub band: [Plane; BANDS],
    /// 1 where the photo is usable.
    pub weight: Plane,
    pub px_per_mm: f64,
}

impl Relief {
    /// `B_k = (G_σk − G_2σk) ∗ (ln G − G_0.3mm ∗ (ln G − ln R))`.
    pub fn new(shot: &Shot<'_>, settings: &ScoreSettings) -> Self {
        let (weight, px_per_mm) = (shot.weight, shot.px_per_mm);
        let ln = plain_shade(shot.ln, weight, px_per_mm);
        let sigma = |k: usize| (settings.band_sigma_mm[k] * px_per_mm) as f32;
        let ladder: Vec<Plane> = (0..BANDS).map(|k| masked_gaussian(&ln, weight, sigma(k))).collect();
        let band = std::array::from_fn(|k| {
            let doubled =
                settings.band_sigma_mm.iter().position(|s| (s - 2.0 * settings.band_sigma_mm[k]).abs() < 1e-9);
            let coarse = match doubled {
                Some(next) => ladder[next].clone(),
                None => masked_gaussian(&ln, weight, 2.0 * sigma(k)),
            };
            ladder[k].zip(&coarse, |a, b| a - b)
        });
        Self { band, weight: weight.clone(), px_per_mm }
    }

    /// Mean energy per band over a mask, and the pixels it rests on.
    pub fn mean_energy(&self, mask: &Plane) -> ([f64; BANDS], u64) {
        let (mut sums, mut n) = ([0.0f64; BANDS], 0.0f64);
        for (i, (m, w)) in mask.data.iter().zip(&self.weight.data).enumerate() {
            let weight = f64::from(m * w);
            if weight > 0.0 {
                n += weight;
                for (sum, plane) in sums.iter_mut().zip(&self.band) {
                    *sum += weight * f64::from(plane.data[i]).powi(2);
                }
            }
        }
        (sums.map(|s| if n > 0.0 { s / n } else { 0.0 }), n as u64)
    }

    /// Correlation of one band with that of another photo of the same skin over a mask, −1 to 1. Shading moves with the
    /// light, so this falls when the lamp has moved, and when the skin is not the same.
    pub fn correlation(&self, other: &Relief, mask: &Plane, band: usize) -> f64 {
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        let planes = self.band[band].data.iter().zip(&other.band[band].data);
        for (i, (a, b)) in planes.enumerate() {
            let w = f64::from(mask.data[i] * self.weight.data[i] * other.weight.data[i]);
            let (a, b) = (f64::from(*a), f64::from(*b));
            (ab, aa, bb) = (ab + w * a * b, aa + w * a * a, bb + w * b * b);
        }
        if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texture(amplitude: f32, offset: f32) -> Plane {
        let value = |i: usize| offset + amplitude * ((i % 200) as f32 * 0.8).sin() * ((i / 200) as f32 * 0.6).sin();
        Plane { width: 200, height: 150, data: (0..200 * 150).map(value).collect() }
    }

    #[test]
    fn exposure_cancels_and_contrast_counts_squared() {
        let weight = Plane::filled(200, 150, 1.0);
        let energy = |plane: &Plane| {
            let shot = Shot { ln: [plane; 3], weight: &weight, light: None, px_per_mm: 10.0 };
            Relief::new(&shot, &ScoreSettings::default()).mean_energy(&weight).0
        };
        let (dark, bright, strong) =
            (energy(&texture(0.1, -2.0)), energy(&texture(0.1, -0.5)), energy(&texture(0.2, -2.0)));
        for k in 0..BANDS {
            assert!((dark[k] / bright[k] - 1.0).abs() < 1e-2 || dark[k] < 1e-9, "band {k}");
            assert!((strong[k] / dark[k] - 4.0).abs() < 1e-2 || dark[k] < 1e-9, "band {k}");
        }
    }
}
