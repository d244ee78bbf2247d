//! Whatever ends a run or a pixel process, the same command goes on and the result is the same.

use std::fs;
use std::time::Instant;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::clinic::{Clinic, SHOTS, UNDISTURBED, Visit};
use crate::program::PATIENCE;

/// More patients than a sweep gets through before it can be interrupted.
const MANY: usize = 2500;
/// Objects of one page of a listing; a patient has two here, so that a page is left behind before so many are recorded.
const LISTING_PAGE: usize = 1000;

/// Runs to the end, and holds what came of it against a night that nobody disturbed.
fn goes_on_to_the_same_result(clinic: &Clinic) {
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(clinic.states().into_values().all(|(state, _)| state == "measured"), "{:?}", clinic.states());
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
    assert_eq!(clinic.observations(), UNDISTURBED.observations);
}

fn open_photos(clinic: &Clinic) -> usize {
    clinic.states().into_values().filter(|(state, _)| state != "measured").count()
}

/// Events of this kind, once there is a ledger to ask.
fn events(clinic: &Clinic, kind: &str) -> usize {
    if !clinic.path("cicatrix.db.lock").exists() {
        return 0;
    }
    clinic.table("events").iter().filter(|event| event["kind"] == kind).count()
}

#[test]
fn a_killed_run_goes_on_where_it_was_and_doubles_nothing() {
    let clinic = Clinic::regular();
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "measured", 1);
    running.signal_group(Signal::KILL);
    let killed = running.end();
    assert_eq!(killed.code, None, "{killed}");
    assert!(open_photos(&clinic) > 0, "it was killed too late");
    goes_on_to_the_same_result(&clinic);
}

/// More often than a photo may be started without a verdict.
#[test]
fn a_run_that_is_killed_five_times_costs_no_photo() {
    let clinic = Clinic::regular();
    for _ in 0..5 {
        let (before, until) = (events(&clinic, "started"), Instant::now() + PATIENCE);
        let mut running = clinic.start_run(&[]);
        while events(&clinic, "started") == before {
            assert!(!running.has_ended() && Instant::now() < until, "no photo was started: {}", running.said());
        }
        running.signal(Signal::KILL);
        let killed = running.end();
        assert_eq!(killed.code, None, "{killed}");
    }
    assert!(open_photos(&clinic) > 0, "it was killed too late");
    goes_on_to_the_same_result(&clinic);
    let recovered = events(&clinic, "recovered");
    assert!(recovered >= 3, "a photo was in work at {recovered} kills only");
}

#[test]
fn an_interrupted_run_says_so_and_goes_on_where_it_was() {
    let clinic = Clinic::regular();
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "measured", 1);
    running.signal_group(Signal::INT);
    let stopped = running.end();
    assert!(open_photos(&clinic) > 0, "it was interrupted too late");
    assert_eq!(stopped.code, Some(130), "{stopped}");
    assert!(stopped.stdout.contains("run the same command again"), "{stopped}");
    goes_on_to_the_same_result(&clinic);
}

/// Ctrl-C reaches the pixel processes too; three times, and a good photo would be quarantined as `decoder_crash`.
#[test]
fn ctrl_c_is_not_held_against_the_photo_in_work() {
    let clinic = Clinic::regular();
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "measured", 1);
    running.signal_group(Signal::INT);
    let stopped = running.end();
    let events = clinic.table("events");
    let crashes: Vec<_> = events.iter().filter(|event| event["kind"] == "crashed").collect();
    assert!(crashes.is_empty(), "{crashes:?}; {stopped}");
    let photos = clinic.table("photos");
    assert!(photos.iter().all(|photo| photo["state"] == "measured" || photo["starts"] == json!(0)), "{photos:?}");
}

/// What an earlier run or a scan has planned is this run's work as well.
#[test]
fn a_run_that_is_stopped_over_planned_work_says_so() {
    let clinic = Clinic::regular();
    let scan = clinic.cicatrix(&["scan", "bucket"]);
    assert_eq!(scan.code, Some(0), "{scan}");
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "measured", 1);
    running.signal(Signal::TERM);
    let stopped = running.end();
    assert!(open_photos(&clinic) > 0, "it was stopped too late");
    assert_eq!(stopped.code, Some(130), "{stopped}");
    assert!(stopped.stdout.contains("run the same command again"), "{stopped}");
}

/// More patients than a sweep gets through before it can be stopped, each with a session that nobody has to look at.
fn many() -> Clinic {
    let clinic = Clinic::empty();
    for number in 0..MANY {
        clinic.receive(
            &Visit::new(&format!("pt-{number:05}"), "2026-01-12").file(1, "jpg", b"", json!({})).scrawled("?"),
        );
    }
    clinic
}

/// Nothing is left to work on then, but the listing was not seen to its end.
#[test]
fn a_run_that_is_stopped_in_its_sweep_says_so() {
    let clinic = many();
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "not_measurable", 1);
    running.signal(Signal::INT);
    let stopped = running.end();
    assert!(clinic.table("sessions").len() < MANY, "the sweep was through too soon, there have to be more patients");
    assert_eq!(stopped.code, Some(130), "{stopped}");

    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(10), "{run}");
    assert_eq!(clinic.table("sessions").len(), MANY);
}

/// It goes on behind the first page, and what came into that page meanwhile is seen in a second pass.
#[test]
fn a_scan_that_goes_on_after_a_cut_sees_what_came_before_the_cut() {
    let clinic = many();
    let mut scan = clinic.start(&["scan", "bucket", "--no-progress"]);
    clinic.wait_for(&mut scan, "not_measurable", LISTING_PAGE as u64);
    scan.signal(Signal::INT);
    let stopped = scan.end();
    assert_eq!(stopped.code, Some(130), "{stopped}");
    assert!(clinic.table("sessions").len() < MANY, "the sweep was through too soon, there have to be more patients");

    let late = Visit::new("pt-00000", "2026-03-01").file(1, "jpg", b"", json!({})).scrawled("?");
    clinic.receive(&late);
    let again = clinic.cicatrix(&["scan", "bucket", "--no-progress"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert!(again.stdout.contains("went on where the last one was cut"), "{again}");
    let (sessions, patients) = (MANY + 1, MANY);
    assert!(again.stdout.contains(&format!("of {sessions} sessions and {patients} patients listed")), "{again}");
    let sessions = clinic.table("sessions");
    assert_eq!(sessions.len(), MANY + 1);
    let came = |row: &&Value| row["patient_id"] == "pt-00000" && row["session_date"] == "2026-03-01";
    assert_eq!(sessions.iter().filter(came).count(), 1, "{again}");
    assert!(!again.stdout.contains("no longer there"), "{again}");
}

#[test]
fn a_killed_pixel_process_costs_no_photo() {
    let clinic = Clinic::regular();
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "measured", 1);
    let pixels = running.pixel_processes();
    assert!(!pixels.is_empty(), "no pixel process was found");
    for pixel in pixels {
        // It may have ended by itself just now.
        let _ = kill_process(pixel, Signal::KILL);
    }
    let run = running.end();
    assert_eq!(run.code, Some(0), "{run}");
    let events = clinic.table("events");
    assert!(events.iter().any(|event| event["kind"] == "crashed"), "no process was killed at work: {events:?}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
    assert_eq!(clinic.observations(), UNDISTURBED.observations);
}

/// A supervisor that stops a service signals every process of it.
#[test]
fn a_stop_signal_to_the_pixel_processes_costs_nothing() {
    let clinic = Clinic::regular();
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "measured", 1);
    for pixel in running.pixel_processes() {
        let _ = kill_process(pixel, Signal::TERM);
    }
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(clinic.table("events").iter().all(|event| event["kind"] != "crashed"), "{ended}");
    assert_eq!(clinic.observations(), UNDISTURBED.observations);
}

#[test]
fn a_baseline_that_is_gone_is_a_reason_and_no_bug_and_mends_when_it_is_back() {
    let baseline = Visit::regular(0, SHOTS);
    let clinic = Clinic::of(std::slice::from_ref(&baseline));
    let first = clinic.run(&[]);
    assert_eq!(first.code, Some(0), "{first}");
    fs::remove_dir_all(clinic.path("bucket").join(baseline.folder())).unwrap();
    for index in [1, 2] {
        clinic.receive(&Visit::regular(index, SHOTS));
    }
    let without = clinic.run(&[]);
    assert_eq!(without.code, Some(10), "{without}");
    let lost = clinic.states().into_values().filter(|(_, reason)| reason.as_deref() == Some("baseline_missing"));
    assert_eq!(lost.count(), 2 * SHOTS, "{without}");

    clinic.receive(&baseline);
    goes_on_to_the_same_result(&clinic);
}
