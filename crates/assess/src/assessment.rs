//! A follow-up against its baseline: gate, registration, normalization, scores.

use cicatrix_align::{Prepared, Quality, Registration, identity, register, resample};
use cicatrix_model::{GateReading, GateVerdict, Measure, Measured, QualityTier, Reason, Region, ScaleSource};
use cicatrix_normalize::{Normalized, Pair, ln_plane, normalize, shading};
use cicatrix_photo::{Exposure, Frame, Metadata, Plane, decode, exposure};
use cicatrix_score::{Relief, ScarMask, ScoreSettings, SizeClass, delta_ei, delta_mi, psi, ref_energy, scar_area_px};
use serde::{Deserialize, Serialize};

use crate::chart::{Chart, ColourCalibration};
use crate::gate::Gate;
use crate::picture;
use crate::protocol::Protocol;
use crate::reference::{Photo, Reference, fine_detail, usable};

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
    },
}

/// The numbers of a photo and everything needed to trust them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub regions: Vec<RegionScores>,
    pub tier: QualityTier,
    pub readings: Vec<GateReading>,
    /// Conditions that were worth a warning.
    pub warnings: Vec<Reason>,
    pub registration: Quality,
    pub px_per_mm: f64,
    pub scale_source: ScaleSource,
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
    pub values: Vec<Measured>,
    /// Why the primary measure is missing, if it is.
    pub problem: Option<Reason>,
}

/// A derived picture, encoded afresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// `aligned.webp`, `change.png`, `confidence.png`, `thumb.webp`
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Assesses a photo against the prepared baseline. `itself` says that it is the baseline's own photo.
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
            let detail = rejection.detail;
            return Assessment::NotMeasurable { reasons: vec![rejection.reason], detail, readings: vec![] };
        }
    };
    let mut gate = Gate::default();
    let registration = match lay_over(reference, &frame, itself, protocol) {
        Ok(registration) => registration,
        Err(detail) => {
            read_exposure(&mut gate, &exposure(&frame, |_, _| true), protocol);
            let mut reasons = gate.reasons(GateVerdict::Fail);
            reasons.push(Reason::NotAlignable);
            return Assessment::NotMeasurable { reasons, detail, readings: gate.readings };
        }
    };
    let step = Aligned::new(reference, &frame, registration, itself, protocol);
    step.read(&mut gate, reference, protocol);
    let failed = gate.reasons(GateVerdict::Fail);
    if !failed.is_empty() {
        let detail = describe(&gate);
        return Assessment::NotMeasurable { reasons: failed, detail, readings: gate.readings };
    }
    let regions: Vec<RegionScores> =
        reference.regions.iter().map(|r| step.score(&r.name, &r.mask, reference, &protocol.score)).collect();
    if let Some(reason) = regions.iter().map(|r| r.problem).reduce(Option::and).flatten() {
        let detail = reason.advice().to_owned();
        return Assessment::NotMeasurable { reasons: vec![reason], detail, readings: gate.readings };
    }
    let pictures = if pictures { picture::all(reference, &frame, &step) } else { vec![] };
    Assessment::Measured(Box::new(Measurement {
        tier: gate.tier(&protocol.gate),
        warnings: gate.reasons(GateVerdict::Warn),
        readings: gate.readings,
        regions,
        registration: step.registration.quality,
        px_per_mm: reference.scale.px_per_mm,
        scale_source: reference.scale.source,
        mask_digest: reference.mask_digest.clone(),
        colour: step.colour.clone(),
        metadata,
        pictures,
    }))
}

fn lay_over(reference: &Reference, frame: &Frame, itself: bool, protocol: &Protocol) -> Result<Registration, String> {
    if itself {
        return Ok(identity(&reference.prepared));
    }
    register(&reference.prepared, &Prepared::new(frame, protocol.align.precision), &protocol.align)
        .map_err(|refusal| refusal.to_string())
}

/// The failing readings in words.
fn describe(gate: &Gate) -> String {
    let failing = gate.readings.iter().filter(|r| r.verdict == GateVerdict::Fail);
    failing.map(|r| format!("{} is {:.3}", r.name, r.value)).collect::<Vec<_>>().join("; ")
}

/// A follow-up on the baseline's grid, in its light and colour.
pub(crate) struct Aligned {
    pub(crate) registration: Registration,
    pub(crate) relief: Relief,
    pub(crate) normalized: Normalized,
    pub(crate) colour: ColourCalibration,
    fine: Plane,
    shading: [f64; 2],
    exposure: Exposure,
    inside: Plane,
    /// 1 on highlights.
    glare: Plane,
}

impl Aligned {
    fn new(
        reference: &Reference,
        frame: &Frame,
        registration: Registration,
        itself: bool,
        protocol: &Protocol,
    ) -> Self {
        let patch = if itself {
            reference.patch.clone()
        } else {
            resample(frame, &reference.grid, |place| registration.map(place))
        };
        let chart = if itself { reference.chart.clone() } else { Chart::of(frame) };
        let clear = chart.clear(&reference.grid, |place| if itself { place } else { registration.map(place) });
        let weight = usable(&patch, &reference.area, &clear, protocol);
        let px_per_mm = 1.0 / protocol.grid_pitch_mm;
        let ln_green = ln_plane(&patch.green);
        let both = weight.zip(&reference.relief.weight, |a, b| a * b);
        let colour = chart.calibration(reference.colours.is_some());
        let normalized_as = |pair| normalize(pair, &reference.skin, &both, px_per_mm, &protocol.normalize);
        let normalized = match (&reference.colours, chart.correct(&patch)) {
            (Some(fixed), Some(moving)) => normalized_as(Pair::Calibrated([fixed, &moving])),
            // Brought to the baseline's camera by skin, and on by the baseline's card.
            (Some(_), None) => normalized_as(Pair::Photographed([&reference.patch, &patch]))
                .recoloured(|seen| reference.chart.corrected(seen)),
            (None, _) => normalized_as(Pair::Photographed([&reference.patch, &patch])),
        };
        let ln_red = ln_plane(&patch.red);
        Self {
            relief: Relief::new(&ln_red, &ln_green, &weight, px_per_mm, &protocol.score),
            shading: if itself {
                reference.shading
            } else {
                shading(&ln_red, &reference.skin.zip(&both, |s, b| s * b), px_per_mm)
            },
            fine: fine_detail(&ln_green, &weight),
            normalized,
            colour,
            exposure: if itself { reference.exposure } else { region_exposure(reference, frame, &registration) },
            glare: patch.green.map(|g| f32::from(u8::from(g >= protocol.score.highlight as f32))),
            inside: patch.inside,
            registration,
        }
    }

    /// Reads the gate.
    fn read(&self, gate: &mut Gate, reference: &Reference, protocol: &Protocol) {
        let g = &protocol.gate;
        let q = &self.registration.quality;
        let px_per_mm = reference.scale.px_per_mm;
        gate.read("px_per_mm", px_per_mm * q.scale, g.px_per_mm, Reason::ResolutionLow);
        read_exposure(gate, &self.exposure, protocol);
        gate.read("ln_scale", q.scale.ln().abs(), g.ln_scale, Reason::ZoomOff);
        gate.read("roll_deg", q.rotation_deg.abs(), g.roll_deg, Reason::PoseOff);
        gate.read("covered_share", mean(&self.inside, &reference.area), g.covered_share, Reason::PoseOff);
        gate.read("glare_share", mean(&self.glare, &reference.area), g.glare_share, Reason::Specular);
        let lost = self.inside.zip(&self.relief.weight, |i, w| i - w).zip(&self.glare, |l, g| (l - g).max(0.0));
        gate.read("foreign_share", mean(&lost, &reference.area), g.foreign_share, Reason::Occlusion);
        gate.read("residual_p95_mm", q.residual_p95_px / px_per_mm, g.residual_p95_mm, Reason::NotAlignable);
        let skin = reference.skin.zip(&self.relief.weight, |a, b| a * b).zip(&reference.relief.weight, |a, b| a * b);
        let ratio = |a: &Plane, b: &Plane| (mean(a, &skin) / mean(b, &skin).max(1e-12)).ln();
        let energy = ratio(&squared(&self.relief.band[1]), &squared(&reference.relief.band[1]));
        let fine = ratio(&self.fine, &reference.fine);
        gate.read("ln_focus_ratio", 0.5 * (fine - energy), g.ln_focus_ratio, Reason::Blur);
        gate.read_size("ln_ref_energy_ratio", energy, g.ln_ref_energy_ratio, Reason::LightingShift);
        let correlation = self.relief.correlation(&reference.relief, &skin, 1);
        gate.read("relief_correlation", correlation, g.relief_correlation, Reason::LightingShift);
        let gains = self.normalized.ln_gains;
        let cast = gains.iter().fold(f64::MIN, |a, b| a.max(*b)) - gains.iter().fold(f64::MAX, |a, b| a.min(*b));
        gate.read("ln_colour_cast", cast, g.ln_colour_cast, Reason::ColourCast);
        gate.note("ln_gain_green", gains[1]);
        gate.note("ln_shading_ratio", ln_shading_ratio(self.shading, reference.shading));
        gate.note("illumination_rms", self.normalized.illumination_rms);
        gate.note("correlation", f64::from(q.median_correlation));
    }

    fn score(&self, name: &Region, mask: &ScarMask, reference: &Reference, settings: &ScoreSettings) -> RegionScores {
        let px_per_mm = self.relief.px_per_mm;
        let scar_mm2 = mask.scar.data.iter().sum::<f32>() as f64 / (px_per_mm * px_per_mm);
        let mut values = Vec::new();
        let mut add = |measure, found: Option<(f64, u64)>| {
            values.extend(found.map(|(value, n_pixels)| Measured { measure, value, n_pixels }));
        };
        if scar_mm2 >= settings.least_scar_mm2 {
            add(Measure::Psi, psi(&self.relief, &mask.scar, &mask.reference, settings));
            // Which scars are small is a matter of millimetres: a guessed scale would sort them wrongly.
            if reference.scale.source != ScaleSource::Unknown {
                let classes = [Measure::PsiSmall, Measure::PsiMedium, Measure::PsiLarge];
                for (measure, class) in classes.into_iter().zip(SizeClass::ALL) {
                    add(measure, psi(&self.relief, mask.size(class), &mask.reference, settings));
                }
            }
            let ln = &self.normalized;
            add(Measure::DeltaEi, delta_ei(&ln.ln_red, &ln.ln_green, &ln.weight, mask, px_per_mm));
            add(Measure::DeltaMi, delta_mi(&ln.ln_red, &ln.weight, mask, px_per_mm));
        }
        add(Measure::RefEnergy, ref_energy(&self.relief, &mask.reference, settings));
        let (scar, all) = scar_area_px(&self.relief, mask, settings);
        add(Measure::ScarAreaFrac, (all > 0).then(|| (scar as f64 / all as f64, all)));
        add(Measure::ScarAreaMm2, reference.node_mm2().map(|mm2| (scar as f64 * mm2, all)));
        let has_psi = values.iter().any(|v| v.measure == Measure::Psi);
        RegionScores { region: name.clone(), values, problem: (!has_psi).then_some(Reason::NoScarsFound) }
    }
}

fn read_exposure(gate: &mut Gate, e: &Exposure, protocol: &Protocol) {
    let g = &protocol.gate;
    gate.read("clipped_high_share", e.clipped_high, g.clipped_share, Reason::Exposure);
    gate.read("clipped_low_share", e.clipped_low, g.clipped_share, Reason::Exposure);
    gate.read("dark_code", e.median_code, g.dark_code, Reason::Exposure);
    gate.read("bright_code", e.median_code, g.bright_code, Reason::Exposure);
}

/// Exposure of the region in the follow-up: over the box that the region's grid maps to.
fn region_exposure(reference: &Reference, frame: &Frame, registration: &Registration) -> Exposure {
    let grid = &reference.grid;
    let corners = [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)];
    let places = corners.map(|(c, r)| registration.map(grid.place(c, r)));
    let low = |k: usize| places.iter().map(|p| p[k]).fold(f64::MAX, f64::min).max(0.0) as usize;
    let high = |k: usize| places.iter().map(|p| p[k]).fold(f64::MIN, f64::max).max(0.0) as usize;
    let (x0, x1, y0, y1) = (low(0), high(0), low(1), high(1));
    exposure(frame, |x, y| x >= x0 && x <= x1 && y >= y0 && y <= y1)
}

/// ln of the strength of the large-scale shade against the baseline's. The floor keeps a flat region, which tells nothing,
/// near 0; cheeks of the practice photos have 0.005 to 0.02 per mm.
fn ln_shading_ratio(now: [f64; 2], then: [f64; 2]) -> f64 {
    const FLOOR: f64 = 0.002;
    let strength = |gradient: [f64; 2]| gradient[0].hypot(gradient[1]) + FLOOR;
    (strength(now) / strength(then)).ln()
}

fn squared(plane: &Plane) -> Plane {
    plane.map(|v| v * v)
}

/// Mean of a plane over a mask.
fn mean(plane: &Plane, mask: &Plane) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for (v, m) in plane.data.iter().zip(&mask.data) {
        sum += f64::from(v * m);
        n += f64::from(*m);
    }
    if n > 0.0 { sum / n } else { 0.0 }
}
