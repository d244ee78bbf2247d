//! What in the frame is measured, and at what scale.
//!
//! A face gives its facial units, a close-up without a face is first-class: the manifest's polygons are the regions, else
//! the whole frame. Scale comes from a card, the manifest or the eyes, else it is nominal and every row says so.

mod foreign;
mod iris;
mod region;
mod scale;
mod shadow;
mod skin;
mod unit;
mod view;

pub use cicatrix_face::{CAN_FIND, Face, NOTICE, Pose, find as find_face};
pub use cicatrix_model::Scale;
pub use foreign::{ForeignSettings, foreign};
pub use region::{LocatedRegion, Outline, RegionProblem, regions};
pub use scale::{ScaleHints, contradicting_eyes, scale};
pub use shadow::{Edges, edges};
pub use skin::{SkinLimits, SkinMap, SkinSettings};
pub use unit::{not_skin, units};
pub use view::{contradicts, view_of};
