//! The steps in protocol order: bytes and [`Protocol`] in, [`Assessment`] out. The only crate that knows all steps.
//!
//! Pure: no clock, no file, no network. The same bytes, protocol and version give the same bits. A poor photo is a
//! result with its reasons, never an error.

mod assessment;
mod chart;
mod gate;
mod head;
mod overlay;
mod picture;
mod protocol;
mod reference;
mod region_follow_up;
mod region_reference;
mod survey;

pub use assessment::{Assessment, Measurement, Picture, RegionScores, assess};
pub use chart::ColourCalibration;
pub use gate::GateSettings;
pub use overlay::{Overlay, Part};
pub use picture::thumbnail_of as thumbnail;
pub use protocol::{Protocol, ProtocolError};
pub use reference::{MOST_NODES, Photo, Reference, frame_pixels, prepare};
pub use region_reference::RegionReference;
pub use survey::Survey;
