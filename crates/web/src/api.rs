//! The JSON API: the same questions as the pages ask. `/api/v1/openapi.json` describes it, see `api/description.rs`.

mod description;

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cicatrix_ledger::{Page, PatientLine, SheetRow, Table};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::pages::{asked as asked_text, outcomes};
use crate::{Shared, summary};

/// Rows of an answer, unless fewer are asked for.
const MOST: u32 = 500;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/openapi.json", get(description::describe))
        .route("/api/v1/status", get(status))
        .route("/api/v1/workers", get(workers))
        .route("/api/v1/queues", get(queues))
        .route("/api/v1/patients", get(patients))
        .route("/api/v1/outcomes", get(outcomes))
        .route("/api/v1/tables/{table}", get(table))
        .route("/api/{*nothing}", get(nothing))
}

/// An error as JSON: what is wrong, in one line.
pub(crate) struct ApiProblem(pub(crate) axum::http::StatusCode, pub(crate) String);

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<cicatrix_ledger::LedgerError> for ApiProblem {
    fn from(error: cicatrix_ledger::LedgerError) -> Self {
        use axum::http::StatusCode;
        let code = match &error {
            cicatrix_ledger::LedgerError::Unsupported(_) => StatusCode::BAD_REQUEST,
            error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(code, error.to_string())
    }
}

fn bad(text: impl Into<String>) -> ApiProblem {
    ApiProblem(axum::http::StatusCode::BAD_REQUEST, text.into())
}

async fn nothing() -> ApiProblem {
    ApiProblem(axum::http::StatusCode::NOT_FOUND, "there is no such path: see /api/v1/openapi.json".to_owned())
}

async fn status(State(dashboard): State<Shared>) -> Result<Json<Value>, ApiProblem> {
    let tonight = dashboard.ledger.tonight(Timestamp::now() - SignedDuration::from_hours(24)).await?;
    Ok(Json(tonight.json((dashboard.settings.deadline)())))
}

async fn workers(State(dashboard): State<Shared>) -> Result<Json<Value>, ApiProblem> {
    Ok(Json(dashboard.ledger.colleagues().await?.iter().map(cicatrix_ledger::Colleague::json).collect()))
}

async fn queues(State(dashboard): State<Shared>) -> Result<Json<Value>, ApiProblem> {
    Ok(Json(dashboard.ledger.queues().await?.iter().map(cicatrix_ledger::Queue::json).collect()))
}

#[derive(Deserialize)]
struct AskedPatients {
    clinic_id: Option<String>,
    begins: Option<String>,
    after_clinic: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

/// Patients by clinic and name, page by page.
async fn patients(
    State(dashboard): State<Shared>,
    asked: Result<Query<AskedPatients>, QueryRejection>,
) -> Result<Json<Value>, ApiProblem> {
    let Query(wanted) = asked.map_err(|error| bad(error.body_text()))?;
    let most = wanted.limit.unwrap_or(MOST).clamp(1, MOST);
    let after = asked_text(wanted.after_clinic.as_ref()).zip(asked_text(wanted.after.as_ref()));
    let begins = asked_text(wanted.begins.as_ref()).unwrap_or_default();
    let clinic = asked_text(wanted.clinic_id.as_ref());
    let mut found = dashboard.ledger.patients(clinic, begins, after, most + 1).await?;
    let is_more = found.len() > most as usize;
    found.truncate(most as usize);
    let next =
        found.last().filter(|_| is_more).map(|last| json!({ "clinic_id": last.clinic, "patient_id": last.patient }));
    let row = |line: &PatientLine| {
        json!({
            "clinic_id": line.clinic, "patient_id": line.patient, "n_sessions": line.sessions,
            "first_date": line.first, "last_date": line.last,
        })
    };
    Ok(Json(json!({ "rows": found.iter().map(row).collect::<Value>(), "next_after": next })))
}

/// What the page of outcomes shows.
async fn outcomes(
    State(dashboard): State<Shared>,
    Query(wanted): Query<outcomes::Asked>,
) -> Result<Json<Value>, ApiProblem> {
    let by = wanted.by().map_err(|problem| bad(problem.text()))?;
    let found = dashboard.ledger.outcomes(by.of, wanted.clinic(), &summary::thresholds()).await?;
    let groups = summary::groups(&found.by_session, |group| by.name_of(group));
    let mean = |mean: &summary::GroupMean| {
        json!({
            "session_no": mean.session, "n_patients": mean.n, "mean_change_pct": mean.mean, "ci95_lo": mean.low,
            "ci95_hi": mean.high, "n_not_measurable": mean.missing, "n_series": mean.series,
        })
    };
    let group = |(name, means): &(String, Vec<summary::GroupMean>)| json!({ "group": name, "sessions": means.iter().map(mean).collect::<Value>() });
    let response = summary::Response::of(&found.last);
    let share = |(at, share): (f64, f64)| json!({ "at_least_pct": at, "share_pct": share });
    Ok(Json(json!({
        "groups": groups.shown.iter().map(group).collect::<Value>(),
        "groups_suppressed": groups.suppressed.0,
        "sessions_suppressed": groups.suppressed.1,
        "n_patients": response.patients,
        "response": response.curve().into_iter().map(share).collect::<Value>(),
    })))
}

/// Rows of a table: those with numbers page by page (`before`, `limit`), the others by what they are of (`patient_id`, …). Files that
/// belong to no run have no number: they are in `/data/quarantine.csv`.
async fn table(
    State(dashboard): State<Shared>,
    Path(name): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<Json<Value>, ApiProblem> {
    let table: Table = name.parse().map_err(|text| ApiProblem(axum::http::StatusCode::NOT_FOUND, text))?;
    let number = |name: &str| asked.get(name).map(|text| text.parse::<i64>()).transpose();
    let before = number("before").map_err(|_| bad("'before' is a number"))?;
    let limit = number("limit").map_err(|_| bad("'limit' is a number"))?;
    let most = limit.map_or(MOST, |limit| u32::try_from(limit.clamp(1, i64::from(MOST))).unwrap_or(MOST));
    let matching: Vec<(&str, &str)> = asked
        .iter()
        .filter(|(name, value)| !matches!(name.as_str(), "before" | "limit") && !value.is_empty())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let columns = dashboard.ledger.has_columns(table, &matching).await?;
    let (sheet, next) = match table.number() {
        Some(_) => dashboard.ledger.page(&Page { table, matching, before, most }).await?,
        // What is of no clinic is small.
        None if !columns.iter().any(|column| column == "clinic_id")
            || matching.iter().any(|(name, _)| matches!(*name, "clinic_id" | "patient_id")) =>
        {
            (dashboard.ledger.sheet(table, &matching).await?, None)
        }
        None => return Err(bad(format!("ask for {name} of a patient_id or clinic_id; all of it is /data/{name}.csv"))),
    };
    Ok(Json(json!({ "rows": sheet.rows().map(SheetRow::json).collect::<Vec<_>>(), "next_before": next })))
}
