//! `score`: one photo measured, or one against another, without a database.

use std::path::{Path, PathBuf};

use anyhow::Context;
use cicatrix_assess::{Assessment, Measurement, Photo, Protocol, Reference, assess, prepare};
use cicatrix_model::{
    GateReading, Measure, PhotoEntry, Region, RegionPolygon, ScaleSource, SessionManifest, Shot, View,
};
use cicatrix_outcome::{Calibration, Estimate, compare};
use cicatrix_photo::Plane;
use serde_json::json;

use crate::args::{Global, ScoreArgs};
use crate::canvas::Canvas;
use crate::command::align::read;
use crate::config::Config;
use crate::exit;
use crate::marks::draw_reference;
use crate::print::{TextTable, out};

pub(crate) fn score(args: &ScoreArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let protocol = settings.protocol()?;
    let itself = args.baseline.is_none();
    let described = Described::of(args.baseline.as_ref().unwrap_or(&args.photo), args)?;
    let reference = prepare(&described.photo(), &protocol)
        .map_err(|e| exit::bad_input(format!("{}: {e}", described.path.display())))?;
    if let Some(path) = &args.overlay {
        let mut canvas = Canvas::on(&read(&described.path, &protocol.limits)?);
        draw_reference(&mut canvas, &reference, 1.0);
        canvas.save(path)?;
    }
    let baseline = measured(&reference, &described, true, &protocol)?;
    let follow_up = match itself {
        true => None,
        false => Some(measured(&reference, &Described::of(&args.photo, args)?, false, &protocol)?),
    };
    let rows = match &follow_up {
        Some(follow_up) => against(&baseline, follow_up, described.view.as_ref(), &settings.calibration()?),
        None => vec![],
    };
    if global.json {
        let told = json!({"baseline": baseline, "photo": follow_up, "changes": rows.iter().map(told_json).collect::<Vec<_>>()});
        out(&told.to_string())?;
    } else {
        tell(&reference, &baseline, follow_up.as_ref(), &rows)?;
    }
    Ok(exit::DONE)
}

/// A photo with what is said of it: in the manifest beside it, or on the command line.
pub(crate) struct Described {
    pub(crate) path: PathBuf,
    bytes: Vec<u8>,
    extension: String,
    px_per_mm: Option<f64>,
    /// As the manifest says it, else the file's name.
    view: Option<View>,
    regions: Vec<RegionPolygon>,
}

impl Described {
    fn of(path: &Path, args: &ScoreArgs) -> anyhow::Result<Self> {
        let mut described = Self::beside_manifest(path)?;
        described.px_per_mm = args.px_per_mm.or(described.px_per_mm);
        Ok(described)
    }

    pub(crate) fn beside_manifest(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_owned();
        let entry = entry(path)?;
        let px_per_mm = entry.as_ref().and_then(|e| e.px_per_mm);
        let view = entry.as_ref().map(|e| e.view.clone()).or_else(|| named_view(path));
        let regions = entry.map(|e| e.regions).unwrap_or_default();
        Ok(Self { path: path.to_owned(), bytes, extension, px_per_mm, view, regions })
    }

    pub(crate) fn photo(&self) -> Photo<'_> {
        Photo {
            bytes: &self.bytes,
            extension: &self.extension,
            px_per_mm: self.px_per_mm,
            view: self.view.as_ref(),
            regions: &self.regions,
        }
    }
}

/// The view of a photo that is named as in a bucket, `<view>.<shot>.<ext>`.
pub(crate) fn named_view(path: &Path) -> Option<View> {
    let (view, _shot) = path.file_stem()?.to_str()?.rsplit_once('.')?;
    view.parse().ok()
}

/// What the manifest beside a photo says of it, if there is one.
fn entry(path: &Path) -> anyhow::Result<Option<PhotoEntry>> {
    let manifest = path.with_file_name("manifest.json");
    let Ok(text) = std::fs::read(&manifest) else { return Ok(None) };
    let wrong = |e: &dyn std::fmt::Display| exit::bad_input(format!("{}: {e}", manifest.display()));
    let read: SessionManifest = serde_json::from_slice(&text).map_err(|e| wrong(&e))?;
    read.validate().map_err(|e| wrong(&e))?;
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    Ok(read.photos.into_iter().find(|photo| photo.file == name))
}

fn measured(
    reference: &Reference,
    described: &Described,
    itself: bool,
    protocol: &Protocol,
) -> anyhow::Result<Measurement> {
    match assess(reference, &described.photo(), itself, false, protocol) {
        Assessment::Measured(measurement) => Ok(*measurement),
        Assessment::NotMeasurable { reasons, detail, .. } => {
            let codes: Vec<&str> = reasons.iter().map(|r| r.code()).collect();
            let advice = reasons.first().map_or("", |r| r.advice());
            let said =
                format!("{}: not measurable, {}: {detail}; {advice}", described.path.display(), codes.join(", "));
            Err(exit::bad_input(said))
        }
    }
}

/// One region and measure against the baseline.
type Row = (Region, Measure, Estimate);

fn against(
    baseline: &Measurement,
    follow_up: &Measurement,
    view: Option<&View>,
    calibration: &Calibration,
) -> Vec<Row> {
    let pairs = baseline.regions.iter().filter_map(|before| {
        let after = follow_up.regions.iter().find(|r| r.region == before.region)?;
        Some((&before.region, shot(baseline, before, true), shot(follow_up, after, false)))
    });
    let rows = pairs.flat_map(|(region, before, after)| {
        let estimates = calibration.measures_in(view, region).filter_map(move |row| {
            let estimate = compare(&row, std::slice::from_ref(&before), std::slice::from_ref(&after))?;
            Some((region.clone(), row.measure, estimate))
        });
        estimates.collect::<Vec<Row>>()
    });
    rows.collect()
}

pub(crate) fn shot(measurement: &Measurement, scores: &cicatrix_assess::RegionScores, is_reference: bool) -> Shot {
    Shot {
        shot: 1,
        quality_tier: scores.tier.unwrap_or(measurement.tier),
        is_reference,
        values: scores.values.iter().map(|v| (v.measure, v.value)).collect(),
        readings: GateReading::of_region(&measurement.readings, &scores.region),
    }
}

fn tell(
    reference: &Reference,
    baseline: &Measurement,
    follow_up: Option<&Measurement>,
    rows: &[Row],
) -> anyhow::Result<()> {
    for region in reference.regions() {
        let (name, mask) = (region.name(), region.mask());
        let node_mm = region.grid().pitch_px / baseline.scale.px_per_mm;
        let area = |plane: &Plane| plane.data.iter().sum::<f32>() as f64 * node_mm * node_mm;
        let nominal = if baseline.scale.source == ScaleSource::Unknown { " (nominal scale)" } else { "" };
        let light = match region.towards_light() {
            Some([x, y]) => {
                format!("light from {:.0}° (0° is the right, −90° above)", y.atan2(x).to_degrees())
            }
            None => "the light's direction cannot be told: sunken and raised scars are not told apart".to_owned(),
        };
        out(&format!(
            "{name}: {} scars on {:.0} of {:.0} mm²{nominal}; {light}",
            mask.scars.len(),
            area(&mask.scar),
            area(&mask.region)
        ))?;
    }
    for (photo, of) in [("", follow_up), ("baseline, ", Some(baseline))].into_iter().filter_map(|(p, m)| Some((p, m?)))
    {
        for (scores, reason) in of.regions.iter().filter_map(|r| Some((r, r.problem?))) {
            let detail = scores.detail.as_deref().map_or(String::new(), |detail| format!(": {detail}"));
            out(&format!("{photo}{}: not measurable, {}{detail}; {}", scores.region, reason.code(), reason.advice()))?;
        }
    }
    match follow_up {
        None => out(values(baseline).to_string().trim_end()),
        Some(follow_up) => {
            let tiers = follow_up.regions.iter().filter(|r| r.problem.is_none());
            for (scores, tier) in tiers.filter_map(|r| Some((r, r.tier?))) {
                out(&format!("{}: quality tier {}", scores.region, tier.name()))?;
            }
            let warned: Vec<&str> = follow_up.warnings.iter().map(|r| r.code()).collect();
            if !warned.is_empty() {
                out(&format!("warnings: {}", warned.join(", ")))?;
            }
            out(comparison(rows).to_string().trim_end())
        }
    }
}

fn values(measurement: &Measurement) -> TextTable {
    let mut table = TextTable::new(&["region", "measure", "value", "unit"]);
    for scores in &measurement.regions {
        for v in &scores.values {
            let cells = [
                scores.region.to_string(),
                v.measure.to_string(),
                format!("{:.4}", v.value),
                v.measure.unit().to_owned(),
            ];
            table.push(cells.to_vec());
        }
    }
    table
}

fn comparison(rows: &[Row]) -> TextTable {
    let mut table =
        TextTable::new(&["region", "measure", "baseline", "value", "change", "95 % interval", "detectable", "verdict"]);
    for (region, measure, estimate) in rows {
        let (unit, digits) = if measure.is_ratio() { (" %", 1) } else { ("", 2) };
        let told = |v: f64| format!("{v:+.digits$}");
        table.push(vec![
            region.to_string(),
            measure.to_string(),
            format!("{:.3}", estimate.baseline_value),
            format!("{:.3}", estimate.value),
            format!("{}{unit}", told(estimate.change)),
            format!("[{}, {}]", told(estimate.ci95_lo), told(estimate.ci95_hi)),
            told(estimate.mdc95).replace('+', ""),
            estimate.verdict().name().replace('_', " "),
        ]);
    }
    table
}

fn told_json((region, measure, e): &Row) -> serde_json::Value {
    json!({
        "region": region, "measure": measure, "baseline_value": e.baseline_value, "value": e.value, "change": e.change,
        "ci95_lo": e.ci95_lo, "ci95_hi": e.ci95_hi, "mdc95": e.mdc95, "p_value": e.p_value,
        "verdict": e.verdict(), "quality_tier": e.quality_tier,
    })
}
