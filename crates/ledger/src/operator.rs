//! What operators do to runs: try again, cancel, and hand lost work to the courier again.
//!
//! Each run is its own transaction, so a thousand of them do not hold up the workers. Wiping the job engine loses
//! nothing: a run that is open without an open job gets a new one.

use cicatrix_model::Reason;

use crate::runs::{self, NO_BASELINE, Opening, RunRow};
use crate::sql::{On, Tx, query, query_as, query_scalar};
use crate::{Ledger, LedgerError, State, now, plan, read, series};

/// Which of the current runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    Runs(Vec<i64>),
    InState { state: State, reason: Option<Reason> },
}

impl Ledger {
    /// Opens runs again that ended without a number, their starts forgotten. Returns how many.
    ///
    /// Verdicts that needed no reading are left: they follow from the plan, and change with it. When a run that is
    /// named does not exist, here as in `cancel`, none is touched.
    pub async fn retry(&self, which: &Selection) -> Result<u64, LedgerError> {
        let mut retried = 0;
        for run_id in self.select(which).await? {
            retried += u64::from(self.retry_run(run_id).await?);
        }
        Ok(retried)
    }

    /// Cancels open runs, and with a baseline those that wait for it. Returns how many.
    pub async fn cancel(&self, which: &Selection) -> Result<u64, LedgerError> {
        let mut cancelled = 0;
        for run_id in self.select(which).await? {
            cancelled += self.cancel_run(run_id).await?;
        }
        Ok(cancelled)
    }

    /// Gives open runs whose job is lost or over a new one. Returns how many.
    pub async fn redispatch(&self) -> Result<u64, LedgerError> {
        let mut redispatched = 0;
        for (run_id, ..) in lost_runs(&self.pool, None).await? {
            let mut tx = self.begin().await?;
            runs::find_in_turn(&mut tx, run_id).await?;
            let still_lost = lost_runs(&mut tx, Some(run_id)).await?;
            for (run_id, state, is_baseline) in &still_lost {
                redispatch(self, &mut tx, *run_id, state, *is_baseline).await?;
            }
            tx.commit().await?;
            redispatched += still_lost.len() as u64;
        }
        Ok(redispatched)
    }

    /// Baselines first, so that their followers find something to wait for.
    async fn select(&self, which: &Selection) -> Result<Vec<i64>, LedgerError> {
        match which {
            Selection::Runs(runs) => {
                for run_id in runs {
                    let known: Option<i64> = query_scalar("SELECT run_id FROM photo_run WHERE run_id = $1")
                        .bind(*run_id)
                        .fetch_optional(&self.pool)
                        .await?;
                    known.ok_or(LedgerError::NoSuchRun(*run_id))?;
                }
                Ok(runs.clone())
            }
            Selection::InState { state, reason } => {
                let runs: Vec<i64> = query_scalar(
                    "SELECT run_id FROM photo_run
                      WHERE is_current = 1 AND state = $1 AND (CAST($2 AS TEXT) IS NULL OR reason = $2)
                      ORDER BY CASE WHEN photo_id = baseline_photo_id THEN 0 ELSE 1 END, run_id",
                )
                .bind(state.name())
                .bind(reason.map(Reason::code))
                .fetch_all(&self.pool)
                .await?;
                Ok(runs)
            }
        }
    }

    pub(crate) async fn retry_run(&self, run_id: i64) -> Result<bool, LedgerError> {
        let mut tx = self.begin().await?;
        let Some(run) = runs::find_in_turn(&mut tx, run_id).await? else {
            return Ok(false);
        };
        let has_ended =
            matches!(run.state, State::NotMeasurable | State::Quarantined | State::Failed | State::Cancelled);
        if !run.is_current || !has_ended || run.baseline_photo_id == NO_BASELINE {
            return Ok(false);
        }
        let opening =
            if run.is_baseline() { Opening::Ready } else { Opening::of_follower(baseline_state(&mut tx, &run).await?) };
        if opening == Opening::Cancelled {
            return Ok(false);
        }
        runs::reopen(self, &mut tx, run_id, run.is_baseline(), opening).await?;
        runs::event(&mut tx, run_id, "retried", None, None).await?;
        series::retract(&mut tx, &run.clinic, &run.patient, &run.view, Some(&run.session)).await?;
        plan::replan(self, &mut tx, &run.clinic, &run.patient, &run.plan).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn cancel_run(&self, run_id: i64) -> Result<u64, LedgerError> {
        let mut tx = self.begin().await?;
        let Some(run) = runs::find_in_turn(&mut tx, run_id).await? else {
            return Ok(0);
        };
        if !run.is_current || !run.state.is_unfinished() {
            return Ok(0);
        }
        let cancelled = end_as_cancelled(self, &mut tx, &run, run.job_id).await?;
        tx.commit().await?;
        Ok(cancelled)
    }

    /// The end of a run whose job somebody cancelled in the engine while it ran.
    pub(crate) async fn cancel_running(&self, run_id: i64, job_id: i64) -> Result<(), LedgerError> {
        let mut tx = self.begin().await?;
        let run = runs::find_in_turn(&mut tx, run_id).await?;
        if let Some(run) = run.filter(|run| run.job_id == Some(job_id) && run.state == State::Running) {
            end_as_cancelled(self, &mut tx, &run, None).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Ends a run, and with a baseline those that wait for it. `job_id` is the run's job unless it is cancelled already.
/// Returns how many.
async fn end_as_cancelled(ledger: &Ledger, tx: &mut Tx, run: &RunRow, job_id: Option<i64>) -> Result<u64, LedgerError> {
    let mut cancelled = vec![(run.run_id, job_id)];
    if run.is_baseline() {
        cancelled.extend(runs::waiting_for(tx, run).await?);
    }
    for (run_id, job_id) in &cancelled {
        query("UPDATE photo_run SET state = 'cancelled', finished_at = $2 WHERE run_id = $1")
            .bind(*run_id)
            .bind(now())
            .execute(&mut *tx)
            .await?;
        runs::event(tx, *run_id, State::Cancelled.name(), None, None).await?;
        if let Some(job_id) = job_id {
            ledger.courier.cancel(tx, *job_id).await?;
        }
    }
    series::retract(tx, &run.clinic, &run.patient, &run.view, None).await?;
    Ok(cancelled.len() as u64)
}

/// State of the run that this follower depends on.
async fn baseline_state(tx: &mut Tx, follower: &RunRow) -> Result<Option<State>, LedgerError> {
    let state: Option<String> = query_scalar(
        "SELECT state FROM photo_run
          WHERE photo_id = $1 AND baseline_photo_id = $1 AND protocol_digest = $2 AND program_version = $3",
    )
    .bind(follower.baseline_photo_id)
    .bind(&follower.plan.protocol_digest)
    .bind(&follower.plan.program_version)
    .fetch_optional(&mut *tx)
    .await?;
    state.as_deref().map(|state| read(state, "state of a run")).transpose()
}

/// Open runs without an open job, of all or of one: id, state, and whether they are a baseline.
async fn lost_runs(on: impl Into<On<'_>>, only: Option<i64>) -> Result<Vec<(i64, String, bool)>, LedgerError> {
    query_as(
        "SELECT r.run_id, r.state, (r.photo_id = r.baseline_photo_id)
           FROM photo_run r
           LEFT JOIN river_job j ON j.id = r.job_id
          WHERE r.is_current = 1 AND r.state IN ('waiting_for_baseline', 'ready', 'running')
            AND (j.id IS NULL OR j.state IN ('completed', 'cancelled', 'discarded'))
            AND (CAST($1 AS BIGINT) IS NULL OR r.run_id = $1)
          ORDER BY r.run_id",
    )
    .bind(only)
    .fetch_all(on)
    .await
}

async fn redispatch(
    ledger: &Ledger,
    tx: &mut Tx,
    run_id: i64,
    state: &str,
    is_baseline: bool,
) -> Result<(), LedgerError> {
    let opening = if state == State::WaitingForBaseline.name() { Opening::Waiting } else { Opening::Ready };
    query("UPDATE photo_run SET state = $2 WHERE run_id = $1")
        .bind(run_id)
        .bind(opening.state().name())
        .execute(&mut *tx)
        .await?;
    runs::give_job(ledger, tx, run_id, is_baseline, opening).await?;
    runs::event(tx, run_id, "redispatched", None, None).await
}
