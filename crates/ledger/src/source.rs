//! Sources: which bucket or folder a patient is listed in, and which of its sessions it shows no more.
//!
//! A patient belongs to the source that listed it first, since follow-ups and baseline are fetched from one place. A
//! source that moved is told so ([`Ledger::move_source`]); two that both have a patient are a mistake, and the second one
//! is refused it.
//!
//! What a whole sweep does not show is gone. Measured photos of a session that is gone keep their results, for buckets
//! expire; unless the same content is listed elsewhere, under the right date or the right patient. All others leave the
//! lists. Listed again, they are there again.

use std::collections::{BTreeSet, HashSet};

use cicatrix_model::ClinicId;
use riverqueue::sqlx::{self, SqliteConnection};

use crate::{Ledger, LedgerError, PlanSettings, SessionUpload, Tx, now, plan};

/// A source that the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(pub(crate) i64);

/// Sessions written as gone in one transaction, so that workers are not held up.
const AT_ONCE: usize = 100;

impl Ledger {
    /// The source of this name, made known if it is not. The name should be the same from wherever it is typed.
    pub async fn source(&self, location: &str) -> Result<SourceId, LedgerError> {
        if let Some(known) = known_source(&self.pool, location).await? {
            return Ok(known);
        }
        let mut tx = self.begin().await?;
        let source_id: i64 = sqlx::query_scalar(
            "INSERT INTO source (location, recorded_at) VALUES ($1, $2)
             ON CONFLICT (location) DO UPDATE SET location = excluded.location
             RETURNING source_id",
        )
        .bind(location)
        .bind(now())
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(SourceId(source_id))
    }

    /// Hands all sessions of a source over to another one, as after a bucket was copied. Returns how many.
    pub async fn move_source(&self, from: &str, to: SourceId) -> Result<u64, LedgerError> {
        let from = match known_source(&self.pool, from).await? {
            Some(from) if from != to => from,
            Some(_) => return Ok(0),
            None => return Err(LedgerError::NoSuchSource(from.to_owned())),
        };
        let mut tx = self.begin().await?;
        let sessions: Vec<i64> = sqlx::query_scalar("SELECT session_id FROM session WHERE source_id = $1")
            .bind(from.0)
            .fetch_all(&mut *tx)
            .await?;
        for session_id in &sessions {
            hand_over(self, &mut tx, *session_id, to).await?;
        }
        tx.commit().await?;
        Ok(sessions.len() as u64)
    }

    /// Marks what a sweep over all of these clinics (over all clinics, when none is named) did not show, and plans the
    /// patients anew. Returns how many sessions are gone that were there before.
    pub async fn mark_gone(
        &self,
        source: SourceId,
        seen: &HashSet<i64>,
        clinics: &[ClinicId],
        how: &PlanSettings,
    ) -> Result<u64, LedgerError> {
        let listed: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT session_id, clinic_id, patient_id FROM session
              WHERE source_id = $1 AND gone_at IS NULL ORDER BY clinic_id, patient_id, session_id",
        )
        .bind(source.0)
        .fetch_all(&self.pool)
        .await?;
        let takes = |clinic: &String| clinics.is_empty() || clinics.iter().any(|taken| taken.as_str() == clinic);
        let gone: Vec<&(i64, String, String)> =
            listed.iter().filter(|(id, clinic, _)| !seen.contains(id) && takes(clinic)).collect();
        for some in gone.chunks(AT_ONCE) {
            let mut tx = self.begin().await?;
            for (session_id, _, _) in some {
                leave(&mut tx, *session_id).await?;
            }
            let patients: BTreeSet<(&str, &str)> = some.iter().map(|(_, c, p)| (c.as_str(), p.as_str())).collect();
            for (clinic, patient) in patients {
                plan::replan(self, &mut tx, clinic, patient, how).await?;
            }
            tx.commit().await?;
        }
        self.drop_moved(source, how).await?;
        Ok(gone.len() as u64)
    }

    /// Takes away the results of photos that are gone where they were and listed elsewhere.
    async fn drop_moved(&self, source: SourceId, how: &PlanSettings) -> Result<(), LedgerError> {
        let moved: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT p.photo_id, s.clinic_id, s.patient_id
               FROM session s
               JOIN photo p ON p.session_id = s.session_id AND p.is_current = 1 AND p.gone_at IS NOT NULL
              WHERE s.source_id = $1 AND (
                    EXISTS (SELECT 1 FROM photo t
                             WHERE t.version = p.version AND t.bytes = p.bytes AND t.is_current = 1
                               AND t.gone_at IS NULL AND t.refused_reason IS NULL)
                 OR EXISTS (SELECT 1 FROM photo t
                             WHERE t.content_sha256 = p.content_sha256 AND t.is_current = 1 AND t.gone_at IS NULL))",
        )
        .bind(source.0)
        .fetch_all(&self.pool)
        .await?;
        if moved.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for (photo_id, _, _) in &moved {
            plan::withdraw(&mut tx, *photo_id).await?;
        }
        let patients: BTreeSet<(&str, &str)> = moved.iter().map(|(_, c, p)| (c.as_str(), p.as_str())).collect();
        for (clinic, patient) in patients {
            plan::replan(self, &mut tx, clinic, patient, how).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn known_source(pool: &sqlx::SqlitePool, location: &str) -> Result<Option<SourceId>, LedgerError> {
    let known: Option<i64> = sqlx::query_scalar("SELECT source_id FROM source WHERE location = $1")
        .bind(location)
        .fetch_optional(pool)
        .await?;
    Ok(known.map(SourceId))
}

/// An error when this patient belongs to another source.
pub(crate) async fn require_own(
    conn: &mut SqliteConnection,
    source: SourceId,
    upload: &SessionUpload,
) -> Result<(), LedgerError> {
    let other: Option<String> = sqlx::query_scalar(
        "SELECT o.location
           FROM session s
           JOIN source o ON o.source_id = s.source_id
          WHERE s.clinic_id = $1 AND s.patient_id = $2 AND s.source_id <> $3
          LIMIT 1",
    )
    .bind(upload.clinic.as_str())
    .bind(upload.patient.as_str())
    .bind(source.0)
    .fetch_optional(&mut *conn)
    .await?;
    match other {
        None => Ok(()),
        Some(location) => {
            Err(LedgerError::OtherSource { clinic: upload.clinic.clone(), patient: upload.patient.clone(), location })
        }
    }
}

/// Gives a session, its runs and their open jobs to a source.
pub(crate) async fn hand_over(ledger: &Ledger, tx: &mut Tx, session_id: i64, to: SourceId) -> Result<(), LedgerError> {
    sqlx::query("UPDATE session SET source_id = $2 WHERE session_id = $1")
        .bind(session_id)
        .bind(to.0)
        .execute(&mut **tx)
        .await?;
    let jobs: Vec<Option<i64>> = sqlx::query_scalar(
        "UPDATE photo_run SET source_id = $2
          WHERE photo_id IN (SELECT photo_id FROM photo WHERE session_id = $1)
         RETURNING job_id",
    )
    .bind(session_id)
    .bind(to.0)
    .fetch_all(&mut **tx)
    .await?;
    for job_id in jobs.into_iter().flatten() {
        ledger.courier.hand_over(tx, job_id, to).await?;
    }
    Ok(())
}

/// A session that is listed no more. What of it keeps a result is the plan's to say.
async fn leave(tx: &mut Tx, session_id: i64) -> Result<(), LedgerError> {
    let at = now();
    sqlx::query("UPDATE session SET gone_at = $2 WHERE session_id = $1")
        .bind(session_id)
        .bind(&at)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "UPDATE photo SET gone_at = COALESCE(gone_at, $2)
          WHERE session_id = $1 AND is_current = 1",
    )
    .bind(session_id)
    .bind(&at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
