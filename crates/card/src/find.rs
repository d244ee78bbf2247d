//! From lattices of flat pieces to cards: which way round, which patches, what they measure.

use cicatrix_align::Homography;
use cicatrix_photo::{Frame, Overview};

use crate::chart::{self, Layout, PATCHES, Turn};
use crate::flat::{Piece, Small};
use crate::lattice::{Lattice, Near};

/// A card in a photo.
#[derive(Debug, Clone)]
pub struct Card {
    pub layout: Layout,
    /// Its outline, half a step beyond the outer patches: top left of dark skin first, as the card is read.
    pub corners_px: [[f64; 2]; 4],
    /// In the order of the chart, dark skin first, black last.
    pub patches: [Patch; PATCHES],
    /// How well their colours rank as the chart's do: 1 is perfect, chance is near 0.
    pub agreement: f64,
    /// Mean distance of neighbouring patches, px.
    pub pitch_px: f64,
}

/// A patch as the photo shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patch {
    pub centre_px: [f64; 2],
    /// Median in linear light, 0 to 1.
    pub linear: [f64; 3],
    /// Inside the frame, of one colour and not burnt out. Whether something covers it evenly, only the fit of a
    /// correction can tell.
    pub usable: bool,
    /// Its edges were found where the card has them, so that nothing covers it.
    pub seen: bool,
}

/// Patches that must be seen.
const LEAST: usize = 9;
/// Half the side of the square that a patch is read in, in steps: patches are 0.8 to 1 steps wide.
const READ: f64 = 0.27;
/// Samples across that square.
const ACROSS: i32 = 11;
/// Linear light of a burnt-out channel.
const BURNT: f64 = 0.98;
/// Half the distance of the quartiles over the level, beyond which a patch is not of one colour.
const UNEVEN: f64 = 0.1;

/// All cards in a photo, those with most patches first.
pub fn cards(frame: &Frame, overview: &Overview) -> Vec<Card> {
    let small = Small::of(overview);
    let pieces = small.pieces();
    let near = Near::new(&pieces);
    let mut taken = vec![false; pieces.len()];
    let mut found = Vec::new();
    for seed in 0..pieces.len() {
        if taken[seed] {
            continue;
        }
        let lattice = near.lattice(seed);
        if lattice.len() < LEAST {
            continue;
        }
        if let Some(placing) = Placing::best(&lattice, &pieces)
            && let Some(card) = placing.read(&lattice, &pieces, &small, frame)
        {
            placing.members(&lattice).for_each(|(_, piece)| taken[piece] = true);
            found.push(card);
        }
    }
    found.sort_by(|a, b| b.seen().cmp(&a.seen()).then(b.agreement.total_cmp(&a.agreement)));
    apart(found)
}

/// Without those that lie on one that was found with more patches.
fn apart(cards: Vec<Card>) -> Vec<Card> {
    let mut kept: Vec<Card> = Vec::new();
    for card in cards {
        let centre = card.centre();
        if kept.iter().all(|other| !other.covers(centre, 0.0) && !card.covers(other.centre(), 0.0)) {
            kept.push(card);
        }
    }
    kept
}

impl Card {
    /// How many patches were seen.
    pub fn seen(&self) -> usize {
        self.patches.iter().filter(|patch| patch.seen).count()
    }

    fn centre(&self) -> [f64; 2] {
        [0, 1].map(|k| self.corners_px.iter().map(|corner| corner[k]).sum::<f64>() / 4.0)
    }

    /// Whether a place lies on the patches or within `rim` steps around them.
    pub fn covers(&self, [x, y]: [f64; 2], rim: f64) -> bool {
        let c = &self.corners_px;
        (0..4).all(|i| {
            let (a, b) = (c[i], c[(i + 1) % 4]);
            let side = (b[0] - a[0]).hypot(b[1] - a[1]);
            (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) >= -rim * self.pitch_px * side
        })
    }
}

/// Where a card lies in a lattice.
#[derive(Debug, Clone, Copy)]
struct Placing {
    layout: Layout,
    turn: Turn,
    origin: (i32, i32),
    agreement: f64,
}

impl Placing {
    fn best(lattice: &Lattice, pieces: &[Piece]) -> Option<Self> {
        let (mut low, mut high) = ((i32::MAX, i32::MAX), (i32::MIN, i32::MIN));
        for (x, y) in lattice.keys() {
            (low, high) = ((low.0.min(*x), low.1.min(*y)), (high.0.max(*x), high.1.max(*y)));
        }
        let mut best: Option<(f64, Self)> = None;
        for layout in Layout::ALL {
            for turn in Turn::ALL {
                let (width, height) = turn.window(layout);
                for y in low.1 - height + 1..=high.1 {
                    for x in low.0 - width + 1..=high.0 {
                        let placing = Self { layout, turn, origin: (x, y), agreement: 0.0 };
                        if let Some((worth, agreement)) = placing.worth(lattice, pieces)
                            && best.is_none_or(|(most, _)| worth > most)
                        {
                            best = Some((worth, Self { agreement, ..placing }));
                        }
                    }
                }
            }
        }
        best.map(|(_, placing)| placing)
    }

    /// Patch and piece of each place of the window that the lattice has.
    fn members<'a>(&'a self, lattice: &'a Lattice) -> impl Iterator<Item = (usize, usize)> + 'a {
        let (width, height) = self.turn.window(self.layout);
        lattice.iter().filter_map(move |((x, y), piece)| {
            let (x, y) = (x - self.origin.0, y - self.origin.1);
            let within = x >= 0 && y >= 0 && x < width && y < height;
            within.then(|| (self.turn.patch(self.layout, x, y), *piece))
        })
    }

    /// How much speaks for it, and how well the colours rank; none where it cannot be a card.
    fn worth(&self, lattice: &Lattice, pieces: &[Piece]) -> Option<(f64, f64)> {
        let mut members: Vec<(usize, usize)> = self.members(lattice).collect();
        if members.len() < LEAST {
            return None;
        }
        members.sort_unstable();
        let measured: Vec<[f64; 5]> = members.iter().map(|(_, piece)| features(pieces[*piece].colour)).collect();
        let printed: Vec<[f64; 5]> =
            members.iter().map(|(patch, _)| features(chart::linear(*patch).map(f64::sqrt))).collect();
        let agree = |k: usize| {
            let column = |rows: &[[f64; 5]]| rows.iter().map(|row| row[k]).collect::<Vec<_>>();
            rank_correlation(&column(&measured), &column(&printed))
        };
        let agreements: [f64; 5] = std::array::from_fn(agree);
        let mean = agreements.iter().sum::<f64>() / 5.0;
        let least = agreements.iter().copied().fold(1.0, f64::min);
        // The fewer patches, the better chance ranks them.
        let n = members.len() as f64;
        (mean > 0.72 + 1.6 / n && least > 0.5).then_some((n * (mean - 0.5), mean))
    }

    fn read(&self, lattice: &Lattice, pieces: &[Piece], small: &Small, frame: &Frame) -> Option<Card> {
        let to_frame = |place: f64| (place + 0.5) * small.factor as f64 - 0.5;
        let mut members: Vec<(usize, usize)> = self.members(lattice).collect();
        members.sort_unstable();
        let pairs: Vec<_> = members
            .iter()
            .map(|(patch, piece)| (self.layout.place(*patch), pieces[*piece].centre.map(to_frame)))
            .collect();
        let map = Homography::fit(&pairs)?;
        let patches = std::array::from_fn(|patch| {
            let seen = members.iter().any(|(member, _)| *member == patch);
            Patch { seen, ..read_patch(frame, &map, self.layout.place(patch)) }
        });
        let (columns, rows) = self.layout.size();
        let (right, bottom) = (f64::from(columns) - 0.5, f64::from(rows) - 0.5);
        let corners_px = [[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]].map(|c| map.apply(c));
        let sides = (0..4).map(|i| {
            let (a, b) = (corners_px[i], corners_px[(i + 1) % 4]);
            (a[0] - b[0]).hypot(a[1] - b[1])
        });
        let pitch_px = sides.sum::<f64>() / f64::from(2 * (columns + rows));
        Some(Card { layout: self.layout, corners_px, patches, agreement: self.agreement, pitch_px })
    }
}

/// What is ranked: the channels, and what no brightness moves.
fn features([r, g, b]: [f64; 3]) -> [f64; 5] {
    let ratio = |a: f64, b: f64| (a + 0.01) / (b + 0.01);
    [r, g, b, ratio(r, g), ratio(g, b)]
}

/// Spearman's correlation of ranks; equal values share their rank.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        let (a, b) = (a - mean, b - mean);
        (aa, ab, bb) = (aa + a * a, ab + a * b, bb + b * b);
    }
    if aa * bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |v: f64| values.iter().filter(|other| **other < v).count() as f64;
    let equal = |v: f64| values.iter().filter(|other| **other == v).count() as f64;
    values.iter().map(|&v| below(v) + (equal(v) - 1.0) / 2.0).collect()
}

fn read_patch(frame: &Frame, map: &Homography, place: [f64; 2]) -> Patch {
    let centre_px = map.apply(place);
    let mut samples: [Vec<f64>; 3] = Default::default();
    for j in 0..ACROSS {
        for i in 0..ACROSS {
            let offset = |k: i32| READ * (2.0 * f64::from(k) / f64::from(ACROSS - 1) - 1.0);
            let [x, y] = map.apply([place[0] + offset(i), place[1] + offset(j)]).map(f64::round);
            if x < 0.0 || y < 0.0 || x >= frame.width as f64 || y >= frame.height as f64 {
                continue;
            }
            let at = 3 * (y as usize * frame.width + x as usize);
            for (channel, v) in samples.iter_mut().zip(&frame.linear[at..at + 3]) {
                channel.push(f64::from(*v) / 65535.0);
            }
        }
    }
    let is_inside = samples[0].len() == (ACROSS * ACROSS) as usize;
    let mut is_even = true;
    let linear = samples.map(|mut channel| {
        channel.sort_by(f64::total_cmp);
        let at = |share: f64| channel.get((share * channel.len() as f64) as usize).copied().unwrap_or(0.0);
        let (low, middle, high) = (at(0.25), at(0.5), at(0.75));
        is_even &= (high - low) / 2.0 < UNEVEN * (middle + 0.02);
        middle
    });
    let usable = is_inside && is_even && linear.iter().all(|v| *v < BURNT);
    Patch { centre_px, linear, usable, seen: false }
}
