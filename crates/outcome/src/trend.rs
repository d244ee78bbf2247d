//! Course of a region: Theil–Sen slope of the ln index over days, with Sen's interval.
//!
//! The points are the baseline (its day, 0) and each eligible follow-up (its day, its ln change). A change is the
//! follow-up's own value less the baseline's, whose error e₀ therefore stands in every change with the same sign. It
//! drops out: a slope between two points, `(y_j − y_i) / (t_j − t_i)`, stays the same when the baseline's value is added
//! to all of them, and then each point is a session's own value with its own error. So the baseline is one uncertain
//! point among the others; a line that had to pass through it would take it for exact.
//!
//! The next session is expected in the classical band of a line's prediction, `± t(n−2) · s · √(1 + 1/n + (t − t̄)²/S_tt)`,
//! around the robust line through the median of what is left over; s is the deviation from it.
//!
//! The contrast of healthy skin (`ref_energy`) has a trend of its own: it should be level, and where it is not, something
//! other than scars drifts, the light, the camera or the skin.
//!
//! Theil 1950; Sen 1968, J. Am. Stat. Assoc. 63:1379. Robust to one bad session in four.

use std::collections::BTreeMap;

use cicatrix_model::{Change, Measure, Region, Series, SessionKey, Trend};

use crate::quantile::{Z975, mean, median, t975};

/// Days with a session, that of the baseline included, from which a trend is told: with four, not even the whole range
/// of the slopes covers 95 %.
const LEAST_DAYS: usize = 5;

/// The primary measure, and the channel that tells a drift.
const COURSES: [Measure; 2] = [Measure::Psi, Measure::RefEnergy];

/// A session: its day since the baseline, and its ln change.
type Point = (i64, f64);

/// Trends of the primary measure and of healthy skin over the baseline and the eligible sessions of a series after it: what was
/// before a baseline that was chosen late is no part of the course.
pub fn trends(series: &Series, changes: &[Change]) -> Vec<Trend> {
    let Some(baseline) = series.baseline_session else { return vec![] };
    let counts = |c: &&Change| {
        COURSES.contains(&c.measure) && c.endpoint_eligible && c.change_pct.is_some() && c.session > baseline
    };
    let mut regions: BTreeMap<(&Region, Measure), Vec<&Change>> = BTreeMap::new();
    for change in changes.iter().filter(counts) {
        regions.entry((&change.region, change.measure)).or_default().push(change);
    }
    regions.into_values().filter_map(|rows| region_trend(baseline, rows)).collect()
}

fn region_trend(baseline: SessionKey, mut rows: Vec<&Change>) -> Option<Trend> {
    rows.sort_by_key(|c| c.session);
    let (first, last) = (rows.first()?, rows.last()?);
    let change = |c: &Change| (1.0 + c.change_pct.unwrap_or(0.0) / 100.0).max(1e-6).ln();
    let mut course: Vec<Point> = vec![(0, 0.0)];
    course.extend(rows.iter().map(|c| (days(baseline, c.session), change(c))));
    let (slope, lo, hi) = theil_sen(&course)?;
    let step = mean_step(&course);
    let told = |per_day: f64| 100.0 * (per_day * step).exp_m1();
    let (next_lo, next_hi) = prediction(&course, slope, step);
    Some(Trend {
        view: first.view.clone(),
        region: first.region.clone(),
        measure: first.measure,
        n_sessions: course.len() as u16,
        first: first.session.date,
        last: last.session.date,
        pct_per_session: told(slope),
        ci95_lo: told(lo),
        ci95_hi: told(hi),
        next_lo_pct: 100.0 * next_lo.exp_m1(),
        next_hi_pct: 100.0 * next_hi.exp_m1(),
    })
}

fn days(from: SessionKey, to: SessionKey) -> i64 {
    to.date.duration_since(from.date).as_hours() / 24
}

/// Mean time between two sessions, days.
fn mean_step(course: &[Point]) -> f64 {
    let days = || course.iter().map(|(day, _)| *day);
    let span = days().max().unwrap_or(0) - days().min().unwrap_or(0);
    span as f64 / (course.len() - 1) as f64
}

/// Band of the session one step after the last.
fn prediction(course: &[Point], slope: f64, step: f64) -> (f64, f64) {
    let n = course.len() as f64;
    let level = median(course.iter().map(|(day, value)| value - slope * *day as f64).collect());
    let left: f64 = course.iter().map(|(day, value)| (value - level - slope * *day as f64).powi(2)).sum();
    let days: Vec<f64> = course.iter().map(|(day, _)| *day as f64).collect();
    let middle = mean(&days);
    let spread: f64 = days.iter().map(|day| (day - middle).powi(2)).sum();
    let next = days.iter().copied().fold(f64::MIN, f64::max) + step;
    let factor = (1.0 + 1.0 / n + (next - middle).powi(2) / spread).sqrt();
    let half = t975(n - 2.0) * (left / (n - 2.0)).sqrt() * factor;
    let expected = level + slope * next;
    (expected - half, expected + half)
}

/// Median of the pairwise slopes a day, and the slopes at the ranks `(N ∓ z√V)/2` that Kendall's statistic puts the 95 %
/// interval at: N slopes between different days, `V = [n(n−1)(2n+5) − Σ u(u−1)(2u+5)] / 18` for n sessions of which u
/// share a day. With few sessions that is their whole range. `None` for too few days.
fn theil_sen(course: &[Point]) -> Option<(f64, f64, f64)> {
    let mut slopes = Vec::new();
    let mut sessions: BTreeMap<i64, usize> = BTreeMap::new();
    for (i, (day, value)) in course.iter().enumerate() {
        *sessions.entry(*day).or_default() += 1;
        for (other_day, other_value) in course[..i].iter().filter(|(other, _)| other != day) {
            slopes.push((value - other_value) / (day - other_day) as f64);
        }
    }
    if sessions.len() < LEAST_DAYS {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let variance = |n: usize| (n * (n - 1) * (2 * n + 5)) as f64 / 18.0;
    let tied: f64 = sessions.values().map(|u| variance(*u)).sum();
    let count = slopes.len() as f64;
    let spread = Z975 * (variance(course.len()) - tied).sqrt();
    let rank = |r: f64| slopes[(r.max(0.0) as usize).min(slopes.len() - 1)];
    let (lo, hi) = (rank(((count - spread) / 2.0).floor() - 1.0), rank(((count + spread) / 2.0).ceil()));
    Some((median(slopes.clone()), lo, hi))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cicatrix_model::{ChangeVerdict, QualityTier, SeriesSession, View};

    /// One value a day.
    fn daily(values: &[f64]) -> Vec<Point> {
        (0..).zip(values.iter().copied()).collect()
    }

    fn session(date: &str) -> SeriesSession {
        SeriesSession {
            session: date.parse().unwrap(),
            is_baseline: false,
            endpoint_eligible: true,
            regions: vec![],
            reasons: vec![],
            refused: vec![],
        }
    }

    fn change(session: SessionKey, pct: f64) -> Change {
        Change {
            session,
            view: View::FaceFrontal,
            region: Region::whole(),
            measure: Measure::Psi,
            baseline_value: Some(1.0),
            value: Some(1.0 + pct / 100.0),
            change_pct: Some(pct),
            ci95_lo: None,
            ci95_hi: None,
            mdc95_pct: None,
            p_value: None,
            verdict: ChangeVerdict::NoDetectableChange,
            reason: None,
            quality_tier: Some(QualityTier::Clinic),
            n_shots: 1,
            endpoint_eligible: true,
            calibration: "t-1".to_owned(),
        }
    }

    #[test]
    fn a_straight_course_has_its_slope_and_one_outlier_does_not_turn_it() {
        let mut course = [0_i64, 30, 65, 72, 100, 190, 191, 400].map(|day| (day, -0.01 * day as f64));
        let (slope, lo, hi) = theil_sen(&course).unwrap();
        assert!([slope, lo, hi].iter().all(|s| (s + 0.01).abs() < 1e-12), "{slope} {lo} {hi}");
        course[5].1 += 30.0;
        assert!((theil_sen(&course).unwrap().0 + 0.01).abs() < 0.002);
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
        let (_, lo, hi) = theil_sen(&daily(&values)).unwrap();
        assert_eq!((lo, hi), (slopes[10], slopes[34]));
    }

    #[test]
    fn slope_and_interval_agree_with_scipy() {
        // scipy.stats.theilslopes(y, x, 0.95) of scipy 1.17; its ranks are rounded, ours lie outside or on them.
        let course: Vec<Point> =
            [(0, 0.0), (35, -0.04), (71, -0.15), (104, -0.11), (140, -0.22), (176, -0.2), (209, -0.31)].to_vec();
        let scipy = [-0.00125, -0.002112676056338028, -0.0010144927536231885];
        let (slope, lo, hi) = theil_sen(&course).unwrap();
        assert!((slope - scipy[0]).abs() < 1e-9, "{slope}");
        assert!(lo <= scipy[1] + 1e-12 && hi >= scipy[2] - 1e-12, "{lo} {hi}");
    }

    #[test]
    fn the_next_session_of_a_straight_course_is_on_its_line_and_noise_opens_the_band() {
        let straight = daily(&[0.0, -0.1, -0.2, -0.3, -0.4]);
        let (lo, hi) = prediction(&straight, -0.1, 1.0);
        assert!((lo + 0.5).abs() < 1e-9 && (hi + 0.5).abs() < 1e-9, "{lo} {hi}");
        let noisy = daily(&[0.02, -0.12, -0.18, -0.32, -0.38]);
        let (lo, hi) = prediction(&noisy, -0.1, 1.0);
        assert!(lo < -0.53 && hi > -0.47 && lo > -0.8, "{lo} {hi}");
    }

    #[test]
    fn the_baselines_value_added_to_all_points_moves_no_slope() {
        let values = [0.0, -0.1, -0.3, -0.2, -0.5, -0.4, -0.7];
        let shifted: Vec<Point> = daily(&values).into_iter().map(|(day, value)| (day, value + 0.4)).collect();
        let (a, b) = (theil_sen(&daily(&values)).unwrap(), theil_sen(&shifted).unwrap());
        assert!((a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12 && (a.2 - b.2).abs() < 1e-12);
    }

    #[test]
    fn sessions_of_one_day_have_no_slope_between_them() {
        let course = [(0, 0.0), (10, -0.1), (10, 5.0), (20, -0.2), (30, -0.3), (40, -0.4), (50, -0.5)];
        let (slope, lo, hi) = theil_sen(&course).unwrap();
        assert!((slope + 0.01).abs() < 1e-9 && lo.is_finite() && hi.is_finite());
        assert_eq!(theil_sen(&course[..5]), None, "four days");
    }

    #[test]
    fn a_trend_is_told_a_session_at_their_mean_distance() {
        let dates = ["2026-01-01", "2026-01-11", "2026-01-21", "2026-03-02", "2026-05-01"];
        let sessions: Vec<SeriesSession> = dates.iter().map(|date| session(date)).collect();
        let baseline = sessions[0].session;
        let a_tenth_in_100_days = |s: &SeriesSession| {
            let day = days(baseline, s.session) as f64;
            change(s.session, 100.0 * (-0.001 * day).exp_m1())
        };
        let changes: Vec<Change> = sessions[1..].iter().map(a_tenth_in_100_days).collect();
        let series =
            Series { view: View::FaceFrontal, baseline_session: Some(baseline), scale_relative_sd: 0.0, sessions };
        let found = trends(&series, &changes);
        let [trend] = &found[..] else { panic!("one region has one trend: {found:?}") };
        // 120 days, 4 steps.
        assert!((trend.pct_per_session - 100.0 * (-0.03_f64).exp_m1()).abs() < 1e-9, "{trend:?}");
        assert_eq!((trend.n_sessions, trend.first), (5, changes[0].session.date));
        let before = change("2025-11-01".parse::<SessionKey>().unwrap(), 400.0);
        assert_eq!(trends(&series, &[&changes[..], &[before]].concat()), found, "before the baseline");
        assert!(trends(&Series { baseline_session: None, ..series }, &changes).is_empty());
    }

    proptest::proptest! {
        /// Laws of the slope: it goes with the values' scale and with a line that is added, its interval holds it, and in a
        /// mirror the bounds change places.
        #[test]
        fn the_slope_is_equivariant_and_lies_in_its_interval(
            values in proptest::collection::vec(-1.0f64..1.0, 5..15), gain in 0.1f64..5.0, tilt in -0.5f64..0.5
        ) {
            let (slope, lo, hi) = theil_sen(&daily(&values)).unwrap();
            proptest::prop_assert!(lo <= slope && slope <= hi);
            let changed: Vec<Point> =
                daily(&values).into_iter().map(|(day, v)| (day, gain * v + tilt * day as f64)).collect();
            let (a, b, c) = theil_sen(&changed).unwrap();
            for (found, from) in [(a, slope), (b, lo), (c, hi)] {
                proptest::prop_assert!((found - (gain * from + tilt)).abs() < 1e-9);
            }
            let mirrored: Vec<Point> = daily(&values).into_iter().map(|(day, v)| (day, -v)).collect();
            let (d, e, f) = theil_sen(&mirrored).unwrap();
            proptest::prop_assert!((d + slope).abs() < 1e-9 && (e + hi).abs() < 1e-9 && (f + lo).abs() < 1e-9);
        }

        /// The band moves with the course and widens with its scatter.
        #[test]
        fn the_band_of_the_next_session_follows_the_course(
            values in proptest::collection::vec(-1.0f64..1.0, 5..12), shift in -2.0f64..2.0, gain in 1.5f64..4.0
        ) {
            let band = |gain: f64, shift: f64| {
                let course: Vec<Point> = daily(&values).into_iter().map(|(day, v)| (day, gain * v + shift)).collect();
                prediction(&course, theil_sen(&course).unwrap().0, 1.0)
            };
            let ((lo, hi), (moved_lo, moved_hi), (wide_lo, wide_hi)) = (band(1.0, 0.0), band(1.0, shift), band(gain, 0.0));
            proptest::prop_assert!((moved_lo - lo - shift).abs() < 1e-9 && (moved_hi - hi - shift).abs() < 1e-9);
            proptest::prop_assert!(((wide_hi - wide_lo) - gain * (hi - lo)).abs() < 1e-9);
        }
    }
}
