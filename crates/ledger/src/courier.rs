//! River, the courier: it says when to try a run, and nothing else. Its types end at this file.
//!
//! Decided here, from the measurements in the design notes:
//! - A job carries the run's id only. A job whose run names another job has nothing to do.
//! - Completion goes through the ledger's transaction; River refuses it when the job was taken away meanwhile, and
//!   then everything rolls back.
//! - Rescue goes by age, so every job has a time-out and is rescued 10 s after it.
//! - A run that ends badly by an outage is tried again with growing pauses; attempts are River's, starts are ours.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use riverqueue::{
    BoxError, Client, ClientBuilder, InsertOpts, Job, JobArgs, JobState, MaintenanceConfig, QueueConfig, Retention,
    WorkCancelled, WorkContext, WorkError, WorkOutcome, Worker, Workers,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::finish::{Ending, JobEnd};
use crate::sql::{Pool, Tx, query};
use crate::start::{Begun, MAX_STARTS, Setback};
use crate::{Handler, HandlerError, Ledger, LedgerError, SourceId, Verdict, WorkSettings, panic_text};

const KIND: &str = "assess_view";
/// Tries of one job, outages included.
const MAX_ATTEMPTS: i32 = 8;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Pause before a run whose start counted is tried again.
const SHORT_PAUSE: Duration = Duration::from_millis(500);
const SOFT_STOP: Duration = Duration::from_secs(20);
/// The engine's clock of a time-out starts a little before ours.
const TIMEOUT_SLACK: Duration = Duration::from_secs(1);
/// How often changes that no finishing run will compute are looked for.
const REFRESH: Duration = Duration::from_secs(1);
/// Rounds after which runs are looked for whose job is lost, a minute.
const REDISPATCH_ROUNDS: u32 = 60;
/// Rounds to sit out after the statistics failed, so that the log is not flooded.
const REFRESH_SITS_OUT: u32 = 30;

/// The queue of a source, so that a worker is given no photo of another one. What was planned before sources were known
/// waits until a sweep lists it.
fn queue(source: Option<SourceId>) -> String {
    source.map_or_else(|| "photos".to_owned(), |source| format!("photos_{}", source.0))
}

/// The job: read one photo against its baseline.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AssessView {
    run_id: i64,
}

impl JobArgs for AssessView {
    const KIND: &'static str = KIND;
}

/// Who goes first. 1 is kept for people who wait in front of a screen, 4 for re-runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Urgency {
    Baseline,
    FollowUp,
}

impl Urgency {
    fn priority(self) -> i16 {
        match self {
            Urgency::Baseline => 2,
            Urgency::FollowUp => 3,
        }
    }
}

/// A request to the engine in a transaction of either database.
macro_rules! in_tx {
    ($tx:expr, $request:expr) => {
        match $tx {
            Tx::Sqlite(tx) => $request.tx(&mut *tx).await,
            Tx::Postgres(tx) => $request.tx(&mut *tx).await,
        }
    };
}

/// Puts jobs into the queue and takes them out, always inside the ledger's transactions.
#[derive(Debug, Clone)]
pub(crate) struct Courier {
    client: Client,
}

impl Courier {
    pub(crate) fn new(pool: &Pool) -> Result<Self, LedgerError> {
        Ok(Self { client: builder(pool).default_max_attempts(MAX_ATTEMPTS).build()? })
    }

    pub(crate) async fn insert(
        &self,
        tx: &mut Tx,
        run_id: i64,
        source: Option<SourceId>,
        urgency: Urgency,
        pending: bool,
    ) -> Result<i64, LedgerError> {
        let opts = InsertOpts::default()
            .with_queue(queue(source))
            .with_priority(urgency.priority())
            .with_max_attempts(MAX_ATTEMPTS)
            .with_pending(pending);
        let inserted = in_tx!(tx, self.client.insert(AssessView { run_id }).opts(opts))?;
        Ok(inserted.id())
    }

    /// Lets a pending job go. False when there is no such job any more.
    pub(crate) async fn release(&self, tx: &mut Tx, job_id: i64) -> Result<bool, LedgerError> {
        match in_tx!(tx, self.client.jobs().retry(job_id)) {
            Ok(_) => Ok(true),
            Err(riverqueue::Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Cancels a job; one that runs is told at the commit.
    pub(crate) async fn cancel(&self, tx: &mut Tx, job_id: i64) -> Result<(), LedgerError> {
        match in_tx!(tx, self.client.jobs().cancel(job_id)) {
            Ok(_) | Err(riverqueue::Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves a job to the queue of its new source. The engine has no call for it.
    pub(crate) async fn hand_over(&self, tx: &mut Tx, job_id: i64, to: SourceId) -> Result<(), LedgerError> {
        query("UPDATE river_job SET queue = $2 WHERE id = $1")
            .bind(job_id)
            .bind(queue(Some(to)))
            .execute(&mut *tx)
            .await?;
        Ok(())
    }

    /// Completes a running job with the transaction; an error when it does not run any more.
    pub(crate) async fn complete(&self, tx: &mut Tx, job_id: i64) -> Result<(), LedgerError> {
        in_tx!(tx, self.client.jobs().complete(job_id))?;
        Ok(())
    }

    /// An error unless the job still runs: the fence of an end that River is told about afterwards.
    pub(crate) async fn require_running(&self, tx: &mut Tx, job_id: i64) -> Result<(), LedgerError> {
        let job = in_tx!(tx, self.client.jobs().get(job_id))?;
        if job.state == JobState::Running {
            return Ok(());
        }
        Err(LedgerError::Engine(format!("job is {}, not running", job.state)))
    }

    /// Jobs that a dead process left running are available again at once, the attempt is given back (the start was
    /// counted in the run). Only while nobody else works.
    pub(crate) async fn requeue_running(&self, tx: &mut Tx) -> Result<u64, LedgerError> {
        let requeued = query(
            "UPDATE river_job SET state = 'available', attempt = CASE WHEN attempt > 0 THEN attempt - 1 ELSE 0 END
              WHERE state = 'running' AND kind = $1",
        )
        .bind(KIND)
        .execute(&mut *tx)
        .await?;
        // A dead leader's lease would hold up scheduling for up to 12 s.
        query("DELETE FROM river_leader").execute(&mut *tx).await?;
        Ok(requeued)
    }
}

impl Ledger {
    /// Works on the photos of a source until `stop` is cancelled, then finishes what runs within 20 s and gives back the rest.
    ///
    /// Returns an error at once when nothing can be written any more (disk full, read-only, damaged); what was in
    /// work is then found again by [`Ledger::recover_orphans`].
    pub async fn work(
        &self,
        handler: Arc<dyn Handler>,
        how: WorkSettings,
        stop: CancellationToken,
    ) -> Result<(), LedgerError> {
        self.redispatch().await?;
        self.refresh_changes(&*handler).await?;

        let halt = stop.child_token();
        let fatal = Arc::new(Mutex::new(None));
        let mut workers = Workers::new();
        workers.add::<AssessView, _>(Assessor {
            ledger: self.clone(),
            handler: Arc::clone(&handler),
            name: how.worker_name.clone(),
            job_timeout: how.job_timeout,
            halt: halt.clone(),
            fatal: Arc::clone(&fatal),
        })?;
        let client = client(&self.pool, &how, workers)?;
        let mut running = client.start_with_graceful_stop(halt.clone().cancelled_owned())?;

        let mut tick = tokio::time::interval(REFRESH);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut upkeep = Upkeep::default();
        let ended = loop {
            tokio::select! {
                ended = running.wait() => break ended,
                _ = tick.tick() => {
                    if let Err(error) = upkeep.round(self, &*handler).await {
                        tracing::error!(%error, "the ledger cannot be written, the worker stops");
                        fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        halt.cancel();
                    }
                }
            }
        };
        let fatal = fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = fatal {
            return Err(error);
        }
        ended?;
        self.refresh_changes(&*handler).await?;
        Ok(())
    }
}

/// What a worker does beside its photos.
#[derive(Debug, Default)]
struct Upkeep {
    round: u32,
    sit_out: u32,
}

impl Upkeep {
    /// One round; an error only when all further work is useless.
    async fn round(&mut self, ledger: &Ledger, handler: &dyn Handler) -> Result<(), LedgerError> {
        self.round = self.round.wrapping_add(1);
        if self.round.is_multiple_of(REDISPATCH_ROUNDS)
            && let Err(error) = ledger.redispatch().await
        {
            if error.is_fatal() {
                return Err(error);
            }
            tracing::warn!(%error, "lost jobs could not be looked for");
        }
        if self.sit_out > 0 {
            self.sit_out -= 1;
        } else if let Err(error) = ledger.refresh_changes(handler).await {
            if error.is_fatal() {
                return Err(error);
            }
            tracing::warn!(%error, "changes could not be computed, trying again later");
            self.sit_out = REFRESH_SITS_OUT;
        }
        Ok(())
    }
}

fn builder(pool: &Pool) -> ClientBuilder {
    match pool {
        Pool::Sqlite(pool) => Client::builder(pool.clone()),
        Pool::Postgres(pool) => Client::builder(pool.clone()),
    }
}

fn client(pool: &Pool, how: &WorkSettings, workers: Workers) -> Result<Client, LedgerError> {
    let maintenance = MaintenanceConfig::default()
        .with_rescue_after(how.job_timeout + Duration::from_secs(10))
        .with_rescuer_interval(Duration::from_secs(5))
        .with_scheduler_interval(Duration::from_secs(1))
        .with_elect_interval(Duration::from_secs(2))
        .with_completed_job_retention(Retention::DeleteAfter(Duration::from_secs(14 * 24 * 3600)))
        .with_discarded_job_retention(Retention::Keep);
    let photos = QueueConfig::new(how.workers.max(1))
        .with_fetch_cooldown(Duration::from_millis(20))
        .with_fetch_poll_interval(Duration::from_millis(500));
    let client = builder(pool)
        .id(client_id(&how.worker_name))
        .workers(workers)
        .queue(queue(Some(how.source)), photos)
        .fetch_cooldown(Duration::from_millis(20))
        .default_max_attempts(MAX_ATTEMPTS)
        .job_timeout(how.job_timeout)
        .soft_stop_timeout(SOFT_STOP)
        .maintenance(maintenance)
        .build()?;
    Ok(client)
}

/// Unique per started client, at most 100 bytes: two clients of one name would renew each other's lease.
fn client_id(name: &str) -> String {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(48).collect();
    let started = jiff::Timestamp::now().as_nanosecond();
    format!("{name}_{}_{started:x}", std::process::id())
}

/// Seconds double with each attempt, up to a minute.
fn pause(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.clamp(0, 16)).unwrap_or(0);
    Duration::from_secs(1_u64 << doublings).min(LONGEST_PAUSE)
}

/// The error of an attempt that is to be repeated.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
struct Again {
    after: Duration,
    detail: String,
}

/// Works one job: start, assess, finish.
struct Assessor {
    ledger: Ledger,
    handler: Arc<dyn Handler>,
    name: String,
    job_timeout: Duration,
    /// Cancelled when this client is to stop, by its caller or by a fatal error.
    halt: CancellationToken,
    fatal: Arc<Mutex<Option<LedgerError>>>,
}

/// One attempt at a run.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    run_id: i64,
    job_id: i64,
    starts: u32,
    is_last: bool,
    number: i32,
    begun: Instant,
}

impl Worker<AssessView> for Assessor {
    type Error = BoxError;

    /// Also asked for attempts that panicked or were rescued; these wait by the same rule.
    fn next_retry(
        &self,
        job: &Job<AssessView>,
        error: &WorkError,
        _now: riverqueue::jiff::Timestamp,
    ) -> Option<Duration> {
        let after = error.downcast_ref::<Again>().map_or_else(|| pause(job.row.attempt), |again| again.after);
        Some(after)
    }

    async fn work(&self, context: WorkContext, job: Job<AssessView>) -> Result<WorkOutcome, BoxError> {
        let begun = Instant::now();
        let started = self.ledger.start_run(&*self.handler, job.args.run_id, job.id(), &self.name).await;
        let run = match started {
            Ok(Begun::Run(run)) => run,
            Ok(Begun::Nothing) => return Ok(WorkOutcome::Complete),
            Err(error) => return Err(self.trouble(error)),
        };
        let attempt = Attempt {
            run_id: run.run_id,
            job_id: job.id(),
            starts: run.starts,
            is_last: job.row.attempt >= job.row.max_attempts,
            number: job.row.attempt,
            begun,
        };
        let assessed = tokio::select! {
            biased;
            assessed = AssertUnwindSafe(self.handler.assess(&run)).catch_unwind() => assessed,
            () = context.cancellation_token().cancelled() => return self.stopped(attempt).await,
        };
        self.settle(attempt, assessed).await
    }
}

impl Assessor {
    async fn settle(
        &self,
        attempt: Attempt,
        assessed: Result<Result<Verdict, HandlerError>, Box<dyn Any + Send>>,
    ) -> Result<WorkOutcome, BoxError> {
        let outcome = match assessed {
            Ok(outcome) => outcome,
            Err(panic) => Err(HandlerError::Failed(format!("panicked: {}", panic_text(&*panic)))),
        };
        match outcome {
            Ok(verdict) => self.end(attempt, &Ending::of(verdict, attempt.begun.elapsed())).await,
            Err(HandlerError::Transient(detail)) => self.repeat(attempt, Setback::Transient, detail).await,
            Err(HandlerError::Crashed(detail)) if attempt.starts >= MAX_STARTS => {
                self.end(attempt, &Ending::crashed(&detail, attempt.begun.elapsed())).await
            }
            Err(HandlerError::Crashed(detail)) => self.repeat(attempt, Setback::Crashed, detail).await,
            Err(HandlerError::Failed(detail)) => self.failed(attempt, detail).await,
            Err(HandlerError::Cancelled) => self.interrupted(attempt).await,
        }
    }

    /// Writes the end of a run and completes its job, in one transaction.
    async fn end(&self, attempt: Attempt, ending: &Ending) -> Result<WorkOutcome, BoxError> {
        match self.finish(attempt, ending, JobEnd::Complete).await {
            Ok(()) => Ok(WorkOutcome::Complete),
            Err(error) if error.is_transient() && !attempt.is_last => {
                self.repeat(attempt, Setback::Transient, error.to_string()).await
            }
            Err(error @ LedgerError::Bug(_)) => self.failed(attempt, error.to_string()).await,
            Err(error) => Err(self.trouble(error)),
        }
    }

    /// A bug: the third time is the last.
    async fn failed(&self, attempt: Attempt, detail: String) -> Result<WorkOutcome, BoxError> {
        if attempt.starts >= MAX_STARTS || attempt.is_last {
            return self.give_up(attempt, detail).await;
        }
        self.repeat(attempt, Setback::Failed, detail).await
    }

    async fn give_up(&self, attempt: Attempt, detail: String) -> Result<WorkOutcome, BoxError> {
        let ending = Ending::failed(detail, attempt.begun.elapsed());
        match self.finish(attempt, &ending, JobEnd::Discard).await {
            Ok(()) => Ok(WorkOutcome::Discard),
            Err(error) => Err(self.trouble(error)),
        }
    }

    /// A run that was cancelled or superseded while it was read keeps that state: its verdict is of no use any more.
    async fn finish(&self, attempt: Attempt, ending: &Ending, job: JobEnd) -> Result<(), LedgerError> {
        let written = self.ledger.finish_run(&*self.handler, attempt.run_id, attempt.job_id, ending, job).await?;
        if written {
            ending.log(attempt.run_id);
        }
        Ok(())
    }

    /// Puts the run back for another attempt, if the engine grants one.
    async fn repeat(&self, attempt: Attempt, setback: Setback, detail: String) -> Result<WorkOutcome, BoxError> {
        if attempt.is_last {
            return self.give_up(attempt, format!("gave up after {} tries: {detail}", attempt.number)).await;
        }
        tracing::warn!(
            run_id = attempt.run_id,
            attempt = attempt.number,
            setback = setback.name(),
            error = %detail,
            "run {} is tried again",
            attempt.run_id
        );
        self.put_back(attempt, setback, &detail).await?;
        let after = match setback {
            Setback::Transient => pause(attempt.number),
            Setback::Crashed | Setback::Failed | Setback::Interrupted => SHORT_PAUSE,
        };
        Err(Box::new(Again { after, detail }))
    }

    async fn put_back(&self, attempt: Attempt, setback: Setback, detail: &str) -> Result<(), BoxError> {
        self.ledger
            .put_back(attempt.run_id, attempt.job_id, setback, &self.name, detail)
            .await
            .map_err(|error| self.trouble(error))
    }

    /// The attempt's token fired: this process ends, it took too long, or somebody cancelled the job.
    async fn stopped(&self, attempt: Attempt) -> Result<WorkOutcome, BoxError> {
        if self.halt.is_cancelled() {
            return self.interrupted(attempt).await;
        }
        if attempt.begun.elapsed() + TIMEOUT_SLACK >= self.job_timeout {
            let detail = format!("no verdict within {} s", self.job_timeout.as_secs());
            return self.failed(attempt, detail).await;
        }
        let cancelled = self.ledger.cancel_running(attempt.run_id, attempt.job_id).await;
        Err(cancelled.map_or_else(|error| self.trouble(error), |()| WorkCancelled.into()))
    }

    /// Somebody took the photo out of our hands: neither start nor, while stopping, attempt count.
    async fn interrupted(&self, attempt: Attempt) -> Result<WorkOutcome, BoxError> {
        if !self.halt.is_cancelled() {
            return self.repeat(attempt, Setback::Interrupted, "interrupted".to_owned()).await;
        }
        self.put_back(attempt, Setback::Interrupted, "the worker stopped").await?;
        Err(WorkCancelled.into())
    }

    /// An error of the ledger itself. One that makes all further work useless stops the client.
    fn trouble(&self, error: LedgerError) -> BoxError {
        if !error.is_fatal() {
            tracing::warn!(%error, "a run could not be written, it is tried again");
            return Box::new(error);
        }
        tracing::error!(%error, "the ledger cannot be written, the worker stops");
        let text = error.to_string();
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.halt.cancel();
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds: Vec<u64> = (1..=8).map(|attempt| pause(attempt).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_client_id_fits_whatever_the_name() {
        let id = client_id(&"näme ".repeat(50));
        assert!(id.is_ascii() && id.len() <= 100, "{id}");
    }
}
