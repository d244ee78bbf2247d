//! `evaluate`: results against known truth. It reports what it finds; nothing in it decides a number.

mod masks;
mod registration;

use std::collections::BTreeMap;

use cicatrix_ledger::{Ledger, State, Table};
use cicatrix_outcome::agreement;
use serde::Serialize;

use crate::args::{EvaluateArgs, Global};
use crate::command::export::open_existing;
use crate::command::jobs::rows;
use crate::command::truth::Truth;
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out};
use masks::{MaskReport, masks};
use registration::{RegistrationReport, registration};

pub(crate) async fn evaluate(args: &EvaluateArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let truth = Truth::read(&args.truth)?;
    let ledger = open_existing(&settings.db).await?;
    let protocol = settings.protocol()?;
    let mut report = Report {
        photos: photos(&ledger).await?,
        change: change(&ledger, &truth).await?,
        masks: masks(&args.source, &args.truth, &truth, &protocol)?,
        registration: None,
    };
    if !args.no_registration {
        report.registration = registration(&args.source, &args.truth, &truth, &protocol)?;
    }
    if global.json {
        out(&serde_json::to_string(&report)?)?;
    } else {
        report.print()?;
    }
    Ok(exit::DONE)
}

#[derive(Debug, Serialize)]
struct Report {
    photos: Photos,
    change: ChangeReport,
    /// None where the truth has no masks.
    masks: Option<MaskReport>,
    registration: Option<RegistrationReport>,
}

/// What became of the photos.
#[derive(Debug, Serialize)]
struct Photos {
    n: usize,
    measured: usize,
    refused_share: f64,
    reasons: BTreeMap<String, usize>,
}

/// Change of `psi` against the true change of scar volume, one row a session and region.
#[derive(Debug, Default, Serialize)]
struct ChangeReport {
    n: usize,
    not_measurable: usize,
    /// None of too few sessions, as the next three.
    ccc: Option<f64>,
    bias_pct: Option<f64>,
    /// Standard deviation of the error, percent, and 1.96 times it.
    error_sd_pct: Option<f64>,
    error_95_pct: Option<f64>,
    /// Median of the reported MDC95, percent.
    mdc95_pct: Option<f64>,
    /// Share of intervals that hold the true change.
    coverage: f64,
    no_change_n: usize,
    false_changes: usize,
    large_change_n: usize,
    wrong_direction: usize,
    found_large_improvements: usize,
    large_improvement_n: usize,
}

async fn photos(ledger: &Ledger) -> anyhow::Result<Photos> {
    let rows = rows(ledger, Table::Photos, &[], &["state", "reason"]).await?;
    let measured = rows.iter().filter(|r| r[0] == State::Measured.name()).count();
    let mut reasons = BTreeMap::new();
    for row in rows.iter().filter(|r| r[0] != State::Measured.name()) {
        *reasons.entry(format!("{} {}", row[0], row[1])).or_default() += 1;
    }
    let refused_share = 1.0 - measured as f64 / rows.len().max(1) as f64;
    Ok(Photos { n: rows.len(), measured, refused_share, reasons })
}

/// A change counts as large from here on, as a fraction.
const LARGE: f64 = 0.2;

async fn change(ledger: &Ledger, truth: &Truth) -> anyhow::Result<ChangeReport> {
    let wanted = ["patient_id", "session", "change_pct", "ci95_lo", "ci95_hi", "mdc95_pct", "verdict"];
    let mut report = ChangeReport::default();
    let (mut pairs, mut detectable, mut covered) = (Vec::new(), Vec::new(), 0usize);
    for row in rows(ledger, Table::Changes, &[("measure", "psi")], &wanted).await? {
        let Some(true_change) = truth.change(&row[0], &row[1]) else { continue };
        report.n += 1;
        let number = |i: usize| row[i].parse::<f64>().ok();
        let (Some(found), Some(lo), Some(hi), Some(mdc)) = (number(2), number(3), number(4), number(5)) else {
            report.not_measurable += 1;
            continue;
        };
        let true_pct = 100.0 * true_change;
        pairs.push((found, true_pct));
        detectable.push(mdc);
        covered += usize::from(lo <= true_pct && true_pct <= hi);
        let verdict = row[6].as_str();
        if true_change == 0.0 {
            report.no_change_n += 1;
            report.false_changes += usize::from(verdict != "no_detectable_change");
        }
        if true_change.abs() >= LARGE {
            report.large_change_n += 1;
            let wrong = if true_change < 0.0 { "worsened" } else { "improved" };
            report.wrong_direction += usize::from(verdict == wrong);
        }
        if true_change <= -LARGE {
            report.large_improvement_n += 1;
            report.found_large_improvements += usize::from(verdict == "improved");
        }
    }
    if pairs.is_empty() {
        return Err(exit::bad_input("no change in the database belongs to this truth: run the series first"));
    }
    let found = agreement(&pairs);
    report.ccc = found.map(|a| a.ccc);
    report.bias_pct = found.map(|a| a.bias);
    report.error_sd_pct = found.map(|a| a.sd);
    report.error_95_pct = found.map(|a| 1.96 * a.sd);
    report.mdc95_pct = quantile(&mut detectable, 0.5);
    report.coverage = covered as f64 / pairs.len() as f64;
    Ok(report)
}

/// `None` of no values.
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(((values.len() as f64 - 1.0) * q).max(0.0).round() as usize).copied()
}

/// A dash for what could not be computed.
fn told(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_owned(), |v| format!("{v:.digits$}"))
}

impl Report {
    fn print(&self) -> anyhow::Result<()> {
        let mut table = TextTable::new(&["quantity", "value", "of"]);
        let mut row = |name: &str, value: String, of: usize| table.push(vec![name.to_owned(), value, of.to_string()]);
        let p = &self.photos;
        row("photos measured", p.measured.to_string(), p.n);
        row("photos refused, share", format!("{:.3}", p.refused_share), p.n);
        if let Some(r) = &self.registration {
            row("registration error, median px", told(r.median_px, 2), r.pairs);
            row("registration error, p95 px", told(r.p95_px, 2), r.pairs);
            row("worst pair, median px", told(r.worst_median_px, 2), r.pairs);
            row("worst pair, p95 px", told(r.worst_p95_px, 2), r.pairs);
            row("pairs refused", r.refused.to_string(), r.pairs);
        }
        if let Some(m) = &self.masks {
            row("scars: share of their volume that is found", format!("{:.2}", m.volume_held), m.patients);
            row("scars: share of what is found that is scar", format!("{:.2}", m.precision), m.patients);
            row("scars: Dice", format!("{:.2}", m.dice), m.patients);
        }
        let c = &self.change;
        row("sessions not measurable", c.not_measurable.to_string(), c.n);
        let n = c.n - c.not_measurable;
        row("Lin's CCC of % change with true volume change", told(c.ccc, 3), n);
        row("bias, %", told(c.bias_pct, 1), n);
        row("error, SD %", told(c.error_sd_pct, 1), n);
        row("error, 1.96 SD %", told(c.error_95_pct, 1), n);
        row("reported MDC95, median %", told(c.mdc95_pct, 1), n);
        row("95 % intervals that hold the truth, share", format!("{:.3}", c.coverage), n);
        row("false changes at true zero", c.false_changes.to_string(), c.no_change_n);
        row("wrong direction at 20 % and more", c.wrong_direction.to_string(), c.large_change_n);
        row("improvements of 20 % and more called so", c.found_large_improvements.to_string(), c.large_improvement_n);
        out(table.to_string().trim_end())?;
        for (reason, n) in &p.reasons {
            out(&format!("  {n} photos {reason}"))?;
        }
        out("On rendered skin, not clinically validated.")
    }
}
