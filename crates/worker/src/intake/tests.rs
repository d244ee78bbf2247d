use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use cicatrix_store::{Continuation, FolderStore, MemoryStore, Object};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;

const S1: &str = "incoming/clinic=c-1/patient=p-1/session=2026-01-10-01";
const S2: &str = "incoming/clinic=c-1/patient=p-1/session=2026-03-10-01";
const OTHER: &str = "incoming/clinic=c-1/patient=p-2/session=2026-02-01-01";

async fn bucket(objects: &[(String, String)]) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    for (key, text) in objects {
        let key = ObjectKey::parse(key).unwrap();
        store.put(&key, Bytes::from(text.clone()), "image/jpeg").await.unwrap();
    }
    Arc::new(store)
}

fn photo(folder: &str, name: &str) -> (String, String) {
    (format!("{folder}/{name}"), "pixels".to_owned())
}

fn manifest_at(folder: &str, manifest: &Value) -> (String, String) {
    (format!("{folder}/manifest.json"), manifest.to_string())
}

/// A manifest of c-1, p-1 with these photos.
fn manifest(date: &str, photos: &Value) -> Value {
    json!({"schema": "cicatrix.session/1", "clinic_id": "c-1", "patient_id": "p-1", "session_date": date,
           "photos": photos})
}

/// Sweeps in a task of its own with a channel that has to be emptied meanwhile.
async fn sweep_with(
    store: Arc<dyn PhotoStore>,
    layout: Layout,
    settings: IntakeSettings,
) -> (Vec<Found>, Result<SweepCounts, StoreError>) {
    let intake = Intake::new(store, layout, settings);
    let (sink, mut finds) = mpsc::channel(1);
    let sweep = tokio::spawn(async move { intake.sweep(None, &sink).await });
    let mut found = Vec::new();
    while let Some(find) = finds.recv().await {
        found.push(find);
    }
    (found, sweep.await.unwrap())
}

async fn sweep(objects: &[(String, String)]) -> (Vec<Found>, SweepCounts) {
    let store = bucket(objects).await;
    let (found, counts) = sweep_with(store, Layout::standard(), IntakeSettings::default()).await;
    (found, counts.unwrap())
}

/// Finds in short: what came in which order.
fn told(found: &[Found]) -> Vec<String> {
    let line = |find: &Found| match find {
        Found::Session(upload) => {
            let shots = upload.photos.iter().map(|photo| format!("{}.{}", photo.view, photo.shot));
            let shots: Vec<String> = shots.collect();
            format!("{} {} {}: {}", upload.clinic, upload.patient, upload.session, shots.join(" "))
        }
        Found::PatientEnd { clinic, patient } => format!("end {clinic} {patient}"),
        Found::Quarantined { key, reason, .. } => format!("{reason} {key}"),
        Found::Problem { place, .. } => format!("problem {place}"),
        Found::Unseen { place, .. } => format!("unseen {place}"),
        Found::Crowded { patient, .. } => format!("crowded {patient}"),
        Found::Mark { .. } => String::new(),
    };
    found.iter().map(line).filter(|line| !line.is_empty()).collect()
}

fn sessions(found: &[Found]) -> Vec<&SessionUpload> {
    let uploads = found.iter().filter_map(|find| match find {
        Found::Session(upload) => Some(upload.as_ref()),
        _ => None,
    });
    let uploads: Vec<&SessionUpload> = uploads.collect();
    assert!(!uploads.is_empty(), "no session was found");
    uploads
}

fn dates(found: &[Found]) -> Vec<String> {
    sessions(found).iter().map(|upload| format!("{} {}", upload.patient, upload.session.date)).collect()
}

/// Reasons by view and shot.
fn refusals(upload: &SessionUpload) -> Vec<(String, Option<Reason>)> {
    let photos = upload.photos.iter();
    photos
        .map(|photo| {
            let reason = photo.refused.as_ref().map(|(reason, _)| *reason);
            (format!("{}.{}", photo.view, photo.shot), reason)
        })
        .collect()
}

#[tokio::test]
async fn sessions_come_in_order_and_each_patient_ends() {
    let objects = [
        photo(OTHER, "face.frontal.1.jpg"),
        photo(S2, "face.left45.1.jpg"),
        photo(S1, "face.frontal.2.jpg"),
        photo(S1, "face.frontal.1.jpg"),
        photo(S1, "notes.txt"),
    ];
    let (found, counts) = sweep(&objects).await;
    assert_eq!(
        told(&found),
        [
            "c-1 p-1 2026-01-10-01: face.frontal.1 face.frontal.2",
            "c-1 p-1 2026-03-10-01: face.left45.1",
            "end c-1 p-1",
            "c-1 p-2 2026-02-01-01: face.frontal.1",
            "end c-1 p-2",
        ]
    );
    let expected = SweepCounts { objects: 5, photos: 4, sessions: 3, patients: 2, bad_keys: 0, problems: 0 };
    assert_eq!(counts, expected);
    let first = &sessions(&found)[0].photos[0];
    assert_eq!(first.key, format!("{S1}/face.frontal.1.jpg"));
    assert_eq!((first.bytes, first.version.is_empty()), (6, false));
    assert_eq!((&first.sha256, first.px_per_mm, first.regions.len()), (&None, None, 0));
}

#[tokio::test]
async fn a_patient_that_spans_pages_is_sent_once_and_whole() {
    let mut objects = Vec::new();
    for patient in ["p-1", "p-2", "p-3", "p"] {
        for shot in 1..=400 {
            let folder = format!("clinic=c-1/patient={patient}/session=2026-01-10-01");
            objects.push(photo(&folder, &format!("face.frontal.{shot}.jpg")));
        }
    }
    let (found, counts) = sweep(&objects).await;
    assert_eq!((counts.photos, counts.sessions, counts.patients), (1600, 4, 4));
    assert!(sessions(&found).iter().all(|upload| upload.photos.len() == 400));
}

#[tokio::test]
async fn a_visit_in_two_folders_is_one_session() {
    let objects = [
        photo("clinic=c/patient=p/session=2026-01-10-01", "face.frontal.1.jpg"),
        photo("clinic=c/patient=p/session=2026-01-10-02", "face.frontal.1.jpg"),
        photo("clinic=c/patient=p/session=2026-01-10", "face.left45.1.jpg"),
    ];
    let (found, _) = sweep(&objects).await;
    assert_eq!(
        told(&found),
        ["c p 2026-01-10-01: face.frontal.1 face.left45.1", "c p 2026-01-10-02: face.frontal.1", "end c p"]
    );
}

#[tokio::test]
async fn a_manifest_describes_its_session_and_photos() {
    let digest = "ab".repeat(32);
    let mut said = manifest(
        "2026-01-10",
        &json!([{"view": "face.frontal", "n": 1, "file": "face.frontal.1.jpg", "sha256": digest, "bytes": 999,
                 "px_per_mm": 12.4, "captured_at": "2026-01-10T18:04:31+01:00",
                 "regions": [{"name": "cheek_l", "polygon_px": [[0, 0], [9, 0], [9, 9]]}]}]),
    );
    said["session_no"] = json!(3);
    said["baseline"] = json!(true);
    said["treatment"] = json!({"sessions_before": 2, "days_since_last": 42});
    said["consent"] = json!({"scope": ["Treatment"]});
    said["room"] = json!("B");
    let objects = [manifest_at(S1, &said), photo(S1, "face.frontal.1.jpg"), photo(S1, "face.left45.1.jpg")];

    let (found, _) = sweep(&objects).await;
    let upload = sessions(&found)[0];
    assert_eq!((upload.session_no, upload.baseline), (Some(3), true));
    assert_eq!((upload.sessions_before, upload.days_since_treatment), (Some(2), Some(42)));
    assert_eq!(upload.problem, None);
    assert_eq!(upload.manifest.as_ref().unwrap(), &said);
    let [described, by_name] = &upload.photos[..] else { panic!("{:?}", upload.photos) };
    assert_eq!(described.sha256.as_deref(), Some(digest.as_str()));
    assert_eq!((described.px_per_mm, described.regions.len()), (Some(12.4), 1));
    assert_eq!(described.captured_at, Some("2026-01-10T17:04:31Z".parse().unwrap()));
    assert_eq!(described.refused, None, "a wrong size is for the checksum to find");
    assert_eq!((&by_name.sha256, &by_name.refused), (&None, &None));
}

#[tokio::test]
async fn a_manifest_that_contradicts_its_place_says_nothing_about_the_photos() {
    let mut said = manifest("2026-01-11", &json!([{"view": "face.left90", "file": "face.left90.1.jpg"}]));
    said["patient_id"] = json!("p-9");
    said["baseline"] = json!(true);
    let (found, _) = sweep(&[manifest_at(S1, &said), photo(S1, "face.frontal.1.jpg")]).await;
    let upload = sessions(&found)[0];
    let (reason, detail) = upload.problem.as_ref().unwrap();
    assert_eq!(*reason, Reason::DateConflict);
    for part in ["p-9", "'p-1'", "2026-01-11", "2026-01-10", "upload it again"] {
        assert!(detail.contains(part), "{detail}");
    }
    assert_eq!(refusals(upload), [("face.frontal.1".to_owned(), None)]);
    assert!(upload.baseline, "the flag went with the problem");
}

#[tokio::test]
async fn a_file_that_only_the_manifest_names_is_told_as_missing() {
    let said = manifest(
        "2026-01-10",
        &json!([{"view": "face.frontal", "file": "face.frontal.1.jpg"},
                {"view": "face.left45", "file": "face.left45.1.jpg"},
                {"view": "face.right45", "file": "..", "n": 2}]),
    );
    let (found, counts) = sweep(&[manifest_at(S1, &said), photo(S1, "face.frontal.1.jpg")]).await;
    let upload = sessions(&found)[0];
    let missing = Some(Reason::ViewMissing);
    assert_eq!(
        refusals(upload),
        [
            ("face.frontal.1".to_owned(), None),
            ("face.left45.1".to_owned(), missing),
            ("face.right45.2".to_owned(), missing)
        ]
    );
    let left = &upload.photos[1];
    assert_eq!((left.key.as_str(), left.version.as_str(), left.bytes), (&*format!("{S1}/face.left45.1.jpg"), "", 0));
    assert_eq!(upload.photos[2].key, format!("{S1}/face.right45.2"));
    assert_eq!(counts.photos, 1);
}

#[tokio::test]
async fn a_photo_that_was_renamed_is_missing_with_a_word_on_the_other_name() {
    let said = |date: &str| manifest(date, &json!([{"view": "face.frontal", "file": "face.frontal.1.jpg"}]));
    let objects = [
        manifest_at(S1, &said("2026-01-10")),
        photo(S1, "frontal.jpg"),
        manifest_at(S2, &said("2026-03-10")),
        photo(OTHER, "frontal.jpg"),
    ];
    let (found, counts) = sweep(&objects).await;
    let [renamed, missing] = sessions(&found)[..] else { panic!("{:?}", told(&found)) };
    let detail = |upload: &SessionUpload| upload.photos[0].refused.clone().unwrap();
    assert_eq!((detail(renamed).0, detail(missing).0), (Reason::ViewMissing, Reason::ViewMissing));
    assert!(detail(renamed).1.contains("holds 1 file(s) whose names were not understood"), "{:?}", detail(renamed));
    assert!(!detail(missing).1.contains("understood"), "{:?}", detail(missing));
    assert_eq!((counts.bad_keys, counts.sessions, counts.patients), (2, 2, 1), "a bad name alone made a session");
}

#[tokio::test]
async fn a_photo_that_is_not_as_described_is_refused() {
    let said = manifest(
        "2026-01-10",
        &json!([{"view": "face.frontal", "file": "face.left45.1.jpg"},
                {"view": "face.right45", "file": "face.right45.1.jpg", "bytes": 7},
                {"view": "face.left90", "file": "face.left90.1.jpg"}]),
    );
    let objects = [
        manifest_at(S1, &said),
        photo(S1, "face.frontal.1.jpg"),
        photo(S1, "face.left45.1.jpg"),
        photo(S1, "face.left90.1.png"),
        photo(S1, "face.right45.1.jpg"),
        photo(S1, "face.right90.1.jpg"),
    ];
    let (found, _) = sweep(&objects).await;
    let checksum = Some(Reason::ChecksumMismatch);
    assert_eq!(
        refusals(sessions(&found)[0]),
        [
            ("face.frontal.1".to_owned(), checksum),
            ("face.left45.1".to_owned(), Some(Reason::ViewMismatch)),
            ("face.right45.1".to_owned(), checksum),
            ("face.left90.1".to_owned(), checksum),
            ("face.right90.1".to_owned(), None)
        ]
    );
}

#[tokio::test]
async fn consent_for_something_else_is_no_consent() {
    let mut said = manifest("2026-01-10", &json!([]));
    said["consent"] = json!({"scope": ["marketing"]});
    let (found, _) = sweep(&[manifest_at(S1, &said), photo(S1, "face.frontal.1.jpg")]).await;
    assert_eq!(sessions(&found)[0].problem.as_ref().unwrap().0, Reason::ConsentMissing);
}

#[tokio::test]
async fn an_unusable_manifest_is_told_with_its_fault_and_the_photos_are_kept() {
    let upload_of = |text: &str| (format!("{S1}/manifest.json"), text.to_owned());
    let cases = [
        (upload_of("{\"schema\": "), "no JSON"),
        (upload_of("{\"schema\": \"cicatrix.session/2\"}"), "'cicatrix.session/2'"),
        (upload_of("{\"schema\": \"cicatrix.session/1\"}"), "clinic_id"),
        (upload_of("[]"), "cannot be used"),
        (upload_of(&"x".repeat((4 << 20) + 1)), "the limit is 4194304"),
        (manifest_at(S1, &manifest("2026-01-10", &json!([{"view": "face.frontal", "file": "a/b"}]))), "plain name"),
        (manifest_at(S1, &manifest("2026-01-10", &json!([{"view": "selfie", "file": "a"}]))), "is no view"),
    ];
    for (object, expected) in cases {
        let (found, _) = sweep(&[object, photo(S1, "face.frontal.1.jpg")]).await;
        let upload = sessions(&found)[0];
        let (reason, detail) = upload.problem.as_ref().unwrap();
        assert_eq!(*reason, Reason::MetadataMissing);
        assert!(detail.contains(expected) && detail.contains("manifest.json"), "{detail}");
        assert_eq!(refusals(upload), [("face.frontal.1".to_owned(), None)]);
    }
}

#[tokio::test]
async fn a_manifest_saved_with_a_byte_order_mark_is_read() {
    let (key, text) = manifest_at(S1, &manifest("2026-01-10", &json!([])));
    let (found, _) = sweep(&[(key, format!("\u{feff}{text}")), photo(S1, "face.frontal.1.jpg")]).await;
    assert_eq!(sessions(&found)[0].problem, None);
}

#[tokio::test]
async fn a_session_with_two_manifests_is_in_conflict() {
    let said = manifest("2026-01-10", &json!([]));
    let again = "incoming/clinic=c-1/patient=p-1/session=2026-01-10";
    let (found, _) = sweep(&[manifest_at(S1, &said), manifest_at(again, &said)]).await;
    assert_eq!(sessions(&found).len(), 1);
    assert_eq!(sessions(&found)[0].problem.as_ref().unwrap().0, Reason::DateConflict);
}

#[tokio::test]
async fn a_key_off_the_layout_is_quarantined_and_the_sweep_goes_on() {
    let objects = [photo(S1, "IMG_0042.jpg"), photo(S1, "face.frontal.1.jpg"), photo("old", "face.frontal.1.jpg")];
    let (found, counts) = sweep(&objects).await;
    let bad = format!("bad_key {S1}/IMG_0042.jpg");
    assert_eq!(
        told(&found),
        [bad.as_str(), "bad_key old/face.frontal.1.jpg", "c-1 p-1 2026-01-10-01: face.frontal.1", "end c-1 p-1"]
    );
    assert_eq!((counts.objects, counts.bad_keys), (3, 2));
}

#[tokio::test]
async fn a_key_that_is_none_and_a_link_are_told() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("a\\..\\b.jpg"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", home.path().join("c.jpg")).unwrap();
    let store = Arc::new(FolderStore::open(home.path()).unwrap());
    let (found, counts) = sweep_with(store, Layout::standard(), IntakeSettings::default()).await;
    assert_eq!(told(&found), ["unseen c.jpg", "bad_key a\\..\\b.jpg"]);
    let counts = counts.unwrap();
    assert_eq!((counts.objects, counts.bad_keys, counts.problems), (0, 1, 1));
}

#[tokio::test]
async fn of_two_files_for_a_shot_the_first_is_taken() {
    let objects = [
        photo(S1, "face.frontal.1.jpg"),
        photo(S1, "face.frontal.01.jpg"),
        photo(S1, "face.frontal.1.png"),
        photo(S1, "face.frontal.jpg"),
    ];
    let (found, counts) = sweep(&objects).await;
    assert_eq!((counts.photos, counts.bad_keys), (1, 3));
    assert_eq!(sessions(&found)[0].photos[0].key, format!("{S1}/face.frontal.01.jpg"));
    for find in &found[..3] {
        let Found::Quarantined { reason, detail, .. } = find else { panic!("{find:?}") };
        assert_eq!(*reason, Reason::BadKey);
        assert!(detail.contains("face.frontal.01.jpg"), "{detail}");
    }
}

#[tokio::test]
async fn of_two_files_for_a_shot_the_one_that_the_manifest_names_is_taken() {
    let said = manifest("2026-01-10", &json!([{"view": "face.frontal", "file": "face.frontal.1.jpg"}]));
    let objects = [manifest_at(S1, &said), photo(S1, "face.frontal.01.jpg"), photo(S1, "face.frontal.1.jpg")];
    let (found, _) = sweep(&objects).await;
    assert_eq!(told(&found)[0], format!("bad_key {S1}/face.frontal.01.jpg"));
    let kept = &sessions(&found)[0].photos[0];
    assert_eq!((&kept.key, &kept.refused), (&format!("{S1}/face.frontal.1.jpg"), &None));
}

#[tokio::test]
async fn a_photo_that_is_too_large_is_refused_unread() {
    let store = bucket(&[photo(S1, "face.frontal.1.jpg")]).await;
    let settings = IntakeSettings { max_bytes: 5, ..IntakeSettings::default() };
    let (found, _) = sweep_with(store, Layout::standard(), settings).await;
    assert_eq!(refusals(sessions(&found)[0]), [("face.frontal.1".to_owned(), Some(Reason::FileTooLarge))]);
}

#[tokio::test]
async fn a_table_describes_sessions_without_a_manifest() {
    let head = "clinic_id,patient_id,session_date,session_no,baseline,sessions_before,days_since_last,px_per_mm";
    let rows = "c-1,p-1,2026-01-10,1,true,0,,11.5\nc-1,p-1,2026-03-10,x,,,,\nc-1,p-2,2026-02-01,2,,1,30,\n";
    let said = json!({"schema": "cicatrix.session/1", "clinic_id": "c-1", "patient_id": "p-2",
                      "session_date": "2026-02-01", "photos": []});
    let objects = [
        ("incoming/sessions.csv".to_owned(), format!("{head}\n{rows}")),
        ("old/sessions.csv".to_owned(), head.to_owned()),
        photo(S1, "face.frontal.1.jpg"),
        photo(S2, "face.frontal.1.jpg"),
        manifest_at(OTHER, &said),
    ];
    let (found, counts) = sweep(&objects).await;
    let [described, broken, by_manifest] = sessions(&found)[..] else { panic!("{:?}", told(&found)) };

    assert_eq!((described.session_no, described.baseline, described.sessions_before), (Some(1), true, Some(0)));
    assert_eq!((described.photos[0].px_per_mm, &described.manifest), (Some(11.5), &None));
    let (reason, detail) = broken.problem.as_ref().unwrap();
    assert_eq!(*reason, Reason::MetadataMissing);
    assert!(detail.contains("incoming/sessions.csv, line 3: column 'session_no'"), "{detail}");
    assert_eq!((by_manifest.session_no, by_manifest.days_since_treatment), (None, None));

    assert_eq!(told(&found)[..2], ["problem incoming/sessions.csv", "problem old/sessions.csv"]);
    assert_eq!(counts.problems, 2);
}

#[tokio::test]
async fn a_layout_that_mixes_patients_is_sent_at_the_end() {
    let mut objects = Vec::new();
    for session in 0..600 {
        let date = jiff::civil::date(2020, 1, 1).checked_add(jiff::Span::new().days(session)).unwrap();
        for patient in ["p-1", "p-2"] {
            objects.push(photo(&date.to_string(), &format!("{patient}_face.frontal.jpg")));
        }
    }
    let layout = Layout::pattern("{session}/{patient}_{view}.{ext}", Some("home".parse().unwrap())).unwrap();
    let (found, counts) = sweep_with(bucket(&objects).await, layout, IntakeSettings::default()).await;
    let counts = counts.unwrap();
    assert_eq!((counts.objects, counts.photos, counts.sessions, counts.patients), (1200, 1200, 1200, 2));
    let told = told(&found);
    assert_eq!(told[0], "home p-1 2020-01-01-01: face.frontal.1");
    assert_eq!(told[600], "end home p-1");
}

#[tokio::test]
async fn a_pattern_with_a_folder_a_session_has_its_manifest_read() {
    let said = json!({"schema": "cicatrix.session/1", "clinic_id": "home", "patient_id": "p-1",
                      "session_date": "2026-01-10",
                      "photos": [{"view": "face.frontal", "n": 2, "file": "face.frontal.2.jpg", "px_per_mm": 9.5}]});
    let objects = [manifest_at("p-1/2026-01-10", &said), photo("p-1/2026-01-10", "face.frontal.2.jpg")];
    let layout = Layout::pattern("{patient}/{session}/{view}.{ext}", Some("home".parse().unwrap())).unwrap();
    let (found, _) = sweep_with(bucket(&objects).await, layout, IntakeSettings::default()).await;
    assert_eq!(sessions(&found)[0].photos[0].px_per_mm, Some(9.5));
}

#[tokio::test]
async fn a_day_to_begin_with_keeps_the_baseline_and_the_first_session() {
    let folder = |date: &str| format!("clinic=c-1/patient=p-1/session={date}-01");
    let mut objects: Vec<(String, String)> = ["2026-01-10", "2026-03-10", "2026-05-10", "2026-11-10"]
        .into_iter()
        .map(|date| photo(&folder(date), "face.frontal.1.jpg"))
        .collect();
    let mut said = manifest("2026-03-10", &json!([]));
    said["baseline"] = json!(true);
    objects.push(manifest_at(&folder("2026-03-10"), &said));
    objects.push(photo("clinic=c-1/patient=p-2/session=2026-05-10-01", "face.frontal.1.jpg"));

    let settings = IntakeSettings { since: Some("2026-11-01".parse().unwrap()), ..IntakeSettings::default() };
    let (found, counts) = sweep_with(bucket(&objects).await, Layout::standard(), settings).await;
    assert_eq!(dates(&found), ["p-1 2026-01-10", "p-1 2026-03-10", "p-1 2026-11-10"]);
    assert_eq!(told(&found).last().unwrap(), "end c-1 p-1");
    assert_eq!(counts.unwrap().patients, 1);
}

#[tokio::test]
async fn only_the_clinics_that_were_asked_for_are_sent() {
    let objects = [
        photo("clinic=c-1/patient=p-1/session=2026-01-10-01", "face.frontal.1.jpg"),
        photo("clinic=c-2/patient=p-1/session=2026-01-10-01", "face.frontal.1.jpg"),
    ];
    let settings = IntakeSettings { clinics: vec!["c-2".parse().unwrap()], ..IntakeSettings::default() };
    let (found, counts) = sweep_with(bucket(&objects).await, Layout::standard(), settings).await;
    assert_eq!(told(&found), ["c-2 p-1 2026-01-10-01: face.frontal.1", "end c-2 p-1"]);
    assert_eq!(counts.unwrap().objects, 2);
}

#[tokio::test]
async fn a_sweep_without_a_listener_stops_without_an_error() {
    let store = bucket(&[photo(S1, "face.frontal.1.jpg")]).await;
    let intake = Intake::new(store, Layout::standard(), IntakeSettings::default());
    let (sink, finds) = mpsc::channel(1);
    drop(finds);
    assert_eq!(intake.sweep(None, &sink).await.unwrap().sessions, 0);
}

/// A store whose manifests answer with these errors before they come.
#[derive(Debug)]
struct Failing {
    content: Arc<MemoryStore>,
    errors: Mutex<Vec<StoreError>>,
    /// Nothing else works either.
    is_closed: bool,
}

impl Failing {
    async fn with(errors: Vec<StoreError>, is_closed: bool) -> Arc<Self> {
        let objects = [manifest_at(S1, &manifest("2026-01-10", &json!([]))), photo(S1, "face.frontal.1.jpg")];
        Arc::new(Self { content: bucket(&objects).await, errors: Mutex::new(errors), is_closed })
    }

    fn next_error(&self, key: &ObjectKey) -> Option<StoreError> {
        if key.file_name() != "manifest.json" {
            return None;
        }
        self.errors.lock().unwrap().pop()
    }
}

#[async_trait]
impl PhotoStore for Failing {
    fn describe(&self) -> String {
        self.content.describe()
    }
    async fn list(&self, after: Option<&Continuation>) -> Result<Page, StoreError> {
        self.content.list(after).await
    }
    async fn get(&self, key: &ObjectKey, limit_bytes: u64) -> Result<Object, StoreError> {
        match self.next_error(key) {
            Some(error) => Err(error),
            None => self.content.get(key, limit_bytes).await,
        }
    }
    async fn put(&self, key: &ObjectKey, bytes: Bytes, content_type: &str) -> Result<(), StoreError> {
        self.content.put(key, bytes, content_type).await
    }
    async fn check(&self) -> Result<(), StoreError> {
        if self.is_closed { Err(denied()) } else { Ok(()) }
    }
}

fn outage() -> StoreError {
    StoreError::Unavailable { place: "s3://photos".to_owned(), action: "read", why: "503".to_owned() }
}

fn denied() -> StoreError {
    StoreError::Denied { place: "s3://photos".to_owned(), action: "read", why: "403".to_owned(), advice: "ask" }
}

#[tokio::test]
async fn a_short_outage_is_waited_out_and_a_long_one_ends_the_sweep() {
    let short = Failing::with(vec![outage(), outage()], false).await;
    let (found, _) = sweep_with(short, Layout::standard(), IntakeSettings::default()).await;
    assert!(sessions(&found)[0].manifest.is_some());

    let long = Failing::with(vec![outage(), outage(), outage()], false).await;
    let (found, counts) = sweep_with(long, Layout::standard(), IntakeSettings::default()).await;
    assert_eq!(counts, Err(outage()));
    assert!(found.is_empty(), "a session was sent without its manifest");
}

#[tokio::test]
async fn a_manifest_that_may_not_be_read_is_its_sessions_problem() {
    let store = Failing::with(vec![denied()], false).await;
    let (found, _) = sweep_with(store, Layout::standard(), IntakeSettings::default()).await;
    let (reason, detail) = sessions(&found)[0].problem.as_ref().unwrap();
    assert_eq!(*reason, Reason::MetadataMissing);
    assert!(detail.contains("403"), "{detail}");
}

#[tokio::test]
async fn a_store_that_permits_nothing_ends_the_sweep() {
    let store = Failing::with(vec![denied()], true).await;
    let (found, counts) = sweep_with(store, Layout::standard(), IntakeSettings::default()).await;
    assert_eq!(counts, Err(denied()));
    assert!(found.is_empty());
}

#[tokio::test]
async fn a_manifest_that_went_away_since_the_listing_is_none() {
    let gone = StoreError::NotFound { place: "memory".to_owned(), key: ObjectKey::parse("x").unwrap() };
    let store = Failing::with(vec![gone], false).await;
    let (found, _) = sweep_with(store, Layout::standard(), IntakeSettings::default()).await;
    let upload = sessions(&found)[0];
    assert_eq!((&upload.problem, &upload.manifest), (&None, &None));
}

#[tokio::test]
async fn a_sweep_that_was_cut_goes_on_behind_its_mark_without_missing_a_patient() {
    let objects: Vec<(String, String)> = (0..700)
        .flat_map(|number| {
            (1..=4).map(move |shot| {
                photo(
                    &format!("clinic=c-1/patient=p-{number:04}/session=2026-01-01-01"),
                    &format!("face.frontal.{shot}.jpg"),
                )
            })
        })
        .collect();
    let patients = |found: &[Found]| -> Vec<String> {
        let ends = found.iter().filter_map(|find| match find {
            Found::PatientEnd { patient, .. } => Some(patient.to_string()),
            _ => None,
        });
        ends.collect()
    };
    let (whole, _) = sweep(&objects).await;
    let marks: Vec<(usize, String)> = whole
        .iter()
        .enumerate()
        .filter_map(|(at, find)| match find {
            Found::Mark { after } => Some((at, after.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(marks.len(), 2, "one for each page but the last");
    for (at, after) in marks {
        let store = bucket(&objects).await;
        let intake = Intake::new(store, Layout::standard(), IntakeSettings::default());
        let (sink, mut finds) = mpsc::channel(1);
        let sweep = tokio::spawn(async move { intake.sweep(Some(&after), &sink).await });
        let mut rest = Vec::new();
        while let Some(find) = finds.recv().await {
            rest.push(find);
        }
        sweep.await.unwrap().unwrap();
        assert_eq!([patients(&whole[..at]), patients(&rest)].concat(), patients(&whole));
    }
}
