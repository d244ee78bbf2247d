//! `repeatability`: a clinic's own noise floor, from two shots of one visit.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use cicatrix_ledger::{Ledger, Line, Table};
use cicatrix_model::{Measure, QualityTier, Region};
use cicatrix_outcome::{Calibration, NoiseFloor, Repeat, Visit, noise_floor, repeats};
use cicatrix_store::open;
use serde_json::json;

use crate::args::{Global, RepeatabilityArgs, RunArgs, WorkArgs};
use crate::command::export::open_existing;
use crate::command::run::night;
use crate::command::truth::{Row, measured};
use crate::config::Config;
use crate::exit;
use crate::plot::Plot;
use crate::print::{TextTable, out};

pub(crate) async fn repeatability(args: &RepeatabilityArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let run = RunArgs {
        source: args.source.clone(),
        work: WorkArgs { out: args.out.clone(), ..WorkArgs::without_pictures() },
        dry_run: false,
        rescore: false,
    };
    let (code, summary) = night(&run, settings, global, false, None).await?;
    if summary.counts.total() == 0 {
        return Ok(code);
    }
    let ledger = open_existing(&settings.db).await?;
    let visits = visits(&ledger, Some(&open(&args.source.source).await?.identity())).await?;
    let calibration = settings.calibration()?;
    let row = calibration.measure(Measure::Psi).context("the calibration table has no row for psi")?;
    let pairs = repeats(&visits, row);
    if pairs.is_empty() {
        return Err(exit::bad_input(
            "no visit has two measured shots of one view: take each view twice, the patient seated anew, as <view>.1 \
             and <view>.2",
        ));
    }
    if let Some(path) = &args.plot {
        bland_altman(path, &pairs)?;
    }
    let floors = floors(&pairs);
    if global.json {
        let told: Vec<_> = floors.iter().map(described).collect();
        out(&json!({"measure": "psi", "calibration": calibration.stamp(), "noise": told}).to_string())?;
    } else {
        tell(&floors, &calibration)?;
    }
    Ok(code)
}

/// The sessions of a ledger as visits: those of one source, or all.
pub(crate) async fn visits(ledger: &Ledger, source: Option<&str>) -> anyhow::Result<Vec<Visit>> {
    let listed = match source {
        Some(source) => Some(sessions_of(ledger, source).await?),
        None => None,
    };
    let mut visits = Vec::new();
    for ((clinic, patient, _, region), subject) in measured(ledger).await? {
        let region = Region::new(region)?;
        for (session, shots) in subject.sessions {
            let key = (clinic.clone(), patient.clone(), session);
            if listed.as_ref().is_some_and(|listed| !listed.contains(&key)) {
                continue;
            }
            visits.push(Visit { subject: format!("{clinic}/{patient}"), region: region.clone(), shots });
        }
    }
    Ok(visits)
}

/// Clinic, patient and session of all that a source lists.
async fn sessions_of(ledger: &Ledger, source: &str) -> anyhow::Result<BTreeSet<(String, String, String)>> {
    let mut names: Vec<String> = Vec::new();
    let mut found = BTreeSet::new();
    let mut each = |line: Line<'_>| {
        match line {
            Line::Header(header) => names = header.to_vec(),
            Line::Row(cells) => {
                let row = Row { names: &names, cells };
                found.insert((row.text("clinic_id"), row.text("patient_id"), row.text("session")));
            }
        }
        Ok(())
    };
    ledger.export_where(Table::Sessions, &[("source", source)], &mut each).await?;
    Ok(found)
}

/// What of, and the error there.
type Floor = (Option<Region>, Option<QualityTier>, NoiseFloor);

/// Over all, then by tier, then by region.
fn floors(pairs: &[Repeat]) -> Vec<Floor> {
    let mut rows = Vec::new();
    let mut add = |region: Option<&Region>, tier: Option<QualityTier>| {
        let own = pairs.iter().filter(|p| region.is_none_or(|r| *r == p.region) && tier.is_none_or(|t| t == p.tier));
        rows.extend(noise_floor(own).map(|floor| (region.cloned(), tier, floor)));
    };
    add(None, None);
    for tier in [QualityTier::Locked, QualityTier::Clinic, QualityTier::Casual] {
        add(None, Some(tier));
    }
    let mut regions: Vec<&Region> = pairs.iter().map(|p| &p.region).collect();
    regions.sort();
    regions.dedup();
    for region in regions {
        add(Some(region), None);
    }
    rows
}

fn percent(ln: f64) -> f64 {
    100.0 * ln.exp_m1()
}

/// What the true deviation lies under with 95 %; nothing is known of that from a handful of patients.
fn upper(floor: &NoiseFloor) -> Option<f64> {
    (floor.subjects >= 5).then(|| percent(floor.wsd_upper))
}

fn described((region, tier, f): &Floor) -> serde_json::Value {
    json!({
        "region": region, "tier": tier, "pairs": f.pairs, "subjects": f.subjects,
        "wsd_pct": percent(f.wsd), "wsd_upper_pct": upper(f), "bias_pct": percent(f.bias),
        "limits_pct": [percent(f.limits.0), percent(f.limits.1)], "mdc95_pct": -percent(-f.mdc95),
    })
}

fn tell(rows: &[Floor], calibration: &Calibration) -> anyhow::Result<()> {
    let header =
        ["region", "tier", "pairs", "patients", "wSD", "under (95 %)", "bias", "95 % limits", "MDC95, one shot"];
    let mut table = TextTable::new(&header);
    for (region, tier, f) in rows {
        table.push(vec![
            region.as_ref().map_or("all".to_owned(), Region::to_string),
            tier.map_or("all", QualityTier::name).to_owned(),
            f.pairs.to_string(),
            f.subjects.to_string(),
            format!("{:.1} %", percent(f.wsd)),
            upper(f).map_or("–".to_owned(), |bound| format!("{bound:.1} %")),
            format!("{:+.1} %", percent(f.bias)),
            format!("[{:+.1}, {:+.1}] %", percent(f.limits.0), percent(f.limits.1)),
            format!("{:.1} %", -percent(-f.mdc95)),
        ]);
    }
    out(table.to_string().trim_end())?;
    out(&format!(
        "psi between two shots of one visit, conditions taken off by {}. What differs from day to day is not in it.\n\
         Two shots a session divide this part of the error by √2. With 35 patients and more the clinic's own noise can go \
         into its error bars:\n  cicatrix calibrate --repeats <DB> --id <NAME> --output <FILE>, then calibration = \"<FILE>\" \
         in the settings",
        calibration.stamp()
    ))
}

fn bland_altman(path: &Path, pairs: &[Repeat]) -> anyhow::Result<()> {
    let Some(floor) = noise_floor(pairs) else { return Ok(()) };
    let level = |name: &str, ln: f64| (format!("{name} {:+.1} %", percent(ln)), percent(ln));
    let plot = Plot {
        title: format!("Two shots of one visit: psi, {} pairs of {} patients", floor.pairs, floor.subjects),
        x_label: "mean of both (psi)".to_owned(),
        y_label: "second less first, %".to_owned(),
        points: pairs.iter().map(|p| (p.mean.exp(), percent(p.difference))).collect(),
        levels: vec![
            level("upper limit", floor.limits.1),
            level("mean", floor.bias),
            level("lower limit", floor.limits.0),
        ],
        diagonal: false,
    };
    std::fs::write(path, plot.svg()).with_context(|| format!("cannot write {}", path.display()))
}
