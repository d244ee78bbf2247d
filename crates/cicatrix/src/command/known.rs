//! Sets of results whose truth is known, named `DB=TRUTH.json` on the command line.

use std::path::PathBuf;

use cicatrix_model::Shot;

use crate::command::export::open_existing;
use crate::command::truth::{Truth, measured};
use crate::exit;

/// Where a set lies.
pub(crate) struct Place {
    db: String,
    truth: PathBuf,
    /// The folder that holds the truth.
    pub(crate) name: String,
}

/// A session of a patient's view and region against its baseline.
pub(crate) struct Case {
    pub(crate) patient: String,
    pub(crate) session: String,
    pub(crate) view: String,
    pub(crate) region: String,
    /// Change of scar volume, as a fraction.
    pub(crate) true_change: f64,
    /// Neither relief nor colour has changed.
    pub(crate) unchanged: bool,
    pub(crate) melanin: Option<f64>,
    /// A photo of the baseline and one of the session, where they should lie: in bucket/ beside the truth.
    pub(crate) photos: [PathBuf; 2],
    pub(crate) before: Vec<Shot>,
    pub(crate) after: Vec<Shot>,
}

impl Place {
    pub(crate) fn of(pair: &str) -> anyhow::Result<Self> {
        let (db, truth) = pair.rsplit_once('=').ok_or_else(|| {
            exit::bad_input(format!("'{pair}' is not DB=TRUTH.json, such as sqlite://a.db=truth.json"))
        })?;
        let truth = PathBuf::from(truth);
        // By where it lies, not by how it was typed.
        let place = std::fs::canonicalize(&truth).unwrap_or_else(|_| truth.clone());
        let folder = place.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str());
        Ok(Self { db: db.to_owned(), name: folder.unwrap_or("unnamed").to_owned(), truth })
    }

    /// The truth, and what the database has of it.
    pub(crate) async fn read(&self) -> anyhow::Result<(Truth, Vec<Case>)> {
        let truth = Truth::read(&self.truth)?;
        let ledger = open_existing(&self.db).await?;
        let mut cases = Vec::new();
        for ((_, patient, view, region), subject) in measured(&ledger).await? {
            let Some(baseline) = &subject.baseline else { continue };
            for (session, shots) in subject.sessions.iter().filter(|(name, _)| *name != baseline) {
                let [Some(photo), Some(first)] = [session, baseline].map(|s| truth.photo(&patient, s)) else {
                    continue;
                };
                let lies = |file: &str| self.truth.with_file_name("bucket").join(file);
                cases.push(Case {
                    patient: patient.clone(),
                    session: session.clone(),
                    view: view.clone(),
                    region: region.clone(),
                    true_change: photo.truth.true_volume_change,
                    unchanged: photo.truth.unchanged,
                    melanin: photo.melanin_tone,
                    photos: [lies(&first.file), lies(&photo.file)],
                    before: subject.sessions[baseline].clone(),
                    after: shots.clone(),
                });
            }
        }
        ledger.close().await;
        Ok((truth, cases))
    }
}
