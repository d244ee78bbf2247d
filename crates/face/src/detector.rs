//! Reads what the detector says: Bazarevsky et al., BlazeFace, 2019, arXiv:1907.05047; anchors and decoding as MediaPipe's
//! `face_detection_short_range` has them.

/// Side of its input, px.
pub(crate) const SIDE: usize = 128;
/// Its input for black and white.
pub(crate) const RANGE: [f32; 2] = [-1.0, 1.0];
/// Numbers for each anchor: box (middle, size), then six points: eyes, nose, mouth, ears.
pub(crate) const NUMBERS: usize = 16;
/// Anchors: two on each node of a 16 × 16 lattice, six on each of an 8 × 8 one.
const LATTICES: [(usize, usize); 2] = [(16, 2), (8, 6)];
/// Boxes that overlap by more are of one face.
const OVERLAP: f64 = 0.3;

/// A face that may be there; shares of the square that was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) score: f64,
    pub(crate) centre: [f64; 2],
    pub(crate) size: [f64; 2],
    /// The person's.
    pub(crate) right_eye: [f64; 2],
    pub(crate) left_eye: [f64; 2],
}

/// Candidates of at least this score, best first, one a face: overlapping ones are averaged by score.
pub(crate) fn candidates(regressors: &[f32], scores: &[f32], least_score: f64) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = anchors()
        .zip(regressors.chunks_exact(NUMBERS).zip(scores))
        .map(|(anchor, (numbers, score))| decoded(anchor, numbers, f64::from(*score)))
        .filter(|candidate| candidate.score >= least_score)
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut faces = Vec::new();
    while let Some(best) = found.first().copied() {
        let (same, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|c| overlap(c, &best) > OVERLAP);
        // A box without area overlaps nothing, not even itself.
        if same.is_empty() {
            break;
        }
        faces.push(mean(&same, best.score));
        found = others;
    }
    faces
}

fn anchors() -> impl Iterator<Item = [f64; 2]> {
    let centre = |i: usize, n: usize| (i as f64 + 0.5) / n as f64;
    LATTICES
        .into_iter()
        .flat_map(move |(n, each)| (0..n * n * each).map(move |i| [centre(i / each % n, n), centre(i / each / n, n)]))
}

fn decoded(anchor: [f64; 2], numbers: &[f32], score: f64) -> Candidate {
    let share = |k: usize| f64::from(numbers[k]) / SIDE as f64;
    let place = |k: usize| [anchor[0] + share(k), anchor[1] + share(k + 1)];
    Candidate {
        score: sigmoid(score),
        centre: place(0),
        size: [share(2), share(3)],
        right_eye: place(4),
        left_eye: place(6),
    }
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Area that two boxes share, over the area that they cover.
fn overlap(a: &Candidate, b: &Candidate) -> f64 {
    let common = |k: usize| {
        let end = |c: &Candidate, side: f64| c.centre[k] + side * c.size[k];
        (end(a, 0.5).min(end(b, 0.5)) - end(a, -0.5).max(end(b, -0.5))).max(0.0)
    };
    let common = common(0) * common(1);
    let area = |c: &Candidate| c.size[0].max(0.0) * c.size[1].max(0.0);
    let covered = area(a) + area(b) - common;
    if covered > 0.0 { common / covered } else { 0.0 }
}

fn mean(candidates: &[Candidate], score: f64) -> Candidate {
    let weight: f64 = candidates.iter().map(|c| c.score).sum();
    let mean = |of: fn(&Candidate) -> [f64; 2]| {
        [0, 1].map(|k| candidates.iter().map(|c| c.score * of(c)[k]).sum::<f64>() / weight)
    };
    Candidate {
        score,
        centre: mean(|c| c.centre),
        size: mean(|c| c.size),
        right_eye: mean(|c| c.right_eye),
        left_eye: mean(|c| c.left_eye),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHORS: usize = 16 * 16 * 2 + 8 * 8 * 6;

    #[test]
    fn anchors_fill_two_lattices_row_by_row() {
        let all: Vec<[f64; 2]> = anchors().collect();
        assert_eq!(all.len(), ANCHORS);
        assert_eq!((all[0], all[1], all[2]), ([1.0 / 32.0; 2], [1.0 / 32.0; 2], [3.0 / 32.0, 1.0 / 32.0]));
        assert_eq!((all[512], all[ANCHORS - 1]), ([1.0 / 16.0; 2], [15.0 / 16.0; 2]));
    }

    #[test]
    fn overlapping_boxes_are_one_face_and_distant_ones_are_two() {
        let mut regressors = vec![0.0; ANCHORS * NUMBERS];
        let mut scores = vec![-100.0; ANCHORS];
        for (anchor, score) in [(0, 2.0), (2, 3.0), (511, 2.0)] {
            regressors[anchor * NUMBERS + 2..anchor * NUMBERS + 4].fill(40.0);
            scores[anchor] = score;
        }
        let found = candidates(&regressors, &scores, 0.5);
        assert_eq!(found.len(), 2);
        assert!(found[0].score > 0.95 && found[0].centre[0] > 1.0 / 32.0 && found[0].centre[0] < 3.0 / 32.0);
        assert_eq!(found[1].centre, [31.0 / 32.0; 2]);
    }
}
