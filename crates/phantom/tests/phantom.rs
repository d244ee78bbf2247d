//! What a phantom promises to those who measure on it.

use std::sync::LazyLock;

use cicatrix_phantom::{Course, Patient, Photo, ROI_MM, ScarKind};

const SMALL: (u32, u32) = (240, 180);

/// Drawn once; building a patient is the slow part.
static PATIENT: LazyLock<Patient> = LazyLock::new(|| Patient::new(7));

fn mean(photo: &Photo, channel: usize) -> f64 {
    let bytes = photo.srgb.iter().skip(channel).step_by(3);
    bytes.map(|&byte| f64::from(byte)).sum::<f64>() / f64::from(photo.width * photo.height)
}

/// Mean absolute difference of two photos of the same size, in grey levels.
fn difference(a: &Photo, b: &Photo) -> f64 {
    let apart = a.srgb.iter().zip(&b.srgb).map(|(&a, &b)| f64::from(a.abs_diff(b)));
    apart.sum::<f64>() / a.srgb.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let shoot = |patient: &Patient| patient.session(1, 3, 1.0).shoot(2, SMALL);
    let (one, two) = (shoot(&PATIENT), shoot(&Patient::new(7)));
    assert!(one.srgb == two.srgb, "the pixels differ");
    assert!(one.to_jpeg() == two.to_jpeg(), "the files differ");
    assert_eq!(one.truth, two.truth);
}

#[test]
fn another_seed_shows_other_skin() {
    let other = Patient::new(8);
    let (mine, yours) = (PATIENT.session(0, 3, 0.0).shoot(1, SMALL), other.session(0, 3, 0.0).shoot(1, SMALL));
    assert!(difference(&mine, &yours) > 3.0);
    assert_ne!(mine.truth.session.scars, yours.truth.session.scars);
}

#[test]
fn two_shots_of_a_session_differ_but_not_in_truth() {
    let session = PATIENT.session(1, 3, 1.0);
    let (one, two) = (session.shoot(1, SMALL), session.shoot(2, SMALL));
    assert!(difference(&one, &two) > 1.0);
    assert_ne!(one.truth.nuisance.shot, two.truth.nuisance.shot);
    assert_eq!(one.truth.nuisance.day, two.truth.nuisance.day);
    assert_eq!(one.truth.session, two.truth.session);
}

#[test]
fn nuisance_does_not_move_the_truth() {
    let truths = [0.0, 0.5, 1.5].map(|level| PATIENT.session(2, 3, level).truth().clone());
    assert_eq!(truths[0], truths[1]);
    assert_eq!(truths[0], truths[2]);
}

#[test]
fn a_patient_without_response_keeps_its_volume() {
    let patient = Patient::with_course(3, Course::of_final_loss(0.0));
    for index in 0..4 {
        assert!(patient.true_volume_change(index, 4).abs() < 1e-12);
    }
}

#[test]
fn a_responder_loses_volume_by_kind_and_in_total() {
    let patient = Patient::with_course(3, Course::of_final_loss(0.4));
    assert!((patient.true_volume_change(3, 4) + 0.4).abs() < 1e-9);
    let (first, last) = (patient.scar_volumes(0, 4), patient.scar_volumes(3, 4));
    for kind in ScarKind::ALL {
        assert!(last.of(kind) <= first.of(kind));
    }
    let truth = patient.session(3, 4, 1.0).truth().clone();
    let listed: f64 = truth.scars.iter().map(|scar| scar.volume_mm3).sum();
    assert!((listed - truth.scar_volume_mm3).abs() < 1e-9);
    assert!((truth.scar_volume_mm3 / truth.baseline_volume_mm3 - 0.6).abs() < 1e-9);
}

#[test]
fn a_course_can_be_chosen_without_changing_the_skin() {
    let drawn = PATIENT.session(0, 3, 1.0).shoot(1, SMALL);
    let chosen = Patient::with_course(7, Course::of_final_loss(-0.2)).session(0, 3, 1.0).shoot(1, SMALL);
    assert!(drawn.srgb == chosen.srgb, "the baseline's pixels differ");
}

#[test]
fn projecting_and_unprojecting_returns_the_point() {
    for (index, level) in [(0, 0.0), (1, 1.0), (2, 2.0)] {
        let photo = PATIENT.session(index, 3, level).shoot(1, SMALL);
        for pixel in [[0.0, 0.0], [120.0, 90.0], [239.0, 179.0], [12.5, 170.25]] {
            let back = photo.project(photo.unproject(pixel));
            assert!((back[0] - pixel[0]).hypot(back[1] - pixel[1]) < 0.02);
        }
    }
}

#[test]
fn a_baseline_pixel_finds_its_skin_in_the_follow_up_and_back() {
    let baseline = PATIENT.session(0, 2, 1.0).shoot(1, SMALL);
    let follow_up = PATIENT.session(1, 2, 1.0).shoot(1, SMALL);
    let there = baseline.map_to(&follow_up, [100.0, 60.0]);
    let back = follow_up.map_to(&baseline, there);
    assert!((back[0] - 100.0).hypot(back[1] - 60.0) < 0.02);
    assert!((there[0] - 100.0).hypot(there[1] - 60.0) > 0.2, "the pose did not change");
}

#[test]
fn the_region_lies_in_the_frame() {
    for shot in 1..4 {
        let truth = PATIENT.session(0, 2, 1.0).shoot(shot, SMALL).truth;
        assert_eq!(truth.roi_polygon_px.len(), 32);
        for [x, y] in truth.roi_polygon_px {
            assert!((0.0..=239.0).contains(&x) && (0.0..=179.0).contains(&y), "({x}, {y})");
        }
        assert!((3.8..4.8).contains(&truth.px_per_mm), "{} px/mm", truth.px_per_mm);
    }
}

#[test]
fn every_scar_lies_in_the_region() {
    for scar in &PATIENT.session(0, 2, 1.0).truth().scars {
        for axis in [0, 1] {
            let edge = f64::from(scar.centre_mm[axis].abs() + scar.radius_mm);
            assert!(edge <= ROI_MM[axis] / 2.0, "{scar:?}");
        }
    }
}

#[test]
fn a_careless_clinic_still_sees_skin_in_every_corner() {
    for shot in 1..4 {
        let photo = PATIENT.session(1, 3, 1.5).shoot(shot, SMALL);
        let [red, green, blue] = [0, 1, 2].map(|channel| mean(&photo, channel));
        assert!(red > green && green > blue, "{red} {green} {blue}");
        assert!((60.0..235.0).contains(&red), "mean red {red}");
        for (x, y) in [(2, 2), (237, 2), (2, 177), (237, 177)] {
            let red = photo.srgb[3 * (y * 240 + x)];
            assert!(red > 25, "red is {red} at ({x}, {y})");
        }
    }
}

#[test]
fn healing_changes_the_photo_at_the_scars_and_hardly_elsewhere() {
    let shoot = |loss| Patient::with_course(12, Course::of_final_loss(loss)).session(1, 2, 0.0);
    let (same, healed) = (shoot(0.0), shoot(0.5));
    let (before, after) = (same.shoot(1, SMALL), healed.shoot(1, SMALL));
    let depths = same.scar_depth_in(&before);
    let (mut at_scars, mut elsewhere) = ((0.0, 0.0), (0.0, 0.0));
    let pixels = before.srgb.chunks_exact(3).zip(after.srgb.chunks_exact(3)).zip(&depths);
    for ((before, after), &depth) in pixels {
        let change = f64::from(before[1].abs_diff(after[1]));
        if depth > 0.05 {
            at_scars = (at_scars.0 + change, at_scars.1 + 1.0);
        } else if depth < 0.001 {
            elsewhere = (elsewhere.0 + change, elsewhere.1 + 1.0);
        }
    }
    assert!(at_scars.1 > 200.0, "only {} pixels of scar", at_scars.1);
    let (at_scars, elsewhere) = (at_scars.0 / at_scars.1, elsewhere.0 / elsewhere.1);
    assert!(at_scars > 4.0 * elsewhere, "{at_scars} at scars, {elsewhere} elsewhere");
}

#[test]
fn scar_depth_is_found_where_the_truth_puts_it() {
    let session = PATIENT.session(0, 2, 1.0);
    for scar in &session.truth().scars {
        let depth = session.scar_depth_mm(scar.centre_mm.map(f64::from));
        assert!(depth > 0.8 * scar.depth_mm, "{depth} mm instead of {} mm", scar.depth_mm);
    }
}

#[test]
fn a_photo_becomes_a_jpeg_of_fitting_size() {
    let photo = PATIENT.session(0, 2, 1.0).shoot(1, SMALL);
    let jpeg = photo.to_jpeg();
    assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9]));
    assert!((2_000..60_000).contains(&jpeg.len()), "{} bytes", jpeg.len());
}

#[test]
fn the_truth_can_be_written_as_json() {
    let photo = PATIENT.session(1, 3, 1.0).shoot(1, SMALL);
    let json = serde_json::to_value(&photo.truth).unwrap();
    assert_eq!(json["session"]["seed"], 7);
    assert!(json["session"]["true_volume_change"].is_number());
    assert!(json["nuisance"]["shot"]["light_azimuth_deg"].is_number());
    assert_eq!(json["roi_polygon_px"].as_array().unwrap().len(), 32);
}

#[test]
#[should_panic(expected = "no session 3")]
fn a_session_after_the_last_is_refused() {
    PATIENT.session(3, 3, 1.0);
}
