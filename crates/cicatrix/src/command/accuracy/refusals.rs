//! What the quality gate refuses: unchanged phantom skin in careless hands, measured with the gate and as if it refused
//! nothing.

use cicatrix_assess::{GateSettings, Protocol};
use cicatrix_model::Measure;
use cicatrix_outcome::compare;
use cicatrix_phantom::{Course, Patient};

use super::bias::{Bench, SIZE, whole};

/// Careless: half as bad again as an ordinary clinic.
const LEVEL: f32 = 1.5;
const SESSIONS: u32 = 3;

/// Photos by what the gate made of them and by whether the change told would have been off by more than its detectable
/// change.
#[derive(Default)]
pub(super) struct Refusals {
    pub(super) bad: usize,
    pub(super) bad_refused: usize,
    pub(super) good: usize,
    pub(super) good_refused: usize,
    /// Not laid over the baseline at all: nobody knows what they would have told.
    pub(super) not_laid: usize,
}

impl Bench<'_> {
    pub(super) fn refusals(&self, mut progress: impl FnMut()) -> Refusals {
        let mut found = Refusals::default();
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
                    let told = unguarded.measured(&reference, &photo, false).and_then(|shots| {
                        let row = self.calibration.measure(Measure::Psi)?;
                        compare(row, &own, &shots)
                    });
                    match told {
                        None => found.not_laid += 1,
                        Some(e) if e.change.abs() > e.mdc95 => {
                            found.bad += 1;
                            found.bad_refused += usize::from(refused);
                        }
                        Some(_) => {
                            found.good += 1;
                            found.good_refused += usize::from(refused);
                        }
                    }
                }
            }
            progress();
        }
        found
    }
}
