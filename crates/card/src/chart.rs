//! What is printed on a 24-patch card: colours, and the two ways in which the patches are laid out.

/// Patches of a card.
pub const PATCHES: usize = 24;
/// Index of the first of the six neutral patches, white to black.
pub const FIRST_NEUTRAL: usize = 18;

/// sRGB codes (8 bits) of the classic 24 patches under D65, row by row from dark skin; cards made since 2014 differ from
/// older ones by less than printing varies. Source: the averages that X-Rite publishes for its ColorChecker Classic.
pub const SRGB: [[u8; 3]; PATCHES] = [
    [115, 82, 68],
    [194, 150, 130],
    [98, 122, 157],
    [87, 108, 67],
    [133, 128, 177],
    [103, 189, 170],
    [214, 126, 44],
    [80, 91, 166],
    [193, 90, 99],
    [94, 60, 108],
    [157, 188, 64],
    [224, 163, 46],
    [56, 61, 150],
    [70, 148, 73],
    [175, 54, 60],
    [231, 199, 31],
    [187, 86, 149],
    [8, 133, 161],
    [243, 243, 242],
    [200, 200, 200],
    [160, 160, 160],
    [122, 122, 121],
    [85, 85, 85],
    [52, 52, 52],
];

/// Linear sRGB (0 to 1) of a patch.
pub fn linear(patch: usize) -> [f64; 3] {
    SRGB[patch].map(|code| cicatrix_photo::to_linear(f64::from(code) / 255.0))
}

/// How the patches are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Four rows of six: Classic, Passport, mini and their like.
    Classic,
    /// Two rows of twelve, a strip that is laid beside a lesion.
    Strip,
}

impl Layout {
    pub(super) const ALL: [Layout; 2] = [Layout::Classic, Layout::Strip];

    /// Columns and rows, dark skin being the first patch of the first row.
    pub fn size(self) -> (i32, i32) {
        match self {
            Layout::Classic => (6, 4),
            Layout::Strip => (12, 2),
        }
    }

    /// Place on the card, in patches from the centre of the first one.
    pub(super) fn place(self, patch: usize) -> [f64; 2] {
        let columns = self.size().0 as usize;
        [(patch % columns) as f64, (patch / columns) as f64]
    }
}

/// A quarter turn, or several, between the card and the lattice that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u8);

impl Turn {
    pub(super) const ALL: [Turn; 4] = [Turn(0), Turn(1), Turn(2), Turn(3)];

    /// Columns and rows of the window that a card takes up in the lattice.
    pub(super) fn window(self, layout: Layout) -> (i32, i32) {
        let (columns, rows) = layout.size();
        if self.0.is_multiple_of(2) { (columns, rows) } else { (rows, columns) }
    }

    /// Patch at a place of the window.
    pub(super) fn patch(self, layout: Layout, x: i32, y: i32) -> usize {
        let (columns, rows) = layout.size();
        let (column, row) = match self.0 {
            0 => (x, y),
            1 => (y, rows - 1 - x),
            2 => (columns - 1 - x, rows - 1 - y),
            _ => (columns - 1 - y, x),
        };
        (row * columns + column) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_shows_every_patch_once_and_keeps_the_handedness() {
        for layout in Layout::ALL {
            for turn in Turn::ALL {
                let (columns, rows) = turn.window(layout);
                let mut seen: Vec<usize> = (0..rows)
                    .flat_map(|y| (0..columns).map(move |x| (x, y)))
                    .map(|(x, y)| turn.patch(layout, x, y))
                    .collect();
                let place = |x, y| layout.place(turn.patch(layout, x, y));
                let (o, u, v) = (place(0, 0), place(1, 0), place(0, 1));
                let area = (u[0] - o[0]) * (v[1] - o[1]) - (u[1] - o[1]) * (v[0] - o[0]);
                assert!((area - 1.0).abs() < 1e-9, "{layout:?} {turn:?} is mirrored");
                seen.sort_unstable();
                assert_eq!(seen, (0..PATCHES).collect::<Vec<_>>());
            }
        }
    }
}
