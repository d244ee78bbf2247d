//! What one thing at a time does to an unchanged skin: the phantom photographed twice in a perfect rig, the second time
//! with one condition changed, and the whole pipeline between.

use cicatrix_assess::{Assessment, Photo, Protocol, Reference, assess, prepare};
use cicatrix_model::{Measure, Region, RegionPolygon, Shot, View};
use cicatrix_outcome::{Calibration, compare};
use cicatrix_phantom::{Course, Patient, Photo as Rendered, ShotNuisance};

/// What the rendered photos show, so that no face is looked for in them.
pub(super) static CLOSEUP: View = View::Closeup(String::new());
pub(super) const SIZE: (u32, u32) = (1200, 900);
const SESSIONS: u32 = 2;

/// A condition, how it is changed, and the most that it may move `psi`, %.
struct Factor {
    name: &'static str,
    allowed: f64,
    change: fn(&mut ShotNuisance),
}

const FACTORS: [Factor; 17] = [
    Factor { name: "nothing (another grain of noise)", allowed: 1.0, change: |_| {} },
    Factor { name: "exposure +1 EV", allowed: 1.0, change: |n| n.exposure_ev += 1.0 },
    Factor { name: "exposure −1 EV", allowed: 1.0, change: |n| n.exposure_ev -= 1.0 },
    Factor { name: "white balance, red +10 %, blue −10 %", allowed: 0.5, change: |n| n.white_balance = [1.1, 0.9] },
    Factor { name: "tone curve +8 %", allowed: 0.5, change: |n| n.contrast *= 1.08 },
    Factor { name: "tone curve −8 %", allowed: 0.5, change: |n| n.contrast /= 1.08 },
    Factor { name: "skin twice as oily", allowed: 1.0, change: |n| n.gloss *= 2.0 },
    Factor { name: "JPEG quality 75", allowed: 1.0, change: |n| n.jpeg_quality = 75 },
    Factor { name: "blur of 1.5 px", allowed: 1.5, change: |n| n.defocus_px = 1.5 },
    Factor { name: "sharpening by 0.6", allowed: 1.5, change: |n| n.sharpening = 0.6 },
    Factor { name: "ambient light +0.1", allowed: 1.5, change: |n| n.ambient += 0.1 },
    Factor { name: "ambient light −0.1", allowed: 1.5, change: |n| n.ambient -= 0.1 },
    Factor { name: "lamp 5° higher", allowed: 2.5, change: |n| n.light_elevation_deg += 5.0 },
    Factor { name: "lamp 5° lower", allowed: 2.5, change: |n| n.light_elevation_deg -= 5.0 },
    Factor { name: "lamp turned by 30°", allowed: 2.0, change: |n| n.light_azimuth_deg += 30.0 },
    Factor { name: "head turned by 5°", allowed: 3.5, change: |n| n.yaw_deg += 5.0 },
    Factor { name: "lamp twice as wide", allowed: 1.5, change: |n| n.light_softness *= 2.0 },
];

/// Change of `psi` that one condition made, %.
pub(super) struct Bias {
    pub(super) name: String,
    pub(super) allowed: f64,
    /// Mean over patients and its standard error, and of the index itself, before what the table takes off.
    pub(super) mean: f64,
    pub(super) standard_error: f64,
    pub(super) raw: f64,
    pub(super) patients: usize,
    pub(super) refused: usize,
}

/// What does not belong to a change of relief, and what a local change does elsewhere.
pub(super) struct CrossTalk {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) allowed: f64,
    pub(super) mean: f64,
    pub(super) standard_error: f64,
}

pub(super) struct Bench<'a> {
    pub(super) protocol: &'a Protocol,
    pub(super) calibration: &'a Calibration,
    pub(super) seeds: std::ops::Range<u64>,
}

impl Bench<'_> {
    pub(super) fn biases(&self, mut progress: impl FnMut()) -> Vec<Bias> {
        let mut found: Vec<(Vec<f64>, Vec<f64>)> = FACTORS.iter().map(|_| (vec![], vec![])).collect();
        for seed in self.seeds.clone() {
            let session = Patient::with_course(seed, Course::of_final_loss(0.0)).session(0, SESSIONS, 0.0);
            let still = session.shoot(1, SIZE);
            let Some((reference, own)) = self.baseline(&still, &[whole(&still)]) else { continue };
            for (factor, (told, raw)) in FACTORS.iter().zip(&mut found) {
                let mut nuisance = still.truth.nuisance.shot.clone();
                (factor.change)(&mut nuisance);
                let photo = session.shoot_in(2, nuisance, SIZE);
                if let Some((change, index)) = self.change(&reference, &own, &photo, Measure::Psi) {
                    told.push(change);
                    raw.push(index);
                }
                progress();
            }
        }
        let patients = (self.seeds.end - self.seeds.start) as usize;
        let row = |(factor, (told, raw)): (&Factor, (Vec<f64>, Vec<f64>))| {
            let (mean, standard_error) = mean_and_error(&told);
            Bias {
                name: factor.name.to_owned(),
                allowed: factor.allowed,
                mean,
                standard_error,
                raw: mean_and_error(&raw).0,
                patients: told.len(),
                refused: patients - told.len(),
            }
        };
        FACTORS.iter().zip(found).map(row).collect()
    }

    pub(super) fn steps() -> usize {
        FACTORS.len() + CROSS_TALK + 4
    }

    /// Colour against relief and one half of a region against the other, in a perfect rig.
    pub(super) fn cross_talk(&self, mut progress: impl FnMut()) -> Vec<CrossTalk> {
        let (mut redness, mut pigment, mut relief, mut elsewhere) = (vec![], vec![], vec![], vec![]);
        let (mut beside, mut new_area) = (vec![], vec![]);
        for seed in self.seeds.clone() {
            let course = |loss: f64, redness_kept: f64, pigment_kept: f64| Course {
                redness_kept,
                pigment_kept,
                ..Course::of_final_loss(loss)
            };
            let shot = |course: Course, index: u32| {
                Patient::with_course(seed, course).session(index, SESSIONS, 0.0).shoot(1, SIZE)
            };
            let before = shot(course(0.0, 1.0, 1.0), 0);
            let Some((reference, own)) = self.baseline(&before, &[whole(&before)]) else { continue };
            let of = |photo: &Rendered, measure| self.change(&reference, &own, photo, measure);
            redness.extend(of(&shot(course(0.0, 0.5, 1.0), 1), Measure::Psi).map(|c| c.0));
            progress();
            pigment.extend(of(&shot(course(0.0, 1.0, 0.5), 1), Measure::Psi).map(|c| c.0));
            progress();
            let less = shot(course(0.3, 1.0, 1.0), 1);
            relief.extend(of(&less, Measure::DeltaEi).map(|c| c.1));
            progress();
            elsewhere.extend(self.elsewhere(&before, less));
            progress();
            let patient = Patient::with_course(seed, Course::UNCHANGED).with_new_scars(NEW_SCARS);
            let grown = patient.session(1, SESSIONS, 0.0).shoot(1, SIZE);
            beside.extend(of(&grown, Measure::Psi).map(|c| c.0));
            let discs = grown.truth.session.new_scars.iter().map(|s| f64::from(s.radius_mm).powi(2));
            let true_mm2 = std::f64::consts::PI * discs.sum::<f64>();
            let found =
                self.measured(&reference, &grown, false).and_then(|s| s.first()?.value(Measure::NewScarAreaMm2));
            new_area.extend(found.map(|mm2| 100.0 * mm2 / true_mm2));
            progress();
        }
        let told = |name, unit, allowed, values: Vec<f64>| {
            let (mean, standard_error) = mean_and_error(&values);
            CrossTalk { name, unit, allowed, mean, standard_error }
        };
        vec![
            told("redness halved, relief as it was: psi", "%", 2.0, redness),
            told("pigment halved, relief as it was: psi", "%", 2.0, pigment),
            told("relief −30 %, colour as it was: delta_ei", "100·log10", 0.1, relief),
            told("relief −30 % in the left half: psi of the right half", "%", 1.5, elsewhere),
            told("four new scars beside unchanged ones: psi", "%", 2.0, beside),
            told("their new_scar_area_mm2, of the true area", "%", 100.0, new_area),
        ]
    }

    /// The right half of the region where only the left half's scars have changed.
    fn elsewhere(&self, before: &Rendered, mut changed: Rendered) -> Option<f64> {
        let (width, half) = (before.width as usize, before.width as usize / 2);
        for (old, new) in before.srgb.chunks_exact(3 * width).zip(changed.srgb.chunks_exact_mut(3 * width)) {
            new[3 * half..].copy_from_slice(&old[3 * half..]);
        }
        let (left, right) = halves(before, half as f64);
        let (reference, own) = self.baseline(before, &[left, right])?;
        let measured = self.measured(&reference, &changed, false)?;
        let row = self.calibration.measure(Measure::Psi)?;
        Some(compare(row, &[own.get(1)?.clone()], &[measured.get(1)?.clone()])?.change)
    }

    pub(super) fn baseline(&self, photo: &Rendered, regions: &[RegionPolygon]) -> Option<(Reference, Vec<Shot>)> {
        let bytes = photo.to_jpeg();
        let px_per_mm = Some(photo.truth.px_per_mm);
        let described = Photo { bytes: &bytes, extension: "jpg", px_per_mm, view: Some(&CLOSEUP), regions };
        let reference = prepare(&described, self.protocol).ok()?;
        let own = self.measured(&reference, photo, true)?;
        Some((reference, own))
    }

    /// One shot per region.
    pub(super) fn measured(&self, reference: &Reference, photo: &Rendered, itself: bool) -> Option<Vec<Shot>> {
        let bytes = photo.to_jpeg();
        let described = Photo { bytes: &bytes, extension: "jpg", px_per_mm: None, view: Some(&CLOSEUP), regions: &[] };
        let Assessment::Measured(m) = assess(reference, &described, itself, false, self.protocol) else { return None };
        Some(m.regions.iter().map(|scores| crate::command::score::shot(&m, scores, itself)).collect())
    }

    /// Change as told, and of the value itself: % for ratio measures, else in the unit.
    fn change(&self, reference: &Reference, own: &[Shot], photo: &Rendered, measure: Measure) -> Option<(f64, f64)> {
        let (before, after) = (own.first()?.clone(), self.measured(reference, photo, false)?.first()?.clone());
        let (a, b) = (before.value(measure)?, after.value(measure)?);
        let raw = if measure.is_ratio() { 100.0 * (b / a - 1.0) } else { b - a };
        Some((compare(self.calibration.measure(measure)?, &[before], &[after])?.change, raw))
    }
}

const CROSS_TALK: usize = 5;
const NEW_SCARS: usize = 4;

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, (variance / n).sqrt())
}

fn region(name: &str, polygon_px: Vec<[f64; 2]>) -> RegionPolygon {
    RegionPolygon { name: Region::new(name).expect("a plain name"), polygon_px, scars: vec![] }
}

pub(super) fn whole(photo: &Rendered) -> RegionPolygon {
    region("cheek_l", photo.truth.roi_polygon_px.clone())
}

/// The region's box left and right of a column, some millimetres apart.
fn halves(photo: &Rendered, column: f64) -> (RegionPolygon, RegionPolygon) {
    let points = &photo.truth.roi_polygon_px;
    let low = |k: usize| points.iter().map(|p| p[k]).fold(f64::MAX, f64::min);
    let high = |k: usize| points.iter().map(|p| p[k]).fold(f64::MIN, f64::max);
    let gap = 2.0 * photo.truth.px_per_mm;
    let of = |name, x0: f64, x1: f64| region(name, vec![[x0, low(1)], [x1, low(1)], [x1, high(1)], [x0, high(1)]]);
    (of("cheek_l", low(0), column - gap), of("cheek_r", column + gap, high(0)))
}
