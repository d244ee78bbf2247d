//! A follow-up laid over its baseline: the registration of the parts of both photos that show the patient.
//!
//! In a photo of a head the backdrop is half of the picture. It stands still where the head moves, has nothing to match, and
//! takes resolution from the skin: registered by the part around the face, a place is half as far off (`docs/faces.md`).

use cicatrix_align::{AlignSettings, Precision, Prepared, Quality, Refusal, Registration, identity, register};
use cicatrix_photo::{Bounds, Frame};

/// A photo's part made ready for registration.
#[derive(Debug, Clone)]
pub struct Part {
    prepared: Prepared,
    origin_px: [f64; 2],
}

/// Room around the box that is asked for, as a share of its larger side.
const ROOM: f64 = 0.1;
/// A part that is larger than this share of the frame is the frame.
const WORTH_CUTTING: f64 = 0.8;

impl Part {
    /// Of a frame within a box, with room around it; all of it without one.
    pub fn of(frame: &Frame, bounds: Option<Bounds>, precision: Precision) -> Self {
        match bounds.map(|bounds| cut(frame, &bounds)).filter(|(part, _)| part.pixels() > 0) {
            Some((part, origin)) if (part.pixels() as f64) < WORTH_CUTTING * frame.pixels() as f64 => {
                Self { prepared: Prepared::new(&part, precision), origin_px: origin.map(|v| v as f64) }
            }
            _ => Self { prepared: Prepared::new(frame, precision), origin_px: [0.0; 2] },
        }
    }
}

fn cut(frame: &Frame, bounds: &Bounds) -> (Frame, [usize; 2]) {
    let b = bounds.grown(ROOM * bounds.width().max(bounds.height()));
    let within = |v: f64, end: usize| v.clamp(0.0, end as f64) as usize;
    let (x0, y0) = (within(b.left, frame.width), within(b.top, frame.height));
    let (x1, y1) = (within(b.right, frame.width).max(x0), within(b.bottom, frame.height).max(y0));
    let rows = (y0..y1).flat_map(|y| &frame.linear[3 * (y * frame.width + x0)..3 * (y * frame.width + x1)]);
    (Frame { width: x1 - x0, height: y1 - y0, linear: rows.copied().collect() }, [x0, y0])
}

/// Where the follow-up shows what the baseline shows.
#[derive(Debug)]
pub struct Overlay {
    registration: Registration,
    fixed_px: [f64; 2],
    moving_px: [f64; 2],
}

impl Overlay {
    pub fn of(baseline: &Part, follow_up: &Part, settings: &AlignSettings) -> Result<Self, Refusal> {
        let registration = register(&baseline.prepared, &follow_up.prepared, settings)?;
        Ok(Self { registration, fixed_px: baseline.origin_px, moving_px: follow_up.origin_px })
    }

    /// The baseline's photo over itself.
    pub fn identity(baseline: &Part) -> Self {
        let at = baseline.origin_px;
        Self { registration: identity(&baseline.prepared), fixed_px: at, moving_px: at }
    }

    /// The place in the follow-up, px, for one in the baseline.
    pub fn map(&self, place: [f64; 2]) -> [f64; 2] {
        let mapped = self.registration.map([0, 1].map(|k| place[k] - self.fixed_px[k]));
        [0, 1].map(|k| mapped[k] + self.moving_px[k])
    }

    pub fn confidence_at(&self, place: [f64; 2]) -> f64 {
        f64::from(self.registration.confidence_at([0, 1].map(|k| place[k] - self.fixed_px[k])))
    }

    pub fn quality(&self) -> &Quality {
        &self.registration.quality
    }
}
