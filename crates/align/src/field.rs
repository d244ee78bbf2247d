//! A smooth displacement on a grid of cells over the fixed image.

/// Displacements in photo pixels at cell centres; between them Catmull-Rom, beyond them linear.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// Side of a cell in photo pixels.
    pub(crate) cell: usize,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Row-major `[x, y]` per cell.
    pub(crate) nodes: Vec<[f64; 2]>,
}

impl Field {
    pub(crate) fn zero(cell: usize, width: usize, height: usize) -> Self {
        let (columns, rows) = (width.div_ceil(cell).max(3), height.div_ceil(cell).max(3));
        Self { cell, columns, rows, nodes: vec![[0.0; 2]; columns * rows] }
    }

    /// Centre of a cell in photo pixels.
    pub(crate) fn centre(&self, column: usize, row: usize) -> [f64; 2] {
        let at = |i: usize| (i as f64 + 0.5) * self.cell as f64 - 0.5;
        [at(column), at(row)]
    }

    /// Index into the nodes of the cell that a place lies in, or of the nearest one.
    pub(crate) fn cell_at(&self, [x, y]: [f64; 2]) -> usize {
        let index = |v: f64, n: usize| (((v + 0.5).max(0.0) / self.cell as f64) as usize).min(n - 1);
        index(y, self.rows) * self.columns + index(x, self.columns)
    }

    /// Cell index (fractional) of a place in the photo.
    fn index(&self, place: f64) -> f64 {
        (place + 0.5) / self.cell as f64 - 0.5
    }

    /// The same displacements on a finer or coarser grid.
    pub(crate) fn regrid(&self, cell: usize, width: usize, height: usize) -> Self {
        let mut out = Self::zero(cell, width, height);
        for row in 0..out.rows {
            for column in 0..out.columns {
                out.nodes[row * out.columns + column] = self.at(out.centre(column, row));
            }
        }
        out
    }

    /// Node by index; outside the grid continued linearly from the edge.
    fn node(&self, column: isize, row: isize) -> [f64; 2] {
        let (c, r) = (column.clamp(0, self.columns as isize - 1), row.clamp(0, self.rows as isize - 1));
        let get = |c: isize, r: isize| self.nodes[r as usize * self.columns + c as usize];
        let edge = get(c, r);
        let (dx, dy) = (column - c, row - r);
        let (beside, above) = (get(c - dx.signum(), r), get(c, r - dy.signum()));
        let (nx, ny) = (dx.abs() as f64, dy.abs() as f64);
        let along = |k: usize| edge[k] + nx * (edge[k] - beside[k]) + ny * (edge[k] - above[k]);
        [along(0), along(1)]
    }

    /// Displacement at a place of the fixed photo.
    pub(crate) fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let limit = |v: f64, n: usize| v.clamp(-1.0, n as f64);
        let (fx, fy) = (limit(self.index(x), self.columns), limit(self.index(y), self.rows));
        let (x0, y0) = (fx.floor(), fy.floor());
        let (wx, wy) = (weights(fx - x0), weights(fy - y0));
        let mut sum = [0.0; 2];
        for (j, wy) in wy.iter().enumerate() {
            for (i, wx) in wx.iter().enumerate() {
                let node = self.node(x0 as isize + i as isize - 1, y0 as isize + j as isize - 1);
                sum[0] += wx * wy * node[0];
                sum[1] += wx * wy * node[1];
            }
        }
        sum
    }
}

fn weights(t: f64) -> [f64; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t + 2.0 * t2 - t3), 0.5 * (2.0 - 5.0 * t2 + 3.0 * t3), 0.5 * (t + 4.0 * t2 - 3.0 * t3), 0.5 * (t3 - t2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_affine_field_is_kept_inside_beyond_the_edge_and_by_regridding() {
        let mut field = Field::zero(32, 640, 480);
        let truth = |[x, y]: [f64; 2]| [0.01 * x - 0.02 * y + 3.0, 0.03 * y];
        for row in 0..field.rows {
            for column in 0..field.columns {
                let centre = field.centre(column, row);
                field.nodes[row * field.columns + column] = truth(centre);
            }
        }
        for place in [[100.0, 200.0], [0.0, 240.0], [320.0, 479.0], [15.5, 15.5], [639.0, 300.0]] {
            for f in [&field, &field.regrid(16, 640, 480)] {
                let (a, b) = (f.at(place), truth(place));
                assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 1e-6, "{place:?}: {a:?} {b:?}");
            }
        }
    }
}
