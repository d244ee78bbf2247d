//! `status`: where the work stands, on one screen; `--watch` draws it anew.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use cicatrix_ledger::{ClinicTonight, Colleague, Counts, Ledger, State, Tonight, without_password};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::args::{Global, StatusArgs};
use crate::command::export::open_existing;
use crate::command::jobs::told_pause;
use crate::command::run::stopped_by_signals;
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out, plain};

const REDRAW: Duration = Duration::from_secs(2);
/// Lines of each list: so many that a screen of 24 lines holds all.
const CLINICS: usize = 8;
const REASONS: usize = 4;
const PAUSES: usize = 3;

pub(crate) async fn status(args: &StatusArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    if global.json {
        return as_json(&ledger, args, settings).await;
    }
    if !args.watch {
        let tonight = ledger.tonight(Timestamp::now() - args.within).await?;
        out(screen(&tonight, settings, usize::MAX)?.trim_end())?;
        out(&verdicts(&tonight))?;
        return Ok(exit::DONE);
    }
    if !std::io::stdout().is_terminal() {
        return Err(exit::bad_usage("--watch draws on a terminal; without one say 'cicatrix status --json'"));
    }
    // One listener for all of it: a signal that comes while the ledger is asked is heard too.
    let stop = stopped_by_signals();
    loop {
        let asked = tokio::select! {
            asked = ledger.tonight(Timestamp::now() - args.within) => asked,
            () = stop.cancelled() => return Ok(exit::DONE),
        };
        let drawn = match asked {
            Ok(tonight) => screen(&tonight, settings, CLINICS)?,
            Err(error) => format!("{error}; trying again\n"),
        };
        // To the top, each line to its end, and all below.
        let drawn = fitting(&drawn).replace('\n', "\x1b[K\n");
        write!(std::io::stdout(), "\x1b[H{drawn}\x1b[J")?;
        std::io::stdout().flush()?;
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            () = stop.cancelled() => return Ok(exit::DONE),
        }
    }
}

fn screen(tonight: &Tonight, settings: &Config, clinics: usize) -> anyhow::Result<String> {
    let now = Timestamp::now();
    let mut lines = vec![format!("{}  {}", local(now), without_password(&settings.db))];
    // That of all clinics is the first.
    let most = if clinics == usize::MAX { clinics } else { PAUSES };
    lines.extend(tonight.pauses.iter().take(most).map(told_pause));
    if tonight.pauses.len() > most {
        lines.push(format!("… and {} pauses more", tonight.pauses.len() - most));
    }
    lines.extend(summary(tonight, settings, now)?);
    lines.push(String::new());
    lines.extend(clinic_lines(tonight, clinics));
    lines.push(String::new());
    lines.extend(reason_lines(tonight));
    // Those that work first: the dead stay for an hour.
    let mut workers: Vec<&Colleague> = tonight.workers.iter().collect();
    workers.sort_by_key(|worker| worker.silent_for(now).is_some());
    lines.extend(workers.iter().take(clinics).map(|worker| worker_line(worker, now)));
    if workers.len() > clinics {
        lines.push(format!("… and {} workers more", workers.len() - clinics));
    }
    Ok(lines.join("\n") + "\n")
}

/// As much as the terminal has room for: what scrolls away is what matters most.
fn fitting(screen: &str) -> String {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) => cut_to(screen, usize::from(size.ws_row), usize::from(size.ws_col)),
        Err(_) => screen.to_owned(),
    }
}

/// The first lines of a screen, cut at the terminal's width; a terminal that does not say its size gets all.
fn cut_to(screen: &str, rows: usize, columns: usize) -> String {
    if rows < 2 || columns == 0 {
        return screen.to_owned();
    }
    let cut = |line: &str| match line.chars().count() > columns {
        true => line.chars().take(columns - 1).chain(['…']).collect(),
        false => line.to_owned(),
    };
    let mut lines: Vec<String> = screen.lines().map(cut).collect();
    // The last line stays free for the cursor.
    let more = (lines.len() + 1).saturating_sub(rows);
    if more > 0 {
        lines.truncate(rows - 2);
        lines.push(format!("… and {} lines more", more + 1).chars().take(columns).collect());
    }
    lines.join("\n") + "\n"
}

/// Counts, pace and when it will be over.
fn summary(tonight: &Tonight, settings: &Config, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let counts = &tonight.counts;
    let told = |states: &[State]| {
        let told: Vec<String> = states.iter().map(|s| format!("{} {}", counts.of(*s), s.name())).collect();
        told.join(", ")
    };
    let open = [State::Running, State::Ready, State::Scheduled, State::WaitingForBaseline];
    let ended = [State::Measured, State::NotMeasurable, State::Quarantined, State::Failed, State::Cancelled];
    let mut lines = vec![format!("open   {}", told(&open)), format!("ended  {}", told(&ended))];
    if counts.unfinished() > 0 {
        let end = match tonight.eta() {
            _ if tonight.lacks_workers() => "no worker is there: start 'cicatrix worker' or 'cicatrix run'".to_owned(),
            _ if !tonight.moves() => "all that is open is held by a pause or a window".to_owned(),
            Some(eta) => {
                let held = tonight.held();
                let (all, held) =
                    if held > 0 { ("the rest", format!("; {held} are held")) } else { ("all", String::new()) };
                format!("{:.0} a minute, {all} done {}{held}", tonight.pace.per_minute, local(eta))
            }
            None => "nothing has ended in the last ten minutes".to_owned(),
        };
        let deadline = settings.ends(None, &settings.schedule(false)?, now)?;
        let deadline = deadline.map_or(String::new(), |deadline| {
            format!(
                "; deadline {}{}",
                local(deadline),
                if tonight.is_late_for(deadline) { ", WILL BE MISSED" } else { "" }
            )
        });
        lines.push(format!("pace   {end}{deadline}"));
    }
    Ok(lines)
}

/// The clinics with most open, one a line.
fn clinic_lines(tonight: &Tonight, most: usize) -> Vec<String> {
    let mut clinics: Vec<(&String, &ClinicTonight)> = tonight.clinics.iter().collect();
    clinics.sort_by_key(|(clinic, own)| (std::cmp::Reverse(own.counts.unfinished()), (*clinic).clone()));
    let mut table = TextTable::new(&["clinic", "open", "running", "measured", "retake", "set aside", "failed", "held"]);
    let row = |name: String, counts: &Counts, held: String| {
        let cells = [
            counts.unfinished(),
            counts.running,
            counts.measured,
            counts.not_measurable,
            counts.quarantined,
            counts.failed,
        ];
        [vec![name], cells.iter().map(ToString::to_string).collect(), vec![held]].concat()
    };
    for (clinic, own) in clinics.iter().take(most) {
        table.push(row((*clinic).clone(), &own.counts, own.held.clone().unwrap_or_default()));
    }
    let mut lines: Vec<String> =
        if table.is_empty() { vec![] } else { table.to_string().lines().map(str::to_owned).collect() };
    if clinics.len() > most {
        lines.push(format!("… and {} clinics more", clinics.len() - most));
    }
    lines
}

/// `worker h-1-4711: 2 of 4 in work, the oldest since 22:01 CET`, and how long it has been silent, if it has.
fn worker_line(worker: &Colleague, now: Timestamp) -> String {
    let read = |at: &str| at.parse::<Timestamp>().ok();
    let oldest =
        worker.oldest.as_deref().and_then(read).map_or(String::new(), |at| format!(", the oldest since {}", local(at)));
    let silent = worker.silent_for(now).map_or(String::new(), |silent| format!("; SILENT for {} s", silent.as_secs()));
    plain(&format!("worker {}: {} of {} in work{oldest}{silent}", worker.name, worker.running, worker.slots))
}

fn reason_lines(tonight: &Tonight) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (state, reason, n) in &tonight.reasons {
        reasons.entry(state).or_default().push(format!("{n} {}", reason.as_deref().unwrap_or("error")));
    }
    let line = |(state, mut told): (&str, Vec<String>)| {
        let more = told.len().saturating_sub(REASONS);
        told.truncate(REASONS);
        let more = if more > 0 { format!(" and {more} reasons more") } else { String::new() };
        format!("{state}: {}{more}", told.join(", "))
    };
    reasons.into_iter().map(line).collect()
}

/// How many sessions have which verdict, of the primary measure.
fn verdicts(tonight: &Tonight) -> String {
    let mut table = TextTable::new(&["sessions", "verdict"]);
    for (verdict, n) in &tonight.verdicts {
        table.push(vec![n.to_string(), verdict.clone()]);
    }
    if table.is_empty() { String::new() } else { format!("\n{}", table.to_string().trim_end()) }
}

async fn as_json(ledger: &Ledger, args: &StatusArgs, settings: &Config) -> anyhow::Result<u8> {
    let now = Timestamp::now();
    let tonight = ledger.tonight(now - args.within).await?;
    let deadline = settings.ends(None, &settings.schedule(false)?, now)?;
    out(&tonight.json(deadline).to_string())?;
    Ok(exit::DONE)
}

/// By this machine's clock; with the day where it is not today.
fn local(at: Timestamp) -> String {
    let zone = TimeZone::system();
    let zoned = at.to_zoned(zone.clone());
    let is_near = at.duration_since(Timestamp::now()).abs() < SignedDuration::from_hours(20);
    zoned.strftime(if is_near { "%H:%M %Z" } else { "%Y-%m-%d %H:%M %Z" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::cut_to;

    #[test]
    fn a_screen_is_cut_to_the_terminal_and_says_what_is_missing() {
        let screen: String = (0..40).map(|n| format!("line {n} {}\n", "×".repeat(100))).collect();
        for (rows, columns) in [(24, 80), (2, 5), (40, 200), (41, 80), (60, 80)] {
            let cut = cut_to(&screen, rows, columns);
            let lines: Vec<&str> = cut.lines().collect();
            assert!(lines.len() < rows, "{} lines in {rows} rows", lines.len());
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "wider than {columns}: {cut}");
            assert_eq!(lines.len() == 40, rows > 40, "{rows} rows: {cut}");
        }
        let small = cut_to(&screen, 24, 80);
        assert!(small.ends_with("… and 18 lines more\n") && small.starts_with("line 0 "), "{small}");
        assert_eq!(cut_to(&screen, 0, 0), screen);
    }
}
