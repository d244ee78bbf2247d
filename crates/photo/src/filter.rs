//! Gaussian filters on planes: direct separable convolution, cut at 3 σ, edges replicated.

use crate::Plane;

/// Half of a normalized Gaussian kernel, centre first.
fn kernel(sigma: f32) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil().max(1.0) as usize;
    let mut half: Vec<f32> = (0..=radius).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
    let sum = half[0] + 2.0 * half[1..].iter().sum::<f32>();
    for weight in &mut half {
        *weight /= sum;
    }
    half
}

/// Gaussian blur, σ in pixels.
pub fn gaussian(plane: &Plane, sigma: f32) -> Plane {
    let half = kernel(sigma);
    pulp::Arch::new().dispatch(|| columns(&rows(plane, &half), &half))
}

#[inline(always)]
fn rows(plane: &Plane, half: &[f32]) -> Plane {
    let (w, radius) = (plane.width, half.len() - 1);
    let mut out = Plane::filled(w, plane.height, 0.0);
    let mut padded = vec![0.0f32; w + 2 * radius];
    for y in 0..plane.height {
        let row = plane.row(y);
        padded[..radius].fill(row[0]);
        padded[radius..radius + w].copy_from_slice(row);
        padded[radius + w..].fill(row[w - 1]);
        let target = out.row_mut(y);
        for (x, value) in target.iter_mut().enumerate() {
            *value = half[0] * padded[x + radius];
        }
        for (i, &weight) in half.iter().enumerate().skip(1) {
            let (left, right) = (&padded[radius - i..radius - i + w], &padded[radius + i..radius + i + w]);
            for ((value, a), b) in target.iter_mut().zip(left).zip(right) {
                *value += weight * (a + b);
            }
        }
    }
    out
}

#[inline(always)]
fn columns(plane: &Plane, half: &[f32]) -> Plane {
    let (w, h) = (plane.width, plane.height);
    let mut out = Plane::filled(w, h, 0.0);
    for y in 0..h {
        let target = &mut out.data[y * w..(y + 1) * w];
        for (value, centre) in target.iter_mut().zip(plane.row(y)) {
            *value = half[0] * centre;
        }
        for (i, &weight) in half.iter().enumerate().skip(1) {
            let (up, down) = (plane.row(y.saturating_sub(i)), plane.row((y + i).min(h - 1)));
            for ((value, a), b) in target.iter_mut().zip(up).zip(down) {
                *value += weight * (a + b);
            }
        }
    }
    out
}

/// Gaussian mean over the pixels where `weight` is above zero (normalized convolution); 0 where none is near.
pub fn masked_gaussian(plane: &Plane, weight: &Plane, sigma: f32) -> Plane {
    let sum = gaussian(&plane.zip(weight, |v, w| v * w), sigma);
    let norm = gaussian(weight, sigma);
    sum.zip(&norm, |s, n| if n > 1e-4 { s / n } else { 0.0 })
}

/// Median over the pixels where `weight` is above a half, 0 where there are none.
pub fn masked_median(plane: &Plane, weight: &Plane) -> f32 {
    let picked = plane.data.iter().zip(&weight.data).filter(|(_, w)| **w > 0.5);
    let mut values: Vec<f32> = picked.map(|(v, _)| *v).collect();
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Band between σ and 2σ (pixels) over the pixels with weight.
pub fn difference_of_gaussians(plane: &Plane, weight: &Plane, sigma: f32) -> Plane {
    let fine = masked_gaussian(plane, weight, sigma);
    let coarse = masked_gaussian(plane, weight, 2.0 * sigma);
    fine.zip(&coarse, |a, b| a - b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_a_constant_and_the_mass_of_a_point() {
        let flat = gaussian(&Plane::filled(40, 30, 5.0), 4.0);
        assert!(flat.data.iter().all(|v| (v - 5.0).abs() < 1e-4));
        let mut point = Plane::filled(41, 41, 0.0);
        point.data[20 * 41 + 20] = 1.0;
        let blurred = gaussian(&point, 2.5);
        let sum: f32 = blurred.data.iter().sum();
        assert!((sum - 1.0).abs() < 1e-3);
        assert!((blurred.data[20 * 41 + 22] - blurred.data[22 * 41 + 20]).abs() < 1e-7);
    }

    #[test]
    fn what_lies_outside_the_mask_does_not_leak_in() {
        let mut plane = Plane::filled(40, 10, 1.0);
        let mut weight = Plane::filled(40, 10, 1.0);
        for y in 0..10 {
            plane.row_mut(y)[20..].fill(100.0);
            weight.row_mut(y)[20..].fill(0.0);
        }
        let blurred = masked_gaussian(&plane, &weight, 3.0);
        assert!((blurred.data[5 * 40 + 19] - 1.0).abs() < 1e-4);
    }
}
