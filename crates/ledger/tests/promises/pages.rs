//! What a dashboard asks: patients, pages of lists, outcomes; and back on the lists.

use cicatrix_ledger::{GroupBy, Outcomes, Page};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn patients_are_found_by_how_their_names_begin_and_listed_page_by_page() {
    let Some((_database, ledger)) = ledger().await else { return };
    for name in ["ann-1", "ann-2", "bob-1", "bob_1", "zoe"] {
        upload(&ledger, &["2026-01-10-01", "2026-02-10-01"].map(|day| session(name, day, &["face.frontal"], 1))).await;
    }
    let names = async |begins: &str, after: Option<(&str, &str)>, most| {
        let found = ledger.patients(None, begins, after, most).await.unwrap();
        found.into_iter().map(|line| line.patient).collect::<Vec<_>>()
    };
    assert_eq!(names("", None, 10).await, ["ann-1", "ann-2", "bob-1", "bob_1", "zoe"]);
    assert_eq!(names("bob", None, 10).await, ["bob-1", "bob_1"]);
    // No character of a name stands for others.
    assert_eq!(names("bob_", None, 10).await, ["bob_1"]);
    assert_eq!(names("%", None, 10).await, Vec::<String>::new());
    assert_eq!(names("", Some(("c-1", "ann-2")), 2).await, ["bob-1", "bob_1"]);
    let found = ledger.patients(Some("c-1"), "zoe", None, 1).await.unwrap();
    assert_eq!((found[0].sessions, found[0].first.as_str(), found[0].last.as_str()), (2, "2026-01-10", "2026-02-10"));
    assert_eq!(ledger.patients(Some("c-2"), "", None, 9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_from_the_last_number_and_leave_and_come_back() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(2)).await;
    drain(&ledger, Fake::new(|run| Act::Answer(Ok(if run.is_baseline { measured(run) } else { blurred() })))).await;
    let page = async |before, most| {
        let page = Page { table: Table::Retakes, matching: vec![("reason", "blur")], before, most };
        ledger.page(&page).await.unwrap().0.rows().filter_map(|row| row.int("run_id")).collect::<Vec<_>>()
    };
    let all = page(None, 100).await;
    assert!(all.len() >= 2 && all.is_sorted_by(|a, b| a > b), "{all:?}");
    assert_eq!(page(None, 1).await, all[..1]);
    assert_eq!(page(Some(all[0]), 100).await, all[1..]);

    let one = Selection::Runs(vec![all[0]]);
    assert_eq!(
        ledger.matching_named(&all).await.unwrap(),
        [("not_measurable".into(), Some("blur".into()), all.len() as i64)]
    );
    assert_eq!(ledger.dismiss(&one, &by()).await.unwrap(), [all[0]]);
    assert_eq!(page(None, 100).await, all[1..]);
    assert_eq!(ledger.restore(&one, &by()).await.unwrap(), [all[0]]);
    assert_eq!(ledger.restore(&one, &by()).await.unwrap(), Vec::<i64>::new());
    assert_eq!(page(None, 100).await, all);

    let unknown = Page { table: Table::Retakes, matching: vec![("nothing", "x")], before: None, most: 1 };
    assert!(matches!(ledger.page(&unknown).await, Err(LedgerError::Unsupported(_))));
    let unnumbered = Page { table: Table::Changes, matching: vec![], before: None, most: 1 };
    assert!(matches!(ledger.page(&unnumbered).await, Err(LedgerError::Unsupported(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_endpoints_of_follow_ups_with_their_place_in_the_course() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let last = course(1).last().unwrap().session;
    drain(&ledger, Fake::new(move |run| Act::Answer(Ok(if run.session == last { blurred() } else { measured(run) }))))
        .await;
    let sessions = |outcomes: &Outcomes| -> Vec<(Option<String>, i64, i64)> {
        outcomes.by_session.iter().map(|o| (o.group.clone(), o.session_no, o.patients.n)).collect()
    };
    let before = ledger.outcomes(GroupBy::Clinic, None, &[0.0, -10.0]).await.unwrap();
    assert_eq!(sessions(&before), [(Some("c-1".to_owned()), 1, 1)]);
    assert_eq!((before.by_session[0].series, before.by_session[0].missing), (1, 0));

    ledger.retry(&in_state(State::NotMeasurable), &by(), &how()).await.unwrap();
    drain(&ledger, Fake::good()).await;
    let outcomes = ledger.outcomes(GroupBy::Clinic, None, &[0.0, -10.0]).await.unwrap();
    assert_eq!(sessions(&outcomes), [1, 2].map(|number| (Some("c-1".to_owned()), number, 1)));
    assert!(outcomes.by_session.iter().all(|o| o.patients.sum < 0.0 && o.patients.squares > 0.0), "{outcomes:?}");
    let ([first], [last]) = (&before.last[..], &outcomes.last[..]) else { panic!("{outcomes:?}") };
    assert_eq!(first.patients, outcomes.by_session[0].patients);
    assert_eq!((last.patients, &last.at_most[..]), (outcomes.by_session[1].patients, &[1, 0][..]));
    assert!(outcomes.by_session.iter().all(|o| (o.series, o.missing) == (1, 0)), "{outcomes:?}");
    assert_eq!(ledger.outcomes(GroupBy::All, Some("c-2"), &[]).await.unwrap(), Outcomes::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_say_what_is_open_since_when_and_why_it_is_not_begun() {
    let Some((_database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let queues = ledger.queues().await.unwrap();
    let [queue] = &queues[..] else { panic!("{queues:?}") };
    assert_eq!((queue.clinic.as_str(), queue.counts.ready, queue.counts.waiting_for_baseline), ("c-1", 1, 2));
    assert_eq!((queue.held.as_deref(), queue.ended), (None, 0));
    let planned = rows(&ledger, Table::Photos).await.iter().map(|row| text(row, "created_at").to_owned()).min();
    assert_eq!(queue.oldest, planned);

    ledger.pause(Some(&"c-1".parse().unwrap()), &by()).await.unwrap();
    let paused = ledger.queues().await.unwrap();
    assert_eq!((paused[0].held.as_deref(), paused[0].counts.ready, paused[0].counts.scheduled), (Some("paused"), 0, 1));
    ledger.resume(Some(&"c-1".parse().unwrap()), &by()).await.unwrap();
    drain(&ledger, Fake::good()).await;
    assert_eq!(ledger.queues().await.unwrap(), [], "nothing is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_of_every_table_is_in_the_dictionary() {
    let Some((_database, ledger)) = ledger().await else { return };
    let entries = rows(&ledger, Table::Dictionary).await;
    for table in Table::ALL {
        for column in ledger.has_columns(table, &[]).await.unwrap() {
            let of = |row: &&Columns| text(row, "table_name") == table.name() && text(row, "name") == column;
            let entry = entries.iter().find(of).unwrap_or_else(|| panic!("{} {column} is not described", table.name()));
            assert!(!text(entry, "meaning").is_empty() && !text(entry, "unit").is_empty());
        }
    }
    let measures = entries.iter().filter(|row| text(row, "table_name") == "measure").count();
    assert_eq!(measures, Measure::ALL.len());
}
