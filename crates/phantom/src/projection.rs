//! Where a point of the skin lies in the photo, and back: the exact map that registration has to find.
//!
//! The skin is moved by the expression, laid on a cheek (a paraboloid with two radii), turned by roll · yaw · pitch
//! about the patch's centre, shifted, and seen by a pinhole camera on the z axis. Relief of a fraction of a
//! millimetre does not move pixels here. Axes: x right, y down, z towards the camera; pixel centres at integers.

use crate::field::PITCH_MM;
use crate::nuisance::{DISTANCE_MM, ExpressionWave, ShotNuisance};
use crate::size::Size;

/// What a 4:3 photo shows of the skin when nothing is wrong, mm.
const FRAME_MM: [f64; 2] = [56.0, 42.0];
/// Iterations stop at steps below this, a ten-thousandth of a pixel or less.
const TOLERANCE_MM: f64 = 1e-6;
const MOST_STEPS: usize = 40;
/// Distance of the nodes of a [`PatchGrid`], mm: the map is straight between them within 0.001 mm.
const NODE_MM: f64 = 0.35;

#[derive(Debug, Clone)]
pub(crate) struct Projection {
    expression: [ExpressionWave; 3],
    radii_mm: [f64; 2],
    rotation: [[f64; 3]; 3],
    shift_mm: [f64; 2],
    distance_mm: f64,
    focal_px: f64,
    centre_px: [f64; 2],
}

impl Projection {
    pub(crate) fn new(shot: &ShotNuisance, radii_mm: [f32; 2], size: Size) -> Self {
        let (width, height) = (size.width as f64, size.height as f64);
        let px_per_mm = (width / FRAME_MM[0]).min(height / FRAME_MM[1]);
        Self {
            expression: shot.expression,
            radii_mm: radii_mm.map(f64::from),
            rotation: rotation(shot),
            shift_mm: shot.shift_mm.map(f64::from),
            distance_mm: f64::from(shot.distance_mm),
            focal_px: px_per_mm * f64::from(DISTANCE_MM),
            centre_px: [(width - 1.0) / 2.0, (height - 1.0) / 2.0],
        }
    }

    /// The pixel that shows a point of the patch; mm from the patch's centre, skin at rest.
    pub(crate) fn project(&self, patch_mm: [f64; 2]) -> [f64; 2] {
        let push = self.push(patch_mm);
        let place = [patch_mm[0] + push[0], patch_mm[1] + push[1]];
        let [x, y, z] = self.to_camera([place[0], place[1], self.sag(place)]);
        let scale = self.focal_px / (self.distance_mm - z);
        [self.centre_px[0] + scale * x, self.centre_px[1] + scale * y]
    }

    /// The point of the patch that a pixel shows.
    pub(crate) fn unproject(&self, pixel: [f64; 2]) -> [f64; 2] {
        let ray = [0, 1].map(|axis| (pixel[axis] - self.centre_px[axis]) / self.focal_px);
        let place = settled([0.0; 2], |place| self.meet(ray, self.sag(place)));
        settled(place, |patch| {
            let push = self.push(patch);
            [place[0] - push[0], place[1] - push[1]]
        })
    }

    /// Pixels per millimetre of skin at the patch's centre, the geometric mean of both directions.
    pub(crate) fn px_per_mm(&self) -> f64 {
        let (right, left) = (self.project([0.5, 0.0]), self.project([-0.5, 0.0]));
        let (below, above) = (self.project([0.0, 0.5]), self.project([0.0, -0.5]));
        let across = [right[0] - left[0], right[1] - left[1]];
        let down = [below[0] - above[0], below[1] - above[1]];
        (across[0] * down[1] - across[1] * down[0]).abs().sqrt()
    }

    /// A point in front of the camera (from the middle of the scene, mm) as the patch's axes have it.
    pub(crate) fn to_patch(&self, point: [f64; 3]) -> [f64; 3] {
        let moved = [point[0] - self.shift_mm[0], point[1] - self.shift_mm[1], point[2]];
        [0, 1, 2].map(|axis| (0..3).map(|k| self.rotation[k][axis] * moved[k]).sum())
    }

    /// The camera's place in the patch's axes, mm.
    pub(crate) fn eye_mm(&self) -> [f64; 3] {
        self.to_patch([0.0, 0.0, self.distance_mm])
    }

    /// The map from pixels to the patch, tabulated.
    pub(crate) fn grid(&self, size: Size) -> PatchGrid {
        let px_per_mm = self.px_per_mm();
        let step = (NODE_MM * px_per_mm).round().clamp(2.0, 16.0);
        let count = |side: usize| ((side as f64 + 1.0) / step).ceil() as usize + 2;
        let (columns, rows) = (count(size.width), count(size.height));
        let mut nodes = Vec::with_capacity(columns * rows);
        for j in 0..rows {
            for i in 0..columns {
                let pixel = [i as f64 * step - 1.0, j as f64 * step - 1.0];
                nodes.push(self.unproject(pixel).map(|coordinate| coordinate as f32));
            }
        }
        let samples_per_px = 1.0 / (px_per_mm as f32 * PITCH_MM);
        PatchGrid { nodes, columns, per_px: 1.0 / step as f32, samples_per_px }
    }

    fn push(&self, patch: [f64; 2]) -> [f64; 2] {
        let mut push = [0.0; 2];
        for wave in &self.expression {
            let [turn_x, turn_y] = wave.turn_per_mm.map(f64::from);
            let swing = (turn_x * patch[0] + turn_y * patch[1] + f64::from(wave.phase)).sin();
            push[0] += swing * f64::from(wave.push_mm[0]);
            push[1] += swing * f64::from(wave.push_mm[1]);
        }
        push
    }

    /// Height of the cheek above its tangent plane, mm: zero at the centre, negative elsewhere.
    fn sag(&self, place: [f64; 2]) -> f64 {
        let bow = |axis: usize| place[axis] * place[axis] / self.radii_mm[axis];
        -0.5 * (bow(0) + bow(1))
    }

    fn to_camera(&self, point: [f64; 3]) -> [f64; 3] {
        let turned = self.rotation.map(|row| row[0] * point[0] + row[1] * point[1] + row[2] * point[2]);
        [turned[0] + self.shift_mm[0], turned[1] + self.shift_mm[1], turned[2]]
    }

    /// Where a ray of the camera meets the plane at this height above the patch's tangent plane.
    fn meet(&self, ray: [f64; 2], height: f64) -> [f64; 2] {
        let turn = &self.rotation;
        let equation = |axis: usize| {
            let (own, depth, slope) = (turn[axis], turn[2], ray[axis]);
            let reach = slope * (self.distance_mm - depth[2] * height);
            let right = reach - own[2] * height - self.shift_mm[axis];
            [own[0] + slope * depth[0], own[1] + slope * depth[1], right]
        };
        let ([a, b, e], [c, d, f]) = (equation(0), equation(1));
        let determinant = a * d - b * c;
        [(e * d - b * f) / determinant, (a * f - e * c) / determinant]
    }
}

/// Repeats a step until it no longer moves.
fn settled(start: [f64; 2], step: impl Fn([f64; 2]) -> [f64; 2]) -> [f64; 2] {
    let mut place = start;
    for _ in 0..MOST_STEPS {
        let next = step(place);
        let moved = (next[0] - place[0]).abs() + (next[1] - place[1]).abs();
        place = next;
        if moved < TOLERANCE_MM {
            break;
        }
    }
    place
}

/// roll (about z) · yaw (about y) · pitch (about x)
fn rotation(shot: &ShotNuisance) -> [[f64; 3]; 3] {
    let turn = |degrees: f32| f64::from(degrees).to_radians().sin_cos();
    let ((sr, cr), (sy, cy), (sp, cp)) = (turn(shot.roll_deg), turn(shot.yaw_deg), turn(shot.pitch_deg));
    [
        [cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp],
        [sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp],
        [-sy, cy * sp, cy * cp],
    ]
}

/// The map from pixels to the patch at nodes every few pixels; straight lines between.
#[derive(Debug)]
pub(crate) struct PatchGrid {
    nodes: Vec<[f32; 2]>,
    columns: usize,
    /// Nodes per pixel.
    per_px: f32,
    /// Samples of the patch per pixel at the centre.
    pub(crate) samples_per_px: f32,
}

impl PatchGrid {
    /// The place on the patch that a pixel shows, mm from its centre; half a pixel beyond the photo is allowed.
    pub(crate) fn at(&self, x: f32, y: f32) -> [f32; 2] {
        let (x, y) = ((x + 1.0) * self.per_px, (y + 1.0) * self.per_px);
        let (i, j) = (x as usize, y as usize);
        let (fx, fy) = (x - i as f32, y - j as f32);
        let upper = &self.nodes[j * self.columns + i..][..2];
        let lower = &self.nodes[(j + 1) * self.columns + i..][..2];
        [0, 1].map(|axis| {
            let above = upper[0][axis] + fx * (upper[1][axis] - upper[0][axis]);
            let below = lower[0][axis] + fx * (lower[1][axis] - lower[0][axis]);
            above + fy * (below - above)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Purpose, Stream};

    fn projection(shot: u32, level: f32, size: Size) -> Projection {
        let mut stream = Stream::of_shot(Purpose::Shot, 17, 1, shot);
        Projection::new(&ShotNuisance::draw(&mut stream, level), [95.0, 140.0], size)
    }

    #[test]
    fn projecting_and_unprojecting_returns_the_point() {
        let size = Size { width: 1200, height: 900 };
        for shot in 0..6 {
            let projection = projection(shot, 2.0, size);
            for pixel in [[0.0, 0.0], [1199.0, 0.0], [600.0, 450.0], [33.0, 899.0], [1199.0, 899.0]] {
                let back = projection.project(projection.unproject(pixel));
                let off = (back[0] - pixel[0]).hypot(back[1] - pixel[1]);
                assert!(off < 0.001, "{pixel:?} came back {off} px away");
            }
        }
    }

    #[test]
    fn the_tabulated_map_is_the_exact_one() {
        let size = Size { width: 640, height: 480 };
        for shot in 0..4 {
            let projection = projection(shot, 1.5, size);
            let grid = projection.grid(size);
            for (x, y) in [(-0.5_f32, -0.5_f32), (1.0, 200.3), (319.7, 240.1), (639.49, 479.49)] {
                let place = grid.at(x, y).map(f64::from);
                let pixel = projection.project(place);
                let off = (pixel[0] - f64::from(x)).hypot(pixel[1] - f64::from(y));
                assert!(off < 0.02, "({x}, {y}) is {off} px off");
            }
        }
    }

    #[test]
    fn without_nuisance_the_centre_lies_in_the_middle_at_the_nominal_scale() {
        let projection = projection(1, 0.0, Size { width: 1120, height: 840 });
        let centre = projection.project([0.0, 0.0]);
        assert!((centre[0] - 559.5).abs() < 1e-9 && (centre[1] - 419.5).abs() < 1e-9);
        assert!((projection.px_per_mm() - 20.0).abs() < 0.01);
    }
}
