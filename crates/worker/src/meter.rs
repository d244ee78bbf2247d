//! What a worker measures of itself, as Prometheus reads it: counters and times of this process, and where the whole ledger
//! stands. Labels are stages, clinics, reasons and outcomes; never a patient or a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use cicatrix_ledger::{Counts, Ledger, LedgerError, SourceId, State, WorkEvent};
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, String)>;
type Level = Gauge<f64, AtomicU64>;
type Times = Family<Labels, Histogram, fn() -> Histogram>;

/// Bounds of times, seconds: a request takes milliseconds, a large photo half a minute.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// Bounds of residuals, mm.
const MILLIMETRES: [f64; 9] = [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];
/// How a store answers.
pub(crate) const CODES: [&str; 5] = ["ok", "not_found", "denied", "unavailable", "other"];
/// What a new photo moves a mean.
const DRIFT_STEP: f64 = 0.05;

/// The meters of a process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Meter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    jobs: Family<Labels, Counter>,
    stages: Times,
    photos: Family<Labels, Counter>,
    retakes: Family<Labels, Counter>,
    quarantined: Family<Labels, Counter>,
    restarts: Family<Labels, Counter>,
    residual: Histogram,
    drift: Family<Labels, Level>,
    requests: Family<Labels, Counter>,
    request_times: Times,
    transactions: Histogram,
    memory: Family<Labels, Gauge>,
    busy: Gauge,
    store_out: Gauge,
    queue: Family<Labels, Gauge>,
    oldest_ready: Level,
    paused: Gauge,
    deadline: Level,
    eta: Level,
    last_scan: Level,
    successes: Family<Labels, Level>,
    knows_successes: AtomicBool,
    /// When the work was last seen to go round, seconds since 1970.
    beat: AtomicI64,
}

impl Default for Meter {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("cicatrix");
        let times: fn() -> Histogram = || Histogram::new(SECONDS);
        let inner = Inner {
            jobs: Family::default(),
            stages: Family::new_with_constructor(times),
            photos: Family::default(),
            retakes: Family::default(),
            quarantined: Family::default(),
            restarts: Family::default(),
            residual: Histogram::new(MILLIMETRES),
            drift: Family::default(),
            requests: Family::default(),
            request_times: Family::new_with_constructor(times),
            transactions: times(),
            memory: Family::default(),
            busy: Gauge::default(),
            store_out: Gauge::default(),
            queue: Family::default(),
            oldest_ready: Level::default(),
            paused: Gauge::default(),
            deadline: Level::default(),
            eta: Level::default(),
            last_scan: Level::default(),
            successes: Family::default(),
            knows_successes: AtomicBool::new(false),
            beat: AtomicI64::new(Timestamp::now().as_second()),
            registry: Registry::default(),
        };
        registry.register("jobs", "Tries of photos by how they ended", inner.jobs.clone());
        let unit = || Unit::Seconds;
        registry.register_with_unit(
            "job_duration",
            "Time that a photo spends in a stage",
            unit(),
            inner.stages.clone(),
        );
        registry.register("photos", "Photos that this process ended, by outcome", inner.photos.clone());
        registry.register("photos_retake", "Photos to take again, by reason", inner.retakes.clone());
        registry.register("photos_quarantined", "Files set aside, by reason", inner.quarantined.clone());
        registry.register("pixel_process_restarts", "Pixel processes that had to be replaced", inner.restarts.clone());
        registry.register("alignment_residual_mm", "95th percentile of a photo's residual", inner.residual.clone());
        registry.register(
            "score_reference_drift_ratio",
            "Contrast of healthy skin against the baseline's, moving mean; 1 is no drift",
            inner.drift.clone(),
        );
        registry.register("store_requests", "Requests to object stores, by answer", inner.requests.clone());
        registry.register_with_unit(
            "store_request_duration",
            "Time of a request to an object store",
            unit(),
            inner.request_times.clone(),
        );
        registry.register_with_unit(
            "ledger_transaction_duration",
            "Time of a transaction that starts or ends a photo",
            unit(),
            inner.transactions.clone(),
        );
        registry.register_with_unit(
            "memory_permits",
            "Memory that photos in work may take, and take",
            Unit::Bytes,
            inner.memory.clone(),
        );
        registry.register("workers_busy", "Photos in work in this process", inner.busy.clone());
        registry.register("store_out", "1 while an object store is held to be out", inner.store_out.clone());
        registry.register("queue_jobs", "Open runs in the ledger, by state", inner.queue.clone());
        registry.register_with_unit(
            "queue_oldest_ready_age",
            "Age of the run that could have been begun longest ago",
            unit(),
            inner.oldest_ready.clone(),
        );
        registry.register("paused", "1 while all work is paused", inner.paused.clone());
        registry.register_with_unit(
            "night_deadline_timestamp",
            "When the night is to be over; 0 without a deadline",
            unit(),
            inner.deadline.clone(),
        );
        registry.register_with_unit(
            "night_eta_timestamp",
            "When all is done at this pace; 0 while nothing moves",
            unit(),
            inner.eta.clone(),
        );
        registry.register_with_unit(
            "last_scan_timestamp",
            "When the last sweep over the source ended that saw all it was to see; 0 before the first",
            unit(),
            inner.last_scan.clone(),
        );
        registry.register_with_unit(
            "last_success_timestamp",
            "When a photo of a clinic was last measured",
            unit(),
            inner.successes.clone(),
        );
        // What counts from nothing is there from the beginning, so that its first rise is seen.
        for stage in ["fetch", "pixels", "pictures", "ledger", "whole"] {
            for outcome in ["done", "failed"] {
                let labels = vec![("stage", stage.to_owned()), ("outcome", outcome.to_owned())];
                drop(inner.jobs.get_or_create(&labels));
            }
        }
        for op in ["get", "put", "list", "check"] {
            for code in CODES {
                drop(inner.requests.get_or_create(&vec![("op", op.to_owned()), ("code", code.to_owned())]));
            }
        }
        for cause in ["died", "memory", "too_long"] {
            drop(inner.restarts.get_or_create(&label("cause", cause)));
        }
        let version = Family::<Labels, Gauge>::default();
        version.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        registry.register("build_info", "The program", version);
        Self { inner: Arc::new(Inner { registry, ..inner }) }
    }
}

fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

impl Meter {
    /// All meters, as OpenMetrics writes them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &self.inner.registry);
        text
    }

    /// Reads where the ledger stands, of a source.
    pub async fn read(
        &self,
        ledger: &Ledger,
        source: SourceId,
        deadline: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        let counts = ledger.open_counts(Some(source)).await?;
        self.queue(&counts);
        let now = Timestamp::now();
        let oldest = ledger.oldest_ready(source).await?;
        self.inner.oldest_ready.set(oldest.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0)));
        let pauses = ledger.pauses().await?;
        self.inner.paused.set(i64::from(pauses.iter().any(|pause| pause.clinic.is_none())));
        let eta = ledger.pace_of(source).await?.eta();
        let eta = eta.filter(|_| counts.ready + counts.running > 0 || counts.unfinished() == 0);
        self.inner.eta.set(eta.map_or(0.0, seconds));
        self.inner.deadline.set(deadline.map_or(0.0, seconds));
        self.inner.last_scan.set(ledger.last_sweep(source).await?.map_or(0.0, seconds));
        // What others measured before; what this process measures it counts itself.
        if !self.inner.knows_successes.swap(true, Ordering::Relaxed) {
            for (clinic, at) in ledger.last_successes(source).await? {
                let gauge = self.inner.successes.get_or_create(&label("clinic", clinic));
                gauge.set(gauge.get().max(seconds(at)));
            }
        }
        Ok(())
    }

    fn queue(&self, counts: &Counts) {
        for state in State::ALL.into_iter().filter(|state| state.is_unfinished()) {
            let open = i64::try_from(counts.of(state)).unwrap_or(i64::MAX);
            self.inner.queue.get_or_create(&label("state", state.name())).set(open);
        }
    }

    /// How long ago the work was last seen to go round.
    pub fn silent_for(&self) -> Duration {
        let since = Timestamp::now().as_second() - self.inner.beat.load(Ordering::Relaxed);
        Duration::from_secs(u64::try_from(since).unwrap_or(0))
    }

    pub(crate) fn beat(&self) {
        self.inner.beat.store(Timestamp::now().as_second(), Ordering::Relaxed);
    }

    pub(crate) fn tell(&self, event: &WorkEvent<'_>) {
        let inner = &self.inner;
        match event {
            WorkEvent::Ended { clinic, state, reason } => {
                self.job("whole", *state != State::Failed);
                let clinic_label = ("clinic", (*clinic).to_owned());
                inner.photos.get_or_create(&vec![("outcome", state.name().to_owned()), clinic_label]).inc();
                if *state == State::Measured {
                    self.inner.successes.get_or_create(&label("clinic", *clinic)).set(seconds(Timestamp::now()));
                }
                let by_reason = match state {
                    State::NotMeasurable => &inner.retakes,
                    State::Quarantined => &inner.quarantined,
                    _ => return,
                };
                let reason = reason.map_or("", cicatrix_model::Reason::code);
                by_reason.get_or_create(&vec![("reason", reason.to_owned()), ("clinic", (*clinic).to_owned())]).inc();
            }
            WorkEvent::Setback => self.job("whole", false),
            WorkEvent::Wrote { took, good } => {
                inner.transactions.observe(took.as_secs_f64());
                self.stage("ledger", *took, *good);
            }
        }
    }

    /// A photo has been in a stage for so long; `good`, if that led to something.
    pub(crate) fn stage(&self, stage: &'static str, took: Duration, good: bool) {
        self.inner.stages.get_or_create(&label("stage", stage)).observe(took.as_secs_f64());
        self.job(stage, good);
    }

    pub(crate) fn whole(&self, took: Duration) {
        self.inner.stages.get_or_create(&label("stage", "whole")).observe(took.as_secs_f64());
    }

    fn job(&self, stage: &'static str, good: bool) {
        let outcome = if good { "done" } else { "failed" };
        self.inner.jobs.get_or_create(&vec![("stage", stage.to_owned()), ("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn requested(&self, op: &'static str, code: &'static str, took: Duration) {
        self.inner.requests.get_or_create(&vec![("op", op.to_owned()), ("code", code.to_owned())]).inc();
        self.inner.request_times.get_or_create(&label("op", op)).observe(took.as_secs_f64());
    }

    /// A pixel process died of a photo, or was killed for it.
    pub(crate) fn restarted(&self, cause: &'static str) {
        self.inner.restarts.get_or_create(&label("cause", cause)).inc();
    }

    pub(crate) fn memory(&self, kind: &'static str, bytes: u64) {
        self.inner.memory.get_or_create(&label("kind", kind)).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn store_out(&self, out: bool) {
        self.inner.store_out.set(out.into());
    }

    /// A photo is in work until this is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.inner.busy.inc();
        Busy(self.inner.busy.clone())
    }

    pub(crate) fn measured(&self, residual_mm: Option<f64>) {
        if let Some(residual) = residual_mm.filter(|mm| mm.is_finite()) {
            self.inner.residual.observe(residual);
        }
    }

    /// The contrast of healthy skin in one photo against that of the baseline's.
    pub(crate) fn drifted(&self, clinic: &str, ratio: f64) {
        let gauge = self.inner.drift.get_or_create(&label("clinic", clinic));
        let mean = if gauge.get() > 0.0 { gauge.get() } else { 1.0 };
        gauge.set(mean + DRIFT_STEP * (ratio - mean));
    }
}

/// A photo that is in work.
#[derive(Debug)]
pub(crate) struct Busy(Gauge);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_have_the_names_of_the_contract_and_no_patient() {
        let meter = Meter::default();
        let clinic = "c-1".to_owned();
        meter.tell(&WorkEvent::Ended {
            clinic: &clinic,
            state: State::NotMeasurable,
            reason: Some(cicatrix_model::Reason::Blur),
        });
        meter.tell(&WorkEvent::Wrote { took: Duration::from_millis(3), good: true });
        meter.requested("get", "ok", Duration::from_millis(30));
        meter.memory("budget", 1 << 30);
        meter.drifted("c-1", 2.0);
        drop(meter.busy());
        let text = meter.text();
        for line in [
            "cicatrix_jobs_total{stage=\"whole\",outcome=\"done\"} 1",
            "cicatrix_jobs_total{stage=\"whole\",outcome=\"failed\"} 0",
            "cicatrix_photos_retake_total{reason=\"blur\",clinic=\"c-1\"} 1",
            "cicatrix_store_requests_total{op=\"get\",code=\"ok\"} 1",
            "cicatrix_memory_permits_bytes{kind=\"budget\"} 1073741824",
            "cicatrix_score_reference_drift_ratio{clinic=\"c-1\"} 1.05",
            "cicatrix_workers_busy 0",
            "cicatrix_ledger_transaction_duration_seconds_count 1",
            "cicatrix_night_eta_timestamp_seconds 0.0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
