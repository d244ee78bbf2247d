//! A patient's skin on one day, ready to be photographed as often as one likes.

use crate::camera::develop;
use crate::field::{Field, Spot};
use crate::light::Light;
use crate::nuisance::{DayNuisance, Nuisance, ShotNuisance};
use crate::patient::Patient;
use crate::photo::Photo;
use crate::projection::Projection;
use crate::region::outline_mm;
use crate::render::Scene;
use crate::scars::stamp;
use crate::shadow::cast;
use crate::size::Size;
use crate::skin::Skin;
use crate::stream::{Purpose, Stream};
use crate::truth::{PhotoTruth, SessionTruth};

/// A scar counts as area from this depth on.
const AREA_DEPTH_MM: f32 = 0.05;

#[derive(Debug)]
pub struct Session {
    truth: SessionTruth,
    day: DayNuisance,
    level: f32,
    radii_mm: [f32; 2],
    exposure: f32,
    /// Scar depth, mm.
    depth: Field,
    /// All relief, mm.
    height: Field,
    skin: Skin,
}

impl Session {
    pub(crate) fn new(patient: &Patient, index: u32, of: u32, level: f32) -> Self {
        let mut stream = Stream::of_session(Purpose::Day, patient.seed, index);
        let day = DayNuisance::draw(&mut stream, level);
        let depth = depth_at(patient, index, of);
        let truth = patient.truth_at(index, of, depth.area_above_mm2(AREA_DEPTH_MM));
        let height = height_of(patient, &depth, &day);
        let melanin = melanin_of(patient, &truth);
        let haemoglobin = haemoglobin_of(patient, &truth, &day);
        let skin = Skin::of(&height, &melanin, &haemoglobin);
        Self {
            truth,
            day,
            level,
            radii_mm: patient.radii_mm,
            exposure: patient.pigment.exposure(),
            depth,
            height,
            skin,
        }
    }

    pub(crate) fn skin(&self) -> &Skin {
        &self.skin
    }

    /// How much a camera opens for this skin.
    pub(crate) fn exposure(&self) -> f32 {
        self.exposure
    }

    pub fn truth(&self) -> &SessionTruth {
        &self.truth
    }

    /// True scar depth at a point of the skin, mm; the point in mm from the patch's centre.
    pub fn scar_depth_mm(&self, patch_mm: [f64; 2]) -> f32 {
        self.depth.sample(&Spot::at(patch_mm.map(|coordinate| coordinate as f32)))
    }

    /// True scar depth of this session at every pixel of a photo of the same patient, mm, row by row.
    ///
    /// With the baseline's session and photo this is the mask that a perfect detector would draw there.
    pub fn scar_depth_in(&self, photo: &Photo) -> Vec<f32> {
        let size = Size { width: photo.width as usize, height: photo.height as usize };
        let grid = photo.projection.grid(size);
        let mut depths = Vec::with_capacity(size.width * size.height);
        for y in 0..size.height {
            for x in 0..size.width {
                depths.push(self.depth.sample(&Spot::at(grid.at(x as f32, y as f32))));
            }
        }
        depths
    }

    /// One photo; `shot` numbers the shots of the session, each re-seated with a pose and light of its own.
    ///
    /// Pose and light do not depend on the size, so a small photo shows what a large one shows.
    /// From 1:1 to 2:1 in landscape a photo sees every scar once; beyond that the repeated patch comes into view.
    ///
    /// # Panics
    /// If a side is not 32 to 16384 px, or one side is more than three times the other.
    pub fn shoot(&self, shot: u32, size: (u32, u32)) -> Photo {
        let nuisance = ShotNuisance::draw(&mut self.stream(Purpose::Shot, shot), self.level);
        self.shoot_in(shot, nuisance, size)
    }

    /// One photo under conditions of one's choice, such as those of another photo with one thing changed. `shot` still
    /// numbers the sensor's noise.
    ///
    /// # Panics
    /// As [`Session::shoot`].
    pub fn shoot_in(&self, shot: u32, nuisance: ShotNuisance, size: (u32, u32)) -> Photo {
        let (width, height) = size;
        let size = Size::checked(size);
        let projection = Projection::new(&nuisance, self.radii_mm, size);
        let linear = self.linear_light(&nuisance, &projection, size);
        let mut sensor = self.stream(Purpose::Sensor, shot);
        let srgb = develop(linear, size, &nuisance, self.exposure, &mut sensor);
        let truth = self.photo_truth(shot, nuisance, &projection);
        Photo { width, height, srgb, truth, projection }
    }

    fn stream(&self, purpose: Purpose, shot: u32) -> Stream {
        Stream::of_shot(purpose, self.truth.seed, self.truth.session, shot)
    }

    fn linear_light(&self, shot: &ShotNuisance, projection: &Projection, size: Size) -> Vec<f32> {
        let light = Light::new(shot, projection, self.radii_mm);
        let shadow = cast(&self.height, light.direction());
        let scene = Scene { skin: &self.skin, shadow: &shadow, light: &light };
        scene.seen_through(&projection.grid(size), size)
    }

    fn photo_truth(&self, shot: u32, nuisance: ShotNuisance, projection: &Projection) -> PhotoTruth {
        let outline = outline_mm().into_iter().map(|point| projection.project(point));
        PhotoTruth {
            session: self.truth.clone(),
            shot,
            px_per_mm: projection.px_per_mm(),
            roi_polygon_px: outline.collect(),
            nuisance: Nuisance { level: self.level, day: self.day.clone(), shot: nuisance },
        }
    }
}

fn depth_at(patient: &Patient, index: u32, of: u32) -> Field {
    let left = patient.course.depth_left(index, of, patient.scars.volumes_mm3());
    let mut depth = Field::filled(0.0);
    for (kind, share) in patient.scars.depths.iter().zip(left) {
        depth.mix_in(kind, share as f32);
    }
    if index > 0 {
        for (scar, _) in &patient.new_scars {
            stamp(scar, &mut depth);
        }
    }
    depth
}

fn height_of(patient: &Patient, depth: &Field, day: &DayNuisance) -> Field {
    let mut height = patient.relief.undulation.clone();
    height.mix_in(&patient.relief.micro, day.relief_gain);
    height.mix_in(depth, -1.0);
    for papule in &day.papules {
        height.stamp_bump(papule.centre_mm, 0.5 * papule.radius_mm, papule.height_mm);
    }
    height
}

fn melanin_of(patient: &Patient, truth: &SessionTruth) -> Field {
    let mut melanin = patient.pigment.melanin.clone();
    melanin.mix_in(&patient.pigment.stain, truth.pigment_left as f32);
    melanin
}

fn haemoglobin_of(patient: &Patient, truth: &SessionTruth, day: &DayNuisance) -> Field {
    let mut haemoglobin = patient.pigment.haemoglobin.clone();
    haemoglobin.mix_in(&patient.pigment.redness, truth.redness_left as f32);
    for papule in &day.papules {
        haemoglobin.stamp_bump(papule.centre_mm, 0.7 * papule.radius_mm, papule.redness);
    }
    haemoglobin.mapped(|amount| amount + day.flush)
}
