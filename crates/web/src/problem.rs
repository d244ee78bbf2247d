//! What is answered when something cannot be shown or done: what, why, and the way out.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cicatrix_ledger::LedgerError;

use crate::pages::html;

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
