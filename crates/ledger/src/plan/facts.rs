//! What a plan depends on: a patient's sessions, photos and runs as the ledger has them.

use cicatrix_model::{Reason, SessionKey};

use crate::sql::{Tx, query};
use crate::{LedgerError, PlanSettings, State, read};

/// SQL over a photo `p` and its session `s`: the clinic lists the same content under another name. Content is known once
/// a photo is read; until then what the store calls it has to do.
macro_rules! is_elsewhere {
    () => {
        "EXISTS (
            SELECT 1
              FROM photo t
              JOIN session ts ON ts.session_id = t.session_id
             WHERE t.is_current = 1 AND t.gone_at IS NULL AND t.refused_reason IS NULL
               AND ts.clinic_id = s.clinic_id AND ts.source_id = s.source_id
               AND (t.content_sha256 = p.content_sha256
                    OR (t.content_sha256 IS NULL AND t.version = p.version AND t.bytes = p.bytes)))"
    };
}
pub(crate) use is_elsewhere;

/// All that a plan depends on.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) sessions: Vec<SessionFact>,
    /// Replaced photos too, as their runs have to be retired.
    pub(super) photos: Vec<PhotoFact>,
    /// Current runs, those that are already there under these settings, and all results of photos that are gone.
    pub(super) runs: Vec<RunFact>,
    /// Digest of the protocol that photos are read under.
    pub(super) protocol: String,
}

#[derive(Debug, Clone)]
pub(super) struct SessionFact {
    pub(super) session_id: i64,
    pub(super) session: SessionKey,
    pub(super) flagged: bool,
    /// A person made it the baseline.
    pub(super) is_pinned: bool,
    /// What the last plan chose.
    pub(super) is_baseline: bool,
    pub(super) is_gone: bool,
    pub(super) sessions_before: u32,
    pub(super) problem: Option<(Reason, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct PhotoFact {
    pub(super) photo_id: i64,
    pub(super) session_id: i64,
    pub(super) view: String,
    pub(super) shot: u16,
    pub(super) is_current: bool,
    /// It can no longer be read.
    pub(super) is_gone: bool,
    /// It is gone, and the same content is listed under another name.
    pub(super) is_elsewhere: bool,
    /// Digest of its content; none before it was read.
    pub(super) content: Option<String>,
    /// How it is read: scale and regions.
    pub(super) drawn: String,
    /// The manifest draws regions on it.
    pub(super) has_regions: bool,
    pub(super) refused: Option<(Reason, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct RunFact {
    pub(super) run_id: i64,
    pub(super) photo_id: i64,
    pub(super) baseline_photo_id: i64,
    /// Made under the protocol and program of this plan.
    pub(super) same_settings: bool,
    pub(super) protocol: String,
    pub(super) is_current: bool,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) job_id: Option<i64>,
}

impl Facts {
    pub(super) async fn load(
        tx: &mut Tx,
        clinic: &str,
        patient: &str,
        how: &PlanSettings,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            sessions: load_sessions(tx, clinic, patient).await?,
            photos: load_photos(tx, clinic, patient).await?,
            runs: load_runs(tx, clinic, patient, how).await?,
            protocol: how.protocol_digest.clone(),
        })
    }

    pub(super) fn session(&self, session_id: i64) -> Option<&SessionFact> {
        self.sessions.iter().find(|session| session.session_id == session_id)
    }

    pub(super) fn photo(&self, photo_id: i64) -> Option<&PhotoFact> {
        self.photos.iter().find(|photo| photo.photo_id == photo_id)
    }

    pub(super) fn run(&self, photo_id: i64, baseline_photo_id: i64) -> Option<&RunFact> {
        self.runs
            .iter()
            .find(|run| run.same_settings && run.photo_id == photo_id && run.baseline_photo_id == baseline_photo_id)
    }

    /// Results of a photo, the one that people see first, then the newest.
    pub(super) fn results(&self, photo_id: i64) -> Vec<&RunFact> {
        let of_photo = |run: &&RunFact| run.photo_id == photo_id && run.state == State::Measured;
        let mut results: Vec<&RunFact> = self.runs.iter().filter(of_photo).collect();
        results.sort_by_key(|run| (!run.is_current, -run.run_id));
        results
    }

    /// The result of a photo against this baseline, and under the protocol that the baseline has or will have.
    pub(super) fn result_against(&self, photo_id: i64, baseline: &PhotoFact) -> Option<&RunFact> {
        let own = self.own_result(baseline.photo_id).filter(|_| baseline.is_gone);
        let protocol = own.map_or(&self.protocol, |run| &run.protocol);
        let mut results = self.results(photo_id).into_iter();
        results.find(|run| run.protocol == *protocol && self.is_same(run.baseline_photo_id, baseline))
    }

    /// The result of a photo as its own baseline.
    pub(super) fn own_result(&self, photo_id: i64) -> Option<&RunFact> {
        self.results(photo_id).into_iter().find(|run| run.baseline_photo_id == photo_id)
    }

    /// A baseline that was uploaded again is the same one, unless it has other content or is read in another way. Until
    /// it is read, nothing speaks against it.
    pub(super) fn is_same(&self, then: i64, now: &PhotoFact) -> bool {
        then == now.photo_id
            || self
                .photo(then)
                .is_some_and(|then| then.drawn == now.drawn && (now.content.is_none() || now.content == then.content))
    }

    /// Sessions that a baseline is chosen from.
    pub(super) fn counted(&self) -> Vec<&SessionFact> {
        let has_result = |session: &SessionFact| {
            let photos = self.photos.iter().filter(|photo| photo.is_current && photo.session_id == session.session_id);
            photos.into_iter().any(|photo| !photo.is_elsewhere && !self.results(photo.photo_id).is_empty())
        };
        self.sessions.iter().filter(|session| !session.is_gone || has_result(session)).collect()
    }

    /// State of the run in which a photo is its own baseline.
    pub(super) fn own_state(&self, photo_id: i64) -> Option<State> {
        self.run(photo_id, photo_id).map(|run| run.state)
    }
}

async fn load_sessions(tx: &mut Tx, clinic: &str, patient: &str) -> Result<Vec<SessionFact>, LedgerError> {
    let rows = query(
        "SELECT session_id, session, flagged_baseline, (pinned_at IS NOT NULL) AS is_pinned, is_baseline, (gone_at IS NOT NULL) AS is_gone, sessions_before,
                problem_reason, problem_detail
           FROM session WHERE clinic_id = $1 AND patient_id = $2 ORDER BY session",
    )
    .bind(clinic)
    .bind(patient)
    .fetch_all(&mut *tx)
    .await?;
    let mut sessions = Vec::with_capacity(rows.len());
    for row in &rows {
        sessions.push(SessionFact {
            session_id: row.get("session_id")?,
            session: read(&row.get::<String>("session")?, "session")?,
            flagged: row.get("flagged_baseline")?,
            is_pinned: row.get("is_pinned")?,
            is_baseline: row.get("is_baseline")?,
            is_gone: row.get("is_gone")?,
            sessions_before: row.get::<Option<u32>>("sessions_before")?.unwrap_or(0),
            problem: reason_and_detail(row.get("problem_reason")?, row.get("problem_detail")?)?,
        });
    }
    Ok(sessions)
}

async fn load_photos(tx: &mut Tx, clinic: &str, patient: &str) -> Result<Vec<PhotoFact>, LedgerError> {
    let rows = query(concat!(
        "SELECT p.photo_id, p.session_id, p.view, p.shot, p.is_current, p.refused_reason, p.refused_detail,
                (p.regions <> '[]') AS has_regions, (p.gone_at IS NOT NULL) AS is_gone, p.content_sha256,
                (p.regions || ' ' || COALESCE(CAST(p.px_per_mm AS TEXT), '')) AS drawn,
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
    .fetch_all(&mut *tx)
    .await?;
    let mut photos = Vec::with_capacity(rows.len());
    for row in &rows {
        photos.push(PhotoFact {
            photo_id: row.get("photo_id")?,
            session_id: row.get("session_id")?,
            view: row.get("view")?,
            shot: row.get("shot")?,
            is_current: row.get("is_current")?,
            is_gone: row.get("is_gone")?,
            is_elsewhere: row.get("is_elsewhere")?,
            content: row.get("content_sha256")?,
            drawn: row.get("drawn")?,
            has_regions: row.get("has_regions")?,
            refused: reason_and_detail(row.get("refused_reason")?, row.get("refused_detail")?)?,
        });
    }
    Ok(photos)
}

async fn load_runs(tx: &mut Tx, clinic: &str, patient: &str, how: &PlanSettings) -> Result<Vec<RunFact>, LedgerError> {
    let rows = query(
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
    .fetch_all(&mut *tx)
    .await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        runs.push(RunFact {
            run_id: row.get("run_id")?,
            photo_id: row.get("photo_id")?,
            baseline_photo_id: row.get("baseline_photo_id")?,
            same_settings: row.get("same_settings")?,
            protocol: row.get("protocol_digest")?,
            is_current: row.get("is_current")?,
            state: read(&row.get::<String>("state")?, "state of a run")?,
            reason: row.get("reason")?,
            detail: row.get("detail")?,
            job_id: row.get("job_id")?,
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
