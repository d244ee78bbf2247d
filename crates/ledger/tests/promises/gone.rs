//! What a source shows no more, and what belongs to another source.

use std::collections::HashSet;

use super::*;

/// One sweep of a source over these sessions, and the work after it.
async fn night(ledger: &Ledger, sessions: &[SessionUpload], handler: Arc<dyn Handler>) -> u64 {
    let source = here(ledger).await;
    let mut seen = HashSet::new();
    for session in sessions {
        seen.insert(ledger.record_session(source, session).await.unwrap().session_id);
    }
    for name in sessions.iter().map(|session| session.patient.clone()).collect::<HashSet<_>>() {
        ledger.plan_patient(&clinic(), &name, &how()).await.unwrap();
    }
    let (gone, _) = ledger.mark_gone(source, &seen, &Unseen::default(), &[], &how()).await.unwrap();
    drain(ledger, handler.clone()).await;
    if ledger.settle_moved(source, &how()).await.unwrap().changed() {
        drain(ledger, handler).await;
    }
    gone
}

/// Finds the content that the manifest claims.
fn by_content() -> Arc<Fake> {
    Fake::new(|run| {
        let mut verdict = measured(run);
        if let (Verdict::Measured { content_sha256, .. }, Some(claim)) = (&mut verdict, &run.photo.sha256) {
            *content_sha256 = claim.clone();
        }
        Act::Answer(Ok(verdict))
    })
}

async fn sessions_of_changes(ledger: &Ledger) -> Vec<String> {
    rows(ledger, Table::Changes).await.iter().map(|row| text(row, "session")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_gone_keeps_what_was_measured_and_leaves_the_lists_with_the_rest() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    sessions[2].photos.push(photo("2026-03-10-01", "face.frontal", 2));
    let second_blurred =
        || Fake::new(|run| Act::Answer(Ok(if run.photo.shot == 2 { blurred() } else { measured(run) })));
    night(&ledger, &sessions, second_blurred()).await;
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 1);
    let before = dump(&ledger, Table::Changes).await;

    assert_eq!(night(&ledger, &sessions[..2], Fake::good()).await, 1);
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 0);
    assert_eq!(dump(&ledger, Table::Changes).await, before);
    assert_eq!(ends(&ledger).await, ["measured", "measured", "measured"]);
    let gone = rows(&ledger, Table::Photos).await.iter().filter(|row| row["gone_at"] != Cell::Null).count();
    assert_eq!(gone, 1);
    // Once is enough.
    assert_eq!(night(&ledger, &sessions[..2], Fake::good()).await, 0);

    // Back again: all verdicts stand.
    let back = second_blurred();
    night(&ledger, &sessions, back.clone()).await;
    assert_eq!(back.assessed.load(Ordering::SeqCst), 0);
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 1);
    assert!(rows(&ledger, Table::Sessions).await.iter().all(|row| row["gone_at"] == Cell::Null));
    assert_eq!(dump(&ledger, Table::Changes).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_any_result_is_forgotten_and_no_longer_the_baseline() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    sessions[0].baseline = true;
    let mut mistyped = session(PATIENT, "2025-01-10-01", &["face.frontal"], 1);
    mistyped.baseline = true;
    mistyped.photos[0].version = sessions[0].photos[0].version.clone();
    let both: Vec<_> = std::iter::once(mistyped).chain(sessions.clone()).collect();
    night(&ledger, &both, Fake::good()).await;
    assert!(ends(&ledger).await.iter().all(|end| end == "not_measurable date_conflict"));

    night(&ledger, &sessions, Fake::good()).await;
    assert_eq!(ends(&ledger).await, ["measured", "measured", "measured"]);
    assert_eq!(rows(&ledger, Table::Sessions).await.len(), 3);
}

/// Renamed after it was measured: the day was mistyped, or the patient.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_renamed_counts_once() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    night(&ledger, &sessions, Fake::good()).await;

    let mut follow_up = session(PATIENT, "2026-02-11-01", &["face.frontal"], 1);
    follow_up.photos[0].version = sessions[1].photos[0].version.clone();
    sessions[1] = follow_up;
    night(&ledger, &sessions, Fake::good()).await;
    assert_eq!(sessions_of_changes(&ledger).await, ["2026-01-10-01", "2026-02-11-01", "2026-03-10-01"]);

    // The baseline, too.
    let mut baseline = session(PATIENT, "2026-01-09-01", &["face.frontal"], 1);
    baseline.photos[0].version = sessions[0].photos[0].version.clone();
    sessions[0] = baseline;
    night(&ledger, &sessions, Fake::good()).await;
    assert_eq!(sessions_of_changes(&ledger).await, ["2026-01-09-01", "2026-02-11-01", "2026-03-10-01"]);

    // Under the wrong patient at first, and known by its content, not by what the store calls it.
    let mut moved = session("pt-2", "2026-03-10-01", &["face.frontal"], 1);
    moved.photos[0].version = "copy".to_owned();
    moved.photos[0].sha256 = Some(format!("digest of {}", sessions[2].photos[0].version));
    sessions[2] = moved;
    night(&ledger, &sessions, by_content()).await;
    let of_first = rows(&ledger, Table::Changes).await.iter().filter(|row| text(row, "patient_id") == PATIENT).count();
    assert_eq!(of_first, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_is_taken_out_of_its_session_takes_its_result_along() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    sessions[1].photos.push(photo("2026-02-10-01", "face.frontal", 2));
    night(&ledger, &sessions, Fake::good()).await;
    let with_both = dump(&ledger, Table::Changes).await;
    sessions[1].photos.truncate(1);

    // Where the listing was not whole, nothing is known.
    sessions[1].is_whole = false;
    night(&ledger, &sessions, Fake::good()).await;
    assert_eq!(dump(&ledger, Table::Changes).await, with_both);

    sessions[1].is_whole = true;
    night(&ledger, &sessions, Fake::good()).await;
    assert_eq!(rows(&ledger, Table::Photos).await.len(), 3);
    assert_ne!(dump(&ledger, Table::Changes).await, with_both);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_measured_photo_that_its_manifest_still_names_keeps_its_result() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    night(&ledger, &sessions, Fake::good()).await;
    let before = dump(&ledger, Table::Changes).await;
    let lost = &mut sessions[1].photos[0];
    (lost.version, lost.bytes) = (String::new(), 0);
    lost.refused = Some((Reason::ViewMissing, "the manifest names it, it is not there".to_owned()));
    night(&ledger, &sessions, Fake::good()).await;
    assert_eq!(dump(&ledger, Table::Changes).await, before);
    assert!(!ledger.record_session(here(&ledger).await, &sessions[1]).await.unwrap().changed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_baseline_a_new_photo_has_a_reason_and_the_old_ones_their_results() {
    let Some((_database, ledger)) = ledger().await else { return };
    let sessions = course(1);
    night(&ledger, &sessions[..2], Fake::good()).await;
    let before = dump(&ledger, Table::Changes).await;

    let handler = Fake::good();
    night(&ledger, &sessions[1..], handler.clone()).await;
    night(&ledger, &sessions[1..], handler.clone()).await;
    let expected = ["measured", "measured", "not_measurable baseline_missing"];
    assert_eq!(ends(&ledger).await, expected);
    assert_eq!(dump(&ledger, Table::Changes).await[..2], before);

    // A newer program reads what it can read, and loses nothing.
    let newer = PlanSettings { program_version: "0.2.0".to_owned(), ..how() };
    ledger.plan_patient(&clinic(), &patient(PATIENT), &newer).await.unwrap();
    drain(&ledger, Fake::good()).await;
    assert_eq!(ends(&ledger).await, expected);
    ledger.plan_patient(&clinic(), &patient(PATIENT), &how()).await.unwrap();

    night(&ledger, &sessions, Fake::good()).await;
    assert_eq!(ends(&ledger).await, ["measured", "measured", "measured"]);
}

/// A bucket is copied, or a baseline is uploaded again: the store calls the same content by another name.
#[tokio::test(flavor = "multi_thread")]
async fn results_of_what_is_gone_outlive_a_baseline_that_was_only_written_again() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    night(&ledger, &sessions, by_content()).await;
    let before = dump(&ledger, Table::Changes).await;
    night(&ledger, &sessions[..2], by_content()).await;

    for session in &mut sessions[..2] {
        let photo = &mut session.photos[0];
        photo.sha256 = Some(format!("digest of {}", photo.version));
        photo.version = format!("copy of {}", photo.version);
    }
    let copied = by_content();
    night(&ledger, &sessions[..2], copied.clone()).await;
    assert_eq!(copied.assessed.load(Ordering::SeqCst), 2);
    assert_eq!(dump(&ledger, Table::Changes).await, before);

    // Other content is another baseline, and what was measured against the old one says nothing of it.
    sessions[0].photos[0].sha256 = Some("digest of another".to_owned());
    sessions[0].photos[0].version = "another".to_owned();
    night(&ledger, &sessions[..2], by_content()).await;
    assert_eq!(sessions_of_changes(&ledger).await, ["2026-01-10-01", "2026-02-10-01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_that_is_mended_gives_the_results_of_what_is_gone_back() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    night(&ledger, &sessions, Fake::good()).await;
    let before = dump(&ledger, Table::Changes).await;
    night(&ledger, &sessions[2..], Fake::good()).await;
    assert_eq!(dump(&ledger, Table::Changes).await, before);

    sessions[2].baseline = true;
    night(&ledger, &sessions[2..], Fake::good()).await;
    assert_eq!(sessions_of_changes(&ledger).await, ["2026-03-10-01"]);
    sessions[2].baseline = false;
    night(&ledger, &sessions[2..], Fake::good()).await;
    assert_eq!(dump(&ledger, Table::Changes).await, before);
}

/// Files of one size that were unpacked within one tick of the clock look the same until they are read.
#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_only_looks_like_one_that_is_gone_does_not_take_its_place() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(1);
    for (index, session) in sessions.iter_mut().enumerate() {
        session.photos[0].version = "1000-0".to_owned();
        session.photos[0].sha256 = Some(format!("digest of {index}"));
    }
    night(&ledger, &sessions[..2], by_content()).await;
    let before = dump(&ledger, Table::Changes).await;
    // The second goes as the third, which nobody has read yet, comes.
    let (first, third) = (sessions[0].clone(), sessions[2].clone());
    night(&ledger, &[first, third], by_content()).await;
    assert_eq!(sessions_of_changes(&ledger).await, ["2026-01-10-01", "2026-02-10-01", "2026-03-10-01"]);
    assert_eq!(dump(&ledger, Table::Changes).await[..2], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_baseline_shot_is_dealt_with_in_one_night() {
    let Some((_database, ledger)) = ledger().await else { return };
    let mut sessions = course(2);
    night(&ledger, &sessions, Fake::good()).await;
    let before = dump(&ledger, Table::Changes).await;
    let kept = sessions[0].photos[0].clone();
    let lost = &mut sessions[0].photos[0];
    (lost.version, lost.bytes) = (String::new(), 0);
    lost.refused = Some((Reason::ViewMissing, "the manifest names it, it is not there".to_owned()));
    let first = Fake::good();
    night(&ledger, &sessions, first.clone()).await;
    assert_eq!(first.assessed.load(Ordering::SeqCst), 3);
    let second = Fake::good();
    night(&ledger, &sessions, second.clone()).await;
    assert_eq!(second.assessed.load(Ordering::SeqCst), 0);

    sessions[0].photos[0] = kept;
    let back = Fake::good();
    night(&ledger, &sessions, back.clone()).await;
    assert_eq!(back.assessed.load(Ordering::SeqCst), 0);
    assert_eq!(dump(&ledger, Table::Changes).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_may_move_to_another_source_once_the_first_one_has_seen_it_go() {
    let Some((_database, ledger)) = ledger().await else { return };
    let there = ledger.source("there").await.unwrap();
    let stays = session("pt-2", "2026-01-11-01", &["face.frontal"], 1);
    night(&ledger, &[course(1), vec![stays.clone()]].concat(), Fake::good()).await;
    let refused = ledger.record_session(there, &course(1)[0]).await;
    assert!(matches!(refused, Err(LedgerError::OtherSource { .. })));
    night(&ledger, &[stays], Fake::good()).await;
    for session in course(1) {
        assert!(ledger.record_session(there, &session).await.unwrap().changed());
    }
    assert_eq!(ledger.counts(Some(there)).await.unwrap().total(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_looked_at_is_not_gone() {
    let Some((_database, ledger)) = ledger().await else { return };
    let sessions = course(1);
    night(&ledger, &sessions, Fake::good()).await;
    let source = here(&ledger).await;
    let mark = async |unseen: Unseen| ledger.mark_gone(source, &HashSet::new(), &unseen, &[], &how()).await.unwrap().0;
    let patients = HashSet::from([(clinic(), patient(PATIENT))]);
    assert_eq!(mark(Unseen { patients, ..Unseen::default() }).await, 0);
    assert_eq!(mark(Unseen { places: vec!["2026-02-10-01/".to_owned()], ..Unseen::default() }).await, 2);
    assert_eq!(mark(Unseen::default()).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_under_another_protocol_than_its_baseline_is_not_kept() {
    let Some((_database, ledger)) = ledger().await else { return };
    let sessions = course(1);
    night(&ledger, &sessions, Fake::good()).await;
    night(&ledger, &sessions[..2], Fake::good()).await;
    let other = PlanSettings { protocol_digest: "d2".to_owned(), rescore: true, ..how() };
    ledger.plan_patient(&clinic(), &patient(PATIENT), &other).await.unwrap();
    let of_other = WorkSettings { protocol_digest: "d2".to_owned(), ..settings(here(&ledger).await) };
    drain_with(&ledger, Fake::good(), of_other).await;
    assert_eq!(sessions_of_changes(&ledger).await, ["2026-01-10-01", "2026-02-10-01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_leaves_the_photos_of_another_source_alone() {
    let Some((_database, ledger)) = ledger().await else { return };
    let there = ledger.source("there").await.unwrap();
    for session in course(1) {
        ledger.record_session(there, &session).await.unwrap();
    }
    ledger.plan_patient(&clinic(), &patient(PATIENT), &how()).await.unwrap();
    let mine = session("pt-2", "2026-01-10-01", &["face.frontal"], 1);
    let source = here(&ledger).await;
    ledger.record_session(source, &mine).await.unwrap();
    ledger.plan_patient(&clinic(), &patient("pt-2"), &how()).await.unwrap();

    // What of it is lost is found again, and still not given to others.
    ledger.redispatch().await.unwrap();
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (ledger, stop) = (ledger.clone(), stop.clone());
        async move { ledger.work(Fake::good(), settings(source), stop).await }
    });
    while ledger.counts(Some(source)).await.unwrap().unfinished() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    working.await.unwrap().unwrap();
    let counts = ledger.counts(Some(there)).await.unwrap();
    assert_eq!((counts.ready, counts.waiting_for_baseline, counts.measured), (1, 2, 0));

    // The same patient here is a mistake, or the source has moved; this is the one thing that has to be said.
    let refused = ledger.record_session(source, &course(1)[0]).await.unwrap_err();
    assert!(matches!(&refused, LedgerError::OtherSource { location, .. } if location == "there"), "{refused}");
    assert!(matches!(ledger.move_source("nowhere", source).await, Err(LedgerError::NoSuchSource { .. })));
    assert_eq!(ledger.move_source("there", source).await.unwrap(), 3);
    assert!(!ledger.record_session(source, &course(1)[0]).await.unwrap().changed());
    assert_eq!(drain(&ledger, Fake::good()).await.measured, 4);
}
