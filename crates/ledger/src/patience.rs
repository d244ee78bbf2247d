//! Waiting for a database that restarts.

use std::time::{Duration, Instant};

use crate::LedgerError;

/// A restart of a database takes seconds, a failover up to a minute.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// Asks again while the database is busy or out of reach, for a minute: for what a worker does as it starts. What it does later
/// is tried again by its own rules.
pub async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => {
                tracing::warn!(%error, "the database does not answer yet, trying again");
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
