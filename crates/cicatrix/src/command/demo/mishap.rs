//! What goes wrong in clinics, for a dashboard that has something to show: two more clinics whose last visits are filed wrongly,
//! broken off, taken too early, too dark or out of focus.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cicatrix_photo::{Frame, Limits, decode, gaussian};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

struct Clinic {
    name: &'static str,
    /// Number of its first patient.
    first: usize,
    /// Which of a patient's visits it photographs.
    visits: [usize; 3],
    /// What is wrong with the last visit of each of its patients.
    mishaps: [Mishap; 6],
}

const CLINICS: [Clinic; 2] = [
    Clinic {
        name: "c-north",
        first: 9001,
        visits: [0, 1, 2],
        mishaps: [
            Mishap::Nothing,
            Mishap::WrongPatient,
            Mishap::BrokenOff,
            Mishap::Letter,
            Mishap::TooSoon,
            Mishap::NoManifest,
        ],
    },
    Clinic {
        name: "c-lake",
        first: 5001,
        visits: [0, 2, 3],
        mishaps: [Mishap::Nothing, Mishap::Blurred, Mishap::Dark, Mishap::NotTaken, Mishap::NoConsent, Mishap::Nothing],
    },
];

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
    /// The flash did not fire.
    Dark,
    /// Out of focus.
    Blurred,
    /// A photo that the manifest names is not there.
    NotTaken,
    /// The consent is for something else.
    NoConsent,
}

/// Files the clinics, patient by patient, half of those that were rendered for each; what is there already is left.
pub(super) fn file(rendered: &Path, bucket: &Path) -> anyhow::Result<()> {
    let all = folders(&rendered.join("incoming").join("clinic=c-demo"))?;
    for (clinic, patients) in CLINICS.iter().zip(all.chunks(all.len().div_ceil(CLINICS.len()).max(1))) {
        for (number, mishap) in clinic.mishaps.iter().enumerate() {
            let own = &patients[number % patients.len()];
            let other = &patients[(number + 1) % patients.len()];
            let name = format!("pt-{:04}", clinic.first + number);
            let folder =
                bucket.join("incoming").join(format!("clinic={}", clinic.name)).join(format!("patient={name}"));
            if folder.exists() {
                continue;
            }
            let (sessions, others) = (folders(own)?, folders(other)?);
            let visits: Vec<usize> = clinic.visits.into_iter().filter(|index| *index < sessions.len()).collect();
            for (place, index) in visits.iter().copied().enumerate() {
                let is_last = place + 1 == visits.len();
                let mishap = if is_last { mishap } else { &Mishap::Nothing };
                let from = match mishap {
                    Mishap::WrongPatient => &others[index.min(others.len() - 1)],
                    _ => &sessions[index],
                };
                let target = folder.join(sessions[index].file_name().unwrap_or_default());
                visit(from, &target, [clinic.name, &name], mishap)
                    .with_context(|| format!("cannot make {}", target.display()))?;
            }
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

fn visit(from: &Path, target: &Path, [clinic, patient]: [&str; 2], mishap: &Mishap) -> anyhow::Result<()> {
    let mut manifest: Value = serde_json::from_slice(&fs::read(from.join("manifest.json"))?)?;
    manifest["clinic_id"] = clinic.into();
    manifest["patient_id"] = patient.into();
    // A photo of another patient's folder keeps the date of this one.
    if let Some(date) = target.file_name().and_then(|name| name.to_str()).and_then(|name| name.get(8..18)) {
        manifest["session_date"] = date.into();
    }
    match mishap {
        Mishap::TooSoon => manifest["treatment"]["days_since_last"] = json!(3),
        Mishap::NoConsent => manifest["consent"] = json!({ "scope": ["marketing"] }),
        _ => {}
    }
    fs::create_dir_all(target)?;
    for (number, photo) in manifest["photos"].as_array_mut().into_iter().flatten().enumerate() {
        let file = photo["file"].as_str().unwrap_or_default().to_owned();
        let mut bytes = fs::read(from.join(&file))?;
        match mishap {
            Mishap::BrokenOff => bytes.truncate(bytes.len() * 2 / 3),
            Mishap::Letter => bytes = b"%PDF-1.7\n% a letter, filed among the photos\n".to_vec(),
            Mishap::Dark => bytes = taken_again(&bytes, |channel| channel.map(|light| 0.015 * light))?,
            Mishap::Blurred => bytes = taken_again(&bytes, |channel| gaussian(channel, 4.0))?,
            _ => {}
        }
        photo["bytes"] = bytes.len().into();
        photo["sha256"] = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        if !matches!(mishap, Mishap::NotTaken) || number > 0 {
            fs::write(target.join(&file), bytes)?;
        }
    }
    if !matches!(mishap, Mishap::NoManifest) {
        fs::write(target.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;
    }
    Ok(())
}

/// A photo with another light in each of its channels.
fn taken_again(
    jpeg: &[u8],
    light: impl Fn(&cicatrix_photo::Plane) -> cicatrix_photo::Plane,
) -> anyhow::Result<Vec<u8>> {
    let (mut frame, _) =
        decode(jpeg, "jpg", &Limits::default()).map_err(|rejection| anyhow::anyhow!("{}", rejection.detail))?;
    for channel in 0..3 {
        let plane = light(&frame.channel(channel));
        for (pixel, value) in frame.linear.chunks_exact_mut(3).zip(&plane.data) {
            pixel[channel] = (value * 65535.0).round().clamp(0.0, 65535.0) as u16;
        }
    }
    let Frame { width, height, .. } = frame;
    Ok(cicatrix_phantom::jpeg(&frame.to_srgb8(), (width as u32, height as u32), 92))
}
