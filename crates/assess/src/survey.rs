//! What a photo shows, before anything is compared: face, colour card, scale, regions and skin.

use cicatrix_align::Grid;
use cicatrix_card::Card;
use cicatrix_locate::{Face, LocatedRegion, RegionProblem, Scale, ScaleHints, SkinMap, regions, scale};
use cicatrix_photo::Frame;

use crate::chart::Chart;
use crate::head;
use crate::protocol::Protocol;
use crate::reference::Photo;

/// A frame with what was found in it.
#[derive(Debug, Clone)]
pub struct Survey {
    pub face: Option<Face>,
    pub scale: Scale,
    /// What a baseline would be scored in, one at least. Where a face was not found and nothing was drawn, all of the skin.
    pub regions: Vec<Result<LocatedRegion, RegionProblem>>,
    /// Where skin is, where the photo may show more than that.
    pub skin: Option<SkinMap>,
    pub(crate) chart: Chart,
}

impl Survey {
    pub fn of(frame: &Frame, photo: &Photo<'_>, protocol: &Protocol) -> Self {
        let face = head::face(frame, photo.view);
        let chart = Chart::of(frame);
        let hints = ScaleHints {
            card_px_per_mm: chart.px_per_mm(protocol.card_pitch_mm),
            manifest_px_per_mm: photo.px_per_mm,
            face: face.as_ref(),
            view: photo.view,
        };
        let scale = scale(frame, &hints);
        let mut regions = regions(photo.regions, face.as_ref(), frame.width, frame.height);
        let maps_skin = face.is_some() || head::shows_more_than_skin(photo.view);
        let skin = maps_skin.then(|| skin(frame, &regions, &scale, protocol)).flatten();
        if let (Some(bounds), [Ok(only)]) = (skin.as_ref().and_then(SkinMap::bounds), &mut regions[..])
            && only.is_whole()
        {
            *only = only.cut_to(bounds);
        }
        Self { face, scale, regions, skin, chart }
    }

    /// Colour cards, the largest first.
    pub fn cards(&self) -> &[Card] {
        self.chart.cards()
    }
}

/// The box around the skin of a frame of which nothing is known.
pub(crate) fn skin_bounds(frame: &Frame, px_per_mm: f64, protocol: &Protocol) -> Option<[f64; 4]> {
    SkinMap::guess(frame, px_per_mm, &protocol.skin_limits()).map(SkinMap::largest)?.bounds()
}

/// Learned from the regions; from likely colours, where the whole frame is the region.
fn skin(
    frame: &Frame,
    regions: &[Result<LocatedRegion, RegionProblem>],
    scale: &Scale,
    protocol: &Protocol,
) -> Option<SkinMap> {
    let limits = protocol.skin_limits();
    let located: Vec<&LocatedRegion> = regions.iter().flatten().collect();
    if located.iter().all(|region| region.is_whole()) {
        return SkinMap::guess(frame, scale.px_per_mm, &limits).map(SkinMap::largest);
    }
    let pace = SEED_MM * scale.px_per_mm;
    let known: Vec<[f64; 2]> = located.iter().flat_map(|region| places_in(region, pace)).collect();
    SkinMap::of(frame, scale.px_per_mm, &known, &limits)
}

/// Known skin is read at every so many millimetres.
const SEED_MM: f64 = 0.8;

fn places_in(region: &LocatedRegion, pace: f64) -> impl Iterator<Item = [f64; 2]> {
    let [left, top, right, bottom] = region.bounds();
    let nodes = |length: f64| (length / pace) as usize + 1;
    let grid = Grid { origin_px: [left, top], pitch_px: pace, width: nodes(right - left), height: nodes(bottom - top) };
    let all = (0..grid.width * grid.height).map(move |i| grid.place(i % grid.width, i / grid.width));
    all.filter(|place| region.contains(*place))
}
