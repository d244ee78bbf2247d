//! Where skin is sunken or raised: its shading along the light.
//!
//! To first order a photo shows the slope of the skin towards the light, `ln I = … + s · ∂h/∂l`. A pit is therefore a
//! pair: its side towards the light dark, the other bright. The derivative along the light of the photo, smoothed at
//! scale σ, is the second derivative of the smoothed height, which peaks in the middle of a pit (and is negative on a
//! bump): `D_σ = −(l·∇G_σ) ∗ ln I`. Deep pits are also dark themselves, whatever the direction, since they see less of the
//! room: `B_σ = −(G_σ − G_1.6σ) ∗ ln I`. The score is `Σ_σ D_σ + ½ min(B_σ, D_σ⁺ + 1)`, σ from 0.3 to 1.5 mm, each term in
//! units of its own robust standard deviation on the skin, and the sum again: darkness supports a pair and makes none.
//!
//! Colour is no evidence: redness and pigment have no such pairs. Blotches, naevi and stains are still contrast, so for
//! `D` they are taken out first: where skin differs in brightness as it differs in colour, that is pigment. The slopes of
//! red against `ln G − ln R` and `ln B − ln G` are fitted robustly in the photo itself, on bands from 0.5 to 2.5 mm.
//!
//! A naevus leaves a trace all the same. It is far browner than anything around it, so where `ln B − ln G` at 0.5 mm lies
//! eight robust standard deviations under that of the skin around, nothing is taken for a pit, unless the pair says so over
//! the whole spot: deep ice-picks look brown too. A naevus is no reference skin either.
//!
//! Known limits: shallow rolling scars stay under the relief of ordinary skin and cannot be seen (`docs/accuracy.md` has
//! the share by shape); gloss, which has colour too, weakens the separation; a wrinkle across the light is a long pit; a
//! papule is a bump like a raised scar, and its foot looks like a shallow pit. Without a direction of light only `B` is
//! left, which finds less, takes naevi for pits, and knows no sign.

use cicatrix_photo::{Plane, components, masked_gaussian, masked_median};
use nalgebra::{Matrix2, Vector2};

use crate::mask::dilate;
use crate::relief::plain_shade;

/// Scales, σ in mm.
const SIGMA_MM: [f64; 5] = [0.3, 0.45, 0.7, 1.0, 1.5];
/// Weight of darkness beside the pair.
const DARKNESS: f32 = 0.5;
/// Shade wider than this is the cheek's own roundness, σ in mm.
const BACKGROUND_MM: f64 = 4.0;
/// Colour finer than this is noise, σ in mm.
const COLOUR_MM: f64 = 0.15;
/// Bands on which the slopes of pigment are fitted: σ and 2.5 σ, mm.
const PIGMENT_MM: [f64; 2] = [0.5, 1.0];
const ROUNDS: usize = 3;
/// A naevus: browner than the skin around it by this many robust standard deviations, with a margin in mm.
const NAEVUS: f32 = 8.0;
const NAEVUS_MARGIN_MM: f64 = 0.3;
/// A pit's pair is highest in its middle; what a naevus leaves of itself is positive on one side and negative on the other.
/// Where the mean of the pair over a spot is above this many robust standard deviations, it is a dark pit.
const PIT_UNDER_SPOT: f32 = 2.0;

/// A photo of skin on the grid, natural logarithms of linear light.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'a> {
    /// Red, green, blue.
    pub ln: [&'a Plane; 3],
    /// 1 where the photo shows skin that can be used.
    pub weight: &'a Plane,
    /// Unit vector towards the light in the photo, if it is known.
    pub light: Option<[f64; 2]>,
    pub px_per_mm: f64,
}

/// Scores of a region in robust standard deviations of its skin.
pub(crate) struct Pits {
    /// High in a pit.
    pub(crate) sunken: Plane,
    /// High on a bump; none without a direction of light.
    pub(crate) raised: Option<Plane>,
    /// 1 on naevi.
    pub(crate) naevi: Plane,
}

impl Pits {
    /// Scores of a photo, `skin` being where its ordinary skin is. Computed on every second node, which still samples the
    /// finest scale well.
    pub(crate) fn of(shot: &Shot<'_>, skin: &Plane) -> Self {
        let (width, height) = (skin.width, skin.height);
        let ln = shot.ln.map(Plane::half);
        let (weight, skin) = (shot.weight.half().map(whole), skin.half().map(whole));
        let px = shot.px_per_mm / 2.0;
        let plain = plain_shade(ln.each_ref(), &weight, px);
        let flat = |shade: &Plane| {
            let wide = masked_gaussian(shade, &weight, (BACKGROUND_MM * px) as f32);
            shade.zip(&wide, |s, w| s - w).zip(&weight, |d, w| d * w)
        };
        let dark = flat(&plain);
        let pair = shot.light.map(|light| (light, flat(&without_pigment(&ln, &weight, &skin, px))));
        let mut sunken = Plane::filled(skin.width, skin.height, 0.0);
        let mut bumps = sunken.clone();
        for sigma in SIGMA_MM.map(|mm| (mm * px) as f32) {
            // Weighted, so that the end of the region is no edge.
            let blurred = |plane: &Plane, sigma: f32| masked_gaussian(plane, &weight, sigma);
            let darkness = blurred(&dark, 1.6 * sigma).zip(&blurred(&dark, sigma), |wide, fine| wide - fine);
            let darkness = in_spreads(&darkness, &skin);
            let Some((light, shade)) = &pair else {
                add(&mut sunken, &darkness, 1.0);
                continue;
            };
            let slope = in_spreads(&derivative(&blurred(shade, sigma), *light), &skin);
            add(&mut bumps, &slope, 1.0);
            add(&mut sunken, &slope, -1.0);
            add(&mut sunken, &darkness.zip(&slope, |b, d| b.min((-d).max(0.0) + 1.0)), DARKNESS);
        }
        let bumps = pair.is_some().then(|| in_spreads(&bumps, &skin));
        let naevi = naevi(&ln, &weight, &skin, bumps.as_ref(), px);
        let sunken = sunken.zip(&naevi, |score, spot| if spot > 0.5 { score.min(0.0) } else { score });
        let full = |plane: &Plane| doubled(plane, width, height);
        Self { sunken: full(&in_spreads(&sunken, &skin)), raised: bumps.as_ref().map(full), naevi: full(&naevi) }
    }
}

fn whole(share: f32) -> f32 {
    f32::from(u8::from(share > 0.99))
}

fn add(sum: &mut Plane, term: &Plane, factor: f32) {
    for (s, t) in sum.data.iter_mut().zip(&term.data) {
        *s += factor * t;
    }
}

/// 1 on naevi: spots that are far browner than the skin around and lie on no pit. `bumps` is the score of raised skin.
fn naevi(ln: &[Plane; 3], weight: &Plane, skin: &Plane, bumps: Option<&Plane>, px: f64) -> Plane {
    let brown = ln[2].zip(&ln[1], |b, g| b - g);
    let excess = in_spreads(&band(&brown, weight, PIGMENT_MM[0] * px), &skin.zip(weight, |s, w| s * w));
    let mut spots = excess.zip(weight, |e, w| if e < -NAEVUS { w } else { 0.0 });
    for spot in components(&spots) {
        let depth = bumps.map_or(0.0, |bumps| -spot.iter().map(|&at| bumps.data[at]).sum::<f32>() / spot.len() as f32);
        if depth > PIT_UNDER_SPOT {
            spot.iter().for_each(|&at| spots.data[at] = 0.0);
        }
    }
    dilate(&spots, NAEVUS_MARGIN_MM * px)
}

/// Detail between σ and 2.5 σ, px.
fn band(plane: &Plane, weight: &Plane, sigma: f64) -> Plane {
    let blurred = |sigma: f64| masked_gaussian(plane, weight, sigma as f32);
    blurred(sigma).zip(&blurred(2.5 * sigma), |fine, coarse| fine - coarse)
}

/// Red light, which pigment dims least, less what goes with colour.
fn without_pigment(ln: &[Plane; 3], weight: &Plane, skin: &Plane, px: f64) -> Plane {
    let colours = [ln[1].zip(&ln[0], |g, r| g - r), ln[2].zip(&ln[1], |b, g| b - g)];
    let mut samples = Vec::new();
    for mm in PIGMENT_MM {
        let bands = [&colours[0], &colours[1], &ln[0]].map(|plane| band(plane, weight, mm * px).data);
        let usable = (0..skin.data.len()).filter(|&i| skin.data[i] * weight.data[i] > 0.5);
        samples.extend(usable.map(|i| bands.each_ref().map(|b| f64::from(b[i]))));
    }
    let slopes = pigment_slopes(&samples);
    let pigment = colours[0].zip(&colours[1], |a, b| slopes[0] as f32 * a + slopes[1] as f32 * b);
    ln[0].zip(&masked_gaussian(&pigment, weight, (COLOUR_MM * px) as f32), |red, pigment| red - pigment)
}

/// Slopes of the third number on the first two, by least squares with far ones left out; 0 where they tell nothing.
fn pigment_slopes(samples: &[[f64; 3]]) -> Vector2<f64> {
    let mut slopes = Vector2::zeros();
    let mut cut = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (mut normal, mut right) = (Matrix2::zeros(), Vector2::zeros());
        let residual = |s: &[f64; 3], slopes: &Vector2<f64>| (s[2] - s[0] * slopes[0] - s[1] * slopes[1]).abs();
        for s in samples.iter().filter(|s| residual(s, &slopes) <= cut) {
            let x = Vector2::new(s[0], s[1]);
            normal += x * x.transpose();
            right += x * s[2];
        }
        let Some(factor) = normal.cholesky() else { return Vector2::zeros() };
        slopes = factor.solve(&right);
        let mut distances: Vec<f64> = samples.iter().map(|s| residual(s, &slopes)).collect();
        let middle = distances.len() / 2;
        cut = 3.0 * 1.4826 * *distances.select_nth_unstable_by(middle, f64::total_cmp).1;
    }
    slopes
}

/// Derivative along a direction, by central differences.
fn derivative(plane: &Plane, along: [f64; 2]) -> Plane {
    let (w, h) = (plane.width, plane.height);
    let mut out = Plane::filled(w, h, 0.0);
    let [ax, ay] = along.map(|v| 0.5 * v as f32);
    for y in 0..h {
        let (up, down) = (plane.row(y.saturating_sub(1)), plane.row((y + 1).min(h - 1)));
        let row = plane.row(y);
        for (x, value) in out.row_mut(y).iter_mut().enumerate() {
            *value = ax * (row[(x + 1).min(w - 1)] - row[x.saturating_sub(1)]) + ay * (down[x] - up[x]);
        }
    }
    out
}

/// In units of the robust standard deviation on the skin.
fn in_spreads(plane: &Plane, skin: &Plane) -> Plane {
    let spread = (1.4826 * masked_median(&plane.map(f32::abs), skin)).max(1e-9);
    plane.map(|v| v / spread)
}

/// Twice the size, straight lines between.
fn doubled(plane: &Plane, width: usize, height: usize) -> Plane {
    let mut out = Plane::filled(width, height, 0.0);
    for y in 0..height {
        let v = (0.5 * y as f32 - 0.25).clamp(0.0, plane.height as f32 - 1.0);
        let (y0, fy) = (v as usize, v.fract());
        let (top, bottom) = (plane.row(y0), plane.row((y0 + 1).min(plane.height - 1)));
        for (x, value) in out.row_mut(y).iter_mut().enumerate() {
            let u = (0.5 * x as f32 - 0.25).clamp(0.0, plane.width as f32 - 1.0);
            let (x0, fx) = (u as usize, u.fract());
            let x1 = (x0 + 1).min(plane.width - 1);
            let (a, b) = (top[x0] + fx * (top[x1] - top[x0]), bottom[x0] + fx * (bottom[x1] - bottom[x0]));
            *value = a + fy * (b - a);
        }
    }
    out
}
