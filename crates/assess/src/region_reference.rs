//! One region of a baseline, made ready once: its grid, scars, skin, relief and light.

use cicatrix_align::{Grid, Patch, resample};
use cicatrix_locate::{LocatedRegion, Scale, edges, foreign};
use cicatrix_model::{Reason, Region};
use cicatrix_normalize::{Shading, ln_plane};
use cicatrix_photo::{Bounds, Exposure, Frame, Plane, Rejection, exposure};
use cicatrix_score::{ColourNoise, Relief, ScarMask, Shot};

use crate::protocol::Protocol;
use crate::survey::Survey;

/// A region of the baseline with the scars found in it. Everything lies on its own grid.
#[derive(Debug, Clone)]
pub struct RegionReference {
    pub(crate) name: Region,
    pub(crate) grid: Grid,
    pub(crate) patch: Patch,
    /// The patch in the colours of the card in this photo, if there is one.
    pub(crate) colours: Option<Patch>,
    /// ln red, and where it can be used, the edges of shadows counted in.
    pub(crate) ln_red: Plane,
    pub(crate) usable: Plane,
    pub(crate) relief: Relief,
    pub(crate) fine: Plane,
    pub(crate) mask: ScarMask,
    pub(crate) noise: ColourNoise,
    pub(crate) exposure: Exposure,
    /// Towards the light by which scars were found.
    light: Option<[f64; 2]>,
    /// Shade over the reference skin; none where there is too little of it.
    pub(crate) shading: Option<Shading>,
}

/// Room around the region, mm: what lies in it is not looked at.
const MARGIN_MM: f64 = 1.0;
/// The grid must have this many nodes on its shorter side.
const LEAST_SIDE: usize = 48;
/// Nodes of reference skin without which nothing is compared.
const LEAST_SKIN: f32 = 500.0;
/// Share of a region's outline that must be skin.
const LEAST_SKIN_SHARE: f64 = 0.5;

impl RegionReference {
    /// Corners of its grid, px of the baseline's photo, in a round.
    pub(crate) fn corners(&self) -> [[f64; 2]; 4] {
        let grid = &self.grid;
        let [left, top] = grid.origin_px;
        let right = left + grid.pitch_px * (grid.width.saturating_sub(1)) as f64;
        let bottom = top + grid.pitch_px * (grid.height.saturating_sub(1)) as f64;
        [[left, top], [right, top], [right, bottom], [left, bottom]]
    }

    pub(crate) fn new(
        region: &LocatedRegion,
        grid: Grid,
        frame: &Frame,
        Survey { chart, skin, .. }: &Survey,
        protocol: &Protocol,
    ) -> Result<Self, Rejection> {
        let patch = resample(frame, &grid, |place| place);
        let drawn = rasterize(&grid, |place| region.contains(place));
        let area = match skin {
            Some(skin) => drawn.zip(&rasterize(&grid, |place| skin.is_skin(place)), |d, s| d * s),
            None => drawn.clone(),
        };
        let share = area.data.iter().sum::<f32>() / drawn.data.iter().sum::<f32>().max(1.0);
        if f64::from(share) < LEAST_SKIN_SHARE && !region.is_frame {
            let detail = format!("{:.0} % of {} is hair, cloth or shade", 100.0 * (1.0 - share), region.name);
            return Err(Rejection::new(Reason::Occlusion, detail));
        }
        let usable = usable(&patch, &area, &chart.clear(&grid, |place| place), protocol);
        let px_per_mm = 1.0 / protocol.grid_pitch_mm;
        let ln = patch_ln(&patch);
        let weight = evenly_lit(&usable, &ln, protocol);
        // The light is read twice: over the whole region to find the scars by, then over the skin that they leave.
        let read = |skin: &Plane| Shading::of(ln.each_ref(), &skin.zip(&weight, |s, w| s * w), px_per_mm);
        let light = read(&area).and_then(|shading| shading.towards_light());
        let shot = Shot { ln: ln.each_ref(), weight: &weight, light, px_per_mm };
        let mask = match region.scars.is_empty() {
            true => ScarMask::find(&shot, &area, &protocol.score),
            false => {
                let drawn = rasterize(&grid, |place| region.is_scar(place));
                ScarMask::drawn(&shot, &area, &drawn, &protocol.score)
            }
        };
        if mask.reference.zip(&weight, |s, w| s * w).data.iter().sum::<f32>() < LEAST_SKIN {
            let detail = format!(
                "the scars of {} leave no skin that they could be compared with: draw a wider region",
                region.name
            );
            return Err(Rejection::new(Reason::NoScarsFound, detail));
        }
        Ok(Self {
            name: region.name.clone(),
            relief: Relief::new(&shot, &protocol.score),
            fine: fine_detail(&ln[1], &weight),
            noise: ColourNoise::of(&ln[0], &ln[1], &weight, &mask, px_per_mm),
            exposure: exposure(frame, |x, y| region.contains([x as f64, y as f64])),
            colours: chart.correct(&patch),
            light,
            shading: read(&mask.reference),
            grid,
            ln_red: ln[0].clone(),
            usable,
            patch,
            mask,
        })
    }

    pub fn name(&self) -> &Region {
        &self.name
    }

    /// The grid over the baseline's photo that mask and skin lie on.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    pub fn mask(&self) -> &ScarMask {
        &self.mask
    }

    /// Unit vector in the photo towards the light by which the scars were found, where the skin's roundness tells it.
    pub fn towards_light(&self) -> Option<[f64; 2]> {
        self.light
    }
}

/// A grid over a region with a margin, within the photo.
pub(crate) fn grid(region: &LocatedRegion, frame: &Frame, scale: &Scale, pitch_mm: f64) -> Result<Grid, Rejection> {
    let all = Bounds { left: 0.0, top: 0.0, right: frame.width as f64 - 1.0, bottom: frame.height as f64 - 1.0 };
    let b = region.bounds().grown(MARGIN_MM * scale.px_per_mm).within(&all);
    let pitch_px = pitch_mm * scale.px_per_mm;
    let nodes = |length: f64| ((length / pitch_px).floor() + 1.0) as usize;
    let (width, height) = (nodes(b.width()), nodes(b.height()));
    if width.min(height) < LEAST_SIDE {
        let detail = format!(
            "{} measures only {:.1} mm: check px_per_mm and the polygon",
            region.name,
            b.width().min(b.height()) / scale.px_per_mm
        );
        return Err(Rejection::new(Reason::ZoomOff, detail));
    }
    Ok(Grid { origin_px: [b.left, b.top], pitch_px, width, height })
}

pub(crate) fn rasterize(grid: &Grid, inside: impl Fn([f64; 2]) -> bool) -> Plane {
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

/// 1 where the photo covers a node of the region with skin that is neither highlight nor black. `clear` is 0 where a card
/// lies. Nothing outside of the region is ever looked at: hair, cloth and backdrop begin there.
pub(crate) fn usable(patch: &Patch, area: &Plane, clear: &Plane, protocol: &Protocol) -> Plane {
    let bright = protocol.score.highlight as f32;
    let lit = patch.green.zip(&patch.red, |g, r| if g < bright && r < 0.985 && r > 0.002 { 1.0 } else { 0.0 });
    let [r, g, b] = &patch_ln(patch);
    let shown = patch.inside.zip(clear, |i, c| i * c);
    let foreign = foreign([r, g, b], &shown, area, 1.0 / protocol.grid_pitch_mm, &protocol.foreign);
    lit.zip(&shown, |l, s| l * s).zip(&foreign, |w, f| w * (1.0 - f)).zip(area, |w, a| w * a)
}

/// What is usable, without the edges of shadows.
pub(crate) fn evenly_lit(usable: &Plane, ln: &[Plane; 3], protocol: &Protocol) -> Plane {
    let settings = &protocol.foreign;
    let px_per_mm = 1.0 / protocol.grid_pitch_mm;
    usable.zip(&edges(&ln[0], usable, px_per_mm, settings.edge_slope, settings.edge_mm).mask, |u, e| u * (1.0 - e))
}

/// Squared detail at the scale of two grid nodes: what focus takes first.
pub(crate) fn fine_detail(ln_green: &Plane, weight: &Plane) -> Plane {
    cicatrix_photo::difference_of_gaussians(ln_green, weight, 0.8).map(|v| v * v)
}
