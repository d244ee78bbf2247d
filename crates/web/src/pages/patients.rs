//! Patients: find one.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use crate::Shared;
use crate::pages::{ROWS, Shell, Visitor, asked, html, query};
use crate::problem::Problem;
use crate::words::escaped;

#[derive(Deserialize)]
pub(crate) struct Asked {
    clinic: Option<String>,
    q: Option<String>,
    after_clinic: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "patients.html")]
struct PatientsPage {
    shell: Shell,
    clinic: String,
    q: String,
    patients: Vec<Line>,
    next: Option<String>,
}

struct Line {
    clinic: String,
    patient: String,
    sessions: i64,
    first: String,
    last: String,
    address: String,
}

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Query(filter): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (clinic, q) = (asked(filter.clinic.as_ref()), asked(filter.q.as_ref()));
    let after = asked(filter.after_clinic.as_ref()).zip(asked(filter.after.as_ref()));
    // One more than is shown says whether there is a next page.
    let mut patients = dashboard.ledger.patients(clinic, q.unwrap_or_default(), after, ROWS + 1).await?;
    let is_more = patients.len() > ROWS as usize;
    patients.truncate(ROWS as usize);
    let next = patients.last().filter(|_| is_more).map(|last| {
        query(&[("clinic", clinic), ("q", q), ("after_clinic", Some(&last.clinic)), ("after", Some(&last.patient))])
    });
    let patients = patients
        .into_iter()
        .map(|found| Line {
            address: format!("/patients/{}/{}", escaped(&found.clinic), escaped(&found.patient)),
            clinic: found.clinic,
            patient: found.patient,
            sessions: found.sessions,
            first: found.first,
            last: found.last,
        })
        .collect();
    let page = PatientsPage {
        clinic: clinic.unwrap_or_default().to_owned(),
        q: q.unwrap_or_default().to_owned(),
        patients,
        next,
        shell: visitor.shell(&dashboard, "patients", "Patients"),
    };
    Ok(html(&page))
}
