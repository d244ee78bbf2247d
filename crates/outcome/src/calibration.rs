//! The calibration table: how a measure follows the truth, and how far it strays without one.
//!
//! The observed ln ratio x follows the true one y as `x = (y + bias) / β + Σ c z + error`, z what the gate read of the
//! conditions, follow-up less baseline. The covariates of `psi` are the contrast of healthy skin and the strength of the
//! large-scale shade: the first moves with the light and with the skin of the day, the second with the light alone, so
//! that together they tell the two apart. Beyond what the table has seen they count as at its edge.
//!
//! The variance of a change δ between n₀ and n₁ shots is
//! `sd_session² + sd_shot² (1/n₀ + 1/n₁) + (sd_session² + sd_shot²) Σ w z² + (p δ)²`. Two shots of a session share the first
//! kind of error (moisture, the day) and do not share the second (pose, light, focus). A third grows with the distance of
//! the conditions from the baseline's, by w; the mean of two shots is nearer to them than one. And patients answer differently: one's scars show their depth more than another's, which is
//! an error in proportion p to the change itself. `tables.rs` says how the numbers are found.
//!
//! The half width of an interval is Student's t of m − 1 degrees of freedom times that deviation, m the patients behind a
//! row, and `1 + 1/m` for the table's own offset. This makes up for a deviation that is itself estimated, on average over
//! tables; the 95 % upper bound that χ² gives for one table's deviation is written beside it (`sd_upper_factor`).

use cicatrix_model::{Measure, QualityTier, Shot, ValueError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::quantile::{mean, t975};
use crate::region::RegionError;

/// Half width of the interval in parts of the change from which on a measure is not told.
pub(crate) const MOST_PROPORTION: f64 = 0.9;

/// Error of a measure in one tier, ln units for ratio measures, else the measure's unit, after β.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierError {
    pub tier: QualityTier,
    pub sd_shot: f64,
    pub sd_session: f64,
    /// Patients and changes that the row rests on.
    pub n_subjects: usize,
    pub n_changes: usize,
    /// The true deviation lies under this many times the row's with 95 %, by χ² of m − 1 degrees of freedom.
    pub sd_upper_factor: f64,
}

/// A gate reading that an observed change is corrected by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covariate {
    pub reading: String,
    /// Observed ln change per unit of the reading's difference between follow-up and baseline.
    pub coefficient: f64,
    /// Largest difference in size that the table rests on.
    pub range: f64,
}

/// A gate reading whose distance from the baseline's makes a change less sure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widening {
    pub reading: String,
    /// Growth of the variance per squared unit of the reading's difference, in parts of that of two shots against two.
    pub weight: f64,
}

/// How one measure behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureError {
    pub measure: Measure,
    /// True ln change per observed ln change.
    pub beta: f64,
    /// What an unchanged skin shows on average, subtracted after β.
    pub bias: f64,
    /// Error per ln of true change, taken for that of the told one.
    #[serde(default)]
    pub proportion: f64,
    /// The same of regions of faces, where what is told may be far from what is true.
    #[serde(skip)]
    pub(crate) proportion_of_truth: f64,
    /// What the conditions do to the observed ln change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covariates: Vec<Covariate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub widening: Vec<Widening>,
    pub tiers: Vec<TierError>,
}

/// A versioned table; its stamp stands in every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub id: String,
    /// Date of making, and the sets it was made on.
    pub made: String,
    pub sets: Vec<String>,
    pub n_subjects: usize,
    pub n_changes: usize,
    #[serde(rename = "measure")]
    pub measures: Vec<MeasureError>,
    /// How regions of faces answer to a change, and stray beyond that.
    #[serde(rename = "region", default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionError>,
}

/// Why a table cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error("the calibration cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error(
        "{found} patients with changes of known truth are too few to calibrate on, {needed} are needed: error bars \
             from fewer miss more often than they say"
    )]
    TooFew { found: usize, needed: usize },
    #[error(
        "{changed} heads that changed and {unchanged} that did not are too few to tell how regions of faces answer, {needed} of \
             each are needed"
    )]
    TooFewHeads { changed: usize, unchanged: usize, needed: usize },
}

impl Calibration {
    pub fn from_toml(text: &str) -> Result<Self, CalibrationError> {
        Ok(toml::from_str(text)?)
    }

    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a table of plain values can be written")
    }

    /// Id with the start of a digest over the content, `rendered-5@0123abcd`: a table that was written anew under its
    /// old id is another one. Comments and layout of the file do not matter.
    pub fn stamp(&self) -> String {
        let digest: String = Sha256::digest(self.to_toml()).iter().take(4).map(|b| format!("{b:02x}")).collect();
        format!("{}@{digest}", self.id)
    }

    pub fn measure(&self, measure: Measure) -> Option<&MeasureError> {
        self.measures.iter().find(|m| m.measure == measure)
    }
}

impl TierError {
    /// Half width of the 95 % interval of something that strays by `sd`, which is known from this row's subjects:
    /// Student's t of m − 1 degrees of freedom.
    fn half_width(&self, sd: f64) -> f64 {
        t975(self.subjects() - 1.0) * sd
    }

    fn subjects(&self) -> f64 {
        self.n_subjects.max(2) as f64
    }

    /// Variance of two shots against two in the baseline's conditions.
    fn pair_variance(&self) -> f64 {
        self.sd_session.powi(2) + self.sd_shot.powi(2)
    }
}

fn inverse_count(shots: usize) -> f64 {
    1.0 / shots.max(1) as f64
}

/// `1/n₀ + 1/n₁`.
pub(crate) fn inverse_shots(baseline: &[Shot], follow_up: &[Shot]) -> f64 {
    inverse_count(baseline.len()) + inverse_count(follow_up.len())
}

/// Half widths of the 95 % interval of a change: without one, what grows with the told one, and what grows with the true one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Precision {
    pub(crate) still: f64,
    proportion: f64,
    of_truth: f64,
}

impl Precision {
    /// The true changes y that a told one is not too far from: `(y − told)² ≤ still² + (p · told)² + (q · y)²` (Fieller 1954, J. R.
    /// Stat. Soc. B 16:175). Where q is 0, told ± the half width; else longer towards larger changes, since an answer that was
    /// weak looks like a small change.
    pub(crate) fn interval(self, told: f64) -> (f64, f64) {
        let (half, q) = (self.still.hypot(self.proportion * told), self.of_truth);
        let rest = 1.0 - q * q;
        let root = (q * told).hypot(rest.sqrt() * half);
        ((told - root) / rest, (told + root) / rest)
    }

    /// The least change whose interval does not hold zero.
    pub(crate) fn detectable(self) -> f64 {
        self.still / (1.0 - self.proportion * self.proportion).max(0.05).sqrt()
    }
}

impl MeasureError {
    fn row(&self, tier: QualityTier) -> Option<&TierError> {
        self.tiers.iter().find(|t| t.tier == tier)
    }

    /// Error of a single photo's value: what one shot and half of what a pair of sessions strays by, before β.
    /// `reading` gives what the gate read of this photo against its baseline: it makes the error grow, and what it did to
    /// the value is still in it.
    pub fn of_value(&self, tier: QualityTier, value: f64, reading: impl Fn(&str) -> Option<f64>) -> Option<ValueError> {
        let row = self.row(tier)?;
        let grown: f64 = self.widening.iter().map(|w| w.weight * reading(&w.reading).unwrap_or(0.0).powi(2)).sum();
        let conditions: f64 = self
            .covariates
            .iter()
            .map(|c| c.coefficient * reading(&c.reading).unwrap_or(0.0).clamp(-c.range, c.range))
            .sum();
        let own = row.sd_shot.powi(2) + row.sd_session.powi(2) / 2.0 + row.pair_variance() * grown;
        let spread = (own.sqrt() / self.beta).hypot(conditions);
        let half = row.half_width(spread);
        Some(if self.measure.is_ratio() {
            ValueError { sd: value * spread, ci95_lo: value * (-half).exp(), ci95_hi: value * half.exp() }
        } else {
            ValueError { sd: spread, ci95_lo: value - half, ci95_hi: value + half }
        })
    }

    /// How sure the change of a new patient is in this tier; `None` for a tier without a row.
    pub(crate) fn precision(&self, tier: QualityTier, baseline: &[Shot], follow_up: &[Shot]) -> Option<Precision> {
        let row = self.row(tier)?;
        let told = |shots: &[Shot]| shots.iter().filter(|s| s.value(self.measure).is_some()).count();
        let inverse = inverse_count(told(baseline)) + inverse_count(told(follow_up));
        let still = row.sd_session.powi(2)
            + row.sd_shot.powi(2) * inverse
            + row.pair_variance() * self.growth(baseline, follow_up);
        let table = (1.0 + 1.0 / row.subjects()).sqrt();
        // An error that grows as fast as the change leaves any change possible.
        let is_bounded = row.half_width(table * self.proportion_of_truth) < MOST_PROPORTION;
        is_bounded.then(|| Precision {
            still: row.half_width(table * still.sqrt()),
            proportion: row.half_width(table * self.proportion),
            of_truth: row.half_width(table * self.proportion_of_truth),
        })
    }

    /// Growth of the variance with the distance of the conditions, in parts of that of two shots against two.
    pub(crate) fn growth(&self, baseline: &[Shot], follow_up: &[Shot]) -> f64 {
        let part = |w: &Widening| w.weight * squared_distance(&w.reading, follow_up, baseline);
        self.widening.iter().map(part).sum()
    }

    /// What is observed of a session, the conditions taken off: mean over shots on the scale on which changes are
    /// computed, against a baseline whose readings are these.
    pub(crate) fn observed(&self, shots: &[Shot], baseline: &[Shot]) -> Option<f64> {
        let conditions: f64 = self
            .covariates
            .iter()
            .map(|c| c.coefficient * difference(&c.reading, shots, baseline).clamp(-c.range, c.range))
            .sum();
        Some(pooled(shots, self.measure)? - conditions)
    }
}

/// Mean of a reading over the shots of a session less that of the baseline; 0 where it was not read.
pub(crate) fn difference(reading: &str, shots: &[Shot], baseline: &[Shot]) -> f64 {
    let mean_of = |shots: &[Shot]| {
        let values: Vec<f64> = shots.iter().filter_map(|shot| shot.reading(reading)).collect();
        (!values.is_empty()).then(|| mean(&values))
    };
    match (mean_of(shots), mean_of(baseline)) {
        (Some(now), Some(then)) => now - then,
        _ => 0.0,
    }
}

/// A lamp that has turned to either side moves a score the same way; the other readings to opposite ways.
const TURN: &str = "light_turn_deg";

/// Squared distance of a reading of the shots from the baseline's mean; 0 where it was not read. Shots to both sides of the
/// baseline make up for each other, as their scores do, but for the turn of the light.
pub(crate) fn squared_distance(reading: &str, shots: &[Shot], baseline: &[Shot]) -> f64 {
    if reading != TURN || shots.is_empty() {
        return difference(reading, shots, baseline).powi(2);
    }
    let sizes: Vec<f64> =
        shots.iter().map(|shot| difference(reading, std::slice::from_ref(shot), baseline).abs()).collect();
    mean(&sizes).powi(2)
}

/// Mean of a measure over shots on the scale on which changes are computed.
pub(crate) fn pooled(shots: &[Shot], measure: Measure) -> Option<f64> {
    let scaled = |v: f64| if measure.is_ratio() { v.ln() } else { v };
    let values: Vec<f64> =
        shots.iter().filter_map(|s| s.value(measure)).map(scaled).filter(|v| v.is_finite()).collect();
    (!values.is_empty()).then(|| mean(&values))
}

/// The tier of a comparison is the worst of its shots; the reference itself has none to give.
pub(crate) fn worst_tier(baseline: &[Shot], follow_up: &[Shot]) -> Option<QualityTier> {
    let follow = follow_up.iter().map(|s| s.quality_tier).max();
    baseline.iter().filter(|s| !s.is_reference).map(|s| s.quality_tier).chain(follow).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::shot;

    #[test]
    fn shots_on_both_sides_make_up_for_each_other_but_not_a_turned_light() {
        let at = |name: &str, z: f64| Shot { readings: vec![(name.to_owned(), z)], ..shot(1.0) };
        let distance = |name: &str| squared_distance(name, &[at(name, 40.0), at(name, -40.0)], &[at(name, 0.0)]);
        assert_eq!((distance("ln_focus_ratio"), distance(TURN)), (0.0, 1600.0));
    }
}
