//! Why a photo gives no number, in the words that a clinic and an operator act upon.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who has to act on a reason, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonGroup {
    Position,
    Lighting,
    Zoom,
    Focus,
    Styling,
    Timing,
    Description,
    /// The series has no usable baseline; the photo itself may be good.
    Baseline,
    /// The file is unsafe or broken: operators look at it.
    Quarantine,
    /// The photo may be good, and taking it again helps nothing: what became of it is the operators' affair.
    Operation,
}

macro_rules! reasons {
    ($($variant:ident $code:literal $group:ident $advice:literal;)*) => {
        /// A reason code. The text of each is part of the contract with scripts outside.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Reason { $(#[serde(rename = $code)] $variant,)* }

        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];
            pub fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code,)* }
            }
            pub fn group(self) -> ReasonGroup {
                match self { $(Reason::$variant => ReasonGroup::$group,)* }
            }
            /// What to do about it, one sentence in plain words.
            pub fn advice(self) -> &'static str {
                match self { $(Reason::$variant => $advice,)* }
            }
        }

        impl FromStr for Reason {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($code => Ok(Reason::$variant),)*
                    other => Err(format!("'{other}' is no reason code")),
                }
            }
        }
    };
}

reasons! {
    PoseOff "pose_off" Position "take it again from the angle of the baseline";
    NotAlignable "not_alignable" Position "check that it is the same patient and the same place, then take it again in the baseline's position";
    ViewMissing "view_missing" Position "take the missing view";
    ViewMismatch "view_mismatch" Position "the photo does not show the view its name claims: check for a swapped or mirrored file";
    Exposure "exposure" Lighting "take it again a little brighter or darker, without blown-out or black skin";
    LightingShift "lighting_shift" Lighting "put the lamp where it was at the baseline";
    ColourCast "colour_cast" Lighting "switch off coloured room light and fix the white balance";
    Specular "specular" Lighting "pat the skin dry; shiny skin hides the relief";
    ZoomOff "zoom_off" Zoom "use the distance of the baseline";
    ResolutionLow "resolution_low" Zoom "go closer or use a camera with more pixels";
    Blur "blur" Focus "focus on the skin and take it again";
    Motion "motion" Focus "hold still or use the flash";
    Recompressed "recompressed" Focus "upload the camera's own file: this one was compressed again or saved small";
    Occlusion "occlusion" Styling "keep hair, hands and cloth off the region";
    MakeupSuspected "makeup_suspected" Styling "take it again without make-up";
    TooSoonAfterTreatment "too_soon_after_treatment" Timing "photograph again when the skin has calmed down; this photo is shown but is no endpoint";
    MetadataMissing "metadata_missing" Description "upload a manifest.json with the session, or correct the description that is there: the detail says what is wrong with it";
    DateConflict "date_conflict" Description "what was said of this patient's sessions contradicts itself: correct what the detail names and upload it again";
    ConsentMissing "consent_missing" Description "record the patient's consent in the manifest";
    BaselineMissing "baseline_missing" Baseline "upload the baseline session of this patient and view";
    BaselineNotMeasurable "baseline_not_measurable" Baseline "the baseline photo cannot be measured: choose another session as baseline";
    NoScarsFound "no_scars_found" Baseline "no scars stand out from the skin of this region: draw the scars' region in the manifest, or accept that there is nothing to measure";
    NotCalibrated "not_calibrated" Operation "the error table in force cannot tell a change of this region of a face: take a close-up of it";
    Cancelled "cancelled" Operation "somebody took this photo back before it was read: read it again from its job, if it shall count";
    Failed "failed" Operation "the program failed on this photo: its job says how; read it again when the cause is mended";
    FormatNotAllowed "format_not_allowed" Quarantine "upload JPEG, PNG, WebP or TIFF";
    TypeMismatch "type_mismatch" Quarantine "the content is not what the file's name says: upload the photo itself, as the camera wrote it";
    TooManyPixels "too_many_pixels" Quarantine "upload a photo of at most 60 megapixels";
    FileTooLarge "file_too_large" Quarantine "upload a file of at most 50 MB";
    IccTooLarge "icc_too_large" Quarantine "export the photo with an ordinary colour profile";
    Corrupt "corrupt" Quarantine "the file cannot be decoded: upload it again from the camera";
    Truncated "truncated" Quarantine "the file ends early: upload it again";
    ChecksumMismatch "checksum_mismatch" Quarantine "the file is not the one the manifest describes: upload it again";
    PolyglotSuspected "polyglot_suspected" Quarantine "the file carries other data behind the picture: export it again";
    DecoderTimeout "decoder_timeout" Quarantine "the file keeps the decoder busy beyond its limit: export it again";
    DecoderMemory "decoder_memory" Quarantine "the file needs more memory than a photo may: export it again";
    DecoderCrash "decoder_crash" Quarantine "the file kills the decoder: export it again, and tell us";
    BadKey "bad_key" Quarantine "the object's name does not follow the layout: rename it";
    SubjectErased "subject_erased" Quarantine "the patient was erased: do not upload again";
}

impl Reason {
    pub fn is_quarantine(self) -> bool {
        self.group() == ReasonGroup::Quarantine
    }

    /// Whether a photo, or a region of one, can be on the list of retakes for it.
    pub fn is_retake(self) -> bool {
        !matches!(self.group(), ReasonGroup::Quarantine | ReasonGroup::Operation)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_has_advice() {
        for &reason in Reason::ALL {
            assert_eq!(reason.code().parse::<Reason>().unwrap(), reason);
            assert!(!reason.advice().is_empty());
        }
    }

    /// Both are given to sessions whose manifest is there and wrong.
    #[test]
    fn a_wrong_description_is_to_be_corrected() {
        for reason in [Reason::MetadataMissing, Reason::DateConflict] {
            assert!(reason.advice().contains("correct") && reason.advice().contains("detail"), "{reason}");
        }
    }
}
