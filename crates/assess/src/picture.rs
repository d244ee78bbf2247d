//! Derived pictures: the follow-up laid over the baseline, the change map, the confidence, a thumbnail.

use cicatrix_align::{Grid, resample};
use cicatrix_photo::{Frame, Plane, PreviewError, encode_png, encode_webp, from_linear, masked_gaussian, shrink};

use crate::assessment::{Aligned, Picture};
use crate::reference::Reference;

/// Longer side of the aligned photo and of the thumbnail, px.
const ALIGNED_SIDE: usize = 1024;
const THUMB_SIDE: usize = 320;
/// Okabe–Ito orange (worse) and blue (better), and the grey between them.
const WORSE: [f32; 3] = [230.0, 159.0, 0.0];
const BETTER: [f32; 3] = [0.0, 114.0, 178.0];
const SAME: [f32; 3] = [160.0, 160.0, 160.0];
/// ln change of local contrast at which a colour is full.
const FULL: f32 = 0.7;

/// All pictures of an assessed photo; one that cannot be encoded is left out, since no number hangs on it.
pub(crate) fn all(reference: &Reference, frame: &Frame, step: &Aligned) -> Vec<Picture> {
    let made = [
        ("aligned.webp", aligned(reference, frame, step)),
        ("change.png", change_map(reference, step)),
        ("confidence.png", confidence(reference, step)),
        ("thumb.webp", thumbnail(frame)),
    ];
    made.into_iter().filter_map(|(name, bytes)| bytes.ok().map(|bytes| Picture { name, bytes })).collect()
}

fn thumbnail(frame: &Frame) -> Result<Vec<u8>, PreviewError> {
    let (rgb, width, height) = shrink(frame.to_srgb8(), frame.width, frame.height, THUMB_SIDE)?;
    encode_webp(&rgb, width, height)
}

/// The follow-up as seen from the baseline's camera.
fn aligned(reference: &Reference, frame: &Frame, step: &Aligned) -> Result<Vec<u8>, PreviewError> {
    let (width, height) = (reference.prepared.width, reference.prepared.height);
    let pitch_px = (width.max(height) as f64 / ALIGNED_SIDE as f64).max(1.0);
    let side = |n: usize| ((n as f64 / pitch_px) as usize).max(1);
    let grid = Grid { origin_px: [0.0, 0.0], pitch_px, width: side(width), height: side(height) };
    let patch = resample(frame, &grid, |place| step.registration.map(place));
    let code = |v: f32| (from_linear(f64::from(v)) * 255.0).round() as u8;
    let mut rgb = Vec::with_capacity(3 * patch.red.data.len());
    for ((r, g), b) in patch.red.data.iter().zip(&patch.green.data).zip(&patch.blue.data) {
        rgb.extend([code(*r), code(*g), code(*b)]);
    }
    encode_webp(&rgb, grid.width, grid.height)
}

/// Change of local scar contrast in units of each photo's own skin: RGBA, transparent off the scars.
fn change_map(reference: &Reference, step: &Aligned) -> Result<Vec<u8>, PreviewError> {
    let local = |relief: &cicatrix_score::Relief| {
        let energy = relief.band[1].map(|b| b * b);
        let smooth = masked_gaussian(&energy, &relief.weight, (0.8 * relief.px_per_mm) as f32);
        let skin = masked_mean(&smooth, &reference.skin).max(1e-12);
        smooth.map(|v| (v / skin).max(0.05).ln() * 0.5)
    };
    let change = local(&step.relief).zip(&local(&reference.relief), |after, before| after - before);
    let mut rgba = Vec::with_capacity(4 * change.data.len());
    for (i, &value) in change.data.iter().enumerate() {
        let on_scar = reference.regions.iter().any(|r| r.mask.scar.data[i] > 0.5) && step.relief.weight.data[i] > 0.5;
        let end = if value > 0.0 { WORSE } else { BETTER };
        let share = (value.abs() / FULL).min(1.0);
        rgba.extend((0..3).map(|k| (SAME[k] + share * (end[k] - SAME[k])) as u8));
        rgba.push(if on_scar { 220 } else { 0 });
    }
    encode_png(&rgba, change.width, change.height)
}

/// Correlation of the registration's blocks, black 0 to white 1.
fn confidence(reference: &Reference, step: &Aligned) -> Result<Vec<u8>, PreviewError> {
    let grid = &reference.grid;
    let mut grey = Vec::with_capacity(grid.width * grid.height);
    for row in 0..grid.height {
        for column in 0..grid.width {
            grey.push((step.registration.correlation_at(grid.place(column, row)) * 255.0) as u8);
        }
    }
    encode_png(&grey, grid.width, grid.height)
}

fn masked_mean(plane: &Plane, mask: &Plane) -> f32 {
    let (sum, n) = plane.data.iter().zip(&mask.data).fold((0.0, 0.0), |(s, n), (v, m)| (s + v * m, n + m));
    if n > 0.0 { sum / n } else { 0.0 }
}
