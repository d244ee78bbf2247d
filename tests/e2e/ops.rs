//! What operators type: look, try again, take off the lists, pause, choose another baseline; and a fleet on one database.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::clinic::{Clinic, UNDISTURBED, Visit};
use crate::program::{LOOK, PATIENCE};

/// A clinic one of whose photos is no photo.
fn with_a_letter() -> Clinic {
    let letter = Visit::regular(2, 1).file(2, "jpg", &b"Dear Sirs".repeat(200), json!({}));
    let clinic = Clinic::of(&[Visit::regular(0, 2), Visit::regular(1, 2), letter]);
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(11), "{run}");
    clinic
}

fn quarantined(clinic: &Clinic) -> Value {
    let found: Vec<Value> =
        clinic.table("photos").into_iter().filter(|photo| photo["state"] == "quarantined").collect();
    assert_eq!(found.len(), 1);
    found[0].clone()
}

#[test]
fn a_file_that_was_set_aside_is_shown_with_its_history_and_leaves_the_list_with_a_name() {
    let clinic = with_a_letter();
    let run = quarantined(&clinic)["run_id"].to_string();
    let shown = clinic.cicatrix(&["quarantine", "show", &run]);
    assert_eq!(shown.code, Some(0), "{shown}");
    for part in ["type_mismatch", "started", "quarantined", "object_key"] {
        assert!(shown.stdout.contains(part), "{part} is not in {shown}");
    }
    let asked = clinic.cicatrix(&["quarantine", "purge", "--all-matching"]);
    assert_eq!(asked.code, Some(65), "without --yes: {asked}");
    assert!(asked.stderr.contains("1 runs: 1 quarantined (type_mismatch)?"), "{asked}");
    let purged = clinic.cicatrix(&["quarantine", "purge", &run, "--by", "ana", "--why", "a letter"]);
    assert!(purged.stdout.contains("1 runs are off the lists"), "{purged}");
    assert_eq!(clinic.table("quarantine").len(), 0);
    let dealt_with = clinic.run(&[]);
    assert_eq!(dealt_with.code, Some(0), "what is off the lists is dealt with: {dealt_with}");
    let shown = clinic.cicatrix(&["jobs", "show", &run]);
    assert!(shown.stdout.contains("ana") && shown.stdout.contains("a letter"), "{shown}");

    let released = clinic.cicatrix(&["quarantine", "release", "--all-matching", "--yes", "--by", "ana"]);
    assert!(released.stdout.contains("1 runs will be read again"), "{released}");
    let again = clinic.run(&[]);
    assert_eq!(again.code, Some(11), "{again}");
    assert_eq!(clinic.table("quarantine").len(), 1);
}

#[test]
fn a_session_that_was_taken_back_says_so_in_its_changes() {
    let clinic = Clinic::of(&[Visit::regular(0, 1), Visit::regular(1, 1)]);
    assert_eq!(clinic.run(&[]).code, Some(0));
    clinic.receive(&Visit::regular(2, 1));
    assert_eq!(clinic.cicatrix(&["scan", "bucket"]).code, Some(0));
    let cancelled = clinic.cicatrix(&["jobs", "cancel", "--state", "ready", "--yes", "--by", "ana"]);
    assert!(cancelled.stdout.contains("1 runs"), "{cancelled}");
    assert_eq!(clinic.run(&[]).code, Some(0));
    let changes = clinic.table("changes");
    let last = changes.iter().rfind(|row| row["measure"] == "psi").unwrap();
    assert_eq!((&last["verdict"], &last["reason"]), (&json!("not_measurable"), &json!("cancelled")), "{last}");
}

#[test]
fn runs_are_counted_by_reason_and_listed_by_page() {
    let clinic = with_a_letter();
    let counted = clinic.cicatrix(&["jobs", "list", "--by-reason"]);
    assert!(counted.stdout.contains("type_mismatch") && counted.stdout.contains("measured"), "{counted}");
    let page = clinic.cicatrix(&["jobs", "list", "--limit", "2"]);
    assert!(page.stdout.contains("2 of 6: --after"), "{page}");
    let old = clinic.cicatrix(&["jobs", "list", "--older-than", "3d"]);
    assert_eq!(old.stdout.trim(), "None.", "{old}");
    let none = clinic.cicatrix(&["jobs", "retry"]);
    assert_eq!(none.code, Some(2), "{none}");
    let status = clinic.cicatrix(&["status"]);
    assert!(status.stdout.contains("quarantined: 1 type_mismatch"), "{status}");
}

#[test]
fn a_worker_that_drains_says_what_came_of_it_as_a_run_does() {
    let letter = Visit::regular(2, 1).file(2, "jpg", &b"Dear Sirs".repeat(200), json!({}));
    let clinic = Clinic::of(&[Visit::regular(0, 1), letter]);
    assert_eq!(clinic.cicatrix(&["scan", "bucket"]).code, Some(0));
    let paused = clinic.cicatrix(&["jobs", "pause", "--clinic", "c-nroth"]);
    assert_eq!(paused.code, Some(65), "a clinic that is not there: {paused}");
    assert_eq!(clinic.cicatrix(&["jobs", "pause"]).code, Some(0));
    let deadline = format!("{} UTC", minutes_from_now());
    let late = clinic.cicatrix(&["worker", "bucket", "--out", "none", "--no-progress", "--deadline", &deadline]);
    assert_eq!(late.code, Some(12), "a deadline ends a worker that was not told to drain, too: {late}");
    assert_eq!(clinic.cicatrix(&["jobs", "resume"]).code, Some(0));
    let drained = clinic.cicatrix(&["worker", "bucket", "--out", "none", "--drain", "--no-progress"]);
    assert_eq!(drained.code, Some(11), "{drained}");
}

#[test]
fn a_pause_holds_until_it_is_resumed_and_says_who_and_why() {
    let clinic = Clinic::regular();
    let scan = clinic.cicatrix(&["scan", "bucket"]);
    assert_eq!(scan.code, Some(0), "{scan}");
    let paused = clinic.cicatrix(&["jobs", "pause", "--by", "ben", "--why", "new lamp"]);
    assert!(paused.stdout.contains("all clinics") && paused.stdout.contains("by ben: new lamp"), "{paused}");
    let mut running = clinic.start_run(&[]);
    clinic.wait_for(&mut running, "scheduled", 1);
    assert!(clinic.cicatrix(&["status"]).stdout.contains("Paused: all clinics"));
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended}");
    assert_eq!(clinic.counts().unwrap()["measured"], 0);

    let resumed = clinic.cicatrix(&["jobs", "resume", "--by", "ben"]);
    assert!(resumed.stdout.contains("Nothing is paused"), "{resumed}");
    assert_eq!(clinic.run(&[]).code, Some(0));
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
    let did: Vec<Value> = clinic.table("actions").into_iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(did, ["paused", "resumed"]);
}

#[test]
fn a_closed_window_keeps_photos_until_the_deadline_and_now_opens_it() {
    let clinic = Clinic::regular();
    // Twelve hours that begin an hour from now.
    let (from, to) = (hours_from_now(1), hours_from_now(13));
    fs::write(clinic.path("cicatrix.toml"), format!("[clinic]\nwindow = '{from}-{to} UTC'\n")).unwrap();
    let deadline = format!("{} UTC", minutes_from_now());
    let late = clinic.run(&["--deadline", &deadline]);
    assert_eq!(late.code, Some(12), "{late}");
    assert!(late.stdout.contains("the deadline came"), "{late}");
    let status = clinic.cicatrix(&["status", "--json"]).json();
    assert_eq!(status["clinics"]["c-014"]["held"], "window", "{status}");
    let screen = clinic.cicatrix(&["status"]);
    assert!(screen.stdout.contains("no worker is there"), "its run has ended: {screen}");

    let now = clinic.run(&["--now"]);
    assert_eq!(now.code, Some(0), "{now}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
}

/// Ctrl-C is heard whenever it comes, also while the ledger is asked.
#[test]
fn a_watched_status_draws_on_a_terminal_until_it_is_interrupted() {
    let clinic = UNDISTURBED.ledger();
    for round in 0..5 {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let screen = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let screen = fs::File::options().write(true).open(screen).unwrap();
        let mut watch = clinic.command(&["status", "--watch"]).stdout(screen).spawn().unwrap();
        let mut terminal = fs::File::from(terminal);
        let mut drawn = Vec::new();
        while !drawn.ends_with(b"\x1b[J") {
            let mut part = [0; 4096];
            let n = terminal.read(&mut part).unwrap();
            drawn.extend_from_slice(&part[..n]);
        }
        assert!(String::from_utf8_lossy(&drawn).contains("measured"), "{}", String::from_utf8_lossy(&drawn));
        kill_process(Pid::from_child(&watch), Signal::INT).unwrap();
        let until = Instant::now() + PATIENCE;
        let code = loop {
            match watch.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if Instant::now() > until => panic!("round {round}: it goes on: {:?}", watch.kill()),
                None => thread::sleep(LOOK),
            }
        };
        assert_eq!(code, Some(0), "round {round}");
    }
}

fn clock(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M").to_string()
}

fn hours_from_now(hours: i64) -> String {
    clock(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours))
}

/// The next full minute but one, so that a run has begun by then.
fn minutes_from_now() -> String {
    clock(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(75))
}

#[test]
fn another_baseline_can_be_chosen_and_a_patient_is_shown() {
    let clinic = Clinic::regular();
    assert_eq!(clinic.run(&[]).code, Some(0));
    let patient = clinic.table("sessions")[0]["patient_id"].as_str().unwrap().to_owned();
    let sessions: Vec<String> =
        clinic.table("sessions").iter().map(|row| row["session"].as_str().unwrap().to_owned()).collect();
    let shown = clinic.cicatrix(&["patient", "show", &patient]);
    assert!(sessions.iter().all(|session| shown.stdout.contains(session.as_str())), "{shown}");
    assert_eq!(clinic.cicatrix(&["patient", "show", "nobody"]).code, Some(65));

    let chosen = clinic.cicatrix(&[
        "patient",
        "baseline",
        &patient,
        "--session",
        &sessions[1],
        "--why",
        "first one is of another room",
    ]);
    assert_eq!(chosen.code, Some(0), "{chosen}");
    assert_eq!(clinic.run(&[]).code, Some(0));
    let references: Vec<Value> = clinic
        .table("photos")
        .into_iter()
        .filter(|photo| photo["is_reference"] == 1)
        .map(|photo| photo["session"].clone())
        .collect();
    assert_eq!(references, [json!(sessions[1])]);
    let back = clinic.cicatrix(&["patient", "baseline", &patient, "--as-described"]);
    assert!(back.stdout.contains("count again"), "{back}");
    assert_eq!(clinic.run(&[]).code, Some(0));
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
    let timeline = clinic.cicatrix(&["patient", "timeline", &patient]);
    assert!(timeline.stdout.contains("started") && timeline.stdout.contains("measured"), "{timeline}");
}

#[test]
fn an_older_protocols_results_stay_until_a_rescore_and_then_too() {
    let clinic = Clinic::regular();
    assert_eq!(clinic.run(&[]).code, Some(0));
    let shown = clinic.cicatrix(&["config", "show"]).stdout;
    let start = shown.find("id = \"standard").unwrap();
    let end = shown.find("# calibration").unwrap();
    let protocol = shown[start..end].replacen("standard-3", "standard-4-trial", 1);
    fs::write(clinic.path("trial.toml"), protocol).unwrap();
    fs::write(clinic.path("cicatrix.toml"), "protocol = 'trial.toml'\n").unwrap();
    let quiet = clinic.run(&[]);
    assert!(quiet.stdout.contains("0 new runs planned"), "{quiet}");
    let before = clinic.table("photos").len();
    let again = clinic.run(&["--rescore"]);
    assert_eq!(again.code, Some(0), "{again}");
    let photos = clinic.table("photos");
    assert_eq!(photos.len(), before);
    assert!(photos.iter().all(|photo| photo["protocol_id"] == "standard-4-trial"), "{photos:?}");
}

/// A database of its own on the test server; none without one.
struct Server {
    address: String,
    name: String,
}

impl Server {
    fn make(name: &str) -> Option<Self> {
        let Ok(address) = std::env::var("CICATRIX_TEST_POSTGRES") else {
            let required = std::env::var("CICATRIX_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!required, "CICATRIX_TEST_POSTGRES names no server, and one is required");
            println!("skipped: CICATRIX_TEST_POSTGRES names no PostgreSQL server");
            return None;
        };
        let server = Self { address, name: format!("e2e_{name}_{}", std::process::id()) };
        server.order(&format!("CREATE DATABASE {}", server.name));
        Some(server)
    }

    fn order(&self, sql: &str) {
        let done = Command::new("psql").args(["-qX", &self.address, "-c", sql]).output().expect("psql is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn url(&self) -> String {
        let (base, _) = self.address.rsplit_once('/').unwrap();
        format!("{base}/{}", self.name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.order(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[test]
fn a_fleet_on_a_server_gives_the_result_of_one_machine() {
    let Some(server) = Server::make("fleet") else { return };
    let clinic = Clinic::regular();
    let db = server.url();
    let scan = clinic.cicatrix(&["scan", "bucket", "--db", &db]);
    assert_eq!(scan.code, Some(0), "{scan}");
    assert!(scan.stdout.contains("cicatrix worker bucket --db"), "{scan}");
    let words = ["worker", "bucket", "--db", &db, "--out", "none", "--workers", "1", "--drain", "--no-progress"];
    let workers = [clinic.start(&words), clinic.start(&words)];
    for worker in workers {
        let ended = worker.end();
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    let exported = clinic.cicatrix(&["export", "changes", "--db", &db]);
    let mut rows: Vec<String> = exported.stdout.lines().map(str::to_owned).collect();
    rows.sort();
    assert_eq!(rows, UNDISTURBED.changes, "the same rows as from a file");
    let status = clinic.cicatrix(&["status", "--db", &db]);
    assert!(status.stdout.contains("measured") && !status.stdout.contains("FAILED"), "{status}");
}

#[test]
fn a_worker_tells_how_it_is_and_ends_when_it_is_told() {
    let clinic = Clinic::regular();
    assert_eq!(clinic.cicatrix(&["scan", "bucket"]).code, Some(0));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut worker = clinic.start(&["worker", "bucket", "--out", "none", "--listen", &address, "--no-progress"]);
    clinic.wait_for(&mut worker, "measured", 6);
    let metrics = get(&address, "/metrics");
    for line in [
        "cicatrix_photos_total{outcome=\"measured\",clinic=\"c-014\"} 6",
        "cicatrix_jobs_total{stage=\"fetch\",outcome=\"done\"} 6",
        "cicatrix_store_requests_total{op=\"get\",code=\"ok\"}",
        "cicatrix_queue_jobs{state=\"ready\"} 0",
        "cicatrix_store_out 0",
        "cicatrix_last_success_timestamp_seconds{clinic=\"c-014\"}",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    fs::rename(clinic.path("bucket"), clinic.path("away")).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 503"));
    worker.signal(Signal::TERM);
    let ended = worker.end();
    assert_eq!(ended.code, Some(0), "{ended}");
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Every name, label and label value that rules and dashboards may use is told by the program.
#[test]
fn the_metrics_that_dashboards_know_are_the_programs() {
    let known =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus/metrics.prom")).unwrap();
    let clinic = with_a_letter();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    assert_eq!(clinic.cicatrix(&["jobs", "retry", "--state", "quarantined", "--yes"]).code, Some(0));
    let mut worker = clinic.start(&["worker", "bucket", "--out", "none", "--listen", &address, "--no-progress"]);
    clinic.wait_for(&mut worker, "quarantined", 1);
    let told = get(&address, "/metrics");
    worker.signal(Signal::TERM);
    worker.end();
    let types = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let told_types = types(&told);
    // Of retakes and follow-ups there are none here; a family without a series is not written.
    for metric in types(&known).into_iter().filter(|metric| !metric.contains("retake") && !metric.contains("drift")) {
        let plain = metric.trim_end_matches("_total");
        assert!(told_types.iter().any(|told| told == plain || *told == metric), "{metric} is not told: {told_types:?}");
    }
    // Series whose labels do not depend on what happened are there from the beginning.
    for line in known.lines().filter(|line| {
        line.starts_with("cicatrix_jobs_total")
            || line.starts_with("cicatrix_store_requests")
            || line.starts_with("cicatrix_pixel")
    }) {
        let series = line.rsplit_once(' ').unwrap().0;
        assert!(told.contains(series), "{series} is not told");
    }
}
