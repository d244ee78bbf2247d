//! `patient show|timeline|baseline`: one patient's sessions, changes and history, and the choice of its baseline.

use cicatrix_ledger::{Ledger, Table};
use cicatrix_model::{ClinicId, PatientId};

use crate::args::{BaselineArgs, Global, PatientArgs};
use crate::command::export::{json as as_json, open_existing, open_to_change};
use crate::command::jobs::rows;
use crate::command::run::plan_settings;
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out};

const SESSIONS: [&str; 9] = [
    "session",
    "is_baseline",
    "days_since_baseline",
    "n_photos",
    "n_measured",
    "n_not_measurable",
    "n_quarantined",
    "n_unfinished",
    "problem_reason",
];
const CHANGES: [&str; 9] =
    ["session", "view", "region", "change_pct", "ci95_lo", "ci95_hi", "mdc95_pct", "verdict", "reason"];
const HAPPENED: [&str; 7] = ["at", "session", "view", "shot", "kind", "who", "detail"];

/// The clinic of a patient: the one that was named, or the only one that has it.
async fn clinic_of(ledger: &Ledger, args: &PatientArgs) -> anyhow::Result<String> {
    let of_patient = [("patient_id", args.patient.as_str())];
    let mut clinics: Vec<String> =
        rows(ledger, Table::Sessions, &of_patient, &["clinic_id"]).await?.into_iter().flatten().collect();
    clinics.dedup();
    if let Some(clinic) = &args.clinic {
        clinics.retain(|known| known == clinic.as_str());
    }
    match clinics.len() {
        0 => Err(exit::bad_input(format!("there is no patient {} in this ledger", args.patient))),
        1 => Ok(clinics.remove(0)),
        _ => Err(exit::bad_input(format!(
            "the clinics {} have a patient {}: say which with --clinic",
            clinics.join(" and "),
            args.patient
        ))),
    }
}

pub(crate) async fn show(args: &PatientArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let clinic = clinic_of(&ledger, args).await?;
    let of_patient = [("clinic_id", clinic.as_str()), ("patient_id", args.patient.as_str())];
    let of_psi = [of_patient[0], of_patient[1], ("measure", "psi")];
    if global.json {
        as_json(&ledger, Table::Sessions, &of_patient, std::io::stdout()).await?;
        as_json(&ledger, Table::Changes, &of_psi, std::io::stdout()).await?;
        return Ok(exit::DONE);
    }
    out(&format!("clinic {clinic}, patient {}", args.patient))?;
    table(&SESSIONS, rows(&ledger, Table::Sessions, &of_patient, &SESSIONS).await?)?;
    out("\nChange of scar contrast (psi) against the baseline, percent; less is better:")?;
    table(&CHANGES, rows(&ledger, Table::Changes, &of_psi, &CHANGES).await?)?;
    Ok(exit::DONE)
}

pub(crate) async fn timeline(args: &PatientArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let ledger = open_existing(&settings.db).await?;
    let clinic = clinic_of(&ledger, args).await?;
    let of_patient = [("clinic_id", clinic.as_str()), ("patient_id", args.patient.as_str())];
    if global.json {
        as_json(&ledger, Table::Events, &of_patient, std::io::stdout()).await?;
        return Ok(exit::DONE);
    }
    table(&HAPPENED, rows(&ledger, Table::Events, &of_patient, &HAPPENED).await?)?;
    Ok(exit::DONE)
}

pub(crate) async fn baseline(args: &BaselineArgs, settings: &Config) -> anyhow::Result<u8> {
    let ledger = open_to_change(&settings.db).await?;
    let clinic: ClinicId = clinic_of(&ledger, &args.patient).await?.parse()?;
    let patient: &PatientId = &args.patient.patient;
    let planned =
        ledger.pin_baseline(&clinic, patient, args.session, &(&args.by).into(), &plan_settings(settings)?).await?;
    let chosen = args.session.map_or("the one that the manifests say".to_owned(), |session| session.to_string());
    out(&format!(
        "The baseline of {patient} is {chosen}. {} photos are read again by the next worker or 'cicatrix run', {} results \
         count again.",
        planned.runs(),
        planned.revived
    ))?;
    Ok(exit::DONE)
}

fn table(header: &'static [&'static str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    let mut table = TextTable::new(header);
    rows.into_iter().for_each(|row| table.push(row));
    out(if table.is_empty() { "None.".to_owned() } else { table.to_string() }.trim_end())
}
