//! What goes wrong in a clinic, for a dashboard that has something to show: a second clinic whose photos are those of the first
//! under other names, filed wrongly, broken off or taken too early.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const CLINIC: &str = "c-north";

/// What is wrong with a patient's follow-up.
enum Mishap {
    Nothing,
    /// Its photos are another patient's.
    WrongPatient,
    /// An upload that broke off.
    BrokenOff,
    /// A letter that is called a photo.
    Letter,
    /// Photographed three days after the treatment.
    TooSoon,
    /// Nobody said which session it is.
    NoManifest,
}

const MISHAPS: [Mishap; 6] =
    [Mishap::Nothing, Mishap::WrongPatient, Mishap::BrokenOff, Mishap::Letter, Mishap::TooSoon, Mishap::NoManifest];

/// Files the second clinic, patient by patient; what is there already is left.
pub(super) fn file(bucket: &Path) -> anyhow::Result<()> {
    let patients = folders(&bucket.join("incoming").join("clinic=c-demo"))?;
    for (number, mishap) in MISHAPS.iter().enumerate() {
        let Some(own) = patients.get(number % patients.len().max(1)) else { return Ok(()) };
        let other = &patients[(number + 1) % patients.len()];
        let name = format!("pt-{:04}", 9001 + number);
        let folder = bucket.join("incoming").join(format!("clinic={CLINIC}")).join(format!("patient={name}"));
        if folder.exists() {
            continue;
        }
        let sessions = folders(own)?;
        let others = folders(other)?;
        for (index, session) in sessions.iter().enumerate().take(3) {
            let is_last = index == sessions.len().min(3) - 1;
            let mishap = if is_last { mishap } else { &Mishap::Nothing };
            let from =
                if matches!(mishap, Mishap::WrongPatient) { &others[index.min(others.len() - 1)] } else { session };
            let target = folder.join(session.file_name().unwrap_or_default());
            visit(from, &target, &name, mishap).with_context(|| format!("cannot make {}", target.display()))?;
        }
    }
    Ok(())
}

/// Folders in a folder, by name.
fn folders(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).with_context(|| format!("cannot read {}", place.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn visit(from: &Path, target: &Path, patient: &str, mishap: &Mishap) -> anyhow::Result<()> {
    let mut manifest: Value = serde_json::from_slice(&fs::read(from.join("manifest.json"))?)?;
    manifest["clinic_id"] = CLINIC.into();
    manifest["patient_id"] = patient.into();
    // A photo of another patient's folder keeps the date of this one.
    if let Some(date) = target.file_name().and_then(|name| name.to_str()).and_then(|name| name.get(8..18)) {
        manifest["session_date"] = date.into();
    }
    if matches!(mishap, Mishap::TooSoon) {
        manifest["treatment"]["days_since_last"] = json!(3);
    }
    fs::create_dir_all(target)?;
    for photo in manifest["photos"].as_array_mut().into_iter().flatten() {
        let file = photo["file"].as_str().unwrap_or_default().to_owned();
        let mut bytes = fs::read(from.join(&file))?;
        match mishap {
            Mishap::BrokenOff => bytes.truncate(bytes.len() * 2 / 3),
            Mishap::Letter => bytes = b"%PDF-1.7\n% a letter, filed among the photos\n".to_vec(),
            _ => {}
        }
        photo["bytes"] = bytes.len().into();
        photo["sha256"] = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        fs::write(target.join(&file), bytes)?;
    }
    if !matches!(mishap, Mishap::NoManifest) {
        fs::write(target.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;
    }
    Ok(())
}
