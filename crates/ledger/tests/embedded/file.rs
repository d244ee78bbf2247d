//! What holds for a file alone: one process works on it, and what a dead one left may start at once.

use std::sync::Arc;
use std::time::Duration;

use cicatrix_ledger::{Ledger, LedgerError, Table};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::database::{ledger, url};
use crate::promises::{Act, Fake, course, drain, ends, here, rows, settings, text, upload};

#[test]
fn work_of_a_killed_process_is_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    // A process dies: its runtime is dropped with a photo in work.
    let first = runtime();
    first.block_on(async {
        let ledger = Ledger::open(&url(&dir)).await.unwrap();
        upload(&ledger, &course(1)).await;
        let hangs = Arc::new(Notify::new());
        let handler = Fake::new({
            let hangs = Arc::clone(&hangs);
            move |_| {
                hangs.notify_one();
                Act::Hang
            }
        });
        tokio::spawn(async move {
            let how = settings(here(&ledger).await);
            ledger.work(handler, how, CancellationToken::new()).await
        });
        hangs.notified().await;
    });
    drop(first);

    runtime().block_on(async {
        let ledger = Ledger::open(&url(&dir)).await.unwrap();
        let held = ledger.exclusive().unwrap();
        assert_eq!(ledger.recover_orphans(&held).await.unwrap(), 1);
        let begun = std::time::Instant::now();
        assert_eq!(drain(&ledger, Fake::good()).await.measured, 3);
        assert!(begun.elapsed() < Duration::from_secs(15), "recovery must not wait for the rescue");
        let photos = rows(&ledger, Table::Photos).await;
        assert_eq!(text(&photos[0], "starts"), "1", "the start of the dead process is not held against the photo");
    });
}

/// A process is killed with a photo in work; the next one finds it.
fn kill_at_work(dir: &TempDir) {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let killed = runtime();
    killed.block_on(async {
        let ledger = Ledger::open(&url(dir)).await.unwrap();
        let hangs = Arc::new(Notify::new());
        let handler = Fake::new({
            let hangs = Arc::clone(&hangs);
            move |_| {
                hangs.notify_one();
                Act::Hang
            }
        });
        tokio::spawn(async move {
            let how = settings(here(&ledger).await);
            ledger.work(handler, how, CancellationToken::new()).await
        });
        hangs.notified().await;
    });
    drop(killed);
    runtime().block_on(async {
        let ledger = Ledger::open(&url(dir)).await.unwrap();
        let held = ledger.exclusive().unwrap();
        assert_eq!(ledger.recover_orphans(&held).await.unwrap(), 1);
        ledger.close().await;
    });
}

/// Ends of all photos after so many kills and a run to the end.
fn ends_after_kills(kills: u32) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(async {
        let ledger = Ledger::open(&url(&dir)).await.unwrap();
        upload(&ledger, &course(1)[..1]).await;
        ledger.close().await;
    });
    for _ in 0..kills {
        kill_at_work(&dir);
    }
    runtime().block_on(async {
        let ledger = Ledger::open(&url(&dir)).await.unwrap();
        drain(&ledger, Fake::good()).await;
        ends(&ledger).await
    })
}

#[test]
fn a_program_that_is_killed_again_and_again_costs_no_photo() {
    assert_eq!(ends_after_kills(5), ["measured"]);
}

#[test]
fn a_photo_that_takes_the_machine_down_each_time_ends_all_the_same() {
    assert_eq!(ends_after_kills(12), ["quarantined decoder_crash"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_process_works_on_a_ledger() {
    let Some((_dir, ledger)) = ledger().await else { return };
    let held = ledger.exclusive().unwrap();
    assert!(matches!(ledger.exclusive(), Err(LedgerError::Locked(_))));
    drop(held);
    assert!(ledger.exclusive().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_a_folder_that_is_not_there_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("missing");
    let opened = Ledger::open(&format!("sqlite://{}/ledger.db", folder.display())).await;
    assert!(matches!(&opened, Err(LedgerError::Unsupported(text)) if text.contains("missing")), "{opened:?}");
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_memory_works() {
    let ledger = Ledger::open("sqlite::memory:").await.unwrap();
    upload(&ledger, &course(1)).await;
    assert_eq!(drain(&ledger, Fake::good()).await.measured, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_can_be_read_while_it_is_written_and_after() {
    let Some((dir, ledger)) = ledger().await else { return };
    upload(&ledger, &course(1)).await;
    let beside = Ledger::open_to_read(&url(&dir)).await.unwrap();
    assert_eq!(beside.counts(None).await.unwrap().total(), 3);
    assert!(beside.night_begin("./bucket", "all", true).await.is_err(), "it was opened to read");
    assert_eq!(drain(&ledger, Fake::good()).await.measured, 3);
    assert_eq!(rows(&beside, Table::Changes).await.len(), 3);
    beside.close().await;
    ledger.close().await;

    let after = Ledger::open_to_read(&url(&dir)).await.unwrap();
    assert_eq!(rows(&after, Table::Changes).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_makes_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Ledger::open_to_read(&url(&dir)).await.is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
