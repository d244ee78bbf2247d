//! Simulated cameras that mix the channels of linear light, cast, expose and curve. Shared by the tests of colours here and
//! in `crates/normalize`.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What a camera makes of linear light.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    pub(crate) matrix: [[f64; 3]; 3],
    /// Exponent on linear light; 1 is a linear camera.
    pub(crate) gamma: f64,
}

/// Cross-talk within ± 8 %, white balance ± 20 %, exposure ± 25 %; the exponent within ± `gamma`.
pub(crate) fn camera(random: &mut ChaCha8Rng, gamma: f64) -> Camera {
    let mut within = |range: f64| random.random_range(-range..=range);
    let exposure = 1.0 + within(0.25);
    let mut matrix = [[0.0; 3]; 3];
    for (i, row) in matrix.iter_mut().enumerate() {
        let gain = exposure * (1.0 + within(0.2));
        for (j, value) in row.iter_mut().enumerate() {
            *value = gain * (if i == j { 1.0 } else { 0.0 } + within(0.08));
        }
    }
    Camera { matrix, gamma: 1.0 + if gamma > 0.0 { within(gamma) } else { 0.0 } }
}

impl Camera {
    pub(crate) fn see(&self, light: [f64; 3]) -> [f64; 3] {
        let mixed = self.matrix.map(|row| row.iter().zip(light).map(|(m, v)| m * v).sum::<f64>());
        mixed.map(|v| v.clamp(0.0, 1.0).powf(self.gamma))
    }
}
