//! Edges of cast shadows: where brightness steps along a line that is longer than any scar.
//!
//! Smoothed over 1.6 mm, a step of ln brightness Δ has a slope of 0.25 Δ a millimetre. Roundness is gentler, scars are as
//! steep and compact. So steep skin that reaches far is the edge of a shadow, of hair or of a fold; and where two photos of
//! one skin lie over each other, their difference has neither roundness nor scars, and much weaker edges show.
//!
//! Known limit: a shadow whose edge is wider than some 4 mm is taken for roundness.

use cicatrix_photo::{Plane, components, masked_gaussian};

use crate::foreign::grow;

/// Smoothing, σ in mm.
const SIGMA_MM: f64 = 1.6;
/// Nodes of the grid per node that is looked at.
const STEP: usize = 4;

/// Steep pieces of a region.
#[derive(Debug, Clone)]
pub struct Edges {
    /// Extent of the longest one, mm.
    pub longest_mm: f64,
    /// 1 on and around those that are long.
    pub mask: Plane,
}

/// Looks for edges in `ln`, the logarithm of brightness or the difference of two; `inside` is 1 where it can be used.
/// Steep is more than `steep` ln a millimetre beyond the mean slope, long is `long_mm`.
pub fn edges(ln: &Plane, inside: &Plane, px_per_mm: f64, steep: f64, long_mm: f64) -> Edges {
    let shrink = |plane: &Plane| plane.half().half();
    let weight = shrink(inside);
    let value = shrink(&ln.zip(inside, |v, w| v * w)).zip(&weight, |v, w| if w > 0.0 { v / w } else { 0.0 });
    let px = px_per_mm / STEP as f64;
    let smooth = masked_gaussian(&value, &weight, (SIGMA_MM * px) as f32);
    let slopes = slopes(&smooth, &weight);
    let n = slopes.len().max(1) as f32;
    let mean = slopes.iter().fold([0.0; 2], |sum, (_, slope)| [0, 1].map(|k| sum[k] + slope[k] / n));
    let mut steepness = Plane::filled(smooth.width, smooth.height, 0.0);
    for (at, slope) in slopes {
        let size = (slope[0] - mean[0]).hypot(slope[1] - mean[1]);
        steepness.data[at] = f32::from(u8::from(f64::from(size) * px > steep));
    }
    let mut long = Plane::filled(smooth.width, smooth.height, 0.0);
    let mut longest_mm = 0.0f64;
    for piece in components(&steepness) {
        let length_mm = extent(&piece, smooth.width) / px;
        longest_mm = longest_mm.max(length_mm);
        if length_mm >= long_mm {
            piece.iter().for_each(|&at| long.data[at] = 1.0);
        }
    }
    let grown = grow(&long, 2.0 * SIGMA_MM * px);
    let mut mask = Plane::filled(ln.width, ln.height, 0.0);
    for y in 0..ln.height {
        let row = grown.row((y / STEP).min(grown.height - 1));
        for (x, v) in mask.row_mut(y).iter_mut().enumerate() {
            *v = row[(x / STEP).min(grown.width - 1)];
        }
    }
    Edges { longest_mm, mask }
}

/// Slope a node, where all neighbours are usable.
fn slopes(plane: &Plane, weight: &Plane) -> Vec<(usize, [f32; 2])> {
    let (w, h) = (plane.width, plane.height);
    let mut found = Vec::new();
    for y in 1..h.saturating_sub(1) {
        for x in 1..w.saturating_sub(1) {
            let at = y * w + x;
            let neighbours = [at - 1, at + 1, at - w, at + w];
            if neighbours.iter().all(|&i| weight.data[i] > 0.5) {
                let [left, right, up, down] = neighbours.map(|i| plane.data[i]);
                found.push((at, [0.5 * (right - left), 0.5 * (down - up)]));
            }
        }
    }
    found
}

/// Diagonal of the box around a piece, nodes.
fn extent(piece: &[usize], width: usize) -> f64 {
    let range = |of: &dyn Fn(usize) -> usize| {
        let (low, high) = piece.iter().fold((usize::MAX, 0), |(low, high), &at| (low.min(of(at)), high.max(of(at))));
        (high - low + 1) as f64
    };
    range(&|at| at % width).hypot(range(&|at| at / width))
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: usize = 400;
    const H: usize = 300;

    fn found(value: impl Fn(f64, f64) -> f64) -> Edges {
        let at = |i: usize| value((i % W) as f64 / 10.0, (i / W) as f64 / 10.0) as f32;
        let plane = Plane { width: W, height: H, data: (0..W * H).map(at).collect() };
        edges(&plane, &Plane::filled(W, H, 1.0), 10.0, 0.06, 12.0)
    }

    #[test]
    fn a_shadow_is_long_and_a_scar_and_roundness_are_not() {
        let shadow = found(|x, _| if x < 20.0 { -0.7 } else { 0.0 });
        assert!(shadow.longest_mm > 25.0 && shadow.mask.row(150)[200] > 0.5 && shadow.mask.row(150)[300] < 0.5);
        let scar = found(|x, y| -0.5 * (-((x - 20.0).powi(2) + (y - 15.0).powi(2)) / 4.0).exp());
        assert!(scar.longest_mm < 10.0 && scar.mask.data.iter().all(|v| *v < 0.5), "{}", scar.longest_mm);
        let round = found(|x, y| 0.03 * x - 0.0006 * (x - 20.0).powi(2) - 0.0004 * (y - 15.0).powi(2));
        assert_eq!(round.longest_mm, 0.0);
    }
}
