//! The one photo of a real face: found however it is moved, lit and blurred, and its skin told from what is none.

#![cfg(feature = "face")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../examples/faces/perturbed.rs"]
mod perturbed;

use cicatrix_assess::{Photo, Protocol, Survey};
use cicatrix_locate::{Face, find_face, view_of};
use cicatrix_model::{ScaleSource, View};
use cicatrix_photo::{Frame, Limits, Overview, decode, gaussian};

use perturbed::{Move, Steadiness, clutter, extent, moved};

const PHOTO: &[u8] = include_bytes!("photos/astronaut.jpg");

fn frame() -> Frame {
    decode(PHOTO, "jpg", &Limits::default()).unwrap().0
}

fn face(frame: &Frame) -> Option<Face> {
    find_face(&Overview::of(frame))
}

fn lit(frame: &Frame, gain: f64) -> Frame {
    let linear = frame.linear.iter().map(|v| (f64::from(*v) * gain).min(65535.0) as u16).collect();
    Frame { linear, ..frame.clone() }
}

fn blurred(frame: &Frame, sigma: f32) -> Frame {
    let planes = [0, 1, 2].map(|k| gaussian(&frame.channel(k), sigma));
    let linear = (0..frame.pixels()).flat_map(|i| planes.each_ref().map(|p| (p.data[i] * 65535.0) as u16)).collect();
    Frame { linear, ..frame.clone() }
}

#[test]
fn it_is_found_turned_scaled_mirrored_dark_bright_blurred_and_cropped() {
    let frame = frame();
    let own = face(&frame).unwrap();
    assert_eq!(view_of(&own.pose), View::FaceFrontal);
    let size = (frame.width, frame.height);
    let middle = [0.5 * (frame.width as f64 - 1.0), 0.5 * (frame.height as f64 - 1.0)];
    let centre = [0, 1].map(|k| own.landmarks_px.iter().map(|p| p[k]).sum::<f64>() / own.landmarks_px.len() as f64);
    let still = Move { turn_deg: 0.0, scale: 1.0, mirrored: false, from: centre, to: centre };
    let placed = |how: Move| (moved(&frame, &how, size, clutter), how);
    let half = 0.55 * extent(&own);
    let cropped = Move { to: [half, half], ..still };
    let side = (2.0 * half) as usize;
    let tried = [
        placed(Move { turn_deg: -25.0, ..still }),
        placed(Move { turn_deg: 25.0, ..still }),
        placed(Move { scale: 0.5, ..still }),
        placed(Move { scale: 2.0, to: middle, ..still }),
        placed(Move { mirrored: true, ..still }),
        (lit(&frame, 0.35), still),
        (lit(&frame, 1.6), still),
        (blurred(&frame, 1.5), still),
        (moved(&frame, &cropped, (side, side), clutter), cropped),
    ];
    let told = Steadiness::of(&own, &tried);
    assert_eq!((told.found, told.kept), (tried.len(), tried.len()));
    assert!(told.off_at(0.5) < 1.0 && told.off_at(0.95) < 3.0, "{} and {} %", told.off_at(0.5), told.off_at(0.95));
    assert!(
        told.mean_overlap() > 0.8 && told.least_overlap() > 0.5,
        "{} {}",
        told.mean_overlap(),
        told.least_overlap()
    );
}

#[test]
fn its_skin_is_told_from_hair_eyes_lips_cloth_and_wall() {
    let protocol = Protocol::from_toml(include_str!("../../../config/protocols/standard-3.toml")).unwrap();
    let described =
        Photo { bytes: PHOTO, extension: "jpg", px_per_mm: None, view: Some(&View::FaceFrontal), regions: &[] };
    let survey = Survey::of(&frame(), &described, &protocol);
    assert_eq!(survey.scale.source, ScaleSource::Pupils);
    // An adult's face of 105 px is some 14 to 17 cm high.
    assert!((0.6..1.0).contains(&survey.scale.px_per_mm), "{:?}", survey.scale);
    let names: Vec<&str> = survey.regions.iter().flatten().map(|region| region.name.as_str()).collect();
    for unit in ["forehead", "nose", "perioral", "chin", "cheek_l", "cheek_r"] {
        assert!(names.contains(&unit), "{unit} is not among {names:?}");
    }
    let skin = survey.skin.unwrap();
    // By eye, px of the photo.
    for (what, place) in [
        ("right cheek", [197.0, 126.0]),
        ("left cheek", [254.0, 127.0]),
        ("chin", [224.0, 167.0]),
        ("nose", [224.0, 113.0]),
    ] {
        assert!(skin.is_skin(place), "the {what} is skin");
    }
    let others = [
        ("hair above", [232.0, 51.0]),
        ("hair beside", [167.0, 92.0]),
        ("right eye", [201.0, 101.0]),
        ("left eye", [248.0, 103.0]),
        ("mouth", [224.0, 146.0]),
        ("collar", [222.0, 204.0]),
        ("wall", [314.0, 71.0]),
    ];
    for (what, place) in others {
        assert!(
            !skin.is_skin(place) || !survey.regions.iter().flatten().any(|r| r.contains(place)),
            "{what} is scored"
        );
    }
    let told: Vec<&str> = others.iter().filter(|(_, place)| !skin.is_skin(*place)).map(|(what, _)| *what).collect();
    // Bright hair, the mouth and the wall have colours of skin; the outlines alone keep them out.
    for what in ["hair beside", "right eye", "left eye", "collar"] {
        assert!(told.contains(&what), "{what} is not told from skin by its colour: {told:?}");
    }
}

#[test]
fn where_the_photo_shows_no_face_none_is_found() {
    let frame = frame();
    for corner in [[0.0, 256.0], [300.0, 0.0], [300.0, 256.0]] {
        let how = Move { turn_deg: 0.0, scale: 1.0, mirrored: false, from: corner, to: [0.0, 0.0] };
        assert!(face(&moved(&frame, &how, (200, 240), clutter)).is_none(), "a face at {corner:?}");
    }
}
