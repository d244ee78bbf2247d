//! Course of a region: Theil–Sen slope of the ln index over sessions, with Sen's interval.

use cicatrix_model::{Change, Measure, Trend};

use crate::quantile::{Z975, median};

/// Sessions, the baseline included, from which a trend is told: with four, not even the whole range of the slopes
/// covers 95 %.
const LEAST_SESSIONS: usize = 5;

/// Trends of the primary measure over the baseline and the eligible sessions of a series.
pub fn trends(changes: &[Change]) -> Vec<Trend> {
    let primary: Vec<&Change> =
        changes.iter().filter(|c| c.measure == Measure::Psi && c.endpoint_eligible && c.change_pct.is_some()).collect();
    let mut regions: Vec<_> = primary.iter().map(|c| (&c.view, &c.region)).collect();
    regions.sort();
    regions.dedup();
    let of = |view, region| {
        let mut rows: Vec<&&Change> = primary.iter().filter(|c| &c.view == view && &c.region == region).collect();
        rows.sort_by_key(|c| c.session);
        region_trend(&rows)
    };
    regions.into_iter().filter_map(|(view, region)| of(view, region)).collect()
}

fn region_trend(rows: &[&&Change]) -> Option<Trend> {
    let (first, last) = (rows.first()?, rows.last()?);
    let change = |c: &Change| (1.0 + c.change_pct.unwrap_or(0.0) / 100.0).max(1e-6).ln();
    let mut course = vec![0.0];
    course.extend(rows.iter().map(|c| change(c)));
    if course.len() < LEAST_SESSIONS {
        return None;
    }
    let (slope, lo, hi) = theil_sen(&course);
    let told = |v: f64| 100.0 * v.exp_m1();
    Some(Trend {
        view: first.view.clone(),
        region: first.region.clone(),
        measure: Measure::Psi,
        n_sessions: course.len() as u16,
        first: first.session.date,
        last: last.session.date,
        pct_per_session: told(slope),
        ci95_lo: told(lo),
        ci95_hi: told(hi),
    })
}

/// Median of the pairwise slopes over equal steps, and the slopes at the ranks that Kendall's statistic puts the 95 %
/// interval at (Sen 1968); with few sessions that is their whole range.
fn theil_sen(values: &[f64]) -> (f64, f64, f64) {
    let n = values.len();
    let mut slopes = Vec::new();
    for i in 0..n {
        for j in i + 1..n {
            slopes.push((values[j] - values[i]) / (j - i) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    let count = slopes.len() as f64;
    let m = n as f64;
    let spread = Z975 * (m * (m - 1.0) * (2.0 * m + 5.0) / 18.0).sqrt();
    let rank = |r: f64| slopes[(r.max(0.0) as usize).min(slopes.len() - 1)];
    let (lo, hi) = (rank(((count - spread) / 2.0).floor() - 1.0), rank(((count + spread) / 2.0).ceil()));
    (median(slopes.clone()), lo, hi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_course_has_its_slope_and_one_outlier_does_not_turn_it() {
        let straight: Vec<f64> = (0..8).map(|i| -0.1 * f64::from(i)).collect();
        let (slope, lo, hi) = theil_sen(&straight);
        assert!((slope + 0.1).abs() < 1e-12 && (lo + 0.1).abs() < 1e-12 && (hi + 0.1).abs() < 1e-12);
        let mut bent = straight;
        bent[5] += 3.0;
        assert!((theil_sen(&bent).0 + 0.1).abs() < 0.02);
    }

    #[test]
    fn the_interval_agrees_with_sens_ranks() {
        // n = 10: C = 1.96 · sqrt(10·9·25/18) = 21.91, 45 slopes: ranks 11 and 34 (1-based), Hollander & Wolfe 9.3.
        let values = [0.0, 0.3, 0.1, 0.5, 0.2, 0.9, 0.6, 1.1, 0.8, 1.0];
        let mut slopes: Vec<f64> = Vec::new();
        for i in 0..10 {
            for j in i + 1..10 {
                slopes.push((values[j] - values[i]) / (j - i) as f64);
            }
        }
        slopes.sort_by(f64::total_cmp);
        let (_, lo, hi) = theil_sen(&values);
        assert_eq!((lo, hi), (slopes[10], slopes[34]));
    }
}
