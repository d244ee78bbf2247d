//! Variance that grows with what is known of a case: `v = θ₀ + Σ θ_k x_k`, no part negative.
//!
//! Maximum likelihood of normal residuals by multiplicative updates, which keep every part at or above zero and never
//! lose likelihood (Févotte & Idier 2011, Neural Comput. 23:2421, the Itakura–Saito divergence).

/// A squared residual and what its variance may grow with, each at or above zero.
pub(crate) struct VarianceCase {
    pub(crate) squared: f64,
    pub(crate) grows_with: Vec<f64>,
}

const ROUNDS: usize = 400;

/// θ₀ and the other parts.
pub(crate) fn fit(cases: &[VarianceCase]) -> Vec<f64> {
    let parts = 1 + cases.first().map_or(0, |c| c.grows_with.len());
    let x = |case: &VarianceCase, k: usize| if k == 0 { 1.0 } else { case.grows_with[k - 1] };
    let n = cases.len().max(1) as f64;
    let total = cases.iter().map(|c| c.squared).sum::<f64>() / n;
    // Each part begins with an equal share of the whole.
    let mut theta: Vec<f64> = (0..parts)
        .map(|k| {
            let mean = cases.iter().map(|c| x(c, k)).sum::<f64>() / n;
            if mean > 0.0 { total / (mean * parts as f64) } else { 0.0 }
        })
        .collect();
    for _ in 0..ROUNDS {
        let variances: Vec<f64> =
            cases.iter().map(|c| (0..parts).map(|k| theta[k] * x(c, k)).sum::<f64>().max(1e-300)).collect();
        for (k, part) in theta.iter_mut().enumerate() {
            let sum = |f: &dyn Fn(&VarianceCase, f64) -> f64| {
                cases.iter().zip(&variances).map(|(c, v)| x(c, k) * f(c, *v)).sum::<f64>()
            };
            let (above, below) = (sum(&|c, v| c.squared / (v * v)), sum(&|_, v| 1.0 / v));
            if below > 0.0 {
                *part *= (above / below).sqrt();
            }
        }
    }
    theta
}
