//! The large-scale shading of a region: what a cheek's own roundness shows of the light.
//!
//! To first order, shade is `ln I = const + s · (slope of the skin towards the light)`, with `s = (1 − a) tan θ / …` the
//! strength of the light: θ its angle from above, `a` the share that comes from everywhere. Relief and roundness are shaded
//! by the same `s`. Relief changes with the scars and from day to day; roundness does not. So the gradient of the region's
//! shade, beside that of the baseline, tells a change of light from a change of skin, which the contrast of the skin alone
//! cannot. Known limits: fall-off of a near lamp and vignetting add to the gradient; a flat region has none.

use cicatrix_photo::Plane;
use nalgebra::{SMatrix, SVector};

/// Terms of the quadratic: 1, x, y, x², xy, y².
const TERMS: usize = 6;
/// Nodes between two that are looked at, each way.
const STEP: usize = 3;
const ROUNDS: usize = 4;
/// Beyond this many robust standard deviations a node is a scar, a spot or a hair.
const CUT: f64 = 3.0;
const LEAST: usize = 100;

/// Gradient of `ln` at the middle of the skin, per mm, of a robust quadratic over it; 0 where there is too little skin.
pub fn shading(ln: &Plane, skin: &Plane, px_per_mm: f64) -> [f64; 2] {
    let samples = samples(ln, skin, px_per_mm);
    if samples.len() < LEAST {
        return [0.0; 2];
    }
    let mut cut = f64::INFINITY;
    let mut fit = SVector::<f64, TERMS>::zeros();
    for _ in 0..ROUNDS {
        let Some(found) = least_squares(&samples, &fit, cut) else { return [0.0; 2] };
        fit = found;
        let mut distances: Vec<f64> = samples.iter().map(|(t, v)| (v - t.dot(&fit)).abs()).collect();
        let middle = distances.len() / 2;
        cut = CUT * 1.4826 * *distances.select_nth_unstable_by(middle, f64::total_cmp).1;
    }
    [fit[1], fit[2]]
}

/// Terms and value at each node of the skin, places in mm from its middle.
fn samples(ln: &Plane, skin: &Plane, px_per_mm: f64) -> Vec<(SVector<f64, TERMS>, f64)> {
    let places = (0..ln.height).step_by(STEP).flat_map(|y| (0..ln.width).step_by(STEP).map(move |x| (x, y)));
    let places: Vec<(usize, usize)> = places.filter(|&(x, y)| skin.row(y)[x] > 0.5).collect();
    let n = places.len().max(1) as f64;
    let (mx, my) = places.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + *x as f64 / n, b + *y as f64 / n));
    let sample = |(x, y): (usize, usize)| {
        let (u, v) = ((x as f64 - mx) / px_per_mm, (y as f64 - my) / px_per_mm);
        (SVector::from([1.0, u, v, u * u, u * v, v * v]), f64::from(ln.row(y)[x]))
    };
    places.into_iter().map(sample).collect()
}

fn least_squares(
    samples: &[(SVector<f64, TERMS>, f64)],
    before: &SVector<f64, TERMS>,
    cut: f64,
) -> Option<SVector<f64, TERMS>> {
    let mut normal = SMatrix::<f64, TERMS, TERMS>::zeros();
    let mut right = SVector::<f64, TERMS>::zeros();
    for (terms, value) in samples.iter().filter(|(t, v)| (v - t.dot(before)).abs() <= cut) {
        normal += terms * terms.transpose();
        right += terms * *value;
    }
    normal.cholesky().map(|factor| factor.solve(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_a_round_cheek_is_found_under_scars_and_spots() {
        let (w, h) = (300, 200);
        let value = |i: usize| {
            let (x, y) = ((i % w) as f64 / 10.0 - 14.95, (i / w) as f64 / 10.0 - 9.95);
            let scar = if i.is_multiple_of(37) { -0.8 } else { 0.0 };
            (-1.2 + 0.012 * x - 0.004 * y - 0.0003 * x * x + scar) as f32
        };
        let ln = Plane { width: w, height: h, data: (0..w * h).map(value).collect() };
        let [x, y] = shading(&ln, &Plane::filled(w, h, 1.0), 10.0);
        assert!((x - 0.012).abs() < 2e-4 && (y + 0.004).abs() < 2e-4, "{x} {y}");
    }

    #[test]
    fn without_skin_there_is_none() {
        assert_eq!(shading(&Plane::filled(50, 50, -1.0), &Plane::filled(50, 50, 0.0), 10.0), [0.0; 2]);
    }
}
