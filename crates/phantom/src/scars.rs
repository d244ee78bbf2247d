//! All scars of a patient: where they lie, what they hold, and their depth as maps by kind.

use crate::field::{Field, PITCH_MM};
use crate::scar::{Scar, ScarKind};
use crate::stream::Stream;

#[derive(Debug)]
pub(crate) struct Scars {
    /// Each with its volume at the baseline, mm³.
    pub(crate) list: Vec<(Scar, f64)>,
    /// Depth at the baseline, mm, one map per kind in the order of [`ScarKind::ALL`].
    pub(crate) depths: [Field; 3],
}

impl Scars {
    /// 12 to 30 scars that keep off each other.
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        let mut depths = [(); 3].map(|()| Field::filled(0.0));
        let mut list = Vec::new();
        for scar in placed(stream) {
            let volume_mm3 = stamp(&scar, &mut depths[scar.kind as usize]);
            list.push((scar, volume_mm3));
        }
        Self { list, depths }
    }

    /// Ice-picks and boxcars of at least 0.25 mm that keep off these and each other, with their volume: at most as many as
    /// wanted.
    pub(crate) fn draw_new(&self, stream: &mut Stream, wanted: usize) -> Vec<(Scar, f64)> {
        const LEAST_DEPTH_MM: f32 = 0.25;
        let mut new: Vec<(Scar, f64)> = Vec::new();
        for _ in 0..100 * wanted {
            let scar = Scar::draw(stream);
            let is_clear = self.list.iter().chain(&new).all(|(other, _)| scar.is_clear_of(other));
            if new.len() < wanted && is_clear && scar.kind != ScarKind::Rolling && scar.depth_mm >= LEAST_DEPTH_MM {
                let volume_mm3 = stamp(&scar, &mut Field::filled(0.0));
                new.push((scar, volume_mm3));
            }
        }
        new
    }

    /// Baseline volume by kind, mm³, in the order of [`ScarKind::ALL`].
    pub(crate) fn volumes_mm3(&self) -> [f64; 3] {
        ScarKind::ALL.map(|kind| self.list.iter().filter(|(scar, _)| scar.kind == kind).map(|(_, volume)| volume).sum())
    }
}

fn placed(stream: &mut Stream) -> Vec<Scar> {
    let wanted = 12 + stream.below(19);
    let mut placed: Vec<Scar> = Vec::with_capacity(wanted);
    // A crowded region may take fewer than wanted; the truth tells how many it took.
    for _ in 0..40 * wanted {
        if placed.len() == wanted {
            break;
        }
        let scar = Scar::draw(stream);
        if placed.iter().all(|other| scar.is_clear_of(other)) {
            placed.push(scar);
        }
    }
    placed
}

/// Sinks a scar into a depth map and tells the volume that this added, mm³.
pub(crate) fn stamp(scar: &Scar, depths: &mut Field) -> f64 {
    let mut sum = 0.0_f64;
    depths.stamp(scar.centre_mm, scar.reach_mm(), |dx, dy| {
        let depth = scar.depth_at(dx, dy);
        sum += f64::from(depth);
        depth
    });
    sum * f64::from(PITCH_MM * PITCH_MM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Purpose;

    #[test]
    fn a_patient_has_twelve_to_thirty_scars() {
        for seed in 0..5 {
            let scars = Scars::draw(&mut Stream::of_patient(Purpose::Scars, seed));
            assert!((12..=30).contains(&scars.list.len()), "{} scars", scars.list.len());
        }
    }

    #[test]
    fn the_maps_hold_the_volumes_of_the_list() {
        let scars = Scars::draw(&mut Stream::of_patient(Purpose::Scars, 21));
        for (map, volume) in scars.depths.iter().zip(scars.volumes_mm3()) {
            let sum: f64 = map.rows().flatten().map(|&depth| f64::from(depth)).sum();
            let held = sum * f64::from(PITCH_MM * PITCH_MM);
            assert!((held - volume).abs() < 1e-3 * volume.max(0.1), "{held} mm³, not {volume} mm³");
        }
    }
}
