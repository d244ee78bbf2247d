//! What the ledger promises on every database, with a handler that reads no pixels.

mod gone;
mod pages;
mod turns;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cicatrix_ledger::{
    By, Cell, Counts, Filter, Handler, HandlerError, Ledger, LedgerError, Line, PhotoUpload, PlanSettings, Schedule,
    Selection, SessionUpload, SourceId, StartedRun, State, Table, Unseen, Verdict, WorkSettings,
};
use cicatrix_model::{
    Change, ChangeVerdict, ClinicId, GateReading, GateVerdict, Measure, Observation, PatientId, QualityTier, Reason,
    Region, RegionPolygon, RegionVerdict, Scale, ScaleSource, Series, SeriesSession, Trend, View,
};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::database::ledger;

const PATIENT: &str = "pt-1";

/// What the handler does with a run.
pub(crate) enum Act {
    Answer(Result<Verdict, HandlerError>),
    WaitFor(Arc<Notify>, Result<Verdict, HandlerError>),
    /// Takes a while, and counts who does so at once.
    Among(Arc<Crowd>, Result<Verdict, HandlerError>),
    Hang,
}

/// Photos in work at once: now, and at most.
#[derive(Default)]
pub(crate) struct Crowd {
    now: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

impl Crowd {
    async fn join(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(60)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

type Script = dyn Fn(&StartedRun) -> Act + Send + Sync;

/// Answers by a script, and knows one statistic: the mean over shots against that of the baseline.
pub(crate) struct Fake {
    script: Box<Script>,
    pub(crate) assessed: AtomicUsize,
    panics_left: AtomicU32,
    /// The store does not answer.
    pub(crate) out: AtomicBool,
    /// The error table that its changes come from.
    calibration: Mutex<&'static str>,
}

impl Fake {
    pub(crate) fn new(script: impl Fn(&StartedRun) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            assessed: AtomicUsize::new(0),
            panics_left: AtomicU32::new(0),
            out: AtomicBool::new(false),
            calibration: Mutex::new("none"),
        })
    }

    pub(crate) fn good() -> Arc<Self> {
        Self::new(|run| Act::Answer(Ok(measured(run))))
    }
}

#[async_trait]
impl Handler for Fake {
    fn is_out(&self) -> bool {
        self.out.load(Ordering::SeqCst)
    }

    async fn assess(&self, run: &StartedRun) -> Result<Verdict, HandlerError> {
        if self.is_out() {
            return Err(HandlerError::Transient("the store is out".to_owned()));
        }
        self.assessed.fetch_add(1, Ordering::SeqCst);
        match (self.script)(run) {
            Act::Answer(answer) => answer,
            Act::WaitFor(gate, answer) => {
                gate.notified().await;
                answer
            }
            Act::Among(crowd, answer) => {
                crowd.join().await;
                answer
            }
            Act::Hang => std::future::pending().await,
        }
    }

    fn changes(&self, series: &Series) -> Vec<Change> {
        if self.panics_left.load(Ordering::SeqCst) > 0 {
            self.panics_left.fetch_sub(1, Ordering::SeqCst);
            panic!("the statistics are broken");
        }
        let baseline = series.sessions.iter().find(|session| session.is_baseline).and_then(mean_psi);
        let Some(baseline) = baseline else { return Vec::new() };
        let calibration = *self.calibration.lock().unwrap();
        let changes = series.sessions.iter().filter_map(|session| change(series, session, baseline));
        changes.map(|change| Change { calibration: calibration.to_owned(), ..change }).collect()
    }

    fn trends(&self, _series: &Series, changes: &[Change]) -> Vec<Trend> {
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return Vec::new() };
        vec![Trend {
            view: first.view.clone(),
            region: first.region.clone(),
            measure: first.measure,
            n_sessions: u16::try_from(changes.len()).unwrap(),
            first: first.session.date,
            last: last.session.date,
            pct_per_session: last.change_pct.unwrap_or(0.0),
            ci95_lo: -1.0,
            ci95_hi: 1.0,
            next_lo_pct: -1.0,
            next_hi_pct: 1.0,
        }]
    }

    fn adjusted(&self, p_values: &[f64]) -> Vec<f64> {
        p_values.to_vec()
    }
}

fn mean_psi(session: &SeriesSession) -> Option<f64> {
    let (_, shots) = session.regions.first()?;
    let values: Vec<f64> = shots.iter().filter_map(|shot| shot.value(Measure::Psi)).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn change(series: &Series, session: &SeriesSession, baseline: f64) -> Option<Change> {
    let value = mean_psi(session)?;
    let pct = 100.0 * (value / baseline - 1.0);
    Some(Change {
        session: session.session,
        view: series.view.clone(),
        region: Region::whole(),
        measure: Measure::Psi,
        baseline_value: Some(baseline),
        value: Some(value),
        change_pct: Some(pct),
        ci95_lo: Some(pct - 2.0),
        ci95_hi: Some(pct + 2.0),
        mdc95_pct: Some(5.0),
        p_value: Some(0.5),
        verdict: if pct < -5.0 { ChangeVerdict::Improved } else { ChangeVerdict::NoDetectableChange },
        reason: None,
        quality_tier: Some(QualityTier::Clinic),
        n_shots: 1,
        endpoint_eligible: session.endpoint_eligible,
        calibration: "none".to_owned(),
    })
}

/// A third less scar with each month.
fn measured(run: &StartedRun) -> Verdict {
    let months = i32::from(run.session.date.month());
    let value = 0.667_f64.powi(months) + 0.001 * f64::from(run.photo.shot);
    let source = if run.baseline.px_per_mm.is_some() { ScaleSource::Manifest } else { ScaleSource::Unknown };
    Verdict::Measured {
        scale: Scale { px_per_mm: run.baseline.px_per_mm.unwrap_or(20.0), source, relative_sd: 0.02 },
        content_sha256: format!("digest of {}", run.photo.version),
        observations: vec![Observation {
            session: run.session,
            view: run.photo.view.clone(),
            shot: run.photo.shot,
            region: Region::whole(),
            measure: Measure::Psi,
            value,
            unit: Measure::Psi.unit().to_owned(),
            error: None,
            n_pixels: 4096,
            quality_tier: QualityTier::Clinic,
            endpoint_eligible: true,
        }],
        readings: vec![GateReading {
            name: "blur_px".to_owned(),
            value: 0.8,
            verdict: GateVerdict::Ok,
            reason: None,
            limits: Some([1.5, 3.0]),
            region: None,
        }],
        regions: vec![RegionVerdict {
            region: Region::whole(),
            quality_tier: Some(QualityTier::Clinic),
            reason: None,
            detail: None,
        }],
        tier: QualityTier::Clinic,
        endpoint_eligible: true,
        provenance: json!({ "program": "test" }),
        derived: json!({}),
        warnings: Vec::new(),
    }
}

fn blurred() -> Verdict {
    Verdict::NotMeasurable {
        content_sha256: None,
        reasons: vec![Reason::Blur],
        detail: "blurred".to_owned(),
        readings: Vec::new(),
        provenance: json!({}),
        derived: json!({}),
    }
}

fn clinic() -> ClinicId {
    ClinicId::new("c-1").unwrap()
}

fn patient(name: &str) -> PatientId {
    PatientId::new(name).unwrap()
}

pub(crate) fn session(patient_name: &str, key: &str, views: &[&str], shots: u16) -> SessionUpload {
    let photos = views.iter().flat_map(|view| (1..=shots).map(move |shot| (*view, shot)));
    SessionUpload {
        clinic: clinic(),
        patient: patient(patient_name),
        session: key.parse().unwrap(),
        session_no: None,
        baseline: false,
        sessions_before: None,
        days_since_treatment: None,
        manifest: None,
        problem: None,
        is_whole: true,
        photos: photos.map(|(view, shot)| photo(key, view, shot)).collect(),
    }
}

fn photo(session: &str, view: &str, shot: u16) -> PhotoUpload {
    PhotoUpload {
        view: view.parse::<View>().unwrap(),
        shot,
        key: format!("{session}/{view}.{shot}.jpg"),
        version: format!("{session}-{view}-{shot}"),
        bytes: 1000,
        sha256: None,
        captured_at: None,
        px_per_mm: Some(12.4),
        regions: Vec::new(),
        refused: None,
    }
}

fn how() -> PlanSettings {
    PlanSettings {
        protocol_id: "face".to_owned(),
        protocol_digest: "d1".to_owned(),
        program_version: "0.1.0".to_owned(),
        night_id: None,
        rescore: false,
    }
}

fn by() -> By {
    By { who: "ops".to_owned(), why: Some("a test".to_owned()) }
}

pub(crate) fn in_state(state: State) -> Selection {
    Selection::Matching(Filter { state: Some(state), ..Filter::default() })
}

/// The one source of most tests.
pub(crate) async fn here(ledger: &Ledger) -> SourceId {
    ledger.source("here").await.unwrap()
}

pub(crate) async fn upload(ledger: &Ledger, sessions: &[SessionUpload]) {
    for session in sessions {
        ledger.record_session(here(ledger).await, session).await.unwrap();
        ledger.plan_patient(&clinic(), &session.patient, &how()).await.unwrap();
    }
}

/// A baseline with `shots` shots and two follow-ups with one.
pub(crate) fn course(shots: u16) -> Vec<SessionUpload> {
    vec![
        session(PATIENT, "2026-01-10-01", &["face.frontal"], shots),
        session(PATIENT, "2026-02-10-01", &["face.frontal"], 1),
        session(PATIENT, "2026-03-10-01", &["face.frontal"], 1),
    ]
}

pub(crate) fn settings(source: SourceId) -> WorkSettings {
    WorkSettings {
        source,
        protocol_digest: how().protocol_digest,
        program_version: how().program_version,
        workers: 4,
        worker_name: "test".to_owned(),
        job_timeout: Duration::from_secs(30),
        schedule: Schedule::default(),
    }
}

/// Works until nothing is open.
pub(crate) async fn drain(ledger: &Ledger, handler: Arc<dyn Handler>) -> Counts {
    let how = settings(here(ledger).await);
    drain_with(ledger, handler, how).await
}

pub(crate) async fn drain_with(ledger: &Ledger, handler: Arc<dyn Handler>, how: WorkSettings) -> Counts {
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (ledger, stop) = (ledger.clone(), stop.clone());
        async move { ledger.work(handler, how, stop).await }
    });
    for _ in 0..600 {
        if ledger.counts(None).await.unwrap().unfinished() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    working.await.unwrap().unwrap();
    ledger.counts(None).await.unwrap()
}

pub(crate) type Columns = HashMap<String, Cell>;

/// Names of the columns of a table, and its rows.
pub(crate) async fn export(ledger: &Ledger, table: Table) -> (Vec<String>, Vec<Vec<Cell>>) {
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    let each = &mut |line: Line<'_>| {
        match line {
            Line::Header(header) => names = header.to_vec(),
            Line::Row(cells) => rows.push(cells.to_vec()),
        }
        Ok(())
    };
    ledger.export(table, each).await.unwrap();
    (names, rows)
}

pub(crate) async fn rows(ledger: &Ledger, table: Table) -> Vec<Columns> {
    let (names, rows) = export(ledger, table).await;
    rows.into_iter().map(|cells| names.iter().cloned().zip(cells).collect()).collect()
}

pub(crate) async fn dump(ledger: &Ledger, table: Table) -> Vec<String> {
    let rows = rows(ledger, table).await;
    rows.into_iter().map(|row| format!("{:?}", std::collections::BTreeMap::from_iter(row))).collect()
}

pub(crate) fn text(row: &Columns, column: &str) -> String {
    match &row[column] {
        Cell::Null => String::new(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(value) => value.clone(),
    }
}

/// State and reason of each photo, in order.
pub(crate) async fn ends(ledger: &Ledger) -> Vec<String> {
    let photos = rows(ledger, Table::Photos).await;
    let ends = photos.iter().map(|row| format!("{} {}", text(row, "state"), text(row, "reason")));
    ends.map(|end| end.trim_end().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_planned_once_however_often_it_is_scanned() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(2)).await;
    for session in course(2) {
        assert!(!ledger.record_session(here(&ledger).await, &session).await.unwrap().changed());
        assert!(!ledger.plan_patient(&clinic(), &session.patient, &how()).await.unwrap().changed());
    }
    let counts = ledger.counts(None).await.unwrap();
    assert_eq!((counts.ready, counts.waiting_for_baseline, counts.total()), (1, 3, 4));

    let handler = Fake::good();
    let counts = drain(&ledger, handler.clone()).await;
    assert_eq!((counts.measured, counts.total()), (4, 4));
    assert_eq!(handler.assessed.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_waits_for_its_baseline_and_is_released_in_its_commit() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let gate = Arc::new(Notify::new());
    let handler = Fake::new({
        let gate = Arc::clone(&gate);
        move |run| match run.is_baseline {
            true => Act::Answer(Ok(measured(run))),
            false => Act::WaitFor(Arc::clone(&gate), Ok(measured(run))),
        }
    });
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (ledger, stop) = (ledger.clone(), stop.clone());
        async move {
            let how = settings(here(&ledger).await);
            ledger.work(handler, how, stop).await
        }
    });
    // One statement sees one state of the ledger: there is none in between.
    loop {
        let counts = ledger.counts(None).await.unwrap();
        let expected = if counts.measured == 0 { 2 } else { 0 };
        assert_eq!(counts.waiting_for_baseline, expected, "{counts:?}");
        if counts.measured == 1 && counts.running == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    gate.notify_waiters();
    while ledger.counts(None).await.unwrap().unfinished() > 0 {
        gate.notify_waiters();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    working.await.unwrap().unwrap();
    assert_eq!(ends(&ledger).await, ["measured"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_that_ends_badly_passes_on_to_its_second_shot() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(2)).await;
    let is_first = |run: &StartedRun| run.session.date.month() == 1 && run.photo.shot == 1;
    let handler = Fake::new(move |run| Act::Answer(Ok(if is_first(run) { blurred() } else { measured(run) })));
    drain(&ledger, handler).await;
    assert_eq!(ends(&ledger).await, ["not_measurable blur", "measured", "measured", "measured"]);
    let photos = rows(&ledger, Table::Photos).await;
    assert_eq!(text(&photos[1], "is_reference"), "1");
    assert_eq!(text(&photos[2], "baseline_object_key"), "2026-01-10-01/face.frontal.2.jpg");
    assert_eq!(rows(&ledger, Table::Changes).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_without_a_good_shot_fails_its_followers() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(2)).await;
    let handler = Fake::new(|run| Act::Answer(Ok(if run.is_baseline { blurred() } else { measured(run) })));
    drain(&ledger, handler).await;
    assert_eq!(
        ends(&ledger).await,
        [
            "not_measurable blur",
            "not_measurable blur",
            "not_measurable baseline_not_measurable",
            "not_measurable baseline_not_measurable",
        ]
    );
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 2, "only the baseline is to be taken again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_shot_without_regions_does_not_stand_in_for_one_that_has_them() {
    let drawn = |shot: u16| {
        let mut sessions = course(2);
        let polygon_px = vec![[0.0, 0.0], [100.0, 0.0], [100.0, 100.0]];
        let region = RegionPolygon { name: Region::new("cheek_l").unwrap(), polygon_px, scars: vec![] };
        sessions[0].photos[usize::from(shot) - 1].regions = vec![region];
        sessions
    };
    let Some((_first, on_first)) = ledger().await else { return };
    upload(&on_first, &drawn(1)).await;
    drain(&on_first, Fake::new(|run| Act::Answer(Ok(if run.is_baseline { blurred() } else { measured(run) })))).await;
    let without = "not_measurable baseline_not_measurable";
    assert_eq!(ends(&on_first).await, ["not_measurable blur", without, without, without]);

    let Some((_second, on_second)) = ledger().await else { return };
    upload(&on_second, &drawn(2)).await;
    drain(&on_second, Fake::good()).await;
    assert_eq!(ends(&on_second).await, ["measured"; 4]);
    let references = rows(&on_second, Table::Photos).await;
    let references: Vec<String> = references.iter().map(|row| text(row, "is_reference")).collect();
    assert_eq!(references, ["0", "1", "0", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_says_whether_its_scale_is_known() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let mut unknown = session("pt-2", "2026-01-10-01", &["face.frontal"], 1);
    unknown.photos[0].px_per_mm = None;
    // What the follow-up's manifest says does not count: the baseline's photo gives the scale.
    upload(&ledger, &[unknown, session("pt-2", "2026-02-10-01", &["face.frontal"], 1)]).await;
    drain(&ledger, Fake::good()).await;
    for table in [Table::Changes, Table::Observations] {
        let rows = rows(&ledger, table).await;
        assert_eq!(rows.len(), 5, "{table:?}");
        for row in rows {
            let expected = if text(&row, "patient_id") == "pt-2" { "unknown" } else { "manifest" };
            assert_eq!(text(&row, "scale_source"), expected, "{table:?}: {row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_error_table_reaches_the_changes_that_are_there_and_reads_no_photo() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let handler = Fake::good();
    drain(&ledger, handler.clone()).await;
    assert_eq!(ledger.recalibrate("none").await.unwrap(), 0, "these are the changes of that table");
    let before = rows(&ledger, Table::Changes).await.len();

    assert_eq!(ledger.recalibrate("other").await.unwrap(), 1);
    assert_eq!(ledger.recalibrate("other").await.unwrap(), 1, "stopped here, it goes on the next time");
    assert_eq!(rows(&ledger, Table::Changes).await.len(), before, "the old rows stay until there are new ones");
    *handler.calibration.lock().unwrap() = "other";
    assert_eq!(ledger.refresh_changes(handler.as_ref()).await.unwrap(), 1);
    let changes = rows(&ledger, Table::Changes).await;
    assert_eq!(changes.len(), before);
    assert!(changes.iter().all(|row| text(row, "calibration") == "other"), "{changes:?}");
    assert_eq!(ledger.recalibrate("other").await.unwrap(), 0);
    assert_eq!(handler.assessed.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_counted_three_times_quarantines() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)[..1]).await;
    let handler = Fake::new(|_| Act::Answer(Err(HandlerError::Crashed("killed by signal 11".to_owned()))));
    drain(&ledger, handler.clone()).await;
    assert_eq!(ends(&ledger).await, ["quarantined decoder_crash"]);
    assert_eq!(handler.assessed.load(Ordering::SeqCst), 3);
    assert_eq!(text(&rows(&ledger, Table::Quarantine).await[0], "starts"), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_errors_do_not_count() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)[..1]).await;
    let tries = AtomicUsize::new(0);
    let handler = Fake::new(move |run| {
        Act::Answer(match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Err(HandlerError::Transient("the store is out".to_owned())),
            _ => Ok(measured(run)),
        })
    });
    drain(&ledger, handler.clone()).await;
    assert_eq!(ends(&ledger).await, ["measured"]);
    assert_eq!(handler.assessed.load(Ordering::SeqCst), 2);
    assert_eq!(text(&rows(&ledger, Table::Photos).await[0], "starts"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bug_fails_the_run_after_three_tries_and_an_operator_can_retry_it() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)[..1]).await;
    let handler = Fake::new(|_| Act::Answer(Err(HandlerError::Failed("index out of bounds".to_owned()))));
    drain(&ledger, handler.clone()).await;
    assert_eq!(ends(&ledger).await, ["failed"]);
    assert_eq!(handler.assessed.load(Ordering::SeqCst), 3);

    assert_eq!(ledger.retry(&in_state(State::Failed), &by(), &how()).await.unwrap().len(), 1);
    let events = rows(&ledger, Table::Events).await;
    let told: Vec<(String, String)> = events
        .iter()
        .filter(|event| text(event, "kind") == "retried")
        .map(|event| (text(event, "who"), text(event, "detail")))
        .collect();
    assert_eq!(told, [("ops".to_owned(), "a test".to_owned())]);
    drain(&ledger, Fake::good()).await;
    assert_eq!(ends(&ledger).await, ["measured"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_do_not_depend_on_the_order_of_finishing() {
    let mut dumps = Vec::new();
    for turn in 0..2_u16 {
        let Some((_database, ledger)) = ledger().await else { return };
        let views = ["face.frontal", "closeup.cheek"];
        let sessions = ["2026-01-10-01", "2026-02-10-01", "2026-03-10-01"].map(|key| session(PATIENT, key, &views, 2));
        upload(&ledger, &sessions).await;
        let gates: Vec<Arc<Notify>> = (0..8).map(|_| Arc::new(Notify::new())).collect();
        let handler = Fake::new({
            let gates = gates.clone();
            move |run| {
                let rank = (u16::try_from(run.session.date.month()).unwrap() * 2 + run.photo.shot) % 8;
                let gate = &gates[usize::from(if turn == 0 { rank } else { 7 - rank })];
                Act::WaitFor(Arc::clone(gate), Ok(measured(run)))
            }
        });
        // The gates open one after the other, in one order and in the other.
        let opening = tokio::spawn(async move {
            loop {
                for gate in &gates {
                    gate.notify_waiters();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
        let counts = drain(&ledger, handler).await;
        opening.abort();
        assert_eq!(counts.measured, 12);
        dumps.push((dump(&ledger, Table::Changes).await, dump(&ledger, Table::Trends).await));
    }
    assert_eq!(dumps[0], dumps[1]);
    assert_eq!(dumps[0].0.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_flagged_baselines_are_refused() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    sessions[0].baseline = true;
    sessions[1].baseline = true;
    upload(&ledger, &sessions).await;
    assert_eq!(ends(&ledger).await, ["not_measurable date_conflict"; 3]);
    let detail = text(&rows(&ledger, Table::Photos).await[2], "detail");
    assert!(detail.contains("2026-01-10-01") && detail.contains("2026-02-10-01"), "{detail}");

    // With one flag taken back, all photos are read.
    sessions[1].baseline = false;
    upload(&ledger, &sessions).await;
    assert_eq!(drain(&ledger, Fake::good()).await.measured, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_completion_commit_together() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)[..1]).await;
    let handler = Fake::new(|run| match run.starts {
        1 => Act::Answer(Ok(measured(run))),
        _ => Act::Hang,
    });
    handler.panics_left.store(1, Ordering::SeqCst);
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (ledger, stop, handler) = (ledger.clone(), stop.clone(), handler.clone());
        async move {
            let how = settings(here(&ledger).await);
            ledger.work(handler, how, stop).await
        }
    });
    // The first try has a verdict, but its commit fails; the second try hangs, so that we can look.
    while handler.assessed.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rows(&ledger, Table::Observations).await.len(), 0);
    assert_eq!(ends(&ledger).await, ["running"]);
    working.abort();
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_statistics_do_not_keep_a_photo_open() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)[..1]).await;
    let handler = Fake::good();
    // Three verdicts that cannot be committed, and the end that says so.
    handler.panics_left.store(4, Ordering::SeqCst);
    drain(&ledger, handler.clone()).await;
    assert_eq!(ends(&ledger).await, ["failed"]);
    assert_eq!(rows(&ledger, Table::Observations).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_with_new_content_takes_the_old_ones_place() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    upload(&ledger, &sessions).await;
    drain(&ledger, Fake::good()).await;
    let before = dump(&ledger, Table::Changes).await;

    // The same content under another key is only another name, and a claim that reading has confirmed is no news.
    sessions[1].photos[0].sha256 = Some("digest of 2026-02-10-01-face.frontal-1".to_owned());
    sessions[1].photos[0].key = "renamed.jpg".to_owned();
    let recorded = ledger.record_session(here(&ledger).await, &sessions[1]).await.unwrap();
    assert_eq!((recorded.photos_updated, recorded.photos_replaced), (1, 0));
    assert!(!ledger.plan_patient(&clinic(), &patient(PATIENT), &how()).await.unwrap().changed());
    assert_eq!(dump(&ledger, Table::Changes).await, before);

    // Another version is another photo, whatever an old manifest claims: the session's rows go until it is read.
    sessions[1].photos[0].version = "retaken".to_owned();
    let recorded = ledger.record_session(here(&ledger).await, &sessions[1]).await.unwrap();
    assert_eq!((recorded.photos_updated, recorded.photos_replaced), (0, 1));
    let planned = ledger.plan_patient(&clinic(), &patient(PATIENT), &how()).await.unwrap();
    assert_eq!((planned.ready, planned.retired), (1, 1));
    assert_eq!(rows(&ledger, Table::Changes).await.len(), 2);
    drain(&ledger, Fake::good()).await;
    assert_eq!(dump(&ledger, Table::Changes).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_photo_gets_its_verdict_without_a_job() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    sessions[1].photos[0].refused = Some((Reason::FileTooLarge, "51 MB".to_owned()));
    sessions[2].photos[0].refused = Some((Reason::ViewMissing, "not uploaded".to_owned()));
    upload(&ledger, &sessions).await;
    let handler = Fake::good();
    drain(&ledger, handler.clone()).await;
    assert_eq!(ends(&ledger).await, ["measured", "quarantined file_too_large", "not_measurable view_missing"]);
    assert_eq!(handler.assessed.load(Ordering::SeqCst), 1);
}

fn gone(reason: Reason) -> Verdict {
    Verdict::NotMeasurable {
        content_sha256: None,
        reasons: vec![reason],
        detail: "it was listed and is gone".to_owned(),
        readings: Vec::new(),
        provenance: json!({}),
        derived: json!({}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_whose_object_was_gone_is_read_again_once_it_is_listed() {
    let Some((_database, ledger)) = ledger().await else { return };
    let sessions = course(1);
    upload(&ledger, &sessions).await;
    let away = Fake::new(|run| {
        Act::Answer(Ok(match run.session.date.month() {
            1 => measured(run),
            2 => gone(Reason::ViewMissing),
            _ => gone(Reason::BaselineMissing),
        }))
    });
    drain(&ledger, away).await;
    let lost = ["measured", "not_measurable view_missing", "not_measurable baseline_missing"];
    assert_eq!(ends(&ledger).await, lost);

    // Named by a manifest is not listed.
    let mut unlisted = sessions[2].clone();
    unlisted.photos[0].refused = Some((Reason::ViewMissing, "not uploaded".to_owned()));
    upload(&ledger, &[sessions[1].clone(), unlisted]).await;
    assert_eq!(ends(&ledger).await, ["measured", "ready", "not_measurable view_missing"]);

    upload(&ledger, &sessions).await;
    drain(&ledger, Fake::good()).await;
    assert_eq!(ends(&ledger).await, ["measured"; 3]);
    assert_eq!(rows(&ledger, Table::Changes).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_whose_object_was_gone_brings_its_followers_back() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(2)).await;
    drain(&ledger, Fake::new(|_| Act::Answer(Ok(gone(Reason::ViewMissing))))).await;
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 2);
    upload(&ledger, &course(2)).await;
    drain(&ledger, Fake::good()).await;
    assert_eq!(ends(&ledger).await, ["measured"; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_course_that_began_before_the_first_photos_has_no_baseline() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    sessions[0].sessions_before = Some(2);
    upload(&ledger, &sessions).await;
    assert_eq!(ends(&ledger).await, ["not_measurable baseline_missing"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_baseline_cancels_those_that_wait_for_it() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    assert_eq!(ledger.cancel(&in_state(State::Ready), &by()).await.unwrap().len(), 3);
    assert_eq!(ledger.counts(None).await.unwrap().cancelled, 3);

    assert_eq!(ledger.retry(&in_state(State::Cancelled), &by(), &how()).await.unwrap().len(), 3);
    assert_eq!(drain(&ledger, Fake::good()).await.measured, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_named_and_does_not_exist_is_an_error_and_touches_no_other() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let first: i64 = text(&rows(&ledger, Table::Photos).await[0], "run_id").parse().unwrap();
    let named = Selection::Runs(vec![first, 4711]);
    assert!(matches!(ledger.cancel(&named, &by()).await, Err(LedgerError::NoSuchRun(4711))));
    assert!(matches!(ledger.retry(&named, &by(), &how()).await, Err(LedgerError::NoSuchRun(4711))));
    assert_eq!(ends(&ledger).await, ["ready", "waiting_for_baseline", "waiting_for_baseline"]);
    assert_eq!(ledger.retry(&in_state(State::Failed), &by(), &how()).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_reads_photos_again_when_it_is_asked_to_and_the_old_rows_stay() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    drain(&ledger, Fake::good()).await;
    let other = PlanSettings { protocol_digest: "d2".to_owned(), ..how() };
    let planned = ledger.plan_patient(&clinic(), &patient(PATIENT), &other).await.unwrap();
    assert!(!planned.changed(), "a result stays until somebody asks for another one: {planned:?}");

    let again = PlanSettings { rescore: true, ..other.clone() };
    let planned = ledger.plan_patient(&clinic(), &patient(PATIENT), &again).await.unwrap();
    assert_eq!((planned.ready, planned.waiting, planned.retired), (1, 2, 3));
    // Only a worker of that protocol reads them.
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (ledger, stop, how) = (ledger.clone(), stop.clone(), settings(here(&ledger).await));
        async move { ledger.work(Fake::good(), how, stop).await }
    });
    tokio::time::sleep(Duration::from_millis(900)).await;
    stop.cancel();
    working.await.unwrap().unwrap();
    assert_eq!(ends(&ledger).await, ["ready", "waiting_for_baseline", "waiting_for_baseline"]);

    let of_other = WorkSettings { protocol_digest: "d2".to_owned(), ..settings(here(&ledger).await) };
    drain_with(&ledger, Fake::good(), of_other).await;
    assert_eq!(rows(&ledger, Table::Observations).await.len(), 3);

    let back = PlanSettings { rescore: true, ..how() };
    let planned = ledger.plan_patient(&clinic(), &patient(PATIENT), &back).await.unwrap();
    assert_eq!((planned.revived, planned.retired), (3, 3));
    assert_eq!(ledger.refresh_changes(&*Fake::good()).await.unwrap(), 1);
    assert_eq!(rows(&ledger, Table::Changes).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn something_new_of_a_patient_is_read_with_all_the_rest_by_one_method() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)[..2]).await;
    drain(&ledger, Fake::good()).await;
    let other = PlanSettings { program_version: "0.2.0".to_owned(), ..how() };
    ledger.record_session(here(&ledger).await, &course(1)[2]).await.unwrap();
    let planned = ledger.plan_patient(&clinic(), &patient(PATIENT), &other).await.unwrap();
    assert_eq!((planned.ready, planned.waiting, planned.retired), (1, 2, 2));
    let of_other = WorkSettings { program_version: "0.2.0".to_owned(), ..settings(here(&ledger).await) };
    drain_with(&ledger, Fake::good(), of_other).await;
    let photos = rows(&ledger, Table::Photos).await;
    assert!(photos.iter().all(|photo| text(photo, "program_version") == "0.2.0"), "{photos:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_choose_another_baseline_and_take_the_choice_back() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    drain(&ledger, Fake::good()).await;
    let before = dump(&ledger, Table::Changes).await;
    let pin = async |session: Option<&str>| {
        let session = session.map(|key| key.parse().unwrap());
        ledger.pin_baseline(&clinic(), &patient(PATIENT), session, &by(), &how()).await
    };
    assert!(matches!(pin(Some("2026-07-01-01")).await, Err(LedgerError::NoSuchSession { .. })));
    assert_eq!(pin(Some("2026-02-10-01")).await.unwrap().runs(), 3);
    drain(&ledger, Fake::good()).await;
    let photos = rows(&ledger, Table::Photos).await;
    let references: Vec<String> = photos.iter().map(|row| text(row, "is_reference")).collect();
    assert_eq!(references, ["0", "1", "0"]);
    assert_eq!(text(&rows(&ledger, Table::Actions).await[0], "detail"), format!("{PATIENT}: 2026-02-10-01"));

    assert_eq!(pin(None).await.unwrap().revived, 3);
    ledger.refresh_changes(&*Fake::good()).await.unwrap();
    assert_eq!(dump(&ledger, Table::Changes).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_is_confirmed_by_the_next_session() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    drain(&ledger, Fake::good()).await;
    let responders = rows(&ledger, Table::Responders).await;
    let told: Vec<String> = responders
        .iter()
        .map(|row| ["responder_25", "responder_50", "confirmed_25"].map(|column| text(row, column)).join(" "))
        .collect();
    assert_eq!(told, ["1 0 0", "1 1 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_was_cut_goes_on_behind_its_mark_and_a_whole_one_begins_anew() {
    let Some((_database, ledger)) = ledger().await else { return };
    let begin = async |scope: &str, go_on: bool| ledger.night_begin("s3://a", scope, go_on).await.unwrap();
    let (first, after) = begin("all", true).await;
    assert_eq!(after, None);
    ledger.night_mark(first, "clinic=c/patient=p/x.jpg").await.unwrap();
    ledger.record_stray(first, "odd name", Reason::BadKey, "rename it").await.unwrap();
    ledger.night_end(first, false, false).await.unwrap();
    here(&ledger).await;
    ledger.source("s3://a").await.unwrap();

    let (second, after) = begin("all", true).await;
    assert_eq!(after.as_deref(), Some("clinic=c/patient=p/x.jpg"));
    assert_eq!(rows(&ledger, Table::Quarantine).await.len(), 1, "what the first part set aside is not forgotten");
    // Killed before its first mark it is as if it had not been.
    let (_, after) = begin("all", true).await;
    assert_eq!(after.as_deref(), Some("clinic=c/patient=p/x.jpg"));
    let (_, after) = begin("since 2026-11-01", true).await;
    assert_eq!(after, None, "another scope");
    ledger.night_end(second, true, true).await.unwrap();
    let (_, after) = begin("all", false).await;
    assert_eq!(after, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_can_be_exported_and_filtered() {
    let Some((_database, ledger)) = ledger().await else { return };
    let (night, _) = ledger.night_begin("./bucket", "all", true).await.unwrap();
    let how = PlanSettings { night_id: Some(night), ..how() };
    for session in course(2) {
        ledger.record_session(here(&ledger).await, &session).await.unwrap();
        ledger.plan_patient(&clinic(), &session.patient, &how).await.unwrap();
    }
    drain(&ledger, Fake::good()).await;
    assert_eq!(ledger.night_end(night, true, true).await.unwrap().measured, 4);
    for table in Table::ALL {
        let exported = rows(&ledger, table).await.len() as u64;
        let handed_over = ledger.export(table, &mut |_: Line<'_>| Ok(())).await.unwrap();
        assert_eq!(exported, handed_over, "{}", table.name());
        assert_eq!(table.name().parse::<Table>(), Ok(table));
    }
    let matching = [("session", "2026-01-10-01"), ("shot", "2")];
    let found = ledger.export_where(Table::Observations, &matching, &mut |_: Line<'_>| Ok(())).await.unwrap();
    assert_eq!(found, 1);
    let unknown = ledger.export_where(Table::Photos, &[("face", "x")], &mut |_: Line<'_>| Ok(())).await;
    assert!(matches!(unknown, Err(LedgerError::Unsupported(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_sweep_that_saw_all_counts_as_the_last_one() {
    let Some((_database, ledger)) = ledger().await else { return };
    let source = here(&ledger).await;
    // Cut before its first mark, or behind it with places that could not be listed.
    for is_whole in [false, true] {
        let (night, _) = ledger.night_begin("here", "all", true).await.unwrap();
        ledger.night_end(night, is_whole, false).await.unwrap();
        assert_eq!(ledger.last_sweep(source).await.unwrap(), None);
    }
    let (night, _) = ledger.night_begin("here", "all", true).await.unwrap();
    ledger.night_end(night, true, true).await.unwrap();
    let other = ledger.source("there").await.unwrap();
    assert!(ledger.last_sweep(source).await.unwrap().is_some());
    assert_eq!(ledger.last_sweep(other).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pace_counts_work_and_the_end_what_moves() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let before = ledger.tonight(jiff::Timestamp::now()).await.unwrap();
    assert_eq!((before.pace.per_minute, before.pace.open, before.eta()), (0.0, 3, None));
    ledger.pause(Some(&clinic()), &by()).await.unwrap();
    let paused = ledger.tonight(jiff::Timestamp::now()).await.unwrap();
    assert_eq!((paused.moves(), paused.pace.open, paused.counts.scheduled), (false, 0, 1), "without any worker");
    ledger.cancel(&in_state(State::Scheduled), &by()).await.unwrap();
    let cancelled = ledger.tonight(jiff::Timestamp::now()).await.unwrap();
    assert_eq!(cancelled.pace.per_minute, 0.0, "what is cancelled was no work");
}
