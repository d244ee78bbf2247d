//! `calibrate`: an error table from results whose truth is known, or from repeated shots.

use std::path::Path;

use anyhow::Context;
use cicatrix_outcome::{Calibration, CalibrationCase, calibrate, recalibrate};

use crate::args::CalibrateArgs;
use crate::command::export::open_existing;
use crate::command::repeatability::visits;
use crate::command::truth::{Truth, measured};
use crate::config::Config;
use crate::exit;
use crate::print::out;

pub(crate) async fn calibrate_command(args: &CalibrateArgs, settings: &Config) -> anyhow::Result<u8> {
    let made = jiff::Zoned::now().date().to_string();
    let table = match &args.repeats {
        Some(db) => {
            let ledger = open_existing(db).await?;
            let visits = visits(&ledger).await?;
            recalibrate(&settings.calibration()?, &args.id, &made, db, &visits)
                .map_err(|e| exit::bad_input(e.to_string()))?
        }
        None => from_truth(args, &made).await?,
    };
    let text = table.to_toml();
    if args.output == Path::new("-") {
        out(&text)?;
    } else {
        std::fs::write(&args.output, text).with_context(|| format!("cannot write {}", args.output.display()))?;
        out(&format!("{} subjects, {} changes: {}", table.n_subjects, table.n_changes, args.output.display()))?;
    }
    Ok(exit::DONE)
}

async fn from_truth(args: &CalibrateArgs, made: &str) -> anyhow::Result<Calibration> {
    let mut cases = Vec::new();
    let mut sets = Vec::new();
    for pair in &args.from {
        let (db, truth) = pair.rsplit_once('=').ok_or_else(|| {
            exit::bad_input(format!("'{pair}' is not DB=TRUTH.json, such as sqlite://a.db=truth.json"))
        })?;
        let name = set_name(Path::new(truth));
        cases.extend(cases_of(db, Path::new(truth), &name).await?);
        sets.push(name);
    }
    calibrate(&args.id, made, &sets, &cases).map_err(|e| exit::bad_input(e.to_string()))
}

/// The folder that holds the truth names the set.
pub(crate) fn set_name(truth: &Path) -> String {
    let folder = truth.parent().and_then(Path::file_name).and_then(|n| n.to_str());
    folder.unwrap_or("unnamed").to_owned()
}

async fn cases_of(db: &str, truth: &Path, set: &str) -> anyhow::Result<Vec<CalibrationCase>> {
    let truth = Truth::read(truth)?;
    let ledger = open_existing(db).await?;
    let mut cases = Vec::new();
    for ((patient, ..), subject) in measured(&ledger).await? {
        let Some(baseline) = &subject.baseline else { continue };
        for (session, shots) in subject.sessions.iter().filter(|(name, _)| *name != baseline) {
            let Some(photo) = truth.photo(&patient, session) else { continue };
            cases.push(CalibrationCase {
                subject: format!("{set}/{patient}"),
                baseline: subject.sessions[baseline].clone(),
                follow_up: shots.clone(),
                true_ln: photo.truth.true_volume_change.ln_1p(),
                unchanged: photo.truth.unchanged,
            });
        }
    }
    ledger.close().await;
    Ok(cases)
}
