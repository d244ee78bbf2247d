//! What a photo shows, before anything is compared: face, colour card, scale, regions and skin.

use cicatrix_align::Grid;
use cicatrix_card::Card;
use cicatrix_locate::{Face, LocatedRegion, RegionProblem, Scale, ScaleHints, SkinMap, regions, scale};
use cicatrix_model::View;
use cicatrix_photo::{Bounds, Frame, Overview};

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

/// Known skin is read at every so many millimetres.
const SEED_MM: f64 = 0.8;

impl Survey {
    pub fn of(frame: &Frame, photo: &Photo<'_>, protocol: &Protocol) -> Self {
        let overview = Overview::of(frame);
        let face = head::face(&overview, photo.view);
        let chart = Chart::of(frame, &overview);
        let hints = ScaleHints {
            card_px_per_mm: chart.px_per_mm(protocol.card_pitch_mm),
            manifest_px_per_mm: photo.px_per_mm,
            face: face.as_ref(),
            view: photo.view,
        };
        let scale = scale(frame, &hints);
        let regions = regions(photo.regions, face.as_ref(), frame.width, frame.height);
        let mut survey = Self { face, scale, regions, skin: None, chart };
        survey.look_for_skin(&overview, photo.view, protocol);
        survey
    }

    /// Colour cards, the largest first.
    pub fn cards(&self) -> &[Card] {
        self.chart.cards()
    }

    /// Where the photo may show more than skin: not in close-ups, nor where nobody says what it shows and no face was found.
    /// Skin is learned from the regions; from likely colours, where the whole frame is the region.
    fn look_for_skin(&mut self, overview: &Overview, view: Option<&View>, protocol: &Protocol) {
        if self.face.is_none() && matches!(view, None | Some(View::Closeup(_))) {
            return;
        }
        let px_per_mm = self.scale.px_per_mm;
        self.skin = match &mut self.regions[..] {
            [Ok(only)] if only.is_frame => {
                let skin = guess(overview, px_per_mm, protocol);
                if let Some(bounds) = skin.as_ref().and_then(SkinMap::bounds) {
                    *only = only.cut_to(&bounds);
                }
                skin
            }
            _ => SkinMap::of(overview, px_per_mm, &self.places_in_regions(), &protocol.skin_limits()),
        };
    }

    /// Places all over the regions that are skin, px; none where skin was not looked for.
    pub(crate) fn places_of_skin(&self) -> Option<Vec<[f64; 2]>> {
        let skin = self.skin.as_ref()?;
        Some(self.places_in_regions().into_iter().filter(|place| skin.is_skin(*place)).collect())
    }

    fn places_in_regions(&self) -> Vec<[f64; 2]> {
        let pace = SEED_MM * self.scale.px_per_mm;
        self.regions.iter().flatten().flat_map(|region| places_in(region, pace)).collect()
    }
}

/// The largest piece of what looks like skin.
fn guess(overview: &Overview, px_per_mm: f64, protocol: &Protocol) -> Option<SkinMap> {
    SkinMap::guess(overview, px_per_mm, &protocol.skin_limits()).map(SkinMap::largest)
}

/// The box around the patient in a photo that shows more than skin: the face, else what looks like skin.
pub(crate) fn patient(overview: &Overview, face: Option<&Face>, px_per_mm: f64, protocol: &Protocol) -> Option<Bounds> {
    match face {
        Some(face) => Some(head::bounds(face)),
        None => guess(overview, px_per_mm, protocol)?.bounds(),
    }
}

fn places_in(region: &LocatedRegion, pace: f64) -> impl Iterator<Item = [f64; 2]> {
    let b = region.bounds();
    let nodes = |length: f64| (length / pace) as usize + 1;
    let grid = Grid { origin_px: [b.left, b.top], pitch_px: pace, width: nodes(b.width()), height: nodes(b.height()) };
    let all = (0..grid.width * grid.height).map(move |i| grid.place(i % grid.width, i / grid.width));
    all.filter(|place| region.contains(*place))
}
