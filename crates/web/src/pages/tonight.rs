//! Tonight: how far the work is, when it will be over, and what has to be looked at.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use cicatrix_ledger::{Cell, Colleague, Counts, Page, Table, Tonight};
use futures::{Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::pages::data::csv_of;
use crate::pages::{Pause, Shell, Visitor, html};
use crate::problem::Problem;
use crate::words::{clock, count, local};
use crate::{Dashboard, Shared, chart};

/// What ended within this time is tonight's.
const WITHIN: SignedDuration = SignedDuration::from_hours(24);
const NIGHTS: u32 = 14;
const LIVE: Duration = Duration::from_secs(2);

#[derive(Template)]
#[template(path = "tonight.html")]
struct TonightPage {
    shell: Shell,
    counts: Counts,
    lists: Lists,
    clinics: Vec<ClinicLine>,
    reasons: Vec<ReasonLine>,
    warnings: Vec<String>,
    pauses: Vec<Pause>,
    pace: String,
    nights: String,
    night_rows: Vec<NightLine>,
}

/// Photos on the lists, which nobody has taken off them; what waits for a better baseline is on none.
struct Lists {
    retakes: i64,
    quarantined: i64,
    failed: i64,
}

impl Lists {
    fn of(tonight: &Tonight) -> Self {
        let of = |wanted: &str| {
            let own = tonight.reasons.iter().filter(|(state, reason, _)| {
                state == wanted && reason.as_deref() != Some(cicatrix_model::Reason::BaselineNotMeasurable.code())
            });
            own.map(|(_, _, n)| n).sum()
        };
        Self { retakes: of("not_measurable"), quarantined: of("quarantined"), failed: of("failed") }
    }
}

struct ClinicLine {
    clinic: String,
    counts: Counts,
    held: Option<&'static str>,
    /// Of a hundred.
    done: u64,
}

struct ReasonLine {
    state: String,
    reason: String,
    advice: &'static str,
    n: i64,
}

pub(crate) struct NightLine {
    pub(crate) number: i64,
    pub(crate) source: String,
    pub(crate) started: String,
    pub(crate) finished: Option<String>,
    pub(crate) counts: Counts,
}

pub(crate) async fn show(State(dashboard): State<Shared>, visitor: Visitor) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let tonight = dashboard.ledger.tonight(now - WITHIN).await?;
    let nights = nights(&dashboard, NIGHTS).await?;
    let bars: Vec<chart::Bar> = nights.iter().rev().filter(|night| night.counts.total() > 0).map(bar).collect();
    let page = TonightPage {
        counts: tonight.counts,
        lists: Lists::of(&tonight),
        clinics: clinics(&tonight),
        reasons: reasons(&tonight),
        warnings: warnings(&dashboard, &tonight, now),
        pauses: pauses(&tonight),
        pace: pace(&dashboard, &tonight),
        nights: if bars.is_empty() { String::new() } else { chart::nights(&bars) },
        night_rows: nights,
        shell: visitor.shell(&dashboard, "tonight", "Tonight"),
    };
    Ok(html(&page))
}

pub(crate) fn pauses(tonight: &Tonight) -> Vec<Pause> {
    let told = |pause: &cicatrix_ledger::Pause| Pause {
        clinic: pause.clinic.clone(),
        since: clock(&pause.paused_at),
        who: pause.by.who.clone(),
        why: pause.by.why.clone(),
    };
    tonight.pauses.iter().map(told).collect()
}

/// The table of clinics.
pub(crate) async fn csv(State(dashboard): State<Shared>) -> Result<Response, Problem> {
    let tonight = dashboard.ledger.tonight(Timestamp::now() - WITHIN).await?;
    let rows = clinics(&tonight).into_iter().map(|line| {
        let counts = &line.counts;
        let held = line.held.map_or(Cell::Null, |held| Cell::Text(held.to_owned()));
        [
            Cell::Text(line.clinic),
            count(counts.unfinished()),
            count(counts.running),
            count(counts.measured),
            count(counts.not_measurable),
            count(counts.quarantined),
            count(counts.failed),
            count(counts.cancelled),
            held,
        ]
    });
    let columns =
        ["clinic_id", "open", "running", "measured", "not_measurable", "quarantined", "failed", "cancelled", "held"];
    csv_of("tonight.csv", columns, rows)
}

pub(crate) async fn nights(dashboard: &Dashboard, most: u32) -> Result<Vec<NightLine>, Problem> {
    let (sheet, _) =
        dashboard.ledger.page(&Page { table: Table::Nights, matching: vec![], before: None, most }).await?;
    let line = |row: cicatrix_ledger::SheetRow<'_>| NightLine {
        number: row.int("night_id").unwrap_or(0),
        source: row.text("source").unwrap_or_default().to_owned(),
        started: row.text("started_at").map(clock).unwrap_or_default(),
        finished: row.text("finished_at").map(clock),
        counts: row.text("counts").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
    };
    Ok(sheet.rows().map(line).collect())
}

fn bar(night: &NightLine) -> chart::Bar {
    let counts = &night.counts;
    chart::Bar {
        label: night.started.get(5..10).unwrap_or_default().to_owned(),
        parts: [counts.measured, counts.not_measurable, counts.quarantined + counts.failed],
    }
}

fn clinics(tonight: &Tonight) -> Vec<ClinicLine> {
    let line = |(clinic, own): (&String, &cicatrix_ledger::ClinicTonight)| {
        let all = own.counts.total().max(1);
        ClinicLine {
            clinic: clinic.clone(),
            counts: own.counts,
            held: own.held.as_deref().map(held),
            done: 100 * (own.counts.total() - own.counts.unfinished()) / all,
        }
    };
    let mut lines: Vec<ClinicLine> = tonight.clinics.iter().map(line).collect();
    lines.sort_by_key(|line| (std::cmp::Reverse(line.counts.unfinished()), line.clinic.clone()));
    lines
}

pub(crate) fn held(why: &str) -> &'static str {
    if why == "window" { "its window is closed" } else { "paused" }
}

fn reasons(tonight: &Tonight) -> Vec<ReasonLine> {
    let line = |(state, reason, n): &(String, Option<String>, i64)| ReasonLine {
        state: state.clone(),
        advice: reason.as_deref().and_then(advice).unwrap_or("a bug of ours: the run says more"),
        reason: reason.clone().unwrap_or_default(),
        n: *n,
    };
    tonight.reasons.iter().map(line).collect()
}

pub(crate) fn advice(reason: &str) -> Option<&'static str> {
    reason.parse::<cicatrix_model::Reason>().ok().map(cicatrix_model::Reason::advice)
}

pub(crate) fn pace(dashboard: &Dashboard, tonight: &Tonight) -> String {
    if tonight.counts.unfinished() == 0 {
        return "Nothing is open.".to_owned();
    }
    let deadline = (dashboard.settings.deadline)();
    let deadline = deadline.map_or(String::new(), |at| format!(" The deadline is {}.", local(at)));
    match tonight.eta() {
        _ if tonight.lacks_workers() => format!("Nobody works on what is open.{deadline}"),
        _ if !tonight.moves() => "All that is open is held by a pause or a closed window.".to_owned(),
        Some(eta) => {
            let (all, held) = match tonight.held() {
                0 => ("all", String::new()),
                held => ("the rest", format!(" {held} photos are held by a pause or a closed window.")),
            };
            let pace = tonight.pace.per_minute;
            format!("{pace:.0} photos a minute; {all} done at about {}.{held}{deadline}", local(eta))
        }
        None => format!("Nothing has ended in the last ten minutes.{deadline}"),
    }
}

fn warnings(dashboard: &Dashboard, tonight: &Tonight, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(deadline) = (dashboard.settings.deadline)().filter(|deadline| tonight.is_late_for(*deadline)) {
        warnings.push(format!("At this pace the deadline {} will be missed.", local(deadline)));
    }
    if tonight.lacks_workers() {
        warnings.push("Photos are open and no worker is there: start 'cicatrix worker' or 'cicatrix run'.".to_owned());
    }
    let silent = |worker: &Colleague| {
        worker.silent_for(now).map(|since| format!("Worker {} has been silent for {} s.", worker.name, since.as_secs()))
    };
    warnings.extend(tonight.workers.iter().filter_map(silent));
    warnings
}

/// Counts, every two seconds, for pages that show them.
pub(crate) async fn live(State(dashboard): State<Shared>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Without an end of its own it would keep the program from ending.
    let stop = dashboard.stop.clone();
    let stream = futures::stream::unfold((dashboard, true), |(dashboard, is_first)| async move {
        if !is_first {
            tokio::time::sleep(LIVE).await;
        }
        let event = match dashboard.ledger.tonight(Timestamp::now() - WITHIN).await {
            Ok(tonight) => Event::default().event("progress").data(told(&dashboard, &tonight).to_string()),
            Err(error) => {
                tracing::warn!(%error, "counts could not be read");
                Event::default().comment("the ledger does not answer")
            }
        };
        Some((Ok(event), (dashboard, false)))
    });
    Sse::new(stream.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default())
}

fn told(dashboard: &Dashboard, tonight: &Tonight) -> Value {
    let (counts, lists) = (&tonight.counts, Lists::of(tonight));
    json!({
        "open": counts.unfinished(), "running": counts.running, "measured": counts.measured,
        "not_measurable": lists.retakes, "quarantined": lists.quarantined, "failed": lists.failed,
        "pace": pace(dashboard, tonight),
    })
}
