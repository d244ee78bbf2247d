//! Figures of one set of results whose truth is known.

use cicatrix_model::{Measure, Shot};
use cicatrix_outcome::{Agreement, COVARIATES, Calibration, Estimate, Observed, agreement, compare, held_out};

use crate::command::known::{Case, Place};
use crate::exit;

/// An estimate beside the truth, fraction.
pub(super) struct Told {
    pub(super) subject: String,
    pub(super) true_change: f64,
    pub(super) melanin: Option<f64>,
    pub(super) estimate: Estimate,
    /// Which case of the set it is of.
    pub(super) case: usize,
}

impl Told {
    /// On the ln scale.
    pub(super) fn error(&self) -> f64 {
        (self.estimate.change / 100.0).ln_1p() - self.true_change.ln_1p()
    }
}

pub(super) struct Set {
    pub(super) name: String,
    /// The error table was made on it.
    pub(super) seen: bool,
    pub(super) cases: Vec<Case>,
    pub(super) patients: usize,
    /// Sessions of the truth that have no measured change.
    pub(super) not_measurable: usize,
}

impl Set {
    pub(super) async fn read(place: &Place, seen: bool) -> anyhow::Result<Self> {
        let (truth, cases) = place.read().await?;
        let mut sessions: Vec<(&str, &str)> =
            truth.photos.iter().map(|p| (p.patient.as_str(), p.session_date.as_str())).collect();
        sessions.sort_unstable();
        sessions.dedup();
        let mut patients: Vec<&str> = sessions.iter().map(|(patient, _)| *patient).collect();
        patients.dedup();
        let (all, patients) = (sessions.len() - patients.len(), patients.len());
        let mut told: Vec<(&str, &str)> = cases.iter().map(|c| (c.patient.as_str(), c.session.as_str())).collect();
        told.sort_unstable();
        told.dedup();
        if cases.is_empty() {
            let said = format!(
                "nothing that the database of '{}' has measured is in its truth: do they belong together?",
                place.name
            );
            return Err(exit::bad_input(said));
        }
        let not_measurable = all.saturating_sub(told.len());
        Ok(Self { name: place.name.clone(), seen, cases, patients, not_measurable })
    }

    /// All shots of a session against all of the baseline.
    pub(super) fn pooled(&self, calibration: &Calibration) -> Vec<Told> {
        self.told(calibration, |case| vec![(case.before.clone(), case.after.clone())])
    }

    /// Each shot of a session against the baseline's reference shot.
    pub(super) fn single(&self, calibration: &Calibration) -> Vec<Told> {
        self.told(calibration, |case| {
            let Some(reference) = case.before.iter().find(|shot| shot.is_reference) else { return vec![] };
            case.after.iter().map(|shot| (vec![reference.clone()], vec![shot.clone()])).collect()
        })
    }

    /// Whether anything has changed in it: a plot of nothing but zeros shows a line.
    pub(super) fn has_changes(&self) -> bool {
        self.cases.iter().any(|case| case.true_change != 0.0)
    }

    /// The case whose change is furthest off.
    pub(super) fn worst(&self, calibration: &Calibration) -> Option<&Case> {
        let told = self.pooled(calibration);
        let worst = told.iter().max_by(|a, b| a.error().abs().total_cmp(&b.error().abs()))?;
        self.cases.get(worst.case)
    }

    fn told(&self, calibration: &Calibration, pairs: impl Fn(&Case) -> Vec<(Vec<Shot>, Vec<Shot>)>) -> Vec<Told> {
        let Some(row) = calibration.measure(Measure::Psi) else { return vec![] };
        let mut told = Vec::new();
        for (number, case) in self.cases.iter().enumerate() {
            for (before, after) in pairs(case) {
                told.extend(compare(row, &before, &after).map(|estimate| Told {
                    subject: case.patient.clone(),
                    true_change: case.true_change,
                    melanin: case.melanin,
                    estimate,
                    case: number,
                }));
            }
        }
        told
    }

    /// Agreement of a variant of the index, its line fitted on the other patients of this set.
    pub(super) fn variant(&self, variant: Variant) -> Option<Agreement> {
        agreement_of_others(&self.cases.iter().filter_map(|case| variant.of(case)).collect::<Vec<_>>())
    }
}

/// Agreement of changes, each told by the line through the other patients, with the truth; percent.
pub(super) fn agreement_of_others(observed: &[Observed]) -> Option<Agreement> {
    let told = held_out(observed).into_iter().zip(observed);
    let pairs: Vec<(f64, f64)> =
        told.filter_map(|(told, case)| Some((100.0 * told?.exp_m1(), 100.0 * case.true_ln.exp_m1()))).collect();
    agreement(&pairs)
}

/// The index with a stage of its method left out.
#[derive(Clone, Copy)]
pub(super) enum Variant {
    Full,
    WithoutLight,
    WithoutCovariates,
    /// Excess contrast of scars, not divided by that of healthy skin.
    NotSelfReferenced,
}

impl Variant {
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Full, "as it is"),
        (Self::WithoutLight, "without the shade of the region"),
        (Self::WithoutCovariates, "without any covariate"),
        (Self::NotSelfReferenced, "not divided by healthy skin, no covariate"),
    ];

    fn of(self, case: &Case) -> Option<Observed> {
        let mean = |shots: &[Shot], f: &dyn Fn(&Shot) -> Option<f64>| {
            let values: Vec<f64> = shots.iter().filter_map(f).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let change = |f: &dyn Fn(&Shot) -> Option<f64>| Some(mean(&case.after, f)? - mean(&case.before, f)?);
        let psi = |shot: &Shot| shot.value(Measure::Psi).map(f64::ln);
        let excess = |shot: &Shot| Some(psi(shot)? + 0.5 * shot.value(Measure::RefEnergy)?.ln());
        let observed = match self {
            Self::NotSelfReferenced => change(&excess)?,
            _ => change(&psi)?,
        };
        let readings: &[&str] = match self {
            Self::Full => &COVARIATES,
            Self::WithoutLight => &COVARIATES[..1],
            Self::WithoutCovariates | Self::NotSelfReferenced => &[],
        };
        let covariates = readings.iter().map(|name| change(&|shot: &Shot| shot.reading(name)).unwrap_or(0.0)).collect();
        Some(Observed { subject: case.patient.clone(), true_ln: case.true_change.ln_1p(), observed, covariates })
    }
}
