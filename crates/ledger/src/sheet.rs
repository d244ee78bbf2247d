//! Rows of a view for those who show them: a few in memory, or all as CSV and JSON lines.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::pages::listed;
use crate::queries::holding;
use crate::sql::{columns, query, query_scalar};
use crate::{Cell, Ledger, LedgerError, Line, Table};

/// More than the rows of one number: a photo has at most 32 regions.
const TOGETHER: u64 = 64;

/// Some rows of a table, the newest first.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    pub table: Table,
    /// Columns of the view, and what each has to hold.
    pub matching: Vec<(&'a str, &'a str)>,
    /// Only rows of a smaller number than this: the last one of the page before.
    pub before: Option<i64>,
    pub most: u32,
}

/// Rows in memory, with the names of their columns.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    names: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct SheetRow<'a> {
    names: &'a [String],
    cells: &'a [Cell],
}

impl Table {
    /// The number by which its rows come one after another; tables that are made anew have none.
    pub fn number(self) -> Option<&'static str> {
        match self {
            Table::Photos | Table::Regions | Table::Retakes | Table::Quarantine => Some("run_id"),
            Table::Nights => Some("night_id"),
            Table::Events => Some("event_id"),
            Table::Actions => Some("action_id"),
            Table::Observations
            | Table::Changes
            | Table::Sessions
            | Table::Trends
            | Table::Responders
            | Table::Patients
            | Table::Workers
            | Table::Dictionary => None,
        }
    }
}

impl Ledger {
    /// A page of a table that has numbered rows, and the number before which the next one begins, if there is more. Rows of one
    /// number (regions of a photo) stay together, so a page may have some more rows than were asked for.
    pub async fn page(&self, page: &Page<'_>) -> Result<(Sheet, Option<i64>), LedgerError> {
        let no_number = || LedgerError::Unsupported(format!("rows of {} have no number", page.table.name()));
        let number = page.table.number().ok_or_else(no_number)?;
        self.has_columns(page.table, &page.matching).await?;
        let view = page.table.view();
        let held = holding(&self.pool, &page.matching);
        let mut conditions = vec![format!("{number} IS NOT NULL")];
        conditions.extend(page.before.map(|before| format!("{number} < {before}")));
        conditions.extend(held.iter().cloned());
        // Numbers first: what else a row says may be costly, and is only asked of those that are shown.
        let numbers = format!(
            "SELECT {number} FROM {view} WHERE {} ORDER BY {number} DESC LIMIT {}",
            conditions.join(" AND "),
            u64::from(page.most) + TOGETHER
        );
        let numbers = page.matching.iter().fold(query_scalar(numbers), |query, (_, value)| query.bind(*value));
        let mut numbers: Vec<i64> = numbers.fetch_all(&self.pool).await?;
        numbers.dedup();
        if numbers.is_empty() {
            return Ok((Sheet::default(), None));
        }
        let conditions = [vec![format!("{number} IN ({})", listed(&numbers))], held].concat().join(" AND ");
        let sql = format!("SELECT * FROM {view} WHERE {conditions} ORDER BY {number} DESC");
        let statement = page.matching.iter().fold(query(sql), |query, (_, value)| query.bind(*value));
        let mut sheet = Sheet::default();
        self.hand_over(&columns(&self.pool, &page.table.view()).await?, statement, &mut |line| {
            sheet.take(line);
            Ok(())
        })
        .await?;
        let next = sheet.cut(number, page.most as usize);
        Ok((sheet, next))
    }

    /// All rows of a table in which these columns hold these values, in the table's order.
    pub async fn sheet(&self, table: Table, matching: &[(&str, &str)]) -> Result<Sheet, LedgerError> {
        let mut sheet = Sheet::default();
        self.export_where(table, matching, &mut |line| {
            sheet.take(line);
            Ok(())
        })
        .await?;
        Ok(sheet)
    }
}

impl Sheet {
    /// Keeps so many rows and those of the last one's number; gives that number if any were left out.
    fn cut(&mut self, number: &str, most: usize) -> Option<i64> {
        let numbers: Vec<Option<i64>> = self.rows().map(|row| row.int(number)).collect();
        let last = *numbers.get(most.checked_sub(1)?)?;
        let end = numbers.iter().rposition(|number| *number == last)? + 1;
        self.rows.truncate(end);
        last.filter(|_| end < numbers.len())
    }

    /// Takes what is handed over.
    pub fn take(&mut self, line: Line<'_>) {
        match line {
            Line::Header(names) => self.names = names.to_vec(),
            Line::Row(cells) => self.rows.push(cells.to_vec()),
        }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn rows(&self) -> impl DoubleEndedIterator<Item = SheetRow<'_>> + ExactSizeIterator {
        self.rows.iter().map(|cells| SheetRow { names: &self.names, cells })
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<'a> SheetRow<'a> {
    /// The cell of a column; a column that is not there is empty.
    pub fn cell(self, name: &str) -> &'a Cell {
        self.names.iter().position(|known| known == name).and_then(|at| self.cells.get(at)).unwrap_or(&Cell::Null)
    }

    pub fn text(self, name: &str) -> Option<&'a str> {
        match self.cell(name) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn int(self, name: &str) -> Option<i64> {
        match self.cell(name) {
            Cell::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// Of a whole number too.
    pub fn real(self, name: &str) -> Option<f64> {
        match self.cell(name) {
            Cell::Real(value) => Some(*value),
            Cell::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// As a JSON object.
    pub fn json(self) -> Value {
        json(self.names, self.cells)
    }
}

/// Writes lines as CSV.
#[derive(Debug)]
pub struct CsvLines<W: Write>(csv::Writer<W>);

impl<W: Write> CsvLines<W> {
    pub fn new(target: W) -> Self {
        Self(csv::Writer::from_writer(target))
    }

    pub fn take(&mut self, line: Line<'_>) -> io::Result<()> {
        match line {
            Line::Header(names) => self.0.write_record(names),
            Line::Row(cells) => self.0.write_record(cells.iter().map(csv_cell)),
        }
        .map_err(io_error)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
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
        Cell::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        cell => cell.to_string(),
    }
}

/// Writes lines as JSON objects, one a line.
#[derive(Debug)]
pub struct JsonLines<W: Write> {
    names: Vec<String>,
    target: W,
}

impl<W: Write> JsonLines<W> {
    pub fn new(target: W) -> Self {
        Self { names: Vec::new(), target }
    }

    pub fn take(&mut self, line: Line<'_>) -> io::Result<()> {
        match line {
            Line::Header(names) => self.names = names.to_vec(),
            Line::Row(cells) => writeln!(self.target, "{}", json(&self.names, cells))?,
        }
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

fn json(names: &[String], cells: &[Cell]) -> Value {
    let row: Map<String, Value> = names.iter().cloned().zip(cells.iter().map(Value::from)).collect();
    Value::Object(row)
}

impl From<&Cell> for Value {
    fn from(cell: &Cell) -> Self {
        match cell {
            Cell::Null => Value::Null,
            Cell::Int(value) => (*value).into(),
            Cell::Real(value) => (*value).into(),
            Cell::Text(text) => Value::String(text.clone()),
        }
    }
}

/// As it stands in a table; nothing where there is nothing.
impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Null => Ok(()),
            Cell::Int(value) => value.fmt(f),
            Cell::Real(value) => value.fmt(f),
            Cell::Text(text) => f.write_str(text),
        }
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
        assert_eq!(csv_cell(&Cell::Null), "");
    }

    #[test]
    fn rows_of_one_number_stay_on_one_page() {
        let cut = |numbers: &[i64], most| {
            let mut sheet =
                Sheet { names: vec!["n".to_owned()], rows: numbers.iter().map(|n| vec![Cell::Int(*n)]).collect() };
            let next = sheet.cut("n", most);
            (sheet.len(), next)
        };
        assert_eq!(cut(&[9, 8, 8, 8, 7], 2), (4, Some(8)));
        assert_eq!(cut(&[9, 8, 8, 8], 2), (4, None));
        assert_eq!(cut(&[9, 8], 2), (2, None));
        assert_eq!(cut(&[9], 2), (1, None));
        assert_eq!(cut(&[], 2), (0, None));
    }

    #[test]
    fn a_row_is_read_by_the_names_of_its_columns() {
        let mut sheet = Sheet::default();
        let names = ["verdict", "n"].map(str::to_owned);
        sheet.take(Line::Header(&names));
        sheet.take(Line::Row(&[Cell::Text("improved".into()), Cell::Int(2)]));
        let row = sheet.rows().next().unwrap();
        assert_eq!((row.text("verdict"), row.int("n"), row.real("n")), (Some("improved"), Some(2), Some(2.0)));
        assert_eq!((row.text("n"), row.cell("nothing")), (None, &Cell::Null));
        assert_eq!(row.json().to_string(), r#"{"n":2,"verdict":"improved"}"#);
    }
}
