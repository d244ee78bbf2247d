//! PostgreSQL, for many workers on many machines.

use std::str::FromStr;
use std::time::Duration;

use riverqueue::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use riverqueue::sqlx::{self, ConnectOptions, Connection};
use tokio::time::timeout;

use crate::sql::Pool;
use crate::{Ledger, LedgerError, schema};

/// Connections of a process: a transaction is short, photos are read outside of it.
const CONNECTIONS: u32 = 8;
/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to a database that is there, and brings its schema up to date.
pub(crate) async fn open(url: &str) -> Result<Ledger, LedgerError> {
    let pool = connect(url).await?;
    schema::migrate(&pool).await?;
    Ledger::over(pool, None)
}

/// Connects without writing, unless the schema is an older program's.
pub(crate) async fn open_to_read(url: &str) -> Result<Ledger, LedgerError> {
    let pool = connect(url).await?;
    if !schema::is_current(&pool).await? {
        schema::migrate(&pool).await?;
    }
    Ledger::over(pool, None)
}

/// What an address may say behind its question mark.
const PARAMETERS: [&str; 14] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "port",
    "user",
    "password",
    "options",
];

/// A parameter that nobody knows is a typing error, and may be one of security.
fn check_parameters(url: &str) -> Result<(), LedgerError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let names = query.split('&').filter(|part| !part.is_empty()).map(|part| part.split('=').next().unwrap_or(part));
    match names.into_iter().find(|name| !PARAMETERS.contains(name)) {
        Some(name) => Err(LedgerError::Unsupported(format!(
            "'{name}' is no parameter of a PostgreSQL address; there are {}",
            PARAMETERS.join(", ")
        ))),
        None => Ok(()),
    }
}

async fn connect(url: &str) -> Result<Pool, LedgerError> {
    check_parameters(url)?;
    let options = PgConnectOptions::from_str(url)?.application_name("cicatrix");
    // A pool would try until its time is over, and then say only that it is.
    match timeout(PATIENCE, options.connect()).await {
        Ok(Ok(connection)) => connection.close().await?,
        Ok(Err(error)) => return Err(unreachable(&options, error)),
        Err(_) => return Err(LedgerError::Unavailable(format!("{} does not answer", place(&options)))),
    }
    let pool =
        PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).connect_with(options).await?;
    Ok(Pool::Postgres(pool))
}

fn place(options: &PgConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}

/// Who does not answer, where nobody does.
fn unreachable(options: &PgConnectOptions, error: sqlx::Error) -> LedgerError {
    match error {
        // What TLS does not trust comes as data that is not valid.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            LedgerError::Unsupported(format!("no trusted connection to {}: {error}", place(options)))
        }
        sqlx::Error::Io(error) => LedgerError::Unavailable(format!("no server answers at {}: {error}", place(options))),
        sqlx::Error::Tls(error) => {
            LedgerError::Unsupported(format!("no trusted connection to {}: {error}", place(options)))
        }
        error => error.into(),
    }
}

/// The address of a database as it may be shown: without a password.
pub fn without_password(url: &str) -> String {
    let Some((scheme @ ("postgres" | "postgresql"), rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = match place.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => place.to_owned(),
    };
    let shown: Vec<&str> = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("password=")).collect();
    let question = if shown.is_empty() { "" } else { "?" };
    format!("{scheme}://{place}{question}{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_parameter_is_told() {
        assert!(check_parameters("postgres://db/c?sslmode=verify-full&sslrootcert=/a/b").is_ok());
        assert!(check_parameters("postgres://db/c").is_ok());
        let wrong = check_parameters("postgres://db/c?sslmod=verify-full").unwrap_err();
        assert!(wrong.to_string().contains("'sslmod'"), "{wrong}");
    }

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            (
                "postgres://ops:s3cr:t@db.example:5432/cicatrix?sslmode=require",
                "postgres://ops@db.example:5432/cicatrix?sslmode=require",
            ),
            ("postgres://ops@db/cicatrix", "postgres://ops@db/cicatrix"),
            ("postgres://ops:a/b@db/cicatrix", "postgres://ops@db/cicatrix"),
            ("postgres://db/cicatrix?user=ops&password=s3cret", "postgres://db/cicatrix?user=ops"),
            ("sqlite://my:odd@name.db", "sqlite://my:odd@name.db"),
            ("sqlite://cicatrix.db", "sqlite://cicatrix.db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
