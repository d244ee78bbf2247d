//! Quantiles and moments that the intervals need.

/// 97.5 % quantile of the standard normal.
pub(crate) const Z975: f64 = 1.959_963_985;

/// 97.5 % quantile of Student's t, Cornish–Fisher expansion (Abramowitz & Stegun 26.7.5); within 0.01 for 4 degrees of
/// freedom and more.
pub(crate) fn t975(degrees: f64) -> f64 {
    let (z, v) = (Z975, degrees.max(1.0));
    let g1 = (z.powi(3) + z) / 4.0;
    let g2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let g3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + g1 / v + g2 / (v * v) + g3 / (v * v * v)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Root mean square.
pub(crate) fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => f64::NAN,
        _ if n % 2 == 1 => values[n / 2],
        _ => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_quantile_agrees_with_the_tables() {
        // R: qt(0.975, c(5, 10, 30, 1000))
        for (degrees, expected) in [(5.0, 2.5706), (10.0, 2.2281), (30.0, 2.0423), (1000.0, 1.9623)] {
            assert!((t975(degrees) - expected).abs() < 0.01, "{degrees}: {}", t975(degrees));
        }
    }
}
