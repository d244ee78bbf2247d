//! Heads in the standard views: the units of the face, the view that a name claims, the pose of the baseline.

#![cfg(feature = "face")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::OnceLock;

use cicatrix_assess::{Assessment, Measurement, Photo, Protocol, Reference, assess, prepare};
use cicatrix_model::{Reason, ScaleSource, View};
use cicatrix_phantom::{Course, Head, HeadPhoto, HeadStyle};

const SIZE: (u32, u32) = (1500, 2000);

/// A head in a careful clinic: two sessions, a photo of each yaw.
fn course() -> &'static Vec<(f64, [HeadPhoto; 2])> {
    static COURSE: OnceLock<Vec<(f64, [HeadPhoto; 2])>> = OnceLock::new();
    COURSE.get_or_init(|| {
        let head = Head::new(31, Course::of_final_loss(0.3), HeadStyle::default());
        let sessions = [0, 1].map(|index| head.session(index, 2, 0.25));
        let shoot = |yaw: f64| (yaw, sessions.each_ref().map(|session| session.shoot(yaw, 1, SIZE)));
        [0.0, 45.0, 90.0].map(shoot).to_vec()
    })
}

fn shot(yaw: f64, index: usize) -> &'static HeadPhoto {
    &course().iter().find(|(of, _)| *of == yaw).unwrap().1[index]
}

fn protocol() -> Protocol {
    Protocol::from_toml(include_str!("../../../config/protocols/standard-3.toml")).unwrap()
}

fn photo<'a>(bytes: &'a [u8], view: &'a View) -> Photo<'a> {
    Photo { bytes, extension: "jpg", px_per_mm: None, view: Some(view), regions: &[] }
}

fn baseline(yaw: f64, view: &View) -> Reference {
    prepare(&photo(&shot(yaw, 0).to_jpeg(), view), &protocol()).unwrap()
}

fn measured(reference: &Reference, bytes: &[u8], view: &View) -> Measurement {
    match assess(reference, &photo(bytes, view), false, false, &protocol()) {
        Assessment::Measured(measurement) => *measurement,
        other => panic!("{other:?}"),
    }
}

fn refused(reference: &Reference, bytes: &[u8], view: &View) -> (Reason, String) {
    match assess(reference, &photo(bytes, view), false, false, &protocol()) {
        Assessment::NotMeasurable { reasons, detail, .. } => (reasons[0], detail),
        Assessment::Measured(m) => panic!("measured {:?}", m.regions),
    }
}

fn mirrored(photo: &HeadPhoto) -> Vec<u8> {
    let mut other = photo.clone();
    for row in other.srgb.chunks_exact_mut(3 * photo.width as usize) {
        let pixels: Vec<u8> = row.chunks_exact(3).rev().flatten().copied().collect();
        row.copy_from_slice(&pixels);
    }
    other.to_jpeg()
}

#[test]
fn a_frontal_view_is_scored_by_unit_at_the_scale_of_the_eyes() {
    let view = View::FaceFrontal;
    let reference = baseline(0.0, &view);
    let found = measured(&reference, &shot(0.0, 1).to_jpeg(), &view);
    let names: Vec<&str> = found.regions.iter().map(|r| r.region.as_str()).collect();
    for unit in ["forehead", "nose", "perioral", "chin", "cheek_l", "cheek_r"] {
        assert!(names.contains(&unit), "{unit} is not among {names:?}");
    }
    assert!(found.regions.iter().filter(|r| r.problem.is_none()).count() >= 5, "{:?}", found.regions);
    assert!(matches!(found.scale.source, ScaleSource::Iris | ScaleSource::Pupils));
    let off = found.scale.px_per_mm / shot(0.0, 0).px_per_mm - 1.0;
    assert!(off.abs() < 2.0 * found.scale.relative_sd, "{off}");
}

#[test]
fn the_near_side_of_an_oblique_view_is_scored_and_a_swapped_name_is_told() {
    let (right, left) = (View::FaceRight45, View::FaceLeft45);
    let reference = baseline(45.0, &right);
    let names: Vec<String> = reference.regions().iter().map(|r| r.name().to_string()).collect();
    assert!(names.iter().any(|n| n == "cheek_r") && names.iter().all(|n| !n.ends_with("_l")), "{names:?}");
    let wrong = prepare(&photo(&shot(45.0, 0).to_jpeg(), &left), &protocol()).unwrap_err();
    assert_eq!(wrong.reason, Reason::ViewMismatch);
    assert!(wrong.detail.contains("face.right45"), "{}", wrong.detail);
    // A mirrored file shows the other side.
    assert_eq!(refused(&reference, &mirrored(shot(45.0, 1)), &right).0, Reason::ViewMismatch);
}

#[test]
fn a_mirrored_frontal_view_and_another_pose_are_told() {
    let view = View::FaceFrontal;
    let reference = baseline(0.0, &view);
    let (reason, detail) = refused(&reference, &mirrored(shot(0.0, 1)), &view);
    assert_eq!(reason, Reason::ViewMismatch, "{detail}");
    assert!(detail.contains("mirrored"), "{detail}");
    // Within what the name allows, and not how the baseline was taken.
    let head = Head::new(31, Course::of_final_loss(0.3), HeadStyle::default());
    let turned = head.session(1, 2, 0.25).shoot(22.0, 1, SIZE).to_jpeg();
    assert_eq!(refused(&reference, &turned, &view).0, Reason::PoseOff);
}

#[test]
fn a_profile_in_which_no_face_is_found_is_measured_as_one_and_says_so() {
    let view = View::FaceRight90;
    let reference = baseline(90.0, &view);
    let found = measured(&reference, &shot(90.0, 1).to_jpeg(), &view);
    assert_eq!(found.regions.len(), 1);
    assert_eq!(found.regions[0].region.as_str(), "whole");
    assert!(found.regions[0].detail.as_ref().is_some_and(|d| d.contains("no face was found")));
    assert_eq!(found.scale.source, ScaleSource::Unknown);
}
