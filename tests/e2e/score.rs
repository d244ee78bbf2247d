//! `score`, `repeatability`, `accuracy`: what is measured, how sure, and what it looks like.

use std::fs;

use serde_json::{Value, json};

use crate::clinic::{Clinic, RENDERED, VIEW, Visit};

/// Two visits with two shots each, as folders with manifests.
fn clinic() -> Clinic {
    Clinic::of(&[0, 1].map(|index| Visit::regular(index, 2)))
}

/// The path of a visit's first shot in the clinic's home.
fn shot(visit: usize) -> String {
    format!("bucket/{}/{VIEW}.1.jpg", Visit::regular(visit, 1).folder())
}

#[test]
fn a_photo_is_measured_with_its_manifest_and_its_scars_are_shown() {
    let clinic = clinic();
    let photo = shot(0);
    let ended = clinic.cicatrix(&["score", &photo, "--overlay", "scars.png"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.contains("cheek_l:") && ended.stdout.contains("scars on"), "{ended}");
    assert!(ended.stdout.contains("light from") && ended.stdout.contains("psi_depressed"), "{ended}");
    assert!(fs::read(clinic.path("scars.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn two_photos_give_a_change_with_its_interval() {
    let clinic = clinic();
    let (before, after) = (shot(0), shot(1));
    let told = clinic.cicatrix(&["--json", "score", &after, "--baseline", &before]).json();
    let rows: &Vec<Value> = told["changes"].as_array().unwrap();
    let psi = rows.iter().find(|row| row["measure"] == "psi").unwrap();
    let number = |field: &str| psi[field].as_f64().unwrap();
    assert!(number("ci95_lo") < number("change") && number("change") < number("ci95_hi"), "{psi}");
    assert!(number("mdc95") > 0.0 && psi["verdict"].is_string(), "{psi}");
    let text = clinic.cicatrix(&["score", &after, "--baseline", &before]);
    assert!(text.stdout.contains("quality tier") && text.stdout.contains("detectable"), "{text}");
}

#[test]
fn another_patients_photo_is_no_follow_up() {
    let clinic = clinic();
    fs::write(clinic.path("stranger.jpg"), &RENDERED.stranger).unwrap();
    let ended = clinic.cicatrix(&["score", "stranger.jpg", "--baseline", &shot(0)]);
    assert_eq!(ended.code, Some(65), "{ended}");
    assert!(ended.stderr.contains("stranger.jpg") && ended.stderr.contains("not_alignable"), "{ended}");
}

#[test]
fn scars_that_a_clinic_has_drawn_are_the_ones_that_are_measured() {
    let clinic = Clinic::empty();
    let region = &RENDERED.visits[0][0].region;
    let middle = |k: usize| region.iter().map(|p| p[k]).sum::<f64>() / region.len() as f64;
    let (x, y) = (middle(0), middle(1));
    let scar = |dx: f64| json!([[x + dx, y], [x + dx + 40.0, y], [x + dx + 40.0, y + 40.0], [x + dx, y + 40.0]]);
    let said = json!({
        "px_per_mm": RENDERED.visits[0][0].px_per_mm,
        "regions": [{"name": "cheek_l", "polygon_px": region, "scars": [scar(-120.0), scar(60.0)]}],
    });
    let visit = Visit::regular(0, 0).file(1, "jpg", &RENDERED.visits[0][0].jpeg, said);
    clinic.receive(&visit);
    let ended = clinic.cicatrix(&["score", &shot(0)]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.contains("cheek_l: 2 scars on"), "{ended}");
}

#[test]
fn a_clinic_learns_its_own_noise_from_two_shots_of_a_visit() {
    let clinic = clinic();
    let ended = clinic.cicatrix(&["repeatability", "bucket", "--plot", "repeats.svg", "--no-progress"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.contains("wSD") && ended.stdout.contains("cheek_l"), "{ended}");
    let svg = fs::read_to_string(clinic.path("repeats.svg")).unwrap();
    assert_eq!(svg.matches("<circle").count(), 2, "one for each visit: {svg}");
    let few = clinic.cicatrix(&["calibrate", "--repeats", "sqlite://cicatrix.db", "--id", "own-1"]);
    assert_eq!(few.code, Some(65), "{few}");
    assert!(few.stderr.contains("35 are needed"), "{few}");
}

#[test]
fn one_shot_a_visit_tells_no_noise_and_the_way_out_is_said() {
    let clinic = Clinic::empty();
    clinic.receive(&Visit::regular(0, 1));
    let ended = clinic.cicatrix(&["repeatability", "bucket", "--no-progress"]);
    assert_eq!(ended.code, Some(65), "{ended}");
    assert!(ended.stderr.contains("take each view twice"), "{ended}");
}

#[test]
fn the_report_is_written_and_a_set_of_the_table_is_refused() {
    let home = Clinic::empty();
    home.cicatrix(&["demo", "--patients", "1", "--sessions", "2", "--final-change", "-30", "--no-progress"]);
    let set = "sqlite://cicatrix-demo/cicatrix.db=cicatrix-demo/truth.json";
    let ended = home.cicatrix(&["accuracy", "--set", set, "--patients", "0", "--out", "report"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    let report = fs::read_to_string(home.path("report/accuracy.md")).unwrap();
    assert!(report.contains("not clinically validated") && report.contains("| False changes at true zero"), "{report}");
    assert!(fs::read_to_string(home.path("report/accuracy-cicatrix-demo.svg")).unwrap().contains("<circle"));
    fs::rename(home.path("cicatrix-demo"), home.path("locked")).unwrap();
    let seen =
        home.cicatrix(&["accuracy", "--set", "sqlite://locked/cicatrix.db=locked/truth.json", "--patients", "0"]);
    assert_eq!(seen.code, Some(65), "{seen}");
    assert!(seen.stderr.contains("was made on 'locked'"), "{seen}");
}

#[test]
fn a_photo_against_itself_has_changed_in_nothing() {
    let clinic = clinic();
    let told = clinic.cicatrix(&["--json", "score", &shot(0), "--baseline", &shot(0)]).json();
    let rows: &Vec<Value> = told["changes"].as_array().unwrap();
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        assert_eq!(row["verdict"], "no_detectable_change", "{row}");
    }
}
