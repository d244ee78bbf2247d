//! Data: what there is to analyse, in which words, and how to read it from elsewhere. Each table as CSV or JSON lines.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cicatrix_ledger::{Cell, CsvLines, JsonLines, Line, Table};
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
    tables: Vec<Described>,
    measures: Vec<Column>,
    is_sqlite: bool,
    file: String,
}

/// A table and what its columns say.
struct Described {
    name: &'static str,
    row: &'static str,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    unit: String,
    meaning: String,
}

pub(crate) async fn show(State(dashboard): State<Shared>, visitor: Visitor) -> Result<Response, Problem> {
    let database = dashboard.settings.database.clone();
    let dictionary = dashboard.ledger.sheet(Table::Dictionary, &[]).await?;
    // In the order of the table's columns, not of the alphabet.
    let entries = |name: &str, order: &[String]| {
        let mut entries: Vec<Column> = dictionary
            .rows()
            .filter(|row| row.text("table_name") == Some(name))
            .map(|row| {
                let text = |column| row.text(column).unwrap_or_default().to_owned();
                Column { name: text("name"), unit: text("unit"), meaning: text("meaning") }
            })
            .collect();
        entries.sort_by_key(|column| order.iter().position(|name| *name == column.name));
        entries
    };
    let mut tables = Vec::new();
    for table in Table::ALL {
        let order = dashboard.ledger.has_columns(table, &[]).await?;
        tables.push(Described { name: table.name(), row: table.row(), columns: entries(table.name(), &order) });
    }
    let measures =
        entries("measure", &cicatrix_model::Measure::ALL.iter().map(ToString::to_string).collect::<Vec<_>>());
    let page = DataPage {
        tables,
        measures,
        is_sqlite: database.starts_with("sqlite:"),
        file: database.trim_start_matches("sqlite://").to_owned(),
        shell: visitor.shell(&dashboard, "data", "Data"),
    };
    Ok(html(&page))
}

/// `changes.csv`, `changes.json`; columns may be asked for by value: `?clinic_id=c-1`.
pub(crate) async fn table(
    State(dashboard): State<Shared>,
    Path(asked): Path<String>,
    Query(matching): Query<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let Some((name, kind @ ("csv" | "json"))) = asked.rsplit_once('.') else {
        return Err(Problem::not_found("a table is asked for as NAME.csv or NAME.json"));
    };
    let table: Table = name.parse().map_err(Problem::not_found)?;
    let matching: Vec<(String, String)> = matching.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    // A column that is not there is said before anything is sent.
    let nothing: Vec<(&str, &str)> = matching.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    dashboard.ledger.has_columns(table, &nothing).await.map_err(|error| Problem::bad(error.to_string()))?;
    let content = if kind == "csv" { CSV } else { "application/x-ndjson" };
    Ok(file(&asked, content, rows(&dashboard, table, matching, kind == "csv")))
}

const CSV: &str = "text/csv; charset=utf-8";

/// A table that a page shows and no view has.
pub(crate) fn csv_of<const N: usize>(
    name: &str,
    columns: [&str; N],
    rows: impl Iterator<Item = [Cell; N]>,
) -> Result<Response, Problem> {
    let mut bytes = Vec::new();
    let mut lines = CsvLines::new(&mut bytes);
    let written = lines
        .take(Line::Header(&columns.map(str::to_owned)))
        .and_then(|()| rows.into_iter().try_for_each(|row| lines.take(Line::Row(&row))))
        .and_then(|()| lines.flush());
    drop(lines);
    written.map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(file(name, CSV, bytes.into()))
}

/// Something to be kept as a file.
fn file(name: &str, content: &'static str, body: Body) -> Response {
    let named = format!("attachment; filename=\"{}\"", name.replace(['"', '\\'], ""));
    ([(header::CONTENT_TYPE, content.to_owned()), (header::CONTENT_DISPOSITION, named)], body).into_response()
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
