//! Buckets that share a ledger, move, or show less than before.

use std::fs;

use crate::clinic::{Clinic, SHOTS, UNDISTURBED, Visit};

fn run(clinic: &Clinic, source: &str, more: &[&str]) -> crate::program::Ended {
    clinic.cicatrix(&[&["run", source, "--out", "none", "--no-progress"], more].concat())
}

/// The exit code of a scan: whoever starts it in a timer sees nothing else.
fn scanned(clinic: &Clinic, source: &str) -> Option<i32> {
    clinic.cicatrix(&["scan", source, "--no-progress"]).code
}

fn starts(clinic: &Clinic) -> i64 {
    clinic.table("photos").iter().filter_map(|photo| photo["starts"].as_i64()).sum()
}

#[test]
fn a_run_over_another_bucket_leaves_planned_photos_alone() {
    let clinic = Clinic::regular();
    let scan = clinic.cicatrix(&["scan", "bucket"]);
    assert_eq!(scan.code, Some(0), "{scan}");
    fs::create_dir(clinic.path("other")).unwrap();
    let other = run(&clinic, "other", &[]);
    assert_eq!(other.code, Some(0), "{other}");
    assert_eq!(starts(&clinic), 0);
    let own = clinic.run(&[]);
    assert_eq!(own.code, Some(0), "{own}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
}

#[test]
fn a_bucket_that_moved_is_not_taken_for_another_one() {
    let clinic = Clinic::regular();
    let first = clinic.run(&[]);
    assert_eq!(first.code, Some(0), "{first}");
    let was = clinic.path("bucket").canonicalize().unwrap();
    fs::rename(&was, clinic.path("moved")).unwrap();

    let unsaid = run(&clinic, "moved", &[]);
    assert_eq!(unsaid.code, Some(78), "{unsaid}");
    assert!(unsaid.stdout.contains("1 patients were left alone") && unsaid.stdout.contains("--moved-from"), "{unsaid}");
    assert!(unsaid.stdout.contains(was.to_str().unwrap()), "{unsaid}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);

    assert_eq!(scanned(&clinic, "moved"), Some(78));

    let said = run(&clinic, "moved", &["--moved-from", "bucket"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stdout.contains("0 new runs planned"), "{said}");
    let unknown = run(&clinic, "moved", &["--moved-from", "/nowhere"]);
    assert_eq!(unknown.code, Some(65), "{unknown}");
}

/// A disk that is not mounted looks like this.
#[test]
fn an_empty_folder_where_there_was_a_clinic_takes_nothing_off_the_lists() {
    let clinic = Clinic::regular();
    let first = clinic.run(&[]);
    assert_eq!(first.code, Some(0), "{first}");
    fs::rename(clinic.path("bucket"), clinic.path("kept")).unwrap();
    fs::create_dir(clinic.path("bucket")).unwrap();
    let empty = clinic.run(&[]);
    assert_eq!(empty.code, Some(69), "{empty}");
    assert!(empty.stdout.contains("is the disk mounted"), "{empty}");
    assert_eq!(scanned(&clinic, "bucket"), Some(69));
    assert!(clinic.table("photos").iter().all(|photo| photo["gone_at"].is_null()));
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
}

/// A link hides what lies behind it, and nothing else.
#[test]
fn a_place_that_cannot_be_listed_does_not_hide_what_is_gone_elsewhere() {
    let clinic = Clinic::regular();
    let first = clinic.run(&[]);
    assert_eq!(first.code, Some(0), "{first}");
    let folder = Visit::new("pt-broken", "2026-01-12").folder();
    fs::create_dir_all(clinic.path("bucket").join(&folder).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/etc", clinic.path("bucket").join(folder)).unwrap();
    fs::remove_dir_all(clinic.path("bucket").join(Visit::regular(2, SHOTS).folder())).unwrap();
    let second = clinic.run(&[]);
    assert_eq!(second.code, Some(77), "{second}");
    assert!(second.stdout.contains("1 sessions are no longer there"), "{second}");
    assert!(second.stdout.contains("1 places could not be listed"), "{second}");
    assert_eq!(scanned(&clinic, "bucket"), Some(77));
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
}

/// Taken again under its old name, with the manifest of the first try.
#[test]
fn a_photo_that_is_replaced_under_its_name_is_read_whatever_its_manifest_claims() {
    let clinic = Clinic::regular();
    let first = clinic.run(&[]);
    assert_eq!(first.code, Some(0), "{first}");
    let visit = Visit::regular(1, SHOTS);
    let photo = clinic.path("bucket").join(visit.folder()).join("closeup.left_cheek.1.jpg");
    let mut bytes = fs::read(&photo).unwrap();
    bytes.extend([0; 10]);
    fs::write(&photo, bytes).unwrap();
    let second = clinic.run(&[]);
    assert_eq!(second.code, Some(11), "{second}");
    let quarantined = clinic.table("quarantine");
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0]["reason"], "checksum_mismatch");
}

#[test]
fn a_broken_file_that_is_deleted_leaves_the_lists_and_an_expired_session_keeps_its_numbers() {
    let clinic = Clinic::regular();
    let extra = Visit::new("pt-broken", "2026-01-12").file(1, "jpg", b"no photo", serde_json::json!({}));
    clinic.receive(&extra);
    let first = clinic.run(&[]);
    assert_eq!(first.code, Some(11), "{first}");
    fs::remove_dir_all(clinic.path("bucket").join(extra.folder())).unwrap();
    fs::remove_dir_all(clinic.path("bucket").join(Visit::regular(1, SHOTS).folder())).unwrap();
    let second = clinic.run(&[]);
    assert_eq!(second.code, Some(0), "{second}");
    assert!(second.stdout.contains("2 sessions are no longer there"), "{second}");
    assert_eq!(clinic.table("quarantine").len(), 0);
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
}
