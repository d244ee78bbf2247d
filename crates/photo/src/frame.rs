//! The decoded photo: upright, linear light, sRGB primaries.

use std::sync::OnceLock;

use crate::Plane;

/// An upright photo in linear light. 16-bit samples, interleaved RGB, 65535 = sensor white.
///
/// Linear 16-bit keeps every 8-bit sRGB code apart (the darkest step is 20 units) at 6 bytes a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub width: usize,
    pub height: usize,
    /// Row-major, `3 * width * height` samples.
    pub linear: Vec<u16>,
}

/// sRGB code (0 to 1) to linear light (0 to 1), IEC 61966-2-1.
pub fn to_linear(code: f64) -> f64 {
    if code <= 0.04045 { code / 12.92 } else { ((code + 0.055) / 1.055).powf(2.4) }
}

/// Linear light (0 to 1) to sRGB code (0 to 1), IEC 61966-2-1.
pub fn from_linear(linear: f64) -> f64 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

/// sRGB code of 8 bits for each linear value, indexed by its upper 12 bits.
fn code_table() -> &'static [u8; 4096] {
    static TABLE: OnceLock<[u8; 4096]> = OnceLock::new();
    TABLE.get_or_init(|| {
        std::array::from_fn(|i| (from_linear((i as f64 + 0.5) / 4096.0) * 255.0).round().clamp(0.0, 255.0) as u8)
    })
}

/// Linear light as sRGB codes, both 0 to 1, to the nearest of 256.
pub fn to_codes(linear: &Plane) -> Plane {
    let table = code_table();
    linear.map(|v| f32::from(table[((v * 4096.0) as usize).min(4095)]) / 255.0)
}

impl Frame {
    pub fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// One channel (0 red, 1 green, 2 blue) in linear light, 0 to 1.
    pub fn channel(&self, channel: usize) -> Plane {
        let data = self.linear.chunks_exact(3).map(|p| f32::from(p[channel]) / 65535.0).collect();
        Plane { width: self.width, height: self.height, data }
    }

    /// Left for right.
    pub fn mirrored(mut self) -> Frame {
        for row in self.linear.chunks_exact_mut(3 * self.width) {
            let (mut left, mut right) = (0, self.width - 1);
            while left < right {
                (0..3).for_each(|k| row.swap(3 * left + k, 3 * right + k));
                (left, right) = (left + 1, right - 1);
            }
        }
        self
    }

    /// Red, green and blue in linear light, 0 to 1: means of `side` × `side` pixels, from four rows on of every second row, for
    /// reading the frame is what takes time. Rows and columns that do not fill a square are left out, and a frame that is
    /// smaller is one pixel.
    pub fn means(&self, side: usize) -> [Plane; 3] {
        let side = [side, self.width, self.height].into_iter().min().unwrap_or(1).max(1);
        let (width, height) = (self.width / side, self.height / side);
        let pace = if side < 4 { 1 } else { 2 };
        let scale = 1.0 / ((side * side.div_ceil(pace)) as f32 * 65535.0);
        let mut planes = [0, 1, 2].map(|_| Plane::filled(width, height, 0.0));
        // Down first, whole rows side by side, then across.
        let mut sums = vec![0u32; 3 * width * side];
        for y in 0..height {
            sums.fill(0);
            for row in (y * side..(y + 1) * side).step_by(pace) {
                let samples = &self.linear[3 * row * self.width..];
                sums.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += u32::from(*sample));
            }
            let [red, green, blue] = planes.each_mut().map(|plane| plane.row_mut(y).iter_mut());
            for (((red, green), blue), block) in red.zip(green).zip(blue).zip(sums.chunks_exact(3 * side)) {
                let mut sum = [0u32; 3];
                for pixel in block.chunks_exact(3) {
                    (0..3).for_each(|k| sum[k] += pixel[k]);
                }
                [*red, *green, *blue] = sum.map(|sum| sum as f32 * scale);
            }
        }
        planes
    }

    /// Green on a square-root scale, 0 to 255: near enough to perceptual for matching, and noise is even in it. Means
    /// of `side` × `side` pixels; rows and columns that do not fill one are left out.
    pub fn green_for_matching(&self, side: usize) -> Plane {
        let root: Vec<f32> = (0..4096).map(|i| ((i as f32 + 0.5) / 4096.0).sqrt() * 255.0).collect();
        let (width, height) = (self.width / side, self.height / side);
        let scale = 1.0 / (side * side) as f32;
        let mut plane = Plane::filled(width, height, 0.0);
        for y in 0..height * side {
            let row = &self.linear[3 * y * self.width..3 * (y + 1) * self.width];
            for (sum, pixels) in plane.row_mut(y / side).iter_mut().zip(row.chunks_exact(3 * side)) {
                *sum += pixels.chunks_exact(3).map(|p| root[usize::from(p[1] >> 4)]).sum::<f32>() * scale;
            }
        }
        plane
    }

    /// The frame as 8-bit sRGB, for previews.
    pub fn to_srgb8(&self) -> Vec<u8> {
        let table = code_table();
        self.linear.iter().map(|&v| table[usize::from(v >> 4)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transfer_curve_and_its_inverse_agree() {
        for i in 0..=255 {
            let code = f64::from(i) / 255.0;
            assert!((from_linear(to_linear(code)) - code).abs() < 1e-6);
        }
    }

    #[test]
    fn eight_bit_codes_survive_the_linear_frame() {
        let linear: Vec<u16> =
            (0..=255u8).flat_map(|c| [(to_linear(f64::from(c) / 255.0) * 65535.0).round() as u16; 3]).collect();
        let frame = Frame { width: 256, height: 1, linear };
        let worst = frame.to_srgb8().chunks_exact(3).enumerate().map(|(i, p)| p[0].abs_diff(i as u8)).max();
        assert!(worst <= Some(1), "{worst:?}");
    }
}
