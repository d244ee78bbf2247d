//! What several workers on one ledger promise.

use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cicatrix_ledger::{Ledger, LedgerError, Table, WorkSettings};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::database::{Database, ledger};
use crate::promises::{Act, Fake, course, drain, ends, here, rows, session, settings, text, upload};

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_make_the_schema_at_once_both_find_it() {
    let Some(database) = Database::make().await else { return };
    let url = database.url();
    let (first, second) = tokio::join!(Ledger::open(&url), Ledger::open(&url));
    let (first, second) = (first.unwrap(), second.unwrap());
    upload(&first, &course(1)).await;
    assert_eq!(second.counts(None).await.unwrap().total(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_spoken_to_by_tls_and_one_that_is_not_trusted_is_not() {
    let Some(database) = Database::make().await else { return };
    let Ok(own) = std::env::var("CICATRIX_TEST_POSTGRES_CA") else {
        let required = std::env::var("CICATRIX_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(!required, "CICATRIX_TEST_POSTGRES_CA names no certificate, and one is required");
        println!("skipped: CICATRIX_TEST_POSTGRES_CA names no certificate of the server");
        return;
    };
    let with =
        |query: &str| format!("{}{}{query}", database.url(), if database.url().contains('?') { '&' } else { '?' });
    let trusted = Ledger::open(&with(&format!("sslmode=verify-full&sslrootcert={own}"))).await.unwrap();
    assert_eq!(trusted.counts(None).await.unwrap().total(), 0);
    // By the authorities of the web, which know nothing of this server.
    let untrusted = Ledger::open(&with("sslmode=verify-full")).await;
    assert!(matches!(&untrusted, Err(LedgerError::Unsupported(text)) if text.contains("trusted")), "{untrusted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told_by_its_place() {
    let begun = std::time::Instant::now();
    let refused = Ledger::open("postgres://nobody@127.0.0.1:1/nothing").await.unwrap_err();
    assert!(refused.to_string().contains("127.0.0.1:1"), "{refused}");
    assert!(refused.is_transient() && begun.elapsed() < Duration::from_secs(5), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_share_the_photos_and_write_each_once() {
    let Some((database, ledger)) = ledger().await else { return };
    let patients: Vec<String> = (0..30).map(|i| format!("pt-{i:02}")).collect();
    for patient in &patients {
        let days = ["2026-01-10-01", "2026-02-10-01", "2026-03-10-01"];
        upload(&ledger, &days.map(|day| session(patient, day, &["face.frontal"], 1))).await;
    }
    let handlers = [Fake::good(), Fake::good(), Fake::good()];
    let stop = CancellationToken::new();
    let mut working = Vec::new();
    for (i, handler) in handlers.iter().enumerate() {
        // Each as a process of its own would: with its own connections.
        let own = Ledger::open(&database.url()).await.unwrap();
        let how = WorkSettings { worker_name: format!("worker-{i}"), ..settings(here(&own).await) };
        let (handler, stop) = (Arc::clone(handler), stop.clone());
        working.push(tokio::spawn(async move { own.work(handler, how, stop).await }));
    }
    for _ in 0..600 {
        if ledger.counts(None).await.unwrap().unfinished() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    for worker in working {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(ends(&ledger).await, vec!["measured"; 90]);
    let assessed = handlers.each_ref().map(|handler| handler.assessed.load(Ordering::SeqCst));
    assert_eq!(assessed.iter().sum::<usize>(), 90, "no photo is read twice: {assessed:?}");
    assert!(assessed.iter().all(|n| *n > 0), "each has its share: {assessed:?}");
    assert_eq!(rows(&ledger, Table::Observations).await.len(), 90);
    assert_eq!(rows(&ledger, Table::Changes).await.len(), 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_show_the_same_columns_and_the_same_rows() {
    let Some((_database, on_server)) = ledger().await else { return };
    let in_memory = Ledger::open("sqlite::memory:").await.unwrap();
    for ledger in [&on_server, &in_memory] {
        upload(ledger, &course(2)).await;
        drain(ledger, Fake::good()).await;
    }
    for table in Table::ALL {
        let dumps =
            [crate::promises::export(&on_server, table).await, crate::promises::export(&in_memory, table).await];
        assert_eq!(dumps[0].0, dumps[1].0, "columns of {}", table.name());
        assert_eq!(dumps[0].1.len(), dumps[1].1.len(), "rows of {}", table.name());
        // Each column holds the same types on both, so that scripts can read either. Not row by row: events of
        // photos that are worked on at once come in any order.
        for (i, column) in dumps[0].0.iter().enumerate() {
            let types = |dump: &[Vec<_>]| dump.iter().map(|row| discriminant(&row[i])).collect::<HashSet<_>>();
            assert_eq!(types(&dumps[0].1), types(&dumps[1].1), "types of {column} in {}", table.name());
        }
        if matches!(table, Table::Changes | Table::Trends | Table::Responders) {
            assert_eq!(dumps[0].1, dumps[1].1, "{}", table.name());
        }
    }
}

#[test]
fn the_photo_of_a_dead_worker_is_taken_up_by_another_and_not_held_against_it() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let Some((database, ledger)) = second.block_on(ledger()) else { return };
    second.block_on(upload(&ledger, &course(1)[..1]));
    // Rescue goes by age: 10 s after the time-out.
    let short = |source| WorkSettings { job_timeout: Duration::from_secs(2), ..settings(source) };
    let hangs = Arc::new(Notify::new());
    first.block_on(async {
        let own = Ledger::open(&database.url()).await.unwrap();
        let handler = Fake::new({
            let hangs = Arc::clone(&hangs);
            move |_| {
                hangs.notify_one();
                Act::Hang
            }
        });
        let how = short(here(&own).await);
        tokio::spawn(async move { own.work(handler, how, CancellationToken::new()).await });
        hangs.notified().await;
    });
    // The process dies with the photo in work.
    first.shutdown_background();
    second.block_on(async {
        let stop = CancellationToken::new();
        let working = tokio::spawn({
            let (ledger, stop, how) = (ledger.clone(), stop.clone(), short(here(&ledger).await));
            async move { ledger.work(Fake::good(), how, stop).await }
        });
        let begun = std::time::Instant::now();
        while ledger.counts(None).await.unwrap().unfinished() > 0 && begun.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stop.cancel();
        working.await.unwrap().unwrap();
        assert_eq!(ends(&ledger).await, ["measured"]);
        assert_eq!(text(&rows(&ledger, Table::Photos).await[0], "starts"), "1");
        let events = rows(&ledger, Table::Events).await;
        assert!(events.iter().any(|event| text(event, "kind") == "recovered"), "{events:?}");
        println!("taken up {} s after the other died", begun.elapsed().as_secs());
    });
}

/// A tool for River, such as River UI, asks for the migrations that were made, and lists queues and jobs.
#[tokio::test(flavor = "multi_thread")]
async fn the_engines_tables_are_as_its_other_tools_expect_them() {
    let Some((database, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    drain(&ledger, Fake::good()).await;
    let versions =
        database.ask("SELECT string_agg(version::text, ' ' ORDER BY version) FROM river_migration WHERE line = 'main'");
    assert_eq!(versions.await, "1 2 3 4 5 6 7 8");
    assert_eq!(
        database.ask("SELECT string_agg(DISTINCT kind || ' ' || state, ', ') FROM river_job").await,
        "assess_view completed"
    );
    let queues =
        "SELECT COUNT(*)::text FROM river_queue q WHERE EXISTS (SELECT 1 FROM river_job j WHERE j.queue = q.name)";
    assert_eq!(database.ask(queues).await, "1");
    assert_eq!(
        database.ask("SELECT COUNT(*)::text FROM river_leader WHERE expires_at < now() - interval '1 minute'").await,
        "0"
    );
}
