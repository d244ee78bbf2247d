//! Commands on photos named on the command line, without a database: `align` and `locate`.

use std::fs;

use crate::clinic::{Clinic, RENDERED};

/// A clinic with two photos of the same skin in its folder.
fn two_photos() -> Clinic {
    let clinic = Clinic::empty();
    for (name, visit) in [("fixed.jpg", 0), ("moving.jpg", 1)] {
        fs::write(clinic.path(name), &RENDERED.visits[visit][0].jpeg).unwrap();
    }
    clinic
}

#[test]
fn points_are_mapped_to_where_the_same_skin_lies() {
    let clinic = two_photos();
    let [fixed, moving] = [0, 1].map(|visit| &RENDERED.visits[visit][0].region);
    let lines: Vec<String> = fixed.iter().map(|[x, y]| format!("{x},{y}")).collect();
    fs::write(clinic.path("points.csv"), format!("x,y\n{}\n", lines.join("\n"))).unwrap();
    let ended = clinic.cicatrix(&["align", "fixed.jpg", "moving.jpg", "--points", "points.csv", "--out", "laid.png"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    let mut rows = ended.stdout.lines();
    assert_eq!(rows.next(), Some("x,y,confidence"));
    let mapped: Vec<Vec<f64>> = rows.map(|row| row.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    assert_eq!(mapped.len(), moving.len());
    let mut off: Vec<f64> = mapped.iter().zip(moving).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).collect();
    off.sort_by(f64::total_cmp);
    // The rim of a region is the worst place of a photo of 0.5 MP.
    assert!(off[off.len() / 2] < 1.5, "{off:?}");
    assert!(fs::read(clinic.path("laid.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_mirrored_photo_is_refused_with_the_reason() {
    let clinic = two_photos();
    fs::write(clinic.path("mirrored.jpg"), &RENDERED.mirrored).unwrap();
    let ended = clinic.cicatrix(&["--json", "align", "fixed.jpg", "mirrored.jpg"]);
    assert_eq!(ended.code, Some(65), "{ended}");
    assert_eq!(ended.json()["reason"], "not_alignable");
}

#[test]
fn points_that_are_none_and_photos_that_are_none_are_told_by_name() {
    let clinic = two_photos();
    fs::write(clinic.path("points.csv"), "x,y\n1,two\n").unwrap();
    let points = clinic.cicatrix(&["align", "fixed.jpg", "moving.jpg", "--points", "points.csv"]);
    assert_eq!(points.code, Some(65), "{points}");
    assert!(points.stderr.contains("points.csv line 2"), "{points}");
    fs::write(clinic.path("text.jpg"), "no photo").unwrap();
    for command in [&["align", "fixed.jpg", "text.jpg"][..], &["locate", "text.jpg"]] {
        let photo = clinic.cicatrix(command);
        assert_eq!(photo.code, Some(65), "{photo}");
        assert!(photo.stderr.contains("text.jpg"), "{photo}");
    }
}

#[test]
fn skin_without_a_card_is_said_to_have_none() {
    let clinic = two_photos();
    let text = clinic.cicatrix(&["locate", "fixed.jpg", "--overlay", "overlay.png"]);
    assert_eq!(text.code, Some(0), "{text}");
    assert!(text.stdout.contains("No colour card"), "{text}");
    assert!(fs::read(clinic.path("overlay.png")).unwrap().starts_with(b"\x89PNG"));
    let json = clinic.cicatrix(&["--json", "locate", "fixed.jpg"]).json();
    assert_eq!((&json["width"], &json["cards"]), (&800.into(), &serde_json::json!([])));
}
