//! A database of its own for each test.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use cicatrix_ledger::Ledger;
use riverqueue::sqlx::postgres::{PgConnectOptions, PgConnection};
use riverqueue::sqlx::{self, AssertSqlSafe, Connection, Executor};

/// A database that is dropped with this.
pub(crate) struct Database {
    server: String,
    name: String,
}

static MADE: AtomicU32 = AtomicU32::new(0);

fn server() -> Option<String> {
    let server = std::env::var("CICATRIX_TEST_POSTGRES").ok();
    if server.is_none() {
        let required = std::env::var("CICATRIX_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(!required, "CICATRIX_TEST_POSTGRES names no server, and one is required");
        println!("skipped: CICATRIX_TEST_POSTGRES names no PostgreSQL server");
    }
    server
}

/// A new ledger; none without a server.
pub(crate) async fn ledger() -> Option<(Database, Ledger)> {
    let database = Database::make().await?;
    let ledger = Ledger::open(&database.url()).await.unwrap();
    Some((database, ledger))
}

impl Database {
    /// An empty one; none without a server.
    pub(crate) async fn make() -> Option<Self> {
        let server = server()?;
        let name = format!("cicatrix_test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::SeqCst));
        order(&server, &format!("CREATE DATABASE {name}")).await;
        Some(Self { server, name })
    }

    /// One text, asked for beside the ledger.
    pub(crate) async fn ask(&self, sql: &'static str) -> String {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    /// Its address: the server's with another database.
    pub(crate) fn url(&self) -> String {
        let (server, query) = self.server.split_once('?').map_or((self.server.as_str(), None), |(s, q)| (s, Some(q)));
        let (host, _) = server.rsplit_once('/').expect("postgres://host/database");
        format!("{host}/{}{}", self.name, query.map_or(String::new(), |query| format!("?{query}")))
    }
}

async fn order(server: &str, sql: &str) {
    let options = PgConnectOptions::from_str(server).unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(order(&server, &sql));
        });
        let _ = dropped.join();
    }
}
