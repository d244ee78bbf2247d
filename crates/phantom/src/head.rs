//! A head with the skin of synthetic patients on it: what clinics photograph when they take the five standard views.
//!
//! The shape is the average face that the landmarks of `cicatrix-face` belong to, on an ellipsoid with hair and a neck. Its
//! skin is that of four patients of one tone and one course, laid out in tiles so that no place looks like another one
//! nearby. Eyes, brows, lips and nostrils are painted; the iris measures 11.7 mm. What it is not: a person. Skin is stretched
//! where the face is not round, relief casts no shadow here, and expressions do not move.

mod paint;
mod shape;
mod tiles;

use cicatrix_face::{Pose, canonical_mm};

use crate::camera::develop;
use crate::course::Course;
use crate::curve::{exp, positive};
use crate::nuisance::ShotNuisance;
use crate::patient::Patient;
use crate::photo::jpeg;
use crate::session::Session;
use crate::size::Size;
use crate::skin::{OPENNESS, REFLECTANCE, SURFACE, Texel, slope};
use crate::stream::{Purpose, Stream};
use paint::Paint;
use shape::{Camera, Hit, Shape, Vector, cross, dot, unit};
use tiles::Tiles;

/// What of a head is not as with everyone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadStyle {
    /// Hair over the upper half of the forehead.
    pub fringe: bool,
    /// Hair on jaws, chin and around the mouth.
    pub beard: bool,
    /// Before a wall of the colour of light skin, not a grey one.
    pub beige_wall: bool,
}

/// Patients whose skin covers the head.
const SKINS: u64 = 4;
/// Shots of a view are numbered apart from those of another one.
const SHOTS_A_VIEW: u32 = 16;

#[derive(Debug)]
pub struct Head {
    seed: u64,
    patients: Vec<Patient>,
    style: HeadStyle,
}

impl Head {
    /// The head of a seed. Its skin has the tone that [`Patient::new`] gives for that seed.
    pub fn new(seed: u64, course: Course, style: HeadStyle) -> Self {
        let patients = (0..SKINS).map(|k| Patient::with_course(seed + 1_000_003 * k, course)).collect();
        Self { seed, patients, style }
    }

    /// The first of its patients: their tone and the change of their scars are that of all.
    pub fn skin(&self) -> &Patient {
        &self.patients[0]
    }

    /// The head at session `index` of `of`; levels and limits as in [`Patient::session`].
    pub fn session(&self, index: u32, of: u32, level: f32) -> HeadSession<'_> {
        let sessions = self.patients.iter().map(|patient| patient.session(index, of, level)).collect();
        HeadSession { head: self, sessions, index, level }
    }
}

/// A head on one day.
#[derive(Debug)]
pub struct HeadSession<'a> {
    head: &'a Head,
    sessions: Vec<Session>,
    index: u32,
    level: f32,
}

/// A photo of a head, with what is true of it.
#[derive(Debug, Clone)]
pub struct HeadPhoto {
    pub width: u32,
    pub height: u32,
    /// 8-bit sRGB, R, G, B interleaved, row by row.
    pub srgb: Vec<u8>,
    pub pose: Pose,
    /// Where the landmarks of the average face lie, hidden ones too.
    pub landmarks_px: Vec<[f64; 2]>,
    /// Pixels per millimetre across the line of sight at the eyes.
    pub px_per_mm: f64,
    pub nuisance: ShotNuisance,
}

impl HeadPhoto {
    /// The photo as a JPEG file, as [`crate::Photo::to_jpeg`].
    pub fn to_jpeg(&self) -> Vec<u8> {
        jpeg(&self.srgb, (self.width, self.height), self.nuisance.jpeg_quality)
    }
}

impl HeadSession<'_> {
    /// One photo with the head turned by `yaw_deg`, to within what the level does to a pose; positive shows its right
    /// cheek. Shots are numbered within their yaw.
    ///
    /// # Panics
    /// If a side is not 32 to 16384 px.
    pub fn shoot(&self, yaw_deg: f64, shot: u32, (width, height): (u32, u32)) -> HeadPhoto {
        let size = Size::checked((width, height));
        let numbered = ((yaw_deg + 180.0) / 15.0).round() as u32 * SHOTS_A_VIEW + shot;
        let stream = |purpose| Stream::of_shot(purpose, self.head.seed, self.index, numbered);
        let nuisance = ShotNuisance::draw(&mut stream(Purpose::Shot), self.level);
        let pose = Pose {
            yaw_deg: yaw_deg + 0.5 * f64::from(nuisance.yaw_deg),
            pitch_deg: 0.5 * f64::from(nuisance.pitch_deg),
            roll_deg: f64::from(nuisance.roll_deg),
        };
        let camera = Camera::of(&pose, &nuisance, size);
        let linear = self.linear_light(&camera, &nuisance, size);
        let exposure = self.sessions[0].exposure();
        let srgb = develop(linear, size, &nuisance, exposure, &mut stream(Purpose::Sensor));
        let landmarks_px = canonical_mm().iter().map(|mm| camera.project(*mm)).collect();
        HeadPhoto { width, height, srgb, pose, landmarks_px, px_per_mm: camera.px_per_mm_at_eyes(), nuisance }
    }

    fn linear_light(&self, camera: &Camera, nuisance: &ShotNuisance, size: Size) -> Vec<f32> {
        let shape = Shape::seen_by(camera, size);
        let tiles = Tiles::of(&self.sessions, &self.head.patients);
        let paint = Paint::of(self.head.style);
        let lamps = Lamps::of(nuisance, camera);
        let backdrop = if self.head.style.beige_wall { paint::BEIGE_WALL } else { paint::BACKDROP };
        let mut image = Vec::with_capacity(3 * size.width * size.height);
        for at in 0..size.width * size.height {
            let colour = match shape.hit(at) {
                Some(hit) => {
                    let texel = paint.over(&hit, || tiles.texel(hit.place));
                    lamps.radiance(&hit, &texel)
                }
                None => backdrop,
            };
            image.extend(colour);
        }
        image
    }
}

/// Two lamps, one as a close-up has it and one from the other side, as clinics light faces.
struct Lamps {
    /// In the head's axes.
    lamps_mm: [Vector; 2],
    eye_mm: Vector,
    ambient: f32,
    gloss: f32,
    softness: f32,
}

/// What a plain returns at 45° and an ambient weight of 0.4.
const FLAT: f32 = 0.6 * std::f32::consts::FRAC_1_SQRT_2 + 0.4;
const LAMP_MM: f32 = 900.0;
const GLOSS: f32 = 0.1;
const GLOSS_SHARPNESS: f32 = 30.0;

impl Lamps {
    fn of(shot: &ShotNuisance, camera: &Camera) -> Self {
        let (sin_elevation, cos_elevation) = shot.light_elevation_deg.to_radians().sin_cos();
        let lamp = |azimuth_deg: f32| {
            let (sin, cos) = azimuth_deg.to_radians().sin_cos();
            // Azimuths run clockwise in the picture, heights in space run up.
            camera.to_head([cos_elevation * cos, -cos_elevation * sin, sin_elevation].map(|v| v * LAMP_MM))
        };
        Self {
            lamps_mm: [lamp(shot.light_azimuth_deg), lamp(180.0 - shot.light_azimuth_deg)],
            eye_mm: camera.eye_mm(),
            ambient: shot.ambient,
            gloss: shot.gloss,
            softness: shot.light_softness,
        }
    }

    fn radiance(&self, hit: &Hit, texel: &Texel) -> [f32; 3] {
        // Across and down along the skin; a texel's slopes are along these.
        let across = unit(cross([0.0, 1.0, 0.0], hit.normal));
        let down = cross(across, hit.normal);
        let normal = |relief: usize| {
            let [sx, sy] = slope(texel, relief);
            unit([0, 1, 2].map(|k| hit.normal[k] - sx * across[k] - sy * down[k]))
        };
        let normals = [0, 1, 2].map(normal);
        let fill = self.ambient * texel[OPENNESS] / FLAT;
        let to_eye = unit([0, 1, 2].map(|k| self.eye_mm[k] - hit.place[k]));
        let mut colour =
            [0, 1, 2].map(|c| texel[REFLECTANCE + c] * fill * (0.6 + 0.4 * dot(normals[c], to_eye).max(0.0)));
        for lamp in self.lamps_mm {
            let to_lamp = unit([0, 1, 2].map(|k| lamp[k] - hit.place[k]));
            let direct = 0.5 * (1.0 - self.ambient) / FLAT;
            let half = unit([0, 1, 2].map(|k| to_lamp[k] + to_eye[k]));
            let lobe = exp(GLOSS_SHARPNESS * (dot(normal(SURFACE), half) - 1.0));
            let gloss = direct * GLOSS * self.gloss * lobe * (4.0 * dot(hit.normal, to_lamp)).clamp(0.0, 1.0);
            for (c, value) in colour.iter_mut().enumerate() {
                *value += direct * texel[REFLECTANCE + c] * positive(dot(normals[c], to_lamp), self.softness) + gloss;
            }
        }
        colour
    }
}
