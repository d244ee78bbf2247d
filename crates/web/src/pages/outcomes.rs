//! Outcomes: how groups of patients fare by session, who responds, and what is missing. Of the primary measure, endpoints only.
//! How it is counted stands in `summary.rs`.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cicatrix_ledger::{Cell, GroupBy};
use serde::Deserialize;

use crate::pages::data::csv_of;
use crate::pages::{Shell, Visitor, asked, html, known, query};
use crate::problem::Problem;
use crate::summary::{self, ClinicMean, GroupMean};
use crate::words::{interval, percent};
use crate::{Shared, chart};

/// Groups that are drawn.
const DRAWN: usize = 8;

#[derive(Deserialize)]
pub(crate) struct Asked {
    by: Option<String>,
    clinic: Option<String>,
    /// Which table as CSV: means, response or clinics.
    table: Option<String>,
}

impl Asked {
    pub(crate) fn clinic(&self) -> Option<&str> {
        asked(self.clinic.as_ref())
    }

    pub(crate) fn by(&self) -> Result<&'static By, Problem> {
        let by = asked(self.by.as_ref()).unwrap_or("all");
        let by = CHOICES.iter().find(|choice| choice.name == by);
        by.ok_or_else(|| Problem::bad("outcomes are by all, clinic, device, depth or skin"))
    }
}

#[derive(Template)]
#[template(path = "outcomes.html")]
struct OutcomesPage {
    shell: Shell,
    by: &'static str,
    choices: &'static [By],
    clinic: String,
    groups: Vec<Group>,
    /// Groups that are left out whole, and sessions of those that are shown.
    suppressed: (usize, usize),
    /// Clinics beside each other, and the names of those that are apart.
    funnel: Option<String>,
    apart: Vec<String>,
    beside: Vec<ClinicMean>,
    responders: String,
    response: Vec<(usize, String)>,
    n_patients: i64,
    /// Patients whose changes are to be computed anew.
    waiting: i64,
    missing: String,
    sql: String,
    /// What was asked, for the same as CSV.
    csv: String,
}

struct Group {
    name: String,
    chart: String,
    rows: Vec<Row>,
}

struct Row {
    session: i64,
    n: i64,
    mean: String,
    interval: String,
    missing: String,
}

/// By what patients are grouped: its name in an address, in words, and in SQL over `v_changes` c and `v_sessions` s.
pub(crate) struct By {
    name: &'static str,
    words: &'static str,
    pub(crate) of: GroupBy,
    column: &'static str,
}

static CHOICES: [By; 5] = [
    By { name: "all", words: "all patients", of: GroupBy::All, column: "'all patients'" },
    By { name: "clinic", words: "clinic", of: GroupBy::Clinic, column: "c.clinic_id" },
    By { name: "device", words: "device", of: GroupBy::Device, column: "s.device" },
    By { name: "depth", words: "needle depth", of: GroupBy::NeedleDepth, column: "s.needle_depth_mm" },
    By { name: "skin", words: "skin type", of: GroupBy::SkinType, column: "s.fitzpatrick" },
];

impl By {
    /// What a group is called.
    pub(crate) fn name_of(&self, group: Option<&str>) -> String {
        let depth = || group?.parse::<f64>().ok().map(|mm| format!("{mm} mm"));
        let told = if self.of == GroupBy::NeedleDepth { depth() } else { group.map(str::to_owned) };
        told.unwrap_or_else(|| "not told".to_owned())
    }
}

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Query(wanted): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let by = wanted.by()?;
    let clinic = wanted.clinic();
    known(&dashboard, clinic).await?;
    let outcomes = dashboard.ledger.outcomes(by.of, clinic, &summary::thresholds()).await?;
    let found = summary::groups(&outcomes.by_session, |group| by.name_of(group));
    let response = summary::Response::of(&outcomes.last);
    let funnel = (by.of == GroupBy::Clinic).then(|| summary::funnel(&outcomes.last)).flatten();
    let page = OutcomesPage {
        by: by.name,
        choices: &CHOICES,
        suppressed: found.suppressed,
        groups: groups(found.shown),
        apart: funnel.iter().flat_map(|f| &f.clinics).filter(|c| c.is_apart).map(|c| c.name.clone()).collect(),
        beside: funnel.as_ref().map(|funnel| funnel.clinics.clone()).unwrap_or_default(),
        funnel: funnel.map(|funnel| chart::funnel(&funnel)),
        responders: chart::responders(&response.curve(), response.patients),
        response: [25, 50, 75].map(|at| (at, response.told(at))).to_vec(),
        csv: query(&[("by", Some(by.name)), ("clinic", clinic)]),
        n_patients: response.patients,
        waiting: dashboard.ledger.patients_waiting(clinic).await?,
        missing: share(
            outcomes.by_session.iter().map(|sum| sum.missing).sum(),
            outcomes.by_session.iter().map(|sum| sum.series).sum(),
        ),
        sql: sql(by, clinic),
        clinic: clinic.unwrap_or_default().to_owned(),
        shell: visitor.shell(&dashboard, "outcomes", "Outcomes"),
    };
    Ok(html(&page))
}

/// `3 of 40 (8 %)`
fn share(n: i64, all: i64) -> String {
    match all {
        0 => "nothing is measured yet".to_owned(),
        all => format!("{n} of {all} ({:.0} %)", 100.0 * n as f64 / all as f64),
    }
}

fn groups(found: Vec<(String, Vec<GroupMean>)>) -> Vec<Group> {
    let all = found.iter().flat_map(|(_, means)| means);
    let range = all.fold([0.0_f64, 0.0_f64], |[low, high], mean| [low.min(mean.low), high.max(mean.high)]);
    let last = found.iter().flat_map(|(_, means)| means).map(|mean| mean.session).max().unwrap_or(0);
    let row = |mean: &GroupMean| Row {
        session: mean.session,
        n: mean.n,
        mean: percent(mean.mean),
        interval: interval(mean.low, mean.high),
        missing: share(mean.missing, mean.series),
    };
    let group = |(number, (name, means)): (usize, (String, Vec<GroupMean>))| Group {
        chart: if number < DRAWN { chart::groups(&name, &means, range, last) } else { String::new() },
        rows: means.iter().map(row).collect(),
        name,
    };
    found.into_iter().enumerate().map(group).collect()
}

/// A table of the page: the means by session, the response, or clinics beside each other.
pub(crate) async fn csv(State(dashboard): State<Shared>, Query(wanted): Query<Asked>) -> Result<Response, Problem> {
    let by = wanted.by()?;
    let outcomes = dashboard.ledger.outcomes(by.of, wanted.clinic(), &summary::thresholds()).await?;
    let number = |value: f64| Cell::Real((value * 100.0).round() / 100.0);
    match asked(wanted.table.as_ref()).unwrap_or("means") {
        "means" => {
            let found = summary::groups(&outcomes.by_session, |group| by.name_of(group)).shown;
            let row = |name: &str, of: &GroupMean| {
                let [change, low, high] = [of.mean, of.low, of.high].map(number);
                let [session, n, missing, series] = [of.session, of.n, of.missing, of.series].map(Cell::Int);
                [Cell::Text(name.to_owned()), session, n, change, low, high, missing, series]
            };
            let rows = found.iter().flat_map(|(name, means)| means.iter().map(move |mean| row(name, mean)));
            let columns = [
                "group",
                "session_no",
                "n_patients",
                "mean_change_pct",
                "ci95_lo",
                "ci95_hi",
                "n_not_measurable",
                "n_series",
            ];
            csv_of("outcomes.csv", columns, rows)
        }
        "response" => {
            let response = summary::Response::of(&outcomes.last);
            let patients = response.patients;
            let rows = response.curve().into_iter().map(|(at, share)| {
                let n = response.at_least(at as usize).map_or(Cell::Null, Cell::Int);
                [number(at), n, Cell::Int(patients), number(share)]
            });
            csv_of("response.csv", ["at_least_pct", "n", "n_patients", "share_pct"], rows)
        }
        "clinics" => {
            let funnel = summary::funnel(&outcomes.last);
            let rows = funnel.into_iter().flat_map(|funnel| funnel.clinics).map(|clinic| {
                let is_apart = Cell::Int(i64::from(clinic.is_apart));
                [Cell::Text(clinic.name), Cell::Int(clinic.n), number(clinic.mean), is_apart]
            });
            csv_of("clinics.csv", ["clinic_id", "n_patients", "mean_change_pct", "is_apart"], rows)
        }
        _ => Err(Problem::bad("the tables are means, response and clinics")),
    }
}

/// The question behind the page, for whoever asks it in a tool of their own.
fn sql(by: &By, clinic: Option<&str>) -> String {
    let column = by.column;
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
