//! Where a run is worked on: fetch the photo, check it, have it assessed, put the pictures, say what became of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use cicatrix_assess::{Assessment, Measurement, Protocol, RegionScores};
use cicatrix_ledger::{Handler, HandlerError, PhotoRef, StartedRun, Verdict, WorkEvent};
use cicatrix_model::{Change, GateReading, Observation, Reason, RegionVerdict, Series, Trend};
use cicatrix_outcome::{Calibration, changes, holm, trends};
use cicatrix_store::{ObjectKey, PhotoStore, StoreError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use crate::breaker::Breaker;
use crate::meter::Meter;
use crate::pixel::{PhotoFacts, PixelError, PixelJob, PixelOutcome, PixelPool};

/// What the desk needs to know beside its neighbours.
#[derive(Debug, Clone)]
pub struct DeskSettings {
    pub protocol: Protocol,
    pub calibration: Calibration,
    pub program_version: String,
}

/// The handler of runs.
#[derive(Debug)]
pub struct Desk {
    source: Arc<dyn PhotoStore>,
    /// Where derived pictures go; none are made without.
    pictures: Option<Arc<dyn PhotoStore>>,
    pixels: PixelPool,
    settings: DeskSettings,
    /// What no retry can mend: the night has to stop and somebody to act.
    trouble: Mutex<Option<StoreError>>,
    /// Whether photos can be had at all, and pictures be put.
    source_breaker: Mutex<Breaker>,
    pictures_breaker: Mutex<Breaker>,
    /// Bytes of files that may be held at once, KiB.
    files: Semaphore,
    meter: Meter,
}

/// An object that takes longer is tried again later: 50 MB at 16 Mbit/s.
const FETCH_TIME: Duration = Duration::from_secs(25);
/// So often is an object fetched again that is not what its manifest says.
const REFETCHES: u32 = 2;
/// Files that are fetched and not yet worked on are held in memory, KiB of all of them.
const FILES_KIB: u32 = 256 << 10;

impl Desk {
    pub fn new(
        source: Arc<dyn PhotoStore>,
        pictures: Option<Arc<dyn PhotoStore>>,
        pixels: PixelPool,
        settings: DeskSettings,
        meter: Meter,
    ) -> Self {
        Self {
            source,
            pictures,
            pixels,
            settings,
            trouble: Mutex::default(),
            source_breaker: Mutex::default(),
            pictures_breaker: Mutex::default(),
            files: Semaphore::new(FILES_KIB as usize),
            meter,
        }
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether photos can be had: asked of the store itself.
    pub async fn can_fetch(&self) -> bool {
        !self.is_out() && self.source.check().await.is_ok()
    }

    /// Digest of the protocol and version of the program that photos are read with.
    pub(crate) fn method(&self) -> (String, String) {
        (self.settings.protocol.digest(), self.settings.program_version.clone())
    }

    /// The error table that changes are computed with, as they name it.
    pub fn calibration(&self) -> String {
        self.settings.calibration.stamp()
    }

    /// What stopped the work for good, if anything did.
    pub fn trouble(&self) -> Option<StoreError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sorts a store's failure: an outage is tried again; a lack of rights or room stops the night and costs the photo
    /// nothing; the rest is this photo's.
    fn store_failure(&self, error: StoreError) -> HandlerError {
        let text = error.to_string();
        match error {
            StoreError::Denied { .. } | StoreError::Full { .. } | StoreError::NoSuchBucket { .. } => {
                self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                HandlerError::Transient(text)
            }
            error if error.is_transient() => HandlerError::Transient(text),
            _ => HandlerError::Failed(text),
        }
    }

    /// What becomes of a photo when an object that it needs could not be had. One object may be withheld from us while the
    /// store is not: then it is as good as missing, and the night goes on.
    async fn not_had(&self, run: &StartedRun, reason: Reason, error: StoreError) -> Result<Verdict, HandlerError> {
        let what = if reason == Reason::BaselineMissing { "the baseline photo" } else { "the photo" };
        match error {
            StoreError::NotFound { .. } => Ok(self.missing(run, reason, format!("{what} was listed and is gone"))),
            StoreError::Denied { .. } if self.source.check().await.is_ok() => {
                Ok(self.missing(run, reason, format!("{what} is there and may not be read: {error}")))
            }
            error => Err(self.store_failure(error)),
        }
    }

    async fn pixel_failure(
        &self,
        run: &StartedRun,
        error: PixelError,
        sha256: String,
    ) -> Result<Verdict, HandlerError> {
        let text = error.to_string();
        match error {
            PixelError::TookTooLong(_) => Ok(quarantined(Reason::DecoderTimeout, text, Some(sha256))),
            PixelError::OutOfMemory => Ok(quarantined(Reason::DecoderMemory, text, Some(sha256))),
            PixelError::Died(_) => Err(HandlerError::Crashed(text)),
            PixelError::Baseline(error) if error.is::<Replaced>() => {
                Ok(self.missing(run, Reason::BaselineMissing, error.to_string()))
            }
            PixelError::Baseline(error) => match error.downcast::<StoreError>() {
                Ok(error) => self.not_had(run, Reason::BaselineMissing, error).await,
                Err(error) => Err(HandlerError::Failed(format!("{error:#}"))),
            },
            PixelError::Bug(_) => Err(HandlerError::Failed(text)),
        }
    }

    async fn fetch(&self, photo: &PhotoRef) -> Result<Fetched, StoreError> {
        let key = ObjectKey::parse(&photo.key).map_err(|e| StoreError::Invalid {
            place: self.source.describe(),
            action: "read a photo in",
            why: e.to_string(),
        })?;
        let mut fetched = self.fetch_once(&key).await?;
        let claimed = photo.sha256.as_deref().map(str::to_ascii_lowercase);
        for _ in 0..REFETCHES {
            if claimed.as_ref().is_none_or(|claimed| *claimed == fetched.sha256) {
                break;
            }
            // Damaged on its way, or another file than was described: only the second comes twice.
            let again = self.fetch_once(&key).await?;
            let is_the_file = again.sha256 == fetched.sha256;
            fetched = again;
            if is_the_file {
                break;
            }
        }
        Ok(fetched)
    }

    async fn fetch_once(&self, key: &ObjectKey) -> Result<Fetched, StoreError> {
        let get = self.source.get(key, self.settings.protocol.limits.max_bytes);
        let had = tokio::time::timeout(FETCH_TIME, get).await.unwrap_or_else(|_| {
            let why = format!("an object took more than {} s", FETCH_TIME.as_secs());
            Err(StoreError::Unavailable { place: self.source.describe(), action: "read", why })
        });
        answered(&self.source_breaker, &had);
        let object = had?;
        let sha256 = hex(&Sha256::digest(&object.bytes));
        Ok(Fetched { bytes: object.bytes, sha256 })
    }

    async fn assess_photo(&self, run: &StartedRun) -> Result<Verdict, HandlerError> {
        let kib = (run.photo.bytes + run.baseline.bytes).div_ceil(1024).clamp(1, u64::from(FILES_KIB));
        // It is never closed.
        let _files = self.files.acquire_many(u32::try_from(kib).unwrap_or(FILES_KIB)).await.ok();
        let fetching = Instant::now();
        let fetched = self.fetch(&run.photo).instrument(info_span!("fetch", bytes = run.photo.bytes)).await;
        self.meter.stage("fetch", fetching.elapsed(), fetched.is_ok());
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(StoreError::TooLarge { bytes, limit, .. }) => {
                let detail = format!("{bytes} bytes, the limit is {limit}");
                return Ok(quarantined(Reason::FileTooLarge, detail, None));
            }
            Err(error) => return self.not_had(run, Reason::ViewMissing, error).await,
        };
        if let Some(claimed) = run.photo.sha256.as_ref().filter(|c| !c.eq_ignore_ascii_case(&fetched.sha256)) {
            let detail = format!("the manifest says {}…, the file is {}…", &claimed[..12], &fetched.sha256[..12]);
            return Ok(quarantined(Reason::ChecksumMismatch, detail, Some(fetched.sha256)));
        }
        let job = PixelJob {
            reference: reference_name(&run.baseline),
            bytes: fetched.bytes.clone(),
            facts: facts(&run.photo),
            baseline_bytes: run.baseline.bytes,
            itself: run.is_baseline,
            pictures: self.pictures.is_some(),
            waits: Arc::clone(&run.waits),
        };
        let own = (fetched.bytes, job.facts.clone());
        let baseline = async { if run.is_baseline { Ok(own) } else { self.baseline(run).await } };
        let reading = Instant::now();
        let outcome = self.pixels.assess(&job, baseline).instrument(info_span!("pixels")).await;
        self.meter.stage("pixels", reading.elapsed(), outcome.is_ok());
        match outcome {
            Ok(outcome) => self.verdict(run, fetched.sha256, outcome).await,
            Err(error) => self.pixel_failure(run, error, fetched.sha256).await,
        }
    }

    /// The baseline's bytes for a process that does not have them ready.
    async fn baseline(&self, run: &StartedRun) -> anyhow::Result<(Bytes, PhotoFacts)> {
        let fetched = self.fetch(&run.baseline).await.context("failed to fetch the baseline photo")?;
        if run.baseline.sha256.as_ref().is_some_and(|claimed| !claimed.eq_ignore_ascii_case(&fetched.sha256)) {
            return Err(Replaced.into());
        }
        Ok((fetched.bytes, facts(&run.baseline)))
    }

    async fn put_pictures(&self, run: &StartedRun, pictures: Vec<(String, Bytes)>) -> Result<Value, HandlerError> {
        if pictures.is_empty() {
            return Ok(Value::Null);
        }
        let putting = Instant::now();
        let derived = self.put_each(run, pictures).await;
        self.meter.stage("pictures", putting.elapsed(), derived.is_ok());
        derived
    }

    async fn put_each(&self, run: &StartedRun, pictures: Vec<(String, Bytes)>) -> Result<Value, HandlerError> {
        let Some(store) = &self.pictures else { return Ok(Value::Null) };
        let mut names = serde_json::Map::new();
        for (name, bytes) in pictures {
            let key = picture_key(run, &self.settings.program_version, &name)?;
            let kind = if name.ends_with(".png") { "image/png" } else { "image/webp" };
            let put = store.put(&key, bytes, kind).instrument(info_span!("picture", name)).await;
            answered(&self.pictures_breaker, &put);
            put.map_err(|e| self.store_failure(e))?;
            names.insert(name, Value::String(key.as_str().to_owned()));
        }
        Ok(Value::Object(names))
    }

    fn provenance(&self, run: &StartedRun, measurement: Option<&Measurement>) -> Value {
        json!({
            "program_version": self.settings.program_version,
            "protocol_id": self.settings.protocol.id,
            "photo_version": run.photo.version,
            "baseline_key": run.baseline.key,
            "baseline_version": run.baseline.version,
            "registration": measurement.map(|m| &m.registration),
            "px_per_mm": measurement.map(|m| m.scale.px_per_mm),
            "scale_source": measurement.map(|m| m.scale.source),
            "scale_relative_sd": measurement.map(|m| m.scale.relative_sd),
            "mask_digest": measurement.map(|m| &m.mask_digest),
            "colour_calibration": measurement.map(|m| &m.colour),
            "camera": measurement.map(|m| &m.metadata),
            "warnings": measurement.map(|m| &m.warnings),
        })
    }

    async fn verdict(&self, run: &StartedRun, sha256: String, outcome: PixelOutcome) -> Result<Verdict, HandlerError> {
        match outcome {
            PixelOutcome::BaselineUnusable { reason, detail, pictures } => {
                let reason = if run.is_baseline { reason } else { Reason::BaselineNotMeasurable };
                let derived = self.put_pictures(run, pictures).await?;
                Ok(self.refused(run, sha256, Refused { reasons: vec![reason], detail, readings: vec![], derived }))
            }
            PixelOutcome::Assessed {
                assessment: Assessment::NotMeasurable { reasons, detail, readings, .. },
                pictures,
            } => {
                let derived = self.put_pictures(run, pictures).await?;
                Ok(self.refused(run, sha256, Refused { reasons, detail, readings, derived }))
            }
            PixelOutcome::Assessed { assessment: Assessment::Measured(m), pictures } => {
                let derived = self.put_pictures(run, pictures).await?;
                let wait = self.settings.protocol.endpoint_wait_days;
                let endpoint_eligible = run.days_since_treatment.is_none_or(|days| days >= wait);
                let mut warnings = m.warnings.clone();
                if !endpoint_eligible {
                    warnings.push(Reason::TooSoonAfterTreatment);
                }
                Ok(Verdict::Measured {
                    content_sha256: sha256,
                    observations: observations(run, &m, &self.settings.calibration, endpoint_eligible),
                    provenance: self.provenance(run, Some(&m)),
                    regions: m.regions.iter().map(region_verdict).collect(),
                    readings: m.readings,
                    tier: m.tier,
                    scale: m.scale,
                    endpoint_eligible,
                    derived,
                    warnings,
                })
            }
        }
    }

    /// An object that the photo needs cannot be had. Nothing was decoded, so nothing is said of the content; the next sweep
    /// that lists the photo has it tried again.
    fn missing(&self, run: &StartedRun, reason: Reason, detail: String) -> Verdict {
        Verdict::NotMeasurable {
            content_sha256: None,
            reasons: vec![reason],
            detail,
            readings: Vec::new(),
            provenance: self.provenance(run, None),
            derived: Value::Null,
        }
    }

    fn refused(&self, run: &StartedRun, sha256: String, refused: Refused) -> Verdict {
        let Refused { reasons, detail, readings, derived } = refused;
        match reasons.first() {
            Some(reason) if reason.is_quarantine() => quarantined(*reason, detail, Some(sha256)),
            _ => Verdict::NotMeasurable {
                content_sha256: Some(sha256),
                reasons,
                detail,
                readings,
                provenance: self.provenance(run, None),
                derived,
            },
        }
    }
}

/// What is said of a photo that gives no number.
struct Refused {
    reasons: Vec<Reason>,
    detail: String,
    readings: Vec<GateReading>,
    /// Names of its pictures.
    derived: Value,
}

/// Somebody uploads while the night works.
#[derive(Debug, thiserror::Error)]
#[error("the baseline photo was replaced while this one was read: the next run takes it up")]
struct Replaced;

struct Fetched {
    bytes: Bytes,
    sha256: String,
}

/// An answer is good whatever it says, unless it is that of a store that is out.
fn answered<T>(breaker: &Mutex<Breaker>, answer: &Result<T, StoreError>) {
    let good = answer.as_ref().err().is_none_or(|error| !error.is_transient());
    breaker.lock().unwrap_or_else(PoisonError::into_inner).answered(good, Instant::now());
}

#[async_trait]
impl Handler for Desk {
    fn is_out(&self) -> bool {
        let now = Instant::now();
        let breakers = [&self.source_breaker, &self.pictures_breaker];
        let is_out = breakers.iter().any(|breaker| breaker.lock().unwrap_or_else(PoisonError::into_inner).is_out(now));
        self.meter.store_out(is_out);
        is_out
    }

    fn tell(&self, event: &WorkEvent<'_>) {
        self.meter.tell(event);
    }

    async fn assess(&self, run: &StartedRun) -> Result<Verdict, HandlerError> {
        let _busy = self.meter.busy();
        let begun = Instant::now();
        let span = info_span!("assess", clinic = %run.clinic, start = run.starts, outcome = Empty);
        let verdict = self.assess_photo(run).instrument(span.clone()).await;
        span.record("outcome", outcome(&verdict));
        self.meter.whole(begun.elapsed());
        if let Ok(Verdict::Measured { readings, provenance, .. }) = &verdict {
            self.meter.measured(residual_mm(readings, provenance));
            if let Some(reading) = readings.iter().find(|reading| reading.name == "ln_ref_energy_ratio") {
                self.meter.drifted(run.clinic.as_str(), reading.value.exp());
            }
        }
        verdict
    }

    fn changes(&self, series: &Series) -> Vec<Change> {
        changes(series, &self.settings.calibration)
    }

    fn trends(&self, series: &Series, changes: &[Change]) -> Vec<Trend> {
        trends(series, changes)
    }

    fn adjusted(&self, p_values: &[f64]) -> Vec<f64> {
        holm(p_values)
    }
}

/// As a word of a span.
fn outcome(verdict: &Result<Verdict, HandlerError>) -> &'static str {
    match verdict {
        Ok(Verdict::Measured { .. }) => "measured",
        Ok(Verdict::NotMeasurable { reasons, .. }) => reasons.first().map_or("not_measurable", |reason| reason.code()),
        Ok(Verdict::Quarantined { reason, .. }) => reason.code(),
        Err(HandlerError::Transient(_)) => "transient",
        Err(HandlerError::Failed(_)) => "failed",
        Err(HandlerError::Crashed(_)) => "crashed",
        Err(HandlerError::Cancelled) => "cancelled",
    }
}

fn quarantined(reason: Reason, detail: String, content_sha256: Option<String>) -> Verdict {
    Verdict::Quarantined { reason, detail, content_sha256 }
}

/// The largest residual of a photo's regions.
fn residual_mm(readings: &[GateReading], provenance: &Value) -> Option<f64> {
    let read = readings.iter().filter(|reading| reading.name == "residual_p95_mm").map(|reading| reading.value);
    // The baseline itself has none.
    read.max_by(f64::total_cmp).filter(|_| provenance["registration"].is_object())
}

/// Names a baseline by everything that goes into its preparation.
fn reference_name(baseline: &PhotoRef) -> String {
    format!("{}:{}", baseline.id, baseline.version)
}

fn facts(photo: &PhotoRef) -> PhotoFacts {
    PhotoFacts {
        extension: photo.key.rsplit_once('.').map(|(_, e)| e.to_owned()).unwrap_or_default(),
        px_per_mm: photo.px_per_mm,
        view: photo.view.clone(),
        regions: photo.regions.clone(),
    }
}

fn picture_key(run: &StartedRun, version: &str, name: &str) -> Result<ObjectKey, HandlerError> {
    let StartedRun { clinic, patient, session, photo, .. } = run;
    let (view, shot) = (&photo.view, photo.shot);
    let key = format!("derived/clinic={clinic}/patient={patient}/session={session}/v={version}/{view}.{shot}.{name}");
    ObjectKey::parse(&key).map_err(|e| HandlerError::Failed(format!("no key for a picture: {e}")))
}

fn region_verdict(scores: &RegionScores) -> RegionVerdict {
    RegionVerdict {
        region: scores.region.clone(),
        quality_tier: scores.tier,
        reason: scores.problem,
        detail: scores.detail.clone(),
    }
}

fn observations(
    run: &StartedRun,
    measurement: &Measurement,
    calibration: &Calibration,
    endpoint_eligible: bool,
) -> Vec<Observation> {
    let measured = measurement.regions.iter().filter_map(|region| Some((region, region.tier?)));
    let rows = measured.flat_map(|(region, tier)| region.values.iter().map(move |value| (region, tier, value)));
    rows.map(|(region, tier, value)| Observation {
        session: run.session,
        view: run.photo.view.clone(),
        shot: run.photo.shot,
        region: region.region.clone(),
        measure: value.measure,
        value: value.value,
        error: calibration.measure_in(value.measure, Some(&run.photo.view), &region.region).and_then(|m| {
            let readings = GateReading::of_region(&measurement.readings, &region.region);
            let reading = |name: &str| readings.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
            let error = m.of_value(tier, value.value, reading)?;
            let scale = measurement.scale.relative_sd;
            Some(if value.measure.is_area() { error.with_scale(value.value, scale) } else { error })
        }),
        unit: value.measure.unit().to_owned(),
        n_pixels: value.n_pixels,
        quality_tier: tier,
        endpoint_eligible,
    })
    .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use cicatrix_store::{Continuation, MemoryStore, Object, Page};

    use super::*;
    use crate::pixel::PixelSettings;

    /// Withholds every object, and itself too if it is told so.
    #[derive(Debug)]
    struct Withheld {
        store: MemoryStore,
        itself: bool,
    }

    impl Withheld {
        fn denied(&self) -> StoreError {
            StoreError::Denied { place: "memory".to_owned(), action: "read", why: "no right".to_owned(), advice: "ask" }
        }
    }

    #[async_trait]
    impl PhotoStore for Withheld {
        fn describe(&self) -> String {
            self.store.describe()
        }
        async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError> {
            self.store.list(after).await
        }
        async fn get(&self, _key: &ObjectKey, _limit_bytes: u64) -> Result<Object, StoreError> {
            Err(self.denied())
        }
        async fn put(&self, key: &ObjectKey, bytes: Bytes, content_type: &str) -> Result<(), StoreError> {
            self.store.put(key, bytes, content_type).await
        }
        async fn check(&self) -> Result<(), StoreError> {
            if self.itself { Err(self.denied()) } else { Ok(()) }
        }
    }

    fn desk(itself: bool) -> Desk {
        let protocol = Protocol::from_toml("id = 'test-1'").unwrap();
        let pixels = PixelSettings {
            program: "/nowhere".into(),
            processes: 1,
            memory_bytes: 1 << 30,
            budget_bytes: 1 << 40,
            cpu_limit: Duration::from_secs(1),
            wall_limit: Duration::from_secs(1),
        };
        let calibration = Calibration::from_toml(include_str!("../../../config/calibrations/rendered-5.toml")).unwrap();
        let settings = DeskSettings { protocol: protocol.clone(), calibration, program_version: "0".to_owned() };
        let source = Arc::new(Withheld { store: MemoryStore::new(), itself });
        let meter = Meter::default();
        Desk::new(source, None, PixelPool::new(pixels, protocol, meter.clone()), settings, meter)
    }

    fn run() -> StartedRun {
        let photo = PhotoRef {
            id: 1,
            key: "a/b.jpg".to_owned(),
            version: "1".to_owned(),
            bytes: 1,
            sha256: None,
            view: "closeup.left_cheek".parse().unwrap(),
            shot: 1,
            px_per_mm: None,
            regions: Vec::new(),
        };
        StartedRun {
            run_id: 1,
            starts: 1,
            clinic: "c".parse().unwrap(),
            patient: "p".parse().unwrap(),
            session: "2026-01-01-01".parse().unwrap(),
            attempt: 1,
            setbacks: 0,
            days_since_treatment: None,
            baseline: photo.clone(),
            photo,
            is_baseline: true,
            waits: Arc::default(),
        }
    }

    /// Gives each of these bodies in turn.
    #[derive(Debug)]
    struct Damaging(Mutex<Vec<&'static [u8]>>);

    #[async_trait]
    impl PhotoStore for Damaging {
        fn describe(&self) -> String {
            "a bad line".to_owned()
        }
        async fn list(&self, _after: Option<&Continuation>) -> Result<Page, StoreError> {
            Ok(Page::default())
        }
        async fn get(&self, _key: &ObjectKey, _limit_bytes: u64) -> Result<Object, StoreError> {
            let bytes = Bytes::from_static(self.0.lock().unwrap().remove(0));
            Ok(Object { bytes, version: "1".to_owned() })
        }
        async fn put(&self, _key: &ObjectKey, _bytes: Bytes, _content_type: &str) -> Result<(), StoreError> {
            Ok(())
        }
        async fn check(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_body_that_was_damaged_on_its_way_is_fetched_again_and_another_file_is_not_hidden() {
        let good: &[u8] = b"as described";
        let mut photo = run().photo;
        photo.sha256 = Some(hex(&Sha256::digest(good)));
        for (bodies, left) in [
            (vec![&b"damaged"[..], good], good),
            (vec![&b"damaged"[..], b"again", good], good),
            (vec![&b"another file"[..], b"another file"], b"another file"),
        ] {
            let mut desk = desk(false);
            desk.source = Arc::new(Damaging(Mutex::new(bodies)));
            assert_eq!(desk.fetch(&photo).await.unwrap().bytes, left);
        }
    }

    #[tokio::test]
    async fn one_photo_that_is_withheld_is_its_own_matter() {
        let desk = desk(false);
        let verdict = desk.assess(&run()).await.unwrap();
        let Verdict::NotMeasurable { reasons, detail, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(reasons, [Reason::ViewMissing]);
        assert!(detail.contains("may not be read"), "{detail}");
        assert!(desk.trouble().is_none());
    }

    #[tokio::test]
    async fn a_store_that_is_withheld_stops_the_night() {
        let desk = desk(true);
        assert!(matches!(desk.assess(&run()).await, Err(HandlerError::Transient(_))));
        assert!(desk.trouble().is_some());
    }
}
