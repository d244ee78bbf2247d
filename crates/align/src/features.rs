//! Points that can be found again in another photo of the same skin: SIFT on locally normalized green.

use cicatrix_photo::Plane;
use kornia_imgproc::features::{DESCR_LEN, FirstOctave, SiftConfig, SiftWorkspace, sift_detect_and_compute};

use crate::prepared::to_photo;

/// Most features kept a photo; matching costs the square.
const MOST: usize = 2000;
/// Lowe's ratio test.
const RATIO: f32 = 0.8;

/// Feature points in photo pixels with their descriptors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Features {
    points: Vec<[f64; 2]>,
    /// SIFT's 128 bins, 0 to 255, in 16 bits: their products add up in the CPU's integer lanes.
    descriptors: Vec<[i16; DESCR_LEN]>,
}

impl Features {
    pub(crate) fn find(normalized: &Plane, factor: usize) -> Self {
        let grey = normalized.map(|v| (v * 40.0 + 128.0).clamp(0.0, 255.0));
        let config = SiftConfig { n_features: MOST, contrast_threshold: 0.02, ..SiftConfig::default() };
        let mut workspace = SiftWorkspace::new();
        let found = sift_detect_and_compute(
            &mut workspace,
            &grey.data,
            grey.width,
            grey.height,
            &config,
            FirstOctave::Native,
            usize::MAX,
            false,
        );
        let Ok(found) = found else { return Self::default() };
        let place = |v: f32| to_photo(f64::from(v), factor);
        let points = found.keypoints.iter().map(|k| [place(k.x), place(k.y)]).collect();
        let integer = |d: &[f32]| std::array::from_fn(|i| d[i].clamp(0.0, 255.0) as i16);
        Self { points, descriptors: found.descriptors.chunks_exact(DESCR_LEN).map(integer).collect() }
    }

    /// Mutual best matches that pass the ratio test: places in `self` and in `other`.
    pub(crate) fn matches(&self, other: &Features) -> Vec<([f64; 2], [f64; 2])> {
        let own: Vec<i32> = self.descriptors.iter().map(|d| dot(d, d)).collect();
        let mut columns = vec![Best::default(); other.descriptors.len()];
        let mut rows = vec![Best::default(); own.len()];
        let squares: Vec<i32> = other.descriptors.iter().map(|d| dot(d, d)).collect();
        for (i, descriptor) in self.descriptors.iter().enumerate() {
            for (j, candidate) in other.descriptors.iter().enumerate() {
                let distance = own[i] + squares[j] - 2 * dot(descriptor, candidate);
                rows[i].offer(j, distance);
                columns[j].offer(i, distance);
            }
        }
        let kept = rows.iter().enumerate().filter(|(i, best)| {
            best.is_distinct() && columns[best.index].index == *i && columns[best.index].is_distinct()
        });
        kept.map(|(i, best)| (self.points[i], other.points[best.index])).collect()
    }
}

fn dot(a: &[i16; DESCR_LEN], b: &[i16; DESCR_LEN]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// Nearest and second nearest so far, squared distances.
#[derive(Clone, Copy)]
struct Best {
    index: usize,
    nearest: i32,
    second: i32,
}

impl Default for Best {
    fn default() -> Self {
        Self { index: 0, nearest: i32::MAX, second: i32::MAX }
    }
}

impl Best {
    fn offer(&mut self, index: usize, distance: i32) {
        if distance < self.nearest {
            (self.index, self.second, self.nearest) = (index, self.nearest, distance);
        } else if distance < self.second {
            self.second = distance;
        }
    }

    fn is_distinct(&self) -> bool {
        self.second < i32::MAX && (self.nearest as f32) < RATIO * RATIO * self.second as f32
    }
}
