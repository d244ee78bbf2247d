//! T0, the first half: a session and its photos as a scan found them.
//!
//! Recording compares before it writes, so that a sweep over a bucket without news takes no write lock. A photo is
//! an object's content together with what its manifest says about the pixels: another content, scale, region or
//! refusal is another photo, which takes the old one's place; another name for the same content is the same photo.
//!
//! What a clinic takes out of a session that is still there is taken back, result and all: it may have been another
//! patient. But a photo that its manifest still names was lost, and keeps the result that it has.

use std::collections::BTreeSet;

use cicatrix_model::Reason;
use jiff::civil::Date;
use serde_json::Value;

use crate::runs::NO_BASELINE;
use crate::source::{hand_over, require_own};
use crate::sql::{Row, Tx, query, query_as, query_scalar};
use crate::{Ledger, LedgerError, PhotoUpload, Recorded, SessionUpload, SourceId, now, to_json};

const EPOCH: Date = Date::constant(1970, 1, 1);

impl Ledger {
    /// Records a session and its photos in one transaction; writes nothing when nothing changed.
    /// An error when the patient belongs to another source.
    pub async fn record_session(&self, source: SourceId, upload: &SessionUpload) -> Result<Recorded, LedgerError> {
        let facts = SessionFacts::of(upload)?;
        let mut read = self.pool.begin_to_read().await?;
        require_own(&mut read, source, upload).await?;
        let known = Known::load(&mut read, upload).await?;
        read.rollback().await?;
        if let Some(known) = &known
            && known.source == Some(source)
            && !known.is_gone
            && known.facts == facts
            && steps(&known.photos, upload, false)?.is_empty()
        {
            self.take_up_lost(upload, known.session_id).await?;
            return Ok(Recorded { session_id: known.session_id, ..Recorded::default() });
        }

        let mut tx = self.begin().await?;
        tx.take_turn_of(upload.clinic.as_str(), upload.patient.as_str()).await?;
        let known = Known::load(&mut tx, upload).await?;
        let recorded = write(&mut tx, upload, &facts, known.as_ref()).await?;
        if known.is_none_or(|known| known.source != Some(source)) {
            hand_over(self, &mut tx, recorded.session_id, source).await?;
        }
        tx.commit().await?;
        self.take_up_lost(upload, recorded.session_id).await?;
        Ok(recorded)
    }

    /// Opens the runs again that ended because an object was gone, now that the photo is listed. A verdict that
    /// needed no reading is the plan's, and is left to it.
    async fn take_up_lost(&self, upload: &SessionUpload, session_id: i64) -> Result<(), LedgerError> {
        let lost: Vec<(i64, String)> = query_as(
            "SELECT r.run_id, p.object_key
               FROM photo p CROSS JOIN photo_run r
              WHERE p.session_id = $1 AND p.is_current = 1 AND r.photo_id = p.photo_id AND r.is_current = 1 AND r.baseline_photo_id <> $2
                AND r.state = 'not_measurable' AND r.reason IN ($3, $4)
              ORDER BY CASE WHEN r.photo_id = r.baseline_photo_id THEN 0 ELSE 1 END, r.run_id",
        )
        .bind(session_id)
        .bind(NO_BASELINE)
        .bind(Reason::ViewMissing.code())
        .bind(Reason::BaselineMissing.code())
        .fetch_all(&self.pool)
        .await?;
        for (run_id, key) in lost {
            if upload.photos.iter().any(|photo| photo.key == key && photo.refused.is_none()) {
                self.retry_run(run_id, None).await?;
            }
        }
        Ok(())
    }
}

/// Takes a photo out of the current ones. Its run is retired by the plan.
async fn withdraw(tx: &mut Tx, photo_id: i64) -> Result<(), LedgerError> {
    query("UPDATE photo SET is_current = 0 WHERE photo_id = $1").bind(photo_id).execute(&mut *tx).await?;
    Ok(())
}

/// What is told of a session and may change.
#[derive(Debug, Clone, PartialEq)]
struct SessionFacts {
    session_no: Option<u32>,
    flagged_baseline: bool,
    sessions_before: Option<u32>,
    days_since_treatment: Option<u32>,
    manifest: Option<String>,
    problem_reason: Option<String>,
    problem_detail: Option<String>,
}

impl SessionFacts {
    fn of(upload: &SessionUpload) -> Result<Self, LedgerError> {
        Ok(Self {
            session_no: upload.session_no,
            flagged_baseline: upload.baseline,
            sessions_before: upload.sessions_before,
            days_since_treatment: upload.days_since_treatment,
            manifest: upload.manifest.as_ref().map(|manifest| to_json(manifest, "manifest")).transpose()?,
            problem_reason: upload.problem.as_ref().map(|(reason, _)| reason.code().to_owned()),
            problem_detail: upload.problem.as_ref().map(|(_, detail)| detail.clone()),
        })
    }

    fn read(row: &Row) -> Result<Self, LedgerError> {
        Ok(Self {
            session_no: row.get("session_no")?,
            flagged_baseline: row.get("flagged_baseline")?,
            sessions_before: row.get("sessions_before")?,
            days_since_treatment: row.get("days_since_treatment")?,
            manifest: row.get("manifest")?,
            problem_reason: row.get("problem_reason")?,
            problem_detail: row.get("problem_detail")?,
        })
    }
}

/// A session as it is recorded, with its current photos.
struct Known {
    session_id: i64,
    /// None for a session that was recorded before sources were known.
    source: Option<SourceId>,
    is_gone: bool,
    facts: SessionFacts,
    photos: Vec<KnownPhoto>,
}

struct KnownPhoto {
    photo_id: i64,
    view: String,
    shot: u16,
    object_key: String,
    version: String,
    bytes: i64,
    sha256: Option<String>,
    content_sha256: Option<String>,
    captured_at: Option<String>,
    px_per_mm: Option<f64>,
    regions: String,
    refused_reason: Option<String>,
    refused_detail: Option<String>,
    is_gone: bool,
    /// It has a result, whether or not that counts today.
    is_measured: bool,
}

impl Known {
    async fn load(tx: &mut Tx, upload: &SessionUpload) -> Result<Option<Self>, LedgerError> {
        let session = query(
            "SELECT session_id, session_no, flagged_baseline, sessions_before, days_since_treatment, manifest,
                    problem_reason, problem_detail, source_id, (gone_at IS NOT NULL) AS is_gone
               FROM session WHERE clinic_id = $1 AND patient_id = $2 AND session = $3",
        )
        .bind(upload.clinic.as_str())
        .bind(upload.patient.as_str())
        .bind(upload.session.to_string())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(session) = session else {
            return Ok(None);
        };
        let session_id: i64 = session.get("session_id")?;
        let rows = query(
            "SELECT photo_id, view, shot, object_key, version, bytes, sha256, content_sha256, captured_at, px_per_mm,
                    regions, refused_reason, refused_detail, (gone_at IS NOT NULL) AS is_gone,
                    EXISTS (SELECT 1 FROM photo_run r
                             WHERE r.photo_id = photo.photo_id AND r.state = 'measured')
                        AS is_measured
               FROM photo WHERE session_id = $1 AND is_current = 1",
        )
        .bind(session_id)
        .fetch_all(&mut *tx)
        .await?;
        let photos = rows.iter().map(KnownPhoto::read).collect::<Result<_, _>>()?;
        Ok(Some(Self {
            session_id,
            source: session.get::<Option<i64>>("source_id")?.map(SourceId),
            is_gone: session.get("is_gone")?,
            facts: SessionFacts::read(&session)?,
            photos,
        }))
    }
}

impl KnownPhoto {
    fn read(row: &Row) -> Result<Self, LedgerError> {
        Ok(Self {
            photo_id: row.get("photo_id")?,
            view: row.get("view")?,
            shot: row.get("shot")?,
            object_key: row.get("object_key")?,
            version: row.get("version")?,
            bytes: row.get("bytes")?,
            sha256: row.get("sha256")?,
            content_sha256: row.get("content_sha256")?,
            captured_at: row.get("captured_at")?,
            px_per_mm: row.get("px_per_mm")?,
            regions: row.get("regions")?,
            refused_reason: row.get("refused_reason")?,
            refused_detail: row.get("refused_detail")?,
            is_gone: row.get("is_gone")?,
            is_measured: row.get("is_measured")?,
        })
    }

    /// Same content, read in the same way. What a manifest claims says nothing of an object of another version: it may
    /// have been written before the photo was taken again under its old name.
    fn is_same_photo(&self, found: &Found<'_>) -> bool {
        let digest = found.sha256.as_ref();
        let same_content = self.version == found.upload.version;
        // A claim that is gone no longer condemns a file that did not fit it.
        let same_claim = match digest {
            None => self.sha256.is_none() || self.sha256 == self.content_sha256,
            Some(_) => digest == self.sha256.as_ref() || digest == self.content_sha256.as_ref(),
        };
        same_content
            && same_claim
            && self.px_per_mm == found.upload.px_per_mm
            && self.regions == found.regions
            && self.refused_reason.as_deref() == found.refused_reason()
    }

    /// Nothing at all to write.
    fn is_unchanged(&self, found: &Found<'_>) -> bool {
        !self.is_gone
            && self.version == found.upload.version
            && self.object_key == found.upload.key
            && self.bytes == found.bytes()
            && self.captured_at == found.captured_at
            && (found.sha256.is_none() || self.sha256 == found.sha256)
            && self.refused_detail.as_deref() == found.refused_detail()
    }
}

/// An uploaded photo in the form in which it is stored.
struct Found<'a> {
    upload: &'a PhotoUpload,
    sha256: Option<String>,
    captured_at: Option<String>,
    regions: String,
}

impl<'a> Found<'a> {
    fn of(upload: &'a PhotoUpload) -> Result<Self, LedgerError> {
        Ok(Self {
            upload,
            sha256: upload.sha256.as_deref().map(str::to_ascii_lowercase),
            captured_at: upload.captured_at.map(|at| at.to_string()),
            regions: to_json(&upload.regions, "regions")?,
        })
    }

    fn bytes(&self) -> i64 {
        i64::try_from(self.upload.bytes).unwrap_or(i64::MAX)
    }

    fn is_missing(&self) -> bool {
        self.refused_reason() == Some(Reason::ViewMissing.code())
    }

    fn refused_reason(&self) -> Option<&'static str> {
        self.upload.refused.as_ref().map(|(reason, _)| Reason::code(*reason))
    }

    fn refused_detail(&self) -> Option<&str> {
        self.upload.refused.as_ref().map(|(_, detail)| detail.as_str())
    }
}

enum Step<'a> {
    Add(Found<'a>),
    Replace(i64, Found<'a>),
    Update(i64, Found<'a>),
    /// The object is gone, the result stays.
    Lose(i64),
    /// Taken back, result and all.
    Withdraw(i64),
}

/// What has to be written so that the known photos become the uploaded ones.
fn steps<'a>(
    known: &[KnownPhoto],
    session: &'a SessionUpload,
    other_treatment: bool,
) -> Result<Vec<Step<'a>>, LedgerError> {
    let mut steps = Vec::new();
    let mut seen = BTreeSet::new();
    for upload in &session.photos {
        let view = upload.view.to_string();
        if !seen.insert((view.clone(), upload.shot)) {
            tracing::warn!(view, shot = upload.shot, "a session has two files for one shot, the first is taken");
            continue;
        }
        let found = Found::of(upload)?;
        match known.iter().find(|photo| photo.view == view && photo.shot == upload.shot) {
            None => steps.push(Step::Add(found)),
            Some(photo) if found.is_missing() && photo.is_measured => {
                if !photo.is_gone {
                    steps.push(Step::Lose(photo.photo_id));
                }
            }
            Some(photo) if other_treatment || !photo.is_same_photo(&found) => {
                steps.push(Step::Replace(photo.photo_id, found));
            }
            Some(photo) if !photo.is_unchanged(&found) => steps.push(Step::Update(photo.photo_id, found)),
            Some(_) => {}
        }
    }
    let is_named = |photo: &&KnownPhoto| seen.contains(&(photo.view.clone(), photo.shot));
    if session.is_whole {
        let withdrawn = known.iter().filter(|photo| !is_named(photo));
        steps.extend(withdrawn.map(|photo| Step::Withdraw(photo.photo_id)));
    }
    Ok(steps)
}

async fn write(
    tx: &mut Tx,
    upload: &SessionUpload,
    facts: &SessionFacts,
    known: Option<&Known>,
) -> Result<Recorded, LedgerError> {
    let (session_id, session_changed) = match known {
        Some(known) if known.facts == *facts && !known.is_gone => (known.session_id, false),
        _ => (write_session(tx, upload, facts).await?, true),
    };
    let mut recorded = Recorded { session_id, session_changed, ..Recorded::default() };
    let photos = known.map_or(&[][..], |known| known.photos.as_slice());
    // Days since the treatment decide whether a photo is an endpoint: corrected, its photos are read anew.
    let other_treatment = known.is_some_and(|k| k.facts.days_since_treatment != facts.days_since_treatment);
    for step in steps(photos, upload, other_treatment)? {
        match step {
            Step::Add(found) => {
                insert_photo(tx, recorded.session_id, &found).await?;
                recorded.photos_added += 1;
            }
            Step::Replace(old, found) => {
                withdraw(tx, old).await?;
                insert_photo(tx, recorded.session_id, &found).await?;
                recorded.photos_replaced += 1;
            }
            Step::Update(photo_id, found) => {
                update_photo(tx, photo_id, &found).await?;
                recorded.photos_updated += 1;
            }
            Step::Lose(photo_id) => {
                query("UPDATE photo SET gone_at = $2 WHERE photo_id = $1")
                    .bind(photo_id)
                    .bind(now())
                    .execute(&mut *tx)
                    .await?;
                recorded.photos_gone += 1;
            }
            Step::Withdraw(photo_id) => {
                withdraw(tx, photo_id).await?;
                recorded.photos_gone += 1;
            }
        }
    }
    Ok(recorded)
}

/// What outcomes are grouped by, taken out of the manifest so that no query has to read JSON.
struct Grouping<'a> {
    modality: Option<&'a str>,
    device: Option<&'a str>,
    needle_depth_mm: Option<f64>,
    fitzpatrick: Option<&'a str>,
}

impl<'a> Grouping<'a> {
    fn of(manifest: Option<&'a Value>) -> Self {
        let at = |path: &str| manifest.and_then(|manifest| manifest.pointer(path));
        Self {
            modality: at("/treatment/modality").and_then(Value::as_str),
            device: at("/treatment/device").and_then(Value::as_str),
            needle_depth_mm: at("/treatment/needle_depth_mm").and_then(Value::as_f64),
            fitzpatrick: at("/subject/fitzpatrick").and_then(Value::as_str),
        }
    }
}

/// Writes a session, or what has changed of it. Returns its id.
async fn write_session(tx: &mut Tx, upload: &SessionUpload, facts: &SessionFacts) -> Result<i64, LedgerError> {
    let day_number = upload.session.date.duration_since(EPOCH).as_hours().div_euclid(24);
    let grouping = Grouping::of(upload.manifest.as_ref());
    let session_id: i64 = query_scalar(
        "INSERT INTO session (clinic_id, patient_id, session, session_date, day_number, session_no,
                              flagged_baseline, sessions_before, days_since_treatment, manifest, modality, device,
                              needle_depth_mm, fitzpatrick, problem_reason, problem_detail, recorded_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)
         ON CONFLICT (clinic_id, patient_id, session) DO UPDATE
            SET session_no = excluded.session_no, flagged_baseline = excluded.flagged_baseline,
                sessions_before = excluded.sessions_before, days_since_treatment = excluded.days_since_treatment,
                manifest = excluded.manifest, modality = excluded.modality, device = excluded.device,
                needle_depth_mm = excluded.needle_depth_mm, fitzpatrick = excluded.fitzpatrick,
                problem_reason = excluded.problem_reason, problem_detail = excluded.problem_detail,
                updated_at = excluded.updated_at, gone_at = NULL
         RETURNING session_id",
    )
    .bind(upload.clinic.as_str())
    .bind(upload.patient.as_str())
    .bind(upload.session.to_string())
    .bind(upload.session.date.to_string())
    .bind(day_number)
    .bind(facts.session_no)
    .bind(facts.flagged_baseline)
    .bind(facts.sessions_before)
    .bind(facts.days_since_treatment)
    .bind(&facts.manifest)
    .bind(grouping.modality)
    .bind(grouping.device)
    .bind(grouping.needle_depth_mm)
    .bind(grouping.fitzpatrick)
    .bind(&facts.problem_reason)
    .bind(&facts.problem_detail)
    .bind(now())
    .fetch_one(&mut *tx)
    .await?;
    Ok(session_id)
}

async fn insert_photo(tx: &mut Tx, session_id: i64, found: &Found<'_>) -> Result<(), LedgerError> {
    let upload = found.upload;
    query(
        "INSERT INTO photo (session_id, view, shot, object_key, version, bytes, sha256, captured_at, px_per_mm,
                            regions, refused_reason, refused_detail, is_current, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13)",
    )
    .bind(session_id)
    .bind(upload.view.to_string())
    .bind(upload.shot)
    .bind(&upload.key)
    .bind(&upload.version)
    .bind(found.bytes())
    .bind(&found.sha256)
    .bind(&found.captured_at)
    .bind(upload.px_per_mm)
    .bind(&found.regions)
    .bind(found.refused_reason())
    .bind(found.refused_detail())
    .bind(now())
    .execute(&mut *tx)
    .await?;
    Ok(())
}

async fn update_photo(tx: &mut Tx, photo_id: i64, found: &Found<'_>) -> Result<(), LedgerError> {
    query(
        "UPDATE photo
            SET object_key = $2, version = $3, bytes = $4, sha256 = COALESCE($5, sha256), captured_at = $6,
                refused_detail = $7, gone_at = NULL
          WHERE photo_id = $1",
    )
    .bind(photo_id)
    .bind(&found.upload.key)
    .bind(&found.upload.version)
    .bind(found.bytes())
    .bind(&found.sha256)
    .bind(&found.captured_at)
    .bind(found.refused_detail())
    .execute(&mut *tx)
    .await?;
    Ok(())
}
