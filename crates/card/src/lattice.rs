//! Pieces that lie on a lattice, as the patches of a card do.

use std::collections::HashMap;

use super::flat::Piece;

/// Pieces by their place in the lattice. Steps to the right and down turn as the axes of the picture do.
pub(super) type Lattice = HashMap<(i32, i32), usize>;

/// Pieces of a patch's size differ by less than this factor in their side: printing, tilt, a bitten edge.
const ALIKE: f64 = 1.5;
/// Step over side: patches nearly touch, or are one gap apart.
const STEP: std::ops::RangeInclusive<f64> = 0.9..=2.0;
/// Neighbours of a piece that are tried.
const NEAREST: usize = 8;
/// A piece may lie this far from where the lattice has it, in steps.
const OFF: f64 = 0.25;
/// A lattice does not grow beyond the longest card.
const REACH: i32 = 12;

/// Finds pieces near a place.
pub(super) struct Near<'a> {
    pieces: &'a [Piece],
    cell: f64,
    cells: HashMap<(i32, i32), Vec<usize>>,
}

impl<'a> Near<'a> {
    pub(super) fn new(pieces: &'a [Piece]) -> Self {
        let cell = 24.0;
        let mut cells: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
        for (index, piece) in pieces.iter().enumerate() {
            cells.entry(Self::key(piece.centre, cell)).or_default().push(index);
        }
        Self { pieces, cell, cells }
    }

    fn key(place: [f64; 2], cell: f64) -> (i32, i32) {
        ((place[0] / cell).floor() as i32, (place[1] / cell).floor() as i32)
    }

    /// Pieces within `radius` of a place, nearest first.
    fn around(&self, place: [f64; 2], radius: f64) -> Vec<usize> {
        let low = Self::key([place[0] - radius, place[1] - radius], self.cell);
        let high = Self::key([place[0] + radius, place[1] + radius], self.cell);
        let cells = (low.1..=high.1).flat_map(|y| (low.0..=high.0).map(move |x| (x, y)));
        let distance = |index: &usize| length(minus(self.pieces[*index].centre, place));
        let mut found: Vec<usize> = cells.filter_map(|cell| self.cells.get(&cell)).flatten().copied().collect();
        found.retain(|index| distance(index) <= radius);
        found.sort_by(|a, b| distance(a).total_cmp(&distance(b)).then(a.cmp(b)));
        found
    }

    fn is_alike(&self, a: usize, b: usize) -> bool {
        let ratio = self.pieces[a].side / self.pieces[b].side;
        ratio < ALIKE && ratio > 1.0 / ALIKE
    }

    /// The largest lattice that holds this piece.
    pub(super) fn lattice(&self, seed: usize) -> Lattice {
        let side = self.pieces[seed].side;
        let centre = self.pieces[seed].centre;
        let neighbours = self.around(centre, side * STEP.end());
        let steps: Vec<[f64; 2]> = neighbours
            .into_iter()
            .filter(|&other| other != seed && self.is_alike(seed, other))
            .map(|other| minus(self.pieces[other].centre, centre))
            .filter(|step| STEP.contains(&(length(*step) / side)))
            .take(NEAREST)
            .collect();
        let mut best = Lattice::new();
        for right in &steps {
            for down in &steps {
                let area = right[0] * down[1] - right[1] * down[0];
                let ratio = length(*right) / length(*down);
                // Turned as the picture, with an angle of 50 to 130 degrees between them; one of the four turns will do.
                let is_basis = area > 0.766 * length(*right) * length(*down) && ratio < 1.6 && ratio > 1.0 / 1.6;
                if is_basis && right[0] > right[1].abs() * 0.4 {
                    let grown = self.grow(seed, *right, *down);
                    if grown.len() > best.len() {
                        best = grown;
                    }
                }
            }
        }
        best
    }

    fn grow(&self, seed: usize, right: [f64; 2], down: [f64; 2]) -> Lattice {
        let mut lattice = Lattice::from([((0, 0), seed)]);
        let mut open = vec![(0, 0)];
        while let Some(at) = open.pop() {
            for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
                let next: (i32, i32) = (at.0 + dx, at.1 + dy);
                if lattice.contains_key(&next) || next.0.abs() >= REACH || next.1.abs() >= REACH {
                    continue;
                }
                let step = self.step(&lattice, at, (dx, dy), right, down);
                let here = self.pieces[lattice[&at]].centre;
                let there = [here[0] + step[0], here[1] + step[1]];
                let found = self.around(there, OFF * length(step));
                let fitting = found.into_iter().find(|&piece| self.is_alike(seed, piece));
                if let Some(piece) = fitting.filter(|piece| !lattice.values().any(|known| known == piece)) {
                    lattice.insert(next, piece);
                    open.push(next);
                }
            }
        }
        lattice
    }

    /// The step that leads on from a place: the one that led to it, else one beside it, else that of the seed. So the
    /// lattice follows a card in perspective.
    fn step(
        &self,
        lattice: &Lattice,
        at: (i32, i32),
        (dx, dy): (i32, i32),
        right: [f64; 2],
        down: [f64; 2],
    ) -> [f64; 2] {
        let between = |a: (i32, i32), b: (i32, i32)| {
            let (a, b) = (lattice.get(&a)?, lattice.get(&b)?);
            Some(minus(self.pieces[*b].centre, self.pieces[*a].centre))
        };
        let beside = [(dy, dx), (-dy, -dx)].map(|(sx, sy)| (at.0 + sx, at.1 + sy));
        between((at.0 - dx, at.1 - dy), at)
            .or_else(|| beside.iter().find_map(|&side| between(side, (side.0 + dx, side.1 + dy))))
            .unwrap_or_else(|| {
                let (dx, dy) = (f64::from(dx), f64::from(dy));
                [dx * right[0] + dy * down[0], dx * right[1] + dy * down[1]]
            })
    }
}

fn minus(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] - b[0], a[1] - b[1]]
}

fn length(v: [f64; 2]) -> f64 {
    v[0].hypot(v[1])
}
