//! Smooth random fields without a seam: normal numbers on a coarse lattice, joined by cubic B-splines.

use crate::blur::add_scaled;
use crate::field::{COLUMNS, Field, PATCH_MM, ROWS};
use crate::stream::Stream;

/// A random field whose lumps are about two cells wide; mean 0, root mean square 1.
///
/// `cell_mm` should not be below two samples of the patch.
pub(crate) fn smooth(stream: &mut Stream, cell_mm: f32) -> Field {
    let [columns, rows] = PATCH_MM.map(|side| ((side / cell_mm).round() as usize).max(4));
    let lattice: Vec<f32> = (0..columns * rows).map(|_| stream.normal()).collect();
    let across: Vec<Taps> = (0..COLUMNS).map(|x| Taps::at(x, COLUMNS, columns)).collect();
    let mut line = vec![0.0; columns];
    let mut field = Field::filled(0.0);
    for (y, row) in field.rows_mut().enumerate() {
        let down = Taps::at(y, ROWS, rows);
        line.fill(0.0);
        for (&node, &weight) in down.index.iter().zip(&down.weight) {
            add_scaled(&mut line, &lattice[node * columns..][..columns], weight);
        }
        for (sample, taps) in row.iter_mut().zip(&across) {
            *sample = taps.of(&line);
        }
    }
    field.standardised()
}

/// The four lattice nodes around a sample with their B-spline weights.
#[derive(Debug)]
struct Taps {
    index: [usize; 4],
    weight: [f32; 4],
}

impl Taps {
    fn at(sample: usize, samples: usize, nodes: usize) -> Self {
        let place = sample as f32 * nodes as f32 / samples as f32;
        let node = place as usize;
        let f = place - node as f32;
        let g = 1.0 - f;
        let weight = [g * g * g, 3.0 * f * f * f - 6.0 * f * f + 4.0, 3.0 * g * g * g - 6.0 * g * g + 4.0, f * f * f];
        Self {
            index: [nodes - 1, nodes, nodes + 1, nodes + 2].map(|k| (node + k) % nodes),
            weight: weight.map(|w| w / 6.0),
        }
    }

    fn of(&self, line: &[f32]) -> f32 {
        let tap = |k: usize| self.weight[k] * line[self.index[k]];
        tap(0) + tap(1) + tap(2) + tap(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Purpose;

    #[test]
    fn the_field_has_no_seam() {
        let field = smooth(&mut Stream::of_patient(Purpose::Relief, 3), 2.0);
        let steps = |row: &[f32]| (row[0] - row[COLUMNS - 1]).abs();
        let largest = field.rows().map(steps).fold(0.0, f32::max);
        assert!(largest < 0.3, "the row jumps by {largest} at its end");
    }

    #[test]
    fn spline_weights_sum_to_one() {
        for sample in [0, 1, 17, 500] {
            let taps = Taps::at(sample, COLUMNS, 37);
            assert!((taps.weight.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}
