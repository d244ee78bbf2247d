//! Points that can be found again in another photo of the same skin, and what the skin looks like around each.
//!
//! Scale-space extrema and oriented gradient histograms (SIFT: Lowe, *Distinctive image features from scale-invariant
//! keypoints*, IJCV 60, 2004), compared by Hellinger distance (RootSIFT: Arandjelović & Zisserman, CVPR 2012), on
//! locally normalized green. Gradients around a point are read on a turned lattice, as in Lowe's section 6.1, not at
//! every pixel; this and the strongest points alone being described make it several times cheaper.

use std::f32::consts::{PI, TAU};

use cicatrix_photo::{Plane, gaussian};

/// Most points kept a photo; matching costs the square.
const MOST: usize = 1500;
/// Lowe's ratio test.
const RATIO: f32 = 0.8;
/// Scales an octave.
const INTERVALS: usize = 3;
/// Blur of an octave's first scale, px.
const FIRST_SIGMA: f32 = 1.6;
/// Blur that the photo itself brings, px.
const CAMERA_SIGMA: f32 = 0.6;
const OCTAVES: usize = 4;
/// An octave with a shorter side below this is left out, px.
const SHORTEST_SIDE: usize = 48;
/// Least height of an extremum, in standard deviations of the locally normalized plane.
const LEAST_CONTRAST: f32 = 0.05;
/// Most ratio of the principal curvatures: beyond it, a point slides along an edge.
const EDGE_RATIO: f32 = 10.0;
/// The photo is divided into this many by this many parts, each with its share of the points.
const PARTS: usize = 8;

/// Bins of a descriptor: 4 × 4 cells of 8 directions.
const BINS: usize = 128;
/// The same with a cell around, 6 × 6, for what falls outside.
const PADDED: usize = 288;
/// Side of a cell in units of the point's scale.
const CELL_WIDTH: f32 = 3.0;
/// Lattice points a side: 4 cells and half a cell around.
const LATTICE: usize = 16;
/// Length of a descriptor, chosen so that squared distances fit 32 bits and a bin 16.
const LENGTH: f32 = 1024.0;

/// Feature points of a photo: those darker than what is around them, and those brighter. One never matches the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Features {
    dark: Group,
    bright: Group,
}

/// Feature points in photo pixels with their descriptors.
#[derive(Debug, Clone, Default)]
struct Group {
    points: Vec<[f64; 2]>,
    descriptors: Vec<[i16; BINS]>,
}

impl Features {
    /// Finds points in a level; `place` maps the level's pixels to the photo's.
    pub(crate) fn find(normalized: &Plane, place: impl Fn(f64) -> f64) -> Self {
        let windows = Windows::new();
        let octaves = octaves(normalized);
        let mut extrema = Vec::new();
        for (index, octave) in octaves.iter().enumerate() {
            octave.extrema(index, &mut extrema);
        }
        let mut found = Self::default();
        for extremum in strongest(extrema, normalized.width, normalized.height) {
            let octave = &octaves[extremum.octave];
            let scale = (1 << extremum.octave) as f32;
            let group = if extremum.response > 0.0 { &mut found.bright } else { &mut found.dark };
            for angle in octave.orientations(&extremum, &windows) {
                group.points.push([extremum.x, extremum.y].map(|v| place(f64::from(v * scale))));
                group.descriptors.push(octave.describe(&extremum, angle, &windows));
            }
        }
        found
    }

    /// Mutual best matches that pass the ratio test: places in `self` and in `other`.
    pub(crate) fn matches(&self, other: &Features) -> Vec<([f64; 2], [f64; 2])> {
        [self.dark.matches(&other.dark), self.bright.matches(&other.bright)].concat()
    }
}

impl Group {
    fn matches(&self, other: &Group) -> Vec<([f64; 2], [f64; 2])> {
        let mut columns = vec![Best::default(); other.descriptors.len()];
        let mut rows = vec![Best::default(); self.descriptors.len()];
        pulp::Arch::new().dispatch(|| {
            for (i, (row, descriptor)) in rows.iter_mut().zip(&self.descriptors).enumerate() {
                for (j, (column, candidate)) in columns.iter_mut().zip(&other.descriptors).enumerate() {
                    let likeness = dot(descriptor, candidate);
                    row.offer(j, likeness);
                    column.offer(i, likeness);
                }
            }
        });
        let kept = rows.iter().enumerate().filter(|(i, best)| {
            best.is_distinct() && columns[best.index].index == *i && columns[best.index].is_distinct()
        });
        kept.map(|(i, best)| (self.points[i], other.points[best.index])).collect()
    }
}

#[inline(always)]
fn dot(a: &[i16; BINS], b: &[i16; BINS]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// The most and the second most like so far.
#[derive(Clone, Copy)]
struct Best {
    index: usize,
    most: i32,
    second: i32,
}

impl Default for Best {
    fn default() -> Self {
        Self { index: 0, most: i32::MIN, second: i32::MIN }
    }
}

impl Best {
    #[inline(always)]
    fn offer(&mut self, index: usize, likeness: i32) {
        if likeness > self.most {
            (self.index, self.second, self.most) = (index, self.most, likeness);
        } else if likeness > self.second {
            self.second = likeness;
        }
    }

    /// Lowe's ratio on distances; descriptors have one length, so a squared distance is `2 (LENGTH² − likeness)`.
    fn is_distinct(&self) -> bool {
        let distance = |likeness: i32| (LENGTH * LENGTH - likeness as f32).max(0.0);
        self.second > i32::MIN && distance(self.most) < RATIO * RATIO * distance(self.second)
    }
}

/// Gaussians of one size, and their differences.
struct Octave {
    blurred: Vec<Plane>,
    differences: Vec<Plane>,
}

/// An extremum of the differences, in pixels of its octave.
#[derive(Debug, Clone)]
struct Extremum {
    octave: usize,
    /// The blurred plane nearest in scale.
    layer: usize,
    x: f32,
    y: f32,
    /// Blur in pixels of the octave.
    sigma: f32,
    /// Height over what is around, negative for a dark point.
    response: f32,
}

fn octaves(plane: &Plane) -> Vec<Octave> {
    let mut octaves = Vec::new();
    let mut first = gaussian(plane, (FIRST_SIGMA * FIRST_SIGMA - CAMERA_SIGMA * CAMERA_SIGMA).sqrt());
    for _ in 0..OCTAVES {
        if first.width.min(first.height) < SHORTEST_SIDE {
            break;
        }
        let mut blurred = vec![first];
        for i in 1..INTERVALS + 3 {
            let step = (sigma_of(i as f32).powi(2) - sigma_of(i as f32 - 1.0).powi(2)).sqrt();
            blurred.push(gaussian(&blurred[i - 1], step));
        }
        let differences = blurred.windows(2).map(|pair| pair[1].zip(&pair[0], |a, b| a - b)).collect();
        first = every_second(&blurred[INTERVALS]);
        octaves.push(Octave { blurred, differences });
    }
    octaves
}

/// Blur of a layer in pixels of its octave.
fn sigma_of(layer: f32) -> f32 {
    FIRST_SIGMA * (layer / INTERVALS as f32).exp2()
}

fn every_second(plane: &Plane) -> Plane {
    let (width, height) = (plane.width / 2, plane.height / 2);
    let data = (0..height).flat_map(|y| plane.row(2 * y).iter().step_by(2).take(width).copied()).collect();
    Plane { width, height, data }
}

impl Octave {
    fn extrema(&self, octave: usize, found: &mut Vec<Extremum>) {
        let mut stands_out = vec![false; self.differences[0].width];
        for layer in 1..=INTERVALS {
            let plane = &self.differences[layer];
            for y in 1..plane.height.saturating_sub(1) {
                pulp::Arch::new().dispatch(|| stand_outs(plane, y, &mut stands_out));
                for (x, _) in stands_out.iter().enumerate().filter(|(_, stands_out)| **stands_out) {
                    if self.is_extremum(layer, x, y) {
                        found.extend(self.refined(octave, layer, x, y));
                    }
                }
            }
        }
    }

    fn is_extremum(&self, layer: usize, x: usize, y: usize) -> bool {
        let width = self.differences[layer].width;
        let value = self.differences[layer].row(y)[x];
        let sign = value.signum();
        let value = value.abs();
        [layer, layer - 1, layer + 1].iter().enumerate().all(|(k, &l)| {
            let data = &self.differences[l].data;
            [y - 1, y, y + 1].iter().enumerate().all(|(j, &y)| {
                let at = y * width + x;
                let (a, b, c) = (sign * data[at - 1], sign * data[at], sign * data[at + 1]);
                a < value && c < value && (b < value || (k == 0 && j == 1))
            })
        })
    }

    /// Places the extremum between pixels and layers by a quadratic; drops it on an edge or if it is too weak.
    fn refined(&self, octave: usize, layer: usize, x: usize, y: usize) -> Option<Extremum> {
        let width = self.differences[layer].width;
        let at = |dl: isize, dy: isize, dx: isize| {
            let plane = &self.differences[layer.wrapping_add_signed(dl)];
            plane.data[y.wrapping_add_signed(dy) * width + x.wrapping_add_signed(dx)]
        };
        let centre = at(0, 0, 0);
        let gradient = [
            0.5 * (at(0, 0, 1) - at(0, 0, -1)),
            0.5 * (at(0, 1, 0) - at(0, -1, 0)),
            0.5 * (at(1, 0, 0) - at(-1, 0, 0)),
        ];
        let (xx, yy) = (at(0, 0, 1) + at(0, 0, -1) - 2.0 * centre, at(0, 1, 0) + at(0, -1, 0) - 2.0 * centre);
        let ss = at(1, 0, 0) + at(-1, 0, 0) - 2.0 * centre;
        let xy = 0.25 * (at(0, 1, 1) - at(0, 1, -1) - at(0, -1, 1) + at(0, -1, -1));
        let xs = 0.25 * (at(1, 0, 1) - at(1, 0, -1) - at(-1, 0, 1) + at(-1, 0, -1));
        let ys = 0.25 * (at(1, 1, 0) - at(1, -1, 0) - at(-1, 1, 0) + at(-1, -1, 0));
        let (trace, det) = (xx + yy, xx * yy - xy * xy);
        if det <= 0.0 || trace * trace * EDGE_RATIO > det * (EDGE_RATIO + 1.0).powi(2) {
            return None;
        }
        let hessian = nalgebra::Matrix3::new(xx, xy, xs, xy, yy, ys, xs, ys, ss);
        let offset = hessian.lu().solve(&-nalgebra::Vector3::from(gradient))?;
        if offset.iter().any(|v| v.is_nan() || v.abs() > 1.0) {
            return None;
        }
        let response = centre + 0.5 * (gradient[0] * offset[0] + gradient[1] * offset[1] + gradient[2] * offset[2]);
        (response.abs() >= LEAST_CONTRAST).then(|| Extremum {
            octave,
            layer: (layer as f32 + offset[2]).round().max(0.0) as usize,
            x: x as f32 + offset[0],
            y: y as f32 + offset[1],
            sigma: sigma_of(layer as f32 + offset[2]),
            response,
        })
    }

    /// Gradient of a layer at the pixel nearest to a place; nothing at the rim.
    fn gradient(&self, layer: usize, x: f32, y: f32) -> Option<[f32; 2]> {
        let plane = &self.blurred[layer];
        let inside = x >= 1.0 && y >= 1.0 && x < plane.width as f32 - 1.5 && y < plane.height as f32 - 1.5;
        if !inside {
            return None;
        }
        let at = (y + 0.5) as usize * plane.width + (x + 0.5) as usize;
        let data = &plane.data;
        Some([data[at + 1] - data[at - 1], data[at + plane.width] - data[at - plane.width]])
    }

    /// Main directions around a point: peaks of the gradient histogram, at most two.
    fn orientations(&self, point: &Extremum, windows: &Windows) -> Vec<f32> {
        const DIRECTIONS: usize = 36;
        let mut histogram = [0.0f32; DIRECTIONS];
        for &([u, v], weight) in &windows.orientation {
            let (x, y) = (point.x + u * point.sigma, point.y + v * point.sigma);
            if let Some([gx, gy]) = self.gradient(point.layer, x, y) {
                let bin = (angle_of(gx, gy) * (DIRECTIONS as f32 / TAU)) as usize % DIRECTIONS;
                histogram[bin] += weight * (gx * gx + gy * gy).sqrt();
            }
        }
        let around = |h: &[f32; DIRECTIONS], i: usize, d: usize| h[(i + d) % DIRECTIONS];
        for _ in 0..2 {
            let before = histogram;
            for (i, value) in histogram.iter_mut().enumerate() {
                let (a, b, c) = (around(&before, i, DIRECTIONS - 1), before[i], around(&before, i, 1));
                *value = 0.25 * a + 0.5 * b + 0.25 * c;
            }
        }
        let highest = histogram.iter().fold(0.0f32, |a, &b| a.max(b));
        let mut peaks: Vec<(f32, f32)> = Vec::new();
        for i in 0..DIRECTIONS {
            let (a, b, c) = (around(&histogram, i, DIRECTIONS - 1), histogram[i], around(&histogram, i, 1));
            if b > a && b >= c && b >= 0.8 * highest {
                let shift = 0.5 * (a - c) / (a - 2.0 * b + c);
                peaks.push((b, (i as f32 + 0.5 + shift) * (TAU / DIRECTIONS as f32)));
            }
        }
        peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
        peaks.truncate(2);
        peaks.into_iter().map(|(_, angle)| angle).collect()
    }

    /// Histograms of gradient directions in 4 × 4 cells around a point, turned by `angle`.
    fn describe(&self, point: &Extremum, angle: f32, windows: &Windows) -> [i16; BINS] {
        let (sin, cos) = angle.sin_cos();
        let cell = CELL_WIDTH * point.sigma;
        let mut bins = [0.0f32; PADDED];
        for &([u, v], window) in &windows.descriptor {
            let (x, y) = (point.x + cell * (cos * u - sin * v), point.y + cell * (sin * u + cos * v));
            let Some([gx, gy]) = self.gradient(point.layer, x, y) else { continue };
            let (along, across) = (cos * gx + sin * gy, cos * gy - sin * gx);
            let weight = window * (along * along + across * across).sqrt();
            spread(&mut bins, [u + 2.5, v + 2.5], angle_of(along, across) * (8.0 / TAU), weight);
        }
        let bins: [f32; BINS] = std::array::from_fn(|i| bins[(i / 32 + 1) * 48 + i % 32 + 8]);
        let sum: f32 = bins.iter().sum::<f32>().max(1e-12);
        bins.map(|b| ((b / sum).sqrt() * LENGTH).round() as i16)
    }
}

/// Pixels of a row that stand out from those beside, above and below by more than an extremum must.
#[inline(always)]
fn stand_outs(plane: &Plane, y: usize, out: &mut [bool]) {
    let w = plane.width;
    let (above, row, below) = (plane.row(y - 1), plane.row(y), plane.row(y + 1));
    let (left, centre, right) = (&row[..w - 2], &row[1..w - 1], &row[2..]);
    let (above, below) = (&above[1..w - 1], &below[1..w - 1]);
    let higher = |a: f32, b: f32| if a > b { a } else { b };
    let lower = |a: f32, b: f32| if a < b { a } else { b };
    let beside = left.iter().zip(right).zip(above.iter().zip(below));
    for ((out, &v), ((&l, &r), (&a, &b))) in out[1..w - 1].iter_mut().zip(centre).zip(beside) {
        let highest = higher(higher(l, r), higher(higher(a, b), 0.6 * LEAST_CONTRAST));
        let lowest = lower(lower(l, r), lower(lower(a, b), -0.6 * LEAST_CONTRAST));
        *out = (v > highest) | (v < lowest);
    }
}

/// Adds a gradient to the two nearest cells each way and the two nearest directions. Cells count from 0 to 5, the
/// outer ones are thrown away.
fn spread(bins: &mut [f32; PADDED], cell: [f32; 2], direction: f32, weight: f32) {
    let (cx, cy, d) = (cell[0] as usize, cell[1] as usize, direction as usize);
    let (fx, fy, fd) = (cell[0] - cx as f32, cell[1] - cy as f32, direction - d as f32);
    let (d0, d1) = (d % 8, (d + 1) % 8);
    for (row, wy) in [(cy, weight * (1.0 - fy)), (cy + 1, weight * fy)] {
        for (column, w) in [(cx, wy * (1.0 - fx)), (cx + 1, wy * fx)] {
            let base = (row * 6 + column) * 8;
            bins[base + d0] += w * (1.0 - fd);
            bins[base + d1] += w * fd;
        }
    }
}

/// Where gradients are read around a point, in units of its scale or its cells, and how much each counts.
struct Windows {
    orientation: Vec<([f32; 2], f32)>,
    descriptor: Vec<([f32; 2], f32)>,
}

impl Windows {
    fn new() -> Self {
        let lattice = |n: usize, step: f32, sigma: f32| {
            let place = move |i: usize| (i as f32 - (n as f32 - 1.0) / 2.0) * step;
            let node = move |i: usize| {
                let [u, v] = [place(i % n), place(i / n)];
                ([u, v], (-(u * u + v * v) / (2.0 * sigma * sigma)).exp())
            };
            (0..n * n).map(node).collect()
        };
        Self { orientation: lattice(11, 0.8, 1.5), descriptor: lattice(LATTICE, 5.0 / LATTICE as f32, 2.0) }
    }
}

/// Direction of a vector, 0 to 2π, to 2e-4 rad (Hastings' polynomial).
fn angle_of(x: f32, y: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let ratio = ax.min(ay) / (ax.max(ay) + 1e-30);
    let square = ratio * ratio;
    let mut angle = ((-0.046_496_475 * square + 0.159_314_22) * square - 0.327_622_76) * square * ratio + ratio;
    if ay > ax {
        angle = PI / 2.0 - angle;
    }
    if x < 0.0 {
        angle = PI - angle;
    }
    if y < 0.0 { TAU - angle } else { angle }
}

/// The strongest extrema, no more from one part of the photo than twice its share.
fn strongest(mut extrema: Vec<Extremum>, width: usize, height: usize) -> Vec<Extremum> {
    extrema.sort_by(|a, b| b.response.abs().total_cmp(&a.response.abs()));
    let mut left = [2 * MOST / (PARTS * PARTS); PARTS * PARTS];
    let part = |v: f32, n: usize| ((v * PARTS as f32 / n as f32) as usize).min(PARTS - 1);
    let mut kept = Vec::new();
    for extremum in extrema {
        let scale = (1 << extremum.octave) as f32;
        let left = &mut left[part(extremum.y * scale, height) * PARTS + part(extremum.x * scale, width)];
        if *left > 0 && kept.len() < MOST {
            *left -= 1;
            kept.push(extremum);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blobs of many sizes at places that a multiplicative generator gives.
    fn blobs(x: f32, y: f32) -> f32 {
        let mut seed = 1u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..220)
            .map(|_| {
                let (bx, by, size, height) = (draw() * 256.0, draw() * 256.0, 1.5 + 5.0 * draw(), draw() - 0.5);
                let square = ((x - bx).powi(2) + (y - by).powi(2)) / (size * size);
                if square < 16.0 { 4.0 * height * (-0.5 * square).exp() } else { 0.0 }
            })
            .sum()
    }

    fn plane(at: impl Fn(f32, f32) -> [f32; 2]) -> Plane {
        let value = |i: usize| {
            let [x, y] = at((i % 256) as f32, (i / 256) as f32);
            blobs(x, y)
        };
        Plane { width: 256, height: 256, data: (0..256 * 256).map(value).collect() }
    }

    #[test]
    fn points_are_found_again_after_a_turn_and_a_change_of_scale() {
        let fixed = Features::find(&plane(|x, y| [x, y]), |v| v);
        let (sin, cos) = 0.6f32.sin_cos();
        let turned = |x: f32, y: f32| {
            let (x, y) = (1.3 * (x - 128.0), 1.3 * (y - 128.0));
            [128.0 + cos * x - sin * y, 128.0 + sin * x + cos * y]
        };
        let moving = Features::find(&plane(turned), |v| v);
        let matches = fixed.matches(&moving);
        let right = matches.iter().filter(|(p, q)| {
            let [x, y] = turned(q[0] as f32, q[1] as f32);
            (f64::from(x) - p[0]).hypot(f64::from(y) - p[1]) < 1.0
        });
        assert!(right.clone().count() >= 40, "{} of {}", right.clone().count(), matches.len());
        assert!(right.count() * 10 >= matches.len() * 9);
    }

    #[test]
    fn directions_are_right_to_a_thousandth() {
        for degree in 0..360 {
            let angle = (degree as f32).to_radians();
            let error = (angle_of(3.0 * angle.cos(), 3.0 * angle.sin()) - angle).abs();
            assert!(error.min(TAU - error) < 1e-3, "{degree}");
        }
    }
}
