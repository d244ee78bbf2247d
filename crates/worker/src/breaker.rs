//! Tells an outage of a store from the trouble of one photo. Pure; the time is given.
//!
//! While most of the last answers were failures, nothing is begun and no try counts. After a while it is tried again: the next
//! failure is one more outage, the next success the end of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Answers that are looked back on.
const LAST: usize = 20;
/// Failures among them below which it is no outage.
const FEWEST: usize = 5;
/// How long nothing is tried.
const HOLD: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Whether each of the last answers was good.
    answers: VecDeque<bool>,
    out_until: Option<Instant>,
}

impl Breaker {
    pub(crate) fn answered(&mut self, good: bool, now: Instant) {
        if self.out_until.is_some() && good {
            *self = Self::default();
        }
        self.answers.push_back(good);
        if self.answers.len() > LAST {
            self.answers.pop_front();
        }
        let failures = self.answers.iter().filter(|good| !**good).count();
        let is_outage = failures >= FEWEST && 2 * failures > self.answers.len();
        if !good && (is_outage || self.out_until.is_some()) {
            self.out_until = Some(now + HOLD);
        }
    }

    /// Whether nothing shall be tried at the moment.
    pub(crate) fn is_out(&self, now: Instant) -> bool {
        self.out_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answers: &[bool], now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for good in answers {
            breaker.answered(*good, now);
        }
        breaker
    }

    #[test]
    fn some_failures_are_no_outage() {
        let now = Instant::now();
        assert!(!after(&[false; 4], now).is_out(now));
        let every_third: Vec<bool> = (0..60).map(|i| i % 3 > 0).collect();
        assert!(!after(&every_third, now).is_out(now));
    }

    #[test]
    fn an_outage_holds_for_a_while_and_ends_with_a_good_answer() {
        let now = Instant::now();
        let mut breaker = after(&[true, true, true, false, false, false, false, false], now);
        assert!(breaker.is_out(now));
        let later = now + HOLD;
        assert!(!breaker.is_out(later), "tried again");
        breaker.answered(false, later);
        assert!(breaker.is_out(later), "one failure is enough then");
        let later = later + HOLD;
        breaker.answered(true, later);
        assert!(!breaker.is_out(later));
        breaker.answered(false, later);
        assert!(!breaker.is_out(later), "it begins anew");
    }
}
