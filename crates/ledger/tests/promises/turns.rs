//! Whose turn it is: windows, pauses, shares, outages, and late words of a start that is over.

use std::collections::BTreeMap;

use cicatrix_ledger::{ClinicRule, Window};

use super::*;

/// Photos of one shot, each its own patient and so its own baseline.
async fn upload_clinic(ledger: &Ledger, name: &str, photos: usize) {
    let clinic = ClinicId::new(name).unwrap();
    for i in 0..photos {
        let mut session = session(&format!("{name}-{i:04}"), "2026-01-10-01", &["face.frontal"], 1);
        session.clinic = clinic.clone();
        for photo in &mut session.photos {
            photo.key = format!("{name}/{i}/{}", photo.key);
            photo.version = format!("{name}-{i}");
        }
        ledger.record_session(here(ledger).await, &session).await.unwrap();
        ledger.plan_patient(&clinic, &session.patient, &how()).await.unwrap();
    }
}

/// Answers at once, and keeps the clinics in the order in which their photos came.
fn in_order() -> (Arc<Fake>, Arc<Mutex<Vec<String>>>) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let handler = Fake::new({
        let order = Arc::clone(&order);
        move |run| {
            order.lock().unwrap().push(run.clinic.to_string());
            Act::Answer(Ok(measured(run)))
        }
    });
    (handler, order)
}

/// Works for a while, then stops.
async fn work_for(ledger: &Ledger, handler: Arc<dyn Handler>, how: WorkSettings, time: Duration) {
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (ledger, stop) = (ledger.clone(), stop.clone());
        async move { ledger.work(handler, how, stop).await }
    });
    tokio::time::sleep(time).await;
    stop.cancel();
    working.await.unwrap().unwrap();
}

fn closed() -> Window {
    let windows = ["00:00-12:00 UTC", "12:00-00:00 UTC"].map(|window| window.parse::<Window>().unwrap());
    windows.into_iter().find(|window| !window.is_open(jiff::Timestamp::now())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_clinic_does_not_double_the_wait_of_a_small_one() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "big", 200).await;
    upload_clinic(&ledger, "small", 10).await;
    let (handler, order) = in_order();
    drain(&ledger, handler).await;
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 210);
    let small: Vec<usize> =
        (1..).zip(order.iter()).filter(|(_, clinic)| *clinic == "small").map(|(at, _)| at).collect();
    // Alone it would be the 8th; what lies ready for the four at work when it comes is already the other's. Two photos may
    // have been put off for a moment by a busy database.
    assert!(small[7] <= 18, "the photos of the small clinic came as {small:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clinic_whose_window_is_closed_waits_unless_it_shall_be_now() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "night", 3).await;
    upload_clinic(&ledger, "always", 3).await;
    let rule = ClinicRule { window: Some(closed()), ..ClinicRule::default() };
    let clinics = BTreeMap::from([(ClinicId::new("night").unwrap(), rule)]);
    let schedule = Schedule { clinics, ..Schedule::default() };
    let settings = WorkSettings { schedule: schedule.clone(), ..settings(here(&ledger).await) };
    work_for(&ledger, Fake::good(), settings.clone(), Duration::from_millis(1500)).await;
    let counts = ledger.counts(None).await.unwrap();
    assert_eq!((counts.measured, counts.scheduled, counts.ready), (3, 3, 0), "{counts:?}");
    assert_eq!(ends(&ledger).await, ["measured", "measured", "measured", "scheduled", "scheduled", "scheduled"]);
    let scheduled = Filter { state: Some(State::Scheduled), ..Filter::default() };
    assert_eq!(ledger.matching(&scheduled).await.unwrap(), [("scheduled".to_owned(), None, 3)]);

    let now = WorkSettings { schedule: Schedule { now: true, ..schedule }, ..settings };
    assert_eq!(drain_with(&ledger, Fake::good(), now).await.measured, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clinic_that_one_worker_begins_is_not_held_because_another_would_wait() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "a", 60).await;
    let usual = ClinicRule { window: Some(closed()), ..ClinicRule::default() };
    let waiting = WorkSettings { schedule: Schedule { usual, ..Schedule::default() }, ..settings(here(&ledger).await) };
    work_for(&ledger, Fake::good(), waiting.clone(), Duration::from_millis(500)).await;
    let tonight = ledger.tonight(jiff::Timestamp::now()).await.unwrap();
    assert_eq!((tonight.counts.scheduled, tonight.moves(), tonight.eta()), (60, false, None));
    assert!(!tonight.is_late_for(jiff::Timestamp::now()), "what is held is not late");

    let crowd = Arc::new(Crowd::default());
    let slow = Fake::new(move |run| Act::Among(Arc::clone(&crowd), Ok(measured(run))));
    let free = settings(here(&ledger).await);
    tokio::join!(
        work_for(&ledger, Fake::good(), waiting, Duration::from_millis(700)),
        work_for(&ledger, slow, free, Duration::from_millis(700)),
    );
    let counts = ledger.counts(None).await.unwrap();
    assert!(counts.measured > 0 && counts.scheduled == 0 && counts.ready > 0, "{counts:?}");
    assert!(ledger.tonight(jiff::Timestamp::now()).await.unwrap().moves());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_not_begun_and_goes_on_when_it_is_resumed() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "a", 3).await;
    upload_clinic(&ledger, "b", 3).await;
    let b = ClinicId::new("b").unwrap();
    ledger.pause(Some(&b), &by()).await.unwrap();
    let how = settings(here(&ledger).await);
    work_for(&ledger, Fake::good(), how.clone(), Duration::from_millis(1500)).await;
    let counts = ledger.counts(None).await.unwrap();
    assert_eq!((counts.measured, counts.scheduled), (3, 3), "{counts:?}");

    ledger.pause(None, &by()).await.unwrap();
    assert!(ledger.resume(Some(&b), &by()).await.unwrap());
    assert!(!ledger.resume(Some(&b), &by()).await.unwrap());
    let other = By { who: "zoe".to_owned(), why: None };
    ledger.pause(None, &other).await.unwrap();
    assert_eq!(ledger.pauses().await.unwrap()[0].by, by(), "a pause is his who came first");
    assert_eq!(ledger.pauses().await.unwrap().len(), 1);
    work_for(&ledger, Fake::good(), how, Duration::from_millis(1000)).await;
    assert_eq!(ledger.counts(None).await.unwrap().measured, 3);

    assert!(ledger.resume(None, &by()).await.unwrap());
    assert_eq!(drain(&ledger, Fake::good()).await.measured, 6);
    let kinds: Vec<String> = rows(&ledger, Table::Actions).await.iter().map(|row| text(row, "kind")).collect();
    assert_eq!(kinds, ["paused", "paused", "resumed", "paused", "resumed"], "who paused what was paused is kept too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clinic_has_no_more_in_work_than_it_may() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "a", 12).await;
    let rule = ClinicRule { most_at_once: Some(2), ..ClinicRule::default() };
    let schedule = Schedule { usual: rule, ..Schedule::default() };
    let crowd = Arc::new(Crowd::default());
    let handler = {
        let crowd = Arc::clone(&crowd);
        Fake::new(move |run| Act::Among(Arc::clone(&crowd), Ok(measured(run))))
    };
    let how = WorkSettings { schedule, ..settings(here(&ledger).await) };
    assert_eq!(drain_with(&ledger, handler, how).await.measured, 12);
    assert_eq!(crowd.most.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_no_attempt_and_work_goes_on_by_itself() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "a", 6).await;
    let handler = Fake::good();
    handler.out.store(true, Ordering::SeqCst);
    let back = tokio::spawn({
        let handler = Arc::clone(&handler);
        async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            handler.out.store(false, Ordering::SeqCst);
        }
    });
    assert_eq!(drain(&ledger, handler.clone()).await.measured, 6);
    back.await.unwrap();
    assert_eq!(handler.assessed.load(Ordering::SeqCst), 6);
    for photo in rows(&ledger, Table::Photos).await {
        assert_eq!((text(&photo, "starts"), text(&photo, "setbacks")), ("1".to_owned(), "0".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_looked_at_is_off_the_lists_until_it_is_tried_again() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "a", 2).await;
    drain(&ledger, Fake::new(|_| Act::Answer(Ok(blurred())))).await;
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 2);
    let of_clinic = Filter { clinic: Some(ClinicId::new("a").unwrap()), ..Filter::default() };
    assert_eq!(ledger.dismiss(&Selection::Matching(of_clinic.clone()), &by()).await.unwrap().len(), 2);
    assert_eq!(ledger.dismiss(&Selection::Matching(of_clinic), &by()).await.unwrap().len(), 0);
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 0);
    assert_eq!(ledger.counts(None).await.unwrap().not_measurable, 2, "they still count as missing");

    assert_eq!(ledger.retry(&in_state(State::NotMeasurable), &by(), &how()).await.unwrap().len(), 2);
    drain(&ledger, Fake::new(|_| Act::Answer(Ok(blurred())))).await;
    assert_eq!(rows(&ledger, Table::Retakes).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_on_the_roster_while_it_works() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "a", 1).await;
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (ledger, stop, how) = (ledger.clone(), stop.clone(), settings(here(&ledger).await));
        async move { ledger.work(Fake::good(), how, stop).await }
    });
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen = ledger.colleagues().await.unwrap();
        if !seen.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let [worker] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((worker.name.as_str(), worker.slots), ("test", 4), "{worker:?}");
    let now = jiff::Timestamp::now();
    assert_eq!(worker.silent_for(now), None);
    assert!(worker.silent_for(now + Duration::from_secs(60)).is_some());
    stop.cancel();
    working.await.unwrap().unwrap();
    assert_eq!(ledger.colleagues().await.unwrap(), [], "it has signed off");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_that_a_photo_waits_for_room_is_not_held_against_it() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload_clinic(&ledger, "a", 1).await;
    let handler = Fake::new(|run| {
        if run.attempt <= 4 {
            run.waits.store(true, Ordering::SeqCst);
            return Act::Hang;
        }
        Act::Answer(Ok(measured(run)))
    });
    let how = WorkSettings { job_timeout: Duration::from_millis(600), ..settings(here(&ledger).await) };
    assert_eq!(drain_with(&ledger, handler, how).await.measured, 1);
    let photos = rows(&ledger, Table::Photos).await;
    assert_eq!((&photos[0]["starts"], &photos[0]["setbacks"]), (&Cell::Int(1), &Cell::Int(0)));
    let waited = rows(&ledger, Table::Events).await.iter().filter(|event| text(event, "kind") == "waited").count();
    assert_eq!(waited, 4);
}
