//! `calibrate`: an error table from results whose truth is known.

use std::path::Path;

use anyhow::Context;
use cicatrix_outcome::{CalibrationCase, calibrate};

use crate::args::CalibrateArgs;
use crate::command::export::open_existing;
use crate::command::truth::{Truth, measured};
use crate::exit;
use crate::print::out;

pub(crate) async fn calibrate_command(args: &CalibrateArgs) -> anyhow::Result<u8> {
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
    let made = jiff::Zoned::now().date().to_string();
    let table = calibrate(&args.id, &made, &sets, &cases)?;
    let text = table.to_toml();
    if args.output == Path::new("-") {
        out(&text)?;
    } else {
        std::fs::write(&args.output, text).with_context(|| format!("cannot write {}", args.output.display()))?;
        out(&format!("{} subjects, {} changes: {}", table.n_subjects, table.n_changes, args.output.display()))?;
    }
    Ok(exit::DONE)
}

/// The folder that holds the truth names the set.
fn set_name(truth: &Path) -> String {
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
            let Some(change) = truth.change(&patient, session) else { continue };
            cases.push(CalibrationCase {
                subject: format!("{set}/{patient}"),
                baseline: subject.sessions[baseline].clone(),
                follow_up: shots.clone(),
                true_ln: change.ln_1p(),
            });
        }
    }
    ledger.close().await;
    Ok(cases)
}
