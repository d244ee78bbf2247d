use crate::quantile::mean;

/// How estimates agree with the truth, both in one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    pub n: usize,
    /// Lin's concordance correlation coefficient, −1 to 1.
    pub ccc: f64,
    /// Mean of estimate minus truth.
    pub bias: f64,
    /// Standard deviation of estimate minus truth.
    pub sd: f64,
}

/// Pairs below which nothing is told: through two points there is always a line.
const LEAST_PAIRS: usize = 3;

/// Lin's CCC `2σ_xy / (σ_x² + σ_y² + (μ_x − μ_y)²)` (Lin 1989), bias and standard deviation; `None` for too few pairs.
pub fn agreement(pairs: &[(f64, f64)]) -> Option<Agreement> {
    if pairs.len() < LEAST_PAIRS {
        return None;
    }
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let (mx, my) = (mean(&x), mean(&y));
    let moment = |f: &dyn Fn(f64, f64) -> f64| mean(&pairs.iter().map(|(a, b)| f(a - mx, b - my)).collect::<Vec<_>>());
    let (xx, yy, xy) = (moment(&|a, _| a * a), moment(&|_, b| b * b), moment(&|a, b| a * b));
    let bias = mx - my;
    Some(Agreement {
        n: pairs.len(),
        ccc: 2.0 * xy / (xx + yy + bias * bias).max(1e-300),
        bias,
        sd: (xx + yy - 2.0 * xy).max(0.0).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_estimate_agrees_and_an_offset_does_not_hide() {
        let truth: Vec<f64> = (0..20).map(|i| f64::from(i) - 10.0).collect();
        let perfect: Vec<_> = truth.iter().map(|t| (*t, *t)).collect();
        let shifted: Vec<_> = truth.iter().map(|t| (*t + 5.0, *t)).collect();
        assert!((agreement(&perfect).unwrap().ccc - 1.0).abs() < 1e-12);
        let off = agreement(&shifted).unwrap();
        assert!(off.ccc < 0.8 && (off.bias - 5.0).abs() < 1e-12 && off.sd < 1e-9);
    }

    #[test]
    fn two_pairs_say_nothing() {
        let pairs = [(-10.0, -12.0), (-30.0, -28.0), (0.0, 1.0)];
        assert_eq!(agreement(&pairs[..2]), None);
        assert!(agreement(&pairs).is_some());
    }
}
