//! `patient compare`: a patient's baseline and a follow-up side by side, with what was measured on them.

use std::path::Path;

use anyhow::Context;
use cicatrix_assess::{Assessment, Photo, Picture, Protocol, Reference, assess, prepare};
use cicatrix_ledger::{Ledger, PhotoRef, Table};
use cicatrix_photo::{Frame, decode, shrink};
use cicatrix_store::{ObjectKey, PhotoStore, open};
use serde_json::json;

use crate::args::{CompareArgs, Global};
use crate::canvas::Canvas;
use crate::command::align::write_png;
use crate::command::export::open_existing;
use crate::command::jobs::rows;
use crate::config::Config;
use crate::exit;
use crate::marks::{draw_masks, draw_reference};
use crate::print::{TextTable, out};

/// Gap between the two photos, px.
const GAP: usize = 12;
/// Columns of the changes that are told.
const TOLD: [&str; 7] = ["region", "change_pct", "ci95_lo", "ci95_hi", "mdc95_pct", "verdict", "quality_tier"];

pub(crate) async fn compare(args: &CompareArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let protocol = settings.protocol()?;
    let ledger = open_existing(&settings.db).await?;
    let chosen = choose(&ledger, args).await?;
    let (photo, baseline) = ledger.compared(chosen.run_id).await?;
    let store = open(&chosen.source).await?;
    let limit = protocol.limits.max_bytes;
    let (photo, baseline) = (Fetched::of(photo, &*store, limit).await?, Fetched::of(baseline, &*store, limit).await?);
    let path = args
        .overlay
        .clone()
        .unwrap_or_else(|| format!("{}-{}-{}.png", args.patient, photo.photo.view, chosen.session).into());
    draw(&path, &baseline, &photo, &protocol)?;
    let view = photo.photo.view.to_string();
    let series = [
        ("clinic_id", chosen.clinic.as_str()),
        ("patient_id", args.patient.as_str()),
        ("session", chosen.session.as_str()),
        ("view", view.as_str()),
        ("measure", "psi"),
    ];
    let changes = rows(&ledger, Table::Changes, &series, &TOLD).await?;
    if global.json {
        let told = json!({
            "patient": args.patient, "clinic": chosen.clinic, "session": chosen.session, "view": view,
            "picture": path, "changes": changes,
        });
        out(&told.to_string())?;
        return Ok(exit::DONE);
    }
    out(&format!("{}, {view}, session {} against its baseline: {}", args.patient, chosen.session, path.display()))?;
    let mut table = TextTable::new(&TOLD);
    changes.into_iter().for_each(|row| table.push(row));
    out(table.to_string().trim_end())?;
    Ok(exit::DONE)
}

/// The follow-up that is shown.
struct Chosen {
    clinic: String,
    session: String,
    source: String,
    run_id: i64,
}

/// The last measured follow-up of those that are asked for.
async fn choose(ledger: &Ledger, args: &CompareArgs) -> anyhow::Result<Chosen> {
    let (clinic, view) = (args.clinic.as_ref().map(ToString::to_string), args.view.as_ref().map(ToString::to_string));
    let asked = [
        ("patient_id", Some(args.patient.as_str())),
        ("clinic_id", clinic.as_deref()),
        ("view", view.as_deref()),
        ("session", args.session.as_deref()),
        ("state", Some("measured")),
    ];
    let matching: Vec<(&str, &str)> = asked.iter().filter_map(|(column, value)| Some((*column, (*value)?))).collect();
    let wanted = ["session", "view", "clinic_id", "source", "run_id", "is_reference"];
    let mut found = rows(ledger, Table::Photos, &matching, &wanted).await?;
    found.retain(|row| row[5] != "1");
    let clinics: std::collections::BTreeSet<&String> = found.iter().map(|row| &row[2]).collect();
    if clinics.len() > 1 {
        let names: Vec<&str> = clinics.into_iter().map(String::as_str).collect();
        return Err(exit::bad_input(format!(
            "{} is a patient of {}: name one with --clinic",
            args.patient,
            names.join(" and ")
        )));
    }
    // Frontal views come first of their names, and the last session is what one looks for.
    found.sort_by(|a, b| (&b[0], &a[1]).cmp(&(&a[0], &b[1])));
    let Some(row) = found.into_iter().next() else {
        return Err(exit::bad_input(format!(
            "no measured follow-up of {} with these filters: 'cicatrix export photos' lists its photos with their states",
            args.patient
        )));
    };
    let run_id = row[4].parse().context("the number of a run")?;
    Ok(Chosen { session: row[0].clone(), clinic: row[2].clone(), source: row[3].clone(), run_id })
}

struct Fetched {
    photo: PhotoRef,
    bytes: Vec<u8>,
    extension: String,
}

impl Fetched {
    async fn of(photo: PhotoRef, store: &dyn PhotoStore, limit_bytes: u64) -> anyhow::Result<Self> {
        let key = ObjectKey::parse(&photo.key).with_context(|| photo.key.clone())?;
        let object = store.get(&key, limit_bytes).await.with_context(|| format!("cannot fetch {key}"))?;
        let extension = photo.key.rsplit_once('.').map(|(_, e)| e.to_owned()).unwrap_or_default();
        Ok(Self { photo, bytes: object.bytes.into(), extension })
    }

    fn as_photo(&self) -> Photo<'_> {
        let PhotoRef { px_per_mm, view, regions, .. } = &self.photo;
        Photo { bytes: &self.bytes, extension: &self.extension, px_per_mm: *px_per_mm, view: Some(view), regions }
    }
}

/// The baseline with all that is measured on it, beside it the follow-up as seen from the baseline's camera.
fn draw(path: &Path, baseline: &Fetched, follow_up: &Fetched, protocol: &Protocol) -> anyhow::Result<()> {
    let said = |fetched: &Fetched, detail: String| exit::bad_input(format!("{}: {detail}", fetched.photo.key));
    let reference = prepare(&baseline.as_photo(), protocol).map_err(|e| said(baseline, e.to_string()))?;
    let pictures = match assess(&reference, &follow_up.as_photo(), false, true, protocol) {
        Assessment::Measured(measurement) => measurement.pictures,
        Assessment::NotMeasurable { detail, .. } => return Err(said(follow_up, detail)),
    };
    let aligned = picture(&pictures, "aligned.webp", protocol)?;
    let (frame, _) =
        decode(&baseline.bytes, &baseline.extension, &protocol.limits).map_err(|e| said(baseline, e.to_string()))?;
    let (left, right) = (before(&frame, &reference, &aligned)?, after(&frame, &reference, &aligned));
    let (width, height) = (2 * aligned.width + GAP, aligned.height);
    let mut samples = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        samples.extend_from_slice(left.row(y));
        samples.extend(std::iter::repeat_n(255, 3 * GAP));
        samples.extend_from_slice(right.row(y));
    }
    write_png(path, &samples, width, height)
}

fn picture(pictures: &[Picture], name: &str, protocol: &Protocol) -> anyhow::Result<Frame> {
    let found = pictures.iter().find(|p| p.name == name).context("the aligned photo could not be encoded")?;
    let (frame, _) = decode(&found.bytes, "webp", &protocol.limits).map_err(|e| anyhow::anyhow!("{name}: {e}"))?;
    Ok(frame)
}

fn before(frame: &Frame, reference: &Reference, aligned: &Frame) -> anyhow::Result<Canvas> {
    let longer = aligned.width.max(aligned.height);
    let (rgb, width, height) = shrink(frame.to_srgb8(), frame.width, frame.height, longer)?;
    let mut canvas = Canvas::of(rgb, width, height).cut_to(aligned.width, aligned.height);
    draw_reference(&mut canvas, reference, step(frame, aligned));
    Ok(canvas)
}

fn after(frame: &Frame, reference: &Reference, aligned: &Frame) -> Canvas {
    let mut canvas = Canvas::on(aligned);
    draw_masks(&mut canvas, reference, step(frame, aligned));
    canvas
}

/// Pixels of the baseline's photo in one of the aligned picture.
fn step(frame: &Frame, aligned: &Frame) -> f64 {
    (frame.width.max(frame.height) as f64 / aligned.width.max(aligned.height) as f64).max(1.0)
}
