//! Objects of a listing, sorted into patients and sessions until nothing more of a patient can come.

use std::collections::BTreeMap;

use cicatrix_model::{ClinicId, PatientId, SessionKey, View};
use cicatrix_store::{Layout, ObjectInfo, ObjectKey, PhotoAddress, SessionAddress};
use jiff::civil::Date;

/// Objects of one patient. A hundred visits of twenty photos are a tenth of it; beyond it is a mistake
/// or an attack, and the patient is left out so that the memory of a sweep has a bound (some 6 MB a patient).
pub(super) const PATIENT_LIMIT: usize = 20_000;

type Id = (ClinicId, PatientId);

/// Patients of whom the listing has shown something.
#[derive(Debug)]
pub(super) struct Gathered {
    /// All keys of a patient follow each other.
    together: bool,
    patients: BTreeMap<Id, PatientDraft>,
    /// Whose object came last: of this one more may come.
    last: Option<Id>,
    /// The key that came last.
    seen: Option<String>,
    /// The last key before those of `last`.
    mark: Option<String>,
}

/// What the listing shows of a patient.
#[derive(Debug)]
pub(super) struct PatientDraft {
    id: Id,
    objects: usize,
    sessions: BTreeMap<SessionKey, SessionDraft>,
}

/// What the listing shows of a session.
#[derive(Debug)]
pub(super) struct SessionDraft {
    pub(super) address: SessionAddress,
    pub(super) photos: Vec<ListedPhoto>,
    /// One, unless the session lies in two folders.
    pub(super) manifests: Vec<ObjectKey>,
    /// Files beside them that are no photo by their name. They alone make no session.
    pub(super) misnamed: usize,
}

/// A photo as its key describes it.
#[derive(Debug)]
pub(super) struct ListedPhoto {
    pub(super) view: View,
    pub(super) shot: u16,
    pub(super) object: ObjectInfo,
}

/// A session and its place among those of its patient, by date.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) draft: SessionDraft,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

impl Gathered {
    pub(super) fn new(layout: &Layout) -> Self {
        let together = keeps_patients_together(&layout.to_string());
        Self { together, patients: BTreeMap::new(), last: None, seen: None, mark: None }
    }

    pub(super) fn add_photo(&mut self, address: PhotoAddress, object: ObjectInfo) {
        let PhotoAddress { session, view, shot, .. } = address;
        if let Some(draft) = self.session(session, &object.key) {
            draft.photos.push(ListedPhoto { view, shot, object });
        }
    }

    pub(super) fn add_manifest(&mut self, address: SessionAddress, key: ObjectKey) {
        if let Some(draft) = self.session(address, &key) {
            draft.manifests.push(key);
        }
    }

    pub(super) fn add_misnamed(&mut self, address: SessionAddress, key: &ObjectKey) {
        if let Some(draft) = self.session(address, key) {
            draft.misnamed += 1;
        }
    }

    /// The session that one more object belongs to; `None` once its patient has too many.
    fn session(&mut self, address: SessionAddress, key: &ObjectKey) -> Option<&mut SessionDraft> {
        let id = (address.clinic.clone(), address.patient.clone());
        if self.last.as_ref() != Some(&id) {
            self.last = Some(id.clone());
            self.mark.clone_from(&self.seen);
        }
        self.seen = Some(key.to_string());
        let patient = self.patients.entry(id).or_insert_with_key(|id| PatientDraft::new(id.clone()));
        patient.session(address)
    }

    /// Takes the patients of whom nothing more will come while the listing goes on.
    ///
    /// Where a listing has two roots (`incoming/` and `old/`), a patient in both is taken twice.
    pub(super) fn take_complete(&mut self) -> Vec<PatientDraft> {
        if !self.together {
            return Vec::new();
        }
        let unfinished = self.last.as_ref().and_then(|id| self.patients.remove_entry(id));
        let complete = self.take_all();
        self.patients.extend(unfinished);
        complete
    }

    /// Once what is complete was taken: the key behind which a listing goes on without missing anything.
    pub(super) fn mark(&self) -> Option<&str> {
        self.mark.as_deref().filter(|_| self.together)
    }

    pub(super) fn take_all(&mut self) -> Vec<PatientDraft> {
        std::mem::take(&mut self.patients).into_values().collect()
    }
}

impl PatientDraft {
    fn new(id: Id) -> Self {
        Self { id, objects: 0, sessions: BTreeMap::new() }
    }

    fn session(&mut self, address: SessionAddress) -> Option<&mut SessionDraft> {
        self.objects += 1;
        if self.is_crowded() {
            self.sessions.clear();
            return None;
        }
        let draft = self.sessions.entry(address.session);
        Some(draft.or_insert_with(|| SessionDraft { address, photos: Vec::new(), manifests: Vec::new(), misnamed: 0 }))
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.objects > PATIENT_LIMIT
    }

    pub(super) fn id(&self) -> (ClinicId, PatientId) {
        self.id.clone()
    }

    /// The day of the last session.
    pub(super) fn latest(&self) -> Option<Date> {
        self.sessions.values().rfind(|draft| draft.is_session()).map(|draft| draft.address.session.date)
    }

    pub(super) fn into_visits(self) -> impl Iterator<Item = Visit> {
        let drafts: Vec<SessionDraft> = self.sessions.into_values().filter(SessionDraft::is_session).collect();
        let last = drafts.len().saturating_sub(1);
        let drafts = drafts.into_iter().enumerate();
        drafts.map(move |(at, draft)| Visit { draft, is_first: at == 0, is_last: at == last })
    }
}

impl SessionDraft {
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let photos = self.photos.iter().map(|photo| photo.object.key.as_str());
        photos.chain(self.manifests.iter().map(ObjectKey::as_str))
    }

    fn is_session(&self) -> bool {
        !self.photos.is_empty() || !self.manifests.is_empty()
    }
}

/// Whether all keys of a patient, and no others, begin with the same folders: then byte order keeps them together.
///
/// So it is when some folders of the layout hold clinic and patient, nothing else does, and no other field is in
/// them. A patient that is named again further on is not relied upon: `{clinic}-{patient}/` may then be read in two
/// ways.
fn keeps_patients_together(layout: &str) -> bool {
    let mentions = |part: &str, fields: &[&str]| fields.iter().any(|field| part.contains(*field));
    layout.match_indices('/').any(|(at, _)| {
        let (folders, rest) = layout.split_at(at);
        mentions(folders, &["{patient}"])
            && !mentions(folders, &["{session}", "{view}", "{shot}", "{ext}"])
            && !mentions(rest, &["{clinic}", "{patient}"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_stay_together_where_keys_begin_with_them() {
        let standard = Layout::standard().to_string();
        let together = [
            standard.as_str(),
            "{patient}/{session}_{view}.{ext}",
            "{patient}/{clinic}/{session}_{view}.jpg",
            "all/{clinic}/{patient}/{session}/{view}.jpg",
        ];
        for layout in together {
            assert!(keeps_patients_together(layout), "{layout}");
        }
        let mixed = [
            "{session}/{patient}_{view}.{ext}",
            "{patient}-{session}-{view}.jpg",
            "{patient}/{session}/{clinic}_{view}.jpg",
            "{patient}_{session}/{view}.jpg",
            "{clinic}-{patient}/{session}_{patient}_{view}.jpg",
        ];
        for layout in mixed {
            assert!(!keeps_patients_together(layout), "{layout}");
        }
    }

    #[test]
    fn a_patient_with_too_many_objects_is_left_out_as_a_whole() {
        let mut gathered = Gathered::new(&Layout::standard());
        let key = |n: usize| ObjectKey::parse(&format!("clinic=c/patient=p/session=2026-01-01/m{n}")).unwrap();
        let address = SessionAddress {
            clinic: "c".parse().unwrap(),
            patient: "p".parse().unwrap(),
            session: "2026-01-01".parse().unwrap(),
        };
        for n in 0..=PATIENT_LIMIT {
            gathered.add_manifest(address.clone(), key(n));
        }
        let patients = gathered.take_all();
        assert!(patients[0].is_crowded());
        assert_eq!(patients[0].latest(), None);
    }
}
