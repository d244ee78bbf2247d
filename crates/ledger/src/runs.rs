//! A run's row: reading it, opening it, and the log of what happened to it.

use cicatrix_model::Reason;

use crate::courier::Urgency;
use crate::sql::{Row, Tx, query, query_scalar};
use crate::{By, Ledger, LedgerError, PlanSettings, State, now, read};

/// Stands for "no baseline": the verdict needed no reading.
pub(crate) const NO_BASELINE: i64 = 0;
/// Longest text kept of an error.
const DETAIL_CHARS: usize = 2000;

/// A run with the names of its patient, session and view.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub(crate) run_id: i64,
    pub(crate) photo_id: i64,
    pub(crate) baseline_photo_id: i64,
    pub(crate) session_id: i64,
    pub(crate) clinic: String,
    pub(crate) patient: String,
    pub(crate) session: String,
    pub(crate) view: String,
    pub(crate) state: State,
    pub(crate) is_current: bool,
    pub(crate) starts: u32,
    pub(crate) orphaned: u32,
    pub(crate) attempt: i64,
    pub(crate) setbacks: u32,
    pub(crate) job_id: Option<i64>,
    pub(crate) plan: PlanSettings,
}

impl RunRow {
    /// The photo is the one that others are compared with.
    pub(crate) fn is_baseline(&self) -> bool {
        self.photo_id == self.baseline_photo_id
    }

    fn read(row: &Row) -> Result<Self, LedgerError> {
        Ok(Self {
            run_id: row.get("run_id")?,
            photo_id: row.get("photo_id")?,
            baseline_photo_id: row.get("baseline_photo_id")?,
            session_id: row.get("session_id")?,
            clinic: row.get("clinic_id")?,
            patient: row.get("patient_id")?,
            session: row.get("session")?,
            view: row.get("view")?,
            state: read(&row.get::<String>("state")?, "state of a run")?,
            is_current: row.get("is_current")?,
            starts: row.get("starts")?,
            orphaned: row.get("orphaned")?,
            attempt: row.get("attempt")?,
            setbacks: row.get("setbacks")?,
            job_id: row.get("job_id")?,
            plan: PlanSettings {
                protocol_id: row.get("protocol_id")?,
                protocol_digest: row.get("protocol_digest")?,
                program_version: row.get("program_version")?,
                night_id: row.get("night_id")?,
                rescore: row.get::<i64>("urgency")? == Urgency::Again.rank(),
            },
        })
    }
}

pub(crate) async fn find(tx: &mut Tx, run_id: i64) -> Result<Option<RunRow>, LedgerError> {
    let row = query(
        "SELECT r.run_id, r.photo_id, r.baseline_photo_id, p.session_id, s.clinic_id, s.patient_id, s.session,
                p.view, r.state, r.is_current, r.starts, r.orphaned, r.attempt, r.setbacks, r.urgency, r.job_id, r.protocol_id,
                r.protocol_digest, r.program_version, r.night_id
           FROM photo_run r
           JOIN photo p ON p.photo_id = r.photo_id
           JOIN session s ON s.session_id = p.session_id
          WHERE r.run_id = $1",
    )
    .bind(run_id)
    .fetch_optional(&mut *tx)
    .await?;
    row.as_ref().map(RunRow::read).transpose()
}

/// The run, once it is its patient's turn.
pub(crate) async fn find_in_turn(tx: &mut Tx, run_id: i64) -> Result<Option<RunRow>, LedgerError> {
    let Some(run) = find(tx, run_id).await? else { return Ok(None) };
    tx.take_turn_of(&run.clinic, &run.patient).await?;
    find(tx, run_id).await
}

/// Runs that wait for this baseline.
pub(crate) async fn waiting_for(tx: &mut Tx, baseline: &RunRow) -> Result<Vec<i64>, LedgerError> {
    let waiting: Vec<i64> = query_scalar(
        "SELECT run_id FROM photo_run
          WHERE baseline_photo_id = $1 AND photo_id <> $1 AND protocol_digest = $2 AND program_version = $3
            AND state = 'waiting_for_baseline' AND is_current = 1
          ORDER BY run_id",
    )
    .bind(baseline.photo_id)
    .bind(&baseline.plan.protocol_digest)
    .bind(&baseline.plan.program_version)
    .fetch_all(&mut *tx)
    .await?;
    Ok(waiting)
}

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    Ready,
    Waiting,
    /// Its baseline was cancelled by an operator, so there is nothing to wait for.
    Cancelled,
}

impl Opening {
    pub(crate) fn state(self) -> State {
        match self {
            Opening::Ready => State::Ready,
            Opening::Waiting => State::WaitingForBaseline,
            Opening::Cancelled => State::Cancelled,
        }
    }

    /// A follower may start when its baseline is measured.
    pub(crate) fn of_follower(baseline: Option<State>) -> Self {
        match baseline {
            Some(State::Measured) => Opening::Ready,
            Some(State::Cancelled) => Opening::Cancelled,
            _ => Opening::Waiting,
        }
    }
}

/// Makes a run. It gets a job when its turn has come.
pub(crate) async fn create(
    tx: &mut Tx,
    photo_id: i64,
    baseline_photo_id: i64,
    how: &PlanSettings,
    opening: Opening,
) -> Result<i64, LedgerError> {
    let run_id: i64 = query_scalar(
        "INSERT INTO photo_run (photo_id, baseline_photo_id, protocol_id, protocol_digest, program_version,
                                night_id, is_current, state, created_at, urgency, source_id, clinic_id)
         SELECT $1, $2, $3, $4, $5, CAST($6 AS BIGINT), 1, $7, $8, $9, s.source_id, s.clinic_id
           FROM photo p JOIN session s ON s.session_id = p.session_id WHERE p.photo_id = $1
         RETURNING run_id",
    )
    .bind(photo_id)
    .bind(baseline_photo_id)
    .bind(&how.protocol_id)
    .bind(&how.protocol_digest)
    .bind(&how.program_version)
    .bind(how.night_id)
    .bind(opening.state().name())
    .bind(now())
    .bind(how.urgency().rank())
    .fetch_one(&mut *tx)
    .await?;
    Ok(run_id)
}

/// Opens an ended run again, its starts forgotten. It gets a job of its own: ended jobs are never woken, since a late report
/// of their last attempt could end them again.
pub(crate) async fn reopen(tx: &mut Tx, run_id: i64, opening: Opening, urgency: Urgency) -> Result<(), LedgerError> {
    query(
        "UPDATE photo_run
            SET is_current = 1, state = $2, urgency = $3, reason = NULL, reasons = '[]', detail = NULL, starts = 0,
                orphaned = 0, setbacks = 0, dismissed_at = NULL, job_id = NULL, worker = NULL, started_at = NULL, finished_at = NULL, duration_ms = NULL
          WHERE run_id = $1",
    )
    .bind(run_id)
    .bind(opening.state().name())
    .bind(urgency.rank())
    .execute(&mut *tx)
    .await?;
    query("DELETE FROM observation WHERE run_id = $1").bind(run_id).execute(&mut *tx).await?;
    Ok(())
}

/// Lets a waiting follower start, when its turn comes.
pub(crate) async fn release(tx: &mut Tx, run_id: i64) -> Result<(), LedgerError> {
    query("UPDATE photo_run SET state = 'ready' WHERE run_id = $1").bind(run_id).execute(&mut *tx).await?;
    Ok(())
}

/// Takes a run out of the current ones; what was not finished never will be.
pub(crate) async fn retire(
    ledger: &Ledger,
    tx: &mut Tx,
    run_id: i64,
    state: State,
    job_id: Option<i64>,
) -> Result<(), LedgerError> {
    let ended = if state.is_unfinished() { State::Superseded } else { state };
    query("UPDATE photo_run SET is_current = 0, state = $2 WHERE run_id = $1")
        .bind(run_id)
        .bind(ended.name())
        .execute(&mut *tx)
        .await?;
    if state.is_unfinished() {
        event(tx, run_id, ended.name(), None, None).await?;
        if let Some(job_id) = job_id {
            ledger.courier.cancel(tx, job_id).await?;
        }
    }
    Ok(())
}

/// Writes a verdict that needed no reading.
pub(crate) async fn conclude(
    tx: &mut Tx,
    photo_id: i64,
    how: &PlanSettings,
    reason: Reason,
    detail: &str,
) -> Result<(), LedgerError> {
    let state = State::of(reason);
    let at = now();
    let run_id: i64 = query_scalar(
        "INSERT INTO photo_run (photo_id, baseline_photo_id, protocol_id, protocol_digest, program_version,
                                night_id, is_current, state, reason, reasons, detail, created_at, finished_at,
                                source_id, clinic_id)
         SELECT $1, $2, $3, $4, $5, CAST($6 AS BIGINT), 1, $7, $8, $9, $10, $11, $11, s.source_id, s.clinic_id
           FROM photo p JOIN session s ON s.session_id = p.session_id WHERE p.photo_id = $1
         ON CONFLICT (photo_id, baseline_photo_id, protocol_digest, program_version) DO UPDATE
            SET is_current = 1, state = excluded.state, reason = excluded.reason, reasons = excluded.reasons,
                detail = excluded.detail, finished_at = excluded.finished_at
         RETURNING run_id",
    )
    .bind(photo_id)
    .bind(NO_BASELINE)
    .bind(&how.protocol_id)
    .bind(&how.protocol_digest)
    .bind(&how.program_version)
    .bind(how.night_id)
    .bind(state.name())
    .bind(reason.code())
    .bind(format!("[\"{}\"]", reason.code()))
    .bind(shortened(detail))
    .bind(&at)
    .fetch_one(&mut *tx)
    .await?;
    event(tx, run_id, state.name(), None, Some(detail)).await
}

/// Adds a line to a run's history.
pub(crate) async fn event(
    tx: &mut Tx,
    run_id: i64,
    kind: &str,
    worker: Option<&str>,
    detail: Option<&str>,
) -> Result<(), LedgerError> {
    query("INSERT INTO run_event (run_id, at, kind, worker, detail) VALUES ($1, $2, $3, $4, $5)")
        .bind(run_id)
        .bind(now())
        .bind(kind)
        .bind(worker)
        .bind(detail.map(shortened))
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Adds what a person did to a run's history.
pub(crate) async fn event_by(tx: &mut Tx, run_id: i64, kind: &str, by: &By) -> Result<(), LedgerError> {
    query("INSERT INTO run_event (run_id, at, kind, detail, who) VALUES ($1, $2, $3, $4, $5)")
        .bind(run_id)
        .bind(now())
        .bind(kind)
        .bind(by.why.as_deref().map(shortened))
        .bind(&by.who)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(DETAIL_CHARS).collect()
}
