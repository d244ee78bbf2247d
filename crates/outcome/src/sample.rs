//! What several tests are made of.

use cicatrix_model::{Measure, QualityTier, Shot};

use crate::calibration::{Calibration, MeasureError, TierError};

/// A shot of the tier `clinic` with this `psi`.
pub(crate) fn shot(psi: f64) -> Shot {
    Shot {
        shot: 1,
        quality_tier: QualityTier::Clinic,
        is_reference: false,
        values: vec![(Measure::Psi, psi)],
        readings: vec![],
    }
}

/// A table of one row for `psi` in the tier `clinic`, with this error between sessions.
pub(crate) fn table(sd: f64) -> Calibration {
    let tier = QualityTier::Clinic;
    let tiers =
        vec![TierError { tier, sd_shot: 0.0, sd_session: sd, n_subjects: 50, n_changes: 100, sd_upper_factor: 1.2 }];
    let measures = vec![MeasureError {
        measure: Measure::Psi,
        beta: 1.0,
        bias: 0.0,
        proportion: 0.0,
        proportion_of_truth: 0.0,
        covariates: vec![],
        widening: vec![],
        tiers,
    }];
    Calibration {
        id: "t-1".into(),
        made: String::new(),
        sets: vec![],
        n_subjects: 50,
        n_changes: 100,
        measures,
        regions: vec![],
    }
}
