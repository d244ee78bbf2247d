//! Working on what is planned: beside a sweep, or by itself for as long as it is wanted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cicatrix_ledger::{Counts, Ledger, Schedule, SourceId, WorkSettings, patiently};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::night::{Ending, Progress};

/// Shortest pause between two looks at the counts.
const LOOK: Duration = Duration::from_millis(200);
/// Longest one: the end is not noticed sooner.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// Of the time one look takes, so that looking costs a hundredth, however much there is.
const LOOK_SHARE: u32 = 100;
/// A photo takes seconds: what takes longer than this is a hanging store or a bug, and counts as a failed start. Short, for a
/// worker that died is missed by its age alone.
const JOB_TIMEOUT: Duration = Duration::from_secs(60);

/// Who works, on how many photos at once, and by which rules.
#[derive(Debug, Clone)]
pub struct Crew {
    pub workers: usize,
    /// Shown beside each run: which process did it.
    pub name: String,
    pub schedule: Schedule,
    /// Nothing is begun after it.
    pub deadline: Option<Timestamp>,
}

impl Crew {
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Timestamp::now() >= deadline)
    }
}

/// A worker without a sweep: what is planned is somebody else's to say.
#[derive(Debug)]
pub struct Shift {
    pub ledger: Ledger,
    pub desk: Arc<Desk>,
    pub crew: Crew,
    /// The source, as the ledger names it.
    pub place: String,
    /// Stop when nothing is left to do.
    pub drain: bool,
}

impl Shift {
    /// Works until `stop` is cancelled or, where that was asked, nothing is open. What is in work at the stop is finished
    /// within 20 s or given back. Gives how it ended, where the runs stand, and the same without what is off the lists.
    pub async fn run(self, stop: CancellationToken, tell: impl Fn(Progress)) -> anyhow::Result<(Ending, [Counts; 2])> {
        let lock = self.ledger.exclusive()?;
        patiently(|| self.ledger.recover_orphans(&lock)).await?;
        let calibration = self.desk.calibration();
        patiently(|| self.ledger.recalibrate(&calibration)).await?;
        let source = patiently(|| self.ledger.source(&self.place)).await?;
        if patiently(|| self.ledger.counts(Some(source))).await?.total() == 0 {
            let place = &self.place;
            tracing::warn!("nothing is planned of {place} yet: 'cicatrix scan' plans what is there");
        }
        let halt = stop.child_token();
        let lead = async {
            let mut watch = Watch::new(&self.ledger, &self.desk, source);
            let mut was_held = false;
            loop {
                let open = watch.look(&halt, &tell).await?;
                let is_held = open.unfinished() > 0 && open.ready + open.running == 0;
                if is_held && !was_held {
                    let n = open.unfinished();
                    tracing::warn!(
                        "{n} photos are left and all are held by a pause or a closed window: waiting for it"
                    );
                }
                was_held = is_held;
                let is_over = self.drain && open.unfinished() == 0 || self.crew.is_late();
                if is_over || halt.is_cancelled() {
                    return Ok(open.unfinished() > 0 && !halt.is_cancelled());
                }
                watch.pause(&halt).await;
            }
        };
        let is_late = beside(&self.ledger, &self.desk, &self.crew, source, &halt, lead).await?;
        let counts = self.ledger.counts(Some(source)).await?;
        let listed = self.ledger.on_lists(source, counts).await?;
        drop(lock);
        self.ledger.close().await;
        let ending = match (stop.is_cancelled() && counts.unfinished() > 0, is_late) {
            (true, _) => Ending::Interrupted,
            (false, true) => Ending::Late,
            (false, false) => Ending::Done,
        };
        Ok((ending, [counts, listed]))
    }
}

/// Works on a source's photos while something leads. Either side ends the other: the lead when nothing is left, the work when
/// it cannot go on. Where the work has failed, the lead is not waited for.
pub(crate) async fn beside<T>(
    ledger: &Ledger,
    desk: &Arc<Desk>,
    crew: &Crew,
    source: SourceId,
    halt: &CancellationToken,
    lead: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let (protocol_digest, program_version) = desk.method();
    let how = WorkSettings {
        source,
        protocol_digest,
        program_version,
        workers: crew.workers,
        worker_name: crew.name.clone(),
        job_timeout: JOB_TIMEOUT,
        schedule: crew.schedule.clone(),
    };
    let work = async {
        let handler: Arc<dyn cicatrix_ledger::Handler> = desk.clone();
        let worked = ledger.work(handler, how, halt.clone()).await;
        halt.cancel();
        worked
    };
    let lead = async {
        let led = lead.await;
        halt.cancel();
        led
    };
    tokio::pin!(work, lead);
    tokio::select! {
        worked = &mut work => {
            worked?;
            lead.await
        }
        led = &mut lead => {
            work.await?;
            led
        }
    }
}

/// Looks at the counts now and then: often at what is open, which is cheap, and seldom at all there is.
pub(crate) struct Watch<'a> {
    ledger: &'a Ledger,
    desk: &'a Desk,
    source: SourceId,
    pause: Duration,
    tell_next: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(ledger: &'a Ledger, desk: &'a Desk, source: SourceId) -> Self {
        Self { ledger, desk, source, pause: LOOK, tell_next: Instant::now() }
    }

    /// What is open; an error where the desk or the database cannot go on. One that restarts is waited for, until the stop.
    pub(crate) async fn look(&mut self, stop: &CancellationToken, tell: &impl Fn(Progress)) -> anyhow::Result<Counts> {
        let open = loop {
            let begun = Instant::now();
            match self.ledger.open_counts(Some(self.source)).await {
                Ok(open) => {
                    self.desk.meter().beat();
                    self.pause = (begun.elapsed() * LOOK_SHARE).clamp(LOOK, LONGEST_LOOK);
                    break open;
                }
                Err(error) if error.is_transient() && !stop.is_cancelled() => {
                    tracing::warn!(%error, "the counts could not be read, trying again");
                    self.pause = LONGEST_LOOK;
                    self.pause(stop).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        if let Some(trouble) = self.desk.trouble() {
            return Err(trouble.into());
        }
        if Instant::now() >= self.tell_next || open.unfinished() == 0 {
            let begun = Instant::now();
            if let Ok(counts) = self.ledger.counts(Some(self.source)).await {
                tell(Progress::Counts { counts, swept: true });
            }
            self.tell_next = Instant::now() + (begun.elapsed() * LOOK_SHARE).max(LOOK);
        }
        Ok(open)
    }

    pub(crate) async fn pause(&self, stop: &CancellationToken) {
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = stop.cancelled() => {}
        }
    }
}
