//! What can go wrong with the ledger, named for who must act.
//!
//! SQLite's result codes are read by their primary part (the low byte), PostgreSQL's by their class: a lock that outlasted
//! the busy timeout and a server that restarts are worth another try, a full disk or a read-only database is not, and stops
//! the worker with a clear exit.

use cicatrix_model::{ClinicId, PatientId, SessionKey};
use riverqueue::sqlx;
use riverqueue::sqlx::postgres::PgDatabaseError;

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const NO_MEMORY: i32 = 7;
const READ_ONLY: i32 = 8;
const INTERRUPTED: i32 = 9;
const IO_ERROR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const NO_PERMISSION: i32 = 3;
const NOT_A_DATABASE: i32 = 26;

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Busy or out of reach: try again.
    #[error("the database is busy or out of reach: {0}")]
    Unavailable(String),
    /// The file is damaged, is no ledger, or holds a value that nobody wrote.
    #[error("the database is damaged or no ledger: {0}")]
    Corrupt(String),
    /// A newer program has migrated this ledger.
    #[error("the ledger's schema is version {found}, this program knows {known}: use the newer program")]
    Schema { found: i64, known: i64 },
    /// Another process holds the lock for exclusive work.
    #[error("another process works on this ledger: it holds {0}")]
    Locked(String),
    /// Disk full or failing.
    #[error("the disk does not take the ledger's writes: {0}")]
    Full(String),
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// A URL that this program cannot serve.
    #[error("{0}")]
    Unsupported(String),
    #[error("there is no run {0}: 'cicatrix jobs list' shows the numbers")]
    NoSuchRun(i64),
    #[error(
        "clinic={clinic}/patient={patient} has no session {session}: 'cicatrix export sessions' shows what there is"
    )]
    NoSuchSession { clinic: ClinicId, patient: PatientId, session: SessionKey },
    #[error("the ledger has no clinic {0}")]
    NoSuchClinic(ClinicId),
    #[error("the ledger knows no source '{given}', only {}", known.join(", "))]
    NoSuchSource { given: String, known: Vec<String> },
    /// The patient is listed by two sources.
    #[error(
        "clinic={clinic}/patient={patient} belongs to {location} in this ledger: if that one has moved here, say \
         --moved-from '{location}' once; if both are in use, give the second a ledger of its own with --db"
    )]
    OtherSource { clinic: ClinicId, patient: PatientId, location: String },
    /// The job engine refused, for example because the job was taken away meanwhile.
    #[error("the job engine refused: {0}")]
    Engine(String),
    #[error("a bug in the ledger or its caller: {0}")]
    Bug(String),
    /// The receiver of exported rows failed.
    #[error("the rows could not be written")]
    Output(#[source] std::io::Error),
}

impl LedgerError {
    /// Another try may succeed without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, LedgerError::Unavailable(_))
    }

    /// Nothing more can be written until somebody acts: a worker stops.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(
            self,
            LedgerError::Full(_) | LedgerError::ReadOnly(_) | LedgerError::Corrupt(_) | LedgerError::Schema { .. }
        )
    }

    /// The error of a file beside the database, or of the database's own file.
    pub(crate) fn from_io(error: &std::io::Error, what: &str) -> Self {
        let text = format!("{what}: {error}");
        match error.kind() {
            std::io::ErrorKind::StorageFull => LedgerError::Full(text),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                LedgerError::ReadOnly(text)
            }
            _ => LedgerError::Unavailable(text),
        }
    }

    fn from_code(code: Option<i32>, text: String) -> Self {
        match code.map(|code| code & 0xff) {
            Some(BUSY | LOCKED | NO_MEMORY | INTERRUPTED | CANNOT_OPEN) => LedgerError::Unavailable(text),
            Some(FULL | IO_ERROR) => LedgerError::Full(text),
            Some(READ_ONLY | NO_PERMISSION) => LedgerError::ReadOnly(text),
            Some(CORRUPT | NOT_A_DATABASE) => LedgerError::Corrupt(text),
            Some(CONSTRAINT) => LedgerError::Bug(text),
            _ => LedgerError::Engine(text),
        }
    }

    fn from_sqlstate(code: &str, text: String) -> Self {
        let (class, _) = code.split_at(code.len().min(2));
        match (class, code) {
            // Out of connections or locks, a deadlock, or a server that is stopping or starting.
            ("08" | "40" | "55" | "57", _) | ("53", "53300" | "53200") => LedgerError::Unavailable(text),
            ("53" | "58", _) => LedgerError::Full(text),
            (_, "25006" | "42501") => LedgerError::ReadOnly(text),
            ("28" | "3D", _) => LedgerError::Unsupported(text),
            ("22" | "23" | "42", _) => LedgerError::Bug(text),
            _ => LedgerError::Engine(text),
        }
    }
}

#[doc(hidden)]
impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(inner) => match inner.try_downcast_ref::<PgDatabaseError>() {
                Some(inner) => Self::from_sqlstate(inner.code(), text),
                None => Self::from_code(inner.code().and_then(|code| code.parse::<i32>().ok()), text),
            },
            sqlx::Error::Io(inner) => Self::from_io(inner, "database"),
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => LedgerError::Unavailable(text),
            // A transaction that could not even be rolled back leaves its connection at depth: the disk is full.
            sqlx::Error::InvalidSavePointStatement => LedgerError::Full(text),
            sqlx::Error::Configuration(_) => LedgerError::Unsupported(text),
            sqlx::Error::RowNotFound
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_) => LedgerError::Bug(text),
            _ => LedgerError::Engine(text),
        }
    }
}

#[doc(hidden)]
impl From<riverqueue::Error> for LedgerError {
    fn from(error: riverqueue::Error) -> Self {
        match error {
            riverqueue::Error::Database(inner) => inner.into(),
            other => LedgerError::Engine(other.to_string()),
        }
    }
}

#[doc(hidden)]
impl From<riverqueue::migrate::Error> for LedgerError {
    fn from(error: riverqueue::migrate::Error) -> Self {
        match error {
            riverqueue::migrate::Error::Database(inner) => inner.into(),
            other => LedgerError::Engine(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_restarts_is_worth_another_try_and_a_full_disk_is_not() {
        for code in ["57P01", "57P03", "08006", "40P01", "53300"] {
            assert!(LedgerError::from_sqlstate(code, String::new()).is_transient(), "{code}");
        }
        for code in ["53100", "25006", "42501"] {
            assert!(LedgerError::from_sqlstate(code, String::new()).is_fatal(), "{code}");
        }
    }

    #[test]
    fn only_a_busy_database_is_worth_another_try() {
        let busy_snapshot = 517;
        assert!(LedgerError::from_code(Some(busy_snapshot), String::new()).is_transient());
        assert!(LedgerError::from_code(Some(BUSY), String::new()).is_transient());
        for code in [FULL, READ_ONLY, CORRUPT, IO_ERROR] {
            let error = LedgerError::from_code(Some(code), String::new());
            assert!(error.is_fatal() && !error.is_transient(), "{code}: {error}");
        }
    }
}
