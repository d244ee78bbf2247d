//! River, the courier: it says when to try a run, and nothing else. Its types end at this file.
//!
//! Decided here, from the measurements in the design notes:
//! - A job carries the run's id only. A job whose run names another job has nothing to do.
//! - A run gets its job when its turn has come (`dispatch.rs`), so River's tables stay as small as what is worked on next.
//! - Completion goes through the ledger's transaction; River refuses it when the job was taken away meanwhile, and
//!   then everything rolls back.
//! - Rescue goes by age, so every job has a time-out and is rescued 5 s after it.
//! - A try that an outage ended is none: it is put off with growing pauses and counts in the run alone, and not at all while
//!   the whole store is out.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use riverqueue::{
    BoxError, Client, ClientBuilder, InsertOpts, Job, JobArgs, JobState, MaintenanceConfig, QueueConfig, Retention,
    WorkCancelled, WorkContext, WorkError, WorkOutcome, Worker, Workers,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};

use crate::dispatch::{Dispatcher, Stamp};
use crate::finish::{Ending, JobEnd};
use crate::sql::{Pool, Tx, query, query_scalar};
use crate::start::{Begun, MAX_STARTS, Setback};
use crate::{
    Handler, HandlerError, Ledger, LedgerError, SourceId, Verdict, WorkEvent, WorkSettings, panic_text, patiently,
};

pub(crate) const KIND: &str = "assess_view";
/// Tries of one job, outages not included.
const MAX_ATTEMPTS: i32 = 8;
/// So often may the store refuse one photo while it serves others.
const MAX_SETBACKS: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Pause before a run whose start counted is tried again.
const SHORT_PAUSE: Duration = Duration::from_millis(500);
const SOFT_STOP: Duration = Duration::from_secs(20);
/// After which a stop is not waited for any longer: without a database the engine would try for ever.
const HARD_STOP: Duration = Duration::from_secs(22);
/// For what a worker writes when its photos are done; after the soft stop all has to be over in 30 s. What it leaves, such as
/// changes that wait to be computed, is the next one's.
const LAST_WORDS: Duration = Duration::from_secs(6);
/// The engine's clock of a time-out starts a little before ours.
const TIMEOUT_SLACK: Duration = Duration::from_secs(1);
/// How often changes that no finishing run will compute are looked for.
const REFRESH: Duration = Duration::from_secs(1);
/// Rounds after which runs are looked for whose job is lost, a minute.
const REDISPATCH_ROUNDS: u32 = 60;
/// Rounds between two signs of life.
const SIGN_ROUNDS: u32 = 5;
/// Rounds to sit out after the statistics failed, so that the log is not flooded.
const REFRESH_SITS_OUT: u32 = 30;

/// The queue of a source and a method, so that a worker is given no photo of another source, and none that was planned for
/// another protocol or program.
fn queue(source: SourceId, stamp: &Stamp) -> String {
    let method: String = stamp.protocol_digest.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let version: String =
        stamp.program_version.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("photos_{}_{method}_{version}", source.0).to_ascii_lowercase()
}

/// How long a worker waits before it looks again whether a store is back.
const OUT_PAUSE: Duration = Duration::from_secs(2);
/// How long after the time-out of a job its worker is held to be dead.
const RESCUE_SLACK: Duration = Duration::from_secs(5);
/// How often runs whose turn has come are looked for, when nothing else asks for it.
const LOOK: Duration = Duration::from_millis(300);

/// The job: read one photo against its baseline.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AssessView {
    run_id: i64,
}

impl JobArgs for AssessView {
    const KIND: &'static str = KIND;
}

/// Who goes first, whatever the clinic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Somebody asked for it and waits.
    Asked,
    Usual,
    /// Read again for another method; there is a result.
    Again,
}

impl Urgency {
    /// As the ledger and the engine write it: 1 goes first.
    pub(crate) fn rank(self) -> i64 {
        match self {
            Urgency::Asked => 1,
            Urgency::Usual => 2,
            Urgency::Again => 3,
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
        source: SourceId,
        stamp: &Stamp,
        urgency: i64,
    ) -> Result<i64, LedgerError> {
        let opts = InsertOpts::default()
            .with_queue(queue(source, stamp))
            .with_priority(i16::try_from(urgency.clamp(1, 4)).unwrap_or(4))
            .with_max_attempts(MAX_ATTEMPTS);
        let inserted = in_tx!(tx, self.client.insert(AssessView { run_id }).opts(opts))?;
        Ok(inserted.id())
    }

    /// Jobs that a worker may take now.
    pub(crate) async fn available(&self, pool: &Pool, source: SourceId, stamp: &Stamp) -> Result<usize, LedgerError> {
        let n: i64 = query_scalar("SELECT COUNT(*) FROM river_job WHERE state = 'available' AND queue = $1")
            .bind(queue(source, stamp))
            .fetch_one(pool)
            .await?;
        Ok(usize::try_from(n).unwrap_or(0))
    }

    /// Cancels a job; one that runs is told at the commit.
    pub(crate) async fn cancel(&self, tx: &mut Tx, job_id: i64) -> Result<(), LedgerError> {
        match in_tx!(tx, self.client.jobs().cancel(job_id)) {
            Ok(_) | Err(riverqueue::Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
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
        patiently(|| self.redispatch()).await?;
        patiently(|| self.refresh_changes(&*handler)).await?;
        let worker_id = patiently(|| self.sign_in(&how)).await?;

        let halt = stop.child_token();
        let fatal = Arc::new(Mutex::new(None));
        let moved = Arc::new(Notify::new());
        let mut workers = Workers::new();
        workers.add::<AssessView, _>(Assessor {
            ledger: self.clone(),
            handler: Arc::clone(&handler),
            name: how.worker_name.clone(),
            job_timeout: how.job_timeout,
            halt: halt.clone(),
            fatal: Arc::clone(&fatal),
            moved: Arc::clone(&moved),
        })?;
        let client = client(&self.pool, &how, workers)?;
        let mut running = client.start_with_graceful_stop(halt.clone().cancelled_owned())?;

        let mut tick = every(REFRESH);
        let mut look = every(LOOK);
        let mut upkeep = Upkeep { worker_id, round: 0, sit_out: 0 };
        let mut dispatcher = Dispatcher::new(self.clone(), &how);
        let keep = async {
            loop {
                let kept = tokio::select! {
                    ended = running.wait() => return ended.map_err(LedgerError::from),
                    _ = tick.tick() => upkeep.round(self, &*handler).await,
                    _ = look.tick(), if !halt.is_cancelled() => dispatcher.round(&*handler).await,
                    () = moved.notified(), if !halt.is_cancelled() => dispatcher.round(&*handler).await,
                };
                match kept {
                    Ok(()) => {}
                    Err(error) if error.is_fatal() => {
                        tracing::error!(%error, "the ledger cannot be written, the worker stops");
                        fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        halt.cancel();
                    }
                    Err(error) => tracing::warn!(%error, "no photos could be handed out, trying again"),
                }
            }
        };
        let given_up = async {
            halt.cancelled().await;
            tokio::time::sleep(HARD_STOP).await;
        };
        // Whatever is asked of the database meanwhile.
        let ended = tokio::select! {
            ended = keep => ended,
            () = given_up => Err(too_late()),
        };
        let fatal = fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = fatal {
            return Err(error);
        }
        ended?;
        let last = async {
            self.refresh_changes(&*handler).await?;
            self.sign(worker_id, true).await
        };
        tokio::time::timeout(LAST_WORDS, last).await.unwrap_or_else(|_| Err(too_late()))
    }
}

fn too_late() -> LedgerError {
    let text = "the work could not be ended in time; what was in work is taken up again once it is missed";
    LedgerError::Unavailable(text.to_owned())
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// What a worker does beside its photos.
#[derive(Debug)]
struct Upkeep {
    worker_id: i64,
    round: u32,
    sit_out: u32,
}

impl Upkeep {
    /// One round; an error only when all further work is useless.
    async fn round(&mut self, ledger: &Ledger, handler: &dyn Handler) -> Result<(), LedgerError> {
        self.round = self.round.wrapping_add(1);
        if self.round.is_multiple_of(SIGN_ROUNDS)
            && let Err(error) = ledger.sign(self.worker_id, false).await
        {
            if error.is_fatal() {
                return Err(error);
            }
            tracing::warn!(%error, "no sign of life could be given");
        }
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
        .with_rescue_after(how.job_timeout + RESCUE_SLACK)
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
        .queue(queue(how.source, &Stamp::of(how)), photos)
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
    /// Told when a job begins or ends: there may be room for another one.
    moved: Arc<Notify>,
}

/// One attempt at a run.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    run_id: i64,
    job_id: i64,
    /// The run's own count of its starts, by which a late one is known.
    fence: i64,
    starts: u32,
    setbacks: u32,
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
        let span = info_span!("photo", run_id = job.args.run_id, attempt = job.row.attempt);
        self.attempt(context, job).instrument(span).await
    }
}

impl Assessor {
    async fn attempt(&self, context: WorkContext, job: Job<AssessView>) -> Result<WorkOutcome, BoxError> {
        if self.handler.is_out() {
            // Nothing could be fetched: neither a start nor an attempt.
            return Ok(WorkOutcome::Snooze(OUT_PAUSE));
        }
        let begun = Instant::now();
        self.moved.notify_one();
        let starting = self.ledger.start_run(&*self.handler, job.args.run_id, job.id(), &self.name);
        let started = starting.instrument(info_span!("start")).await;
        self.handler.tell(&WorkEvent::Wrote { took: begun.elapsed(), good: started.is_ok() });
        let run = match started {
            Ok(Begun::Run(run)) => run,
            Ok(Begun::Nothing) => return Ok(WorkOutcome::Complete),
            Err(error) => return Err(self.trouble(error)),
        };
        let attempt = Attempt {
            run_id: run.run_id,
            job_id: job.id(),
            fence: run.attempt,
            starts: run.starts,
            setbacks: run.setbacks,
            is_last: job.row.attempt >= job.row.max_attempts,
            number: job.row.attempt,
            begun,
        };
        let waits = Arc::clone(&run.waits);
        let assessed = tokio::select! {
            biased;
            assessed = AssertUnwindSafe(self.handler.assess(&run)).catch_unwind() => assessed,
            () = context.cancellation_token().cancelled() => return self.stopped(attempt, waits.load(Ordering::SeqCst)).await,
        };
        let outcome = self.settle(attempt, assessed).await;
        self.moved.notify_one();
        outcome
    }

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
            Err(HandlerError::Transient(detail)) => self.put_off(attempt, detail).await,
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
            Err(error) if error.is_transient() => self.put_off(attempt, error.to_string()).await,
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
        let fence = (!ending.is_verdict()).then_some(attempt.fence);
        let begun = Instant::now();
        let finishing = self.ledger.finish_run(&*self.handler, (attempt.run_id, attempt.job_id), fence, ending, job);
        let written = finishing.instrument(info_span!("finish")).await;
        self.handler.tell(&WorkEvent::Wrote { took: begun.elapsed(), good: written.is_ok() });
        if let Some(clinic) = written? {
            ending.log(attempt.run_id);
            self.handler.tell(&ending.event(&clinic));
        }
        Ok(())
    }

    /// An outage is no attempt: the run is put off. Where only this photo meets it, not for ever.
    async fn put_off(&self, attempt: Attempt, detail: String) -> Result<WorkOutcome, BoxError> {
        let is_out = self.handler.is_out();
        if !is_out && attempt.setbacks + 1 >= MAX_SETBACKS {
            return self.give_up(attempt, format!("gave up after {MAX_SETBACKS} tries: {detail}")).await;
        }
        tracing::warn!(run_id = attempt.run_id, setbacks = attempt.setbacks, error = %detail, "run {} is put off", attempt.run_id);
        let setback = if is_out { Setback::Outage } else { Setback::Transient };
        self.put_back(attempt, setback, &detail).await?;
        let after = if is_out { OUT_PAUSE } else { pause(i32::try_from(attempt.setbacks + 1).unwrap_or(i32::MAX)) };
        Ok(WorkOutcome::Snooze(after))
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
        Err(Box::new(Again { after: SHORT_PAUSE, detail }))
    }

    async fn put_back(&self, attempt: Attempt, setback: Setback, detail: &str) -> Result<(), BoxError> {
        self.handler.tell(&WorkEvent::Setback);
        self.ledger
            .put_back((attempt.run_id, attempt.fence), setback, &self.name, detail)
            .await
            .map_err(|error| self.trouble(error))
    }

    /// The attempt's token fired: this process ends, it took too long, or somebody cancelled the job.
    async fn stopped(&self, attempt: Attempt, waited: bool) -> Result<WorkOutcome, BoxError> {
        if self.halt.is_cancelled() {
            return self.interrupted(attempt).await;
        }
        if waited {
            // More photos at once than there is memory for: neither a start nor an attempt.
            self.put_back(attempt, Setback::Waited, "there was no room for it").await?;
            return Ok(WorkOutcome::Snooze(SHORT_PAUSE));
        }
        if attempt.begun.elapsed() + TIMEOUT_SLACK >= self.job_timeout {
            let detail = format!("no verdict within {} s", self.job_timeout.as_secs());
            return self.failed(attempt, detail).await;
        }
        let cancelled = self.ledger.cancel_running(attempt.run_id, attempt.fence).await;
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
