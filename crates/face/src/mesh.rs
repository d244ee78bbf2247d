//! Reads what the landmark network says: Kartynnik et al., Real-time facial surface geometry, 2019, arXiv:1907.06724; square
//! and decoding as MediaPipe's `face_landmark` has them.

use crate::detector::Candidate;
use crate::preview::Square;

/// Side of its input, px.
pub(crate) const SIDE: usize = 192;
/// Its input for black and white.
pub(crate) const RANGE: [f32; 2] = [0.0, 1.0];
/// The square is by this much larger than the box around the face.
const ROOM: f64 = 1.5;
/// Outer corners of the eyes.
const RIGHT_EYE: usize = 33;
const LEFT_EYE: usize = 263;

/// Where to look for the landmarks of a face that the detector saw within `seen`.
pub(crate) fn around(candidate: &Candidate, seen: &Square) -> Square {
    let (right, left) = (seen.place(candidate.right_eye), seen.place(candidate.left_eye));
    let side = candidate.size[0].max(candidate.size[1]) * seen.side_px;
    Square { centre_px: seen.place(candidate.centre), side_px: ROOM * side, turn_rad: turn(right, left) }
}

/// Where to look again, from a first look: the box around the landmarks, upright as the eyes are.
pub(crate) fn around_landmarks(landmarks_px: &[[f64; 3]]) -> Square {
    let eye = |i: usize| [landmarks_px[i][0], landmarks_px[i][1]];
    let turn_rad = turn(eye(RIGHT_EYE), eye(LEFT_EYE));
    let (sin, cos) = turn_rad.sin_cos();
    let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
    for [x, y, _] in landmarks_px {
        for (k, along) in [cos * x + sin * y, cos * y - sin * x].into_iter().enumerate() {
            (low[k], high[k]) = (low[k].min(along), high[k].max(along));
        }
    }
    let middle = [0, 1].map(|k| 0.5 * (low[k] + high[k]));
    Square {
        centre_px: [cos * middle[0] - sin * middle[1], sin * middle[0] + cos * middle[1]],
        side_px: ROOM * (high[0] - low[0]).max(high[1] - low[1]),
        turn_rad,
    }
}

fn turn(right_eye: [f64; 2], left_eye: [f64; 2]) -> f64 {
    (left_eye[1] - right_eye[1]).atan2(left_eye[0] - right_eye[0])
}

/// Landmarks in pixels of the photo, with their depth in the same unit.
pub(crate) fn landmarks_px(numbers: &[f32], square: &Square) -> Vec<[f64; 3]> {
    let share = |v: f32| f64::from(v) / SIDE as f64;
    // The network counts from the edge of a pixel, the photo from its middle.
    let point = |p: &[f32]| {
        let [x, y] = square.place([share(p[0]), share(p[1])]);
        [x, y, share(p[2]) * square.side_px]
    };
    numbers.chunks_exact(3).map(point).collect()
}
