//! From light to bytes: exposure, white balance, vignette, lens, sensor noise, sharpening, tone curve, sRGB.

use crate::blur::{add_scaled, kernel};
use crate::curve::exp;
use crate::nuisance::ShotNuisance;
use crate::size::Size;
use crate::stream::Stream;

/// Entries of the tone table per unit of linear light.
const TONE_STEPS: f32 = 8192.0;
/// The table ends at twice white; what is brighter is white.
const LAST_TONE: usize = 16_383;
/// Linear light above this is rolled off towards white, as phones do.
const SHOULDER: f32 = 0.7;
/// Deviation of the blur that sharpening takes for the lens's.
const SHARPENED_PX: f32 = 1.2;
/// Contrast turns about this encoded value.
const PIVOT: f32 = 0.6;

/// Develops a linear picture to 8-bit sRGB.
///
/// `exposure` is the gain for this skin before the shot's own error; `sensor` gives the noise.
pub(crate) fn develop(
    mut image: Vec<f32>,
    size: Size,
    shot: &ShotNuisance,
    exposure: f32,
    sensor: &mut Stream,
) -> Vec<u8> {
    expose(&mut image, size, shot, exposure);
    let mut image = defocused(image, size, shot.defocus_px);
    add_noise(&mut image, 3 * size.width, shot.noise, sensor);
    if shot.sharpening > 0.0 {
        image = sharpened(image, size, shot.sharpening);
    }
    let table = tone_table(shot.contrast);
    image.iter().map(|&light| table[((light * TONE_STEPS + 0.5) as usize).min(LAST_TONE)]).collect()
}

fn expose(image: &mut [f32], size: Size, shot: &ShotNuisance, exposure: f32) {
    let gain = exposure * shot.exposure_ev.exp2();
    let [red, blue] = shot.white_balance;
    let centre = [0.5 * (size.width as f32 - 1.0), 0.5 * (size.height as f32 - 1.0)];
    let falloff = shot.vignette / (centre[0] * centre[0] + centre[1] * centre[1]);
    for (y, row) in image.chunks_exact_mut(3 * size.width).enumerate() {
        let dy = y as f32 - centre[1];
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let dx = x as f32 - centre[0];
            let gain = gain * (1.0 - falloff * (dx * dx + dy * dy));
            pixel[0] *= gain * red;
            pixel[1] *= gain;
            pixel[2] *= gain * blue;
        }
    }
}

/// Blurred by a Gaussian; beyond the edges the border pixel goes on.
fn defocused(image: Vec<f32>, size: Size, sigma_px: f32) -> Vec<f32> {
    let weights = kernel(sigma_px);
    let across = blurred_across(&image, 3 * size.width, &weights);
    drop(image);
    blurred_down(&across, 3 * size.width, &weights)
}

/// Unsharp mask.
fn sharpened(image: Vec<f32>, size: Size, amount: f32) -> Vec<f32> {
    let mut soft = defocused(image.clone(), size, SHARPENED_PX);
    for (soft, sharp) in soft.iter_mut().zip(&image) {
        *soft = (sharp + amount * (sharp - *soft)).max(0.0);
    }
    soft
}

fn blurred_across(image: &[f32], length: usize, weights: &[f32]) -> Vec<f32> {
    let reach = weights.len() / 2;
    let mut padded = vec![0.0; length + 6 * reach];
    let mut out = vec![0.0; image.len()];
    for (source, target) in image.chunks_exact(length).zip(out.chunks_exact_mut(length)) {
        padded[3 * reach..3 * reach + length].copy_from_slice(source);
        for pixel in 0..reach {
            padded[3 * pixel..3 * pixel + 3].copy_from_slice(&source[..3]);
            let beyond = 3 * (reach + pixel) + length;
            padded[beyond..beyond + 3].copy_from_slice(&source[length - 3..]);
        }
        for (tap, &weight) in weights.iter().enumerate() {
            add_scaled(target, &padded[3 * tap..3 * tap + length], weight);
        }
    }
    out
}

fn blurred_down(image: &[f32], length: usize, weights: &[f32]) -> Vec<f32> {
    let reach = weights.len() / 2;
    let last = image.len() / length - 1;
    let mut out = vec![0.0; image.len()];
    for (y, target) in out.chunks_exact_mut(length).enumerate() {
        for (tap, &weight) in weights.iter().enumerate() {
            let row = (y + tap).saturating_sub(reach).min(last);
            add_scaled(target, &image[row * length..][..length], weight);
        }
    }
    out
}

/// Read noise and photon noise: deviation noise · √(0.2 + 2 · light), nearly normal.
fn add_noise(image: &mut [f32], length: usize, noise: f32, sensor: &mut Stream) {
    let mut bytes = vec![0_u8; 4 * length];
    for row in image.chunks_exact_mut(length) {
        sensor.fill(&mut bytes);
        for (value, four) in row.iter_mut().zip(bytes.chunks_exact(4)) {
            // The sum of four bytes has mean 510 and deviation 147.8.
            let sum: u32 = four.iter().map(|&byte| u32::from(byte)).sum();
            let normal = (sum as f32 - 510.0) / 147.8;
            let light = *value;
            *value = light + normal * noise * (0.2 + 2.0 * light.max(0.0)).sqrt();
        }
    }
}

fn tone_table(contrast: f32) -> Vec<u8> {
    (0..=LAST_TONE).map(|step| encoded(step as f32 / TONE_STEPS, contrast)).collect()
}

/// The byte for an amount of linear light.
fn encoded(light: f32, contrast: f32) -> u8 {
    let srgb = srgb_of(rolled_off(light));
    let toned = PIVOT * (srgb / PIVOT).powf(contrast);
    (255.0 * toned.clamp(0.0, 1.0) + 0.5) as u8
}

fn rolled_off(light: f32) -> f32 {
    if light <= SHOULDER {
        return light;
    }
    let room = 1.0 - SHOULDER;
    SHOULDER + room * (1.0 - exp((SHOULDER - light) / room))
}

/// IEC 61966-2-1.
fn srgb_of(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_the_srgb_curve_below_the_shoulder() {
        for (light, byte) in [(0.0, 0), (0.214_041, 128), (0.5, 188), (2.0, 255)] {
            assert!(encoded(light, 1.0).abs_diff(byte) <= 1, "{light} became {}", encoded(light, 1.0));
        }
    }

    #[test]
    fn an_even_picture_stays_even_under_blur() {
        let size = Size { width: 40, height: 32 };
        let even = vec![0.3; 3 * size.width * size.height];
        let blurred = defocused(even, size, 1.3);
        assert!(blurred.iter().all(|value| (value - 0.3).abs() < 1e-5));
    }
}
