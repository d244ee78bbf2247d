//! What is answered when something cannot be shown or done: what, why, and the way out.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use cicatrix_ledger::LedgerError;

use crate::pages::html;

/// More than any refusal of a library has, bytes.
const MOST_SAID: usize = 4 << 10;

/// An answer that is not the one that was asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    code: StatusCode,
    text: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    code: u16,
    text: &'a str,
}

impl Problem {
    fn new(code: StatusCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

/// What a library says of an address or a form that it cannot read, as a page.
pub(crate) async fn as_page(response: Response) -> Response {
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/plain")));
    if !response.status().is_client_error() || !is_text {
        return response;
    }
    let code = response.status();
    let said = axum::body::to_bytes(response.into_body(), MOST_SAID).await.unwrap_or_default();
    let text = match String::from_utf8_lossy(&said).trim() {
        "" => code.canonical_reason().unwrap_or("it could not be answered").to_owned(),
        said => said.to_owned(),
    };
    Problem::new(code, text).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.code, html(&ProblemPage { code: self.code.as_u16(), text: &self.text })).into_response()
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let text = error.to_string();
        match error {
            LedgerError::NoSuchRun(_) | LedgerError::NoSuchClinic(_) | LedgerError::NoSuchSession { .. } => {
                Self::not_found(text)
            }
            LedgerError::Unavailable(_) | LedgerError::Locked(_) | LedgerError::Full(_) => Self::unavailable(text),
            LedgerError::ReadOnly(_) => Self::refused(text),
            _ => {
                tracing::error!(error = text, "a page could not be made");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }
}
