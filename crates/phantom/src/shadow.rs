//! Shadows that relief casts: scar walls shade the bottom when the light is low.

use crate::curve::smoothstep;
use crate::field::{COLUMNS, Field, PITCH_MM, ROWS};

/// How far towards the lamp one looks for something that stands in the light, mm.
const LOOKS_MM: [f32; 5] = [0.15, 0.30, 0.55, 0.90, 1.50];
/// Width of the shadow's edge in tangents of elevation: the lamp is no point.
const EDGE: f32 = 0.4;
/// Light that scatters below the surface fills the shadow's edge by this deviation.
const SCATTER_MM: f32 = 0.07;

/// Shadow over the patch, 0 none to 1 full, for a lamp in this direction (a unit vector in the patch's axes).
pub(crate) fn cast(height: &Field, to_lamp: [f32; 3]) -> Field {
    let flat = (to_lamp[0] * to_lamp[0] + to_lamp[1] * to_lamp[1]).sqrt().max(0.05);
    let rise = to_lamp[2] / flat;
    let mut horizon = Field::filled(0.0);
    for look_mm in LOOKS_MM {
        let samples = look_mm / (PITCH_MM * flat);
        let step = [to_lamp[0] * samples, to_lamp[1] * samples].map(|part| part.round() as isize);
        raise(&mut horizon, height, step);
    }
    horizon.mapped(|steepest| smoothstep((steepest - rise) / EDGE + 0.5)).blurred(SCATTER_MM)
}

/// Raises the horizon (the steepest view of relief towards the lamp) by what stands one step away.
fn raise(horizon: &mut Field, height: &Field, [across, down]: [isize; 2]) {
    let length_mm = ((across * across + down * down) as f32).sqrt() * PITCH_MM;
    if length_mm == 0.0 {
        return;
    }
    let per_mm = 1.0 / length_mm;
    let split = across.rem_euclid(COLUMNS as isize) as usize;
    let mut shifted = vec![0.0; COLUMNS];
    for (y, steepest) in horizon.rows_mut().enumerate() {
        let other = height.row((y as isize + down).rem_euclid(ROWS as isize) as usize);
        shifted[..COLUMNS - split].copy_from_slice(&other[split..]);
        shifted[COLUMNS - split..].copy_from_slice(&other[..split]);
        for ((steep, &there), &here) in steepest.iter_mut().zip(&shifted).zip(height.row(y)) {
            *steep = steep.max((there - here) * per_mm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Spot;

    #[test]
    fn a_low_lamp_on_the_right_shades_the_right_side_of_a_pit() {
        let mut height = Field::filled(0.0);
        height.stamp_bump([0.0, 0.0], 0.3, -0.8);
        let shadow = cast(&height, [0.94, 0.0, 0.34]);
        let (lamp_side, far_side) = (Spot::at([0.2, 0.0]), Spot::at([-0.4, 0.0]));
        assert!(shadow.sample(&lamp_side) > 0.5);
        assert!(shadow.sample(&lamp_side) > shadow.sample(&far_side));
        assert!(shadow.sample(&Spot::at([5.0, 5.0])) < 1e-3);
    }

    #[test]
    fn a_lamp_overhead_casts_no_shadow() {
        let mut height = Field::filled(0.0);
        height.stamp_bump([0.0, 0.0], 0.3, -0.5);
        let shadow = cast(&height, [0.0, 0.0, 1.0]);
        assert!(shadow.sample(&Spot::at([0.0, 0.0])) < 1e-3);
    }
}
