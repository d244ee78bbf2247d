//! Queues: what is open by clinic, why it is not begun, and how fast it goes. From here clinics are paused and resumed.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use cicatrix_ledger::{Cell, Counts, Queue};

use crate::Shared;
use crate::pages::data::csv_of;
use crate::pages::tonight::{held, pace, pauses};
use crate::pages::{Pause, Shell, Visitor, html};
use crate::problem::Problem;
use crate::words::{clock, count};

#[derive(Template)]
#[template(path = "queues.html")]
struct QueuesPage {
    shell: Shell,
    pace: String,
    pauses: Vec<Pause>,
    queues: Vec<Line>,
}

struct Line {
    clinic: String,
    counts: Counts,
    held: &'static str,
    oldest: String,
    ended: i64,
}

pub(crate) async fn show(State(dashboard): State<Shared>, visitor: Visitor) -> Result<Response, Problem> {
    let tonight = dashboard.ledger.tonight(jiff::Timestamp::now()).await?;
    let line = |queue: Queue| Line {
        held: queue.held.as_deref().map(held).unwrap_or_default(),
        oldest: queue.oldest.as_deref().map(clock).unwrap_or_default(),
        clinic: queue.clinic,
        counts: queue.counts,
        ended: queue.ended,
    };
    let page = QueuesPage {
        pace: pace(&dashboard, &tonight),
        pauses: pauses(&tonight),
        queues: dashboard.ledger.queues().await?.into_iter().map(line).collect(),
        shell: visitor.shell(&dashboard, "queues", "Queues"),
    };
    Ok(html(&page))
}

/// The table of the page.
pub(crate) async fn csv(State(dashboard): State<Shared>) -> Result<Response, Problem> {
    let row = |queue: Queue| {
        let counts = queue.counts;
        let text = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
        [
            Cell::Text(queue.clinic),
            count(counts.ready),
            count(counts.running),
            count(counts.scheduled),
            count(counts.waiting_for_baseline),
            text(queue.oldest),
            Cell::Int(queue.ended),
            text(queue.held),
        ]
    };
    let columns = [
        "clinic_id",
        "ready",
        "running",
        "scheduled",
        "waiting_for_baseline",
        "oldest_planned_at",
        "ended_in_ten_minutes",
        "held",
    ];
    csv_of("queues.csv", columns, dashboard.ledger.queues().await?.into_iter().map(row))
}
