//! The command line.

use std::path::PathBuf;

use cicatrix_ledger::{State, Table};
use cicatrix_model::{ClinicId, Reason, View};
use clap::{Parser, Subcommand, ValueEnum};
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
    Scan(SourceArgs),
    /// Work on what was recorded, on as many machines as it takes, until told to stop
    Worker(WorkerArgs),
    /// Where the work stands: counts by state, retakes by reason
    Status,
    /// Write a table for analysts
    Export(ExportArgs),
    /// The photos to take again, and why
    Retakes {
        #[command(subcommand)]
        action: ListAction,
    },
    /// The files that were set aside, and why
    Quarantine {
        #[command(subcommand)]
        action: ListAction,
    },
    /// Runs of photos: list them, try again, cancel
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
    /// One patient: a follow-up beside its baseline
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
    /// Completions for a shell
    Completions { shell: clap_complete::Shell },
    /// The role that parses image bytes; started by the others
    #[command(hide = true)]
    Pixel { memory_bytes: u64 },
}

#[derive(Debug, clap::Args)]
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
}

/// A scale as the manifest allows it.
fn parse_scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    (scale > 0.0 && scale < 1000.0).then_some(scale).ok_or_else(|| "a scale lies between 0 and 1000 px/mm".to_owned())
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
    /// Where these photos were before, as 'cicatrix export nights' names it: the results go on here. Say it once
    #[arg(long, value_name = "SOURCE")]
    pub(crate) moved_from: Option<String>,
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
}

impl WorkArgs {
    /// As many photos at once as the settings say, and none of their pictures kept.
    pub(crate) fn without_pictures() -> Self {
        Self { out: "none".to_owned(), workers: None, pixel_memory: None }
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
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// observations, changes, sessions, photos, regions, retakes, quarantine, trends, responders, nights or events
    pub(crate) table: Table,
    /// json writes one object a line
    #[arg(long, value_enum, default_value = "csv")]
    pub(crate) format: Format,
    /// File to write; '-' is stdout
    #[arg(long, default_value = "-")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ListAction {
    /// One line each
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsAction {
    /// One line each
    List {
        /// Only those in this state
        #[arg(long)]
        state: Option<State>,
        /// Only those with this reason
        #[arg(long, value_parser = parse_reason)]
        reason: Option<Reason>,
        /// Only those of this clinic
        #[arg(long)]
        clinic: Option<ClinicId>,
    },
    /// Try again: by run number, or all in a state
    Retry(SelectArgs),
    /// Take from the work: by run number, or all in a state
    Cancel(SelectArgs),
    /// Rebuild the engine's jobs from the ledger
    Redispatch,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SelectArgs {
    /// Run numbers, as `jobs list` shows them
    #[arg(conflicts_with = "state", required_unless_present = "state")]
    pub(crate) runs: Vec<i64>,
    /// All runs in this state
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// … with this reason
    #[arg(long, requires = "state", value_parser = parse_reason)]
    pub(crate) reason: Option<Reason>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
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
    /// Database with results of faces and its truth, DB=TRUTH.json; may be given several times: the table in force with what
    /// regions of faces stray beyond it
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
