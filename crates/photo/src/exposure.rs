//! How well a frame is exposed, over a mask or the whole of it.

use crate::{Frame, from_linear};

/// Shares are 0 to 1 of the pixels looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// At least one channel at white.
    pub clipped_high: f64,
    /// At least one channel above 80 % of white, where cameras bend the tone curve and contrast goes.
    pub near_white: f64,
    /// All channels under 0.4 % of white.
    pub clipped_low: f64,
    /// Median green, as sRGB code 0 to 1.
    pub median_code: f64,
}

/// Reads the exposure over the pixels for which `inside(x, y)` holds, every second pixel of every second row.
pub fn exposure(frame: &Frame, inside: impl Fn(usize, usize) -> bool) -> Exposure {
    let (mut high, mut near, mut low, mut n) = (0u64, 0u64, 0u64, 0u64);
    let mut histogram = vec![0u64; 4096];
    for y in (0..frame.height).step_by(2) {
        for x in (0..frame.width).step_by(2) {
            if !inside(x, y) {
                continue;
            }
            let at = 3 * (y * frame.width + x);
            let [r, g, b] = [frame.linear[at], frame.linear[at + 1], frame.linear[at + 2]];
            n += 1;
            high += u64::from(r.max(g).max(b) >= 65_000);
            near += u64::from(r.max(g).max(b) >= 52_428);
            low += u64::from(r.max(g).max(b) < 262);
            histogram[usize::from(g >> 4)] += 1;
        }
    }
    let share = |count: u64| if n == 0 { 0.0 } else { count as f64 / n as f64 };
    Exposure {
        clipped_high: share(high),
        near_white: share(near),
        clipped_low: share(low),
        median_code: median_code(&histogram, n),
    }
}

fn median_code(histogram: &[u64], n: u64) -> f64 {
    let mut below = 0;
    for (level, count) in histogram.iter().enumerate() {
        below += count;
        if 2 * below >= n {
            return from_linear((level as f64 + 0.5) / 4096.0);
        }
    }
    1.0
}
