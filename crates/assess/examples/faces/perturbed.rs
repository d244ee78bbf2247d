//! A photo of a face that is moved, and how steadily the face is found in it: for the figures of `docs/faces.md` and for a test.

use cicatrix_locate::{Face, LocatedRegion, find_face, units, view_of};
use cicatrix_photo::{Bounds, Frame, Overview};

/// A place in the perturbed photo for each place in the photo, and back: turned about the middle, scaled, moved, mirrored.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    pub(crate) turn_deg: f64,
    pub(crate) scale: f64,
    pub(crate) mirrored: bool,
    pub(crate) from: [f64; 2],
    pub(crate) to: [f64; 2],
}

impl Move {
    fn forward(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (sin, cos) = self.turn_deg.to_radians().sin_cos();
        let (x, y) = (self.scale * (x - self.from[0]), self.scale * (y - self.from[1]));
        let x = if self.mirrored { -x } else { x };
        [self.to[0] + cos * x - sin * y, self.to[1] + sin * x + cos * y]
    }

    fn back(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (sin, cos) = self.turn_deg.to_radians().sin_cos();
        let (x, y) = (x - self.to[0], y - self.to[1]);
        let (u, v) = (cos * x + sin * y, cos * y - sin * x);
        let u = if self.mirrored { -u } else { u };
        [self.from[0] + u / self.scale, self.from[1] + v / self.scale]
    }
}

/// The photo after a move, on a frame of any size; `beyond` gives what lies beside the photo.
pub(crate) fn moved(
    frame: &Frame,
    how: &Move,
    (width, height): (usize, usize),
    beyond: impl Fn(usize, usize) -> [u16; 3],
) -> Frame {
    let mut linear = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let [u, v] = how.back([x as f64, y as f64]);
            let inside = u >= 0.0 && v >= 0.0 && u < frame.width as f64 - 1.0 && v < frame.height as f64 - 1.0;
            linear.extend(if inside { bilinear(frame, u, v) } else { beyond(x, y) });
        }
    }
    Frame { width, height, linear }
}

fn bilinear(frame: &Frame, u: f64, v: f64) -> [u16; 3] {
    let (x, y) = (u as usize, v as usize);
    let (fx, fy) = (u - x as f64, v - y as f64);
    let at = |x: usize, y: usize, k: usize| f64::from(frame.linear[3 * (y * frame.width + x) + k]);
    [0, 1, 2].map(|k| {
        let above = at(x, y, k) + fx * (at(x + 1, y, k) - at(x, y, k));
        let below = at(x, y + 1, k) + fx * (at(x + 1, y + 1, k) - at(x, y + 1, k));
        (above + fy * (below - above)) as u16
    })
}

/// Patches of random grey and colour, as different from a plain backdrop as can be.
pub(crate) fn clutter(x: usize, y: usize) -> [u16; 3] {
    let mut bits = ((x / 37) as u32).wrapping_mul(0x9E37_79B1) ^ ((y / 23) as u32).wrapping_mul(0x85EB_CA77);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    bits ^= bits >> 12;
    [bits as u16, (bits >> 8) as u16, (bits >> 16) as u16]
}

/// Larger side of the box around the landmarks.
pub(crate) fn extent(face: &Face) -> f64 {
    let b = Bounds::around(face.landmarks_px.iter().map(|[x, y, _]| [*x, *y]));
    b.width().max(b.height())
}

/// How well a face is found again in photos that were moved.
pub(crate) struct Steadiness {
    pub(crate) found: usize,
    /// Photos whose view is told as in the photo as it is.
    pub(crate) kept: usize,
    /// How far landmarks are off, % of the face, ascending.
    off: Vec<f64>,
    overlaps: Vec<f64>,
}

impl Steadiness {
    pub(crate) fn of(own: &Face, tried: &[(Frame, Move)]) -> Self {
        let mut told = Self { found: 0, kept: 0, off: vec![], overlaps: vec![] };
        for (frame, how) in tried {
            let Some(face) = find_face(&Overview::of(frame)) else { continue };
            told.found += 1;
            told.kept += usize::from(view_of(&face.pose) == view_of(&own.pose));
            let size = how.scale * extent(own);
            for (i, point) in own.landmarks_px.iter().enumerate() {
                let expected = how.forward([point[0], point[1]]);
                let seen = face.landmarks_px[if how.mirrored { cicatrix_face::partner(i) } else { i }];
                told.off.push(100.0 * (seen[0] - expected[0]).hypot(seen[1] - expected[1]) / size);
            }
            told.overlaps.extend(overlaps_of(own, &face, frame, how));
        }
        told.off.sort_by(f64::total_cmp);
        told
    }

    /// Under what so large a share of the landmarks' offsets lies, % of the face; 0 where no face was found.
    pub(crate) fn off_at(&self, share: f64) -> f64 {
        let last = self.off.len().saturating_sub(1) as f64;
        self.off.get((share * last).round() as usize).copied().unwrap_or(0.0)
    }

    pub(crate) fn mean_overlap(&self) -> f64 {
        self.overlaps.iter().sum::<f64>() / self.overlaps.len().max(1) as f64
    }

    pub(crate) fn least_overlap(&self) -> f64 {
        self.overlaps.iter().copied().fold(1.0, f64::min)
    }
}

/// Area that each unit has in common with itself in the photo as it is, over the area of both; units of both photos.
fn overlaps_of(own: &Face, face: &Face, frame: &Frame, how: &Move) -> Vec<f64> {
    let (before, after) = (units(own, 100_000, 100_000), units(face, frame.width, frame.height));
    let name = |region: &LocatedRegion| match (how.mirrored, region.name.as_str()) {
        (true, name) if name.ends_with("_l") => name.replace("_l", "_r"),
        (true, name) if name.ends_with("_r") => name.replace("_r", "_l"),
        (_, name) => name.to_owned(),
    };
    let pairs = after.iter().filter_map(|a| Some((before.iter().find(|b| name(b) == a.name.as_str())?, a)));
    let overlap = |(before, after): (&LocatedRegion, &LocatedRegion)| {
        let b = after.bounds();
        let (mut both, mut either) = (0.0, 0.0);
        let pace = b.width().max(b.height()) / 120.0;
        for j in -20..=140 {
            for i in -20..=140 {
                let place = [b.left + f64::from(i) * pace, b.top + f64::from(j) * pace];
                let (a, b) = (before.contains(how.back(place)), after.contains(place));
                both += f64::from(u8::from(a && b));
                either += f64::from(u8::from(a || b));
            }
        }
        both / f64::max(either, 1.0)
    };
    pairs.map(overlap).collect()
}
