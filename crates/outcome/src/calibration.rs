//! The calibration table: how a measure follows the truth, and how far it strays without one.
//!
//! Classical calibration: `x = (y + bias) / β + Σ c z + error`, x the observed ln ratio, y the true one, z what the gate
//! read of the conditions. Fitting x on y keeps the estimate unbiased at every true change; fitting y on x would shrink
//! large changes. The covariates of `psi` are the contrast of healthy skin and the strength of the large-scale shade: the
//! first moves with the light and with the skin of the day, the second with the light alone, so that together they tell
//! the two apart. Beyond what the table has seen they count as at its edge. The error has a part that two
//! shots of a session do not share (`sd_shot`: pose, light, focus) and one they do (`sd_session`: moisture, the day).
//!
//! Patients are counted, not changes. The changes of a patient have one baseline, so they share its error: with equal
//! errors e₀, e₁, e₂ the residuals e₁ − e₀ and e₂ − e₀ correlate by ρ = ½, and by more where patients differ in how
//! their scars show (0.6 for `psi` on the practice series). A variance s² from m patients with k changes each has
//! `2/Var(s²/σ²) = mk / (1 + (k−1)ρ²)` degrees of freedom (Satterthwaite 1946, Biometrics Bull. 2:110), at most mk and,
//! whatever ρ is, at least m. Taken is m − 1, as is usual for clustered data (Cameron & Miller 2015, J. Human Resources
//! 50:317): a little too wide is better than too narrow.

use std::collections::BTreeSet;

use cicatrix_model::{Measure, QualityTier, Shot, ValueError};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::quantile::{mean, rms, t975};

/// Error of a measure in one tier, ln units for ratio measures, else the measure's unit, after β.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierError {
    pub tier: QualityTier,
    pub sd_shot: f64,
    pub sd_session: f64,
    /// Patients and changes that the row rests on.
    pub n_subjects: usize,
    pub n_changes: usize,
}

/// A gate reading that an observed change is corrected by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covariate {
    pub reading: String,
    /// Observed ln change per unit of the reading's difference between follow-up and baseline.
    pub coefficient: f64,
    /// Largest difference in size that the table rests on.
    pub range: f64,
}

/// How one measure behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureError {
    pub measure: Measure,
    /// True ln change per observed ln change.
    pub beta: f64,
    /// What an unchanged skin shows on average, subtracted after β.
    pub bias: f64,
    /// What the conditions do to the observed ln change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covariates: Vec<Covariate>,
    pub tiers: Vec<TierError>,
}

/// A versioned table; its stamp stands in every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub id: String,
    /// Date of making, and the sets it was made on.
    pub made: String,
    pub sets: Vec<String>,
    pub n_subjects: usize,
    pub n_changes: usize,
    #[serde(rename = "measure")]
    pub measures: Vec<MeasureError>,
}

/// Why a table cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error("the calibration cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("{found} changes of known truth are too few to calibrate on, {needed} are needed")]
    TooFew { found: usize, needed: usize },
}

/// A session against its baseline with what is known of the truth.
#[derive(Debug, Clone)]
pub struct CalibrationCase {
    pub subject: String,
    pub baseline: Vec<Shot>,
    pub follow_up: Vec<Shot>,
    /// True ln ratio of scar volume.
    pub true_ln: f64,
}

/// A tier with fewer subjects, or fewer repeated shots, than this borrows from all tiers.
const LEAST_PER_TIER: usize = 8;
const LEAST_CASES: usize = 20;

impl Calibration {
    pub fn from_toml(text: &str) -> Result<Self, CalibrationError> {
        Ok(toml::from_str(text)?)
    }

    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a table of plain values can be written")
    }

    /// Id with the start of a digest over the content, `rendered-1@0123abcd`: a table that was written anew under its
    /// old id is another one. Comments and layout of the file do not matter.
    pub fn stamp(&self) -> String {
        let digest: String = Sha256::digest(self.to_toml()).iter().take(4).map(|b| format!("{b:02x}")).collect();
        format!("{}@{digest}", self.id)
    }

    pub fn measure(&self, measure: Measure) -> Option<&MeasureError> {
        self.measures.iter().find(|m| m.measure == measure)
    }
}

impl TierError {
    /// Half width of the 95 % interval of something that strays by `sd`, which is known from this row's subjects:
    /// Student's t of m − 1 degrees of freedom.
    fn half_width(&self, sd: f64) -> f64 {
        t975(self.subjects() - 1.0) * sd
    }

    fn subjects(&self) -> f64 {
        self.n_subjects.max(2) as f64
    }
}

impl MeasureError {
    /// Error of a single photo's value: what one shot and half of what a pair of sessions strays by, before β.
    pub fn of_value(&self, tier: QualityTier, value: f64) -> Option<ValueError> {
        let row = self.tiers.iter().find(|t| t.tier == tier)?;
        let spread = (row.sd_shot.powi(2) + row.sd_session.powi(2) / 2.0).sqrt() / self.beta;
        let half = row.half_width(spread);
        Some(if self.measure.is_ratio() {
            ValueError { sd: value * spread, ci95_lo: value * (-half).exp(), ci95_hi: value * half.exp() }
        } else {
            ValueError { sd: spread, ci95_lo: value - half, ci95_hi: value + half }
        })
    }

    /// Half width of the 95 % interval of a new patient's change with these numbers of shots,
    /// `t(m−1) · √((sd_session² + sd_shot²·(1/n₀ + 1/n₁)) · (1 + 1/m))`, m the subjects of the row; 1/m is the error of
    /// the table's own offset. `None` for a tier without a row.
    pub fn half_width(&self, tier: QualityTier, baseline_shots: usize, shots: usize) -> Option<f64> {
        let row = self.tiers.iter().find(|t| t.tier == tier)?;
        let inverse = 1.0 / baseline_shots.max(1) as f64 + 1.0 / shots.max(1) as f64;
        let variance = row.sd_session.powi(2) + row.sd_shot.powi(2) * inverse;
        Some(row.half_width((variance * (1.0 + 1.0 / row.subjects())).sqrt()))
    }
}

impl MeasureError {
    /// What is observed of a session, the conditions taken off: mean over shots on the scale on which changes are
    /// computed, against a baseline whose readings are these.
    pub(crate) fn observed(&self, shots: &[Shot], baseline: &[Shot]) -> Option<f64> {
        let conditions: f64 = self
            .covariates
            .iter()
            .map(|c| c.coefficient * difference(&c.reading, shots, baseline).clamp(-c.range, c.range))
            .sum();
        Some(pooled(shots, self.measure)? - conditions)
    }
}

/// Mean of a reading over the shots of a session less that of the baseline; 0 where it was not read.
fn difference(reading: &str, shots: &[Shot], baseline: &[Shot]) -> f64 {
    let mean_of = |shots: &[Shot]| {
        let values: Vec<f64> = shots.iter().filter_map(|shot| shot.reading(reading)).collect();
        (!values.is_empty()).then(|| mean(&values))
    };
    match (mean_of(shots), mean_of(baseline)) {
        (Some(now), Some(then)) => now - then,
        _ => 0.0,
    }
}

/// Mean of a measure over shots on the scale on which changes are computed.
pub(crate) fn pooled(shots: &[Shot], measure: Measure) -> Option<f64> {
    let scaled = |v: f64| if measure.is_ratio() { v.ln() } else { v };
    let values: Vec<f64> =
        shots.iter().filter_map(|s| s.value(measure)).map(scaled).filter(|v| v.is_finite()).collect();
    (!values.is_empty()).then(|| mean(&values))
}

/// The tier of a comparison is the worst of its shots; the reference itself has none to give.
pub(crate) fn worst_tier(baseline: &[Shot], follow_up: &[Shot]) -> Option<QualityTier> {
    let follow = follow_up.iter().map(|s| s.quality_tier).max();
    baseline.iter().filter(|s| !s.is_reference).map(|s| s.quality_tier).chain(follow).max()
}

/// Makes a table. `primary` measures follow the true volume; for the others the truth is that of unchanged skin.
pub fn calibrate(
    id: &str,
    made: &str,
    sets: &[String],
    cases: &[CalibrationCase],
) -> Result<Calibration, CalibrationError> {
    if cases.len() < LEAST_CASES {
        return Err(CalibrationError::TooFew { found: cases.len(), needed: LEAST_CASES });
    }
    Ok(Calibration {
        id: id.to_owned(),
        made: made.to_owned(),
        sets: sets.to_vec(),
        n_subjects: subjects(cases.iter().map(|c| c.subject.as_str())),
        n_changes: cases.len(),
        measures: Measure::ALL.iter().filter_map(|&m| measure_error(m, cases)).collect(),
    })
}

/// Readings that the contrast of scars is corrected by.
const COVARIATES: [&str; 2] = ["ln_ref_energy_ratio", "ln_shading_ratio"];

/// Measures whose change follows scar volume.
fn follows_volume(measure: Measure) -> bool {
    matches!(measure, Measure::Psi | Measure::PsiSmall | Measure::PsiMedium | Measure::PsiLarge)
}

struct Residual<'a> {
    subject: &'a str,
    tier: QualityTier,
    value: f64,
    shots: (usize, usize),
}

/// How many different ones.
fn subjects<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.collect::<BTreeSet<_>>().len()
}

fn measure_error(measure: Measure, cases: &[CalibrationCase]) -> Option<MeasureError> {
    let known = |c: &&CalibrationCase| follows_volume(measure) || c.true_ln == 0.0;
    let observed: Vec<(&CalibrationCase, f64, QualityTier)> = cases
        .iter()
        .filter(known)
        .filter_map(|c| {
            let x = pooled(&c.follow_up, measure)? - pooled(&c.baseline, measure)?;
            Some((c, x, worst_tier(&c.baseline, &c.follow_up)?))
        })
        .collect();
    let m = subjects(observed.iter().map(|(c, ..)| c.subject.as_str()));
    if m < LEAST_PER_TIER {
        return None;
    }
    let cases_seen: Vec<&CalibrationCase> = observed.iter().map(|(c, ..)| *c).collect();
    let mut row = MeasureError { measure, beta: 1.0, bias: 0.0, covariates: Vec::new(), tiers: Vec::new() };
    if follows_volume(measure) {
        row.covariates = covariates(&cases_seen);
        let x: Vec<f64> = observed.iter().map(|(_, x, _)| *x).collect();
        (row.beta, row.bias) = classical_fit(&cases_seen, &x, &mut row.covariates)?;
    } else {
        row.bias = mean(&observed.iter().map(|(_, x, _)| *x).collect::<Vec<_>>());
    }
    // A line fitted to the subjects lies nearer to them than the true one: m/(m − p) makes up for p fitted numbers.
    let fitted = row.covariates.len() + if follows_volume(measure) { 2 } else { 1 };
    let widened = (m as f64 / (m - fitted) as f64).sqrt();
    let residuals: Vec<Residual<'_>> = observed
        .iter()
        .filter_map(|(c, _, tier)| {
            let x = row.observed(&c.follow_up, &c.baseline)? - pooled(&c.baseline, measure)?;
            Some(Residual {
                subject: &c.subject,
                tier: *tier,
                value: widened * (row.beta * x - row.bias - c.true_ln),
                shots: (c.baseline.len(), c.follow_up.len()),
            })
        })
        .collect();
    let repeats = repeats(&row, cases);
    let tiers = [QualityTier::Locked, QualityTier::Clinic, QualityTier::Casual];
    row.tiers = tiers.iter().map(|&t| tier_error(t, &residuals, &repeats)).collect();
    Some(row)
}

/// The covariates that differ between the cases at all, coefficients still to be fitted.
fn covariates(cases: &[&CalibrationCase]) -> Vec<Covariate> {
    let range =
        |reading: &str| cases.iter().map(|c| difference(reading, &c.follow_up, &c.baseline).abs()).fold(0.0, f64::max);
    let all =
        COVARIATES.map(|reading| Covariate { reading: reading.to_owned(), coefficient: 0.0, range: range(reading) });
    all.into_iter().filter(|covariate| covariate.range > 0.0).collect()
}

/// Slope and offset of `x = (y + bias) / β + Σ c z`, and the coefficients; `None` without a spread of truths or with a
/// slope that makes no sense.
fn classical_fit(cases: &[&CalibrationCase], x: &[f64], covariates: &mut [Covariate]) -> Option<(f64, f64)> {
    let terms = 2 + covariates.len();
    let design = DMatrix::from_fn(cases.len(), terms, |i, j| match j {
        0 => 1.0,
        1 => cases[i].true_ln,
        _ => difference(&covariates[j - 2].reading, &cases[i].follow_up, &cases[i].baseline),
    });
    let solved =
        (design.transpose() * &design).cholesky()?.solve(&(design.transpose() * DVector::from_column_slice(x)));
    let slope = solved[1];
    for (covariate, coefficient) in covariates.iter_mut().zip(solved.iter().skip(2)) {
        covariate.coefficient = *coefficient;
    }
    (slope.is_finite() && slope > 0.2).then(|| (1.0 / slope, solved[0] / slope))
}

/// Deviation of one shot from its session's mean, times √(n/(n−1)), in each shot's tier.
fn repeats(row: &MeasureError, cases: &[CalibrationCase]) -> Vec<(QualityTier, f64)> {
    let mut found = Vec::new();
    for case in cases.iter().filter(|c| c.follow_up.len() > 1) {
        let Some(centre) = row.observed(&case.follow_up, &case.baseline) else { continue };
        let n = case.follow_up.len() as f64;
        for shot in &case.follow_up {
            if let Some(value) = row.observed(std::slice::from_ref(shot), &case.baseline) {
                found.push((shot.quality_tier, row.beta * (value - centre) * (n / (n - 1.0)).sqrt()));
            }
        }
    }
    found
}

fn tier_error(tier: QualityTier, residuals: &[Residual<'_>], repeats: &[(QualityTier, f64)]) -> TierError {
    let mut own: Vec<&Residual<'_>> = residuals.iter().filter(|r| r.tier == tier).collect();
    if subjects(own.iter().map(|r| r.subject)) < LEAST_PER_TIER {
        own = residuals.iter().collect();
    }
    let mut shots: Vec<f64> = repeats.iter().filter(|(t, _)| *t == tier).map(|(_, v)| *v).collect();
    if shots.len() < LEAST_PER_TIER {
        shots = repeats.iter().map(|(_, v)| *v).collect();
    }
    let total = rms(&own.iter().map(|r| r.value).collect::<Vec<_>>());
    let inverse = mean(&own.iter().map(|r| 1.0 / r.shots.0 as f64 + 1.0 / r.shots.1 as f64).collect::<Vec<_>>());
    // Without repeats nothing tells the parts apart: all is laid to the session, which averaging cannot reduce. With
    // few, the shots' part may come out as large as the whole; at most three quarters of the variance are theirs.
    let sd_shot = rms(&shots).min(total * (0.75 / inverse).sqrt());
    let sd_session = (total * total - sd_shot * sd_shot * inverse).max(0.0).sqrt();
    let n_subjects = subjects(own.iter().map(|r| r.subject));
    TierError { tier, sd_shot, sd_session, n_subjects, n_changes: own.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::shot;

    /// Errors of ±`error` in turn, seen at slope 1/1.25 with an offset.
    fn cases(error: f64) -> Vec<CalibrationCase> {
        (0..60)
            .map(|i| {
                let true_ln = [0.0, -0.1, -0.2, -0.4, 0.15][i % 5];
                let sign = if (i / 5) % 2 == 0 { 1.0 } else { -1.0 };
                let x = (true_ln - 0.05) / 1.25 + sign * error;
                let pair = |ln: f64| vec![shot((ln + 0.02).exp()), shot((ln - 0.02).exp())];
                CalibrationCase {
                    subject: format!("s{}", i / 3),
                    baseline: pair(0.7),
                    follow_up: pair(0.7 + x),
                    true_ln,
                }
            })
            .collect()
    }

    fn made(cases: &[CalibrationCase]) -> Calibration {
        calibrate("t", "2026-11-22", &["x".into()], cases).unwrap()
    }

    #[test]
    fn slope_offset_and_error_are_found() {
        let table = made(&cases(0.08));
        let psi = table.measure(Measure::Psi).unwrap();
        assert!((psi.beta - 1.25).abs() < 0.01, "{psi:?}");
        assert!((psi.bias + 0.05).abs() < 0.01, "{psi:?}");
        let half = psi.half_width(QualityTier::Clinic, 2, 2).unwrap();
        // 20 subjects, slope and offset fitted; R: qt(0.975, 19) = 2.0930
        let expected = 2.0930 * 0.08 * 1.25 * (20.0_f64 / 18.0 * (1.0 + 1.0 / 20.0)).sqrt();
        assert!((half / expected - 1.0).abs() < 0.01, "{half}, not {expected}");
        let single = psi.half_width(QualityTier::Clinic, 1, 1).unwrap();
        assert!(single > half);
        assert_eq!(table.n_subjects, 20);
        assert_eq!(Calibration::from_toml(&table.to_toml()).unwrap(), table);
    }

    #[test]
    fn more_changes_of_the_same_patients_do_not_narrow_an_interval_and_more_patients_do() {
        let half = |cases: &[CalibrationCase]| {
            let table = made(cases);
            table.measure(Measure::Psi).unwrap().half_width(QualityTier::Clinic, 2, 2).unwrap()
        };
        let once = cases(0.08);
        let others = once.iter().map(|c| CalibrationCase { subject: format!("other {}", c.subject), ..c.clone() });
        let others: Vec<CalibrationCase> = others.collect();
        let alone = half(&once);
        assert!((half(&[once.clone(), once.clone()].concat()) / alone - 1.0).abs() < 1e-9);
        assert!(half(&[once, others].concat()) < 0.96 * alone);
    }

    #[test]
    fn the_stamp_sees_the_content_and_not_comments() {
        let table = made(&cases(0.08));
        let commented = Calibration::from_toml(&format!("# hello\n{}", table.to_toml())).unwrap();
        assert_eq!(commented.stamp(), table.stamp());
        assert!(table.stamp().starts_with("t@") && table.stamp().len() == 10, "{}", table.stamp());
        let rewritten = made(&cases(0.09));
        assert_eq!(rewritten.id, table.id);
        assert_ne!(rewritten.stamp(), table.stamp());
    }

    #[test]
    fn a_handful_is_refused() {
        assert!(matches!(calibrate("t", "", &[], &cases(0.1)[..10]), Err(CalibrationError::TooFew { .. })));
    }

    /// What the conditions add to each case, in turn: the table has to take it off again.
    #[test]
    fn what_the_light_did_is_taken_off_and_no_more_than_the_table_has_seen() {
        let lit = |case: CalibrationCase, i: usize| {
            let z: f64 = [0.2, -0.15, 0.0, 0.1, -0.05, 0.05, -0.2][i % 7];
            let shot = |shot: Shot| {
                let values = shot.values.iter().map(|(m, v)| (*m, v * (0.5 * z).exp())).collect();
                Shot { values, readings: vec![("ln_shading_ratio".to_owned(), z)], ..shot }
            };
            let still = |shot: Shot| Shot { readings: vec![("ln_shading_ratio".to_owned(), 0.0)], ..shot };
            CalibrationCase {
                baseline: case.baseline.into_iter().map(still).collect(),
                follow_up: case.follow_up.into_iter().map(shot).collect(),
                ..case
            }
        };
        let cases: Vec<CalibrationCase> = cases(0.02).into_iter().enumerate().map(|(i, c)| lit(c, i)).collect();
        let table = made(&cases);
        let psi = table.measure(Measure::Psi).unwrap();
        assert_eq!(psi.covariates.len(), 1, "the other one was not read: {psi:?}");
        assert!((psi.covariates[0].coefficient - 0.5).abs() < 0.05, "{psi:?}");
        let half = psi.half_width(QualityTier::Clinic, 2, 2).unwrap();
        assert!(half < 2.5 * 0.02 * 1.25 * 1.2, "the light is still in the error: {half}");

        let reading = |z: f64| Shot { readings: vec![("ln_shading_ratio".to_owned(), z)], ..shot(2.0) };
        let observed = |z: f64| psi.observed(&[reading(z)], &[reading(0.0)]).unwrap();
        assert!((observed(0.2) - (2.0_f64.ln() - 0.1)).abs() < 0.01);
        assert_eq!(observed(0.2), observed(3.0));
        assert_eq!(
            psi.observed(&[shot(2.0)], &[reading(0.0)]).unwrap(),
            2.0_f64.ln(),
            "an old photo without the reading"
        );
    }
}
