//! Flat pieces of the picture with the shape of a patch.

use cicatrix_photo::{Overview, Plane};

/// A flat piece, in pixels of the small picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) centre: [f64; 2],
    /// Side of the square that it is: edges that were cut off are added.
    pub(super) side: f64,
    /// Mean on a square-root scale, 0 to 1.
    pub(super) colour: [f64; 3],
}

/// The overview of the frame on a square-root scale, 0 to 1.
#[derive(Debug)]
pub(super) struct Small {
    /// Pixels of the frame per pixel here.
    pub(super) factor: usize,
    width: usize,
    rgb: [Plane; 3],
}

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
    pub(super) fn of(overview: &Overview) -> Self {
        let rgb = overview.linear.each_ref().map(|plane| plane.map(f32::sqrt));
        Self { factor: overview.block, width: rgb[0].width, rgb }
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

    /// No edge at a pixel, in any channel, of the picture smoothed over three by three; the rim is none.
    fn flat(&self) -> Vec<bool> {
        let (w, h) = (self.width, self.rgb[0].height);
        let mut flat = vec![false; w * h];
        if w.min(h) < 3 {
            return flat;
        }
        let inner = |y: usize| y * w + 1..(y + 1) * w - 1;
        (1..h - 1).for_each(|y| flat[inner(y)].fill(true));
        for plane in self.rgb.each_ref().map(smoothed) {
            for y in 1..h - 1 {
                let (above, own, below) = (plane.row(y - 1), plane.row(y), plane.row(y + 1));
                let across = own.iter().zip(&own[2..]).map(|(left, right)| (left - right).abs());
                let down = above[1..].iter().zip(&below[1..]).map(|(up, low)| (up - low).abs());
                for ((flat, across), down) in flat[inner(y)].iter_mut().zip(across).zip(down) {
                    *flat &= (across < EDGE) & (down < EDGE);
                }
            }
        }
        flat
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
            for (c, plane) in colour.iter_mut().zip(&self.rgb) {
                *c += f64::from(plane.data[at]) / n;
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

/// Weights 1, 2, 1 across and down, the rim only along itself; three pixels at least each way.
fn smoothed(plane: &Plane) -> Plane {
    let h = plane.height;
    let mean = |((a, b), c): ((&f32, &f32), &f32)| 0.25 * (a + 2.0 * b + c);
    let mut across = plane.clone();
    for y in 0..h {
        let row = plane.row(y);
        let means = row.iter().zip(&row[1..]).zip(&row[2..]).map(mean);
        across.row_mut(y).iter_mut().skip(1).zip(means).for_each(|(to, mean)| *to = mean);
    }
    let mut both = across.clone();
    for y in 1..h - 1 {
        let means = across.row(y - 1).iter().zip(across.row(y)).zip(across.row(y + 1)).map(mean);
        both.row_mut(y).iter_mut().zip(means).for_each(|(to, mean)| *to = mean);
    }
    both
}
