//! `status`: where the work stands, on one screen.

use std::collections::BTreeMap;

use cicatrix_ledger::{State, Table};
use serde_json::json;

use crate::args::Global;
use crate::command::export::open_existing;
use crate::command::jobs::rows;
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out};

pub(crate) async fn status(settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let counts = ledger.counts(None).await?;
    let mut reasons: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in rows(&ledger, Table::Photos, &[], &["state", "reason"]).await? {
        if !row[1].is_empty() && row[0] != State::Measured.name() {
            *reasons.entry((row[0].clone(), row[1].clone())).or_default() += 1;
        }
    }
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows(&ledger, Table::Changes, &[("measure", "psi")], &["verdict"]).await? {
        *verdicts.entry(row[0].clone()).or_default() += 1;
    }
    if global.json {
        let reasons: Vec<_> = reasons.iter().map(|((s, r), n)| json!({"state": s, "reason": r, "n": n})).collect();
        out(&json!({"counts": counts, "reasons": reasons, "verdicts": verdicts}).to_string())?;
        return Ok(exit::DONE);
    }
    let mut states = TextTable::new(&["photos", "state"]);
    for state in State::ALL.into_iter().filter(|s| counts.of(*s) > 0) {
        states.push(vec![counts.of(state).to_string(), state.name().to_owned()]);
    }
    out(states.to_string().trim_end())?;
    if !reasons.is_empty() {
        let mut text = TextTable::new(&["photos", "state", "reason"]);
        for ((state, reason), n) in reasons {
            text.push(vec![n.to_string(), state, reason]);
        }
        out(&format!("\n{text}"))?;
    }
    let mut text = TextTable::new(&["sessions", "verdict"]);
    for (verdict, n) in verdicts {
        text.push(vec![n.to_string(), verdict]);
    }
    out(&format!("\n{}", text.to_string().trim_end()))?;
    Ok(exit::DONE)
}
