//! A quantity sampled over the patch of skin: heights, depths, pigments.
//!
//! All fields share one lattice, 72 × 54 mm at 1/16 mm, with the patch's centre in the middle. The lattice closes
//! on itself: left of the left edge lies the right edge. So a photo that looks beyond the patch still sees skin,
//! and no blur or gradient has a border to care for. Scars keep to the centre, so none is seen twice.

use std::fmt;
use std::ops::RangeInclusive;
use std::slice::{ChunksExact, ChunksExactMut};

use crate::blur::{add_scaled, kernel};
use crate::curve::exp;

/// Distance of two samples, mm.
pub(crate) const PITCH_MM: f32 = 0.0625;
pub(crate) const COLUMNS: usize = 1152;
pub(crate) const ROWS: usize = 864;
/// Width and height after which the skin repeats, mm.
pub(crate) const PATCH_MM: [f32; 2] = [COLUMNS as f32 * PITCH_MM, ROWS as f32 * PITCH_MM];

#[derive(Clone)]
pub(crate) struct Field {
    samples: Vec<f32>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").finish_non_exhaustive()
    }
}

impl Field {
    pub(crate) fn filled(value: f32) -> Self {
        Self { samples: vec![value; COLUMNS * ROWS] }
    }

    pub(crate) fn row(&self, y: usize) -> &[f32] {
        &self.samples[y * COLUMNS..][..COLUMNS]
    }

    pub(crate) fn rows(&self) -> ChunksExact<'_, f32> {
        self.samples.chunks_exact(COLUMNS)
    }

    pub(crate) fn rows_mut(&mut self) -> ChunksExactMut<'_, f32> {
        self.samples.chunks_exact_mut(COLUMNS)
    }

    pub(crate) fn mapped(mut self, function: impl Fn(f32) -> f32) -> Self {
        for sample in &mut self.samples {
            *sample = function(*sample);
        }
        self
    }

    /// self += gain · other
    pub(crate) fn mix_in(&mut self, other: &Field, gain: f32) {
        add_scaled(&mut self.samples, &other.samples, gain);
    }

    /// self ·= 1 + amount · other, not below zero
    pub(crate) fn modulate(&mut self, other: &Field, amount: f32) {
        for (sample, &by) in self.samples.iter_mut().zip(&other.samples) {
            *sample *= (1.0 + amount * by).max(0.0);
        }
    }

    /// Shifted and scaled to mean 0 and root mean square 1.
    pub(crate) fn standardised(self) -> Self {
        let count = self.samples.len() as f64;
        let mean = self.samples.iter().map(|&s| f64::from(s)).sum::<f64>() / count;
        let spread = |&s: &f32| (f64::from(s) - mean) * (f64::from(s) - mean);
        let variance = self.samples.iter().map(spread).sum::<f64>() / count;
        let scale = (1.0 / variance.sqrt().max(1e-12)) as f32;
        let mean = mean as f32;
        self.mapped(|s| (s - mean) * scale)
    }

    /// Area on which the field exceeds `threshold`, mm².
    pub(crate) fn area_above_mm2(&self, threshold: f32) -> f64 {
        let count = self.samples.iter().filter(|&&s| s > threshold).count();
        count as f64 * f64::from(PITCH_MM * PITCH_MM)
    }

    /// Adds `shape(dx, dy)` to the samples within `reach_mm` of a place; dx and dy in mm from it.
    pub(crate) fn stamp(&mut self, centre_mm: [f32; 2], reach_mm: f32, mut shape: impl FnMut(f32, f32) -> f32) {
        for y in span(centre_mm[1], reach_mm) {
            let row = wrapped(y, ROWS) * COLUMNS;
            let dy = y as f32 * PITCH_MM - centre_mm[1];
            for x in span(centre_mm[0], reach_mm) {
                let dx = x as f32 * PITCH_MM - centre_mm[0];
                self.samples[row + wrapped(x, COLUMNS)] += shape(dx, dy);
            }
        }
    }

    /// Adds a round bump of deviation `sigma_mm`.
    pub(crate) fn stamp_bump(&mut self, centre_mm: [f32; 2], sigma_mm: f32, peak: f32) {
        let steepness = -0.5 / (sigma_mm * sigma_mm);
        self.stamp(centre_mm, 3.2 * sigma_mm, |dx, dy| peak * exp(steepness * (dx * dx + dy * dy)));
    }

    pub(crate) fn blurred(&self, sigma_mm: f32) -> Field {
        let weights = kernel(sigma_mm / PITCH_MM);
        self.blurred_across(&weights).blurred_down(&weights)
    }

    fn blurred_across(&self, weights: &[f32]) -> Field {
        let reach = weights.len() / 2;
        let mut padded = vec![0.0; COLUMNS + 2 * reach];
        let mut out = Field::filled(0.0);
        for (source, target) in self.rows().zip(out.rows_mut()) {
            padded[..reach].copy_from_slice(&source[COLUMNS - reach..]);
            padded[reach..reach + COLUMNS].copy_from_slice(source);
            padded[reach + COLUMNS..].copy_from_slice(&source[..reach]);
            for (tap, &weight) in weights.iter().enumerate() {
                add_scaled(target, &padded[tap..tap + COLUMNS], weight);
            }
        }
        out
    }

    fn blurred_down(&self, weights: &[f32]) -> Field {
        let reach = weights.len() / 2;
        let mut out = Field::filled(0.0);
        for (y, target) in out.rows_mut().enumerate() {
            for (tap, &weight) in weights.iter().enumerate() {
                add_scaled(target, self.row((y + ROWS + tap - reach) % ROWS), weight);
            }
        }
        out
    }

    pub(crate) fn sample(&self, spot: &Spot) -> f32 {
        let corner = |k: usize| spot.weight[k] * self.samples[spot.index[k]];
        corner(0) + corner(1) + corner(2) + corner(3)
    }
}

/// Sample numbers, counted from the patch's centre, within `reach_mm` of a coordinate.
fn span(centre_mm: f32, reach_mm: f32) -> RangeInclusive<i32> {
    let first = ((centre_mm - reach_mm) / PITCH_MM).ceil() as i32;
    let last = ((centre_mm + reach_mm) / PITCH_MM).floor() as i32;
    first..=last
}

fn wrapped(from_centre: i32, length: usize) -> usize {
    let length = length as i32;
    (from_centre + length / 2).rem_euclid(length) as usize
}

/// The four samples around a place, with their bilinear weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) index: [usize; 4],
    pub(crate) weight: [f32; 4],
}

impl Spot {
    /// `place` in mm from the patch's centre, at most three patches away.
    pub(crate) fn at(place: [f32; 2]) -> Self {
        // Half a patch brings the centre to the corner, three whole ones keep the number positive.
        let x = place[0] / PITCH_MM + 3.5 * COLUMNS as f32;
        let y = place[1] / PITCH_MM + 3.5 * ROWS as f32;
        let (left, top) = (x as usize, y as usize);
        let (fx, fy) = (x - left as f32, y - top as f32);
        let (left, right) = (left % COLUMNS, (left + 1) % COLUMNS);
        let (top, bottom) = (top % ROWS * COLUMNS, (top + 1) % ROWS * COLUMNS);
        Self {
            index: [top + left, top + right, bottom + left, bottom + right],
            weight: [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(field: &Field) -> f64 {
        field.rows().flatten().map(|&s| f64::from(s)).sum()
    }

    #[test]
    fn a_bump_is_found_where_it_was_stamped() {
        let mut field = Field::filled(0.0);
        field.stamp_bump([10.0, -7.5], 0.5, 2.0);
        assert!((field.sample(&Spot::at([10.0, -7.5])) - 2.0).abs() < 1e-4);
        assert!(field.sample(&Spot::at([13.0, -7.5])).abs() < 1e-4);
    }

    #[test]
    fn blurring_keeps_the_sum_across_the_edges() {
        let mut field = Field::filled(0.0);
        field.stamp_bump([PATCH_MM[0] / 2.0, PATCH_MM[1] / 2.0], 0.4, 1.0);
        let (before, after) = (sum(&field), sum(&field.blurred(0.5)));
        assert!((after / before - 1.0).abs() < 1e-3, "{before} became {after}");
    }

    #[test]
    fn the_skin_repeats_beyond_the_patch() {
        let mut field = Field::filled(0.0);
        field.stamp_bump([3.0, 2.0], 0.7, 1.0);
        let here = field.sample(&Spot::at([3.1, 2.2]));
        let there = field.sample(&Spot::at([3.1 - PATCH_MM[0], 2.2 + PATCH_MM[1]]));
        assert!((here - there).abs() < 1e-3);
    }
}
