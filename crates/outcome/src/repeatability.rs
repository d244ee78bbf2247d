//! What a clinic's own repeats tell: two shots of one visit show the same skin, so their difference is error alone.
//!
//! `wSD = √(Σ d² / 2n)` of n pairs of differences d on the ln scale (Bland & Altman 1996, BMJ 313:744), conditions taken
//! off and β applied as in a change; `MDC95 = 1.96 · √2 · wSD` for one shot against one. It holds what differs between
//! two shots: pose, light, focus. What differs between two days, moisture or swelling, no pair of one visit can show; a
//! table made of repeats keeps that part of its base.

use cicatrix_model::{QualityTier, Region, Shot};

use crate::calibration::{Calibration, CalibrationError, MeasureError, TierError};
use crate::quantile::{Z975, mean, rms, sd_upper_factor};
use crate::tables::{LEAST_PER_TIER, LEAST_SUBJECTS, subjects};

/// The shots of one visit of a patient's region.
#[derive(Debug, Clone)]
pub struct Visit {
    pub subject: String,
    pub region: Region,
    pub shots: Vec<Shot>,
}

/// Two shots of one visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    pub subject: String,
    pub region: Region,
    /// The worse of the two.
    pub tier: QualityTier,
    /// Mean of both, and the second less the first: ln for ratio measures, else in the unit.
    pub mean: f64,
    pub difference: f64,
    /// Growth of its variance with the distance of the conditions between the two, in parts of that of two shots against
    /// two.
    pub growth: f64,
}

/// Error of repeated shots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseFloor {
    pub pairs: usize,
    pub subjects: usize,
    /// Within-subject deviation of one shot, and what it lies under with 95 %.
    pub wsd: f64,
    pub wsd_upper: f64,
    /// Mean difference, which should be 0, and the 95 % limits of agreement.
    pub bias: f64,
    pub limits: (f64, f64),
    /// Smallest change between one shot and one that is more than this error: same scale as `wsd`.
    pub mdc95: f64,
}

/// The pairs of shots of all visits: the first with the second, the third with the fourth.
pub fn repeats(visits: &[Visit], row: &MeasureError) -> Vec<Repeat> {
    let pair = |visit: &Visit, shots: &[Shot]| {
        let [a, b] = shots else { return None };
        let values = [a, b].map(|shot| row.observed(std::slice::from_ref(shot), std::slice::from_ref(a)));
        let [Some(first), Some(second)] = values else { return None };
        let tier = match (a.is_reference, b.is_reference) {
            (true, _) => b.quality_tier,
            (_, true) => a.quality_tier,
            _ => a.quality_tier.max(b.quality_tier),
        };
        let difference = row.beta * (second - first);
        let (subject, region) = (visit.subject.clone(), visit.region.clone());
        let growth = row.growth(std::slice::from_ref(a), std::slice::from_ref(b));
        Some(Repeat { subject, region, tier, mean: 0.5 * (first + second), difference, growth })
    };
    let all = visits.iter().flat_map(|visit| visit.shots.chunks_exact(2).map(move |shots| pair(visit, shots)));
    all.flatten().collect()
}

/// Least part of the difference between two shots that is not laid to their conditions.
const LEAST_OWN: f64 = 0.1;

/// `None` without a pair.
pub fn noise_floor<'a>(repeats: impl IntoIterator<Item = &'a Repeat>) -> Option<NoiseFloor> {
    let found: Vec<&Repeat> = repeats.into_iter().collect();
    let differences: Vec<f64> = found.iter().map(|r| r.difference).collect();
    if differences.is_empty() {
        return None;
    }
    let bias = mean(&differences);
    let spread = rms(&differences.iter().map(|d| d - bias).collect::<Vec<_>>());
    let wsd = rms(&differences) / std::f64::consts::SQRT_2;
    let subjects = subjects(found.iter().map(|r| r.subject.as_str()));
    Some(NoiseFloor {
        pairs: differences.len(),
        subjects,
        wsd,
        wsd_upper: wsd * sd_upper_factor(subjects as f64 - 1.0),
        bias,
        limits: (bias - Z975 * spread, bias + Z975 * spread),
        mdc95: Z975 * std::f64::consts::SQRT_2 * wsd,
    })
}

/// A table whose error between shots is that of these visits; everything else stays as in `base`.
pub fn recalibrate(
    base: &Calibration,
    id: &str,
    made: &str,
    set: &str,
    visits: &[Visit],
) -> Result<Calibration, CalibrationError> {
    let seen = visits.iter().filter(|v| v.shots.len() > 1);
    let found = subjects(seen.map(|v| v.subject.as_str()));
    if found < LEAST_SUBJECTS {
        return Err(CalibrationError::TooFew { found, needed: LEAST_SUBJECTS });
    }
    let mut table = base.clone();
    table.id = id.to_owned();
    table.made = made.to_owned();
    table.sets = base.sets.iter().cloned().chain([format!("repeats of {set}")]).collect();
    for row in &mut table.measures {
        let pairs = repeats(visits, row);
        for tier in &mut row.tiers {
            retier(tier, &pairs);
        }
    }
    Ok(table)
}

fn retier(row: &mut TierError, pairs: &[Repeat]) {
    let own: Vec<&Repeat> = pairs.iter().filter(|p| p.tier == row.tier).collect();
    let patients = subjects(own.iter().map(|p| p.subject.as_str()));
    if patients >= LEAST_PER_TIER {
        // Two shots of a session differ by 2 sd_shot², and by what the conditions between them make of both deviations:
        // (sd_session² + sd_shot²) · growth. At least a part of it is the shots' own.
        let squared = rms(&own.iter().map(|p| p.difference).collect::<Vec<_>>()).powi(2);
        let growth = mean(&own.iter().map(|p| p.growth).collect::<Vec<_>>());
        let shot = (squared - row.sd_session.powi(2) * growth).max(LEAST_OWN * squared) / (2.0 + growth);
        row.sd_shot = shot.sqrt();
        row.n_subjects = row.n_subjects.min(patients);
        row.sd_upper_factor = sd_upper_factor(row.n_subjects as f64 - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::shot;
    use cicatrix_model::Measure;

    fn row() -> MeasureError {
        let tier = TierError {
            tier: QualityTier::Clinic,
            sd_shot: 0.5,
            sd_session: 0.02,
            n_subjects: 60,
            n_changes: 120,
            sd_upper_factor: 1.2,
        };
        MeasureError {
            measure: Measure::Psi,
            beta: 1.0,
            bias: 0.0,
            proportion: 0.1,
            proportion_of_truth: 0.0,
            covariates: vec![],
            widening: vec![],
            tiers: vec![tier],
        }
    }

    /// Pairs that differ by ±2e on the ln scale.
    fn visits(n: usize, e: f64) -> Vec<Visit> {
        let visit = |i: usize| {
            let sign = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
            let shots = vec![shot((0.7 + sign * e).exp()), shot((0.7 - sign * e).exp())];
            Visit { subject: format!("s{i}"), region: Region::whole(), shots }
        };
        (0..n).map(visit).collect()
    }

    #[test]
    fn the_noise_of_two_shots_is_found() {
        let pairs = repeats(&visits(40, 0.03), &row());
        let floor = noise_floor(&pairs).unwrap();
        // d = ±0.06: wSD = 0.06 / √2, MDC95 = 1.96 · √2 · wSD.
        assert!((floor.wsd - 0.06 / 2f64.sqrt()).abs() < 1e-9 && floor.bias.abs() < 1e-9, "{floor:?}");
        assert!((floor.mdc95 - Z975 * 0.06).abs() < 1e-9 && floor.wsd_upper > floor.wsd, "{floor:?}");
        assert_eq!(noise_floor(&[]), None);
    }

    #[test]
    fn a_clinics_table_has_its_own_noise_and_the_days_of_the_base() {
        let base = Calibration {
            id: "base-1".into(),
            made: String::new(),
            sets: vec!["x".into()],
            n_subjects: 60,
            n_changes: 120,
            measures: vec![row()],
            regions: vec![],
        };
        let own = recalibrate(&base, "own-1", "2026-01-01", "clinic", &visits(40, 0.03)).unwrap();
        let tier = &own.measures[0].tiers[0];
        assert!((tier.sd_shot - 0.06 / 2f64.sqrt()).abs() < 1e-9, "{tier:?}");
        assert_eq!((tier.sd_session, tier.n_subjects, own.measures[0].proportion), (0.02, 40, 0.1));
        assert!(recalibrate(&base, "own-1", "", "clinic", &visits(34, 0.03)).is_err());
    }
}
