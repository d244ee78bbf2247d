//! One file for each command.

mod accuracy;
pub(crate) mod align;
mod calibrate;
mod compare;
mod config;
mod demo;
mod doctor;
mod evaluate;
mod export;
mod jobs;
mod known;
mod lists;
mod locate;
mod patient;
mod repeatability;
mod run;
mod score;
mod serve;
mod status;
mod truth;

use clap::CommandFactory;

use crate::args::{Args, Command, PatientAction};
use crate::config::Config;

const NOTICES: &str = "\
cicatrix is licensed under MIT or Apache-2.0, at your choice. It is linked with libraries under licences of their own, which
'cargo tree --format \"{p} {l}\"' lists from its source; among them River for Rust (riverqueue, MPL-2.0), unchanged, whose
source is on crates.io.
";

/// Runs a command; gives the exit code.
pub(crate) async fn dispatch(args: Args) -> anyhow::Result<u8> {
    let global = args.global;
    let mut settings = Config::load(global.config.as_deref())?;
    if let Some(db) = &global.db {
        settings.db.clone_from(db);
    }
    match args.command {
        Command::Demo(demo) => demo::demo(&demo, settings, &global).await,
        Command::Run(run) => run::run(&run, &settings, &global).await,
        Command::Scan(args) => run::scan(&args, &settings, &global).await,
        // Listens before anything is waited for: as process 1 it would not be ended else.
        Command::Worker(worker) => run::worker(&worker, &settings, &global, run::stopped_by_signals()).await,
        Command::Status(args) => status::status(&args, &settings, &global).await,
        Command::Serve(args) => serve::serve(&args, &settings, None).await,
        Command::Export(export) => export::export(&export, &settings).await,
        Command::Retakes { action } => lists::retakes(action, &settings, &global).await,
        Command::Quarantine { action } => lists::quarantine(action, &settings, &global).await,
        Command::Jobs { action } => jobs::jobs(action, &settings, &global).await,
        Command::Align(align) => align::align(&align, &settings, &global),
        Command::Locate(args) => locate::locate(&args, &settings, &global),
        Command::Score(args) => score::score(&args, &settings, &global),
        Command::Patient { action } => match action {
            PatientAction::Compare(args) => compare::compare(&args, &settings, &global).await,
            PatientAction::Show(args) => patient::show(&args, &settings, &global).await,
            PatientAction::Timeline(args) => patient::timeline(&args, &settings, &global).await,
            PatientAction::Baseline(args) => patient::baseline(&args, &settings).await,
        },
        Command::Repeatability(args) => repeatability::repeatability(&args, &settings, &global).await,
        Command::Evaluate(evaluate) => evaluate::evaluate(&evaluate, &settings, &global).await,
        Command::Calibrate(calibrate) => calibrate::calibrate_command(&calibrate, &settings).await,
        Command::Accuracy(args) => accuracy::accuracy(&args, &settings, &global).await,
        Command::Config { action } => config::config(&action, &settings),
        Command::Doctor => doctor::doctor(&settings).await,
        Command::Notices => {
            crate::print::out(NOTICES)?;
            crate::print::out(cicatrix_locate::NOTICE.trim_end())?;
            Ok(crate::exit::DONE)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "cicatrix", &mut std::io::stdout());
            Ok(crate::exit::DONE)
        }
        Command::Pixel { .. } => Ok(crate::exit::BUG),
    }
}
