//! A follow-up against its baseline: gate, registration, normalization, scores.

use cicatrix_align::{Patch, Prepared, Quality, Registration, identity, register, resample};
use cicatrix_model::{GateReading, GateVerdict, Measure, Measured, QualityTier, Reason, Region, ScaleSource};
use cicatrix_normalize::{Normalized, Pair, Shading, normalize};
use cicatrix_photo::{Exposure, Frame, Metadata, Plane, decode, exposure};
use cicatrix_score::{
    FoundAgain, PSI_FLOOR, Relief, ScoreSettings, Shot, SizeClass, a_star_ita, delta_ei, delta_mi, psi, ref_energy,
};
use serde::{Deserialize, Serialize};

use crate::chart::{Chart, ColourCalibration};
use crate::gate::Gate;
use crate::picture;
use crate::protocol::Protocol;
use crate::reference::{Photo, Reference, RegionReference, fine_detail, patch_ln, usable};

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
    if let Some(quality) = metadata.jpeg_quality {
        gate.read("jpeg_quality", quality, protocol.gate.jpeg_quality, Reason::Recompressed);
    }
    step.read(&mut gate, reference, protocol);
    let failed = gate.reasons(GateVerdict::Fail);
    if !failed.is_empty() {
        let detail = describe(&gate);
        return Assessment::NotMeasurable { reasons: failed, detail, readings: gate.readings };
    }
    let regions: Vec<RegionScores> = reference
        .regions
        .iter()
        .zip(&step.found)
        .map(|(r, found)| step.score(r, found, reference, &protocol.score))
        .collect();
    if let Some(reason) = regions.iter().map(|r| r.problem).reduce(Option::and).flatten() {
        let regions: Vec<&str> = reference.regions.iter().map(|r| r.name.as_str()).collect();
        let least = protocol.score.least_scar_mm2;
        let detail = format!("less than {least} mm² of scars is found or drawn in {}", regions.join(", "));
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
    /// The patch in the colours of its card, where baseline and photo have one.
    carded: Option<Patch>,
    /// The scars that this photo shows by itself, region by region.
    found: Vec<FoundAgain>,
    fine: Plane,
    shading: Option<Shading>,
    exposure: Exposure,
    inside: Plane,
    /// 1 on highlights.
    glare: Plane,
    /// The photo is the baseline's own.
    itself: bool,
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
        let ln = patch_ln(&patch);
        let both = weight.zip(&reference.relief.weight, |a, b| a * b);
        let colour = chart.calibration(reference.colours.is_some());
        let normalized_as = |pair| normalize(pair, &reference.skin, &both, px_per_mm, &protocol.normalize);
        let carded = chart.correct(&patch);
        let normalized = match (&reference.colours, &carded) {
            (Some(fixed), Some(moving)) => normalized_as(Pair::Calibrated([fixed, moving])),
            // Brought to the baseline's camera by skin, and on by the baseline's card.
            (Some(_), None) => normalized_as(Pair::Photographed([&reference.patch, &patch]))
                .recoloured(|seen| reference.chart.corrected(seen)),
            (None, _) => normalized_as(Pair::Photographed([&reference.patch, &patch])),
        };
        let shading = match itself {
            true => reference.shading,
            false => Shading::of(ln.each_ref(), &reference.skin.zip(&both, |s, b| s * b), px_per_mm),
        };
        let light = shading.and_then(|shading| shading.towards_light());
        let shot = Shot { ln: ln.each_ref(), weight: &weight, light, px_per_mm };
        Self {
            relief: Relief::new(&shot, &protocol.score),
            found: reference.regions.iter().map(|r| r.mask.found_again(&shot, &protocol.score)).collect(),
            carded: carded.filter(|_| reference.colours.is_some()),
            shading,
            fine: fine_detail(&ln[1], &weight),
            normalized,
            colour,
            exposure: if itself { reference.exposure } else { region_exposure(reference, frame, &registration) },
            glare: patch.green.map(|g| f32::from(u8::from(g >= protocol.score.highlight as f32))),
            inside: patch.inside,
            itself,
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
        gate.read("tilt_deg", tilt_deg(reference, &self.registration), g.tilt_deg, Reason::PoseOff);
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
        if let (Some(now), Some(then)) = (self.shading, reference.shading) {
            gate.note("ln_shading_ratio", now.ln_ratio(&then));
            match now.turn_deg(&then) {
                Some(turn) => gate.read_size("light_turn_deg", turn, g.light_turn_deg, Reason::LightingShift),
                None => gate.read("light_direction_known", 0.0, [0.5, f64::NEG_INFINITY], Reason::LightingShift),
            }
        }
        gate.note("illumination_rms", self.normalized.illumination_rms);
        gate.note("correlation", f64::from(q.median_correlation));
    }

    fn score(
        &self,
        region: &RegionReference,
        found: &FoundAgain,
        reference: &Reference,
        settings: &ScoreSettings,
    ) -> RegionScores {
        let mask = &region.mask;
        let mut values = self.scar_measures(region, reference, settings);
        let has_psi = values.iter().any(|v| v.measure == Measure::Psi);
        let mut add = |measure, found: Option<(f64, u64)>| {
            values.extend(found.map(|(value, n_pixels)| Measured { measure, value, n_pixels }));
        };
        add(Measure::RefEnergy, ref_energy(&self.relief, &mask.reference, settings));
        let all = mask.region.data.iter().filter(|v| **v > 0.5).count() as u64;
        add(Measure::ScarAreaFrac, (all > 0).then(|| (found.nodes as f64 / all as f64, all)));
        if let Some(mm2) = reference.node_mm2() {
            let (ln, px_per_mm) = (&self.normalized, self.relief.px_per_mm);
            let area = |nodes: u64| Some((nodes as f64 * mm2, all));
            add(Measure::ScarAreaMm2, area(found.nodes));
            let counts = [Measure::ScarCountSmall, Measure::ScarCountMedium, Measure::ScarCountLarge];
            for (measure, n) in counts.into_iter().zip(found.scars) {
                add(measure, Some((n as f64, all)));
            }
            let noise = region.noise;
            let redness = noise.redness_nodes(&ln.ln_red, &ln.ln_green, &ln.weight, mask, px_per_mm);
            add(Measure::RednessAreaMm2, area(redness));
            add(Measure::PigmentAreaMm2, area(noise.pigment_nodes(&ln.ln_red, &ln.weight, mask, px_per_mm)));
        }
        if let Some(p) = &self.carded {
            let colour = a_star_ita([&p.red, &p.green, &p.blue], &self.relief.weight, mask);
            add(Measure::AStar, colour.map(|(a, _, n)| (a, n)));
            add(Measure::ItaDeg, colour.map(|(_, ita, n)| (ita, n)));
        }
        RegionScores { region: region.name.clone(), values, problem: (!has_psi).then_some(Reason::NoScarsFound) }
    }

    /// What is measured of scars, where there are enough of them.
    fn scar_measures(
        &self,
        region: &RegionReference,
        reference: &Reference,
        settings: &ScoreSettings,
    ) -> Vec<Measured> {
        let (mask, px_per_mm) = (&region.mask, self.relief.px_per_mm);
        let area_mm2 = |scar: &Plane| scar.data.iter().sum::<f32>() as f64 / (px_per_mm * px_per_mm);
        let mut values = Vec::new();
        let mut add = |measure, found: Option<(f64, u64)>| {
            values.extend(found.map(|(value, n_pixels)| Measured { measure, value, n_pixels }));
        };
        // A baseline whose scars do not stand out has none to follow.
        let shows = |found: &(f64, u64)| !self.itself || found.0 > PSI_FLOOR;
        let index = |scar: &Plane| psi(&self.relief, scar, &mask.reference, settings).filter(shows);
        let enough = |scar: &&Plane| area_mm2(scar) >= settings.least_scar_mm2;
        add(Measure::PsiRaised, mask.raised.as_ref().filter(enough).and_then(index));
        if !enough(&&mask.scar) {
            return values;
        }
        add(Measure::Psi, index(&mask.scar));
        add(Measure::PsiDepressed, mask.depressed.as_ref().filter(enough).and_then(index));
        // Which scars are small is a matter of millimetres: a guessed scale would sort them wrongly.
        if reference.scale.source != ScaleSource::Unknown {
            let classes = [Measure::PsiSmall, Measure::PsiMedium, Measure::PsiLarge];
            for (measure, class) in classes.into_iter().zip(SizeClass::ALL) {
                add(measure, index(mask.size(class)));
            }
        }
        let ln = &self.normalized;
        add(Measure::DeltaEi, delta_ei(&ln.ln_red, &ln.ln_green, &ln.weight, mask, px_per_mm));
        add(Measure::DeltaMi, delta_mi(&ln.ln_red, &ln.weight, mask, px_per_mm));
        values
    }
}

fn read_exposure(gate: &mut Gate, e: &Exposure, protocol: &Protocol) {
    let g = &protocol.gate;
    gate.read("clipped_high_share", e.clipped_high, g.clipped_share, Reason::Exposure);
    gate.read("near_white_share", e.near_white, g.near_white_share, Reason::Exposure);
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

/// Angle whose cosine is the ratio of the smallest to the largest stretch of the map over the middle of the grid: a head that
/// is turned or nodded shows its skin narrower in one direction. Stretching of the skin counts as tilt.
fn tilt_deg(reference: &Reference, registration: &Registration) -> f64 {
    let grid = &reference.grid;
    let at = |x: f64, y: f64| {
        let place = [x * (grid.width - 1) as f64, y * (grid.height - 1) as f64];
        registration.map([0, 1].map(|k| grid.origin_px[k] + grid.pitch_px * place[k]))
    };
    let step = |a: [f64; 2], b: [f64; 2], nodes: usize| {
        let length = 0.5 * grid.pitch_px * (nodes - 1) as f64;
        [0, 1].map(|k| (b[k] - a[k]) / length)
    };
    let (u, v) = (step(at(0.25, 0.5), at(0.75, 0.5), grid.width), step(at(0.5, 0.25), at(0.5, 0.75), grid.height));
    // Singular values of the matrix with columns u and v.
    let (sum, product) = (u[0] * u[0] + u[1] * u[1] + v[0] * v[0] + v[1] * v[1], (u[0] * v[1] - u[1] * v[0]).abs());
    let root = (sum * sum - 4.0 * product * product).max(0.0).sqrt();
    ((sum - root) / (sum + root)).max(0.0).sqrt().min(1.0).acos().to_degrees()
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
