//! What changes of single regions of a face stray beyond the table, which was made on cheeks from near by.
//!
//! A nose is round within a centimetre and shines, a forehead leans back in frontal views, skin around the mouth lies at a
//! slant in oblique ones: the light that is read there, and with it the mask and the index, is less sure than on a cheek. How much so is taken from faces of known
//! truth: the mean square of what changes were off, less that which the table had said; never below nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cicatrix_model::{Measure, Region, View};
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, CalibrationError, MeasureError};
use crate::change::compare;
use crate::quantile::mean;
use crate::tables::CalibrationCase;

/// How sets of faces are named among those of a table.
const FACES_OF: &str = "faces of ";
/// Fewer patients tell nothing of a region.
const LEAST_SUBJECTS: usize = 6;

/// How the head is turned in a view: the same skin lies at another slant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    Frontal,
    Oblique,
    Profile,
}

impl Turn {
    /// None of views that show no face.
    pub fn of(view: &View) -> Option<Self> {
        match view {
            View::FaceFrontal => Some(Self::Frontal),
            View::FaceLeft45 | View::FaceRight45 => Some(Self::Oblique),
            View::FaceLeft90 | View::FaceRight90 => Some(Self::Profile),
            View::Closeup(_) | View::Body(_) => None,
        }
    }
}

/// Error of changes in one region of face views beyond that of the tiers, ln units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionError {
    pub turn: Turn,
    /// Name of the region without its side: `cheek` stands for `cheek_l` and `cheek_r`.
    pub region: String,
    pub sd: f64,
    pub n_subjects: usize,
    pub n_changes: usize,
}

/// The region that two sides have in common.
fn sideless(region: &Region) -> &str {
    let name = region.as_str();
    name.strip_suffix("_l").or(name.strip_suffix("_r")).unwrap_or(name)
}

impl Calibration {
    /// How a measure behaves in a region of a view; none for a measure without a row.
    pub fn measure_in(&self, measure: Measure, view: Option<&View>, region: &Region) -> Option<Cow<'_, MeasureError>> {
        self.measure(measure).map(|row| self.widened(row, view, region))
    }

    /// All measures of the table as they behave in a region of a view.
    pub fn measures_in<'a>(
        &'a self,
        view: Option<&View>,
        region: &Region,
    ) -> impl Iterator<Item = Cow<'a, MeasureError>> {
        self.measures.iter().map(move |row| self.widened(row, view, region))
    }

    fn widened<'a>(&self, row: &'a MeasureError, view: Option<&View>, region: &Region) -> Cow<'a, MeasureError> {
        let turn = view.filter(|_| row.measure.is_ratio()).and_then(Turn::of);
        let own = self.regions.iter().find(|own| Some(own.turn) == turn && own.region == sideless(region));
        let Some(own) = own else { return Cow::Borrowed(row) };
        let mut wider = row.clone();
        wider.tiers.iter_mut().for_each(|tier| tier.sd_session = tier.sd_session.hypot(own.sd));
        Cow::Owned(wider)
    }

    /// This table with what regions of faces stray beyond it, from changes of known truth.
    pub fn with_regions(
        &self,
        id: &str,
        made: &str,
        sets: &[String],
        cases: &[(View, Region, CalibrationCase)],
    ) -> Result<Self, CalibrationError> {
        let mut table = self.clone();
        (table.id, table.made) = (id.to_owned(), made.to_owned());
        // What an earlier table had of faces is replaced.
        table.regions.clear();
        table.sets.retain(|set| !set.starts_with(FACES_OF));
        table.sets.extend(sets.iter().map(|set| format!("{FACES_OF}{set}")));
        let found = cases.iter().map(|(.., case)| case.subject.as_str()).collect::<BTreeSet<_>>().len();
        if found < LEAST_SUBJECTS {
            return Err(CalibrationError::TooFew { found, needed: LEAST_SUBJECTS });
        }
        let row = table.measure(Measure::Psi).cloned();
        let mut by_region: BTreeMap<(Turn, &str), Vec<(&str, f64)>> = BTreeMap::new();
        for (view, region, case) in cases {
            let estimate = row.as_ref().and_then(|row| compare(row, &case.baseline, &case.follow_up));
            let (Some(turn), Some(estimate)) = (Turn::of(view), estimate) else { continue };
            let ln = |percent: f64| (percent / 100.0).ln_1p();
            let off = ln(estimate.change) - case.true_ln;
            let said = (ln(estimate.ci95_hi) - ln(estimate.ci95_lo)) / (2.0 * 1.96);
            by_region.entry((turn, sideless(region))).or_default().push((&case.subject, off * off - said * said));
        }
        for ((turn, region), excess) in by_region {
            let subjects = excess.iter().map(|(subject, _)| subject).collect::<BTreeSet<_>>().len();
            let sd = mean(&excess.iter().map(|(_, v)| *v).collect::<Vec<f64>>()).max(0.0).sqrt();
            if subjects >= LEAST_SUBJECTS && sd > 0.0 {
                let region = region.to_owned();
                table.regions.push(RegionError { turn, region, sd, n_subjects: subjects, n_changes: excess.len() });
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{shot, table};

    #[test]
    fn a_region_that_strays_is_widened_in_that_turn_of_the_head_only() {
        let case = |i: usize, region: &str, factor: f64| {
            let off = if i.is_multiple_of(2) { factor } else { 1.0 / factor };
            let case = CalibrationCase {
                subject: format!("p{i}"),
                baseline: vec![shot(1.0)],
                follow_up: vec![shot(off)],
                true_ln: 0.0,
                unchanged: true,
            };
            (View::FaceFrontal, Region::new(region).unwrap(), case)
        };
        let cases: Vec<_> = (0..8).flat_map(|i| [case(i, "nose", 2.0), case(i, "cheek_l", 1.0)]).collect();
        let table = table(0.05).with_regions("t-2", "2026-01-02", &["heads".to_owned()], &cases).unwrap();
        assert_eq!(table.regions.iter().map(|r| r.region.as_str()).collect::<Vec<_>>(), ["nose"]);
        assert!((0.3..0.75).contains(&table.regions[0].sd), "{:?}", table.regions);

        let (nose, cheek) = (Region::new("nose").unwrap(), Region::new("cheek_l").unwrap());
        let sd = |view: View, region: &Region| {
            table.measure_in(Measure::Psi, Some(&view), region).unwrap().tiers[0].sd_session
        };
        let own = 0.05;
        assert!(sd(View::FaceFrontal, &nose) > own + 0.1);
        assert_eq!(sd(View::FaceFrontal, &cheek), own);
        assert_eq!(sd(View::FaceLeft45, &nose), own);
        assert_eq!(sd(View::Closeup("nose".to_owned()), &nose), own);
    }
}
