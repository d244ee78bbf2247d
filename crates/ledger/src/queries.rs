//! What people read: counts, nights, and the views row by row, so that writers of CSV, JSON or pages need no SQL.

use std::io;
use std::str::FromStr;

use cicatrix_model::Reason;
use futures::TryStreamExt;

use crate::sql::{Cell, Pool, Query, Row, columns, query, query_as, query_scalar};
use crate::{Counts, Ledger, LedgerError, SourceId, now, read, to_json, written};

/// A view that people read. Names and columns are part of the contract with scripts outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    Observations,
    Changes,
    Sessions,
    Photos,
    Regions,
    Retakes,
    Quarantine,
    Trends,
    Responders,
    Nights,
    Events,
    Actions,
    Patients,
    Workers,
    Dictionary,
}

impl Table {
    pub const ALL: [Table; 15] = [
        Table::Observations,
        Table::Changes,
        Table::Sessions,
        Table::Photos,
        Table::Regions,
        Table::Retakes,
        Table::Quarantine,
        Table::Trends,
        Table::Responders,
        Table::Nights,
        Table::Events,
        Table::Actions,
        Table::Patients,
        Table::Workers,
        Table::Dictionary,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Table::Observations => "observations",
            Table::Changes => "changes",
            Table::Sessions => "sessions",
            Table::Photos => "photos",
            Table::Regions => "regions",
            Table::Retakes => "retakes",
            Table::Quarantine => "quarantine",
            Table::Trends => "trends",
            Table::Responders => "responders",
            Table::Nights => "nights",
            Table::Events => "events",
            Table::Actions => "actions",
            Table::Patients => "patients",
            Table::Workers => "workers",
            Table::Dictionary => "dictionary",
        }
    }

    pub(crate) fn view(self) -> String {
        format!("v_{}", self.name())
    }

    /// An order that does not depend on when a row was written.
    fn order(self) -> &'static str {
        match self {
            Table::Observations => "clinic_id, patient_id, session, view, shot, region, measure",
            Table::Changes => "clinic_id, patient_id, session, view, region, measure",
            Table::Sessions => "clinic_id, patient_id, session",
            Table::Photos | Table::Retakes | Table::Quarantine => "clinic_id, patient_id, session, view, shot",
            Table::Regions => "clinic_id, patient_id, session, view, shot, region",
            Table::Trends => "clinic_id, patient_id, view, region, measure",
            Table::Responders => "clinic_id, patient_id, view, region, session",
            Table::Nights => "night_id",
            Table::Events => "event_id",
            Table::Actions => "action_id",
            Table::Patients => "clinic_id, patient_id",
            Table::Workers => "started_at, worker",
            Table::Dictionary => "table_name, name",
        }
    }
}

impl FromStr for Table {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Table::ALL
            .into_iter()
            .find(|table| table.name() == text)
            .ok_or_else(|| format!("'{text}' is no table: there are {}", Table::ALL.map(Table::name).join(", ")))
    }
}

/// What an export hands over: the column names once, then the rows.
#[derive(Debug, Clone, Copy)]
pub enum Line<'a> {
    Header(&'a [String]),
    Row(&'a [Cell]),
}

/// States without a verdict, as SQL lists them: their runs have an index of their own.
macro_rules! open_states {
    () => {
        "'waiting_for_baseline', 'scheduled', 'ready', 'running'"
    };
}
pub(crate) use open_states;

/// Why the photos of the clinic of a run `r`, whose turn is `t`, are not begun: a pause, or the window that a worker told of last.
macro_rules! held {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM pause u WHERE u.clinic_id = '' OR u.clinic_id = r.clinic_id) THEN 'paused'
              WHEN t.held = 'window' THEN 'window' END"
    };
}
pub(crate) use held;

/// What people see of such a run: one that is ready while its clinic is held is scheduled.
pub(crate) const SHOWN_STATE: &str = concat!(
    "CASE WHEN r.state = 'ready' AND r.job_id IS NULL AND ",
    held!(),
    " IS NOT NULL THEN 'scheduled' ELSE r.state END"
);

/// Open runs for which a condition holds, counted: `clinic_id`, `state` as people see it, `held`, which says why a clinic's
/// photos are not begun, `n`, and `oldest`, when the first of them was planned. Counted first, so that clinics are looked up and
/// not runs.
pub(crate) fn open_runs(condition: &str) -> String {
    format!(
        "SELECT r.clinic_id, {SHOWN_STATE} AS state, {} AS held, r.n, r.oldest
           FROM (SELECT source_id, clinic_id, state, MIN(CASE WHEN state = 'ready' THEN job_id END) AS job_id, COUNT(*) AS n,
                        MIN(created_at) AS oldest
                   FROM photo_run
                  WHERE is_current = 1 AND state IN ({}) AND {condition}
                  GROUP BY source_id, clinic_id, state, CASE WHEN state = 'ready' AND job_id IS NULL THEN 1 ELSE 0 END) AS r
           LEFT JOIN turn t ON t.source_id = r.source_id AND t.clinic_id = r.clinic_id",
        held!(),
        open_states!()
    )
}

/// Open runs of a source or of all by state.
fn open_by_state() -> String {
    let open = open_runs("(CAST($1 AS BIGINT) IS NULL OR source_id = $1)");
    format!("SELECT state, CAST(SUM(n) AS BIGINT) FROM ({open}) AS o GROUP BY state")
}

/// Conditions that each named column has a value, which is bound: numbers as they are, so that their index is used, and the rest
/// as text, whatever it holds.
pub(crate) fn holding(pool: &Pool, matching: &[(&str, &str)]) -> Vec<String> {
    let condition = |(index, (column, value)): (usize, &(&str, &str))| match value.parse::<i64>() {
        Ok(number) if *column == "run_id" => {
            format!("{column} = {number} AND CAST(${} AS TEXT) IS NOT NULL", index + 1)
        }
        _ => format!("{} = ${}", pool.as_text(column), index + 1),
    };
    matching.iter().enumerate().map(condition).collect()
}

impl Ledger {
    /// Current runs by state, of a source or of all; in one statement, so that it is one state of the ledger.
    pub async fn counts(&self, source: Option<SourceId>) -> Result<Counts, LedgerError> {
        let sql = format!(
            "SELECT state, COUNT(*) FROM photo_run
              WHERE is_current = 1 AND (CAST($1 AS BIGINT) IS NULL OR source_id = $1)
                AND state IN ('measured', 'not_measurable', 'quarantined', 'failed', 'cancelled', 'superseded')
              GROUP BY state
             UNION ALL
             {}",
            open_by_state()
        );
        counted(query_as(sql).bind(source.map(|source| source.0)).fetch_all(&self.pool).await?)
    }

    /// A source's counts without those that somebody has taken off the lists: what is still to be dealt with.
    pub async fn on_lists(&self, source: SourceId, mut counts: Counts) -> Result<Counts, LedgerError> {
        let off: Vec<(String, i64)> = query_as(
            "SELECT state, COUNT(*) FROM photo_run
              WHERE dismissed_at IS NOT NULL AND is_current = 1 AND source_id = $1
                AND state IN ('not_measurable', 'quarantined', 'failed', 'cancelled')
              GROUP BY state",
        )
        .bind(source.0)
        .fetch_all(&self.pool)
        .await?;
        for (state, n) in off {
            counts.take(read(&state, "state of a run")?, u64::try_from(n).unwrap_or(0));
        }
        Ok(counts)
    }

    /// Of these the open ones, which have an index of their own: it costs the same however much has ended.
    pub async fn open_counts(&self, source: Option<SourceId>) -> Result<Counts, LedgerError> {
        counted(query_as(open_by_state()).bind(source.map(|source| source.0)).fetch_all(&self.pool).await?)
    }

    /// Regions on the retake list whose photos are measured otherwise.
    pub async fn refused_regions(&self, source: SourceId) -> Result<u64, LedgerError> {
        let count: i64 = query_scalar(
            "SELECT COUNT(*)
               FROM v_retakes t
               JOIN photo_run r ON r.run_id = t.run_id
              WHERE t.region IS NOT NULL AND r.source_id = $1",
        )
        .bind(source.0)
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Hands over all rows of a table; returns how many.
    pub async fn export(
        &self,
        table: Table,
        each: &mut (dyn FnMut(Line<'_>) -> io::Result<()> + Send),
    ) -> Result<u64, LedgerError> {
        self.export_where(table, &[], each).await
    }

    /// Hands over the rows in which each named column has the given value.
    pub async fn export_where(
        &self,
        table: Table,
        matching: &[(&str, &str)],
        each: &mut (dyn FnMut(Line<'_>) -> io::Result<()> + Send),
    ) -> Result<u64, LedgerError> {
        let columns = self.has_columns(table, matching).await?;
        // Column names are the view's own, checked above; values are bound.
        let sql = select(table, &holding(&self.pool, matching).join(" AND "), table.order());
        let statement = matching.iter().fold(query(sql), |query, (_, value)| query.bind(*value));
        self.hand_over(&columns, statement, each).await
    }

    /// The columns of a table; an error when one of those that are asked for is not among them.
    pub async fn has_columns(&self, table: Table, asked: &[(&str, &str)]) -> Result<Vec<String>, LedgerError> {
        let columns = columns(&self.pool, &table.view()).await?;
        match asked.iter().find(|(column, _)| !columns.iter().any(|known| known == column)) {
            Some((column, _)) => {
                Err(LedgerError::Unsupported(format!("the table {} has no column '{column}'", table.name())))
            }
            None => Ok(columns),
        }
    }

    /// Hands over the rows for which a condition of our own holds.
    pub(crate) async fn export_rows(
        &self,
        table: Table,
        condition: &str,
        order: &str,
        each: &mut (dyn FnMut(Line<'_>) -> io::Result<()> + Send),
    ) -> Result<u64, LedgerError> {
        let columns = columns(&self.pool, &table.view()).await?;
        self.hand_over(&columns, query(select(table, condition, order)), each).await
    }

    pub(crate) async fn hand_over(
        &self,
        columns: &[String],
        statement: Query<Row>,
        each: &mut (dyn FnMut(Line<'_>) -> io::Result<()> + Send),
    ) -> Result<u64, LedgerError> {
        each(Line::Header(columns)).map_err(LedgerError::Output)?;
        let mut rows = statement.fetch(&self.pool);
        let mut handed_over = 0;
        while let Some(row) = rows.try_next().await? {
            each(Line::Row(row.cells())).map_err(LedgerError::Output)?;
            handed_over += 1;
        }
        Ok(handed_over)
    }

    /// Notes the start of a sweep; runs that it plans carry its id. Where the last one over the same was cut within a day, and
    /// this one shall go on, also gives the key behind which it may.
    pub async fn night_begin(
        &self,
        source: &str,
        scope: &str,
        go_on: bool,
    ) -> Result<(i64, Option<String>), LedgerError> {
        let mut tx = self.begin().await?;
        let cut: Option<(i64, String)> = query_as(
            "SELECT night_id, cursor FROM night
              WHERE night_id = (SELECT MAX(night_id) FROM night WHERE source = $1)
                AND scope = $2 AND cursor IS NOT NULL AND started_at >= $3 AND $4 = 1",
        )
        .bind(source)
        .bind(scope)
        .bind(written(jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24)))
        .bind(go_on)
        .fetch_optional(&mut tx)
        .await?;
        let cursor = cut.as_ref().map(|(_, cursor)| cursor.clone());
        let night_id: i64 = query_scalar(
            "INSERT INTO night (source, started_at, scope, cursor) VALUES ($1, $2, $3, $4) RETURNING night_id",
        )
        .bind(source)
        .bind(now())
        .bind(scope)
        .bind(&cursor)
        .fetch_one(&mut tx)
        .await?;
        if let Some((cut, _)) = cut {
            // What it set aside is still there.
            query("UPDATE stray SET night_id = $2 WHERE night_id = $1")
                .bind(cut)
                .bind(night_id)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok((night_id, cursor))
    }

    /// Notes how far a sweep is: all before this key is recorded.
    pub async fn night_mark(&self, night_id: i64, after: &str) -> Result<(), LedgerError> {
        let mut tx = self.begin().await?;
        query("UPDATE night SET cursor = $2 WHERE night_id = $1").bind(night_id).bind(after).execute(&mut tx).await?;
        tx.commit().await
    }

    /// Notes an object that is no photo of any session; the list of the last sweep stands in the quarantine.
    pub async fn record_stray(
        &self,
        night_id: i64,
        key: &str,
        reason: Reason,
        detail: &str,
    ) -> Result<(), LedgerError> {
        let mut tx = self.begin().await?;
        query(
            "INSERT INTO stray (night_id, object_key, reason, detail) VALUES ($1, $2, $3, $4)
             ON CONFLICT (night_id, object_key) DO UPDATE SET reason = excluded.reason, detail = excluded.detail",
        )
        .bind(night_id)
        .bind(key)
        .bind(reason.code())
        .bind(detail)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes the end of a sweep, and what became of the runs that it planned. One that saw the end of the listing has nothing to
    /// go on with; `saw_all` says that nothing of what it was to see was left out.
    pub async fn night_end(&self, night_id: i64, is_whole: bool, saw_all: bool) -> Result<Counts, LedgerError> {
        let mut tx = self.begin().await?;
        let rows: Vec<(String, i64)> =
            query_as("SELECT state, COUNT(*) FROM photo_run WHERE night_id = $1 GROUP BY state")
                .bind(night_id)
                .fetch_all(&mut tx)
                .await?;
        let counts = counted(rows)?;
        query(
            "UPDATE night SET finished_at = $2, counts = $3, cursor = CASE WHEN $4 = 1 THEN NULL ELSE cursor END, saw_all = $5
              WHERE night_id = $1",
        )
        .bind(night_id)
        .bind(now())
        .bind(to_json(&counts, "counts")?)
        .bind(is_whole)
        .bind(saw_all)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(counts)
    }
}

fn counted(rows: Vec<(String, i64)>) -> Result<Counts, LedgerError> {
    let mut counts = Counts::default();
    for (state, n) in rows {
        counts.add(read(&state, "state of a run")?, u64::try_from(n).unwrap_or(0));
    }
    Ok(counts)
}

fn select(table: Table, condition: &str, order: &str) -> String {
    let condition = if condition.is_empty() { String::new() } else { format!(" WHERE {condition}") };
    format!("SELECT * FROM {}{condition} ORDER BY {order}", table.view())
}
