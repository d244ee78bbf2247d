//! What on a head is not skin with relief: eyes, brows, lips, nostrils, hair, beard, cloth.

use cicatrix_face::canonical_mm;

use crate::skin::{OPENNESS, REFLECTANCE, Texel};

use super::HeadStyle;
use super::shape::Hit;

/// Linear R, G, B of a plain backdrop.
pub(super) const BACKDROP: [f32; 3] = [0.30, 0.33, 0.36];
pub(super) const BEIGE_WALL: [f32; 3] = [0.44, 0.30, 0.23];
const CLOTH: [f32; 3] = [0.12, 0.16, 0.30];
const WHITE_OF_EYE: [f32; 3] = [0.62, 0.58, 0.55];
const IRIS: [f32; 3] = [0.09, 0.055, 0.03];
const PUPIL: [f32; 3] = [0.008, 0.008, 0.008];
const NOSTRIL: [f32; 3] = [0.03, 0.012, 0.01];
/// Lips and the skin that has no relief here, as shares of the skin's reflectance.
const LIPS: [f32; 3] = [0.75, 0.45, 0.5];
const SEAM_OF_LIPS: [f32; 3] = [0.2, 0.1, 0.1];
/// Darkest and brightest strand of hair.
const HAIR: [f32; 2] = [0.012, 0.07];

/// Millimetres.
const IRIS_RADIUS: f32 = 0.5 * 11.7;
const PUPIL_RADIUS: f32 = 1.9;
const NOSTRIL_RADIUS: f32 = 3.0;
/// Above this height, or behind this depth, the skull has hair; below this one the neck has cloth.
const HAIRLINE_Y: f32 = 70.0;
const HAIRLINE_Z: f32 = -28.0;
const COLLAR_Y: f32 = -150.0;
const FRINGE_Y: f32 = 62.0;
const BEARD_Y: f32 = -30.0;

const EYE: [usize; 16] = [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7];
const LIDS: [usize; 2] = [159, 145];
const BROW: [usize; 10] = [70, 63, 105, 66, 107, 55, 65, 52, 53, 46];
const HALF_LIPS: [usize; 11] = [0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17];
const NOSTRIL_AT: usize = 79;
/// Where the lips meet, and the corner of the mouth.
const MOUTH: [usize; 2] = [13, 61];

/// The painted parts; x is the distance from the middle, since both halves are alike.
pub(super) struct Paint {
    style: HeadStyle,
    eye: Vec<[f32; 2]>,
    iris: [f32; 2],
    brow: Vec<[f32; 2]>,
    lips: Vec<[f32; 2]>,
    nostril: [f32; 3],
    mouth: [[f32; 2]; 2],
}

fn flat(landmark: usize) -> [f32; 2] {
    let [x, y, _] = canonical_mm()[landmark];
    [x.abs() as f32, y as f32]
}

impl Paint {
    pub(super) fn of(style: HeadStyle) -> Self {
        let outline = |landmarks: &[usize]| landmarks.iter().map(|&i| flat(i)).collect::<Vec<_>>();
        let [upper, lower] = LIDS.map(flat);
        Self {
            style,
            eye: outline(&EYE),
            iris: [0, 1].map(|k| 0.5 * (upper[k] + lower[k])),
            brow: outline(&BROW),
            lips: outline(&HALF_LIPS),
            nostril: canonical_mm()[NOSTRIL_AT].map(|v| v.abs() as f32),
            mouth: MOUTH.map(flat),
        }
    }

    /// The texel that a place shows; `skin` is asked where it is skin.
    pub(super) fn over(&self, hit: &Hit, skin: impl Fn() -> Texel) -> Texel {
        let [x, y, z] = hit.place;
        if !hit.on_face {
            return match (y, z) {
                _ if y < COLLAR_Y => plain(CLOTH),
                _ if y > HAIRLINE_Y || z < HAIRLINE_Z && y > -60.0 => hair(x, y, z),
                _ => smooth(skin(), [1.0; 3]),
            };
        }
        let place = [x.abs(), y];
        let off = |to: [f32; 2]| (place[0] - to[0]).hypot(place[1] - to[1]);
        let [parting, corner] = self.mouth;
        let has_beard = self.style.beard && y < BEARD_Y - 0.25 * (45.0 - x.abs()).clamp(0.0, 20.0) + 8.0;
        if contains(&self.eye, place) {
            return match off(self.iris) {
                r if r < PUPIL_RADIUS => plain(PUPIL),
                r if r < IRIS_RADIUS => plain(IRIS),
                _ => plain(WHITE_OF_EYE),
            };
        }
        let nostril = [0, 1, 2].map(|k| [place[0], y, z][k] - self.nostril[k]);
        if nostril.iter().map(|v| v * v).sum::<f32>() < NOSTRIL_RADIUS * NOSTRIL_RADIUS {
            return plain(NOSTRIL);
        }
        if contains(&self.lips, place) {
            let is_seam = (y - parting[1]).abs() < 0.7 && place[0] < corner[0];
            return smooth(skin(), if is_seam { SEAM_OF_LIPS } else { LIPS });
        }
        if contains(&self.brow, place) && random(x * 3.0, y * 1.5) > 0.25 {
            return hair(y, x, z);
        }
        if self.style.fringe && y > FRINGE_Y - 6.0 * random(x * 0.4, 0.0) {
            return hair(x, y, z);
        }
        if has_beard && random(x * 2.6, y * 0.9 + x) > 0.35 {
            return hair(x, 3.0 * y, z);
        }
        skin()
    }
}

/// A plain surface.
fn plain(reflectance: [f32; 3]) -> Texel {
    let mut texel: Texel = [0.0; 12];
    texel[OPENNESS] = 1.0;
    texel[REFLECTANCE..].copy_from_slice(&reflectance);
    texel
}

/// Skin's colour without its relief.
fn smooth(skin: Texel, gains: [f32; 3]) -> Texel {
    plain([0, 1, 2].map(|c| skin[REFLECTANCE + c] * gains[c]))
}

/// Strands that run down and bend.
fn hair(x: f32, y: f32, z: f32) -> Texel {
    let along = x + 0.6 * z + 3.0 * (0.05 * y).sin();
    let lock = random(along * 0.25, (y * 0.02).floor());
    let strand = random(along * 4.0, (y * 0.1).floor());
    let share = 0.5 * lock + 0.5 * strand;
    let grey = HAIR[0] + share * share * (HAIR[1] - HAIR[0]);
    plain([1.25 * grey, grey, 0.75 * grey])
}

/// A number from 0 to 1 for each cell of a lattice.
fn random(x: f32, y: f32) -> f32 {
    let cell = |v: f32| v.floor() as i32 as u32;
    let mut bits = cell(x).wrapping_mul(0x9E37_79B1) ^ cell(y).wrapping_mul(0x85EB_CA77);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
    (bits ^ (bits >> 15)) as f32 / u32::MAX as f32
}

/// By crossing number.
fn contains(polygon: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let edges = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let crossed =
        edges.filter(|(a, b)| (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]);
    crossed.count() % 2 == 1
}
