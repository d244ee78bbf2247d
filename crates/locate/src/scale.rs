//! Pixels per millimetre on the skin: where that is known from, and how well.

use cicatrix_face::Face;
use cicatrix_model::{Scale, ScaleSource, View};
use cicatrix_photo::Frame;

use crate::iris::iris_diameter_px;

/// Diameter of the visible iris and its spread between adults, mm: Hashemi et al., White-to-white corneal diameter, 2012,
/// and the surveys that it compares (means of 11.6 to 11.8, deviation 0.4 to 0.5).
const IRIS_MM: [f64; 2] = [11.7, 0.5];
/// Distance of the pupils and its spread between adults, mm: Dodgson, Variation and extrema of human interpupillary
/// distance, 2004.
const PUPILS_MM: [f64; 2] = [63.0, 3.7];
/// Skin of a face lies before or behind the eyes; at half a metre 15 mm change the scale by this share.
const DEPTH_SD: f64 = 0.03;
/// A scale that somebody measured, and one by a card, which lies nearer or farther than the skin and not quite along it: on
/// the twelve practice photos with a card it was off by 2.4 ± 1.8 % (tried by hand).
const TOLD_SD: f64 = 0.02;
const CARD_SD: f64 = 0.03;
/// Width that a close-up and a photo of a face are taken to show when nothing says it, mm, and how wrong that may be.
const CLOSEUP_MM: f64 = 65.0;
const FACE_MM: f64 = 250.0;
const NOMINAL_SD: f64 = 0.3;

/// ln by which a scale that was told may be off from that of the pupils: four of their deviations. Beyond it one of the two is of
/// something else.
const CONTRADICTS: f64 = 0.3;

/// Corners of the eyes, outer and inner.
const EYES: [[usize; 2]; 2] = [[33, 133], [263, 362]];

/// What a photo's scale can come from.
#[derive(Debug, Clone, Copy)]
pub struct ScaleHints<'a> {
    /// From a card whose size is known.
    pub card_px_per_mm: Option<f64>,
    pub manifest_px_per_mm: Option<f64>,
    pub face: Option<&'a Face>,
    pub view: Option<&'a View>,
}

/// The scale of a photo from the best source that there is: card, manifest, iris, distance of the pupils; else a nominal
/// one, marked unknown.
pub fn scale(frame: &Frame, hints: &ScaleHints<'_>) -> Scale {
    let told = |px_per_mm, source, relative_sd| Scale { px_per_mm, source, relative_sd };
    let card = || Some(told(hints.card_px_per_mm?, ScaleSource::Card, CARD_SD));
    let manifest = || Some(told(hints.manifest_px_per_mm?, ScaleSource::Manifest, TOLD_SD));
    let iris = || Some(by_eyes(iris_diameter_px(frame, hints.face?)?, IRIS_MM, ScaleSource::Iris));
    let pupils = || Some(by_eyes(pupils_px(hints.face?), PUPILS_MM, ScaleSource::Pupils));
    card().or_else(manifest).or_else(iris).or_else(pupils).unwrap_or_else(|| nominal(frame, hints.view))
}

/// The scale by the pupils, where a card's or a manifest's cannot be true beside it.
pub fn contradicting_eyes(scale: &Scale, face: Option<&Face>) -> Option<f64> {
    if !matches!(scale.source, ScaleSource::Card | ScaleSource::Manifest) {
        return None;
    }
    let eyes = by_eyes(pupils_px(face?), PUPILS_MM, ScaleSource::Pupils).px_per_mm;
    ((scale.px_per_mm / eyes).ln().abs() > CONTRADICTS).then_some(eyes)
}

fn by_eyes(length_px: f64, [mean_mm, sd_mm]: [f64; 2], source: ScaleSource) -> Scale {
    Scale { px_per_mm: length_px / mean_mm, source, relative_sd: (sd_mm / mean_mm).hypot(DEPTH_SD) }
}

fn nominal(frame: &Frame, view: Option<&View>) -> Scale {
    let shows_mm = if view.is_some_and(View::is_face) { FACE_MM } else { CLOSEUP_MM };
    let px_per_mm = frame.width.max(frame.height) as f64 / shows_mm;
    Scale { px_per_mm, source: ScaleSource::Unknown, relative_sd: NOMINAL_SD }
}

/// Distance between the middles of the eyes in space.
fn pupils_px(face: &Face) -> f64 {
    let middle = |[a, b]: [usize; 2]| [0, 1, 2].map(|k| 0.5 * (face.landmarks_px[a][k] + face.landmarks_px[b][k]));
    let [right, left] = EYES.map(middle);
    (0..3).map(|k| (right[k] - left[k]).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use cicatrix_face::{Pose, canonical_mm};

    use super::*;

    #[test]
    fn the_best_source_goes_first_and_says_how_good_it_is() {
        let frame = Frame { width: 1000, height: 800, linear: vec![20_000; 3 * 800_000] };
        let face = Face {
            landmarks_px: canonical_mm().iter().map(|mm| mm.map(|v| 400.0 + 5.0 * v)).collect(),
            pose: Pose { yaw_deg: 0.0, pitch_deg: 0.0, roll_deg: 0.0 },
            confidence: 1.0,
            misfit: 0.0,
        };
        let view = View::FaceFrontal;
        let all = ScaleHints {
            card_px_per_mm: Some(6.0),
            manifest_px_per_mm: Some(7.0),
            face: Some(&face),
            view: Some(&view),
        };
        let card = scale(&frame, &all);
        let manifest = scale(&frame, &ScaleHints { card_px_per_mm: None, ..all });
        let pupils = scale(&frame, &ScaleHints { card_px_per_mm: None, manifest_px_per_mm: None, ..all });
        let nothing = ScaleHints { card_px_per_mm: None, manifest_px_per_mm: None, face: None, view: None };
        assert_eq!((card.source, card.px_per_mm), (ScaleSource::Card, 6.0));
        assert_eq!((manifest.source, manifest.px_per_mm), (ScaleSource::Manifest, 7.0));
        // The average face has the average distance of pupils, and no iris is drawn here.
        assert_eq!(pupils.source, ScaleSource::Pupils);
        assert!((pupils.px_per_mm - 5.0).abs() < 0.01 && pupils.relative_sd > manifest.relative_sd, "{pupils:?}");
        let contradicted = |px_per_mm| contradicting_eyes(&Scale { px_per_mm, ..manifest }, Some(&face));
        assert_eq!([4.0, 6.5].map(contradicted), [None, None]);
        assert!([2.5, 10.0].map(contradicted).iter().all(|eyes| (eyes.unwrap() - 5.0).abs() < 0.01));
        assert_eq!((contradicting_eyes(&pupils, Some(&face)), contradicting_eyes(&manifest, None)), (None, None));
        assert_eq!(scale(&frame, &nothing).source, ScaleSource::Unknown);
        let of_face = scale(&frame, &ScaleHints { view: Some(&view), ..nothing });
        assert!(of_face.px_per_mm < scale(&frame, &nothing).px_per_mm, "a face is wider than a close-up");
    }
}
