//! `retakes` and `quarantine`: the worklists of clinics and operators, and how something leaves them.

use cicatrix_ledger::{Filter, State, Table};

use crate::args::{ExportArgs, FilterArgs, Format, Global, QuarantineAction, RetakesAction};
use crate::command::export::{export, json, open_existing};
use crate::command::jobs::{self, Verb, rows};
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out};

/// Columns that a person needs of each list.
const RETAKES: [&str; 10] =
    ["run_id", "clinic_id", "patient_id", "session", "view", "shot", "region", "reason", "advice", "detail"];
const QUARANTINE: [&str; 10] =
    ["run_id", "clinic_id", "patient_id", "session", "view", "shot", "reason", "advice", "detail", "object_key"];

pub(crate) async fn retakes(action: RetakesAction, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    match action {
        RetakesAction::List(filter) => show(Table::Retakes, &RETAKES, &filter, settings, global).await,
        RetakesAction::Export { output } => {
            export(&ExportArgs { table: Table::Retakes, format: Format::Csv, output }, settings).await
        }
        // A region that was refused in a measured photo is resolved with the photo, by its number.
        RetakesAction::Resolve(select) => {
            jobs::change(select, Some(State::NotMeasurable), settings, Verb::Discard).await
        }
    }
}

pub(crate) async fn quarantine(action: QuarantineAction, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    match action {
        QuarantineAction::List(filter) => show(Table::Quarantine, &QUARANTINE, &filter, settings, global).await,
        QuarantineAction::Show { run } => jobs::show_run(run, settings, global).await,
        QuarantineAction::Release(select) => {
            jobs::change(select, Some(State::Quarantined), settings, Verb::Retry).await
        }
        QuarantineAction::Purge(select) => {
            jobs::change(select, Some(State::Quarantined), settings, Verb::Discard).await
        }
    }
}

/// Prints a list: a table for people, JSON lines for machines.
async fn show(
    table: Table,
    columns: &'static [&'static str],
    filter: &FilterArgs,
    settings: &Config,
    global: &Global,
) -> anyhow::Result<u8> {
    let asked: Filter = filter.into();
    if asked.state.is_some() || asked.night.is_some() || asked.before.is_some() {
        return Err(exit::bad_input("this list takes --clinic and --reason; 'cicatrix jobs list' takes all filters"));
    }
    let texts = [
        ("reason", asked.reason.map(|r| r.code().to_owned())),
        ("clinic_id", asked.clinic.map(|clinic| clinic.to_string())),
    ];
    let matching: Vec<(&str, &str)> = texts.iter().filter_map(|(c, v)| Some((*c, v.as_deref()?))).collect();
    let ledger = open_existing(&settings.db).await?;
    if global.json {
        json(&ledger, table, &matching, std::io::stdout()).await?;
        return Ok(exit::DONE);
    }
    let mut text = TextTable::new(columns);
    rows(&ledger, table, &matching, columns).await?.into_iter().for_each(|row| text.push(row));
    match text.is_empty() {
        true => out("None.")?,
        false => out(text.to_string().trim_end())?,
    }
    Ok(exit::DONE)
}
