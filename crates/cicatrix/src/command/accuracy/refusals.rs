//! What the quality gate refuses: unchanged phantom skin in careless hands, measured with the gate and as if it refused
//! nothing.

use cicatrix_assess::Protocol;
use cicatrix_model::{ChangeVerdict, Measure};
use cicatrix_outcome::{Estimate, compare};
use cicatrix_phantom::{Course, Patient, Photo as Rendered};
use cicatrix_photo::{from_linear, to_linear};

use super::bias::{Bench, SIZE, whole};

/// Careless: half as bad again as an ordinary clinic.
const LEVEL: f32 = 1.5;
const SESSIONS: u32 = 3;

/// Photos of unchanged skin by what was made of them. Bad ones are further off than the median detectable change of all.
#[derive(Default)]
pub(super) struct Refusals {
    /// The median detectable change, %.
    pub(super) bound: f64,
    pub(super) bad: Fate,
    pub(super) good: Fate,
    /// Not laid over the baseline at all, or without a scar to measure: nobody knows what they would have told.
    pub(super) not_laid: usize,
}

#[derive(Default)]
pub(super) struct Fate {
    /// By the gate.
    pub(super) refused: usize,
    /// Told, and their interval holds zero.
    pub(super) no_change: usize,
    /// Told as a change, which is false.
    pub(super) false_change: usize,
}

impl Bench<'_> {
    pub(super) fn refusals(&self, mut progress: impl FnMut()) -> Refusals {
        let mut told: Vec<(Estimate, bool)> = Vec::new();
        let mut not_laid = 0;
        let lenient = Protocol { gate: self.protocol.gate.clone().never_failing(), ..self.protocol.clone() };
        let unguarded = Bench { protocol: &lenient, calibration: self.calibration, seeds: self.seeds.clone() };
        for seed in self.seeds.clone() {
            let patient = Patient::with_course(seed, Course::UNCHANGED);
            let baseline = patient.session(0, SESSIONS, LEVEL).shoot(1, SIZE);
            let Some((reference, own)) = unguarded.baseline(&baseline, &[whole(&baseline)]) else { continue };
            for index in 1..SESSIONS {
                let session = patient.session(index, SESSIONS, LEVEL);
                for shot in 1..=2 {
                    let photo = session.shoot(shot, SIZE);
                    let refused = self.measured(&reference, &photo, false).is_none();
                    let estimate = unguarded.measured(&reference, &photo, false).and_then(|shots| {
                        let row = self.calibration.measure(Measure::Psi)?;
                        compare(row, &own, &shots)
                    });
                    match estimate {
                        Some(estimate) => told.push((estimate, refused)),
                        None => not_laid += 1,
                    }
                }
            }
            progress();
        }
        sorted(&told, not_laid)
    }
}

/// Part of the light that a shadow takes, percent.
pub(super) const SHADOWS: [u32; 4] = [5, 10, 20, 50];
/// Half the width of a shadow's edge, px: about a third of a millimetre.
const PENUMBRA_PX: f64 = 8.0;

impl Bench<'_> {
    /// Unchanged skin in a perfect rig, a shadow over the right third of the second photo.
    pub(super) fn shadows(&self, mut progress: impl FnMut()) -> Vec<Fate> {
        let mut found: Vec<Fate> = SHADOWS.iter().map(|_| Fate::default()).collect();
        for seed in self.seeds.clone() {
            let session = Patient::with_course(seed, Course::UNCHANGED).session(0, SESSIONS, 0.0);
            let (still, photo) = (session.shoot(1, SIZE), session.shoot(2, SIZE));
            let row = self.calibration.measure(Measure::Psi);
            if let (Some((reference, own)), Some(row)) = (self.baseline(&still, &[whole(&still)]), row) {
                for (taken, fate) in SHADOWS.iter().zip(&mut found) {
                    let shots = self.measured(&reference, &shadowed(&photo, *taken), false);
                    match shots.and_then(|shots| compare(row, &own, &shots)).map(|estimate| estimate.verdict()) {
                        None => fate.refused += 1,
                        Some(ChangeVerdict::NoDetectableChange) => fate.no_change += 1,
                        Some(_) => fate.false_change += 1,
                    }
                }
            }
            progress();
        }
        found
    }
}

fn shadowed(photo: &Rendered, taken_percent: u32) -> Rendered {
    let (width, edge) = (photo.width as usize, 0.67 * f64::from(photo.width));
    let mut shadowed = photo.clone();
    for (i, v) in shadowed.srgb.iter_mut().enumerate() {
        let depth = 1.0 / (1.0 + (-((i / 3 % width) as f64 - edge) / PENUMBRA_PX).exp());
        let light = 1.0 - depth * f64::from(taken_percent) / 100.0;
        *v = (255.0 * from_linear(light * to_linear(f64::from(*v) / 255.0))).round() as u8;
    }
    shadowed
}

fn sorted(told: &[(Estimate, bool)], not_laid: usize) -> Refusals {
    let mut detectable: Vec<f64> = told.iter().map(|(estimate, _)| estimate.mdc95).collect();
    detectable.sort_by(f64::total_cmp);
    let bound = detectable.get(detectable.len() / 2).copied().unwrap_or(0.0);
    let mut found = Refusals { bound, not_laid, ..Refusals::default() };
    for (estimate, refused) in told {
        let fate = if estimate.change.abs() > bound { &mut found.bad } else { &mut found.good };
        match (refused, estimate.verdict()) {
            (true, _) => fate.refused += 1,
            (false, ChangeVerdict::NoDetectableChange) => fate.no_change += 1,
            (false, _) => fate.false_change += 1,
        }
    }
    found
}
