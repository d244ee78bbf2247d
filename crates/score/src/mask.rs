//! Where the scars are, and which skin they are compared with: drawn once, on the baseline.

use cicatrix_photo::{Plane, components, distance};

use crate::pits::{Pits, Shot};
use crate::settings::ScoreSettings;

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

/// One scar of a mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scar {
    pub size: SizeClass,
    /// Its middle, nodes of the grid.
    pub centre: [f64; 2],
}

/// Scars and reference skin of one region on the grid; 0 or 1.
#[derive(Debug, Clone)]
pub struct ScarMask {
    pub region: Plane,
    /// The scars that `psi` is of: those that were drawn, else those that were found sunken.
    pub scar: Plane,
    /// Sunken and raised ones, where the direction of the light tells a sign.
    pub depressed: Option<Plane>,
    pub raised: Option<Plane>,
    /// Skin of the region at a distance from every scar and naevus.
    pub reference: Plane,
    /// The scars of each size, in the order of [`SizeClass::ALL`].
    pub sizes: [Plane; 3],
    pub scars: Vec<Scar>,
    /// How sunken the baseline's photo shows each node, robust standard deviations of its skin; high where nothing can be
    /// said, so that nothing is new there.
    sunken: Plane,
}

/// What a photo shows of a baseline's scars when they are looked for anew.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundAgain {
    /// Nodes of the region that stand out as scars.
    pub nodes: u64,
    /// Scars of the baseline, by their size there, that have one found in this photo within 3 mm, each its own.
    pub scars: [u64; 3],
    /// 1 on scars that the baseline does not have.
    pub new: Plane,
    /// Skin to compare with in this photo: that of the baseline's, at a distance from new scars.
    pub reference: Plane,
}

/// A scar of the baseline is found again by one within this, mm: human graders' marks of one scar lie as far apart
/// (Kang 2016, J. Drugs Dermatol. 15:693).
const MATCH_MM: f64 = 3.0;
/// A pit looks raised on both sides along the light, and a bump sunken, by less than half (0.45 for a Gaussian profile). So
/// within this distance, mm, the stronger of the two is what it is, if it is stronger by these factors.
const FLANK_MM: f64 = 2.5;
const RAISED_OVER_SUNKEN: f32 = 2.0;
const FLANK_UNDER_RAISED: f32 = 0.6;
/// A scar is new if it stands out by this many standard deviations where the baseline's mean is under this many.
const NEW: f32 = 6.0;
const NOT_THERE: f32 = 1.5;
/// A raised scar is no pore and no grain of skin: least area, mm².
const LEAST_RAISED_MM2: f64 = 1.0;

impl ScarMask {
    /// Finds the scars of a region (`pits.rs`): pieces that score above `mask_threshold` robust standard deviations
    /// of ordinary skin, grown by `mask_grow_mm`. The skin that scores are measured by is first the whole region, then
    /// what the first round leaves of it.
    pub fn find(shot: &Shot<'_>, region: &Plane, settings: &ScoreSettings) -> Self {
        let pits = in_two_rounds(shot, region, settings);
        let usable = region.zip(shot.weight, |r, w| r * w);
        let mut scar = pieces_above(&pits.sunken, &usable, settings, shot.px_per_mm);
        let raised = pits.raised.as_ref().map(|score| {
            let mask = above(score, &usable, settings.raised_threshold);
            let candidates = kept(&mask, LEAST_RAISED_MM2, shot.px_per_mm);
            bumps(&candidates, score, &pits.sunken, &mut scar, FLANK_MM * shot.px_per_mm)
        });
        let depressed = raised.is_some().then(|| scar.clone());
        Self::new(region, scar, [depressed, raised], &pits, &usable, settings, shot.px_per_mm)
    }

    /// The scars that a clinic has drawn, each sunken or raised by what the photo shows there.
    pub fn drawn(shot: &Shot<'_>, region: &Plane, drawn: &Plane, settings: &ScoreSettings) -> Self {
        let pits = in_two_rounds(shot, region, settings);
        let scar = region.zip(drawn, |r, d| r * d);
        let signs = pits.raised.as_ref().map(|raised| by_sign(&scar, &pits.sunken, raised));
        let (depressed, raised) = signs.unzip();
        let usable = region.zip(shot.weight, |r, w| r * w);
        Self::new(region, scar, [depressed, raised], &pits, &usable, settings, shot.px_per_mm)
    }

    fn new(
        region: &Plane,
        scar: Plane,
        [depressed, raised]: [Option<Plane>; 2],
        pits: &Pits,
        usable: &Plane,
        settings: &ScoreSettings,
        px_per_mm: f64,
    ) -> Self {
        let mut sizes: [Plane; 3] = std::array::from_fn(|_| Plane::filled(scar.width, scar.height, 0.0));
        let mut scars = Vec::new();
        for piece in components(&scar) {
            let size = SizeClass::of(piece.len() as f64 / (px_per_mm * px_per_mm));
            scars.push(Scar { size, centre: centre(&piece, scar.width) });
            for at in piece {
                sizes[size as usize].data[at] = 1.0;
            }
        }
        let all = scar.zip(&pits.naevi, f32::max);
        let all = raised.iter().fold(all, |all, raised| all.zip(raised, f32::max));
        let reference = away_from(&all, region, settings, px_per_mm);
        let sunken = pits.sunken.zip(usable, |score, u| if u > 0.5 { score } else { f32::MAX });
        Self { region: region.clone(), scar, depressed, raised, reference, sizes, scars, sunken }
    }

    #[cfg(test)]
    pub(crate) fn without_scars(region: &Plane) -> Self {
        let none = Plane::filled(region.width, region.height, 0.0);
        let pits = Pits { sunken: none.clone(), raised: None, naevi: none.clone() };
        Self::new(region, none, [None, None], &pits, region, &ScoreSettings::default(), 10.0)
    }

    pub fn size(&self, class: SizeClass) -> &Plane {
        &self.sizes[class as usize]
    }

    /// Looks for the scars anew in a photo that lies on the same grid. Exploratory: it follows the threshold, not depth.
    pub fn found_again(&self, shot: &Shot<'_>, settings: &ScoreSettings) -> FoundAgain {
        let pits = in_two_rounds(shot, &self.region, settings);
        let usable = self.region.zip(shot.weight, |r, w| r * w);
        let mask = pieces_above(&pits.sunken, &usable, settings, shot.px_per_mm);
        let pieces = components(&mask);
        let found = pieces.iter().map(|piece| centre(piece, mask.width)).collect();
        let nodes = mask.data.iter().filter(|v| **v > 0.5).count() as u64;
        let mut new = Plane::filled(mask.width, mask.height, 0.0);
        for piece in pieces.iter().filter(|piece| self.is_new(piece, &pits.sunken)) {
            piece.iter().for_each(|&at| new.data[at] = 1.0);
        }
        let reference = away_from(&new, &self.reference, settings, shot.px_per_mm);
        FoundAgain { nodes, scars: self.matched(found, MATCH_MM * shot.px_per_mm), new, reference }
    }

    /// Whether a piece of skin that stands out in another photo was ordinary skin in the baseline: by its core, since its
    /// rim is as ragged as any threshold's.
    fn is_new(&self, piece: &[usize], sunken: &Plane) -> bool {
        let peak = piece.iter().map(|&at| sunken.data[at]).fold(f32::MIN, f32::max);
        let core: Vec<usize> = piece.iter().copied().filter(|&at| sunken.data[at] > 0.5 * peak).collect();
        let before = core.iter().map(|&at| self.sunken.data[at]).sum::<f32>() / core.len() as f32;
        peak >= NEW && before < NOT_THERE && core.iter().all(|&at| self.scar.data[at] < 0.5)
    }

    /// How many scars of each size have one of `found` for themselves within `reach`: each takes the nearest that is
    /// left.
    fn matched(&self, mut found: Vec<[f64; 2]>, reach: f64) -> [u64; 3] {
        let mut counts = [0; 3];
        for scar in &self.scars {
            let distance = |c: &[f64; 2]| (c[0] - scar.centre[0]).hypot(c[1] - scar.centre[1]);
            let nearest = (0..found.len()).min_by(|&a, &b| distance(&found[a]).total_cmp(&distance(&found[b])));
            if let Some(nearest) = nearest.filter(|&i| distance(&found[i]) <= reach) {
                found.swap_remove(nearest);
                counts[scar.size as usize] += 1;
            }
        }
        counts
    }
}

/// The part of a region that lies farther from marked nodes than reference skin may.
fn away_from(marked: &Plane, region: &Plane, settings: &ScoreSettings, px_per_mm: f64) -> Plane {
    let near = dilate(marked, settings.reference_gap_mm * px_per_mm);
    region.zip(&near, |r, n| if n > 0.5 { 0.0 } else { r })
}

fn in_two_rounds(shot: &Shot<'_>, region: &Plane, settings: &ScoreSettings) -> Pits {
    let usable = region.zip(shot.weight, |r, w| r * w);
    let first = above(&Pits::of(shot, &usable).sunken, &usable, settings.mask_threshold);
    let near = dilate(&first, settings.reference_gap_mm * shot.px_per_mm);
    Pits::of(shot, &usable.zip(&near, |u, n| u * (1.0 - n)))
}

fn above(score: &Plane, usable: &Plane, threshold: f64) -> Plane {
    score.zip(usable, |s, u| if s > threshold as f32 && u > 0.5 { 1.0 } else { 0.0 })
}

fn pieces_above(score: &Plane, usable: &Plane, settings: &ScoreSettings, px_per_mm: f64) -> Plane {
    let pieces = kept(&above(score, usable, settings.mask_threshold), settings.least_piece_mm2, px_per_mm);
    dilate(&pieces, settings.mask_grow_mm * px_per_mm).zip(usable, |m, u| m * f32::from(u8::from(u > 0.5)))
}

/// The pieces of at least this area.
fn kept(mask: &Plane, least_mm2: f64, px_per_mm: f64) -> Plane {
    let mut out = Plane::filled(mask.width, mask.height, 0.0);
    for piece in components(mask) {
        if piece.len() as f64 >= least_mm2 * px_per_mm * px_per_mm {
            for at in piece {
                out.data[at] = 1.0;
            }
        }
    }
    out
}

/// The pieces that are bumps and no flanks of pits; takes the pits that are flanks of bumps out of `scar`.
fn bumps(candidates: &Plane, score: &Plane, sunken: &Plane, scar: &mut Plane, reach: f64) -> Plane {
    let mut raised = Plane::filled(scar.width, scar.height, 0.0);
    let peak = |score: &Plane, piece: &[usize]| piece.iter().map(|&at| score.data[at]).fold(0.0, f32::max);
    for piece in components(candidates) {
        let mut own = Plane::filled(scar.width, scar.height, 0.0);
        piece.iter().for_each(|&at| own.data[at] = 1.0);
        let near = dilate(&own, reach);
        let height = peak(score, &piece);
        let around = sunken.data.iter().zip(&near.data).filter(|(_, n)| **n > 0.5);
        if height < RAISED_OVER_SUNKEN * around.map(|(s, _)| *s).fold(0.0, f32::max) {
            continue;
        }
        piece.iter().for_each(|&at| raised.data[at] = 1.0);
        for pit in components(scar) {
            let is_near = pit.iter().any(|&at| near.data[at] > 0.5);
            if is_near && peak(sunken, &pit) < FLANK_UNDER_RAISED * height {
                pit.iter().for_each(|&at| scar.data[at] = 0.0);
            }
        }
    }
    raised
}

/// Pieces that are more of a pit than of a bump where they are either most, and the others: a loosely drawn outline holds
/// the flanks as well.
fn by_sign(scar: &Plane, sunken: &Plane, bump: &Plane) -> (Plane, Plane) {
    let empty = || Plane::filled(scar.width, scar.height, 0.0);
    let (mut depressed, mut raised) = (empty(), empty());
    for piece in components(scar) {
        let peak = |score: &Plane| piece.iter().map(|&at| score.data[at]).fold(f32::MIN, f32::max);
        let target = if peak(sunken) >= peak(bump) { &mut depressed } else { &mut raised };
        for at in piece {
            target.data[at] = 1.0;
        }
    }
    (depressed, raised)
}

fn centre(piece: &[usize], width: usize) -> [f64; 2] {
    let n = piece.len() as f64;
    let sum = piece.iter().fold([0.0, 0.0], |[x, y], at| [x + (at % width) as f64, y + (at / width) as f64]);
    sum.map(|v| v / n)
}

/// What lies within `radius` pixels of a mask.
pub(crate) fn dilate(mask: &Plane, radius: f64) -> Plane {
    distance(mask).map(|d| f32::from(u8::from(d <= radius as f32)))
}
