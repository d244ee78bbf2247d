//! The ledger: what is true about sessions, photos, runs, observations and changes.
//!
//! A scan records sessions ([`Ledger::record_session`]) and plans patients ([`Ledger::plan_patient`]): which photo is
//! the baseline of each view, which runs there must be. Workers ([`Ledger::work`]) start runs, hand them to a
//! [`Handler`] and finish them. People read the views ([`Ledger::export`]).
//!
//! Decided here, and why:
//! - **The ledger is the truth, the job engine a courier.** A run's row carries state, starts and reason; River only
//!   says when to try. Observations, state, release of followers, changes and the job's completion are one
//!   transaction, so a crash at any point leaves either all of it or none.
//! - **A start is counted before a byte is parsed,** in a transaction of its own. The third start without a verdict
//!   quarantines the photo. Starts that end because the whole program is killed count apart, up to twelve.
//! - **Plans are recomputed, not maintained.** Planning compares what is with what should be (a pure function) and
//!   writes the difference, so it may be repeated at any time and after any change.
//! - **Changes are a function of the runs.** They carry neither clock nor ids, only sessions whose photos all have a
//!   verdict take part, so the order in which photos finish does not show.
//! - **What is gone keeps its result.** A session that a whole sweep no longer shows keeps what was measured of it, since
//!   buckets expire; what was never measured leaves the lists, and so does what now lies elsewhere. A photo that is taken
//!   out of a session that is still there was taken back, and its result with it.
//! - **SQLite embedded.** One file, WAL, one writer at a time; losing the last commits at a power cut loses job and
//!   result together, so the photo is simply read again. All SQL is in this crate.

mod courier;
mod discover;
mod error;
mod finish;
mod lock;
mod operator;
mod plan;
mod queries;
mod rows;
mod runs;
mod schema;
mod series;
mod source;
mod start;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use riverqueue::database::begin_sqlite_write;
use riverqueue::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use riverqueue::sqlx::{Sqlite, SqlitePool, Transaction};

use crate::courier::Courier;
pub use crate::error::LedgerError;
pub use crate::lock::Lock;
pub use crate::operator::Selection;
pub use crate::queries::{Cell, Line, Table};
pub use crate::rows::{
    Counts, Handler, HandlerError, PhotoRef, PhotoUpload, PlanSettings, Planned, Recorded, SessionUpload, StartedRun,
    State, Verdict, WorkSettings,
};
pub use crate::source::{SourceId, Unseen};

/// How long a writer waits for the one before it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections to the file: SQLite has one writer, so more than the workers in a transaction at once are of no use.
const CONNECTIONS: u32 = 16;

pub(crate) type Tx = Transaction<'static, Sqlite>;

/// An open ledger; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    pool: SqlitePool,
    courier: Courier,
    /// The database's file; none in memory.
    file: Option<PathBuf>,
}

impl Ledger {
    /// Opens `sqlite://path` (relative or absolute) or `sqlite::memory:`, makes the file if there is none, and brings
    /// its schema up to date.
    pub async fn open(url: &str) -> Result<Self, LedgerError> {
        let (options, file) = connect_options(url)?;
        has_folder(file.as_deref())?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::connect(&options, file.as_deref()).await {
                // Two processes that make the file at the same moment collide over its journal mode.
                Err(error) if error.is_transient() && tries < 3 => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Opens a ledger that is there, to read it: no right to write is needed. Only a schema of an older program has to be
    /// brought up to date, and then it is opened to write.
    pub async fn open_to_read(url: &str) -> Result<Self, LedgerError> {
        let (_, Some(file)) = connect_options(url)? else { return Self::open(url).await };
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(false)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let mut read = Self::connect_to_read(&options, &file).await;
        for _ in 0..2 {
            // Another process may be about to make it.
            if read.as_ref().is_err_and(LedgerError::is_transient) {
                tokio::time::sleep(Duration::from_millis(200)).await;
                read = Self::connect_to_read(&options, &file).await;
            }
        }
        let read = match read {
            // Beside a write-ahead log SQLite wants to write. Where there is none, the file alone is whole.
            Err(LedgerError::ReadOnly(_) | LedgerError::Unavailable(_)) if !has_log(&file) => {
                Self::connect_to_read(&options.clone().immutable(true), &file).await
            }
            read => read,
        };
        match read {
            Ok(Some(ledger)) => Ok(ledger),
            Ok(None) => Self::open(url).await.map_err(|error| match error {
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
    async fn connect_to_read(options: &SqliteConnectOptions, file: &Path) -> Result<Option<Self>, LedgerError> {
        let pool = connect_pool(options, Some(file)).await?;
        if !schema::is_current(&pool).await? {
            pool.close().await;
            return Ok(None);
        }
        let courier = Courier::new(pool.clone())?;
        Ok(Some(Self { pool, courier, file: Some(file.to_path_buf()) }))
    }

    async fn connect(options: &SqliteConnectOptions, file: Option<&Path>) -> Result<Self, LedgerError> {
        let pool = connect_pool(options, file).await?;
        schema::migrate(&pool).await?;
        let courier = Courier::new(pool.clone())?;
        Ok(Self { pool, courier, file: file.map(Path::to_path_buf) })
    }

    /// Closes all connections; the last one folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that may write. It waits for its turn here and not in the middle.
    pub(crate) async fn begin(&self) -> Result<Tx, LedgerError> {
        Ok(begin_sqlite_write(&self.pool).await?)
    }
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
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let text = "PostgreSQL is not supported yet: use sqlite://<file> on one machine";
        return Err(LedgerError::Unsupported(text.to_owned()));
    }
    if !url.starts_with("sqlite:") {
        let text = "a database is written sqlite://<file>, for example sqlite://cicatrix.db";
        return Err(LedgerError::Unsupported(text.to_owned()));
    }
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
        return Err(LedgerError::Unsupported("the database URL names no file".to_owned()));
    }
    Ok((options.journal_mode(SqliteJournalMode::Wal), Some(file)))
}

/// Now, as the ledger writes it: RFC 3339, UTC, milliseconds, so that text order is time order.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads a word of the field back from the text that this crate wrote.
pub(crate) fn read<T>(text: &str, what: &str) -> Result<T, LedgerError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| LedgerError::Corrupt(format!("{what}: {error}")))
}

/// Reads stored JSON back.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|error| LedgerError::Corrupt(format!("{what}: {error}")))
}

/// Text of a value that serde can always write.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T, what: &str) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|error| LedgerError::Bug(format!("{what}: {error}")))
}

/// What a caught panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postgres_url_is_refused_with_a_clear_word() {
        let error = connect_options("postgres://localhost/cicatrix").unwrap_err();
        assert!(matches!(&error, LedgerError::Unsupported(text) if text.contains("sqlite://")), "{error}");
    }

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
