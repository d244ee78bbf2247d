//! The schema and its migrations: River's own tables first, then ours, in one transaction.
//!
//! Tables differ between the databases only in how ids and types are written, and come by migrations of each; views are one
//! text for both and made anew with each version. The migrator is our own few lines: sqlx's needs features that the job
//! engine's sqlx does not switch on. A ledger that a newer program has migrated is refused rather than guessed at.

use cicatrix_model::{Reason, ReasonGroup};
use riverqueue::migrate::{PostgresMigrator, SqliteMigrator};
use tokio::time::{Duration, sleep};

use crate::sql::{On, Pool, Tx, columns, query, query_as, query_scalar};
use crate::{LedgerError, Table, dictionary, now};

/// Version, name and SQL.
type Migration = (i64, &'static str, &'static str);

/// In order. A released version is never edited.
const SQLITE: [Migration; 13] = [
    (1, "tables", include_str!("../migrations/sqlite/0001_tables.sql")),
    (2, "views", include_str!("../migrations/sqlite/0002_views.sql")),
    (3, "scale_source", include_str!("../migrations/sqlite/0003_scale_source.sql")),
    (4, "orphaned", include_str!("../migrations/sqlite/0004_orphaned.sql")),
    (5, "source", include_str!("../migrations/sqlite/0005_source.sql")),
    (6, "inference", include_str!("../migrations/sqlite/0006_inference.sql")),
    (7, "regions", include_str!("../migrations/sqlite/0007_regions.sql")),
    (8, "scale", include_str!("../migrations/sqlite/0008_scale.sql")),
    (9, "views_of_both", ""),
    (10, "turns", include_str!("../migrations/sqlite/0010_turns.sql")),
    (11, "workers", include_str!("../migrations/sqlite/0011_workers.sql")),
    (12, "dashboard", DASHBOARD),
    (13, "clinics", CLINICS),
];
/// PostgreSQL begins where SQLite was when it came.
const POSTGRES: [Migration; 5] = [
    (9, "tables", include_str!("../migrations/postgres/0009_tables.sql")),
    (10, "turns", include_str!("../migrations/postgres/0010_turns.sql")),
    (11, "workers", include_str!("../migrations/postgres/0011_workers.sql")),
    (12, "dashboard", DASHBOARD),
    (13, "clinics", CLINICS),
];
/// The same on both.
const DASHBOARD: &str = include_str!("../migrations/0012_dashboard.sql");
const CLINICS: &str = include_str!("../migrations/0013_clinics.sql");
const VIEWS: &str = include_str!("../migrations/views.sql");
const KNOWN: i64 = SQLITE[SQLITE.len() - 1].0;
const _: () = assert!(POSTGRES[POSTGRES.len() - 1].0 == KNOWN, "both databases have one version");

/// Brings both schemas up to date; only reads when they are.
pub(crate) async fn migrate(pool: &Pool) -> Result<(), LedgerError> {
    migrate_river(pool).await?;
    if is_current(pool).await? && words_are_current(pool).await? {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    tx.take_turn("schema").await?;
    query(
        "CREATE TABLE IF NOT EXISTS ledger_migration (
             version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
    )
    .execute(&mut tx)
    .await?;
    let applied = applied_version(&mut tx).await?;
    if applied > KNOWN {
        return Err(LedgerError::Schema { found: applied, known: KNOWN });
    }
    if applied < KNOWN {
        let migrations = match tx {
            Tx::Sqlite(_) => &SQLITE[..],
            Tx::Postgres(_) => &POSTGRES[..],
        };
        for (version, name, sql) in migrations.iter().filter(|(version, ..)| *version > applied) {
            tx.script(sql).await?;
            query("INSERT INTO ledger_migration (version, name, applied_at) VALUES ($1, $2, $3)")
                .bind(*version)
                .bind(*name)
                .bind(now())
                .execute(&mut tx)
                .await?;
        }
        tx.script(VIEWS).await?;
    }
    write_reasons(&mut tx).await?;
    write_dictionary(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Whether nothing has to be migrated; only reads. Advice and dictionary may be an older program's.
pub(crate) async fn is_current(pool: &Pool) -> Result<bool, LedgerError> {
    let mut tx = pool.begin_to_read().await?;
    let applied = applied_version(&mut tx).await?;
    tx.rollback().await?;
    match applied {
        newer if newer > KNOWN => Err(LedgerError::Schema { found: newer, known: KNOWN }),
        applied => Ok(applied == KNOWN),
    }
}

/// Two processes that open a new ledger at the same moment collide in River's migrator; the loser looks again.
async fn migrate_river(pool: &Pool) -> Result<(), LedgerError> {
    let mut first = None;
    for _ in 0..3 {
        let migrated = match pool {
            Pool::Sqlite(pool) => SqliteMigrator::new(pool.clone()).migrate_up().await.map(drop),
            Pool::Postgres(pool) => PostgresMigrator::new(pool.clone()).migrate_up().await.map(drop),
        };
        match migrated {
            Ok(()) => return Ok(()),
            // The later ones may only say that the first left a transaction open.
            Err(error) => first = first.or(Some(error)),
        }
        sleep(Duration::from_millis(150)).await;
    }
    first.map_or(Ok(()), |error| Err(error.into()))
}

/// 0 for a database without our tables.
async fn applied_version(tx: &mut Tx) -> Result<i64, LedgerError> {
    if columns(&mut *tx, "ledger_migration").await?.is_empty() {
        return Ok(0);
    }
    query_scalar("SELECT COALESCE(MAX(version), 0) FROM ledger_migration").fetch_one(&mut *tx).await
}

/// Advice as this program gives it. Who changes the dictionary's words alone has them with the next version of the schema.
async fn words_are_current(on: impl Into<On<'_>>) -> Result<bool, LedgerError> {
    let rows: Vec<(String, String, String)> =
        query_as("SELECT code, reason_group, advice FROM reason").fetch_all(on).await?;
    let current = Reason::ALL.iter().all(|reason| {
        rows.iter().any(|(code, group, advice)| {
            code == reason.code() && group == group_name(reason.group()) && advice == reason.advice()
        })
    });
    Ok(current)
}

async fn write_reasons(tx: &mut Tx) -> Result<(), LedgerError> {
    for reason in Reason::ALL {
        query(
            "INSERT INTO reason (code, reason_group, advice) VALUES ($1, $2, $3)
             ON CONFLICT (code) DO UPDATE SET reason_group = excluded.reason_group, advice = excluded.advice",
        )
        .bind(reason.code())
        .bind(group_name(reason.group()))
        .bind(reason.advice())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Every column of every view, and the measures.
async fn write_dictionary(tx: &mut Tx) -> Result<(), LedgerError> {
    query("DELETE FROM dictionary").execute(&mut *tx).await?;
    for table in Table::ALL {
        for column in columns(&mut *tx, &table.view()).await? {
            if let Some((unit, meaning)) = dictionary::entry(table, &column) {
                write_entry(tx, [table.name(), &column, unit, meaning]).await?;
            }
        }
    }
    for (name, unit, meaning) in dictionary::measures() {
        write_entry(tx, ["measure", name, unit, meaning]).await?;
    }
    Ok(())
}

async fn write_entry(tx: &mut Tx, [table, name, unit, meaning]: [&str; 4]) -> Result<(), LedgerError> {
    query("INSERT INTO dictionary (table_name, name, unit, meaning) VALUES ($1, $2, $3, $4)")
        .bind(table)
        .bind(name)
        .bind(unit)
        .bind(meaning)
        .execute(&mut *tx)
        .await?;
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
        ReasonGroup::Operation => "operation",
    }
}
