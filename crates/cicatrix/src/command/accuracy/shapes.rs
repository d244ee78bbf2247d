//! Which scars the program finds, by shape and depth: phantom patients in a clinic that keeps its protocol.

use cicatrix_assess::{Photo, Reference, prepare};
use cicatrix_phantom::{Patient, Photo as Rendered, ScarKind, ScarTruth};

use super::bias::{Bench, CLOSEUP, SIZE, whole};

const LEVEL: f32 = 0.5;
/// Bounds of depth, mm.
pub(super) const DEPTHS: [f32; 2] = [0.15, 0.3];
/// A scar is found where this share of its disc lies under the mask.
const FOUND: f64 = 0.5;
/// Points looked at across a scar.
const ACROSS: i32 = 21;

/// Scars of one kind within bounds of depth.
#[derive(Default, Clone, Copy)]
pub(super) struct Shape {
    pub(super) scars: usize,
    pub(super) found: usize,
    /// Sum of the shares of the discs under the mask.
    pub(super) held: f64,
}

/// By kind, then by depth.
pub(super) type Shapes = Vec<(ScarKind, [Shape; 3])>;

impl Bench<'_> {
    pub(super) fn shapes(&self, mut progress: impl FnMut()) -> Shapes {
        let mut shapes: Shapes = ScarKind::ALL.iter().map(|kind| (*kind, [Shape::default(); 3])).collect();
        for seed in self.seeds.clone() {
            let photo = Patient::new(seed).session(0, 2, LEVEL).shoot(1, SIZE);
            let bytes = photo.to_jpeg();
            let regions = [whole(&photo)];
            let px_per_mm = Some(photo.truth.px_per_mm);
            let described =
                Photo { bytes: &bytes, extension: "jpg", px_per_mm, view: Some(&CLOSEUP), regions: &regions };
            if let Ok(reference) = prepare(&described, self.protocol) {
                for scar in &photo.truth.session.scars {
                    let held = held(scar, &photo, &reference);
                    let depth = DEPTHS.iter().filter(|bound| scar.depth_mm >= **bound).count();
                    let Some((_, row)) = shapes.iter_mut().find(|(kind, _)| *kind == scar.kind) else { continue };
                    row[depth].scars += 1;
                    row[depth].found += usize::from(held >= FOUND);
                    row[depth].held += held;
                }
            }
            progress();
        }
        shapes
    }
}

/// Share of a scar's disc under the mask.
fn held(scar: &ScarTruth, photo: &Rendered, reference: &Reference) -> f64 {
    let (mut inside, mut under) = (0usize, 0usize);
    for j in 0..ACROSS {
        for i in 0..ACROSS {
            let [x, y] = [i, j].map(|k| f64::from(2 * k + 1) / f64::from(ACROSS) - 1.0);
            if x.hypot(y) > 1.0 {
                continue;
            }
            let radius = f64::from(scar.radius_mm);
            let place = [f64::from(scar.centre_mm[0]) + radius * x, f64::from(scar.centre_mm[1]) + radius * y];
            inside += 1;
            under += usize::from(reference.is_scar(photo.project(place)));
        }
    }
    under as f64 / inside.max(1) as f64
}
