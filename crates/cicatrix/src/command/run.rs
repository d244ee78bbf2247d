//! `run` and `scan`: the night over a bucket.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use cicatrix_ledger::{Ledger, PlanSettings, State};
use cicatrix_store::{Layout, PhotoStore, open, open_output};
use cicatrix_worker::pixel::{PixelPool, PixelSettings};
use cicatrix_worker::{
    Desk, DeskSettings, Ending, Intake, IntakeSettings, Night, NightSettings, Progress, Summary, look,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::{Global, RunArgs, SourceArgs};
use crate::config::Config;
use crate::exit;
use crate::print::{out, plain, quoted};

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

fn code(summary: &Summary) -> u8 {
    let counts = &summary.counts;
    if summary.ending == Ending::Interrupted {
        exit::INTERRUPTED
    } else if counts.failed > 0 {
        exit::BUG
    } else if !summary.refused.is_empty() {
        exit::BAD_CONFIG
    } else if !summary.unseen.is_empty() {
        exit::NOT_PERMITTED
    } else if summary.is_emptied {
        exit::UNAVAILABLE
    } else if counts.quarantined > 0 || !summary.bad_keys.is_empty() {
        exit::QUARANTINED
    } else if counts.not_measurable > 0 || !summary.problems.is_empty() {
        exit::RETAKES
    } else {
        exit::DONE
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    lines: bool,
    last: std::sync::Mutex<Instant>,
    started: Instant,
}

const LINE_EVERY: Duration = Duration::from_secs(5);

impl Shown {
    fn new(global: &Global) -> Self {
        let silent = global.no_progress || global.quiet;
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal && !silent { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} photos  {msg}  {elapsed} elapsed, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        Self { bar, lines: !terminal && !silent, last: std::sync::Mutex::new(now), started: now }
    }

    fn tell(&self, progress: Progress) {
        match progress {
            // A name may be a person's: it goes to the quarantine list, not to the log.
            Progress::Notice(text) => tracing::debug!("{}", plain(&text)),
            Progress::Counts { counts, swept } => {
                let done = counts.total() - counts.unfinished() - counts.superseded;
                self.bar.set_length(counts.total() - counts.superseded);
                self.bar.set_position(done);
                let listing = if swept { "" } else { ", still listing" };
                let text = format!(
                    "{} measured, {} to retake, {} quarantined{listing}",
                    counts.measured, counts.not_measurable, counts.quarantined
                );
                self.line(&format!("{done} of {} photos: {text}", counts.total() - counts.superseded));
                self.bar.set_message(text);
            }
        }
    }

    fn line(&self, text: &str) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.lines && last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("{:>5.0} s  {text}\n", self.started.elapsed().as_secs_f64()),
            );
        }
    }

    fn close(&self) {
        self.bar.finish_and_clear();
    }
}

fn report(summary: &Summary, args: &RunArgs, settings: &Config, global: &Global) -> anyhow::Result<()> {
    let counts = &summary.counts;
    if global.json {
        return out(&json!({
            "ending": match summary.ending { Ending::Done => "done", Ending::Interrupted => "interrupted" },
            "photos_listed": summary.swept.photos,
            "sessions_listed": summary.swept.sessions,
            "patients_listed": summary.swept.patients,
            "planned": summary.planned,
            "sessions_gone": summary.gone,
            "results_dropped": summary.dropped,
            "places_unseen": summary.unseen,
            "patients_of_other_sources": summary.refused,
            "is_emptied": summary.is_emptied,
            "counts": counts,
            "bad_keys": summary.bad_keys,
            "problems": summary.problems,
        })
        .to_string());
    }
    let planned = match args.dry_run {
        true => "a dry run plans nothing".to_owned(),
        false => format!("{} new runs planned", summary.planned),
    };
    out(&format!(
        "{} photos of {} sessions and {} patients listed; {planned}.",
        summary.swept.photos, summary.swept.sessions, summary.swept.patients
    ))?;
    let states = State::ALL.iter().filter(|s| counts.of(**s) > 0 && **s != State::Superseded);
    let told: Vec<String> = states.map(|s| format!("{} {}", counts.of(*s), s.name())).collect();
    if !told.is_empty() {
        out(&format!("In the ledger: {}.", told.join(", ")))?;
    }
    if summary.is_emptied {
        out(
            "No session is there where there were some: is it the right place, is the disk mounted? Nothing is changed.",
        )?;
    } else if summary.swept.photos == 0 {
        out("No photo was found: names are clinic=…/patient=…/session=…/<view>.<shot>.<ext>, or say --layout.")?;
    }
    if summary.gone > 0 {
        out(&format!(
            "{} sessions are no longer there: what was measured of them stays where nothing has taken its place, the rest is \
             off the lists.",
            summary.gone
        ))?;
    }
    if summary.dropped > 0 {
        out(&format!(
            "{} results of photos that are gone count no longer: they moved, or their baseline is another photo now.",
            summary.dropped
        ))?;
    }
    notices(summary, args)?;
    let db =
        if settings.db == Config::default().db { String::new() } else { format!(" --db {}", quoted(&settings.db)) };
    let next = match summary.ending {
        Ending::Done if args.dry_run => "the same command without --dry-run".to_owned(),
        Ending::Interrupted => "run the same command again to go on".to_owned(),
        Ending::Done if summary.is_emptied => "the same command, once the photos are back".to_owned(),
        Ending::Done if !summary.refused.is_empty() => "see above".to_owned(),
        Ending::Done if counts.unfinished() > 0 => format!("cicatrix run {}{db}", quoted(&args.source.source)),
        Ending::Done if counts.failed > 0 => format!("cicatrix jobs list --state failed{db}"),
        Ending::Done if counts.quarantined > 0 || !summary.bad_keys.is_empty() => {
            format!("cicatrix quarantine list{db}")
        }
        Ending::Done if counts.not_measurable > 0 => format!("cicatrix retakes list{db}"),
        Ending::Done if counts.total() == 0 => "the same command, once there are photos".to_owned(),
        Ending::Done => format!("cicatrix export changes{db} --output changes.csv"),
    };
    out(&format!("Next: {next}"))
}

/// What the sweep could not take in. A name may be a person's and this may go to a journal, so a run only counts; a dry
/// run, which records nothing that could be listed later, names.
fn notices(summary: &Summary, args: &RunArgs) -> anyhow::Result<()> {
    if args.dry_run {
        for (what, detail) in summary.bad_keys.iter().chain(&summary.problems).chain(&summary.unseen) {
            out(&format!("  {}: {}", plain(what), plain(detail)))?;
        }
        return Ok(());
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, detail) in &summary.bad_keys {
        *reasons.entry(detail.split_once(':').map_or(detail.as_str(), |(reason, _)| reason)).or_default() += 1;
    }
    for (reason, n) in reasons {
        out(&format!("  {n} files are no photos of a session ({reason}): 'cicatrix quarantine list' names them."))?;
    }
    for (place, patients) in &summary.refused {
        out(&format!(
            "  {patients} patients were left alone, for in this ledger they belong to {place}. If that one has moved here, \
             run once with --moved-from {}; if only they have moved, run it once more over there first; if both have \
             patients of this name, give this place a ledger of its own with --db.",
            quoted(place)
        ))?;
    }
    match summary.unseen.len() {
        0 => {}
        n => out(&format!(
            "  {n} places could not be listed, and what lies there was left as it was: the same command with --dry-run \
             names them."
        ))?,
    }
    match summary.problems.len() {
        0 => Ok(()),
        n => out(&format!("  {n} notes on descriptions: the same command with --dry-run names them.")),
    }
}
