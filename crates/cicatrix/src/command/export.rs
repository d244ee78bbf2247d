//! `export`: a table as CSV or as JSON lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use cicatrix_ledger::{Cell, Ledger, LedgerError, Line, Table};
use serde_json::{Map, Value};

use crate::args::{ExportArgs, Format};
use crate::config::Config;
use crate::exit;

pub(crate) async fn export(args: &ExportArgs, settings: &Config) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let target = writer(&args.output)?;
    match args.format {
        Format::Csv => csv(&ledger, args.table, target).await?,
        Format::Json => json(&ledger, args.table, &[], target).await?,
    }
    Ok(exit::DONE)
}

/// Opens a ledger that must be there: reading makes no new database.
pub(crate) async fn open_existing(db: &str) -> anyhow::Result<Ledger> {
    let path = db.strip_prefix("sqlite://").map(|p| p.split('?').next().unwrap_or(p));
    if let Some(path) = path.filter(|p| !p.starts_with(':') && !Path::new(p).exists()) {
        return Err(exit::bad_input(format!(
            "there is no database {path}: run 'cicatrix run <SRC>' first, or name another with --db"
        )));
    }
    Ledger::open(db).await.with_context(|| format!("the database {db}"))
}

fn writer(path: &Path) -> anyhow::Result<Box<dyn Write + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}

async fn csv(ledger: &Ledger, table: Table, target: Box<dyn Write + Send>) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(target);
    let mut each = |line: Line<'_>| {
        match line {
            Line::Header(names) => csv.write_record(names),
            Line::Row(cells) => csv.write_record(cells.iter().map(csv_cell)),
        }
        .map_err(io_error)
    };
    quiet_pipe(ledger.export(table, &mut each).await.map(|_| ()))?;
    quiet_pipe(csv.flush().map_err(LedgerError::Output))
}

/// The system's error inside one of the CSV writer, so that a full disk is still told as one.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// A text that a spreadsheet would run as a formula is quoted with an apostrophe.
fn csv_cell(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Cell::Text(text) => text.clone(),
    }
}

/// Rows as JSON objects, one a line.
pub(crate) async fn json(
    ledger: &Ledger,
    table: Table,
    matching: &[(&str, &str)],
    mut target: impl Write + Send,
) -> anyhow::Result<()> {
    let mut names: Vec<String> = Vec::new();
    let mut each = |line: Line<'_>| {
        match line {
            Line::Header(header) => names = header.to_vec(),
            Line::Row(cells) => {
                let row: Map<String, Value> = names.iter().cloned().zip(cells.iter().map(json_cell)).collect();
                writeln!(target, "{}", Value::Object(row))?;
            }
        }
        Ok(())
    };
    quiet_pipe(ledger.export_where(table, matching, &mut each).await.map(|_| ()))?;
    quiet_pipe(target.flush().map_err(LedgerError::Output))
}

pub(crate) fn json_cell(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(value) => (*value).into(),
        Cell::Real(value) => (*value).into(),
        Cell::Text(text) => Value::String(text.clone()),
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn quiet_pipe(result: Result<(), LedgerError>) -> anyhow::Result<()> {
    match result {
        Err(LedgerError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_looks_like_a_formula_is_defused() {
        assert_eq!(csv_cell(&Cell::Text("=1+1".into())), "'=1+1");
        assert_eq!(csv_cell(&Cell::Text("cheek_l".into())), "cheek_l");
        assert_eq!(csv_cell(&Cell::Real(-3.5)), "-3.5");
    }
}
