//! What leaves the house: tables with the columns of the contract, logs and pictures without a patient in them.

use std::collections::BTreeSet;
use std::fs;
use std::io::pipe;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::clinic::{CLINIC, Clinic, DAYS, PATIENT, RENDERED, UNDISTURBED, VIEW, Visit};

/// Columns that scripts outside rely upon (README, "What comes out").
const CHANGES: &str = "clinic_id patient_id session_date session_no session days_since_baseline view region measure \
    baseline_value value change_pct ci95_lo ci95_hi mdc95_pct verdict reason quality_tier n_shots endpoint_eligible \
    calibration scale_source p_value p_holm";
const OBSERVATIONS: &str = "clinic_id patient_id session_date session_no days_since_baseline days_since_treatment view \
    shot region measure value unit sd ci95_lo ci95_hi n_pixels quality_tier endpoint_eligible object_key \
    content_sha256 baseline_sha256 protocol_id protocol_digest program_version computed_at session scale_source";

const TABLES: [&str; 11] = [
    "observations",
    "changes",
    "sessions",
    "photos",
    "regions",
    "retakes",
    "quarantine",
    "trends",
    "responders",
    "nights",
    "events",
];

/// What a photo's metadata says and nothing derived from it may.
const CANARY: &[u8] = b"CANARY-7f3a Jane Doe";

fn header(table: &str) -> Vec<String> {
    let csv = UNDISTURBED.ledger().csv(table);
    let header = csv::Reader::from_reader(csv.as_bytes()).headers().unwrap().clone();
    header.iter().map(str::to_owned).collect()
}

#[test]
fn changes_have_the_columns_of_the_contract() {
    assert_eq!(header("changes"), CHANGES.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn observations_have_the_columns_of_the_contract() {
    let columns = header("observations");
    let missing: Vec<&str> =
        OBSERVATIONS.split_whitespace().filter(|name| !columns.iter().any(|c| c == name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {columns:?}");
}

#[test]
fn changes_say_what_the_contract_says_they_do() {
    let rows = UNDISTURBED.ledger().table("changes");
    let psi: Vec<&Value> = rows.iter().filter(|row| row["measure"] == "psi").collect();
    assert_eq!(psi.len(), DAYS.len() - 1, "one row for each follow-up: {psi:?}");
    for row in psi {
        let number = |column: &str| row[column].as_f64().unwrap_or_else(|| panic!("no {column} in {row}"));
        assert!(number("ci95_lo") < number("change_pct") && number("change_pct") < number("ci95_hi"), "{row}");
        assert!(number("mdc95_pct") > 0.0, "{row}");
        assert!(["improved", "worsened", "no_detectable_change"].iter().any(|word| row["verdict"] == *word), "{row}");
        assert!(["locked", "clinic", "casual"].iter().any(|tier| row["quality_tier"] == *tier), "{row}");
        assert_eq!(
            (&row["n_shots"], &row["clinic_id"], &row["region"]),
            (&json!(2), &json!(CLINIC), &json!("cheek_l"))
        );
    }
}

/// Measures whose definition needs millimetres.
const IN_MM: [&str; 4] = ["psi_small", "psi_medium", "psi_large", "scar_area_mm2"];

#[test]
fn every_row_says_whether_its_scale_is_known() {
    let known = UNDISTURBED.ledger();
    let unknown = Clinic::of(&[Visit::regular(0, 1).without_scale(), Visit::regular(1, 1).without_scale()]);
    let run = unknown.run(&[]);
    for table in ["changes", "observations"] {
        let rows = known.table(table);
        assert!(rows.iter().all(|row| row["scale_source"] == "manifest"), "{rows:?}");
        assert!(rows.iter().any(|row| row["measure"] == "scar_area_mm2"), "{rows:?}");
        let rows = unknown.table(table);
        assert!(rows.iter().all(|row| row["scale_source"] == "unknown"), "{rows:?}");
        assert!(rows.iter().any(|row| row["measure"] == "psi"), "{run}: {rows:?}");
        assert!(!rows.iter().any(|row| IN_MM.iter().any(|measure| row["measure"] == *measure)), "{rows:?}");
    }
}

/// The table that comes with the program, under another name.
const TABLE: &str = include_str!("../../config/calibrations/rendered-5.toml");

#[test]
fn another_error_table_reaches_the_changes_that_are_there() {
    let clinic = Clinic::of(&[Visit::regular(0, 1), Visit::regular(1, 1)]);
    let calibrations = || {
        let rows = clinic.table("changes").into_iter();
        rows.map(|row| row["calibration"].as_str().unwrap().to_owned()).collect::<BTreeSet<String>>()
    };
    let first = clinic.run(&[]);
    assert_eq!(first.code, Some(0), "{first}");
    let mut found = vec![calibrations()];

    fs::write(clinic.path("own.toml"), "calibration = \"mine.toml\"\n").unwrap();
    let mine = TABLE.replace("id = \"rendered-5\"", "id = \"mine\"");
    for text in [mine.clone(), mine.replacen("n_changes = ", "n_changes = 1", 1)] {
        fs::write(clinic.path("mine.toml"), text).unwrap();
        let run = clinic.run(&["--config", "own.toml", "-v"]);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.stdout.contains("0 new runs") && run.stderr.contains("1 series are computed again"), "{run}");
        found.push(calibrations());
    }
    assert!(found.iter().all(|names| names.len() == 1), "two tables in one: {found:?}");
    let names: Vec<&str> = found.iter().flatten().map(String::as_str).collect();
    assert!(names[0].starts_with("rendered-5@") && names[1].starts_with("mine@"), "{names:?}");
    assert!(names[2].starts_with("mine@") && names[2] != names[1], "a table written anew goes unnoticed: {names:?}");
}

#[test]
fn json_lines_say_what_the_csv_says() {
    let ledger = UNDISTURBED.ledger();
    for table in TABLES {
        let (csv, rows) = (ledger.csv(table), ledger.table(table));
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let header = reader.headers().unwrap().clone();
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), rows.len(), "{table}");
        for (record, row) in records.iter().zip(&rows) {
            assert_eq!(row.as_object().unwrap().len(), header.len(), "{table}: {row}");
            for (column, cell) in header.iter().zip(record) {
                assert!(is_same(cell, &row[column]), "{table}, {column}: '{cell}' and {}", row[column]);
            }
        }
    }
}

fn is_same(cell: &str, value: &Value) -> bool {
    match value {
        Value::Null => cell.is_empty(),
        Value::String(text) => cell == text || cell.strip_prefix('\'') == Some(text.as_str()),
        Value::Number(number) => cell.parse::<f64>().ok() == number.as_f64(),
        _ => false,
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let ledger = UNDISTURBED.ledger();
    for table in ["changes", "observations", "photos"] {
        for format in ["csv", "json"] {
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            let mut command = ledger.command(&["export", table, "--format", format]);
            let export = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
            let said = String::from_utf8_lossy(&export.stderr);
            assert_eq!(export.status.code(), Some(0), "{table} as {format}: {said}");
        }
    }
}

#[test]
fn a_log_names_no_patient_and_no_photo() {
    let log = &UNDISTURBED.ended.stderr;
    assert!(log.contains("INFO") && log.contains("measured"), "no log was written:\n{log}");
    for secret in [PATIENT, VIEW, "patient=", "session=", ".jpg"] {
        assert!(!log.contains(secret), "'{secret}' is in the log:\n{log}");
    }
}

#[test]
fn derived_pictures_and_tables_keep_nothing_of_a_photos_metadata() {
    let clinic = Clinic::of(&[with_canaries(0), with_canaries(1)]);
    let run = clinic.run(&["-vv"]);
    assert_eq!(run.code, Some(0), "{run}");
    for day in &DAYS[..2] {
        for kind in ["aligned.webp", "thumb.webp", "change.png", "confidence.png"] {
            let path = derived(&clinic, day, kind);
            let bytes = fs::read(&path).unwrap();
            let (allowed, found) = match kind.ends_with(".png") {
                true => (&["IHDR", "IDAT", "IEND"][..], png_chunks(&bytes)),
                false => (&["VP8 ", "VP8L"][..], webp_chunks(&bytes)),
            };
            assert!(!found.is_empty(), "{day} {kind} has no chunks");
            assert!(found.iter().all(|name| allowed.contains(&name.as_str())), "{day} {kind} has {found:?}");
            for text in [CANARY, &b"Exif\0"[..], &b"http://ns.adobe.com"[..], &b"ICC_PROFILE"[..]] {
                assert!(!contains(&bytes, text), "{day} {kind} has '{}'", text.escape_ascii());
            }
        }
    }
    let ledger = fs::read(clinic.path("cicatrix.db")).unwrap();
    assert!(!contains(&ledger, CANARY), "the ledger has the canary");
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(!contains(told.as_bytes(), CANARY), "the log has the canary");
}

/// A visit whose photo carries a patient's name in EXIF, XMP and a comment.
fn with_canaries(index: usize) -> Visit {
    let shot = &RENDERED.visits[index][0];
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>".as_slice(), CANARY, b"</x:xmpmeta>".as_slice()].concat();
    let segments = [segment(0xe1, &exif()), segment(0xe1, &xmp), segment(0xfe, CANARY)].concat();
    let jpeg = [&shot.jpeg[..2], &segments[..], &shot.jpeg[2..]].concat();
    Visit::regular(index, 1).with_file(0, jpeg)
}

/// A marker segment of a JPEG.
fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16 + 2;
    [&[0xff, marker][..], &length.to_be_bytes()[..], data].concat()
}

/// EXIF with a description (0x010e) and an artist (0x013b) that are the canary.
fn exif() -> Vec<u8> {
    let tags: [u16; 2] = [0x010e, 0x013b];
    let text_at = 8 + 2 + 12 * tags.len() as u32 + 4;
    let mut bytes = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    bytes.extend((tags.len() as u16).to_le_bytes());
    for tag in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(2_u16.to_le_bytes());
        bytes.extend((CANARY.len() as u32 + 1).to_le_bytes());
        bytes.extend(text_at.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(CANARY);
    bytes.push(0);
    bytes
}

/// Path of a picture that was derived from the first shot of a day.
fn derived(clinic: &Clinic, day: &str, kind: &str) -> PathBuf {
    let photos = clinic.table("photos");
    let photo = photos.iter().find(|row| row["session_date"] == day).unwrap();
    let names: Value = serde_json::from_str(photo["derived"].as_str().unwrap()).unwrap();
    clinic.path("out").join(names[kind].as_str().unwrap_or_else(|| panic!("no {kind} among {names}")))
}

/// Names of a PNG's chunks: length, name, data, checksum.
fn png_chunks(bytes: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        names.insert(head[4..].escape_ascii().to_string());
        at += 12 + u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    }
    assert_eq!(at, bytes.len(), "the PNG is not whole");
    names
}

/// Names of a WebP's chunks: name, length, data, filled up to an even length.
fn webp_chunks(bytes: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut at = 12;
    while let Some(head) = bytes.get(at..at + 8) {
        names.insert(head[..4].escape_ascii().to_string());
        at += 8 + (u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize).next_multiple_of(2);
    }
    assert_eq!(at, bytes.len(), "the WebP is not whole");
    names
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
