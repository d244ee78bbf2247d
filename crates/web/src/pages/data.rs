//! Data: what there is to analyse, in which words, and how to read it from elsewhere. Each table as CSV or JSON lines.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cicatrix_ledger::{CsvLines, JsonLines, Line, Table};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::Shared;
use crate::pages::{Shell, Visitor, html};
use crate::problem::Problem;

/// Of a stream of rows so much is held at once.
const CHUNK: usize = 64 << 10;

#[derive(Template)]
#[template(path = "data.html")]
struct DataPage {
    shell: Shell,
    tables: Vec<(Table, &'static str)>,
    is_sqlite: bool,
    file: String,
}

/// What a row of each table is.
fn row_of(table: Table) -> &'static str {
    match table {
        Table::Observations => "one measure of one region of one photo, with the error of the measurement",
        Table::Changes => "one session against the baseline, by view, region and measure: change, interval, verdict",
        Table::Sessions => "one visit: what was done, how many photos, what became of them",
        Table::Photos => "one photo: state, reason, what the gate read, provenance",
        Table::Regions => "one region of a measured photo: its tier, or why it has no number",
        Table::Retakes => "one photo or region to take again: reason and advice",
        Table::Quarantine => "one file that was set aside: reason and advice",
        Table::Trends => "the slope of one series, with the band of its next session",
        Table::Responders => "one session of a series: by how much it responded, and whether the next one confirms it",
        Table::Nights => "one sweep over a source",
        Table::Events => "one thing that happened to a run",
        Table::Actions => "one thing that a person did that is not about one run",
    }
}

pub(crate) async fn show(State(dashboard): State<Shared>, visitor: Visitor) -> Result<Response, Problem> {
    let database = dashboard.settings.database.clone();
    let page = DataPage {
        tables: Table::ALL.map(|table| (table, row_of(table))).to_vec(),
        is_sqlite: database.starts_with("sqlite:"),
        file: database.trim_start_matches("sqlite://").to_owned(),
        shell: visitor.shell(&dashboard, "data", "Data"),
    };
    Ok(html(&page))
}

/// `changes.csv`, `changes.json`; columns may be asked for by value: `?clinic_id=c-1`.
pub(crate) async fn table(
    State(dashboard): State<Shared>,
    Path(file): Path<String>,
    Query(matching): Query<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let Some((name, kind @ ("csv" | "json"))) = file.rsplit_once('.') else {
        return Err(Problem::not_found("a table is asked for as NAME.csv or NAME.json"));
    };
    let table: Table = name.parse().map_err(Problem::not_found)?;
    let matching: Vec<(String, String)> = matching.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    // A column that is not there is said before anything is sent.
    let nothing: Vec<(&str, &str)> = matching.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    dashboard.ledger.has_columns(table, &nothing).await.map_err(|error| Problem::bad(error.to_string()))?;
    let content = if kind == "csv" { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    let named = format!("attachment; filename=\"{}\"", file.replace(['"', '\\'], ""));
    let rows = rows(&dashboard, table, matching, kind == "csv");
    Ok(([(header::CONTENT_TYPE, content.to_owned()), (header::CONTENT_DISPOSITION, named)], rows).into_response())
}

/// Rows as they are read; at most some chunks are held.
fn rows(dashboard: &Shared, table: Table, matching: Vec<(String, String)>, is_csv: bool) -> Body {
    let (sender, receiver) = mpsc::channel::<Piece>(4);
    let ledger = dashboard.ledger.clone();
    tokio::spawn(async move {
        let matching: Vec<(&str, &str)> =
            matching.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let buffer = Chunks { sender: sender.clone(), held: Vec::new() };
        let written = if is_csv {
            let mut lines = CsvLines::new(buffer);
            let read = ledger.export_where(table, &matching, &mut |line: Line<'_>| lines.take(line)).await;
            read.and_then(|_| lines.flush().map_err(cicatrix_ledger::LedgerError::Output))
        } else {
            let mut lines = JsonLines::new(buffer);
            let read = ledger.export_where(table, &matching, &mut |line: Line<'_>| lines.take(line)).await;
            read.and_then(|_| lines.flush().map_err(cicatrix_ledger::LedgerError::Output))
        };
        if let Err(error) = written {
            // Broken off, so that nobody takes half a table for a whole one.
            let _ = sender.send(Err(std::io::Error::other(error.to_string()))).await;
        }
    });
    Body::from_stream(futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

type Piece = Result<Bytes, std::io::Error>;

/// Hands over what is written, in pieces.
struct Chunks {
    sender: mpsc::Sender<Piece>,
    held: Vec<u8>,
}

impl Chunks {
    fn hand_over(&mut self) -> std::io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.held));
        // Rows are written from inside of a callback that cannot wait; whoever reads slowly holds up this thread alone.
        let sent = tokio::task::block_in_place(|| Handle::current().block_on(self.sender.send(Ok(chunk))));
        sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
    }
}

impl std::io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= CHUNK {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.held.is_empty() { Ok(()) } else { self.hand_over() }
    }
}
