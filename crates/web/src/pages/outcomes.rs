//! Outcomes: how groups of patients fare by session, who responds, and what is missing. Of the primary measure, endpoints only.
//! How it is counted stands in `summary.rs`.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cicatrix_ledger::{Cell, GroupBy};
use serde::Deserialize;

use crate::pages::data::csv_of;
use crate::pages::{Shell, Visitor, asked, html, query};
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
}

impl Asked {
    fn by(&self) -> Result<&'static By, Problem> {
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
}

/// By what patients are grouped: its name in an address, in words, and in SQL over `v_changes` c and `v_sessions` s.
struct By {
    name: &'static str,
    words: &'static str,
    of: GroupBy,
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
    fn name_of(&self, group: Option<&str>) -> String {
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
    let clinic = asked(wanted.clinic.as_ref());
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
        missing: match outcomes.series {
            0 => "nothing is measured yet".to_owned(),
            all => format!("{} of {all} ({:.0} %)", outcomes.missing, 100.0 * outcomes.missing as f64 / all as f64),
        },
        sql: sql(by, clinic),
        clinic: clinic.unwrap_or_default().to_owned(),
        shell: visitor.shell(&dashboard, "outcomes", "Outcomes"),
    };
    Ok(html(&page))
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
    };
    let group = |(number, (name, means)): (usize, (String, Vec<GroupMean>))| Group {
        chart: if number < DRAWN { chart::groups(&name, &means, range, last) } else { String::new() },
        rows: means.iter().map(row).collect(),
        name,
    };
    found.into_iter().enumerate().map(group).collect()
}

/// The table of the page: a mean a line.
pub(crate) async fn csv(State(dashboard): State<Shared>, Query(wanted): Query<Asked>) -> Result<Response, Problem> {
    let by = wanted.by()?;
    let outcomes = dashboard.ledger.outcomes(by.of, asked(wanted.clinic.as_ref()), &[]).await?;
    let number = |value: f64| Cell::Real((value * 100.0).round() / 100.0);
    let row = |name: &str, mean: &GroupMean| {
        let [change, low, high] = [mean.mean, mean.low, mean.high].map(number);
        [Cell::Text(name.to_owned()), Cell::Int(mean.session), Cell::Int(mean.n), change, low, high]
    };
    let found = summary::groups(&outcomes.by_session, |group| by.name_of(group)).shown;
    let rows = found.iter().flat_map(|(name, means)| means.iter().map(move |mean| row(name, mean)));
    csv_of("outcomes.csv", ["group", "session_no", "n_patients", "mean_change_pct", "ci95_lo", "ci95_hi"], rows)
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
