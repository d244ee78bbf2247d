//! Working on what is planned: beside a sweep, or by itself for as long as it is wanted.

use std::sync::Arc;
use std::time::Duration;

use cicatrix_ledger::{Counts, Ledger, SourceId, WorkSettings};
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::night::{Ending, Progress};

/// Pause between two looks at the counts.
const LOOK: Duration = Duration::from_millis(200);
/// A photo takes about a second: what takes longer than this is a hanging store or a bug, and counts as a failed start.
const JOB_TIMEOUT: Duration = Duration::from_secs(90);

/// Who works, and on how many photos at once.
#[derive(Debug, Clone)]
pub struct Crew {
    pub workers: usize,
    /// Shown beside each run: which process did it.
    pub name: String,
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
    /// within 20 s or given back.
    pub async fn run(self, stop: CancellationToken, tell: impl Fn(Progress)) -> anyhow::Result<(Ending, Counts)> {
        let lock = self.ledger.exclusive()?;
        self.ledger.recover_orphans(&lock).await?;
        self.ledger.recalibrate(&self.desk.calibration()).await?;
        let source = self.ledger.source(&self.place).await?;
        let halt = stop.child_token();
        let lead = async {
            loop {
                let counts = tell_counts(&self.ledger, &self.desk, source, &tell).await?;
                if (self.drain && counts.unfinished() == 0) || halt.is_cancelled() {
                    return Ok(counts);
                }
                pause(&halt).await;
            }
        };
        let counts = beside(&self.ledger, &self.desk, &self.crew, source, &halt, lead).await?;
        drop(lock);
        self.ledger.close().await;
        let is_cut = stop.is_cancelled() && counts.unfinished() > 0;
        Ok((if is_cut { Ending::Interrupted } else { Ending::Done }, counts))
    }
}

/// Works on a source's photos while something leads. Either side ends the other: the lead when nothing is left, the work when
/// it cannot go on.
pub(crate) async fn beside<T>(
    ledger: &Ledger,
    desk: &Arc<Desk>,
    crew: &Crew,
    source: SourceId,
    halt: &CancellationToken,
    lead: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let how = WorkSettings { source, workers: crew.workers, worker_name: crew.name.clone(), job_timeout: JOB_TIMEOUT };
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
    let (worked, led) = tokio::join!(work, lead);
    worked?;
    led
}

/// Tells the counts; an error where the desk cannot go on.
pub(crate) async fn tell_counts(
    ledger: &Ledger,
    desk: &Desk,
    source: SourceId,
    tell: &impl Fn(Progress),
) -> anyhow::Result<Counts> {
    let counts = ledger.counts(Some(source)).await?;
    tell(Progress::Counts { counts, swept: true });
    match desk.trouble() {
        Some(trouble) => Err(trouble.into()),
        None => Ok(counts),
    }
}

pub(crate) async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(LOOK) => {}
        () = stop.cancelled() => {}
    }
}
