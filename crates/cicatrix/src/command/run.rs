//! `run`, `scan` and `worker`: the night over a bucket, as one or in parts.

#[cfg(feature = "events")]
mod follow;
mod report;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cicatrix_ledger::{Ledger, PlanSettings, patiently, without_password};
use cicatrix_store::{Layout, PhotoStore, open, open_output};
use cicatrix_worker::pixel::{PixelPool, PixelSettings};
use cicatrix_worker::{
    Crew, Desk, DeskSettings, Ending, Intake, IntakeSettings, Meter, Metered, Night, NightSettings, Shift, Summary,
    look,
};
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::report::{code, code_of, code_of_listing, report};
use self::shown::Shown;
use crate::args::{Global, RunArgs, ScanArgs, SourceArgs, WorkArgs, WorkerArgs};
use crate::config::Config;
use crate::exit;
use crate::listen::listen;
use crate::print::out;

pub(crate) async fn run(args: &RunArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let (code, summary) = night(args, settings, global, false, None).await?;
    report(&summary, args, settings, global)?;
    Ok(code)
}

pub(crate) async fn scan(args: &ScanArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let source = args.source.clone();
    #[cfg(feature = "events")]
    if let Some(queue) = &args.events {
        return follow::follow(&source, queue, settings, global).await;
    }
    let args = RunArgs { source, work: WorkArgs::without_pictures(), dry_run: false, rescore: false };
    let (_, summary) = night(&args, settings, global, true, None).await?;
    report(&summary, &args, settings, global)?;
    Ok(code_of_listing(&summary))
}

/// Runs a night; gives its exit code. Without a `stop` signals are heard from where its work begins, and end the program
/// before.
pub(crate) async fn night(
    args: &RunArgs,
    settings: &Config,
    global: &Global,
    scan_only: bool,
    stop: Option<CancellationToken>,
) -> anyhow::Result<(u8, Summary)> {
    let settings = &settings.with(&args.work)?;
    let source = open(&args.source.source).await?;
    source.check().await?;
    let intake = Intake::new(source.clone(), layout(&args.source)?, intake_settings(&args.source, settings)?);
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
    let out = if scan_only { WorkArgs::without_pictures().out } else { args.work.out.clone() };
    let desk = desk(settings, source, &out, &Meter::default()).await?;
    let ledger = Ledger::open(&settings.db).await.with_context(|| database(settings))?;
    let stop = stop.unwrap_or_else(stopped_by_signals);
    let night = NightSettings {
        moved_from: args.source.moved_from.as_deref().map(source_name).transpose()?,
        plan: PlanSettings { rescore: args.rescore, ..plan_settings(settings)? },
        crew: crew(&args.work, settings)?,
        scan_only,
        whole: args.source.whole,
    };
    let summary = Night::new(ledger, intake, desk, night).run(stop, |p| shown.tell(p)).await?;
    shown.close();
    Ok((code(&summary), summary))
}

/// Works on what was planned, until it is told to stop.
pub(crate) async fn worker(
    args: &WorkerArgs,
    settings: &Config,
    global: &Global,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let settings = &settings.with(&args.work)?;
    let source = open(&args.source).await?;
    source.check().await?;
    let place = source.identity();
    let meter = Meter::default();
    let desk = desk(settings, source, &args.work.out, &meter).await?;
    let opened = tokio::select! {
        opened = patiently(|| Ledger::open(&settings.db)) => opened,
        () = stop.cancelled() => return Ok(exit::DONE),
    };
    let ledger = opened.with_context(|| database(settings))?;
    let mut crew = crew(&args.work, settings)?;
    if !args.drain && args.work.deadline.is_none() {
        // It lives through many nights.
        crew.deadline = None;
    }
    if let Some(address) = args.listen {
        let source = patiently(|| ledger.source(&place)).await?;
        let (own, schedule, typed) = (settings.clone(), crew.schedule.clone(), args.work.deadline.clone());
        let deadline = move || own.ends(typed.as_ref(), &schedule, Timestamp::now()).ok().flatten();
        listen(address, meter, ledger.clone(), desk.clone(), source, Box::new(deadline)).await?;
    }
    let shown = Shown::new(global);
    let shift = Shift { ledger, desk, crew, place, drain: args.drain };
    let (ending, [counts, listed]) = shift.run(stop, |p| shown.tell(p)).await?;
    shown.close();
    out(&format!(
        "{} measured, {} to retake, {} quarantined, {} failed, {} left",
        counts.measured,
        counts.not_measurable,
        counts.quarantined,
        counts.failed,
        counts.unfinished()
    ))?;
    // Told to stop is how a worker ends; what is left is for the next one.
    Ok(match ending {
        Ending::Interrupted if args.drain => exit::INTERRUPTED,
        Ending::Late => exit::LATE,
        Ending::Done if args.drain => code_of(&listed),
        Ending::Done | Ending::Interrupted => exit::DONE,
    })
}

/// What photos are read with.
pub(crate) fn plan_settings(settings: &Config) -> anyhow::Result<PlanSettings> {
    let protocol = settings.protocol()?;
    Ok(PlanSettings {
        protocol_digest: protocol.digest(),
        protocol_id: protocol.id,
        program_version: VERSION.to_owned(),
        night_id: None,
        rescore: false,
    })
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A pixel process that has said nothing for so long is given up, before its photo's time is over.
const WALL_LIMIT: Duration = Duration::from_secs(50);

fn database(settings: &Config) -> String {
    format!("the database {}", without_password(&settings.db))
}

/// Named by the machine and the process, so that ops find it.
fn crew(args: &WorkArgs, settings: &Config) -> anyhow::Result<Crew> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // In a container the process is always number 1, and comes again under the same name of the machine.
    let begun = Timestamp::now().as_second() & 0xffff;
    let schedule = settings.schedule(args.now)?;
    Ok(Crew {
        workers: settings.workers(),
        name: format!("{host}-{}-{begun:04x}", std::process::id()),
        deadline: settings.ends(args.deadline.as_ref(), &schedule, Timestamp::now())?,
        schedule,
    })
}

async fn desk(settings: &Config, source: Arc<dyn PhotoStore>, out: &str, meter: &Meter) -> anyhow::Result<Arc<Desk>> {
    let pictures = match out {
        "none" => None,
        place => {
            let store = open_output(place).await.context("the place for derived pictures")?;
            Some(Metered::over(store, meter))
        }
    };
    let protocol = settings.protocol()?;
    let pixel = PixelSettings {
        program: std::env::current_exe().context("cannot find this program's own file")?,
        processes: settings.workers(),
        memory_bytes: settings.pixel_memory_mib << 20,
        budget_bytes: settings.budget_bytes(),
        cpu_limit: Duration::from_secs(settings.pixel_cpu_s),
        wall_limit: WALL_LIMIT,
    };
    let how = DeskSettings {
        protocol: protocol.clone(),
        calibration: settings.calibration()?,
        program_version: VERSION.to_owned(),
    };
    let pixels = PixelPool::new(pixel, protocol, meter.clone());
    Ok(Arc::new(Desk::new(Metered::over(source, meter), pictures, pixels, how, meter.clone())))
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

fn intake_settings(args: &SourceArgs, settings: &Config) -> anyhow::Result<IntakeSettings> {
    Ok(IntakeSettings {
        clinics: args.clinics.clone(),
        since: args.since,
        max_bytes: settings.protocol()?.limits.max_bytes,
    })
}

/// First Ctrl-C or SIGTERM: finish what is in work and stop. Second: at once; nothing is lost either way. They are heard
/// from the call on.
pub(crate) fn stopped_by_signals() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt()).ok(), signal(SignalKind::terminate()).ok());
    tokio::spawn(async move {
        tokio::select! { () = heard(&mut interrupt) => {}, () = heard(&mut terminate) => {} }
        told.cancel();
        tokio::select! { () = heard(&mut interrupt) => {}, () = heard(&mut terminate) => {} }
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
    stop
}

/// Never, where the system does not let it be heard: then it ends the program by itself.
async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
