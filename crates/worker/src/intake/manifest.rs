//! A session's `manifest.json`: read, or why it cannot be, and whether it speaks of the session it lies in.
//!
//! A manifest that cannot be used leaves its session without numbers, it does not make it a session without a
//! manifest: what it would have said (another baseline, no consent) is not known.

use cicatrix_model::{ManifestError, PhotoEntry, Reason, SCHEMA, SessionManifest};
use cicatrix_store::{ObjectKey, SessionAddress};
use serde_json::Value;

use super::gather::SessionDraft;
use super::source::Answer;

/// 4 MiB: a manifest with a polygon of 4096 points for each of 20 photos has 2.
pub(super) const LIMIT: u64 = 4 << 20;

/// Either of these is consent to what is done here.
const SCOPES: [&str; 2] = ["treatment", "analytics"];

/// How a session is described.
#[derive(Debug)]
pub(super) enum Described {
    /// By its keys alone.
    Nothing,
    Unusable {
        /// What it says, if it is JSON at all.
        json: Option<Value>,
        detail: String,
    },
    Manifest(Box<Manifest>),
}

/// A manifest that could be read.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Where it lies, and with it the files it names.
    pub(super) folder: Option<ObjectKey>,
    /// As it came, with fields that this program does not know.
    pub(super) json: Value,
    pub(super) said: SessionManifest,
}

impl Described {
    /// What came of asking for the draft's manifest.
    pub(super) fn read(draft: &SessionDraft, answer: &Answer) -> Self {
        match (draft.manifests.first(), answer) {
            (Some(key), Answer::Bytes(bytes)) => parse(key, bytes),
            (_, Answer::Refused(why)) => Described::Unusable {
                json: None,
                detail: format!("manifest.json could not be read: {}; correct that and run again", plain(why)),
            },
            _ => Described::Nothing,
        }
    }
}

fn parse(key: &ObjectKey, bytes: &[u8]) -> Described {
    let text = without_mark(bytes);
    let json: Value = match serde_json::from_slice(text) {
        Ok(json) => json,
        Err(error) => {
            let detail = format!("manifest.json is no JSON, {error}: correct it and upload it again");
            return Described::Unusable { json: None, detail };
        }
    };
    match typed(text, &json) {
        Ok(said) => Described::Manifest(Box::new(Manifest { folder: key.parent(), json, said })),
        Err(why) => Described::Unusable {
            json: Some(json),
            detail: format!("manifest.json cannot be used, {}: correct it and upload it again", plain(&why)),
        },
    }
}

/// Read from the text once more, for only so an error has its line and column.
fn typed(text: &[u8], json: &Value) -> Result<SessionManifest, String> {
    // First of all, for of another schema's fields the first one missing would be told.
    if let Some(schema) = json.get("schema").and_then(Value::as_str)
        && schema != SCHEMA
    {
        return Err(ManifestError::Schema(schema.to_owned()).to_string());
    }
    let said: SessionManifest = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    said.validate().map_err(|error| error.to_string())?;
    Ok(said)
}

impl Manifest {
    /// What the manifest says otherwise than the keys it lies among.
    pub(super) fn contradiction(&self, address: &SessionAddress) -> Option<String> {
        let said = &self.said;
        let pairs = [
            ("clinic_id", said.clinic_id.to_string(), address.clinic.to_string()),
            ("patient_id", said.patient_id.to_string(), address.patient.to_string()),
            ("session_date", said.session_date.to_string(), address.session.date.to_string()),
        ];
        let told: Vec<String> = pairs
            .into_iter()
            .filter(|(_, said, placed)| said != placed)
            .map(|(field, said, placed)| format!("{field} is '{said}' in manifest.json and '{placed}' in its key"))
            .collect();
        (!told.is_empty())
            .then(|| format!("{}: correct the manifest, or move the session, and upload it again", told.join(", ")))
    }

    /// Consent that was recorded, and not for this. A manifest that is silent about consent is no refusal.
    fn lack_of_consent(&self) -> Option<String> {
        let scope = &self.said.consent.as_ref()?.scope;
        let covers = |granted: &String| SCOPES.iter().any(|needed| granted.eq_ignore_ascii_case(needed));
        if scope.iter().any(covers) {
            return None;
        }
        Some(format!(
            "the consent in manifest.json covers neither {}: record the consent and upload it again, or take the \
             photos away",
            SCOPES.join(" nor ")
        ))
    }

    /// What is wrong with the session as a whole.
    pub(super) fn problem(&self, address: &SessionAddress) -> Option<(Reason, String)> {
        if let Some(detail) = self.contradiction(address) {
            return Some((Reason::DateConflict, detail));
        }
        self.lack_of_consent().map(|detail| (Reason::ConsentMissing, detail))
    }

    /// Where a photo that the manifest names would lie. Only told, never read: the name may be no key.
    pub(super) fn expected_key(&self, entry: &PhotoEntry) -> String {
        let Some(folder) = &self.folder else {
            return plain(&entry.file);
        };
        match folder.join(&entry.file) {
            Ok(key) => key.to_string(),
            Err(_) => format!("{folder}/{}.{}", entry.view, entry.n),
        }
    }
}

/// Text without the byte order mark that some editors put before it.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// A stranger's text as part of a message: one line of at most 300 characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
