//! The baseline of a series, made ready once: features, scale, card, and its regions.

use cicatrix_align::{Grid, Prepared};
use cicatrix_locate::{LocatedRegion, Scale, regions, scale};
use cicatrix_model::{Reason, Region, RegionPolygon, ScaleSource};
use cicatrix_photo::{Rejection, decode};
use sha2::{Digest, Sha256};

use crate::chart::Chart;
use crate::protocol::Protocol;
use crate::region_reference::{RegionReference, grid};

/// A photo as it comes: bytes, what its name claims, and what the manifest says of it.
#[derive(Debug, Clone, Copy)]
pub struct Photo<'a> {
    pub bytes: &'a [u8],
    /// Extension of its name, without the dot.
    pub extension: &'a str,
    pub px_per_mm: Option<f64>,
    pub regions: &'a [RegionPolygon],
}

/// Everything about the baseline that a follow-up is compared with.
#[derive(Debug, Clone)]
pub struct Reference {
    pub(crate) prepared: Prepared,
    pub(crate) chart: Chart,
    pub(crate) regions: Vec<RegionReference>,
    /// Regions in which nothing can be compared, with the reason.
    pub(crate) refused: Vec<(Region, Reason)>,
    pub(crate) scale: Scale,
    /// SHA-256 of masks and grids: two observations with the same digest were measured on the same skin.
    pub(crate) mask_digest: String,
}

/// Nodes of all grids together.
const MOST_NODES: usize = 4_000_000;

/// Prepares a baseline, or says why it cannot be one. A region that cannot be compared is refused by itself, as long as
/// another one can.
pub fn prepare(photo: &Photo<'_>, protocol: &Protocol) -> Result<Reference, Rejection> {
    let (frame, _) = decode(photo.bytes, photo.extension, &protocol.limits)?;
    let scale = scale(photo.px_per_mm, frame.width, frame.height);
    let located = regions(photo.regions, frame.width, frame.height)
        .map_err(|problem| Rejection::new(Reason::ViewMismatch, problem.detail))?;
    if scale.px_per_mm < protocol.gate.px_per_mm[1] {
        let detail = format!("{:.1} px/mm, {} are needed", scale.px_per_mm, protocol.gate.px_per_mm[1]);
        return Err(Rejection::new(Reason::ResolutionLow, detail));
    }
    let grids: Vec<(&LocatedRegion, Result<Grid, Rejection>)> =
        located.iter().map(|region| (region, grid(region, &frame, &scale, protocol.grid_pitch_mm))).collect();
    let nodes = grids.iter().filter_map(|(_, grid)| grid.as_ref().ok()).map(|grid| grid.width * grid.height);
    if nodes.sum::<usize>() > MOST_NODES {
        return Err(Rejection::new(Reason::ZoomOff, "the photo shows more skin than a region has: check px_per_mm"));
    }
    let chart = Chart::of(&frame);
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for (region, grid) in grids {
        match grid.and_then(|grid| RegionReference::new(region, grid, &frame, &chart, protocol)) {
            Ok(reference) => found.push(reference),
            Err(rejection) => refused.push((region.name.clone(), rejection)),
        }
    }
    if found.is_empty() {
        // `regions` gives one at least.
        return Err(refused.swap_remove(0).1);
    }
    Ok(Reference {
        prepared: Prepared::new(&frame, protocol.align.precision),
        chart,
        scale,
        mask_digest: digest(&found),
        regions: found,
        refused: refused.into_iter().map(|(region, rejection)| (region, rejection.reason)).collect(),
    })
}

impl Reference {
    /// Width and height of the baseline's photo, px.
    pub fn photo_size(&self) -> (usize, usize) {
        (self.prepared.width, self.prepared.height)
    }

    pub fn regions(&self) -> &[RegionReference] {
        &self.regions
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
