//! One session: its photos, what the gate read of each, and what became of them.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use cicatrix_ledger::{SheetRow, Table};
use cicatrix_model::GateReading;

use crate::Shared;
use crate::pages::jobs::{pictures, readings};
use crate::pages::tonight::advice;
use crate::pages::{Shell, Visitor, html, query};
use crate::problem::Problem;
use crate::words::{VerdictWords, change_interval, clock, escaped, state, verdict};

#[derive(Template)]
#[template(path = "session.html")]
struct SessionPage {
    shell: Shell,
    clinic: String,
    patient: String,
    address: String,
    facts: Vec<(&'static str, String)>,
    problem: String,
    photos: Vec<Photo>,
    changes: Vec<Change>,
    /// What was asked, for the same as CSV.
    csv: String,
}

struct Photo {
    run: Option<i64>,
    view: String,
    shot: i64,
    state: String,
    reason: String,
    advice: &'static str,
    detail: String,
    /// Since when it is off the lists.
    dismissed: Option<String>,
    tier: String,
    key: String,
    gate: Vec<GateReading>,
    thumb: bool,
}

struct Change {
    view: String,
    region: String,
    measure: String,
    change: String,
    interval: String,
    verdict: VerdictWords,
    why: String,
    advice: &'static str,
}

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Path((clinic, patient, session)): Path<(String, String, String)>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let of_session = [("clinic_id", clinic.as_str()), ("patient_id", patient.as_str()), ("session", session.as_str())];
    let sessions = dashboard.ledger.sheet(Table::Sessions, &of_session).await?;
    let Some(row) = sessions.rows().next() else {
        return Err(Problem::not_found(format!("patient {patient} of clinic {clinic} has no session {session}")));
    };
    let photos = dashboard.ledger.sheet(Table::Photos, &of_session).await?;
    let changes = dashboard.ledger.sheet(Table::Changes, &of_session).await?;
    let has_pictures = dashboard.pictures.is_some();
    let page = SessionPage {
        address: format!("/patients/{}/{}", escaped(&clinic), escaped(&patient)),
        facts: facts(row),
        problem: [row.text("problem_reason"), row.text("problem_detail")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": "),
        photos: photos.rows().map(|row| photo(row, has_pictures)).collect(),
        changes: changes.rows().map(change).collect(),
        csv: query(&of_session.map(|(name, value)| (name, Some(value)))),
        shell: visitor.shell(&dashboard, "patients", format!("Session {session}")),
        clinic,
        patient,
    };
    Ok(html(&page))
}

fn facts(row: SheetRow<'_>) -> Vec<(&'static str, String)> {
    let told = |name: &str| match row.cell(name) {
        cicatrix_ledger::Cell::Null => None,
        cell => Some(cell.to_string()),
    };
    [
        ("day since the baseline", "days_since_baseline"),
        ("days since the last treatment", "days_since_treatment"),
        ("treatments before", "sessions_before"),
        ("treatment", "modality"),
        ("device", "device"),
        ("needle depth, mm", "needle_depth_mm"),
        ("skin type", "fitzpatrick"),
        ("source", "source"),
    ]
    .into_iter()
    .filter_map(|(words, name)| Some((words, told(name)?)))
    .collect()
}

fn photo(row: SheetRow<'_>, has_pictures: bool) -> Photo {
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    Photo {
        run: row.int("run_id"),
        view: text("view"),
        shot: row.int("shot").unwrap_or(0),
        state: state(row.text("state").unwrap_or("not planned")).to_owned(),
        reason: text("reason"),
        advice: row.text("reason").and_then(advice).unwrap_or_default(),
        detail: text("detail"),
        dismissed: row.text("dismissed_at").map(clock),
        tier: text("quality_tier"),
        key: text("object_key"),
        gate: readings(row),
        thumb: has_pictures && pictures(row).iter().any(|name| name == "thumb.webp"),
    }
}

fn change(row: SheetRow<'_>) -> Change {
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    let real = |name| row.real(name);
    let told = |value| crate::words::change(row.text("measure").unwrap_or_default(), value);
    Change {
        view: text("view"),
        region: text("region"),
        measure: text("measure"),
        change: real("change_pct").map(told).unwrap_or_default(),
        interval: real("ci95_lo")
            .zip(real("ci95_hi"))
            .map(|(low, high)| change_interval(row.text("measure").unwrap_or_default(), low, high))
            .unwrap_or_default(),
        verdict: verdict(row.text("verdict").unwrap_or_default()),
        why: text("reason"),
        advice: row.text("reason").and_then(advice).unwrap_or_default(),
    }
}
