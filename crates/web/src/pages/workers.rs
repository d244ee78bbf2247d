//! Workers and runs: who works, with which version, and what the last nights did.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;

use crate::Shared;
use crate::pages::tonight::{NightLine, nights};
use crate::pages::{ROWS, Shell, Visitor, html};
use crate::problem::Problem;
use crate::words::clock;

#[derive(Template)]
#[template(path = "workers.html")]
struct WorkersPage {
    shell: Shell,
    workers: Vec<Line>,
    nights: Vec<NightLine>,
}

struct Line {
    name: String,
    version: String,
    running: i64,
    slots: i64,
    oldest: Option<String>,
    started: String,
    silent: Option<i64>,
}

pub(crate) async fn show(State(dashboard): State<Shared>, visitor: Visitor) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let workers = dashboard.ledger.colleagues().await?;
    let workers = workers
        .into_iter()
        .map(|worker| Line {
            silent: worker.silent_for(now).map(|since| since.as_secs()),
            version: worker.program_version,
            running: worker.running,
            slots: worker.slots,
            oldest: worker.oldest.as_deref().map(clock),
            started: clock(&worker.started_at),
            name: worker.name,
        })
        .collect();
    let nights = nights(&dashboard, ROWS).await?;
    let page = WorkersPage { workers, nights, shell: visitor.shell(&dashboard, "workers", "Workers and runs") };
    Ok(html(&page))
}
