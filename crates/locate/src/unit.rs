//! Facial units: the skin of a face, named as clinicians name it.
//!
//! Outlines are landmarks of `cicatrix-face`. Those of the right half were drawn by hand on the average face, the left ones
//! are their mirror images; forehead, temples, cheeks and chin were looked at on a real face too.

use cicatrix_face::{Face, canonical_mm, normals, partner};
use cicatrix_model::Region;

use crate::region::{LocatedRegion, Outline};

/// Right halves of units that lie across the middle, from its upper end to its lower one.
const ACROSS: [(&str, &[usize]); 4] = [
    ("forehead", &[10, 109, 67, 103, 54, 68, 63, 105, 66, 107, 9]),
    ("nose", &[168, 193, 188, 174, 198, 131, 49, 129, 219, 218, 237, 44, 1]),
    ("perioral", &[2, 97, 98, 203, 206, 216, 212, 202, 204, 194, 201, 200]),
    ("chin", &[200, 201, 194, 204, 211, 170, 149, 176, 148, 152]),
];

/// Units of each side, the right one.
const SIDED: [(&str, &[usize]); 3] = [
    ("temple", &[54, 68, 70, 156, 143, 34, 127, 162, 21]),
    ("cheek", &[116, 117, 118, 119, 100, 36, 205, 207, 214, 192, 213, 147, 123]),
    ("jaw", &[147, 213, 192, 214, 210, 211, 170, 149, 150, 136, 172, 58, 177]),
];

/// Right halves of what is no skin to be scored: the lips, then eye and brow of each side.
const LIPS: &[usize] = &[0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17];
const EYE: &[usize] = &[33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7];
const BROW: &[usize] = &[70, 63, 105, 66, 107, 55, 65, 52, 53, 46];

/// Lips, eyes and brows take this much more room than their landmarks, as a share: lashes, hairs and the vermilion border.
const ROOM: f64 = 0.15;
/// A unit that shows less than this share of its outline in the frame is left out.
const LEAST_IN_FRAME: f64 = 0.8;
/// Skin is seen where it faces the camera by this cosine, 60° off; and a unit, where so much of it is seen. At 66° one of four
/// unchanged temples of frontal views was called changed (tried by hand on eight rendered heads).
const LEAST_FACING: f64 = 0.5;
const LEAST_SEEN: f64 = 0.5;

/// The units of a face that this photo shows, in a fixed order; those turned away or cut by the frame are left out.
pub fn units(face: &Face, width: usize, height: usize) -> Vec<LocatedRegion> {
    let not_skin = not_skin(face);
    let unit = |(name, landmarks): (String, Vec<usize>)| {
        let (landmarks, share) = seen(face, &landmarks);
        let polygon_px = outline(face, &landmarks);
        let name = Region::new(name).ok()?;
        let holes = not_skin.iter().filter(|hole| hole.meets(&polygon_px)).cloned().collect();
        let region = LocatedRegion { name, polygon_px, scars: vec![], holes, is_frame: false };
        let is_shown = share >= LEAST_SEEN && region.share_in_frame(width, height) >= LEAST_IN_FRAME;
        is_shown.then_some(region)
    };
    all().into_iter().filter_map(unit).collect()
}

/// Lips, eyes and brows of a face.
pub fn not_skin(face: &Face) -> Vec<Outline> {
    let mirrored = |half: &[usize]| half.iter().map(|&i| partner(i)).collect::<Vec<_>>();
    let pieces = [across(LIPS), EYE.to_vec(), mirrored(EYE), BROW.to_vec(), mirrored(BROW)];
    pieces.iter().map(|landmarks| Outline::new(&outline(face, landmarks)).grown(ROOM)).collect()
}

/// All units with the landmarks around them.
fn all() -> Vec<(String, Vec<usize>)> {
    let middle = ACROSS.iter().map(|(name, half)| ((*name).to_owned(), across(half)));
    let sides = SIDED.iter().flat_map(|(name, right)| {
        let left = right.iter().map(|&i| partner(i)).collect();
        [(format!("{name}_l"), left), (format!("{name}_r"), right.to_vec())]
    });
    middle.chain(sides).collect()
}

/// A whole outline from its right half: down on the right, up on the left, what lies in the middle once.
fn across(half: &[usize]) -> Vec<usize> {
    let left = half.iter().rev().map(|&i| partner(i));
    half.iter().copied().chain(left.filter(|i| !half.contains(i))).collect()
}

/// In quarters of a pixel: machines differ in the last bits of a landmark, and a region should be the same everywhere.
fn outline(face: &Face, landmarks: &[usize]) -> Vec<[f64; 2]> {
    landmarks.iter().map(|&i| [0, 1].map(|k| (4.0 * face.landmarks_px[i][k]).round() / 4.0)).collect()
}

/// Landmarks of an outline whose skin faces the camera, and the share that they enclose of the outline's area on the average
/// face. What is turned away is narrow in the photo, and at its edge other skin comes into view when the head moves.
fn seen(face: &Face, landmarks: &[usize]) -> (Vec<usize>, f64) {
    let facing = |i: usize| face.pose.turn(normals()[i])[2];
    let kept: Vec<usize> = landmarks.iter().copied().filter(|&i| facing(i) >= LEAST_FACING).collect();
    let share = area(&kept) / area(landmarks);
    (kept, share)
}

/// Area that an outline encloses on the average face, mm², after Newell.
fn area(landmarks: &[usize]) -> f64 {
    let shape = canonical_mm();
    let corners = || landmarks.iter().zip(landmarks.iter().cycle().skip(1)).map(|(&a, &b)| (shape[a], shape[b]));
    let normal = [0, 1, 2].map(|k| {
        let (i, j) = ((k + 1) % 3, (k + 2) % 3);
        corners().map(|(a, b)| a[i] * b[j] - a[j] * b[i]).sum::<f64>()
    });
    0.5 * normal.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use cicatrix_face::Pose;

    use super::*;

    /// The average face at 5 px/mm in a 1200 × 1200 photo.
    fn face(yaw_deg: f64) -> Face {
        let pose = Pose { yaw_deg, pitch_deg: 0.0, roll_deg: 0.0 };
        let landmarks_px = canonical_mm()
            .iter()
            .map(|p| {
                let [x, y, z] = pose.turn(*p);
                [600.0 + 5.0 * x, 600.0 - 5.0 * y, -5.0 * z]
            })
            .collect();
        Face { landmarks_px, pose, confidence: 1.0, misfit: 0.0 }
    }

    fn names(yaw_deg: f64) -> Vec<String> {
        units(&face(yaw_deg), 1200, 1200).iter().map(|unit| unit.name.to_string()).collect()
    }

    #[test]
    fn each_view_shows_the_units_that_face_it() {
        let both = ["forehead", "nose", "perioral", "chin", "cheek_l", "cheek_r"];
        assert_eq!(names(0.0), both, "temples and jaws are seen from the side");
        let right = ["forehead", "nose", "perioral", "chin", "temple_r", "cheek_r", "jaw_r"];
        assert_eq!(names(45.0), right);
        assert_eq!(names(-45.0), right.map(|name| name.replace("_r", "_l")));
    }

    #[test]
    fn units_do_not_overlap_and_leave_out_the_lips() {
        let found = units(&face(0.0), 1200, 1200);
        let mouth = [0, 1].map(|k| face(0.0).landmarks_px[13][k]);
        for y in (200..1100).step_by(3) {
            for x in (100..1100).step_by(3) {
                let here = found.iter().filter(|unit| unit.contains([f64::from(x), f64::from(y)])).count();
                assert!(here <= 1, "{here} units at {x}, {y}");
            }
        }
        assert!(found.iter().all(|unit| !unit.contains(mouth)));
        let perioral = found.iter().find(|unit| unit.name.as_str() == "perioral").unwrap();
        assert!(perioral.contains([mouth[0], mouth[1] - 100.0]) || perioral.contains([mouth[0], mouth[1] + 100.0]));
    }

    #[test]
    fn the_left_of_a_pair_lies_on_the_persons_left() {
        let found = units(&face(0.0), 1200, 1200);
        let middle = |name: &str| {
            let b = found.iter().find(|unit| unit.name.as_str() == name).unwrap().bounds();
            0.5 * (b.left + b.right)
        };
        assert!(middle("cheek_l") > 600.0 && middle("cheek_r") < 600.0);
    }

    #[test]
    fn a_unit_that_the_frame_cuts_is_left_out() {
        let found = units(&face(0.0), 1200, 700);
        assert!(found.iter().all(|unit| unit.name.as_str() != "chin"), "{found:?}");
        assert!(found.iter().any(|unit| unit.name.as_str() == "forehead"));
    }
}
