//! The map that lays a follow-up over its baseline, or a refusal.
//!
//! A homography is the wrong model for skin: the face moves, so the local deformation *is* the error. The way here:
//! a global start (SIFT features, robust homography), then on each level of a pyramid a block search by zero-mean
//! normalized cross-correlation on locally normalized green, then a maximum-a-posteriori solve on a grid: each cell
//! speaks with its own precision, a curvature prior fills in between, and cells whose skin has changed lose their
//! vote. What comes out maps every pixel of the fixed image to the moving one, and says how sure it is.
//!
//! Wrong pairs are told by two independent numbers: inliers of the start and
//! the median correlation after the ¼-scale search (true pairs 0.7 and above, wrong ones near 0.1).

mod block_search;
mod confidence;
mod features;
mod field;
mod homography;
mod local_contrast;
mod prepared;
mod registration;
mod resample;
mod settings;
mod solve;

pub use homography::Homography;
pub use prepared::Prepared;
pub use registration::{Quality, Refusal, Registration, identity, register};
pub use resample::{Grid, Patch, lay_over, resample};
pub use settings::{AlignSettings, Precision};
