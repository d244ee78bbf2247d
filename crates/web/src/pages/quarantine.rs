//! Quarantine: files that were set aside, grouped by reason. Names and reasons only: what lies there is not shown.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cicatrix_ledger::{Page, SheetRow, Table};
use serde::Deserialize;

use crate::Shared;
use crate::pages::{ROWS, Shell, Visitor, asked, asked_reason, html, known, query};
use crate::problem::Problem;
use crate::words::clock;

/// Objects of no session that are shown; the table has all.
pub(crate) const STRAYS: u32 = 100;

#[derive(Deserialize)]
pub(crate) struct Asked {
    clinic: Option<String>,
    reason: Option<String>,
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    shell: Shell,
    clinic: String,
    reason: String,
    reasons: Vec<&'static str>,
    groups: Vec<Group>,
    files: Vec<File>,
    /// Objects of no session: name, and what is wrong with it.
    strays: Vec<(String, String)>,
    total: i64,
    csv: String,
    next: Option<String>,
    /// This list, to come back to.
    here: String,
}

struct Group {
    reason: String,
    advice: String,
    n: i64,
    address: String,
}

struct File {
    run: i64,
    clinic: String,
    key: String,
    reason: String,
    detail: String,
    bytes: Option<i64>,
    at: String,
}

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Query(filter): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (clinic, reason) = (asked(filter.clinic.as_ref()), asked_reason(filter.reason.as_ref())?);
    known(&dashboard, clinic).await?;
    let ledger = &dashboard.ledger;
    let group = |(reason, advice, n): (String, String, i64)| Group {
        address: query(&[("clinic", clinic), ("reason", Some(&reason))]),
        reason,
        advice,
        n,
    };
    let groups: Vec<Group> = ledger.quarantined_by_reason(clinic, reason).await?.into_iter().map(group).collect();
    let matching =
        [("clinic_id", clinic), ("reason", reason)].into_iter().filter_map(|(name, value)| Some((name, value?)));
    let page = Page { table: Table::Quarantine, matching: matching.collect(), before: filter.before, most: ROWS };
    let (sheet, next) = ledger.page(&page).await?;
    let strays = match clinic {
        // They belong to none.
        Some(_) => Vec::new(),
        None => ledger.strays(reason, STRAYS).await?,
    };
    let own = [("clinic", clinic), ("reason", reason)];
    let page = QuarantinePage {
        clinic: clinic.unwrap_or_default().to_owned(),
        reason: reason.unwrap_or_default().to_owned(),
        reasons: cicatrix_model::Reason::ALL.iter().filter(|r| r.is_quarantine()).map(|r| r.code()).collect(),
        total: groups.iter().map(|group| group.n).sum(),
        groups,
        files: sheet.rows().map(file).collect(),
        strays,
        csv: query(&[("clinic_id", clinic), ("reason", reason)]),
        next: next.map(|next| query(&[own[0], own[1], ("before", Some(&next.to_string()))])),
        here: format!("/quarantine?{}", query(&own)),
        shell: visitor.shell(&dashboard, "quarantine", "Quarantine"),
    };
    Ok(html(&page))
}

fn file(row: SheetRow<'_>) -> File {
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    File {
        run: row.int("run_id").unwrap_or(0),
        clinic: text("clinic_id"),
        key: text("object_key"),
        reason: text("reason"),
        detail: text("detail"),
        bytes: row.int("bytes"),
        at: row.text("finished_at").map(clock).unwrap_or_default(),
    }
}
