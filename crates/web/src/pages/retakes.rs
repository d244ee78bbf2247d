//! Retakes: what a clinic has to take again, why, and how.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cicatrix_ledger::{Page, SheetRow, Table};
use jiff::Timestamp;
use serde::Deserialize;

use crate::pages::{ROWS, Shell, Visitor, asked, asked_reason, html, known, query};
use crate::problem::Problem;
use crate::words::{escaped, local};
use crate::{Dashboard, Shared};

#[derive(Deserialize)]
pub(crate) struct Asked {
    clinic: Option<String>,
    reason: Option<String>,
    before: Option<i64>,
}

/// Retakes on paper; more than these are too many for it, and the CSV has all.
const PRINTED: u32 = 500;

#[derive(Template)]
#[template(path = "retakes.html")]
struct RetakesPage {
    shell: Shell,
    clinic: String,
    reason: String,
    reasons: Vec<&'static str>,
    retakes: Vec<Retake>,
    next: Option<String>,
    csv: String,
    /// What was asked, for the same on paper.
    print: String,
    /// This list, to come back to.
    here: String,
}

struct Retake {
    run: i64,
    clinic: String,
    patient: String,
    session: String,
    view: String,
    shot: i64,
    region: Option<String>,
    reason: String,
    group: String,
    advice: String,
    detail: String,
    is_covered: bool,
    address: String,
    has_thumb: bool,
    ghost: Option<i64>,
}

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Query(filter): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (clinic, reason) = (asked(filter.clinic.as_ref()), asked_reason(filter.reason.as_ref())?);
    known(&dashboard, clinic).await?;
    let (retakes, next) = found(&dashboard, clinic, reason, filter.before, ROWS).await?;
    let next = next.map(|before| {
        let before = before.to_string();
        query(&[("clinic", clinic), ("reason", reason), ("before", Some(&before))])
    });
    let page = RetakesPage {
        clinic: clinic.unwrap_or_default().to_owned(),
        reason: reason.unwrap_or_default().to_owned(),
        reasons: cicatrix_model::Reason::ALL.iter().filter(|r| r.is_retake()).map(|r| r.code()).collect(),
        next,
        here: format!("/retakes?{}", query(&[("clinic", clinic), ("reason", reason)])),
        csv: query(&[("clinic_id", clinic), ("reason", reason)]),
        print: query(&[("clinic", clinic), ("reason", reason)]),
        retakes,
        shell: visitor.shell(&dashboard, "retakes", "Retakes"),
    };
    Ok(html(&page))
}

/// Retakes, the newest first, and the number behind which there are more.
async fn found(
    dashboard: &Dashboard,
    clinic: Option<&str>,
    reason: Option<&str>,
    before: Option<i64>,
    most: u32,
) -> Result<(Vec<Retake>, Option<i64>), Problem> {
    let matching: Vec<(&'static str, &str)> = [("clinic_id", clinic), ("reason", reason)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let page = Page { table: Table::Retakes, matching, before, most };
    let (sheet, next) = dashboard.ledger.page(&page).await?;
    let runs: Vec<i64> = sheet.rows().filter_map(|row| row.int("run_id")).collect();
    let ghosts = dashboard.ledger.baseline_runs(&runs).await?;
    let with_pictures = dashboard.ledger.with_pictures(&runs).await?;
    let mut retakes: Vec<Retake> = sheet.rows().map(retake).collect();
    for retake in &mut retakes {
        retake.has_thumb = dashboard.pictures.is_some() && with_pictures.contains(&retake.run);
        retake.ghost =
            ghosts.get(&retake.run).copied().filter(|ghost| dashboard.pictures.is_some() && *ghost != retake.run);
    }
    Ok((retakes, next))
}

#[derive(Template)]
#[template(path = "retakes_print.html")]
struct PrintPage {
    shell: Shell,
    at: String,
    clinics: Vec<ClinicSheet>,
    n: u64,
    is_more: bool,
}

/// What one clinic has to take again: each begins on a sheet of its own.
struct ClinicSheet {
    clinic: String,
    patients: Vec<PatientBlock>,
}

struct PatientBlock {
    patient: String,
    retakes: Vec<Retake>,
}

/// The list on paper: by clinic and patient, with a box to tick.
pub(crate) async fn print(
    State(dashboard): State<Shared>,
    Query(filter): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (clinic, reason) = (asked(filter.clinic.as_ref()), asked_reason(filter.reason.as_ref())?);
    known(&dashboard, clinic).await?;
    let (mut retakes, next) = found(&dashboard, clinic, reason, None, PRINTED).await?;
    retakes.sort_by(|a, b| a.place().cmp(&b.place()));
    let n = retakes.len() as u64;
    let mut clinics: Vec<ClinicSheet> = Vec::new();
    for retake in retakes {
        if clinics.last().is_none_or(|sheet| sheet.clinic != retake.clinic) {
            clinics.push(ClinicSheet { clinic: retake.clinic.clone(), patients: Vec::new() });
        }
        let Some(sheet) = clinics.last_mut() else { continue };
        match sheet.patients.last_mut().filter(|block| block.patient == retake.patient) {
            Some(block) => block.retakes.push(retake),
            None => sheet.patients.push(PatientBlock { patient: retake.patient.clone(), retakes: vec![retake] }),
        }
    }
    let page = PrintPage {
        at: local(Timestamp::now()),
        clinics,
        n,
        is_more: next.is_some(),
        shell: visitor.shell(&dashboard, "retakes", "Photos to take again"),
    };
    Ok(html(&page))
}

impl Retake {
    /// Where it stands on paper.
    fn place(&self) -> (&str, &str, &str, &str, i64, Option<&str>) {
        (&self.clinic, &self.patient, &self.session, &self.view, self.shot, self.region.as_deref())
    }
}

fn retake(row: SheetRow<'_>) -> Retake {
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    let (clinic, patient) = (text("clinic_id"), text("patient_id"));
    Retake {
        run: row.int("run_id").unwrap_or(0),
        address: format!("/patients/{}/{}", escaped(&clinic), escaped(&patient)),
        clinic,
        patient,
        session: text("session"),
        view: text("view"),
        shot: row.int("shot").unwrap_or(0),
        region: row.text("region").map(str::to_owned),
        reason: text("reason"),
        group: text("reason_group"),
        advice: text("advice"),
        detail: text("detail"),
        is_covered: row.int("covered_by_other_shot") == Some(1),
        has_thumb: false,
        ghost: None,
    }
}
