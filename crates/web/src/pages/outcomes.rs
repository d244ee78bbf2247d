//! Outcomes: how groups of patients fare by session, who responds, and what is missing. Of the primary measure, endpoints only.
//!
//! A patient counts once at a session, with the mean of its views and regions on the ln scale; the mean of a group and its
//! interval are over patients, so the interval holds both how they differ and how well each is measured.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cicatrix_ledger::Outcome;
use serde::Deserialize;

use crate::pages::{Shell, Visitor, asked, html};
use crate::problem::Problem;
use crate::words::{interval, percent};
use crate::{Shared, chart};

/// Smallest group that is shown.
const SMALLEST: usize = 5;
/// Groups that are drawn.
const DRAWN: usize = 8;

#[derive(Deserialize)]
pub(crate) struct Asked {
    by: Option<String>,
    clinic: Option<String>,
}

#[derive(Template)]
#[template(path = "outcomes.html")]
struct OutcomesPage {
    shell: Shell,
    by: &'static str,
    choices: [(&'static str, &'static str); 5],
    clinic: String,
    groups: Vec<Group>,
    /// Groups that are left out whole, and sessions of those that are shown.
    suppressed: (usize, usize),
    responders: String,
    response: Vec<(f64, String)>,
    n_patients: usize,
    missing: String,
    sql: String,
}

struct Group {
    name: String,
    chart: String,
    rows: Vec<Row>,
}

struct Row {
    session: i64,
    n: usize,
    mean: String,
    interval: String,
}

const CHOICES: [(&str, &str); 5] = [
    ("all", "all patients"),
    ("clinic", "clinic"),
    ("device", "device"),
    ("depth", "needle depth"),
    ("skin", "skin type"),
];

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Query(wanted): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let by = asked(wanted.by.as_ref()).unwrap_or("all");
    let by = CHOICES.iter().find(|(name, _)| *name == by).map(|(name, _)| *name);
    let by = by.ok_or_else(|| Problem::bad("outcomes are by all, clinic, device, depth or skin"))?;
    let clinic = asked(wanted.clinic.as_ref());
    let outcomes = dashboard.ledger.outcomes(clinic).await?;
    let patients = by_patient(&outcomes, by);
    let (groups, suppressed) = groups(&patients);
    let last = last_of_each(&patients);
    let missing = outcomes.iter().filter(|outcome| outcome.change.is_none()).count();
    let page = OutcomesPage {
        by,
        choices: CHOICES,
        groups,
        suppressed,
        responders: chart::responders(&curve(&last), last.len()),
        response: [25.0, 50.0, 75.0].map(|at| (at, share(&last, at))).to_vec(),
        n_patients: last.len(),
        missing: match outcomes.len() {
            0 => "nothing is measured yet".to_owned(),
            all => format!("{missing} of {all} ({:.0} %)", 100.0 * missing as f64 / all as f64),
        },
        sql: sql(by, clinic),
        clinic: clinic.unwrap_or_default().to_owned(),
        shell: visitor.shell(&dashboard, "outcomes", "Outcomes"),
    };
    Ok(html(&page))
}

/// By group and patient: the mean of ln ratios over views and regions, by the session's number.
type Patients = BTreeMap<String, BTreeMap<(String, String), BTreeMap<i64, Mean>>>;

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    n: f64,
}

impl Mean {
    fn value(self) -> f64 {
        self.sum / self.n
    }
}

fn by_patient(outcomes: &[Outcome], by: &str) -> Patients {
    let mut patients = Patients::new();
    for outcome in outcomes {
        let (Some(change), Some(session)) = (outcome.change, outcome.session_no) else { continue };
        let group = match by {
            "clinic" => Some(outcome.clinic.clone()),
            "device" => outcome.device.clone(),
            "depth" => outcome.needle_depth_mm.map(|depth| format!("{depth} mm")),
            "skin" => outcome.fitzpatrick.clone(),
            _ => Some("all patients".to_owned()),
        };
        let group = patients.entry(group.unwrap_or_else(|| "not told".to_owned())).or_default();
        let patient = group.entry((outcome.clinic.clone(), outcome.patient.clone())).or_default();
        let mean = patient.entry(session).or_default();
        mean.sum += (change / 100.0).max(-0.99).ln_1p();
        mean.n += 1.0;
    }
    patients
}

fn groups(patients: &Patients) -> (Vec<Group>, (usize, usize)) {
    let mut means: Vec<(&String, Vec<chart::Mean>)> = Vec::new();
    let mut suppressed = (0, 0);
    for (name, patients) in patients {
        let mut by_session: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (session, value) in patients.values().flatten() {
            by_session.entry(*session).or_default().push(value.value());
        }
        let all = by_session.len();
        let shown: Vec<chart::Mean> =
            by_session.into_iter().filter_map(|(session, values)| mean(session, &values)).collect();
        if shown.is_empty() {
            suppressed.0 += 1;
        } else {
            suppressed.1 += all - shown.len();
            means.push((name, shown));
        }
    }
    means.sort_by_key(|(_, means)| std::cmp::Reverse(means.iter().map(|mean| mean.n).max()));
    let all = means.iter().flat_map(|(_, means)| means);
    let range = all.fold([0.0_f64, 0.0_f64], |[low, high], mean| [low.min(mean.low), high.max(mean.high)]);
    let row = |mean: &chart::Mean| Row {
        session: mean.session,
        n: mean.n,
        mean: percent(mean.mean),
        interval: interval(mean.low, mean.high),
    };
    let group = |(number, (name, means)): (usize, (&String, Vec<chart::Mean>))| Group {
        chart: if number < DRAWN { chart::groups(name, &means, range) } else { String::new() },
        rows: means.iter().map(row).collect(),
        name: name.clone(),
    };
    (means.into_iter().enumerate().map(group).collect(), suppressed)
}

/// Of ln ratios, back in percent; nothing of a group that is too small.
fn mean(session: i64, values: &[f64]) -> Option<chart::Mean> {
    let n = values.len();
    if n < SMALLEST {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let half = student(n - 1) * (variance / n as f64).sqrt();
    let back = |v: f64| 100.0 * v.exp_m1();
    Some(chart::Mean { session, mean: back(mean), low: back(mean - half), high: back(mean + half), n })
}

/// The 97.5 % point of Student's t, by Hill's expansion about the normal one (Commun. ACM 13, 1970); good to 0.5 % from 4 degrees.
fn student(degrees: usize) -> f64 {
    const Z: f64 = 1.959_964;
    let n = degrees as f64;
    let z3 = Z.powi(3);
    let z5 = Z.powi(5);
    let z7 = Z.powi(7);
    Z + (z3 + Z) / (4.0 * n)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / (96.0 * n * n)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / (384.0 * n.powi(3))
}

/// The last change of each patient, percent.
fn last_of_each(patients: &Patients) -> Vec<f64> {
    let mut last: BTreeMap<&(String, String), (i64, f64)> = BTreeMap::new();
    for (id, sessions) in patients.values().flatten() {
        let Some((session, value)) = sessions.last_key_value() else { continue };
        let known = last.entry(id).or_insert((*session, value.value()));
        if *session > known.0 {
            *known = (*session, value.value());
        }
    }
    last.into_values().map(|(_, value)| 100.0 * value.exp_m1()).collect()
}

fn curve(last: &[f64]) -> Vec<(f64, f64)> {
    if last.len() < SMALLEST {
        return Vec::new();
    }
    let share = |at: f64| 100.0 * last.iter().filter(|change| **change <= -at).count() as f64 / last.len() as f64;
    (0..=20).map(|step| 5.0 * f64::from(step)).map(|at| (at, share(at))).collect()
}

fn share(last: &[f64], at: f64) -> String {
    let n = last.iter().filter(|change| **change <= -at).count();
    match last.len() {
        all if all < SMALLEST => format!("fewer than {SMALLEST} patients"),
        all => {
            let (low, high) = wilson(n, all);
            format!("{n} of {all}: {:.0} % (95 % {low:.0} to {high:.0} %)", 100.0 * n as f64 / all as f64)
        }
    }
}

/// Wilson's interval of a share, percent.
fn wilson(n: usize, all: usize) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    let (p, n) = (n as f64 / all as f64, all as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    (100.0 * (middle - half).max(0.0), 100.0 * (middle + half).min(1.0))
}

/// The question behind the page, for whoever asks it in a tool of their own.
fn sql(by: &str, clinic: Option<&str>) -> String {
    let column = match by {
        "clinic" => "c.clinic_id",
        "device" => "s.device",
        "depth" => "s.needle_depth_mm",
        "skin" => "s.fitzpatrick",
        _ => "'all patients'",
    };
    let clinic =
        clinic.map_or(String::new(), |clinic| format!("\n   AND c.clinic_id = '{}'", clinic.replace('\'', "''")));
    format!(
        "SELECT {column} AS group_name, COALESCE(c.session_no, s.place) AS session_no, c.clinic_id, c.patient_id, c.view,
       c.region, c.change_pct
  FROM v_changes c
  JOIN (SELECT v_sessions.*, ROW_NUMBER() OVER (PARTITION BY clinic_id, patient_id ORDER BY session) - 1 AS place
          FROM v_sessions) s
    ON s.clinic_id = c.clinic_id AND s.patient_id = c.patient_id AND s.session = c.session
 WHERE c.measure = 'psi' AND c.endpoint_eligible = 1 AND s.is_baseline = 0{clinic};
-- then: mean of ln(1 + change_pct / 100) by patient and session_no; mean and t interval over patients;
-- back by 100 (exp(x) - 1)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_is_near_the_tables() {
        for (degrees, table) in [(4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)] {
            let t = student(degrees);
            assert!((t / table - 1.0).abs() < 0.005, "{degrees}: {t} for {table}");
        }
    }

    #[test]
    fn wilsons_interval_is_that_of_the_books() {
        let (low, high) = wilson(8, 10);
        assert!((low - 49.0).abs() < 0.5 && (high - 94.3).abs() < 0.5, "{low} {high}");
        assert_eq!(wilson(0, 10).0, 0.0);
    }

    #[test]
    fn a_group_of_four_is_not_shown_and_one_of_five_has_an_interval() {
        assert!(mean(1, &[0.0; 4]).is_none());
        let mean = mean(1, &[-0.1, -0.2, -0.3, -0.2, -0.2]).unwrap();
        assert!(mean.low < mean.mean && mean.mean < mean.high && mean.n == 5);
        assert!((mean.mean - 100.0 * (-0.2_f64).exp_m1()).abs() < 1e-9);
    }
}
