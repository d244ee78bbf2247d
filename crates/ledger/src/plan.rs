//! T0, the second half: which photo is the baseline of each view, and which runs there must be.
//!
//! A plan is the difference between what is and what should be. What should be is decided by a pure function of the
//! patient's sessions, photos and runs, so planning twice writes nothing the second time, and planning again after a
//! baseline failed, a photo was replaced or a protocol changed is the same act as planning first.
//!
//! The baseline session is the one that is flagged, else the earliest, unless that one says that treatments came
//! before it. The baseline photo of a view is its lowest shot that was not refused and did not end badly; only when
//! none is left do the other sessions get `baseline_not_measurable`. Where a shot of the baseline has regions drawn,
//! only a shot that has them may be the baseline photo, for another one would measure the whole frame in their place.
//! A cancelled baseline stays the baseline: cancelling is about our work, not about the photo.
//!
//! A photo that is gone is never read again. It keeps the result it has as long as that is one against today's baseline
//! and under the protocol of that baseline, and as long as the same content is not listed elsewhere. A result that does
//! not count today counts again when it may. Where a baseline photo is gone, what was measured against it stays, and what
//! was not is `baseline_missing`. A session that is gone counts as long as it has results, and yields the flag of the
//! baseline to one that is there.

mod decide;
mod facts;

use cicatrix_model::{ClinicId, PatientId};

use self::decide::{Act, Plan, Task, Touched, decide};
use self::facts::Facts;
pub(crate) use self::facts::is_elsewhere;
use crate::queries::open_states;
use crate::runs::{self, Opening};
use crate::sql::{Tx, query};
use crate::{Ledger, LedgerError, PlanSettings, Planned, State, now, series};

impl Ledger {
    /// Brings a patient's runs into line with sessions, photos and protocol, in one transaction. Idempotent.
    ///
    /// A patient whose results are of another protocol or program keeps them while nothing is new, unless the settings say
    /// `rescore`; with something new all of its photos are read again, for a series is of one method.
    pub async fn plan_patient(
        &self,
        clinic: &ClinicId,
        patient: &PatientId,
        how: &PlanSettings,
    ) -> Result<Planned, LedgerError> {
        let mut read = self.pool.begin_to_read().await?;
        let needed = needed(&mut read, clinic.as_str(), patient.as_str(), how).await?;
        read.rollback().await?;
        if needed.is_none() {
            return Ok(Planned::default());
        }
        let mut tx = self.begin().await?;
        tx.take_turn_of(clinic.as_str(), patient.as_str()).await?;
        let planned = settle(self, &mut tx, clinic.as_str(), patient.as_str(), how).await?;
        tx.commit().await?;
        Ok(planned)
    }
}

/// Plans a patient as a sweep does, inside a transaction: see [`Ledger::plan_patient`].
pub(crate) async fn settle(
    ledger: &Ledger,
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    how: &PlanSettings,
) -> Result<Planned, LedgerError> {
    match needed(tx, clinic, patient, how).await? {
        Some(how) => replan(ledger, tx, clinic, patient, &how).await,
        None => Ok(Planned::default()),
    }
}

/// Under which settings a patient has to be planned anew, if it has to.
async fn needed(
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    how: &PlanSettings,
) -> Result<Option<PlanSettings>, LedgerError> {
    if decide(&Facts::load(tx, clinic, patient, how).await?).is_empty() {
        return Ok(None);
    }
    let has_news = match standing(tx, clinic, patient, how).await? {
        None => true,
        Some(standing) => !decide(&Facts::load(tx, clinic, patient, &standing).await?).is_empty(),
    };
    Ok((has_news || how.rescore).then(|| PlanSettings { rescore: how.rescore && !has_news, ..how.clone() }))
}

/// The settings of a patient's results, where they are others and nothing is open.
async fn standing(
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    how: &PlanSettings,
) -> Result<Option<PlanSettings>, LedgerError> {
    let rows = query(concat!(
        "SELECT r.protocol_id, r.protocol_digest, r.program_version,
                MAX(CASE WHEN r.state IN (",
        open_states!(),
        ") THEN 1 ELSE 0 END) AS is_open
           FROM session s CROSS JOIN photo p CROSS JOIN photo_run r
          WHERE s.clinic_id = $1 AND s.patient_id = $2 AND p.session_id = s.session_id AND r.photo_id = p.photo_id
            AND r.is_current = 1
          GROUP BY r.protocol_id, r.protocol_digest, r.program_version
          ORDER BY MAX(r.run_id) DESC"
    ))
    .bind(clinic)
    .bind(patient)
    .fetch_all(&mut *tx)
    .await?;
    for row in &rows {
        if row.get("is_open")? {
            return Ok(None);
        }
    }
    let Some(newest) = rows.first() else { return Ok(None) };
    let standing = PlanSettings {
        protocol_id: newest.get("protocol_id")?,
        protocol_digest: newest.get("protocol_digest")?,
        program_version: newest.get("program_version")?,
        ..how.clone()
    };
    let is_other = standing.protocol_digest != how.protocol_digest || standing.program_version != how.program_version;
    Ok(is_other.then_some(standing))
}

/// Plans a patient inside a transaction that has other things to write.
pub(crate) async fn replan(
    ledger: &Ledger,
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    how: &PlanSettings,
) -> Result<Planned, LedgerError> {
    let facts = Facts::load(tx, clinic, patient, how).await?;
    let plan = decide(&facts);
    mark_baseline(tx, &plan).await?;
    let mut planned = Planned::default();
    for run in &plan.retire {
        runs::retire(ledger, tx, run.run_id, run.state, run.job_id).await?;
        planned.retired += 1;
        let is_gone = facts.photo(run.photo_id).is_some_and(|photo| photo.is_current && photo.is_gone);
        planned.dropped += u32::from(is_gone && run.state == State::Measured);
    }
    for task in &plan.tasks {
        carry_out(tx, task, how, &mut planned).await?;
    }
    for (view, touched) in plan.touched(&facts) {
        match touched {
            Touched::All => series::retract(tx, clinic, patient, view, None).await?,
            Touched::Sessions(sessions) => {
                for session in sessions {
                    series::retract(tx, clinic, patient, view, Some(&session.to_string())).await?;
                }
            }
        }
    }
    Ok(planned)
}

/// The old mark goes first: a patient has one baseline session at any time.
async fn mark_baseline(tx: &mut Tx, plan: &Plan) -> Result<(), LedgerError> {
    let mut marks = plan.marks.clone();
    marks.sort_by_key(|(_, is_baseline)| *is_baseline);
    for (session_id, is_baseline) in marks {
        query("UPDATE session SET is_baseline = $2, updated_at = $3 WHERE session_id = $1")
            .bind(session_id)
            .bind(is_baseline)
            .bind(now())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn carry_out(tx: &mut Tx, task: &Task, how: &PlanSettings, planned: &mut Planned) -> Result<(), LedgerError> {
    match &task.act {
        Act::Conclude { reason, detail } => {
            runs::conclude(tx, task.photo_id, how, *reason, detail).await?;
            planned.concluded += 1;
        }
        Act::Create { baseline, opening } => {
            runs::create(tx, task.photo_id, *baseline, how, *opening).await?;
            planned.count(*opening);
        }
        Act::Reopen { run_id, opening } => {
            runs::reopen(tx, *run_id, *opening, how.urgency()).await?;
            planned.count(*opening);
        }
        Act::Release { run_id } => {
            runs::release(tx, *run_id).await?;
            planned.ready += 1;
        }
        Act::Revive { run_id } => {
            query("UPDATE photo_run SET is_current = 1 WHERE run_id = $1").bind(*run_id).execute(&mut *tx).await?;
            planned.revived += 1;
        }
    }
    Ok(())
}

impl Planned {
    fn count(&mut self, opening: Opening) {
        match opening {
            Opening::Ready => self.ready += 1,
            Opening::Waiting => self.waiting += 1,
            Opening::Cancelled => {}
        }
    }
}
