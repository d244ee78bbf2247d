//! Light on skin: a lamp at a finite distance, fill from everywhere, and the gloss of the surface.
//!
//! Per channel: reflectance · ((1 − a) · soft(n·l) · (D/d)² · shade + a · openness · (0.6 + 0.4 n_z)) / flat, with
//! ambient weight a, normal n of the relief as the channel sees it and d the lamp's distance; `flat` is what a
//! plain returns in ordinary light, so that exposure means the same at every setting. Gloss is a Blinn lobe in its
//! exponential form, exp(s · (n·h − 1)), white.

use std::f32::consts::FRAC_1_SQRT_2;

use crate::curve::{exp, positive};
use crate::nuisance::ShotNuisance;
use crate::projection::Projection;
use crate::skin::{OPENNESS, REFLECTANCE, SURFACE, Texel, slope};

type Vector = [f32; 3];

/// What a plain returns at 45° and an ambient weight of 0.4.
const FLAT: f32 = 0.6 * FRAC_1_SQRT_2 + 0.4;
/// How dark a full shadow is in R, G, B: scattering fills it, with red most.
const SHADE: [f32; 3] = [0.72, 0.86, 0.94];
const GLOSS: f32 = 0.16;
const GLOSS_SHARPNESS: f32 = 30.0;

#[derive(Debug)]
pub(crate) struct Light {
    /// In the patch's axes, from its centre.
    lamp_mm: Vector,
    lamp_distance_mm: f32,
    eye_mm: Vector,
    /// Curvature of the cheek along x and y.
    bend_per_mm: [f32; 2],
    ambient: f32,
    gloss: f32,
    /// Rounds the lamp's terminator.
    softness: f32,
}

impl Light {
    pub(crate) fn new(shot: &ShotNuisance, projection: &Projection, radii_mm: [f32; 2]) -> Self {
        let (sin_azimuth, cos_azimuth) = f64::from(shot.light_azimuth_deg).to_radians().sin_cos();
        let (sin_elevation, cos_elevation) = f64::from(shot.light_elevation_deg).to_radians().sin_cos();
        let direction = [cos_elevation * cos_azimuth, cos_elevation * sin_azimuth, sin_elevation];
        let lamp = direction.map(|part| f64::from(shot.light_distance_mm) * part);
        Self {
            lamp_mm: projection.to_patch(lamp).map(|part| part as f32),
            lamp_distance_mm: shot.light_distance_mm,
            eye_mm: projection.eye_mm().map(|part| part as f32),
            bend_per_mm: radii_mm.map(|radius| 1.0 / radius),
            ambient: shot.ambient,
            gloss: shot.gloss,
            softness: shot.light_softness,
        }
    }

    /// From the patch's centre to the lamp, a unit vector.
    pub(crate) fn direction(&self) -> Vector {
        unit(self.lamp_mm).0
    }

    /// Linear R, G, B of a place on the patch (mm from its centre), 1 being a white plain in ordinary light.
    pub(crate) fn radiance(&self, place: [f32; 2], texel: &Texel, shadow: f32) -> [f32; 3] {
        let bend = [place[0] * self.bend_per_mm[0], place[1] * self.bend_per_mm[1]];
        let sag = -0.5 * (place[0] * bend[0] + place[1] * bend[1]);
        let surface = [place[0], place[1], sag];
        let (to_lamp, lamp_mm) = unit(minus(self.lamp_mm, surface));
        let nearness = self.lamp_distance_mm / lamp_mm;
        let direct = (1.0 - self.ambient) * nearness * nearness / FLAT;
        let fill = self.ambient * texel[OPENNESS] / FLAT;
        let gloss = direct * self.glint(surface, bend, to_lamp, texel) * (1.0 - 0.9 * shadow);
        let mut colour = [gloss; 3];
        for (channel, value) in colour.iter_mut().enumerate() {
            let normal = normal(bend, slope(texel, channel));
            let lit = direct * positive(dot(normal, to_lamp), self.softness);
            let shaded = lit * (1.0 - SHADE[channel] * shadow);
            *value += texel[REFLECTANCE + channel] * (shaded + fill * (0.6 + 0.4 * normal[2]));
        }
        colour
    }

    /// The surface reflection for a lamp of strength one.
    fn glint(&self, surface: Vector, bend: [f32; 2], to_lamp: Vector, texel: &Texel) -> f32 {
        let (to_eye, _) = unit(minus(self.eye_mm, surface));
        let (half, _) = unit([0, 1, 2].map(|axis| to_lamp[axis] + to_eye[axis]));
        let normal = normal(bend, slope(texel, SURFACE));
        let lobe = exp(GLOSS_SHARPNESS * (dot(normal, half) - 1.0));
        let facing = (4.0 * dot(normal, to_lamp)).clamp(0.0, 1.0);
        GLOSS * self.gloss * lobe * facing * texel[OPENNESS]
    }
}

/// The normal of relief with this slope on a cheek that falls off by `bend`.
fn normal(bend: [f32; 2], slope: [f32; 2]) -> Vector {
    unit([bend[0] - slope[0], bend[1] - slope[1], 1.0]).0
}

fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn minus(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// The vector at length one, and its length.
fn unit(vector: Vector) -> (Vector, f32) {
    let length = dot(vector, vector).sqrt();
    let scale = 1.0 / length;
    ([vector[0] * scale, vector[1] * scale, vector[2] * scale], length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::Size;
    use crate::stream::{Purpose, Stream};

    fn ordinary() -> Light {
        let shot = ShotNuisance::draw(&mut Stream::of_shot(Purpose::Shot, 0, 0, 0), 0.0);
        let radii_mm = [95.0, 140.0];
        let projection = Projection::new(&shot, radii_mm, Size { width: 400, height: 300 });
        Light::new(&shot, &projection, radii_mm)
    }

    fn plain(slope_x: f32) -> Texel {
        [slope_x, 0.0, slope_x, 0.0, slope_x, 0.0, slope_x, 0.0, 1.0, 0.5, 0.4, 0.3]
    }

    #[test]
    fn flat_skin_in_ordinary_light_returns_its_reflectance() {
        let colour = ordinary().radiance([0.0, 0.0], &plain(0.0), 0.0);
        for (seen, reflectance) in colour.iter().zip([0.5_f32, 0.4, 0.3]) {
            assert!((seen - reflectance).abs() < 0.03, "{seen} for {reflectance}");
        }
    }

    #[test]
    fn a_slope_towards_the_lamp_is_brighter_and_a_shadow_darker() {
        let light = ordinary();
        let green = |slope_x, shadow| light.radiance([0.0, 0.0], &plain(slope_x), shadow)[1];
        // The lamp stands at the upper right; skin that falls to the right faces it.
        assert!(green(-0.3, 0.0) > green(0.0, 0.0));
        assert!(green(0.3, 0.0) < green(0.0, 0.0));
        assert!(green(0.0, 1.0) < 0.6 * green(0.0, 0.0));
    }
}
