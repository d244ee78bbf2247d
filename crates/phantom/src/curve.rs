//! Smooth functions of one number, made of plain arithmetic so that they cost little and give the same bits on
//! every machine.

use std::f32::consts::{LN_2, LOG2_E};

/// Adding and taking away this rounds a small number to a whole one (1.5 · 2²³).
const ROUNDER: f32 = 12_582_912.0;

/// e^x with a relative error below 2e-5; flat beyond ±87.
pub(crate) fn exp(x: f32) -> f32 {
    let doublings = (x * LOG2_E).clamp(-126.0, 126.0);
    let whole = (doublings + ROUNDER) - ROUNDER;
    let rest = (doublings - whole) * LN_2;
    let series = 1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest / 120.0))));
    f32::from_bits(((whole as i32 + 127) << 23) as u32) * series
}

/// 0 below zero, 1 above one, without a kink between.
pub(crate) fn smoothstep(x: f32) -> f32 {
    let t = x.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The positive part of `x` with a rounded corner, as a lamp of some width gives it.
pub(crate) fn positive(x: f32, softness: f32) -> f32 {
    0.5 * (x + (x * x + softness * softness).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_to_the_library_s() {
        for step in -800..200 {
            let x = step as f32 * 0.1;
            let ratio = f64::from(exp(x)) / f64::from(x).exp();
            assert!((ratio - 1.0).abs() < 2e-5, "exp({x}) is off by a factor of {ratio}");
        }
    }

    #[test]
    fn a_step_begins_at_nothing_and_ends_at_all() {
        assert_eq!(smoothstep(-1.0), 0.0);
        assert_eq!(smoothstep(2.0), 1.0);
        assert!((smoothstep(0.5) - 0.5).abs() < 1e-6);
    }
}
