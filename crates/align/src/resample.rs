//! One resampling of the original onto a grid in millimetres.
//!
//! Baseline and follow-up go through the same kernel on the same grid, the baseline by the identity: what is compared
//! must have seen the same optics and the same interpolation, else unchanged skin comes out "improved".

use cicatrix_photo::{Frame, Plane, catmull_rom};

use crate::Registration;

/// A lattice over the fixed photo: node `(i, j)` lies at `origin + pitch · (i, j)` in its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub origin_px: [f64; 2],
    pub pitch_px: f64,
    pub width: usize,
    pub height: usize,
}

impl Grid {
    /// Place of a node in pixels of the fixed photo.
    pub fn place(&self, column: usize, row: usize) -> [f64; 2] {
        [self.origin_px[0] + self.pitch_px * column as f64, self.origin_px[1] + self.pitch_px * row as f64]
    }

    /// What a plane on this grid has at the node nearest to a place of the fixed photo; none off the grid.
    pub fn value(&self, plane: &Plane, place_px: [f64; 2]) -> Option<f32> {
        let [x, y] = [0, 1].map(|k| ((place_px[k] - self.origin_px[k]) / self.pitch_px).round());
        let within = x >= 0.0 && y >= 0.0 && x < self.width as f64 && y < self.height as f64;
        within.then(|| plane.row(y as usize)[x as usize])
    }
}

/// A photo laid over the grid, linear light 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    pub red: Plane,
    pub green: Plane,
    pub blue: Plane,
    /// 1 where the photo covers the node, else 0.
    pub inside: Plane,
}

/// Nodes between two evaluations of the map; the field is smooth over many times that.
const STEP: usize = 4;
/// Most samples a side that a node is the mean of.
const MOST_SAMPLES: usize = 8;

/// Resamples a photo: each node is the mean of a square of bilinear samples as wide as the pitch.
pub fn resample(frame: &Frame, grid: &Grid, map: impl Fn([f64; 2]) -> [f64; 2]) -> Patch {
    let lattice = Lattice::new(grid, map);
    let empty = || Plane::filled(grid.width, grid.height, 0.0);
    let mut patch = Patch { red: empty(), green: empty(), blue: empty(), inside: empty() };
    for row in 0..grid.height {
        for column in 0..grid.width {
            let (place, right, down) = lattice.at(column, row);
            if let Some([r, g, b]) = mean(frame, place, right, down) {
                let at = row * grid.width + column;
                (patch.red.data[at], patch.green.data[at], patch.blue.data[at]) = (r, g, b);
                patch.inside.data[at] = 1.0;
            }
        }
    }
    patch
}

/// The moving photo laid over the fixed one at its size, for the eye: Catmull-Rom in linear light, black where it ends.
pub fn lay_over(moving: &Frame, registration: &Registration, width: usize, height: usize) -> Frame {
    let grid = Grid { origin_px: [0.0, 0.0], pitch_px: 1.0, width, height };
    let lattice = Lattice::new(&grid, |place| registration.map(place));
    let mut linear = vec![0u16; 3 * width * height];
    for (i, pixel) in linear.chunks_exact_mut(3).enumerate() {
        let (place, ..) = lattice.at(i % width, i / width);
        if let Some(colour) = cubic(moving, place[0] as f32, place[1] as f32) {
            pixel.copy_from_slice(&colour.map(|v| v.round().clamp(0.0, 65535.0) as u16));
        }
    }
    Frame { width, height, linear }
}

/// `None` where the 4 × 4 support leaves the photo.
fn cubic(frame: &Frame, x: f32, y: f32) -> Option<[f32; 3]> {
    let within = x >= 1.0 && y >= 1.0 && x < frame.width as f32 - 2.0 && y < frame.height as f32 - 2.0;
    if !within {
        return None;
    }
    let (x0, y0) = (x as usize, y as usize);
    let (across, down) = (catmull_rom(x - x0 as f32), catmull_rom(y - y0 as f32));
    let mut sum = [0.0f32; 3];
    for (j, wy) in down.iter().enumerate() {
        let at = 3 * ((y0 + j - 1) * frame.width + x0 - 1);
        for (pixel, wx) in frame.linear[at..at + 12].chunks_exact(3).zip(&across) {
            for (s, v) in sum.iter_mut().zip(pixel) {
                *s += wy * wx * f32::from(*v);
            }
        }
    }
    Some(sum)
}

/// The map on every `STEP`-th node.
struct Lattice {
    columns: usize,
    places: Vec<[f64; 2]>,
}

impl Lattice {
    fn new(grid: &Grid, map: impl Fn([f64; 2]) -> [f64; 2]) -> Self {
        let (columns, rows) = (grid.width / STEP + 2, grid.height / STEP + 2);
        let node = |i: usize| map(grid.place(i % columns * STEP, i / columns * STEP));
        Self { columns, places: (0..columns * rows).map(node).collect() }
    }

    /// Place of a node and the steps to its right and lower neighbours, px of the photo.
    fn at(&self, column: usize, row: usize) -> ([f64; 2], [f64; 2], [f64; 2]) {
        let (cx, fx) = (column / STEP, (column % STEP) as f64 / STEP as f64);
        let (cy, fy) = (row / STEP, (row % STEP) as f64 / STEP as f64);
        let node = |x: usize, y: usize| self.places[y * self.columns + x];
        let (a, b, c, d) = (node(cx, cy), node(cx + 1, cy), node(cx, cy + 1), node(cx + 1, cy + 1));
        let mix = |k: usize, p: [f64; 2], q: [f64; 2], f: f64| p[k] + f * (q[k] - p[k]);
        let both = |f: &dyn Fn(usize) -> f64| [f(0), f(1)];
        let place = both(&|k| {
            let (top, bottom) = (mix(k, a, b, fx), mix(k, c, d, fx));
            top + fy * (bottom - top)
        });
        let right = both(&|k| (mix(k, b, d, fy) - mix(k, a, c, fy)) / STEP as f64);
        let down = both(&|k| (mix(k, c, d, fx) - mix(k, a, b, fx)) / STEP as f64);
        (place, right, down)
    }
}

/// Mean over the parallelogram of one node; `None` where it leaves the photo.
fn mean(frame: &Frame, place: [f64; 2], right: [f64; 2], down: [f64; 2]) -> Option<[f32; 3]> {
    let square = |step: [f64; 2]| step[0] * step[0] + step[1] * step[1];
    let side = square(right).max(square(down)).sqrt();
    let n = (side.ceil() as usize).clamp(1, MOST_SAMPLES);
    let mut sum = [0.0f32; 3];
    for j in 0..n {
        let v = (j as f64 + 0.5) / n as f64 - 0.5;
        for i in 0..n {
            let u = (i as f64 + 0.5) / n as f64 - 0.5;
            let x = place[0] + u * right[0] + v * down[0];
            let y = place[1] + u * right[1] + v * down[1];
            let sample = bilinear(frame, x as f32, y as f32)?;
            for k in 0..3 {
                sum[k] += sample[k];
            }
        }
    }
    let scale = 1.0 / ((n * n) as f32 * 65535.0);
    Some(sum.map(|s| s * scale))
}

fn bilinear(frame: &Frame, x: f32, y: f32) -> Option<[f32; 3]> {
    let within = x >= 0.0 && y >= 0.0 && x < frame.width as f32 - 1.0 && y < frame.height as f32 - 1.0;
    if !within {
        return None;
    }
    let (x0, y0) = (x as usize, y as usize);
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let at = 3 * (y0 * frame.width + x0);
    let (top, bottom) = (&frame.linear[at..at + 6], &frame.linear[at + 3 * frame.width..at + 3 * frame.width + 6]);
    Some(std::array::from_fn(|k| {
        let a = f32::from(top[k]) + fx * (f32::from(top[k + 3]) - f32::from(top[k]));
        let b = f32::from(bottom[k]) + fx * (f32::from(bottom[k + 3]) - f32::from(bottom[k]));
        a + fy * (b - a)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_keeps_its_values_under_a_shift() {
        let linear = (0..60 * 40).flat_map(|i| [(i % 60 * 100) as u16, (i / 60 * 100) as u16, 5000]).collect();
        let frame = Frame { width: 60, height: 40, linear };
        let grid = Grid { origin_px: [5.0, 6.0], pitch_px: 2.5, width: 15, height: 10 };
        let patch = resample(&frame, &grid, |[x, y]| [x + 3.25, y + 1.5]);
        for row in 0..10 {
            for column in 0..15 {
                let [x, y] = grid.place(column, row);
                let at = row * 15 + column;
                assert_eq!(patch.inside.data[at], 1.0);
                assert!((f64::from(patch.red.data[at]) * 65535.0 - (x + 3.25) * 100.0).abs() < 0.5);
                assert!((f64::from(patch.green.data[at]) * 65535.0 - (y + 1.5) * 100.0).abs() < 0.5);
            }
        }
    }

    #[test]
    fn outside_the_photo_is_said_not_made_up() {
        let frame = Frame { width: 20, height: 20, linear: vec![1000; 1200] };
        let grid = Grid { origin_px: [0.0, 0.0], pitch_px: 1.0, width: 20, height: 20 };
        let patch = resample(&frame, &grid, |[x, y]| [x + 10.0, y]);
        assert_eq!(patch.inside.row(5)[3], 1.0);
        assert_eq!(patch.inside.row(5)[15], 0.0);
    }
}
