//! How things are said on a page: verdicts with a sign, numbers with their interval, times of this machine's clock.

use cicatrix_ledger::Cell;
use cicatrix_model::{ChangeVerdict, Measure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A verdict as a person reads it: a sign, words, and the class that colours them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VerdictWords {
    pub(crate) sign: &'static str,
    pub(crate) words: &'static str,
    pub(crate) class: &'static str,
}

pub(crate) fn verdict(name: &str) -> VerdictWords {
    let (sign, words, class) = match name.parse() {
        Ok(ChangeVerdict::Improved) => ("▼", "improved", "better"),
        Ok(ChangeVerdict::Worsened) => ("▲", "worsened", "worse"),
        Ok(ChangeVerdict::NoDetectableChange) => ("=", "no detectable change", "same"),
        Ok(ChangeVerdict::NotMeasurable) => ("–", "not measurable", "none"),
        Err(_) => ("?", "unknown", "none"),
    };
    VerdictWords { sign, words, class }
}

/// `−23.4 %`, with a minus that is one.
pub(crate) fn percent(value: f64) -> String {
    let sign = if value < 0.0 {
        "−"
    } else if value > 0.0 {
        "+"
    } else {
        ""
    };
    format!("{sign}{:.1} %", value.abs())
}

/// A change as its measure tells it: in percent, or in the measure's unit.
pub(crate) fn change(measure: &str, value: f64) -> String {
    match measure.parse::<Measure>() {
        Ok(measure) if !measure.is_ratio() => format!("{} {}", percent(value).trim_end_matches(" %"), measure.unit()),
        _ => percent(value),
    }
}

/// An interval of a change as its measure tells it.
pub(crate) fn change_interval(measure: &str, low: f64, high: f64) -> String {
    let unit = change(measure, high).split_once(' ').map(|(_, unit)| unit.to_owned()).unwrap_or_default();
    format!("{} {unit}", interval(low, high).trim_end_matches(" %"))
}

/// `−31.0 to −15.2 %`
pub(crate) fn interval(low: f64, high: f64) -> String {
    format!("{} to {}", percent(low).trim_end_matches(" %"), percent(high))
}

/// A time of the ledger by this machine's clock, to the minute.
pub(crate) fn clock(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => local(at),
        Err(_) => text.to_owned(),
    }
}

/// The same to the second, for what happened one after another.
pub(crate) fn moment(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

pub(crate) fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A number of a CSV.
pub(crate) fn count(n: u64) -> Cell {
    Cell::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// `1 run`, `3 runs`
pub(crate) fn runs(n: i64) -> String {
    format!("{n} run{}", if n == 1 { "" } else { "s" })
}

/// `1 photo`, `3 photos`
pub(crate) fn photos(n: u64) -> String {
    format!("{n} photo{}", if n == 1 { "" } else { "s" })
}

/// A state as people say it.
pub(crate) fn state(name: &str) -> &str {
    match name {
        "waiting_for_baseline" => "waits for its baseline",
        "not_measurable" => "to retake",
        "quarantined" => "set aside",
        other => other,
    }
}

/// All that has a meaning in an address.
const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as a part of an address.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, SPECIAL).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_its_own_words() {
        let all = ["improved", "worsened", "no_detectable_change", "not_measurable"];
        let mut words: Vec<&str> = all.map(|name| verdict(name).words).to_vec();
        assert_eq!(words[1], "worsened");
        words.dedup();
        assert!(words.len() == 4 && !words.contains(&verdict("nothing of ours").words), "{words:?}");
    }

    #[test]
    fn a_change_is_told_in_its_measures_unit() {
        assert_eq!(change("psi", -10.0), "−10.0 %");
        assert!(change("a_star", -1.5).starts_with("−1.5 ") && !change("a_star", -1.5).contains('%'));
    }

    #[test]
    fn numbers_carry_their_sign() {
        assert_eq!(change_interval("psi", -31.0, 2.0), "−31.0 to +2.0 %");
        assert_eq!(change_interval("delta_ei", -1.5, 0.5), "−1.5 to +0.5 100·log10");
        assert_eq!(percent(-23.44), "−23.4 %");
        assert_eq!(percent(3.0), "+3.0 %");
        assert_eq!(interval(-31.0, 2.0), "−31.0 to +2.0 %");
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_an_address() {
        assert_eq!(escaped("a/b?c&d\"<é"), "a%2Fb%3Fc%26d%22%3C%C3%A9");
    }
}
