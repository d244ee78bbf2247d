//! Where a photo shows skin, where hair, beard, cloth or background: a map of the whole frame.
//!
//! Skin of one person lies close together in chromaticity; hair and shade beyond use are far darker than it; hair and beard
//! that are not are made of strands, which is more fine contrast than skin has, scarred skin included. What skin looks like
//! in this photo is learned from places that are known to be mostly skin, so that no tone, lamp or camera is preferred.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cicatrix_photo::{Bounds, Overview, Plane, components, gaussian};
use serde::{Deserialize, Serialize};

use crate::foreign::{ForeignSettings, grow};

/// A finer overview is halved, for less than this pitch tells nothing more, mm.
const LEAST_PITCH_MM: f64 = 0.3;
/// Chromaticity and brightness are read over this σ, strands against this one, mm.
const SIGMA_MM: f64 = 0.7;
const STRAND_MM: f64 = 1.2;
/// Colours that skin has in ordinary light: ln red/green, ln green/blue, and a least ln red.
const LIKELY_RED_GREEN: std::ops::Range<f32> = 0.15..1.2;
const LIKELY_GREEN_BLUE: std::ops::Range<f32> = 0.0..1.2;
const DARKEST: f32 = -4.0;
/// Nodes of known skin without which nothing is told.
const LEAST_SEEDS: usize = 60;

/// Limits of what is taken for skin, beside those of [`ForeignSettings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SkinSettings {
    /// Skin is at most so much darker than the median of known skin, ln of red.
    pub dark: f64,
    /// Root mean square contrast that skin stays below, ln of green, from a node of the map (0.3 to 0.6 mm) to 1.2 mm.
    pub strands: f64,
    /// A smaller piece that is no skin is a naevus, a crust or a scar, and stays, mm².
    pub least_mm2: f64,
    /// What is no skin grows by this much, mm.
    pub margin_mm: f64,
}

impl Default for SkinSettings {
    fn default() -> Self {
        Self { dark: 1.5, strands: 0.25, least_mm2: 12.0, margin_mm: 1.0 }
    }
}

/// All limits that the map is made by.
#[derive(Debug, Clone, Copy)]
pub struct SkinLimits<'a> {
    pub foreign: &'a ForeignSettings,
    pub skin: &'a SkinSettings,
}

/// 1 where a photo shows skin, at every `step_px`.
#[derive(Debug, Clone, PartialEq)]
pub struct SkinMap {
    step_px: f64,
    map: Plane,
}

impl SkinMap {
    /// Looks at a photo; `known` are places (px) that are skin for the most part. None where too few of them lie in it.
    pub fn of(overview: &Overview, px_per_mm: f64, known: &[[f64; 2]], limits: &SkinLimits<'_>) -> Option<Self> {
        let seen = Seen::of(overview, px_per_mm);
        let seeds: BTreeSet<usize> = known.iter().filter_map(|place| seen.node(*place)).collect();
        seen.map(&seeds.into_iter().collect::<Vec<_>>(), limits)
    }

    /// Looks at a photo of which nothing is known but that skin fills the better part of its middle: what has a colour that
    /// skin can have there is taken for known.
    pub fn guess(overview: &Overview, px_per_mm: f64, limits: &SkinLimits<'_>) -> Option<Self> {
        let seen = Seen::of(overview, px_per_mm);
        let (width, height) = (seen.red.width, seen.red.height);
        let is_middle =
            |at: usize| (at % width).abs_diff(width / 2) < width / 3 && (at / width).abs_diff(height / 2) < height / 3;
        let is_likely = |at: usize| {
            let (red_green, green_blue) = (seen.red_green.data[at], seen.green_blue.data[at]);
            LIKELY_RED_GREEN.contains(&red_green)
                && LIKELY_GREEN_BLUE.contains(&green_blue)
                && seen.red.data[at] > DARKEST
        };
        let seeds: Vec<usize> = (0..width * height).filter(|&at| is_middle(at) && is_likely(at)).collect();
        seen.map(&seeds, limits)
    }

    /// Whether a place of the photo is skin; the frame's rim counts as its nearest node.
    pub fn is_skin(&self, place_px: [f64; 2]) -> bool {
        let node = |k: usize, n: usize| (((place_px[k] + 0.5) / self.step_px).max(0.0) as usize).min(n - 1);
        self.map.row(node(1, self.map.height))[node(0, self.map.width)] > 0.5
    }

    /// Only the largest connected piece of it.
    pub fn largest(mut self) -> Self {
        let piece = components(&self.map).into_iter().max_by_key(Vec::len).unwrap_or_default();
        self.map.data.fill(0.0);
        piece.into_iter().for_each(|at| self.map.data[at] = 1.0);
        self
    }

    /// The box around it, px; none where no skin is.
    pub fn bounds(&self) -> Option<Bounds> {
        let marked = self.map.data.iter().enumerate().filter(|(_, v)| **v > 0.5).map(|(at, _)| at);
        let corner = |i: usize| i as f64 * self.step_px - 0.5;
        let nodes = marked
            .flat_map(|at| [0, 1].map(|end| [corner(at % self.map.width + end), corner(at / self.map.width + end)]));
        Some(Bounds::around(nodes)).filter(|b| b.left <= b.right)
    }

    /// Share of skin among the nodes that lie in an area; none where no node does.
    pub fn share(&self, area: impl Fn([f64; 2]) -> bool) -> Option<f64> {
        let (mut skin, mut all) = (0usize, 0usize);
        for (at, value) in self.map.data.iter().enumerate() {
            let node = [at % self.map.width, at / self.map.width];
            if area(node.map(|i| (i as f64 + 0.5) * self.step_px - 0.5)) {
                all += 1;
                skin += usize::from(*value > 0.5);
            }
        }
        (all > 0).then(|| skin as f64 / all as f64)
    }
}

/// A frame as the map looks at it: ln of linear light, smoothed, and its fine contrast.
struct Seen {
    step_px: f64,
    nodes_per_mm: f64,
    red: Plane,
    red_green: Plane,
    green_blue: Plane,
    strands: Plane,
}

impl Seen {
    fn of(overview: &Overview, px_per_mm: f64) -> Self {
        let mut overview = Cow::Borrowed(overview);
        while overview.block as f64 <= LEAST_PITCH_MM * px_per_mm && overview.linear[0].data.len() > 4 * LEAST_SEEDS {
            overview = Cow::Owned(overview.half());
        }
        let ln = overview.linear.each_ref().map(|plane| plane.map(|v| (v + 1e-3).ln()));
        let step_px = overview.block as f64;
        let nodes_per_mm = px_per_mm / step_px;
        let smooth = ln.each_ref().map(|plane| gaussian(plane, (SIGMA_MM * nodes_per_mm) as f32));
        let (red_green, green_blue) =
            (smooth[0].zip(&smooth[1], |a, b| a - b), smooth[1].zip(&smooth[2], |a, b| a - b));
        let strands = strands(&ln[1], (STRAND_MM * nodes_per_mm) as f32);
        let [red, ..] = smooth;
        Self { step_px, nodes_per_mm, red, red_green, green_blue, strands }
    }

    fn node(&self, place_px: [f64; 2]) -> Option<usize> {
        let [x, y] = place_px.map(|p| ((p + 0.5) / self.step_px).floor());
        let is_in = x >= 0.0 && y >= 0.0 && x < self.red.width as f64 && y < self.red.height as f64;
        is_in.then(|| y as usize * self.red.width + x as usize)
    }

    fn map(&self, seeds: &[usize], limits: &SkinLimits<'_>) -> Option<SkinMap> {
        if seeds.len() < LEAST_SEEDS {
            return None;
        }
        let SkinLimits { foreign, skin } = limits;
        let known = [&self.red_green, &self.green_blue, &self.red].map(|plane| median(plane, seeds));
        let is_skin = |at: usize| {
            let off = |plane: &Plane, k: usize| f64::from(plane.data[at] - known[k]);
            off(&self.red_green, 0).abs() < foreign.red_green
                && off(&self.green_blue, 1).abs() < foreign.green_blue
                && off(&self.red, 2) > -skin.dark
                && f64::from(self.strands.data[at]) < skin.strands
        };
        let data = (0..self.red.data.len()).map(|at| f32::from(u8::from(is_skin(at)))).collect();
        let map = Plane { width: self.red.width, height: self.red.height, data };
        Some(SkinMap { step_px: self.step_px, map: tidied(&map, self.nodes_per_mm, skin) })
    }
}

/// Root mean square of what a blur takes away, over twice its width.
fn strands(ln_green: &Plane, sigma: f32) -> Plane {
    let fine = ln_green.zip(&gaussian(ln_green, sigma), |a, b| (a - b) * (a - b));
    gaussian(&fine, 2.0 * sigma).map(f32::sqrt)
}

/// Skin without small pieces that are none, and those that are large grown by the margin.
fn tidied(map: &Plane, nodes_per_mm: f64, settings: &SkinSettings) -> Plane {
    let mut large = Plane::filled(map.width, map.height, 0.0);
    for piece in components(&map.map(|v| 1.0 - v)) {
        if piece.len() as f64 >= settings.least_mm2 * nodes_per_mm * nodes_per_mm {
            piece.into_iter().for_each(|at| large.data[at] = 1.0);
        }
    }
    grow(&large, settings.margin_mm * nodes_per_mm).map(|v| 1.0 - v)
}

fn median(plane: &Plane, at: &[usize]) -> f32 {
    let mut values: Vec<f32> = at.iter().map(|&i| plane.data[i]).collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use cicatrix_photo::Frame;

    use super::*;

    const PX_PER_MM: f64 = 10.0;
    const SIDE: usize = 600;
    /// Linear red, green, blue of six tones under one lamp, very light to dark.
    const TONES: [[f64; 3]; 6] = [
        [0.62, 0.44, 0.36],
        [0.52, 0.35, 0.25],
        [0.45, 0.28, 0.18],
        [0.37, 0.21, 0.12],
        [0.26, 0.13, 0.06],
        [0.13, 0.055, 0.02],
    ];

    /// Skin of a tone with scars and a shade from left to right; the lower third is what `other` says, by place.
    fn photo(tone: [f64; 3], other: impl Fn(usize, usize) -> Option<[f64; 3]>) -> Frame {
        let pixel = |i: usize| {
            let (x, y) = (i % SIDE, i / SIDE);
            let scar = 1.0 - 0.25 * f64::from(u8::from(x % 40 < 8 && y % 40 < 8));
            let shade = 1.0 - 0.5 * x as f64 / SIDE as f64;
            let lower = if y >= 400 { other(x, y) } else { None };
            lower.unwrap_or(tone.map(|v| v * scar * shade)).map(|v| (v * 65535.0) as u16)
        };
        Frame { width: SIDE, height: SIDE, linear: (0..SIDE * SIDE).flat_map(pixel).collect() }
    }

    fn map(frame: &Frame) -> SkinMap {
        let known: Vec<[f64; 2]> =
            (0..400).map(|i| [(i % 20) as f64 * 30.0 + 7.0, (i / 20) as f64 * 20.0 + 5.0]).collect();
        let (foreign, skin) = (ForeignSettings::default(), SkinSettings::default());
        SkinMap::of(&Overview::of(frame), PX_PER_MM, &known, &SkinLimits { foreign: &foreign, skin: &skin }).unwrap()
    }

    fn shares(frame: &Frame) -> (f64, f64) {
        let map = map(frame);
        let share = |top: f64, bottom: f64| map.share(|[_, y]| (top..bottom).contains(&y)).unwrap();
        (share(0.0, 350.0), share(430.0, 600.0))
    }

    #[test]
    fn scarred_skin_of_every_tone_is_skin() {
        for tone in TONES {
            assert_eq!(shares(&photo(tone, |_, _| None)), (1.0, 1.0), "{tone:?}");
        }
    }

    #[test]
    fn hair_beard_cloth_and_backdrop_are_none_whatever_the_tone() {
        let strand = |x: usize| if x % 10 < 5 { 0.008 } else { 0.05 };
        for tone in TONES {
            let hair = |x: usize, _: usize| Some([1.25 * strand(x), strand(x), 0.8 * strand(x)]);
            let beard = |x: usize, y: usize| (x % 9 < 4 && y % 14 < 10).then_some([0.015, 0.012, 0.01]);
            let cloth = |_: usize, _: usize| Some([0.1, 0.15, 0.3]);
            let backdrop = |_: usize, _: usize| Some([0.3, 0.33, 0.36]);
            for (name, lower) in [
                ("hair", shares(&photo(tone, hair))),
                ("beard", shares(&photo(tone, beard))),
                ("cloth", shares(&photo(tone, cloth))),
                ("backdrop", shares(&photo(tone, backdrop))),
            ] {
                assert!(lower.0 > 0.95 && lower.1 < 0.1, "{name} beside {tone:?}: {lower:?}");
            }
        }
    }

    #[test]
    fn a_naevus_and_a_strand_are_too_small_to_count() {
        let spot = |x: usize, y: usize| (x.abs_diff(300) < 12 && y.abs_diff(500) < 12).then_some([0.16, 0.08, 0.04]);
        assert_eq!(shares(&photo(TONES[2], spot)).1, 1.0);
    }

    #[test]
    fn without_a_hint_the_skin_of_the_middle_is_found_and_boxed() {
        let frame = photo(TONES[1], |_, _| Some([0.3, 0.33, 0.36]));
        let (foreign, skin) = (ForeignSettings::default(), SkinSettings::default());
        let limits = SkinLimits { foreign: &foreign, skin: &skin };
        let map = SkinMap::guess(&Overview::of(&frame), PX_PER_MM, &limits).unwrap().largest();
        let Bounds { left, top, right, bottom } = map.bounds().unwrap();
        assert!(left < 5.0 && top < 5.0 && right > 590.0, "{left} {top} {right}");
        assert!((380.0..405.0).contains(&bottom), "{bottom}");
    }
}
