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

/// The true standard deviation lies, with 95 %, below this many times the one that was estimated with these degrees of
/// freedom: `√(v / χ²(0.05, v))`, χ² by Wilson and Hilferty's cube (1931, PNAS 17:684), within 1 % from 4 degrees on.
pub fn sd_upper_factor(degrees: f64) -> f64 {
    const Z05: f64 = -1.644_853_627;
    let v = degrees.max(1.0);
    let c = 2.0 / (9.0 * v);
    (1.0 - c + Z05 * c.sqrt()).max(0.05).powf(-1.5)
}

/// Two-sided p-value of a standard normal deviate: `erfc(|z|/√2)` by Chebyshev fitting (Press et al. 1992, Numerical
/// Recipes 6.2), relative error under 1.2e-7.
pub(crate) fn two_sided_p(z: f64) -> f64 {
    const C: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let polynomial = C.iter().rev().fold(0.0, |sum, c| sum * t + c);
    t * (-x * x + polynomial).exp()
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
    fn the_normal_tail_agrees_with_r() {
        // R: 2 * pnorm(-c(0, 1, 1.959964, 4))
        for (z, expected) in [(0.0, 1.0), (1.0, 0.317_310_5), (1.959_964, 0.05), (4.0, 6.334_248e-5)] {
            assert!((two_sided_p(z) / expected - 1.0).abs() < 1e-5, "{z}: {}", two_sided_p(z));
        }
    }

    #[test]
    fn students_quantile_agrees_with_the_tables() {
        // R: qt(0.975, c(5, 10, 30, 1000))
        for (degrees, expected) in [(5.0, 2.5706), (10.0, 2.2281), (30.0, 2.0423), (1000.0, 1.9623)] {
            assert!((t975(degrees) - expected).abs() < 0.01, "{degrees}: {}", t975(degrees));
        }
    }

    #[test]
    fn the_upper_bound_of_a_deviation_agrees_with_the_tables() {
        // R: sqrt(v / qchisq(0.05, v)) for v = c(6, 34, 63)
        for (degrees, expected) in [(6.0, 1.9154), (34.0, 1.2528), (63.0, 1.1731)] {
            assert!(
                (sd_upper_factor(degrees) / expected - 1.0).abs() < 0.01,
                "{degrees}: {}",
                sd_upper_factor(degrees)
            );
        }
    }
}
