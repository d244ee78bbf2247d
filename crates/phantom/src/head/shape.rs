//! Where each pixel's line of sight meets the head: the face's triangles, then an ellipsoid for the rest of it and a neck.
//!
//! Axes of the head as in `cicatrix-face`: x to its left, y up, z to its front, mm.

use cicatrix_face::{Pose, canonical_mm, normals, triangles};

use crate::nuisance::{DISTANCE_MM, ShotNuisance};
use crate::size::Size;

pub(super) type Vector = [f32; 3];

/// Camera to the middle of the head.
const HEAD_DISTANCE_MM: f64 = 1100.0;
/// What a photo shows of the plane through the eyes, mm of its longer and its shorter side.
const SHOWS_MM: [f64; 2] = [290.0, 215.0];
/// Height in the middle of the photo, and the depth of the eyes.
const MIDDLE_Y_MM: f64 = -8.0;
const EYES_Z_MM: f64 = 35.0;
/// The skull behind the face, and the neck below it.
const SKULL_MM: Vector = [0.0, 12.0, -48.0];
const SKULL_RADII_MM: Vector = [79.0, 118.0, 84.0];
const NECK_RADIUS_MM: f32 = 56.0;
const NECK_Z_MM: f32 = -50.0;
const NECK_TOP_MM: f32 = -55.0;

#[derive(Debug, Clone)]
pub(super) struct Camera {
    turn: [[f64; 3]; 3],
    focal_px: f64,
    distance_mm: f64,
    centre_px: [f64; 2],
    shift_mm: [f64; 2],
}

impl Camera {
    pub(super) fn of(pose: &Pose, shot: &ShotNuisance, size: Size) -> Self {
        let columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|axis| pose.turn(axis));
        let distance_mm = HEAD_DISTANCE_MM * f64::from(shot.distance_mm / DISTANCE_MM);
        let (longer, shorter) = (size.width.max(size.height) as f64, size.width.min(size.height) as f64);
        let px_per_mm = (longer / SHOWS_MM[0]).min(shorter / SHOWS_MM[1]);
        Self {
            turn: [0, 1, 2].map(|row| [0, 1, 2].map(|column| columns[column][row])),
            focal_px: px_per_mm * (HEAD_DISTANCE_MM - EYES_Z_MM),
            distance_mm,
            centre_px: [0.5 * (size.width as f64 - 1.0), 0.5 * (size.height as f64 - 1.0)],
            shift_mm: shot.shift_mm.map(f64::from),
        }
    }

    /// In the camera's axes: x right, y up, z towards it, from the middle of the head.
    fn seen(&self, mm: [f64; 3]) -> [f64; 3] {
        let turned = self.turn.map(|row| row[0] * mm[0] + row[1] * (mm[1] - MIDDLE_Y_MM) + row[2] * mm[2]);
        [turned[0] + self.shift_mm[0], turned[1] - self.shift_mm[1], turned[2]]
    }

    /// The pixel that shows a point of the head; pixel centres lie at integers.
    pub(super) fn project(&self, mm: [f64; 3]) -> [f64; 2] {
        let [x, y, z] = self.seen(mm);
        let scale = self.focal_px / (self.distance_mm - z);
        [self.centre_px[0] + scale * x, self.centre_px[1] - scale * y]
    }

    pub(super) fn px_per_mm_at_eyes(&self) -> f64 {
        let [.., z] = self.seen([0.0, 25.0, EYES_Z_MM]);
        self.focal_px / (self.distance_mm - z)
    }

    /// A point in the camera's axes, from the middle of the head, in the head's.
    pub(super) fn to_head(&self, seen: Vector) -> Vector {
        let moved = [f64::from(seen[0]) - self.shift_mm[0], f64::from(seen[1]) + self.shift_mm[1], f64::from(seen[2])];
        let back = [0, 1, 2].map(|k| (0..3).map(|row| self.turn[row][k] * moved[row]).sum::<f64>());
        [back[0] as f32, (back[1] + MIDDLE_Y_MM) as f32, back[2] as f32]
    }

    pub(super) fn eye_mm(&self) -> Vector {
        self.to_head([0.0, 0.0, self.distance_mm as f32])
    }

    /// Direction of a pixel's line of sight, away from the camera, in the head's axes.
    fn sight(&self, pixel: [f64; 2]) -> Vector {
        let far =
            [(pixel[0] - self.centre_px[0]) / self.focal_px, -(pixel[1] - self.centre_px[1]) / self.focal_px, -1.0];
        unit([0, 1, 2].map(|k| (0..3).map(|row| self.turn[row][k] * far[row]).sum::<f64>() as f32))
    }
}

/// What a line of sight meets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) place: Vector,
    pub(super) normal: Vector,
    /// On the face itself, not on the skull behind it or the neck.
    pub(super) on_face: bool,
}

/// The head as one camera sees it.
pub(super) struct Shape<'a> {
    camera: &'a Camera,
    width: usize,
    /// Triangle and distance for each pixel that sees the face.
    faces: Vec<Option<(u16, f32)>>,
    corners: Vec<[f64; 3]>,
}

impl<'a> Shape<'a> {
    pub(super) fn seen_by(camera: &'a Camera, size: Size) -> Self {
        let corners: Vec<[f64; 3]> = canonical_mm()
            .iter()
            .map(|mm| {
                let [x, y] = camera.project(*mm);
                [x, y, camera.distance_mm - camera.seen(*mm)[2]]
            })
            .collect();
        let faces = vec![None; size.width * size.height];
        let mut shape = Self { camera, width: size.width, faces, corners };
        for triangle in 0..triangles().len() {
            shape.draw(triangle, size);
        }
        shape
    }

    fn draw(&mut self, triangle: usize, size: Size) {
        let [a, b, c] = triangles()[triangle].map(|i| self.corners[i]);
        let range = |k: usize, end: usize| {
            let (low, high) = (a[k].min(b[k]).min(c[k]), a[k].max(b[k]).max(c[k]));
            (low.floor().max(0.0) as usize, (high.ceil().max(0.0) as usize + 1).min(end))
        };
        let ((left, right), (top, bottom)) = (range(0, size.width), range(1, size.height));
        for y in top..bottom {
            for x in left..right {
                let Some(weights) = self.weights(triangle, [x as f64, y as f64]) else { continue };
                // Distances along the sight are even in their inverse.
                let distance = 1.0 / (weights[0] / a[2] + weights[1] / b[2] + weights[2] / c[2]);
                let seen = &mut self.faces[y * size.width + x];
                if seen.is_none_or(|(_, nearest)| (distance as f32) < nearest) {
                    *seen = Some((triangle as u16, distance as f32));
                }
            }
        }
    }

    /// Shares of the corners at a pixel; none outside, and none for a triangle that is seen from behind.
    fn weights(&self, triangle: usize, [x, y]: [f64; 2]) -> Option<[f64; 3]> {
        let [a, b, c] = triangles()[triangle].map(|i| self.corners[i]);
        let area = |p: [f64; 3], q: [f64; 3], [x, y]: [f64; 2]| (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]);
        let whole = area(a, b, [c[0], c[1]]);
        if whole >= 0.0 {
            return None;
        }
        let parts = [area(b, c, [x, y]), area(c, a, [x, y]), area(a, b, [x, y])].map(|part| part / whole);
        parts.iter().all(|part| *part >= 0.0).then_some(parts)
    }

    pub(super) fn hit(&self, at: usize) -> Option<Hit> {
        let pixel = [(at % self.width) as f64, (at / self.width) as f64];
        let face = self.faces[at].and_then(|(triangle, _)| self.on_face(usize::from(triangle), pixel));
        let behind = self.behind(pixel);
        match (face, behind) {
            (Some((hit, own)), Some((_, other))) if own <= other + 6.0 => Some(hit),
            (Some((hit, _)), None) => Some(hit),
            (_, Some((hit, _))) => Some(hit),
            (None, None) => None,
        }
    }

    fn on_face(&self, triangle: usize, pixel: [f64; 2]) -> Option<(Hit, f32)> {
        let corners = triangles()[triangle];
        let weights = self.weights(triangle, pixel)?;
        let nearness = [0, 1, 2].map(|k| weights[k] / self.corners[corners[k]][2]);
        let sum: f64 = nearness.iter().sum();
        let shares = nearness.map(|n| (n / sum) as f32);
        let mean = |of: &dyn Fn(usize) -> Vector| {
            [0, 1, 2].map(|axis| (0..3).map(|k| shares[k] * of(corners[k])[axis]).sum::<f32>())
        };
        let place = mean(&|i| canonical_mm()[i].map(|v| v as f32));
        let eye = self.camera.eye_mm();
        let distance = norm([0, 1, 2].map(|k| place[k] - eye[k]));
        Some((Hit { place, normal: unit(mean(&|i| normals()[i].map(|v| v as f32))), on_face: true }, distance))
    }

    /// Skull or neck, whichever is nearer.
    fn behind(&self, pixel: [f64; 2]) -> Option<(Hit, f32)> {
        let (eye, sight) = (self.camera.eye_mm(), self.camera.sight(pixel));
        let at = |t: f32| [0, 1, 2].map(|k| eye[k] + t * sight[k]);
        let skull = {
            let (o, d) = (
                [0, 1, 2].map(|k| (eye[k] - SKULL_MM[k]) / SKULL_RADII_MM[k]),
                [0, 1, 2].map(|k| sight[k] / SKULL_RADII_MM[k]),
            );
            nearest(dot(d, d), dot(o, d), dot(o, o) - 1.0).map(|t| {
                let place = at(t);
                let normal =
                    unit([0, 1, 2].map(|k| (place[k] - SKULL_MM[k]) / (SKULL_RADII_MM[k] * SKULL_RADII_MM[k])));
                (Hit { place, normal, on_face: false }, t)
            })
        };
        let neck = {
            let (ox, oz) = (eye[0], eye[2] - NECK_Z_MM);
            let (a, b) = (sight[0] * sight[0] + sight[2] * sight[2], ox * sight[0] + oz * sight[2]);
            nearest(a, b, ox * ox + oz * oz - NECK_RADIUS_MM * NECK_RADIUS_MM).and_then(|t| {
                let place = at(t);
                let normal = unit([place[0], 0.0, place[2] - NECK_Z_MM]);
                (place[1] < NECK_TOP_MM).then_some((Hit { place, normal, on_face: false }, t))
            })
        };
        [skull, neck].into_iter().flatten().min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// The nearer solution of a t² + 2 b t + c = 0.
fn nearest(a: f32, b: f32, c: f32) -> Option<f32> {
    let root = b * b - a * c;
    (root >= 0.0).then(|| (-b - root.sqrt()) / a)
}

pub(super) fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn norm(v: Vector) -> f32 {
    dot(v, v).sqrt()
}

pub(super) fn unit(v: Vector) -> Vector {
    let length = norm(v).max(1e-9);
    v.map(|part| part / length)
}
