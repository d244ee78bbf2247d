//! One run over a bucket: sweep, work, summarize, stop.
//!
//! Sweep and work go side by side: the first photo is read while the listing still goes on. Everything found is in the
//! ledger before it is worked on, so the run may be cut anywhere and started again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cicatrix_ledger::{Counts, Ledger, PlanSettings, WorkSettings};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::intake::{Found, Intake, SweepCounts};

/// How a night is run.
#[derive(Debug, Clone)]
pub struct NightSettings {
    /// Shown as the source of the night.
    pub source: String,
    pub plan: PlanSettings,
    pub work: WorkSettings,
    /// Sweep and plan, leave the work to others.
    pub scan_only: bool,
}

/// What is told while it runs.
#[derive(Debug, Clone)]
pub enum Progress {
    /// Present counts; `swept` once the listing is through.
    Counts { counts: Counts, swept: bool },
    /// Something the clinic should know of that has no photo row.
    Notice(String),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// Stopped from outside; the rest is done next time.
    Interrupted,
}

/// What a night did.
#[derive(Debug, Clone)]
pub struct Summary {
    pub ending: Ending,
    /// The listing was stopped before its end.
    pub cut: bool,
    pub swept: SweepCounts,
    pub counts: Counts,
    /// Runs that this night planned.
    pub planned: u64,
    /// Objects whose names are not photos' names, with the reason.
    pub bad_keys: Vec<(String, String)>,
    /// Places that could not be read.
    pub problems: Vec<(String, String)>,
}

/// A night in the making.
#[derive(Debug)]
pub struct Night {
    ledger: Ledger,
    intake: Intake,
    desk: Arc<Desk>,
    settings: NightSettings,
}

/// Pause between two looks at the counts.
const LOOK: Duration = Duration::from_millis(200);
/// At most this many bad names and problems are kept word for word.
const MOST_NOTICES: usize = 1000;

impl Night {
    pub fn new(ledger: Ledger, intake: Intake, desk: Arc<Desk>, settings: NightSettings) -> Self {
        Self { ledger, intake, desk, settings }
    }

    /// Runs until everything has a verdict or `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken, tell: impl Fn(Progress)) -> anyhow::Result<Summary> {
        let lock = self.ledger.exclusive()?;
        self.ledger.recover_orphans(&lock).await?;
        let calibration = self.desk.calibration();
        let series = self.ledger.recalibrate(&calibration).await?;
        if series > 0 {
            tracing::info!(series, calibration, "the changes of {series} series are computed again with {calibration}");
        }
        let night = self.ledger.night_begin(&self.settings.source).await?;
        self.settings.plan.night_id = Some(night);
        // Either side ends the other: the lead when nothing is left, the work when it cannot go on.
        let halt = stop.child_token();
        let work = async {
            if self.settings.scan_only {
                return Ok(());
            }
            let handler: Arc<dyn cicatrix_ledger::Handler> = self.desk.clone();
            let worked = self.ledger.work(handler, self.settings.work.clone(), halt.clone()).await;
            halt.cancel();
            worked
        };
        let lead = async {
            let led = self.lead(&halt, &tell).await;
            halt.cancel();
            led
        };
        let (worked, led) = tokio::join!(work, lead);
        worked?;
        let mut summary = led?;
        self.ledger.refresh_changes(self.desk.as_ref()).await?;
        self.ledger.night_end(night).await?;
        summary.counts = self.ledger.unfinished().await?;
        if stop.is_cancelled() && (summary.cut || summary.counts.unfinished() > 0) {
            summary.ending = Ending::Interrupted;
        }
        drop(lock);
        self.ledger.close().await;
        Ok(summary)
    }

    /// Sweeps, then waits until nothing is left to do.
    async fn lead(&self, stop: &CancellationToken, tell: &impl Fn(Progress)) -> anyhow::Result<Summary> {
        let mut summary = self.sweep(stop, tell).await?;
        if self.settings.scan_only {
            return Ok(summary);
        }
        loop {
            let counts = self.ledger.unfinished().await?;
            tell(Progress::Counts { counts, swept: true });
            if let Some(trouble) = self.desk.trouble() {
                return Err(trouble.into());
            }
            if counts.unfinished() == 0 || stop.is_cancelled() {
                summary.counts = counts;
                return Ok(summary);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn sweep(&self, stop: &CancellationToken, tell: &impl Fn(Progress)) -> anyhow::Result<Summary> {
        let (sink, found) = mpsc::channel(64);
        let listing = async {
            let swept = self.intake.sweep(&sink).await;
            drop(sink);
            swept
        };
        // The receiver lives in this block: if recording fails it goes, and the listing stops by itself.
        let record = async move {
            let (mut found, mut notes) = (found, Notes::default());
            let mut last = std::time::Instant::now();
            while let Some(item) = found.recv().await {
                if stop.is_cancelled() {
                    notes.cut = true;
                    found.close();
                    break;
                }
                self.record(item, &mut notes, tell).await?;
                if last.elapsed() > LOOK {
                    last = std::time::Instant::now();
                    tell(Progress::Counts { counts: self.ledger.unfinished().await?, swept: false });
                }
            }
            anyhow::Ok(notes)
        };
        let (swept, recorded) = tokio::join!(listing, record);
        let notes = recorded.context("failed to record what the sweep found")?;
        Ok(notes.summary(swept?))
    }

    async fn record(&self, item: Found, notes: &mut Notes, tell: &impl Fn(Progress)) -> anyhow::Result<()> {
        match item {
            Found::Session(upload) => {
                self.ledger.record_session(&upload).await?;
            }
            Found::PatientEnd { clinic, patient } => {
                let planned = self.ledger.plan_patient(&clinic, &patient, &self.settings.plan).await?;
                notes.planned += u64::from(planned.ready) + u64::from(planned.waiting) + u64::from(planned.concluded);
            }
            other => {
                if let (Found::Quarantined { key, reason, detail }, Some(night)) = (&other, self.settings.plan.night_id)
                {
                    self.ledger.record_stray(night, key, *reason, detail).await?;
                }
                notes.take(other, tell);
            }
        }
        Ok(())
    }
}

/// Sweeps and says what is there; nothing is recorded, nothing is read.
pub async fn look(intake: &Intake, tell: impl Fn(Progress)) -> anyhow::Result<Summary> {
    let (sink, mut found) = mpsc::channel(64);
    let mut notes = Notes::default();
    let listing = async {
        let swept = intake.sweep(&sink).await;
        drop(sink);
        swept
    };
    let note = async {
        while let Some(item) = found.recv().await {
            notes.take(item, &tell);
        }
    };
    let (swept, ()) = tokio::join!(listing, note);
    Ok(notes.summary(swept?))
}

/// What the sweep says beside sessions.
#[derive(Default)]
struct Notes {
    cut: bool,
    planned: u64,
    bad_keys: Vec<(String, String)>,
    problems: Vec<(String, String)>,
}

impl Notes {
    fn take(&mut self, item: Found, tell: &impl Fn(Progress)) {
        let (kept, place, detail) = match item {
            Found::Quarantined { key, reason, detail } => (&mut self.bad_keys, key, format!("{reason}: {detail}")),
            Found::Problem { place, detail } => (&mut self.problems, place, detail),
            Found::Session(_) | Found::PatientEnd { .. } => return,
        };
        tell(Progress::Notice(format!("{place}: {detail}")));
        if kept.len() < MOST_NOTICES {
            kept.push((place, detail));
        }
    }

    fn summary(self, swept: SweepCounts) -> Summary {
        Summary {
            ending: Ending::Done,
            cut: self.cut,
            swept,
            counts: Counts::default(),
            planned: self.planned,
            bad_keys: self.bad_keys,
            problems: self.problems,
        }
    }
}
