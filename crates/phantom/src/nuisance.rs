//! What a clinic gets wrong from visit to visit and from shot to shot.
//!
//! All of it scales with one level: 0 a perfect rig, 0.5 a clinic that keeps its protocol, 1 an ordinary clinic,
//! 1.5 a careless one. The draws do not depend on the level, so a higher level exaggerates the same faults.

use serde::Serialize;

use crate::stream::Stream;

/// Distance of the camera when nothing is wrong, mm.
pub(crate) const DISTANCE_MM: f32 = 320.0;
/// Distance of the lamp when nothing is wrong, mm.
const LAMP_MM: f32 = 500.0;

/// All that was not truth about a photo.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nuisance {
    /// 0 to 2.
    pub level: f32,
    pub day: DayNuisance,
    pub shot: ShotNuisance,
}

/// The skin's form of the day, the same in all shots of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayNuisance {
    /// Micro-relief against its mean: dry skin above 1, swollen below; ±15 %.
    pub relief_gain: f32,
    /// Added amount of haemoglobin all over; ±0.04.
    pub flush: f32,
    pub papules: Vec<Papule>,
}

/// A small raised red bump.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Papule {
    /// From the patch's centre.
    pub centre_mm: [f32; 2],
    pub radius_mm: f32,
    pub height_mm: f32,
    /// Added amount of haemoglobin at its centre.
    pub redness: f32,
}

impl DayNuisance {
    pub(crate) fn draw(stream: &mut Stream, level: f32) -> Self {
        let relief_gain = 1.0 + level * stream.around_zero(0.15);
        let flush = level * stream.around_zero(0.04);
        let breakout = if stream.chance(0.5) { level * stream.between(0.0, 4.0) } else { 0.0 };
        let mut papules = [(); 8].map(|()| Papule::draw(stream)).to_vec();
        papules.truncate(breakout.round() as usize);
        Self { relief_gain, flush, papules }
    }
}

impl Papule {
    fn draw(stream: &mut Stream) -> Self {
        Self {
            centre_mm: [stream.around_zero(24.0), stream.around_zero(17.0)],
            radius_mm: stream.between(0.6, 1.2),
            height_mm: stream.between(0.08, 0.25),
            redness: stream.between(0.25, 0.60),
        }
    }
}

/// Pose, light and camera of one shot. Ranges are those of level 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShotNuisance {
    /// Head turned sideways, ±9°.
    pub yaw_deg: f32,
    /// Head nodded, ±8°.
    pub pitch_deg: f32,
    /// Camera tilted, ±6°.
    pub roll_deg: f32,
    /// The patch's centre off the optical axis, ±2.5 mm each way.
    pub shift_mm: [f32; 2],
    /// Camera to skin, 320 mm ±6 %.
    pub distance_mm: f32,
    /// Smooth stretching of the skin by the expression, together at most 0.3 mm.
    pub expression: [ExpressionWave; 3],
    /// Where the light comes from in the picture: 0° from the right, −90° from above; −50° ±22°.
    pub light_azimuth_deg: f32,
    /// Above the skin's plane, 45° ±10°.
    pub light_elevation_deg: f32,
    /// Lamp to skin, 500 mm ±12 %.
    pub light_distance_mm: f32,
    /// Weight of shadowless light, the direct light having the rest; 0.4 ±0.16.
    pub ambient: f32,
    /// Strength of the surface reflection against dry skin, 1 ±45 %.
    pub gloss: f32,
    /// ±0.35 stops.
    pub exposure_ev: f32,
    /// Gains of red and blue, 1 ±8 %.
    pub white_balance: [f32; 2],
    /// Slope of the tone curve, 1 ±12 %.
    pub contrast: f32,
    /// Light lost in the corners, up to 6 %.
    pub vignette: f32,
    /// Deviation of the lens blur, 0.3 to 1.3 px.
    pub defocus_px: f32,
    /// Deviation of the sensor noise at 40 % of white, 0.003 to 0.009 of white.
    pub noise: f32,
    /// 94 down to 80.
    pub jpeg_quality: u8,
    /// Width of the lamp as the skin sees it, which rounds the edge of its light; 0.12 ±0.08.
    pub light_softness: f32,
    /// Strength of the sharpening that phones do, 0 to 0.6.
    pub sharpening: f32,
}

/// Skin at p moves by `push_mm` · sin(`turn_per_mm` · p + `phase`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpressionWave {
    /// Radians per millimetre along each axis.
    pub turn_per_mm: [f32; 2],
    pub phase: f32,
    pub push_mm: [f32; 2],
}

impl ExpressionWave {
    fn draw(stream: &mut Stream, push_mm: f32) -> Self {
        let length_mm = stream.between(24.0, 60.0);
        let turn = std::f32::consts::TAU / length_mm;
        Self {
            turn_per_mm: stream.direction().map(|part| turn * part),
            phase: stream.between(0.0, std::f32::consts::TAU),
            push_mm: stream.direction().map(|part| push_mm * part),
        }
    }
}

impl ShotNuisance {
    pub(crate) fn draw(stream: &mut Stream, level: f32) -> Self {
        let push_mm = 0.1 * level * stream.between(0.3, 1.0);
        Self {
            expression: [(); 3].map(|()| ExpressionWave::draw(stream, push_mm)),
            yaw_deg: level * stream.around_zero(9.0),
            pitch_deg: level * stream.around_zero(8.0),
            roll_deg: level * stream.around_zero(6.0),
            shift_mm: [level * stream.around_zero(2.5), level * stream.around_zero(2.5)],
            distance_mm: DISTANCE_MM * (1.0 + level * stream.around_zero(0.06)),
            light_azimuth_deg: -50.0 + level * stream.around_zero(22.0),
            light_elevation_deg: 45.0 + level * stream.around_zero(10.0),
            light_distance_mm: LAMP_MM * (1.0 + level * stream.around_zero(0.12)),
            ambient: 0.4 + level * stream.around_zero(0.16),
            gloss: 1.0 + level * stream.around_zero(0.45),
            exposure_ev: level * stream.around_zero(0.35),
            white_balance: [1.0 + level * stream.around_zero(0.08), 1.0 + level * stream.around_zero(0.08)],
            contrast: 1.0 + level * stream.around_zero(0.12),
            vignette: 0.02 + level * stream.between(0.0, 0.04),
            defocus_px: 0.3 + level * stream.between(0.0, 1.0),
            noise: 0.003 + level * stream.between(0.0, 0.006),
            jpeg_quality: (94.0 - level * stream.between(0.0, 14.0)).round() as u8,
            light_softness: (0.12 + level * stream.around_zero(0.08)).max(0.02),
            sharpening: level * stream.between(0.0, 0.6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Purpose;

    #[test]
    fn a_perfect_rig_has_no_faults() {
        let mut stream = Stream::of_shot(Purpose::Shot, 1, 2, 3);
        let shot = ShotNuisance::draw(&mut stream, 0.0);
        assert_eq!(shot.yaw_deg, 0.0);
        assert_eq!(shot.white_balance, [1.0, 1.0]);
        assert_eq!(shot.jpeg_quality, 94);
        let day = DayNuisance::draw(&mut Stream::of_session(Purpose::Day, 1, 2), 0.0);
        assert_eq!(day, DayNuisance { relief_gain: 1.0, flush: 0.0, papules: Vec::new() });
    }

    #[test]
    fn twice_the_level_turns_the_head_twice_as_far() {
        let yaw = |level| ShotNuisance::draw(&mut Stream::of_shot(Purpose::Shot, 4, 0, 1), level).yaw_deg;
        assert!((yaw(1.0) - 2.0 * yaw(0.5)).abs() < 1e-5);
    }
}
