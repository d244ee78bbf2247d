//! A synthetic patient: everything that is true of the skin, drawn once from a seed.

use crate::course::Course;
use crate::pigment::Pigment;
use crate::relief::Relief;
use crate::scar::Scar;
use crate::scars::Scars;
use crate::session::Session;
use crate::stream::{Purpose, Stream};
use crate::truth::{ScarTruth, ScarVolumes, SessionTruth};

/// Levels beyond this leave what the geometry can do.
const HIGHEST_LEVEL: f32 = 2.0;

#[derive(Debug)]
pub struct Patient {
    pub(crate) seed: u64,
    pub(crate) course: Course,
    /// Radii of the cheek along x and y.
    pub(crate) radii_mm: [f32; 2],
    pub(crate) relief: Relief,
    pub(crate) scars: Scars,
    pub(crate) pigment: Pigment,
    /// Scars that the baseline does not have and every later session has, with their volume.
    pub(crate) new_scars: Vec<(Scar, f64)>,
}

impl Patient {
    /// The patient of a seed, with the course that the seed draws.
    pub fn new(seed: u64) -> Self {
        let course = Course::draw(&mut Stream::of_patient(Purpose::Course, seed));
        Self::with_course(seed, course)
    }

    /// The same skin as [`Patient::new`] gives, on a course of one's choice.
    pub fn with_course(seed: u64, course: Course) -> Self {
        let mut surface = Stream::of_patient(Purpose::Surface, seed);
        let radii_mm = [surface.between(80.0, 120.0), surface.between(110.0, 170.0)];
        let relief = Relief::draw(&mut Stream::of_patient(Purpose::Relief, seed));
        let scars = Scars::draw(&mut Stream::of_patient(Purpose::Scars, seed));
        let mut colours = Stream::of_patient(Purpose::Pigment, seed);
        let pigment = Pigment::draw(&mut colours, &scars, &relief.pores);
        Self { seed, course, radii_mm, relief, scars, pigment, new_scars: vec![] }
    }

    /// The same patient with up to so many new scars after the baseline, ice-picks and boxcars of at least 0.25 mm. Volumes
    /// and their change stay those of the old ones.
    pub fn with_new_scars(mut self, wanted: usize) -> Self {
        self.new_scars = self.scars.draw_new(&mut Stream::of_patient(Purpose::NewScars, self.seed), wanted);
        self
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn course(&self) -> Course {
        self.course
    }

    /// 1 (very light) to 6 (dark).
    pub fn tone_class(&self) -> u8 {
        self.pigment.tone_class
    }

    /// Mean amount of melanin away from spots: 0.4 very light to 4.4 dark.
    pub fn melanin_tone(&self) -> f32 {
        self.pigment.tone
    }

    /// Linear R, G, B of plain skin of this tone.
    pub(crate) fn tone_reflectance(&self) -> [f32; 3] {
        self.pigment.plain()
    }

    /// True scar volume at session `index` of `of`, the baseline being session 0.
    pub fn scar_volumes(&self, index: u32, of: u32) -> ScarVolumes {
        let baseline = self.scars.volumes_mm3();
        let left = self.course.depth_left(index, of, baseline);
        ScarVolumes::new([0, 1, 2].map(|kind| baseline[kind] * left[kind]))
    }

    /// True volume against the baseline at session `index` of `of`: −0.3 is 30 % less.
    pub fn true_volume_change(&self, index: u32, of: u32) -> f64 {
        self.scar_volumes(index, of).total() / self.scar_volumes(0, of).total() - 1.0
    }

    /// The skin at session `index` of `of`, the baseline being session 0.
    ///
    /// `level` scales all nuisance: 0 a perfect rig, 1 an ordinary clinic; it is held within 0 and 2.
    ///
    /// # Panics
    /// If `index` is not below `of`.
    pub fn session(&self, index: u32, of: u32, level: f32) -> Session {
        assert!(index < of, "a course of {of} sessions has no session {index}");
        Session::new(self, index, of, level.clamp(0.0, HIGHEST_LEVEL))
    }

    /// What is true at a session; the area comes from the session's depth map.
    pub(crate) fn truth_at(&self, index: u32, of: u32, scar_area_mm2: f64) -> SessionTruth {
        let volumes = self.scar_volumes(index, of);
        SessionTruth {
            seed: self.seed,
            session: index,
            sessions: of,
            tone_class: self.pigment.tone_class,
            melanin: self.pigment.tone,
            final_loss: self.course.final_loss,
            scar_volume_mm3: volumes.total(),
            baseline_volume_mm3: self.scar_volumes(0, of).total(),
            volume_by_kind_mm3: volumes,
            true_volume_change: self.true_volume_change(index, of),
            scar_area_mm2,
            redness_left: self.course.redness_left(index, of),
            pigment_left: self.course.pigment_left(index, of),
            scars: self.scars_at(index, of),
            new_scars: match index {
                0 => vec![],
                _ => self.new_scars.iter().map(|(scar, volume_mm3)| told(scar, *volume_mm3, 1.0)).collect(),
            },
        }
    }

    fn scars_at(&self, index: u32, of: u32) -> Vec<ScarTruth> {
        let left = self.course.depth_left(index, of, self.scars.volumes_mm3());
        self.scars.list.iter().map(|(scar, volume_mm3)| told(scar, *volume_mm3, left[scar.kind as usize])).collect()
    }
}

/// A scar of which this share of the depth is left.
fn told(scar: &Scar, volume_mm3: f64, left: f64) -> ScarTruth {
    ScarTruth {
        kind: scar.kind,
        centre_mm: scar.centre_mm,
        radius_mm: scar.radius_mm,
        depth_mm: scar.depth_mm * left as f32,
        volume_mm3: volume_mm3 * left,
    }
}
