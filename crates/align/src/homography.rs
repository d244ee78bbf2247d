//! The global start: a projective map between two photos, found robustly among feature matches.
//!
//! RANSAC over four-point models, then iterated least squares on the inliers (Hartley & Zisserman, *Multiple View
//! Geometry*, alg. 4.2 and 4.6). The random draws come from a fixed seed: the same matches give the same map.

use nalgebra::{Matrix3, SMatrix, SVector, Vector3};

/// Fixed to moving, in pixels of the photos.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Homography(pub(crate) Matrix3<f64>);

/// A place in the fixed photo and its match in the moving one.
pub(crate) type Pair = ([f64; 2], [f64; 2]);

const MAX_DRAWS: usize = 4000;
const CONFIDENCE: f64 = 0.9999;

impl Homography {
    pub fn identity() -> Self {
        Self(Matrix3::identity())
    }

    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let m = &self.0;
        let w = m[(2, 0)] * x + m[(2, 1)] * y + m[(2, 2)];
        [(m[(0, 0)] * x + m[(0, 1)] * y + m[(0, 2)]) / w, (m[(1, 0)] * x + m[(1, 1)] * y + m[(1, 2)]) / w]
    }

    pub(crate) fn inverse(&self) -> Option<Self> {
        self.0.try_inverse().map(Self)
    }

    /// Area scale at a place; negative for a mirrored map.
    pub(crate) fn scale_at(&self, place: [f64; 2]) -> f64 {
        let step = 0.5;
        let at = |dx: f64, dy: f64| self.apply([place[0] + dx, place[1] + dy]);
        let (a, b, c, d) = (at(step, 0.0), at(-step, 0.0), at(0.0, step), at(0.0, -step));
        (a[0] - b[0]) * (c[1] - d[1]) - (c[0] - d[0]) * (a[1] - b[1])
    }

    /// Finds the map that most matches agree with; `tolerance` in pixels. Returns it with its number of inliers.
    pub(crate) fn robust(matches: &[Pair], tolerance: f64) -> Option<(Self, usize)> {
        let mut draws = Draws(0x9e37_79b9_7f4a_7c15);
        let mut best: Option<(Self, usize)> = None;
        let mut needed = MAX_DRAWS;
        let mut done = 0;
        while done < needed && matches.len() >= 8 {
            done += 1;
            let sample = draws.four(matches);
            let Some(model) = Self::fit(&sample).filter(|m| m.is_sane(&sample)) else { continue };
            let inliers = model.inliers(matches, tolerance).count();
            if best.as_ref().is_none_or(|(_, most)| inliers > *most) {
                best = Some((model, inliers));
                needed = draws_needed(inliers as f64 / matches.len() as f64).min(MAX_DRAWS);
            }
        }
        let (mut model, _) = best?;
        for _ in 0..5 {
            let inliers: Vec<Pair> = model.inliers(matches, tolerance).collect();
            model = Self::fit(&inliers)?;
        }
        let count = model.inliers(matches, tolerance).count();
        Some((model, count))
    }

    fn inliers<'a>(&self, matches: &'a [Pair], tolerance: f64) -> impl Iterator<Item = Pair> + 'a {
        let model = *self;
        matches.iter().copied().filter(move |(p, q)| {
            let [x, y] = model.apply(*p);
            (x - q[0]).hypot(y - q[1]) < tolerance
        })
    }

    /// No mirror, no wild scale in the four points of a draw.
    fn is_sane(&self, sample: &[Pair]) -> bool {
        sample.iter().all(|(p, _)| {
            let scale = self.scale_at(*p);
            scale > 0.1 && scale < 10.0
        })
    }

    /// Least squares in normalized coordinates; needs four matches or more.
    pub fn fit(matches: &[([f64; 2], [f64; 2])]) -> Option<Self> {
        if matches.len() < 4 {
            return None;
        }
        let from = conditioner(matches.iter().map(|m| m.0));
        let to = conditioner(matches.iter().map(|m| m.1));
        let mut normal = SMatrix::<f64, 8, 8>::zeros();
        let mut right = SVector::<f64, 8>::zeros();
        for (p, q) in matches {
            let (p, q) = (transform(&from, *p), transform(&to, *q));
            let rows = [
                ([p[0], p[1], 1.0, 0.0, 0.0, 0.0, -p[0] * q[0], -p[1] * q[0]], q[0]),
                ([0.0, 0.0, 0.0, p[0], p[1], 1.0, -p[0] * q[1], -p[1] * q[1]], q[1]),
            ];
            for (row, value) in rows {
                let row = SVector::<f64, 8>::from(row);
                normal += row * row.transpose();
                right += row * value;
            }
        }
        let h = normal.lu().solve(&right)?;
        let m = Matrix3::new(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], 1.0);
        let full = to.try_inverse()? * m * from;
        let scale = full[(2, 2)];
        (scale.abs() > 1e-12).then(|| Self(full / scale)).filter(|h| h.0.iter().all(|v| v.is_finite()))
    }
}

/// Moves points to mean 0 and mean distance √2.
fn conditioner(points: impl Iterator<Item = [f64; 2]> + Clone) -> Matrix3<f64> {
    let n = points.clone().count().max(1) as f64;
    let (sx, sy) = points.clone().fold((0.0, 0.0), |(a, b), p| (a + p[0], b + p[1]));
    let (mx, my) = (sx / n, sy / n);
    let spread = points.map(|p| (p[0] - mx).hypot(p[1] - my)).sum::<f64>() / n;
    let s = std::f64::consts::SQRT_2 / spread.max(1e-9);
    Matrix3::new(s, 0.0, -s * mx, 0.0, s, -s * my, 0.0, 0.0, 1.0)
}

fn transform(m: &Matrix3<f64>, p: [f64; 2]) -> [f64; 2] {
    let v = m * Vector3::new(p[0], p[1], 1.0);
    [v[0] / v[2], v[1] / v[2]]
}

fn draws_needed(inlier_share: f64) -> usize {
    let good = inlier_share.powi(4).clamp(1e-9, 1.0 - 1e-9);
    ((1.0 - CONFIDENCE).ln() / (1.0 - good).ln()).ceil().max(50.0) as usize
}

/// xorshift64*, enough for drawing samples.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n
    }

    fn four(&mut self, matches: &[Pair]) -> [Pair; 4] {
        let mut picks = [0usize; 4];
        for i in 0..4 {
            picks[i] = loop {
                let pick = self.below(matches.len());
                if !picks[..i].contains(&pick) {
                    break pick;
                }
            };
        }
        picks.map(|i| matches[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_found_among_two_thirds_of_wrong_matches() {
        let truth = Homography(Matrix3::new(1.02, -0.05, 14.0, 0.04, 0.97, -9.0, 1e-5, -2e-5, 1.0));
        let mut draws = Draws(7);
        let mut matches = Vec::new();
        for i in 0..300 {
            let p = [draws.below(2000) as f64, draws.below(1500) as f64];
            let q = if i % 3 == 0 { truth.apply(p) } else { [draws.below(2000) as f64, draws.below(1500) as f64] };
            matches.push((p, q));
        }
        let (found, inliers) = Homography::robust(&matches, 3.0).unwrap();
        assert!((100..110).contains(&inliers), "{inliers}");
        for corner in [[0.0, 0.0], [2000.0, 0.0], [0.0, 1500.0], [2000.0, 1500.0]] {
            let (a, b) = (found.apply(corner), truth.apply(corner));
            assert!((a[0] - b[0]).hypot(a[1] - b[1]) < 0.5);
        }
    }

    #[test]
    fn random_matches_agree_on_nothing() {
        let mut draws = Draws(3);
        let mut point = || [draws.below(2000) as f64, draws.below(1500) as f64];
        let matches: Vec<_> = (0..400).map(|_| (point(), point())).collect();
        assert!(Homography::robust(&matches, 3.0).is_none_or(|(_, inliers)| inliers < 20));
    }
}
