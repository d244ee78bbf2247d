//! Maximum-a-posteriori field: cells that were measured pull with their precision, a curvature prior does the rest.
//!
//! Minimises `Σ_c w_c (u_c − û_c)ᵀ A_c (u_c − û_c) + Σ |D²u|² / τ² + a Σ |u − u₀|²` with Tukey weights `w` on the Mahalanobis residual,
//! so that cells whose skin changed, or whose match is wrong, lose their vote. Solved by conjugate gradients with a
//! block-Jacobi preconditioner, in a fixed order: the same input gives the same bits.

/// Symmetric 2×2 precision `[xx, xy, yy]` of a cell's measurement, 1/px².
pub(crate) type Precision2 = [f64; 3];

/// Tukey cut in units of the median Mahalanobis distance.
const CUT: f64 = 6.0;
const MAX_STEPS: usize = 160;
/// How far each round goes; the later ones begin near their end.
const TOLERANCES: [f64; 3] = [1e-3, 1e-2, 1e-2];

pub(crate) struct Solution {
    pub(crate) nodes: Vec<[f64; 2]>,
    /// Tukey weight of each cell, 0 to 1.
    pub(crate) weights: Vec<f64>,
}

/// Solves for the field. `measured` in the same unit as `tau` (curvature per cell²); `anchor`
/// is the precision with which every node is held at `start`, where the search begins.
pub(crate) fn solve(
    columns: usize,
    measured: &[[f64; 2]],
    precision: &[Precision2],
    tau: f64,
    anchor: f64,
    start: &[[f64; 2]],
) -> Solution {
    let mut weights = vec![1.0; measured.len()];
    let mut nodes = start.to_vec();
    for tolerance in TOLERANCES {
        let system = System { columns, precision, weights: &weights, smooth: 1.0 / (tau * tau), anchor };
        system.conjugate_gradients(measured, start, tolerance, &mut nodes);
        weights = tukey(measured, precision, &nodes);
    }
    Solution { nodes, weights }
}

fn tukey(measured: &[[f64; 2]], precision: &[Precision2], nodes: &[[f64; 2]]) -> Vec<f64> {
    let distance = |i: usize| {
        let e = [measured[i][0] - nodes[i][0], measured[i][1] - nodes[i][1]];
        let a = precision[i];
        a[0] * e[0] * e[0] + 2.0 * a[1] * e[0] * e[1] + a[2] * e[1] * e[1]
    };
    let all: Vec<f64> = (0..measured.len()).map(distance).collect();
    let mut known: Vec<f64> = (0..all.len()).filter(|&i| precision[i][0] > 0.0).map(|i| all[i]).collect();
    known.sort_by(f64::total_cmp);
    let median = known.get(known.len() / 2).copied().unwrap_or(1.0);
    let cut = CUT * CUT * median.max(1.0);
    all.into_iter().map(|d| if d < cut { (1.0 - d / cut).powi(2) } else { 0.0 }).collect()
}

struct System<'a> {
    columns: usize,
    precision: &'a [Precision2],
    weights: &'a [f64],
    smooth: f64,
    /// Precision with which every node is held where it began, 1/px².
    anchor: f64,
}

impl System<'_> {
    /// Applies the data and the curvature term.
    fn apply(&self, u: &[[f64; 2]], out: &mut [[f64; 2]]) {
        for (i, (o, v)) in out.iter_mut().zip(u).enumerate() {
            let (a, w) = (self.precision[i], self.weights[i]);
            o[0] = w * (a[0] * v[0] + a[1] * v[1]) + (self.anchor + 1e-9) * v[0];
            o[1] = w * (a[1] * v[0] + a[2] * v[1]) + (self.anchor + 1e-9) * v[1];
        }
        for (u, out) in u.chunks_exact(self.columns).zip(out.chunks_exact_mut(self.columns)) {
            self.along_row(u, out);
        }
        let w = self.columns;
        for y in 0..u.len() / w {
            let above = &u[y * w..];
            if above.len() >= 3 * w {
                self.down_columns(above, &mut out[y * w..]);
            }
            if above.len() >= 2 * w {
                self.mixed(above, &mut out[y * w..]);
            }
        }
    }

    fn along_row(&self, u: &[[f64; 2]], out: &mut [[f64; 2]]) {
        for x in 1..u.len() - 1 {
            for k in 0..2 {
                let d = self.smooth * (u[x - 1][k] - 2.0 * u[x][k] + u[x + 1][k]);
                out[x - 1][k] += d;
                out[x][k] -= 2.0 * d;
                out[x + 1][k] += d;
            }
        }
    }

    /// Second differences over three rows.
    fn down_columns(&self, u: &[[f64; 2]], out: &mut [[f64; 2]]) {
        let w = self.columns;
        let (out0, rest) = out.split_at_mut(w);
        let (out1, out2) = rest.split_at_mut(w);
        let (u0, u1, u2) = (&u[..w], &u[w..2 * w], &u[2 * w..3 * w]);
        for x in 0..w {
            for k in 0..2 {
                let d = self.smooth * (u0[x][k] - 2.0 * u1[x][k] + u2[x][k]);
                out0[x][k] += d;
                out1[x][k] -= 2.0 * d;
                out2[x][k] += d;
            }
        }
    }

    /// Mixed differences over two rows.
    fn mixed(&self, u: &[[f64; 2]], out: &mut [[f64; 2]]) {
        let w = self.columns;
        let (out0, out1) = out.split_at_mut(w);
        let (u0, u1) = (&u[..w], &u[w..2 * w]);
        for x in 0..w - 1 {
            for k in 0..2 {
                let d = 2.0 * self.smooth * (u0[x][k] - u0[x + 1][k] - u1[x][k] + u1[x + 1][k]);
                out0[x][k] += d;
                out0[x + 1][k] -= d;
                out1[x][k] -= d;
                out1[x + 1][k] += d;
            }
        }
    }

    /// Inverse of the 2×2 block on the diagonal; the curvature term has 20 there inside the grid.
    fn precondition(&self, r: &[[f64; 2]], out: &mut [[f64; 2]]) {
        for (i, (o, v)) in out.iter_mut().zip(r).enumerate() {
            let (a, w) = (self.precision[i], self.weights[i]);
            let base = 20.0 * self.smooth + self.anchor + 1e-9;
            let (xx, xy, yy) = (w * a[0] + base, w * a[1], w * a[2] + base);
            let det = xx * yy - xy * xy;
            *o = [(yy * v[0] - xy * v[1]) / det, (xx * v[1] - xy * v[0]) / det];
        }
    }

    /// Goes on until the residual is this part of the first one.
    fn conjugate_gradients(&self, measured: &[[f64; 2]], start: &[[f64; 2]], tolerance: f64, u: &mut [[f64; 2]]) {
        let n = u.len();
        let mut ap = vec![[0.0; 2]; n];
        self.apply(u, &mut ap);
        let mut r: Vec<[f64; 2]> = (0..n)
            .map(|i| {
                let (a, w, m) = (self.precision[i], self.weights[i], measured[i]);
                let b = [w * (a[0] * m[0] + a[1] * m[1]), w * (a[1] * m[0] + a[2] * m[1])];
                let held = start[i].map(|v| self.anchor * v);
                [b[0] + held[0] - ap[i][0], b[1] + held[1] - ap[i][1]]
            })
            .collect();
        let mut z = vec![[0.0; 2]; n];
        self.precondition(&r, &mut z);
        let mut p = z.clone();
        let mut rz = dot(&r, &z);
        let goal = rz * tolerance * tolerance;
        for _ in 0..MAX_STEPS {
            if rz <= goal || rz <= 1e-18 {
                break;
            }
            self.apply(&p, &mut ap);
            let step = rz / dot(&p, &ap);
            add(u, step, &p);
            add(&mut r, -step, &ap);
            self.precondition(&r, &mut z);
            let next = dot(&r, &z);
            let keep = next / rz;
            for (p, z) in p.iter_mut().zip(&z) {
                *p = [z[0] + keep * p[0], z[1] + keep * p[1]];
            }
            rz = next;
        }
    }
}

fn dot(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a[0] * b[0] + a[1] * b[1]).sum()
}

fn add(target: &mut [[f64; 2]], step: f64, direction: &[[f64; 2]]) {
    for (t, d) in target.iter_mut().zip(direction) {
        *t = [t[0] + step * d[0], t[1] + step * d[1]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_lose_their_vote_and_gaps_are_filled() {
        let (columns, rows) = (24, 18);
        let truth = |i: usize| [0.1 * (i % columns) as f64, -0.05 * (i / columns) as f64 + 1.0];
        let mut measured: Vec<[f64; 2]> = (0..columns * rows).map(truth).collect();
        let mut precision = vec![[100.0, 0.0, 100.0]; measured.len()];
        for i in (0..measured.len()).step_by(11) {
            measured[i] = [measured[i][0] + 5.0, measured[i][1] - 4.0];
        }
        for (i, a) in precision.iter_mut().enumerate() {
            if i % columns > 15 && i / columns > 10 {
                *a = [0.0; 3];
            }
        }
        let solution = solve(columns, &measured, &precision, 0.2, 0.0, &vec![[0.0; 2]; measured.len()]);
        let worst = (0..measured.len())
            .map(|i| (solution.nodes[i][0] - truth(i)[0]).hypot(solution.nodes[i][1] - truth(i)[1]))
            .fold(0.0, f64::max);
        assert!(worst < 0.1, "{worst}");
        assert!(solution.weights[0] < 0.01);
    }
}
