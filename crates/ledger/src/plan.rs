//! T0, the second half: which photo is the baseline of each view, and which runs there must be.
//!
//! A plan is the difference between what is and what should be. What should be is decided by a pure function of the
//! patient's sessions, photos and runs, so planning twice writes nothing the second time, and planning again after a
//! baseline failed, a photo was replaced or a protocol changed is the same act as planning first.
//!
//! The baseline session is the one that is flagged, else the earliest, unless that one says that treatments came
//! before it. The baseline photo of a view is its lowest shot that was not refused and did not end badly; only when
//! none is left do the other sessions get `baseline_not_measurable`. Where a shot of the baseline has regions drawn,
//! only a shot that has them may be the baseline photo, for another one would measure the whole frame in their place.
//! A cancelled baseline stays the baseline: cancelling is about our work, not about the photo.
//!
//! A photo that is gone is never read again. It keeps the result it has as long as that is one against today's baseline
//! and under the protocol of that baseline, and as long as the same content is not listed elsewhere. A result that does
//! not count today counts again when it may. Where a baseline photo is gone, what was measured against it stays, and what
//! was not is `baseline_missing`. A session that is gone counts as long as it has results, and yields the flag of the
//! baseline to one that is there.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cicatrix_model::{ClinicId, PatientId, Reason, SessionKey};
use riverqueue::sqlx::{self, Row, SqliteConnection};

use crate::runs::{self, NO_BASELINE, Opening};
use crate::source::is_elsewhere;
use crate::{Ledger, LedgerError, PlanSettings, Planned, State, Tx, now, read, series};

impl Ledger {
    /// Brings a patient's runs into line with sessions, photos and protocol, in one transaction. Idempotent.
    pub async fn plan_patient(
        &self,
        clinic: &ClinicId,
        patient: &PatientId,
        how: &PlanSettings,
    ) -> Result<Planned, LedgerError> {
        let mut read = self.pool.begin().await?;
        let facts = Facts::load(&mut read, clinic.as_str(), patient.as_str(), how).await?;
        read.rollback().await?;
        if decide(&facts).is_empty() {
            return Ok(Planned::default());
        }
        let mut tx = self.begin().await?;
        let planned = replan(self, &mut tx, clinic.as_str(), patient.as_str(), how).await?;
        tx.commit().await?;
        Ok(planned)
    }
}

/// Plans a patient inside a transaction that has other things to write.
pub(crate) async fn replan(
    ledger: &Ledger,
    tx: &mut Tx,
    clinic: &str,
    patient: &str,
    how: &PlanSettings,
) -> Result<Planned, LedgerError> {
    let facts = Facts::load(tx, clinic, patient, how).await?;
    let plan = decide(&facts);
    mark_baseline(tx, &plan).await?;
    let mut planned = Planned::default();
    for run in &plan.retire {
        runs::retire(ledger, tx, run.run_id, run.state, run.job_id).await?;
        planned.retired += 1;
        let is_gone = facts.photo(run.photo_id).is_some_and(|photo| photo.is_current && photo.is_gone);
        planned.dropped += u32::from(is_gone && run.state == State::Measured);
    }
    for task in &plan.tasks {
        carry_out(ledger, tx, task, how, &mut planned).await?;
    }
    for (view, touched) in facts.touched(&plan) {
        match touched {
            Touched::All => series::retract(tx, clinic, patient, view, None).await?,
            Touched::Sessions(sessions) => {
                for session in sessions {
                    series::retract(tx, clinic, patient, view, Some(&session.to_string())).await?;
                }
            }
        }
    }
    Ok(planned)
}

/// The old mark goes first: a patient has one baseline session at any time.
async fn mark_baseline(tx: &mut Tx, plan: &Plan) -> Result<(), LedgerError> {
    let mut marks = plan.marks.clone();
    marks.sort_by_key(|(_, is_baseline)| *is_baseline);
    for (session_id, is_baseline) in marks {
        sqlx::query("UPDATE session SET is_baseline = $2, updated_at = $3 WHERE session_id = $1")
            .bind(session_id)
            .bind(is_baseline)
            .bind(now())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn carry_out(
    ledger: &Ledger,
    tx: &mut Tx,
    task: &Task,
    how: &PlanSettings,
    planned: &mut Planned,
) -> Result<(), LedgerError> {
    match &task.act {
        Act::Conclude { reason, detail } => {
            runs::conclude(tx, task.photo_id, how, *reason, detail).await?;
            planned.concluded += 1;
        }
        Act::Create { baseline, opening } => {
            runs::create(ledger, tx, task.photo_id, *baseline, how, *opening).await?;
            planned.count(*opening);
        }
        Act::Reopen { run_id, is_baseline, opening } => {
            runs::reopen(ledger, tx, *run_id, *is_baseline, *opening).await?;
            planned.count(*opening);
        }
        Act::Release { run_id, job_id } => {
            runs::release(ledger, tx, *run_id, *job_id).await?;
            planned.ready += 1;
        }
        Act::Revive { run_id } => {
            sqlx::query("UPDATE photo_run SET is_current = 1 WHERE run_id = $1")
                .bind(*run_id)
                .execute(&mut **tx)
                .await?;
            planned.revived += 1;
        }
    }
    Ok(())
}

impl Planned {
    fn count(&mut self, opening: Opening) {
        match opening {
            Opening::Ready => self.ready += 1,
            Opening::Waiting => self.waiting += 1,
            Opening::Cancelled => {}
        }
    }
}

/// All that a plan depends on.
#[derive(Debug, Default)]
struct Facts {
    sessions: Vec<SessionFact>,
    /// Replaced photos too, as their runs have to be retired.
    photos: Vec<PhotoFact>,
    /// Current runs, those that are already there under these settings, and all results of photos that are gone.
    runs: Vec<RunFact>,
    /// Digest of the protocol that photos are read under.
    protocol: String,
}

#[derive(Debug, Clone)]
struct SessionFact {
    session_id: i64,
    session: SessionKey,
    flagged: bool,
    /// What the last plan chose.
    is_baseline: bool,
    is_gone: bool,
    sessions_before: u32,
    problem: Option<(Reason, String)>,
}

#[derive(Debug, Clone)]
struct PhotoFact {
    photo_id: i64,
    session_id: i64,
    view: String,
    shot: u16,
    is_current: bool,
    /// It can no longer be read.
    is_gone: bool,
    /// It is gone, and the same content is listed under another name.
    is_elsewhere: bool,
    /// Digest of its content; none before it was read.
    content: Option<String>,
    /// How it is read: scale and regions.
    drawn: String,
    /// The manifest draws regions on it.
    has_regions: bool,
    refused: Option<(Reason, String)>,
}

#[derive(Debug, Clone)]
struct RunFact {
    run_id: i64,
    photo_id: i64,
    baseline_photo_id: i64,
    /// Made under the protocol and program of this plan.
    same_settings: bool,
    protocol: String,
    is_current: bool,
    state: State,
    reason: Option<String>,
    detail: Option<String>,
    job_id: Option<i64>,
}

impl Facts {
    async fn load(
        conn: &mut SqliteConnection,
        clinic: &str,
        patient: &str,
        how: &PlanSettings,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            sessions: load_sessions(conn, clinic, patient).await?,
            photos: load_photos(conn, clinic, patient).await?,
            runs: load_runs(conn, clinic, patient, how).await?,
            protocol: how.protocol_digest.clone(),
        })
    }

    fn session(&self, session_id: i64) -> Option<&SessionFact> {
        self.sessions.iter().find(|session| session.session_id == session_id)
    }

    fn photo(&self, photo_id: i64) -> Option<&PhotoFact> {
        self.photos.iter().find(|photo| photo.photo_id == photo_id)
    }

    fn run(&self, photo_id: i64, baseline_photo_id: i64) -> Option<&RunFact> {
        self.runs
            .iter()
            .find(|run| run.same_settings && run.photo_id == photo_id && run.baseline_photo_id == baseline_photo_id)
    }

    /// Results of a photo, the one that people see first, then the newest.
    fn results(&self, photo_id: i64) -> Vec<&RunFact> {
        let of_photo = |run: &&RunFact| run.photo_id == photo_id && run.state == State::Measured;
        let mut results: Vec<&RunFact> = self.runs.iter().filter(of_photo).collect();
        results.sort_by_key(|run| (!run.is_current, -run.run_id));
        results
    }

    /// The result of a photo against this baseline, and under the protocol that the baseline has or will have.
    fn result_against(&self, photo_id: i64, baseline: &PhotoFact) -> Option<&RunFact> {
        let own = self.own_result(baseline.photo_id).filter(|_| baseline.is_gone);
        let protocol = own.map_or(&self.protocol, |run| &run.protocol);
        let mut results = self.results(photo_id).into_iter();
        results.find(|run| run.protocol == *protocol && self.is_same(run.baseline_photo_id, baseline))
    }

    /// The result of a photo as its own baseline.
    fn own_result(&self, photo_id: i64) -> Option<&RunFact> {
        self.results(photo_id).into_iter().find(|run| run.baseline_photo_id == photo_id)
    }

    /// A baseline that was uploaded again is the same one, unless it has other content or is read in another way. Until
    /// it is read, nothing speaks against it.
    fn is_same(&self, then: i64, now: &PhotoFact) -> bool {
        then == now.photo_id
            || self
                .photo(then)
                .is_some_and(|then| then.drawn == now.drawn && (now.content.is_none() || now.content == then.content))
    }

    /// Sessions that a baseline is chosen from.
    fn counted(&self) -> Vec<&SessionFact> {
        let has_result = |session: &SessionFact| {
            let photos = self.photos.iter().filter(|photo| photo.is_current && photo.session_id == session.session_id);
            photos.into_iter().any(|photo| !photo.is_elsewhere && !self.results(photo.photo_id).is_empty())
        };
        self.sessions.iter().filter(|session| !session.is_gone || has_result(session)).collect()
    }

    /// State of the run in which a photo is its own baseline.
    fn own_state(&self, photo_id: i64) -> Option<State> {
        self.run(photo_id, photo_id).map(|run| run.state)
    }

    /// Which series a plan touches: of a view all sessions when its baseline session is among them.
    fn touched(&self, plan: &Plan) -> BTreeMap<&str, Touched> {
        let moved: HashSet<i64> = plan.marks.iter().map(|(session_id, _)| *session_id).collect();
        let mut touched: BTreeMap<&str, Touched> = BTreeMap::new();
        let photos = plan.tasks.iter().map(|task| task.photo_id);
        let photos = photos.chain(plan.retire.iter().map(|run| run.photo_id));
        for photo in photos.filter_map(|photo_id| self.photo(photo_id)) {
            let Some(session) = self.session(photo.session_id) else { continue };
            let entry = touched.entry(photo.view.as_str()).or_insert_with(|| Touched::Sessions(BTreeSet::new()));
            if session.is_baseline || moved.contains(&session.session_id) {
                *entry = Touched::All;
            } else if let Touched::Sessions(sessions) = entry {
                sessions.insert(session.session);
            }
        }
        if !moved.is_empty() {
            for photo in &self.photos {
                touched.insert(photo.view.as_str(), Touched::All);
            }
        }
        touched
    }
}

#[derive(Debug)]
enum Touched {
    All,
    Sessions(BTreeSet<SessionKey>),
}

/// What there is to write.
#[derive(Debug, Default)]
struct Plan {
    /// Sessions that become, or are no longer, the baseline.
    marks: Vec<(i64, bool)>,
    retire: Vec<RunFact>,
    tasks: Vec<Task>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.retire.is_empty() && self.tasks.is_empty()
    }
}

#[derive(Debug)]
struct Task {
    photo_id: i64,
    act: Act,
}

#[derive(Debug)]
enum Act {
    Conclude { reason: Reason, detail: String },
    Create { baseline: i64, opening: Opening },
    Reopen { run_id: i64, is_baseline: bool, opening: Opening },
    Release { run_id: i64, job_id: Option<i64> },
    Revive { run_id: i64 },
}

/// What a photo should have.
#[derive(Debug)]
enum Want {
    Verdict(Reason, String),
    /// To be read against this photo, which is itself for a baseline.
    Reading(i64),
    /// This run, which could not be made again.
    Keep(i64),
    /// It is gone, and has no result that counts.
    Nothing,
}

/// The session that all others are compared with, or why there is none.
#[derive(Debug)]
enum Baseline<'a> {
    Session(&'a SessionFact),
    None(Reason, String),
}

/// The baseline photo of a view.
#[derive(Debug)]
enum Pick<'a> {
    Photo(&'a PhotoFact),
    /// There are photos, but none of them can serve.
    Unusable,
    /// No photo with regions can serve. One without would measure the whole frame in their place.
    Undrawn,
    Missing,
}

fn decide(facts: &Facts) -> Plan {
    let baseline = baseline_of(&facts.counted());
    let chosen = match &baseline {
        Baseline::Session(session) => Some(session.session_id),
        Baseline::None(..) => None,
    };
    let mut plan = Plan::default();
    for session in &facts.sessions {
        let should = chosen == Some(session.session_id);
        if session.is_baseline != should {
            plan.marks.push((session.session_id, should));
        }
    }
    let mut kept: HashSet<i64> = HashSet::new();
    for photo in facts.photos.iter().filter(|photo| photo.is_current) {
        let wanted = if photo.is_gone { keep(facts, &baseline, photo) } else { want(facts, &baseline, photo) };
        let (kept_run, act) = match wanted {
            Want::Verdict(reason, detail) => conclude(facts, photo, reason, detail),
            Want::Reading(baseline_photo) => reading(facts, photo, baseline_photo),
            Want::Keep(run_id) => {
                let is_seen = facts.runs.iter().any(|run| run.run_id == run_id && run.is_current);
                (Some(run_id), (!is_seen).then_some(Act::Revive { run_id }))
            }
            Want::Nothing => (None, None),
        };
        kept.extend(kept_run);
        plan.tasks.extend(act.map(|act| Task { photo_id: photo.photo_id, act }));
    }
    let current = facts.runs.iter().filter(|run| run.is_current);
    plan.retire = current.filter(|run| !kept.contains(&run.run_id)).cloned().collect();
    plan
}

fn baseline_of<'a>(sessions: &[&'a SessionFact]) -> Baseline<'a> {
    let mut flagged: Vec<&SessionFact> = sessions.iter().copied().filter(|session| session.flagged).collect();
    if flagged.iter().any(|session| !session.is_gone) {
        flagged.retain(|session| !session.is_gone);
    }
    match flagged[..] {
        [session] => Baseline::Session(session),
        [] => earliest(sessions),
        _ => {
            let names: Vec<String> = flagged.iter().map(|session| session.session.to_string()).collect();
            let names = names.join(" and ");
            let detail = format!(
                "sessions {names} are all flagged as the baseline: take the flag out of all manifests but one and \
                 upload them again"
            );
            Baseline::None(Reason::DateConflict, detail)
        }
    }
}

fn earliest<'a>(sessions: &[&'a SessionFact]) -> Baseline<'a> {
    match sessions.iter().copied().min_by_key(|session| session.session) {
        Some(first) if first.sessions_before == 0 => Baseline::Session(first),
        Some(first) => {
            let detail = format!(
                "no session is flagged as the baseline, and {} treatments came before the earliest, {}",
                first.sessions_before, first.session
            );
            Baseline::None(Reason::BaselineMissing, detail)
        }
        None => Baseline::None(Reason::BaselineMissing, "there is no session".to_owned()),
    }
}

/// What becomes of a photo that is gone.
fn keep(facts: &Facts, baseline: &Baseline<'_>, photo: &PhotoFact) -> Want {
    if photo.is_elsewhere {
        return Want::Nothing;
    }
    let picked = match baseline {
        Baseline::Session(session) => pick(facts, session, &photo.view),
        Baseline::None(..) => Pick::Missing,
    };
    let kept = match picked {
        Pick::Photo(baseline) => facts.result_against(photo.photo_id, baseline),
        // Nothing is compared as long as there is no baseline.
        Pick::Unusable | Pick::Undrawn | Pick::Missing => facts.results(photo.photo_id).first().copied(),
    };
    kept.map_or(Want::Nothing, |run| Want::Keep(run.run_id))
}

fn want(facts: &Facts, baseline: &Baseline<'_>, photo: &PhotoFact) -> Want {
    if let Some((reason, detail)) = &photo.refused {
        return Want::Verdict(*reason, detail.clone());
    }
    if let Some((reason, detail)) = facts.session(photo.session_id).and_then(|session| session.problem.as_ref()) {
        return Want::Verdict(*reason, detail.clone());
    }
    let session = match baseline {
        Baseline::None(reason, detail) => return Want::Verdict(*reason, detail.clone()),
        Baseline::Session(session) => *session,
    };
    if session.session_id == photo.session_id && is_bad(facts.own_state(photo.photo_id)) {
        return Want::Reading(photo.photo_id);
    }
    match pick(facts, session, &photo.view) {
        Pick::Photo(baseline) if baseline.is_gone => match facts.result_against(photo.photo_id, baseline) {
            Some(run) => Want::Keep(run.run_id),
            None => Want::Verdict(
                Reason::BaselineMissing,
                format!("the baseline photo, {} of session {}, is no longer there", photo.view, session.session),
            ),
        },
        Pick::Photo(baseline) => Want::Reading(baseline.photo_id),
        Pick::Unusable => Want::Verdict(
            Reason::BaselineNotMeasurable,
            format!("no photo of {} in the baseline session {} can be measured", photo.view, session.session),
        ),
        Pick::Undrawn => Want::Verdict(
            Reason::BaselineNotMeasurable,
            format!(
                "no photo of {} that has regions in the baseline session {} can be measured: take that one again, or \
                 draw the regions on another shot",
                photo.view, session.session
            ),
        ),
        Pick::Missing => Want::Verdict(
            Reason::BaselineMissing,
            format!("the baseline session {} has no photo of {}", session.session, photo.view),
        ),
    }
}

fn pick<'a>(facts: &'a Facts, session: &SessionFact, view: &str) -> Pick<'a> {
    let of_view: Vec<&PhotoFact> = facts
        .photos
        .iter()
        .filter(|photo| photo.is_current && photo.session_id == session.session_id && photo.view == view)
        .collect();
    // A shot that is missing counts too: what the manifest draws on it is what the clinic wants measured.
    let are_drawn = of_view.iter().any(|photo| photo.has_regions);
    let mut shots: Vec<&PhotoFact> = of_view
        .into_iter()
        .filter(|photo| !matches!(&photo.refused, Some((reason, _)) if *reason == Reason::ViewMissing))
        .filter(|photo| !photo.is_gone || (!photo.is_elsewhere && facts.own_result(photo.photo_id).is_some()))
        .collect();
    // One that is there can be read against.
    shots.sort_by_key(|photo| (photo.is_gone, photo.shot));
    if shots.is_empty() {
        return Pick::Missing;
    }
    if session.problem.is_some() {
        return Pick::Unusable;
    }
    let usable = shots
        .into_iter()
        .filter(|photo| photo.has_regions || !are_drawn)
        .find(|photo| photo.refused.is_none() && !is_bad(facts.own_state(photo.photo_id)));
    match usable {
        Some(photo) => Pick::Photo(photo),
        None if are_drawn => Pick::Undrawn,
        None => Pick::Unusable,
    }
}

/// A baseline that ended so cannot be compared with.
fn is_bad(state: Option<State>) -> bool {
    matches!(state, Some(State::NotMeasurable | State::Quarantined | State::Failed))
}

/// The run that stays, if any, and what there is to do.
type Decided = (Option<i64>, Option<Act>);

fn conclude(facts: &Facts, photo: &PhotoFact, reason: Reason, detail: String) -> Decided {
    let run = facts.run(photo.photo_id, NO_BASELINE);
    let is_told = run.is_some_and(|run| {
        run.is_current
            && run.state == State::of(reason)
            && run.reason.as_deref() == Some(reason.code())
            && run.detail.as_deref() == Some(runs::shortened(&detail).as_str())
    });
    let act = (!is_told).then_some(Act::Conclude { reason, detail });
    (run.map(|run| run.run_id), act)
}

fn reading(facts: &Facts, photo: &PhotoFact, baseline: i64) -> Decided {
    let is_baseline = photo.photo_id == baseline;
    let opening = if is_baseline { Opening::Ready } else { Opening::of_follower(facts.own_state(baseline)) };
    let Some(run) = facts.run(photo.photo_id, baseline) else {
        return (None, Some(Act::Create { baseline, opening }));
    };
    let run_id = run.run_id;
    let was_lost = matches!(run.reason.as_deref(), Some(reason)
        if reason == Reason::ViewMissing.code() || reason == Reason::BaselineMissing.code());
    let act = match run.state {
        // It ended because an object was gone, and was replaced by a verdict that says so; now the object is back.
        State::NotMeasurable if was_lost && !run.is_current => Some(Act::Reopen { run_id, is_baseline, opening }),
        State::Superseded => Some(Act::Reopen { run_id, is_baseline, opening }),
        State::WaitingForBaseline if opening == Opening::Ready => Some(Act::Release { run_id, job_id: run.job_id }),
        _ if !run.is_current => Some(Act::Revive { run_id }),
        _ => None,
    };
    (Some(run_id), act)
}

async fn load_sessions(
    conn: &mut SqliteConnection,
    clinic: &str,
    patient: &str,
) -> Result<Vec<SessionFact>, LedgerError> {
    let rows = sqlx::query(
        "SELECT session_id, session, flagged_baseline, is_baseline, (gone_at IS NOT NULL) AS is_gone, sessions_before,
                problem_reason, problem_detail
           FROM session WHERE clinic_id = $1 AND patient_id = $2 ORDER BY session",
    )
    .bind(clinic)
    .bind(patient)
    .fetch_all(&mut *conn)
    .await?;
    let mut sessions = Vec::with_capacity(rows.len());
    for row in &rows {
        sessions.push(SessionFact {
            session_id: row.try_get("session_id")?,
            session: read(row.try_get("session")?, "session")?,
            flagged: row.try_get("flagged_baseline")?,
            is_baseline: row.try_get("is_baseline")?,
            is_gone: row.try_get("is_gone")?,
            sessions_before: row.try_get::<Option<u32>, _>("sessions_before")?.unwrap_or(0),
            problem: reason_and_detail(row.try_get("problem_reason")?, row.try_get("problem_detail")?)?,
        });
    }
    Ok(sessions)
}

async fn load_photos(conn: &mut SqliteConnection, clinic: &str, patient: &str) -> Result<Vec<PhotoFact>, LedgerError> {
    let rows = sqlx::query(concat!(
        "SELECT p.photo_id, p.session_id, p.view, p.shot, p.is_current, p.refused_reason, p.refused_detail,
                (p.regions <> '[]') AS has_regions, (p.gone_at IS NOT NULL) AS is_gone, p.content_sha256,
                (p.regions || ' ' || COALESCE(p.px_per_mm, '')) AS drawn,
                (p.gone_at IS NOT NULL AND ",
        is_elsewhere!(),
        ") AS is_elsewhere
           FROM photo p
           JOIN session s ON s.session_id = p.session_id
          WHERE s.clinic_id = $1 AND s.patient_id = $2
          ORDER BY s.session, p.view, p.shot, p.photo_id",
    ))
    .bind(clinic)
    .bind(patient)
    .fetch_all(&mut *conn)
    .await?;
    let mut photos = Vec::with_capacity(rows.len());
    for row in &rows {
        photos.push(PhotoFact {
            photo_id: row.try_get("photo_id")?,
            session_id: row.try_get("session_id")?,
            view: row.try_get("view")?,
            shot: row.try_get("shot")?,
            is_current: row.try_get("is_current")?,
            is_gone: row.try_get("is_gone")?,
            is_elsewhere: row.try_get("is_elsewhere")?,
            content: row.try_get("content_sha256")?,
            drawn: row.try_get("drawn")?,
            has_regions: row.try_get("has_regions")?,
            refused: reason_and_detail(row.try_get("refused_reason")?, row.try_get("refused_detail")?)?,
        });
    }
    Ok(photos)
}

async fn load_runs(
    conn: &mut SqliteConnection,
    clinic: &str,
    patient: &str,
    how: &PlanSettings,
) -> Result<Vec<RunFact>, LedgerError> {
    let rows = sqlx::query(
        "SELECT r.run_id, r.photo_id, r.baseline_photo_id, r.is_current, r.state, r.reason, r.detail, r.job_id,
                r.protocol_digest, (r.protocol_digest = $3 AND r.program_version = $4) AS same_settings
           FROM photo_run r
           JOIN photo p ON p.photo_id = r.photo_id
           JOIN session s ON s.session_id = p.session_id
          WHERE s.clinic_id = $1 AND s.patient_id = $2
            AND (r.is_current = 1 OR (r.protocol_digest = $3 AND r.program_version = $4)
                 OR (p.gone_at IS NOT NULL AND r.state = 'measured'))
          ORDER BY r.run_id",
    )
    .bind(clinic)
    .bind(patient)
    .bind(&how.protocol_digest)
    .bind(&how.program_version)
    .fetch_all(&mut *conn)
    .await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        runs.push(RunFact {
            run_id: row.try_get("run_id")?,
            photo_id: row.try_get("photo_id")?,
            baseline_photo_id: row.try_get("baseline_photo_id")?,
            same_settings: row.try_get("same_settings")?,
            protocol: row.try_get("protocol_digest")?,
            is_current: row.try_get("is_current")?,
            state: read(row.try_get("state")?, "state of a run")?,
            reason: row.try_get("reason")?,
            detail: row.try_get("detail")?,
            job_id: row.try_get("job_id")?,
        });
    }
    Ok(runs)
}

fn reason_and_detail(reason: Option<String>, detail: Option<String>) -> Result<Option<(Reason, String)>, LedgerError> {
    let Some(reason) = reason else {
        return Ok(None);
    };
    Ok(Some((read(&reason, "reason")?, detail.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: i64, key: &str) -> SessionFact {
        SessionFact {
            session_id: id,
            session: key.parse().unwrap(),
            flagged: false,
            is_baseline: false,
            is_gone: false,
            sessions_before: 0,
            problem: None,
        }
    }

    fn photo(id: i64, session_id: i64, shot: u16) -> PhotoFact {
        let view = "face.frontal".to_owned();
        PhotoFact {
            photo_id: id,
            session_id,
            view,
            shot,
            is_current: true,
            is_gone: false,
            is_elsewhere: false,
            content: None,
            drawn: String::new(),
            has_regions: false,
            refused: None,
        }
    }

    fn run(id: i64, photo_id: i64, baseline_photo_id: i64, state: State) -> RunFact {
        RunFact {
            run_id: id,
            photo_id,
            baseline_photo_id,
            same_settings: true,
            protocol: "d1".to_owned(),
            is_current: true,
            state,
            reason: None,
            detail: None,
            job_id: Some(id),
        }
    }

    fn course() -> Facts {
        Facts {
            sessions: vec![session(1, "2026-01-01-01"), session(2, "2026-02-01-01")],
            photos: vec![photo(10, 1, 1), photo(11, 1, 2), photo(20, 2, 1)],
            runs: Vec::new(),
            protocol: "d1".to_owned(),
        }
    }

    fn acts(facts: &Facts) -> Vec<String> {
        decide(facts).tasks.iter().map(|task| format!("{} {:?}", task.photo_id, task.act)).collect()
    }

    #[test]
    fn all_photos_are_read_against_the_first_shot_of_the_earliest_session() {
        let acts = acts(&course());
        assert_eq!(
            acts,
            [
                "10 Create { baseline: 10, opening: Ready }",
                "11 Create { baseline: 10, opening: Waiting }",
                "20 Create { baseline: 10, opening: Waiting }",
            ]
        );
    }

    #[test]
    fn the_second_shot_takes_over_from_a_bad_first_one() {
        let mut facts = course();
        facts.sessions[0].is_baseline = true;
        facts.runs = vec![
            run(1, 10, 10, State::NotMeasurable),
            run(2, 11, 10, State::WaitingForBaseline),
            run(3, 20, 10, State::WaitingForBaseline),
        ];
        let plan = decide(&facts);
        assert_eq!(plan.retire.iter().map(|run| run.run_id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            acts(&facts),
            ["11 Create { baseline: 11, opening: Ready }", "20 Create { baseline: 11, opening: Waiting }"]
        );
    }

    #[test]
    fn a_shot_with_regions_goes_before_one_without() {
        let mut facts = course();
        facts.photos[1].has_regions = true;
        assert_eq!(
            acts(&facts),
            [
                "10 Create { baseline: 11, opening: Waiting }",
                "11 Create { baseline: 11, opening: Ready }",
                "20 Create { baseline: 11, opening: Waiting }",
            ]
        );
    }

    #[test]
    fn a_shot_without_regions_does_not_take_over_from_one_that_has_them() {
        let mut facts = course();
        facts.sessions[0].is_baseline = true;
        facts.photos[0].has_regions = true;
        let concluded = |facts: &Facts| {
            let tasks = decide(facts).tasks;
            let ends = tasks.into_iter().filter_map(|task| match task.act {
                Act::Conclude { reason, .. } => Some((task.photo_id, reason)),
                _ => None,
            });
            ends.collect::<Vec<_>>()
        };
        facts.runs = vec![run(1, 10, 10, State::Quarantined)];
        let expected = [(11, Reason::BaselineNotMeasurable), (20, Reason::BaselineNotMeasurable)];
        assert_eq!(concluded(&facts), expected);

        facts.runs.clear();
        facts.photos[0].refused = Some((Reason::ViewMissing, "not there".to_owned()));
        assert_eq!(concluded(&facts), [(10, Reason::ViewMissing), expected[0], expected[1]]);
    }

    #[test]
    fn a_plan_that_was_carried_out_is_empty() {
        let mut facts = course();
        facts.sessions[0].is_baseline = true;
        facts.runs =
            vec![run(1, 10, 10, State::Measured), run(2, 11, 10, State::Running), run(3, 20, 10, State::Measured)];
        assert!(decide(&facts).is_empty());
    }

    #[test]
    fn a_photo_that_was_replaced_retires_its_run() {
        let mut facts = course();
        facts.photos[2].is_current = false;
        facts.runs = vec![run(3, 20, 10, State::Running)];
        assert_eq!(decide(&facts).retire[0].run_id, 3);
    }
}
