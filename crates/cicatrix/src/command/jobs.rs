//! `jobs`, `retakes`, `quarantine`: lists for operators, and what they can do.

use std::io::{IsTerminal, Write};

use cicatrix_ledger::{Cell, Ledger, Line, Selection, State, Table};

use crate::args::{Global, JobsAction, SelectArgs};
use crate::command::export::{json, open_existing, open_to_change};
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out};

pub(crate) async fn jobs(action: JobsAction, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    match action {
        JobsAction::List { state, reason, clinic } => {
            let texts = [
                ("state", state.map(|s| s.name().to_owned())),
                ("reason", reason.map(|r| r.code().to_owned())),
                ("clinic_id", clinic.map(|c| c.to_string())),
            ];
            let matching: Vec<(&str, &str)> = texts.iter().filter_map(|(c, v)| Some((*c, v.as_deref()?))).collect();
            show(Table::Photos, &matching, settings, global).await
        }
        JobsAction::Retry(select) => change(select, settings, Verb::Retry).await,
        JobsAction::Cancel(select) => change(select, settings, Verb::Cancel).await,
        JobsAction::Redispatch => {
            let ledger = open_to_change(&settings.db).await?;
            let _lock = ledger.exclusive()?;
            let n = ledger.redispatch().await?;
            out(&format!("{n} jobs were made anew."))?;
            Ok(exit::DONE)
        }
    }
}

/// Columns that a person needs of each list.
fn columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Retakes => {
            &["clinic_id", "patient_id", "session", "view", "shot", "region", "reason", "advice", "detail"]
        }
        Table::Quarantine => &[
            "run_id",
            "clinic_id",
            "patient_id",
            "session",
            "view",
            "shot",
            "reason",
            "advice",
            "detail",
            "object_key",
        ],
        _ => &[
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
        ],
    }
}

/// Prints a list: a table for people, JSON lines for machines.
pub(crate) async fn show(
    table: Table,
    matching: &[(&str, &str)],
    settings: &Config,
    global: &Global,
) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    if global.json {
        json(&ledger, table, matching, std::io::stdout()).await?;
        return Ok(exit::DONE);
    }
    let rows = rows(&ledger, table, matching, columns(table)).await?;
    let mut text = TextTable::new(columns(table));
    for row in rows {
        text.push(row);
    }
    match text.is_empty() {
        true => out("None.")?,
        false => out(text.to_string().trim_end())?,
    }
    Ok(exit::DONE)
}

/// The named columns of a table as texts.
pub(crate) async fn rows(
    ledger: &Ledger,
    table: Table,
    matching: &[(&str, &str)],
    wanted: &[&str],
) -> anyhow::Result<Vec<Vec<String>>> {
    let mut places: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    ledger
        .export_where(table, matching, &mut |line| {
            match line {
                Line::Header(names) => {
                    places = wanted.iter().filter_map(|w| names.iter().position(|n| n == w)).collect();
                }
                Line::Row(cells) => found.push(places.iter().map(|&i| text(&cells[i])).collect()),
            }
            Ok(())
        })
        .await?;
    Ok(found)
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => format!("{value:.4}"),
        Cell::Text(text) => text.clone(),
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Retry,
    Cancel,
}

async fn change(select: SelectArgs, settings: &Config, verb: Verb) -> anyhow::Result<u8> {
    let ledger = open_to_change(&settings.db).await?;
    let selection = match select.state {
        Some(state) => {
            confirm(&ledger, state, &select, verb).await?;
            Selection::InState { state, reason: select.reason }
        }
        None => Selection::Runs(select.runs),
    };
    let (n, word) = match verb {
        Verb::Retry => (ledger.retry(&selection).await?, "will be tried again by the next 'cicatrix run'"),
        Verb::Cancel => (ledger.cancel(&selection).await?, "were cancelled"),
    };
    match n {
        0 => out("No run was changed: there is none for which this can be done.")?,
        n => out(&format!("{n} runs {word}."))?,
    }
    Ok(exit::DONE)
}

/// Says how many runs a filter takes in and asks, unless told not to or there are none.
async fn confirm(ledger: &Ledger, state: State, select: &SelectArgs, verb: Verb) -> anyhow::Result<()> {
    if select.yes {
        return Ok(());
    }
    let mut matching = vec![("state", state.name())];
    if let Some(reason) = select.reason {
        matching.push(("reason", reason.code()));
    }
    let n = rows(ledger, Table::Photos, &matching, &["run_id"]).await?.len();
    if n == 0 {
        return Ok(());
    }
    let word = if matches!(verb, Verb::Retry) { "Retry" } else { "Cancel" };
    if !std::io::stdin().is_terminal() {
        return Err(exit::bad_input(format!("{word} {n} runs? Say so with --yes")));
    }
    write!(std::io::stderr(), "{word} {n} runs? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(exit::bad_input("nothing was changed")),
    }
}
