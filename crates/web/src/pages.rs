//! The pages, one file each: what it asks the ledger, and what of the answer it shows.

pub(crate) mod data;
pub(crate) mod jobs;
pub(crate) mod outcomes;
pub(crate) mod patient;
pub(crate) mod patients;
pub(crate) mod quarantine;
pub(crate) mod queues;
pub(crate) mod retakes;
pub(crate) mod session;
pub(crate) mod tonight;
pub(crate) mod workers;

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use cicatrix_model::Reason;

use crate::access::FormToken;
use crate::problem::Problem;
use crate::{Dashboard, Shared, assets};

/// Rows of one page of a list.
pub(crate) const ROWS: u32 = 50;

/// What all pages have around them.
pub(crate) struct Shell {
    pub(crate) title: String,
    /// Which part of the navigation this is.
    pub(crate) place: &'static str,
    pub(crate) database: String,
    pub(crate) read_only: bool,
    /// Who does something, if a form does not say.
    pub(crate) user: String,
    pub(crate) form: String,
}

/// A pause that holds, as pages tell it.
pub(crate) struct Pause {
    pub(crate) clinic: Option<String>,
    pub(crate) since: String,
    pub(crate) who: String,
    pub(crate) why: Option<String>,
}

/// Who is looking: the token that the forms of its pages carry.
pub(crate) struct Visitor {
    form: String,
    /// It has no session, so it was let in by the password.
    is_program: bool,
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Infallible> {
        let form = parts.extensions.get::<FormToken>().map(|FormToken(form)| form.clone());
        Ok(Self { is_program: form.is_none(), form: form.unwrap_or_default() })
    }
}

impl Visitor {
    /// Whether a form was on a page of this visitor. One that came with the password has no session to be misused.
    pub(crate) fn sent(&self, form: &str) -> bool {
        self.is_program || (!self.form.is_empty() && self.form == form)
    }

    pub(crate) fn shell(self, dashboard: &Dashboard, place: &'static str, title: impl Into<String>) -> Shell {
        Shell {
            title: title.into(),
            place,
            database: dashboard.settings.database.clone(),
            read_only: dashboard.settings.read_only,
            user: dashboard.settings.user.clone().unwrap_or_default(),
            form: self.form,
        }
    }
}

impl Shell {
    pub(crate) fn style(&self) -> &'static str {
        assets::style()
    }

    pub(crate) fn script(&self) -> &'static str {
        assets::script()
    }

    pub(crate) fn here(&self, place: &str) -> &'static str {
        if self.place == place { "page" } else { "false" }
    }
}

pub(crate) fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], "a page could not be written\n")
                .into_response()
        }
    }
}

/// What a form left empty was not asked.
pub(crate) fn asked(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// The reason that was asked for, if there is such a one.
pub(crate) fn asked_reason(text: Option<&String>) -> Result<Option<&'static str>, Problem> {
    let reason: Option<Reason> = asked(text).map(str::parse).transpose().map_err(Problem::bad)?;
    Ok(reason.map(Reason::code))
}

/// That a clinic which is asked for is there: a mistyped one would look like one in which all is well.
pub(crate) async fn known(dashboard: &Dashboard, clinic: Option<&str>) -> Result<(), Problem> {
    match clinic {
        Some(clinic) if dashboard.ledger.patients(Some(clinic), "", None, 1).await?.is_empty() => {
            Err(Problem::not_found(format!("there is no clinic {clinic}: look at how it is written")))
        }
        _ => Ok(()),
    }
}

/// A part of an address that asks for this and all that is not empty.
pub(crate) fn query(parts: &[(&str, Option<&str>)]) -> String {
    let told: Vec<String> = parts
        .iter()
        .filter_map(|(name, value)| {
            value.filter(|v| !v.is_empty()).map(|v| format!("{name}={}", crate::words::escaped(v)))
        })
        .collect();
    told.join("&")
}
