//! `export`: a table as CSV or as JSON lines.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cicatrix_ledger::{CsvLines, JsonLines, Ledger, LedgerError, Table, without_password};
use tempfile::NamedTempFile;

use crate::args::{ExportArgs, Format};
use crate::config::Config;
use crate::exit;

pub(crate) async fn export(args: &ExportArgs, settings: &Config) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let path = &args.output;
    let cannot = || format!("cannot write {}", path.display());
    if path == Path::new("-") {
        write(&ledger, args, io::stdout()).await?;
    } else if is_stream(path) {
        write(&ledger, args, File::create(path).with_context(cannot)?).await?;
    } else {
        let new = NewFile::of(path).with_context(cannot)?;
        write(&ledger, args, new.file.as_file()).await?;
        new.put().with_context(cannot)?;
    }
    Ok(exit::DONE)
}

async fn write(ledger: &Ledger, args: &ExportArgs, target: impl Write + Send) -> anyhow::Result<()> {
    let target = BufWriter::new(target);
    match args.format {
        Format::Csv => csv(ledger, args.table, target).await,
        Format::Json => json(ledger, args.table, &[], target).await,
    }
}

/// Something that is written to and not replaced, such as a pipe.
fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file())
}

/// A file that takes its place when it is whole. Until then the old one stays; dropped before, nothing is left of it.
struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Beside the file whose place it will take; behind a link, that is the one the link leads to.
    fn of(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Readable for whom the old file was, else for whom the umask allows; a temporary file is not by default.
        let rights = fs::metadata(&path).map_or_else(|_| Permissions::from_mode(0o666), |old| old.permissions());
        let file = tempfile::Builder::new().permissions(rights).tempfile_in(folder)?;
        Ok(Self { file, path })
    }

    fn put(self) -> io::Result<()> {
        self.file.persist(&self.path).map(|_| ()).map_err(|refused| refused.error)
    }
}

/// Opens a ledger that must be there, to read it: that makes no new database and needs no right to write.
pub(crate) async fn open_existing(db: &str) -> anyhow::Result<Ledger> {
    must_exist(db)?;
    Ledger::open_to_read(db).await.with_context(|| format!("the database {}", without_password(db)))
}

/// Opens a ledger that must be there, to change it.
pub(crate) async fn open_to_change(db: &str) -> anyhow::Result<Ledger> {
    must_exist(db)?;
    Ledger::open(db).await.with_context(|| format!("the database {}", without_password(db)))
}

fn must_exist(db: &str) -> anyhow::Result<()> {
    let path = db.strip_prefix("sqlite://").map(|p| p.split('?').next().unwrap_or(p));
    // An address that names no file is told so when it is opened.
    if let Some(path) = path.filter(|p| !p.is_empty() && !p.starts_with(':') && !Path::new(p).exists()) {
        return Err(exit::bad_input(format!(
            "there is no database {path}: run 'cicatrix run <SRC>' first, or name another"
        )));
    }
    Ok(())
}

async fn csv(ledger: &Ledger, table: Table, target: impl Write + Send) -> anyhow::Result<()> {
    let mut lines = CsvLines::new(target);
    told(table, ledger.export(table, &mut |line| lines.take(line)).await)?;
    quiet_pipe(lines.flush().map_err(LedgerError::Output))
}

/// Rows as JSON objects, one a line.
pub(crate) async fn json(
    ledger: &Ledger,
    table: Table,
    matching: &[(&str, &str)],
    target: impl Write + Send,
) -> anyhow::Result<()> {
    let mut lines = JsonLines::new(target);
    told(table, ledger.export_where(table, matching, &mut |line| lines.take(line)).await)?;
    quiet_pipe(lines.flush().map_err(LedgerError::Output))
}

/// Says why a table may be empty, where that is no sign of a mistake.
fn told(table: Table, rows: Result<u64, LedgerError>) -> anyhow::Result<()> {
    if table == Table::Trends && matches!(rows, Ok(0)) {
        tracing::warn!("no course has the five days with a session that a trend needs, the baseline's counted in");
    }
    quiet_pipe(rows.map(|_| ()))
}

/// A reader that has seen enough (`| head`) is no failure.
pub(crate) fn quiet_pipe(result: Result<(), LedgerError>) -> anyhow::Result<()> {
    match result {
        Err(LedgerError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_takes_the_place_of_the_old_one_only_when_it_is_put() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["changes.csv", "link.csv"].map(|name| folder.path().join(name));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();

        let mut half = NewFile::of(&path).unwrap();
        half.file.write_all(b"ne").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        drop(half);
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("old", 2));

        let mut whole = NewFile::of(&link).unwrap();
        whole.file.write_all(b"new").unwrap();
        whole.put().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("new", 2));
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_device_and_a_folder_are_not_replaced() {
        assert!(is_stream(Path::new("/dev/null")) && is_stream(Path::new("/")));
        assert!(!is_stream(Path::new("nowhere.csv")));
    }
}
