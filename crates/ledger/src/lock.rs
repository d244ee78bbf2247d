//! One working process at a time on an embedded ledger, and what a dead one left behind.
//!
//! The lock is the operating system's, on a file beside the database: it ends with the process that holds it,
//! however that ends. Under it, work that the engine still calls running belongs to nobody and may start at once,
//! instead of after the time-out that tells a dead owner from a slow one.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;

use crate::sql::{Pool, query, query_scalar};
use crate::{Ledger, LedgerError, runs};

/// The right to work on a ledger alone; given back when dropped.
#[derive(Debug)]
#[must_use = "the lock ends when it is dropped"]
pub struct Lock {
    /// None for a ledger in memory, which no other process sees.
    _file: Option<File>,
}

impl Ledger {
    /// Takes the lock `<database>.lock`, or says that another process works.
    pub fn exclusive(&self) -> Result<Lock, LedgerError> {
        let Some(database) = &self.file else {
            return Ok(Lock { _file: None });
        };
        let mut name = database.clone().into_os_string();
        name.push(".lock");
        let path = PathBuf::from(name);
        let shown = path.display().to_string();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| LedgerError::from_io(&error, &shown))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(LedgerError::Locked(shown)),
            Err(TryLockError::Error(error)) => Err(LedgerError::from_io(&error, &shown)),
        }
    }

    /// Makes the work of a killed process available again, at once. Returns how many runs were in work.
    ///
    /// Their starts are given back and counted apart, with a higher limit: a photo is read in another process, so the
    /// death of this one says little about it.
    ///
    /// On PostgreSQL there may be other workers, and nothing is done: what a dead one left is told by its age.
    pub async fn recover_orphans(&self, _held: &Lock) -> Result<u64, LedgerError> {
        if matches!(self.pool, Pool::Postgres(_)) {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        query("UPDATE worker SET ended_at = seen_at WHERE ended_at IS NULL").execute(&mut tx).await?;
        self.courier.requeue_running(&mut tx).await?;
        let orphans: Vec<i64> = query_scalar(
            "UPDATE photo_run
                SET state = 'ready', worker = NULL, starts = CASE WHEN starts > 0 THEN starts - 1 ELSE 0 END, orphaned = orphaned + 1
              WHERE state = 'running'
              RETURNING run_id",
        )
        .fetch_all(&mut tx)
        .await?;
        for run_id in &orphans {
            runs::event(&mut tx, *run_id, "recovered", None, None).await?;
        }
        tx.commit().await?;
        self.redispatch().await?;
        Ok(orphans.len() as u64)
    }
}
