//! T1, the start of a run: counted and committed before a byte of the photo is parsed, so that a photo which kills
//! its process is known by its count. Also how a run is put back when a start led to no verdict.

use std::sync::Arc;

use cicatrix_model::{ClinicId, PatientId};

use crate::finish::{self, Ending};
use crate::runs::{self, RunRow};
use crate::sql::{Row, Tx, query, query_as, query_scalar};
use crate::{Handler, Ledger, LedgerError, PhotoRef, StartedRun, State, now, read, read_json};

/// Starts without a verdict after which a photo is not started again.
pub(crate) const MAX_STARTS: u32 = 3;
/// So often may the whole program go away with a photo in work. High, for it is killed for many reasons, and with a
/// limit, for a photo that takes the machine down must not do so every night.
pub(crate) const MAX_ORPHANED: u32 = 12;

pub(crate) enum Begun {
    Run(Box<StartedRun>),
    /// The run has ended, was taken back, or now has another job.
    Nothing,
}

/// Why a start led to no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The store refused this photo while it may serve others.
    Transient,
    /// The whole store is out.
    Outage,
    Interrupted,
    /// It waited for room until its time was over.
    Waited,
    Failed,
    Crashed,
}

impl Setback {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Setback::Transient => "transient",
            Setback::Outage => "outage",
            Setback::Interrupted => "interrupted",
            Setback::Waited => "waited",
            Setback::Failed => "failed_try",
            Setback::Crashed => "crashed",
        }
    }

    /// The photo is not to blame, so its start is given back.
    fn gives_back(self) -> bool {
        matches!(self, Setback::Transient | Setback::Outage | Setback::Interrupted | Setback::Waited)
    }
}

impl Ledger {
    /// Counts a start. A run that was started often enough without a verdict is quarantined instead.
    ///
    /// One that is found running was in work when its worker died or froze, which says little of the photo: that start is given
    /// back and counted apart, as in [`Ledger::recover_orphans`].
    pub(crate) async fn start_run(
        &self,
        handler: &dyn Handler,
        run_id: i64,
        job_id: i64,
        worker: &str,
    ) -> Result<Begun, LedgerError> {
        let mut tx = self.begin().await?;
        let Some(run) = open_run(&mut tx, run_id, job_id).await? else {
            return Ok(Begun::Nothing);
        };
        if let Some(detail) = spent(&run) {
            let ending = Ending::crashed(&detail, std::time::Duration::ZERO);
            finish::close(self, &mut tx, handler, &run, &ending).await?;
            self.courier.complete(&mut tx, job_id).await?;
            tx.commit().await?;
            ending.log(run_id);
            return Ok(Begun::Nothing);
        }
        if run.state == State::Running {
            runs::event(&mut tx, run_id, "recovered", None, None).await?;
        }
        let orphaned = i64::from(run.state == State::Running);
        query(
            "UPDATE photo_run
                SET state = 'running', starts = starts + 1 - $4, orphaned = orphaned + $4, worker = $2, started_at = $3,
                    finished_at = NULL, attempt = attempt + 1
              WHERE run_id = $1",
        )
        .bind(run_id)
        .bind(worker)
        .bind(now())
        .bind(orphaned)
        .execute(&mut tx)
        .await?;
        runs::event(&mut tx, run_id, "started", Some(worker), None).await?;
        let started = started_run(&mut tx, &run).await?;
        tx.commit().await?;
        Ok(Begun::Run(Box::new(started)))
    }

    /// Makes a started run ready again. A run that somebody else has ended or started anew meanwhile is left alone.
    pub(crate) async fn put_back(
        &self,
        (run_id, attempt): (i64, i64),
        setback: Setback,
        worker: &str,
        detail: &str,
    ) -> Result<(), LedgerError> {
        let mut tx = self.begin().await?;
        let written = query(
            "UPDATE photo_run
                SET state = 'ready', starts = CASE WHEN starts > $3 THEN starts - $3 ELSE 0 END, setbacks = setbacks + $4,
                    worker = NULL
              WHERE run_id = $1 AND attempt = $2 AND state = 'running'",
        )
        .bind(run_id)
        .bind(attempt)
        .bind(i64::from(setback.gives_back()))
        .bind(i64::from(setback == Setback::Transient))
        .execute(&mut tx)
        .await?;
        if written > 0 {
            runs::event(&mut tx, run_id, setback.name(), Some(worker), Some(detail)).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// The run, when this job is its job and it has no end yet. A second attempt finds it running, put back or not.
pub(crate) async fn open_run(tx: &mut Tx, run_id: i64, job_id: i64) -> Result<Option<RunRow>, LedgerError> {
    let run = runs::find_in_turn(tx, run_id).await?;
    Ok(run.filter(|run| run.job_id == Some(job_id) && matches!(run.state, State::Ready | State::Running)))
}

/// Why a run is not started again.
fn spent(run: &RunRow) -> Option<String> {
    if run.starts >= MAX_STARTS {
        Some(format!("started {} times without a verdict", run.starts))
    } else if run.orphaned >= MAX_ORPHANED {
        Some(format!("in work {} times when the whole program was killed", run.orphaned))
    } else {
        None
    }
}

async fn started_run(tx: &mut Tx, run: &RunRow) -> Result<StartedRun, LedgerError> {
    let (photo, _) = photo_ref(tx, run.photo_id).await?;
    let baseline = if run.is_baseline() {
        photo.clone()
    } else {
        let (mut baseline, content_sha256) = photo_ref(tx, run.baseline_photo_id).await?;
        baseline.sha256 = baseline.sha256.or(content_sha256);
        baseline
    };
    let days_since_treatment: Option<u32> =
        query_scalar("SELECT days_since_treatment FROM session WHERE session_id = $1")
            .bind(run.session_id)
            .fetch_one(&mut *tx)
            .await?;
    Ok(StartedRun {
        run_id: run.run_id,
        starts: run.starts + u32::from(run.state != State::Running),
        attempt: run.attempt + 1,
        setbacks: run.setbacks,
        clinic: read::<ClinicId>(&run.clinic, "clinic")?,
        patient: read::<PatientId>(&run.patient, "patient")?,
        session: read(&run.session, "session")?,
        days_since_treatment,
        photo,
        baseline,
        is_baseline: run.is_baseline(),
        waits: Arc::default(),
    })
}

impl Ledger {
    /// The photo of a run, and the one that it is compared with.
    pub async fn compared(&self, run_id: i64) -> Result<(PhotoRef, PhotoRef), LedgerError> {
        let mut tx = self.pool.begin_to_read().await?;
        let (photo, baseline): (i64, i64) =
            query_as("SELECT photo_id, baseline_photo_id FROM photo_run WHERE run_id = $1")
                .bind(run_id)
                .fetch_one(&mut tx)
                .await?;
        Ok((photo_ref(&mut tx, photo).await?.0, photo_ref(&mut tx, baseline).await?.0))
    }
}

/// A photo, and what its content hashed to when it was last read.
async fn photo_ref(tx: &mut Tx, photo_id: i64) -> Result<(PhotoRef, Option<String>), LedgerError> {
    let row = query(
        "SELECT photo_id, object_key, version, bytes, sha256, content_sha256, view, shot, px_per_mm, regions
           FROM photo WHERE photo_id = $1",
    )
    .bind(photo_id)
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| LedgerError::Corrupt(format!("a run names photo {photo_id}, which does not exist")))?;
    Ok((read_photo(&row)?, row.get("content_sha256")?))
}

fn read_photo(row: &Row) -> Result<PhotoRef, LedgerError> {
    let bytes: i64 = row.get("bytes")?;
    Ok(PhotoRef {
        id: row.get("photo_id")?,
        key: row.get("object_key")?,
        version: row.get("version")?,
        bytes: u64::try_from(bytes).unwrap_or(0),
        sha256: row.get("sha256")?,
        view: read(&row.get::<String>("view")?, "view of a photo")?,
        shot: row.get("shot")?,
        px_per_mm: row.get("px_per_mm")?,
        regions: read_json(&row.get::<String>("regions")?, "regions of a photo")?,
    })
}
