//! The net of fine lines that divides skin into little polygons.
//!
//! Each polygon is the neighbourhood of one random centre (a Voronoi cell); a furrow runs where two centres are
//! equally near. Known limit: only centres of the nine nearest lattice cells are looked at, which now and then
//! shortens a furrow by a hair.

use crate::curve::exp;
use crate::field::PATCH_MM;
use crate::stream::Stream;

/// Lattice cells repeated beyond each edge, so that looking around needs no wrapping.
const BORDER: usize = 3;

#[derive(Debug)]
pub(crate) struct Cells {
    /// Size of a lattice cell, mm.
    cell_mm: [f32; 2],
    /// Lattice cells in a row, borders included.
    stride: usize,
    /// The last place, in lattice cells, from which a look around stays inside.
    last: [f32; 2],
    /// One centre per lattice cell, in lattice cells from the border's corner.
    centres: Vec<[f32; 2]>,
}

impl Cells {
    /// A net of about one polygon per cell.
    pub(crate) fn draw(stream: &mut Stream, cell_mm: [f32; 2]) -> Self {
        let columns = (PATCH_MM[0] / cell_mm[0]).round() as usize;
        let rows = (PATCH_MM[1] / cell_mm[1]).round() as usize;
        let inside: Vec<[f32; 2]> =
            (0..columns * rows).map(|_| [stream.between(0.08, 0.92), stream.between(0.08, 0.92)]).collect();
        let (stride, height) = (columns + 2 * BORDER, rows + 2 * BORDER);
        let mut centres = Vec::with_capacity(stride * height);
        for j in 0..height {
            let row = (j + rows - BORDER) % rows * columns;
            for i in 0..stride {
                let [x, y] = inside[row + (i + columns - BORDER) % columns];
                centres.push([i as f32 + x, j as f32 + y]);
            }
        }
        Self {
            cell_mm: [PATCH_MM[0] / columns as f32, PATCH_MM[1] / rows as f32],
            stride,
            last: [(stride - 2) as f32, (height - 2) as f32],
            centres,
        }
    }

    /// How much farther the second-nearest centre is than the nearest, mm: 0 in a furrow. `place` in mm from the
    /// patch's corner.
    pub(crate) fn gap_mm(&self, place: [f32; 2]) -> f32 {
        let x = (place[0] / self.cell_mm[0] + BORDER as f32).clamp(1.0, self.last[0]);
        let y = (place[1] / self.cell_mm[1] + BORDER as f32).clamp(1.0, self.last[1]);
        let corner = (y as usize - 1) * self.stride + x as usize - 1;
        let (mut nearest, mut second) = (f32::MAX, f32::MAX);
        for row in 0..3 {
            for centre in &self.centres[corner + row * self.stride..][..3] {
                let (dx, dy) = (centre[0] - x, centre[1] - y);
                let distance = dx * dx + dy * dy;
                second = second.min(nearest.max(distance));
                nearest = nearest.min(distance);
            }
        }
        (second.sqrt() - nearest.sqrt()) * self.cell_mm[0]
    }

    /// 1 at the bottom of a furrow, 0 on the plateau.
    pub(crate) fn furrow(&self, place: [f32; 2], width_mm: f32) -> f32 {
        let across = self.gap_mm(place) / width_mm;
        exp(-across * across)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Purpose;

    #[test]
    fn furrows_are_few_and_plateaus_many() {
        let cells = Cells::draw(&mut Stream::of_patient(Purpose::Relief, 2), [1.0, 1.0]);
        let places = (0..10_000).map(|k| [0.7 * (k % 100) as f32, 0.5 * (k / 100) as f32]);
        let deep = places.filter(|&place| cells.furrow(place, 0.2) > 0.5).count();
        assert!((800..5_000).contains(&deep), "{deep} of 10000 places lie in a furrow");
    }

    #[test]
    fn places_beyond_the_border_do_no_harm() {
        let cells = Cells::draw(&mut Stream::of_patient(Purpose::Relief, 2), [0.5, 0.5]);
        for place in [[-9.0, -9.0], [90.0, 90.0]] {
            assert!(cells.gap_mm(place).is_finite());
        }
    }
}
