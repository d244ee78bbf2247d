//! What a photo costs the ledger, with 1,000 photos queued and with many: `queue <PHOTOS> [postgres://…]`.
//!
//! No photo is read: each gets its verdict at once, so what is timed is handing out, starting and ending. Of each ledger the same
//! number of photos is worked on. Prints JSON.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cicatrix_ledger::{
    Filter, Handler, HandlerError, Ledger, PhotoUpload, PlanSettings, Schedule, SessionUpload, SourceId, StartedRun,
    State, Verdict, WorkSettings,
};
use cicatrix_model::{Change, ClinicId, PatientId, QualityTier, Scale, ScaleSource, Series, Trend};
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Photos that are worked on, of each ledger.
const WORKED_ON: usize = 800;
const FEW: usize = 1000;
/// A photo takes a worker about so long, ms: what the ledger's cost is compared with.
const PHOTO_MS: f64 = 300.0;

struct AtOnce {
    done: AtomicUsize,
    enough: Notify,
}

#[async_trait]
impl Handler for AtOnce {
    async fn assess(&self, run: &StartedRun) -> Result<Verdict, HandlerError> {
        if self.done.fetch_add(1, Ordering::SeqCst) + 1 >= WORKED_ON {
            self.enough.notify_one();
        }
        Ok(Verdict::Measured {
            content_sha256: run.photo.version.clone(),
            observations: vec![],
            regions: vec![],
            readings: vec![],
            tier: QualityTier::Clinic,
            scale: Scale { px_per_mm: 20.0, source: ScaleSource::Manifest, relative_sd: 0.02 },
            endpoint_eligible: true,
            provenance: json!({}),
            derived: json!({}),
            warnings: vec![],
        })
    }
    fn changes(&self, _series: &Series) -> Vec<Change> {
        vec![]
    }
    fn trends(&self, _series: &Series, _changes: &[Change]) -> Vec<Trend> {
        vec![]
    }
    fn adjusted(&self, p_values: &[f64]) -> Vec<f64> {
        p_values.to_vec()
    }
}

fn plan() -> PlanSettings {
    PlanSettings {
        protocol_id: "queue".to_owned(),
        protocol_digest: "queue".to_owned(),
        program_version: "0".to_owned(),
        night_id: None,
        rescore: false,
    }
}

/// Patients with a baseline and three follow-ups, over twenty clinics.
async fn fill(ledger: &Ledger, photos: usize) {
    let source = ledger.source("queue").await.unwrap();
    // Some at once: a server commits them together.
    stream::iter(0..photos / 4).for_each_concurrent(8, |number| fill_patient(ledger, source, number)).await;
}

async fn fill_patient(ledger: &Ledger, source: SourceId, number: usize) {
    let clinic = ClinicId::new(format!("c-{:02}", number % 20)).unwrap();
    let patient: PatientId = format!("pt-{number:06}").parse().unwrap();
    for month in 1..=4 {
        let name = format!("{number}-{month}");
        let upload = SessionUpload {
            clinic: clinic.clone(),
            patient: patient.clone(),
            session: format!("2026-{month:02}-01-01").parse().unwrap(),
            session_no: None,
            baseline: false,
            sessions_before: None,
            days_since_treatment: None,
            manifest: None,
            problem: None,
            is_whole: true,
            photos: vec![PhotoUpload {
                view: "face.frontal".parse().unwrap(),
                shot: 1,
                key: format!("{name}.jpg"),
                version: name,
                bytes: 1,
                sha256: None,
                captured_at: None,
                px_per_mm: None,
                regions: vec![],
                refused: None,
            }],
        };
        ledger.record_session(source, &upload).await.unwrap();
    }
    ledger.plan_patient(&clinic, &patient, &plan()).await.unwrap();
}

/// Milliseconds that a photo costs, and that a look at the counts and a page of the list take.
async fn cost(ledger: &Ledger) -> (f64, f64, f64) {
    let handler = Arc::new(AtOnce { done: AtomicUsize::new(0), enough: Notify::new() });
    let how = WorkSettings {
        source: ledger.source("queue").await.unwrap(),
        protocol_digest: plan().protocol_digest,
        program_version: plan().program_version,
        workers: 2,
        worker_name: "queue".to_owned(),
        job_timeout: Duration::from_secs(60),
        schedule: Schedule::default(),
    };
    let looking = Instant::now();
    ledger.open_counts(None).await.unwrap();
    let look = looking.elapsed();
    let listing = Instant::now();
    let ready = Filter { state: Some(State::Ready), ..Filter::default() };
    ledger.list(&ready, 0, 100, &mut |_| Ok(())).await.unwrap();
    let list = listing.elapsed();
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let work = ledger.work(handler.clone(), how, stop.clone());
    let lead = async {
        handler.enough.notified().await;
        let took = begun.elapsed();
        stop.cancel();
        took
    };
    let (worked, took) = tokio::join!(work, lead);
    worked.unwrap();
    let ms = |time: Duration| 1000.0 * time.as_secs_f64();
    (ms(took) / WORKED_ON as f64, ms(look), ms(list))
}

async fn measure(url: &str, photos: usize) -> (f64, f64, f64) {
    let ledger = Ledger::open(url).await.unwrap();
    fill(&ledger, photos).await;
    let cost = cost(&ledger).await;
    ledger.close().await;
    cost
}

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1);
    let many: usize = words.next().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let server = words.next();
    let mut told = serde_json::Map::new();
    told.insert("queued".to_owned(), json!([FEW, many]));
    let scratch = tempfile::tempdir().unwrap();
    let mut kinds = vec![("SQLite", format!("sqlite://{}/", scratch.path().display()))];
    if let Some(server) = server {
        kinds.push(("PostgreSQL", server));
    }
    for (kind, place) in kinds {
        let mut costs = vec![];
        for photos in [FEW, many] {
            let url = match kind {
                "SQLite" => format!("{place}{photos}.db"),
                _ => new_database(&place, photos).await,
            };
            costs.push(measure(&url, photos).await);
        }
        let [few, many] = [costs[0], costs[1]];
        let text = format!(
            "{:.1} ms a photo, {:.1} ms with many: {:+.1} % of a photo's {PHOTO_MS} ms; counts {:.1} and {:.1} ms, a page of \
             the list {:.1} and {:.1} ms",
            few.0,
            many.0,
            100.0 * (many.0 - few.0) / PHOTO_MS,
            few.1,
            many.1,
            few.2,
            many.2
        );
        told.insert(kind.to_owned(), json!(text));
    }
    println!("{}", serde_json::Value::Object(told));
}

async fn new_database(server: &str, photos: usize) -> String {
    use riverqueue::sqlx::postgres::{PgConnectOptions, PgConnection};
    use riverqueue::sqlx::{AssertSqlSafe, Connection, Executor};
    let name = format!("queue_{}_{photos}", std::process::id());
    let options: PgConnectOptions = server.parse().unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let (base, query) = server.split_once('?').map_or((server, None), |(base, query)| (base, Some(query)));
    let (host, _) = base.rsplit_once('/').unwrap();
    format!("{host}/{name}{}", query.map_or(String::new(), |query| format!("?{query}")))
}
