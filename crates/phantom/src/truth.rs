//! What is true of a photo, in numbers that a test can hold a measurement against.

use serde::Serialize;

use crate::nuisance::Nuisance;
use crate::scar::ScarKind;

/// True of the skin on the day of a session, however it is photographed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionTruth {
    /// Seed of the patient.
    pub seed: u64,
    /// 0 is the baseline.
    pub session: u32,
    /// Sessions in the whole course.
    pub sessions: u32,
    /// 1 (very light) to 6 (dark).
    pub tone_class: u8,
    /// Mean amount of melanin, relative units.
    pub melanin: f32,
    /// Share of scar volume lost by the last session; negative means more scar.
    pub final_loss: f64,
    /// All scars of the region together.
    pub scar_volume_mm3: f64,
    /// The same at the baseline.
    pub baseline_volume_mm3: f64,
    pub volume_by_kind_mm3: ScarVolumes,
    /// Volume against the baseline: −0.3 is 30 % less.
    pub true_volume_change: f64,
    /// Area that is deeper than 0.05 mm.
    pub scar_area_mm2: f64,
    /// Share of the baseline's post-inflammatory redness that is left.
    pub redness_left: f64,
    /// Share of the baseline's post-inflammatory pigment that is left.
    pub pigment_left: f64,
    pub scars: Vec<ScarTruth>,
    /// Scars that the baseline did not have; in no volume.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_scars: Vec<ScarTruth>,
}

/// One scar on the day of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScarTruth {
    pub kind: ScarKind,
    /// From the patch's centre.
    pub centre_mm: [f32; 2],
    /// Half the long axis.
    pub radius_mm: f32,
    /// Of the middle.
    pub depth_mm: f32,
    /// Integral of depth over the scar.
    pub volume_mm3: f64,
}

/// Scar volume by kind, mm³.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScarVolumes {
    pub ice_pick: f64,
    pub boxcar: f64,
    pub rolling: f64,
}

impl ScarVolumes {
    /// In the order of [`ScarKind::ALL`].
    pub(crate) fn new([ice_pick, boxcar, rolling]: [f64; 3]) -> Self {
        Self { ice_pick, boxcar, rolling }
    }

    pub fn of(&self, kind: ScarKind) -> f64 {
        match kind {
            ScarKind::IcePick => self.ice_pick,
            ScarKind::Boxcar => self.boxcar,
            ScarKind::Rolling => self.rolling,
        }
    }

    pub fn total(&self) -> f64 {
        self.ice_pick + self.boxcar + self.rolling
    }
}

/// True of one photo.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhotoTruth {
    pub session: SessionTruth,
    pub shot: u32,
    /// On the skin at the patch's centre.
    pub px_per_mm: f64,
    /// The region of interest in this photo, 32 points, pixel centres at integers.
    pub roi_polygon_px: Vec<[f64; 2]>,
    pub nuisance: Nuisance,
}
