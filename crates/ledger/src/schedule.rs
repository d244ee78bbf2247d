//! When the photos of a clinic may be read, and how much of the work it gets: as it is configured. Pure; the time of day is
//! given.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::str::FromStr;

use cicatrix_model::ClinicId;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A part of each day, by the clock of one place: `22:00-06:00 Europe/Berlin`. The end is not in it. In the night in which the
/// clock is put back the hour that comes twice is open twice; an hour that is left out is not missed.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl Window {
    pub fn is_open(&self, now: Timestamp) -> bool {
        let time = now.to_zoned(self.zone.clone()).time();
        if self.from < self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }

    /// When it opens next; now, if it is open.
    pub fn opens(&self, now: Timestamp) -> Timestamp {
        if self.is_open(now) { now } else { next(self.from, &self.zone, now) }
    }

    /// When it closes next.
    pub fn closes(&self, now: Timestamp) -> Timestamp {
        next(self.to, &self.zone, now)
    }
}

/// The next time at which a clock shows this, after now.
fn next(time: Time, zone: &TimeZone, now: Timestamp) -> Timestamp {
    let today = now.to_zoned(zone.clone()).date();
    let days = (0..=2).filter_map(|days| today.checked_add(days.days()).ok());
    let times = days.filter_map(|day| zone.to_timestamp(DateTime::from_parts(day, time)).ok());
    times.into_iter().find(|at| *at > now).unwrap_or(now)
}

/// A time of day by the clock of one place, `06:30 Europe/Berlin`, or of this machine, `06:30`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockTime {
    time: Time,
    zone: TimeZone,
}

impl ClockTime {
    /// The next time that it is so late, after now.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        next(self.time, &self.zone, now)
    }
}

impl FromStr for ClockTime {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (time, zone) = text.trim().split_once(' ').map_or((text.trim(), None), |(t, z)| (t, Some(z)));
        let wrong = |why: String| format!("'{text}' is no time of day ({why}): write 06:30 or '06:30 Europe/Berlin'");
        let zone = zone.map_or(Ok(TimeZone::system()), read_zone).map_err(wrong)?;
        Ok(Self { time: read_time(time).map_err(wrong)?, zone })
    }
}

impl FromStr for Window {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: String| format!("'{text}' is no window ({why}): write '22:00-06:00 Europe/Berlin'");
        let (times, zone) = text.trim().split_once(' ').ok_or_else(|| wrong("a time zone is missing".to_owned()))?;
        let (from, to) =
            times.split_once(['-', '–']).ok_or_else(|| wrong("there are not two times in it".to_owned()))?;
        let (from, to) = (read_time(from).map_err(wrong)?, read_time(to).map_err(wrong)?);
        if from == to {
            return Err(wrong("it begins when it ends".to_owned()));
        }
        Ok(Self { from, to, zone: read_zone(zone).map_err(wrong)? })
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "{}-{} {zone}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

fn read_time(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text.trim()).map_err(|_| format!("'{text}' is no time"))
}

fn read_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text.trim()).map_err(|_| format!("'{text}' is no time zone"))
}

/// What holds for the photos of one clinic.
#[derive(Debug, Clone, PartialEq)]
pub struct ClinicRule {
    /// Always, where there is none.
    pub window: Option<Window>,
    /// Its share of the work beside the others'; 1 is usual, above 0.
    pub share: f64,
    /// Photos in work at once, over all workers.
    pub most_at_once: Option<u32>,
}

impl Default for ClinicRule {
    fn default() -> Self {
        Self { window: None, share: 1.0, most_at_once: None }
    }
}

/// What holds for all clinics, and for some of them instead.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schedule {
    pub usual: ClinicRule,
    pub clinics: BTreeMap<ClinicId, ClinicRule>,
    /// Windows do not count.
    pub now: bool,
}

impl Schedule {
    pub fn rule(&self, clinic: &str) -> &ClinicRule {
        self.clinics.iter().find(|(id, _)| id.as_str() == clinic).map_or(&self.usual, |(_, rule)| rule)
    }

    /// When the night is over: when the last of the next or present windows closes. None where some clinic has no window.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        if self.now {
            return None;
        }
        let rules = self.clinics.values().chain([&self.usual]);
        let ends = rules.map(|rule| rule.window.as_ref().map(|window| window.closes(window.opens(now))));
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The window that keeps a clinic's photos waiting.
    pub fn closed(&self, clinic: &str, now: Timestamp) -> Option<&Window> {
        self.rule(clinic).window.as_ref().filter(|window| !self.now && !window.is_open(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_over_midnight_is_open_on_both_sides_of_it() {
        let window: Window = "22:00-06:00 Europe/Berlin".parse().unwrap();
        for (time, open) in [
            ("2026-11-21T20:59:59Z", false),
            ("2026-11-21T21:00:00Z", true),
            ("2026-11-22T04:59:59Z", true),
            ("2026-11-22T05:00:00Z", false),
        ] {
            assert_eq!(window.is_open(at(time)), open, "{time}");
        }
        assert_eq!(window.opens(at("2026-11-22T12:00:00Z")), at("2026-11-22T21:00:00Z"));
        assert_eq!(window.closes(at("2026-11-21T23:00:00Z")), at("2026-11-22T05:00:00Z"));
        assert_eq!(window.to_string(), "22:00-06:00 Europe/Berlin");
    }

    #[test]
    fn a_window_within_a_day_and_in_another_summer() {
        let window: Window = "09:00–17:30 America/New_York".parse().unwrap();
        assert!(window.is_open(at("2026-07-01T13:00:00Z")) && !window.is_open(at("2026-01-01T13:00:00Z")));
    }

    #[test]
    fn a_clock_that_is_put_forward_over_an_opening_opens_all_the_same() {
        let window: Window = "02:30-05:00 Europe/Berlin".parse().unwrap();
        let opens = window.opens(at("2026-03-29T00:00:00Z"));
        assert!(window.is_open(opens), "{opens}");
    }

    #[test]
    fn what_is_no_window_is_told_why() {
        for (text, why) in [
            ("22:00-06:00", "time zone is missing"),
            ("22:00 Europe/Berlin", "not two times"),
            ("22:00-25:00 Europe/Berlin", "'25:00' is no time"),
            ("22:00-06:00 Europe/Atlantis", "'Europe/Atlantis' is no time zone"),
            ("22:00-22:00 UTC", "begins when it ends"),
        ] {
            let error = text.parse::<Window>().unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let deadline: ClockTime = "06:30 Europe/Berlin".parse().unwrap();
        assert_eq!(deadline.next(at("2026-11-22T05:30:00Z")), at("2026-11-23T05:30:00Z"));
        assert!("6.30".parse::<ClockTime>().is_err());
    }

    #[test]
    fn a_clinic_has_its_own_rule_or_the_usual_one() {
        let window: Window = "22:00-06:00 UTC".parse().unwrap();
        let usual = ClinicRule { window: Some(window), ..ClinicRule::default() };
        let clinics = BTreeMap::from([("c-2".parse().unwrap(), ClinicRule::default())]);
        let schedule = Schedule { usual, clinics, now: false };
        let noon = at("2026-11-22T12:00:00Z");
        assert!(schedule.closed("c-1", noon).is_some() && schedule.closed("c-2", noon).is_none());
        assert_eq!(schedule.end(noon), None, "c-2 has no window");
        assert!(Schedule { now: true, ..schedule.clone() }.closed("c-1", noon).is_none());
        let one = Schedule { clinics: BTreeMap::new(), ..schedule };
        assert_eq!(one.end(noon), Some(at("2026-11-23T06:00:00Z")));
    }
}
