//! Local normalization: what is left is structure, whatever exposure, tone curve and gradient did.

use cicatrix_photo::{Plane, gaussian};

/// Scale in pixels of the level under which structure is kept.
const SIGMA: f32 = 6.0;
/// Variance added to the local one, in squared grey values of 0–255: below it is noise.
const FLOOR: f32 = 1.5;

/// `(g − G_σ g) / √(G_1.5σ (g − G_σ g)² + c)`, close to mean 0 and variance 1 everywhere.
pub(crate) fn normalize(plane: &Plane) -> Plane {
    let detail = plane.zip(&gaussian(plane, SIGMA), |g, mean| g - mean);
    let variance = gaussian(&detail.map(|d| d * d), 1.5 * SIGMA);
    detail.zip(&variance, |d, v| d / (v + FLOOR).sqrt())
}
