//! SQL on both databases: the same text with `$1`, `$2` … on SQLite and PostgreSQL, with values and rows of our own, so that
//! no other file knows which of the two it speaks to.
//!
//! SQLite keeps the order of a CROSS JOIN, and without statistics would else begin with all current runs: where a question is
//! about one patient or session, it says so by that order. PostgreSQL joins as it likes.
//!
//! Kept simple so that it can be so: whole numbers have 64 bits, flags are 0 or 1, times and JSON are text, and text is
//! ordered by its bytes. A value without a type (NULL) takes the one that the database infers.

use std::borrow::Cow;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use riverqueue::database::{begin_postgres, begin_sqlite_write};
use riverqueue::sqlx::encode::IsNull;
use riverqueue::sqlx::error::BoxDynError;
use riverqueue::sqlx::postgres::{PgArgumentBuffer, PgRow, PgTypeInfo, types::Oid};
use riverqueue::sqlx::sqlite::SqliteRow;
use riverqueue::sqlx::{
    self, AssertSqlSafe, Column, Encode, Executor, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction, Type,
    TypeInfo, ValueRef,
};

use crate::LedgerError;

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

/// Connections to one of the two databases; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction. It is rolled back when it is dropped without [`Tx::commit`].
#[derive(Debug)]
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Pool {
    /// A transaction that may write. On SQLite it waits for its turn here and not in the middle.
    pub(crate) async fn begin(&self) -> Result<Tx, LedgerError> {
        Ok(match self {
            Self::Sqlite(pool) => Tx::Sqlite(begin_sqlite_write(pool).await?),
            Self::Postgres(pool) => Tx::Postgres(begin_postgres(pool).await?),
        })
    }

    /// A transaction that only reads, all of it from one state.
    pub(crate) async fn begin_to_read(&self) -> Result<Tx, LedgerError> {
        Ok(match self {
            Self::Sqlite(pool) => Tx::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => {
                Tx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// A column that is compared with a text, whatever it holds. SQLite brings the text to the column's type by itself.
    pub(crate) fn as_text(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => column.to_owned(),
            Self::Postgres(_) => format!("{column}::text"),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), LedgerError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    pub(crate) async fn rollback(self) -> Result<(), LedgerError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// The turn of a patient: what is planned and finished there is read, compared and written without another writer between.
    pub(crate) async fn take_turn_of(&mut self, clinic: &str, patient: &str) -> Result<(), LedgerError> {
        self.take_turn(&format!("patient {clinic}/{patient}")).await
    }

    /// Waits until no other transaction holds the turn of this name, and keeps it until the end of this one. On SQLite whoever
    /// writes holds them all. Who takes several takes them in the order of their names.
    pub(crate) async fn take_turn(&mut self, name: &str) -> Result<(), LedgerError> {
        if matches!(self, Self::Postgres(_)) {
            query("SELECT 1 FROM pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name).execute(self).await?;
        }
        Ok(())
    }

    /// Takes a turn if nobody else has it. On SQLite whoever writes has them all.
    pub(crate) async fn try_turn(&mut self, name: &str) -> Result<bool, LedgerError> {
        match self {
            Self::Sqlite(_) => Ok(true),
            Self::Postgres(_) => {
                query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))")
                    .bind(name)
                    .fetch_one(self)
                    .await
            }
        }
    }

    /// The end of a query whose rows will be written, and which leaves out those that others are about to write. SQLite has one
    /// writer.
    pub(crate) fn skipping_locked(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// Runs several statements without values.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), LedgerError> {
        match self {
            Self::Sqlite(tx) => tx.execute(sqlx::raw_sql(sql)).await.map(drop)?,
            Self::Postgres(tx) => tx.execute(sqlx::raw_sql(sql)).await.map(drop)?,
        }
        Ok(())
    }
}

/// Where a statement runs: by itself, or in a transaction.
pub(crate) enum On<'a> {
    Pool(&'a Pool),
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
        Self::Pool(pool)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

/// A statement with its values, whose rows are read as `T`.
#[must_use = "a statement does nothing until it is run"]
pub(crate) struct Query<T> {
    sql: Cow<'static, str>,
    values: Vec<Cell>,
    read: fn(&Row) -> Result<T, LedgerError>,
}

/// A statement whose rows are read by column.
pub(crate) fn query(sql: impl Into<Cow<'static, str>>) -> Query<Row> {
    Query { sql: sql.into(), values: vec![], read: |row| Ok(row.clone()) }
}

/// A statement whose rows are read as tuples.
pub(crate) fn query_as<T: FromRow>(sql: impl Into<Cow<'static, str>>) -> Query<T> {
    Query { sql: sql.into(), values: vec![], read: T::from_row }
}

/// A statement of whose rows the first value is read.
pub(crate) fn query_scalar<T: FromCell>(sql: impl Into<Cow<'static, str>>) -> Query<T> {
    Query { sql: sql.into(), values: vec![], read: |row| row.at(0) }
}

macro_rules! bound {
    ($database:ty, $query:expr) => {{
        // Texts are this crate's own; what is put into them are names of its own columns.
        let mut statement = match &$query.sql {
            Cow::Borrowed(sql) => sqlx::query::<$database>(*sql),
            Cow::Owned(sql) => sqlx::query::<$database>(AssertSqlSafe(sql.clone())),
        };
        for value in $query.values.iter().cloned() {
            statement = statement.bind(value);
        }
        statement
    }};
}

impl<T> Query<T> {
    pub(crate) fn bind(mut self, value: impl Into<Cell>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Returns how many rows were written.
    pub(crate) async fn execute(self, on: impl Into<On<'_>>) -> Result<u64, LedgerError> {
        Ok(match on.into() {
            On::Pool(Pool::Sqlite(pool)) => bound!(Sqlite, self).execute(pool).await?.rows_affected(),
            On::Pool(Pool::Postgres(pool)) => bound!(Postgres, self).execute(pool).await?.rows_affected(),
            On::Tx(Tx::Sqlite(tx)) => bound!(Sqlite, self).execute(&mut **tx).await?.rows_affected(),
            On::Tx(Tx::Postgres(tx)) => bound!(Postgres, self).execute(&mut **tx).await?.rows_affected(),
        })
    }

    pub(crate) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<T>, LedgerError> {
        let rows: Vec<Row> = match on.into() {
            On::Pool(Pool::Sqlite(pool)) => rows_of(&bound!(Sqlite, self).fetch_all(pool).await?)?,
            On::Pool(Pool::Postgres(pool)) => rows_of(&bound!(Postgres, self).fetch_all(pool).await?)?,
            On::Tx(Tx::Sqlite(tx)) => rows_of(&bound!(Sqlite, self).fetch_all(&mut **tx).await?)?,
            On::Tx(Tx::Postgres(tx)) => rows_of(&bound!(Postgres, self).fetch_all(&mut **tx).await?)?,
        };
        rows.iter().map(self.read).collect()
    }

    pub(crate) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<T>, LedgerError> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    pub(crate) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<T, LedgerError> {
        let sql = self.sql.clone();
        self.fetch_optional(on).await?.ok_or_else(|| LedgerError::Bug(format!("no row of: {sql}")))
    }

    /// Row by row, so that a large table is never held.
    pub(crate) fn fetch(self, pool: &Pool) -> BoxStream<'_, Result<T, LedgerError>>
    where
        T: Send + 'static,
    {
        let read = self.read;
        match pool {
            Pool::Sqlite(pool) => bound!(Sqlite, self)
                .fetch(pool)
                .map_err(LedgerError::from)
                .map(move |row| row.and_then(|row| read(&Row::of(&row, row.names())?)))
                .boxed(),
            Pool::Postgres(pool) => bound!(Postgres, self)
                .fetch(pool)
                .map_err(LedgerError::from)
                .map(move |row| row.and_then(|row| read(&Row::of(&row, row.names())?)))
                .boxed(),
        }
    }
}

/// Names of the columns of a table or view, in their order; none where there is no such table.
pub(crate) async fn columns(on: impl Into<On<'_>>, table: &str) -> Result<Vec<String>, LedgerError> {
    let on = on.into();
    let sql = match &on {
        On::Pool(Pool::Sqlite(_)) | On::Tx(Tx::Sqlite(_)) => "SELECT name FROM pragma_table_info($1) ORDER BY cid",
        On::Pool(Pool::Postgres(_)) | On::Tx(Tx::Postgres(_)) => {
            "SELECT column_name::text FROM information_schema.columns
              WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
    };
    query_scalar(sql).bind(table).fetch_all(on).await
}

/// A row that was read.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    names: Arc<[String]>,
    cells: Vec<Cell>,
}

/// A row as one of the databases hands it over.
trait Source {
    fn names(&self) -> Arc<[String]>;
    fn cell(&self, index: usize) -> Result<Cell, sqlx::Error>;
}

impl Source for SqliteRow {
    fn names(&self) -> Arc<[String]> {
        self.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    fn cell(&self, index: usize) -> Result<Cell, sqlx::Error> {
        let raw = self.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        Ok(match raw.type_info().name() {
            "INTEGER" | "BOOLEAN" => Cell::Int(self.try_get_unchecked(index)?),
            "REAL" => Cell::Real(self.try_get_unchecked(index)?),
            _ => Cell::Text(self.try_get_unchecked(index)?),
        })
    }
}

impl Source for PgRow {
    fn names(&self) -> Arc<[String]> {
        self.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    fn cell(&self, index: usize) -> Result<Cell, sqlx::Error> {
        let raw = self.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        Ok(match raw.type_info().name() {
            "INT8" => Cell::Int(self.try_get_unchecked(index)?),
            "INT4" => Cell::Int(self.try_get_unchecked::<i32, _>(index)?.into()),
            "BOOL" => Cell::Int(self.try_get_unchecked::<bool, _>(index)?.into()),
            "FLOAT8" => Cell::Real(self.try_get_unchecked(index)?),
            _ => Cell::Text(self.try_get_unchecked(index)?),
        })
    }
}

/// Rows of one statement, whose names are kept once.
fn rows_of(rows: &[impl Source]) -> Result<Vec<Row>, LedgerError> {
    let Some(names) = rows.first().map(Source::names) else { return Ok(vec![]) };
    rows.iter().map(|row| Row::of(row, Arc::clone(&names))).collect()
}

impl Row {
    fn of(row: &impl Source, names: Arc<[String]>) -> Result<Self, LedgerError> {
        let cells = (0..names.len()).map(|index| row.cell(index)).collect::<Result<_, _>>()?;
        Ok(Self { names, cells })
    }

    pub(crate) fn get<T: FromCell>(&self, name: &str) -> Result<T, LedgerError> {
        let at = self.names.iter().position(|known| known == name);
        self.at(at.ok_or_else(|| LedgerError::Bug(format!("no column {name} was read")))?)
    }

    fn at<T: FromCell>(&self, index: usize) -> Result<T, LedgerError> {
        let cell = self.cells.get(index).ok_or_else(|| LedgerError::Bug(format!("no column {index} was read")))?;
        T::from_cell(cell).ok_or_else(|| {
            let name = self.names.get(index).map_or("", String::as_str);
            LedgerError::Corrupt(format!("{cell:?} in the column {name}"))
        })
    }

    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

/// What a value can be read as; none when it is something else.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: &Cell) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Int(value) = cell { Some(*value) } else { None }
    }
}

macro_rules! narrower {
    ($($kind:ty),*) => {
        $(impl FromCell for $kind {
            fn from_cell(cell: &Cell) -> Option<Self> {
                i64::from_cell(cell)?.try_into().ok()
            }
        })*
    };
}
narrower!(u16, u32);

impl FromCell for bool {
    fn from_cell(cell: &Cell) -> Option<Self> {
        Some(i64::from_cell(cell)? != 0)
    }
}

impl FromCell for f64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Real(value) => Some(*value),
            // SQLite keeps a round number of a column without a type as a whole one.
            Cell::Int(value) => Some(*value as f64),
            _ => None,
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text.clone()) } else { None }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        if *cell == Cell::Null { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// What a row can be read as.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self, LedgerError>;
}

macro_rules! tuples {
    ($(($($kind:ident $index:tt),*)),*) => {
        $(impl<$($kind: FromCell),*> FromRow for ($($kind,)*) {
            fn from_row(row: &Row) -> Result<Self, LedgerError> {
                Ok(($(row.at::<$kind>($index)?,)*))
            }
        })*
    };
}
tuples!((A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4, F 5));

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u16> for Cell {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&Option<String>> for Cell {
    fn from(text: &Option<String>) -> Self {
        text.as_deref().into()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Type<Sqlite> for Cell {
    fn type_info() -> <Sqlite as sqlx::Database>::TypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Cell {
    fn encode_by_ref(&self, arguments: &mut <Sqlite as sqlx::Database>::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => <i64 as Encode<'_, Sqlite>>::encode_by_ref(value, arguments),
            Self::Real(value) => <f64 as Encode<'_, Sqlite>>::encode_by_ref(value, arguments),
            Self::Text(text) => <String as Encode<'_, Sqlite>>::encode_by_ref(text, arguments),
        }
    }
}

/// The database infers what it is.
const UNKNOWN: Oid = Oid(0);

impl Type<Postgres> for Cell {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UNKNOWN)
    }
}

impl Encode<'_, Postgres> for Cell {
    fn encode_by_ref(&self, arguments: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => <i64 as Encode<'_, Postgres>>::encode_by_ref(value, arguments),
            Self::Real(value) => <f64 as Encode<'_, Postgres>>::encode_by_ref(value, arguments),
            Self::Text(text) => <String as Encode<'_, Postgres>>::encode_by_ref(text, arguments),
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(match self {
            Self::Null => PgTypeInfo::with_oid(UNKNOWN),
            Self::Int(_) => <i64 as Type<Postgres>>::type_info(),
            Self::Real(_) => <f64 as Type<Postgres>>::type_info(),
            Self::Text(_) => <String as Type<Postgres>>::type_info(),
        })
    }
}
