//! Groups of patients, summarized: means over patients with their interval, who responds, and clinics beside each other. Pure.
//!
//! A session counts with the mean of its views and regions on the ln scale; the mean of a group and its interval are over
//! patients, so the interval holds both how they differ and how well each is measured.

use std::collections::BTreeMap;

use cicatrix_ledger::{LastSum, SessionSum, Sum};

/// Smallest group that is shown.
pub(crate) const SMALLEST: i64 = 5;
/// Clinics below which a funnel says nothing.
const FEWEST_CLINICS: usize = 3;
/// The 97.5 % and the 99.9 % point of the normal distribution: limits that one clinic in 20 and one in 500 passes by chance.
const Z95: f64 = 1.959_964;
const Z998: f64 = 3.090_232;

/// A group's mean at a session, with its interval and how many patients it is of; percent.
#[derive(Debug, Clone)]
pub(crate) struct GroupMean {
    pub(crate) session: i64,
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) n: i64,
    /// Series of the session that have no number, and all of them.
    pub(crate) missing: i64,
    pub(crate) series: i64,
}

/// The means of each group by session, the group with most patients first.
pub(crate) struct Groups {
    pub(crate) shown: Vec<(String, Vec<GroupMean>)>,
    /// Groups that are too small, and sessions of the others at which too few have a number.
    pub(crate) suppressed: (usize, usize),
}

/// `name` says what a group is called.
pub(crate) fn groups(sums: &[SessionSum], name: impl Fn(Option<&str>) -> String) -> Groups {
    let mut by_group: BTreeMap<String, Vec<&SessionSum>> = BTreeMap::new();
    for sum in sums {
        by_group.entry(name(sum.group.as_deref())).or_default().push(sum);
    }
    let mut groups = Groups { shown: Vec::new(), suppressed: (0, 0) };
    for (name, sums) in by_group {
        let shown: Vec<GroupMean> = sums.iter().filter_map(|sum| mean(sum)).collect();
        if shown.is_empty() {
            groups.suppressed.0 += 1;
        } else {
            groups.suppressed.1 += sums.len() - shown.len();
            groups.shown.push((name, shown));
        }
    }
    groups.shown.sort_by_key(|(_, means)| std::cmp::Reverse(means.iter().map(|mean| mean.n).max()));
    groups
}

/// Of ln ratios, back in percent; nothing of a group that is too small.
fn mean(of: &SessionSum) -> Option<GroupMean> {
    let patients = &of.patients;
    if patients.n < SMALLEST {
        return None;
    }
    let n = patients.n as f64;
    let mean = patients.sum / n;
    let half = student(n - 1.0) * (about_mean(patients) / (n - 1.0) / n).sqrt();
    Some(GroupMean {
        session: of.session_no,
        mean: back(mean),
        low: back(mean - half),
        high: back(mean + half),
        n: patients.n,
        missing: of.missing,
        series: of.series,
    })
}

/// The sum of squares about the mean.
fn about_mean(of: &Sum) -> f64 {
    // What is left of equal numbers may be a little below nothing.
    (of.squares - of.sum * of.sum / of.n as f64).max(0.0)
}

/// A mean of ln ratios, in percent.
fn back(ln: f64) -> f64 {
    100.0 * ln.exp_m1()
}

/// The 97.5 % point of Student's t, by Hill's expansion about the normal one (Commun. ACM 13, 1970); good to 0.5 % from 4 degrees.
fn student(degrees: f64) -> f64 {
    let z3 = Z95.powi(3);
    let z5 = Z95.powi(5);
    let z7 = Z95.powi(7);
    Z95 + (z3 + Z95) / (4.0 * degrees)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * Z95) / (96.0 * degrees * degrees)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z95) / (384.0 * degrees.powi(3))
}

/// Improvements at which responders are counted, percent.
const STEPS: usize = 20;
const STEP: f64 = 5.0;

/// The same as ln ratios, for which patients at or below are to be counted.
pub(crate) fn thresholds() -> Vec<f64> {
    // Nobody loses all of it: a change is told to −99 % at most.
    (0..=STEPS).map(|step| (1.0 - STEP * step as f64 / 100.0).max(1e-9).ln()).collect()
}

/// Patients by how much less scar contrast they have at their last endpoint.
pub(crate) struct Response {
    pub(crate) patients: i64,
    at_least: Vec<i64>,
}

impl Response {
    pub(crate) fn of(last: &[LastSum]) -> Self {
        let at = |step: usize| last.iter().filter_map(|clinic| clinic.at_most.get(step)).sum();
        Self { patients: last.iter().map(|clinic| clinic.patients.n).sum(), at_least: (0..=STEPS).map(at).collect() }
    }

    /// How large a share has improved by at least so much: thresholds and shares, both of a hundred.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        if self.patients < SMALLEST {
            return Vec::new();
        }
        let share = |n: i64| 100.0 * n as f64 / self.patients as f64;
        self.at_least.iter().enumerate().map(|(step, n)| (STEP * step as f64, share(*n))).collect()
    }

    /// How many have improved by at least this step of five percent; nothing of too few patients.
    pub(crate) fn at_least(&self, percent: usize) -> Option<i64> {
        self.at_least.get(percent / STEP as usize).copied().filter(|_| self.patients >= SMALLEST)
    }

    /// The same in words.
    pub(crate) fn told(&self, percent: usize) -> String {
        let n = self.at_least.get(percent / STEP as usize).copied().unwrap_or(0);
        match self.patients {
            all if all < SMALLEST => format!("fewer than {SMALLEST} patients"),
            all => {
                let (low, high) = wilson(n as f64, all as f64);
                format!("{n} of {all}: {:.0} % (95 % {low:.0} to {high:.0} %)", 100.0 * n as f64 / all as f64)
            }
        }
    }
}

/// Wilson's interval of a share, percent.
fn wilson(n: f64, all: f64) -> (f64, f64) {
    let (p, n) = (n / all, all);
    let middle = (p + Z95 * Z95 / (2.0 * n)) / (1.0 + Z95 * Z95 / n);
    let half = Z95 / (1.0 + Z95 * Z95 / n) * (p * (1.0 - p) / n + Z95 * Z95 / (4.0 * n * n)).sqrt();
    (100.0 * (middle - half).max(0.0), 100.0 * (middle + half).min(1.0))
}

/// Clinics beside each other: the mean of each against what chance does to a mean of so many patients (Spiegelhalter, Stat. Med.
/// 24, 2005). Percent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Funnel {
    pub(crate) clinics: Vec<ClinicMean>,
    /// Over all patients.
    pub(crate) mean: f64,
    /// Numbers of patients with the limits there: within them lie 95 % of clinics that are like all others, and 99.8 %.
    pub(crate) limits: Vec<(f64, [f64; 2], [f64; 2])>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClinicMean {
    pub(crate) name: String,
    pub(crate) n: i64,
    pub(crate) mean: f64,
    /// Beyond what one like all others would be in 998 of 1000 cases.
    pub(crate) is_apart: bool,
}

/// Each patient with its last endpoint; none of fewer than three clinics with five patients.
pub(crate) fn funnel(last: &[LastSum]) -> Option<Funnel> {
    let clinics: Vec<&LastSum> = last.iter().filter(|clinic| clinic.patients.n >= SMALLEST).collect();
    if clinics.len() < FEWEST_CLINICS {
        return None;
    }
    let all: f64 = clinics.iter().map(|clinic| clinic.patients.n as f64).sum();
    let mean = clinics.iter().map(|clinic| clinic.patients.sum).sum::<f64>() / all;
    // Within clinics: what differs between them is the question.
    let within: f64 = clinics.iter().map(|clinic| about_mean(&clinic.patients)).sum();
    let sd = (within / (all - clinics.len() as f64)).sqrt();
    let most = clinics.iter().map(|clinic| clinic.patients.n).max().unwrap_or(SMALLEST) as f64;
    let steps = 40;
    let limits = (0..=steps).map(|step| {
        // In even steps of the error, which falls with the root.
        let least = (SMALLEST as f64).sqrt();
        let n = (least + (most.sqrt() - least) * f64::from(step) / f64::from(steps)).powi(2);
        let at = |z: f64| [back(mean - z * sd / n.sqrt()), back(mean + z * sd / n.sqrt())];
        (n, at(Z95), at(Z998))
    });
    let clinic = |last: &&LastSum| {
        let n = last.patients.n as f64;
        let own = last.patients.sum / n;
        let is_apart = (own - mean).abs() > Z998 * sd / n.sqrt();
        ClinicMean { name: last.clinic.clone(), n: last.patients.n, mean: back(own), is_apart }
    };
    Some(Funnel { clinics: clinics.iter().map(clinic).collect(), mean: back(mean), limits: limits.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> Sum {
        let n = i64::try_from(values.len()).unwrap();
        Sum { n, sum: values.iter().sum(), squares: values.iter().map(|v| v * v).sum() }
    }

    fn clinic(name: &str, patients: usize, middle: f64) -> LastSum {
        let spread = [-0.04, -0.02, 0.0, 0.02, 0.04];
        let values: Vec<f64> = (0..patients).map(|n| middle + spread[n % spread.len()]).collect();
        let at_most = thresholds().iter().map(|t| values.iter().filter(|v| *v <= t).count() as i64).collect();
        LastSum { clinic: name.to_owned(), patients: sum(&values), at_most }
    }

    #[test]
    fn a_clinic_apart_is_told_from_those_that_chance_moves() {
        let alike = ["a", "b", "c", "d"].map(|name| clinic(name, 40, -0.2));
        assert!(funnel(&alike).unwrap().clinics.iter().all(|clinic| !clinic.is_apart));
        let funnel = funnel(&[&alike[..], &[clinic("e", 40, -0.26)]].concat()).unwrap();
        let apart: Vec<&str> = funnel.clinics.iter().filter(|c| c.is_apart).map(|c| c.name.as_str()).collect();
        assert_eq!(apart, ["e"]);
        assert!((funnel.mean - 100.0 * (-0.212_f64).exp_m1()).abs() < 1e-9, "{}", funnel.mean);
        let [(_, first, wide), .., (_, last, _)] = funnel.limits[..] else { panic!("limits") };
        assert!(wide[0] < first[0] && first[1] - first[0] > last[1] - last[0]);
    }

    #[test]
    fn two_clinics_and_small_ones_make_no_funnel() {
        assert_eq!(funnel(&[clinic("a", 30, -0.2), clinic("b", 30, -0.2)]), None);
        assert_eq!(funnel(&["a", "b", "c", "d"].map(|name| clinic(name, 4, -0.2))), None);
    }

    #[test]
    fn students_t_is_near_the_tables() {
        for (degrees, table) in [(4.0, 2.776), (5.0, 2.571), (10.0, 2.228), (30.0, 2.042), (1000.0, 1.962)] {
            let t = student(degrees);
            assert!((t / table - 1.0).abs() < 0.005, "{degrees}: {t} for {table}");
        }
    }

    #[test]
    fn wilsons_interval_is_that_of_the_books() {
        let (low, high) = wilson(8.0, 10.0);
        assert!((low - 49.0).abs() < 0.5 && (high - 94.3).abs() < 0.5, "{low} {high}");
        assert_eq!(wilson(0.0, 10.0).0, 0.0);
    }

    #[test]
    fn a_group_of_four_is_not_shown_and_one_of_five_has_an_interval() {
        let at = |patients| SessionSum { group: None, session_no: 1, patients, series: 7, missing: 2 };
        assert!(mean(&at(sum(&[0.0; 4]))).is_none());
        let mean = mean(&at(sum(&[-0.1, -0.2, -0.3, -0.2, -0.2]))).unwrap();
        assert!(mean.low < mean.mean && mean.mean < mean.high && mean.n == 5);
        assert!((mean.mean - 100.0 * (-0.2_f64).exp_m1()).abs() < 1e-9);
        let sd = (0.02_f64 / 4.0).sqrt();
        assert!((mean.low - 100.0 * (-0.2 - student(4.0) * sd / 5.0_f64.sqrt()).exp_m1()).abs() < 1e-9);
    }

    #[test]
    fn a_response_counts_patients_by_what_they_lost_of_it() {
        let response = Response::of(&[clinic("a", 10, (0.7_f64).ln()), clinic("b", 10, 0.1)]);
        assert_eq!(response.patients, 20);
        let curve = response.curve();
        assert_eq!((curve[0], curve[5], curve[20]), ((0.0, 50.0), (25.0, 50.0), (100.0, 0.0)));
        assert!(response.told(25).starts_with("10 of 20: 50 %"), "{}", response.told(25));
        assert!(response.told(75).starts_with("0 of 20"));
        assert_eq!(Response::of(&[clinic("a", 4, 0.0)]).curve(), []);
    }
}
