//! Lines and outlines drawn on a photo, for the eye.

use std::path::Path;

use cicatrix_photo::Frame;

use crate::command::align::write_png;

/// Okabe–Ito colours, told apart by everyone.
pub(crate) const GREEN: [u8; 3] = [0, 158, 115];
pub(crate) const VERMILION: [u8; 3] = [213, 94, 0];
pub(crate) const SKY: [u8; 3] = [86, 180, 233];
pub(crate) const YELLOW: [u8; 3] = [240, 228, 66];
pub(crate) const PURPLE: [u8; 3] = [204, 121, 167];

/// The upright photo as 8-bit sRGB.
pub(crate) struct Canvas {
    rgb: Vec<u8>,
    width: usize,
    height: usize,
    /// Width of a stroke, px.
    stroke: f64,
}

impl Canvas {
    pub(crate) fn on(frame: &Frame) -> Self {
        Self::of(frame.to_srgb8(), frame.width, frame.height)
    }

    /// Samples of 8-bit sRGB, row by row.
    pub(crate) fn of(rgb: Vec<u8>, width: usize, height: usize) -> Self {
        let stroke = (width.max(height) as f64 / 1000.0).max(1.0);
        Self { rgb, width, height, stroke }
    }

    /// The upper left part of this size; white where there is nothing.
    pub(crate) fn cut_to(&self, width: usize, height: usize) -> Self {
        let mut rgb = vec![255; 3 * width * height];
        for y in 0..height.min(self.height) {
            let n = 3 * width.min(self.width);
            rgb[3 * y * width..][..n].copy_from_slice(&self.row(y)[..n]);
        }
        Self::of(rgb, width, height)
    }

    pub(crate) fn row(&self, y: usize) -> &[u8] {
        &self.rgb[3 * y * self.width..][..3 * self.width]
    }

    pub(crate) fn line(&mut self, a: [f64; 2], b: [f64; 2], colour: [u8; 3]) {
        let steps = (a[0] - b[0]).abs().max((a[1] - b[1]).abs()).ceil().max(1.0);
        for i in 0..=steps as usize {
            let t = i as f64 / steps;
            self.dot([0, 1].map(|k| a[k] + t * (b[k] - a[k])), colour);
        }
    }

    /// A closed line through all points.
    pub(crate) fn polygon(&mut self, points: &[[f64; 2]], colour: [u8; 3]) {
        for (a, b) in points.iter().zip(points.iter().cycle().skip(1)) {
            self.line(*a, *b, colour);
        }
    }

    /// From the first point to the second, with a head there.
    pub(crate) fn arrow(&mut self, from: [f64; 2], to: [f64; 2], colour: [u8; 3]) {
        self.line(from, to, colour);
        let back = [0, 1].map(|k| 0.3 * (from[k] - to[k]));
        for side in [-0.5, 0.5] {
            self.line(to, [to[0] + back[0] - side * back[1], to[1] + back[1] + side * back[0]], colour);
        }
    }

    /// The edge of what `inside` says, looked at on every pixel.
    pub(crate) fn outline(&mut self, inside: impl Fn([f64; 2]) -> bool, colour: [u8; 3]) {
        let row = |y: usize| (0..self.width).map(|x| inside([x as f64, y as f64])).collect::<Vec<bool>>();
        let mut edges = Vec::new();
        let mut above = row(0);
        for y in 1..self.height {
            let here = row(y);
            let crossed = (1..self.width).filter(|&x| here[x] != here[x - 1] || here[x] != above[x]);
            edges.extend(crossed.map(|x| [x as f64, y as f64]));
            above = here;
        }
        for place in edges {
            self.dot(place, colour);
        }
    }

    fn dot(&mut self, place: [f64; 2], colour: [u8; 3]) {
        let reach = 0.5 * (self.stroke - 1.0);
        let range = |middle: f64, end: usize| {
            let (low, high) = ((middle - reach).round().max(0.0), (middle + reach).round());
            if high < 0.0 { 0..0 } else { low as usize..(high as usize + 1).min(end) }
        };
        for y in range(place[1], self.height) {
            for x in range(place[0], self.width) {
                let at = 3 * (y * self.width + x);
                self.rgb[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        write_png(path, &self.rgb, self.width, self.height)
    }
}
