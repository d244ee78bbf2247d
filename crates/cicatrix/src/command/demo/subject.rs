//! Whom the demo photographs: a cheek from near by, or a head in the five standard views.

use cicatrix_phantom::{Course, Head, HeadStyle, Patient, Photo, Session};
use serde_json::{Value, json};

/// Size of a close-up, px, if no other is asked for: some 64 mm at 19 px/mm.
const CLOSEUP: (u32, u32) = (1200, 900);
/// Size of a photo of a head, px, if no other is asked for: 8 px/mm.
const HEAD: (u32, u32) = (1800, 2400);
const CHEEK: &[&str] = &["closeup.left_cheek"];
/// The standard views, and how the head is turned in them.
const FACE: &[&str] = &["face.frontal", "face.left45", "face.right45", "face.left90", "face.right90"];
const YAWS: [f64; 5] = [0.0, -45.0, 45.0, -90.0, 90.0];

pub(super) struct Subject {
    who: Who,
    /// Of its photos, px.
    size: (u32, u32),
}

enum Who {
    Cheek(Box<Patient>),
    Head(Box<Head>),
}

/// A photo for the bucket, with what its manifest says of it.
pub(super) struct Shot {
    pub(super) view: &'static str,
    pub(super) number: u32,
    pub(super) jpeg: Vec<u8>,
    /// By a ruler, where one was in the picture.
    pub(super) px_per_mm: Option<f64>,
    pub(super) regions: Value,
    /// True depth of the scars, mm, row by row, and the size of the photo.
    pub(super) depths: Option<(Vec<f32>, usize, usize)>,
}

impl Subject {
    /// The subject of a seed, with its own course or one that ends at this change of volume in percent, in photos of so many
    /// megapixels.
    pub(super) fn new(seed: u64, final_change: Option<f64>, is_head: bool, megapixels: Option<f64>) -> Self {
        let course = match final_change {
            Some(0.0) => Course::UNCHANGED,
            Some(percent) => Course::of_final_loss(-percent / 100.0),
            None => Patient::new(seed).course(),
        };
        let (who, usual) = match is_head {
            true => (Who::Head(Box::new(Head::new(seed, course, HeadStyle::default()))), HEAD),
            false => (Who::Cheek(Box::new(Patient::with_course(seed, course))), CLOSEUP),
        };
        Self { who, size: megapixels.map_or(usual, |megapixels| scaled(usual, megapixels)) }
    }

    /// The views that are taken of a subject, and the shots of each.
    pub(super) fn views(is_head: bool) -> (&'static [&'static str], u32) {
        if is_head { (FACE, 1) } else { (CHEEK, 2) }
    }

    pub(super) fn is_head(&self) -> bool {
        matches!(self.who, Who::Head(_))
    }

    /// 1 (very light) to 6 (dark).
    pub(super) fn tone_class(&self) -> u8 {
        self.patient().tone_class()
    }

    pub(super) fn melanin_tone(&self) -> f32 {
        self.patient().melanin_tone()
    }

    pub(super) fn true_volume_change(&self, index: u32, of: u32) -> f64 {
        self.patient().true_volume_change(index, of)
    }

    pub(super) fn is_unchanged(&self) -> bool {
        self.patient().course() == Course::UNCHANGED
    }

    fn patient(&self) -> &Patient {
        match &self.who {
            Who::Cheek(patient) => patient,
            Who::Head(head) => head.skin(),
        }
    }

    /// Takes all photos of a session and hands each on.
    pub(super) fn photograph(
        &self,
        (index, of): (u32, u32),
        level: f32,
        mut take: impl FnMut(Shot) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match &self.who {
            Who::Cheek(patient) => {
                let session = patient.session(index, of, level);
                let (views, shots) = Self::views(false);
                (1..=shots).try_for_each(|shot| take(closeup(&session, views[0], shot, index, self.size)))
            }
            Who::Head(head) => {
                let session = head.session(index, of, level);
                FACE.iter().zip(YAWS).try_for_each(|(view, yaw)| {
                    let jpeg = session.shoot(yaw, 1, self.size).to_jpeg();
                    take(Shot { view, number: 1, jpeg, px_per_mm: None, regions: json!([]), depths: None })
                })
            }
        }
    }
}

/// The same shape with so many megapixels.
fn scaled((width, height): (u32, u32), megapixels: f64) -> (u32, u32) {
    let factor = (megapixels * 1e6 / (f64::from(width) * f64::from(height))).sqrt();
    ((f64::from(width) * factor).round() as u32, (f64::from(height) * factor).round() as u32)
}

fn closeup(session: &Session, view: &'static str, number: u32, index: u32, size: (u32, u32)) -> Shot {
    let photo: Photo = session.shoot(number, size);
    let is_reference = (index, number) == (0, 1);
    Shot {
        view,
        number,
        jpeg: photo.to_jpeg(),
        px_per_mm: Some(photo.truth.px_per_mm),
        regions: match index {
            0 => json!([{"name": "cheek_l", "polygon_px": photo.truth.roi_polygon_px}]),
            _ => json!([]),
        },
        depths: is_reference.then(|| (session.scar_depth_in(&photo), photo.width as usize, photo.height as usize)),
    }
}
