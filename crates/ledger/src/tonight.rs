//! Where the work stands, for people and for meters: what is open, what has ended lately, how fast it goes. Every question is
//! answered by an index whose size is that of the answer's subject, not of the archive. A column that is written as `+x` or
//! `x || ''` is kept from choosing one.

use std::collections::BTreeMap;
use std::time::Duration;

use cicatrix_model::Measure;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::operator::Pause;
use crate::pages::listed;
use crate::queries::{held, open_runs, open_states};
use crate::sql::{Row, query, query_as, query_scalar};
use crate::{Colleague, Counts, Filter, Ledger, LedgerError, Line, SourceId, Table, read, written};

/// Over which the pace is taken.
const PACE: SignedDuration = SignedDuration::from_mins(10);

/// Where the work stands.
#[derive(Debug, Clone)]
pub struct Tonight {
    /// All current runs by state.
    pub counts: Counts,
    /// Clinics with something open, or something that ended since.
    pub clinics: BTreeMap<String, ClinicTonight>,
    /// Runs that gave no number and that nobody has taken off the lists: state, reason, how many; the most first.
    pub reasons: Vec<(String, Option<String>, i64)>,
    pub pauses: Vec<Pause>,
    pub workers: Vec<Colleague>,
    pub pace: Pace,
    /// How many sessions have which verdict, of the primary measure.
    pub verdicts: Vec<(String, i64)>,
}

impl Tonight {
    /// Whether anything is in work or may be begun: what is paused or waits for its window does not move.
    pub fn moves(&self) -> bool {
        self.counts.running + self.counts.ready > 0
    }

    /// Whether photos that no pause holds are open and nobody works. A window that is closed is told by workers alone, so
    /// without one it may be open again.
    pub fn lacks_workers(&self) -> bool {
        let waits = |own: &ClinicTonight| own.counts.unfinished() > 0 && own.held.as_deref() != Some("paused");
        let works = |worker: &Colleague| worker.silent_for(self.pace.at).is_none();
        self.clinics.values().any(waits) && !self.workers.iter().any(works)
    }

    /// When all that moves has ended at this pace; none while nothing does, or nobody works.
    pub fn eta(&self) -> Option<Timestamp> {
        self.pace.eta().filter(|_| self.counts.unfinished() == 0 || self.moves() && !self.lacks_workers())
    }

    /// Open runs of clinics that are held, but for those that are begun all the same, with those that wait for them.
    pub fn held(&self) -> u64 {
        self.counts.unfinished().saturating_sub(self.pace.open)
    }

    /// Whether what moves will not be done by then. What is held does not move, and is not late for that; where nothing has ended
    /// lately there is no pace to tell it by.
    pub fn is_late_for(&self, deadline: Timestamp) -> bool {
        self.moves() && self.eta().unwrap_or(self.pace.at) > deadline
    }

    /// As machines read it: `status --json` and the API.
    pub fn json(&self, deadline: Option<Timestamp>) -> Value {
        let reasons = self.reasons.iter().map(|(s, r, n)| json!({ "state": s, "reason": r, "n": n }));
        let clinics = self
            .clinics
            .iter()
            .map(|(clinic, own)| (clinic.clone(), json!({ "counts": own.counts, "held": own.held })));
        let pauses = self.pauses.iter().map(|pause| {
            json!({
                "clinic": pause.clinic, "paused_at": pause.paused_at, "who": pause.by.who, "why": pause.by.why,
            })
        });
        json!({
            "counts": self.counts,
            "clinics": clinics.collect::<serde_json::Map<_, _>>(),
            "reasons": reasons.collect::<Value>(),
            "verdicts": self.verdicts.iter().cloned().collect::<BTreeMap<_, _>>(),
            "pauses": pauses.collect::<Value>(),
            "workers": self.workers.iter().map(Colleague::json).collect::<Value>(),
            "per_minute": self.pace.per_minute,
            "eta": self.eta(),
            "deadline": deadline,
        })
    }
}

/// What of a clinic is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    pub clinic: String,
    /// Open runs by state.
    pub counts: Counts,
    /// Why its photos are not begun.
    pub held: Option<String>,
    /// When the first of them was planned.
    pub oldest: Option<String>,
    /// Runs that somebody worked on and that ended in the last ten minutes.
    pub ended: i64,
}

impl Queue {
    /// As machines read it.
    pub fn json(&self) -> Value {
        json!({
            "clinic_id": self.clinic, "counts": self.counts, "held": self.held, "oldest": self.oldest,
            "ended_in_ten_minutes": self.ended,
        })
    }
}

/// A clinic's open runs, and those that ended since and that nobody has taken off the lists.
#[derive(Debug, Clone, Default)]
pub struct ClinicTonight {
    pub counts: Counts,
    /// Why its photos are not begun.
    pub held: Option<String>,
}

impl ClinicTonight {
    /// Open runs that are in work or may be begun, with those that wait for them. Of a clinic that is held these are the ones
    /// that lie with the workers already.
    fn moving(&self) -> u64 {
        if self.held.is_some() { self.counts.running + self.counts.ready } else { self.counts.unfinished() }
    }
}

/// How fast it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Runs that ended, by minute, over the last ten or since the first of them was begun.
    pub per_minute: f64,
    /// Open runs, but for those that are held and those that wait for them.
    pub open: u64,
    pub at: Timestamp,
}

impl Pace {
    /// When none of them is left; none while nothing moves.
    pub fn eta(&self) -> Option<Timestamp> {
        if self.open == 0 {
            return Some(self.at);
        }
        let seconds = 60.0 * self.open as f64 / self.per_minute;
        (seconds < 1e8).then(|| self.at + Duration::from_secs_f64(seconds))
    }
}

impl Ledger {
    /// Where the work stands, with what ended `since`.
    pub async fn tonight(&self, since: Timestamp) -> Result<Tonight, LedgerError> {
        let counts = self.counts(None).await?;
        let reasons = query_as(
            "SELECT state, reason, COUNT(*) FROM photo_run
              WHERE is_current = 1 AND state IN ('not_measurable', 'quarantined', 'failed') AND dismissed_at IS NULL
              GROUP BY state, reason ORDER BY 3 DESC, 1, 2",
        )
        .fetch_all(&self.pool)
        .await?;
        let clinics = self.clinics_tonight(since).await?;
        Ok(Tonight {
            pauses: self.pauses().await?,
            pace: self.pace(None, clinics.values().map(ClinicTonight::moving).sum()).await?,
            clinics,
            counts,
            reasons,
            workers: self.colleagues().await?,
            verdicts: self.verdicts().await?,
        })
    }

    async fn clinics_tonight(&self, since: Timestamp) -> Result<BTreeMap<String, ClinicTonight>, LedgerError> {
        let open = self.open_by_clinic().await?.into_iter();
        let mut clinics: BTreeMap<String, ClinicTonight> =
            open.map(|(clinic, queue)| (clinic, ClinicTonight { counts: queue.counts, held: queue.held })).collect();
        let ended: Vec<(Option<String>, String, i64)> = query_as(concat!(
            "SELECT clinic_id || '', state, COUNT(*) FROM photo_run
              WHERE +is_current = 1 AND finished_at >= $1 AND state || '' NOT IN (",
            open_states!(),
            ") GROUP BY clinic_id || '', state"
        ))
        .bind(written(since))
        .fetch_all(&self.pool)
        .await?;
        for (clinic, state, n) in ended {
            let clinic = clinics.entry(clinic.unwrap_or_default()).or_default();
            clinic.counts.add(read(&state, "state of a run")?, u64::try_from(n).unwrap_or(0));
        }
        // What somebody took off the lists has not to be looked at; these are few, and have an index of their own.
        let off: Vec<(Option<String>, String, i64)> = query_as(
            "SELECT clinic_id, state, COUNT(*) FROM photo_run
              WHERE dismissed_at IS NOT NULL AND is_current = 1 AND finished_at >= $1
                AND state IN ('not_measurable', 'quarantined', 'failed', 'cancelled')
              GROUP BY clinic_id, state",
        )
        .bind(written(since))
        .fetch_all(&self.pool)
        .await?;
        for (clinic, state, n) in off {
            if let Some(clinic) = clinics.get_mut(&clinic.unwrap_or_default()) {
                clinic.counts.take(read(&state, "state of a run")?, u64::try_from(n).unwrap_or(0));
            }
        }
        Ok(clinics)
    }

    /// What is open by clinic, the one with most of it first.
    pub async fn queues(&self) -> Result<Vec<Queue>, LedgerError> {
        let mut queues = self.open_by_clinic().await?;
        let ended: Vec<(Option<String>, i64)> = query_as(
            "SELECT clinic_id || '' AS clinic, COUNT(*) FROM photo_run
              WHERE +is_current = 1 AND finished_at >= $1 AND started_at IS NOT NULL AND state || '' <> 'cancelled'
              GROUP BY clinic",
        )
        .bind(written(Timestamp::now() - PACE))
        .fetch_all(&self.pool)
        .await?;
        for (clinic, n) in ended {
            if let Some(queue) = queues.get_mut(&clinic.unwrap_or_default()) {
                queue.ended = n;
            }
        }
        let mut queues: Vec<Queue> = queues.into_values().collect();
        queues.sort_by_key(|queue| std::cmp::Reverse(queue.counts.unfinished()));
        Ok(queues)
    }

    async fn open_by_clinic(&self) -> Result<BTreeMap<String, Queue>, LedgerError> {
        let open: Vec<Row> =
            query(format!("SELECT clinic_id, state, held, n, oldest FROM ({}) AS o", open_runs("1 = 1")))
                .fetch_all(&self.pool)
                .await?;
        let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
        for row in &open {
            let clinic = row.get::<Option<String>>("clinic_id")?.unwrap_or_default();
            let queue = queues.entry(clinic.clone()).or_insert_with(|| Queue { clinic, ..Queue::default() });
            let state = read(&row.get::<String>("state")?, "state of a run")?;
            queue.counts.add(state, u64::try_from(row.get::<i64>("n")?).unwrap_or(0));
            queue.held = queue.held.take().or(row.get("held")?);
            let oldest: Option<String> = row.get("oldest")?;
            queue.oldest = queue.oldest.take().into_iter().chain(oldest).min();
        }
        Ok(queues)
    }

    async fn verdicts(&self) -> Result<Vec<(String, i64)>, LedgerError> {
        query_as("SELECT verdict, COUNT(*) FROM session_change WHERE measure = $1 GROUP BY verdict ORDER BY verdict")
            .bind(Measure::Psi.name())
            .fetch_all(&self.pool)
            .await
    }

    /// How fast the runs of a source end, and how many there are that move.
    pub async fn pace_of(&self, source: SourceId) -> Result<Pace, LedgerError> {
        let moving: Option<i64> = query_scalar(format!(
            "SELECT CAST(SUM(n) AS BIGINT) FROM ({}) AS o WHERE held IS NULL OR state IN ('running', 'ready')",
            open_runs("source_id = $1")
        ))
        .bind(source.0)
        .fetch_one(&self.pool)
        .await?;
        self.pace(Some(source), moving.map_or(0, |n| u64::try_from(n).unwrap_or(0))).await
    }

    /// Of runs that somebody worked on: what a plan concludes, or a person cancels, is no work.
    async fn pace(&self, source: Option<SourceId>, open: u64) -> Result<Pace, LedgerError> {
        let at = Timestamp::now();
        let (ended, first): (i64, Option<String>) = query_as(
            "SELECT COUNT(*), MIN(started_at) FROM photo_run
              WHERE +is_current = 1 AND finished_at >= $1 AND (CAST($2 AS BIGINT) IS NULL OR source_id = $2)
                AND started_at IS NOT NULL AND state || '' <> 'cancelled'",
        )
        .bind(written(at - PACE))
        .bind(source.map(|source| source.0))
        .fetch_one(&self.pool)
        .await?;
        let begun =
            first.and_then(|first| first.parse::<Timestamp>().ok()).map_or(PACE, |first| at.duration_since(first));
        let minutes = begun.as_secs_f64().clamp(1.0, PACE.as_secs_f64()) / 60.0;
        Ok(Pace { per_minute: ended as f64 / minutes, open, at })
    }

    /// Since when the longest waiting run could have been begun and was not, of a source.
    pub async fn oldest_ready(&self, source: SourceId) -> Result<Option<Timestamp>, LedgerError> {
        let oldest: Option<String> = query_scalar(concat!(
            "SELECT r.created_at FROM photo_run r
               LEFT JOIN turn t ON t.source_id = r.source_id AND t.clinic_id = r.clinic_id
              WHERE r.source_id = $1 AND r.is_current = 1 AND r.state = 'ready'
                AND r.state IN (",
            open_states!(),
            ") AND ",
            held!(),
            " IS NULL ORDER BY r.created_at LIMIT 1"
        ))
        .bind(source.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(oldest.and_then(|oldest| oldest.parse().ok()))
    }

    /// When the last sweep over a source ended that saw all that it was to see.
    pub async fn last_sweep(&self, source: SourceId) -> Result<Option<Timestamp>, LedgerError> {
        let last: Option<String> = query_scalar(
            "SELECT MAX(n.finished_at) FROM night n JOIN source s ON s.location = n.source
              WHERE s.source_id = $1 AND n.saw_all = 1",
        )
        .bind(source.0)
        .fetch_one(&self.pool)
        .await?;
        Ok(last.and_then(|last| last.parse().ok()))
    }

    /// When a photo of each clinic was last measured, of a source.
    pub async fn last_successes(&self, source: SourceId) -> Result<Vec<(String, Timestamp)>, LedgerError> {
        let rows: Vec<(Option<String>, Option<String>)> = query_as(
            "SELECT clinic_id || '' AS clinic, MAX(finished_at) FROM photo_run
              WHERE +source_id = $1 AND +is_current = 1 AND state || '' = 'measured' AND finished_at >= $2
              GROUP BY clinic",
        )
        .bind(source.0)
        .bind(written(Timestamp::now() - SignedDuration::from_hours(24 * 14)))
        .fetch_all(&self.pool)
        .await?;
        let known = rows.into_iter().filter_map(|(clinic, at)| Some((clinic?, at?.parse().ok()?)));
        Ok(known.collect())
    }

    /// Hands over the current runs that match, as [`Table::Photos`] shows them, the first planned first: at most `most`, those
    /// behind run `after`. Returns how many.
    pub async fn list(
        &self,
        filter: &Filter,
        after: i64,
        most: u32,
        each: &mut (dyn FnMut(Line<'_>) -> std::io::Result<()> + Send),
    ) -> Result<u64, LedgerError> {
        let runs: Vec<i64> = self.matching_runs(filter, after, most).await?;
        if runs.is_empty() {
            return Ok(0);
        }
        self.export_rows(Table::Photos, &format!("run_id IN ({})", listed(&runs)), "run_id", each).await
    }
}
