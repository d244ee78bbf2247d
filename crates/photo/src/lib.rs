//! Untrusted bytes in, an upright linear-light [`Frame`] out, within limits; or a [`Rejection`] that says why not.
//!
//! This is the only crate that parses image files. It also holds what every later step computes with: planes of
//! one channel ([`Plane`]), their filters, the quality of a frame, and previews encoded afresh without metadata.

mod bounds;
mod component;
mod container;
mod decode;
mod distance;
mod exposure;
mod filter;
mod format;
mod frame;
#[cfg(feature = "heic")]
mod heic;
mod jpeg_quality;
mod limits;
mod metadata;
mod overview;
mod plane;
mod preview;
mod profile;
mod rejection;

pub use bounds::Bounds;
pub use component::components;
pub use container::{Container, inspect};
pub use decode::decode;
pub use distance::distance;
pub use exposure::{Exposure, exposure};
pub use filter::{difference_of_gaussians, gaussian, masked_gaussian, masked_median};
pub use format::Format;
pub use frame::{Frame, from_linear, to_codes, to_linear};
pub use limits::Limits;
pub use metadata::Metadata;
pub use overview::Overview;
pub use plane::{Plane, catmull_rom};
pub use preview::{PreviewError, encode_png, encode_webp, shrink};
pub use rejection::Rejection;
