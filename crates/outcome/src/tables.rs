//! Making a calibration table from changes of known truth.
//!
//! Classical calibration: the observed change is fitted on the true one, with the covariates, by least squares, and
//! turned around. That keeps the estimate unbiased at every true change; fitting the truth on what is observed would
//! shrink large changes. What is left over gives the variance (`variance.rs`), split by tier, and between shot and session
//! by taking each change twice: with all its shots, and shot by shot.
//!
//! Patients are counted, not changes. The changes of a patient have one baseline, so they share its error: with equal
//! errors e₀, e₁, e₂ the residuals e₁ − e₀ and e₂ − e₀ correlate by ρ = ½, and by more where patients differ in how
//! their scars show (0.6 for `psi` on the practice series). A variance s² from m patients with k changes each has
//! `2/Var(s²/σ²) = mk / (1 + (k−1)ρ²)` degrees of freedom (Satterthwaite 1946, Biometrics Bull. 2:110), at most mk and,
//! whatever ρ is, at least m. Taken is m − 1, as is usual for clustered data (Cameron & Miller 2015, J. Human Resources
//! 50:317): a little too wide is better than too narrow.

use std::collections::BTreeSet;

use cicatrix_model::{Measure, QualityTier, Shot};
use nalgebra::{DMatrix, DVector};

use crate::calibration::{
    Calibration, CalibrationError, Covariate, MOST_PROPORTION, MeasureError, TierError, Widening, difference,
    inverse_shots, pooled, squared_distance, worst_tier,
};
use crate::quantile::{mean, rms, sd_upper_factor, t975};
use crate::variance::{VarianceCase, fit};

/// A session against its baseline with what is known of the truth.
#[derive(Debug, Clone)]
pub struct CalibrationCase {
    pub subject: String,
    pub baseline: Vec<Shot>,
    pub follow_up: Vec<Shot>,
    /// True ln ratio of scar volume.
    pub true_ln: f64,
    /// Nothing has changed at all: neither scars nor the colour of skin, which fades by itself.
    pub unchanged: bool,
}

/// Patients that a table needs. Error bars from 7 gave 7 to 12 % false changes at a nominal 5 %.
pub(crate) const LEAST_SUBJECTS: usize = 35;
/// A tier with fewer subjects than this borrows from all tiers; a measure with fewer subjects
/// has no row.
pub(crate) const LEAST_PER_TIER: usize = 8;
/// Least part of the variance that unchanged skin in the baseline's conditions has.
const LEAST_STILL: f64 = 0.02;
/// Readings that the contrast of scars is corrected by.
pub const COVARIATES: [&str; 2] = ["ln_ref_energy_ratio", "ln_shading_ratio"];
/// Readings whose distance from the baseline's makes any measure less sure.
const WIDENING: [&str; 4] = ["ln_ref_energy_ratio", "ln_shading_ratio", "ln_focus_ratio", "light_turn_deg"];

/// Counts are whole numbers that mostly stay, and new scars are mostly none: an interval from their spread would be none.
fn has_interval(measure: Measure) -> bool {
    !matches!(
        measure,
        Measure::ScarCountSmall | Measure::ScarCountMedium | Measure::ScarCountLarge | Measure::NewScarAreaMm2
    )
}

/// The contrast of healthy skin is no less sure for having moved.
fn widens(measure: Measure) -> bool {
    measure != Measure::RefEnergy
}

/// Makes a table. Measures of scar contrast follow the true volume; the others are made on skin of which nothing
/// has changed, for their truth is not known otherwise: redness fades while scars stay.
pub fn calibrate(
    id: &str,
    made: &str,
    sets: &[String],
    cases: &[CalibrationCase],
) -> Result<Calibration, CalibrationError> {
    let found = subjects(cases.iter().map(|c| c.subject.as_str()));
    if found < LEAST_SUBJECTS {
        return Err(CalibrationError::TooFew { found, needed: LEAST_SUBJECTS });
    }
    Ok(Calibration {
        id: id.to_owned(),
        made: made.to_owned(),
        sets: sets.to_vec(),
        n_subjects: found,
        n_changes: cases.len(),
        measures: Measure::ALL.iter().filter(|m| has_interval(**m)).filter_map(|&m| measure_error(m, cases)).collect(),
        regions: vec![],
    })
}

/// Measures whose change follows scar volume.
pub(crate) fn follows_volume(measure: Measure) -> bool {
    use Measure::{Psi, PsiDepressed, PsiLarge, PsiMedium, PsiSmall};
    matches!(measure, Psi | PsiSmall | PsiMedium | PsiLarge | PsiDepressed)
}

/// What is left of a change once the table has told it.
struct Residual<'a> {
    case: &'a CalibrationCase,
    tier: QualityTier,
    value: f64,
    /// One shot of several, taken by itself.
    is_single: bool,
}

/// How many different ones.
pub(crate) fn subjects<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.collect::<BTreeSet<_>>().len()
}

fn measure_error(measure: Measure, cases: &[CalibrationCase]) -> Option<MeasureError> {
    let known = |c: &&CalibrationCase| follows_volume(measure) || c.unchanged;
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
    let x: Vec<f64> = observed.iter().map(|(_, x, _)| *x).collect();
    let mut row = MeasureError {
        measure,
        beta: 1.0,
        bias: 0.0,
        proportion: 0.0,
        proportion_of_truth: 0.0,
        covariates: Vec::new(),
        widening: Vec::new(),
        tiers: Vec::new(),
    };
    if follows_volume(measure) {
        row.covariates = covariates(&cases_seen);
        (row.beta, row.bias) = classical_fit(&cases_seen, &x, &mut row.covariates)?;
    } else {
        row.bias = mean(&x);
    }
    // A line fitted to the subjects lies nearer to them than the true one: m/(m − p) makes up for p fitted numbers.
    let fitted = row.covariates.len() + if follows_volume(measure) { 2 } else { 1 };
    let widened = (m as f64 / (m - fitted) as f64).sqrt();
    let singles: Vec<CalibrationCase> = cases_seen.iter().flat_map(|case| single_shots(case)).collect();
    let whole = cases_seen.into_iter().map(|case| (case, false));
    let residuals: Vec<Residual<'_>> = whole
        .chain(singles.iter().map(|case| (case, true)))
        .filter_map(|(case, is_single)| {
            let x = row.observed(&case.follow_up, &case.baseline)? - pooled(&case.baseline, measure)?;
            let tier = worst_tier(&case.baseline, &case.follow_up)?;
            Some(Residual { case, tier, is_single, value: widened * (row.beta * x - row.bias - case.true_ln) })
        })
        .collect();
    let still = spread(&mut row, &residuals);
    // An error that grows as fast as the change lets no change be told.
    if t975(m as f64 - 1.0) * row.proportion >= MOST_PROPORTION {
        return None;
    }
    let tiers = [QualityTier::Locked, QualityTier::Clinic, QualityTier::Casual];
    row.tiers = tiers.iter().map(|&t| tier_error(&row, t, still, &residuals)).collect();
    Some(row)
}

/// A case of several shots once more, shot by shot: one against one is further off than the mean of two, and by how much
/// tells the error of a shot from that of a session.
fn single_shots(case: &CalibrationCase) -> Vec<CalibrationCase> {
    let Some(before) = case.baseline.iter().find(|s| s.is_reference).or(case.baseline.first()) else { return vec![] };
    if case.baseline.len() == 1 && case.follow_up.len() == 1 {
        return vec![];
    }
    let alone = |after: &Shot| CalibrationCase {
        baseline: vec![before.clone()],
        follow_up: vec![after.clone()],
        ..case.clone()
    };
    case.follow_up.iter().map(alone).collect()
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

/// Variance of an unchanged skin in the baseline's conditions, over all tiers: what a session adds, and what a shot.
#[derive(Debug, Clone, Copy)]
struct Still {
    session: f64,
    shot: f64,
}

/// Fits how the error grows with fewer shots, change and conditions.
fn spread(row: &mut MeasureError, residuals: &[Residual<'_>]) -> Still {
    let inverse: Vec<f64> = residuals.iter().map(|r| inverse_shots(&r.case.baseline, &r.case.follow_up)).collect();
    // Without repeats nothing tells the parts apart: all is laid to the session, which averaging cannot reduce.
    let tells_shots = inverse.iter().any(|v| *v != inverse[0]);
    let cases: Vec<VarianceCase> = residuals
        .iter()
        .zip(&inverse)
        .map(|(r, inverse)| {
            let distance = |reading: &&str| squared_distance(reading, &r.case.follow_up, &r.case.baseline);
            let conditions = WIDENING.iter().map(|z| if widens(row.measure) { distance(z) } else { 0.0 });
            let shots = if tells_shots { *inverse } else { 0.0 };
            let change = if follows_volume(row.measure) { r.case.true_ln.powi(2) } else { 0.0 };
            VarianceCase {
                squared: r.value * r.value,
                grows_with: [shots, change].into_iter().chain(conditions).collect(),
            }
        })
        .collect();
    let parts = fit(&cases);
    let mut still = Still { session: parts[0], shot: parts[1] };
    // A share of the whole at least: without it a measure whose error always grows with something would be exact where
    // nothing does.
    let total = mean(&cases.iter().map(|case| case.squared).collect::<Vec<_>>());
    still.session += ((LEAST_STILL * total).max(1e-12) - still.pair()).max(0.0);
    row.proportion = parts[2].sqrt();
    let weights = WIDENING.iter().zip(&parts[3..]).filter(|(_, variance)| **variance > 1e-3 * still.pair());
    row.widening =
        weights.map(|(reading, v)| Widening { reading: (*reading).to_owned(), weight: v / still.pair() }).collect();
    still
}

impl Still {
    /// Of two shots against two.
    fn pair(self) -> f64 {
        self.session + self.shot
    }
}

fn tier_error(row: &MeasureError, tier: QualityTier, still: Still, residuals: &[Residual<'_>]) -> TierError {
    let mut own: Vec<&Residual<'_>> = residuals.iter().filter(|r| r.tier == tier).collect();
    // Single shots are of the same patients, and a case of theirs may be of another tier: the whole cases count.
    let whole = |of: &[&Residual<'_>]| of.iter().filter(|r| !r.is_single).count();
    let patients = |of: &[&Residual<'_>]| subjects(of.iter().filter(|r| !r.is_single).map(|r| r.case.subject.as_str()));
    if patients(&own) < LEAST_PER_TIER {
        own = residuals.iter().collect();
    }
    // Each residual in units of what all tiers together would let it be.
    let expected = |r: &Residual<'_>| {
        let (before, after) = (&r.case.baseline, &r.case.follow_up);
        still.session
            + still.shot * inverse_shots(before, after)
            + still.pair() * row.growth(before, after)
            + (row.proportion * r.case.true_ln).powi(2)
    };
    let factor = rms(&own.iter().map(|r| r.value / expected(r).sqrt()).collect::<Vec<_>>());
    let n_subjects = patients(&own);
    TierError {
        tier,
        sd_shot: factor * still.shot.sqrt(),
        sd_session: factor * still.session.sqrt(),
        n_subjects,
        n_changes: whole(&own),
        sd_upper_factor: sd_upper_factor(n_subjects as f64 - 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::shot;

    /// Errors of ±`error` in turn, seen at slope 1/1.25 with an offset.
    fn cases(error: f64) -> Vec<CalibrationCase> {
        (0..120)
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
                    unchanged: true_ln == 0.0,
                }
            })
            .collect()
    }

    /// Half width of two shots against two without a change.
    fn still(row: &MeasureError) -> f64 {
        let pair = [shot(2.0), shot(2.0)];
        row.precision(QualityTier::Clinic, &pair, &pair).unwrap().still
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
        assert!(psi.proportion < 0.05 && psi.widening.is_empty(), "{psi:?}");
        let pair = [shot(2.0), shot(2.0)];
        let half = still(psi);
        // 40 subjects, slope and offset fitted; R: qt(0.975, 39) = 2.0227
        let expected = 2.0227 * 0.08 * 1.25 * (40.0_f64 / 38.0 * (1.0 + 1.0 / 40.0)).sqrt();
        assert!((half / expected - 1.0).abs() < 0.02, "{half}, not {expected}");
        let single = psi.precision(QualityTier::Clinic, &pair[..1], &pair[..1]).unwrap().still;
        assert!(single > half);
        assert_eq!(table.n_subjects, 40);
        assert_eq!(Calibration::from_toml(&table.to_toml()).unwrap(), table);
    }

    #[test]
    fn more_changes_of_the_same_patients_do_not_narrow_an_interval_and_more_patients_do() {
        let half = |cases: &[CalibrationCase]| {
            let table = made(cases);
            still(table.measure(Measure::Psi).unwrap())
        };
        let once = cases(0.08);
        let others = once.iter().map(|c| CalibrationCase { subject: format!("other {}", c.subject), ..c.clone() });
        let others: Vec<CalibrationCase> = others.collect();
        let alone = half(&once);
        assert!((half(&[once.clone(), once.clone()].concat()) / alone - 1.0).abs() < 1e-3);
        assert!(half(&[once, others].concat()) < 0.98 * alone);
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
    fn a_table_of_thirty_patients_is_refused() {
        assert!(matches!(calibrate("t", "", &[], &cases(0.1)[..90]), Err(CalibrationError::TooFew { .. })));
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
        let half = still(psi);
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

    /// Patients whose scars show more or less of a change, and photos in light that is far off.
    #[test]
    fn an_error_that_grows_with_change_and_light_is_told_as_such() {
        let normal = |i: usize| [1.2, -0.5, 0.3, -1.4, 0.8, -0.2, -0.9, 0.7, 1.5, -1.5][i % 10];
        let spread = |i: usize| {
            let true_ln: f64 = [0.0, -0.4, 0.0, -0.2, 0.2][i % 5];
            let z: f64 = [0.0, 0.0, 0.6, -0.5, 0.0, 0.1, -0.6][i % 7];
            let error = normal(i / 5) * (0.03_f64.powi(2) * (1.0 + 25.0 * z * z) + (0.2 * true_ln).powi(2)).sqrt();
            let lit = |shot: Shot, z: f64| Shot { readings: vec![("light_turn_deg".to_owned(), z)], ..shot };
            CalibrationCase {
                subject: format!("s{}", i / 3),
                baseline: vec![lit(shot(2.0), 0.0)],
                follow_up: vec![lit(shot(2.0 * (true_ln + error).exp()), z)],
                true_ln,
                unchanged: false,
            }
        };
        let table = made(&(0..1050).map(spread).collect::<Vec<_>>());
        let psi = table.measure(Measure::Psi).unwrap();
        assert!((psi.proportion - 0.2).abs() < 0.05, "{psi:?}");
        let weight = psi.widening.iter().find(|w| w.reading == "light_turn_deg").unwrap().weight;
        assert!((10.0..50.0).contains(&weight), "{weight}");
        let precision = psi.precision(QualityTier::Clinic, &[shot(2.0)], &[shot(1.5)]).unwrap();
        let half = |told: f64| precision.interval(told).1 - told;
        assert!(half(-0.4) > 2.0 * half(0.0));
        let detectable = precision.detectable();
        assert!((half(detectable) / detectable - 1.0).abs() < 1e-9);
    }
}
