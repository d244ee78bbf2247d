//! Flat pieces of the picture with the shape of a patch.

use cicatrix_photo::Frame;

/// A flat piece, in pixels of the small picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) centre: [f64; 2],
    /// Side of the square that it is: edges that were cut off are added.
    pub(super) side: f64,
    /// Mean on a square-root scale, 0 to 1.
    pub(super) colour: [f64; 3],
}

/// The frame made small: means over squares, on a square-root scale, 0 to 1.
#[derive(Debug)]
pub(super) struct Small {
    /// Pixels of the frame per pixel here.
    pub(super) factor: usize,
    pub(super) width: usize,
    height: usize,
    rgb: Vec<[f32; 3]>,
}

/// The longer side is made at most this long: a card of an eighth of the width then has patches of 15 px.
const LONGEST: usize = 1200;
/// Step over two pixels, square-root scale, that makes an edge. Noise after smoothing stays well under it, and the faintest
/// edge between neighbouring patches is twice as high.
const EDGE: f32 = 0.035;
/// Flat pixels of a patch.
const AREA: std::ops::RangeInclusive<usize> = 9..=60_000;
/// Area over that of the parallelogram with the same second moments: 1 for a square however it is tilted, 1.05 for a disc.
const FILL: std::ops::RangeInclusive<f64> = 0.8..=1.2;
/// Longest over shortest axis.
const SLENDER: f64 = 1.9;

impl Small {
    pub(super) fn of(frame: &Frame) -> Self {
        let factor = frame.width.max(frame.height).div_ceil(LONGEST).max(1);
        let (width, height) = (frame.width / factor, frame.height / factor);
        let root: Vec<f32> = (0..4096).map(|i| ((i as f32 + 0.5) / 4096.0).sqrt()).collect();
        let scale = 1.0 / (factor * factor) as f32;
        let mut rgb = vec![[0.0f32; 3]; width * height];
        for y in 0..height * factor {
            let row = &frame.linear[3 * y * frame.width..3 * (y + 1) * frame.width];
            let sums = &mut rgb[y / factor * width..(y / factor + 1) * width];
            for (sum, pixels) in sums.iter_mut().zip(row.chunks_exact(3 * factor)) {
                for pixel in pixels.chunks_exact(3) {
                    for (s, v) in sum.iter_mut().zip(pixel) {
                        *s += root[usize::from(v >> 4)] * scale;
                    }
                }
            }
        }
        Self { factor, width, height, rgb }
    }

    /// Pieces that could be patches.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let flat = self.flat();
        let mut seen = vec![false; flat.len()];
        let mut pieces = Vec::new();
        let mut members = Vec::new();
        for start in 0..flat.len() {
            if flat[start] && !seen[start] {
                self.fill(start, &flat, &mut seen, &mut members);
                pieces.extend(self.piece(&members));
            }
        }
        pieces
    }

    /// No edge at a pixel, in any channel, of the picture smoothed over three by three.
    fn flat(&self) -> Vec<bool> {
        let (w, h) = (self.width, self.height);
        let smooth = self.smoothed();
        let mut flat = vec![false; w * h];
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                let at = y * w + x;
                let step = |a: &[f32; 3], b: &[f32; 3]| (0..3).map(|k| (a[k] - b[k]).abs()).fold(0.0, f32::max);
                let across = step(&smooth[at + 1], &smooth[at - 1]);
                let down = step(&smooth[at + w], &smooth[at - w]);
                flat[at] = across.max(down) < EDGE;
            }
        }
        flat
    }

    fn smoothed(&self) -> Vec<[f32; 3]> {
        let (w, h) = (self.width, self.height);
        let mean = |rgb: &[[f32; 3]], at: usize, step: usize| -> [f32; 3] {
            std::array::from_fn(|k| 0.25 * (rgb[at - step][k] + 2.0 * rgb[at][k] + rgb[at + step][k]))
        };
        let mut across = self.rgb.clone();
        for y in 0..h {
            for x in 1..w.saturating_sub(1) {
                across[y * w + x] = mean(&self.rgb, y * w + x, 1);
            }
        }
        let mut both = across.clone();
        for y in 1..h.saturating_sub(1) {
            for x in 0..w {
                both[y * w + x] = mean(&across, y * w + x, w);
            }
        }
        both
    }

    /// The flat pixels that hang together with this one, by their sides.
    fn fill(&self, start: usize, flat: &[bool], seen: &mut [bool], members: &mut Vec<usize>) {
        members.clear();
        members.push(start);
        seen[start] = true;
        let mut next = 0;
        // No pixel of the rim is flat, so that every neighbour exists.
        while let Some(&at) = members.get(next) {
            next += 1;
            for neighbour in [at - 1, at + 1, at - self.width, at + self.width] {
                if flat[neighbour] && !seen[neighbour] {
                    seen[neighbour] = true;
                    members.push(neighbour);
                }
            }
        }
    }

    fn piece(&self, members: &[usize]) -> Option<Piece> {
        if !AREA.contains(&members.len()) {
            return None;
        }
        let n = members.len() as f64;
        let place = |at: usize| [(at % self.width) as f64, (at / self.width) as f64];
        let mut sum = [0.0; 2];
        let mut colour = [0.0; 3];
        for &at in members {
            let p = place(at);
            sum = [sum[0] + p[0], sum[1] + p[1]];
            for (c, v) in colour.iter_mut().zip(self.rgb[at]) {
                *c += f64::from(v) / n;
            }
        }
        let centre = [sum[0] / n, sum[1] / n];
        // A pixel has an extent of its own: a twelfth.
        let (mut xx, mut xy, mut yy) = (1.0 / 12.0, 0.0, 1.0 / 12.0);
        for &at in members {
            let p = place(at);
            let (dx, dy) = (p[0] - centre[0], p[1] - centre[1]);
            (xx, xy, yy) = (xx + dx * dx / n, xy + dx * dy / n, yy + dy * dy / n);
        }
        let fill = n / (12.0 * (xx * yy - xy * xy).max(1e-9).sqrt());
        let (half, apart) = ((xx + yy) / 2.0, (((xx - yy) / 2.0).powi(2) + xy * xy).sqrt());
        let slender = ((half + apart) / (half - apart).max(1e-9)).sqrt();
        // The edge takes a pixel and a half on each side.
        let side = n.sqrt() + 3.0;
        (FILL.contains(&fill) && slender <= SLENDER).then_some(Piece { centre, side, colour })
    }
}
