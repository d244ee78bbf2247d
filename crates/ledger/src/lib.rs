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
//! - **SQLite embedded, PostgreSQL for a fleet,** one text of SQL for both (`sql.rs`). SQLite is one file with one writer at a
//!   time; losing the last commits at a power cut loses job and result together, so the photo is simply read again. On
//!   PostgreSQL writers take turns patient by patient ([`Tx::take_turn`]). All SQL is in this crate.

mod courier;
mod dictionary;
mod discover;
mod dispatch;
mod error;
mod finish;
mod lock;
mod operator;
mod outcomes;
mod pages;
mod patience;
mod plan;
mod postgres;
mod queries;
mod roster;
mod rows;
mod runs;
mod schedule;
mod schema;
mod series;
mod sheet;
mod source;
mod sql;
mod sqlite;
mod start;
mod tonight;

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::courier::Courier;
pub use crate::error::LedgerError;
pub use crate::lock::Lock;
pub use crate::operator::{By, Filter, Pause, Selection};
pub use crate::outcomes::{GroupBy, LastSum, Outcomes, SessionSum, Sum};
pub use crate::pages::PatientLine;
pub use crate::patience::patiently;
pub use crate::postgres::without_password;
pub use crate::queries::{Line, Table};
pub use crate::roster::Colleague;
pub use crate::rows::{
    Counts, Handler, HandlerError, PhotoRef, PhotoUpload, PlanSettings, Planned, Recorded, SessionUpload, StartedRun,
    State, Verdict, WorkEvent, WorkSettings,
};
pub use crate::schedule::{ClinicRule, ClockTime, Schedule, Window};
pub use crate::sheet::{CsvLines, JsonLines, Page, Sheet, SheetRow};
pub use crate::source::{SourceId, Unseen};
pub use crate::sql::Cell;
use crate::sql::{Pool, Tx};
pub use crate::tonight::{ClinicTonight, Pace, Queue, Tonight};

/// An open ledger; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    pool: Pool,
    courier: Courier,
    /// The database's file; none in memory and on a server.
    file: Option<PathBuf>,
}

impl Ledger {
    /// Opens `sqlite://path` (relative or absolute), `sqlite::memory:` or `postgres://user@host/database`, and brings its
    /// schema up to date. A file of SQLite that is not there is made; a database of PostgreSQL has to be there.
    pub async fn open(url: &str) -> Result<Self, LedgerError> {
        match kind(url)? {
            Kind::Sqlite => sqlite::open(url).await,
            Kind::Postgres => postgres::open(url).await,
        }
    }

    /// Opens a ledger that is there, to read it: no right to write is needed. Only a schema of an older program has to be
    /// brought up to date, and then it is opened to write.
    pub async fn open_to_read(url: &str) -> Result<Self, LedgerError> {
        match kind(url)? {
            Kind::Sqlite => sqlite::open_to_read(url).await,
            Kind::Postgres => postgres::open_to_read(url).await,
        }
    }

    pub(crate) fn over(pool: Pool, file: Option<PathBuf>) -> Result<Self, LedgerError> {
        let courier = Courier::new(&pool)?;
        Ok(Self { pool, courier, file })
    }

    /// Closes all connections; the last one to a file folds the write-ahead log into it.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Tx, LedgerError> {
        self.pool.begin().await
    }
}

enum Kind {
    Sqlite,
    Postgres,
}

fn kind(url: &str) -> Result<Kind, LedgerError> {
    if url.starts_with("sqlite:") {
        Ok(Kind::Sqlite)
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        Ok(Kind::Postgres)
    } else {
        let text = "a database is written sqlite://<file>, for example sqlite://cicatrix.db, or \
                    postgres://<user>@<host>/<database>";
        Err(LedgerError::Unsupported(text.to_owned()))
    }
}

/// Now, as the ledger writes it: RFC 3339, UTC, milliseconds, so that text order is time order.
pub(crate) fn now() -> String {
    written(jiff::Timestamp::now())
}

pub(crate) fn written(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
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
