//! One region of a follow-up, laid over that of its baseline: what the gate reads of it, and its values.

use cicatrix_align::{Patch, resample};
use cicatrix_locate::{SkinMap, edges};
use cicatrix_model::{Measure, Measured, Reason};
use cicatrix_normalize::{Normalized, Pair, Shading, normalize};
use cicatrix_photo::{Exposure, Frame, Plane, exposure};
use cicatrix_score::{
    FoundAgain, PSI_FLOOR, Relief, ScoreSettings, Shot, SizeClass, a_star_ita, delta_ei, delta_mi, psi, ref_energy,
};

use crate::chart::Chart;
use crate::gate::Gate;
use crate::overlay::Overlay;
use crate::protocol::Protocol;
use crate::region_reference::{RegionReference, evenly_lit, fine_detail, patch_ln, rasterize, usable};

/// A photo that is laid over its baseline.
#[derive(Debug)]
pub(crate) struct Laid<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) overlay: &'a Overlay,
    pub(crate) chart: &'a Chart,
    pub(crate) baseline_chart: &'a Chart,
    /// Where this photo shows skin, if that was asked.
    pub(crate) skin: Option<&'a SkinMap>,
    /// The photo is the baseline's own.
    pub(crate) itself: bool,
}

/// A region of a follow-up on the baseline's grid, in its light and colour.
pub(crate) struct RegionFollowUp<'a> {
    pub(crate) reference: &'a RegionReference,
    pub(crate) relief: Relief,
    normalized: Normalized,
    /// The patch in the colours of its card, where baseline and photo have one.
    carded: Option<Patch>,
    /// The scars that this photo shows by itself.
    found: FoundAgain,
    /// 1 on skin that both photos can be compared on.
    skin: Plane,
    fine: Plane,
    shading: Option<Shading>,
    exposure: Exposure,
    inside: Plane,
    /// 1 on skin, the edges of shadows counted in.
    usable: Plane,
    /// 1 on highlights.
    glare: Plane,
    tilt_deg: f64,
    /// The longest edge that one of the two photos has and the other has not.
    shadow_edge_mm: f64,
    itself: bool,
}

impl<'a> RegionFollowUp<'a> {
    pub(crate) fn new(reference: &'a RegionReference, laid: &Laid<'_>, protocol: &Protocol) -> Self {
        let Laid { frame, overlay, chart, baseline_chart, skin, itself } = *laid;
        let patch =
            if itself { reference.patch.clone() } else { resample(frame, &reference.grid, |place| overlay.map(place)) };
        let place = |place| if itself { place } else { overlay.map(place) };
        let mut clear = chart.clear(&reference.grid, place);
        if let Some(skin) = skin {
            let shown = rasterize(&reference.grid, |node| skin.is_skin(place(node)));
            clear = clear.zip(&shown, |c, s| c * s);
        }
        let usable = usable(&patch, &reference.mask.region, &clear, protocol);
        let px_per_mm = 1.0 / protocol.grid_pitch_mm;
        let ln = patch_ln(&patch);
        let weight = evenly_lit(&usable, &ln, protocol);
        let both = weight.zip(&reference.relief.weight, |a, b| a * b);
        let shading = match itself {
            true => reference.shading,
            false => Shading::of(ln.each_ref(), &reference.mask.reference.zip(&both, |s, b| s * b), px_per_mm),
        };
        // Scars are found as in the baseline: without a light where it told none, and with its light where this photo tells none.
        let own = || shading.filter(|_| !itself).and_then(|s| s.towards_light());
        let light = reference.towards_light().map(|then| own().unwrap_or(then));
        let shot = Shot { ln: ln.each_ref(), weight: &weight, light, px_per_mm };
        let found = reference.mask.found_again(&shot, &protocol.score);
        let normalized_as = |pair| normalize(pair, &found.reference, &both, px_per_mm, &protocol.normalize);
        let carded = chart.correct(&patch);
        let normalized = match (&reference.colours, &carded) {
            (Some(fixed), Some(moving)) => normalized_as(Pair::Calibrated([fixed, moving])),
            // Brought to the baseline's camera by skin, and on by the baseline's card.
            (Some(_), None) => normalized_as(Pair::Photographed([&reference.patch, &patch]))
                .recoloured(|seen| baseline_chart.corrected(seen)),
            (None, _) => normalized_as(Pair::Photographed([&reference.patch, &patch])),
        };
        Self {
            relief: Relief::new(&shot, &protocol.score),
            carded: carded.filter(|_| reference.colours.is_some()),
            shading,
            fine: fine_detail(&ln[1], &weight),
            normalized,
            exposure: if itself { reference.exposure } else { region_exposure(reference, frame, overlay) },
            glare: patch.green.map(|g| f32::from(u8::from(g >= protocol.score.highlight as f32))),
            skin: found.reference.zip(&both, |s, b| s * b),
            found,
            inside: patch.inside,
            tilt_deg: tilt_deg(reference, overlay),
            shadow_edge_mm: shadow_edge_mm(reference, &ln[0], &usable, protocol),
            usable,
            itself,
            reference,
        }
    }

    /// 1 on scars that the baseline does not have.
    pub(crate) fn new_scars(&self) -> &Plane {
        &self.found.new
    }

    /// Reads the gate.
    pub(crate) fn read(&self, gate: &mut Gate, protocol: &Protocol) {
        let (g, area, then) = (&protocol.gate, &self.reference.mask.region, &self.reference.relief);
        read_exposure(gate, &self.exposure, protocol);
        gate.read("tilt_deg", self.tilt_deg, g.tilt_deg, Reason::PoseOff);
        gate.read("covered_share", mean(&self.inside, area), g.covered_share, Reason::PoseOff);
        gate.read("glare_share", mean(&self.glare, area), g.glare_share, Reason::Specular);
        let lost = self.inside.zip(&self.usable, |i, u| i - u).zip(&self.glare, |l, g| (l - g).max(0.0));
        gate.read("foreign_share", mean(&lost, area), g.foreign_share, Reason::Occlusion);
        gate.read("shadow_edge_mm", self.shadow_edge_mm, g.shadow_edge_mm, Reason::LightingShift);
        let ratio = |a: &Plane, b: &Plane| (mean(a, &self.skin) / mean(b, &self.skin).max(1e-12)).ln();
        let energy = ratio(&squared(&self.relief.band[1]), &squared(&then.band[1]));
        let fine = ratio(&self.fine, &self.reference.fine);
        gate.read("ln_focus_ratio", 0.5 * (fine - energy), g.ln_focus_ratio, Reason::Blur);
        gate.read_size("ln_ref_energy_ratio", energy, g.ln_ref_energy_ratio, Reason::LightingShift);
        let correlation = self.relief.correlation(then, &self.skin, 1);
        gate.read("relief_correlation", correlation, g.relief_correlation, Reason::LightingShift);
        let gains = self.normalized.ln_gains;
        let cast = gains.iter().fold(f64::MIN, |a, b| a.max(*b)) - gains.iter().fold(f64::MAX, |a, b| a.min(*b));
        gate.read("ln_colour_cast", cast, g.ln_colour_cast, Reason::ColourCast);
        gate.note("ln_gain_green", gains[1]);
        if let (Some(now), Some(then)) = (self.shading, self.reference.shading) {
            gate.note("ln_shading_ratio", now.ln_ratio(&then));
            match now.turn_deg(&then) {
                Some(turn) => gate.read_size("light_turn_deg", turn, g.light_turn_deg, Reason::LightingShift),
                None => gate.read("light_direction_known", 0.0, [0.5, f64::NEG_INFINITY], Reason::LightingShift),
            }
        }
        gate.note("illumination_rms", self.normalized.illumination_rms);
    }

    /// All values; `node_mm2` is the area of a node where the scale is known.
    pub(crate) fn values(&self, node_mm2: Option<f64>, settings: &ScoreSettings) -> Vec<Measured> {
        let (mask, found, noise) = (&self.reference.mask, &self.found, self.reference.noise);
        let mut values = self.scar_values(node_mm2.is_some(), settings);
        let mut add = |measure, found: Option<(f64, u64)>| {
            values.extend(found.map(|(value, n_pixels)| Measured { measure, value, n_pixels }));
        };
        add(Measure::RefEnergy, ref_energy(&self.relief, &found.reference, settings));
        let all = marked(&mask.region);
        add(Measure::ScarAreaFrac, (all > 0).then(|| (found.nodes as f64 / all as f64, all)));
        if let Some(mm2) = node_mm2 {
            let (ln, px_per_mm) = (&self.normalized, self.relief.px_per_mm);
            let area = |nodes: u64| Some((nodes as f64 * mm2, all));
            add(Measure::ScarAreaMm2, area(found.nodes));
            add(Measure::NewScarAreaMm2, area(marked(&found.new)));
            let counts = [Measure::ScarCountSmall, Measure::ScarCountMedium, Measure::ScarCountLarge];
            for (measure, n) in counts.into_iter().zip(found.scars) {
                add(measure, Some((n as f64, all)));
            }
            let redness = noise.redness_nodes(&ln.ln_red, &ln.ln_green, &ln.weight, mask, px_per_mm);
            add(Measure::RednessAreaMm2, area(redness));
            add(Measure::PigmentAreaMm2, area(noise.pigment_nodes(&ln.ln_red, &ln.weight, mask, px_per_mm)));
        }
        if let Some(p) = &self.carded {
            let colour = a_star_ita([&p.red, &p.green, &p.blue], &self.relief.weight, mask);
            add(Measure::AStar, colour.map(|(a, _, n)| (a, n)));
            add(Measure::ItaDeg, colour.map(|(_, ita, n)| (ita, n)));
        }
        values
    }

    /// What is measured of scars, where there are enough of them.
    fn scar_values(&self, scale_is_known: bool, settings: &ScoreSettings) -> Vec<Measured> {
        let (mask, px_per_mm) = (&self.reference.mask, self.relief.px_per_mm);
        let area_mm2 = |scar: &Plane| marked(scar) as f64 / (px_per_mm * px_per_mm);
        let mut values = Vec::new();
        let mut add = |measure, found: Option<(f64, u64)>| {
            values.extend(found.map(|(value, n_pixels)| Measured { measure, value, n_pixels }));
        };
        // A baseline whose scars do not stand out has none to follow.
        let shows = |found: &(f64, u64)| !self.itself || found.0 > PSI_FLOOR;
        let index = |scar: &Plane| psi(&self.relief, scar, &self.found.reference, settings).filter(shows);
        let enough = |scar: &&Plane| area_mm2(scar) >= settings.least_scar_mm2;
        add(Measure::PsiRaised, mask.raised.as_ref().filter(enough).and_then(index));
        if !enough(&&mask.scar) {
            return values;
        }
        add(Measure::Psi, index(&mask.scar));
        add(Measure::PsiDepressed, mask.depressed.as_ref().filter(enough).and_then(index));
        // Which scars are small is a matter of millimetres: a guessed scale would sort them wrongly.
        if scale_is_known {
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

/// Reads how a region, or a photo that could not be laid over its baseline, is exposed.
pub(crate) fn read_exposure(gate: &mut Gate, e: &Exposure, protocol: &Protocol) {
    let g = &protocol.gate;
    gate.read("clipped_high_share", e.clipped_high, g.clipped_share, Reason::Exposure);
    gate.read("near_white_share", e.near_white, g.near_white_share, Reason::Exposure);
    gate.read("clipped_low_share", e.clipped_low, g.clipped_share, Reason::Exposure);
    gate.read("dark_code", e.median_code, g.dark_code, Reason::Exposure);
    gate.read("bright_code", e.median_code, g.bright_code, Reason::Exposure);
}

/// Length of the longest edge in the difference of two photos, mm.
fn shadow_edge_mm(reference: &RegionReference, ln_red: &Plane, usable: &Plane, protocol: &Protocol) -> f64 {
    let (difference, both) = (ln_red.zip(&reference.ln_red, |a, b| a - b), usable.zip(&reference.usable, |a, b| a * b));
    let settings = &protocol.foreign;
    edges(&difference, &both, 1.0 / protocol.grid_pitch_mm, settings.edge_change, settings.edge_mm).longest_mm
}

fn marked(mask: &Plane) -> u64 {
    mask.data.iter().filter(|v| **v > 0.5).count() as u64
}

/// Exposure of the region in the follow-up: of the pixels that its nodes map to.
fn region_exposure(reference: &RegionReference, frame: &Frame, overlay: &Overlay) -> Exposure {
    let (grid, region) = (&reference.grid, &reference.mask.region);
    let mut inside = vec![false; frame.width * frame.height];
    for row in 0..grid.height {
        for column in (0..grid.width).filter(|&column| region.row(row)[column] > 0.5) {
            let [x, y] = overlay.map(grid.place(column, row)).map(f64::round);
            if x >= 0.0 && y >= 0.0 && x < frame.width as f64 && y < frame.height as f64 {
                // The exposure looks at every second pixel.
                inside[(y as usize & !1) * frame.width + (x as usize & !1)] = true;
            }
        }
    }
    exposure(frame, |x, y| inside[y * frame.width + x])
}

/// Angle whose cosine is the ratio of the smallest to the largest stretch of the map over the middle of the grid: a head that
/// is turned or nodded shows its skin narrower in one direction. Stretching of the skin counts as tilt.
fn tilt_deg(reference: &RegionReference, overlay: &Overlay) -> f64 {
    let grid = &reference.grid;
    let at = |x: f64, y: f64| {
        let place = [x * (grid.width - 1) as f64, y * (grid.height - 1) as f64];
        overlay.map([0, 1].map(|k| grid.origin_px[k] + grid.pitch_px * place[k]))
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
pub(crate) fn mean(plane: &Plane, mask: &Plane) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for (v, m) in plane.data.iter().zip(&mask.data) {
        sum += f64::from(v * m);
        n += f64::from(*m);
    }
    if n > 0.0 { sum / n } else { 0.0 }
}
