//! The dictionary: what a row of each view is, and what each of its columns says, in which unit. It is written into the database
//! beside the views, so that whoever reads them by SQL has it too.

use cicatrix_model::Measure;

use crate::queries::Table;

/// Unit and meaning of a column.
pub(crate) type Entry = (&'static str, &'static str);

/// Columns that say the same in every table: name, unit, meaning. Units: `-` for text and codes, `1` for shares, counts and numbers.
const COMMON: &[(&str, &str, &str)] = &[
    ("clinic_id", "-", "clinic, as its folder or manifest names it"),
    ("patient_id", "-", "pseudonym of the patient, unique within the clinic"),
    ("session_date", "day", "day of the visit, YYYY-MM-DD"),
    ("session_no", "1", "number of the visit as the manifest gives it; empty where it gives none"),
    ("session", "-", "name of the visit: its day and its number on that day, in the order of time"),
    ("days_since_baseline", "d", "days since the baseline visit"),
    (
        "days_since_treatment",
        "d",
        "days since the last needling before the photo; empty where the manifest does not say",
    ),
    ("view", "-", "what the photo shows, face.left45 or closeup.left_cheek"),
    ("shot", "1", "which of the photos of this view in this visit, from 1"),
    ("region", "-", "region of the skin; 'whole' is all of the frame's skin"),
    ("measure", "-", "what is measured; the rows of this dictionary whose table is 'measure' say each"),
    ("quality_tier", "-", "how alike the conditions were: locked, clinic or casual, best first; errors are told by it"),
    (
        "endpoint_eligible",
        "0/1",
        "1 where enough days have passed since the needling; swelling fakes improvement before",
    ),
    ("scale_source", "-", "where px/mm comes from: card, manifest, iris, pupils, or unknown, where no mm is claimed"),
    ("scale_relative_sd", "1", "standard deviation of px/mm as a share; an area has twice that"),
    ("object_key", "-", "name of the photo in the bucket"),
    ("content_sha256", "-", "SHA-256 of the bytes that were read"),
    ("protocol_id", "-", "name of the protocol: thresholds and method"),
    ("protocol_digest", "-", "SHA-256 of the protocol; results of different ones are not to be mixed"),
    ("program_version", "-", "version of the program that read the photo"),
    ("calibration", "-", "error table that the interval comes from, with its digest"),
    ("run_id", "1", "number of the reading of one photo under one protocol and version"),
    ("night_id", "1", "sweep that planned the run"),
    ("reason", "-", "why there is no number: a reason code"),
    ("reason_group", "-", "what the reason is about: position, lighting, zoom, focus, styling, timing, description"),
    ("advice", "-", "what to do about it"),
    ("detail", "-", "the reason in words, with what was read and what was allowed"),
    ("reasons", "JSON", "all reasons of the photo, the first one first"),
    ("version", "-", "version of the object in the bucket"),
    ("bytes", "B", "size of the object"),
    ("source", "-", "folder or bucket that the photo was found in"),
    ("worker", "-", "process that did it: machine, number, start"),
    ("starts", "1", "starts that ended without a verdict and count towards setting the photo aside"),
    ("started_at", "UTC", "when it was begun"),
    ("finished_at", "UTC", "when it ended"),
    (
        "saw_all",
        "1",
        "1: the listing was seen to its end and nothing was left out; 0: it runs, was cut, or saw less than was there",
    ),
    ("gone_at", "UTC", "when a sweep no longer found it; its results stay"),
    ("at", "UTC", "when it happened"),
    ("kind", "-", "what happened"),
    ("who", "-", "who did it; empty for the program itself"),
    ("n_shots", "1", "photos that were pooled"),
];

/// Columns that say something of their own in one table.
const OWN: &[(Table, &str, &str, &str)] = &[
    (Table::Observations, "value", "unit", "the value, in the unit of the column `unit`"),
    (Table::Observations, "unit", "-", "unit of value, sd and interval"),
    (
        Table::Observations,
        "sd",
        "unit",
        "standard deviation of the error of one photo; empty where the error is not known",
    ),
    (Table::Observations, "ci95_lo", "unit", "lower end of the 95 % interval of the value"),
    (Table::Observations, "ci95_hi", "unit", "upper end of the 95 % interval of the value"),
    (Table::Observations, "n_pixels", "1", "nodes of the scoring grid that the value rests on"),
    (Table::Observations, "baseline_sha256", "-", "SHA-256 of the baseline photo that it was laid over"),
    (Table::Observations, "computed_at", "UTC", "when the photo was read"),
    (Table::Changes, "baseline_value", "of measure", "value of the baseline visit, shots pooled"),
    (Table::Changes, "value", "of measure", "value of this visit, shots pooled"),
    (
        Table::Changes,
        "change_pct",
        "% or of measure",
        "change against the baseline, less is better: percent for measures that are ratios, else a difference in the unit; empty \
         where it is not measurable",
    ),
    (Table::Changes, "ci95_lo", "as change_pct", "lower end of the change's 95 % interval"),
    (Table::Changes, "ci95_hi", "as change_pct", "upper end of the change's 95 % interval"),
    (Table::Changes, "mdc95_pct", "as change_pct", "smallest improvement whose interval would not hold zero"),
    (Table::Changes, "verdict", "-", "improved, worsened, no_detectable_change or not_measurable"),
    (Table::Changes, "p_value", "1", "probability of such a change if there were none, two-sided"),
    (Table::Changes, "p_holm", "1", "the same, adjusted for all views and regions of the patient's visit"),
    (Table::Sessions, "is_baseline", "0/1", "1 for the visit that the others are compared with"),
    (Table::Sessions, "sessions_before", "1", "needlings before this visit, as the manifest says"),
    (Table::Sessions, "modality", "-", "kind of treatment"),
    (Table::Sessions, "device", "-", "device of the treatment"),
    (Table::Sessions, "needle_depth_mm", "mm", "depth that the needles were set to"),
    (Table::Sessions, "fitzpatrick", "-", "skin type of the patient, I to VI, as the manifest says"),
    (Table::Sessions, "n_photos", "1", "photos of the visit"),
    (Table::Sessions, "n_measured", "1", "photos with a number"),
    (Table::Sessions, "n_not_measurable", "1", "photos to take again"),
    (Table::Sessions, "n_quarantined", "1", "files that were set aside"),
    (Table::Sessions, "n_failed", "1", "photos that failed by a fault of ours, or were cancelled"),
    (Table::Sessions, "n_unfinished", "1", "photos without a verdict yet"),
    (Table::Sessions, "problem_reason", "-", "what is wrong with the description of the visit: a reason code"),
    (Table::Sessions, "problem_detail", "-", "the same in words"),
    (
        Table::Photos,
        "state",
        "-",
        "waiting_for_baseline, scheduled, ready, running, measured, not_measurable, quarantined, failed or cancelled",
    ),
    (Table::Photos, "is_reference", "0/1", "1 for the photo that the others of its view are laid over"),
    (Table::Photos, "gate", "JSON", "what the quality gate read, each with its verdict"),
    (Table::Photos, "derived", "JSON", "pictures that were made of it, and where they lie"),
    (Table::Photos, "provenance", "JSON", "what the result rests on: protocol, baseline, registration, scale, camera"),
    (Table::Photos, "sha256", "-", "SHA-256 that the manifest claims"),
    (Table::Photos, "captured_at", "-", "when it was taken, as the manifest says"),
    (Table::Photos, "px_per_mm", "px/mm", "scale that the manifest gives"),
    (Table::Photos, "baseline_object_key", "-", "name of the photo that it is compared with"),
    (Table::Photos, "created_at", "UTC", "when it was planned"),
    (Table::Photos, "duration_ms", "ms", "from start to verdict"),
    (Table::Photos, "setbacks", "1", "starts that were given back since store, database or memory did not serve it"),
    (Table::Photos, "dismissed_at", "UTC", "when somebody took it off the lists"),
    (Table::Retakes, "covered_by_other_shot", "0/1", "1 where another shot of this view in this visit was measured"),
    (Table::Retakes, "region", "-", "region to take again; empty for the whole photo"),
    (Table::Trends, "n_sessions", "1", "visits behind the slope"),
    (Table::Trends, "first_date", "day", "day of the first of them"),
    (Table::Trends, "last_date", "day", "day of the last of them"),
    (Table::Trends, "pct_per_session", "%/session", "slope of the series, less is better"),
    (Table::Trends, "ci95_lo", "%/session", "lower end of the slope's 95 % interval"),
    (Table::Trends, "ci95_hi", "%/session", "upper end of the slope's 95 % interval"),
    (Table::Trends, "next_lo_pct", "%", "lower end of the band in which 95 % of next visits would lie"),
    (Table::Trends, "next_hi_pct", "%", "upper end of that band"),
    (Table::Responders, "change_pct", "%", "change of psi against the baseline, less is better"),
    (Table::Responders, "ci95_lo", "%", "lower end of the change's 95 % interval"),
    (Table::Responders, "ci95_hi", "%", "upper end of the change's 95 % interval"),
    (Table::Responders, "mdc95_pct", "%", "smallest improvement whose interval would not hold zero"),
    (Table::Responders, "responder_25", "0/1", "1 where psi fell by 25 % or more, and by more than mdc95_pct"),
    (Table::Responders, "responder_50", "0/1", "the same for 50 %"),
    (Table::Responders, "responder_75", "0/1", "the same for 75 %"),
    (Table::Responders, "confirmed_25", "0/1", "1 where this visit and the one before it are both responses of 25 %"),
    (Table::Responders, "confirmed_50", "0/1", "the same for 50 %"),
    (Table::Responders, "confirmed_75", "0/1", "the same for 75 %"),
    (Table::Nights, "counts", "JSON", "what became of the runs that it planned, by state"),
    (Table::Events, "event_id", "1", "number of the event, in the order of time"),
    (Table::Actions, "action_id", "1", "number of the action, in the order of time"),
    (Table::Actions, "why", "-", "the reason that was given"),
    (Table::Patients, "n_sessions", "1", "visits of the patient"),
    (Table::Patients, "first_date", "day", "day of the first of them"),
    (Table::Patients, "last_date", "day", "day of the last of them"),
    (Table::Workers, "slots", "1", "photos it may have in work at once"),
    (Table::Workers, "seen_at", "UTC", "its last sign of life"),
    (Table::Workers, "ended_at", "UTC", "when it signed off; empty while it works, or when it was killed"),
    (Table::Dictionary, "table_name", "-", "the table, or 'measure'"),
    (Table::Dictionary, "name", "-", "the column, or the measure"),
    (Table::Dictionary, "unit", "-", "its unit: '-' for text, '1' for numbers without one, 'UTC' for times"),
    (Table::Dictionary, "meaning", "-", "what it says"),
];

impl Table {
    /// What a row of it is.
    pub fn row(self) -> &'static str {
        match self {
            Table::Observations => "one measure of one region of one photo, with the error of the measurement",
            Table::Changes => {
                "one session against the baseline, by view, region and measure: change, interval, verdict"
            }
            Table::Sessions => "one visit: what was done, how many photos, what became of them",
            Table::Photos => "one photo: state, reason, what the gate read, provenance",
            Table::Regions => "one region of a measured photo: its tier, or why it has no number",
            Table::Retakes => "one photo or region to take again: reason and advice",
            Table::Quarantine => "one file that was set aside: reason and advice",
            Table::Trends => "the slope of one series, with the band of its next session",
            Table::Responders => {
                "one session of a series: by how much it responded, and whether it confirms the one before"
            }
            Table::Nights => "one sweep over a source",
            Table::Events => "one thing that happened to a run",
            Table::Actions => "one thing that a person did that is not about one run",
            Table::Patients => "one patient: how many visits, since when",
            Table::Workers => "one process that works or worked, of the last 14 days",
            Table::Dictionary => "one column of these tables, or one measure: unit and meaning",
        }
    }
}

/// What a column says; none for one that nobody has described, which a test finds.
pub(crate) fn entry(table: Table, column: &str) -> Option<Entry> {
    let own = OWN.iter().find(|(of, name, ..)| *of == table && *name == column).map(|(.., unit, said)| (*unit, *said));
    own.or_else(|| COMMON.iter().find(|(name, ..)| *name == column).map(|(_, unit, said)| (*unit, *said)))
}

/// The measures, as further rows: name, unit, meaning.
pub(crate) fn measures() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    Measure::ALL.iter().map(|measure| (measure.name(), measure.unit(), measure.about()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_described_twice() {
        for (at, (table, column, ..)) in OWN.iter().enumerate() {
            assert!(OWN[at + 1..].iter().all(|(t, c, ..)| (t, c) != (table, column)), "{table:?} {column}");
        }
        for (at, (column, ..)) in COMMON.iter().enumerate() {
            assert!(COMMON[at + 1..].iter().all(|(c, ..)| c != column), "{column}");
        }
    }
}
