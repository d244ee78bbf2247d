//! `calibrate`: an error table from results whose truth is known, or from repeated shots.

use std::path::Path;

use anyhow::Context;
use cicatrix_model::{Region, View};
use cicatrix_outcome::{CalibrationCase, calibrate, recalibrate};

use crate::args::CalibrateArgs;
use crate::command::export::open_existing;
use crate::command::known::Place;
use crate::command::repeatability::visits;
use crate::config::Config;
use crate::exit;
use crate::print::out;

pub(crate) async fn calibrate_command(args: &CalibrateArgs, settings: &Config) -> anyhow::Result<u8> {
    let made = jiff::Zoned::now().date().to_string();
    let table = match &args.repeats {
        Some(db) => {
            let ledger = open_existing(db).await?;
            let visits = visits(&ledger, None).await?;
            recalibrate(&settings.calibration()?, &args.id, &made, db, &visits)
                .map_err(|e| exit::bad_input(e.to_string()))?
        }
        None if !args.faces.is_empty() => {
            let (sets, cases) = cases(&args.faces).await?;
            settings
                .calibration()?
                .with_regions(&args.id, &made, &sets, &cases)
                .map_err(|e| exit::bad_input(e.to_string()))?
        }
        None => {
            let (sets, cases) = cases(&args.from).await?;
            let cases: Vec<CalibrationCase> = cases.into_iter().map(|(.., case)| case).collect();
            calibrate(&args.id, &made, &sets, &cases).map_err(|e| exit::bad_input(e.to_string()))?
        }
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

/// The names of sets, and their changes of known truth with the view and region of each.
async fn cases(pairs: &[String]) -> anyhow::Result<(Vec<String>, Vec<(View, Region, CalibrationCase)>)> {
    let (mut sets, mut cases) = (Vec::new(), Vec::new());
    for pair in pairs {
        let place = Place::of(pair)?;
        let (_, found) = place.read().await?;
        for case in found {
            let region = Region::new(case.region).context("a region of the results")?;
            let view: View = case.view.parse().context("a view of the results")?;
            let case = CalibrationCase {
                subject: format!("{}/{}", place.name, case.patient),
                baseline: case.before,
                follow_up: case.after,
                true_ln: case.true_change.ln_1p(),
                unchanged: case.unchanged,
            };
            cases.push((view, region, case));
        }
        sets.push(place.name);
    }
    Ok((sets, cases))
}
