//! Change of each session against the baseline, with its interval and one of four verdicts.

use cicatrix_model::{Change, ChangeVerdict, Measure, QualityTier, Reason, Region, Series, SeriesSession, Shot};

use crate::calibration::{Calibration, MeasureError, pooled, worst_tier};
use crate::quantile::{Z975, two_sided_p};

/// Computes every follow-up session against the baseline session of the series. A session without a usable shot gets
/// one row per region that says why.
pub fn changes(series: &Series, calibration: &Calibration) -> Vec<Change> {
    let baseline = series.sessions.iter().find(|s| s.is_baseline);
    let follow_ups = series.sessions.iter().filter(|s| !s.is_baseline);
    let stamp = calibration.stamp();
    follow_ups.flat_map(|session| session_changes(series, baseline, session, calibration, &stamp)).collect()
}

fn session_changes(
    series: &Series,
    baseline: Option<&SeriesSession>,
    session: &SeriesSession,
    calibration: &Calibration,
    stamp: &str,
) -> Vec<Change> {
    let regions: Vec<&(Region, Vec<Shot>)> = baseline.map(|b| b.regions.iter().collect()).unwrap_or_default();
    if regions.is_empty() {
        let reason = session.reasons.first().copied().or(Some(Reason::BaselineNotMeasurable));
        return vec![not_measurable(series, session, &Region::whole(), reason, stamp)];
    }
    let mut rows = Vec::new();
    for (region, reason) in unfounded(baseline) {
        rows.push(not_measurable(series, session, region, Some(reason), stamp));
    }
    for (region, before) in regions {
        let after = session.regions.iter().find(|(name, _)| name == region).map(|(_, shots)| shots.as_slice());
        let measured = after.map(|after| region_changes(series, session, region, [before, after], calibration, stamp));
        match measured.filter(|rows| rows.iter().any(|r| r.measure == Measure::Psi)) {
            Some(measured) => rows.extend(measured),
            None => {
                let has_values = |shots: &[Shot]| shots.iter().any(|shot| shot.value(Measure::Psi).is_some());
                let reason = match after {
                    Some(after) if has_values(before) && has_values(after) => Some(Reason::NotCalibrated),
                    _ => {
                        // Its photos are measured, and this region of them has no scars.
                        let fallback = (!session.regions.is_empty()).then_some(Reason::NoScarsFound);
                        let own = session.refused.iter().find(|(name, _)| name == region).map(|(_, reason)| *reason);
                        own.or(session.reasons.first().copied()).or(fallback)
                    }
                };
                rows.push(not_measurable(series, session, region, reason, stamp));
            }
        }
    }
    rows
}

/// Regions of the baseline in which no shot of it gave a number, with the first reason.
fn unfounded(baseline: Option<&SeriesSession>) -> Vec<(&Region, Reason)> {
    let Some(baseline) = baseline else { return vec![] };
    let mut found: Vec<(&Region, Reason)> = Vec::new();
    for (region, reason) in &baseline.refused {
        let has_number = baseline.regions.iter().any(|(name, _)| name == region);
        if !has_number && found.iter().all(|(name, _)| *name != region) {
            found.push((region, *reason));
        }
    }
    found
}

fn not_measurable(
    series: &Series,
    session: &SeriesSession,
    region: &Region,
    reason: Option<Reason>,
    stamp: &str,
) -> Change {
    Change {
        session: session.session,
        view: series.view.clone(),
        region: region.clone(),
        measure: Measure::Psi,
        baseline_value: None,
        value: None,
        change_pct: None,
        ci95_lo: None,
        ci95_hi: None,
        mdc95_pct: None,
        p_value: None,
        verdict: ChangeVerdict::NotMeasurable,
        reason,
        quality_tier: None,
        n_shots: 0,
        endpoint_eligible: false,
        calibration: stamp.to_owned(),
    }
}

fn region_changes(
    series: &Series,
    session: &SeriesSession,
    region: &Region,
    [before, after]: [&[Shot]; 2],
    calibration: &Calibration,
    stamp: &str,
) -> Vec<Change> {
    let rows = calibration.measures_in(Some(&series.view), region).filter_map(|row| {
        let estimate = compare(&row, before, after)?;
        let in_mm2 = row.measure.is_area() && !row.measure.is_ratio();
        let estimate = if in_mm2 { estimate.with_scale(series.scale_relative_sd) } else { estimate };
        Some(Change {
            session: session.session,
            view: series.view.clone(),
            region: region.clone(),
            measure: row.measure,
            baseline_value: Some(rounded(estimate.baseline_value)),
            value: Some(rounded(estimate.value)),
            change_pct: Some(rounded(estimate.change)),
            ci95_lo: Some(rounded(estimate.ci95_lo)),
            ci95_hi: Some(rounded(estimate.ci95_hi)),
            mdc95_pct: Some(rounded(estimate.mdc95)),
            p_value: Some(rounded(estimate.p_value)),
            verdict: estimate.verdict(),
            reason: None,
            quality_tier: Some(estimate.quality_tier),
            n_shots: after.iter().filter(|s| s.value(row.measure).is_some()).count() as u16,
            endpoint_eligible: session.endpoint_eligible,
            calibration: stamp.to_owned(),
        })
    });
    rows.collect()
}

/// The change of one measure between two sets of shots. Values in the measure's unit; the change, its interval and the
/// smallest detectable one in percent for ratio measures, else in the unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub baseline_value: f64,
    pub value: f64,
    pub change: f64,
    pub ci95_lo: f64,
    pub ci95_hi: f64,
    /// The least improvement whose interval does not hold zero, without its sign. On the ln scale a worsening has to be as
    /// large, which is more in percent.
    pub mdc95: f64,
    /// Of no change, two-sided; below 0.05 where the interval does not hold zero.
    pub p_value: f64,
    pub quality_tier: QualityTier,
}

/// `None` where one side has no value, or the tier no row.
pub fn compare(row: &MeasureError, before: &[Shot], after: &[Shot]) -> Option<Estimate> {
    let (x0, x1) = (pooled(before, row.measure)?, pooled(after, row.measure)?);
    let quality_tier = worst_tier(before, after)?;
    let precision = row.precision(quality_tier, before, after)?;
    let delta = row.beta * (row.observed(after, before)? - x0) - row.bias;
    let (lo, hi) = precision.interval(delta);
    let told = |v: f64| if row.measure.is_ratio() { 100.0 * v.exp_m1() } else { v };
    Some(Estimate {
        baseline_value: unscaled(row.measure, x0),
        value: unscaled(row.measure, x1),
        change: told(delta),
        ci95_lo: told(lo),
        ci95_hi: told(hi),
        mdc95: told(-precision.detectable()).abs(),
        p_value: two_sided_p(Z975 * delta / precision.detectable()),
        quality_tier,
    })
}

impl Estimate {
    /// With the error of the scale, for a change that is told in mm². It moves no change across zero.
    fn with_scale(self, relative_sd: f64) -> Self {
        let share = 1.96 * 2.0 * relative_sd;
        let wide = |end: f64| {
            let far = self.change + (end - self.change).signum() * (end - self.change).hypot(share * self.change);
            match end * self.change > 0.0 && far * end <= 0.0 {
                true => end * (-share).exp(),
                false => far,
            }
        };
        Self { ci95_lo: wide(self.ci95_lo), ci95_hi: wide(self.ci95_hi), ..self }
    }

    /// Less is better in every measure that has a direction.
    pub fn verdict(&self) -> ChangeVerdict {
        match (self.ci95_lo, self.ci95_hi) {
            (_, hi) if hi < 0.0 => ChangeVerdict::Improved,
            (lo, _) if lo > 0.0 => ChangeVerdict::Worsened,
            _ => ChangeVerdict::NoDetectableChange,
        }
    }
}

fn unscaled(measure: Measure, x: f64) -> f64 {
    if measure.is_ratio() { x.exp() } else { x }
}

/// Six significant digits: more is noise, and a text of it reads back the same.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{shot, table};
    use cicatrix_model::View;

    fn session(day: i8, baseline: bool, values: &[f64]) -> SeriesSession {
        let shots: Vec<Shot> = values.iter().map(|v| shot(*v)).collect();
        let region = Region::new("cheek_l").unwrap();
        SeriesSession {
            session: format!("2026-01-{day:02}-01").parse().unwrap(),
            is_baseline: baseline,
            endpoint_eligible: true,
            regions: if shots.is_empty() { vec![] } else { vec![(region, shots)] },
            reasons: if values.is_empty() { vec![Reason::Blur] } else { vec![] },
            refused: vec![],
        }
    }

    fn verdicts(sessions: Vec<SeriesSession>) -> Vec<ChangeVerdict> {
        let series = Series {
            view: View::Closeup("left_cheek".into()),
            baseline_session: None,
            scale_relative_sd: 0.0,
            sessions,
        };
        changes(&series, &table(0.05)).iter().map(|c| c.verdict).collect()
    }

    #[test]
    fn the_error_of_the_scale_widens_an_area_and_moves_no_change_across_zero() {
        let estimate = |change: f64, ci95_lo: f64, ci95_hi: f64| Estimate {
            baseline_value: 100.0,
            value: 100.0 + change,
            change,
            ci95_lo,
            ci95_hi,
            mdc95: 10.0,
            p_value: 0.01,
            quality_tier: QualityTier::Clinic,
        };
        let wide = estimate(-88.0, -117.0, -58.0).with_scale(0.066);
        assert!(wide.ci95_lo < -124.0 && wide.ci95_hi > -52.0 && wide.ci95_hi < 0.0, "{wide:?}");
        let near = estimate(-20.0, -39.0, -0.5).with_scale(0.07);
        assert!(near.ci95_hi < 0.0 && near.ci95_hi > -0.5, "{near:?}");
        let none = estimate(1.0, -9.0, 11.0).with_scale(0.0);
        assert_eq!((none.ci95_lo, none.ci95_hi), (-9.0, 11.0));
    }

    #[test]
    fn each_of_the_four_verdicts_is_reached() {
        let found = verdicts(vec![
            session(1, true, &[2.0, 2.0]),
            session(2, false, &[1.4]),
            session(3, false, &[2.6]),
            session(4, false, &[1.98]),
            session(5, false, &[]),
        ]);
        use ChangeVerdict::*;
        assert_eq!(found, [Improved, Worsened, NoDetectableChange, NotMeasurable]);
    }

    #[test]
    fn a_face_is_not_told_by_a_table_that_knows_no_faces() {
        let sessions = vec![session(1, true, &[2.0]), session(2, false, &[1.4])];
        let series = Series { view: View::FaceFrontal, baseline_session: None, scale_relative_sd: 0.0, sessions };
        let found = changes(&series, &table(0.05));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].verdict, found[0].reason), (ChangeVerdict::NotMeasurable, Some(Reason::NotCalibrated)));
    }

    #[test]
    fn without_a_baseline_nothing_is_measurable() {
        let found = verdicts(vec![session(2, false, &[1.4])]);
        assert_eq!(found, [ChangeVerdict::NotMeasurable]);
    }

    proptest::proptest! {
        #[test]
        fn the_interval_holds_the_change_and_scaling_all_photos_moves_nothing(
            before in 0.1f64..9.0, after in 0.1f64..9.0, gain in 0.2f64..5.0
        ) {
            let series = |k: f64| Series {
                view: View::Closeup("left_cheek".into()),
                baseline_session: None,
                scale_relative_sd: 0.0,
                sessions: vec![session(1, true, &[before * k]), session(2, false, &[after * k])],
            };
            let (a, b) = (changes(&series(1.0), &table(0.05)), changes(&series(gain), &table(0.05)));
            let (x, y) = (a[0].change_pct.unwrap(), b[0].change_pct.unwrap());
            proptest::prop_assert!((x - y).abs() <= 1e-3 * x.abs().max(1.0));
            proptest::prop_assert!(a[0].ci95_lo.unwrap() <= x && x <= a[0].ci95_hi.unwrap());
        }

        /// Verdict, interval, p-value and smallest detectable change tell the same story, whatever the error grows with.
        #[test]
        fn a_change_is_told_exactly_where_it_is_detectable(
            before in 0.1f64..9.0, after in 0.1f64..9.0, sd in 0.005f64..0.4, proportion in 0.0f64..0.4
        ) {
            let mut table = table(sd);
            table.measures[0].proportion = proportion;
            let estimate = compare(&table.measures[0], &[shot(before)], &[shot(after)]).unwrap();
            let told = estimate.verdict() != ChangeVerdict::NoDetectableChange;
            // The detectable change is told as an improvement: compared on the ln scale.
            let beyond = (1.0 + estimate.change / 100.0).ln().abs() > -(1.0 - estimate.mdc95 / 100.0).ln();
            proptest::prop_assert_eq!(told, estimate.p_value < 0.05);
            proptest::prop_assert_eq!(told, beyond);
        }
    }
}
