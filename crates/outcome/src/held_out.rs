//! Estimates of patients that their line was not fitted on, for figures that must not flatter.

use nalgebra::{DMatrix, DVector};

/// A change as it is observed, with what might correct it, and the truth; all on the ln scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub subject: String,
    pub true_ln: f64,
    pub observed: f64,
    pub covariates: Vec<f64>,
}

/// For each case the true change as the line through all other patients tells it: `x = a + b y + Σ c z` turned round.
/// `None` where that line has no slope.
pub fn held_out(cases: &[Observed]) -> Vec<Option<f64>> {
    let estimate = |case: &Observed| {
        let others: Vec<&Observed> = cases.iter().filter(|c| c.subject != case.subject).collect();
        let terms = 2 + case.covariates.len();
        let design = DMatrix::from_fn(others.len(), terms, |i, j| match j {
            0 => 1.0,
            1 => others[i].true_ln,
            _ => others[i].covariates[j - 2],
        });
        let x = DVector::from_iterator(others.len(), others.iter().map(|c| c.observed));
        let line = (design.transpose() * &design).cholesky()?.solve(&(design.transpose() * x));
        let corrections: f64 = case.covariates.iter().zip(line.iter().skip(2)).map(|(z, c)| z * c).sum();
        (line[1].abs() > 0.02).then(|| (case.observed - line[0] - corrections) / line[1])
    };
    cases.iter().map(estimate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_is_not_told_by_itself() {
        let case = |i: usize| {
            let (true_ln, z) = (-0.1 * (i % 5) as f64, ((i * 7) % 11) as f64 / 11.0);
            let odd = if i == 3 { 1.0 } else { 0.0 };
            let observed = 0.02 + 0.8 * true_ln + 0.3 * z + odd;
            Observed { subject: format!("s{i}"), true_ln, observed, covariates: vec![z] }
        };
        let cases: Vec<Observed> = (0..30).map(case).collect();
        let told = held_out(&cases);
        // The odd one is off by its whole error, and it moves the others by little.
        assert!((told[3].unwrap() - cases[3].true_ln - 1.0 / 0.8).abs() < 1e-9);
        assert!((told[4].unwrap() - cases[4].true_ln).abs() < 0.2);
    }
}
