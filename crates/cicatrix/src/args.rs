//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use cicatrix_ledger::{ClockTime, State, Table};
use cicatrix_model::{ClinicId, PatientId, Reason, SessionKey, View};
use clap::{Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use jiff::civil::Date;

/// From progress photos of a microneedling course to scar change with an error bar.
///
/// Documentation and research analytics of standardised photographs; not for diagnosis or treatment decisions.
/// Validated on rendered skin, not clinically validated.
#[derive(Debug, Parser)]
#[command(name = "cicatrix", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Settings file [default: cicatrix.toml in the working folder, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Database of the ledger, sqlite://path or postgres://user@host/database, the password in PGPASSWORD or ~/.pgpass
    /// [default: sqlite://cicatrix.db]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) db: Option<String>,
    /// JSON on stdout where there is something to read (demo, run, scan, status, lists, align, locate, score,
    /// evaluate, repeatability); logs as JSON
    /// on stderr. Tables: export --format json
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say only errors on stderr
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// No progress on stderr
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a synthetic clinic and run it: photos, results, a table. No configuration, no network
    Demo(DemoArgs),
    /// Score a folder or bucket of session photos, then stop. Run again, it does only what is new
    Run(RunArgs),
    /// Record what is in a folder or bucket and plan the work, without working
    Scan(ScanArgs),
    /// Work on what was recorded, on as many machines as it takes, until told to stop
    Worker(WorkerArgs),
    /// Where the work stands, on one screen: counts, clinics, pace and what has to be looked at
    Status(StatusArgs),
    /// The dashboard in a browser: tonight, retakes, patients, outcomes, jobs
    Serve(ServeArgs),
    /// Write a table for analysts
    Export(ExportArgs),
    /// The photos to take again, and why
    Retakes {
        #[command(subcommand)]
        action: RetakesAction,
    },
    /// The files that were set aside, and why
    Quarantine {
        #[command(subcommand)]
        action: QuarantineAction,
    },
    /// Runs of photos: list and show them, try again, cancel, pause
    Jobs {
        #[command(subcommand)]
        action: JobsAction,
    },
    /// Lay one photo over another: map points, say how sure
    Align(AlignArgs),
    /// What is found in a photo: face and view, regions, skin, colour cards, and the scale with its source
    Locate(LocateArgs),
    /// Measure one photo, or one against another, and show which scars are measured
    Score(ScoreArgs),
    /// One patient: its sessions and changes, a follow-up beside its baseline, the choice of the baseline
    Patient {
        #[command(subcommand)]
        action: PatientAction,
    },
    /// Compare results with known truth: registration, agreement, false change
    Evaluate(EvaluateArgs),
    /// A clinic's own noise floor: score a folder or bucket, compare the two shots of each visit
    Repeatability(RepeatabilityArgs),
    /// Make a calibration table from results with known truth, or from a clinic's repeated shots
    Calibrate(CalibrateArgs),
    /// Write the report of how right changes are, from results with known truth and photos rendered for it
    Accuracy(AccuracyArgs),
    /// Settings: show, check, schema of the manifest
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Check that this machine can do the work: database, pixel process, its confinement
    Doctor,
    /// Whose work is in this program, and under which licence
    Notices,
    /// Completions for a shell
    Completions { shell: clap_complete::Shell },
    /// The role that parses image bytes; started by the others
    #[command(hide = true)]
    Pixel { memory_bytes: u64 },
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoArgs {
    /// Patients to make, 1 to 200
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) patients: u32,
    /// Sessions of each, 2 to 12
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=12))]
    pub(crate) sessions: u32,
    /// Folder that takes everything the demo makes
    #[arg(long, default_value = "./cicatrix-demo")]
    pub(crate) dir: PathBuf,
    /// Seed of the patients
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// What the clinic gets wrong: 0 a perfect rig, 0.5 a clinic that keeps its protocol, 1 an ordinary one, 2 the worst
    #[arg(long, default_value_t = 0.5, value_parser = parse_level)]
    pub(crate) level: f32,
    /// Change of scar volume by the last session, percent, the same for all patients: 0 for skin that
    /// does not change at all, else redness and pigment fade as well [default: drawn
    /// for each]
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, value_parser = parse_final_change)]
    pub(crate) final_change: Option<f64>,
    /// Photograph heads in the five standard views instead of a cheek from near by
    #[arg(long)]
    pub(crate) faces: bool,
    /// Size of the photos, megapixels, 1 to 60 [default: 1.1 of a cheek, 4.3 of a head]
    #[arg(long, value_name = "MP", value_parser = parse_megapixels)]
    pub(crate) megapixels: Option<f64>,
    /// Show it in a browser while it runs, and after, until Ctrl-C; with two more clinics where things go wrong
    #[arg(long)]
    pub(crate) serve: bool,
    /// Where it is shown
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787", requires = "serve")]
    pub(crate) bind: SocketAddr,
}

/// A scale as the manifest allows it.
fn parse_scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    (scale > 0.0 && scale < 1000.0).then_some(scale).ok_or_else(|| "a scale lies between 0 and 1000 px/mm".to_owned())
}

fn parse_megapixels(text: &str) -> Result<f64, String> {
    let megapixels: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    (1.0..=60.0).contains(&megapixels).then_some(megapixels).ok_or_else(|| "photos have 1 to 60 MP".to_owned())
}

/// A loss of volume that leaves every scar some depth.
fn parse_final_change(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    (-70.0..=100.0)
        .contains(&percent)
        .then_some(percent)
        .ok_or_else(|| "a change lies between -70 and 100 %".to_owned())
}

/// A level of nuisance that the phantom's geometry bears.
fn parse_level(text: &str) -> Result<f32, String> {
    let level: f32 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    (0.0..=2.0).contains(&level).then_some(level).ok_or_else(|| "a level lies between 0 and 2".to_owned())
}

/// An amount of memory, in MiB: 512MiB, 4GiB.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no amount of memory: write 512MiB or 4GiB");
    let (number, mib) = match text.strip_suffix("GiB") {
        Some(number) => (number, 1024),
        None => (text.strip_suffix("MiB").ok_or_else(wrong)?, 1),
    };
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(mib).filter(|mib| *mib > 0).ok_or_else(wrong)
}

/// A time that has passed: 90m, 12h, 3d.
fn parse_age(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("'{text}' is no age: write 90m, 12h or 3d");
    let (number, minutes) = match text.char_indices().next_back() {
        Some((at, 'm')) => (&text[..at], 1),
        Some((at, 'h')) => (&text[..at], 60),
        Some((at, 'd')) => (&text[..at], 24 * 60),
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(SignedDuration::from_mins(i64::from(number) * minutes))
}

/// A reason, or what there is.
fn parse_reason(text: &str) -> Result<Reason, String> {
    let all = || Reason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(", ");
    text.parse::<Reason>().map_err(|error| format!("{error}: there are {}", all()))
}

/// Where photos come from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SourceArgs {
    /// Folder, or s3://bucket/prefix (endpoint, region, credentials from the usual AWS variables). Where there are no
    /// manifests, sessions.csv or incoming/sessions.csv in it describes the sessions, one a line: clinic_id, patient_id,
    /// session_date, and if known session, session_no, baseline, sessions_before, days_since_last, px_per_mm
    pub(crate) source: String,
    /// How names are built when not clinic=…/patient=…/session=…/<view>.<shot>.<ext>, for example
    /// '{patient}/{session}_{view}.{ext}' (fields clinic, patient, session, view, shot, ext)
    #[arg(long, value_name = "PATTERN")]
    pub(crate) layout: Option<String>,
    /// Only these clinics; names the clinic for a layout without one
    #[arg(long = "clinic", value_name = "ID")]
    pub(crate) clinics: Vec<ClinicId>,
    /// Only sessions from this day on, and their baselines
    #[arg(long, value_name = "DATE")]
    pub(crate) since: Option<Date>,
    /// List from the beginning, though the last sweep over the same was cut within a day and this one could go on there
    #[arg(long)]
    pub(crate) whole: bool,
    /// Where these photos were before, as 'cicatrix export nights' names it: the results go on here. Say it once
    #[arg(long, value_name = "SOURCE")]
    pub(crate) moved_from: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Instead of listing once, plan what S3 tells of through this queue of SQS, until told to stop. What no event told of, a
    /// scan without it finds
    #[cfg(feature = "events")]
    #[arg(long, value_name = "QUEUE-URL", conflicts_with_all = ["whole", "layout", "moved_from"])]
    pub(crate) events: Option<String>,
}

/// How photos are worked on.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WorkArgs {
    /// Folder or s3://bucket/prefix for derived pictures [default: ./cicatrix-out]; 'none' makes none
    #[arg(long, value_name = "PLACE", default_value = "./cicatrix-out")]
    pub(crate) out: String,
    /// Photos in work at once; 0 means one for each CPU
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Address space of each pixel process, MiB, 256 or more
    #[arg(long, value_name = "MIB")]
    pub(crate) pixel_memory: Option<u64>,
    /// Memory that all photos in work may take together, for example 4GiB [default: 60 % of what this machine or container has]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_memory: Option<u64>,
    /// Begin nothing after this time of day, and end with exit code 12: 06:30, or '06:30 Europe/Berlin'
    /// [default: when the last of the clinics' windows closes, if they have windows; none for a worker without --drain]
    #[arg(long, value_name = "TIME")]
    pub(crate) deadline: Option<ClockTime>,
    /// Begin at once, whatever the clinics' windows say
    #[arg(long)]
    pub(crate) now: bool,
}

impl WorkArgs {
    /// As many photos at once as the settings say, and none of their pictures kept.
    pub(crate) fn without_pictures() -> Self {
        Self { out: "none".to_owned(), workers: None, pixel_memory: None, max_memory: None, deadline: None, now: true }
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WorkerArgs {
    /// Folder, or s3://bucket/prefix, as 'cicatrix scan' was given it
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Stop when nothing is left to do
    #[arg(long)]
    pub(crate) drain: bool,
    /// Answer /metrics (for Prometheus), /healthz and /readyz there, for example 0.0.0.0:9464
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Say what is there and stop: nothing is recorded, nothing is read
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Read again the photos whose results are of another protocol or version of this program. The old rows stay in the
    /// tables
    #[arg(long)]
    pub(crate) rescore: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// observations, changes, sessions, photos, regions, retakes, quarantine, trends, responders, nights, events, actions,
    /// patients, workers, or
    /// dictionary: what each column of these says, and its unit
    pub(crate) table: Table,
    /// json writes one object a line
    #[arg(long, value_enum, default_value = "csv")]
    pub(crate) format: Format,
    /// File to write; '-' is stdout
    #[arg(long, default_value = "-")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServeArgs {
    /// Where it listens. Another address than one of this machine alone needs --password-file
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub(crate) bind: SocketAddr,
    /// Folder or s3://bucket/prefix of the derived pictures, as 'run' was given it; 'none' shows none, for those who shall see
    /// no photo
    #[arg(long, value_name = "PLACE", default_value = "./cicatrix-out")]
    pub(crate) out: String,
    /// File with the password that is asked for, sixteen characters or more; without it a token is printed that works once
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Nothing can be changed from it
    #[arg(long)]
    pub(crate) read_only: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Draw it anew every two seconds, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// What ended within this time is counted by clinic: 90m, 12h, 3d
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = parse_age)]
    pub(crate) within: SignedDuration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetakesAction {
    /// One line each
    List(FilterArgs),
    /// The list as CSV, to hand on
    Export {
        /// File to write; '-' is stdout
        #[arg(long, default_value = "-")]
        output: PathBuf,
    },
    /// Take off the list what will not be taken again; a new photo of it is read as ever
    Resolve(SelectArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineAction {
    /// One line each
    List(FilterArgs),
    /// One file: what is known of it and what happened to it
    Show {
        /// Its run number, as the list shows it
        run: i64,
    },
    /// Read it again, for example after the limit was raised
    Release(SelectArgs),
    /// Take off the list; the file itself is not touched
    Purge(SelectArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsAction {
    /// One line each
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Count by state and reason instead
        #[arg(long)]
        by_reason: bool,
        /// At most so many; 0 shows all
        #[arg(long, value_name = "N", default_value_t = 200)]
        limit: u32,
        /// Only those with a higher run number, to go on from the last one shown
        #[arg(long, value_name = "RUN", default_value_t = 0)]
        after: i64,
    },
    /// One run: where it stands, and all that happened to it
    Show {
        /// Its number, as `jobs list` shows it
        run: i64,
    },
    /// Try again what ended without a number
    Retry(SelectArgs),
    /// Take from the work what has not ended
    Cancel(SelectArgs),
    /// Take off the lists what ended without a number, once somebody has looked at it
    Discard(SelectArgs),
    /// Begin no more photos; what is in work is finished, and the few that already lie ready for a worker
    Pause(PauseArgs),
    /// Go on
    Resume(PauseArgs),
    /// Make jobs that the engine has lost anew
    Redispatch,
}

/// Which runs: those that have all of this.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct FilterArgs {
    /// In this state
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// With this reason
    #[arg(long, value_parser = parse_reason)]
    pub(crate) reason: Option<Reason>,
    /// Of this clinic
    #[arg(long, value_name = "ID")]
    pub(crate) clinic: Option<ClinicId>,
    /// Planned by this sweep, a number of 'cicatrix export nights'
    #[arg(long, value_name = "NUMBER")]
    pub(crate) night: Option<i64>,
    /// Ended, or planned if they have not ended, longer ago than this: 90m, 12h, 3d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) older_than: Option<SignedDuration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SelectArgs {
    /// Run numbers, as the lists show them
    pub(crate) runs: Vec<i64>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// All for which this can be done, where no filter is given
    #[arg(long)]
    pub(crate) all_matching: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) by: ByArgs,
}

/// Who does it, and why: kept with what is done.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ByArgs {
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Who, where it is not the user of this machine
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub(crate) by: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PauseArgs {
    /// Only this clinic
    #[arg(long, value_name = "ID")]
    pub(crate) clinic: Option<ClinicId>,
    #[command(flatten)]
    pub(crate) by: ByArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PrecisionArg {
    Fine,
    Scoring,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AlignArgs {
    /// The photo that stays
    pub(crate) fixed: PathBuf,
    /// The photo that is laid over it
    pub(crate) moving: PathBuf,
    /// CSV with header x,y: places in the fixed photo (upright, pixel centres at integers); '-' is stdin
    #[arg(long, value_name = "CSV")]
    pub(crate) points: Option<PathBuf>,
    /// Writes the moving photo laid over the fixed one as PNG, resampled once in linear light; black where it ends
    #[arg(long, value_name = "PNG")]
    pub(crate) out: Option<PathBuf>,
    /// Writes the confidence as a grey PNG of the fixed photo's size: white where an error under 1 px is certain
    #[arg(long, value_name = "PNG")]
    pub(crate) confidence: Option<PathBuf>,
    /// Fine goes to half scale; scoring stops at a quarter, at about half of the cost
    #[arg(long, value_enum, default_value = "fine")]
    pub(crate) precision: PrecisionArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PatientAction {
    /// Draw baseline and follow-up side by side, with regions, scars and cards, and tell their changes
    Compare(CompareArgs),
    /// Its sessions, and how the scars changed in each
    Show(PatientArgs),
    /// All that happened to its photos, in order
    Timeline(PatientArgs),
    /// Choose the session that the others are compared with, whatever the manifests say; the old results stay in the tables
    Baseline(BaselineArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PatientArgs {
    /// The patient, as its folder names it
    pub(crate) patient: PatientId,
    /// Its clinic, where several have a patient of this name
    #[arg(long, value_name = "ID")]
    pub(crate) clinic: Option<ClinicId>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BaselineArgs {
    #[command(flatten)]
    pub(crate) patient: PatientArgs,
    /// The session, <date>-<number>
    #[arg(long, required_unless_present = "as_described", conflicts_with = "as_described")]
    pub(crate) session: Option<SessionKey>,
    /// Again the one that the manifests say, or the first
    #[arg(long)]
    pub(crate) as_described: bool,
    #[command(flatten)]
    pub(crate) by: ByArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// The patient, as its folder names it
    pub(crate) patient: String,
    /// Its clinic, where several have a patient of this name
    #[arg(long)]
    pub(crate) clinic: Option<ClinicId>,
    /// The view [default: the first one by name]
    #[arg(long)]
    pub(crate) view: Option<View>,
    /// The session, <date>-<number> [default: the last one that is measured]
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// Where the picture goes [default: <patient>-<view>-<session>.png]
    #[arg(long, value_name = "PNG")]
    pub(crate) overlay: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LocateArgs {
    /// Its name tells the view, as in a bucket (face.left45.1.jpg), and so does a manifest beside it: in a close-up no face is looked
    /// for, and a profile is told from its surroundings. Under another name a face is looked for, and without one all counts as skin
    pub(crate) photo: PathBuf,
    /// Writes the upright photo as PNG with what was found drawn on it: regions blue, what of them is no skin purple, eyes,
    /// brows and lips yellow, colour cards green
    #[arg(long, value_name = "PNG")]
    pub(crate) overlay: Option<PathBuf>,
    /// Distance of neighbouring patches on a colour card, mm, from which the scale is taken
    #[arg(long, value_name = "MM")]
    pub(crate) card_pitch_mm: Option<f64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScoreArgs {
    /// The photo; a manifest.json beside it tells its scale, regions and drawn scars
    pub(crate) photo: PathBuf,
    /// The photo that it is compared with: regions and scars are found there
    #[arg(long, value_name = "PHOTO")]
    pub(crate) baseline: Option<PathBuf>,
    /// Pixels per millimetre on the skin, where no manifest says it
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_scale)]
    pub(crate) px_per_mm: Option<f64>,
    /// Writes the baseline as PNG with its regions (blue), its scars (vermilion; raised ones purple), an arrow along
    /// the light of each (yellow) and colour cards (green)
    #[arg(long, value_name = "PNG")]
    pub(crate) overlay: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EvaluateArgs {
    /// Folder with the photos whose results are in the database
    pub(crate) source: PathBuf,
    /// Truth of each photo (truth.json)
    #[arg(long)]
    pub(crate) truth: PathBuf,
    /// Leave out the registration, which is computed anew
    #[arg(long)]
    pub(crate) no_registration: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RepeatabilityArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Folder or s3://bucket/prefix for derived pictures; 'none' makes none
    #[arg(long, value_name = "PLACE", default_value = "none")]
    pub(crate) out: String,
    /// Writes a Bland–Altman plot
    #[arg(long, value_name = "SVG")]
    pub(crate) plot: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AccuracyArgs {
    /// Database with results and its truth, DB=TRUTH.json; may be given several times. The truth's folder names the set
    #[arg(long = "set", value_name = "DB=TRUTH", required = true)]
    pub(crate) sets: Vec<String>,
    /// Report also on sets that the calibration table was made on
    #[arg(long)]
    pub(crate) seen: bool,
    /// Phantom patients on which one condition at a time is changed, up to 40; 0 leaves these tables out
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(..=40))]
    pub(crate) patients: u32,
    /// Seed of the first of them
    #[arg(long, default_value_t = 9001)]
    pub(crate) seed: u64,
    /// Folder for accuracy.md and its figures
    #[arg(long, default_value = "docs")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CalibrateArgs {
    /// Database with results and its truth, DB=TRUTH.json; may be given several times
    #[arg(long = "from", value_name = "DB=TRUTH", required_unless_present_any = ["repeats", "faces"])]
    pub(crate) from: Vec<String>,
    /// Database of a clinic whose sessions have two shots of a view: the table in force with this clinic's own error
    /// between shots
    #[arg(long, value_name = "DB", conflicts_with = "from")]
    pub(crate) repeats: Option<String>,
    /// Database with results of faces and its truth, DB=TRUTH.json; may be given several times: the table in force with how
    /// regions of faces answer to a change and what they stray by, from heads that changed and such that did not, six of each
    #[arg(long, value_name = "DB=TRUTH", conflicts_with_all = ["from", "repeats"])]
    pub(crate) faces: Vec<String>,
    /// Name of the table with its version
    #[arg(long)]
    pub(crate) id: String,
    /// File to write; '-' is stdout
    #[arg(long, default_value = "-")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// The settings in force, with protocol and calibration
    Show,
    /// Whether settings, protocol and calibration are right
    Check,
    /// JSON Schema of manifest.json
    Schema,
}
