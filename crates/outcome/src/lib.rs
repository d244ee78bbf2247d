//! From scores to change, error, verdict and trend: the statistics, pure.
//!
//! Ratio measures are compared on logarithms. Every change carries an interval from a calibration table, per quality
//! tier, made on photos with known truth or on repeats; a change inside its own error is no change, and that is said.

mod agreement;
mod calibration;
mod change;
mod held_out;
mod holm;
mod proportion;
mod quantile;
mod region;
mod repeatability;
mod tables;
mod trend;
mod variance;

pub use agreement::{Agreement, agreement};
pub use calibration::{Calibration, CalibrationError, Covariate, MeasureError, TierError, Widening};
pub use change::{Estimate, changes, compare};
pub use held_out::{Observed, held_out};
pub use holm::holm;
pub use proportion::proportion_interval;
pub use quantile::sd_upper_factor;
pub use region::{RegionError, Turn};
pub use repeatability::{NoiseFloor, Repeat, Visit, noise_floor, recalibrate, repeats};
pub use tables::{COVARIATES, CalibrationCase, calibrate};
pub use trend::trends;

#[cfg(test)]
mod sample;
