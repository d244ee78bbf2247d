//! Heads in the standard views: the units of the face, the view that a name claims, the pose of the baseline.

#![cfg(feature = "face")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::OnceLock;

use cicatrix_assess::{Assessment, Measurement, Photo, Protocol, Reference, Survey, assess, prepare};
use cicatrix_model::{Reason, Region, RegionPolygon, ScaleSource, View};
use cicatrix_phantom::{Course, Head, HeadPhoto, HeadStyle};
use cicatrix_photo::{Bounds, Limits, decode};

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

/// Nothing changes between a file and its copy, whatever is told of the light.
#[test]
fn a_head_against_a_copy_of_its_baseline_has_changed_in_nothing() {
    let view = View::FaceFrontal;
    let bytes = shot(0.0, 0).to_jpeg();
    let reference = prepare(&photo(&bytes, &view), &protocol()).unwrap();
    let Assessment::Measured(own) = assess(&reference, &photo(&bytes, &view), true, false, &protocol()) else {
        panic!("the baseline gives no number");
    };
    let copy = measured(&reference, &bytes, &view);
    let mut compared = 0;
    for before in &own.regions {
        let after = copy.regions.iter().find(|region| region.region == before.region).unwrap();
        for value in before.values.iter().filter(|value| value.measure.is_ratio() && value.value > 0.0) {
            let now = after.values.iter().find(|now| now.measure == value.measure).map_or(0.0, |now| now.value);
            let off = (now / value.value).ln();
            assert!(off.abs() < 0.1, "{} {}: {} and {now}", before.region, value.measure, value.value);
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}

#[test]
fn a_scale_that_the_eyes_contradict_is_refused_with_both_numbers() {
    let view = View::FaceFrontal;
    let bytes = shot(0.0, 0).to_jpeg();
    let twice = Some(2.0 * shot(0.0, 0).px_per_mm);
    let wrong = prepare(&Photo { px_per_mm: twice, ..photo(&bytes, &view) }, &protocol()).unwrap_err();
    assert!(wrong.reason == Reason::ZoomOff && wrong.detail.contains("pupils"), "{wrong:?}");
    let right = Some(shot(0.0, 0).px_per_mm);
    prepare(&Photo { px_per_mm: right, ..photo(&bytes, &view) }, &protocol()).unwrap();
}

/// Hair before the forehead and on the chin is no skin.
#[test]
fn a_fringe_and_a_beard_leave_less_skin() {
    let view = View::FaceFrontal;
    let shares = |style: HeadStyle| {
        let head = Head::new(31, Course::UNCHANGED, style);
        let bytes = head.session(0, 2, 0.25).shoot(0.0, 1, SIZE).to_jpeg();
        let (frame, _) = decode(&bytes, "jpg", &Limits::default()).unwrap();
        let survey = Survey::of(&frame, &photo(&bytes, &view), &protocol());
        let skin = survey.skin.unwrap();
        let share = |name: &str| {
            let unit = survey.regions.iter().flatten().find(|region| region.name.as_str() == name).unwrap();
            let b = unit.bounds();
            let places = (0..40_000).map(|i| {
                [b.left + f64::from(i % 200) / 200.0 * b.width(), b.top + f64::from(i / 200) / 200.0 * b.height()]
            });
            let inside: Vec<bool> = places.filter(|at| unit.contains(*at)).map(|at| skin.is_skin(at)).collect();
            inside.iter().filter(|is_skin| **is_skin).count() as f64 / inside.len() as f64
        };
        ["forehead", "chin"].map(share)
    };
    let [forehead, chin] = shares(HeadStyle::default());
    let [under_a_fringe, _] = shares(HeadStyle { fringe: true, ..HeadStyle::default() });
    let [_, in_a_beard] = shares(HeadStyle { beard: true, ..HeadStyle::default() });
    assert!(forehead > 0.75 && under_a_fringe < 0.2, "{forehead} {under_a_fringe}");
    assert!(chin > 0.9 && in_a_beard < 0.2, "{chin} {in_a_beard}");
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

/// The box around a region, px.
fn bounds(reference: &Reference, name: &str) -> Bounds {
    let region = reference.regions().iter().find(|region| region.name().as_str() == name);
    let grid = region.unwrap_or_else(|| panic!("no {name}")).grid();
    Bounds::around([grid.place(0, 0), grid.place(grid.width - 1, grid.height - 1)])
}

/// A photo that is held the wrong way round.
fn upside_down(photo: &HeadPhoto) -> Vec<u8> {
    let mut other = photo.clone();
    other.srgb = photo.srgb.chunks_exact(3).rev().flatten().copied().collect();
    other.to_jpeg()
}

#[test]
fn a_photo_that_stands_on_its_head_has_its_units_where_they_are_or_none() {
    let view = View::FaceFrontal;
    match prepare(&photo(&upside_down(shot(0.0, 0)), &view), &protocol()) {
        Ok(reference) => {
            let height = |name: &str| bounds(&reference, name).top;
            assert!(height("forehead") > height("nose") && height("nose") > height("chin"), "the chin is on top");
        }
        Err(refused) => assert_eq!(refused.reason, Reason::ViewMismatch),
    }
}

#[test]
fn a_unit_that_is_wholly_covered_is_refused_by_itself_and_the_rest_is_measured() {
    let view = View::FaceFrontal;
    let reference = baseline(0.0, &view);
    let forehead = bounds(&reference, "forehead").grown(60.0);
    let mut covered = shot(0.0, 1).clone();
    let width = covered.width as usize;
    for (i, pixel) in covered.srgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((i % width) as f64, (i / width) as f64);
        if forehead.contains([x, y]) {
            // A scarf.
            pixel.copy_from_slice(&[70, 95, 150]);
        }
    }
    let assessment = assess(&reference, &photo(&covered.to_jpeg(), &view), false, false, &protocol());
    // It goes from process to process as text.
    let text = serde_json::to_string(&assessment).unwrap();
    let Assessment::Measured(found) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    let problem = |name: &str| found.regions.iter().find(|region| region.region.as_str() == name).unwrap().problem;
    assert_eq!(problem("forehead"), Some(Reason::Occlusion));
    assert_eq!((problem("nose"), problem("chin")), (None, None));
}

#[test]
fn a_face_that_is_not_found_where_the_name_says_one_is_told_unless_regions_are_drawn() {
    let bytes = shot(90.0, 0).to_jpeg();
    let claimed = View::FaceLeft45;
    let refused = prepare(&photo(&bytes, &claimed), &protocol()).unwrap_err();
    assert_eq!(refused.reason, Reason::ViewMismatch);
    assert!(refused.detail.contains("no face is found"), "{}", refused.detail);
    let reference = baseline(0.0, &View::FaceFrontal);
    let lost = self::refused(&reference, &bytes, &View::FaceFrontal);
    assert_eq!(lost.0, Reason::ViewMismatch);

    let polygon_px = vec![[500.0, 900.0], [900.0, 900.0], [900.0, 1300.0], [500.0, 1300.0]];
    let drawn = [RegionPolygon { name: Region::whole(), polygon_px: polygon_px.clone(), scars: vec![] }];
    let described = Photo { regions: &drawn, px_per_mm: Some(8.0), ..photo(&bytes, &claimed) };
    let reference = prepare(&described, &protocol()).unwrap();
    let bounds = bounds(&reference, "whole");
    assert!((bounds.left - 500.0).abs() < 30.0 && (bounds.bottom - 1300.0).abs() < 30.0, "{bounds:?}");
}
