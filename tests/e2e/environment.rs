//! What is typed wrong or not there, and a machine that does not play along: an exit code and a sentence that names
//! what to change.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use crate::clinic::{Clinic, UNDISTURBED, Visit};
use crate::program::{CICATRIX, Ended, Running};

/// A place where not even root may write.
const LOCKED: &str = "/sys/cicatrix-e2e";
/// Exit code of a script that could not make its small disk.
const NO_DISK: i32 = 99;

#[test]
fn a_missing_folder_is_named_and_makes_no_database() {
    let clinic = Clinic::empty();
    let run = clinic.cicatrix(&["run", "nowhere"]);
    assert_eq!(run.code, Some(65), "{run}");
    assert!(run.stderr.contains("nowhere"), "{run}");
    assert!(!clinic.path("cicatrix.db").exists(), "a run without a source made a database");
}

#[test]
fn a_missing_database_is_named_and_not_made() {
    let clinic = Clinic::empty();
    let commands: [&[&str]; 4] = [&["export", "changes"], &["status"], &["retakes", "list"], &["jobs", "list"]];
    for command in commands {
        let asked = clinic.cicatrix(command);
        assert_eq!(asked.code, Some(65), "{command:?}: {asked}");
        assert!(asked.stderr.contains("cicatrix.db"), "{command:?}: {asked}");
        assert!(!clinic.path("cicatrix.db").exists(), "{command:?} made a database");
    }
}

#[test]
fn a_file_that_is_no_ledger_is_bad_input_and_stays_as_it_is() {
    let clinic = Clinic::of(&[Visit::regular(0, 1)]);
    let letter = "this is a letter and no database\n".repeat(200);
    fs::write(clinic.path("cicatrix.db"), &letter).unwrap();
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(65), "{run}");
    assert_eq!(fs::read_to_string(clinic.path("cicatrix.db")).unwrap(), letter);
}

#[test]
fn a_database_in_a_folder_that_is_not_there_is_told_with_the_folder() {
    let clinic = Clinic::of(&[Visit::regular(0, 1)]);
    let run = clinic.run(&["--db", "sqlite://missing/folder/x.db"]);
    assert_eq!(run.code, Some(78), "{run}");
    assert!(run.stderr.contains("missing/folder does not exist") && run.stderr.contains("--db"), "{run}");
    assert!(!clinic.path("missing").exists());
}

#[test]
fn a_run_that_is_named_and_not_there_is_bad_input() {
    let ledger = UNDISTURBED.ledger();
    let before = ledger.states();
    for verb in ["retry", "cancel"] {
        let named = ledger.cicatrix(&["jobs", verb, "1", "4711"]);
        assert_eq!(named.code, Some(65), "{verb}: {named}");
        assert!(named.stderr.contains("no run 4711"), "{verb}: {named}");
        let filtered = ledger.cicatrix(&["jobs", verb, "--state", "failed"]);
        assert_eq!(filtered.code, Some(0), "{verb}: {filtered}");
        assert!(filtered.stdout.contains("No run was changed"), "{verb}: {filtered}");
    }
    assert_eq!(ledger.states(), before);
}

#[test]
fn a_bad_configuration_is_told_with_its_place() {
    let clinic = Clinic::empty();
    let texts = [
        ("workesr = 2\n", "workesr"),
        ("workers = \"many\"\n", "workers"),
        ("pixel_memory_mib = 3\n", "pixel_memory_mib"),
        ("protocol = \"nowhere.toml\"\n", "nowhere.toml"),
    ];
    for (text, word) in texts {
        fs::write(clinic.path("own.toml"), text).unwrap();
        let run = clinic.run(&["--config", "own.toml"]);
        assert_eq!(run.code, Some(78), "{text}: {run}");
        assert!(run.stderr.contains(word), "{text}: {run}");
    }
    let typed = clinic.run(&["--pixel-memory", "3"]);
    assert_eq!(typed.code, Some(78), "{typed}");
    assert!(typed.stderr.contains("--pixel-memory"), "{typed}");
    let missing = clinic.run(&["--config", "missing.toml"]);
    assert_eq!(missing.code, Some(78), "{missing}");
    assert!(missing.stderr.contains("missing.toml"), "{missing}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_wrong_usage() {
    let clinic = Clinic::empty();
    let wrong: [&[&str]; 6] = [
        &["run", "bucket", "--nonsense"],
        &["run"],
        &["export", "nonsense"],
        &["run", "bucket", "--clinic", "../c"],
        &["demo", "--patients", "0"],
        &["nonsense"],
    ];
    for args in wrong {
        let ended = clinic.cicatrix(args);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended}");
    }
    for (option, known) in [("--state", "waiting_for_baseline"), ("--reason", "decoder_crash")] {
        let ended = clinic.cicatrix(&["jobs", "list", option, "nonsense"]);
        assert!(ended.code == Some(2) && ended.stderr.contains(known), "{option}: {ended}");
    }
}

#[test]
fn doctor_says_how_photos_are_confined() {
    let doctor = Clinic::empty().cicatrix(&["doctor"]);
    assert_eq!(doctor.code, Some(0), "{doctor}");
    assert!(doctor.stdout.contains("resource limits yes"), "{doctor}");
    assert!(doctor.stdout.contains("no new descriptors yes, ends with its parent yes"), "{doctor}");
}

#[test]
fn a_place_for_pictures_that_is_a_file_is_bad_input() {
    let clinic = Clinic::of(&[Visit::regular(0, 1)]);
    fs::write(clinic.path("out"), "a file").unwrap();
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(65), "{run}");
    assert!(run.stderr.contains("out"), "{run}");
}

#[test]
fn a_place_without_the_right_to_write_is_not_permitted() {
    match fs::create_dir(LOCKED).map_err(|error| error.kind()) {
        Err(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {}
        other => {
            let _ = fs::remove_dir(LOCKED);
            println!("skipped: no place on this machine is locked ({other:?})");
            return;
        }
    }
    let clinic = Clinic::of(&[Visit::regular(0, 1)]);
    let run = clinic.cicatrix(&["run", "bucket", "--out", LOCKED]);
    assert_eq!(run.code, Some(77), "{run}");
    assert!(run.stderr.contains(LOCKED), "{run}");
    let export = UNDISTURBED.ledger().cicatrix(&["export", "changes", "--output", LOCKED]);
    assert_eq!(export.code, Some(77), "{export}");
    let run = clinic.cicatrix(&["run", "bucket", "--out", "none", "--db", "sqlite:///sys/cicatrix-e2e.db"]);
    assert_eq!(run.code, Some(77), "{run}");
    assert!(run.stderr.contains("the folder /sys"), "{run}");
}

#[test]
fn pictures_on_a_full_disk_stop_the_run_and_cost_no_photo() {
    let clinic = Clinic::regular();
    let Some(full) = on_small_disk(&clinic, "24k", r#"exec "$0" run bucket --out small --workers 1 --no-progress"#)
    else {
        return;
    };
    assert_eq!(full.code, Some(74), "{full}");
    assert!(full.stderr.contains("small"), "{full}");
    let photos = clinic.table("photos");
    assert!(photos.iter().all(|photo| photo["state"] != "failed" && photo["starts"] == 0), "{photos:?}");

    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
    for photo in clinic.table("photos") {
        let names: serde_json::Value = serde_json::from_str(photo["derived"].as_str().unwrap()).unwrap();
        let names: Vec<_> = names.as_object().unwrap().values().cloned().collect();
        assert_eq!(names.len(), 4, "{photo}");
        for name in names {
            assert!(clinic.path("out").join(name.as_str().unwrap()).is_file(), "{name} is missing");
        }
    }
}

/// The disk fills up while photos are read. A run that hangs is ended after a minute, with code 124.
#[test]
fn a_ledger_on_a_full_disk_stops_the_run_which_goes_on_later() {
    let clinic = Clinic::regular();
    let script = r#"
        run() { timeout -k 5 60 "$0" run bucket --db sqlite://small/c.db --out none --workers 1 --no-progress; }
        run &
        until "$0" status --json --db sqlite://small/c.db 2>&1 | grep -q '"measured":[1-9]'; do
            kill -0 $! 2>/dev/null || exit 98
            sleep 0.05
        done
        dd if=/dev/zero of=small/filler bs=4k 2>/dev/null
        wait $!; echo $? >first
        rm small/filler
        run; echo $? >second
        "$0" export changes --db sqlite://small/c.db >changes.csv
    "#;
    let Some(ended) = on_small_disk(&clinic, "16m", script) else { return };
    assert_eq!(ended.code, Some(0), "{ended}");
    let code = |name: &str| fs::read_to_string(clinic.path(name)).unwrap().trim().to_owned();
    assert_eq!(code("first"), "74", "{ended}");
    assert_eq!(code("second"), "0", "{ended}");
    let changes = fs::read_to_string(clinic.path("changes.csv")).unwrap();
    let mut changes: Vec<&str> = changes.lines().collect();
    changes.sort_unstable();
    assert_eq!(changes, UNDISTURBED.changes);
}

#[test]
fn a_disk_without_room_for_a_new_ledger_is_told_as_full() {
    let clinic = Clinic::of(&[Visit::regular(0, 1)]);
    for size in ["40k", "64k", "80k", "100k", "200k", "300k"] {
        let script = r#"exec "$0" run bucket --db sqlite://small/c.db --out none --no-progress"#;
        let Some(full) = on_small_disk(&clinic, size, script) else { return };
        assert_eq!(full.code, Some(74), "{size}: {full}");
    }
}

/// Runs a shell script in the clinic's home, where `small/` is a disk of this size for as long as the script runs.
/// The program is `$0`. `None` when this machine does not allow it.
fn on_small_disk(clinic: &Clinic, size: &str, script: &str) -> Option<Ended> {
    fs::create_dir_all(clinic.path("small")).unwrap();
    let script = format!("mount -t tmpfs -o size={size} tmpfs small || exit {NO_DISK}\n{script}");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, CICATRIX]);
    command.current_dir(clinic.path("")).env_remove("CICATRIX_LOG");
    let ended = match Running::start(command) {
        Ok(running) => running.end(),
        Err(error) => {
            println!("skipped: no small disk, unshare did not start: {error}");
            return None;
        }
    };
    if ended.code == Some(NO_DISK) || ended.stderr.starts_with("unshare:") {
        println!("skipped: no small disk: {}", ended.stderr.trim());
        return None;
    }
    Some(ended)
}

#[test]
fn an_export_that_does_not_fit_leaves_the_old_table() {
    let ledger = UNDISTURBED.ledger();
    let script = r#"
        echo old >small/table.csv
        "$0" export observations --output small/table.csv
        code=$?
        cp small/table.csv kept.csv
        ls -A small >left
        exit $code
    "#;
    let Some(full) = on_small_disk(&ledger, "12k", script) else { return };
    assert_eq!(full.code, Some(74), "{full}");
    assert_eq!(fs::read_to_string(ledger.path("kept.csv")).unwrap(), "old\n");
    assert_eq!(fs::read_to_string(ledger.path("left")).unwrap(), "table.csv\n");
    let whole = ledger.cicatrix(&["export", "observations", "--output", "kept.csv"]);
    assert_eq!(whole.code, Some(0), "{whole}");
    assert_eq!(fs::read_to_string(ledger.path("kept.csv")).unwrap(), ledger.csv("observations"));
}

#[test]
fn a_table_for_a_full_disk_is_told_as_full() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: this machine has no /dev/full");
        return;
    }
    let ledger = UNDISTURBED.ledger();
    for table in ["changes", "observations"] {
        for format in ["csv", "json"] {
            let export = ledger.cicatrix(&["export", table, "--format", format, "--output", "/dev/full"]);
            assert_eq!(export.code, Some(74), "{table} as {format}: {export}");
        }
    }
}
