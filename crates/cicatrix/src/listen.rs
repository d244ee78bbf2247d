//! The address on which a worker tells how it is: `/metrics`, `/healthz`, `/readyz`. It answers nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cicatrix_ledger::{Ledger, SourceId};
use cicatrix_worker::{Desk, Meter};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::exit::bad_config;

/// How old what was read may be: two scrapers shall not double the questions to the database.
const FRESH: Duration = Duration::from_secs(5);
/// How long the work may be silent: a look at the counts every few seconds, and half a minute for a database that restarts.
const SILENT: Duration = Duration::from_secs(90);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The next deadline; a worker lives through many.
type Deadline = Box<dyn Fn() -> Option<Timestamp> + Send + Sync>;

struct Told {
    meter: Meter,
    ledger: Ledger,
    desk: Arc<Desk>,
    source: SourceId,
    deadline: Deadline,
    /// When the ledger was last read, and whether it could be.
    read: Mutex<Option<(Instant, bool)>>,
    ready: Mutex<Option<(Instant, bool)>>,
}

/// Listens until the program ends.
pub(crate) async fn listen(
    address: SocketAddr,
    meter: Meter,
    ledger: Ledger,
    desk: Arc<Desk>,
    source: SourceId,
    deadline: Deadline,
) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(address).await.map_err(|error| bad_config(format!("cannot listen on {address}: {error}")))?;
    tracing::info!(%address, "listening for /metrics, /healthz and /readyz");
    let told = Told { meter, ledger, desk, source, deadline, read: Mutex::default(), ready: Mutex::default() };
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .with_state(Arc::new(told));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "no longer listening for /metrics");
        }
    });
    Ok(())
}

async fn metrics(State(told): State<Arc<Told>>) -> Response {
    let mut read = told.read.lock().await;
    if read.is_none_or(|(at, _)| at.elapsed() > FRESH) {
        let good = told.meter.read(&told.ledger, told.source, (told.deadline)()).await;
        if let Err(error) = &good {
            tracing::warn!(%error, "the ledger's meters could not be read, the last ones are told");
        }
        *read = Some((Instant::now(), good.is_ok()));
    }
    ([(header::CONTENT_TYPE, OPEN_METRICS)], told.meter.text()).into_response()
}

async fn health(State(told): State<Arc<Told>>) -> (StatusCode, &'static str) {
    match told.meter.silent_for() < SILENT {
        true => (StatusCode::OK, "the work goes round\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the work has not been seen to go round for a while\n"),
    }
}

async fn readiness(State(told): State<Arc<Told>>) -> (StatusCode, &'static str) {
    let mut ready = told.ready.lock().await;
    let is_ready = match *ready {
        Some((at, is_ready)) if at.elapsed() < FRESH => is_ready,
        _ => {
            let is_ready = told.ledger.open_counts(Some(told.source)).await.is_ok() && told.desk.can_fetch().await;
            *ready = Some((Instant::now(), is_ready));
            is_ready
        }
    };
    match is_ready {
        true => (StatusCode::OK, "database and store answer\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "database or store do not answer\n"),
    }
}
