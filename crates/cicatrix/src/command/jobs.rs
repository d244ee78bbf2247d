//! `jobs`: runs of photos, for operators: what there is, what happened to it, and what they can do.

use std::io::{IsTerminal, Write};

use cicatrix_ledger::{By, Cell, Filter, JsonLines, Ledger, Pause, Selection, Sheet, SheetRow, State, Table};
use jiff::Timestamp;
use serde_json::json;

use crate::args::{ByArgs, FilterArgs, Global, JobsAction, PauseArgs, SelectArgs};
use crate::command::export::{json as as_json, open_existing, open_to_change, quiet_pipe};
use crate::command::run::plan_settings;
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out, plain};

/// Columns that a person needs of the list.
const LISTED: [&str; 11] = [
    "run_id",
    "clinic_id",
    "patient_id",
    "session",
    "view",
    "shot",
    "state",
    "reason",
    "starts",
    "duration_ms",
    "detail",
];
/// Columns of a run's history.
const EVENTS: [&str; 5] = ["at", "kind", "worker", "who", "detail"];

pub(crate) async fn jobs(action: JobsAction, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    match action {
        JobsAction::List { filter, by_reason: true, .. } => list_by_reason(&filter, settings, global).await,
        JobsAction::List { filter, limit, after, .. } => list(&filter, after, limit, settings, global).await,
        JobsAction::Show { run } => show_run(run, settings, global).await,
        JobsAction::Retry(select) => change(select, None, settings, Verb::Retry).await,
        JobsAction::Cancel(select) => change(select, None, settings, Verb::Cancel).await,
        JobsAction::Discard(select) => change(select, None, settings, Verb::Discard).await,
        JobsAction::Pause(args) => pause(&args, settings).await,
        JobsAction::Resume(args) => resume(&args, settings).await,
        JobsAction::Redispatch => {
            let ledger = open_to_change(&settings.db).await?;
            let _lock = ledger.exclusive()?;
            let n = ledger.redispatch().await?;
            out(&format!("{n} lost jobs: their photos get new ones when it is their turn."))?;
            Ok(exit::DONE)
        }
    }
}

impl From<&FilterArgs> for Filter {
    fn from(args: &FilterArgs) -> Self {
        Self {
            state: args.state,
            reason: args.reason,
            clinic: args.clinic.clone(),
            night: args.night,
            before: args.older_than.map(|age| Timestamp::now() - age),
        }
    }
}

impl From<&ByArgs> for By {
    fn from(args: &ByArgs) -> Self {
        let user = || format!("user {}", rustix::process::getuid().as_raw());
        Self { who: args.by.clone().filter(|by| !by.is_empty()).unwrap_or_else(user), why: args.why.clone() }
    }
}

async fn list(filter: &FilterArgs, after: i64, limit: u32, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let filter = Filter::from(filter);
    let most = if limit == 0 { u32::MAX } else { limit };
    if global.json {
        let mut lines = JsonLines::new(std::io::stdout());
        quiet_pipe(ledger.list(&filter, after, most, &mut |line| lines.take(line)).await.map(|_| ()))?;
        return Ok(exit::DONE);
    }
    let mut sheet = Sheet::default();
    let shown = ledger
        .list(&filter, after, most, &mut |line| {
            sheet.take(line);
            Ok(())
        })
        .await?;
    let Some(last) = sheet.rows().next_back().and_then(|row| row.int("run_id")) else {
        out("None.")?;
        return Ok(exit::DONE);
    };
    let mut text = TextTable::new(&LISTED);
    sheet.rows().for_each(|row| text.push(picked(row, &LISTED)));
    out(text.to_string().trim_end())?;
    let all: i64 = ledger.matching(&filter).await?.iter().map(|(_, _, n)| n).sum();
    if all > shown as i64 {
        out(&format!(
            "{shown} of {all}: --after {last} shows the next, --by-reason counts them, --limit 0 shows all."
        ))?;
    }
    Ok(exit::DONE)
}

async fn list_by_reason(filter: &FilterArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let groups = ledger.matching(&filter.into()).await?;
    if global.json {
        for (state, reason, n) in groups {
            out(&json!({ "state": state, "reason": reason, "n": n }).to_string())?;
        }
        return Ok(exit::DONE);
    }
    let mut text = TextTable::new(&["runs", "state", "reason"]);
    for (state, reason, n) in groups {
        text.push(vec![n.to_string(), state, reason.unwrap_or_default()]);
    }
    out(if text.is_empty() { "None.".to_owned() } else { text.to_string() }.trim_end())?;
    Ok(exit::DONE)
}

/// All that is known of a run, and its history.
pub(crate) async fn show_run(run: i64, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let number = run.to_string();
    let matching = [("run_id", number.as_str())];
    if global.json {
        as_json(&ledger, Table::Photos, &matching, std::io::stdout()).await?;
        as_json(&ledger, Table::Events, &matching, std::io::stdout()).await?;
        return Ok(exit::DONE);
    }
    let photos = ledger.sheet(Table::Photos, &matching).await?;
    let known: Vec<(&String, String)> =
        photos.rows().flat_map(|row| photos.names().iter().map(move |name| (name, text(row.cell(name))))).collect();
    let events = rows(&ledger, Table::Events, &matching, &EVENTS).await?;
    if known.is_empty() && events.is_empty() {
        return Err(exit::bad_input(format!("there is no run {run}: 'cicatrix jobs list' shows the numbers")));
    }
    if known.is_empty() {
        out(&format!("Run {run} no longer counts: another one has taken its place."))?;
    }
    for (name, value) in known.iter().filter(|(_, value)| !value.is_empty()) {
        out(&format!("{name:<22} {}", plain(value)))?;
    }
    let mut table = TextTable::new(&EVENTS);
    events.into_iter().for_each(|event| table.push(event));
    out(&format!("\n{}", table.to_string().trim_end()))?;
    Ok(exit::DONE)
}

/// The named columns of a table as texts.
pub(crate) async fn rows(
    ledger: &Ledger,
    table: Table,
    matching: &[(&str, &str)],
    wanted: &[&str],
) -> anyhow::Result<Vec<Vec<String>>> {
    Ok(ledger.sheet(table, matching).await?.rows().map(|row| picked(row, wanted)).collect())
}

fn picked(row: SheetRow<'_>, wanted: &[&str]) -> Vec<String> {
    wanted.iter().map(|name| text(row.cell(name))).collect()
}

/// Of a measured value so many digits as a person reads.
fn text(cell: &Cell) -> String {
    match cell {
        Cell::Real(value) => format!("{value:.4}"),
        cell => cell.to_string(),
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Verb {
    Retry,
    Cancel,
    Discard,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Retry => "Try again",
            Verb::Cancel => "Cancel",
            Verb::Discard => "Take off the lists",
        }
    }

    /// Whether it does anything to runs of this state.
    fn changes(self, state: State) -> bool {
        match self {
            Verb::Cancel => state.is_unfinished(),
            Verb::Retry | Verb::Discard => !state.is_unfinished() && state != State::Measured,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Verb::Retry => "will be read again by the next worker or 'cicatrix run'",
            Verb::Cancel => "were cancelled",
            Verb::Discard => "are off the lists",
        }
    }
}

/// Does it to the runs that were named, or to all that match; `state` is the list it was typed at.
pub(crate) async fn change(
    select: SelectArgs,
    state: Option<State>,
    settings: &Config,
    verb: Verb,
) -> anyhow::Result<u8> {
    let mut filter = Filter::from(&select.filter);
    let is_filtered = filter != Filter::default();
    if !select.runs.is_empty() && (is_filtered || select.all_matching) {
        return Err(exit::bad_usage("name run numbers, or give a filter, not both"));
    }
    if select.runs.is_empty() && !is_filtered && !select.all_matching {
        return Err(exit::bad_usage("name run numbers, or a filter such as --state or --clinic, or --all-matching"));
    }
    if state.is_some() && filter.state.is_some_and(|asked| Some(asked) != state) {
        return Err(exit::bad_usage("this list has one state: leave --state out"));
    }
    filter.state = filter.state.or(state);
    let ledger = open_to_change(&settings.db).await?;
    let selection = match select.runs.is_empty() {
        true => {
            confirm(&ledger, &filter, select.yes, verb).await?;
            Selection::Matching(filter)
        }
        false => Selection::Runs(select.runs),
    };
    let by = By::from(&select.by);
    let n = match verb {
        Verb::Retry => ledger.retry(&selection, &by, &plan_settings(settings)?).await?,
        Verb::Cancel => ledger.cancel(&selection, &by).await?,
        Verb::Discard => ledger.dismiss(&selection, &by).await?,
    };
    match n.len() {
        0 => out("No run was changed: there is none for which this can be done.")?,
        n => out(&format!("{n} runs {}.", verb.done()))?,
    }
    Ok(exit::DONE)
}

/// Says how many runs a filter takes in and asks, unless told not to or there are none.
async fn confirm(ledger: &Ledger, filter: &Filter, yes: bool, verb: Verb) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let mut groups = match verb {
        Verb::Retry => ledger.matching_retry(&Selection::Matching(filter.clone())).await?,
        _ => ledger.matching(filter).await?,
    };
    groups.retain(|(state, ..)| state.parse().is_ok_and(|state| verb.changes(state)));
    let n: i64 = groups.iter().map(|(_, _, n)| n).sum();
    if n == 0 {
        return Ok(());
    }
    let told: Vec<String> = groups
        .iter()
        .map(|(state, reason, n)| {
            format!("{n} {state}{}", reason.as_ref().map_or(String::new(), |r| format!(" ({r})")))
        })
        .collect();
    let question = format!("{} {n} runs: {}?", verb.name(), told.join(", "));
    if !std::io::stdin().is_terminal() {
        return Err(exit::bad_input(format!("{question} Say so with --yes")));
    }
    write!(std::io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(exit::bad_input("nothing was changed")),
    }
}

async fn pause(args: &PauseArgs, settings: &Config) -> anyhow::Result<u8> {
    let ledger = open_to_change(&settings.db).await?;
    ledger.pause(args.clinic.as_ref(), &(&args.by).into()).await?;
    tell_pauses(&ledger.pauses().await?)?;
    Ok(exit::DONE)
}

async fn resume(args: &PauseArgs, settings: &Config) -> anyhow::Result<u8> {
    let ledger = open_to_change(&settings.db).await?;
    if !ledger.resume(args.clinic.as_ref(), &(&args.by).into()).await? {
        out("It was not paused.")?;
    }
    tell_pauses(&ledger.pauses().await?)?;
    Ok(exit::DONE)
}

fn tell_pauses(pauses: &[Pause]) -> anyhow::Result<()> {
    if pauses.is_empty() {
        return out("Nothing is paused.");
    }
    for pause in pauses {
        out(&told_pause(pause))?;
    }
    Ok(())
}

/// `Paused: clinic c-1 since 2026-11-27T20:00:00.000Z by ops: why`.
pub(crate) fn told_pause(pause: &Pause) -> String {
    let what = pause.clinic.as_ref().map_or("all clinics".to_owned(), |clinic| format!("clinic {clinic}"));
    let why = pause.by.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    plain(&format!("Paused: {what} since {} by {}{why}", pause.paused_at, pause.by.who))
}
