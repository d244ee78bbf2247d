//! `sessions.csv`: what a clinic without manifests says of its sessions, one line each.
//!
//! A first line with names of columns: `clinic_id`, `patient_id`, `session_date`, and where known `session` (number
//! of the visit on that day, default 1), `session_no`, `baseline`, `sessions_before`, `days_since_last`, `px_per_mm`;
//! others are ignored. Comma or, as spreadsheets in half of Europe write, semicolon.
//!
//! A line that cannot be read is told by its number; where it still says whose it is, that session gets no numbers
//! rather than numbers under a wrong description.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::str::FromStr;

use cicatrix_model::SessionKey;
use cicatrix_store::SessionAddress;
use csv::ByteRecord;
use jiff::civil::Date;

use super::manifest::{plain, without_mark};

/// Where a table may lie, relative to the root of the store.
pub(super) const PLACES: [&str; 2] = ["sessions.csv", "incoming/sessions.csv"];

/// 16 MiB, some 250 000 sessions: the rows are held while the listing is swept.
pub(super) const LIMIT: u64 = 16 << 20;

/// How many lines are told of one by one. Where more are broken, the first ones show what is wrong.
const TOLD: usize = 20;

const NEEDED: [&str; 3] = ["clinic_id", "patient_id", "session_date"];
const COLUMNS: [&str; 9] = [
    "clinic_id",
    "patient_id",
    "session_date",
    "session",
    "session_no",
    "baseline",
    "sessions_before",
    "days_since_last",
    "px_per_mm",
];

/// Sessions by address.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: HashMap<SessionAddress, Row>,
}

/// One session as a table describes it.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) session_no: Option<u32>,
    pub(super) baseline: bool,
    pub(super) sessions_before: Option<u32>,
    pub(super) days_since_last: Option<u32>,
    pub(super) px_per_mm: Option<f64>,
    /// Why the row cannot be relied upon.
    pub(super) fault: Option<String>,
    /// File and line.
    origin: (&'static str, u64),
}

impl Table {
    pub(super) fn row(&self, address: &SessionAddress) -> Option<&Row> {
        self.rows.get(address)
    }

    /// Takes in a file; what comes back is what is wrong with it, for people.
    pub(super) fn read(&mut self, file: &'static str, bytes: &[u8]) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(fault) = self.read_lines(file, without_mark(bytes), &mut faults) {
            faults.push(fault);
        }
        let untold = faults.len().saturating_sub(TOLD);
        if untold > 0 {
            faults.truncate(TOLD);
            faults.push(format!("{untold} more lines cannot be read"));
        }
        faults
    }

    fn read_lines(&mut self, file: &'static str, text: &[u8], faults: &mut Vec<String>) -> Result<(), String> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter(text)).flexible(true).from_reader(text);
        let broken = |error: csv::Error| format!("it is no table: {error}");
        let columns = Columns::of(reader.byte_headers().map_err(broken)?)?;
        let mut lines = Lines { text, at: 0, line: 1 };
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(broken)? {
            let line = lines.number(&record);
            let cells = Cells { columns: &columns, record: &record };
            if cells.are_empty() {
                continue;
            }
            if let Err(fault) = self.add((file, line), &cells) {
                faults.push(format!("line {line}: {fault}"));
            }
        }
        Ok(())
    }

    fn add(&mut self, origin: (&'static str, u64), cells: &Cells<'_>) -> Result<(), String> {
        let (file, line) = origin;
        let told = |fault: &str| format!("{file}, line {line}: {fault}; correct it and upload it again");
        let address = cells.address()?;
        let (row, fault) = match cells.row() {
            Ok(row) => (row, None),
            Err(fault) => (Row::default(), Some(fault)),
        };
        let fault = match self.rows.entry(address) {
            Slot::Vacant(slot) => {
                slot.insert(Row { origin, fault: fault.as_deref().map(told), ..row });
                fault
            }
            Slot::Occupied(mut first) => {
                let (file, line) = first.get().origin;
                let fault = format!("the session is described in {file}, line {line}, too: keep one of them");
                first.get_mut().fault = Some(told(&fault));
                Some(fault)
            }
        };
        fault.map_or(Ok(()), Err)
    }
}

fn delimiter(text: &[u8]) -> u8 {
    let names = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if names.contains(&b';') && !names.contains(&b',') { b';' } else { b',' }
}

/// Where the columns are.
#[derive(Debug)]
struct Columns {
    places: HashMap<&'static str, usize>,
    width: usize,
}

impl Columns {
    fn of(names: &ByteRecord) -> Result<Self, String> {
        let mut places = HashMap::new();
        for (at, name) in names.iter().enumerate() {
            let name = name.trim_ascii();
            if let Some(known) = COLUMNS.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
                places.entry(known).or_insert(at);
            }
        }
        let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !places.contains_key(needed)).collect();
        if !missing.is_empty() {
            let (missing, all) = (missing.join("', '"), COLUMNS.join(","));
            return Err(format!("line 1: no column is named '{missing}'; the first line has to name them: {all}"));
        }
        Ok(Self { places, width: names.len() })
    }
}

/// One line.
#[derive(Debug, Clone, Copy)]
struct Cells<'r> {
    columns: &'r Columns,
    record: &'r ByteRecord,
}

impl<'r> Cells<'r> {
    fn are_empty(&self) -> bool {
        self.record.iter().all(|cell| cell.trim_ascii().is_empty())
    }

    /// The text of a cell; `None` where there is no such column, or nothing in it.
    fn text(&self, column: &'static str) -> Result<Option<&'r str>, String> {
        let cell = self.columns.places.get(column).and_then(|at| self.record.get(*at));
        match std::str::from_utf8(cell.unwrap_or_default()).map(str::trim) {
            Ok("") => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(format!("column '{column}': it is not UTF-8, save the table as UTF-8")),
        }
    }

    fn parsed<T: FromStr>(&self, column: &'static str, expected: &str) -> Result<Option<T>, String> {
        let Some(text) = self.text(column)? else {
            return Ok(None);
        };
        let parsed = text.parse::<T>().map(Some);
        parsed.map_err(|_| format!("column '{column}': '{}' is not {expected}", plain(text)))
    }

    /// A cell that says whose line it is. What is written there is not repeated: it may be a name.
    fn needed<T: FromStr>(&self, column: &'static str, expected: &str) -> Result<T, String> {
        let parsed = self.text(column)?.and_then(|text| text.parse::<T>().ok());
        parsed.ok_or_else(|| format!("column '{column}': it needs {expected}"))
    }

    fn address(&self) -> Result<SessionAddress, String> {
        self.check_width()?;
        let id = "an id of letters, digits, '-', '_' and '.'";
        Ok(SessionAddress {
            clinic: self.needed("clinic_id", id)?,
            patient: self.needed("patient_id", id)?,
            session: self.session()?,
        })
    }

    /// A missing or surplus delimiter moves all cells behind it to another column.
    fn check_width(&self) -> Result<(), String> {
        let (cells, width) = (self.record.len(), self.columns.width);
        let surplus = self.record.iter().skip(width).any(|cell| !cell.trim_ascii().is_empty());
        if cells < width || surplus {
            return Err(format!("it has {cells} cells, the first line names {width}"));
        }
        Ok(())
    }

    fn session(&self) -> Result<SessionKey, String> {
        let date: Date = self.needed("session_date", "a date as YYYY-MM-DD")?;
        let Some(text) = self.text("session")? else {
            return Ok(SessionKey { date, ordinal: 1 });
        };
        match ordinal(text, date) {
            Some(ordinal) => Ok(SessionKey { date, ordinal }),
            None => Err("column 'session': it needs the number of the visit on its day, 1 to 99".to_owned()),
        }
    }

    fn row(&self) -> Result<Row, String> {
        let number = "a whole number from 0 on";
        let px_per_mm = self.scale()?;
        Ok(Row {
            session_no: self.parsed("session_no", number)?,
            baseline: self.flag("baseline")?,
            sessions_before: self.parsed("sessions_before", number)?,
            days_since_last: self.parsed("days_since_last", number)?,
            px_per_mm,
            ..Row::default()
        })
    }

    /// With a decimal point, or the comma that spreadsheets of half the world write.
    fn scale(&self) -> Result<Option<f64>, String> {
        let Some(text) = self.text("px_per_mm")? else { return Ok(None) };
        let scale = text.replacen(',', ".", 1).parse::<f64>().ok();
        match scale.filter(|scale| scale.is_finite() && *scale > 0.0 && *scale < 1000.0) {
            Some(scale) => Ok(Some(scale)),
            None => Err(format!("column 'px_per_mm': '{}' is no number between 0 and 1000", plain(text))),
        }
    }

    fn flag(&self, column: &'static str) -> Result<bool, String> {
        let text = self.text(column)?.unwrap_or("false").to_ascii_lowercase();
        match text.as_str() {
            "true" | "yes" | "1" => Ok(true),
            "false" | "no" | "0" => Ok(false),
            other => Err(format!("column '{column}': '{}' is neither true nor false", plain(other))),
        }
    }
}

/// `2`, `02`, or the whole key `2026-11-21-02`.
fn ordinal(text: &str, date: Date) -> Option<u8> {
    if let Ok(key) = text.parse::<SessionKey>() {
        return (key.date == date).then_some(key.ordinal);
    }
    text.parse::<u8>().ok().filter(|ordinal| (1..=99).contains(ordinal))
}

/// Line numbers as an editor shows them. The reader's own stand where the line before ended, which differs by one
/// behind CRLF and by more behind empty lines.
#[derive(Debug)]
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line in which a record begins. Records have to come in their order.
    fn number(&mut self, record: &ByteRecord) -> u64 {
        let mut start = record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.at);
        start = start.clamp(self.at, self.text.len());
        while matches!(self.text.get(start), Some(b'\r' | b'\n')) {
            start += 1;
        }
        self.line += self.text[self.at..start].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = start;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "clinic_id,patient_id,session_date,session,baseline,note,px_per_mm";

    fn read(text: &str) -> (Table, Vec<String>) {
        let mut table = Table::default();
        let faults = table.read("sessions.csv", text.as_bytes());
        (table, faults)
    }

    fn address(session: &str) -> SessionAddress {
        SessionAddress {
            clinic: "c-1".parse().unwrap(),
            patient: "p-1".parse().unwrap(),
            session: session.parse().unwrap(),
        }
    }

    #[test]
    fn a_line_describes_its_session_and_unknown_columns_are_ignored() {
        let (table, faults) = read(&format!(
            "\u{feff}{HEAD}\nc-1,p-1,2026-01-02,,yes,\"room B, left\",12.5\nc-1,p-1,2026-01-02,2,,,\n\
             c-1, p-1 ,2026-03-04,2026-03-04-03,0,,\n,,,,,,\n"
        ));
        assert_eq!(faults, Vec::<String>::new());
        let first = table.row(&address("2026-01-02-01")).unwrap();
        assert_eq!((first.baseline, first.px_per_mm), (true, Some(12.5)));
        let second = table.row(&address("2026-01-02-02")).unwrap();
        assert_eq!((second.baseline, second.px_per_mm), (false, None));
        assert!(table.row(&address("2026-03-04-03")).is_some());
        assert_eq!(table.rows.len(), 3);
    }

    #[test]
    fn a_spreadsheets_semicolons_and_line_ends_are_read() {
        let (table, faults) =
            read("Session_Date;Patient_Id;Clinic_Id;Px_per_mm\r\n2026-01-02;p-1;c-1;25,17\r\n\r\nmonday;p-1;c-1;\r\n");
        assert_eq!(table.row(&address("2026-01-02")).unwrap().px_per_mm, Some(25.17));
        assert_eq!(faults, ["line 4: column 'session_date': it needs a date as YYYY-MM-DD"]);
    }

    #[test]
    fn a_broken_line_is_told_by_line_and_column_and_the_others_are_read() {
        let (table, faults) = read(&format!(
            "{HEAD}\nc-1,p-1,2026-01-02,,,\"two\nlines\",\nc-1,p-1,2026-01-03,,maybe,,\nc-1,Anna B.,2026-01-04,,,,\n\
             c-1,p-1,2026-01-05,,,\nc-1,p-1,2026-01-06,,,,\"12.4 px\"\nc-1,p-1,2026-01-07,100,,,\n"
        ));
        assert_eq!(faults.len(), 5, "{faults:?}");
        for (fault, expected) in faults.iter().zip([
            "line 4: column 'baseline'",
            "line 5: column 'patient_id'",
            "line 6: it has 6 cells",
            "line 7: column 'px_per_mm': '12.4 px'",
            "line 8: column 'session'",
        ]) {
            assert!(fault.starts_with(expected), "{fault}");
        }
        assert!(!faults[1].contains("Anna"), "a name was repeated");
        assert!(table.row(&address("2026-01-02")).unwrap().fault.is_none());
        assert!(table.row(&address("2026-01-03")).unwrap().fault.as_ref().unwrap().contains("line 4"));
    }

    #[test]
    fn a_session_that_is_described_twice_is_relied_upon_in_neither_way() {
        let (table, faults) = read(&format!("{HEAD}\nc-1,p-1,2026-01-02,,1,,\nc-1,p-1,2026-01-02,1,0,,\n"));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("line 3: the session is described in sessions.csv, line 2, too"), "{faults:?}");
        assert!(table.row(&address("2026-01-02")).unwrap().fault.is_some());
    }

    #[test]
    fn a_table_without_its_first_line_says_which_columns_are_missing() {
        for text in ["", "c-1,p-1,2026-01-02\n", "\n\n"] {
            let (table, faults) = read(text);
            assert!(faults[0].contains("'clinic_id', 'patient_id', 'session_date'"), "{faults:?}");
            assert!(table.rows.is_empty());
        }
    }

    #[test]
    fn of_many_broken_lines_the_first_are_told() {
        let (_, faults) = read(&format!("{HEAD}\n{}", "c-1,p-1,never,,,,\n".repeat(100)));
        assert_eq!(faults.len(), TOLD + 1);
        assert_eq!(faults[TOLD], "80 more lines cannot be read");
    }
}
