//! The standard grammar: folders that say what they are.

use cicatrix_model::{ClinicId, IdError, PatientId, SessionKey};

use super::name::{MANIFEST, Name, SESSIONS, not_read, view_and_shot};
use super::{Entry, PhotoAddress, SessionAddress, is_ours};
use crate::ObjectKey;

pub(super) fn classify(key: &ObjectKey) -> Entry {
    let name = key.file_name();
    let mut folders: Vec<&str> = key.segments().collect();
    folders.pop();
    let start = folders.iter().position(|folder| folder.starts_with("clinic="));
    let (above, address) = folders.split_at(start.unwrap_or(folders.len()));
    if above.iter().any(|folder| is_ours(folder)) {
        return Entry::Other;
    }
    let kind = Name::of(name);
    if kind == Name::Unrelated && name != MANIFEST {
        return if name == SESSIONS && address.is_empty() { Entry::SessionsCsv } else { Entry::Other };
    }
    if address.is_empty() && name == MANIFEST {
        return Entry::Other;
    }
    match photo_or_manifest(address, kind) {
        Ok(entry) => entry,
        Err(why) => Entry::Bad { why, session: session_address(address).ok() },
    }
}

fn photo_or_manifest(folders: &[&str], kind: Name<'_>) -> Result<Entry, String> {
    let session = session_address(folders)?;
    match kind {
        Name::Unrelated => Ok(Entry::Manifest(session)),
        Name::OtherPicture { extension } => Err(not_read(&extension)),
        Name::Photo { stem, extension } => {
            let (view, shot) = view_and_shot(stem)?;
            Ok(Entry::Photo(PhotoAddress { session, view, shot, extension }))
        }
    }
}

fn session_address(folders: &[&str]) -> Result<SessionAddress, String> {
    let &[clinic, patient, session] = folders else {
        return Err("it does not lie directly in \
            clinic=<id>/patient=<pseudonym>/session=<YYYY-MM-DD>-<nn>/"
            .to_owned());
    };
    Ok(SessionAddress {
        clinic: value::<ClinicId>("clinic", clinic)?,
        patient: value::<PatientId>("patient", patient)?,
        session: value::<SessionKey>("session", session)?,
    })
}

fn value<T: std::str::FromStr<Err = IdError>>(name: &str, folder: &str) -> Result<T, String> {
    let Some(text) = folder.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) else {
        return Err(format!("a folder '{name}=…' is missing at its place"));
    };
    text.parse::<T>().map_err(|error| format!("'{name}=…': {error}"))
}
