//! Which photos a session has: those that are listed, matched by file name with those that its manifest names.
//!
//! The key says what a photo shows, the manifest what it must contain. Where the two disagree the photo is refused:
//! a swapped file would be measured against the wrong cheek, and nobody would see it in the numbers.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap, HashSet};

use cicatrix_ledger::PhotoUpload;
use cicatrix_model::{PhotoEntry, Reason, View};
use cicatrix_store::{ObjectInfo, ObjectKey};

use super::gather::ListedPhoto;
use super::manifest::{Manifest, plain};

/// What holds for all photos of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhotoSettings {
    /// Scale of photos without an entry in a manifest.
    pub(super) px_per_mm: Option<f64>,
    pub(super) max_bytes: u64,
    /// Files in the session's folder that are no photo by their name.
    pub(super) misnamed: usize,
}

/// An object that is not read because another one has its place.
#[derive(Debug)]
pub(super) struct LeftOut {
    pub(super) key: ObjectKey,
    pub(super) why: String,
}

/// View and shot.
type Place = (View, u16);

/// One photo for each view and shot, in this order, and what there was beside them.
pub(super) fn choose(
    listed: Vec<ListedPhoto>,
    manifest: Option<&Manifest>,
    how: PhotoSettings,
) -> (Vec<PhotoUpload>, Vec<LeftOut>) {
    let index = manifest.map(Index::of_manifest).unwrap_or_default();
    let files: HashSet<String> = listed
        .iter()
        .filter(|photo| index.is_beside(&photo.object.key))
        .map(|photo| photo.object.key.file_name().to_owned())
        .collect();
    let (kept, left_out) = one_for_each_place(listed, &index);
    let mut photos = BTreeMap::new();
    for (place, object) in kept {
        let photo = found(&place, object, &index, how);
        photos.insert(place, photo);
    }
    if let Some(manifest) = manifest {
        for entry in manifest.said.photos.iter().filter(|entry| !files.contains(&entry.file)) {
            photos.entry((entry.view.clone(), entry.n)).or_insert_with(|| missing(entry, manifest, how.misnamed));
        }
    }
    (photos.into_values().collect(), left_out)
}

/// `1.jpg`, `01.jpg` and `1.png` are the same shot: the one that the manifest names is taken, else the first in key
/// order.
fn one_for_each_place(mut listed: Vec<ListedPhoto>, index: &Index<'_>) -> (BTreeMap<Place, ObjectInfo>, Vec<LeftOut>) {
    listed.sort_by_cached_key(|photo| (!index.names(photo), photo.object.key.clone()));
    let mut kept: BTreeMap<Place, ObjectInfo> = BTreeMap::new();
    let mut left_out = Vec::new();
    for ListedPhoto { view, shot, object } in listed {
        match kept.entry((view, shot)) {
            Slot::Vacant(slot) => {
                slot.insert(object);
            }
            Slot::Occupied(first) => {
                let first = &first.get().key;
                let why = format!("it is the same view and shot as '{first}', which is taken: remove one of them");
                left_out.push(LeftOut { key: object.key, why });
            }
        }
    }
    (kept, left_out)
}

fn found(place: &Place, object: ObjectInfo, index: &Index<'_>, how: PhotoSettings) -> PhotoUpload {
    let refused = refusal(place, &object, index, how.max_bytes);
    let said = index.of(&object.key).iter().find(|entry| is_at(entry, place));
    PhotoUpload {
        view: place.0.clone(),
        shot: place.1,
        key: object.key.to_string(),
        version: object.version,
        bytes: object.bytes,
        sha256: said.and_then(|entry| entry.sha256.clone()),
        captured_at: said.and_then(|entry| entry.captured_at),
        px_per_mm: said.map_or(how.px_per_mm, |entry| entry.px_per_mm),
        regions: said.map_or_else(Vec::new, |entry| entry.regions.clone()),
        refused,
    }
}

/// What is wrong with a photo that nobody has opened yet.
fn refusal(place: &Place, object: &ObjectInfo, index: &Index<'_>, max_bytes: u64) -> Option<(Reason, String)> {
    let bytes = object.bytes;
    if bytes > max_bytes {
        let detail = format!("the file has {bytes} bytes, the limit is {max_bytes}: upload a smaller one");
        return Some((Reason::FileTooLarge, detail));
    }
    let entries = index.of(&object.key);
    if let Some(other) = entries.iter().find(|entry| !is_at(entry, place)) {
        return Some((Reason::ViewMismatch, mismatch(place, other)));
    }
    match entries.first() {
        Some(entry) => other_size(entry, bytes),
        None => index.at(place).map(|entry| (Reason::ChecksumMismatch, other_file(place, entry))),
    }
}

fn mismatch(place: &Place, entry: &PhotoEntry) -> String {
    let (view, shot) = place;
    format!(
        "the file's name says {view}, shot {shot}, and manifest.json says {}, shot {}: correct the one that is wrong \
         and upload it again",
        entry.view, entry.n
    )
}

fn other_file(place: &Place, entry: &PhotoEntry) -> String {
    let (view, shot) = place;
    format!(
        "manifest.json names another file for {view}, shot {shot}, '{}': upload that one, or correct the manifest",
        plain(&entry.file)
    )
}

/// Where there is a checksum it tells more, once the file has been read.
fn other_size(entry: &PhotoEntry, bytes: u64) -> Option<(Reason, String)> {
    let claimed = entry.bytes.filter(|claimed| *claimed != bytes && entry.sha256.is_none())?;
    let detail = format!("the file has {bytes} bytes, manifest.json says {claimed}: upload it again");
    Some((Reason::ChecksumMismatch, detail))
}

/// A photo that was renamed is told twice, as missing and as misnamed: the one points to the other.
fn missing(entry: &PhotoEntry, manifest: &Manifest, misnamed: usize) -> PhotoUpload {
    let mut detail = format!(
        "manifest.json names '{}', and there is no photo of that name beside it that follows the layout: upload it, \
         or take it out of the manifest",
        plain(&entry.file)
    );
    if misnamed > 0 {
        detail.push_str(&format!(
            "; the folder holds {misnamed} file(s) whose names were not understood: see 'cicatrix quarantine list'"
        ));
    }
    PhotoUpload {
        view: entry.view.clone(),
        shot: entry.n,
        key: manifest.expected_key(entry),
        version: String::new(),
        bytes: 0,
        sha256: entry.sha256.clone(),
        captured_at: entry.captured_at,
        px_per_mm: entry.px_per_mm,
        regions: entry.regions.clone(),
        refused: Some((Reason::ViewMissing, detail)),
    }
}

fn is_at(entry: &PhotoEntry, place: &Place) -> bool {
    (&entry.view, entry.n) == (&place.0, place.1)
}

/// A manifest's entries by file and by place; empty without a manifest. A long manifest of a full folder is matched
/// in one pass.
#[derive(Debug, Default)]
struct Index<'m> {
    folder: Option<&'m ObjectKey>,
    by_file: HashMap<&'m str, Vec<&'m PhotoEntry>>,
    by_place: HashMap<Place, &'m PhotoEntry>,
}

impl<'m> Index<'m> {
    fn of_manifest(manifest: &'m Manifest) -> Self {
        let mut index = Self { folder: manifest.folder.as_ref(), ..Self::default() };
        for entry in &manifest.said.photos {
            index.by_file.entry(entry.file.as_str()).or_default().push(entry);
            index.by_place.insert((entry.view.clone(), entry.n), entry);
        }
        index
    }

    /// Whether the object lies in the manifest's folder.
    fn is_beside(&self, key: &ObjectKey) -> bool {
        self.folder.is_some() && key.parent().as_ref() == self.folder
    }

    /// The entries that name this object; more than one contradict each other.
    fn of(&self, key: &ObjectKey) -> &[&'m PhotoEntry] {
        if !self.is_beside(key) {
            return &[];
        }
        self.by_file.get(key.file_name()).map(Vec::as_slice).unwrap_or_default()
    }

    fn at(&self, place: &Place) -> Option<&'m PhotoEntry> {
        self.by_place.get(place).copied()
    }

    /// Whether an entry names this very object for this very place.
    fn names(&self, photo: &ListedPhoto) -> bool {
        let entries = self.of(&photo.object.key);
        entries.iter().any(|entry| entry.view == photo.view && entry.n == photo.shot)
    }
}
