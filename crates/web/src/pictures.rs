//! Derived pictures, through this program and never kept by a browser. They were encoded afresh by a pixel process; nothing
//! here parses them, and no original is handed out.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cicatrix_ledger::{Page, Table};
use cicatrix_store::ObjectKey;
use serde_json::Value;

use crate::Shared;
use crate::problem::Problem;

/// Larger than any derived picture.
const LIMIT: u64 = 32 << 20;

pub(crate) async fn picture(
    State(dashboard): State<Shared>,
    Path((run, name)): Path<(i64, String)>,
) -> Result<Response, Problem> {
    let none = || Problem::not_found("there is no such picture");
    let store = dashboard.pictures.as_ref().ok_or_else(none)?;
    let number = run.to_string();
    let page = Page { table: Table::Photos, matching: vec![("run_id", &number)], before: None, most: 1 };
    let (sheet, _) = dashboard.ledger.page(&page).await?;
    let row = sheet.rows().next().ok_or_else(none)?;
    let names: Value = row.text("derived").and_then(|text| serde_json::from_str(text).ok()).ok_or_else(none)?;
    let key = names[&name].as_str().and_then(|key| ObjectKey::parse(key).ok()).ok_or_else(none)?;
    let kind = match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => return Err(none()),
    };
    match store.get(&key, LIMIT).await {
        Ok(object) => Ok(([(header::CONTENT_TYPE, kind)], object.bytes).into_response()),
        Err(error) if error.is_transient() => Err(Problem::unavailable(error.to_string())),
        Err(_) => Err(none()),
    }
}
