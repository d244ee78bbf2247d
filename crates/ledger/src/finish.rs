//! T2, the end of a run: observations, state, the release of followers or a new plan, the changes of the session,
//! and the job's completion, in one transaction. No transaction is open while a photo is fetched or read.

use std::time::Duration;

use cicatrix_model::{GateReading, Observation, QualityTier, Reason, RegionVerdict, Scale};
use serde_json::Value;

use crate::runs::{self, RunRow};
use crate::sql::{Tx, query, query_scalar};
use crate::start::open_run;
use crate::{Handler, Ledger, LedgerError, State, Verdict, WorkEvent, now, plan, series, to_json};

/// What happens to the job of an ended run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// Completed with the transaction.
    Complete,
    /// Discarded by the engine after it, as a sign to operators.
    Discard,
}

/// The end of a run, as its row keeps it.
#[derive(Debug)]
pub(crate) struct Ending {
    state: State,
    reason: Option<Reason>,
    /// All reasons of a photo without a number; warnings of a measured one.
    reasons: Vec<Reason>,
    detail: Option<String>,
    content_sha256: Option<String>,
    tier: Option<QualityTier>,
    scale: Option<Scale>,
    endpoint_eligible: Option<bool>,
    readings: Vec<GateReading>,
    provenance: Option<Value>,
    derived: Option<Value>,
    observations: Vec<Observation>,
    regions: Vec<RegionVerdict>,
    duration: Duration,
}

impl Ending {
    fn bare(state: State, duration: Duration) -> Self {
        Self {
            state,
            reason: None,
            reasons: Vec::new(),
            detail: None,
            content_sha256: None,
            tier: None,
            scale: None,
            endpoint_eligible: None,
            readings: Vec::new(),
            provenance: None,
            derived: None,
            observations: Vec::new(),
            regions: Vec::new(),
            duration,
        }
    }

    pub(crate) fn of(verdict: Verdict, duration: Duration) -> Self {
        match verdict {
            Verdict::Measured {
                content_sha256,
                observations,
                regions,
                readings,
                tier,
                scale,
                endpoint_eligible,
                provenance,
                derived,
                warnings,
            } => Self {
                reasons: warnings,
                content_sha256: Some(content_sha256),
                tier: Some(tier),
                scale: Some(scale),
                endpoint_eligible: Some(endpoint_eligible),
                readings: finite(readings),
                provenance: Some(provenance),
                derived: Some(derived),
                observations,
                regions,
                ..Self::bare(State::Measured, duration)
            },
            Verdict::NotMeasurable { content_sha256, reasons, detail, readings, provenance, derived } => Self {
                reason: reasons.first().copied(),
                reasons,
                detail: Some(detail),
                content_sha256,
                readings: finite(readings),
                provenance: Some(provenance),
                derived: Some(derived),
                ..Self::bare(State::NotMeasurable, duration)
            },
            Verdict::Quarantined { reason, detail, content_sha256 } => Self {
                reason: Some(reason),
                reasons: vec![reason],
                detail: Some(detail),
                content_sha256,
                ..Self::bare(State::Quarantined, duration)
            },
        }
    }

    /// The photo kills whoever reads it.
    pub(crate) fn crashed(detail: &str, duration: Duration) -> Self {
        Self {
            reason: Some(Reason::DecoderCrash),
            reasons: vec![Reason::DecoderCrash],
            detail: Some(detail.to_owned()),
            ..Self::bare(State::Quarantined, duration)
        }
    }

    /// We are to blame, not the photo.
    pub(crate) fn failed(detail: String, duration: Duration) -> Self {
        Self { detail: Some(detail), ..Self::bare(State::Failed, duration) }
    }

    /// It follows from the photo, not from what happened to one start.
    pub(crate) fn is_verdict(&self) -> bool {
        self.state != State::Failed && self.reason != Some(Reason::DecoderCrash)
    }

    pub(crate) fn event<'a>(&self, clinic: &'a str) -> WorkEvent<'a> {
        WorkEvent::Ended { clinic, state: self.state, reason: self.reason }
    }

    /// The one line that every ended run gets.
    pub(crate) fn log(&self, run_id: i64) {
        let duration_ms = millis(self.duration);
        let state = self.state.name();
        let reason = self.reason.map_or("", Reason::code);
        tracing::info!(run_id, state, reason, duration_ms, "run {run_id} ended as {state}");
    }
}

impl Ledger {
    /// Ends a run that this job has started, and gives its clinic. None when the run was ended, taken back or given another job
    /// meanwhile; then nothing is written. An error when the job does not run any more; then everything rolls back.
    ///
    /// A verdict follows from the photo, so the first one counts, whichever start it comes from. With a `fence` the end is
    /// only that of this start, and is void when there was a later one.
    pub(crate) async fn finish_run(
        &self,
        handler: &dyn Handler,
        (run_id, job_id): (i64, i64),
        fence: Option<i64>,
        ending: &Ending,
        job: JobEnd,
    ) -> Result<Option<String>, LedgerError> {
        let mut tx = self.begin().await?;
        let Some(run) = open_run(&mut tx, run_id, job_id).await? else {
            return Ok(None);
        };
        if fence.is_some_and(|attempt| attempt != run.attempt) {
            return Ok(None);
        }
        close(self, &mut tx, handler, &run, ending).await?;
        match job {
            JobEnd::Complete => self.courier.complete(&mut tx, job_id).await?,
            JobEnd::Discard => self.courier.require_running(&mut tx, job_id).await?,
        }
        tx.commit().await?;
        Ok(Some(run.clinic))
    }
}

/// Writes the end of a run and all that follows from it, except for the job.
pub(crate) async fn close(
    ledger: &Ledger,
    tx: &mut Tx,
    handler: &dyn Handler,
    run: &RunRow,
    ending: &Ending,
) -> Result<(), LedgerError> {
    write_observations(tx, run.run_id, ending).await?;
    write_regions(tx, run.run_id, ending).await?;
    write_run(tx, run, ending).await?;
    runs::event(tx, run.run_id, ending.state.name(), None, ending.detail.as_deref()).await?;

    let mut planned_again = false;
    if run.is_baseline() && ending.state == State::Measured {
        release_followers(tx, run).await?;
        if has_gone_photos(tx, run).await? {
            // Now its content is known, and with it which of their results were measured against it.
            plan::replan(ledger, tx, &run.clinic, &run.patient, &run.plan).await?;
        }
    } else if run.is_baseline() {
        plan::replan(ledger, tx, &run.clinic, &run.patient, &run.plan).await?;
        planned_again = true;
    }
    // Only sessions without open runs take part in a series, so nothing changes before the last one.
    if planned_again || series::is_finished(tx, run.session_id, &run.view).await? {
        match series::recompute(tx, handler, &run.clinic, &run.patient, &run.view).await {
            // Broken statistics fail the photo that asked for them, but must not keep it open for ever.
            Err(LedgerError::Bug(error)) if ending.state != State::Measured => {
                tracing::warn!(run_id = run.run_id, %error, "changes could not be computed, trying again later");
                series::retract(tx, &run.clinic, &run.patient, &run.view, None).await?;
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

async fn write_observations(tx: &mut Tx, run_id: i64, ending: &Ending) -> Result<(), LedgerError> {
    query("DELETE FROM observation WHERE run_id = $1").bind(run_id).execute(&mut *tx).await?;
    for observation in &ending.observations {
        if !observation.value.is_finite() {
            continue;
        }
        query(
            "INSERT INTO observation (run_id, region, measure, value, unit, n_pixels, sd, ci95_lo, ci95_hi)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(run_id)
        .bind(observation.region.as_str())
        .bind(observation.measure.name())
        .bind(observation.value)
        .bind(&observation.unit)
        .bind(i64::try_from(observation.n_pixels).unwrap_or(i64::MAX))
        .bind(observation.error.map(|e| e.sd))
        .bind(observation.error.map(|e| e.ci95_lo))
        .bind(observation.error.map(|e| e.ci95_hi))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

async fn write_regions(tx: &mut Tx, run_id: i64, ending: &Ending) -> Result<(), LedgerError> {
    query("DELETE FROM run_region WHERE run_id = $1").bind(run_id).execute(&mut *tx).await?;
    for region in &ending.regions {
        query("INSERT INTO run_region (run_id, region, tier, reason, detail) VALUES ($1, $2, $3, $4, $5)")
            .bind(run_id)
            .bind(region.region.as_str())
            .bind(region.quality_tier.map(QualityTier::name))
            .bind(region.reason.map(Reason::code))
            .bind(region.detail.as_deref().map(runs::shortened))
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn write_run(tx: &mut Tx, run: &RunRow, ending: &Ending) -> Result<(), LedgerError> {
    let provenance = ending.provenance.as_ref().map(|value| to_json(value, "provenance")).transpose()?;
    let derived = ending.derived.as_ref().map(|value| to_json(value, "derived pictures")).transpose()?;
    query(
        "UPDATE photo_run
            SET state = $2, reason = $3, reasons = $4, detail = $5, finished_at = $6, duration_ms = $7,
                content_sha256 = $8, tier = $9, endpoint_eligible = $10, gate = $11, provenance = $12, derived = $13,
                scale_source = $14, scale_relative_sd = $15
          WHERE run_id = $1",
    )
    .bind(run.run_id)
    .bind(ending.state.name())
    .bind(ending.reason.map(Reason::code))
    .bind(to_json(&ending.reasons, "reasons")?)
    .bind(ending.detail.as_deref().map(runs::shortened))
    .bind(now())
    .bind(millis(ending.duration))
    .bind(&ending.content_sha256)
    .bind(ending.tier.map(QualityTier::name))
    .bind(ending.endpoint_eligible)
    .bind(to_json(&ending.readings, "gate readings")?)
    .bind(provenance)
    .bind(derived)
    .bind(ending.scale.map(|scale| scale.source.name()))
    .bind(ending.scale.map(|scale| scale.relative_sd))
    .execute(&mut *tx)
    .await?;
    // What a quarantined file hashed to proves nothing about the object: the body may have been damaged on its way.
    let was_decoded = matches!(ending.state, State::Measured | State::NotMeasurable);
    if let Some(digest) = ending.content_sha256.as_ref().filter(|_| was_decoded) {
        query("UPDATE photo SET content_sha256 = $2 WHERE photo_id = $1")
            .bind(run.photo_id)
            .bind(digest.to_ascii_lowercase())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn has_gone_photos(tx: &mut Tx, run: &RunRow) -> Result<bool, LedgerError> {
    let gone: i64 = query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM session s JOIN photo p ON p.session_id = s.session_id
              WHERE s.clinic_id = $1 AND s.patient_id = $2 AND p.is_current = 1 AND p.gone_at IS NOT NULL)",
    )
    .bind(&run.clinic)
    .bind(&run.patient)
    .fetch_one(&mut *tx)
    .await?;
    Ok(gone != 0)
}

/// Lets the runs go that waited for this baseline.
async fn release_followers(tx: &mut Tx, baseline: &RunRow) -> Result<(), LedgerError> {
    for run_id in runs::waiting_for(tx, baseline).await? {
        runs::release(tx, run_id).await?;
    }
    Ok(())
}

/// JSON has no NaN: a reading without a number is none.
fn finite(readings: Vec<GateReading>) -> Vec<GateReading> {
    readings.into_iter().filter(|reading| reading.value.is_finite()).collect()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
