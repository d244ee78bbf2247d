//! Random numbers by purpose: each purpose of each patient, session and shot has its own stream, so that what is
//! drawn for one never moves another. Only integers come from the generator, everything else is arithmetic here,
//! so a newer `rand` cannot change a patient.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream is drawn for. The numbers are part of every phantom: do not reorder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Relief = 1,
    Scars = 2,
    Pigment = 3,
    Course = 4,
    Surface = 5,
    Day = 6,
    Shot = 7,
    Sensor = 8,
    NewScars = 9,
}

#[derive(Debug)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    pub(crate) fn of_patient(purpose: Purpose, seed: u64) -> Self {
        Self::keyed([purpose as u64, seed, 0, 0])
    }

    pub(crate) fn of_session(purpose: Purpose, seed: u64, session: u32) -> Self {
        Self::keyed([purpose as u64, seed, u64::from(session), 0])
    }

    pub(crate) fn of_shot(purpose: Purpose, seed: u64, session: u32, shot: u32) -> Self {
        Self::keyed([purpose as u64, seed, u64::from(session), u64::from(shot)])
    }

    fn keyed(words: [u64; 4]) -> Self {
        let mut key = [0_u8; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// From 0 up to, but not including, 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform within ± `half`.
    pub(crate) fn around_zero(&mut self, half: f32) -> f32 {
        self.between(-half, half)
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A whole number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u64::from(self.0.next_u32()) * end as u64) >> 32) as usize
    }

    /// Nearly normal with mean 0 and deviation 1: the sum of four uniforms, never beyond ±3.5.
    pub(crate) fn normal(&mut self) -> f32 {
        let word = self.0.next_u64();
        let sum: u64 = [0, 16, 32, 48].iter().map(|&shift| (word >> shift) & 0xFFFF).sum();
        (sum as f32 - 131_070.0) / 37_837.2
    }

    /// A unit vector in any direction of the plane.
    pub(crate) fn direction(&mut self) -> [f32; 2] {
        let (sin, cos) = self.between(0.0, std::f32::consts::TAU).sin_cos();
        [cos, sin]
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_purposes_differ() {
        let mut day = Stream::of_session(Purpose::Day, 5, 1);
        let mut shot = Stream::of_shot(Purpose::Shot, 5, 1, 0);
        assert_ne!(day.unit(), shot.unit());
    }

    #[test]
    fn normals_have_mean_zero_and_deviation_one() {
        let mut stream = Stream::of_patient(Purpose::Relief, 1);
        let draws: Vec<f32> = (0..20_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f32>() / draws.len() as f32;
        let variance = draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f32>() / draws.len() as f32;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
    }
}
