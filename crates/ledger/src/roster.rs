//! The roster: who works, since when, and when each worker gave its last sign of life.
//!
//! A worker's photos are not given back by it: that goes by the age of the job (`courier.rs`). The sign of life is also how a
//! worker that has nothing to write notices that nothing can be written any more.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::sql::{Row, query, query_scalar};
use crate::{Ledger, LedgerError, WorkSettings, now, written};

/// How long after its last sign of life a worker that did not sign off is still shown.
const SHOWN: SignedDuration = SignedDuration::from_hours(1);
/// How long the roster is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 14);

/// A sign of life comes every five seconds, and later while the database is slow.
const SILENT: SignedDuration = SignedDuration::from_secs(30);
/// Less room than this beside the embedded database is none.
const ROOM: u64 = 64 << 10;

/// A worker that has not signed off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colleague {
    /// Machine and process.
    pub name: String,
    pub program_version: String,
    /// Photos it may have in work at once.
    pub slots: i64,
    /// Photos it has in work.
    pub running: i64,
    /// Since when the oldest of them.
    pub oldest: Option<String>,
    pub started_at: String,
    /// Its last sign of life.
    pub seen_at: String,
}

impl Colleague {
    fn read(row: &Row) -> Result<Self, LedgerError> {
        Ok(Self {
            name: row.get("name")?,
            program_version: row.get("program_version")?,
            slots: row.get("slots")?,
            running: row.get("running")?,
            oldest: row.get("oldest")?,
            started_at: row.get("started_at")?,
            seen_at: row.get("seen_at")?,
        })
    }

    /// As machines read it.
    pub fn json(&self) -> Value {
        json!({
            "worker": self.name, "version": self.program_version, "running": self.running, "slots": self.slots,
            "since": self.oldest, "started_at": self.started_at, "seen_at": self.seen_at,
        })
    }

    /// How long it has given no sign of life, if that is longer than a worker that is well would.
    pub fn silent_for(&self, now: Timestamp) -> Option<SignedDuration> {
        let silent = now.duration_since(self.seen_at.parse().ok()?);
        (silent > SILENT).then_some(silent)
    }
}

impl Ledger {
    /// Puts a worker on the roster; gives its number there.
    pub(crate) async fn sign_in(&self, how: &WorkSettings) -> Result<i64, LedgerError> {
        let mut tx = self.begin().await?;
        query("DELETE FROM worker WHERE seen_at < $1").bind(written(Timestamp::now() - KEPT)).execute(&mut tx).await?;
        let worker_id = query_scalar(
            "INSERT INTO worker (name, source_id, program_version, protocol_digest, slots, started_at, seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING worker_id",
        )
        .bind(&how.worker_name)
        .bind(how.source.0)
        .bind(&how.program_version)
        .bind(&how.protocol_digest)
        .bind(i64::try_from(how.workers).unwrap_or(i64::MAX))
        .bind(now())
        .fetch_one(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(worker_id)
    }

    /// A sign of life, or the last one.
    pub(crate) async fn sign(&self, worker_id: i64, is_last: bool) -> Result<(), LedgerError> {
        self.has_room()?;
        let mut tx = self.begin().await?;
        query("UPDATE worker SET seen_at = $2, ended_at = CASE WHEN $3 = 1 THEN $2 END WHERE worker_id = $1")
            .bind(worker_id)
            .bind(now())
            .bind(is_last)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// An error when the embedded database's disk is full: a small write may still find room in what the log has already got,
    /// while all larger ones fail.
    fn has_room(&self) -> Result<(), LedgerError> {
        let Some(file) = &self.file else { return Ok(()) };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        match rustix::fs::statvfs(folder.unwrap_or(std::path::Path::new("."))) {
            Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM => {
                Err(LedgerError::Full(format!("no room is left beside {}", file.display())))
            }
            _ => Ok(()),
        }
    }

    /// Who works, the first that signed in first.
    pub async fn colleagues(&self) -> Result<Vec<Colleague>, LedgerError> {
        let rows: Vec<Row> = query(
            "SELECT w.name, w.program_version, w.slots, COALESCE(r.n, 0) AS running, r.oldest, w.started_at, w.seen_at
               FROM worker w
               LEFT JOIN (SELECT worker, COUNT(*) AS n, MIN(started_at) AS oldest FROM photo_run
                           WHERE is_current = 1 AND state = 'running' GROUP BY worker) AS r ON r.worker = w.name
              WHERE w.ended_at IS NULL AND w.seen_at >= $1
              ORDER BY w.worker_id",
        )
        .bind(written(Timestamp::now() - SHOWN))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(Colleague::read).collect()
    }
}
