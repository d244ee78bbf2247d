//! `accuracy`: the report of how right changes are, from results with known truth and from photos rendered for it.

mod bias;
mod pictures;
mod refusals;
mod report;
mod sets;
mod shapes;
mod stages;

use std::path::Path;

use anyhow::Context;
use indicatif::ProgressBar;

use crate::args::{AccuracyArgs, Global};
use crate::command::known::Place;
use crate::config::Config;
use crate::exit;
use crate::plot::Plot;
use crate::print::out;
use bias::Bench;
use report::Report;
use sets::Set;

pub(crate) async fn accuracy(args: &AccuracyArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let (protocol, calibration) = (settings.protocol()?, settings.calibration()?);
    let mut sets = Vec::new();
    for pair in &args.sets {
        let place = Place::of(pair)?;
        let seen = calibration.sets.contains(&place.name);
        if seen && !args.seen {
            return Err(exit::bad_input(format!(
                "the table {} was made on '{}': its figures there flatter. Report on another set, or say --seen",
                calibration.id, place.name
            )));
        }
        sets.push(Set::read(&place, seen).await?);
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    for set in sets.iter().filter(|set| set.has_changes()) {
        let told = set.pooled(&calibration);
        let plot = Plot {
            title: format!("{}: change of scars, {} sessions of {} patients", set.name, told.len(), set.patients),
            x_label: "true change of volume, %".to_owned(),
            y_label: "change as told, %".to_owned(),
            points: told.iter().map(|t| (100.0 * t.true_change, t.estimate.change)).collect(),
            levels: vec![],
            diagonal: true,
        };
        write(&args.out.join(format!("accuracy-{}.svg", set.name)), &plot.svg())?;
    }
    let mut pictured = Vec::new();
    for set in sets.iter().filter(|set| !set.seen) {
        let Some(case) = set.worst(&calibration) else { continue };
        if pictures::side_by_side(case, &protocol, &args.out.join(format!("accuracy-{}-worst.webp", set.name)))? {
            pictured.push(set.name.clone());
        }
    }
    let bench = Bench {
        protocol: &protocol,
        calibration: &calibration,
        seeds: args.seed..args.seed + u64::from(args.patients),
    };
    let hidden = global.quiet || global.no_progress;
    let bar =
        if hidden { ProgressBar::hidden() } else { ProgressBar::new(Bench::steps() as u64 * u64::from(args.patients)) };
    let biases = bench.biases(|| bar.inc(1));
    let cross_talk = bench.cross_talk(|| bar.inc(1));
    let stages = bench.stages(|| bar.inc(1));
    let shapes = bench.shapes(|| bar.inc(1));
    let refusals = bench.refusals(|| bar.inc(1));
    let shadows = bench.shadows(|| bar.inc(1));
    bar.finish_and_clear();
    let report = Report {
        sets: &sets,
        calibration: &calibration,
        biases: &biases,
        cross_talk: &cross_talk,
        stages: &stages,
        shapes: &shapes,
        refusals: &refusals,
        shadows: &shadows,
        pictured: &pictured,
        args,
    };
    let path = args.out.join("accuracy.md");
    write(&path, &report.markdown())?;
    out(&format!("{}", path.display()))?;
    Ok(exit::DONE)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
