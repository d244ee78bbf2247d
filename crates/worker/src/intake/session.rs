//! From what a listing and a manifest say to the session that the ledger records.
//!
//! A session with a problem keeps all that is known of it, above all that it is flagged as the baseline: if the flag
//! went with the problem, the follow-ups would be measured against another session.

use cicatrix_ledger::{PhotoUpload, SessionUpload};
use cicatrix_model::Reason;
use cicatrix_store::SessionAddress;
use serde_json::Value;

use super::gather::SessionDraft;
use super::manifest::{Described, Manifest};
use super::photos::{LeftOut, PhotoSettings, choose};
use super::table::Row;

/// The session, and the photos that cannot be part of it.
pub(super) fn assemble(
    draft: SessionDraft,
    described: Described,
    row: Option<&Row>,
    max_bytes: u64,
    is_whole: bool,
) -> (SessionUpload, Vec<LeftOut>) {
    let problem = problem(&draft, &described, row);
    let SessionDraft { address, photos, misnamed, .. } = draft;
    // A manifest that contradicts its place may describe another session's photos.
    let trusted = match &described {
        Described::Manifest(manifest) if manifest.contradiction(&address).is_none() => Some(&**manifest),
        _ => None,
    };
    let px_per_mm = match &described {
        Described::Nothing => row.and_then(|row| row.px_per_mm),
        _ => None,
    };
    let (photos, left_out) = choose(photos, trusted, PhotoSettings { px_per_mm, max_bytes, misnamed });
    let mut upload = by_keys(address, photos, problem, is_whole);
    match described {
        Described::Nothing => by_row(&mut upload, row),
        Described::Unusable { json, .. } => by_what_is_legible(&mut upload, json),
        Described::Manifest(manifest) => by_manifest(&mut upload, *manifest),
    }
    (upload, left_out)
}

fn problem(draft: &SessionDraft, described: &Described, row: Option<&Row>) -> Option<(Reason, String)> {
    if let [first, second, ..] = draft.manifests.as_slice() {
        let detail = format!("two manifests describe this session, {first} and {second}: keep one folder for it");
        return Some((Reason::DateConflict, detail));
    }
    match described {
        Described::Nothing => {
            let fault = row.and_then(|row| row.fault.clone());
            fault.map(|detail| (Reason::MetadataMissing, detail))
        }
        Described::Unusable { detail, .. } => Some((Reason::MetadataMissing, detail.clone())),
        Described::Manifest(manifest) => manifest.problem(&draft.address),
    }
}

fn by_keys(
    address: SessionAddress,
    photos: Vec<PhotoUpload>,
    problem: Option<(Reason, String)>,
    is_whole: bool,
) -> SessionUpload {
    SessionUpload {
        clinic: address.clinic,
        patient: address.patient,
        session: address.session,
        session_no: None,
        baseline: false,
        sessions_before: None,
        days_since_treatment: None,
        manifest: None,
        problem,
        is_whole,
        photos,
    }
}

fn by_row(upload: &mut SessionUpload, row: Option<&Row>) {
    let Some(row) = row else { return };
    upload.session_no = row.session_no;
    upload.baseline = row.baseline;
    upload.sessions_before = row.sessions_before;
    upload.days_since_treatment = row.days_since_last;
}

fn by_what_is_legible(upload: &mut SessionUpload, json: Option<Value>) {
    upload.baseline = json.as_ref().and_then(|json| json.get("baseline")) == Some(&Value::Bool(true));
    upload.manifest = json;
}

fn by_manifest(upload: &mut SessionUpload, manifest: Manifest) {
    let Manifest { json, said, .. } = manifest;
    upload.session_no = said.session_no;
    upload.baseline = said.baseline;
    upload.sessions_before = said.treatment.sessions_before;
    upload.days_since_treatment = said.treatment.days_since_last;
    upload.manifest = Some(json);
}
