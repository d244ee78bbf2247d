//! How single regions of a face answer to a change, and what they stray by, beyond the table, which was made on cheeks from
//! near by.
//!
//! On a face from arm's length, lit from both sides, scars stand out less by their relief and more by what does not fill: colour,
//! a fold, the grain of a nose. So the index falls by less than the scars have lost, by how much less differs from region to
//! region and from patient to patient, and light and mask are less sure than on a cheek. All three are taken from faces of known
//! truth, by region and turn of the head, for each measure that follows scar volume: after the table's own correction a change
//! reads `r y + e`, y the true one, r the slope of a least squares line through no change. What is left gives the deviation on
//! heads that have not changed, less that which the table had said, never below nothing, and, on those that have, how it grows
//! with the true change. A region without a row of its own, as one that a clinic has drawn, has that of all regions together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cicatrix_model::{Measure, Region, View};
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, CalibrationError, MeasureError, worst_tier};
use crate::change::compare;
use crate::quantile::{Z975, mean};
use crate::tables::{CalibrationCase, follows_volume, subjects};

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

/// How a measure behaves in one region of face views, beyond the table; ln units of what the table tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionError {
    pub turn: Turn,
    /// Name of the region without its side: `cheek` stands for `cheek_l` and `cheek_r`; `any` for all that have no row.
    pub region: String,
    pub measure: Measure,
    /// Told change per true one.
    pub slope: f64,
    /// Of a head that has not changed, beyond what the table says.
    pub sd: f64,
    /// Error per true change: patients answer differently.
    pub proportion: f64,
    pub n_subjects: usize,
    pub n_changes: usize,
}

/// All regions of a turn together.
const ANY: &str = "any";

/// The region that two sides have in common.
fn sideless(region: &Region) -> &str {
    let name = region.as_str();
    name.strip_suffix("_l").or(name.strip_suffix("_r")).unwrap_or(name)
}

impl Calibration {
    /// How a measure behaves in a region of a view; none for a measure without a row, or without one for faces.
    pub fn measure_in(&self, measure: Measure, view: Option<&View>, region: &Region) -> Option<Cow<'_, MeasureError>> {
        self.measure(measure).and_then(|row| self.in_region(row, view, region))
    }

    /// All measures of the table that can be told of a region of a view, as they behave there.
    pub fn measures_in<'a>(
        &'a self,
        view: Option<&View>,
        region: &Region,
    ) -> impl Iterator<Item = Cow<'a, MeasureError>> {
        self.measures.iter().filter_map(move |row| self.in_region(row, view, region))
    }

    fn in_region<'a>(
        &self,
        row: &'a MeasureError,
        view: Option<&View>,
        region: &Region,
    ) -> Option<Cow<'a, MeasureError>> {
        let Some(turn) = view.filter(|_| row.measure.is_ratio()).and_then(Turn::of) else {
            return Some(Cow::Borrowed(row));
        };
        let of = |measure: Measure, name: &str| {
            self.regions.iter().find(|own| own.turn == turn && own.measure == measure && own.region == name)
        };
        let own = |measure| of(measure, sideless(region)).or(of(measure, ANY));
        if !follows_volume(row.measure) {
            // Has no truth of its own: it strays by light and mask as the primary measure does.
            return Some(own(Measure::Psi).map_or(Cow::Borrowed(row), |own| Cow::Owned(own.widened(row))));
        }
        own(row.measure).map(|own| Cow::Owned(own.answering(row)))
    }

    /// This table with how regions of faces behave beyond it, from changes of known truth: of heads that have changed, and of
    /// others that have not.
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
        let heads = |has_changed: bool| {
            let own = cases.iter().filter(|(.., case)| (case.true_ln != 0.0) == has_changed);
            subjects(own.map(|(.., case)| case.subject.as_str()))
        };
        let (changed, unchanged) = (heads(true), heads(false));
        if changed.min(unchanged) < LEAST_SUBJECTS {
            return Err(CalibrationError::TooFewHeads { changed, unchanged, needed: LEAST_SUBJECTS });
        }
        for row in self.measures.iter().filter(|row| follows_volume(row.measure)) {
            let mut by_region: BTreeMap<(Turn, &str), Vec<Told<'_>>> = BTreeMap::new();
            for (view, region, case) in cases {
                let (Some(turn), Some(told)) = (Turn::of(view), Told::by(row, case)) else { continue };
                by_region.entry((turn, sideless(region))).or_default().push(told);
                by_region.entry((turn, ANY)).or_default().push(told);
            }
            let rows =
                by_region.iter().filter_map(|((turn, region), told)| region_error(row.measure, *turn, region, told));
            table.regions.extend(rows);
        }
        Ok(table)
    }
}

/// A change of a face as the table tells it, and as it is; ln.
#[derive(Debug, Clone, Copy)]
struct Told<'a> {
    subject: &'a str,
    told: f64,
    truth: f64,
    /// Variance that the table says, of no change.
    said: f64,
}

impl<'a> Told<'a> {
    fn by(row: &MeasureError, case: &'a CalibrationCase) -> Option<Self> {
        let estimate = compare(row, &case.baseline, &case.follow_up)?;
        let tier = worst_tier(&case.baseline, &case.follow_up)?;
        let still = row.precision(tier, &case.baseline, &case.follow_up)?.still;
        let told = (estimate.change / 100.0).ln_1p();
        Some(Self { subject: &case.subject, told, truth: case.true_ln, said: (still / Z975).powi(2) })
    }
}

/// None with too few patients of either kind, or where a region does not answer at all.
fn region_error(measure: Measure, turn: Turn, region: &str, told: &[Told<'_>]) -> Option<RegionError> {
    let (changed, still): (Vec<Told<'_>>, Vec<Told<'_>>) = told.iter().partition(|t| t.truth != 0.0);
    let count = |of: &[Told<'_>]| subjects(of.iter().map(|t| t.subject));
    let (m, n) = (count(&changed), count(&still));
    if m.min(n) < LEAST_SUBJECTS {
        return None;
    }
    let sum = |f: &dyn Fn(&Told<'_>) -> f64| changed.iter().map(f).sum::<f64>();
    let squares = sum(&|t| t.truth * t.truth);
    let slope = sum(&|t| t.truth * t.told) / squares;
    let excess = |of: &[Told<'_>]| of.iter().map(|t| (t.told - slope * t.truth).powi(2) - t.said).collect::<Vec<f64>>();
    let variance = mean(&excess(&still)).max(0.0);
    // The line was fitted to them: m/(m − 1) makes up for it.
    let grown = (mean(&excess(&changed)) - variance).max(0.0) * m as f64 / (m as f64 - 1.0);
    (slope > 0.0).then(|| RegionError {
        turn,
        region: region.to_owned(),
        measure,
        slope,
        sd: variance.sqrt(),
        proportion: (grown * changed.len() as f64 / squares).sqrt(),
        n_subjects: m.min(n),
        n_changes: told.len(),
    })
}

impl RegionError {
    fn widened(&self, row: &MeasureError) -> MeasureError {
        let mut wider = row.clone();
        wider.tiers.iter_mut().for_each(|tier| tier.sd_session = tier.sd_session.hypot(self.sd));
        wider
    }

    /// The row, turned around once more: by how much the region answers.
    fn answering(&self, row: &MeasureError) -> MeasureError {
        let mut own = self.widened(row);
        (own.beta, own.bias) = (row.beta / self.slope, row.bias / self.slope);
        // Patients answer no more alike than from near by, whatever a few heads say.
        (own.proportion, own.proportion_of_truth) = (0.0, (self.proportion / self.slope).max(row.proportion));
        for tier in &mut own.tiers {
            (tier.sd_session, tier.sd_shot) = (tier.sd_session / self.slope, tier.sd_shot / self.slope);
            tier.n_subjects = tier.n_subjects.min(self.n_subjects);
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Estimate;
    use crate::sample::{shot, table};

    /// Heads of which every second one has lost a third of its scars; what is told of it is `slope` of that, give or take.
    fn cases(region: &str, slope: f64, stray: f64, spread: f64) -> Vec<(View, Region, CalibrationCase)> {
        let case = |i: usize| {
            let sign = if (i / 2).is_multiple_of(2) { 1.0 } else { -1.0 };
            let true_ln = if i.is_multiple_of(2) { 0.0 } else { (2.0_f64 / 3.0).ln() };
            let told = (slope + sign * spread) * true_ln + sign * stray;
            let case = CalibrationCase {
                subject: format!("p{i}"),
                baseline: vec![shot(1.0)],
                follow_up: vec![shot(told.exp())],
                true_ln,
                unchanged: true_ln == 0.0,
            };
            (View::FaceFrontal, Region::new(region).unwrap(), case)
        };
        (0..40).map(case).collect()
    }

    fn with(cases: &[(View, Region, CalibrationCase)]) -> Calibration {
        table(0.02).with_regions("t-2", "2026-01-02", &["heads".to_owned()], cases).unwrap()
    }

    fn estimate(table: &Calibration, region: &str, told: f64) -> Estimate {
        let row = table.measure_in(Measure::Psi, Some(&View::FaceFrontal), &Region::new(region).unwrap()).unwrap();
        compare(&row, &[shot(1.0)], &[shot(told.exp())]).unwrap()
    }

    #[test]
    fn how_a_region_answers_and_strays_is_found_and_turned_around() {
        let table = with(&cases("nose", 0.5, 0.1, 0.05));
        let row = table.regions.iter().find(|row| row.region == "nose").unwrap();
        assert!((row.slope - 0.5).abs() < 1e-9 && (row.sd - 0.1).abs() < 0.01, "{row:?}");
        // Stray and spread of a head have one sign: 0.05 · |ln 2/3| more or less than 0.1.
        assert!(row.proportion < 0.1 && row.n_subjects == 20, "{row:?}");
        let half = estimate(&table, "nose", 0.5 * (2.0_f64 / 3.0).ln());
        assert!((half.change + 100.0 / 3.0).abs() < 0.1, "{half:?}");
        let (weak, none) = (estimate(&table, "nose", -0.02), estimate(&table, "nose", 0.0));
        assert!(weak.ci95_lo < -30.0 && none.ci95_lo < -30.0, "{weak:?}, {none:?}");
    }

    #[test]
    fn a_weak_answer_leaves_a_large_change_possible() {
        let table = with(&cases("temple_l", 0.5, 0.0, 0.2));
        let told = estimate(&table, "temple_r", 0.2 * (2.0_f64 / 3.0).ln());
        assert!(told.ci95_lo < -33.4 && told.ci95_hi > -16.0, "{told:?}");
        assert!(
            told.change - told.ci95_lo > 1.5 * (told.ci95_hi - told.change),
            "longer towards larger changes: {told:?}"
        );
    }

    #[test]
    fn what_answers_anyhow_is_not_told_and_what_was_drawn_answers_as_any_region() {
        let anyhow = with(&cases("chin", 0.5, 0.0, 0.4));
        let row = anyhow.measure_in(Measure::Psi, Some(&View::FaceFrontal), &Region::new("chin").unwrap()).unwrap();
        assert_eq!(compare(&row, &[shot(1.0)], &[shot(0.9)]), None);
        let table = with(&[cases("cheek_l", 0.8, 0.03, 0.0), cases("nose", 0.4, 0.03, 0.0)].concat());
        let drawn = table.measure_in(Measure::Psi, Some(&View::FaceFrontal), &Region::new("scar_7").unwrap()).unwrap();
        assert!((drawn.beta - 1.0 / 0.6).abs() < 1e-9, "{drawn:?}");
    }

    #[test]
    fn a_view_of_which_the_table_knows_nothing_is_not_told_and_a_close_up_is_as_before() {
        let table = with(&cases("nose", 0.5, 0.1, 0.05));
        let nose = Region::new("nose").unwrap();
        assert!(table.measure_in(Measure::Psi, Some(&View::FaceLeft45), &nose).is_none());
        let near = table.measure_in(Measure::Psi, Some(&View::Closeup("nose".to_owned())), &nose).unwrap();
        assert_eq!(&*near, table.measure(Measure::Psi).unwrap());
        assert_eq!(Calibration::from_toml(&table.to_toml()).unwrap(), table);
    }

    #[test]
    fn heads_that_have_not_changed_do_not_make_a_table() {
        let still: Vec<_> = cases("nose", 0.5, 0.1, 0.0).into_iter().filter(|(.., case)| case.unchanged).collect();
        let made = table(0.02).with_regions("t-2", "", &[], &still);
        assert!(matches!(made, Err(CalibrationError::TooFewHeads { changed: 0, unchanged: 20, .. })), "{made:?}");
    }
}
