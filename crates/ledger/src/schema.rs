//! The schema and its migrations: River's own tables first, then ours, each version in one transaction.
//!
//! The migrator is our own twenty lines: sqlx's needs features that the job engine's sqlx does not switch on. A
//! ledger that a newer program has migrated is refused rather than guessed at.

use cicatrix_model::{Reason, ReasonGroup};
use riverqueue::database::begin_sqlite_write;
use riverqueue::migrate::SqliteMigrator;
use riverqueue::sqlx::{self, SqliteConnection, SqlitePool};
use tokio::time::{Duration, sleep};

use crate::{LedgerError, now};

/// Version, name and SQL, in order. A released version is never edited.
const MIGRATIONS: [(i64, &str, &str); 8] = [
    (1, "tables", include_str!("../migrations/0001_tables.sql")),
    (2, "views", include_str!("../migrations/0002_views.sql")),
    (3, "scale_source", include_str!("../migrations/0003_scale_source.sql")),
    (4, "orphaned", include_str!("../migrations/0004_orphaned.sql")),
    (5, "source", include_str!("../migrations/0005_source.sql")),
    (6, "inference", include_str!("../migrations/0006_inference.sql")),
    (7, "regions", include_str!("../migrations/0007_regions.sql")),
    (8, "scale", include_str!("../migrations/0008_scale.sql")),
];
const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Brings both schemas up to date; only reads when they are.
pub(crate) async fn migrate(pool: &SqlitePool) -> Result<(), LedgerError> {
    migrate_river(pool).await?;
    {
        let mut conn = pool.acquire().await?;
        if applied_version(&mut conn).await? == KNOWN && reasons_are_current(&mut conn).await? {
            return Ok(());
        }
    }
    let mut tx = begin_sqlite_write(pool).await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS ledger_migration (
             version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
    )
    .execute(&mut *tx)
    .await?;
    let applied = applied_version(&mut tx).await?;
    if applied > KNOWN {
        return Err(LedgerError::Schema { found: applied, known: KNOWN });
    }
    for (version, name, sql) in MIGRATIONS {
        if version <= applied {
            continue;
        }
        sqlx::raw_sql(sql).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO ledger_migration (version, name, applied_at) VALUES ($1, $2, $3)")
            .bind(version)
            .bind(name)
            .bind(now())
            .execute(&mut *tx)
            .await?;
    }
    write_reasons(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Whether nothing has to be migrated; only reads. The texts of reasons may be an older program's.
pub(crate) async fn is_current(pool: &SqlitePool) -> Result<bool, LedgerError> {
    let mut conn = pool.acquire().await?;
    match applied_version(&mut conn).await? {
        newer if newer > KNOWN => Err(LedgerError::Schema { found: newer, known: KNOWN }),
        applied => Ok(applied == KNOWN),
    }
}

/// Two processes that open a new ledger at the same moment collide in River's migrator; the loser looks again.
async fn migrate_river(pool: &SqlitePool) -> Result<(), LedgerError> {
    let migrator = SqliteMigrator::new(pool.clone());
    let Err(first) = migrator.migrate_up().await else { return Ok(()) };
    for _ in 0..2 {
        sleep(Duration::from_millis(150)).await;
        if migrator.migrate_up().await.is_ok() {
            return Ok(());
        }
    }
    // The later ones may only say that the first left a transaction open.
    Err(first.into())
}

/// 0 for a database without our tables.
async fn applied_version(conn: &mut SqliteConnection) -> Result<i64, LedgerError> {
    let exists: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'ledger_migration'")
            .fetch_one(&mut *conn)
            .await?;
    if exists == 0 {
        return Ok(0);
    }
    let version: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM ledger_migration").fetch_one(&mut *conn).await?;
    Ok(version)
}

async fn reasons_are_current(conn: &mut SqliteConnection) -> Result<bool, LedgerError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT code, reason_group, advice FROM reason").fetch_all(&mut *conn).await?;
    let current = Reason::ALL.iter().all(|reason| {
        rows.iter().any(|(code, group, advice)| {
            code == reason.code() && group == group_name(reason.group()) && advice == reason.advice()
        })
    });
    Ok(current)
}

async fn write_reasons(conn: &mut SqliteConnection) -> Result<(), LedgerError> {
    for reason in Reason::ALL {
        sqlx::query(
            "INSERT INTO reason (code, reason_group, advice) VALUES ($1, $2, $3)
             ON CONFLICT (code) DO UPDATE SET reason_group = excluded.reason_group, advice = excluded.advice",
        )
        .bind(reason.code())
        .bind(group_name(reason.group()))
        .bind(reason.advice())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

fn group_name(group: ReasonGroup) -> &'static str {
    match group {
        ReasonGroup::Position => "position",
        ReasonGroup::Lighting => "lighting",
        ReasonGroup::Zoom => "zoom",
        ReasonGroup::Focus => "focus",
        ReasonGroup::Styling => "styling",
        ReasonGroup::Timing => "timing",
        ReasonGroup::Description => "description",
        ReasonGroup::Baseline => "baseline",
        ReasonGroup::Quarantine => "quarantine",
    }
}
