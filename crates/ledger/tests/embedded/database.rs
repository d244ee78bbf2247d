//! A file of its own for each test.

use cicatrix_ledger::Ledger;
use tempfile::TempDir;

/// A new ledger, gone with the folder. There always is one.
pub(crate) async fn ledger() -> Option<(TempDir, Ledger)> {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&url(&dir)).await.unwrap();
    Some((dir, ledger))
}

pub(crate) fn url(dir: &TempDir) -> String {
    format!("sqlite://{}", dir.path().join("ledger.db").display())
}
