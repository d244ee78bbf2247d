//! What mask and registration are worth: the same photos measured with the scars that the program finds, with those that
//! the truth draws, and with the registration of the other precision.

use std::f64::consts::TAU;

use cicatrix_align::{AlignSettings, Precision};
use cicatrix_assess::Protocol;
use cicatrix_model::{Measure, RegionPolygon};
use cicatrix_outcome::{COVARIATES, Observed};
use cicatrix_phantom::{Patient, Photo as Rendered};

use super::bias::{Bench, SIZE, whole};

const LEVEL: f32 = 0.5;
const SESSIONS: u32 = 3;
/// Corners of a drawn scar.
const CORNERS: u32 = 24;

/// Changes by name of the variant.
pub(super) type Stages = Vec<(&'static str, Vec<Observed>)>;

impl Bench<'_> {
    pub(super) fn stages(&self, mut progress: impl FnMut()) -> Stages {
        let (precision, name) = match self.protocol.align.precision {
            Precision::Scoring => (Precision::Fine, "registration one level finer"),
            Precision::Fine => (Precision::Scoring, "registration one level coarser"),
        };
        let align = AlignSettings { precision, ..self.protocol.align.clone() };
        let other = Protocol { align, ..self.protocol.clone() };
        let variants = [
            ("scars found, registration as the protocol has it", self.protocol, false),
            ("scars drawn by the truth", self.protocol, true),
            (name, &other, false),
        ];
        let mut stages: Stages = variants.iter().map(|(name, ..)| (*name, vec![])).collect();
        for seed in self.seeds.clone() {
            let patient = Patient::new(seed);
            let shoot = |index: u32| patient.session(index, SESSIONS, LEVEL).shoot(1, SIZE);
            let (before, later) = (shoot(0), [shoot(1), shoot(2)]);
            for ((_, protocol, drawn), (_, found)) in variants.iter().zip(&mut stages) {
                let bench = Bench { protocol, calibration: self.calibration, seeds: self.seeds.clone() };
                let scars = if *drawn { outlines(&before) } else { vec![] };
                let region = RegionPolygon { scars, ..whole(&before) };
                found.extend(later.iter().filter_map(|after| bench.observed(seed, &before, after, region.clone())));
            }
            progress();
        }
        stages
    }

    fn observed(&self, seed: u64, before: &Rendered, after: &Rendered, region: RegionPolygon) -> Option<Observed> {
        let (reference, own) = self.baseline(before, &[region])?;
        let (own, shots) = (own.first()?, self.measured(&reference, after, false)?);
        let now = shots.first()?;
        Some(Observed {
            subject: seed.to_string(),
            true_ln: after.truth.session.true_volume_change.ln_1p(),
            observed: (now.value(Measure::Psi)? / own.value(Measure::Psi)?).ln(),
            covariates: COVARIATES.map(|name| now.reading(name).unwrap_or(0.0)).to_vec(),
        })
    }
}

/// Circles around the true scars.
fn outlines(photo: &Rendered) -> Vec<Vec<[f64; 2]>> {
    let circle = |scar: &cicatrix_phantom::ScarTruth| {
        let corner = |i: u32| {
            let (sin, cos) = (TAU * f64::from(i) / f64::from(CORNERS)).sin_cos();
            let [x, y] = scar.centre_mm.map(f64::from);
            photo.project([x + f64::from(scar.radius_mm) * cos, y + f64::from(scar.radius_mm) * sin])
        };
        (0..CORNERS).map(corner).collect()
    };
    photo.truth.session.scars.iter().map(circle).collect()
}
