//! The photo as the networks see it: small, as sRGB codes, and squares cut out of it at any angle.

use std::borrow::Cow;

use cicatrix_photo::{Overview, Plane, to_codes};

/// Longer side of the largest level, px, at most.
const MOST: usize = 800;

/// A square of the photo: its middle, side and turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Square {
    pub(crate) centre_px: [f64; 2],
    pub(crate) side_px: f64,
    /// Clockwise as seen.
    pub(crate) turn_rad: f64,
}

impl Square {
    pub(crate) fn upright(centre_px: [f64; 2], side_px: f64) -> Self {
        Self { centre_px, side_px, turn_rad: 0.0 }
    }

    /// The place in the photo of a place in the square, whose sides go from 0 to 1.
    pub(crate) fn place(&self, [u, v]: [f64; 2]) -> [f64; 2] {
        let (x, y) = ((u - 0.5) * self.side_px, (v - 0.5) * self.side_px);
        let (sin, cos) = self.turn_rad.sin_cos();
        [self.centre_px[0] + cos * x - sin * y, self.centre_px[1] + sin * x + cos * y]
    }
}

/// One size of the photo; red, green, blue as sRGB codes 0 to 1.
struct Level {
    /// Pixels of the photo per pixel.
    step: f64,
    codes: [Plane; 3],
}

/// The photo at 400 to 800 px, which gives a face that fills it twice the pixels that the landmarks need, and at halves of that,
/// so that no pixel is skipped where little is looked at.
pub(crate) struct Preview {
    pub(crate) width: f64,
    pub(crate) height: f64,
    levels: Vec<Level>,
}

impl Preview {
    pub(crate) fn of(overview: &Overview) -> Self {
        let mut largest = Cow::Borrowed(overview);
        while largest.linear[0].width.max(largest.linear[0].height) > MOST {
            largest = Cow::Owned(largest.half());
        }
        let mut levels = vec![Level { step: largest.block as f64, codes: largest.linear.each_ref().map(to_codes) }];
        while let Some(level) = levels.last().filter(|level| level.codes[0].width.min(level.codes[0].height) >= 64) {
            levels.push(Level { step: 2.0 * level.step, codes: level.codes.each_ref().map(Plane::half) });
        }
        Self { width: overview.width as f64, height: overview.height as f64, levels }
    }

    /// A square of the photo on `side` × `side` pixels, `range` for black and white, black beyond the photo; planes red,
    /// green, blue.
    pub(crate) fn cut(&self, square: &Square, side: usize, [black, white]: [f32; 2]) -> Vec<f32> {
        let step = square.side_px / side as f64;
        let level = self.levels.iter().rev().find(|level| level.step <= step).unwrap_or(&self.levels[0]);
        let mut planes = vec![black; 3 * side * side];
        for row in 0..side {
            for column in 0..side {
                let middle = [column, row].map(|i| (i as f64 + 0.5) / side as f64);
                if let Some(rgb) = level.sample(square.place(middle)) {
                    for (channel, code) in rgb.into_iter().enumerate() {
                        planes[(channel * side + row) * side + column] = black + (white - black) * code;
                    }
                }
            }
        }
        planes
    }
}

impl Level {
    /// Bilinear, held at the edges; nothing beyond them.
    fn sample(&self, place_px: [f64; 2]) -> Option<[f32; 3]> {
        // Pixel centres of the photo lie at integers, so the first block's middle lies at (step - 1) / 2.
        let [x, y] = place_px.map(|p| (p + 0.5) / self.step - 0.5);
        let (width, height) = (self.codes[0].width, self.codes[0].height);
        let (right, bottom) = (width as f64 - 1.0, height as f64 - 1.0);
        if x < -0.5 || y < -0.5 || x > right + 0.5 || y > bottom + 0.5 {
            return None;
        }
        let (x, y) = (x.clamp(0.0, right), y.clamp(0.0, bottom));
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(width - 1), (y0 + 1).min(height - 1));
        let (fx, fy) = ((x - x0 as f64) as f32, (y - y0 as f64) as f32);
        Some(self.codes.each_ref().map(|plane| {
            let (upper, lower) = (plane.row(y0), plane.row(y1));
            let (above, below) = (upper[x0] + fx * (upper[x1] - upper[x0]), lower[x0] + fx * (lower[x1] - lower[x0]));
            above + fy * (below - above)
        }))
    }
}

#[cfg(test)]
mod tests {
    use cicatrix_photo::{Frame, from_linear};

    use super::*;

    #[test]
    fn a_square_shows_its_part_of_the_photo_at_every_size() {
        // Red rises to the right, green downwards, over 1400 × 1000 px.
        let (width, height) = (1400, 1000);
        let pixel = |i: usize| [(i % width) * 40, (i / width) * 60, 0].map(|v| v as u16);
        let frame = Frame { width, height, linear: (0..width * height).flat_map(pixel).collect() };
        let preview = Preview::of(&Overview::of(&frame));
        for (side_px, side) in [(200.0, 100), (800.0, 64)] {
            let square = Square { centre_px: [700.0, 500.0], side_px, turn_rad: 0.3 };
            let cut = preview.cut(&square, side, [0.0, 1.0]);
            for (column, row) in [(0, 0), (side - 1, 3), (side / 2, side / 2)] {
                let place = square.place([column, row].map(|i| (i as f64 + 0.5) / side as f64));
                let expected = [place[0] * 40.0, place[1] * 60.0].map(|v| from_linear(v / 65535.0) as f32);
                for (k, expected) in expected.into_iter().enumerate() {
                    let found = cut[(k * side + row) * side + column];
                    assert!((found - expected).abs() < 0.01, "{found} {expected}");
                }
            }
        }
        let beyond = preview.cut(&Square::upright([-500.0, 500.0], 200.0), 8, [-1.0, 1.0]);
        assert!(beyond.iter().all(|v| *v == -1.0));
    }
}
