//! What treatment does over a series of sessions: relief, redness and pigment, each on its own.

use serde::Serialize;

use crate::stream::Stream;

/// Depth lost by the last session, drawn with equal chance: two arms without response, four that improve, one that
/// worsens.
const ARMS: [f64; 7] = [0.0, 0.0, 0.10, 0.20, 0.30, 0.40, -0.20];

/// How much each kind answers compared with the others: ice-pick, boxcar, rolling.
const RESPONSE: [f64; 3] = [0.85, 1.15, 1.0];

/// The course of a patient. Shares are of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Course {
    /// Share of the total scar volume lost by the last session; negative means more scar.
    pub final_loss: f64,
    /// Share of post-inflammatory redness left at the last session.
    pub redness_kept: f64,
    /// Share of post-inflammatory pigment left at the last session.
    pub pigment_kept: f64,
}

impl Course {
    /// Neither scars nor colour change.
    pub const UNCHANGED: Self = Self { final_loss: 0.0, redness_kept: 1.0, pigment_kept: 1.0 };

    /// A course that ends at this loss of volume (0.3 is 30 % less), with redness and pigment fading to 60 %.
    ///
    /// # Panics
    /// If the loss is not within −1 … 0.7, where every scar keeps some depth.
    pub fn of_final_loss(final_loss: f64) -> Self {
        assert!((-1.0..=0.7).contains(&final_loss), "a loss lies within -1 and 0.7, not {final_loss}");
        Self { final_loss, redness_kept: 0.6, pigment_kept: 0.6 }
    }

    pub(crate) fn draw(stream: &mut Stream) -> Self {
        Self {
            final_loss: ARMS[stream.below(ARMS.len())],
            redness_kept: f64::from(stream.between(0.3, 1.0)),
            pigment_kept: f64::from(stream.between(0.3, 1.0)),
        }
    }

    /// Share of the baseline's total volume lost at session `index` of `of`, the baseline being session 0.
    pub fn loss_at(&self, index: u32, of: u32) -> f64 {
        self.final_loss * progress(index, of)
    }

    pub(crate) fn redness_left(&self, index: u32, of: u32) -> f64 {
        1.0 + (self.redness_kept - 1.0) * progress(index, of)
    }

    pub(crate) fn pigment_left(&self, index: u32, of: u32) -> f64 {
        1.0 + (self.pigment_kept - 1.0) * progress(index, of)
    }

    /// Share of depth left by kind, such that the total volume is what [`Course::loss_at`] says.
    pub(crate) fn depth_left(&self, index: u32, of: u32, baseline_mm3: [f64; 3]) -> [f64; 3] {
        let total: f64 = baseline_mm3.iter().sum();
        let answering: f64 = baseline_mm3.iter().zip(RESPONSE).map(|(volume, response)| volume * response).sum();
        let loss = self.loss_at(index, of) * total / answering;
        RESPONSE.map(|response| 1.0 - loss * response)
    }
}

/// How far the course has come: 0 at the baseline, 1 at the last session, faster at first.
fn progress(index: u32, of: u32) -> f64 {
    const EASE: f64 = 0.4;
    if of < 2 {
        return 0.0;
    }
    let time = f64::from(index) / f64::from(of - 1);
    time * (1.0 + EASE * (1.0 - time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_begins_at_nothing_and_ends_at_its_loss() {
        let course = Course::of_final_loss(0.3);
        assert_eq!(course.loss_at(0, 4), 0.0);
        assert!((course.loss_at(3, 4) - 0.3).abs() < 1e-12);
        assert!(course.loss_at(1, 4) > 0.1 && course.loss_at(1, 4) < course.loss_at(2, 4));
    }

    #[test]
    fn kinds_answer_differently_but_the_total_is_kept() {
        let baseline = [3.0, 8.0, 5.0];
        let left = Course::of_final_loss(0.4).depth_left(2, 3, baseline);
        let volume: f64 = left.iter().zip(baseline).map(|(share, volume)| share * volume).sum();
        assert!((volume / 16.0 - 0.6).abs() < 1e-12);
        assert!(left[0] > left[1]);
    }
}
