//! From a photo's colours to the chart's.

use nalgebra::{SMatrix, SVector};
use palette::color_difference::Ciede2000;
use palette::{IntoColor, Lab, LinSrgb};
use serde::{Deserialize, Serialize};

use crate::Card;
use crate::chart::{self, FIRST_NEUTRAL, PATCHES};

/// Tone curve, then root-polynomial of degree 2 (Finlayson, Mackiewicz and Hurlbert, IEEE TIP 24, 2015): exposure scales
/// its terms alike, so that skin in another light than the card's is corrected as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// Exponent that makes the neutral patches linear.
    pub gamma: f64,
    /// Rows: red, green, blue; columns: r, g, b, √rg, √gb, √rb.
    pub matrix: [[f64; TERMS]; 3],
    /// Patches that it was fitted on; the others are covered, burnt out or not in the frame.
    pub patches: usize,
    /// Median CIEDE2000 of these patches after correction: 1 to 2 for a clean card.
    pub residual: f64,
}

const TERMS: usize = 6;
/// Patches without which there is no correction, and how many of them must be neutral.
const LEAST: usize = 12;
const LEAST_NEUTRAL: usize = 3;
/// A patch that is further off than this (CIEDE2000) after a first fit shows something else.
const FOREIGN: f64 = 15.0;
/// A card that is further off than this is none that we know the colours of.
const UNKNOWN_CARD: f64 = 4.0;
/// Pulls the matrix towards one without cross-talk where the patches do not say otherwise, in parts of the data.
const RIDGE: f64 = 2e-4;

impl Correction {
    /// Fits a card's patches; none where too few can be used, or where they have other colours than the chart.
    pub fn of(card: &Card) -> Option<Self> {
        let patches = &card.patches;
        let usable: Vec<usize> = (0..PATCHES).filter(|&patch| patches[patch].usable).collect();
        let measured: Vec<[f64; 3]> = patches.iter().map(|patch| patch.linear).collect();
        // What was seen is not covered; what was not may be the card all the same, as black on a black card is.
        let seen: Vec<usize> = usable.iter().copied().filter(|&patch| patches[patch].seen).collect();
        let first = Self::fit(&measured, &seen).or_else(|| Self::fit(&measured, &usable))?;
        let fitting = first.fitting(&measured, &usable);
        let found = Self::fit(&measured, &fitting)?;
        (found.residual < UNKNOWN_CARD && found.is_plausible()).then_some(found)
    }

    /// Each channel comes out of itself for the most part, around grey: cameras mix, they do not exchange.
    fn is_plausible(&self) -> bool {
        self.matrix.iter().enumerate().all(|(channel, [r, g, b, rg, gb, rb])| {
            let slopes = [r + (rg + rb) / 2.0, g + (rg + gb) / 2.0, b + (gb + rb) / 2.0];
            let others: f64 = (0..3).filter(|other| *other != channel).map(|other| slopes[other].abs()).sum();
            slopes[channel] > others
        })
    }

    /// The patches that have about the colour that they should have.
    fn fitting(&self, measured: &[[f64; 3]], patches: &[usize]) -> Vec<usize> {
        // The middle half is trusted to be the card, and tells what is far off.
        let limit = FOREIGN.min(4.0 * self.residual.max(1.5));
        let off = |patch: usize| delta_e(self.apply(measured[patch]), chart::linear(patch));
        patches.iter().copied().filter(|&patch| off(patch) < limit).collect()
    }

    fn fit(measured: &[[f64; 3]], usable: &[usize]) -> Option<Self> {
        let neutral: Vec<usize> = usable.iter().copied().filter(|&patch| patch >= FIRST_NEUTRAL).collect();
        if usable.len() < LEAST || neutral.len() < LEAST_NEUTRAL {
            return None;
        }
        let gamma = gamma(measured, &neutral)?;
        let curved = |patch: usize| measured[patch].map(|v| v.max(0.0).powf(1.0 / gamma));
        // The same relative error counts the same on a dark patch and on a bright one, down to where noise begins.
        let rows: Vec<(SVector<f64, TERMS>, [f64; 3], f64)> = usable
            .iter()
            .map(|&patch| {
                let target = chart::linear(patch);
                let level = target.iter().sum::<f64>() / 3.0;
                (SVector::from(terms(curved(patch))), target, 1.0 / (level + 0.05))
            })
            .collect();
        let mut matrix = [[0.0; TERMS]; 3];
        for (channel, row) in matrix.iter_mut().enumerate() {
            *row = solve(&rows, channel)?;
        }
        let mut correction = Self { gamma, matrix, patches: usable.len(), residual: 0.0 };
        let mut off: Vec<f64> =
            usable.iter().map(|&patch| delta_e(correction.apply(measured[patch]), chart::linear(patch))).collect();
        off.sort_by(f64::total_cmp);
        correction.residual = off[off.len() / 2];
        Some(correction)
    }

    /// Linear light of a photo (0 to 1) as linear sRGB of the chart.
    pub fn apply(&self, linear: [f64; 3]) -> [f64; 3] {
        let terms = terms(linear.map(|v| v.max(0.0).powf(1.0 / self.gamma)));
        self.matrix.map(|row| row.iter().zip(&terms).map(|(m, t)| m * t).sum::<f64>().max(0.0))
    }
}

/// Common exponent of the channels, by least squares on logarithms of the neutral patches, a gain for each channel.
fn gamma(measured: &[[f64; 3]], neutral: &[usize]) -> Option<f64> {
    let (mut xx, mut xy) = (0.0, 0.0);
    for channel in [0, 1, 2] {
        let point = |&patch: &usize| (chart::linear(patch)[channel].ln(), measured[patch][channel].max(1e-4).ln());
        let points: Vec<(f64, f64)> = neutral.iter().map(point).collect();
        let n = points.len() as f64;
        let mean = points.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
        for (x, y) in points {
            (xx, xy) = (xx + (x - mean.0).powi(2), xy + (x - mean.0) * (y - mean.1));
        }
    }
    let gamma = xy / xx;
    (0.4..2.5).contains(&gamma).then_some(gamma)
}

fn terms([r, g, b]: [f64; 3]) -> [f64; TERMS] {
    [r, g, b, (r * g).sqrt(), (g * b).sqrt(), (r * b).sqrt()]
}

/// Ridge towards the channel itself, scaled to the targets.
fn solve(rows: &[(SVector<f64, TERMS>, [f64; 3], f64)], channel: usize) -> Option<[f64; TERMS]> {
    let mut normal = SMatrix::<f64, TERMS, TERMS>::zeros();
    let mut right = SVector::<f64, TERMS>::zeros();
    let (mut own, mut aim) = (0.0, 0.0);
    for (terms, target, weight) in rows {
        let square = weight * weight;
        normal += terms * terms.transpose() * square;
        right += terms * (target[channel] * square);
        own += terms[channel] * terms[channel] * square;
        aim += terms[channel] * target[channel] * square;
    }
    let ridge = RIDGE * normal.trace();
    let mut prior = SVector::<f64, TERMS>::zeros();
    prior[channel] = aim / own.max(1e-12);
    normal += SMatrix::identity() * ridge;
    right += prior * ridge;
    normal.lu().solve(&right).map(Into::into)
}

/// CIEDE2000 between two colours in linear sRGB.
fn delta_e(a: [f64; 3], b: [f64; 3]) -> f64 {
    let lab = |[r, g, b]: [f64; 3]| -> Lab<palette::white_point::D65, f64> { LinSrgb::new(r, g, b).into_color() };
    lab(a).difference(lab(b))
}
