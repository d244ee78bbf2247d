//! What people do to runs: try again, cancel, take off the lists; pause clinics; choose another baseline; and hand lost work to
//! the courier again.
//!
//! Each run is its own transaction, so a thousand of them do not hold up the workers. Who did it and why stands in the run's
//! history, and of what is not about one run among the actions. Wiping the job engine loses nothing: a run whose job is gone
//! gets a new one when it is its turn.

use cicatrix_model::{ClinicId, PatientId, Reason, SessionKey};
use jiff::Timestamp;

use crate::courier::Urgency;
use crate::pages::listed;
use crate::queries::{SHOWN_STATE, held, open_states};
use crate::runs::{self, NO_BASELINE, Opening, RunRow};
use crate::sql::{Cell, On, Tx, query, query_as, query_scalar};
use crate::{Ledger, LedgerError, PlanSettings, Planned, State, now, plan, read, series, written};

/// Which of the current runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    Runs(Vec<i64>),
    Matching(Filter),
}

/// Runs that have all of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub state: Option<State>,
    pub reason: Option<Reason>,
    pub clinic: Option<ClinicId>,
    /// Planned by this sweep.
    pub night: Option<i64>,
    /// Ended, or planned if they have not ended, before this.
    pub before: Option<Timestamp>,
}

/// Who does something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    pub who: String,
    pub why: Option<String>,
}

/// A pause that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// All clinics, where there is none.
    pub clinic: Option<String>,
    pub paused_at: String,
    pub by: By,
}

impl Ledger {
    /// Opens runs again that ended without a number, their starts forgotten; they go first.
    ///
    /// One that was planned for another protocol or program is read with these. Verdicts that needed no reading are left: they
    /// follow from the plan, and change with it. Returns which. When a run that is named does not exist, here as in `cancel`, none is
    /// touched.
    pub async fn retry(&self, which: &Selection, by: &By, how: &PlanSettings) -> Result<Vec<i64>, LedgerError> {
        let mut retried = Vec::new();
        for run_id in self.select(which).await? {
            let Some(run) = self.retry_run(run_id, Some(by)).await? else { continue };
            retried.push(run_id);
            if run.plan.protocol_digest != how.protocol_digest || run.plan.program_version != how.program_version {
                self.plan_patient(&read(&run.clinic, "clinic")?, &read(&run.patient, "patient")?, how).await?;
            }
        }
        Ok(retried)
    }

    /// Cancels open runs, and with a baseline those that wait for it. Returns which.
    pub async fn cancel(&self, which: &Selection, by: &By) -> Result<Vec<i64>, LedgerError> {
        let mut cancelled = Vec::new();
        for run_id in self.select(which).await? {
            cancelled.extend(self.cancel_run(run_id, by).await?);
        }
        Ok(cancelled)
    }

    /// Takes runs that ended without a number off the lists of what is to be done: somebody has looked at them, and nothing
    /// will come of them. They keep their state, and are there again when they are tried again. So do measured ones some of whose
    /// regions are on the lists. Returns which.
    pub async fn dismiss(&self, which: &Selection, by: &By) -> Result<Vec<i64>, LedgerError> {
        let mut dismissed = Vec::new();
        for run_id in self.select(which).await? {
            let mut tx = self.begin().await?;
            let written = query(
                "UPDATE photo_run SET dismissed_at = $2
                  WHERE run_id = $1 AND is_current = 1 AND dismissed_at IS NULL
                    AND (state IN ('not_measurable', 'quarantined', 'failed', 'cancelled')
                         OR state = 'measured' AND EXISTS (
                            SELECT 1 FROM run_region g WHERE g.run_id = photo_run.run_id AND g.reason IS NOT NULL))",
            )
            .bind(run_id)
            .bind(now())
            .execute(&mut tx)
            .await?;
            if written > 0 {
                runs::event_by(&mut tx, run_id, "dismissed", by).await?;
            }
            tx.commit().await?;
            dismissed.extend((written > 0).then_some(run_id));
        }
        Ok(dismissed)
    }

    /// Brings runs back to the lists that were taken off them. Returns which.
    pub async fn restore(&self, which: &Selection, by: &By) -> Result<Vec<i64>, LedgerError> {
        let mut restored = Vec::new();
        for run_id in self.select(which).await? {
            let mut tx = self.begin().await?;
            let written = query(
                "UPDATE photo_run SET dismissed_at = NULL WHERE run_id = $1 AND is_current = 1 AND dismissed_at IS NOT NULL",
            )
            .bind(run_id)
            .execute(&mut tx)
            .await?;
            if written > 0 {
                runs::event_by(&mut tx, run_id, "restored", by).await?;
            }
            tx.commit().await?;
            restored.extend((written > 0).then_some(run_id));
        }
        Ok(restored)
    }

    /// How many current runs match, by state and reason.
    pub async fn matching(&self, filter: &Filter) -> Result<Vec<(String, Option<String>, i64)>, LedgerError> {
        // Those that have ended are counted on an index, without a look at whose turn it is.
        let mut parts = Vec::new();
        if filter.state.is_none_or(State::is_unfinished) {
            let open = filter.sql(&format!("SELECT {SHOWN_STATE} AS shown, r.reason, COUNT(*) AS n"));
            parts.push(format!("{open} AND r.state IN ({}) GROUP BY shown, r.reason", open_states!()));
        }
        if !filter.state.is_some_and(State::is_unfinished) {
            // Where a state is asked for, another word on it would only mislead the planner.
            let ended = filter.state.map_or(concat!(" AND r.state NOT IN (", open_states!(), ")"), |_| "");
            parts.push(format!(
                "SELECT r.state AS shown, r.reason, COUNT(*) AS n FROM photo_run r
                  WHERE r.is_current = 1{}{ended} GROUP BY r.state, r.reason",
                filter.and()
            ));
        }
        let parts = parts.join(" UNION ALL ");
        filter
            .bind(query_as(format!("SELECT shown, reason, n FROM ({parts}) AS counted ORDER BY n DESC, shown, reason")))
            .fetch_all(&self.pool)
            .await
    }

    /// How many of the current runs with these numbers there are, by state and reason.
    pub async fn matching_named(&self, runs: &[i64]) -> Result<Vec<(String, Option<String>, i64)>, LedgerError> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        query_as(format!(
            "SELECT {SHOWN_STATE} AS shown, r.reason, COUNT(*) FROM photo_run r
               LEFT JOIN turn t ON t.source_id = r.source_id AND t.clinic_id = r.clinic_id
              WHERE r.is_current = 1 AND r.run_id IN ({})
              GROUP BY shown, r.reason ORDER BY 3 DESC, 1, 2",
            listed(runs)
        ))
        .fetch_all(&self.pool)
        .await
    }

    /// Those that [`Ledger::retry`] would open again, by state and reason: what ended by the plan is not read again.
    pub async fn matching_retry(&self, which: &Selection) -> Result<Vec<(String, Option<String>, i64)>, LedgerError> {
        let named;
        let filter = match which {
            Selection::Matching(filter) => {
                named = String::new();
                filter.clone()
            }
            Selection::Runs(runs) if runs.is_empty() => return Ok(Vec::new()),
            Selection::Runs(runs) => {
                named = format!(" AND r.run_id IN ({})", listed(runs));
                Filter::default()
            }
        };
        let sql = filter.sql("SELECT r.state, r.reason, COUNT(*)");
        let sql = format!(
            "{sql}{named} AND r.baseline_photo_id <> {NO_BASELINE}
                AND r.state IN ('not_measurable', 'quarantined', 'failed', 'cancelled')
              GROUP BY r.state, r.reason ORDER BY 3 DESC, 1, 2"
        );
        filter.bind(query_as(sql)).fetch_all(&self.pool).await
    }

    /// The numbers of all current runs that match, baselines first.
    pub async fn matching_numbers(&self, filter: &Filter) -> Result<Vec<i64>, LedgerError> {
        self.select(&Selection::Matching(filter.clone())).await
    }

    /// Current runs that match, by number: at most so many, those behind `after`.
    pub(crate) async fn matching_runs(&self, filter: &Filter, after: i64, most: u32) -> Result<Vec<i64>, LedgerError> {
        let sql = filter.sql("SELECT r.run_id");
        let sql = format!("{sql} AND r.run_id > {after} ORDER BY r.run_id LIMIT {most}");
        filter.bind(query_scalar(sql)).fetch_all(&self.pool).await
    }

    /// Begins no photo of a clinic, or of any, until [`Ledger::resume`]; what is in work is finished. A clinic that is not there is an
    /// error: it would be a typing mistake that looks like a pause. One that is paused already stays so in the name of who came first.
    pub async fn pause(&self, clinic: Option<&ClinicId>, by: &By) -> Result<(), LedgerError> {
        if let Some(clinic) = clinic
            && self.patients(Some(clinic.as_str()), "", None, 1).await?.is_empty()
        {
            return Err(LedgerError::NoSuchClinic(clinic.clone()));
        }
        let mut tx = self.begin().await?;
        query(
            "INSERT INTO pause (clinic_id, paused_at, who, why) VALUES ($1, $2, $3, $4)
             ON CONFLICT (clinic_id) DO NOTHING",
        )
        .bind(clinic.map_or("", ClinicId::as_str))
        .bind(now())
        .bind(&by.who)
        .bind(&by.why)
        .execute(&mut tx)
        .await?;
        act(&mut tx, "paused", clinic.map(ClinicId::as_str), by, None).await?;
        tx.commit().await
    }

    /// Ends a pause; false when there was none. A clinic that was paused by itself stays so when all are resumed.
    pub async fn resume(&self, clinic: Option<&ClinicId>, by: &By) -> Result<bool, LedgerError> {
        let mut tx = self.begin().await?;
        let ended = query("DELETE FROM pause WHERE clinic_id = $1")
            .bind(clinic.map_or("", ClinicId::as_str))
            .execute(&mut tx)
            .await?;
        if ended > 0 {
            act(&mut tx, "resumed", clinic.map(ClinicId::as_str), by, None).await?;
        }
        tx.commit().await?;
        Ok(ended > 0)
    }

    /// The pauses that hold, that of all clinics first.
    pub async fn pauses(&self) -> Result<Vec<Pause>, LedgerError> {
        let rows: Vec<(String, String, String, Option<String>)> =
            query_as("SELECT clinic_id, paused_at, who, why FROM pause ORDER BY clinic_id")
                .fetch_all(&self.pool)
                .await?;
        let pauses = rows.into_iter().map(|(clinic, paused_at, who, why)| Pause {
            clinic: (!clinic.is_empty()).then_some(clinic),
            paused_at,
            by: By { who, why },
        });
        Ok(pauses.collect())
    }

    /// Makes a session the one that a patient's others are compared with, whatever the manifests say; without a session they
    /// say it again. The old results stay in the tables and no longer count. Returns what there is to read.
    pub async fn pin_baseline(
        &self,
        clinic: &ClinicId,
        patient: &PatientId,
        session: Option<SessionKey>,
        by: &By,
        how: &PlanSettings,
    ) -> Result<Planned, LedgerError> {
        let mut tx = self.begin().await?;
        tx.take_turn_of(clinic.as_str(), patient.as_str()).await?;
        query("UPDATE session SET pinned_at = NULL WHERE clinic_id = $1 AND patient_id = $2")
            .bind(clinic.as_str())
            .bind(patient.as_str())
            .execute(&mut tx)
            .await?;
        if let Some(session) = session {
            let pinned = query(
                "UPDATE session SET pinned_at = $4
                  WHERE clinic_id = $1 AND patient_id = $2 AND session = $3 AND gone_at IS NULL",
            )
            .bind(clinic.as_str())
            .bind(patient.as_str())
            .bind(session.to_string())
            .bind(now())
            .execute(&mut tx)
            .await?;
            if pinned == 0 {
                return Err(LedgerError::NoSuchSession { clinic: clinic.clone(), patient: patient.clone(), session });
            }
        }
        let said = session.map_or_else(|| format!("{patient}: as the manifests say"), |s| format!("{patient}: {s}"));
        act(&mut tx, "baseline", Some(clinic.as_str()), by, Some(&said)).await?;
        let planned = plan::settle(self, &mut tx, clinic.as_str(), patient.as_str(), how).await?;
        tx.commit().await?;
        Ok(planned)
    }

    /// Takes the job from open runs whose job is lost or over: they get a new one when it is their turn. Returns how many.
    pub async fn redispatch(&self) -> Result<u64, LedgerError> {
        let mut redispatched = 0;
        for run_id in lost_runs(&self.pool, None).await? {
            let mut tx = self.begin().await?;
            runs::find_in_turn(&mut tx, run_id).await?;
            for run_id in lost_runs(&mut tx, Some(run_id)).await? {
                query("UPDATE photo_run SET state = 'ready', job_id = NULL WHERE run_id = $1")
                    .bind(run_id)
                    .execute(&mut tx)
                    .await?;
                runs::event(&mut tx, run_id, "redispatched", None, None).await?;
                redispatched += 1;
            }
            tx.commit().await?;
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
            Selection::Matching(filter) => {
                let sql = filter.sql("SELECT r.run_id");
                let order = "ORDER BY CASE WHEN r.photo_id = r.baseline_photo_id THEN 0 ELSE 1 END, r.run_id";
                filter.bind(query_scalar(format!("{sql} {order}"))).fetch_all(&self.pool).await
            }
        }
    }

    /// The run as it was, when it was opened again.
    pub(crate) async fn retry_run(&self, run_id: i64, by: Option<&By>) -> Result<Option<RunRow>, LedgerError> {
        let mut tx = self.begin().await?;
        let Some(run) = runs::find_in_turn(&mut tx, run_id).await? else {
            return Ok(None);
        };
        let has_ended =
            matches!(run.state, State::NotMeasurable | State::Quarantined | State::Failed | State::Cancelled);
        if !run.is_current || !has_ended || run.baseline_photo_id == NO_BASELINE {
            return Ok(None);
        }
        let opening =
            if run.is_baseline() { Opening::Ready } else { Opening::of_follower(baseline_state(&mut tx, &run).await?) };
        if opening == Opening::Cancelled {
            return Ok(None);
        }
        let urgency = if by.is_some() { Urgency::Asked } else { Urgency::Usual };
        runs::reopen(&mut tx, run_id, opening, urgency).await?;
        match by {
            Some(by) => runs::event_by(&mut tx, run_id, "retried", by).await?,
            None => runs::event(&mut tx, run_id, "retried", None, None).await?,
        }
        series::retract(&mut tx, &run.clinic, &run.patient, &run.view, Some(&run.session)).await?;
        plan::replan(self, &mut tx, &run.clinic, &run.patient, &run.plan).await?;
        tx.commit().await?;
        Ok(Some(run))
    }

    async fn cancel_run(&self, run_id: i64, by: &By) -> Result<Vec<i64>, LedgerError> {
        let mut tx = self.begin().await?;
        let Some(run) = runs::find_in_turn(&mut tx, run_id).await? else {
            return Ok(Vec::new());
        };
        if !run.is_current || !run.state.is_unfinished() {
            return Ok(Vec::new());
        }
        let cancelled = end_as_cancelled(self, &mut tx, &run, run.job_id, Some(by)).await?;
        tx.commit().await?;
        Ok(cancelled)
    }

    /// The end of a run whose job somebody cancelled in the engine while it ran.
    pub(crate) async fn cancel_running(&self, run_id: i64, attempt: i64) -> Result<(), LedgerError> {
        let mut tx = self.begin().await?;
        let run = runs::find_in_turn(&mut tx, run_id).await?;
        if let Some(run) = run.filter(|run| run.attempt == attempt && run.state == State::Running) {
            end_as_cancelled(self, &mut tx, &run, None, None).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

impl Filter {
    /// A query over the current runs that match, up to its order. `scheduled` is what the views call a run that is ready
    /// while its clinic is held.
    fn sql(&self, select: &str) -> String {
        format!(
            "{select}
               FROM photo_run r
               LEFT JOIN turn t ON t.source_id = r.source_id AND t.clinic_id = r.clinic_id
              WHERE r.is_current = 1{}",
            self.and()
        )
    }

    fn and(&self) -> String {
        let condition = |(index, (condition, _)): (usize, (&str, Cell))| {
            format!(" AND {}", condition.replace("$n", &format!("${}", index + 1)))
        };
        self.conditions().into_iter().enumerate().map(condition).collect()
    }

    fn bind<T>(&self, query: crate::sql::Query<T>) -> crate::sql::Query<T> {
        self.conditions().into_iter().fold(query, |query, (_, value)| query.bind(value))
    }

    fn conditions(&self) -> Vec<(&'static str, Cell)> {
        let state = self.state.map(|state| match state {
            State::Scheduled => {
                (concat!("r.state = $n AND r.job_id IS NULL AND ", held!(), " IS NOT NULL"), State::Ready.name())
            }
            State::Ready => {
                (concat!("r.state = $n AND (r.job_id IS NOT NULL OR ", held!(), " IS NULL)"), State::Ready.name())
            }
            other => ("r.state = $n", other.name()),
        });
        [
            state.map(|(sql, name)| (sql, name.into())),
            self.reason.map(|reason| ("r.reason = $n", reason.code().into())),
            self.clinic.as_ref().map(|clinic| ("r.clinic_id = $n", clinic.as_str().into())),
            self.night.map(|night| ("r.night_id = $n", night.into())),
            self.before.map(|before| ("COALESCE(r.finished_at, r.created_at) < $n", written(before).into())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Notes what somebody did that is not about one run.
async fn act(tx: &mut Tx, kind: &str, clinic: Option<&str>, by: &By, detail: Option<&str>) -> Result<(), LedgerError> {
    query("INSERT INTO action (at, kind, clinic_id, who, why, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(now())
        .bind(kind)
        .bind(clinic)
        .bind(&by.who)
        .bind(&by.why)
        .bind(detail)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends a run, and with a baseline those that wait for it. `job_id` is the run's job unless it is cancelled already.
/// Returns which.
async fn end_as_cancelled(
    ledger: &Ledger,
    tx: &mut Tx,
    run: &RunRow,
    job_id: Option<i64>,
    by: Option<&By>,
) -> Result<Vec<i64>, LedgerError> {
    let mut cancelled = vec![(run.run_id, job_id)];
    if run.is_baseline() {
        cancelled.extend(runs::waiting_for(tx, run).await?.into_iter().map(|run_id| (run_id, None)));
    }
    for (run_id, job_id) in &cancelled {
        query("UPDATE photo_run SET state = 'cancelled', finished_at = $2 WHERE run_id = $1")
            .bind(*run_id)
            .bind(now())
            .execute(&mut *tx)
            .await?;
        match by {
            Some(by) => runs::event_by(tx, *run_id, State::Cancelled.name(), by).await?,
            None => runs::event(tx, *run_id, State::Cancelled.name(), None, None).await?,
        }
        if let Some(job_id) = job_id {
            ledger.courier.cancel(tx, *job_id).await?;
        }
    }
    series::retract(tx, &run.clinic, &run.patient, &run.view, None).await?;
    Ok(cancelled.into_iter().map(|(run_id, _)| run_id).collect())
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

/// Open runs whose job is gone or over, of all or this one.
async fn lost_runs(on: impl Into<On<'_>>, only: Option<i64>) -> Result<Vec<i64>, LedgerError> {
    query_scalar(
        "SELECT r.run_id
           FROM photo_run r
           LEFT JOIN river_job j ON j.id = r.job_id
          WHERE r.is_current = 1 AND r.state IN ('ready', 'running') AND r.job_id IS NOT NULL
            AND (j.id IS NULL OR j.state IN ('completed', 'cancelled', 'discarded'))
            AND (CAST($1 AS BIGINT) IS NULL OR r.run_id = $1)
          ORDER BY r.run_id",
    )
    .bind(only)
    .fetch_all(on)
    .await
}
