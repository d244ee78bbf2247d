//! What a clinic gets wrong: each fault is told by its reason, and costs nobody else anything.
//!
//! Most of them lie in one bucket that is run once. The patient's second visit has a good first shot and a fault in
//! each further one; the faults of whole sessions are of other patients.

use std::fs;
use std::io::Write;
use std::sync::LazyLock;

use flate2::{Compression, Crc, write::DeflateEncoder};
use serde_json::{Value, json};

use crate::clinic::{Clinic, DAYS, Night, PATIENT, RENDERED, States, UNDISTURBED, VIEW, Visit, enlarged, states};

// Shots of the patient's second visit.
const GOOD: u64 = 1;
const HALF: u64 = 2;
const LETTER: u64 = 3;
const EMPTY: u64 = 4;
const TOO_WIDE: u64 = 5;
const PROFILE_BOMB: u64 = 6;
const OTHER_SUM: u64 = 7;
const STRANGER: u64 = 8;
const MIRRORED: u64 = 9;

/// Was treated before the first visit that is known.
const LATE: &str = "pt-late";
/// Has two visits that both say to be the baseline.
const TWICE: &str = "pt-twice";
/// Has a manifest of somebody else.
const MOVED: &str = "pt-moved";
/// Has a manifest that is no JSON.
const SCRAWLED: &str = "pt-scrawl";

/// A photo beside the sessions, one whose name is no view's, and one whose name would move a terminal's cursor.
const BAD_NAMES: [&str; 3] = ["misc/closeup.left_cheek.1.jpg", "session=2026-02-16-01/Jane Doe.jpg", ESCAPE];
const ESCAPE: &str = "session=2026-02-16-01/\u{1b}[2Jcheek.jpg";

static FAULTY: LazyLock<Night> = LazyLock::new(|| {
    let clinic = Clinic::of(&[Visit::regular(0, 1), faulty_files()]);
    for visit in faulty_sessions() {
        clinic.receive(&visit);
    }
    for name in BAD_NAMES {
        let path = clinic.path("bucket/incoming/clinic=c-014").join(format!("patient={PATIENT}")).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &RENDERED.visits[1][0].jpeg).unwrap();
    }
    Night::over(&clinic, &[])
});

fn faulty_files() -> Visit {
    let good = &RENDERED.visits[1][0].jpeg;
    let letter = "Dear colleague, please find the photo attached.\n".repeat(20);
    let other = &RENDERED.visits[2][0].jpeg;
    Visit::regular(1, 1)
        .file(HALF as u16, "jpg", &good[..good.len() / 2], json!({}))
        .file(LETTER as u16, "jpg", letter.as_bytes(), json!({}))
        .file(EMPTY as u16, "jpg", b"", json!({}))
        .file(TOO_WIDE as u16, "png", &png(20_000, 20_000, None), json!({}))
        .file(PROFILE_BOMB as u16, "png", &png(4, 4, Some(&gibibyte_of_zeros())), json!({}))
        .file(OTHER_SUM as u16, "jpg", other, json!({"sha256": "0".repeat(64)}))
        .file(STRANGER as u16, "jpg", &RENDERED.stranger, json!({}))
        .file(MIRRORED as u16, "jpg", &RENDERED.mirrored, json!({}))
}

fn faulty_sessions() -> Vec<Visit> {
    let [first, second] = [0, 1].map(|index| &RENDERED.visits[index][0]);
    let baseline = |patient: &str| Visit::new(patient, DAYS[0]).say("baseline", json!(true)).shot(1, first);
    let later = |patient: &str| Visit::new(patient, DAYS[1]).shot(1, second);
    vec![
        Visit::new(LATE, DAYS[0]).say("treatment", json!({"sessions_before": 3})).shot(1, first),
        later(LATE).say("treatment", json!({"sessions_before": 4})),
        baseline(TWICE),
        later(TWICE).say("baseline", json!(true)),
        baseline(MOVED),
        later(MOVED).say("patient_id", json!("pt-somebody")),
        baseline(SCRAWLED),
        later(SCRAWLED).scrawled("{ \"schema\": \"cicatrix.session/1\", and so on"),
    ]
}

/// A PNG of zeros, or for a large one its header alone.
fn png(width: u32, height: u32, profile: Option<&[u8]>) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let frame = [&width.to_be_bytes()[..], &height.to_be_bytes()[..], &[8, 2, 0, 0, 0][..]].concat();
    chunk(&mut file, b"IHDR", &frame);
    if let Some(profile) = profile {
        chunk(&mut file, b"iCCP", &[b"bomb\0\0".as_slice(), profile].concat());
    }
    let rows = if width < 100 { zeros((height * (1 + 3 * width)) as usize, 1) } else { Vec::new() };
    chunk(&mut file, b"IDAT", &rows);
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    file.extend((data.len() as u32).to_be_bytes());
    file.extend(kind);
    file.extend(data);
    file.extend(crc.sum().to_be_bytes());
}

fn gibibyte_of_zeros() -> Vec<u8> {
    zeros(1 << 20, 1 << 10)
}

/// A zlib stream that inflates to `times` pieces of so many zeros. A flushed piece of deflate stands for itself, so it
/// is made once and repeated; the Adler sum of n zeros is n in its upper half and 1 in its lower.
fn zeros(piece: usize, times: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0_u8; piece]).unwrap();
    encoder.flush().unwrap();
    let adler = (((piece * times) % 65_521) << 16) as u32 | 1;
    let pieces = encoder.get_ref().repeat(times);
    [&[0x78, 0xda][..], &pieces[..], &[0x03, 0x00][..], &adler.to_be_bytes()[..]].concat()
}

fn photo(patient: &str, day: &str, shot: u64) -> (String, String, u64) {
    (patient.to_owned(), day.to_owned(), shot)
}

fn state(name: &str, reason: Option<&str>) -> (String, Option<String>) {
    (name.to_owned(), reason.map(str::to_owned))
}

/// What became of a shot of the patient's second visit.
fn shot(n: u64) -> (String, Option<String>) {
    states(&FAULTY.photos)[&photo(PATIENT, DAYS[1], n)].clone()
}

/// What became of another patient's visit.
fn session(patient: &str, index: usize) -> (String, Option<String>) {
    states(&FAULTY.photos)[&photo(patient, DAYS[index], 1)].clone()
}

fn measured() -> (String, Option<String>) {
    state("measured", None)
}

fn quarantined(reason: &str) -> (String, Option<String>) {
    state("quarantined", Some(reason))
}

fn retake(reason: &str) -> (String, Option<String>) {
    state("not_measurable", Some(reason))
}

#[test]
fn half_a_jpeg_is_truncated() {
    assert_eq!(shot(HALF), quarantined("truncated"));
}

#[test]
fn a_letter_that_is_called_a_photo_does_not_match_its_type() {
    assert_eq!(shot(LETTER), quarantined("type_mismatch"));
}

#[test]
fn an_empty_file_is_truncated() {
    assert_eq!(shot(EMPTY), quarantined("truncated"));
}

#[test]
fn a_photo_of_400_megapixels_has_too_many_pixels() {
    assert_eq!(shot(TOO_WIDE), quarantined("too_many_pixels"));
}

#[test]
fn a_colour_profile_of_a_gibibyte_is_too_large() {
    assert_eq!(shot(PROFILE_BOMB), quarantined("icc_too_large"));
}

#[test]
fn a_file_that_is_not_the_manifests_is_a_checksum_mismatch() {
    assert_eq!(shot(OTHER_SUM), quarantined("checksum_mismatch"));
}

#[test]
fn another_patients_cheek_cannot_be_aligned() {
    assert_eq!(shot(STRANGER), retake("not_alignable"));
}

#[test]
fn a_mirrored_photo_is_told_from_a_strangers() {
    assert_eq!(shot(MIRRORED), retake("view_mismatch"));
}

#[test]
fn a_patient_who_was_treated_before_lacks_a_baseline() {
    assert_eq!([session(LATE, 0), session(LATE, 1)], [retake("baseline_missing"), retake("baseline_missing")]);
}

#[test]
fn two_sessions_that_are_both_the_baseline_contradict_each_other() {
    assert_eq!([session(TWICE, 0), session(TWICE, 1)], [retake("date_conflict"), retake("date_conflict")]);
}

#[test]
fn a_manifest_of_another_patient_contradicts_its_folder() {
    assert_eq!([session(MOVED, 0), session(MOVED, 1)], [measured(), retake("date_conflict")]);
}

#[test]
fn a_manifest_that_is_no_json_is_missing_metadata() {
    assert_eq!([session(SCRAWLED, 0), session(SCRAWLED, 1)], [measured(), retake("metadata_missing")]);
}

#[test]
fn names_off_the_layout_are_told_as_bad_keys() {
    assert_eq!(FAULTY.ended.code, Some(11), "{}", FAULTY.ended);
    assert!(FAULTY.ended.stdout.contains("3 files are no photos of a session (bad_key)"), "{}", FAULTY.ended);
    let list = FAULTY.ledger().cicatrix(&["quarantine", "list"]);
    for name in &BAD_NAMES[..2] {
        let line = list.stdout.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains("bad_key")), "{name} is not told: {list}");
    }
    let quarantine = FAULTY.ledger().table("quarantine");
    let bad = quarantine.iter().filter(|row| row["reason"] == "bad_key").count();
    assert_eq!(bad, BAD_NAMES.len(), "{quarantine:?}");
}

/// Beside a run whose every other photo is good.
#[test]
fn a_name_off_the_layout_alone_is_worth_an_exit_code() {
    let clinic = Clinic::empty();
    fs::write(clinic.path("bucket").join("closeup.left_cheek.1.jpg"), &RENDERED.visits[0][0].jpeg).unwrap();
    let run = clinic.run(&["--json"]);
    assert_eq!(run.code, Some(11), "{run}");
    let bad = &run.json()["bad_keys"];
    assert!(bad[0][0] == "closeup.left_cheek.1.jpg" && bad[0][1].as_str().unwrap().contains("bad_key"), "{bad}");
}

#[test]
fn a_name_cannot_drive_the_terminal() {
    let list = FAULTY.ledger().cicatrix(&["quarantine", "list"]);
    assert!(list.stdout.contains("cheek.jpg"), "the name is not told: {list}");
    for ended in [&list, &FAULTY.ended] {
        let said = [&ended.stdout, &ended.stderr];
        assert!(said.iter().all(|text| !text.contains('\u{1b}')), "{said:?}");
    }
}

#[test]
fn a_name_off_the_layout_does_not_reach_the_log() {
    let Night { ended, .. } = &*FAULTY;
    for secret in ["Jane", PATIENT, "patient="] {
        let told = ended.stdout.contains(secret) || ended.stderr.contains(secret);
        assert!(!told, "'{secret}' goes to the journal: {ended}");
    }
}

#[test]
fn the_photos_beside_a_fault_are_measured_as_ever() {
    let mut expected: States = States::from([
        (photo(PATIENT, DAYS[0], 1), measured()),
        (photo(PATIENT, DAYS[1], GOOD), measured()),
        (photo(PATIENT, DAYS[1], HALF), quarantined("truncated")),
        (photo(PATIENT, DAYS[1], LETTER), quarantined("type_mismatch")),
        (photo(PATIENT, DAYS[1], EMPTY), quarantined("truncated")),
        (photo(PATIENT, DAYS[1], TOO_WIDE), quarantined("too_many_pixels")),
        (photo(PATIENT, DAYS[1], PROFILE_BOMB), quarantined("icc_too_large")),
        (photo(PATIENT, DAYS[1], OTHER_SUM), quarantined("checksum_mismatch")),
        (photo(PATIENT, DAYS[1], STRANGER), retake("not_alignable")),
        (photo(PATIENT, DAYS[1], MIRRORED), retake("view_mismatch")),
        (photo(MOVED, DAYS[0], 1), measured()),
        (photo(SCRAWLED, DAYS[0], 1), measured()),
    ]);
    expected.insert(photo(MOVED, DAYS[1], 1), retake("date_conflict"));
    expected.insert(photo(SCRAWLED, DAYS[1], 1), retake("metadata_missing"));
    for day in &DAYS[..2] {
        expected.insert(photo(LATE, day, 1), retake("baseline_missing"));
        expected.insert(photo(TWICE, day, 1), retake("date_conflict"));
    }
    assert_eq!(states(&FAULTY.photos), expected);

    let of_good = |rows: &[Value]| -> Vec<Value> {
        let ours = |row: &&Value| row["patient_id"] == PATIENT && row["session_date"] == DAYS[1] && row["shot"] == GOOD;
        rows.iter().filter(ours).cloned().collect()
    };
    let values = of_good(&FAULTY.observations);
    assert!(!values.is_empty(), "the good photo has no observations");
    assert_eq!(values, of_good(&UNDISTURBED.observations));
}

#[test]
fn every_session_without_a_number_has_a_change_that_says_why() {
    let table = FAULTY.ledger().table("changes");
    let said = |patient: &str, index: usize| {
        let row = table.iter().find(|row| row["patient_id"] == patient && row["session_date"] == DAYS[index]);
        row.map(|row| (row["verdict"].as_str().unwrap().to_owned(), row["reason"].as_str().map(str::to_owned)))
    };
    for (patient, reason) in
        [(LATE, "baseline_missing"), (TWICE, "date_conflict"), (MOVED, "date_conflict"), (SCRAWLED, "metadata_missing")]
    {
        assert_eq!(said(patient, 1), Some(retake(reason)), "{patient}");
    }
    assert_eq!(said(PATIENT, 1).map(|(_, reason)| reason), Some(None), "the good shot is no number");
}

#[test]
fn a_description_that_was_corrected_is_read_again() {
    let [first, second] = [0, 1].map(|index| &RENDERED.visits[index][0]);
    let clinic = Clinic::of(&[
        Visit::new(PATIENT, DAYS[0]).say("baseline", json!(true)).shot(1, first),
        Visit::new(PATIENT, DAYS[1]).say("baseline", json!(true)).shot(1, second),
    ]);
    let wrong = clinic.run(&[]);
    assert_eq!(wrong.code, Some(10), "{wrong}");
    clinic.receive(&Visit::new(PATIENT, DAYS[1]).shot(1, second));
    let right = clinic.run(&[]);
    assert_eq!(right.code, Some(0), "{right}");
    assert!(clinic.states().into_values().all(|found| found == measured()), "{:?}", clinic.states());
}

/// As its advice says: the file is not the one the manifest describes, upload it again.
#[test]
fn a_file_that_is_uploaded_again_after_a_checksum_mismatch_is_measured() {
    let clinic = Clinic::of(&[Visit::regular(0, 1), Visit::regular(1, 1)]);
    let whole = &RENDERED.visits[1][0].jpeg;
    let path = clinic.path("bucket").join(Visit::regular(1, 1).folder()).join(format!("{VIEW}.1.jpg"));
    fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    let torn = clinic.run(&[]);
    assert_eq!(torn.code, Some(11), "{torn}");
    assert_eq!(clinic.states()[&photo(PATIENT, DAYS[1], 1)], quarantined("checksum_mismatch"));
    fs::write(&path, whole).unwrap();
    let again = clinic.run(&[]);
    assert_eq!(clinic.states()[&photo(PATIENT, DAYS[1], 1)], measured(), "{again}");
    assert_eq!(again.code, Some(0), "{again}");
}

#[test]
fn a_broken_baseline_photo_gives_its_place_to_the_other_shot() {
    let [first, second] = &RENDERED.visits[0];
    let clinic = Clinic::of(&[
        Visit::new(PATIENT, DAYS[0])
            .say("baseline", json!(true))
            .file(1, "jpg", &first.jpeg[..first.jpeg.len() / 2], json!({}))
            .shot(2, second),
        Visit::regular(1, 1),
    ]);
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(11), "{run}");
    let expected = States::from([
        (photo(PATIENT, DAYS[0], 1), quarantined("truncated")),
        (photo(PATIENT, DAYS[0], 2), measured()),
        (photo(PATIENT, DAYS[1], 1), measured()),
    ]);
    assert_eq!(clinic.states(), expected);
    assert_eq!(regions(&clinic), ["cheek_l"]);
}

/// The other way round than above: here the broken photo is the one that has the regions.
#[test]
fn a_baseline_photo_without_regions_does_not_take_the_place_of_a_broken_one_that_has_them() {
    let [first, second] = &RENDERED.visits[0];
    let clinic = Clinic::of(&[
        Visit::new(PATIENT, DAYS[0])
            .say("baseline", json!(true))
            .shot(1, first)
            .with_file(0, first.jpeg[..first.jpeg.len() / 2].to_vec())
            .file(2, "jpg", &second.jpeg, json!({})),
        Visit::regular(1, 1),
    ]);
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(11), "{run}");
    let expected = States::from([
        (photo(PATIENT, DAYS[0], 1), quarantined("truncated")),
        (photo(PATIENT, DAYS[0], 2), retake("baseline_not_measurable")),
        (photo(PATIENT, DAYS[1], 1), retake("baseline_not_measurable")),
    ]);
    assert_eq!(clinic.states(), expected);
    for row in clinic.table("changes") {
        assert_eq!((&row["verdict"], &row["value"]), (&json!("not_measurable"), &Value::Null), "{row}");
    }
}

#[test]
fn regions_on_the_second_shot_alone_are_the_ones_that_are_measured() {
    let [first, second] = &RENDERED.visits[0];
    let clinic = Clinic::of(&[
        Visit::new(PATIENT, DAYS[0])
            .say("baseline", json!(true))
            .file(1, "jpg", &first.jpeg, json!({}))
            .shot(2, second),
        Visit::regular(1, 1),
    ]);
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(clinic.states().into_values().all(|found| found == measured()), "{:?}", clinic.states());
    assert_eq!(regions(&clinic), ["cheek_l"]);
}

/// Regions of the changes, each once.
fn regions(clinic: &Clinic) -> Vec<String> {
    let rows = clinic.table("changes");
    let mut names: Vec<String> = rows.iter().map(|row| row["region"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn two_regions_of_one_name_are_a_fault_of_the_manifest() {
    let polygon = json!([[100, 100], [400, 100], [400, 400]]);
    let twice = json!([{"name": "cheek_l", "polygon_px": polygon}, {"name": "cheek_l", "polygon_px": polygon}]);
    let clinic = Clinic::of(&[Visit::new(PATIENT, DAYS[0]).say("baseline", json!(true)).file(
        1,
        "jpg",
        &RENDERED.visits[0][0].jpeg,
        json!({"regions": twice}),
    )]);
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(10), "{run}");
    assert_eq!(clinic.states(), States::from([(photo(PATIENT, DAYS[0], 1), retake("metadata_missing"))]));
    let retakes = clinic.table("retakes");
    let detail = retakes[0]["detail"].as_str().unwrap();
    assert!(detail.contains("two regions are named 'cheek_l'"), "{detail}");
}

#[test]
fn a_photo_that_needs_more_memory_is_set_aside_and_can_be_tried_again() {
    // 31 megapixels, 3 bytes each as stored and 6 in linear light, are 264 MiB.
    let clinic = Clinic::of(&[
        Visit::new(PATIENT, DAYS[0]).say("baseline", json!(true)).shot(1, &enlarged(0, 8)),
        Visit::new(PATIENT, DAYS[1]).shot(1, &enlarged(1, 8)),
    ]);
    let tight = clinic.run(&["--pixel-memory", "256"]);
    assert_eq!(tight.code, Some(11), "{tight}");
    assert!(!tight.stderr.contains("panicked"), "{tight}");
    let expected = States::from([
        (photo(PATIENT, DAYS[0], 1), quarantined("decoder_memory")),
        (photo(PATIENT, DAYS[1], 1), retake("baseline_not_measurable")),
    ]);
    assert_eq!(clinic.states(), expected);

    let retry = ["jobs", "retry", "--state", "quarantined", "--reason", "decoder_memory", "--yes"];
    let retried = clinic.cicatrix(&retry);
    assert!(retried.code == Some(0) && retried.stdout.starts_with('1'), "{retried}");
    let roomy = clinic.run(&[]);
    assert_eq!(roomy.code, Some(0), "{roomy}");
    assert!(clinic.states().into_values().all(|found| found == measured()), "{:?}", clinic.states());
}

/// Photos that only wait for a better baseline are on no list: the baseline is, in the quarantine.
#[test]
fn a_run_whose_baseline_is_quarantined_points_to_the_quarantine() {
    let whole = &RENDERED.visits[0][0].jpeg;
    let clinic = Clinic::of(&[
        Visit::new(PATIENT, DAYS[0]).say("baseline", json!(true)).file(1, "jpg", &whole[..1000], json!({})),
        Visit::regular(1, 1),
    ]);
    let run = clinic.run(&[]);
    assert_eq!(run.code, Some(11), "{run}");
    assert_eq!(clinic.table("retakes"), Vec::<Value>::new());
    assert!(run.stdout.contains("Next: cicatrix quarantine list"), "{run}");
}
