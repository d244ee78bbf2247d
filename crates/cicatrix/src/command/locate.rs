//! `locate`: what is found in one photo, without a database.

use std::path::Path;

use cicatrix_card::{Card, Correction, FIRST_NEUTRAL, Layout, PATCHES, cards};
use cicatrix_photo::Frame;
use serde_json::{Value, json};

use crate::args::{Global, LocateArgs};
use crate::command::align::{read, write_png};
use crate::config::Config;
use crate::exit;
use crate::print::out;

/// Colours of the overlay: Okabe–Ito bluish green for what is used, vermilion for what is not.
const USED: [u8; 3] = [0, 158, 115];
const NOT_USED: [u8; 3] = [213, 94, 0];

pub(crate) fn locate(args: &LocateArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let frame = read(&args.photo, &settings.protocol()?.limits)?;
    let found: Vec<(Card, Option<Correction>)> = cards(&frame)
        .into_iter()
        .map(|card| {
            let correction = Correction::of(&card);
            (card, correction)
        })
        .collect();
    if let Some(path) = &args.overlay {
        draw(path, &frame, &found)?;
    }
    if global.json {
        let cards: Vec<Value> = found.iter().map(|(card, correction)| described(card, correction.as_ref())).collect();
        out(&json!({"width": frame.width, "height": frame.height, "cards": cards}).to_string())?;
        return Ok(exit::DONE);
    }
    out(&format!("{} x {} px", frame.width, frame.height))?;
    if found.is_empty() {
        out("No colour card.")?;
    }
    for (card, correction) in &found {
        out(&told(card, correction.as_ref()))?;
    }
    Ok(exit::DONE)
}

fn name(layout: Layout) -> &'static str {
    match layout {
        Layout::Classic => "classic24",
        Layout::Strip => "strip24",
    }
}

fn told(card: &Card, correction: Option<&Correction>) -> String {
    let usable = card.patches.iter().filter(|patch| patch.usable).count();
    let [x, y] = card.corners_px[0].map(f64::round);
    let head = format!(
        "Colour card {}: {} of {PATCHES} patches seen, {usable} usable, {:.1} px apart, dark skin at {x}, {y}.",
        name(card.layout),
        card.seen(),
        card.pitch_px
    );
    match correction {
        Some(found) => format!(
            "{head}\n  Colours are corrected by {} patches to a median CIEDE2000 of {:.1}; tone curve {:.2}.",
            found.patches, found.residual, found.gamma
        ),
        None => format!(
            "{head}\n  No correction: too few patches can be used, or they have other colours than the classic chart."
        ),
    }
}

fn described(card: &Card, correction: Option<&Correction>) -> Value {
    let patches: Vec<Value> = card
        .patches
        .iter()
        .map(|p| json!({"centre_px": p.centre_px, "linear": p.linear, "seen": p.seen, "usable": p.usable}))
        .collect();
    json!({
        "layout": name(card.layout),
        "corners_px": card.corners_px,
        "pitch_px": card.pitch_px,
        "agreement": card.agreement,
        "patches": patches,
        "correction": correction,
    })
}

/// The upright photo with the outline of each card and a cross on each patch; a line joins the neutral patches, white to
/// black, so that it shows which way round the card was read.
fn draw(path: &Path, frame: &Frame, found: &[(Card, Option<Correction>)]) -> anyhow::Result<()> {
    let mut rgb = frame.to_srgb8();
    let mut line = |a: [f64; 2], b: [f64; 2], colour: [u8; 3]| {
        let steps = (a[0] - b[0]).abs().max((a[1] - b[1]).abs()).ceil().max(1.0);
        for i in 0..=steps as usize {
            let t = i as f64 / steps;
            let [x, y] = [0, 1].map(|k| (a[k] + t * (b[k] - a[k])).round());
            if x >= 0.0 && y >= 0.0 && x < frame.width as f64 && y < frame.height as f64 {
                let at = 3 * (y as usize * frame.width + x as usize);
                rgb[at..at + 3].copy_from_slice(&colour);
            }
        }
    };
    for (card, correction) in found {
        let colour = if correction.is_some() { USED } else { NOT_USED };
        for i in 0..4 {
            line(card.corners_px[i], card.corners_px[(i + 1) % 4], colour);
        }
        line(card.patches[FIRST_NEUTRAL].centre_px, card.patches[PATCHES - 1].centre_px, colour);
        for patch in &card.patches {
            let (colour, arm) = (if patch.usable { USED } else { NOT_USED }, card.pitch_px / 6.0);
            let [x, y] = patch.centre_px;
            line([x - arm, y], [x + arm, y], colour);
            line([x, y - arm], [x, y + arm], colour);
        }
    }
    write_png(path, &rgb, frame.width, frame.height)
}
