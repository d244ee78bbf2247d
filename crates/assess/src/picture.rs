//! Derived pictures: the follow-up laid over the baseline, the change map, the confidence, a thumbnail.

use cicatrix_align::{Grid, resample};
use cicatrix_model::Reason;
use cicatrix_photo::{
    Frame, Plane, PreviewError, decode, encode_png, encode_webp, from_linear, masked_gaussian, shrink,
};
use cicatrix_score::Relief;

use crate::assessment::Picture;
use crate::overlay::Overlay;
use crate::protocol::Protocol;
use crate::reference::{Photo, Reference};
use crate::region_follow_up::{RegionFollowUp, mean};
use crate::region_reference::RegionReference;

/// Longer side of the aligned photo and of the thumbnail, px.
const ALIGNED_SIDE: usize = 1024;
const THUMB_SIDE: usize = 320;
/// Okabe–Ito orange (worse), blue (better) and purple (a new scar), and the grey between the first two.
const WORSE: [f32; 3] = [230.0, 159.0, 0.0];
const BETTER: [f32; 3] = [0.0, 114.0, 178.0];
const NEW: [f32; 3] = [204.0, 121.0, 167.0];
const SAME: [f32; 3] = [160.0, 160.0, 160.0];
/// sRGB codes beyond which the gate's exposure takes a pixel for near white or for black, and the stripes over such, px.
const BURNT_OUT: u8 = 231;
const BLACK: u8 = 12;
const STRIPE: usize = 3;
/// ln change of local contrast at which a colour is full.
const FULL: f32 = 0.7;

/// All pictures of an assessed photo; one that cannot be encoded is left out, since no number hangs on it. Aligned photo,
/// change and confidence are of one size, each over the whole of the baseline's photo.
pub(crate) fn all(
    reference: &Reference,
    frame: &Frame,
    overlay: &Overlay,
    changes: &[(&RegionReference, Plane)],
) -> Vec<Picture> {
    let grid = shown(reference);
    let made = [
        ("aligned.webp", aligned(&grid, frame, overlay)),
        ("change.png", change_map(&grid, changes)),
        ("confidence.png", confidence(&grid, overlay)),
        ("thumb.webp", thumbnail(frame)),
    ];
    made.into_iter().filter_map(|(name, bytes)| bytes.ok().map(|bytes| Picture { name, bytes })).collect()
}

/// The baseline's photo, shrunk.
fn shown(reference: &Reference) -> Grid {
    let (width, height) = reference.photo_size();
    let pitch_px = (width.max(height) as f64 / ALIGNED_SIDE as f64).max(1.0);
    let side = |n: usize| ((n as f64 / pitch_px) as usize).max(1);
    Grid { origin_px: [0.0, 0.0], pitch_px, width: side(width), height: side(height) }
}

fn thumbnail(frame: &Frame) -> Result<Vec<u8>, PreviewError> {
    marked(frame, &[], false)
}

/// The thumbnail of a photo that cannot be a baseline; none of a file that is no photo.
pub fn thumbnail_of(photo: &Photo<'_>, protocol: &Protocol) -> Vec<Picture> {
    match decode(photo.bytes, photo.extension, &protocol.limits) {
        Ok((frame, _)) => refused(&frame, &[], &[]),
        Err(_) => vec![],
    }
}

/// The thumbnail of a photo that gives no number, with a frame around each region at fault, or around the whole of it. Where its
/// exposure is at fault, what is burnt out or black is striped.
pub(crate) fn refused(frame: &Frame, at_fault: &[[[f64; 2]; 4]], reasons: &[Reason]) -> Vec<Picture> {
    let (right, bottom) = (frame.width as f64, frame.height as f64);
    // A line is two thumbnail pixels wide.
    let inset = 2.0 * right.max(bottom) / THUMB_SIDE as f64;
    let [x0, y0, x1, y1] = [0.0, 0.0, right - inset, bottom - inset];
    let whole = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]];
    let outlines = if at_fault.is_empty() { &whole } else { at_fault };
    let striped = reasons.iter().any(|reason| matches!(reason, Reason::Exposure | Reason::Specular));
    marked(frame, outlines, striped).ok().map(|bytes| Picture { name: "thumb.webp", bytes }).into_iter().collect()
}

/// A thumbnail with outlines, given in px of the photo, and stripes where it is burnt out or black.
fn marked(frame: &Frame, outlines: &[[[f64; 2]; 4]], striped: bool) -> Result<Vec<u8>, PreviewError> {
    let (mut rgb, width, height) = shrink(frame.to_srgb8(), frame.width, frame.height, THUMB_SIDE)?;
    if striped {
        stripe(&mut rgb, width);
    }
    let scale = width as f64 / frame.width.max(1) as f64;
    for outline in outlines {
        for (number, from) in outline.iter().enumerate() {
            let to = outline[(number + 1) % outline.len()];
            line(&mut rgb, [width, height], from.map(|v| v * scale), to.map(|v| v * scale));
        }
    }
    encode_webp(&rgb, width, height)
}

/// Slanted stripes over pixels that have lost what was there, as photographers know them.
fn stripe(rgb: &mut [u8], width: usize) {
    for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = (at % width, at / width);
        let lost = pixel.iter().any(|v| *v >= BURNT_OUT) || pixel.iter().all(|v| *v <= BLACK);
        if lost && ((x + y) / STRIPE).is_multiple_of(2) {
            pixel.copy_from_slice(&NEW.map(|v| v as u8));
        }
    }
}

/// A line two pixels wide; what lies outside of the picture is left out.
fn line(rgb: &mut [u8], [width, height]: [usize; 2], from: [f64; 2], to: [f64; 2]) {
    if [from, to].iter().flatten().any(|v| !v.is_finite() || v.abs() > 1e5) {
        return;
    }
    let steps = (to[0] - from[0]).abs().max((to[1] - from[1]).abs()).ceil().max(1.0);
    for step in 0..=steps as usize {
        let t = step as f64 / steps;
        let [x, y] = [0, 1].map(|axis| from[axis] + t * (to[axis] - from[axis]));
        for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let (x, y) = (x + dx, y + dy);
            if x >= 0.0 && y >= 0.0 && (x as usize) < width && (y as usize) < height {
                let at = 3 * (y as usize * width + x as usize);
                rgb[at..at + 3].copy_from_slice(&WORSE.map(|v| v as u8));
            }
        }
    }
}

/// The follow-up as seen from the baseline's camera.
fn aligned(grid: &Grid, frame: &Frame, overlay: &Overlay) -> Result<Vec<u8>, PreviewError> {
    let patch = resample(frame, grid, |place| overlay.map(place));
    let code = |v: f32| (from_linear(f64::from(v)) * 255.0).round() as u8;
    let mut rgb = Vec::with_capacity(3 * patch.red.data.len());
    for ((r, g), b) in patch.red.data.iter().zip(&patch.green.data).zip(&patch.blue.data) {
        rgb.extend([code(*r), code(*g), code(*b)]);
    }
    encode_webp(&rgb, grid.width, grid.height)
}

/// Change of local scar contrast in a region, in units of each photo's own skin, ln; infinite on new scars, NaN off all.
pub(crate) fn change(step: &RegionFollowUp<'_>) -> Plane {
    let mask = &step.reference.mask;
    let local = |relief: &Relief| {
        let energy = relief.band[1].map(|b| b * b);
        let smooth = masked_gaussian(&energy, &relief.weight, (0.8 * relief.px_per_mm) as f32);
        let skin = (mean(&smooth, &mask.reference) as f32).max(1e-12);
        smooth.map(|v| (v / skin).max(0.05).ln() * 0.5)
    };
    let change = local(&step.relief).zip(&local(&step.reference.relief), |after, before| after - before);
    let on_scar = mask.scar.zip(&step.relief.weight, f32::min);
    let change = change.zip(&on_scar, |change, scar| if scar > 0.5 { change } else { f32::NAN });
    change.zip(step.new_scars(), |change, new| if new > 0.5 { f32::INFINITY } else { change })
}

/// Change of the regions' scars: RGBA, transparent off them.
fn change_map(grid: &Grid, changes: &[(&RegionReference, Plane)]) -> Result<Vec<u8>, PreviewError> {
    let mut rgba = Vec::with_capacity(4 * grid.width * grid.height);
    for place in places(grid) {
        let here = |(region, change): &(&RegionReference, Plane)| region.grid().value(change, place);
        let value = changes.iter().filter_map(here).find(|value| !value.is_nan());
        let end = match value {
            Some(value) if value.is_infinite() => NEW,
            Some(value) if value > 0.0 => WORSE,
            _ => BETTER,
        };
        let share = (value.unwrap_or(0.0).abs() / FULL).min(1.0);
        rgba.extend((0..3).map(|k| (SAME[k] + share * (end[k] - SAME[k])) as u8));
        rgba.push(if value.is_some() { 220 } else { 0 });
    }
    encode_png(&rgba, grid.width, grid.height)
}

/// How sure the registration is, black 0 to white 1.
fn confidence(grid: &Grid, overlay: &Overlay) -> Result<Vec<u8>, PreviewError> {
    let grey: Vec<u8> = places(grid).map(|place| (overlay.confidence_at(place) * 255.0) as u8).collect();
    encode_png(&grey, grid.width, grid.height)
}

fn places(grid: &Grid) -> impl Iterator<Item = [f64; 2]> {
    (0..grid.width * grid.height).map(|i| grid.place(i % grid.width, i / grid.width))
}
