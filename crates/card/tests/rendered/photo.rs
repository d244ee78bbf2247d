//! Photographs of a card on skin, rendered: the chart under a homography, a camera with cross-talk, cast, exposure and
//! tone curve, noise and blur.

use cicatrix_card::{Layout, PATCHES, linear};
use cicatrix_phantom::Patient;
use cicatrix_photo::{Frame, Limits, decode, from_linear, to_linear};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::camera::Camera;

/// A card in a photo: its centre and width in px, and how it is turned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) centre: [f64; 2],
    pub(crate) width: f64,
    pub(crate) turn_deg: f64,
    /// Perspective: how much shorter the far side is.
    pub(crate) tilt: f64,
    pub(crate) layout: Layout,
}

/// Width of a patch in steps, and of the rim around the outer patches.
const PATCH: f64 = 0.84;
const RIM: f64 = 0.35;
const RIM_LIGHT: f64 = 0.012;

impl Place {
    fn steps(&self) -> [f64; 2] {
        match self.layout {
            Layout::Classic => [6.0, 4.0],
            Layout::Strip => [12.0, 2.0],
        }
    }

    /// Where a place of the photo lies on the card, in steps from the centre of the first patch.
    fn on_card(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [columns, rows] = self.steps();
        let step = self.width / (columns + 2.0 * RIM - 1.0 + PATCH);
        let (sin, cos) = self.turn_deg.to_radians().sin_cos();
        let (dx, dy) = ((x - self.centre[0]) / step, (y - self.centre[1]) / step);
        let (u, v) = (cos * dx + sin * dy, -sin * dx + cos * dy);
        let w = 1.0 + self.tilt * v / rows;
        [u / w + (columns - 1.0) / 2.0, v / w + (rows - 1.0) / 2.0]
    }

    /// Where a patch's centre lies in the photo.
    #[allow(dead_code, reason = "the bench does not ask")]
    pub(crate) fn patch(&self, patch: usize) -> [f64; 2] {
        let [columns, rows] = self.steps();
        let step = self.width / (columns + 2.0 * RIM - 1.0 + PATCH);
        let (column, row) = (patch % columns as usize, patch / columns as usize);
        let (a, b) = (column as f64 - (columns - 1.0) / 2.0, row as f64 - (rows - 1.0) / 2.0);
        // u = a·w and v = b·w with w = 1 + tilt·v/rows.
        let w = 1.0 / (1.0 - self.tilt * b / rows);
        let (u, v) = (a * w, b * w);
        let (sin, cos) = self.turn_deg.to_radians().sin_cos();
        [self.centre[0] + step * (cos * u - sin * v), self.centre[1] + step * (sin * u + cos * v)]
    }

    /// Light of the card at a place; none beside it.
    fn light(&self, place: [f64; 2]) -> Option<[f64; 3]> {
        let [columns, rows] = self.steps();
        let [u, v] = self.on_card(place);
        let edge = PATCH / 2.0 + RIM;
        if u < -edge || v < -edge || u > columns - 1.0 + edge || v > rows - 1.0 + edge {
            return None;
        }
        let (column, row) = (u.round().clamp(0.0, columns - 1.0), v.round().clamp(0.0, rows - 1.0));
        let on_patch = (u - column).abs() < PATCH / 2.0 && (v - row).abs() < PATCH / 2.0;
        let patch = (row * columns + column) as usize % PATCHES;
        Some(if on_patch { linear(patch) } else { [RIM_LIGHT; 3] })
    }
}

/// Skin of a rendered patient at this size.
pub(crate) fn skin(seed: u64, width: u32, height: u32) -> Frame {
    let photo = Patient::new(seed).session(0, 2, 1.0).shoot(1, (width, height));
    decode(&photo.to_jpeg(), "jpg", &Limits::default()).expect("the phantom writes photos that can be read").0
}

/// The card laid on a photo, both seen by the camera; light falls off to one side, noise as of a phone.
pub(crate) fn photograph(on: &Frame, place: Place, camera: Camera, seed: u64) -> Frame {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let slope = random.random_range(-0.15..=0.15);
    let mut linear = Vec::with_capacity(on.linear.len());
    for y in 0..on.height {
        for x in 0..on.width {
            let mut sum = [0.0; 3];
            for (dx, dy) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
                let at = 3 * (y * on.width + x);
                let beside = || [0, 1, 2].map(|k| f64::from(on.linear[at + k]) / 65535.0);
                let light = place.light([x as f64 + dx, y as f64 + dy]).unwrap_or_else(beside);
                for (s, v) in sum.iter_mut().zip(light) {
                    *s += v / 4.0;
                }
            }
            let fall = 0.8 * (1.0 + slope * (2.0 * x as f64 / on.width as f64 - 1.0));
            let seen = camera.see(sum.map(|v| v * fall));
            // Noise and rounding on 8-bit codes.
            linear.extend(seen.map(|v| {
                let noise = (0..4).map(|_| random.random_range(-0.5..0.5)).sum::<f64>() * 2.0;
                let code = (from_linear(v) * 255.0 + noise).round().clamp(0.0, 255.0);
                (to_linear(code / 255.0) * 65535.0).round() as u16
            }));
        }
    }
    Frame { width: on.width, height: on.height, linear }
}
