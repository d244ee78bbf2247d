//! What is drawn over a photo, for the eye: regions, scars, the way of the light, colour cards.

use cicatrix_assess::Reference;
use cicatrix_card::{Card, FIRST_NEUTRAL, PATCHES};
use cicatrix_photo::Plane;

use crate::canvas::{Canvas, GREEN, PURPLE, SKY, VERMILION, YELLOW};

/// A baseline's regions (blue), their scars (vermilion; raised ones purple), an arrow along the light of each (yellow) and the
/// photo's cards (green), on a picture of it that is `step` times smaller.
pub(crate) fn draw_reference(canvas: &mut Canvas, reference: &Reference, step: f64) {
    draw_masks(canvas, reference, step);
    for region in reference.regions() {
        if let Some(light) = region.towards_light() {
            // In the corner of the region's box.
            let grid = region.grid();
            let reach = 0.1 * grid.pitch_px * grid.width.min(grid.height) as f64 / step;
            let corner = grid.origin_px.map(|v| v / step + 1.4 * reach);
            let lamp = [0, 1].map(|k| corner[k] + reach * light[k]);
            canvas.arrow(lamp, corner, YELLOW);
        }
    }
    for card in reference.cards() {
        draw_card(canvas, card, GREEN, step);
    }
}

/// Regions and scars alone, on whatever is laid over the baseline.
pub(crate) fn draw_masks(canvas: &mut Canvas, reference: &Reference, step: f64) {
    for region in reference.regions() {
        let (grid, mask) = (region.grid(), region.mask());
        let at = |plane: &Plane, place: [f64; 2]| grid.value(plane, place.map(|v| v * step)) > Some(0.5);
        canvas.outline(|place| at(&mask.region, place), SKY);
        if let Some(raised) = &mask.raised {
            canvas.outline(|place| at(raised, place), PURPLE);
        }
        canvas.outline(|place| at(&mask.scar, place), VERMILION);
    }
}

/// The outline of a card and a cross on each patch, green where it is used; a line joins the neutral patches, white to
/// black, so that it shows which way round the card was read.
pub(crate) fn draw_card(canvas: &mut Canvas, card: &Card, colour: [u8; 3], step: f64) {
    let small = |place: [f64; 2]| place.map(|v| v / step);
    canvas.polygon(&card.corners_px.map(small), colour);
    let neutral = [FIRST_NEUTRAL, PATCHES - 1].map(|patch| small(card.patches[patch].centre_px));
    canvas.line(neutral[0], neutral[1], colour);
    for patch in &card.patches {
        let (colour, arm) = (if patch.usable { GREEN } else { VERMILION }, card.pitch_px / 6.0 / step);
        let [x, y] = small(patch.centre_px);
        canvas.line([x - arm, y], [x + arm, y], colour);
        canvas.line([x, y - arm], [x, y + arm], colour);
    }
}
