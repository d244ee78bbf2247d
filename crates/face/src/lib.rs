//! Finds a face in the frame: 468 landmarks and its pose.
//!
//! Two small networks of the MediaPipe project do the looking: BlazeFace gives a box and two eyes, Face Mesh the
//! landmarks inside it. They are embedded in the program and run on the CPU; the same photo gives the same points on
//! machines with the same vector instructions, and points within a thousandth of a pixel elsewhere. Nothing here tells
//! one person from another.
//!
//! Without the feature `networks` no face is ever found.
//!
//! Known limits: one face a photo, the largest; upright within some 45°; profiles are mostly not found, since the
//! landmarks of the far side are hidden. It was tried on one real face and on rendered ones (`docs/faces.md`).

mod canonical;
#[cfg(any(feature = "networks", test))]
mod detector;
#[cfg(any(feature = "networks", test))]
mod fit;
#[cfg(any(feature = "networks", test))]
mod mesh;
#[cfg(feature = "networks")]
mod network;
mod pose;
#[cfg(any(feature = "networks", test))]
mod preview;
#[cfg(feature = "networks")]
mod search;

pub use canonical::{canonical_mm, normals, partner, triangles};
pub use pose::Pose;

/// Landmarks of a face.
pub const LANDMARKS: usize = 468;

/// Whose work the networks and the average face are, and under which licence.
pub const NOTICE: &str = include_str!("../models/NOTICE");

/// A face in a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Where each landmark lies, pixels of the upright photo: x, y, and the depth away from the camera in the same unit,
    /// from an arbitrary plane. They keep the numbers of MediaPipe's Face Mesh.
    pub landmarks_px: Vec<[f64; 3]>,
    pub pose: Pose,
    /// How sure the networks are that this is a face, 0 to 1.
    pub confidence: f64,
    /// Root mean square distance between the landmarks and the average face in this pose, as a share of its size.
    pub misfit: f64,
}

/// Whether this build can find faces.
pub const CAN_FIND: bool = cfg!(feature = "networks");

/// The largest face of a photo, if there is one.
#[cfg(feature = "networks")]
pub fn find(overview: &cicatrix_photo::Overview) -> Option<Face> {
    search::find(overview)
}

/// This build has no networks and finds none.
#[cfg(not(feature = "networks"))]
pub fn find(_overview: &cicatrix_photo::Overview) -> Option<Face> {
    None
}
