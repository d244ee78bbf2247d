//! Whose turn it is. Runs that are ready wait in the ledger, without a job; they get one when they are next, a few for each
//! worker at a time. So windows, pauses and shares hold at once for whatever is planned, and the engine's tables stay small.
//!
//! Clinics take turns by start-time fair queueing: each has a clock that runs the faster the less it has waiting and the larger
//! its share is, and the one whose clock is behind goes next. A clinic that had nothing to do, or was held, starts at the
//! common clock: nobody saves up turns. What a turn costs grows with the root of what waits, so that a clinic with a hundred
//! times the photos does not double another one's wait, and is not kept waiting for ever either.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::courier::KIND;
use crate::sql::{Tx, query, query_as, query_scalar};
use crate::{Handler, Ledger, LedgerError, Schedule, SourceId, WorkSettings};

/// Jobs that lie ready for each photo in work: so many that no worker waits, so few that a pause is felt at once.
const READY_PER_WORKER: usize = 2;
/// How often it is looked at whether clinics are held, when there is no room anyway.
const LOOK: Duration = Duration::from_secs(1);
const WARN: Duration = Duration::from_secs(600);
/// How often it is said again which clinics are held: a worker with other windows may have begun their photos meanwhile.
const TELL: Duration = Duration::from_secs(60);
/// How long a count of what waits is good for.
const COUNTED: Duration = Duration::from_secs(30);

/// Why the photos of a clinic are not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Paused,
    /// Its window is closed.
    Window,
}

/// Hands out runs of a source to whoever works on it.
pub(crate) struct Dispatcher {
    ledger: Ledger,
    source: SourceId,
    stamp: Stamp,
    schedule: Schedule,
    /// Jobs that shall lie ready.
    enough: usize,
    /// What waits by clinic, and when it was counted.
    waiting: Option<(Instant, HashMap<String, i64>)>,
    /// What was last written of clinics that are held, and when.
    told: Option<(Instant, BTreeMap<String, Option<Held>>)>,
    looked: Option<Instant>,
    /// When it was last said that what waits is not for this worker.
    warned: Option<Instant>,
}

/// Protocol and program: only what was planned for this one can be read by it.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) protocol_digest: String,
    pub(crate) program_version: String,
}

impl Stamp {
    pub(crate) fn of(how: &WorkSettings) -> Self {
        Self { protocol_digest: how.protocol_digest.clone(), program_version: how.program_version.clone() }
    }
}

impl Dispatcher {
    pub(crate) fn new(ledger: Ledger, how: &WorkSettings) -> Self {
        Self {
            ledger,
            source: how.source,
            stamp: Stamp::of(how),
            schedule: how.schedule.clone(),
            enough: how.workers.max(1) * READY_PER_WORKER,
            waiting: None,
            told: None,
            looked: None,
            warned: None,
        }
    }

    /// Hands out what there is room for.
    pub(crate) async fn round(&mut self, handler: &dyn Handler) -> Result<(), LedgerError> {
        if handler.is_out() {
            return Ok(());
        }
        let ready = self.ledger.courier.available(&self.ledger.pool, self.source, &self.stamp).await?;
        let has_room = ready < self.enough;
        if !has_room && self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let clinics = self.clinics().await?;
        let held = self.held(&clinics).await?;
        let is_news = self.is_news(&held);
        let can_go = clinics.iter().any(|(clinic, _)| held.get(clinic).is_some_and(Option::is_none));
        let is_for_work = has_room && can_go;
        if !is_news && !is_for_work {
            return Ok(());
        }
        let mut tx = self.ledger.begin().await?;
        // Another worker is at it.
        if !tx.try_turn(&format!("hand out {}", self.source.0)).await? {
            return Ok(());
        }
        if is_news {
            tell_held(&mut tx, self.source, &held).await?;
        }
        let mut handed_out = 0;
        if is_for_work {
            let free = clinics.into_iter().filter(|(clinic, _)| held.get(clinic).is_some_and(Option::is_none));
            handed_out = self.hand_out(&mut tx, free.collect(), 2 * self.enough - ready).await?;
        }
        tx.commit().await?;
        if is_news {
            self.told = Some((Instant::now(), held));
        }
        if is_for_work && handed_out == 0 && ready == 0 {
            self.warn_of_others();
        }
        tracing::trace!(handed_out, "runs were handed out");
        Ok(())
    }

    fn is_news(&self, held: &BTreeMap<String, Option<Held>>) -> bool {
        let Some((at, told)) = &self.told else { return true };
        told != held || at.elapsed() > TELL && held.values().any(Option::is_some)
    }

    /// What waits and is not for this worker was planned for another program or protocol, or its clinic has all that it may.
    fn warn_of_others(&mut self) {
        if self.warned.is_none_or(|at| at.elapsed() > WARN) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                program_version = self.stamp.program_version,
                "photos wait and none is for this worker: they were planned for another version or protocol (a scan plans them for \
                 this one), or their clinics have as many in work as they may"
            );
        }
    }

    /// Clinics that have something waiting, with the most urgent of it. One step on the index for each of them.
    async fn clinics(&self) -> Result<Vec<(String, i64)>, LedgerError> {
        query_as(
            "WITH RECURSIVE c (clinic_id) AS (
                 SELECT MIN(clinic_id) FROM photo_run
                  WHERE source_id = $1 AND is_current = 1 AND state = 'ready' AND job_id IS NULL
                 UNION ALL
                 SELECT (SELECT MIN(r.clinic_id) FROM photo_run r
                          WHERE r.source_id = $1 AND r.is_current = 1 AND r.state = 'ready' AND r.job_id IS NULL
                            AND r.clinic_id > c.clinic_id)
                   FROM c WHERE c.clinic_id IS NOT NULL
             )
             SELECT c.clinic_id,
                    (SELECT MIN(r.urgency) FROM photo_run r
                      WHERE r.source_id = $1 AND r.is_current = 1 AND r.state = 'ready' AND r.job_id IS NULL
                        AND r.clinic_id = c.clinic_id)
               FROM c WHERE c.clinic_id IS NOT NULL",
        )
        .bind(self.source.0)
        .fetch_all(&self.ledger.pool)
        .await
    }

    /// Which of them are held, and why.
    async fn held(&self, clinics: &[(String, i64)]) -> Result<BTreeMap<String, Option<Held>>, LedgerError> {
        let paused: Vec<String> = query_scalar("SELECT clinic_id FROM pause").fetch_all(&self.ledger.pool).await?;
        let all = paused.iter().any(String::is_empty);
        let now = Timestamp::now();
        let held = clinics.iter().map(|(clinic, _)| {
            let why = if all || paused.contains(clinic) {
                Some(Held::Paused)
            } else {
                self.schedule.closed(clinic, now).map(|_| Held::Window)
            };
            (clinic.clone(), why)
        });
        Ok(held.collect())
    }

    async fn hand_out(&mut self, tx: &mut Tx, clinics: Vec<(String, i64)>, room: usize) -> Result<u64, LedgerError> {
        let waiting = self.waiting(tx).await?;
        let served: Vec<(String, f64)> = query_as("SELECT clinic_id, served FROM turn WHERE source_id = $1")
            .bind(self.source.0)
            .fetch_all(&mut *tx)
            .await?;
        let served: HashMap<String, f64> = served.into_iter().collect();
        let mut clock: f64 = query_scalar("SELECT turn_clock FROM source WHERE source_id = $1")
            .bind(self.source.0)
            .fetch_one(&mut *tx)
            .await?;
        let at_work = self.at_work(tx).await?;
        let mut claims: Vec<Claim> = clinics
            .into_iter()
            .map(|(clinic, urgency)| {
                let rule = self.schedule.rule(&clinic);
                let at_work = at_work.get(&clinic).copied().unwrap_or(0);
                let many = waiting.get(&clinic).copied().unwrap_or(1).max(1);
                Claim {
                    urgency,
                    served: served.get(&clinic).copied().unwrap_or(0.0),
                    cost: (many as f64).sqrt() / rule.share,
                    left: rule.most_at_once.map_or(i64::MAX, |most| i64::from(most) - at_work),
                    runs: None,
                    clinic,
                }
            })
            .collect();
        let mut handed_out = 0;
        while handed_out < room as u64 {
            let Some(next) = whose_turn(&claims, clock) else { break };
            let claim = &mut claims[next];
            if claim.runs.is_none() {
                claim.runs = Some(self.next_runs(tx, &claim.clinic, room).await?);
            }
            let runs = claim.runs.get_or_insert_default();
            let Some((run_id, urgency)) = runs.pop_front() else {
                claim.left = 0;
                continue;
            };
            claim.urgency = runs.front().map_or(urgency, |(_, urgency)| *urgency);
            self.give_job(tx, run_id, urgency).await?;
            handed_out += 1;
            clock = claim.take_turn(clock);
        }
        if handed_out > 0 {
            self.remember(tx, &claims, clock).await?;
        }
        Ok(handed_out)
    }

    /// What waits, by clinic; counted now and then, for it only says which clinics are large.
    async fn waiting(&mut self, tx: &mut Tx) -> Result<HashMap<String, i64>, LedgerError> {
        if let Some((at, waiting)) = &self.waiting
            && at.elapsed() < COUNTED
        {
            return Ok(waiting.clone());
        }
        let counted: Vec<(String, i64)> = query_as(
            "SELECT clinic_id, COUNT(*) FROM photo_run
              WHERE source_id = $1 AND is_current = 1 AND state = 'ready' AND job_id IS NULL
              GROUP BY clinic_id",
        )
        .bind(self.source.0)
        .fetch_all(&mut *tx)
        .await?;
        let waiting: HashMap<String, i64> = counted.into_iter().collect();
        self.waiting = Some((Instant::now(), waiting.clone()));
        Ok(waiting)
    }

    /// Runs that have a job, by clinic; asked only where it matters.
    async fn at_work(&self, tx: &mut Tx) -> Result<HashMap<String, i64>, LedgerError> {
        let rules = self.schedule.clinics.values().chain([&self.schedule.usual]);
        if rules.into_iter().all(|rule| rule.most_at_once.is_none()) {
            return Ok(HashMap::new());
        }
        let counted: Vec<(String, i64)> = query_as(
            "SELECT r.clinic_id, COUNT(*)
               FROM river_job j CROSS JOIN photo_run r
              WHERE j.state IN ('available', 'running', 'retryable', 'scheduled') AND j.kind = $2
                AND r.job_id = j.id AND r.source_id = $1
                AND r.is_current = 1 AND r.state IN ('ready', 'running') AND r.job_id IS NOT NULL
              GROUP BY r.clinic_id",
        )
        .bind(self.source.0)
        .bind(KIND)
        .fetch_all(&mut *tx)
        .await?;
        Ok(counted.into_iter().collect())
    }

    /// The next runs of a clinic, with their urgency. In the order in which they were planned, which keeps the photos of a
    /// patient together. One that somebody else is about to change is passed over.
    async fn next_runs(&self, tx: &mut Tx, clinic: &str, most: usize) -> Result<VecDeque<(i64, i64)>, LedgerError> {
        let runs: Vec<(i64, i64)> = query_as(format!(
            "SELECT run_id, urgency FROM photo_run
              WHERE source_id = $1 AND clinic_id = $2 AND is_current = 1 AND state = 'ready' AND job_id IS NULL
                AND protocol_digest = $3 AND program_version = $4
              ORDER BY urgency, run_id
              LIMIT $5 {}",
            tx.skipping_locked()
        ))
        .bind(self.source.0)
        .bind(clinic)
        .bind(&self.stamp.protocol_digest)
        .bind(&self.stamp.program_version)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
        Ok(runs.into())
    }

    async fn give_job(&self, tx: &mut Tx, run_id: i64, urgency: i64) -> Result<(), LedgerError> {
        let job_id = self.ledger.courier.insert(tx, run_id, self.source, &self.stamp, urgency).await?;
        query("UPDATE photo_run SET job_id = $2 WHERE run_id = $1").bind(run_id).bind(job_id).execute(&mut *tx).await?;
        Ok(())
    }

    async fn remember(&self, tx: &mut Tx, claims: &[Claim], clock: f64) -> Result<(), LedgerError> {
        for claim in claims.iter().filter(|claim| claim.runs.is_some()) {
            query(
                // Its photos are begun, whatever a worker with other windows has said.
                "INSERT INTO turn (source_id, clinic_id, served) VALUES ($1, $2, $3)
                 ON CONFLICT (source_id, clinic_id) DO UPDATE SET served = excluded.served, held = NULL",
            )
            .bind(self.source.0)
            .bind(&claim.clinic)
            .bind(claim.served)
            .execute(&mut *tx)
            .await?;
        }
        query("UPDATE source SET turn_clock = $2 WHERE source_id = $1")
            .bind(self.source.0)
            .bind(clock)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }
}

/// Writes which clinics wait for their window, for those who look. Pauses are known without a worker.
async fn tell_held(tx: &mut Tx, source: SourceId, held: &BTreeMap<String, Option<Held>>) -> Result<(), LedgerError> {
    for (clinic, why) in held {
        query(
            "INSERT INTO turn (source_id, clinic_id, held) VALUES ($1, $2, $3)
             ON CONFLICT (source_id, clinic_id) DO UPDATE SET held = excluded.held",
        )
        .bind(source.0)
        .bind(clinic)
        .bind((*why == Some(Held::Window)).then_some("window"))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// A clinic that has something waiting.
#[derive(Debug)]
struct Claim {
    clinic: String,
    /// Of its next run.
    urgency: i64,
    /// Its own clock.
    served: f64,
    /// What a turn moves it on.
    cost: f64,
    /// Runs that may still be handed out to it.
    left: i64,
    /// Its next runs, once they were asked for.
    runs: Option<VecDeque<(i64, i64)>>,
}

impl Claim {
    /// Returns the common clock.
    fn take_turn(&mut self, clock: f64) -> f64 {
        let start = self.served.max(clock);
        self.served = start + self.cost;
        self.left -= 1;
        start
    }
}

/// The most urgent claim; among those the one whose clock is behind, and among those the first by name.
fn whose_turn(claims: &[Claim], clock: f64) -> Option<usize> {
    let free = claims.iter().enumerate().filter(|(_, claim)| claim.left > 0);
    let first = free.min_by(|(_, a), (_, b)| {
        let key = |claim: &Claim| (claim.urgency, claim.served.max(clock));
        let ((urgency_a, start_a), (urgency_b, start_b)) = (key(a), key(b));
        urgency_a.cmp(&urgency_b).then(start_a.total_cmp(&start_b)).then_with(|| a.clinic.cmp(&b.clinic))
    });
    first.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one at a time until nothing is left; gives the clinic of each turn. What a turn costs is as at the beginning.
    fn turns(clinics: &[(&str, usize, f64)]) -> Vec<String> {
        let mut left: Vec<usize> = clinics.iter().map(|(_, many, _)| *many).collect();
        let mut claims: Vec<Claim> = clinics
            .iter()
            .map(|(clinic, many, share)| Claim {
                clinic: (*clinic).to_owned(),
                urgency: 2,
                served: 0.0,
                cost: (*many as f64).sqrt() / share,
                left: i64::MAX,
                runs: None,
            })
            .collect();
        let (mut clock, mut turns) = (0.0, Vec::new());
        while let Some(next) = whose_turn(&claims, clock) {
            clock = claims[next].take_turn(clock);
            turns.push(claims[next].clinic.clone());
            left[next] -= 1;
            if left[next] == 0 {
                claims[next].left = 0;
            }
        }
        turns
    }

    fn last_turn(turns: &[String], clinic: &str) -> usize {
        turns.iter().rposition(|turn| turn == clinic).unwrap() + 1
    }

    #[test]
    fn a_clinic_with_a_hundred_times_the_photos_does_not_double_anothers_wait() {
        let turns = turns(&[("big", 10_000, 1.0), ("small", 100, 1.0)]);
        assert_eq!(turns.len(), 10_100);
        let wait = last_turn(&turns, "small");
        assert!(wait < 120, "alone 100, now {wait}");
        assert!(turns[..20].contains(&"big".to_owned()), "the big one is not kept waiting");
    }

    #[test]
    fn clinics_of_one_size_take_turns_and_a_share_counts() {
        assert_eq!(turns(&[("a", 3, 1.0), ("b", 3, 1.0)]).join(" "), "a b a b a b");
        let turns = turns(&[("a", 100, 3.0), ("b", 100, 1.0)]);
        let of_a = turns[..40].iter().filter(|turn| *turn == "a").count();
        assert_eq!(of_a, 30);
    }

    #[test]
    fn who_was_away_has_not_saved_up_turns() {
        let claim = |clinic: &str, served| Claim {
            clinic: clinic.to_owned(),
            urgency: 2,
            served,
            cost: 1.0,
            left: i64::MAX,
            runs: None,
        };
        let mut claims = [claim("busy", 1000.0), claim("new", 0.0)];
        let mut clock = 999.0;
        let mut of_new = 0;
        for _ in 0..10 {
            let next = whose_turn(&claims, clock).unwrap();
            clock = claims[next].take_turn(clock);
            of_new += usize::from(next == 1);
        }
        assert!((5..=6).contains(&of_new), "{of_new} of 10");
    }

    #[test]
    fn what_is_urgent_goes_first_and_a_full_clinic_waits() {
        let claim = |clinic: &str, urgency, left| Claim {
            clinic: clinic.to_owned(),
            urgency,
            served: 0.0,
            cost: 1.0,
            left,
            runs: None,
        };
        let claims = [claim("a", 2, 5), claim("b", 1, 5), claim("c", 1, 0)];
        assert_eq!(whose_turn(&claims, 0.0), Some(1));
        assert_eq!(whose_turn(&claims[2..], 0.0), None);
    }
}
