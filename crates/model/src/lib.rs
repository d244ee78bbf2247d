//! The words of the field as plain data: ids, sessions, views, regions, measures,
//! observations, changes and the reasons for which a photo gives no number.
//!
//! Nothing here computes, reads a clock or touches a file. Every other crate speaks in
//! these types, so a name is settled once.

mod ids;
mod manifest;
mod measure;
mod outcome;
mod reason;
mod view;

pub use ids::{ClinicId, IdError, PatientId, SessionKey};
pub use manifest::{
    ColourTarget, Consent, Lighting, ManifestError, PhotoEntry, RegionPolygon, SCHEMA, SessionManifest, Subject,
    Treatment,
};
pub use measure::{GateReading, GateVerdict, Measure, Measured, QualityTier, Scale, ScaleSource};
pub use outcome::{Change, ChangeVerdict, Observation, RegionVerdict, Series, SeriesSession, Shot, Trend, ValueError};
pub use reason::{Reason, ReasonGroup};
pub use view::{Region, View, ViewError};
