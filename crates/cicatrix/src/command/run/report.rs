//! What a night says when it is over, and its exit code.

use std::collections::BTreeMap;

use cicatrix_ledger::{Counts, State, without_password};
use cicatrix_worker::{Ending, Summary};
use serde_json::{Value, json};

use crate::args::{Global, RunArgs};
use crate::config::Config;
use crate::exit;
use crate::print::{out, plain, quoted};

pub(super) fn code(summary: &Summary) -> u8 {
    let counts = &summary.listed;
    if summary.ending != Ending::Done {
        code_of_listing(summary)
    } else if counts.failed > 0 {
        code_of(counts)
    } else if code_of_listing(summary) != exit::DONE {
        code_of_listing(summary)
    } else if !summary.bad_keys.is_empty() {
        exit::QUARANTINED
    } else if code_of(counts) != exit::DONE {
        code_of(counts)
    } else if summary.refused_regions > 0 || !summary.problems.is_empty() {
        exit::RETAKES
    } else {
        exit::DONE
    }
}

/// What a scan alone says, which leaves the photos to others: whether it saw all that it was to see.
pub(super) fn code_of_listing(summary: &Summary) -> u8 {
    match summary.ending {
        Ending::Interrupted => exit::INTERRUPTED,
        Ending::Late => exit::LATE,
        Ending::Done if summary.cut => exit::INTERRUPTED,
        Ending::Done if !summary.refused.is_empty() => exit::BAD_CONFIG,
        Ending::Done if !summary.unseen.is_empty() => exit::NOT_PERMITTED,
        Ending::Done if summary.is_emptied => exit::UNAVAILABLE,
        Ending::Done => exit::DONE,
    }
}

/// What the photos alone say, but for those that somebody has taken off the lists.
pub(super) fn code_of(counts: &Counts) -> u8 {
    match counts {
        counts if counts.failed > 0 => exit::BUG,
        counts if counts.quarantined > 0 => exit::QUARANTINED,
        counts if counts.not_measurable > 0 => exit::RETAKES,
        _ => exit::DONE,
    }
}

pub(super) fn report(summary: &Summary, args: &RunArgs, settings: &Config, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return out(&as_json(summary).to_string());
    }
    head(summary, args)?;
    gone(summary)?;
    notices(summary, args)?;
    out(&format!("Next: {}", next(summary, args, settings)))
}

fn as_json(summary: &Summary) -> Value {
    json!({
        "ending": match summary.ending { Ending::Done => "done", Ending::Interrupted => "interrupted", Ending::Late => "late" },
        "listing_resumed": summary.resumed,
        "photos_listed": summary.swept.photos,
        "sessions_listed": summary.swept.sessions,
        "patients_listed": summary.swept.patients,
        "planned": summary.planned,
        "sessions_gone": summary.gone,
        "results_dropped": summary.dropped,
        "places_unseen": summary.unseen,
        "patients_of_other_sources": summary.refused,
        "is_emptied": summary.is_emptied,
        "counts": summary.counts,
        "regions_refused": summary.refused_regions,
        "bad_keys": summary.bad_keys,
        "problems": summary.problems,
    })
}

/// What was listed, and where the photos of this source stand.
fn head(summary: &Summary, args: &RunArgs) -> anyhow::Result<()> {
    let counts = &summary.counts;
    let planned = match args.dry_run {
        true => "a dry run plans nothing".to_owned(),
        false => format!("{} new runs planned", summary.planned),
    };
    out(&format!(
        "{} photos of {} sessions and {} patients listed; {planned}.",
        summary.swept.photos, summary.swept.sessions, summary.swept.patients
    ))?;
    if summary.resumed {
        let then = match summary.cut {
            true => "was cut again; the next one goes on",
            false => "then looked at what lies before that",
        };
        out(&format!("The listing went on where the last one was cut, and {then}."))?;
    }
    let states = State::ALL.iter().filter(|s| counts.of(**s) > 0 && **s != State::Superseded);
    let told: Vec<String> = states.map(|s| format!("{} {}", counts.of(*s), s.name())).collect();
    if !told.is_empty() {
        out(&format!("In the ledger: {}.", told.join(", ")))?;
    }
    if summary.refused_regions > 0 {
        let n = summary.refused_regions;
        out(&format!("{n} regions of measured photos have no number: 'cicatrix retakes list' says why."))?;
    }
    if summary.is_emptied {
        out(
            "No session is there where there were some: is it the right place, is the disk mounted? Nothing is changed.",
        )?;
    } else if summary.swept.photos == 0 {
        out("No photo was found: names are clinic=…/patient=…/session=…/<view>.<shot>.<ext>, or say --layout.")?;
    }
    Ok(())
}

fn gone(summary: &Summary) -> anyhow::Result<()> {
    if summary.gone > 0 {
        out(&format!(
            "{} sessions are no longer there: what was measured of them stays where nothing has taken its place, the rest is \
             off the lists.",
            summary.gone
        ))?;
    }
    if summary.dropped > 0 {
        out(&format!(
            "{} results of photos that are gone count no longer: they moved, or their baseline is another photo now.",
            summary.dropped
        ))?;
    }
    Ok(())
}

/// The command to type next.
fn next(summary: &Summary, args: &RunArgs, settings: &Config) -> String {
    let counts = &summary.listed;
    let db = if settings.db == Config::default().db {
        String::new()
    } else {
        format!(" --db {}", quoted(&without_password(&settings.db)))
    };
    match summary.ending {
        Ending::Done if args.dry_run => "the same command without --dry-run".to_owned(),
        Ending::Interrupted => "run the same command again to go on".to_owned(),
        Ending::Late => {
            format!("the deadline came with {} photos open; run the same command again to go on", counts.unfinished())
        }
        Ending::Done if summary.is_emptied => "the same command, once the photos are back".to_owned(),
        Ending::Done if !summary.refused.is_empty() => "see above".to_owned(),
        // On a server others may be at it, and one who works beside them needs no sweep.
        Ending::Done if counts.unfinished() > 0 && settings.db.starts_with("postgres") => {
            format!("cicatrix worker {}{db}", quoted(&args.source.source))
        }
        Ending::Done if counts.unfinished() > 0 => format!("cicatrix run {}{db}", quoted(&args.source.source)),
        Ending::Done if counts.failed > 0 => format!("cicatrix jobs list --state failed{db}"),
        Ending::Done if counts.quarantined > 0 || !summary.bad_keys.is_empty() => {
            format!("cicatrix quarantine list{db}")
        }
        Ending::Done if counts.not_measurable > 0 || summary.refused_regions > 0 => {
            format!("cicatrix retakes list{db}")
        }
        Ending::Done if summary.counts.total() == 0 => "the same command, once there are photos".to_owned(),
        Ending::Done => format!("cicatrix export changes{db} --output changes.csv"),
    }
}

/// What the sweep could not take in. A name may be a person's and this may go to a journal, so a run only counts; a dry
/// run, which records nothing that could be listed later, names.
fn notices(summary: &Summary, args: &RunArgs) -> anyhow::Result<()> {
    if args.dry_run {
        for (what, detail) in summary.bad_keys.iter().chain(&summary.problems).chain(&summary.unseen) {
            out(&format!("  {}: {}", plain(what), plain(detail)))?;
        }
        return Ok(());
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, detail) in &summary.bad_keys {
        *reasons.entry(detail.split_once(':').map_or(detail.as_str(), |(reason, _)| reason)).or_default() += 1;
    }
    for (reason, n) in reasons {
        out(&format!("  {n} files are no photos of a session ({reason}): 'cicatrix quarantine list' names them."))?;
    }
    for (place, patients) in &summary.refused {
        out(&format!(
            "  {patients} patients were left alone, for in this ledger they belong to {place}. If that one has moved here, \
             run once with --moved-from {}; if only they have moved, run it once more over there first; if both have \
             patients of this name, give this place a ledger of its own with --db.",
            quoted(place)
        ))?;
    }
    match summary.unseen.len() {
        0 => {}
        n => out(&format!(
            "  {n} places could not be listed, and what lies there was left as it was: the same command with --dry-run \
             names them."
        ))?,
    }
    match summary.problems.len() {
        0 => Ok(()),
        n => out(&format!("  {n} notes on descriptions: the same command with --dry-run names them.")),
    }
}
