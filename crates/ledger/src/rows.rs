//! What goes into the ledger and what comes out of it, as plain data, and the trait of the one who does the work.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use cicatrix_model::{
    Change, ClinicId, GateReading, Observation, PatientId, QualityTier, Reason, RegionPolygon, RegionVerdict, Scale,
    Series, SessionKey, Trend, View,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::courier::Urgency;
use crate::{Schedule, SourceId};

/// A session as a scan found it, with all photos that its manifest or listing names.
#[derive(Debug, Clone)]
pub struct SessionUpload {
    pub clinic: ClinicId,
    pub patient: PatientId,
    pub session: SessionKey,
    pub session_no: Option<u32>,
    /// Flagged as the session that all others are compared with.
    pub baseline: bool,
    /// Treatments before this session.
    pub sessions_before: Option<u32>,
    pub days_since_treatment: Option<u32>,
    pub manifest: Option<serde_json::Value>,
    /// What is wrong with the session as a whole; all its photos get this verdict.
    pub problem: Option<(Reason, String)>,
    /// The listing showed all of it, so that a photo which is not here was taken away.
    pub is_whole: bool,
    pub photos: Vec<PhotoUpload>,
}

/// One shot of a session.
#[derive(Debug, Clone)]
pub struct PhotoUpload {
    pub view: View,
    pub shot: u16,
    pub key: String,
    /// What the store calls this content: version id, or ETag.
    pub version: String,
    pub bytes: u64,
    /// What the manifest claims.
    pub sha256: Option<String>,
    pub captured_at: Option<Timestamp>,
    pub px_per_mm: Option<f64>,
    pub regions: Vec<RegionPolygon>,
    /// Known to be bad before any byte is fetched.
    pub refused: Option<(Reason, String)>,
}

/// What `record_session` changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    pub session_id: i64,
    /// The session is new, or its description changed.
    pub session_changed: bool,
    pub photos_added: u32,
    /// Photos that took the place of an older version.
    pub photos_replaced: u32,
    /// Photos whose name or version changed, but not their content.
    pub photos_updated: u32,
    /// Photos that were taken out of the session, or are gone and keep their result.
    pub photos_gone: u32,
}

impl Recorded {
    pub fn changed(&self) -> bool {
        self.session_changed || self.photos_added + self.photos_replaced + self.photos_updated + self.photos_gone > 0
    }
}

/// Under which protocol and program a patient's photos are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSettings {
    pub protocol_id: String,
    pub protocol_digest: String,
    pub program_version: String,
    pub night_id: Option<i64>,
    /// Photos are read again that have a result of another protocol or program and nothing new. Otherwise they keep it.
    pub rescore: bool,
}

impl PlanSettings {
    pub(crate) fn urgency(&self) -> Urgency {
        if self.rescore { Urgency::Again } else { Urgency::Usual }
    }
}

/// What `plan_patient` changed; all zero when there was nothing to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planned {
    /// Runs that can start at once.
    pub ready: u32,
    /// Runs that wait for their baseline.
    pub waiting: u32,
    /// Verdicts that needed no reading.
    pub concluded: u32,
    /// Runs that count again, because protocol or baseline were switched back.
    pub revived: u32,
    /// Runs that no longer count.
    pub retired: u32,
    /// Of these, results of photos that are gone: their baseline is another one now, or they are listed elsewhere.
    pub dropped: u32,
}

impl Planned {
    pub fn changed(&self) -> bool {
        *self != Planned::default()
    }

    pub fn add(&mut self, other: Planned) {
        self.ready += other.ready;
        self.waiting += other.waiting;
        self.concluded += other.concluded;
        self.revived += other.revived;
        self.retired += other.retired;
        self.dropped += other.dropped;
    }

    /// Runs that were planned anew.
    pub fn runs(&self) -> u64 {
        u64::from(self.ready) + u64::from(self.waiting) + u64::from(self.concluded)
    }
}

/// Where a run stands. The names are part of the contract with scripts outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    WaitingForBaseline,
    Scheduled,
    Ready,
    Running,
    Measured,
    NotMeasurable,
    Quarantined,
    Failed,
    Cancelled,
    Superseded,
}

impl State {
    pub const ALL: [State; 10] = [
        State::WaitingForBaseline,
        State::Scheduled,
        State::Ready,
        State::Running,
        State::Measured,
        State::NotMeasurable,
        State::Quarantined,
        State::Failed,
        State::Cancelled,
        State::Superseded,
    ];

    pub fn name(self) -> &'static str {
        match self {
            State::WaitingForBaseline => "waiting_for_baseline",
            State::Scheduled => "scheduled",
            State::Ready => "ready",
            State::Running => "running",
            State::Measured => "measured",
            State::NotMeasurable => "not_measurable",
            State::Quarantined => "quarantined",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Superseded => "superseded",
        }
    }

    /// There is still work to do on it.
    pub fn is_unfinished(self) -> bool {
        matches!(self, State::WaitingForBaseline | State::Scheduled | State::Ready | State::Running)
    }

    /// The end state of a photo that gives no number for this reason.
    pub(crate) fn of(reason: Reason) -> Self {
        if reason.is_quarantine() { State::Quarantined } else { State::NotMeasurable }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        State::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            format!("'{text}' is no state of a run: there are {}", State::ALL.map(State::name).join(", "))
        })
    }
}

/// Current runs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub waiting_for_baseline: u64,
    pub scheduled: u64,
    pub ready: u64,
    pub running: u64,
    pub measured: u64,
    pub not_measurable: u64,
    pub quarantined: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub superseded: u64,
}

impl Counts {
    pub fn of(&self, state: State) -> u64 {
        match state {
            State::WaitingForBaseline => self.waiting_for_baseline,
            State::Scheduled => self.scheduled,
            State::Ready => self.ready,
            State::Running => self.running,
            State::Measured => self.measured,
            State::NotMeasurable => self.not_measurable,
            State::Quarantined => self.quarantined,
            State::Failed => self.failed,
            State::Cancelled => self.cancelled,
            State::Superseded => self.superseded,
        }
    }

    pub fn unfinished(&self) -> u64 {
        State::ALL.into_iter().filter(|state| state.is_unfinished()).map(|state| self.of(state)).sum()
    }

    pub fn total(&self) -> u64 {
        State::ALL.into_iter().map(|state| self.of(state)).sum()
    }

    pub(crate) fn add(&mut self, state: State, n: u64) {
        *self.slot(state) += n;
    }

    pub(crate) fn take(&mut self, state: State, n: u64) {
        let slot = self.slot(state);
        *slot = slot.saturating_sub(n);
    }

    fn slot(&mut self, state: State) -> &mut u64 {
        match state {
            State::WaitingForBaseline => &mut self.waiting_for_baseline,
            State::Scheduled => &mut self.scheduled,
            State::Ready => &mut self.ready,
            State::Running => &mut self.running,
            State::Measured => &mut self.measured,
            State::NotMeasurable => &mut self.not_measurable,
            State::Quarantined => &mut self.quarantined,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
            State::Superseded => &mut self.superseded,
        }
    }
}

/// How this process works.
#[derive(Debug, Clone)]
pub struct WorkSettings {
    /// Whose photos: those of other sources are left to others.
    pub source: SourceId,
    /// What it reads with: what was planned for another protocol or program is left to others.
    pub protocol_digest: String,
    pub program_version: String,
    /// Photos in work at once, at least 1.
    pub workers: usize,
    /// Shown beside each run: which host or process did it.
    pub worker_name: String,
    /// A run that takes longer is stopped and counts as a failed start; 5 s later its worker counts as dead. A photo takes
    /// seconds, so this is a hanging store or a bug.
    pub job_timeout: Duration,
    /// When the photos of each clinic may be read, and how much of the work each gets.
    pub schedule: Schedule,
}

/// A photo as the one who reads it needs it.
#[derive(Debug, Clone)]
pub struct PhotoRef {
    pub id: i64,
    pub key: String,
    pub version: String,
    pub bytes: u64,
    /// What the content must hash to: the manifest's claim, for a baseline else what was read when it was measured.
    pub sha256: Option<String>,
    pub view: View,
    pub shot: u16,
    pub px_per_mm: Option<f64>,
    pub regions: Vec<RegionPolygon>,
}

/// A run whose start is counted and committed.
#[derive(Debug, Clone)]
pub struct StartedRun {
    pub run_id: i64,
    /// This start included.
    pub starts: u32,
    /// Which start of the run this is, ever; a later one makes this one's failures void.
    pub attempt: i64,
    /// Tries that an outage ended.
    pub setbacks: u32,
    pub clinic: ClinicId,
    pub patient: PatientId,
    pub session: SessionKey,
    pub days_since_treatment: Option<u32>,
    pub photo: PhotoRef,
    /// The photo that this one is compared with; the same as `photo` for the baseline itself.
    pub baseline: PhotoRef,
    pub is_baseline: bool,
    /// Set by the handler while the photo waits for room: time that runs out then is not held against it.
    pub waits: Arc<AtomicBool>,
}

/// What became of a photo.
#[derive(Debug, Clone)]
pub enum Verdict {
    Measured {
        content_sha256: String,
        observations: Vec<Observation>,
        regions: Vec<RegionVerdict>,
        readings: Vec<GateReading>,
        /// The worst of its regions' tiers.
        tier: QualityTier,
        /// Of the baseline's photo.
        scale: Scale,
        endpoint_eligible: bool,
        provenance: serde_json::Value,
        /// Names of the pictures that were derived from it.
        derived: serde_json::Value,
        warnings: Vec<Reason>,
    },
    NotMeasurable {
        content_sha256: Option<String>,
        /// The first is the one that is told.
        reasons: Vec<Reason>,
        detail: String,
        readings: Vec<GateReading>,
        provenance: serde_json::Value,
        derived: serde_json::Value,
    },
    Quarantined {
        reason: Reason,
        detail: String,
        content_sha256: Option<String>,
    },
}

/// Why there is no verdict.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HandlerError {
    /// The store or another neighbour is out: tried again with growing pauses, the start does not count.
    #[error("{0}")]
    Transient(String),
    /// A bug: three tries in all, then the run has failed.
    #[error("{0}")]
    Failed(String),
    /// The pixel process died on this photo: the third time quarantines it.
    #[error("{0}")]
    Crashed(String),
    /// Stopped from outside: the start does not count.
    #[error("cancelled")]
    Cancelled,
}

/// What happens at work, for meters.
#[derive(Debug, Clone, Copy)]
pub enum WorkEvent<'a> {
    /// A run ended, and it is committed.
    Ended { clinic: &'a str, state: State, reason: Option<Reason> },
    /// A try ended without a verdict.
    Setback,
    /// A transaction that starts or ends a run was committed, or could not be.
    Wrote { took: Duration, good: bool },
}

/// The one who reads photos and knows the statistics. The ledger calls it; it knows nothing of jobs.
///
/// `assess` may be dropped at any await (shutdown, time-out, cancellation) and must then leave nothing running.
/// `changes`, `trends` and `adjusted` are pure, run inside a write transaction and must be quick.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Nothing can be fetched at the moment, whatever the photo: none is begun, and no try counts.
    fn is_out(&self) -> bool {
        false
    }

    /// Told what happens; must be quick.
    fn tell(&self, _event: &WorkEvent<'_>) {}

    async fn assess(&self, run: &StartedRun) -> Result<Verdict, HandlerError>;
    fn changes(&self, series: &Series) -> Vec<Change>;
    /// Trends of a series whose changes are these.
    fn trends(&self, series: &Series, changes: &[Change]) -> Vec<Trend>;
    /// P-values of one session's tests, adjusted for their number.
    fn adjusted(&self, p_values: &[f64]) -> Vec<f64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_and_is_counted_by_itself() {
        for state in State::ALL {
            assert_eq!(state.name().parse::<State>(), Ok(state));
            let mut counts = Counts::default();
            counts.add(state, 3);
            assert_eq!((counts.of(state), counts.total()), (3, 3));
            assert_eq!(counts.unfinished() == 3, state.is_unfinished());
        }
    }
}
