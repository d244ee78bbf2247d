//! The changes of a series: loaded from its current runs, computed by the caller's statistics, replaced as a whole.
//!
//! A session takes part when all its photos of the view have a verdict, so each intermediate state is one that a
//! smaller upload could have had, and the last state does not depend on the order of finishing. While the baseline
//! session is open there are no changes at all. A run that ends without a worker at hand (a plan's verdict, a
//! cancellation) takes its session's rows away and marks the series stale; a worker computes it within a second. So it
//! does when a night begins with another error table than the one that a series was computed with.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;

use cicatrix_model::{
    Change, GateReading, Measure, QualityTier, Reason, Region, Series, SeriesSession, SessionKey, Shot, Trend,
};

use crate::queries::open_states;
use crate::sql::{Row, Tx, query, query_as, query_scalar};
use crate::{Handler, Ledger, LedgerError, State, outcomes, panic_text, read, read_json};

impl Ledger {
    /// Computes the changes of all series that were marked stale. A worker does so by itself.
    pub async fn refresh_changes(&self, handler: &dyn Handler) -> Result<u64, LedgerError> {
        let stale: Vec<(String, String, String)> =
            query_as("SELECT clinic_id, patient_id, view FROM stale_series ORDER BY clinic_id, patient_id, view")
                .fetch_all(&self.pool)
                .await?;
        let mut computed = 0;
        let mut first_error = None;
        for (clinic, patient, view) in stale {
            let mut tx = self.begin().await?;
            tx.take_turn_of(&clinic, &patient).await?;
            match recompute(&mut tx, handler, &clinic, &patient, &view).await {
                Ok(()) => {
                    tx.commit().await?;
                    computed += 1;
                }
                // One series that the statistics cannot digest does not hold up the others.
                Err(error @ LedgerError::Bug(_)) => {
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        first_error.map_or(Ok(computed), Err)
    }
}

impl Ledger {
    /// Marks the series whose changes come from another error table than this one, and returns how many. Their rows
    /// stay until [`Ledger::refresh_changes`] or a worker replaces them, series by series; no photo is read for it.
    pub async fn recalibrate(&self, calibration: &str) -> Result<u64, LedgerError> {
        // Looked for outside of a writing transaction: on most nights there is nothing to write.
        let other: i64 = query_scalar(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM session_change WHERE calibration < $1)
                           OR EXISTS (SELECT 1 FROM session_change WHERE calibration > $1) THEN 1 ELSE 0 END",
        )
        .bind(calibration)
        .fetch_one(&self.pool)
        .await?;
        if other == 0 {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        query(
            "INSERT INTO stale_series (clinic_id, patient_id, view)
             SELECT DISTINCT clinic_id, patient_id, view FROM session_change WHERE calibration <> $1
             ON CONFLICT (clinic_id, patient_id, view) DO NOTHING",
        )
        .bind(calibration)
        .execute(&mut tx)
        .await?;
        let marked: i64 = query_scalar(
            "SELECT COUNT(*) FROM (
                 SELECT DISTINCT clinic_id, patient_id, view FROM session_change WHERE calibration <> $1) AS other",
        )
        .bind(calibration)
        .fetch_one(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(u64::try_from(marked).unwrap_or(0))
    }
}

/// No current run of this session and view is open.
pub(crate) async fn is_finished(tx: &mut Tx, session_id: i64, view: &str) -> Result<bool, LedgerError> {
    let open: i64 = query_scalar(concat!(
        "SELECT COUNT(*)
           FROM photo p
           LEFT JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1
          WHERE p.session_id = $1 AND p.view = $2 AND p.is_current = 1
            AND ((r.state IS NULL AND p.gone_at IS NULL) OR r.state IN (",
        open_states!(),
        "))"
    ))
    .bind(session_id)
    .bind(view)
    .fetch_one(&mut *tx)
    .await?;
    Ok(open == 0)
}

/// Takes away the rows of one session, or of the whole view, and marks the series stale if that leaves something to compute:
/// what was never there and is open does not take part yet, and is computed when it ends.
pub(crate) async fn retract(
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    view: &str,
    session: Option<&str>,
) -> Result<(), LedgerError> {
    if delete_changes(tx, clinic, patient, view, session).await? > 0 {
        delete_trends(tx, clinic, patient, view).await?;
        outcomes::settle(tx, clinic, patient).await?;
    } else if !has_ended(tx, [clinic, patient, view], session).await? {
        return Ok(());
    }
    query(
        "INSERT INTO stale_series (clinic_id, patient_id, view) VALUES ($1, $2, $3)
         ON CONFLICT (clinic_id, patient_id, view) DO NOTHING",
    )
    .bind(clinic)
    .bind(patient)
    .bind(view)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Whether any current run of this session, or of the whole view, has a verdict.
async fn has_ended(
    tx: &mut Tx,
    [clinic, patient, view]: [&str; 3],
    session: Option<&str>,
) -> Result<bool, LedgerError> {
    let ended: i64 = query_scalar(concat!(
        "SELECT CASE WHEN EXISTS (
             SELECT 1
               FROM session s CROSS JOIN photo p CROSS JOIN photo_run r
              WHERE s.clinic_id = $1 AND s.patient_id = $2 AND (CAST($4 AS TEXT) IS NULL OR s.session = $4)
                AND p.session_id = s.session_id AND p.view = $3 AND p.is_current = 1
                AND r.photo_id = p.photo_id AND r.is_current = 1
                AND r.state NOT IN (",
        open_states!(),
        ")) THEN 1 ELSE 0 END"
    ))
    .bind(clinic)
    .bind(patient)
    .bind(view)
    .bind(session)
    .fetch_one(&mut *tx)
    .await?;
    Ok(ended == 1)
}

impl Ledger {
    /// Whether changes of a patient are to be computed anew, which the next worker does.
    pub async fn waits_for_changes(&self, clinic: &str, patient: &str) -> Result<bool, LedgerError> {
        let waiting: i64 = query_scalar("SELECT COUNT(*) FROM stale_series WHERE clinic_id = $1 AND patient_id = $2")
            .bind(clinic)
            .bind(patient)
            .fetch_one(&self.pool)
            .await?;
        Ok(waiting > 0)
    }

    /// Patients, of a clinic or of all, some of whose changes are to be computed anew.
    pub async fn patients_waiting(&self, clinic: Option<&str>) -> Result<i64, LedgerError> {
        query_scalar(
            "SELECT COUNT(*) FROM (SELECT DISTINCT clinic_id, patient_id FROM stale_series
              WHERE CAST($1 AS TEXT) IS NULL OR clinic_id = $1) AS waiting",
        )
        .bind(clinic)
        .fetch_one(&self.pool)
        .await
    }
}

/// Replaces the changes and trends of a patient and view by what the current runs give.
pub(crate) async fn recompute(
    tx: &mut Tx,
    handler: &dyn Handler,
    clinic: &str,
    patient: &str,
    view: &str,
) -> Result<(), LedgerError> {
    let (changes, trends) = match load(tx, clinic, patient, view).await? {
        Some(series) => compute(handler, &series)?,
        None => (Vec::new(), Vec::new()),
    };
    delete_changes(tx, clinic, patient, view, None).await?;
    for change in &changes {
        insert_change(tx, clinic, patient, view, change).await?;
    }
    adjust(tx, handler, clinic, patient).await?;
    outcomes::settle(tx, clinic, patient).await?;
    delete_trends(tx, clinic, patient, view).await?;
    for trend in &trends {
        insert_trend(tx, clinic, patient, view, trend).await?;
    }
    query("DELETE FROM stale_series WHERE clinic_id = $1 AND patient_id = $2 AND view = $3")
        .bind(clinic)
        .bind(patient)
        .bind(view)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Adjusts the p-values of the primary measure for all views and regions of each session of a patient: with many of them
/// a stable patient would else be called changed.
async fn adjust(tx: &mut Tx, handler: &dyn Handler, clinic: &str, patient: &str) -> Result<(), LedgerError> {
    let rows: Vec<(String, String, String, f64)> = query_as(
        "SELECT session, view, region, p_value FROM session_change
          WHERE clinic_id = $1 AND patient_id = $2 AND measure = $3 AND p_value IS NOT NULL
          ORDER BY session, view, region",
    )
    .bind(clinic)
    .bind(patient)
    .bind(Measure::Psi.name())
    .fetch_all(&mut *tx)
    .await?;
    for tests in rows.chunk_by(|a, b| a.0 == b.0) {
        let p_values: Vec<f64> = tests.iter().map(|test| test.3).collect();
        for ((session, view, region, _), adjusted) in tests.iter().zip(handler.adjusted(&p_values)) {
            query(
                "UPDATE session_change SET p_holm = $7
                  WHERE clinic_id = $1 AND patient_id = $2 AND session = $3 AND view = $4 AND region = $5 AND measure = $6",
            )
            .bind(clinic)
            .bind(patient)
            .bind(session)
            .bind(view)
            .bind(region)
            .bind(Measure::Psi.name())
            .bind(adjusted)
            .execute(&mut *tx)
            .await?;
        }
    }
    Ok(())
}

/// A panic in the statistics must roll back this transaction and not kill the worker's task.
fn compute(handler: &dyn Handler, series: &Series) -> Result<(Vec<Change>, Vec<Trend>), LedgerError> {
    let computed = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let changes = handler.changes(series);
        let trends = handler.trends(series, &changes);
        (changes, trends)
    }));
    computed.map_err(|panic| LedgerError::Bug(format!("the statistics panicked: {}", panic_text(&*panic))))
}

/// Deletes the rows of one session, or of the whole view. Returns how many.
async fn delete_changes(
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    view: &str,
    session: Option<&str>,
) -> Result<u64, LedgerError> {
    let deleted = query(
        "DELETE FROM session_change
          WHERE clinic_id = $1 AND patient_id = $2 AND view = $3 AND (CAST($4 AS TEXT) IS NULL OR session = $4)",
    )
    .bind(clinic)
    .bind(patient)
    .bind(view)
    .bind(session)
    .execute(&mut *tx)
    .await?;
    Ok(deleted)
}

async fn delete_trends(tx: &mut Tx, clinic: &str, patient: &str, view: &str) -> Result<(), LedgerError> {
    query("DELETE FROM trend WHERE clinic_id = $1 AND patient_id = $2 AND view = $3")
        .bind(clinic)
        .bind(patient)
        .bind(view)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

async fn insert_change(
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    view: &str,
    change: &Change,
) -> Result<(), LedgerError> {
    query(
        "INSERT INTO session_change (clinic_id, patient_id, session, view, region, measure, baseline_value, value,
                                     change_pct, ci95_lo, ci95_hi, mdc95_pct, verdict, reason, quality_tier,
                                     n_shots, endpoint_eligible, calibration, p_value)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(clinic)
    .bind(patient)
    .bind(change.session.to_string())
    .bind(view)
    .bind(change.region.as_str())
    .bind(change.measure.name())
    .bind(change.baseline_value)
    .bind(change.value)
    .bind(change.change_pct)
    .bind(change.ci95_lo)
    .bind(change.ci95_hi)
    .bind(change.mdc95_pct)
    .bind(change.verdict.name())
    .bind(change.reason.map(Reason::code))
    .bind(change.quality_tier.map(QualityTier::name))
    .bind(change.n_shots)
    .bind(change.endpoint_eligible)
    .bind(&change.calibration)
    .bind(change.p_value)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

async fn insert_trend(tx: &mut Tx, clinic: &str, patient: &str, view: &str, trend: &Trend) -> Result<(), LedgerError> {
    query(
        "INSERT INTO trend (clinic_id, patient_id, view, region, measure, n_sessions, first_date, last_date,
                            pct_per_session, ci95_lo, ci95_hi, next_lo_pct, next_hi_pct)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(clinic)
    .bind(patient)
    .bind(view)
    .bind(trend.region.as_str())
    .bind(trend.measure.name())
    .bind(trend.n_sessions)
    .bind(trend.first.to_string())
    .bind(trend.last.to_string())
    .bind(trend.pct_per_session)
    .bind(trend.ci95_lo)
    .bind(trend.ci95_hi)
    .bind(trend.next_lo_pct)
    .bind(trend.next_hi_pct)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// A session while its photos are gathered.
#[derive(Default)]
struct Draft {
    is_baseline: bool,
    is_open: bool,
    eligible: Vec<bool>,
    regions: BTreeMap<Region, Vec<Shot>>,
    reasons: Vec<Reason>,
    refused: Vec<(Region, Reason)>,
}

/// What is known of one region of a run.
struct RegionRow {
    region: Region,
    quality_tier: Option<QualityTier>,
    reason: Option<Reason>,
    values: Vec<(Measure, f64)>,
}

/// The series as the current runs give it; none while the baseline session is open.
async fn load(tx: &mut Tx, clinic: &str, patient: &str, view: &str) -> Result<Option<Series>, LedgerError> {
    let mut regions = load_regions(tx, clinic, patient, view).await?;
    let photos = query(
        "SELECT s.session, s.is_baseline, p.shot, r.run_id, r.state, r.reason, r.endpoint_eligible, r.gate, r.scale_relative_sd,
                (r.photo_id = r.baseline_photo_id) AS is_reference
           FROM session s
           JOIN photo p ON p.session_id = s.session_id AND p.is_current = 1
           LEFT JOIN photo_run r ON r.photo_id = p.photo_id AND r.is_current = 1
          WHERE s.clinic_id = $1 AND s.patient_id = $2 AND p.view = $3
            AND (p.gone_at IS NULL OR r.run_id IS NOT NULL)
          ORDER BY s.session, p.shot",
    )
    .bind(clinic)
    .bind(patient)
    .bind(view)
    .fetch_all(&mut *tx)
    .await?;

    let mut drafts: BTreeMap<SessionKey, Draft> = BTreeMap::new();
    for row in &photos {
        let session: SessionKey = read(&row.get::<String>("session")?, "session")?;
        let draft = drafts.entry(session).or_default();
        draft.is_baseline = row.get("is_baseline")?;
        add_photo(draft, row, &mut regions)?;
    }
    if drafts.values().any(|draft| draft.is_baseline && draft.is_open) {
        return Ok(None);
    }
    let finished = drafts.into_iter().filter(|(_, draft)| !draft.is_open);
    let mut sessions: Vec<SeriesSession> = finished.map(|(session, draft)| session_of(session, draft)).collect();
    let baseline_session = sessions.iter().find(|session| session.is_baseline).map(|session| session.session);
    // What was before a baseline that was chosen late is no outcome of what came after it.
    for session in sessions.iter_mut().filter(|session| baseline_session.is_some_and(|at| session.session < at)) {
        session.endpoint_eligible = false;
    }
    // All shots of the baseline session have the reference's scale, or one as good.
    let mut scale_relative_sd: f64 = 0.0;
    for row in photos.iter().filter(|row| row.get::<bool>("is_reference").unwrap_or(false)) {
        scale_relative_sd = scale_relative_sd.max(row.get::<Option<f64>>("scale_relative_sd")?.unwrap_or(0.0));
    }
    Ok(Some(Series { view: read(view, "view")?, baseline_session, scale_relative_sd, sessions }))
}

fn session_of(session: SessionKey, draft: Draft) -> SeriesSession {
    SeriesSession {
        session,
        is_baseline: draft.is_baseline,
        endpoint_eligible: !draft.eligible.is_empty() && draft.eligible.iter().all(|eligible| *eligible),
        regions: draft.regions.into_iter().collect(),
        reasons: draft.reasons,
        refused: draft.refused,
    }
}

fn add_photo(draft: &mut Draft, row: &Row, regions: &mut HashMap<i64, Vec<RegionRow>>) -> Result<(), LedgerError> {
    // A photo that is recorded but not planned yet has no run.
    let Some(state) = row.get::<Option<String>>("state")? else {
        draft.is_open = true;
        return Ok(());
    };
    let state: State = read(&state, "state of a run")?;
    if state.is_unfinished() {
        draft.is_open = true;
        return Ok(());
    }
    if state != State::Measured {
        let reason: Option<String> = row.get("reason")?;
        let own = reason.map(|reason| read(&reason, "reason of a run")).transpose()?;
        draft.reasons.extend(own.or(match state {
            State::Cancelled => Some(Reason::Cancelled),
            State::Failed => Some(Reason::Failed),
            _ => None,
        }));
        return Ok(());
    }
    draft.eligible.push(row.get::<Option<bool>>("endpoint_eligible")?.unwrap_or(false));
    let gate: Option<String> = row.get("gate")?;
    let readings: Vec<GateReading> = read_json(gate.as_deref().unwrap_or("[]"), "gate readings")?;
    let shot: u16 = row.get("shot")?;
    let is_reference: bool = row.get("is_reference")?;
    let run_id: i64 = row.get("run_id")?;
    for found in regions.remove(&run_id).unwrap_or_default() {
        if let Some(reason) = found.reason {
            draft.refused.push((found.region.clone(), reason));
        }
        let Some(quality_tier) = found.quality_tier.filter(|_| !found.values.is_empty()) else { continue };
        let readings = GateReading::of_region(&readings, &found.region);
        draft.regions.entry(found.region).or_default().push(Shot {
            shot,
            quality_tier,
            is_reference,
            values: found.values,
            readings,
        });
    }
    Ok(())
}

/// Run, region, tier, reason, and a measure with its value.
type RegionCells = (i64, String, Option<String>, Option<String>, Option<String>, Option<f64>);

async fn load_regions(
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    view: &str,
) -> Result<HashMap<i64, Vec<RegionRow>>, LedgerError> {
    let rows: Vec<RegionCells> = query_as(
        "SELECT g.run_id, g.region, g.tier, g.reason, o.measure, o.value
           FROM session s CROSS JOIN photo p CROSS JOIN photo_run r CROSS JOIN run_region g
           LEFT JOIN observation o ON o.run_id = g.run_id AND o.region = g.region
          WHERE s.clinic_id = $1 AND s.patient_id = $2 AND p.session_id = s.session_id AND p.view = $3
            AND p.is_current = 1 AND r.photo_id = p.photo_id AND r.is_current = 1 AND r.state = 'measured'
            AND g.run_id = r.run_id
          ORDER BY g.run_id, g.region",
    )
    .bind(clinic)
    .bind(patient)
    .bind(view)
    .fetch_all(&mut *tx)
    .await?;
    let mut found: HashMap<i64, Vec<RegionRow>> = HashMap::new();
    for of_region in rows.chunk_by(|a, b| (a.0, &a.1) == (b.0, &b.1)) {
        let (run_id, region, tier, reason, ..) = &of_region[0];
        let mut values = Vec::new();
        for (.., measure, value) in of_region {
            if let (Some(measure), Some(value)) = (measure, value) {
                values.push((read(measure, "measure")?, *value));
            }
        }
        values.sort_by_key(|(measure, _): &(Measure, f64)| *measure);
        found.entry(*run_id).or_default().push(RegionRow {
            region: Region::new(region.clone()).map_err(|error| LedgerError::Corrupt(format!("region: {error}")))?,
            quality_tier: tier.as_deref().map(tier_named).transpose()?,
            reason: reason.as_deref().map(|code| read(code, "reason of a region")).transpose()?,
            values,
        });
    }
    Ok(found)
}

fn tier_named(name: &str) -> Result<QualityTier, LedgerError> {
    [QualityTier::Locked, QualityTier::Clinic, QualityTier::Casual]
        .into_iter()
        .find(|tier| tier.name() == name)
        .ok_or_else(|| LedgerError::Corrupt(format!("'{name}' is no quality tier")))
}
