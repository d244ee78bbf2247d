//! Which of the standard views a face is seen in.
//!
//! A view is named by the side that it shows: `face.left45` shows the patient's left cheek, so the head looks towards the
//! photo's left edge.

use cicatrix_face::Pose;
use cicatrix_model::View;

/// Yaw of the views, degrees, and how far a pose may be from it before the name is wrong. Poses of views from the side are
/// known less well.
const VIEWS: [(View, f64, f64); 5] = [
    (View::FaceFrontal, 0.0, 25.0),
    (View::FaceRight45, 45.0, 30.0),
    (View::FaceLeft45, -45.0, 30.0),
    (View::FaceRight90, 90.0, 40.0),
    (View::FaceLeft90, -90.0, 40.0),
];

/// The view that is nearest to a pose.
pub fn view_of(pose: &Pose) -> View {
    let off = |yaw: f64| (pose.yaw_deg - yaw).abs();
    let nearest = VIEWS.iter().min_by(|a, b| off(a.1).total_cmp(&off(b.1)));
    nearest.map_or(View::FaceFrontal, |(view, ..)| view.clone())
}

/// Whether a pose cannot be of the view that the photo's name claims. Close-ups and other parts of the body claim none.
pub fn contradicts(pose: &Pose, claimed: &View) -> bool {
    VIEWS.iter().any(|(view, yaw, most)| view == claimed && (pose.yaw_deg - yaw).abs() > *most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pose(yaw_deg: f64) -> Pose {
        Pose { yaw_deg, pitch_deg: 0.0, roll_deg: 0.0 }
    }

    #[test]
    fn a_view_is_told_by_the_side_that_it_shows() {
        assert_eq!(view_of(&pose(-40.0)), View::FaceLeft45);
        assert_eq!(view_of(&pose(38.0)), View::FaceRight45);
        assert_eq!(view_of(&pose(-4.0)), View::FaceFrontal);
    }

    #[test]
    fn swapped_and_wrong_views_contradict_and_careless_ones_do_not() {
        assert!(contradicts(&pose(40.0), &View::FaceLeft45), "swapped or mirrored");
        assert!(contradicts(&pose(2.0), &View::FaceRight45));
        assert!(contradicts(&pose(35.0), &View::FaceFrontal));
        assert!(contradicts(&pose(30.0), &View::FaceRight90));
        assert!(!contradicts(&pose(-28.0), &View::FaceLeft45));
        assert!(!contradicts(&pose(12.0), &View::FaceFrontal));
        assert!(!contradicts(&pose(35.0), &View::Closeup("cheek".to_owned())));
    }
}
