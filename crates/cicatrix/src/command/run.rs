//! `run` and `scan`: the night over a bucket.

mod report;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cicatrix_ledger::{Ledger, PlanSettings};
use cicatrix_store::{Layout, PhotoStore, open, open_output};
use cicatrix_worker::pixel::{PixelPool, PixelSettings};
use cicatrix_worker::{Desk, DeskSettings, Intake, IntakeSettings, Night, NightSettings, Summary, look};
use tokio_util::sync::CancellationToken;

use self::report::{code, report};
use self::shown::Shown;
use crate::args::{Global, RunArgs, SourceArgs};
use crate::config::Config;
use crate::exit;

pub(crate) async fn run(args: &RunArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let (code, summary) = night(args, settings, global, false).await?;
    report(&summary, args, settings, global)?;
    Ok(code)
}

pub(crate) async fn scan(source: &SourceArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let args =
        RunArgs { source: source.clone(), out: "none".to_owned(), workers: None, pixel_memory: None, dry_run: false };
    let (_, summary) = night(&args, settings, global, true).await?;
    report(&summary, &args, settings, global)?;
    Ok(exit::DONE)
}

/// Runs a night; gives its exit code.
pub(crate) async fn night(
    args: &RunArgs,
    settings: &Config,
    global: &Global,
    scan_only: bool,
) -> anyhow::Result<(u8, Summary)> {
    let settings = &settings.with(args.workers, args.pixel_memory)?;
    let source = open(&args.source.source).await?;
    source.check().await?;
    let intake = Intake::new(source.clone(), layout(&args.source)?, intake_settings(args, settings)?);
    let shown = Shown::new(global);
    if args.dry_run {
        if args.source.moved_from.is_some() {
            return Err(exit::bad_input(
                "a dry run records nothing, not even that a source has moved: leave one of the two out",
            ));
        }
        let summary = look(&intake, |p| shown.tell(p)).await?;
        shown.close();
        return Ok((code(&summary), summary));
    }
    let pictures = match args.out.as_str() {
        "none" => None,
        _ if scan_only => None,
        place => Some(open_output(place).await.context("the place for derived pictures")?),
    };
    let ledger = Ledger::open(&settings.db).await.with_context(|| format!("the database {}", settings.db))?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone());
    let (desk, night) = wire(settings, &source, pictures, args.source.moved_from.as_deref(), scan_only)?;
    let summary = Night::new(ledger, intake, Arc::new(desk), night).run(stop, |p| shown.tell(p)).await?;
    shown.close();
    Ok((code(&summary), summary))
}

fn wire(
    settings: &Config,
    source: &Arc<dyn PhotoStore>,
    pictures: Option<Arc<dyn PhotoStore>>,
    moved_from: Option<&str>,
    scan_only: bool,
) -> anyhow::Result<(Desk, NightSettings)> {
    let protocol = settings.protocol()?;
    let workers = settings.workers();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let pixel = PixelSettings {
        program: std::env::current_exe().context("cannot find this program's own file")?,
        processes: workers,
        memory_bytes: settings.pixel_memory_mib << 20,
        cpu_limit: Duration::from_secs(settings.pixel_cpu_s),
        wall_limit: Duration::from_secs(80),
    };
    let plan = PlanSettings {
        protocol_id: protocol.id.clone(),
        protocol_digest: protocol.digest(),
        program_version: version.clone(),
        night_id: None,
    };
    let how =
        DeskSettings { protocol: protocol.clone(), calibration: settings.calibration()?, program_version: version };
    let desk = Desk::new(source.clone(), pictures, PixelPool::new(pixel, protocol), how);
    let worker_name = format!("pid-{}", std::process::id());
    let moved_from = moved_from.map(source_name).transpose()?;
    let night = NightSettings { moved_from, plan, workers, worker_name, scan_only };
    Ok((desk, night))
}

/// A source as the ledger names it. A folder that has moved can no longer be asked where it is.
fn source_name(typed: &str) -> anyhow::Result<String> {
    if typed.contains("://") {
        return Ok(typed.to_owned());
    }
    let path = std::path::absolute(typed).context("the place that --moved-from names")?;
    Ok(path.display().to_string())
}

fn layout(args: &SourceArgs) -> anyhow::Result<Layout> {
    match &args.layout {
        None => Ok(Layout::standard()),
        Some(pattern) => Ok(Layout::pattern(pattern, args.clinics.first().cloned())?),
    }
}

fn intake_settings(args: &RunArgs, settings: &Config) -> anyhow::Result<IntakeSettings> {
    Ok(IntakeSettings {
        clinics: args.source.clinics.clone(),
        since: args.source.since,
        max_bytes: settings.protocol()?.limits.max_bytes,
    })
}

/// First Ctrl-C or SIGTERM: finish what is in work and stop. Second: at once; nothing is lost either way.
fn stop_on_signals(stop: CancellationToken) {
    tokio::spawn(async move {
        signal().await;
        stop.cancel();
        signal().await;
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(stream) => {
                stream.recv().await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
