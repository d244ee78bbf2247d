//! Where the scars are, and which skin they are compared with: drawn once, on the baseline.

use cicatrix_photo::{Plane, components, gaussian, masked_gaussian, masked_median};

use crate::relief::Relief;
use crate::settings::{BANDS, ScoreSettings};

/// Scar sizes by the diameter of a circle of equal area: rough names are ice-pick, boxcar and rolling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeClass {
    /// Under 2 mm.
    Small,
    /// 2 to 4 mm.
    Medium,
    /// Above 4 mm.
    Large,
}

impl SizeClass {
    pub const ALL: [SizeClass; 3] = [SizeClass::Small, SizeClass::Medium, SizeClass::Large];

    fn of(area_mm2: f64) -> Self {
        match 2.0 * (area_mm2 / std::f64::consts::PI).sqrt() {
            d if d < 2.0 => SizeClass::Small,
            d if d <= 4.0 => SizeClass::Medium,
            _ => SizeClass::Large,
        }
    }
}

/// Scars and reference skin of one region on the grid; 0 or 1.
#[derive(Debug, Clone)]
pub struct ScarMask {
    pub region: Plane,
    pub scar: Plane,
    /// Skin of the region at a distance from every scar.
    pub reference: Plane,
    /// The scars of each size, in the order of [`SizeClass::ALL`].
    pub sizes: [Plane; 3],
}

impl ScarMask {
    /// Finds the scars of a region: smoothed band energy, each band in units of its own median over the region,
    /// above `mask_threshold`. Known limits: shallow rolling scars stay under the threshold, naevi and papules with a
    /// steep edge may pass it.
    pub fn find(relief: &Relief, region: &Plane, settings: &ScoreSettings) -> Self {
        let usable = region.zip(&relief.weight, |r, w| r * w);
        let prominence = prominence(relief, &usable, settings);
        let raw = prominence.zip(&usable, |p, u| if p > settings.mask_threshold as f32 { u } else { 0.0 });
        let mut scar = Plane::filled(region.width, region.height, 0.0);
        let mut sizes: [Plane; 3] = std::array::from_fn(|_| scar.clone());
        let mm2 = 1.0 / (relief.px_per_mm * relief.px_per_mm);
        for piece in components(&raw) {
            let area = piece.len() as f64 * mm2;
            if area < LEAST_PIECE_MM2 {
                continue;
            }
            let class = &mut sizes[SizeClass::of(area) as usize];
            for at in piece {
                scar.data[at] = 1.0;
                class.data[at] = 1.0;
            }
        }
        let near = dilate(&scar, settings.reference_gap_mm * relief.px_per_mm);
        let reference = region.zip(&near, |r, n| if n > 0.5 { 0.0 } else { r });
        Self { region: region.clone(), scar, reference, sizes }
    }

    pub fn size(&self, class: SizeClass) -> &Plane {
        &self.sizes[class as usize]
    }
}

/// A speck below this is noise, mm².
const LEAST_PIECE_MM2: f64 = 0.15;

/// Energy in units of the region's median, bands weighted; 1 is ordinary skin.
fn prominence(relief: &Relief, usable: &Plane, settings: &ScoreSettings) -> Plane {
    let mut sum = Plane::filled(usable.width, usable.height, 0.0);
    let total: f64 = settings.mask_weight.iter().sum();
    for k in 0..BANDS {
        if settings.mask_weight[k] <= 0.0 {
            continue;
        }
        let width =
            settings.mask_smooth * settings.band_sigma_mm[k].max(settings.mask_smooth_floor_mm / settings.mask_smooth);
        let smooth = masked_gaussian(&relief.band[k].map(|b| b * b), &relief.weight, (width * relief.px_per_mm) as f32);
        let scale = (settings.mask_weight[k] / total) as f32 / masked_median(&smooth, usable).max(1e-12);
        for (s, v) in sum.data.iter_mut().zip(&smooth.data) {
            *s += scale * v;
        }
    }
    sum
}

/// Grows a mask by about `radius` pixels.
pub(crate) fn dilate(mask: &Plane, radius: f64) -> Plane {
    if radius <= 0.0 {
        return mask.clone();
    }
    // A straight edge blurred with σ falls to 15.9 % at σ: what is above that lies within σ of the mask.
    gaussian(mask, radius as f32).map(|v| if v > 0.159 { 1.0 } else { 0.0 }).zip(mask, f32::max)
}
