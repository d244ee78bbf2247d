//! Quarantine: files that were set aside, grouped by reason. Names and reasons only: what lies there is not shown.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cicatrix_ledger::{SheetRow, Table};
use serde::Deserialize;

use crate::Shared;
use crate::pages::{Shell, Visitor, asked, html, query};
use crate::problem::Problem;
use crate::words::clock;

/// Files that are shown; the table has all.
const SHOWN: usize = 500;

#[derive(Deserialize)]
pub(crate) struct Asked {
    clinic: Option<String>,
    reason: Option<String>,
}

#[derive(Template)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    shell: Shell,
    clinic: String,
    reason: String,
    groups: Vec<Group>,
    files: Vec<File>,
    total: usize,
    csv: String,
}

struct Group {
    reason: String,
    advice: String,
    n: usize,
}

struct File {
    run: Option<i64>,
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
    let (clinic, reason) = (asked(filter.clinic.as_ref()), asked(filter.reason.as_ref()));
    let matching: Vec<(&str, &str)> = [("clinic_id", clinic), ("reason", reason)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let sheet = dashboard.ledger.sheet(Table::Quarantine, &matching).await?;
    let mut groups: Vec<Group> = Vec::new();
    for row in sheet.rows() {
        let reason = row.text("reason").unwrap_or_default();
        match groups.iter_mut().find(|group| group.reason == reason) {
            Some(group) => group.n += 1,
            None => groups.push(Group {
                reason: reason.to_owned(),
                advice: row.text("advice").unwrap_or_default().to_owned(),
                n: 1,
            }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.n));
    let page = QuarantinePage {
        clinic: clinic.unwrap_or_default().to_owned(),
        reason: reason.unwrap_or_default().to_owned(),
        groups,
        total: sheet.len(),
        files: sheet.rows().take(SHOWN).map(file).collect(),
        csv: query(&[("clinic_id", clinic), ("reason", reason)]),
        shell: visitor.shell(&dashboard, "quarantine", "Quarantine"),
    };
    Ok(html(&page))
}

fn file(row: SheetRow<'_>) -> File {
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    File {
        run: row.int("run_id"),
        clinic: text("clinic_id"),
        key: text("object_key"),
        reason: text("reason"),
        detail: text("detail"),
        bytes: row.int("bytes"),
        at: row.text("finished_at").map(clock).unwrap_or_default(),
    }
}
