//! Several regions in one photo: each has its own number, or says why it has none.

use serde_json::{Value, json};

use crate::clinic::{Clinic, RENDERED, Visit};

/// A baseline with a region that can be measured and one that is too small, and a follow-up.
fn clinic() -> Clinic {
    let shot = &RENDERED.visits[0][0];
    let [x, y] = shot.region[0];
    let chin = json!([[x, y], [x + 20.0, y], [x + 20.0, y + 20.0], [x, y + 20.0]]);
    let said = json!({
        "px_per_mm": shot.px_per_mm,
        "regions": [{"name": "cheek_l", "polygon_px": shot.region}, {"name": "chin", "polygon_px": chin}],
    });
    Clinic::of(&[Visit::regular(0, 0).file(1, "jpg", &shot.jpeg, said), Visit::regular(1, 1)])
}

fn of_region<'a>(rows: &'a [Value], region: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["region"] == region).collect()
}

#[test]
fn a_region_without_a_number_is_on_the_lists_and_the_other_is_measured() {
    let clinic = clinic();
    let ended = clinic.run(&[]);
    assert_eq!(ended.code, Some(10), "{ended}");
    assert!(ended.stdout.contains("1 regions of measured photos have no number"), "{ended}");

    let changes = clinic.table("changes");
    assert!(of_region(&changes, "cheek_l").iter().any(|row| row["measure"] == "psi" && row["change_pct"].is_number()));
    let chin = of_region(&changes, "chin");
    assert_eq!(chin.len(), 1, "{chin:?}");
    assert_eq!((&chin[0]["verdict"], &chin[0]["reason"]), (&json!("not_measurable"), &json!("zoom_off")));

    let retakes = clinic.table("retakes");
    assert_eq!(retakes.len(), 1, "the follow-up waits for a better baseline: {retakes:?}");
    assert_eq!((&retakes[0]["region"], &retakes[0]["session_no"]), (&json!("chin"), &json!(0)));
    assert!(retakes[0]["detail"].as_str().unwrap().contains("measures only"), "{retakes:?}");

    let regions = clinic.table("regions");
    assert_eq!(of_region(&regions, "chin").len(), 2);
    assert!(
        of_region(&regions, "cheek_l").iter().all(|row| row["quality_tier"].is_string() && row["reason"].is_null())
    );
}
