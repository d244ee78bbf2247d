//! The embedded database: one file, or memory for tests.
//!
//! WAL, one writer at a time; what SQLite says of a file that it cannot open is put into words.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use riverqueue::sqlx::SqlitePool;
use riverqueue::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::sql::Pool;
use crate::{Ledger, LedgerError, schema};

/// How long a writer waits for the one before it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections to the file: SQLite has one writer, so more than the workers in a transaction at once are of no use.
const CONNECTIONS: u32 = 16;
/// Pause before another process's collision is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens a file, and makes it if there is none.
pub(crate) async fn open(url: &str) -> Result<Ledger, LedgerError> {
    let (options, file) = connect_options(url)?;
    has_folder(file.as_deref())?;
    let mut tries = 0;
    loop {
        tries += 1;
        match connect(&options, file.as_deref()).await {
            // Two processes that make the file at the same moment collide over its journal mode.
            Err(error) if error.is_transient() && tries < 3 => tokio::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

async fn connect(options: &SqliteConnectOptions, file: Option<&Path>) -> Result<Ledger, LedgerError> {
    let pool = Pool::Sqlite(connect_pool(options, file).await?);
    schema::migrate(&pool).await?;
    Ledger::over(pool, file.map(Path::to_path_buf))
}

/// Opens a ledger that is there, to read it: no right to write is needed. Only a schema of an older program has to be
/// brought up to date, and then it is opened to write.
pub(crate) async fn open_to_read(url: &str) -> Result<Ledger, LedgerError> {
    let (_, Some(file)) = connect_options(url)? else { return open(url).await };
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(false)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    let mut read = connect_to_read(&options, &file).await;
    for _ in 0..2 {
        // Another process may be about to make it.
        if read.as_ref().is_err_and(LedgerError::is_transient) {
            tokio::time::sleep(PAUSE).await;
            read = connect_to_read(&options, &file).await;
        }
    }
    let read = match read {
        // Beside a write-ahead log SQLite wants to write. Where there is none, the file alone is whole.
        Err(LedgerError::ReadOnly(_) | LedgerError::Unavailable(_)) if !has_log(&file) => {
            connect_to_read(&options.clone().immutable(true), &file).await
        }
        read => read,
    };
    match read {
        Ok(Some(ledger)) => Ok(ledger),
        Ok(None) => open(url).await.map_err(|error| match error {
            LedgerError::ReadOnly(text) => LedgerError::ReadOnly(format!(
                "{text}; an older program wrote it, so somebody with the right to write it has to open it once"
            )),
            other => other,
        }),
        Err(LedgerError::ReadOnly(text)) if has_log(&file) => Err(LedgerError::ReadOnly(format!(
            "{text}; whoever wrote it last was killed, so somebody with the right to write it has to open it once, \
             for example with 'cicatrix status'"
        ))),
        Err(error) => Err(error),
    }
}

/// None when the schema has to be brought up to date first.
async fn connect_to_read(options: &SqliteConnectOptions, file: &Path) -> Result<Option<Ledger>, LedgerError> {
    let pool = Pool::Sqlite(connect_pool(options, Some(file)).await?);
    if !schema::is_current(&pool).await? {
        pool.close().await;
        return Ok(None);
    }
    Ledger::over(pool, Some(file.to_path_buf())).map(Some)
}

async fn connect_pool(options: &SqliteConnectOptions, file: Option<&Path>) -> Result<SqlitePool, LedgerError> {
    // A database in memory lives as long as its one connection.
    let connections = if file.is_some() { CONNECTIONS } else { 1 };
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .max_lifetime(None::<Duration>)
        .idle_timeout(None::<Duration>)
        .connect_with(options.clone())
        .await
        .map_err(|error| named(error.into(), file))
}

/// Something may stand in the write-ahead log that the file lacks.
fn has_log(file: &Path) -> bool {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// SQLite makes the file and not its folder, and would say only that it cannot open it.
fn has_folder(file: Option<&Path>) -> Result<(), LedgerError> {
    let folder = file.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.try_exists().unwrap_or(true) => Err(LedgerError::Unsupported(format!(
            "its folder {} does not exist: make it, or name another database with --db",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

/// SQLite does not say which file it could not open, nor that the rights to make one are lacking.
fn named(error: LedgerError, file: Option<&Path>) -> LedgerError {
    match (error, file) {
        (LedgerError::Unavailable(text), Some(file)) => match refused(file) {
            Some(refused) => LedgerError::ReadOnly(refused),
            None => LedgerError::Unavailable(format!("{}: {text}", file.display())),
        },
        (error, _) => error,
    }
}

/// What right is lacking to read the file, or to make it where it is not there.
fn refused(file: &Path) -> Option<String> {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (tried, text) = if file.exists() {
        (std::fs::File::open(file), format!("there is no right to read {}", file.display()))
    } else {
        let made = std::fs::File::create_new(file);
        if made.is_ok() {
            let _ = std::fs::remove_file(file);
        }
        (made, format!("there is no right to make {} in the folder {}", file.display(), folder.display()))
    };
    let error = tried.err()?;
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem).then_some(text)
}

fn connect_options(url: &str) -> Result<(SqliteConnectOptions, Option<PathBuf>), LedgerError> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true);
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Ok((options, None));
    }
    let file = options.get_filename().to_path_buf();
    if file.as_os_str().is_empty() {
        let text = "the database's address names no file: write for example sqlite://cicatrix.db";
        return Err(LedgerError::Unsupported(text.to_owned()));
    }
    Ok((options.journal_mode(SqliteJournalMode::Wal), Some(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_and_absolute_paths_are_taken_as_written() {
        let file = |url| connect_options(url).unwrap().1;
        assert_eq!(file("sqlite://cicatrix.db"), Some(PathBuf::from("cicatrix.db")));
        assert_eq!(file("sqlite:///var/lib/c.db"), Some(PathBuf::from("/var/lib/c.db")));
        assert_eq!(file("sqlite::memory:"), None);
    }

    #[test]
    fn a_missing_folder_is_named_and_the_working_folder_is_not_missing() {
        let missing = has_folder(Some(Path::new("/nowhere/at all/c.db"))).unwrap_err();
        assert!(matches!(&missing, LedgerError::Unsupported(text) if text.contains("/nowhere/at all")), "{missing}");
        assert!(has_folder(Some(Path::new("c.db"))).is_ok());
        assert!(has_folder(Some(Path::new("/c.db"))).is_ok());
        assert!(has_folder(None).is_ok());
    }
}
