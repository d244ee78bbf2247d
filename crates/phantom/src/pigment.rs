//! What colours skin: melanin and haemoglobin, and the marks that inflammation left.
//!
//! Reflectance is Beer-Lambert on relative amounts: ρ = ρ₀ · exp(−(m·M + h·H)) in linear R, G, B. The vectors keep
//! the known order (melanin takes blue most and red least, haemoglobin takes green and blue); with ρ₀ they put the
//! six tone classes at an individual typology angle near 63°, 48°, 33°, 18°, −6° and −35°.

use crate::curve::exp;
use crate::field::{Field, PATCH_MM};
use crate::noise::smooth;
use crate::relief::anywhere;
use crate::scar::Scar;
use crate::scars::Scars;
use crate::stream::Stream;

const BASE: [f32; 3] = [0.80, 0.74, 0.64];
const MELANIN: [f32; 3] = [0.38, 0.52, 0.78];
const HAEMOGLOBIN: [f32; 3] = [0.22, 0.70, 0.62];
/// Melanin of the six tone classes, very light to dark.
const TONES: [f32; 6] = [0.40, 0.85, 1.25, 1.70, 2.60, 4.40];
/// Ordinary amount of haemoglobin.
const BLOOD: f32 = 0.45;
/// Melanin per millimetre of pore depth: pores look like dark dots.
const PORE_PLUG_PER_MM: f32 = 5.0;

/// Linear R, G, B reflectance of skin with these amounts.
pub(crate) fn reflectance(melanin: f32, haemoglobin: f32) -> [f32; 3] {
    let (melanin, haemoglobin) = (melanin.max(0.0), haemoglobin.max(0.0));
    [0, 1, 2].map(|c| BASE[c] * exp(-MELANIN[c] * melanin - HAEMOGLOBIN[c] * haemoglobin))
}

#[derive(Debug)]
pub(crate) struct Pigment {
    /// 1 (very light) to 6 (dark).
    pub(crate) tone_class: u8,
    /// Mean amount of melanin away from spots.
    pub(crate) tone: f32,
    pub(crate) melanin: Field,
    pub(crate) haemoglobin: Field,
    /// Post-inflammatory redness at the baseline, amount of haemoglobin.
    pub(crate) redness: Field,
    /// Post-inflammatory pigment at the baseline, amount of melanin.
    pub(crate) stain: Field,
}

impl Pigment {
    pub(crate) fn draw(stream: &mut Stream, scars: &Scars, pores: &Field) -> Self {
        let class = stream.below(TONES.len());
        let tone = TONES[class] * stream.between(0.93, 1.07);
        let speckle = smooth(stream, 0.7);
        let mut melanin = mottled_melanin(stream, tone);
        melanin.mix_in(pores, PORE_PLUG_PER_MM);
        Self {
            tone_class: class as u8 + 1,
            tone,
            melanin,
            haemoglobin: mottled_haemoglobin(stream),
            redness: marks(stream, scars, &speckle, 0.45, |stream| stream.between(0.15, 0.45)),
            stain: marks(stream, scars, &speckle, 0.30, |stream| (0.5 + 0.35 * tone) * stream.between(0.15, 0.40)),
        }
    }

    /// Linear R, G, B reflectance away from spots.
    pub(crate) fn plain(&self) -> [f32; 3] {
        reflectance(self.tone, BLOOD)
    }

    /// How much a camera opens for this skin: darker skin is exposed more, but stays darker.
    pub(crate) fn exposure(&self) -> f32 {
        let [r, g, b] = self.plain();
        let luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        (0.34 / luminance).powf(0.4)
    }
}

fn mottled_melanin(stream: &mut Stream, tone: f32) -> Field {
    let mut melanin = Field::filled(tone);
    melanin.mix_in(&smooth(stream, 3.0), 0.05 * tone);
    melanin.mix_in(&smooth(stream, 0.5), 0.03 * tone);
    for _ in 0..20 + stream.below(90) {
        let (place, sigma_mm) = (anywhere(stream), stream.between(0.12, 0.45));
        melanin.stamp_bump(place, sigma_mm, stream.between(0.08, 0.40));
    }
    for _ in 0..1 + stream.below(4) {
        stamp_naevus(&mut melanin, stream);
    }
    melanin
}

/// A mole: dark, 1 to 2.6 mm wide, with a soft edge.
fn stamp_naevus(melanin: &mut Field, stream: &mut Stream) {
    let place = anywhere(stream);
    let radius_mm = stream.between(0.5, 1.3);
    let peak = stream.between(0.8, 1.7);
    melanin.stamp(place, 1.5 * radius_mm, |dx, dy| {
        let t = (dx * dx + dy * dy) / (radius_mm * radius_mm);
        peak * exp(-t * t * t)
    });
}

fn mottled_haemoglobin(stream: &mut Stream) -> Field {
    let level = BLOOD * stream.between(0.85, 1.2);
    let blotches = smooth(stream, 5.0).mapped(|amount| 0.10 * amount.max(0.0));
    let mut haemoglobin = Field::filled(level);
    haemoglobin.mix_in(&blotches, 1.0);
    haemoglobin.mix_in(&smooth(stream, 1.2), 0.035);
    haemoglobin.mix_in(&smooth(stream, 0.35), 0.020);
    haemoglobin
}

/// Soft patches around some of the scars and a few where no scar is.
fn marks(
    stream: &mut Stream,
    scars: &Scars,
    speckle: &Field,
    share: f32,
    amount: impl Fn(&mut Stream) -> f32,
) -> Field {
    let mut field = Field::filled(0.0);
    for (scar, _) in &scars.list {
        let peak = amount(stream);
        let place = beside(scar, stream);
        if stream.chance(share) {
            field.stamp_bump(place, 0.6 * scar.radius_mm + 0.4, peak);
        }
    }
    for _ in 0..stream.below(5) {
        let place = [0, 1].map(|axis| stream.around_zero(0.35 * PATCH_MM[axis]));
        let sigma_mm = stream.between(0.5, 1.4);
        field.stamp_bump(place, sigma_mm, 0.7 * amount(stream));
    }
    field.modulate(speckle, 0.25);
    field
}

fn beside(scar: &Scar, stream: &mut Stream) -> [f32; 2] {
    scar.centre_mm.map(|coordinate| coordinate + 0.3 * stream.around_zero(scar.radius_mm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tone_class_is_darker_than_the_one_before() {
        for pair in TONES.windows(2) {
            let (light, dark) = (reflectance(pair[0], BLOOD), reflectance(pair[1], BLOOD));
            assert!(light.iter().zip(dark).all(|(&l, d)| l > d));
        }
    }

    #[test]
    fn melanin_takes_blue_most_and_blood_spares_red() {
        let [r, g, b] = reflectance(1.0, 0.0);
        assert!(r / BASE[0] > g / BASE[1] && g / BASE[1] > b / BASE[2]);
        let [r, g, b] = reflectance(0.0, 1.0);
        assert!(r / BASE[0] > g / BASE[1] && r / BASE[0] > b / BASE[2]);
    }
}
