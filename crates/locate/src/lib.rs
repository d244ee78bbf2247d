//! What in the frame is measured, and at what scale.
//!
//! A close-up without a face is first-class: the manifest's polygons are the regions, else the whole frame. Scale comes
//! from the manifest, else it is nominal and every row says so.

mod foreign;
mod region;
mod scale;
mod shadow;

pub use foreign::{ForeignSettings, foreign};
pub use region::{LocatedRegion, Outline, RegionProblem, regions};
pub use scale::{Scale, scale};
pub use shadow::{Edges, edges};
