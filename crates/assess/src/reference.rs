//! The baseline of a series, made ready once: features, scale, card, and its regions.

use cicatrix_card::Card;
use cicatrix_locate::{Pose, Scale, contradicting_eyes};
use cicatrix_model::{Reason, Region, RegionPolygon, ScaleSource, View};
use cicatrix_photo::{Bounds, Rejection, decode, inspect};
use sha2::{Digest, Sha256};

use crate::chart::Chart;
use crate::head;
use crate::overlay::Part;
use crate::protocol::Protocol;
use crate::region_reference::{RegionReference, grid};
use crate::survey::Survey;

/// A photo as it comes: bytes, what its name claims, and what the manifest says of it.
#[derive(Debug, Clone, Copy)]
pub struct Photo<'a> {
    pub bytes: &'a [u8],
    /// Extension of its name, without the dot.
    pub extension: &'a str,
    pub px_per_mm: Option<f64>,
    /// What it shows; none where nobody says it.
    pub view: Option<&'a View>,
    pub regions: &'a [RegionPolygon],
}

/// Everything about the baseline that a follow-up is compared with.
#[derive(Debug, Clone)]
pub struct Reference {
    pub(crate) part: Part,
    size_px: (usize, usize),
    pub(crate) chart: Chart,
    pub(crate) regions: Vec<RegionReference>,
    /// Regions in which nothing can be compared, with the reason.
    pub(crate) refused: Vec<(Region, Rejection)>,
    pub(crate) scale: Scale,
    /// How the head is turned, where a face was found.
    pub(crate) pose: Option<Pose>,
    /// Places in the regions that are skin, px, where skin was looked for: what a follow-up's is learned from.
    pub(crate) places_of_skin: Option<Vec<[f64; 2]>>,
    /// What is to be said of all its regions, if anything is.
    pub(crate) remark: Option<&'static str>,
    /// SHA-256 of masks and grids: two observations with the same digest were measured on the same skin.
    pub(crate) mask_digest: String,
}

/// Said of the region `whole` of a face view.
const WITHOUT_FACE: &str =
    "no face was found in the baseline's photo and no region is drawn on it: all of its skin is measured as one";
/// Nodes of all grids of a photo together; one with more is refused.
pub const MOST_NODES: usize = 4_000_000;

/// Pixels of a frame, from the file's header; none for a file that would be rejected unread.
pub fn frame_pixels(bytes: &[u8], extension: &str, protocol: &Protocol) -> Option<u64> {
    let container = inspect(bytes, extension, &protocol.limits).ok()?;
    Some(u64::from(container.width) * u64::from(container.height))
}

/// Prepares a baseline, or says why it cannot be one. A region that cannot be compared is refused by itself, as long as
/// another one can.
pub fn prepare(photo: &Photo<'_>, protocol: &Protocol) -> Result<Reference, Rejection> {
    let (frame, _) = decode(photo.bytes, photo.extension, &protocol.limits)?;
    let survey = Survey::of(&frame, photo, protocol);
    let (face, scale) = (&survey.face, survey.scale);
    head::check_view(face.as_ref(), photo.view, !photo.regions.is_empty())?;
    if let Some(eyes) = contradicting_eyes(&scale, face.as_ref()) {
        let detail = format!(
            "{:.1} px/mm by the {}, and about {eyes:.1} by the distance of the pupils: correct px_per_mm, or card_pitch_mm",
            scale.px_per_mm,
            scale.source.name()
        );
        return Err(Rejection::new(Reason::ZoomOff, detail));
    }
    if scale.px_per_mm < protocol.gate.px_per_mm[1] {
        let detail = format!("{:.1} px/mm, {} are needed", scale.px_per_mm, protocol.gate.px_per_mm[1]);
        return Err(Rejection::new(Reason::ResolutionLow, detail));
    }
    let (mut located, mut refused) = (Vec::new(), Vec::new());
    for region in &survey.regions {
        match region {
            Ok(region) => match grid(region, &frame, &scale, protocol.grid_pitch_mm) {
                Ok(grid) => located.push((region, grid)),
                Err(rejection) => refused.push((region.name.clone(), rejection)),
            },
            Err(problem) => {
                let rejection = Rejection::new(Reason::ViewMismatch, problem.detail.clone());
                refused.push((problem.region.clone(), rejection));
            }
        }
    }
    let stands_for_units = photo.view.is_some_and(View::is_face) && located.iter().all(|(region, _)| region.is_frame);
    // Of a close-up all is registered, of a head the part that shows the patient.
    let boxes = located.iter().map(|(region, _)| region.bounds()).chain(face.iter().map(head::bounds));
    let bounds = survey.skin.as_ref().and_then(|_| boxes.reduce(|a, b| Bounds::with(&a, &b)));
    let nodes: usize = located.iter().map(|(_, grid)| grid.width * grid.height).sum();
    if nodes > MOST_NODES {
        let mm2 = nodes as f64 * protocol.grid_pitch_mm.powi(2);
        let most = MOST_NODES as f64 * protocol.grid_pitch_mm.powi(2);
        let way_out = match stands_for_units {
            true => "a wall of the colour of skin is taken for skin: photograph before another one, or draw regions",
            false => "draw fewer, or check px_per_mm",
        };
        let detail = format!("the regions show {mm2:.0} mm² of skin, {most:.0} can be scored: {way_out}");
        return Err(Rejection::new(Reason::ZoomOff, detail));
    }
    let mut found = Vec::new();
    for (region, grid) in located {
        match RegionReference::new(region, grid, &frame, &survey, protocol) {
            Ok(reference) => found.push(reference),
            Err(rejection) => refused.push((region.name.clone(), rejection)),
        }
    }
    if found.is_empty() {
        // `regions` gives one at least.
        return Err(refused.swap_remove(0).1);
    }
    Ok(Reference {
        part: Part::of(&frame, bounds, protocol.align.precision),
        size_px: (frame.width, frame.height),
        scale,
        pose: face.as_ref().map(|face| face.pose),
        places_of_skin: survey.places_of_skin(),
        chart: survey.chart,
        remark: stands_for_units.then_some(WITHOUT_FACE),
        mask_digest: digest(&found),
        regions: found,
        refused,
    })
}

impl Reference {
    /// Width and height of the baseline's photo, px.
    pub fn photo_size(&self) -> (usize, usize) {
        self.size_px
    }

    pub fn regions(&self) -> &[RegionReference] {
        &self.regions
    }

    /// Colour cards in the baseline's photo.
    pub fn cards(&self) -> &[Card] {
        self.chart.cards()
    }

    /// Whether a place of the baseline's photo lies in a scar that `psi` is of.
    pub fn is_scar(&self, place_px: [f64; 2]) -> bool {
        self.regions.iter().any(|region| region.grid.value(&region.mask.scar, place_px) > Some(0.5))
    }

    /// Area of a grid's node in mm², where the scale is known.
    pub(crate) fn node_mm2(&self, region: &RegionReference) -> Option<f64> {
        let pitch_mm = region.grid.pitch_px / self.scale.px_per_mm;
        (self.scale.source != ScaleSource::Unknown).then_some(pitch_mm * pitch_mm)
    }
}

fn digest(regions: &[RegionReference]) -> String {
    let mut hash = Sha256::new();
    for region in regions {
        hash.update(format!("{:?}", region.grid));
        hash.update(region.name.as_str());
        hash.update(region.mask.scar.data.iter().map(|v| u8::from(*v > 0.5)).collect::<Vec<u8>>());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
