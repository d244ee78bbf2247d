//! The whole registration: start, levels from coarse to fine, what it is worth, and when it is refused.

use serde::{Deserialize, Serialize};

use crate::block_search::{CELL, Matches, search, warp};
use crate::confidence::Evidence;
use crate::field::Field;
use crate::homography::{Homography, Pair};
use crate::prepared::{Level, Prepared};
use crate::settings::AlignSettings;
use crate::solve::solve;

/// Curvature prior per rank, finest first: px of the level per cell², in a level 1000 px wide. Skin of one photo bends
/// the same however many pixels show it.
const TAU: [f64; 4] = [0.15, 0.2, 0.25, 0.125];
/// Search radius per rank, px of the level.
const RADIUS: [usize; 4] = [2, 3, 4, 4];
/// Passes per rank. The first passes let the field grow from where blocks match into where they did not reach.
const PASSES: [usize; 4] = [1, 2, 2, 3];
/// Rank that decides whether it is the same skin.
const DECIDING: usize = 1;
/// Median correlation from which the finest level is free.
const FREE_CORRELATION: f32 = 0.75;
/// Precision of the anchor per unit of correlation below that; 16 per px² at 0.65, a σ of a quarter pixel.
const ANCHOR: f64 = 160.0;
/// Inlier tolerance of the start, as a share of the longer side: 3 px at 1000.
const START_TOLERANCE: f64 = 0.003;

/// Matches farther from the start than this share of the width do not bend it.
const BEND_REACH: f64 = 0.04;
/// What one match knows, 1/cell²: half a tenth of a cell.
const BEND_PRECISION: f64 = 400.0;
/// Curvature that skin may add to the start, cells per cell².
const BEND_TAU: f64 = 0.03;

/// The present estimate of the map from the fixed to the moving photo: `y = H(x + u(x))`.
pub(crate) struct Map<'a> {
    pub(crate) homography: &'a Homography,
    pub(crate) field: &'a Field,
}

impl Map<'_> {
    pub(crate) fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let u = self.field.at([x, y]);
        self.homography.apply([x + u[0], y + u[1]])
    }
}

/// How well two photos were laid over each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Feature matches that agree with the global start.
    pub inliers: usize,
    /// Median correlation of the blocks inside both photos, −1 to 1.
    pub median_correlation: f32,
    /// Share of the blocks inside both photos that match by themselves, 0 to 1.
    pub matched_share: f32,
    /// Distance between what blocks measured and the smooth field, px of the fixed photo.
    pub residual_median_px: f64,
    pub residual_p95_px: f64,
    /// Mean probability over the cells inside both photos that a place is off by less than 1 px of the fixed photo.
    pub confidence: f32,
    /// Length scale moving/fixed at the centre.
    pub scale: f64,
    /// Rotation at the centre, degrees.
    pub rotation_deg: f64,
    /// Share of the fixed photo that the moving one covers, 0 to 1.
    pub overlap: f32,
}

/// Why two photos were not laid over each other.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "only {found} matching points where {needed} are needed: another place, another person, a mirrored photo, or one of far fewer pixels"
    )]
    FewMatches { found: usize, needed: usize },
    #[error("the scale differs by a factor of {0:.2}")]
    Scale(f64),
    #[error("the skin does not match: median correlation {found:.2}, {needed:.2} is needed")]
    NoCorrelation { found: f32, needed: f32 },
    #[error("only {found:.0} % of the blocks match by themselves, {needed:.0} % are needed")]
    FewBlocks { found: f32, needed: f32 },
}

/// A map from every pixel of the fixed photo to the moving one.
#[derive(Debug, Clone)]
pub struct Registration {
    homography: Homography,
    field: Field,
    /// Correlation per cell of the field, 0 outside the moving photo.
    correlation: Vec<f32>,
    /// Probability per cell of being off by less than 1 px, 0 outside the moving photo.
    confidence: Vec<f32>,
    /// Of the fixed photo and of the moving one.
    sizes: [Size; 2],
    pub quality: Quality,
}

/// Width and height of a photo, px.
#[derive(Debug, Clone, Copy)]
struct Size(usize, usize);

impl Size {
    fn of(photo: &Prepared) -> Self {
        Self(photo.width, photo.height)
    }

    fn holds(self, [x, y]: [f64; 2]) -> bool {
        x >= -0.5 && y >= -0.5 && x <= self.0 as f64 - 0.5 && y <= self.1 as f64 - 0.5
    }
}

impl Registration {
    /// Place in the moving photo of a place in the fixed one, px.
    pub fn map(&self, place: [f64; 2]) -> [f64; 2] {
        Map { homography: &self.homography, field: &self.field }.apply(place)
    }

    /// Correlation of the block that a place of the fixed photo lies in, 0 to 1.
    pub fn correlation_at(&self, place: [f64; 2]) -> f32 {
        self.correlation[self.field.cell_at(place)].clamp(0.0, 1.0)
    }

    /// Probability that the map is off by less than 1 px of the fixed photo at a place of it, 0 to 1.
    pub fn confidence_at(&self, place: [f64; 2]) -> f32 {
        let [fixed, moving] = self.sizes;
        let is_inside = fixed.holds(place) && moving.holds(self.map(place));
        if is_inside { self.confidence[self.field.cell_at(place)] } else { 0.0 }
    }
}

/// The map of a photo onto itself.
pub fn identity(photo: &Prepared) -> Registration {
    let field = Field::zero(64, photo.width, photo.height);
    let quality = Quality {
        inliers: 0,
        median_correlation: 1.0,
        matched_share: 1.0,
        residual_median_px: 0.0,
        residual_p95_px: 0.0,
        confidence: 1.0,
        scale: 1.0,
        rotation_deg: 0.0,
        overlap: 1.0,
    };
    let correlation = vec![1.0; field.nodes.len()];
    let confidence = correlation.clone();
    let sizes = [Size::of(photo); 2];
    Registration { homography: Homography::identity(), field, correlation, confidence, sizes, quality }
}

/// Lays `moving` over `fixed`.
pub fn register(fixed: &Prepared, moving: &Prepared, settings: &AlignSettings) -> Result<Registration, Refusal> {
    let (pairs, homography, inliers) = begin(fixed, moving, settings)?;
    let coarsest = CELL * fixed.levels[fixed.levels.len() - 1].factor;
    let mut field = bend(&pairs, &homography, Field::zero(coarsest, fixed.width, fixed.height));
    let mut last: Option<(Step, Evidence)> = None;
    for (index, level) in fixed.levels.iter().enumerate().rev() {
        let other = &moving.levels[index.min(moving.levels.len() - 1)];
        let begin = field.regrid(CELL * level.factor, fixed.width, fixed.height);
        let Some((finer, step)) = refine(&begin, level, other, &homography, last.is_some(), settings) else { break };
        if level.rank == DECIDING || index == 0 && level.rank < DECIDING && last.is_none() {
            check(&step.matches, settings)?;
        }
        let before = last.as_ref().map(|(_, evidence)| (evidence, &field));
        let evidence = Evidence::new(before, level, &step.matches, &step.distance, &step.weights, &begin, &finer);
        field = finer;
        last = Some((step, evidence));
    }
    let (step, evidence) = last.expect("a photo has at least one level, and the first is never left out");
    let quality = quality(&step, &evidence, inliers, &homography, fixed);
    let (confidence, sizes) = (evidence.confidence(), [Size::of(fixed), Size::of(moving)]);
    Ok(Registration { homography, field, correlation: step.matches.peak, confidence, sizes, quality })
}

/// The start from the features of both photos. Where zoom and size lie between two steps of the pyramid, the next coarser
/// level of one photo is nearer to the other's, and is tried before they are given up.
fn begin(
    fixed: &Prepared,
    moving: &Prepared,
    settings: &AlignSettings,
) -> Result<(Vec<Pair>, Homography, usize), Refusal> {
    let attempt = |pairs: Vec<Pair>| {
        let (homography, inliers) = start(fixed, moving, &pairs, settings)?;
        Ok((pairs, homography, inliers))
    };
    match attempt(fixed.features.matches(&moving.features)) {
        Err(refusal @ Refusal::FewMatches { .. }) => {
            let coarser = [
                fixed.coarser_features().map(|features| features.matches(&moving.features)),
                moving.coarser_features().map(|features| fixed.features.matches(&features)),
            ];
            coarser.into_iter().flatten().find_map(|pairs| attempt(pairs).ok()).ok_or(refusal)
        }
        outcome => outcome,
    }
}

/// What the last pass over a level found.
struct Step {
    matches: Matches,
    /// Distance of what each cell measured from the field, px of the photo.
    distance: Vec<f64>,
    /// Tukey weight of each cell.
    weights: Vec<f64>,
}

/// Searches one level from `begin`. Nothing, if a level may be left out and its correlation says that it shows noise.
fn refine(
    begin: &Field,
    fixed: &Level,
    moving: &Level,
    homography: &Homography,
    optional: bool,
    settings: &AlignSettings,
) -> Option<(Field, Step)> {
    let tau = TAU[fixed.rank] * 1000.0 / fixed.normalized.width as f64;
    let mut field = begin.clone();
    let mut step = None;
    for _ in 0..PASSES[fixed.rank] {
        let (warped, inside) = warp(fixed, moving, &Map { homography, field: &field });
        let matches = search(fixed, &warped, &inside, &field, RADIUS[fixed.rank]);
        let correlation = median(&mut inside_peaks(&matches));
        if optional && fixed.rank == 0 && correlation < settings.min_correlation {
            return None;
        }
        let anchor = if fixed.rank == 0 { ANCHOR * f64::from(FREE_CORRELATION - correlation).max(0.0) } else { 0.0 };
        let (distance, weights) = update(&mut field, &matches, fixed.factor, tau, anchor);
        step = Some(Step { matches, distance, weights });
    }
    step.map(|step| (field, step))
}

fn start(
    fixed: &Prepared,
    moving: &Prepared,
    pairs: &[Pair],
    settings: &AlignSettings,
) -> Result<(Homography, usize), Refusal> {
    let tolerance = START_TOLERANCE * moving.width.max(moving.height) as f64;
    let few = |found| Refusal::FewMatches { found, needed: settings.min_inliers };
    let (homography, inliers) = Homography::robust(pairs, tolerance).ok_or(few(pairs.len().min(7)))?;
    if inliers < settings.min_inliers {
        return Err(few(inliers));
    }
    let longer = |photo: &Prepared| photo.width.max(photo.height) as f64;
    // Either the whole view was enlarged, as by another camera, or a part of it was cut out; both explain a scale.
    let scale = homography.scale_at(centre(fixed)).max(0.0).sqrt();
    let in_view = scale * longer(fixed) / longer(moving);
    let is_ordinary = |scale: f64| (1.0 / settings.max_scale..=settings.max_scale).contains(&scale);
    if !is_ordinary(scale) && !is_ordinary(in_view) {
        return Err(Refusal::Scale(in_view));
    }
    Ok((homography, inliers))
}

/// Bends the start towards the matches that lie near it: skin on a curved face leaves the homography by more than the
/// block search can reach. Outliers lose their vote in the solve.
fn bend(pairs: &[Pair], homography: &Homography, field: Field) -> Field {
    let width = (field.columns * field.cell) as f64;
    let Some(inverse) = homography.inverse() else { return field };
    let mut sums = vec![([0.0; 2], 0.0); field.nodes.len()];
    for (p, q) in pairs {
        let back = inverse.apply(*q);
        let offset = [back[0] - p[0], back[1] - p[1]];
        let index = |v: f64, n: usize| (((v + 0.5) / field.cell as f64) as usize).min(n - 1);
        if offset[0].hypot(offset[1]) < BEND_REACH * width {
            let (sum, n) = &mut sums[index(p[1], field.rows) * field.columns + index(p[0], field.columns)];
            *sum = [sum[0] + offset[0], sum[1] + offset[1]];
            *n += 1.0;
        }
    }
    let scale = 1.0 / field.cell as f64;
    let measured: Vec<[f64; 2]> = sums.iter().map(|(s, n)| s.map(|v| scale * v / f64::max(*n, 1.0))).collect();
    let precision: Vec<[f64; 3]> = sums.iter().map(|(_, n)| [BEND_PRECISION * n, 0.0, BEND_PRECISION * n]).collect();
    let solution = solve(field.columns, &measured, &precision, BEND_TAU, 0.0, &field.nodes);
    let nodes = solution.nodes.iter().map(|u| u.map(|v| v / scale)).collect();
    Field { nodes, ..field }
}

fn centre(photo: &Prepared) -> [f64; 2] {
    [(photo.width as f64 - 1.0) / 2.0, (photo.height as f64 - 1.0) / 2.0]
}

/// Moves the field to what the blocks say. Returns how far from it each measured, px of the photo, and its weight.
fn update(field: &mut Field, matches: &Matches, factor: usize, tau: f64, anchor: f64) -> (Vec<f64>, Vec<f64>) {
    let scale = factor as f64;
    let present: Vec<[f64; 2]> = field.nodes.iter().map(|u| u.map(|v| v / scale)).collect();
    let measured: Vec<[f64; 2]> = present.iter().zip(&matches.shift).map(|(u, s)| [u[0] + s[0], u[1] + s[1]]).collect();
    let solution = solve(field.columns, &measured, &matches.precision, tau, anchor, &present);
    let mut residual = Vec::new();
    for (i, node) in solution.nodes.iter().enumerate() {
        residual.push((node[0] - measured[i][0]).hypot(node[1] - measured[i][1]) * scale);
        field.nodes[i] = node.map(|v| v * scale);
    }
    (residual, solution.weights)
}

fn median(values: &mut [f32]) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn inside_peaks(matches: &Matches) -> Vec<f32> {
    let whole = |i: &usize| matches.inside[*i] > 0.9;
    (0..matches.peak.len()).filter(whole).map(|i| matches.peak[i]).collect()
}

fn matched_share(matches: &Matches) -> f32 {
    let (mut matched, mut all) = (0, 0);
    for (inside, precision) in matches.inside.iter().zip(&matches.precision) {
        if *inside > 0.9 {
            all += 1;
            matched += usize::from(precision[0] > 0.0);
        }
    }
    if all == 0 { 0.0 } else { matched as f32 / all as f32 }
}

fn check(matches: &Matches, settings: &AlignSettings) -> Result<(), Refusal> {
    let found = median(&mut inside_peaks(matches));
    if found < settings.min_correlation {
        return Err(Refusal::NoCorrelation { found, needed: settings.min_correlation });
    }
    let share = matched_share(matches);
    if share < settings.min_matched_share {
        return Err(Refusal::FewBlocks { found: 100.0 * share, needed: 100.0 * settings.min_matched_share });
    }
    Ok(())
}

fn quality(step: &Step, evidence: &Evidence, inliers: usize, homography: &Homography, fixed: &Prepared) -> Quality {
    let matches = &step.matches;
    let voted = |i: &usize| matches.precision[*i][0] > 0.0 && step.weights[*i] > 0.0;
    let mut sorted: Vec<f64> = (0..step.distance.len()).filter(voted).map(|i| step.distance[i]).collect();
    sorted.sort_by(f64::total_cmp);
    let quantile = |q: f64| sorted.get(((sorted.len() as f64 - 1.0) * q).max(0.0) as usize).copied().unwrap_or(0.0);
    let [x, y] = centre(fixed);
    let (a, b) = (homography.apply([x - 0.5, y]), homography.apply([x + 0.5, y]));
    let overlap = matches.inside.iter().sum::<f32>() / matches.inside.len().max(1) as f32;
    Quality {
        inliers,
        median_correlation: median(&mut inside_peaks(matches)),
        matched_share: matched_share(matches),
        residual_median_px: quantile(0.5),
        residual_p95_px: quantile(0.95),
        confidence: evidence.mean_confidence(),
        scale: homography.scale_at([x, y]).max(0.0).sqrt(),
        rotation_deg: (b[1] - a[1]).atan2(b[0] - a[0]).to_degrees(),
        overlap,
    }
}
