//! Takes away what light, camera and colour did, and reports how much.
//!
//! Without a card only a gain per channel is fitted, on reference skin, by the median. A fuller colour matrix looks better
//! on unchanged skin and erases half of a true change of redness, because skin colours lie on a line. Nor is a gamma
//! fitted: nothing on skin tells a steeper tone curve from deeper relief (fine detail) or from redder blotches (coarse
//! detail), and the slope took 4 % of a change of pigment away. `tests/colour.rs` measures what is left and what is
//! kept. Light is a smooth log-gain field, knots 10 mm and wider apart, so that nothing of a lesion's
//! size is taken; the mean of the field is carried by the gains, so that redness of the whole region stays visible.

mod illumination;
mod shading;

pub use shading::Shading;

use cicatrix_align::Patch;
use cicatrix_photo::{Plane, masked_median};
use serde::{Deserialize, Serialize};

/// Settings of the normalization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizeSettings {
    /// σ of the illumination field in millimetres. Light changes over centimetres, lesions over millimetres.
    pub illumination_sigma_mm: f64,
}

impl Default for NormalizeSettings {
    fn default() -> Self {
        Self { illumination_sigma_mm: 10.0 }
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
    /// What was added to red, green and blue, ln units.
    pub ln_gains: [f64; 3],
    /// Root mean square of the illumination field over the weight, ln units: how much the light differs in shape.
    pub illumination_rms: f64,
}

impl Normalized {
    /// Takes the colours elsewhere, where they are usable: once they are those of the fixed photo's camera, what is known
    /// of that camera holds for both.
    pub fn recoloured(mut self, to: impl Fn([f64; 3]) -> [f64; 3]) -> Self {
        for i in 0..self.weight.data.len() {
            if self.weight.data[i] > 0.0 {
                let seen = [&self.ln_red, &self.ln_green, &self.ln_blue].map(|ln| f64::from(ln.data[i]).exp());
                let [r, g, b] = to(seen).map(ln);
                (self.ln_red.data[i], self.ln_green.data[i], self.ln_blue.data[i]) = (r, g, b);
            }
        }
        self
    }
}

fn ln(linear: f64) -> f32 {
    (linear as f32).max(DARKEST).ln()
}

/// What 8 bits can tell from black, linear light.
const DARKEST: f32 = 3.0e-4;

/// Natural logarithm of linear light, floored at what 8 bits can tell from black.
pub fn ln_plane(plane: &Plane) -> Plane {
    plane.map(|v| v.max(DARKEST).ln())
}

/// The fixed and the moving photo on one grid.
#[derive(Debug, Clone, Copy)]
pub enum Pair<'a> {
    /// Each as its camera saw it: the moving one's channels are brought to the level of the fixed one's on skin.
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
    let (Pair::Photographed([fixed, moving]) | Pair::Calibrated([fixed, moving])) = pair;
    let channel = |f: &Plane, m: &Plane| {
        let (f, m) = (ln_plane(f), ln_plane(m));
        let ln_gain = match pair {
            Pair::Photographed(_) => masked_median(&f.zip(&m, |f, m| f - m), &skin),
            Pair::Calibrated(_) => 0.0,
        };
        (m.map(|v| v + ln_gain), f, f64::from(ln_gain))
    };
    let (mut red, red0, gain_r) = channel(&fixed.red, &moving.red);
    let (mut green, green0, gain_g) = channel(&fixed.green, &moving.green);
    let (mut blue, blue0, gain_b) = channel(&fixed.blue, &moving.blue);
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
        ln_gains: [gain_r, gain_g, gain_b],
        illumination_rms,
    }
}
