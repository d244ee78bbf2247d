//! Looks for the face: first over the whole photo, then over parts of it; each candidate has to stand up to its landmarks.

use std::f64::consts::PI;

use cicatrix_photo::Overview;

use crate::detector::{self, Candidate, candidates, sigmoid};
use crate::fit::{Fit, fit};
use crate::mesh::{self, around, around_landmarks, landmarks_px};
use crate::network::{Networks, networks};
use crate::preview::{Preview, Square};
use crate::{Face, LANDMARKS};

/// Least score of the detector for a candidate, and of the landmarks for a face.
const LEAST_SCORE: f64 = 0.5;
const LEAST_CONFIDENCE: f64 = 0.9;
/// An upright face is seen with more than this; below it the face is also looked for with its chin up.
const SURE: f64 = 0.9999;
/// Landmarks that no head could have, as a share of its size.
const MOST_MISFIT: f64 = 0.2;
/// Candidates of one look that are followed.
const FOLLOWED: usize = 2;
/// Side of the parts that are looked at by themselves, as a share of the longer side.
const PART: f64 = 0.6;

pub(crate) fn find(overview: &Overview) -> Option<Face> {
    let networks = networks()?;
    let preview = Preview::of(overview);
    looks(&preview).into_iter().find_map(|squares| {
        let faces = squares.iter().flat_map(|square| seen_in(square, &preview, networks));
        faces.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, face)| face)
    })
}

/// Squares to look at, those of one step together.
fn looks(preview: &Preview) -> Vec<Vec<Square>> {
    let (width, height) = (preview.width, preview.height);
    let middle = [0.5 * (width - 1.0), 0.5 * (height - 1.0)];
    let longer = width.max(height);
    let side = PART * longer;
    // Parts overlap by as much as they must to begin and end with the photo.
    let starts = |length: f64| -> Vec<f64> {
        match length > side {
            true => (0..2).map(|i| 0.5 * side + f64::from(i) * (length - side)).collect(),
            false => vec![0.5 * length],
        }
    };
    let parts = starts(height).into_iter().flat_map(|y| starts(width).into_iter().map(move |x| [x - 0.5, y - 0.5]));
    vec![
        vec![Square::upright(middle, longer)],
        // A face that leaves the frame is found in a wider one.
        vec![Square::upright(middle, 1.5 * longer)],
        parts.map(|centre| Square::upright(centre, side)).collect(),
    ]
}

/// Faces in a square, with their size.
fn seen_in(square: &Square, preview: &Preview, networks: &Networks) -> Vec<(f64, Face)> {
    let input = preview.cut(square, detector::SIDE, detector::RANGE);
    let Some([regressors, scores]) = networks.detector.run(input) else { return vec![] };
    let found = candidates(&regressors, &scores, LEAST_SCORE);
    found.iter().take(FOLLOWED).filter_map(|candidate| face(candidate, square, preview, networks)).collect()
}

/// The landmarks of a candidate, looked for twice: the second time where the first look saw them.
fn face(candidate: &Candidate, seen: &Square, preview: &Preview, networks: &Networks) -> Option<(f64, Face)> {
    let (first, _) = look(&around(candidate, seen), preview, networks)?;
    let square = around_landmarks(&first);
    let (landmarks, confidence) = upright(&square, look(&square, preview, networks)?, preview, networks);
    let Fit { pose, misfit } = fit(&landmarks)?;
    if confidence < LEAST_CONFIDENCE || misfit > MOST_MISFIT {
        return None;
    }
    Some((square.side_px, Face { landmarks_px: landmarks, pose, confidence, misfit }))
}

/// The landmarks, those of the photo turned round where they are surer: the networks see a face in one that stands on its head,
/// with its forehead where the chin is.
fn upright(square: &Square, seen: Look, preview: &Preview, networks: &Networks) -> Look {
    if seen.1 > SURE {
        return seen;
    }
    let turned = |square: &Square| Square { turn_rad: square.turn_rad + PI, ..*square };
    let round = look(&turned(square), preview, networks);
    let round = round.and_then(|(landmarks, _)| look(&around_landmarks(&landmarks), preview, networks));
    match round {
        Some(round) if round.1 > seen.1 => round,
        _ => seen,
    }
}

/// Landmarks, and how sure it is that they are a face's.
type Look = (Vec<[f64; 3]>, f64);

fn look(square: &Square, preview: &Preview, networks: &Networks) -> Option<Look> {
    let [numbers, flag] = networks.mesh.run(preview.cut(square, mesh::SIDE, mesh::RANGE))?;
    let landmarks = landmarks_px(&numbers, square);
    let confidence = sigmoid(f64::from(*flag.first()?));
    (landmarks.len() == LANDMARKS && landmarks.iter().flatten().all(|v| v.is_finite()) && confidence >= LEAST_SCORE)
        .then_some((landmarks, confidence))
}
