//! Connected pieces of a mask.

use crate::Plane;

/// Pixel indices of each 8-connected piece of what is above 0.5, in reading order of their first pixel.
pub fn components(mask: &Plane) -> Vec<Vec<usize>> {
    let (w, h) = (mask.width, mask.height);
    let mut seen = vec![false; mask.data.len()];
    let mut found = Vec::new();
    for start in 0..mask.data.len() {
        if seen[start] || mask.data[start] <= 0.5 {
            continue;
        }
        seen[start] = true;
        let mut piece = vec![start];
        let mut next = 0;
        while let Some(&at) = piece.get(next) {
            next += 1;
            let (x, y) = (at % w, at / w);
            for ny in y.saturating_sub(1)..=(y + 1).min(h - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(w - 1) {
                    let neighbour = ny * w + nx;
                    if !seen[neighbour] && mask.data[neighbour] > 0.5 {
                        seen[neighbour] = true;
                        piece.push(neighbour);
                    }
                }
            }
        }
        found.push(piece);
    }
    found
}
