//! The dashboard: pages, pictures, actions and a JSON API over one ledger.
//!
//! Decided here, and why:
//! - **Pages are written on the server** (askama, SVG charts), and every page that is read works without JavaScript. The
//!   script that is there (`assets/app.js`, a few kB of our own) moves the slider, and keeps counts fresh.
//! - **Closed by default** (`access.rs`): an address that only this machine reaches and a token that works once; another
//!   address only with a password. Each answer carries headers that forbid all that is not needed.
//! - **A page asks the ledger and nothing else.** Pictures are fetched from the store of derived pictures when they are looked
//!   at, and never kept by a browser. No image is parsed here.
//! - **What changes something** is a form with a token of its session, asks again with the number of runs that it is about,
//!   and is kept with who did it and why (`actions.rs`).
#![forbid(unsafe_code)]

mod access;
mod actions;
mod api;
mod assets;
mod chart;
mod pages;
mod pictures;
mod problem;
mod summary;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use cicatrix_ledger::{Ledger, PlanSettings};
use cicatrix_store::PhotoStore;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::access::{Access, AccessError};

/// More than any form of ours has.
const FORM_BYTES: usize = 256 << 10;

/// When the night has to be over, if there is such a time.
pub type Deadline = Box<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// What is shown, and what may be done.
pub struct Settings {
    /// The database, as it may be shown: without a password.
    pub database: String,
    /// What photos are read with that are tried again.
    pub plan: PlanSettings,
    /// Nothing can be changed.
    pub read_only: bool,
    /// Who changes something, where a form does not say; nobody where several use it.
    pub user: Option<String>,
    pub deadline: Deadline,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("database", &self.database)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

/// All that a page needs.
pub(crate) struct Dashboard {
    pub(crate) ledger: Ledger,
    /// Where derived pictures are; none are shown without.
    pub(crate) pictures: Option<Arc<dyn PhotoStore>>,
    pub(crate) settings: Settings,
    pub(crate) access: Access,
    /// Cancelled when it shall end.
    pub(crate) stop: CancellationToken,
}

pub(crate) type Shared = Arc<Dashboard>;

/// Serves until `stop` is cancelled.
pub async fn serve(
    listener: TcpListener,
    mut access: Access,
    ledger: Ledger,
    pictures: Option<Arc<dyn PhotoStore>>,
    settings: Settings,
    stop: CancellationToken,
) -> std::io::Result<()> {
    access.listens_on(listener.local_addr()?);
    let dashboard = Arc::new(Dashboard { ledger, pictures, settings, access, stop: stop.clone() });
    axum::serve(listener, routes(dashboard)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn routes(dashboard: Shared) -> Router {
    Router::new()
        .route("/", get(pages::tonight::show))
        .route("/tonight.csv", get(pages::tonight::csv))
        .route("/live", get(pages::tonight::live))
        .route("/retakes", get(pages::retakes::show))
        .route("/retakes/print", get(pages::retakes::print))
        .route("/patients", get(pages::patients::show))
        .route("/patients/{clinic}/{patient}", get(pages::patient::show))
        .route("/patients/{clinic}/{patient}/baseline", post(actions::baseline))
        .route("/patients/{clinic}/{patient}/sessions/{session}", get(pages::session::show))
        .route("/outcomes", get(pages::outcomes::show))
        .route("/outcomes.csv", get(pages::outcomes::csv))
        .route("/data", get(pages::data::show))
        .route("/data/{file}", get(pages::data::table))
        .route("/queues", get(pages::queues::show))
        .route("/queues.csv", get(pages::queues::csv))
        .route("/jobs", get(pages::jobs::show))
        .route("/jobs.csv", get(pages::jobs::csv))
        .route("/jobs/{run}", get(pages::jobs::one))
        .route("/jobs/{run}/gate.csv", get(pages::jobs::gate))
        .route("/jobs/act", post(actions::runs))
        .route("/pauses", post(actions::pauses))
        .route("/quarantine", get(pages::quarantine::show))
        .route("/workers", get(pages::workers::show))
        .route("/pictures/{run}/{name}", get(pictures::picture))
        .merge(api::routes())
        .route("/login", get(access::login_page).post(access::login))
        .route("/assets/{name}", get(assets::asset))
        .route("/healthz", get(async || "the dashboard answers\n"))
        .fallback(async || problem::Problem::not_found("there is no such page"))
        .layer(axum::extract::DefaultBodyLimit::max(FORM_BYTES))
        .layer(axum::middleware::map_response(problem::as_page))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&dashboard), access::guard))
        .with_state(dashboard)
}
