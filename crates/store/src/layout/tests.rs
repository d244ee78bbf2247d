use cicatrix_model::View;

use super::*;

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

fn clinic(text: &str) -> Option<ClinicId> {
    Some(ClinicId::new(text).unwrap())
}

fn session(clinic: &str, patient: &str, session: &str) -> SessionAddress {
    SessionAddress {
        clinic: clinic.parse().unwrap(),
        patient: patient.parse().unwrap(),
        session: session.parse().unwrap(),
    }
}

fn photo(session: SessionAddress, view: &str, shot: u16, extension: &str) -> Entry {
    let view: View = view.parse().unwrap();
    Entry::Photo(PhotoAddress { session, view, shot, extension: extension.to_owned() })
}

fn why_bad(layout: &Layout, text: &str) -> String {
    match layout.classify(&key(text)) {
        Entry::Bad { why, .. } => why,
        other => panic!("{text:?} was taken for {other:?}"),
    }
}

const SESSION: &str = "clinic=c-014/patient=pt-7k2m/session=2026-11-21-03";

#[test]
fn a_photo_of_the_standard_grammar_is_read() {
    let here = || session("c-014", "pt-7k2m", "2026-11-21-03");
    let cases = [
        ("face.frontal.2.jpg", "face.frontal", 2, "jpg"),
        ("face.frontal.jpg", "face.frontal", 1, "jpg"),
        ("face.left45.10.JPEG", "face.left45", 10, "jpeg"),
        ("closeup.left_cheek.1.jpg", "closeup.left_cheek", 1, "jpg"),
        ("closeup.left_cheek.png", "closeup.left_cheek", 1, "png"),
        ("closeup.2.1.webp", "closeup.2", 1, "webp"),
        ("body.3.tiff", "body.3", 1, "tiff"),
        ("body.back.03.tif", "body.back", 3, "tif"),
        ("face.right90.1.heic", "face.right90", 1, "heic"),
    ];
    for (name, view, shot, extension) in cases {
        let entry = Layout::standard().classify(&key(&format!("{SESSION}/{name}")));
        assert_eq!(entry, photo(here(), view, shot, extension), "{name}");
    }
}

#[test]
fn the_grammar_is_found_wherever_it_begins() {
    let expected = photo(session("c-014", "pt-7k2m", "2026-11-21-03"), "face.frontal", 1, "jpg");
    for above in ["", "incoming/", "night/incoming/", "2026/"] {
        let text = format!("{above}{SESSION}/face.frontal.1.jpg");
        assert_eq!(Layout::standard().classify(&key(&text)), expected, "{text}");
    }
}

#[test]
fn a_session_without_a_number_is_the_first_of_its_day() {
    let entry = Layout::standard().classify(&key("clinic=c/patient=p/session=2026-11-21/face.frontal.jpg"));
    assert_eq!(entry, photo(session("c", "p", "2026-11-21-01"), "face.frontal", 1, "jpg"));
}

#[test]
fn a_manifest_and_the_table_of_sessions_are_told_apart() {
    let layout = Layout::standard();
    let here = session("c-014", "pt-7k2m", "2026-11-21-03");
    let manifest = key(&format!("incoming/{SESSION}/manifest.json"));
    assert_eq!(layout.classify(&manifest), Entry::Manifest(here));
    assert_eq!(layout.classify(&key("sessions.csv")), Entry::SessionsCsv);
    assert_eq!(layout.classify(&key("incoming/sessions.csv")), Entry::SessionsCsv);
    assert_eq!(layout.classify(&key(&format!("{SESSION}/sessions.csv"))), Entry::Other);
    assert_eq!(layout.classify(&key("manifest.json")), Entry::Other);
}

#[test]
fn what_this_program_writes_and_what_is_no_photo_is_left_alone() {
    let derived = format!("derived/{SESSION}/v=1/face.frontal.1.aligned.webp");
    let results = format!("night/results/{SESSION}/face.frontal.1.png");
    let notes = format!("{SESSION}/notes.txt");
    let hidden = format!("{SESSION}/.face.frontal.1.jpg");
    let partial = format!("{SESSION}/face.frontal.1.jpg.part");
    let others = [
        derived.as_str(),
        results.as_str(),
        notes.as_str(),
        hidden.as_str(),
        partial.as_str(),
        "reports/2026.png",
        ".trash/a.jpg",
        "README",
    ];
    for text in others {
        assert_eq!(Layout::standard().classify(&key(text)), Entry::Other, "{text}");
    }
}

#[test]
fn a_photo_out_of_place_says_why() {
    let layout = Layout::standard();
    let cases = [
        ("IMG_0042.jpg".to_owned(), "does not lie directly in"),
        ("clinic=c/patient=p/face.frontal.1.jpg".to_owned(), "does not lie directly in"),
        (format!("{SESSION}/more/face.frontal.1.jpg"), "does not lie directly in"),
        ("clinic=c/session=2026-11-21/patient=p/face.frontal.jpg".to_owned(), "'patient=…'"),
        ("clinic=c/patient=p/session=21.11.2026/face.frontal.jpg".to_owned(), "<YYYY-MM-DD>"),
        ("clinic=c/patient=p/session=2026-02-30/face.frontal.jpg".to_owned(), "<YYYY-MM-DD>"),
        ("clinic=c/patient=Ä. B./session=2026-11-21/face.frontal.jpg".to_owned(), "letters, digits"),
        ("clinic=c/patient=p x/session=2026-11-21/manifest.json".to_owned(), "letters, digits"),
        (format!("{SESSION}/IMG_0042.jpg"), "is no view"),
        (format!("{SESSION}/face.frontal.x.jpg"), "is no view"),
        (format!("{SESSION}/face.frontal.0.jpg"), "from 1"),
        (format!("{SESSION}/face.frontal.70000.jpg"), "from 1"),
        (format!("{SESSION}/face.frontal.1.gif"), "is not read"),
        (format!("{SESSION}/face.frontal.1.CR2"), "is not read"),
    ];
    for (text, expected) in &cases {
        let why = why_bad(&layout, text);
        assert!(why.contains(expected), "{text}: {why}");
    }
    assert!(!why_bad(&layout, &cases[6].0).contains('Ä'), "a name was repeated");
}

#[test]
fn a_photo_with_a_bad_name_is_still_of_its_session() {
    let pattern = Layout::pattern("{patient}/{session}/{view}.{ext}", clinic("home")).unwrap();
    let cases = [
        (Layout::standard(), format!("{SESSION}/IMG_0042.jpg"), Some(session("c-014", "pt-7k2m", "2026-11-21-03"))),
        (Layout::standard(), format!("{SESSION}/more/face.frontal.1.jpg"), None),
        (pattern.clone(), "pt-1/2026-11-21/left.jpg".to_owned(), Some(session("home", "pt-1", "2026-11-21-01"))),
        (pattern, "pt-1/left.jpg".to_owned(), None),
    ];
    for (layout, text, expected) in cases {
        match layout.classify(&key(&text)) {
            Entry::Bad { session, .. } => assert_eq!(session, expected, "{text}"),
            other => panic!("{text:?} was taken for {other:?}"),
        }
    }
}

#[test]
fn an_address_reads_back_from_its_own_key() {
    for view in ["face.left90", "closeup.left_cheek", "body.back"] {
        let here = session("c-014", "pt-7k2m", "2026-11-21-03");
        let Entry::Photo(address) = photo(here, view, 12, "jpg") else { unreachable!() };
        let entry = Layout::standard().classify(&address.incoming_key().unwrap());
        assert_eq!(entry, Entry::Photo(address));
    }
}

#[test]
fn a_pattern_reads_a_clinics_own_habit() {
    let cases = [
        (
            "{patient}/{session}_{view}.{ext}",
            "pt-1/2026-11-21_face.frontal.jpg",
            photo(session("home", "pt-1", "2026-11-21-01"), "face.frontal", 1, "jpg"),
        ),
        (
            "{patient}/{session}_{view}.{ext}",
            "pt-1/2026-11-21-02_closeup.left_cheek.3.JPG",
            photo(session("home", "pt-1", "2026-11-21-02"), "closeup.left_cheek", 3, "jpg"),
        ),
        (
            "{clinic}/{patient}/{session}/{view}-{shot}.{ext}",
            "c-2/pt-1/2026-11-21/face.left45-2.png",
            photo(session("c-2", "pt-1", "2026-11-21-01"), "face.left45", 2, "png"),
        ),
        (
            "{patient}-{session}-{view}.jpg",
            "pt-1-x-2026-11-21-02-face.frontal.jpg",
            photo(session("home", "pt-1-x", "2026-11-21-02"), "face.frontal", 1, "jpg"),
        ),
        (
            "photos/{patient}/{patient}_{session}_{view}.{ext}",
            "photos/pt_1/pt_1_2026-11-21_body.back.jpg",
            photo(session("home", "pt_1", "2026-11-21-01"), "body.back", 1, "jpg"),
        ),
        (
            "{session}/{view}/{patient}.{ext}",
            "2026-11-21/face.right90/pt.1.jpg",
            photo(session("home", "pt.1", "2026-11-21-01"), "face.right90", 1, "jpg"),
        ),
    ];
    for (pattern, text, expected) in cases {
        let layout = Layout::pattern(pattern, clinic("home")).unwrap();
        assert_eq!(layout.classify(&key(text)), expected, "{pattern} on {text}");
    }
}

#[test]
fn a_pattern_has_to_match_the_whole_key() {
    let layout = Layout::pattern("{patient}/{session}_{view}.{ext}", clinic("home")).unwrap();
    for text in [
        "north/pt-1/2026-11-21_face.frontal.jpg",
        "2026-11-21_face.frontal.jpg",
        "pt-1/2026-11-21_face.frontal_copy.jpg",
        "pt-1/2026-11-21_selfie.jpg",
        "pt-1/2026-11-21/face.frontal.jpg",
        "p t/2026-11-21_face.frontal.jpg",
    ] {
        assert!(why_bad(&layout, text).contains("{patient}/{session}_{view}.{ext}"));
    }
    let twice = Layout::pattern("{patient}/{patient}_{session}_{view}.{ext}", clinic("home"));
    why_bad(&twice.unwrap(), "pt-1/pt-2_2026-11-21_face.frontal.jpg");
}

#[test]
fn a_pattern_leaves_alone_what_is_no_photo() {
    let layout = Layout::pattern("{patient}/{session}_{view}.{ext}", clinic("home")).unwrap();
    for text in ["pt-1/notes.txt", "pt-1/manifest.json", "derived/a.png", "pt-1/.a.jpg"] {
        assert_eq!(layout.classify(&key(text)), Entry::Other, "{text}");
    }
    assert_eq!(layout.classify(&key("sessions.csv")), Entry::SessionsCsv);
    assert!(why_bad(&layout, "pt-1/2026-11-21_face.frontal.gif").contains("is not read"));
}

#[test]
fn a_pattern_with_a_folder_a_session_finds_its_manifest() {
    let layout = Layout::pattern("{patient}/visit {session}/{view}.{ext}", clinic("home")).unwrap();
    let entry = layout.classify(&key("pt-1/visit 2026-11-21/manifest.json"));
    assert_eq!(entry, Entry::Manifest(session("home", "pt-1", "2026-11-21-01")));
    assert_eq!(layout.classify(&key("pt-1/manifest.json")), Entry::Other);
}

#[test]
fn a_text_that_is_no_layout_is_refused_with_the_reason() {
    let cases = [
        ("{patient}/{session}_{view", LayoutError::Braces),
        ("{patient}/{session}}_{view}.{ext}", LayoutError::Braces),
        ("{patient}/{date}_{view}.{ext}", LayoutError::UnknownField("date".to_owned())),
        ("{patient}{session}_{view}.{ext}", LayoutError::Adjacent("session")),
        ("{patient}/{session}.{ext}", LayoutError::Missing("view")),
        ("{session}/{view}.{ext}", LayoutError::Missing("patient")),
        ("/{patient}/{session}_{view}.{ext}", LayoutError::Absolute),
        ("{patient}/{session}_{view}", LayoutError::Extension),
        ("{patient}/{session}_{view}.txt", LayoutError::Extension),
        ("", LayoutError::Missing("patient")),
    ];
    for (text, expected) in cases {
        assert_eq!(Layout::pattern(text, clinic("home")).unwrap_err(), expected, "{text}");
    }
    let error = Layout::pattern("{patient}/{session}_{view}.{ext}", None).unwrap_err();
    assert_eq!(error, LayoutError::NoClinic);
    assert!(error.to_string().contains("'{clinic}'"), "{error}");
}

#[test]
fn a_hostile_key_does_not_keep_the_matcher_busy() {
    let layout = Layout::pattern("{clinic}-{patient}-{session}-{view}.{ext}", None).unwrap();
    let text = format!("{}.jpg", "a-".repeat(250));
    let begun = std::time::Instant::now();
    why_bad(&layout, &text);
    assert!(begun.elapsed() < std::time::Duration::from_secs(1));
}
