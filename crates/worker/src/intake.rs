//! The sweep of a bucket: from a listing to sessions that the ledger can record.
//!
//! Decided here, and why:
//! - **The listing is the truth.** Every sweep reads all of it and sends all that it finds; the ledger knows what is
//!   news. One that was cut may go on behind its last mark, and is no worse if it begins anew.
//! - **A patient is sent when the listing has left its folder,** not session by session: `session=2026-11-21` and
//!   `session=2026-11-21-01` are one visit in two folders with other visits between them, and `since` has to know
//!   whether anything of a patient is recent. Keys come in byte order, so what is held is one page and one patient
//!   of at most `PATIENT_LIMIT` objects. A layout whose keys do not begin with the patient
//!   (`{session}/{patient}_{view}.{ext}`) mixes patients: then all of the listing is held, some 300 bytes a photo,
//!   and sent at its end.
//! - **What is known without a byte of the photo is said here:** descriptions that contradict each other, files that
//!   are missing, doubled or too large. The content is the business of those who read it.
//! - **Only an outage ends a sweep.** A manifest that cannot be used is its session's problem, a folder that cannot
//!   be read a [`Found::Problem`]; both are told, and the sweep goes on.
//!
//! Cost: one LIST per 1000 objects, one GET per session for its manifest, `AT_ONCE` of these at a time.

mod gather;
mod manifest;
mod photos;
mod session;
mod source;
mod table;

use std::sync::Arc;

use cicatrix_ledger::{PhotoUpload, SessionUpload};
use cicatrix_model::{ClinicId, PatientId, Reason};
use cicatrix_store::{Continuation, Entry, Layout, ObjectInfo, ObjectKey, Page, PhotoStore, StoreError};
use futures::stream::{self, StreamExt};
use jiff::civil::Date;
use serde::Serialize;
use tokio::sync::mpsc::Sender;
use tracing::{debug, info};

use self::gather::{Gathered, PATIENT_LIMIT, PatientDraft, Visit};
use self::manifest::Described;
use self::source::{Answer, Source};
use self::table::Table;

/// Manifests fetched at once. Enough to hide a bucket's 30 ms per request (1 million photos in 200 000 sessions: some
/// 7 minutes), and 16 manifests of the greatest size are 64 MiB.
const AT_ONCE: usize = 16;

/// What of a bucket is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeSettings {
    /// Only these clinics; all when empty. A key that does not follow the layout belongs to no clinic and is always
    /// told. Default: all.
    pub clinics: Vec<ClinicId>,
    /// Only sessions of this day or later, of patients that have one. The first session of such a patient and one
    /// that is flagged as the baseline are taken whatever their day, for without them nothing can be compared.
    /// Default: all.
    pub since: Option<Date>,
    /// Photos of more bytes are refused as `file_too_large` and never fetched. Default 50 MB, the decoder's limit.
    pub max_bytes: u64,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self { clinics: Vec::new(), since: None, max_bytes: 50_000_000 }
    }
}

impl IntakeSettings {
    fn takes(&self, clinic: &ClinicId) -> bool {
        self.clinics.is_empty() || self.clinics.contains(clinic)
    }

    fn is_recent(&self, date: Date) -> bool {
        self.since.is_none_or(|since| date >= since)
    }
}

/// What a sweep comes upon.
#[derive(Debug, Clone)]
pub enum Found {
    Session(Box<SessionUpload>),
    /// All sessions of this patient have been sent; now it can be planned.
    PatientEnd {
        clinic: ClinicId,
        patient: PatientId,
    },
    /// An object that is not read because of its key. The key is as the store told it: escape it when it is shown.
    Quarantined {
        key: String,
        reason: Reason,
        detail: String,
    },
    /// A line of `sessions.csv` that could not be read; the sweep goes on.
    Problem {
        place: String,
        detail: String,
    },
    /// A part of the store that could not be listed, by how its keys begin; the sweep goes on.
    Unseen {
        place: String,
        detail: String,
    },
    /// All that comes before this key has been sent: another sweep may go on behind it.
    Mark {
        after: String,
    },
    /// A patient with so many objects that none is read.
    Crowded {
        clinic: ClinicId,
        patient: PatientId,
        detail: String,
    },
}

impl Found {
    /// Place and words of what a person should know of.
    pub(crate) fn told(self) -> Option<(String, String)> {
        match self {
            Found::Quarantined { key, reason, detail } => Some((key, format!("{reason}: {detail}"))),
            Found::Problem { place, detail } | Found::Unseen { place, detail } => Some((place, detail)),
            Found::Crowded { clinic, patient, detail } => Some((format!("clinic={clinic}/patient={patient}/"), detail)),
            Found::Session(_) | Found::PatientEnd { .. } | Found::Mark { .. } => None,
        }
    }
}

/// What a sweep came upon, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SweepCounts {
    /// All objects with a valid key, photos or not, before any filter.
    pub objects: u64,
    /// Photos of the sessions that were sent, refused ones too, but not those that only a manifest names.
    pub photos: u64,
    pub sessions: u64,
    pub patients: u64,
    pub bad_keys: u64,
    pub problems: u64,
}

impl SweepCounts {
    fn with(mut self, found: &Found) -> Self {
        match found {
            Found::Session(upload) => {
                self.sessions += 1;
                self.photos += photos_listed(upload);
            }
            Found::PatientEnd { .. } => self.patients += 1,
            Found::Quarantined { .. } => self.bad_keys += 1,
            Found::Mark { .. } => {}
            Found::Problem { .. } | Found::Unseen { .. } | Found::Crowded { .. } => self.problems += 1,
        }
        self
    }
}

/// Photos of a session that are there, refused ones too.
pub(crate) fn photos_listed(upload: &SessionUpload) -> u64 {
    let is_there = |photo: &&PhotoUpload| !matches!(photo.refused, Some((Reason::ViewMissing, _)));
    upload.photos.iter().filter(is_there).count() as u64
}

/// A store, the meaning of its keys, and what of it is wanted.
#[derive(Debug)]
pub struct Intake {
    source: Source,
    layout: Layout,
    settings: IntakeSettings,
}

impl Intake {
    pub fn new(store: Arc<dyn PhotoStore>, layout: Layout, settings: IntakeSettings) -> Self {
        Self { source: Source::new(store), layout, settings }
    }

    /// Names the store, the same from wherever it is typed.
    pub(crate) fn place(&self) -> String {
        self.source.identity()
    }

    /// Clinics of which a sweep shows every session, all when none is named; nothing when it looks at recent ones only.
    pub(crate) fn shows_all_of(&self) -> Option<&[ClinicId]> {
        self.settings.since.is_none().then_some(&self.settings.clinics)
    }

    /// What a sweep goes over: another one of the same name may go on where this one was cut.
    pub(crate) fn scope(&self) -> String {
        let clinics: Vec<&str> = self.settings.clinics.iter().map(ClinicId::as_str).collect();
        let since = self.settings.since.map_or_else(String::new, |since| since.to_string());
        format!("{} [{}] {since}", self.layout, clinics.join(" "))
    }

    /// Sweeps the listing page by page with flat memory (see the head of this module) and sends what it finds:
    /// the sessions of a patient by date, then the patient's end. It begins behind a mark of an earlier sweep, if one is
    /// given.
    ///
    /// An error is an outage of the store that outlasted three tries, or a store that is not there: what was sent
    /// is good, and the next sweep sends it again. When nobody takes what is sent, the sweep stops without a word.
    pub async fn sweep(&self, after: Option<&str>, sink: &Sender<Found>) -> Result<SweepCounts, StoreError> {
        let mut outlet = Outlet { sink, counts: SweepCounts::default(), unseen: Vec::new() };
        let outcome = self.run(after, &mut outlet).await;
        let SweepCounts { objects, photos, sessions, patients, bad_keys, problems } = outlet.counts;
        match outcome {
            Ok(()) => info!(objects, photos, sessions, patients, bad_keys, problems, "swept the listing"),
            Err(Halt::Closed) => debug!(objects, sessions, "the sweep stops, nobody takes what it finds"),
            Err(Halt::Store(error)) => return Err(error),
        }
        Ok(outlet.counts)
    }

    async fn run(&self, after: Option<&str>, outlet: &mut Outlet<'_>) -> Result<(), Halt> {
        let table = self.table(outlet).await?;
        let mut gathered = Gathered::new(&self.layout);
        let mut next = after.map(Continuation::after_text);
        let mut marked = None;
        loop {
            let mut page = self.source.list(next.as_ref()).await?;
            next = page.next.take();
            self.gather(page, &mut gathered, outlet).await?;
            if next.is_none() {
                break;
            }
            self.send_patients(gathered.take_complete(), &table, outlet).await?;
            if gathered.mark() != marked.as_deref()
                && let Some(after) = gathered.mark()
            {
                marked = Some(after.to_owned());
                outlet.send(Found::Mark { after: after.to_owned() }).await?;
            }
        }
        self.send_patients(gathered.take_all(), &table, outlet).await
    }

    /// Sends all sessions of one patient, whose keys begin with `folder` (as [`Intake::patient_folder`] gives it), then the
    /// patient's end. Nothing is sent where nothing is there.
    #[cfg(feature = "events")]
    pub(crate) async fn sweep_patient(&self, folder: &str, sink: &Sender<Found>) -> Result<(), StoreError> {
        let mut outlet = Outlet { sink, counts: SweepCounts::default(), unseen: Vec::new() };
        match self.run_patient(folder, &mut outlet).await {
            Ok(()) | Err(Halt::Closed) => Ok(()),
            Err(Halt::Store(error)) => Err(error),
        }
    }

    #[cfg(feature = "events")]
    async fn run_patient(&self, folder: &str, outlet: &mut Outlet<'_>) -> Result<(), Halt> {
        let table = self.table(outlet).await?;
        let mut gathered = Gathered::new(&self.layout);
        let mut next = Some(Continuation::after_text(folder));
        while let Some(after) = next {
            let mut page = self.source.list(Some(&after)).await?;
            let is_inside = |key: &str| key.starts_with(folder);
            let leaves = page.objects.last().is_some_and(|object| !is_inside(object.key.as_str()));
            next = page.next.take().filter(|_| !leaves);
            page.objects.retain(|object| is_inside(object.key.as_str()));
            page.bad.retain(|bad| is_inside(&bad.key));
            page.problems.retain(|problem| is_inside(&problem.place));
            self.gather(page, &mut gathered, outlet).await?;
        }
        self.send_patients(gathered.take_all(), &table, outlet).await
    }

    /// The folder of the patient that a key belongs to, with '/' at its end; none of a key that is not taken in, and of layouts
    /// that have no folder for each patient.
    #[cfg(feature = "events")]
    pub(crate) fn patient_folder(&self, key: &str) -> Option<String> {
        let key = ObjectKey::parse(key).ok()?;
        let address = match self.layout.classify(&key) {
            Entry::Photo(address) => address.session,
            Entry::Manifest(address) | Entry::Bad { session: Some(address), .. } => address,
            Entry::Bad { session: None, .. } | Entry::SessionsCsv | Entry::Other => return None,
        };
        let of_patient = format!("/patient={}/", address.patient);
        let at = key.as_str().find(&of_patient)?;
        self.settings.takes(&address.clinic).then(|| key.as_str()[..at + of_patient.len()].to_owned())
    }

    /// The rows of `sessions.csv`. It is asked for before the listing, where its key may come after the photos'.
    async fn table(&self, outlet: &mut Outlet<'_>) -> Result<Table, Halt> {
        let mut table = Table::default();
        for place in table::PLACES {
            let key = ObjectKey::parse(place).expect("a literal of plain letters is a key");
            let problems = match self.source.find(&key, table::LIMIT).await? {
                Answer::Nothing => Vec::new(),
                Answer::Bytes(bytes) => table.read(place, &bytes),
                Answer::Refused(why) => vec![format!("it could not be read: {why}")],
            };
            for detail in problems {
                outlet.problem(place.to_owned(), detail).await?;
            }
        }
        Ok(table)
    }

    async fn gather(&self, page: Page, gathered: &mut Gathered, outlet: &mut Outlet<'_>) -> Result<(), Halt> {
        for problem in page.problems {
            outlet.unseen(problem.place, problem.error.to_string()).await?;
        }
        for bad in page.bad {
            outlet.bad_key(bad.key, format!("{}: rename the object", bad.why)).await?;
        }
        for object in page.objects {
            self.sort_in(object, gathered, outlet).await?;
        }
        Ok(())
    }

    async fn sort_in(&self, object: ObjectInfo, gathered: &mut Gathered, outlet: &mut Outlet<'_>) -> Result<(), Halt> {
        outlet.counts.objects += 1;
        match self.layout.classify(&object.key) {
            Entry::Photo(address) if self.settings.takes(&address.session.clinic) => {
                gathered.add_photo(address, object);
            }
            Entry::Manifest(address) if self.settings.takes(&address.clinic) => {
                gathered.add_manifest(address, object.key);
            }
            Entry::Bad { why, session } => {
                if let Some(address) = session.filter(|address| self.settings.takes(&address.clinic)) {
                    gathered.add_misnamed(address, &object.key);
                }
                outlet.bad_key(object.key.to_string(), why).await?;
            }
            Entry::SessionsCsv if !table::PLACES.contains(&object.key.as_str()) => {
                let detail = format!("this table is not read: move it to {}", table::PLACES.join(" or "));
                outlet.problem(object.key.to_string(), detail).await?;
            }
            Entry::Photo(_) | Entry::Manifest(_) | Entry::SessionsCsv | Entry::Other => {}
        }
        Ok(())
    }

    async fn send_patients(
        &self,
        patients: Vec<PatientDraft>,
        table: &Table,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), Halt> {
        let mut visits = Vec::new();
        for patient in patients {
            if patient.is_crowded() {
                // Half a patient could lack its baseline, and be compared with another session.
                let detail = format!("more than {PATIENT_LIMIT} objects: no photo of this patient is read");
                let (clinic, patient) = patient.id();
                outlet.send(Found::Crowded { clinic, patient, detail }).await?;
            } else if patient.latest().is_some_and(|date| self.settings.is_recent(date)) {
                visits.extend(patient.into_visits());
            }
        }
        let mut fetched = stream::iter(visits).map(|visit| self.fetch(visit)).buffered(AT_ONCE);
        while let Some(next) = fetched.next().await {
            let (visit, answer) = next?;
            self.send_visit(visit, &answer, table, outlet).await?;
        }
        Ok(())
    }

    async fn fetch(&self, visit: Visit) -> Result<(Visit, Answer), StoreError> {
        let answer = match visit.draft.manifests.first() {
            Some(key) => self.source.find(key, manifest::LIMIT).await?,
            None => Answer::Nothing,
        };
        Ok((visit, answer))
    }

    async fn send_visit(
        &self,
        visit: Visit,
        answer: &Answer,
        table: &Table,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), Halt> {
        let Visit { draft, is_first, is_last } = visit;
        let address = draft.address.clone();
        let described = Described::read(&draft, answer);
        // All folders of a patient are listed before it is sent.
        let is_whole = !draft.keys().any(|key| outlet.is_near_unseen(key));
        let (upload, left_out) =
            session::assemble(draft, described, table.row(&address), self.settings.max_bytes, is_whole);
        if is_first || upload.baseline || self.settings.is_recent(address.session.date) {
            for photo in left_out {
                outlet.bad_key(photo.key.to_string(), photo.why).await?;
            }
            outlet.send(Found::Session(Box::new(upload))).await?;
        }
        if is_last {
            outlet.send(Found::PatientEnd { clinic: address.clinic, patient: address.patient }).await?;
        }
        Ok(())
    }
}

/// Why a sweep does not go on.
enum Halt {
    Closed,
    Store(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Halt::Store(error)
    }
}

/// Where finds go. What was taken is counted.
struct Outlet<'a> {
    sink: &'a Sender<Found>,
    counts: SweepCounts,
    /// How keys begin that could not be listed.
    unseen: Vec<String>,
}

impl Outlet<'_> {
    async fn send(&mut self, found: Found) -> Result<(), Halt> {
        let counts = self.counts.with(&found);
        self.sink.send(found).await.map_err(|_| Halt::Closed)?;
        self.counts = counts;
        Ok(())
    }

    async fn bad_key(&mut self, key: String, detail: String) -> Result<(), Halt> {
        self.send(Found::Quarantined { key, reason: Reason::BadKey, detail }).await
    }

    async fn unseen(&mut self, place: String, detail: String) -> Result<(), Halt> {
        self.unseen.push(place.clone());
        self.send(Found::Unseen { place, detail }).await
    }

    /// Whether something beside this key, in its folder or the one above, was not listed: the other half of a session may
    /// lie there.
    fn is_near_unseen(&self, key: &str) -> bool {
        let above = |path: &'_ str| path.rfind('/').map_or(0, |at| at);
        let folder = &key[..above(key)];
        let parent = &folder[..above(folder)];
        self.unseen.iter().any(|place| place.starts_with(parent) || key.starts_with(place.as_str()))
    }

    async fn problem(&mut self, place: String, detail: String) -> Result<(), Halt> {
        self.send(Found::Problem { place, detail }).await
    }
}

#[cfg(test)]
mod tests;
