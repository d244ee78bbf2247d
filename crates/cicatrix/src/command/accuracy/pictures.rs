//! The change of a set that is furthest off, for the eye: the baseline's regions, and the follow-up laid over them.

use std::path::Path;

use anyhow::Context;
use cicatrix_align::{Grid, Patch, Prepared, register, resample};
use cicatrix_assess::{Protocol, RegionReference, prepare};
use cicatrix_photo::{encode_webp, from_linear};

use crate::command::align::read;
use crate::command::known::Case;
use crate::command::score::Described;

/// Nodes of the picture's grid per node of the scoring grid.
const SHRUNK: usize = 2;
/// White columns between the two.
const GAP: usize = 6;

/// Writes both side by side; says whether the photos were there to be shown.
pub(super) fn side_by_side(case: &Case, protocol: &Protocol, path: &Path) -> anyhow::Result<bool> {
    let [before, after] = &case.photos;
    if !before.exists() || !after.exists() {
        return Ok(false);
    }
    let described = Described::beside_manifest(before)?;
    let Ok(reference) = prepare(&described.photo(), protocol) else { return Ok(false) };
    let (fixed, moving) = (read(before, &protocol.limits)?, read(after, &protocol.limits)?);
    let prepared = |frame| Prepared::new(frame, protocol.align.precision);
    let Ok(registration) = register(&prepared(&fixed), &prepared(&moving), &protocol.align) else { return Ok(false) };
    let named = |region: &&RegionReference| region.name().as_str() == case.region;
    let Some(region) = reference.regions().iter().find(named) else { return Ok(false) };
    let grid = region.grid();
    let shown = Grid {
        pitch_px: grid.pitch_px * SHRUNK as f64,
        width: grid.width / SHRUNK,
        height: grid.height / SHRUNK,
        ..*grid
    };
    let left = resample(&fixed, &shown, |place| place);
    let right = resample(&moving, &shown, |place| registration.map(place));
    let width = 2 * shown.width + GAP;
    let mut rgb = vec![255u8; 3 * width * shown.height];
    lay(&mut rgb, width, 0, &left);
    lay(&mut rgb, width, shown.width + GAP, &right);
    let bytes = encode_webp(&rgb, width, shown.height)?;
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

fn lay(rgb: &mut [u8], width: usize, from: usize, patch: &Patch) {
    let code = |v: f32| (from_linear(f64::from(v)) * 255.0).round() as u8;
    for (i, ((r, g), b)) in patch.red.data.iter().zip(&patch.green.data).zip(&patch.blue.data).enumerate() {
        let (x, y) = (from + i % patch.red.width, i / patch.red.width);
        rgb[3 * (y * width + x)..][..3].copy_from_slice(&[*r, *g, *b].map(code));
    }
}
