//! Sources: which bucket or folder a patient is listed in, and which of its sessions it shows no more.
//!
//! A patient belongs to the source that listed it first, since follow-ups and baseline are fetched from one place. A
//! source that moved is told so ([`Ledger::move_source`]); two that both have a patient are a mistake, and the second one
//! is refused it.
//!
//! What a sweep does not show, of what it could see, is gone. Measured photos of a session that is gone keep their results,
//! for buckets expire; unless the same content is listed elsewhere in the clinic, under the right date or the right patient.
//! All others leave the lists. Listed again, they are there again; nothing is deleted.

use std::collections::{BTreeSet, HashSet};

use cicatrix_model::{ClinicId, PatientId};

use crate::plan::{self, is_elsewhere};
use crate::sql::{Pool, Tx, query, query_as, query_scalar};
use crate::{Ledger, LedgerError, PlanSettings, Planned, SessionUpload, now};

/// A source that the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(pub(crate) i64);

/// What a sweep could not look at: what is not seen there may be there.
#[derive(Debug, Clone, Default)]
pub struct Unseen {
    /// How the keys begin.
    pub places: Vec<String>,
    pub patients: HashSet<(ClinicId, PatientId)>,
}

/// Sessions written as gone in one transaction, so that workers are not held up.
const AT_ONCE: usize = 100;

impl Ledger {
    /// The source of this name, made known if it is not. The name should be the same from wherever it is typed.
    pub async fn source(&self, location: &str) -> Result<SourceId, LedgerError> {
        if let Some(known) = known_source(&self.pool, location).await? {
            return Ok(known);
        }
        let mut tx = self.begin().await?;
        let source_id: i64 = query_scalar(
            "INSERT INTO source (location, recorded_at) VALUES ($1, $2)
             ON CONFLICT (location) DO UPDATE SET location = excluded.location
             RETURNING source_id",
        )
        .bind(location)
        .bind(now())
        .fetch_one(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(SourceId(source_id))
    }

    /// Names of the sources that have been listed.
    pub async fn sources(&self) -> Result<Vec<String>, LedgerError> {
        query_scalar("SELECT location FROM source ORDER BY source_id").fetch_all(&self.pool).await
    }

    /// Hands all sessions of a source over to another one, as after a bucket was copied. Returns how many.
    pub async fn move_source(&self, from: &str, to: SourceId) -> Result<u64, LedgerError> {
        let from = match known_source(&self.pool, from).await? {
            Some(from) if from != to => from,
            Some(_) => return Ok(0),
            None => return Err(LedgerError::NoSuchSource { given: from.to_owned(), known: self.sources().await? }),
        };
        let mut tx = self.begin().await?;
        let sessions: Vec<i64> =
            query_scalar("SELECT session_id FROM session WHERE source_id = $1").bind(from.0).fetch_all(&mut tx).await?;
        for session_id in &sessions {
            hand_over(self, &mut tx, *session_id, to).await?;
        }
        query("DELETE FROM turn WHERE source_id = $1").bind(from.0).execute(&mut tx).await?;
        query("UPDATE worker SET source_id = $2 WHERE source_id = $1").bind(from.0).bind(to.0).execute(&mut tx).await?;
        // What its last sweep set aside is no longer told.
        query("DELETE FROM source WHERE source_id = $1").bind(from.0).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(sessions.len() as u64)
    }

    /// Marks what a sweep over all of these clinics (over all clinics, when none is named) did not show, and plans the
    /// patients anew. Returns how many sessions are gone that were there before, and what the plans did.
    pub async fn mark_gone(
        &self,
        source: SourceId,
        seen: &HashSet<i64>,
        unseen: &Unseen,
        clinics: &[ClinicId],
        how: &PlanSettings,
    ) -> Result<(u64, Planned), LedgerError> {
        let listed: Vec<(i64, String, String)> = query_as(
            "SELECT session_id, clinic_id, patient_id FROM session
              WHERE source_id = $1 AND gone_at IS NULL ORDER BY clinic_id, patient_id, session_id",
        )
        .bind(source.0)
        .fetch_all(&self.pool)
        .await?;
        let takes = |clinic: &String| clinics.is_empty() || clinics.iter().any(|taken| taken.as_str() == clinic);
        let mut gone = Vec::new();
        for session in listed.iter().filter(|(id, clinic, _)| !seen.contains(id) && takes(clinic)) {
            if self.could_be_seen(session, unseen).await? {
                gone.push(session);
            }
        }
        let mut planned = Planned::default();
        for some in gone.chunks(AT_ONCE) {
            let mut tx = self.begin().await?;
            let patients: BTreeSet<(&str, &str)> = some.iter().map(|(_, c, p)| (c.as_str(), p.as_str())).collect();
            for (clinic, patient) in &patients {
                tx.take_turn_of(clinic, patient).await?;
            }
            for (session_id, _, _) in some {
                leave(&mut tx, *session_id).await?;
            }
            for (clinic, patient) in patients {
                planned.add(plan::settle(self, &mut tx, clinic, patient, how).await?);
            }
            tx.commit().await?;
        }
        planned.add(self.settle_moved(source, how).await?);
        Ok((gone.len() as u64, planned))
    }

    async fn could_be_seen(
        &self,
        (session_id, clinic, patient): &(i64, String, String),
        unseen: &Unseen,
    ) -> Result<bool, LedgerError> {
        if unseen.patients.iter().any(|(c, p)| c.as_str() == clinic && p.as_str() == patient) {
            return Ok(false);
        }
        if unseen.places.is_empty() {
            return Ok(true);
        }
        let keys: Vec<String> = query_scalar("SELECT object_key FROM photo WHERE session_id = $1 AND is_current = 1")
            .bind(*session_id)
            .fetch_all(&self.pool)
            .await?;
        Ok(!keys.iter().any(|key| unseen.places.iter().any(|place| key.starts_with(place.as_str()))))
    }

    /// Plans the patients anew whose photos are gone and were found to be listed elsewhere, or not to be so after all: it
    /// shows when what is listed is read. Returns what the plans did.
    pub async fn settle_moved(&self, source: SourceId, how: &PlanSettings) -> Result<Planned, LedgerError> {
        let unsettled: Vec<(String, String)> = query_as(concat!(
            "SELECT DISTINCT s.clinic_id, s.patient_id
               FROM session s
               JOIN photo p ON p.session_id = s.session_id AND p.is_current = 1 AND p.gone_at IS NOT NULL
               LEFT JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1
              WHERE s.source_id = $1 AND (r.run_id IS NOT NULL) = ",
            is_elsewhere!(),
        ))
        .bind(source.0)
        .fetch_all(&self.pool)
        .await?;
        let mut planned = Planned::default();
        for (clinic, patient) in unsettled {
            let mut tx = self.begin().await?;
            tx.take_turn_of(&clinic, &patient).await?;
            planned.add(plan::settle(self, &mut tx, &clinic, &patient, how).await?);
            tx.commit().await?;
        }
        Ok(planned)
    }
}

async fn known_source(pool: &Pool, location: &str) -> Result<Option<SourceId>, LedgerError> {
    let known: Option<i64> =
        query_scalar("SELECT source_id FROM source WHERE location = $1").bind(location).fetch_optional(pool).await?;
    Ok(known.map(SourceId))
}

/// An error when this patient belongs to another source, and is still there.
pub(crate) async fn require_own(tx: &mut Tx, source: SourceId, upload: &SessionUpload) -> Result<(), LedgerError> {
    let other: Option<String> = query_scalar(
        "SELECT o.location
           FROM session s
           JOIN source o ON o.source_id = s.source_id
          WHERE s.clinic_id = $1 AND s.patient_id = $2 AND s.source_id <> $3 AND s.gone_at IS NULL
          LIMIT 1",
    )
    .bind(upload.clinic.as_str())
    .bind(upload.patient.as_str())
    .bind(source.0)
    .fetch_optional(&mut *tx)
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
    query("UPDATE session SET source_id = $2 WHERE session_id = $1")
        .bind(session_id)
        .bind(to.0)
        .execute(&mut *tx)
        .await?;
    query(
        "UPDATE photo_run SET source_id = $2
          WHERE photo_id IN (SELECT photo_id FROM photo WHERE session_id = $1)",
    )
    .bind(session_id)
    .bind(to.0)
    .execute(&mut *tx)
    .await?;
    // A job lies in the queue of the old source; what is in work is finished.
    let handed_out: Vec<(i64, i64)> = query_as(
        "SELECT r.run_id, r.job_id FROM photo p CROSS JOIN photo_run r
          WHERE p.session_id = $1 AND r.photo_id = p.photo_id
            AND r.is_current = 1 AND r.state = 'ready' AND r.job_id IS NOT NULL",
    )
    .bind(session_id)
    .fetch_all(&mut *tx)
    .await?;
    for (run_id, job_id) in handed_out {
        ledger.courier.cancel(tx, job_id).await?;
        query("UPDATE photo_run SET job_id = NULL WHERE run_id = $1").bind(run_id).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A session that is listed no more. What of it keeps a result is the plan's to say.
async fn leave(tx: &mut Tx, session_id: i64) -> Result<(), LedgerError> {
    let at = now();
    query("UPDATE session SET gone_at = $2 WHERE session_id = $1").bind(session_id).bind(&at).execute(&mut *tx).await?;
    query(
        "UPDATE photo SET gone_at = COALESCE(gone_at, $2)
          WHERE session_id = $1 AND is_current = 1",
    )
    .bind(session_id)
    .bind(&at)
    .execute(&mut *tx)
    .await?;
    Ok(())
}
