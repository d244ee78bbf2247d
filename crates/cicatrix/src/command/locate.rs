//! `locate`: what is found in one photo, without a database.

use std::path::Path;

use cicatrix_card::{Card, Correction, FIRST_NEUTRAL, Layout, PATCHES, cards};
use cicatrix_photo::Frame;
use serde_json::{Value, json};

use crate::args::{Global, LocateArgs};
use crate::canvas::{Canvas, GREEN, VERMILION};
use crate::command::align::read;
use crate::config::Config;
use crate::exit;
use crate::print::out;

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

/// The upright photo with the outline of each card and a cross on each patch, green where it is used; a line joins the
/// neutral patches, white to black, so that it shows which way round the card was read.
fn draw(path: &Path, frame: &Frame, found: &[(Card, Option<Correction>)]) -> anyhow::Result<()> {
    let mut canvas = Canvas::on(frame);
    for (card, correction) in found {
        let colour = if correction.is_some() { GREEN } else { VERMILION };
        for i in 0..4 {
            canvas.line(card.corners_px[i], card.corners_px[(i + 1) % 4], colour);
        }
        canvas.line(card.patches[FIRST_NEUTRAL].centre_px, card.patches[PATCHES - 1].centre_px, colour);
        for patch in &card.patches {
            let (colour, arm) = (if patch.usable { GREEN } else { VERMILION }, card.pitch_px / 6.0);
            let [x, y] = patch.centre_px;
            canvas.line([x - arm, y], [x + arm, y], colour);
            canvas.line([x, y - arm], [x, y + arm], colour);
        }
    }
    canvas.save(path)
}
