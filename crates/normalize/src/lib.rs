//! Takes away what light, camera and colour did, and reports how much.
//!
//! Without a card only a gain and a gamma per channel are fitted (log-affine), on reference skin, with Tukey weights:
//! a fuller colour matrix looks better on unchanged skin and erases half of a true change of redness, because skin
//! colours lie on a line. Light is a smooth log-gain field, knots 10 mm and wider apart, so that nothing of a lesion's
//! size is taken; the mean of the field is carried by the gains, so that redness of the whole region stays visible.

mod illumination;
mod tone;

pub use tone::Tone;

use cicatrix_align::Patch;
use cicatrix_photo::Plane;
use serde::{Deserialize, Serialize};

/// Settings of the normalization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizeSettings {
    /// σ of the illumination field in millimetres. Light changes over centimetres, lesions over millimetres.
    pub illumination_sigma_mm: f64,
    /// Detail coarser than this σ (mm) is left out of the tone fit: it is light, not skin.
    pub tone_band_mm: f64,
}

impl Default for NormalizeSettings {
    fn default() -> Self {
        Self { illumination_sigma_mm: 10.0, tone_band_mm: 2.0 }
    }
}

/// A follow-up in the light and colour of its baseline; natural logarithms of linear light, 0 outside.
#[derive(Debug, Clone)]
pub struct Normalized {
    pub ln_red: Plane,
    pub ln_green: Plane,
    pub ln_blue: Plane,
    /// 1 where both photos show skin that can be used.
    pub weight: Plane,
    pub tones: [Tone; 3],
    /// Root mean square of the illumination field over the weight, ln units: how much the light differs in shape.
    pub illumination_rms: f64,
}

/// Natural logarithm of linear light, floored at what 8 bits can tell from black.
pub fn ln_plane(plane: &Plane) -> Plane {
    plane.map(|v| v.max(3.0e-4).ln())
}

/// The fixed and the moving photo on one grid.
#[derive(Debug, Clone, Copy)]
pub enum Pair<'a> {
    /// Each as its camera saw it: the moving one's tones are fitted to the fixed one's on skin.
    Photographed([&'a Patch; 2]),
    /// Both in the colours of a card: what skin says of the cameras would only take change away.
    Calibrated([&'a Patch; 2]),
}

/// Brings the moving photo into the light and colour of the fixed one. `reference` is 1 on skin outside scars; `weight`
/// where both are usable; `px_per_mm` the scale of the grid.
pub fn normalize(
    pair: Pair<'_>,
    reference: &Plane,
    weight: &Plane,
    px_per_mm: f64,
    settings: &NormalizeSettings,
) -> Normalized {
    let skin = reference.zip(weight, |r, w| r * w);
    let band = (settings.tone_band_mm * px_per_mm) as f32;
    let (Pair::Photographed([fixed, moving]) | Pair::Calibrated([fixed, moving])) = pair;
    let channel = |f: &Plane, m: &Plane| {
        let (f, m) = (ln_plane(f), ln_plane(m));
        let tone = match pair {
            Pair::Photographed(_) => Tone::fit(&f, &m, &skin, band),
            Pair::Calibrated(_) => Tone::NONE,
        };
        (tone.apply(&m), f, tone)
    };
    let (mut red, red0, tone_r) = channel(&fixed.red, &moving.red);
    let (mut green, green0, tone_g) = channel(&fixed.green, &moving.green);
    let (mut blue, blue0, tone_b) = channel(&fixed.blue, &moving.blue);
    let sigma = (settings.illumination_sigma_mm * px_per_mm) as f32;
    let field = illumination::field(&[(&red0, &red), (&green0, &green), (&blue0, &blue)], &skin, sigma);
    for plane in [&mut red, &mut green, &mut blue] {
        for ((v, f), w) in plane.data.iter_mut().zip(&field.data).zip(&weight.data) {
            *v = (*v + f) * w;
        }
    }
    let illumination_rms = illumination::rms(&field, weight);
    Normalized {
        ln_red: red,
        ln_green: green,
        ln_blue: blue,
        weight: weight.clone(),
        tones: [tone_r, tone_g, tone_b],
        illumination_rms,
    }
}
