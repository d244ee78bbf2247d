//! The baseline of a series, made ready once: grid, regions, scar masks, relief, features.

use cicatrix_align::{Grid, Patch, Prepared, resample};
use cicatrix_locate::{LocatedRegion, Scale, foreign, regions, scale};
use cicatrix_model::{Reason, Region, RegionPolygon, ScaleSource};
use cicatrix_normalize::{Shading, ln_plane};
use cicatrix_photo::{Exposure, Frame, Plane, Rejection, decode, exposure};
use cicatrix_score::{ColourNoise, Relief, ScarMask, Shot};
use sha2::{Digest, Sha256};

use crate::chart::Chart;
use crate::protocol::Protocol;

/// A photo as it comes: bytes, what its name claims, and what the manifest says of it.
#[derive(Debug, Clone, Copy)]
pub struct Photo<'a> {
    pub bytes: &'a [u8],
    /// Extension of its name, without the dot.
    pub extension: &'a str,
    pub px_per_mm: Option<f64>,
    pub regions: &'a [RegionPolygon],
}

/// One region of the baseline with the scars found in it.
#[derive(Debug, Clone)]
pub(crate) struct RegionReference {
    pub(crate) name: Region,
    pub(crate) mask: ScarMask,
    pub(crate) noise: ColourNoise,
}

/// Everything about the baseline that a follow-up is compared with.
#[derive(Debug, Clone)]
pub struct Reference {
    pub(crate) prepared: Prepared,
    pub(crate) grid: Grid,
    pub(crate) patch: Patch,
    /// The patch in the colours of the card in this photo, if there is one.
    pub(crate) colours: Option<Patch>,
    pub(crate) chart: Chart,
    pub(crate) relief: Relief,
    pub(crate) fine: Plane,
    pub(crate) regions: Vec<RegionReference>,
    /// Union of the regions, and of their reference skin.
    pub(crate) area: Plane,
    pub(crate) skin: Plane,
    pub(crate) scale: Scale,
    pub(crate) exposure: Exposure,
    /// Shade over the reference skin; none where there is too little of it.
    pub(crate) shading: Option<Shading>,
    /// SHA-256 of masks and grid: two observations with the same digest were measured on the same skin.
    pub(crate) mask_digest: String,
}

/// Skin around the regions that the bands may look at, mm.
const MARGIN_MM: f64 = 3.0;
/// The grid must have this many nodes on its shorter side, and no more than these in all.
const LEAST_SIDE: usize = 48;
const MOST_NODES: f64 = 4.0e6;
/// Nodes of reference skin without which nothing is compared.
const LEAST_SKIN: f32 = 500.0;

/// Prepares a baseline, or says why it cannot be one.
pub fn prepare(photo: &Photo<'_>, protocol: &Protocol) -> Result<Reference, Rejection> {
    let (frame, _) = decode(photo.bytes, photo.extension, &protocol.limits)?;
    let scale = scale(photo.px_per_mm, frame.width, frame.height);
    let located = regions(photo.regions, frame.width, frame.height)
        .map_err(|problem| Rejection::new(Reason::ViewMismatch, problem.detail))?;
    if scale.px_per_mm < protocol.gate.px_per_mm[1] {
        let detail = format!("{:.1} px/mm, {} are needed", scale.px_per_mm, protocol.gate.px_per_mm[1]);
        return Err(Rejection::new(Reason::ResolutionLow, detail));
    }
    let grid = grid(&located, &frame, &scale, protocol.grid_pitch_mm)?;
    let patch = resample(&frame, &grid, |place| place);
    let mut area = Plane::filled(grid.width, grid.height, 0.0);
    let planes: Vec<Plane> = located.iter().map(|r| rasterize(&grid, |place| r.contains(place))).collect();
    for plane in &planes {
        area = area.zip(plane, f32::max);
    }
    let chart = Chart::of(&frame);
    let weight = usable(&patch, &area, &chart.clear(&grid, |place| place), protocol);
    let px_per_mm = 1.0 / protocol.grid_pitch_mm;
    let ln = patch_ln(&patch);
    let lit = area.zip(&weight, |a, w| a * w);
    let light = Shading::of(ln.each_ref(), &lit, px_per_mm).and_then(|shading| shading.towards_light());
    let shot = Shot { ln: ln.each_ref(), weight: &weight, light, px_per_mm };
    let relief = Relief::new(&shot, &protocol.score);
    let mut skin = Plane::filled(grid.width, grid.height, 0.0);
    let mut found = Vec::new();
    for (region, plane) in located.iter().zip(&planes) {
        let mask = match region.scars.is_empty() {
            true => ScarMask::find(&shot, plane, &protocol.score),
            false => {
                let drawn = rasterize(&grid, |place| region.is_scar(place));
                ScarMask::drawn(&shot, plane, &drawn, &protocol.score)
            }
        };
        skin = skin.zip(&mask.reference, f32::max);
        let noise = ColourNoise::of(&ln[0], &ln[1], &weight, &mask, px_per_mm);
        found.push(RegionReference { name: region.name.clone(), mask, noise });
    }
    if skin.zip(&weight, |s, w| s * w).data.iter().sum::<f32>() < LEAST_SKIN {
        let detail = "the scars leave no skin in the regions that they could be compared with: draw a wider region";
        return Err(Rejection::new(Reason::NoScarsFound, detail));
    }
    let exposure = exposure(&frame, |x, y| located.iter().any(|r| r.contains([x as f64, y as f64])));
    let shading = Shading::of(ln.each_ref(), &skin.zip(&weight, |s, w| s * w), px_per_mm);
    let mask_digest = digest(&found, &grid);
    Ok(Reference {
        prepared: Prepared::new(&frame, protocol.align.precision),
        grid,
        fine: fine_detail(&ln[1], &weight),
        colours: chart.correct(&patch),
        chart,
        patch,
        relief,
        regions: found,
        area,
        skin,
        scale,
        exposure,
        shading,
        mask_digest,
    })
}

impl Reference {
    /// The grid over the baseline's photo that all of this lies on.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Width and height of the baseline's photo, px.
    pub fn photo_size(&self) -> (usize, usize) {
        (self.prepared.width, self.prepared.height)
    }

    /// Scars and reference skin of each region.
    pub fn masks(&self) -> impl Iterator<Item = (&Region, &ScarMask)> {
        self.regions.iter().map(|region| (&region.name, &region.mask))
    }

    /// Whether a place of the baseline's photo lies in a scar that `psi` is of.
    pub fn is_scar(&self, place_px: [f64; 2]) -> bool {
        self.regions.iter().any(|region| self.grid.value(&region.mask.scar, place_px) > 0.5)
    }

    /// Unit vector in the photo towards the light, where the skin's roundness tells it.
    pub fn towards_light(&self) -> Option<[f64; 2]> {
        self.shading.and_then(|shading| shading.towards_light())
    }

    /// Area of a grid node in mm², where the scale is known.
    pub(crate) fn node_mm2(&self) -> Option<f64> {
        let pitch_mm = self.grid.pitch_px / self.scale.px_per_mm;
        (self.scale.source != ScaleSource::Unknown).then_some(pitch_mm * pitch_mm)
    }
}

fn grid(located: &[LocatedRegion], frame: &Frame, scale: &Scale, pitch_mm: f64) -> Result<Grid, Rejection> {
    let margin = MARGIN_MM * scale.px_per_mm;
    let (right, bottom) = (frame.width as f64 - 1.0, frame.height as f64 - 1.0);
    let b = located.iter().map(LocatedRegion::bounds).fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |a, b| {
        [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
    });
    let (x0, y0) = ((b[0] - margin).max(0.0), (b[1] - margin).max(0.0));
    let (x1, y1) = ((b[2] + margin).min(right), (b[3] + margin).min(bottom));
    let pitch_px = pitch_mm * scale.px_per_mm;
    let nodes = |length: f64| (length / pitch_px).floor() + 1.0;
    if nodes(x1 - x0) * nodes(y1 - y0) > MOST_NODES {
        return Err(Rejection::new(Reason::ZoomOff, "the photo shows more skin than a region has: check px_per_mm"));
    }
    let (width, height) = (nodes(x1 - x0) as usize, nodes(y1 - y0) as usize);
    if width.min(height) < LEAST_SIDE {
        let detail = format!(
            "the regions measure only {:.1} mm: check px_per_mm and the polygons",
            (x1 - x0).min(y1 - y0) / scale.px_per_mm
        );
        return Err(Rejection::new(Reason::ZoomOff, detail));
    }
    Ok(Grid { origin_px: [x0, y0], pitch_px, width, height })
}

fn rasterize(grid: &Grid, inside: impl Fn([f64; 2]) -> bool) -> Plane {
    let mut plane = Plane::filled(grid.width, grid.height, 0.0);
    for row in 0..grid.height {
        for (column, value) in plane.row_mut(row).iter_mut().enumerate() {
            *value = f32::from(u8::from(inside(grid.place(column, row))));
        }
    }
    plane
}

/// Natural logarithms of a patch's red, green and blue.
pub(crate) fn patch_ln(patch: &Patch) -> [Plane; 3] {
    [&patch.red, &patch.green, &patch.blue].map(ln_plane)
}

/// 1 where the photo covers a node with skin that is neither highlight nor black. `clear` is 0 where a card lies.
pub(crate) fn usable(patch: &Patch, area: &Plane, clear: &Plane, protocol: &Protocol) -> Plane {
    let bright = protocol.score.highlight as f32;
    let lit = patch.green.zip(&patch.red, |g, r| if g < bright && r < 0.985 && r > 0.002 { 1.0 } else { 0.0 });
    let [r, g, b] = &patch_ln(patch);
    let shown = patch.inside.zip(clear, |i, c| i * c);
    let foreign = foreign([r, g, b], &shown, area, 1.0 / protocol.grid_pitch_mm, &protocol.foreign);
    lit.zip(&shown, |l, s| l * s).zip(&foreign, |w, f| w * (1.0 - f))
}

/// Squared detail at the scale of two grid nodes: what focus takes first.
pub(crate) fn fine_detail(ln_green: &Plane, weight: &Plane) -> Plane {
    cicatrix_photo::difference_of_gaussians(ln_green, weight, 0.8).map(|v| v * v)
}

fn digest(regions: &[RegionReference], grid: &Grid) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{grid:?}"));
    for region in regions {
        hash.update(region.name.as_str());
        hash.update(region.mask.scar.data.iter().map(|v| u8::from(*v > 0.5)).collect::<Vec<u8>>());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
