//! The skin of one day, made ready for light: what a pixel needs, side by side for each sample of the patch.
//!
//! Light that enters skin leaves it some way off, red light farthest, so each colour channel sees the relief
//! blurred by its own width. All blurs are linear in height and are done here, once per session.

use std::fmt;

use crate::curve::exp;
use crate::field::{COLUMNS, Field, PITCH_MM, ROWS, Spot};
use crate::pigment::reflectance;

/// Deviation of the scattering in R, G, B.
const SCATTER_MM: [f32; 3] = [0.18, 0.10, 0.06];
/// A sample is in a cavity if it lies deeper than its surroundings, blurred by this deviation.
const CAVITY_MM: f32 = 0.5;
/// Sky lost per millimetre of such depth: about what an ice-pick scar's bottom loses.
const CAVITY_PER_MM: f32 = 2.1;

/// Slopes as seen by R, G, B and by the surface reflection (two each), openness, reflectance in R, G, B.
pub(crate) type Texel = [f32; 12];
/// Lane of the openness: 1 on a plain, less in a pit.
pub(crate) const OPENNESS: usize = 8;
/// First lane of the reflectance.
pub(crate) const REFLECTANCE: usize = 9;
/// The relief that the surface reflection sees, after those of R, G, B.
pub(crate) const SURFACE: usize = 3;

/// Slope along x and y of the relief that a channel (or [`SURFACE`]) sees.
pub(crate) fn slope(texel: &Texel, relief: usize) -> [f32; 2] {
    [texel[2 * relief], texel[2 * relief + 1]]
}

pub(crate) struct Skin {
    texels: Vec<Texel>,
}

impl fmt::Debug for Skin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skin").finish_non_exhaustive()
    }
}

impl Skin {
    /// Heights in mm, pigments in the amounts of [`reflectance`].
    pub(crate) fn of(height: &Field, melanin: &Field, haemoglobin: &Field) -> Self {
        let seen = SCATTER_MM.map(|sigma_mm| height.blurred(sigma_mm));
        let around = height.blurred(CAVITY_MM);
        let mut texels: Vec<Texel> = vec![[0.0; 12]; COLUMNS * ROWS];
        for (y, row) in texels.chunks_exact_mut(COLUMNS).enumerate() {
            for (channel, relief) in seen.iter().enumerate() {
                write_slopes(row, relief, y, channel);
            }
            write_slopes(row, height, y, SURFACE);
            write_openness(row, around.row(y), height.row(y));
            write_reflectance(row, melanin.row(y), haemoglobin.row(y));
        }
        Self { texels }
    }

    pub(crate) fn sample(&self, spot: &Spot) -> Texel {
        let mut out: Texel = [0.0; 12];
        for (&index, &weight) in spot.index.iter().zip(&spot.weight) {
            for (lane, &corner) in out.iter_mut().zip(&self.texels[index]) {
                *lane += weight * corner;
            }
        }
        out
    }
}

fn write_slopes(row: &mut [Texel], relief: &Field, y: usize, channel: usize) {
    let (above, here, below) = (relief.row((y + ROWS - 1) % ROWS), relief.row(y), relief.row((y + 1) % ROWS));
    let per_mm = 0.5 / PITCH_MM;
    for (x, texel) in row.iter_mut().enumerate() {
        let (left, right) = (here[(x + COLUMNS - 1) % COLUMNS], here[(x + 1) % COLUMNS]);
        texel[2 * channel] = per_mm * (right - left);
        texel[2 * channel + 1] = per_mm * (below[x] - above[x]);
    }
}

fn write_openness(row: &mut [Texel], around: &[f32], height: &[f32]) {
    for ((texel, &around), &height) in row.iter_mut().zip(around).zip(height) {
        texel[OPENNESS] = exp(-CAVITY_PER_MM * (around - height).max(0.0));
    }
}

fn write_reflectance(row: &mut [Texel], melanin: &[f32], haemoglobin: &[f32]) {
    for ((texel, &melanin), &haemoglobin) in row.iter_mut().zip(melanin).zip(haemoglobin) {
        texel[REFLECTANCE..].copy_from_slice(&reflectance(melanin, haemoglobin));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pit_is_less_open_and_red_sees_it_shallower_than_blue() {
        let mut height = Field::filled(0.0);
        height.stamp_bump([0.0, 0.0], 0.25, -0.5);
        let skin = Skin::of(&height, &Field::filled(0.5), &Field::filled(0.5));
        let bottom = skin.sample(&Spot::at([0.0, 0.0]));
        let plain = skin.sample(&Spot::at([9.0, 9.0]));
        assert!(bottom[OPENNESS] < 0.7 && (plain[OPENNESS] - 1.0).abs() < 1e-3);
        let wall = skin.sample(&Spot::at([0.25, 0.0]));
        assert!(slope(&wall, 0)[0] < slope(&wall, 2)[0]);
        assert!(slope(&wall, 2)[0] < slope(&wall, SURFACE)[0]);
    }
}
