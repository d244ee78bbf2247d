//! Diameter of the iris, for its size hardly differs between adults.
//!
//! The circle about which brightness steps most, looked for in both eyes: Daugman, IEEE PAMI 15 (1993) 1148, without the
//! upper and lower arcs, which lids cover.

use cicatrix_face::Face;
use cicatrix_photo::{Frame, Plane};

/// Corners (outer, inner) and lids (upper, lower) of each eye.
const EYES: [[usize; 4]; 2] = [[33, 133, 159, 145], [263, 362, 386, 374]];
/// Beyond this yaw the iris is an ellipse, degrees.
const MOST_YAW: f64 = 20.0;
/// Opening of the lids over the distance of the corners: narrower eyes hide too much of the iris.
const LEAST_OPEN: f64 = 0.18;
/// A smaller iris has too few pixels, px in diameter.
const LEAST_PX: f64 = 24.0;
/// Both eyes agree to within this share.
const AGREEMENT: f64 = 0.08;
/// The eye between its corners is looked at with so many nodes.
const NODES: f64 = 90.0;
/// Radii that are tried, in nodes: 0.13 to 0.27 of the distance of the corners.
const RADII: std::ops::Range<usize> = 12..25;
/// Places looked at along each arc, and how far it reaches up and down.
const ARC: usize = 9;
const ARC_RAD: f64 = 0.68;
/// The white of the eye is brighter than the rim of the iris by this much, ln units.
const LEAST_STEP: f64 = 0.12;

/// Mean of both eyes, pixels of the photo; none where they are small, closed, turned away or differ.
pub(crate) fn iris_diameter_px(frame: &Frame, face: &Face) -> Option<f64> {
    if face.pose.yaw_deg.abs() > MOST_YAW {
        return None;
    }
    let [right, left] = EYES.map(|eye| diameter_px(frame, face, eye));
    let (right, left) = (right?, left?);
    let mean = 0.5 * (right + left);
    ((right - left).abs() <= AGREEMENT * mean && mean >= LEAST_PX).then_some(mean)
}

fn diameter_px(frame: &Frame, face: &Face, [outer, inner, upper, lower]: [usize; 4]) -> Option<f64> {
    let at = |i: usize| [face.landmarks_px[i][0], face.landmarks_px[i][1]];
    let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let width = distance(at(outer), at(inner));
    if distance(at(upper), at(lower)) < LEAST_OPEN * width {
        return None;
    }
    let middle = [0, 1].map(|k| 0.5 * (at(outer)[k] + at(inner)[k]));
    let pitch_px = width / NODES;
    let eye = patch(frame, middle, pitch_px)?;
    let (radius, step) = best_circle(&eye)?;
    (step >= LEAST_STEP).then_some(2.0 * radius * pitch_px)
}

/// ln of green around an eye, a node every `pitch_px`, each the mean of what lies under it.
fn patch(frame: &Frame, middle: [f64; 2], pitch_px: f64) -> Option<Plane> {
    let (width, height) = (NODES as usize, 2 * (NODES as usize / 3));
    let samples = (pitch_px.ceil() as usize).clamp(1, 6);
    let mut plane = Plane::filled(width, height, 0.0);
    for row in 0..height {
        for (column, value) in plane.row_mut(row).iter_mut().enumerate() {
            let mut sum = 0.0;
            for i in 0..samples * samples {
                let part = |i: usize| (i as f64 + 0.5) / samples as f64 - 0.5;
                let x = middle[0] + (column as f64 - width as f64 / 2.0 + part(i % samples)) * pitch_px;
                let y = middle[1] + (row as f64 - height as f64 / 2.0 + part(i / samples)) * pitch_px;
                if x < 0.0 || y < 0.0 || x >= frame.width as f64 - 1.0 || y >= frame.height as f64 - 1.0 {
                    return None;
                }
                sum += f64::from(frame.linear[3 * (y.round() as usize * frame.width + x.round() as usize) + 1]);
            }
            *value = ((sum / (samples * samples) as f64 + 300.0) / 65535.0).ln() as f32;
        }
    }
    Some(plane)
}

/// Radius with the largest step of brightness about it, and that step; the radius to a part of a node.
fn best_circle(eye: &Plane) -> Option<(f64, f64)> {
    let middle = [eye.width as f64 / 2.0, eye.height as f64 / 2.0];
    let (sparse, arc) = (arc(ARC / 2 + 1), arc(ARC));
    let (_, near, _) = best_about(eye, &sparse, middle, [9, 5], 2.0)?;
    let (most, centre, radius) = best_about(eye, &arc, near, [1, 1], 1.0)?;
    // At either end of the radii no iris was found.
    if radius == RADII.start || radius + 1 == RADII.end {
        return None;
    }
    let around = [-1.0, 1.0].map(|d| step(eye, &arc, centre, radius as f64 + d));
    let bend = around[0] + around[1] - 2.0 * most;
    let shift = if bend < 0.0 { (0.5 * (around[0] - around[1]) / bend).clamp(-0.5, 0.5) } else { 0.0 };
    Some((radius as f64 + shift, most))
}

/// The step, middle and radius of the best circle whose middle lies within so many paces of a place.
fn best_about(
    eye: &Plane,
    arc: &[[f64; 2]],
    place: [f64; 2],
    [across, down]: [i32; 2],
    pace: f64,
) -> Option<(f64, [f64; 2], usize)> {
    let moved = |dx: i32, dy: i32| [place[0] + pace * f64::from(dx), place[1] + pace * f64::from(dy)];
    let centres = (-down..=down).flat_map(|dy| (-across..=across).map(move |dx| (dx, dy)));
    let circles = centres.flat_map(|(dx, dy)| RADII.map(move |radius| (moved(dx, dy), radius)));
    let stepped = circles.map(|(centre, radius)| (step(eye, arc, centre, radius as f64), centre, radius));
    stepped.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// So many directions from the middle of a circle to its right arc.
fn arc(places: usize) -> Vec<[f64; 2]> {
    let direction = |i: usize| {
        let (sin, cos) = (ARC_RAD * (2.0 * i as f64 / (places - 1) as f64 - 1.0)).sin_cos();
        [cos, sin]
    };
    (0..places).map(direction).collect()
}

/// Mean brightness just outside a circle less that just inside, of the weaker of its left and right arc; less where the two
/// have different things outside, as the pupil's rim on one side and the iris's on the other.
fn step(eye: &Plane, arc: &[[f64; 2]], centre: [f64; 2], radius: f64) -> f64 {
    let means = |side: f64| {
        let (mut outer, mut inner) = (0.0, 0.0);
        for [cos, sin] in arc {
            let at = |r: f64| {
                let (x, y) = (centre[0] + side * r * cos, centre[1] + r * sin);
                eye.sample(x as f32, y as f32).map(f64::from)
            };
            outer += at(radius + 1.5)?;
            inner += at(radius - 1.5)?;
        }
        Some([outer, inner].map(|sum| sum / arc.len() as f64))
    };
    match (means(-1.0), means(1.0)) {
        (Some(left), Some(right)) => (left[0] - left[1]).min(right[0] - right[1]) - 0.5 * (left[0] - right[0]).abs(),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use cicatrix_face::{Pose, canonical_mm};

    use super::*;

    /// The average face at 6 px/mm with eyes of this iris, in mm; lids cover what lies beyond them.
    fn photo(iris_mm: f64) -> (Frame, Face) {
        let at = |mm: &[f64; 3]| [600.0 + 6.0 * mm[0], 600.0 - 6.0 * mm[1], -6.0 * mm[2]];
        let face = Face {
            landmarks_px: canonical_mm().iter().map(at).collect(),
            pose: Pose { yaw_deg: 0.0, pitch_deg: 0.0, roll_deg: 0.0 },
            confidence: 1.0,
            misfit: 0.0,
        };
        let lid = |[_, _, upper, lower]: [usize; 4]| {
            let (u, l) = (face.landmarks_px[upper], face.landmarks_px[lower]);
            ([0.5 * (u[0] + l[0]), 0.5 * (u[1] + l[1])], 0.5 * (l[1] - u[1]))
        };
        let eyes = EYES.map(lid);
        let pixel = |i: usize| {
            let (x, y) = ((i % 1200) as f64, (i / 1200) as f64);
            let code =
                eyes.iter().find(|(m, half)| (x - m[0]).abs() < 75.0 && (y - m[1]).abs() < *half).map(|(m, _)| {
                    let r = (x - m[0]).hypot(y - m[1]) / 6.0;
                    if r < 1.8 {
                        0.01
                    } else if r < 0.5 * iris_mm {
                        0.08
                    } else {
                        0.5
                    }
                });
            [(code.unwrap_or(0.35) * 65535.0) as u16; 3]
        };
        (Frame { width: 1200, height: 1200, linear: (0..1200 * 1200).flat_map(pixel).collect() }, face)
    }

    #[test]
    fn the_iris_is_measured_to_a_few_percent() {
        for mm in [10.8, 11.7, 12.6] {
            let (frame, face) = photo(mm);
            let found = iris_diameter_px(&frame, &face).unwrap() / 6.0;
            assert!((found / mm - 1.0).abs() < 0.03, "{found} for {mm}");
        }
    }

    #[test]
    fn eyes_that_are_turned_away_or_show_no_iris_tell_nothing() {
        let (frame, mut face) = photo(11.7);
        let plain = Frame { linear: vec![20_000; frame.linear.len()], ..frame.clone() };
        assert_eq!(iris_diameter_px(&plain, &face), None);
        face.pose.yaw_deg = 40.0;
        assert_eq!(iris_diameter_px(&frame, &face), None);
    }
}
