//! Jobs: runs by state and reason, filtered by the address, and one run with all that happened to it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use cicatrix_ledger::{Cell, Filter, Page, Sheet, SheetRow, State as RunState, Table};
use cicatrix_model::GateReading;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::Shared;
use crate::actions::Verb;
use crate::pages::data::csv_of;
use crate::pages::tonight::advice;
use crate::pages::{ROWS, Shell, Visitor, asked, html, known, query};
use crate::problem::Problem;
use crate::words::{clock, escaped, moment};

/// Which runs, as an address or a form says it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Asked {
    pub(crate) state: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) clinic: Option<String>,
    pub(crate) night: Option<String>,
    /// Hours.
    pub(crate) older: Option<String>,
    pub(crate) after: Option<i64>,
}

impl Asked {
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let older: Option<u32> = number(self.older.as_ref(), "older")?;
        Ok(Filter {
            state: asked(self.state.as_ref()).map(str::parse).transpose().map_err(Problem::bad)?,
            reason: asked(self.reason.as_ref()).map(str::parse).transpose().map_err(Problem::bad)?,
            clinic: asked(self.clinic.as_ref())
                .map(str::parse)
                .transpose()
                .map_err(|error: cicatrix_model::IdError| Problem::bad(error.to_string()))?,
            night: number(self.night.as_ref(), "night")?,
            before: older.map(|hours| Timestamp::now() - SignedDuration::from_hours(i64::from(hours.min(100_000)))),
        })
    }

    fn parts(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("state", asked(self.state.as_ref())),
            ("reason", asked(self.reason.as_ref())),
            ("clinic", asked(self.clinic.as_ref())),
            ("night", asked(self.night.as_ref())),
            ("older", asked(self.older.as_ref())),
        ]
    }

    /// As fields of a form.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        self.parts().into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect()
    }

    pub(crate) fn address(&self) -> String {
        query(&self.parts())
    }
}

fn number<T: std::str::FromStr>(text: Option<&String>, name: &str) -> Result<Option<T>, Problem> {
    asked(text).map(str::parse).transpose().map_err(|_| Problem::bad(format!("'{name}' is a whole number, 0 or more")))
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    shell: Shell,
    asked: Asked,
    groups: Vec<Group>,
    total: i64,
    states: Vec<&'static str>,
    reasons: Vec<&'static str>,
    runs: Vec<Line>,
    next: Option<String>,
    /// What was asked, for the same as CSV; whether that is all of it, for age is no column.
    csv: String,
    csv_whole: bool,
    /// What was asked, for this page and its counts.
    address: String,
}

struct Group {
    state: String,
    reason: Option<String>,
    n: i64,
    address: String,
}

struct Line {
    run: i64,
    clinic: String,
    patient: String,
    session: String,
    view: String,
    shot: i64,
    state: String,
    reason: String,
    starts: i64,
    at: String,
    worker: String,
    is_off: bool,
}

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Query(wanted): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let filter = wanted.filter()?;
    known(&dashboard, asked(wanted.clinic.as_ref())).await?;
    let matching = dashboard.ledger.matching(&filter).await?;
    let mut sheet = Sheet::default();
    let mut take = |line: cicatrix_ledger::Line<'_>| {
        sheet.take(line);
        Ok(())
    };
    // One more than is shown says whether there is a next page.
    dashboard.ledger.list(&filter, wanted.after.unwrap_or(0), ROWS + 1, &mut take).await?;
    let is_more = sheet.len() > ROWS as usize;
    let last = sheet.rows().take(ROWS as usize).next_back().and_then(|row| row.int("run_id"));
    let next = last.filter(|_| is_more).map(|last| {
        let last = last.to_string();
        query(&[&wanted.parts()[..], &[("after", Some(last.as_str()))]].concat())
    });
    let group = |(state, reason, n): (String, Option<String>, i64)| Group {
        address: query(&[
            ("state", Some(state.as_str())),
            ("reason", reason.as_deref()),
            ("clinic", asked(wanted.clinic.as_ref())),
            ("night", asked(wanted.night.as_ref())),
            ("older", asked(wanted.older.as_ref())),
        ]),
        state,
        reason,
        n,
    };
    let page = JobsPage {
        total: matching.iter().map(|(_, _, n)| n).sum(),
        groups: matching.into_iter().map(group).collect(),
        states: RunState::ALL.iter().map(|state| state.name()).collect(),
        reasons: cicatrix_model::Reason::ALL.iter().map(|reason| reason.code()).collect(),
        runs: sheet.rows().take(ROWS as usize).map(line).collect(),
        next,
        csv: query(&[
            ("state", asked(wanted.state.as_ref())),
            ("reason", asked(wanted.reason.as_ref())),
            ("clinic_id", asked(wanted.clinic.as_ref())),
            ("night_id", asked(wanted.night.as_ref())),
        ]),
        csv_whole: asked(wanted.older.as_ref()).is_none(),
        address: wanted.address(),
        asked: wanted,
        shell: visitor.shell(&dashboard, "jobs", "Jobs"),
    };
    Ok(html(&page))
}

/// The counts by state and reason.
pub(crate) async fn csv(State(dashboard): State<Shared>, Query(wanted): Query<Asked>) -> Result<Response, Problem> {
    let matching = dashboard.ledger.matching(&wanted.filter()?).await?;
    let row = |(state, reason, n): (String, Option<String>, i64)| {
        let does = reason.as_deref().and_then(advice).map_or(Cell::Null, |advice| Cell::Text(advice.to_owned()));
        [Cell::Text(state), reason.map_or(Cell::Null, Cell::Text), Cell::Int(n), does]
    };
    csv_of("jobs.csv", ["state", "reason", "runs", "advice"], matching.into_iter().map(row))
}

impl JobsPage {
    fn is(&self, name: &str, value: &str) -> bool {
        self.asked.parts().iter().any(|(own, asked)| *own == name && *asked == Some(value))
    }

    fn text(&self, name: &str) -> &str {
        self.asked.parts().into_iter().find(|(own, _)| *own == name).and_then(|(_, value)| value).unwrap_or_default()
    }
}

fn line(row: SheetRow<'_>) -> Line {
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    Line {
        run: row.int("run_id").unwrap_or(0),
        clinic: text("clinic_id"),
        patient: text("patient_id"),
        session: text("session"),
        view: text("view"),
        shot: row.int("shot").unwrap_or(0),
        state: text("state"),
        reason: text("reason"),
        starts: row.int("starts").unwrap_or(0),
        at: row.text("finished_at").or(row.text("created_at")).map(clock).unwrap_or_default(),
        worker: text("worker"),
        is_off: row.text("dismissed_at").is_some(),
    }
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    shell: Shell,
    run: i64,
    /// None when another run has taken its place.
    line: Option<Line>,
    said: &'static str,
    detail: String,
    address: String,
    /// Since when it is off the lists.
    dismissed: Option<String>,
    /// What can be done to it: name and words.
    verbs: Vec<(&'static str, &'static str)>,
    facts: Vec<(String, String)>,
    gate: Vec<GateReading>,
    events: Vec<Happened>,
    pictures: Vec<String>,
}

pub(crate) struct Happened {
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) worker: String,
    pub(crate) who: String,
    pub(crate) detail: String,
}

pub(crate) async fn one(
    State(dashboard): State<Shared>,
    Path(run): Path<i64>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let photos = of_run(&dashboard, Table::Photos, run).await?;
    let events = of_run(&dashboard, Table::Events, run).await?;
    let row = photos.rows().next();
    if row.is_none() && events.is_empty() {
        return Err(Problem::not_found(format!("there is no run {run}")));
    }
    let text = |name: &str| row.and_then(|row| row.text(name)).unwrap_or_default().to_owned();
    let is_listed = !of_run(&dashboard, Table::Retakes, run).await?.is_empty();
    let facts =
        ["object_key", "version", "protocol_id", "program_version", "quality_tier", "baseline_object_key", "source"];
    let page = JobPage {
        run,
        said: advice(&text("reason")).unwrap_or_default(),
        detail: text("detail"),
        dismissed: row.and_then(|row| row.text("dismissed_at")).map(clock),
        verbs: row.map(|row| verbs(row, is_listed)).unwrap_or_default(),
        address: format!("/patients/{}/{}", escaped(&text("clinic_id")), escaped(&text("patient_id"))),
        facts: facts
            .iter()
            .map(|name| ((*name).to_owned(), text(name)))
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        gate: row.map(readings).unwrap_or_default(),
        pictures: row.map(pictures).filter(|_| dashboard.pictures.is_some()).unwrap_or_default(),
        events: events.rows().rev().map(happened).collect(),
        line: row.map(line),
        shell: visitor.shell(&dashboard, "jobs", format!("Run {run}")),
    };
    Ok(html(&page))
}

/// Rows of a table that are of a run.
async fn of_run(dashboard: &Shared, table: Table, run: i64) -> Result<Sheet, Problem> {
    let number = run.to_string();
    let page = Page { table, matching: vec![("run_id", number.as_str())], before: None, most: 500 };
    Ok(dashboard.ledger.page(&page).await?.0)
}

/// What can be done to a run; one that is measured has regions on the lists, or nothing.
fn verbs(row: SheetRow<'_>, is_listed: bool) -> Vec<(&'static str, &'static str)> {
    let Some(state) = row.text("state").and_then(|state| state.parse::<RunState>().ok()) else { return Vec::new() };
    let is_off = row.text("dismissed_at").is_some();
    let lists = if is_off { Verb::Restore } else { Verb::Discard };
    let can = |verb: &Verb| match verb {
        Verb::Restore => is_off && verb.is_for(state),
        Verb::Discard => verb.is_for(state) && (is_listed || state != RunState::Measured),
        // What ended by the plan is compared with nothing, and follows from it again.
        Verb::Retry => verb.is_for(state) && row.text("baseline_object_key").is_some(),
        Verb::Cancel => verb.is_for(state),
    };
    [Verb::Retry, Verb::Cancel, lists].into_iter().filter(can).map(|verb| (verb.name(), verb.asks())).collect()
}

/// What the gate read of a run's photo.
pub(crate) async fn gate(State(dashboard): State<Shared>, Path(run): Path<i64>) -> Result<Response, Problem> {
    let photos = of_run(&dashboard, Table::Photos, run).await?;
    let Some(row) = photos.rows().next() else { return Err(Problem::not_found(format!("there is no run {run}"))) };
    let line = |reading: GateReading| {
        let number = |value: f64| if value.is_finite() { Cell::Real(value) } else { Cell::Null };
        let [warns, fails] = reading.limits.map_or([Cell::Null, Cell::Null], |limits| limits.map(number));
        [
            Cell::Text(reading.name),
            reading.region.map_or(Cell::Null, |region| Cell::Text(region.to_string())),
            number(reading.value),
            warns,
            fails,
            Cell::Text(reading.verdict.name().to_owned()),
            reading.reason.map_or(Cell::Null, |reason| Cell::Text(reason.code().to_owned())),
        ]
    };
    let columns = ["reading", "region", "value", "warns_at", "fails_at", "verdict", "reason"];
    csv_of(&format!("gate-{run}.csv"), columns, readings(row).into_iter().map(line))
}

pub(crate) fn readings(row: SheetRow<'_>) -> Vec<GateReading> {
    row.text("gate").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Names of the pictures that were made of a photo.
pub(crate) fn pictures(row: SheetRow<'_>) -> Vec<String> {
    let names: Option<serde_json::Value> = row.text("derived").and_then(|text| serde_json::from_str(text).ok());
    names.as_ref().and_then(|names| names.as_object()).map(|names| names.keys().cloned().collect()).unwrap_or_default()
}

fn happened(row: SheetRow<'_>) -> Happened {
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    Happened {
        at: row.text("at").map(moment).unwrap_or_default(),
        kind: text("kind"),
        worker: text("worker"),
        who: text("who"),
        detail: text("detail"),
    }
}
