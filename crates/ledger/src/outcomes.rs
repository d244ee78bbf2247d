//! Outcomes: what a session came to, of the primary measure, and sums of it over groups of patients.
//!
//! A page over ten thousand patients must not read each of their changes, so each session carries its own outcome: the mean ln
//! ratio of its endpoints over views and regions. It is written whenever changes of its patient are (`series.rs`), in the same
//! transaction, and is what those changes give, whatever came before.

use std::collections::BTreeMap;

use cicatrix_model::Measure;

use crate::sql::{Row, Tx, query, query_as};
use crate::{Ledger, LedgerError};

/// By what patients are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    All,
    Clinic,
    Device,
    NeedleDepth,
    SkinType,
}

impl GroupBy {
    fn column(self) -> &'static str {
        match self {
            GroupBy::All => "'all patients'",
            GroupBy::Clinic => "clinic_id",
            GroupBy::Device => "device",
            GroupBy::NeedleDepth => "CAST(needle_depth_mm AS TEXT)",
            GroupBy::SkinType => "fitzpatrick",
        }
    }
}

/// Outcomes of a group at one session, ln ratios.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSum {
    /// None where the manifests do not say.
    pub group: Option<String>,
    /// As the manifest numbers it, else its place among the patient's sessions, the baseline being 0.
    pub session_no: i64,
    pub patients: Sum,
    /// Series of these sessions that are endpoints or not measurable, and those of them that are not.
    pub series: i64,
    pub missing: i64,
}

/// Last outcomes of a clinic's patients, ln ratios.
#[derive(Debug, Clone, PartialEq)]
pub struct LastSum {
    pub clinic: String,
    pub patients: Sum,
    /// How many are at or below each of the thresholds that were asked for.
    pub at_most: Vec<i64>,
}

/// Numbers that were added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    pub n: i64,
    pub sum: f64,
    /// Of their squares.
    pub squares: f64,
}

/// Outcomes of one clinic or of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcomes {
    pub by_session: Vec<SessionSum>,
    pub last: Vec<LastSum>,
}

impl Ledger {
    /// Outcomes of follow-ups, of one clinic or of all; `thresholds` are ln ratios.
    pub async fn outcomes(
        &self,
        by: GroupBy,
        clinic: Option<&str>,
        thresholds: &[f64],
    ) -> Result<Outcomes, LedgerError> {
        let counted = query(format!(
            "SELECT {} AS group_name,
                    COALESCE(s.session_no, (
                        SELECT COUNT(*) FROM session e
                         WHERE e.clinic_id = s.clinic_id AND e.patient_id = s.patient_id AND e.session < s.session
                    )) AS number,
                    COUNT(outcome_ln) AS n, COALESCE(SUM(outcome_ln), 0.0) AS total,
                    COALESCE(SUM(outcome_ln * outcome_ln), 0.0) AS squares,
                    CAST(SUM(outcome_n) AS BIGINT) AS measured, CAST(SUM(outcome_missing) AS BIGINT) AS missing
               FROM session s
              WHERE is_baseline = 0 AND outcome_n + outcome_missing > 0 AND (CAST($1 AS TEXT) IS NULL OR clinic_id = $1)
              GROUP BY 1, 2 ORDER BY 1, 2",
            by.column()
        ))
        .bind(clinic);
        // Each reads all sessions once, so they go side by side.
        let (counted, last) = tokio::try_join!(counted.fetch_all(&self.pool), self.last_outcomes(clinic, thresholds))?;
        let at_session = |row: &Row| {
            let missing: i64 = row.get("missing")?;
            Ok(SessionSum {
                group: row.get("group_name")?,
                session_no: row.get("number")?,
                patients: sum(row)?,
                series: missing + row.get::<i64>("measured")?,
                missing,
            })
        };
        Ok(Outcomes { by_session: counted.iter().map(at_session).collect::<Result<_, LedgerError>>()?, last })
    }

    async fn last_outcomes(&self, clinic: Option<&str>, thresholds: &[f64]) -> Result<Vec<LastSum>, LedgerError> {
        let at_most = thresholds.iter().enumerate().map(|(number, threshold)| {
            format!(", CAST(SUM(CASE WHEN outcome_ln <= {threshold:.6} THEN 1 ELSE 0 END) AS BIGINT) AS t{number}")
        });
        let rows: Vec<Row> = query(format!(
            "SELECT clinic_id, COUNT(*) AS n, SUM(outcome_ln) AS total, SUM(outcome_ln * outcome_ln) AS squares{}
               FROM session
              WHERE is_baseline = 0 AND outcome_is_last = 1 AND outcome_ln IS NOT NULL
                AND (CAST($1 AS TEXT) IS NULL OR clinic_id = $1)
              GROUP BY clinic_id ORDER BY clinic_id",
            at_most.collect::<String>()
        ))
        .bind(clinic)
        .fetch_all(&self.pool)
        .await?;
        let last = |row: &Row| {
            let counts = (0..thresholds.len()).map(|number| row.get(&format!("t{number}")));
            Ok(LastSum {
                clinic: row.get("clinic_id")?,
                patients: sum(row)?,
                at_most: counts.collect::<Result<_, _>>()?,
            })
        };
        rows.iter().map(last).collect()
    }
}

fn sum(row: &Row) -> Result<Sum, LedgerError> {
    Ok(Sum { n: row.get("n")?, sum: row.get("total")?, squares: row.get("squares")? })
}

/// What a session came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Outcome {
    /// Mean over the series that are endpoints.
    ln: Option<f64>,
    n: i64,
    missing: i64,
    is_last: bool,
}

/// Writes the outcomes of a patient's sessions as its changes say them now; those that are right already are left.
pub(crate) async fn settle(tx: &mut Tx, clinic: &str, patient: &str) -> Result<(), LedgerError> {
    let changes: Vec<(String, Option<f64>, i64)> = query_as(
        "SELECT session, change_pct, endpoint_eligible FROM session_change
          WHERE clinic_id = $1 AND patient_id = $2 AND measure = $3 ORDER BY session",
    )
    .bind(clinic)
    .bind(patient)
    .bind(Measure::Psi.name())
    .fetch_all(&mut *tx)
    .await?;
    let written: Vec<Row> = query(
        "SELECT session_id, session, is_baseline, outcome_ln, outcome_n, outcome_missing, outcome_is_last FROM session
          WHERE clinic_id = $1 AND patient_id = $2",
    )
    .bind(clinic)
    .bind(patient)
    .fetch_all(&mut *tx)
    .await?;
    let baseline = written.iter().find(|row| row.get::<i64>("is_baseline").is_ok_and(|is_baseline| is_baseline == 1));
    let baseline: String = baseline.map_or(Ok(String::new()), |row| row.get("session"))?;
    let wanted = outcomes_of(&changes, &baseline);
    for row in &written {
        let session: String = row.get("session")?;
        let own = wanted.get(session.as_str()).copied().unwrap_or_default();
        let is_last: i64 = row.get("outcome_is_last")?;
        let known = Outcome {
            ln: row.get("outcome_ln")?,
            n: row.get("outcome_n")?,
            missing: row.get("outcome_missing")?,
            is_last: is_last == 1,
        };
        if own == known {
            continue;
        }
        query(
            "UPDATE session SET outcome_ln = $2, outcome_n = $3, outcome_missing = $4, outcome_is_last = $5
              WHERE session_id = $1",
        )
        .bind(row.get::<i64>("session_id")?)
        .bind(own.ln)
        .bind(own.n)
        .bind(own.missing)
        .bind(own.is_last)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Of changes in the order of sessions: session, percent, whether it may be an endpoint. What was before the baseline, which may be
/// chosen late, is no outcome.
fn outcomes_of<'a>(changes: &'a [(String, Option<f64>, i64)], baseline: &str) -> BTreeMap<&'a str, Outcome> {
    let mut outcomes: BTreeMap<&str, Outcome> = BTreeMap::new();
    for (session, change, eligible) in changes.iter().filter(|(session, ..)| session.as_str() > baseline) {
        let outcome = outcomes.entry(session).or_default();
        match change {
            None => outcome.missing += 1,
            Some(change) if *eligible == 1 => {
                let ln = (change / 100.0).max(-0.99).ln_1p();
                let n = outcome.n as f64;
                outcome.ln = Some((outcome.ln.unwrap_or(0.0) * n + ln) / (n + 1.0));
                outcome.n += 1;
            }
            Some(_) => {}
        }
    }
    if let Some(last) = outcomes.values_mut().rev().find(|outcome| outcome.ln.is_some()) {
        last.is_last = true;
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_comes_to_the_mean_of_its_endpoints_and_the_last_one_with_a_number_is_told() {
        let change = |session: &str, change, eligible| (session.to_owned(), change, eligible);
        let changes = [
            change("2026-01-10-01", Some(-60.0), 1),
            change("2026-02-10-01", Some(-19.0), 1),
            change("2026-02-10-01", Some(-36.0), 1),
            change("2026-02-10-01", Some(90.0), 0),
            change("2026-03-10-01", None, 0),
            change("2026-03-10-01", None, 0),
        ];
        let outcomes = outcomes_of(&changes, "2026-01-20-01");
        assert_eq!(outcomes.len(), 2, "what was before the baseline is no outcome");
        let first = outcomes["2026-02-10-01"];
        assert!((first.ln.unwrap() - (0.9_f64 * 0.8).ln()).abs() < 1e-9, "the geometric mean of 0.81 and 0.64");
        assert_eq!((first.n, first.missing, first.is_last), (2, 0, true));
        assert_eq!(outcomes["2026-03-10-01"], Outcome { ln: None, n: 0, missing: 2, is_last: false });
    }
}
