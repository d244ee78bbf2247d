//! Where a photo belongs.

use cicatrix_model::{ClinicId, PatientId, SessionKey, View};

use crate::{KeyError, ObjectKey};

/// One visit of one patient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionAddress {
    pub clinic: ClinicId,
    pub patient: PatientId,
    pub session: SessionKey,
}

/// One photo of a visit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhotoAddress {
    pub session: SessionAddress,
    pub view: View,
    /// From 1; shots of a view are re-seated repeats.
    pub shot: u16,
    /// What the name claims to be, in small letters: `jpg`.
    pub extension: String,
}

impl SessionAddress {
    /// The session's folders in the standard grammar, without `incoming/` and without a '/' at the end.
    pub fn folder(&self) -> String {
        let Self { clinic, patient, session } = self;
        format!("clinic={clinic}/patient={patient}/session={session}")
    }
}

impl PhotoAddress {
    /// The key under which the standard grammar keeps this photo.
    pub fn incoming_key(&self) -> Result<ObjectKey, KeyError> {
        let Self { session, view, shot, extension } = self;
        ObjectKey::parse(&format!("incoming/{}/{view}.{shot}.{extension}", session.folder()))
    }
}
