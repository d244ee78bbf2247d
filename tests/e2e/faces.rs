//! A clinic that takes the five standard views: heads through the whole program.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::clinic::Clinic;

const DB: &str = "sqlite://cicatrix-demo/cicatrix.db";
/// All units that a face has.
const UNITS: [&str; 10] =
    ["forehead", "temple_l", "temple_r", "cheek_l", "cheek_r", "nose", "perioral", "chin", "jaw_l", "jaw_r"];

/// A table of the demo, a JSON object a row.
fn rows(home: &Clinic, table: &str) -> Vec<Value> {
    let ended = home.cicatrix(&["export", table, "--format", "json", "--db", DB]);
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_five_view_session_is_scored_by_unit_and_shown() {
    let home = Clinic::empty();
    let demo =
        ["demo", "--faces", "--patients", "1", "--sessions", "2", "--seed", "900", "--level", "0.25", "--no-progress"];
    let ran = home.cicatrix(&demo);
    assert!(matches!(ran.code, Some(0 | 10)), "{ran}");

    let changes = rows(&home, "changes");
    let of_psi = changes.iter().filter(|row| row["measure"] == "psi");
    let scored: BTreeSet<&str> =
        of_psi.filter(|row| row["verdict"] != "not_measurable").filter_map(|row| row["region"].as_str()).collect();
    let missing: Vec<&str> = UNITS.into_iter().filter(|unit| !scored.contains(unit)).collect();
    assert!(missing.is_empty(), "no view scored {missing:?}");
    let sources: BTreeSet<&str> = changes.iter().filter_map(|row| row["scale_source"].as_str()).collect();
    assert!(sources.contains("iris") || sources.contains("pupils"), "{sources:?}");

    // A profile has no units, and says so.
    let whole = rows(&home, "regions").into_iter().find(|row| row["view"] == "face.left90").unwrap();
    assert_eq!(whole["region"], "whole");
    assert!(whole["detail"].as_str().unwrap().contains("no face was found"), "{whole}");

    let frontal = fs::read_dir(home.path("cicatrix-demo/bucket/incoming/clinic=c-demo/patient=pt-0001"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join("face.frontal.1.jpg");
    let located: Value =
        home.cicatrix(&["--json", "locate", frontal.to_str().unwrap(), "--overlay", "located.png"]).json();
    assert_eq!(located["face"]["seen_view"], "face.frontal");
    assert!(located["regions"].as_array().unwrap().len() >= 6, "{located}");
    assert!(home.path("located.png").exists());

    let compared = home.cicatrix(&["patient", "compare", "pt-0001", "--view", "face.frontal", "--db", DB]);
    assert_eq!(compared.code, Some(0), "{compared}");
    assert!(home.path("pt-0001-face.frontal-2026-02-16-01.png").exists(), "{compared}");
    let nobody = home.cicatrix(&["patient", "compare", "pt-9999", "--db", DB]);
    assert_eq!(nobody.code, Some(65), "{nobody}");
}
