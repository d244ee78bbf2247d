//! One run over a bucket: sweep, work, summarize, stop.
//!
//! Sweep and work go side by side: the first photo is read while the listing still goes on. Everything found is in the
//! ledger before it is worked on, so the run may be cut anywhere and started again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cicatrix_ledger::{Counts, Ledger, LedgerError, PlanSettings, Planned, SessionUpload, SourceId, Unseen};
use cicatrix_model::{ClinicId, PatientId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::intake::{Found, Intake, SweepCounts, photos_listed};
use crate::shift::{Crew, Watch, beside};

/// How a night is run.
#[derive(Debug, Clone)]
pub struct NightSettings {
    /// Another source that has moved here: its sessions are this one's from now on.
    pub moved_from: Option<String>,
    pub plan: PlanSettings,
    pub crew: Crew,
    /// Sweep and plan, leave the work to others.
    pub scan_only: bool,
    /// List from the beginning, though the last sweep was cut.
    pub whole: bool,
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
    /// Stopped by its deadline; the rest is done next time.
    Late,
}

/// What a night did.
#[derive(Debug, Clone)]
pub struct Summary {
    pub ending: Ending,
    /// The listing was stopped before its end.
    pub cut: bool,
    /// It went on where the last one was cut, and looked at what lies before that afterwards.
    pub resumed: bool,
    pub swept: SweepCounts,
    pub counts: Counts,
    /// The same without what somebody has taken off the lists.
    pub listed: Counts,
    /// Regions without a number in photos whose other regions have one.
    pub refused_regions: u64,
    /// Runs that this night planned.
    pub planned: u64,
    /// Sessions that were there before and are not any more.
    pub gone: u64,
    /// Results of photos that are gone and count no longer: another baseline took the place of theirs, or they moved.
    pub dropped: u64,
    /// Objects whose names are not photos' names, with the reason.
    pub bad_keys: Vec<(String, String)>,
    /// Descriptions that could not be used, and patients with too many objects.
    pub problems: Vec<(String, String)>,
    /// Places that could not be listed.
    pub unseen: Vec<(String, String)>,
    /// Patients that belong to other sources, by the name of that source.
    pub refused: BTreeMap<String, u64>,
    /// Nothing is there where there were sessions.
    pub is_emptied: bool,
}

impl Summary {
    fn count(&mut self, planned: Planned) {
        self.planned += planned.runs();
        self.dropped += u64::from(planned.dropped);
    }
}

/// A night in the making.
#[derive(Debug)]
pub struct Night {
    ledger: Ledger,
    intake: Intake,
    desk: Arc<Desk>,
    settings: NightSettings,
}

/// Pause between two tellings while the listing goes on.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// At most this many bad names and problems are kept word for word.
const MOST_NOTICES: usize = 1000;

impl Night {
    pub fn new(ledger: Ledger, intake: Intake, desk: Arc<Desk>, settings: NightSettings) -> Self {
        Self { ledger, intake, desk, settings }
    }

    /// Runs until everything has a verdict or `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken, tell: impl Fn(Progress)) -> anyhow::Result<Summary> {
        let place = self.intake.place();
        let lock = self.ledger.exclusive()?;
        self.ledger.recover_orphans(&lock).await?;
        let calibration = self.desk.calibration();
        let series = self.ledger.recalibrate(&calibration).await?;
        if series > 0 {
            tracing::info!(series, calibration, "the changes of {series} series are computed again with {calibration}");
        }
        let source = self.ledger.source(&place).await?;
        if let Some(from) = &self.settings.moved_from {
            let sessions = self.ledger.move_source(from, source).await?;
            tracing::info!(sessions, "{sessions} sessions of another source are this one's from now on");
        }
        let (night, after) = self.ledger.night_begin(&place, &self.intake.scope(), !self.settings.whole).await?;
        self.settings.plan.night_id = Some(night);
        let halt = stop.child_token();
        let lead = self.lead(source, after.as_deref(), &halt, &tell);
        let mut summary = match self.settings.scan_only {
            true => lead.await?,
            false => beside(&self.ledger, &self.desk, &self.settings.crew, source, &halt, lead).await?,
        };
        self.ledger.refresh_changes(self.desk.as_ref()).await?;
        let saw_all = !summary.cut && summary.unseen.is_empty() && !summary.is_emptied;
        self.ledger.night_end(night, !summary.cut, saw_all).await?;
        summary.counts = self.ledger.counts(Some(source)).await?;
        summary.listed = self.ledger.on_lists(source, summary.counts).await?;
        summary.refused_regions = self.ledger.refused_regions(source).await?;
        if stop.is_cancelled() && (summary.cut || summary.counts.unfinished() > 0) {
            summary.ending = Ending::Interrupted;
        }
        drop(lock);
        self.ledger.close().await;
        Ok(summary)
    }

    /// Sweeps, then waits until nothing is left to do.
    async fn lead(
        &self,
        source: SourceId,
        after: Option<&str>,
        stop: &CancellationToken,
        tell: &impl Fn(Progress),
    ) -> anyhow::Result<Summary> {
        let mut summary = self.sweep(source, after, stop, tell).await?;
        if self.settings.scan_only {
            return Ok(summary);
        }
        let mut watch = Watch::new(&self.ledger, &self.desk, source);
        loop {
            let open = watch.look(stop, tell).await?;
            if open.unfinished() == 0 && !stop.is_cancelled() {
                // What was renamed shows when it is read, and may leave something to do.
                let planned = self.ledger.settle_moved(source, &self.settings.plan).await?;
                summary.count(planned);
                if planned.runs() > 0 {
                    continue;
                }
            }
            if open.unfinished() > 0 && self.settings.crew.is_late() {
                summary.ending = Ending::Late;
                return Ok(summary);
            }
            if open.unfinished() == 0 || stop.is_cancelled() {
                return Ok(summary);
            }
            watch.pause(stop).await;
        }
    }

    async fn sweep(
        &self,
        source: SourceId,
        after: Option<&str>,
        stop: &CancellationToken,
        tell: &impl Fn(Progress),
    ) -> anyhow::Result<Summary> {
        let mut notes = Notes { resumed: after.is_some(), ..Notes::default() };
        self.pass(source, after, None, &mut notes, stop, tell).await?;
        if let Some(after) = after.filter(|_| !notes.cut) {
            // What lies before the cut may be another thing by now.
            self.pass(source, None, Some(after), &mut notes, stop, tell).await?;
        }
        if !notes.cut {
            self.mark_gone(source, &mut notes).await?;
        }
        let listed = notes.listed;
        Ok(notes.summary(listed))
    }

    /// Lists and records from behind one key to another, or to the end.
    async fn pass(
        &self,
        source: SourceId,
        after: Option<&str>,
        until: Option<&str>,
        notes: &mut Notes,
        stop: &CancellationToken,
        tell: &impl Fn(Progress),
    ) -> anyhow::Result<()> {
        let (sink, found) = mpsc::channel(64);
        let listing = async {
            let swept = self.intake.sweep(after, &sink).await;
            drop(sink);
            swept
        };
        // The receiver lives in this block: if recording fails it goes, and the listing stops by itself.
        let record = async move {
            let mut found = found;
            let mut last = std::time::Instant::now();
            while let Some(item) = found.recv().await {
                if stop.is_cancelled() {
                    notes.cut = true;
                    found.close();
                    break;
                }
                let is_over = matches!((&item, until), (Found::Mark { after }, Some(until)) if after.as_str() >= until);
                if is_over {
                    found.close();
                    break;
                }
                self.record(source, item, notes, tell).await?;
                if last.elapsed() > TELL_EVERY {
                    last = std::time::Instant::now();
                    tell(Progress::Counts { counts: self.ledger.counts(Some(source)).await?, swept: false });
                }
            }
            anyhow::Ok(())
        };
        let (swept, recorded) = tokio::join!(listing, record);
        recorded.context("failed to record what the sweep found")?;
        swept?;
        Ok(())
    }

    /// What the sweep did not show is gone, if it could be seen.
    async fn mark_gone(&self, source: SourceId, notes: &mut Notes) -> anyhow::Result<()> {
        let Some(clinics) = self.intake.shows_all_of() else { return Ok(()) };
        if notes.seen.is_empty() && notes.refused.is_empty() {
            notes.is_emptied = self.ledger.counts(Some(source)).await?.total() > 0;
            return Ok(());
        }
        let unseen = Unseen { places: notes.unseen_places.clone(), patients: notes.crowded.clone() };
        let (gone, planned) = self.ledger.mark_gone(source, &notes.seen, &unseen, clinics, &self.settings.plan).await?;
        notes.gone = gone;
        notes.planned.add(planned);
        Ok(())
    }

    async fn record(
        &self,
        source: SourceId,
        item: Found,
        notes: &mut Notes,
        tell: &impl Fn(Progress),
    ) -> anyhow::Result<()> {
        match item {
            Found::Session(upload) => match self.ledger.record_session(source, &upload).await {
                Ok(recorded) => {
                    // A second pass, or a page that was half read, shows what was seen before.
                    if notes.seen.insert(recorded.session_id) {
                        notes.count(&upload);
                    }
                }
                Err(LedgerError::OtherSource { clinic, patient, location }) => {
                    if notes.refused.entry(location).or_default().insert((clinic, patient)) {
                        notes.count(&upload);
                    }
                }
                Err(error) => return Err(error.into()),
            },
            Found::PatientEnd { clinic, patient } => {
                notes.listed.patients += u64::from(std::mem::take(&mut notes.is_news));
                // Another source's patient is planned by nights of that source.
                if !notes.is_refused(&clinic, &patient) {
                    notes.planned.add(self.ledger.plan_patient(&clinic, &patient, &self.settings.plan).await?);
                }
            }
            Found::Mark { after } => {
                if let Some(night) = self.settings.plan.night_id {
                    self.ledger.night_mark(night, &after).await?;
                }
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
        let swept = intake.sweep(None, &sink).await;
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
    resumed: bool,
    planned: Planned,
    gone: u64,
    is_emptied: bool,
    /// What was listed, each thing once.
    listed: SweepCounts,
    /// Something of the patient that is listed was not seen before.
    is_news: bool,
    /// Sessions that the listing showed, 16 bytes each.
    seen: HashSet<i64>,
    bad_keys: Vec<(String, String)>,
    problems: Vec<(String, String)>,
    unseen: Vec<(String, String)>,
    /// All of them, not only those that are kept word for word.
    unseen_places: Vec<String>,
    crowded: HashSet<(ClinicId, PatientId)>,
    refused: BTreeMap<String, BTreeSet<(ClinicId, PatientId)>>,
}

impl Notes {
    fn count(&mut self, upload: &SessionUpload) {
        self.listed.sessions += 1;
        self.listed.photos += photos_listed(upload);
        self.is_news = true;
    }

    fn is_refused(&self, clinic: &ClinicId, patient: &PatientId) -> bool {
        let id = (clinic.clone(), patient.clone());
        self.refused.values().any(|patients| patients.contains(&id))
    }

    fn take(&mut self, item: Found, tell: &impl Fn(Progress)) {
        let kept = match &item {
            Found::Quarantined { .. } => &mut self.bad_keys,
            Found::Unseen { place, .. } => {
                self.unseen_places.push(place.clone());
                &mut self.unseen
            }
            Found::Crowded { clinic, patient, .. } => {
                self.crowded.insert((clinic.clone(), patient.clone()));
                &mut self.problems
            }
            Found::Problem { .. } | Found::Session(_) | Found::PatientEnd { .. } | Found::Mark { .. } => {
                &mut self.problems
            }
        };
        let Some((place, detail)) = item.told() else { return };
        tell(Progress::Notice(format!("{place}: {detail}")));
        if kept.len() < MOST_NOTICES {
            kept.push((place, detail));
        }
    }

    fn summary(self, swept: SweepCounts) -> Summary {
        Summary {
            ending: Ending::Done,
            cut: self.cut,
            resumed: self.resumed,
            swept,
            counts: Counts::default(),
            listed: Counts::default(),
            refused_regions: 0,
            planned: self.planned.runs(),
            gone: self.gone,
            dropped: u64::from(self.planned.dropped),
            bad_keys: self.bad_keys,
            problems: self.problems,
            unseen: self.unseen,
            refused: self.refused.into_iter().map(|(place, patients)| (place, patients.len() as u64)).collect(),
            is_emptied: self.is_emptied,
        }
    }
}
