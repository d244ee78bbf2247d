//! A night as it should be: all is scored, again nothing, what is new alone.

use std::fs::File;

use serde_json::{Value, json};

use crate::clinic::{Clinic, DAYS, PATIENT, RENDERED, UNDISTURBED, Visit};

fn states_of(clinic: &Clinic) -> Vec<String> {
    clinic.states().into_values().map(|(state, _)| state).collect()
}

/// Rows of the photos of a day.
fn of_day(photos: &[Value], day: &str) -> Vec<Value> {
    photos.iter().filter(|row| row["session_date"] == day).cloned().collect()
}

/// A visit whose only photo ends in the middle.
fn broken_baseline() -> Visit {
    let whole = &RENDERED.visits[0][0].jpeg;
    Visit::new(PATIENT, DAYS[0]).say("baseline", json!(true)).file(1, "jpg", &whole[..whole.len() / 2], json!({}))
}

#[test]
fn a_clinics_folder_is_scored_once_and_a_new_session_alone() {
    let clinic = Clinic::of(&[Visit::regular(0, 1), Visit::regular(1, 1)]);
    let first = clinic.run(&["--json"]);
    assert_eq!(first.code, Some(0), "{first}");
    let told = first.json();
    assert_eq!((&told["planned"], &told["counts"]["measured"]), (&json!(2), &json!(2)), "{first}");
    assert_eq!(states_of(&clinic), ["measured"; 2]);
    let (changes, photos) = (clinic.changes(), clinic.table("photos"));
    assert!(changes.iter().any(|line| line.contains(",psi,") && line.contains(DAYS[1])), "{changes:?}");

    let again = clinic.run(&["--json"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(again.json()["planned"], json!(0), "{again}");
    assert_eq!(clinic.changes(), changes);
    assert_eq!(clinic.table("photos"), photos, "photos were read again");

    clinic.receive(&Visit::regular(2, 1));
    let third = clinic.run(&["--json"]);
    assert_eq!(third.code, Some(0), "{third}");
    assert_eq!(third.json()["planned"], json!(1), "{third}");
    assert_eq!(states_of(&clinic), ["measured"; 3]);
    let now = clinic.table("photos");
    for day in &DAYS[..2] {
        assert_eq!(of_day(&now, day), of_day(&photos, day), "the photos of {day} were read again");
    }
    let kept = clinic.changes();
    assert!(changes.iter().all(|line| kept.contains(line)), "a change of an older session moved");
    assert!(kept.iter().any(|line| line.contains(",psi,") && line.contains(DAYS[2])), "{kept:?}");
}

#[test]
fn the_number_of_workers_does_not_show_in_the_results() {
    let clinic = Clinic::regular();
    let run = clinic.cicatrix(&["run", "bucket", "--out", "none", "--workers", "3", "--no-progress"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
    assert_eq!(clinic.observations(), UNDISTURBED.observations);
}

#[test]
fn a_dry_run_tells_what_is_there_and_leaves_nothing() {
    let clinic = Clinic::regular();
    let look = clinic.run(&["--dry-run"]);
    assert!(look.stdout.contains("a dry run plans nothing") && look.stdout.contains("without --dry-run"), "{look}");
    assert_eq!(look.code, Some(0), "{look}");
    assert!(look.stdout.contains("6 photos of 3 sessions and 1 patients"), "{look}");
    for name in ["cicatrix.db", "cicatrix.db.lock", "out"] {
        assert!(!clinic.path(name).exists(), "a dry run made {name}");
    }
}

#[test]
fn a_run_answers_for_what_a_scan_has_planned() {
    let clinic = Clinic::of(&[broken_baseline()]);
    let scan = clinic.cicatrix(&["scan", "bucket"]);
    assert_eq!(scan.code, Some(0), "{scan}");
    assert_eq!(states_of(&clinic), ["ready"]);
    let run = clinic.run(&["--json"]);
    assert_eq!(states_of(&clinic), ["quarantined"]);
    assert_eq!(run.json()["counts"]["quarantined"], json!(1), "{run}");
    assert_eq!(run.code, Some(11), "{run}");
}

#[test]
fn a_second_process_is_told_to_try_again() {
    let clinic = Clinic::of(&[broken_baseline()]);
    let lock = File::create(clinic.path("cicatrix.db.lock")).unwrap();
    lock.lock().unwrap();
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(75), "{run}");
    assert!(run.stderr.contains("another process"), "{run}");
    drop(lock);
    assert_eq!(clinic.run(&[]).code, Some(11));
}

#[test]
fn a_demo_ends_with_a_table_and_makes_nothing_twice() {
    let home = Clinic::empty();
    let demo = || home.cicatrix(&["demo", "--patients", "1", "--sessions", "2", "--no-progress"]);
    let rows = |text: &str| text.lines().filter(|line| line.starts_with("pt-")).map(str::to_owned).collect::<Vec<_>>();

    let first = demo();
    assert_eq!(first.code, Some(0), "{first}");
    assert!(first.stdout.contains("scar change") && first.stdout.contains("verdict"), "no table: {first}");
    assert!(first.stdout.contains("4 photos made, 4 measured"), "{first}");
    let told = rows(&first.stdout);
    assert_eq!(told.len(), 1, "one patient with one follow-up: {first}");

    let again = demo();
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(rows(&again.stdout), told);
    assert!(again.stdout.contains("0 photos made, 4 measured"), "{again}");

    // One session says nothing of the agreement.
    let db = "sqlite://cicatrix-demo/cicatrix.db";
    let evaluate = ["evaluate", "cicatrix-demo/bucket", "--truth", "cicatrix-demo/truth.json", "--db", db];
    let change = home.cicatrix(&[&evaluate[..], &["--json"][..]].concat()).json()["change"].clone();
    assert!(change["ccc"].is_null() && change["error_sd_pct"].is_null(), "{change}");
    let told = home.cicatrix(&evaluate);
    assert!(told.stdout.lines().any(|line| line.contains("CCC") && line.contains('–')), "{told}");
}
