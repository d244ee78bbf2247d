//! What the quality gate refuses: unchanged phantom skin in careless hands, measured with the gate and as if it refused
//! nothing.

use cicatrix_assess::{GateSettings, Protocol};
use cicatrix_model::{ChangeVerdict, Measure};
use cicatrix_outcome::{Estimate, compare};
use cicatrix_phantom::{Course, Patient};

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
    /// Not laid over the baseline at all: nobody knows what they would have told.
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
        let lenient = Protocol { gate: GateSettings::default().never_failing(), ..self.protocol.clone() };
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
