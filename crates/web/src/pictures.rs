//! Derived pictures, through this program and never kept by a browser. They were encoded afresh by a pixel process; nothing
//! here parses them, and no original is handed out.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use cicatrix_ledger::{Page, Table};
use cicatrix_store::{ObjectKey, StoreError};
use serde_json::Value;

use crate::Shared;
use crate::problem::Problem;

/// Larger than any derived picture.
const LIMIT: u64 = 32 << 20;

pub(crate) async fn picture(
    State(dashboard): State<Shared>,
    Path((run, name)): Path<(i64, String)>,
) -> Result<Response, Problem> {
    match find(&dashboard, run, &name).await? {
        Found::Picture(kind, bytes) => Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response()),
        Found::Nothing => Ok(told(StatusCode::NOT_FOUND, "this picture is gone")),
        Found::Away(why) => {
            tracing::warn!(why, "a picture could not be fetched");
            Ok(told(StatusCode::SERVICE_UNAVAILABLE, "the store of pictures does not answer"))
        }
    }
}

enum Found {
    Picture(&'static str, Bytes),
    Nothing,
    Away(String),
}

async fn find(dashboard: &Shared, run: i64, name: &str) -> Result<Found, Problem> {
    let Some(store) = dashboard.pictures.as_ref() else { return Ok(Found::Nothing) };
    let number = run.to_string();
    let page = Page { table: Table::Photos, matching: vec![("run_id", &number)], before: None, most: 1 };
    let (sheet, _) = dashboard.ledger.page(&page).await?;
    let derived = sheet.rows().next().and_then(|row| row.text("derived"));
    let names: Option<Value> = derived.and_then(|text| serde_json::from_str(text).ok());
    let key = names.as_ref().and_then(|names| ObjectKey::parse(names[name].as_str()?).ok());
    let Some(key) = key else { return Ok(Found::Nothing) };
    let kind = match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => return Ok(Found::Nothing),
    };
    Ok(match store.get(&key, LIMIT).await {
        Ok(object) => Found::Picture(kind, object.bytes),
        Err(error @ StoreError::NotFound { .. }) => {
            tracing::debug!(%error, "a picture is gone");
            Found::Nothing
        }
        Err(error) => Found::Away(error.to_string()),
    })
}

/// A picture that says why there is none, where a page would else show an empty frame.
fn told(code: StatusCode, why: &str) -> Response {
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 320 240\"><rect width=\"320\" height=\"240\" fill=\"#f3f5f7\"/>\
         <text x=\"160\" y=\"124\" font-family=\"sans-serif\" font-size=\"15\" text-anchor=\"middle\" fill=\"#1a1a1a\">{why}</text></svg>"
    );
    (code, [(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response()
}
