//! How sure the map is at each cell: the probability that it is off by less than one pixel of the fixed photo.
//!
//! What a cell and its neighbours measured gives seven numbers, and a logistic model makes a probability of them. It was
//! fitted on rendered pairs with known truth (seeds below 1000 of `tests/bench/align`), so it is a calibration, not a
//! derivation: the covariance of the solve does not know of light or skin that has changed coherently.

use cicatrix_photo::{Plane, gaussian, masked_gaussian};

use crate::block_search::Matches;
use crate::field::Field;
use crate::prepared::Level;

/// Neighbours that speak for a cell: σ in cells.
const REACH: f32 = 1.5;
/// Distances beyond this count as this, px.
const FARTHEST: f32 = 8.0;
/// Distances below this are no better than it, px.
const NEAREST: f32 = 0.02;
const FEATURES: usize = 7;
/// Mean vote around a cell from which the model is taken at its word.
const ENOUGH_VOTES: f32 = 0.7;

/// Coefficients of the logistic model, constant first: for the finest level and for those before it.
const FINEST: [f32; FEATURES + 1] = [-21.019, 1.210, 11.473, -0.973, -0.983, -3.082, 23.586, 0.832];
const COARSER: [f32; FEATURES + 1] = [3.874, 1.733, 11.745, -0.632, -8.417, -3.213, -5.201, -0.406];

/// The evidence of each cell.
pub(crate) struct Evidence {
    finest: bool,
    cells: Vec<[f32; FEATURES]>,
    /// Mean vote around each cell, at this level or at one before it, whichever is more.
    support: Vec<f32>,
    inside: Vec<f32>,
}

impl Evidence {
    /// `distance` in px of the photo from the field of what each cell measured, `weights` their Tukey weights; the
    /// level moved the field from `begin` to `end`. `before` is the evidence of the level before it, with its field.
    pub(crate) fn new(
        before: Option<(&Evidence, &Field)>,
        level: &Level,
        matches: &Matches,
        distance: &[f64],
        weights: &[f64],
        begin: &Field,
        end: &Field,
    ) -> Self {
        let plane = |f: &dyn Fn(usize) -> f32| {
            let data = (0..end.nodes.len()).map(f).collect();
            Plane { width: end.columns, height: end.rows, data }
        };
        let measured = |i: usize| matches.precision[i][0] > 0.0;
        let vote = |i: usize| if measured(i) { weights[i] } else { 0.0 };
        let moved = |i: usize| {
            let (a, b) = (begin.nodes[i], end.nodes[i]);
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        let px = |v: f64| (v as f32).min(FARTHEST);
        let ln = |v: f32| (v + NEAREST).ln();
        let inside = plane(&|i| matches.inside[i]);
        let known = plane(&|i| f32::from(u8::from(measured(i))));
        let around = |f: &dyn Fn(usize) -> f32| masked_gaussian(&plane(f), &inside, REACH);

        let precision = plane(&|i| (vote(i) * (matches.precision[i][0] + matches.precision[i][2]) / 2.0) as f32);
        let precision = gaussian(&precision, REACH);
        let correlation = around(&|i| matches.peak[i]);
        let distances = masked_gaussian(&plane(&|i| px(distance[i])), &known, REACH);
        let voted = around(&|i| vote(i) as f32);
        let moves = around(&|i| px(moved(i)));
        let all = 0..end.nodes.len();
        let whole = median(all.clone().filter(|&i| matches.inside[i] > 0.9).map(|i| matches.peak[i]));
        let typical = ln(median(all.clone().filter(|&i| measured(i)).map(|i| distance[i] as f32)));
        let cells = all.map(|i| {
            let ln_sigma = (level.factor as f32 / (precision.data[i] + 1e-3).sqrt()).ln();
            let (distance, moved) = (ln(distances.data[i]), ln(moves.data[i]));
            [ln_sigma, correlation.data[i], distance, voted.data[i], moved, whole, typical]
        });
        let support = (0..end.nodes.len()).map(|i| {
            let earlier = before.map_or(0.0, |(evidence, field)| {
                evidence.support[field.cell_at(end.centre(i % end.columns, i / end.columns))]
            });
            voted.data[i].max(earlier)
        });
        let support = support.collect();
        Self { finest: level.rank == 0, cells: cells.collect(), support, inside: matches.inside.clone() }
    }

    /// Probability per cell; 0 outside the moving photo.
    pub(crate) fn confidence(&self) -> Vec<f32> {
        let model = if self.finest { &FINEST } else { &COARSER };
        let probability = |(features, support): (&[f32; FEATURES], &f32)| {
            let logit = model[0] + model[1..].iter().zip(features).map(|(b, x)| b * x).sum::<f32>();
            // The model was fitted where skin is seen. Where hardly a cell voted at any level, under a hand or on other
            // skin, the field is only a guess from around.
            (support / ENOUGH_VOTES).min(1.0) / (1.0 + (-logit).exp())
        };
        let cells = self.cells.iter().zip(&self.support).zip(&self.inside);
        cells.map(|(cell, &inside)| if inside > 0.0 { probability(cell) } else { 0.0 }).collect()
    }

    /// Mean over the cells that lie in both photos.
    pub(crate) fn mean_confidence(&self) -> f32 {
        let both = self.confidence().into_iter().zip(&self.inside).filter(|(_, inside)| **inside > 0.9);
        let (sum, n) = both.fold((0.0, 0), |(sum, n), (c, _)| (sum + c, n + 1));
        if n == 0 { 0.0 } else { sum / n as f32 }
    }
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
