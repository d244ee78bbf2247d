//! The rows that people read: observations of a photo, changes of a session, trends of a course.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Measure, QualityTier, Reason, Region, SessionKey, View};

/// One photo × region × measure, as the statistics see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub session: SessionKey,
    pub view: View,
    pub shot: u16,
    pub region: Region,
    pub measure: Measure,
    pub value: f64,
    /// Standard deviation of the value, had the patient been photographed again, and the 95 % interval, from the
    /// calibration of the tier; `None` for a measure without one.
    pub error: Option<ValueError>,
    pub unit: String,
    pub n_pixels: u64,
    pub quality_tier: QualityTier,
    pub endpoint_eligible: bool,
}

/// How sure a single value is, in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueError {
    pub sd: f64,
    pub ci95_lo: f64,
    pub ci95_hi: f64,
}

impl ValueError {
    /// With the error of the scale, for an area of this value. `relative_sd` is that of pixels per millimetre.
    pub fn with_scale(self, value: f64, relative_sd: f64) -> Self {
        let own = 2.0 * relative_sd * value;
        let wide = |half: f64| half.hypot(1.96 * own);
        Self {
            sd: self.sd.hypot(own),
            ci95_lo: (value - wide(value - self.ci95_lo)).max(0.0),
            ci95_hi: value + wide(self.ci95_hi - value),
        }
    }
}

/// What became of one region of a measured photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionVerdict {
    pub region: Region,
    /// Where something was measured.
    pub quality_tier: Option<QualityTier>,
    /// Why it has no value of the primary measure, if it has none, and in what detail.
    pub reason: Option<Reason>,
    pub detail: Option<String>,
}

/// One photo of one region with its covariates: what a change is computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shot {
    pub shot: u16,
    pub quality_tier: QualityTier,
    /// This photo is the one on which region and scar mask were drawn.
    pub is_reference: bool,
    pub values: Vec<(Measure, f64)>,
    /// Gate readings by name, where the error model asks for them.
    pub readings: Vec<(String, f64)>,
}

impl Shot {
    pub fn value(&self, measure: Measure) -> Option<f64> {
        self.values.iter().find(|(m, _)| *m == measure).map(|(_, v)| *v)
    }
    pub fn reading(&self, name: &str) -> Option<f64> {
        self.readings.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }
}

/// All finished sessions of one patient and view, in order of time: what changes are computed from.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub view: View,
    /// The baseline session, when it has this view; it is then one of `sessions`.
    pub baseline_session: Option<SessionKey>,
    /// Deviation of the scale of the baseline's reference, as a share of it; 0 where it is not known.
    pub scale_relative_sd: f64,
    pub sessions: Vec<SeriesSession>,
}

/// One session of a series. All its photos of this view have a verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSession {
    pub session: SessionKey,
    pub is_baseline: bool,
    /// Every measured shot may count as an endpoint, and there is at least one.
    pub endpoint_eligible: bool,
    /// Measured shots per region, regions by name, shots by number.
    pub regions: Vec<(Region, Vec<Shot>)>,
    /// First reasons of the shots that gave no number, by shot.
    pub reasons: Vec<Reason>,
    /// Regions without a number in shots that gave some, by region and shot.
    pub refused: Vec<(Region, Reason)>,
}

/// What can be said about a session against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeVerdict {
    Improved,
    Worsened,
    NoDetectableChange,
    NotMeasurable,
}

impl std::str::FromStr for ChangeVerdict {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Improved, Self::Worsened, Self::NoDetectableChange, Self::NotMeasurable];
        all.into_iter().find(|verdict| verdict.name() == text).ok_or_else(|| format!("'{text}' is no verdict"))
    }
}

impl ChangeVerdict {
    pub fn name(self) -> &'static str {
        match self {
            ChangeVerdict::Improved => "improved",
            ChangeVerdict::Worsened => "worsened",
            ChangeVerdict::NoDetectableChange => "no_detectable_change",
            ChangeVerdict::NotMeasurable => "not_measurable",
        }
    }
}

/// One session × view × region × measure against the baseline, shots pooled.
///
/// Ratio measures tell `change`, `ci95_*` and `mdc95` in percent, the others in their unit. Negative is less scar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub session: SessionKey,
    pub view: View,
    pub region: Region,
    pub measure: Measure,
    pub baseline_value: Option<f64>,
    pub value: Option<f64>,
    pub change_pct: Option<f64>,
    pub ci95_lo: Option<f64>,
    pub ci95_hi: Option<f64>,
    pub mdc95_pct: Option<f64>,
    /// Of no change at all, two-sided.
    pub p_value: Option<f64>,
    pub verdict: ChangeVerdict,
    pub reason: Option<Reason>,
    pub quality_tier: Option<QualityTier>,
    pub n_shots: u16,
    pub endpoint_eligible: bool,
    pub calibration: String,
}

/// Course of one region: percent per session with its interval. The slope is one over days, told for the mean time
/// between two sessions of the course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    pub view: View,
    pub region: Region,
    pub measure: Measure,
    /// The baseline counted in.
    pub n_sessions: u16,
    /// First and last eligible session after the baseline.
    pub first: Date,
    pub last: Date,
    pub pct_per_session: f64,
    pub ci95_lo: f64,
    pub ci95_hi: f64,
    /// Where the change of the next session, one mean step after the last, is to be expected with 95 %, percent of the
    /// baseline.
    pub next_lo_pct: f64,
    pub next_hi_pct: f64,
}
