//! `locate`: what is found in one photo, without a database.

use std::path::Path;

use cicatrix_assess::{Photo, Survey};
use cicatrix_card::{Card, Correction, Layout, PATCHES};
use cicatrix_locate::{Face, LocatedRegion, contradicting_eyes, contradicts, not_skin, view_of};
use cicatrix_model::{ScaleSource, View};
use cicatrix_photo::Frame;
use serde_json::{Value, json};

use crate::args::{Global, LocateArgs};
use crate::canvas::{Canvas, GREEN, PURPLE, SKY, VERMILION, YELLOW};
use crate::command::align::read;
use crate::command::score::Described;
use crate::config::Config;
use crate::exit;
use crate::marks::draw_card;
use crate::print::out;

pub(crate) fn locate(args: &LocateArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let mut protocol = settings.protocol()?;
    protocol.card_pitch_mm = args.card_pitch_mm.unwrap_or(protocol.card_pitch_mm);
    let frame = read(&args.photo, &protocol.limits)?;
    let described = Described::beside_manifest(&args.photo)?;
    let Photo { view, .. } = described.photo();
    let survey = Survey::of(&frame, &described.photo(), &protocol);
    let cards: Vec<(&Card, Option<Correction>)> = survey.cards().iter().map(|c| (c, Correction::of(c))).collect();
    if let Some(path) = &args.overlay {
        draw(path, &frame, &survey, &cards)?;
    }
    match global.json {
        true => out(&described_json(&frame, view, &survey, &cards).to_string())?,
        false => tell(&frame, view, &survey, &cards)?,
    }
    Ok(exit::DONE)
}

fn name(layout: Layout) -> &'static str {
    match layout {
        Layout::Classic => "classic24",
        Layout::Strip => "strip24",
    }
}

/// Share of a region that is skin; none where skin was not looked for.
fn skin_share(survey: &Survey, region: &LocatedRegion) -> Option<f64> {
    Some(survey.skin.as_ref()?.share(|place| region.contains(place)).unwrap_or(0.0))
}

/// How large a region is, as far as that is known.
fn size_told(survey: &Survey, region: &LocatedRegion) -> String {
    let size = match survey.scale.source {
        ScaleSource::Unknown => format!("{:.0} px²", region.area()),
        _ => format!("{:.0} mm² on the photo", region.area() / survey.scale.px_per_mm.powi(2)),
    };
    skin_share(survey, region).map_or(size.clone(), |share| format!("{size}, {:.0} % skin", 100.0 * share))
}

fn tell(
    frame: &Frame,
    view: Option<&View>,
    survey: &Survey,
    cards: &[(&Card, Option<Correction>)],
) -> anyhow::Result<()> {
    out(&format!("{} x {} px", frame.width, frame.height))?;
    match (&survey.face, view) {
        (Some(face), _) => {
            let (pose, seen) = (&face.pose, view_of(&face.pose));
            out(&format!(
                "Face, seen as {seen}: yaw {:.0}°, pitch {:.0}°, roll {:.0}°.",
                pose.yaw_deg, pose.pitch_deg, pose.roll_deg
            ))?;
            if let Some(claimed) = view.filter(|view| contradicts(pose, view)) {
                out(&format!("  It is named {claimed}: check for a swapped or mirrored file."))?;
            }
        }
        (None, Some(View::Closeup(_) | View::Body(_))) => out("No face is looked for in this view.")?,
        (None, _) if !cicatrix_locate::CAN_FIND => out("This build cannot find faces.")?,
        (None, _) => out("No face.")?,
    }
    out(&scale_told(survey))?;
    if let Some(eyes) = contradicting_eyes(&survey.scale, survey.face.as_ref()) {
        out(&format!(
            "  By the distance of the pupils it is about {eyes:.1} px/mm: one of the two is wrong, and a run refuses the photo."
        ))?;
    }
    if survey.skin.is_none() {
        out("Skin is not told from its surroundings here: all of the frame counts as skin.")?;
    }
    for region in &survey.regions {
        match region {
            Ok(region) => out(&format!("{}: {}", region.name, size_told(survey, region)))?,
            Err(problem) => out(&format!("{}: {}", problem.region, problem.detail))?,
        }
    }
    if cards.is_empty() {
        out("No colour card.")?;
    }
    for (card, correction) in cards {
        out(&card_told(card, correction.as_ref()))?;
    }
    Ok(())
}

fn scale_told(survey: &Survey) -> String {
    let scale = &survey.scale;
    let source = match scale.source {
        ScaleSource::Card => "by the colour card",
        ScaleSource::Manifest => "by the manifest",
        ScaleSource::Iris => "by the iris, 11.7 mm in adults",
        ScaleSource::Pupils => "by the distance of the pupils, 63 mm in adults",
        ScaleSource::Unknown => "a guess: nothing tells the scale, so what needs millimetres is left out",
    };
    format!("{:.2} px/mm ± {:.0} %, {source}", scale.px_per_mm, 100.0 * scale.relative_sd)
}

fn card_told(card: &Card, correction: Option<&Correction>) -> String {
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

fn described_json(
    frame: &Frame,
    claimed: Option<&View>,
    survey: &Survey,
    cards: &[(&Card, Option<Correction>)],
) -> Value {
    let regions: Vec<Value> = survey
        .regions
        .iter()
        .map(|region| match region {
            Ok(region) => json!({
                "region": region.name,
                "polygon_px": region.polygon_px,
                "holes_px": region.holes.iter().map(cicatrix_locate::Outline::points).collect::<Vec<_>>(),
                "skin_share": skin_share(survey, region),
            }),
            Err(problem) => json!({"region": problem.region, "problem": problem.detail}),
        })
        .collect();
    json!({
        "width": frame.width,
        "height": frame.height,
        "view": claimed,
        "face": survey.face.as_ref().map(|face| face_json(face, claimed)),
        "px_per_mm": survey.scale.px_per_mm,
        "scale_source": survey.scale.source,
        "scale_relative_sd": survey.scale.relative_sd,
        "regions": regions,
        "cards": cards.iter().map(|(card, correction)| card_json(card, correction.as_ref())).collect::<Vec<_>>(),
    })
}

fn face_json(face: &Face, claimed: Option<&View>) -> Value {
    json!({
        "seen_view": view_of(&face.pose),
        "contradicts_view": claimed.map(|view| contradicts(&face.pose, view)),
        "yaw_deg": face.pose.yaw_deg,
        "pitch_deg": face.pose.pitch_deg,
        "roll_deg": face.pose.roll_deg,
        "confidence": face.confidence,
    })
}

fn card_json(card: &Card, correction: Option<&Correction>) -> Value {
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

/// The upright photo with its regions (blue), what of them is no skin (purple), eyes, brows and lips (yellow) and cards.
fn draw(path: &Path, frame: &Frame, survey: &Survey, cards: &[(&Card, Option<Correction>)]) -> anyhow::Result<()> {
    let mut canvas = Canvas::on(frame);
    let regions: Vec<&LocatedRegion> = survey.regions.iter().flatten().collect();
    if let Some(skin) = &survey.skin {
        let is_lost = |place| !skin.is_skin(place) && regions.iter().any(|region| region.contains(place));
        canvas.outline(is_lost, PURPLE);
    }
    for hole in survey.face.iter().flat_map(not_skin) {
        canvas.polygon(hole.points(), YELLOW);
    }
    for region in regions.iter().filter(|region| !region.is_frame || survey.skin.is_some()) {
        canvas.polygon(&region.polygon_px, SKY);
    }
    for (card, correction) in cards {
        draw_card(&mut canvas, card, if correction.is_some() { GREEN } else { VERMILION }, 1.0);
    }
    canvas.save(path)
}
