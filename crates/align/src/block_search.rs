//! One pass over a level: where does each cell of the fixed image match best in the moving one, and how surely?

use cicatrix_photo::{Plane, gaussian};

use crate::field::Field;
use crate::prepared::{Level, to_level, to_photo};
use crate::registration::Map;
use crate::solve::Precision2;

/// Side of a cell in pixels of the level.
pub(crate) const CELL: usize = 16;
/// Neighbours speak with each cell: σ of the weighting in cells.
const POOL: f32 = 1.0;
/// Pixels of the level between two evaluations of the map.
const STEP: usize = 8;
/// A peak below this is no match.
const LOWEST_PEAK: f32 = 0.25;
/// Precision above this (1/px² of the level) is not believed.
const HIGHEST_PRECISION: f64 = 4.0e3;

/// What the search says of each cell.
pub(crate) struct Matches {
    /// Shift in level pixels to add to the field.
    pub(crate) shift: Vec<[f64; 2]>,
    pub(crate) precision: Vec<Precision2>,
    /// Height of the correlation peak, −1 to 1; 0 where the cell lies outside the moving image.
    pub(crate) peak: Vec<f32>,
    /// Share of the cell that lies inside the moving image.
    pub(crate) inside: Vec<f32>,
}

/// The moving level laid over the fixed one by the present map; 0 outside.
pub(crate) fn warp(fixed: &Level, moving: &Level, map: &Map<'_>) -> (Plane, Plane) {
    let (width, height) = (fixed.normalized.width, fixed.normalized.height);
    let mut warped = Plane::filled(width, height, 0.0);
    let mut inside = Plane::filled(width, height, 0.0);
    let places = LevelPlaces::new(map, fixed.factor, moving.factor, width, height);
    let mut row = vec![[0.0f32; 2]; width];
    pulp::Arch::new().dispatch(|| {
        for y in 0..height {
            places.row(y, &mut row);
            let targets = warped.row_mut(y).iter_mut().zip(inside.row_mut(y));
            for (&[sx, sy], (value, inside)) in row.iter().zip(targets) {
                if let Some(sampled) = moving.normalized.sample(sx, sy) {
                    (*value, *inside) = (sampled, 1.0);
                }
            }
        }
    });
    (warped, inside)
}

/// The map tabulated on a coarse lattice and interpolated linearly: exact to some 4e-3 px, as the field is smooth.
struct LevelPlaces {
    columns: usize,
    nodes: Vec<[f32; 2]>,
}

impl LevelPlaces {
    fn new(map: &Map<'_>, fixed: usize, moving: usize, width: usize, height: usize) -> Self {
        let (columns, rows) = (width / STEP + 2, height / STEP + 2);
        let mut nodes = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let place = [to_photo((column * STEP) as f64, fixed), to_photo((row * STEP) as f64, fixed)];
                let [x, y] = map.apply(place);
                nodes.push([to_level(x, moving) as f32, to_level(y, moving) as f32]);
            }
        }
        Self { columns, nodes }
    }

    #[inline(always)]
    fn row(&self, y: usize, out: &mut [[f32; 2]]) {
        let (top, fy) = (y / STEP, (y % STEP) as f32 / STEP as f32);
        let (above, below) = (&self.nodes[top * self.columns..], &self.nodes[(top + 1) * self.columns..]);
        for (x, place) in out.iter_mut().enumerate() {
            let (left, fx) = (x / STEP, (x % STEP) as f32 / STEP as f32);
            for k in 0..2 {
                let a = above[left][k] + fx * (above[left + 1][k] - above[left][k]);
                let b = below[left][k] + fx * (below[left + 1][k] - below[left][k]);
                place[k] = a + fy * (b - a);
            }
        }
    }
}

/// Searches shifts of up to `radius` level pixels around the present map.
pub(crate) fn search(fixed: &Level, warped: &Plane, inside: &Plane, field: &Field, radius: usize) -> Matches {
    let cells = Cells { columns: field.columns, rows: field.rows };
    let share = cells.squares(inside, 0).remove(0);
    let masked = fixed.normalized.zip(inside, |f, i| f * i);
    let energy = gaussian(&cells.squares(&masked, 0)[0], POOL);
    let (products, squares) = (cells.products(&masked, warped, radius), cells.squares(warped, radius));
    let correlate = |(product, square): (&Plane, &Plane)| {
        let (product, own) = (gaussian(product, POOL), gaussian(square, POOL));
        let rho = |i: usize| product.data[i] / (energy.data[i] * own.data[i] + 1e-6).sqrt();
        (0..energy.data.len()).map(rho).collect::<Vec<f32>>()
    };
    let correlation: Vec<Vec<f32>> = products.iter().zip(&squares).map(correlate).collect();
    peaks(&correlation, radius, &share)
}

/// All whole shifts `[dx, dy]` of up to `radius`, row by row.
fn shifts(radius: usize) -> impl Iterator<Item = [isize; 2]> {
    let radius = radius as isize;
    (-radius..=radius).flat_map(move |dy| (-radius..=radius).map(move |dx| [dx, dy]))
}

struct Cells {
    columns: usize,
    rows: usize,
}

impl Cells {
    /// Mean over each cell of `a(x, y) · b(x + dx, y + dy)` for each shift; outside `b` counts as 0. One row of cells at a
    /// time for all shifts, so that its pixels are read from near.
    fn products(&self, a: &Plane, b: &Plane, radius: usize) -> Vec<Plane> {
        let mut out = self.planes(radius);
        let mut sums = vec![0.0f32; self.columns * CELL];
        pulp::Arch::new().dispatch(|| {
            for row in 0..self.rows {
                for (plane, shift) in out.iter_mut().zip(shifts(radius)) {
                    sums.fill(0.0);
                    add_products(a, b, row, shift, &mut sums);
                    for (cell, sums) in plane.row_mut(row).iter_mut().zip(sums.chunks_exact(CELL)) {
                        *cell = sums.iter().sum::<f32>() / (CELL * CELL) as f32;
                    }
                }
            }
        });
        out
    }

    /// Mean over each cell of `b(x + dx, y + dy)²` for each shift; outside counts as 0. Columns are added up once for each
    /// `dy`, and every `dx` is a difference of two running sums.
    fn squares(&self, b: &Plane, radius: usize) -> Vec<Plane> {
        let mut out = self.planes(radius);
        let span = 2 * radius + 1;
        let mut sums = vec![0.0f32; b.width];
        let mut running = vec![0.0f64; b.width + 1];
        pulp::Arch::new().dispatch(|| {
            for row in 0..self.rows {
                for (planes, dy) in out.chunks_exact_mut(span).zip(-(radius as isize)..) {
                    sums.fill(0.0);
                    let rows = (row * CELL..((row + 1) * CELL).min(b.height)).map(|y| y as isize + dy);
                    for y in rows.filter(|y| (0..b.height as isize).contains(y)) {
                        for (sum, v) in sums.iter_mut().zip(b.row(y as usize)) {
                            *sum += v * v;
                        }
                    }
                    for (x, sum) in sums.iter().enumerate() {
                        running[x + 1] = running[x] + f64::from(*sum);
                    }
                    for (plane, dx) in planes.iter_mut().zip(-(radius as isize)..) {
                        let at = |column: usize| (column * CELL).min(b.width).saturating_add_signed(dx).min(b.width);
                        for (column, cell) in plane.row_mut(row).iter_mut().enumerate() {
                            *cell = ((running[at(column + 1)] - running[at(column)]) / (CELL * CELL) as f64) as f32;
                        }
                    }
                }
            }
        });
        out
    }

    /// One plane of cells for each shift.
    fn planes(&self, radius: usize) -> Vec<Plane> {
        vec![Plane::filled(self.columns, self.rows, 0.0); (2 * radius + 1).pow(2)]
    }
}

/// Adds up the products of a row of cells, column by column.
#[inline(always)]
fn add_products(a: &Plane, b: &Plane, row: usize, [dx, dy]: [isize; 2], sums: &mut [f32]) {
    let (w, h) = (a.width, a.height);
    let from = (-dx).max(0) as usize;
    let to = (w as isize - dx.max(0)).max(from as isize) as usize;
    for y in row * CELL..((row + 1) * CELL).min(h) {
        let sy = y as isize + dy;
        if sy < 0 || sy >= h as isize {
            continue;
        }
        let a = &a.row(y)[from..to];
        let b = &b.row(sy as usize)[(from as isize + dx) as usize..(to as isize + dx) as usize];
        for ((sum, a), b) in sums[from..to].iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
}

/// Peak of each cell with a full quadratic through its 3×3 neighbourhood.
fn peaks(correlation: &[Vec<f32>], radius: usize, share: &Plane) -> Matches {
    let span = 2 * radius + 1;
    let n = share.data.len();
    let mut out = Matches {
        shift: vec![[0.0; 2]; n],
        precision: vec![[0.0; 3]; n],
        peak: vec![0.0; n],
        inside: share.data.clone(),
    };
    for (i, &inside) in share.data.iter().enumerate() {
        let at = |jy: usize, jx: usize| correlation[jy * span + jx][i];
        let (mut best, mut jy, mut jx) = (f32::MIN, 0, 0);
        for y in 0..span {
            for x in 0..span {
                if at(y, x) > best {
                    (best, jy, jx) = (at(y, x), y, x);
                }
            }
        }
        if inside < 0.5 {
            continue;
        }
        out.peak[i] = best;
        let edge = jy == 0 || jx == 0 || jy == span - 1 || jx == span - 1;
        let (cy, cx) = (jy.clamp(1, span - 2), jx.clamp(1, span - 2));
        let around = |dy: isize, dx: isize| f64::from(at(cy.wrapping_add_signed(dy), cx.wrapping_add_signed(dx)));
        let (offset, hessian) = quadratic_peak(around);
        let shift = |j: usize, o: f64| j as f64 - radius as f64 + o;
        out.shift[i] = [shift(cx, offset[0]), shift(cy, offset[1])];
        if best > LOWEST_PEAK && !edge {
            out.precision[i] = precision(best, inside, hessian);
        }
    }
    out
}

/// Offset of the maximum and the Hessian `[xx, xy, yy]` (negative definite) of a 3×3 neighbourhood.
fn quadratic_peak(at: impl Fn(isize, isize) -> f64) -> ([f64; 2], [f64; 3]) {
    let centre = at(0, 0);
    let gradient = [(at(0, 1) - at(0, -1)) / 2.0, (at(1, 0) - at(-1, 0)) / 2.0];
    let xx = (at(0, 1) - 2.0 * centre + at(0, -1)).min(-1e-3);
    let yy = (at(1, 0) - 2.0 * centre + at(-1, 0)).min(-1e-3);
    let limit = 0.9 * (xx * yy).sqrt();
    let xy = ((at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4.0).clamp(-limit, limit);
    let det = xx * yy - xy * xy;
    let dx = -(yy * gradient[0] - xy * gradient[1]) / det;
    let dy = -(xx * gradient[1] - xy * gradient[0]) / det;
    ([dx.clamp(-1.0, 1.0), dy.clamp(-1.0, 1.0)], [xx, xy, yy])
}

/// `A = −∇²ρ · ρ/(1−ρ²) · n_eff`, n_eff the independent samples that a pooled cell holds.
fn precision(peak: f32, inside: f32, hessian: [f64; 3]) -> Precision2 {
    let rho = f64::from(peak).clamp(0.0, 0.98);
    let independent = (CELL as f64 * 2.5).powi(2) / 8.0;
    let gain = rho / (1.0 - rho * rho) * independent * f64::from(inside);
    let scale = (HIGHEST_PRECISION / (gain * hessian[0].abs().max(hessian[2].abs()))).min(1.0);
    hessian.map(|h| -h * gain * scale)
}
