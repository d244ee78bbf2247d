//! Scars found by the program against true scar depth: `masks/<patient>.png` beside the truth, seen from the first photo
//! of the patient, 5 µm a grey step.

use std::collections::BTreeSet;
use std::path::Path;

use cicatrix_assess::{Protocol, prepare};
use serde::Serialize;

use crate::command::align::read;
use crate::command::score::Described;
use crate::command::truth::Truth;
use crate::exit;

/// A scar counts from this grey on: 50 µm.
const SCAR_FROM: f64 = 10.0;

#[derive(Debug, Serialize)]
pub(super) struct MaskReport {
    pub(super) patients: usize,
    /// Mean over patients of the share of the scars' volume that lies under the mask.
    pub(super) volume_held: f64,
    /// Share of the masks' area that is scar.
    pub(super) precision: f64,
    pub(super) dice: f64,
}

/// `None` where the truth has no masks.
pub(super) fn masks(
    source: &Path,
    truth_path: &Path,
    truth: &Truth,
    protocol: &Protocol,
) -> anyhow::Result<Option<MaskReport>> {
    let folder = truth_path.parent().unwrap_or(Path::new(".")).join("masks");
    let mut seen = BTreeSet::new();
    let (mut held, mut hit, mut found, mut scar) = (0.0, 0.0, 0.0, 0.0);
    let mut patients = 0;
    for photo in truth.photos.iter().filter(|photo| seen.insert(photo.patient.as_str())) {
        let path = folder.join(format!("{}.png", photo.patient));
        if !path.exists() {
            continue;
        }
        let depth = read(&path, &protocol.limits)?.to_srgb8();
        let described = Described::beside_manifest(&source.join(&photo.file))?;
        let reference = prepare(&described.photo(), protocol)
            .map_err(|e| exit::bad_input(format!("{}: {e}", described.path.display())))?;
        let (width, height) = reference.photo_size();
        if depth.len() != 3 * width * height {
            return Err(exit::bad_input(format!("{} is not of the photo's size", path.display())));
        }
        let (mut volume, mut under) = (0.0, 0.0);
        for region in reference.regions() {
            let (grid, mask) = (region.grid(), region.mask());
            for i in (0..mask.region.data.len()).filter(|&i| mask.region.data[i] > 0.5) {
                let [x, y] = grid.place(i % grid.width, i / grid.width).map(f64::round);
                let grey = f64::from(depth[3 * ((y as usize).min(height - 1) * width + (x as usize).min(width - 1))]);
                let (is_scar, is_found) = (f64::from(u8::from(grey >= SCAR_FROM)), f64::from(mask.scar.data[i]));
                volume += grey;
                under += grey * is_found;
                hit += is_scar * is_found;
                found += is_found;
                scar += is_scar;
            }
        }
        patients += 1;
        held += under / volume.max(1.0);
    }
    Ok((patients > 0).then(|| MaskReport {
        patients,
        volume_held: held / patients as f64,
        precision: hit / f64::max(found, 1.0),
        dice: 2.0 * hit / f64::max(found + scar, 1.0),
    }))
}
