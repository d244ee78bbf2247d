use cicatrix_photo::{Plane, masked_gaussian};
use serde::{Deserialize, Serialize};

/// Gain and gamma of one channel: `ln f = ln_gain + gamma · ln m`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tone {
    pub ln_gain: f64,
    /// 0.7 to 1.4; beyond that a slope is noise, not a camera.
    pub gamma: f64,
}

const GAMMA_RANGE: (f64, f64) = (0.7, 1.4);
const ROUNDS: usize = 8;
/// Tukey cut in robust standard deviations.
const CUT: f64 = 4.685;
/// Pixels are thinned to about this many; more do not make the fit better.
const MOST_SAMPLES: usize = 20_000;

impl Tone {
    /// Leaves a channel as it is.
    pub(crate) const NONE: Tone = Tone { ln_gain: 0.0, gamma: 1.0 };

    /// Fits by iterated reweighting. The slope comes from detail finer than `band` (σ in px), where light plays no
    /// part; the gain from the medians of what remains.
    pub(crate) fn fit(fixed: &Plane, moving: &Plane, skin: &Plane, band: f32) -> Self {
        let smooth = |p: &Plane, sigma: f32| masked_gaussian(p, skin, sigma);
        let detail = |p: &Plane| smooth(p, band / 6.0).zip(&smooth(p, band), |a, b| a - b);
        let (f, m) = (detail(fixed), detail(moving));
        let step = (skin.data.len() / MOST_SAMPLES).max(1);
        let picked = || (0..skin.data.len()).step_by(step).filter(|&i| skin.data[i] > 0.5);
        let pairs: Vec<(f64, f64)> = picked().map(|i| (f64::from(m.data[i]), f64::from(f.data[i]))).collect();
        let gamma = slope(&pairs).clamp(GAMMA_RANGE.0, GAMMA_RANGE.1);
        let rest = picked().map(|i| f64::from(fixed.data[i]) - gamma * f64::from(moving.data[i]));
        Self { ln_gain: median(rest.collect()), gamma }
    }

    pub(crate) fn apply(&self, ln: &Plane) -> Plane {
        let (gain, gamma) = (self.ln_gain as f32, self.gamma as f32);
        ln.map(|v| gain + gamma * v)
    }
}

/// Slope through the origin by the ratio of robust spreads with Tukey weights (reduced major axis): noise in either
/// photo does not flatten it, as it would least squares.
fn slope(pairs: &[(f64, f64)]) -> f64 {
    let mut slope = 1.0;
    for _ in 0..ROUNDS {
        let spread = 1.4826 * median(pairs.iter().map(|(x, y)| (y - slope * x).abs()).collect());
        if spread <= 1e-9 {
            break;
        }
        let (mut xx, mut yy) = (0.0, 0.0);
        for (x, y) in pairs {
            let t = (y - slope * x) / (CUT * spread);
            let w = if t.abs() < 1.0 { (1.0 - t * t).powi(2) } else { 0.0 };
            xx += w * x * x;
            yy += w * y * y;
        }
        if xx <= 1e-12 {
            return 1.0;
        }
        slope = (yy / xx).sqrt();
    }
    slope
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gain_and_gamma_are_found_although_a_tenth_of_the_skin_has_changed() {
        let (w, h) = (160, 120);
        let texture = |i: usize| 0.1 * ((i % w) as f32 * 0.9).sin() * ((i / w) as f32 * 0.7).cos();
        let moving = Plane { width: w, height: h, data: (0..w * h).map(|i| -1.0 + texture(i)).collect() };
        let fixed = moving.map(|v| 0.3 + 1.1 * v);
        let mut changed = moving.clone();
        for y in 0..h {
            changed.row_mut(y)[..w / 10].iter_mut().for_each(|v| *v -= 0.4);
        }
        let tone = Tone::fit(&fixed, &changed, &Plane::filled(w, h, 1.0), 12.0);
        assert!((tone.gamma - 1.1).abs() < 0.04, "{tone:?}");
        assert!((tone.ln_gain - 0.3).abs() < 0.05, "{tone:?}");
    }
}
