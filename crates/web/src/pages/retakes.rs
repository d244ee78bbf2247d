//! Retakes: what a clinic has to take again, why, and how.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cicatrix_ledger::{Page, SheetRow, Table};
use serde::Deserialize;

use crate::Shared;
use crate::pages::{ROWS, Shell, Visitor, asked, html, query};
use crate::problem::Problem;
use crate::words::escaped;

#[derive(Deserialize)]
pub(crate) struct Asked {
    clinic: Option<String>,
    reason: Option<String>,
    before: Option<i64>,
}

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
    let (clinic, reason) = (asked(filter.clinic.as_ref()), asked(filter.reason.as_ref()));
    let matching: Vec<(&'static str, &str)> = [("clinic_id", clinic), ("reason", reason)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let page = Page { table: Table::Retakes, matching, before: filter.before, most: ROWS };
    let (sheet, next) = dashboard.ledger.page(&page).await?;
    let runs: Vec<i64> = sheet.rows().filter_map(|row| row.int("run_id")).collect();
    let ghosts = dashboard.ledger.baseline_runs(&runs).await?;
    let with_pictures = dashboard.ledger.with_pictures(&runs).await?;
    let next = next.map(|before| {
        let before = before.to_string();
        query(&[("clinic", clinic), ("reason", reason), ("before", Some(&before))])
    });
    let mut retakes: Vec<Retake> = sheet.rows().map(retake).collect();
    for retake in &mut retakes {
        retake.has_thumb = dashboard.pictures.is_some() && with_pictures.contains(&retake.run);
        retake.ghost =
            ghosts.get(&retake.run).copied().filter(|ghost| dashboard.pictures.is_some() && *ghost != retake.run);
    }
    let page = RetakesPage {
        clinic: clinic.unwrap_or_default().to_owned(),
        reason: reason.unwrap_or_default().to_owned(),
        reasons: cicatrix_model::Reason::ALL.iter().filter(|r| !r.is_quarantine()).map(|r| r.code()).collect(),
        next,
        here: format!("/retakes?{}", query(&[("clinic", clinic), ("reason", reason)])),
        csv: query(&[("clinic_id", clinic), ("reason", reason)]),
        retakes,
        shell: visitor.shell(&dashboard, "retakes", "Retakes"),
    };
    Ok(html(&page))
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
