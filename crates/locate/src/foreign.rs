//! What in a region is not skin: a colour card, cloth, a label, jewellery.
//!
//! Skin of one person lies close together in chromaticity, whatever its tone; light moves brightness, not chromaticity.
//! What is far from the region's median is foreign and must not be scored: the edge of a card has more contrast than
//! any scar. Known limit: brown cardboard and wood have the chromaticity of skin.

use cicatrix_photo::{Plane, components, masked_gaussian, masked_median};
use serde::{Deserialize, Serialize};

/// Limits of what is taken for skin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForeignSettings {
    /// Largest distance of ln(R/G) from the region's median. Inflamed skin stays within 0.2 over a millimetre.
    pub red_green: f64,
    /// Largest distance of ln(G/B). Freckles and naevi stay within 0.3 over a millimetre.
    pub green_blue: f64,
    /// A smaller piece is a papule, a naevus or a crust, and stays, mm².
    pub least_mm2: f64,
    /// Foreign pieces grow by this much, mm: their shadow and blur are no skin either.
    pub margin_mm: f64,
    /// Edges of shadow, hair and folds are steeper than this in a photo, ln brightness a mm at σ 1.6 mm, and longer than
    /// `edge_mm`. Nothing so steep was longer than 11 mm in the
    /// rendered photos that this was set on (tried by hand).
    pub edge_slope: f64,
    pub edge_mm: f64,
    /// The same in the difference of two photos of one skin, for the gate's `shadow_edge_mm`: a shadow of 15 % has it.
    pub edge_change: f64,
}

impl Default for ForeignSettings {
    fn default() -> Self {
        Self {
            red_green: 0.35,
            green_blue: 0.55,
            least_mm2: 10.0,
            margin_mm: 1.0,
            edge_slope: 0.06,
            edge_mm: 12.0,
            edge_change: 0.025,
        }
    }
}

/// Chromaticity is read over this σ, mm: hairs, pores and spots are not foreign.
const SIGMA_MM: f64 = 1.0;

/// 1 where a region shows something else than skin. `ln` are logarithms of linear red, green and blue; `inside` where
/// the photo has pixels; `region` tells whose median is skin.
pub fn foreign(ln: [&Plane; 3], inside: &Plane, region: &Plane, px_per_mm: f64, settings: &ForeignSettings) -> Plane {
    let sigma = (SIGMA_MM * px_per_mm) as f32;
    let distance = |a: &Plane, b: &Plane, limit: f64| {
        let ratio = masked_gaussian(&a.zip(b, |a, b| a - b), inside, sigma);
        let skin = masked_median(&ratio, &region.zip(inside, |r, i| r * i));
        ratio.map(|v| ((v - skin) / limit as f32).abs())
    };
    let red_green = distance(ln[0], ln[1], settings.red_green);
    let green_blue = distance(ln[1], ln[2], settings.green_blue);
    let found = red_green.zip(&green_blue, |a, b| f32::from(u8::from(a.max(b) > 1.0))).zip(inside, |f, i| f * i);
    let mut large = Plane::filled(found.width, found.height, 0.0);
    for piece in components(&found) {
        if piece.len() as f64 >= settings.least_mm2 * px_per_mm * px_per_mm {
            for at in piece {
                large.data[at] = 1.0;
            }
        }
    }
    grow(&large, settings.margin_mm * px_per_mm)
}

/// Grows a mask: a blur of σ leaves 2.3 % at 2σ from a straight edge.
pub(crate) fn grow(mask: &Plane, radius: f64) -> Plane {
    let blurred = cicatrix_photo::gaussian(mask, (radius / 2.0) as f32);
    blurred.zip(mask, |b, m| if b > 0.023 || m > 0.5 { 1.0 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blue_patch_is_foreign_and_a_red_spot_is_skin() {
        let (w, h) = (200, 150);
        let inside = Plane::filled(w, h, 1.0);
        let plane = |skin: f32, spot: f32, patch: f32| {
            let value = |i: usize| match (i % w, i / w) {
                (20..60, 20..60) => spot,
                (130.., 90..) => patch,
                _ => skin,
            };
            Plane { width: w, height: h, data: (0..w * h).map(|i| value(i).ln()).collect() }
        };
        let (r, g, b) = (plane(0.5, 0.5, 0.1), plane(0.3, 0.26, 0.1), plane(0.2, 0.18, 0.4));
        let found = foreign([&r, &g, &b], &inside, &inside, 10.0, &ForeignSettings::default());
        assert_eq!(found.row(40)[40], 0.0);
        assert_eq!(found.row(10)[100], 0.0);
        assert_eq!(found.row(130)[180], 1.0);
        assert_eq!(found.row(130)[126], 1.0, "the margin");
        assert_eq!(found.row(130)[95], 0.0);
    }
}
