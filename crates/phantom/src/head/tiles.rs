//! The patients' patches on the head: a tile each, every second one mirrored, with soft seams.

use crate::curve::smoothstep;
use crate::field::{PATCH_MM, Spot};
use crate::patient::Patient;
use crate::session::Session;
use crate::skin::{REFLECTANCE, Skin, Texel};

use super::shape::Vector;

/// The skin is unrolled from a cylinder with this axis and radius.
const AXIS_Z_MM: f32 = -10.0;
const RADIUS_MM: f32 = 77.0;
/// Half width of a seam.
const SEAM_MM: f32 = 3.0;

pub(super) struct Tiles<'a> {
    skins: Vec<&'a Skin>,
    /// What brings a patient's reflectance to the tone of the first one.
    tones: Vec<[f32; 3]>,
}

impl<'a> Tiles<'a> {
    pub(super) fn of(sessions: &'a [Session], patients: &[Patient]) -> Self {
        let tone = |patient: &Patient| patient.tone_reflectance();
        let first = tone(&patients[0]);
        let gains = |patient: &Patient| {
            let own = tone(patient);
            [0, 1, 2].map(|c| first[c] / own[c])
        };
        Self { skins: sessions.iter().map(Session::skin).collect(), tones: patients.iter().map(gains).collect() }
    }

    pub(super) fn texel(&self, place: Vector) -> Texel {
        let across = RADIUS_MM * place[0].atan2(place[2] - AXIS_Z_MM);
        let (columns, rows) = (shares(across / PATCH_MM[0], PATCH_MM[0]), shares(-place[1] / PATCH_MM[1], PATCH_MM[1]));
        let mut mixed: Texel = [0.0; 12];
        for (row, of_row) in rows {
            for (column, of_column) in columns {
                let share = of_row * of_column;
                if share > 0.0 {
                    let texel = self.tile(column, row, [across, -place[1]]);
                    mixed.iter_mut().zip(texel).for_each(|(sum, v)| *sum += share * v);
                }
            }
        }
        mixed
    }

    fn tile(&self, column: i32, row: i32, [x, y]: [f32; 2]) -> Texel {
        let own = (column + 2 * row).rem_euclid(self.skins.len() as i32) as usize;
        let mirror = if (column.div_euclid(2) + row).rem_euclid(2) == 0 { 1.0 } else { -1.0 };
        let local = [mirror * (x - column as f32 * PATCH_MM[0]), y - row as f32 * PATCH_MM[1]];
        let mut texel = self.skins[own].sample(&Spot::at(local));
        for relief in 0..4 {
            texel[2 * relief] *= mirror;
        }
        (0..3).for_each(|c| texel[REFLECTANCE + c] *= self.tones[own][c]);
        texel
    }
}

/// The two tiles nearest to a coordinate in tiles, with their shares; a tile's middle lies at its number.
fn shares(tiles: f32, length_mm: f32) -> [(i32, f32); 2] {
    let own = tiles.round();
    let off = tiles - own;
    let other = own + off.signum();
    let to_seam = (0.5 - off.abs()) * length_mm;
    let share = smoothstep(0.5 + 0.5 * to_seam / SEAM_MM);
    [(own as i32, share), (other as i32, 1.0 - share)]
}
