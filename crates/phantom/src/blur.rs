//! The Gaussian kernel and the one loop that all separable blurs here are made of.

use crate::curve::exp;

/// Weights of a Gaussian out to three deviations, summing to one; `sigma` in samples.
pub(crate) fn kernel(sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil().max(1.0) as usize;
    let weight = |tap: usize| {
        let away = (tap as f32 - reach as f32) / sigma;
        exp(-0.5 * away * away)
    };
    let weights: Vec<f32> = (0..=2 * reach).map(weight).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// target += gain · source
pub(crate) fn add_scaled(target: &mut [f32], source: &[f32], gain: f32) {
    for (t, &s) in target.iter_mut().zip(source) {
        *t += gain * s;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_sums_to_one_and_is_even() {
        for sigma in [0.3, 1.0, 2.9, 8.0] {
            let weights = kernel(sigma);
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!((weights[0] - weights[weights.len() - 1]).abs() < 1e-7);
        }
    }
}
