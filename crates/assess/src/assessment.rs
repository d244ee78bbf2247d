//! A follow-up against its baseline: registration, gate and values, region by region.

use cicatrix_align::Quality;
use cicatrix_locate::{Face, SkinMap};
use cicatrix_model::{GateReading, GateVerdict, Measure, Measured, QualityTier, Reason, Region, Scale, View};
use cicatrix_photo::{Bounds, Frame, Metadata, Overview, decode, exposure};
use serde::{Deserialize, Serialize};

use crate::chart::{Chart, ColourCalibration};
use crate::gate::Gate;
use crate::head;
use crate::overlay::{Overlay, Part};
use crate::picture;
use crate::protocol::Protocol;
use crate::reference::{Photo, Reference};
use crate::region_follow_up::{Laid, RegionFollowUp, read_exposure};
use crate::survey::patient;

/// What became of a photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Assessment {
    Measured(Box<Measurement>),
    /// The first reason is the one to act upon.
    NotMeasurable {
        reasons: Vec<Reason>,
        detail: String,
        readings: Vec<GateReading>,
        /// `thumb.webp`, with a frame around each region at fault.
        #[serde(skip)]
        pictures: Vec<Picture>,
    },
}

/// The numbers of a photo and everything needed to trust them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub regions: Vec<RegionScores>,
    /// The worst of the regions that have a number.
    pub tier: QualityTier,
    pub readings: Vec<GateReading>,
    /// Conditions that were worth a warning.
    pub warnings: Vec<Reason>,
    pub registration: Quality,
    /// Of the baseline.
    #[serde(flatten)]
    pub scale: Scale,
    pub mask_digest: String,
    pub colour: ColourCalibration,
    pub metadata: Metadata,
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

/// Values of one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionScores {
    pub region: Region,
    /// Where the gate let it pass.
    pub tier: Option<QualityTier>,
    pub values: Vec<Measured>,
    /// Why the primary measure is missing, if it is, and in what detail.
    pub problem: Option<Reason>,
    pub detail: Option<String>,
}

/// A derived picture, encoded afresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// `aligned.webp`, `change.png`, `confidence.png`, `thumb.webp`
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Assesses a photo against the prepared baseline. `itself` says that it is the baseline's own photo.
///
/// The gate judges what holds for the whole photo, then each region by itself: one in the shade does not cost the others
/// their number. Where no region has one, the photo is not measurable.
pub fn assess(
    reference: &Reference,
    photo: &Photo<'_>,
    itself: bool,
    pictures: bool,
    protocol: &Protocol,
) -> Assessment {
    let (frame, metadata) = match decode(photo.bytes, photo.extension, &protocol.limits) {
        Ok(decoded) => decoded,
        Err(rejection) => {
            let (reasons, detail) = (vec![rejection.reason], rejection.detail);
            return Assessment::NotMeasurable { reasons, detail, readings: vec![], pictures: vec![] };
        }
    };
    match judge(reference, &frame, metadata, photo, itself, pictures, protocol) {
        Ok(measurement) => Assessment::Measured(Box::new(measurement)),
        Err(Refused { reasons, detail, readings, at_fault }) => {
            let pictures = if pictures { picture::refused(&frame, &at_fault, &reasons) } else { vec![] };
            Assessment::NotMeasurable { reasons, detail, readings, pictures }
        }
    }
}

/// Why a photo gives no number.
struct Refused {
    reasons: Vec<Reason>,
    detail: String,
    readings: Vec<GateReading>,
    /// Corners of the regions at fault, px of the photo.
    at_fault: Vec<[[f64; 2]; 4]>,
}

fn judge(
    reference: &Reference,
    frame: &Frame,
    metadata: Metadata,
    photo: &Photo<'_>,
    itself: bool,
    pictures: bool,
    protocol: &Protocol,
) -> Result<Measurement, Refused> {
    let mut gate = Gate::default();
    if let Some(quality) = metadata.jpeg_quality {
        gate.read("jpeg_quality", quality, protocol.gate.jpeg_quality, Reason::Recompressed);
    }
    let overview = Overview::of(frame);
    let face = if itself { None } else { head::face(&overview, photo.view) };
    let wrong_view = match itself {
        true => None,
        false => head::read(&mut gate, face.as_ref(), reference.pose.as_ref(), photo.view, &protocol.gate),
    };
    if let Some(detail) = wrong_view {
        let reasons = vec![Reason::ViewMismatch];
        return Err(Refused { reasons, detail, readings: gate.readings, at_fault: vec![] });
    }
    let bounds = if itself { None } else { shown(&overview, face.as_ref(), reference, protocol) };
    let overlay = match lay_over(reference, frame, bounds, itself, protocol) {
        Ok(overlay) => overlay,
        Err(detail) => return Err(unaligned(gate, reference, frame, photo.view, detail, protocol)),
    };
    read_geometry(&mut gate, reference, overlay.quality(), protocol);
    let photo_stands = gate.reasons(GateVerdict::Fail).is_empty();
    let own_chart = (!itself).then(|| Chart::of(frame, &overview));
    let chart = own_chart.as_ref().unwrap_or(&reference.chart);
    let skin = if itself { None } else { skin(&overview, reference, &overlay, protocol) };
    let laid = Laid { frame, overlay: &overlay, chart, baseline_chart: &reference.chart, skin: skin.as_ref(), itself };
    let mut regions = Vec::new();
    let mut changes = Vec::new();
    let mut at_fault = Vec::new();
    for region in &reference.regions {
        let step = RegionFollowUp::new(region, &laid, protocol);
        let mut own = Gate::of_region(region.name());
        step.read(&mut own, protocol);
        let problem = own.reasons(GateVerdict::Fail).first().copied();
        let values = match problem {
            Some(_) => vec![],
            None => step.values(reference.node_mm2(region), &protocol.score),
        };
        let has_psi = values.iter().any(|v| v.measure == Measure::Psi);
        regions.push(RegionScores {
            region: region.name().clone(),
            tier: problem.is_none().then(|| own.tier(&protocol.gate)),
            values,
            problem: problem.or((!has_psi).then_some(Reason::NoScarsFound)),
            detail: problem.map(|_| failing(&own, false)).or(reference.remark.map(str::to_owned)),
        });
        if pictures && problem.is_none() {
            changes.push((region, picture::change(&step)));
        }
        if problem.is_some() {
            at_fault.push(region.corners().map(|corner| overlay.map(corner)));
        }
        gate.readings.extend(own.readings);
    }
    let tier = regions.iter().filter(|r| r.problem.is_none()).filter_map(|r| r.tier).max();
    let Some(tier) = tier.filter(|_| photo_stands) else {
        let (reasons, detail) = explain(&gate, reference, protocol);
        return Err(Refused { reasons, detail, readings: gate.readings, at_fault });
    };
    // The baseline's own photo says what is wrong with a region, the others that it has no baseline.
    let refused = reference.refused.iter().map(|(region, rejection)| RegionScores {
        region: region.clone(),
        tier: None,
        values: vec![],
        problem: Some(if itself { rejection.reason } else { Reason::BaselineNotMeasurable }),
        detail: Some(rejection.detail.clone()),
    });
    regions.extend(refused);
    let pictures = if pictures { picture::all(reference, frame, &overlay, &changes) } else { vec![] };
    Ok(Measurement {
        tier,
        warnings: gate.reasons(GateVerdict::Warn),
        readings: gate.readings,
        regions,
        registration: *overlay.quality(),
        scale: reference.scale,
        mask_digest: reference.mask_digest.clone(),
        colour: chart.calibration(reference.chart.is_trusted()),
        metadata,
        pictures,
    })
}

/// Where a follow-up shows skin, learned from the places to which the baseline's skin went; none where that was not looked
/// for.
fn skin(overview: &Overview, reference: &Reference, overlay: &Overlay, protocol: &Protocol) -> Option<SkinMap> {
    let known: Vec<[f64; 2]> = reference.places_of_skin.as_ref()?.iter().map(|place| overlay.map(*place)).collect();
    let px_per_mm = reference.scale.px_per_mm * overlay.quality().scale;
    SkinMap::of(overview, px_per_mm, &known, &protocol.skin_limits())
}

/// A photo that cannot be laid over its baseline: what can be said of why.
fn unaligned(
    mut gate: Gate,
    reference: &Reference,
    frame: &Frame,
    view: Option<&View>,
    detail: String,
    protocol: &Protocol,
) -> Refused {
    read_exposure(&mut gate, &exposure(frame, |_, _| true), protocol);
    let mut reasons = gate.reasons(GateVerdict::Fail);
    let mirrored = frame.clone().mirrored();
    let overview = Overview::of(&mirrored);
    let bounds = shown(&overview, head::face(&overview, view).as_ref(), reference, protocol);
    if lay_over(reference, &mirrored, bounds, false, protocol).is_ok() {
        reasons.insert(0, Reason::ViewMismatch);
        let detail = "it is mirrored: its mirror image can be laid over the baseline".to_owned();
        return Refused { reasons, detail, readings: gate.readings, at_fault: vec![] };
    }
    reasons.push(Reason::NotAlignable);
    Refused { reasons, detail, readings: gate.readings, at_fault: vec![] }
}

/// The box around the patient, where the baseline shows more than skin.
fn shown(overview: &Overview, face: Option<&Face>, reference: &Reference, protocol: &Protocol) -> Option<Bounds> {
    reference.places_of_skin.as_ref()?;
    patient(overview, face, reference.scale.px_per_mm, protocol)
}

fn lay_over(
    reference: &Reference,
    frame: &Frame,
    bounds: Option<Bounds>,
    itself: bool,
    protocol: &Protocol,
) -> Result<Overlay, String> {
    if itself {
        return Ok(Overlay::identity(&reference.part));
    }
    let part = Part::of(frame, bounds, protocol.align.precision);
    Overlay::of(&reference.part, &part, &protocol.align).map_err(|refusal| refusal.to_string())
}

/// What holds for the whole photo.
fn read_geometry(gate: &mut Gate, reference: &Reference, q: &Quality, protocol: &Protocol) {
    let g = &protocol.gate;
    let px_per_mm = reference.scale.px_per_mm;
    gate.read("px_per_mm", px_per_mm * q.scale, g.px_per_mm, Reason::ResolutionLow);
    gate.read("ln_scale", q.scale.ln().abs(), g.ln_scale, Reason::ZoomOff);
    gate.read("roll_deg", q.rotation_deg.abs(), g.roll_deg, Reason::PoseOff);
    gate.read("residual_p95_mm", q.residual_p95_px / px_per_mm, g.residual_p95_mm, Reason::NotAlignable);
    gate.note("correlation", f64::from(q.median_correlation));
}

/// Why a photo has no number: what the gate read, else that there are no scars.
fn explain(gate: &Gate, reference: &Reference, protocol: &Protocol) -> (Vec<Reason>, String) {
    let reasons = gate.reasons(GateVerdict::Fail);
    if reasons.is_empty() {
        let regions: Vec<&str> = reference.regions.iter().map(|r| r.name().as_str()).collect();
        let least = protocol.score.least_scar_mm2;
        let detail = format!(
            "in {} less than {least} mm² of scars is found or drawn, or they do not stand out from the skin",
            regions.join(", ")
        );
        return (vec![Reason::NoScarsFound], detail);
    }
    (reasons, failing(gate, reference.regions.len() > 1))
}

/// The failing readings in words, with their regions if there are several.
fn failing(gate: &Gate, with_regions: bool) -> String {
    let failing = gate.readings.iter().filter(|r| r.verdict == GateVerdict::Fail);
    let told = failing.map(|r| match r.region.as_ref().filter(|_| with_regions) {
        Some(region) => format!("{region}: {r}"),
        None => r.to_string(),
    });
    told.collect::<Vec<_>>().join("; ")
}
