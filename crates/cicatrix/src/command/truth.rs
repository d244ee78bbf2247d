//! Photos whose truth is known: `truth.json` beside a rendered series, and the results that belong to it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use cicatrix_ledger::{Cell, Ledger, Line, Table};
use cicatrix_model::{GateReading, Measure, QualityTier, Region, Shot};
use serde::{Deserialize, Serialize};

use crate::exit;

/// `truth.json`; fields that are not needed are not read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Truth {
    /// Distance of the nodes of the maps in pixels of the baseline, the first at half of it.
    #[serde(default)]
    pub(crate) map_step_px: Option<f64>,
    /// What a set was rendered from; the same words mean the same photos.
    #[serde(default)]
    pub(crate) made_from: Option<String>,
    pub(crate) photos: Vec<PhotoTruth>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PhotoTruth {
    pub(crate) patient: String,
    pub(crate) session_date: String,
    pub(crate) shot: u16,
    /// Path of the photo under the bucket.
    pub(crate) file: String,
    /// Array of the places of the baseline's nodes in this photo, beside `truth.json`.
    #[serde(default)]
    pub(crate) map_from_baseline: Option<String>,
    /// Relative amount of melanin, 0.4 very light to 4 dark.
    #[serde(default)]
    pub(crate) melanin_tone: Option<f64>,
    pub(crate) truth: VolumeTruth,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VolumeTruth {
    /// Change of scar volume against the baseline, as a fraction: −0.3 is 30 % less.
    pub(crate) true_volume_change: f64,
    /// Neither relief nor colour has changed, but for the skin's form of the day: what measures without a truth of their own
    /// are calibrated on.
    #[serde(default)]
    pub(crate) unchanged: bool,
}

impl Truth {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).map_err(|e| exit::bad_input(format!("{}: {e}", path.display())))
    }

    /// True change of a patient's session, as a fraction.
    pub(crate) fn change(&self, patient: &str, session: &str) -> Option<f64> {
        Some(self.photo(patient, session)?.truth.true_volume_change)
    }

    /// A photo of a patient's session.
    pub(crate) fn photo(&self, patient: &str, session: &str) -> Option<&PhotoTruth> {
        let date = session.get(..10)?;
        self.photos.iter().find(|p| p.patient == patient && p.session_date == date)
    }
}

/// Shots of one patient, view and region by session, with the baseline session's name.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) sessions: BTreeMap<String, Vec<Shot>>,
    pub(crate) baseline: Option<String>,
}

/// Names a patient's view and region: clinic, patient, view, region.
pub(crate) type Subject = (String, String, String, String);

/// All current observations of a ledger, by subject, with what the gate read of each photo.
pub(crate) async fn measured(ledger: &Ledger) -> anyhow::Result<BTreeMap<Subject, Measured>> {
    let readings = readings(ledger).await?;
    let mut names: Vec<String> = Vec::new();
    let mut found: BTreeMap<Subject, Measured> = BTreeMap::new();
    ledger
        .export(Table::Observations, &mut |line| {
            match line {
                Line::Header(header) => names = header.to_vec(),
                Line::Row(cells) => add(&mut found, &Row { names: &names, cells }, &readings),
            }
            Ok(())
        })
        .await?;
    Ok(found)
}

/// Gate readings by the key of the photo.
type Readings = BTreeMap<String, Vec<GateReading>>;

async fn readings(ledger: &Ledger) -> anyhow::Result<Readings> {
    let mut names: Vec<String> = Vec::new();
    let mut found = Readings::new();
    ledger
        .export(Table::Photos, &mut |line| {
            match line {
                Line::Header(header) => names = header.to_vec(),
                Line::Row(cells) => {
                    let row = Row { names: &names, cells };
                    let gate: Vec<GateReading> = serde_json::from_str(&row.text("gate")).unwrap_or_default();
                    found.insert(row.text("object_key"), gate);
                }
            }
            Ok(())
        })
        .await?;
    Ok(found)
}

/// An exported row with the names of its cells.
pub(crate) struct Row<'a> {
    pub(crate) names: &'a [String],
    pub(crate) cells: &'a [Cell],
}

impl Row<'_> {
    fn cell(&self, name: &str) -> Option<&Cell> {
        self.cells.get(self.names.iter().position(|n| n == name)?)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        match self.cell(name) {
            Some(Cell::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }

    fn number(&self, name: &str) -> f64 {
        match self.cell(name) {
            Some(Cell::Real(value)) => *value,
            Some(Cell::Int(value)) => *value as f64,
            _ => f64::NAN,
        }
    }
}

fn add(found: &mut BTreeMap<Subject, Measured>, row: &Row<'_>, readings: &Readings) {
    let Ok(measure) = row.text("measure").parse::<Measure>() else { return };
    let subject =
        found.entry((row.text("clinic_id"), row.text("patient_id"), row.text("view"), row.text("region"))).or_default();
    let session = row.text("session");
    let is_reference = row.text("content_sha256") == row.text("baseline_sha256");
    if is_reference {
        subject.baseline = Some(session.clone());
    }
    let shots = subject.sessions.entry(session).or_default();
    let number = row.number("shot") as u16;
    let at = shots.iter().position(|s| s.shot == number).unwrap_or_else(|| {
        let quality_tier = match row.text("quality_tier").as_str() {
            "locked" => QualityTier::Locked,
            "clinic" => QualityTier::Clinic,
            _ => QualityTier::Casual,
        };
        let gate = readings.get(&row.text("object_key")).map_or(&[][..], Vec::as_slice);
        let readings = Region::new(row.text("region")).map_or(vec![], |region| GateReading::of_region(gate, &region));
        shots.push(Shot { shot: number, quality_tier, is_reference, values: vec![], readings });
        shots.len() - 1
    });
    shots[at].values.push((measure, row.number("value")));
}
