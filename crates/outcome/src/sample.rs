//! What several tests are made of.

use cicatrix_model::{Measure, QualityTier, Shot};

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
