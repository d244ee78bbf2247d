//! The JSON API: the same questions as the pages ask. `/api/v1/openapi.json` describes it.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cicatrix_ledger::{Page, SheetRow, Table};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Shared;

/// Rows of an answer, unless fewer are asked for.
const MOST: u32 = 500;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/openapi.json", get(describe))
        .route("/api/v1/status", get(status))
        .route("/api/v1/workers", get(workers))
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

/// Rows of a table: those with numbers page by page (`before`, `limit`), the others by what they are of (`patient_id`, …). Files that
/// belong to no run have no number: they are in `/data/quarantine.csv`.
async fn table(
    State(dashboard): State<Shared>,
    Path(name): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<Json<Value>, ApiProblem> {
    let bad = |text: String| ApiProblem(axum::http::StatusCode::BAD_REQUEST, text);
    let table: Table = name.parse().map_err(|text| ApiProblem(axum::http::StatusCode::NOT_FOUND, text))?;
    let number = |name: &str| asked.get(name).map(|text| text.parse::<i64>()).transpose();
    let before = number("before").map_err(|_| bad("'before' is a number".to_owned()))?;
    let limit = number("limit").map_err(|_| bad("'limit' is a number".to_owned()))?;
    let most = limit.map_or(MOST, |limit| u32::try_from(limit.clamp(1, i64::from(MOST))).unwrap_or(MOST));
    let matching: Vec<(&str, &str)> = asked
        .iter()
        .filter(|(name, value)| !matches!(name.as_str(), "before" | "limit") && !value.is_empty())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    dashboard.ledger.has_columns(table, &matching).await?;
    let (sheet, next) = match table.number() {
        Some(_) => dashboard.ledger.page(&Page { table, matching, before, most }).await?,
        None if table == Table::Dictionary
            || matching.iter().any(|(name, _)| matches!(*name, "clinic_id" | "patient_id")) =>
        {
            (dashboard.ledger.sheet(table, &matching).await?, None)
        }
        None => return Err(bad(format!("ask for {name} of a patient_id or clinic_id; all of it is /data/{name}.csv"))),
    };
    Ok(Json(json!({ "rows": sheet.rows().map(SheetRow::json).collect::<Vec<_>>(), "next_before": next })))
}

async fn describe() -> Json<Value> {
    let names: Vec<&str> = Table::ALL.map(Table::name).to_vec();
    let answer = |what: &str| json!({ "200": { "description": what, "content": { "application/json": {} } } });
    let optional = |name: &str, kind: &str, what: &str| json!({ "name": name, "in": "query", "required": false, "schema": { "type": kind }, "description": what });
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "cicatrix", "version": env!("CARGO_PKG_VERSION"), "description": "What the dashboard shows." },
        "components": { "securitySchemes": { "password": { "type": "http", "scheme": "bearer" } } },
        "security": [{ "password": [] }],
        "paths": {
            "/api/v1/status": { "get": { "summary": "Counts, clinics, reasons, pace", "responses": answer("where the work stands") } },
            "/api/v1/workers": { "get": { "summary": "Who works", "responses": answer("one object a worker") } },
            "/api/v1/tables/{table}": { "get": {
                "summary": "Rows of a table; any of its columns may be asked for by value",
                "parameters": [
                    { "name": "table", "in": "path", "required": true, "schema": { "type": "string", "enum": names } },
                    optional("before", "integer", "rows of a smaller number: next_before of the page before"),
                    optional("limit", "integer", "rows of a page, at most 500"),
                    optional("clinic_id", "string", "only of this clinic"),
                    optional("patient_id", "string", "only of this patient"),
                ],
                "responses": answer("rows, and next_before where there are more"),
            } },
            "/data/{table}.csv": { "get": {
                "summary": "A whole table",
                "parameters": [{ "name": "table", "in": "path", "required": true, "schema": { "type": "string", "enum": names } }],
                "responses": { "200": { "description": "CSV", "content": { "text/csv": {} } } },
            } },
        },
    }))
}
