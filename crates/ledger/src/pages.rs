//! Questions that only a dashboard asks. Each is answered by an index whose size is that of the answer's subject.

use std::collections::{HashMap, HashSet};

use crate::sql::{Row, query, query_as, query_scalar};
use crate::{Ledger, LedgerError};

/// A patient, as a list of patients shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientLine {
    pub clinic: String,
    pub patient: String,
    pub sessions: i64,
    /// Dates of the first session and of the last.
    pub first: String,
    pub last: String,
}

impl Ledger {
    /// Patients by clinic and name: of one clinic or of all, whose names begin with a text, those behind another one.
    pub async fn patients(
        &self,
        clinic: Option<&str>,
        begins: &str,
        after: Option<(&str, &str)>,
        most: u32,
    ) -> Result<Vec<PatientLine>, LedgerError> {
        let (after_clinic, after_patient) = after.unwrap_or_default();
        // Names are ordered by their bytes: what begins with a text lies between it and the text with the last character behind.
        let end = format!("{begins}\u{10ffff}");
        let rows: Vec<Row> = query(
            "SELECT clinic_id, patient_id, COUNT(*) AS n, MIN(session_date) AS first, MAX(session_date) AS last
               FROM session
              WHERE gone_at IS NULL AND (clinic_id, patient_id) > ($1, $2) AND patient_id >= $3 AND patient_id <= $4
                AND (CAST($5 AS TEXT) IS NULL OR clinic_id = $5)
              GROUP BY clinic_id, patient_id ORDER BY clinic_id, patient_id LIMIT $6",
        )
        .bind(after_clinic)
        .bind(after_patient)
        .bind(begins)
        .bind(end)
        .bind(clinic)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        let line = |row: &Row| {
            Ok(PatientLine {
                clinic: row.get("clinic_id")?,
                patient: row.get("patient_id")?,
                sessions: row.get("n")?,
                first: row.get("first")?,
                last: row.get("last")?,
            })
        };
        rows.iter().map(line).collect()
    }

    /// Files that were set aside by reason, with advice and how many; the most first.
    pub async fn quarantined_by_reason(
        &self,
        clinic: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Vec<(String, String, i64)>, LedgerError> {
        query_as(
            "SELECT reason, COALESCE(MAX(advice), ''), COUNT(*) FROM v_quarantine
              WHERE (CAST($1 AS TEXT) IS NULL OR clinic_id = $1) AND (CAST($2 AS TEXT) IS NULL OR reason = $2)
              GROUP BY reason ORDER BY 3 DESC, 1",
        )
        .bind(clinic)
        .bind(reason)
        .fetch_all(&self.pool)
        .await
    }

    /// Objects that are no photo of any session, as the last sweep of each source found them: name and what is wrong with it.
    pub async fn strays(&self, reason: Option<&str>, most: u32) -> Result<Vec<(String, String)>, LedgerError> {
        query_as(
            "SELECT object_key, COALESCE(detail, '') FROM v_quarantine
              WHERE run_id IS NULL AND (CAST($1 AS TEXT) IS NULL OR reason = $1) ORDER BY object_key LIMIT $2",
        )
        .bind(reason)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
    }

    /// Which of these runs have pictures.
    pub async fn with_pictures(&self, runs: &[i64]) -> Result<HashSet<i64>, LedgerError> {
        if runs.is_empty() {
            return Ok(HashSet::new());
        }
        let sql = format!(
            "SELECT run_id FROM photo_run WHERE run_id IN ({}) AND derived IS NOT NULL AND derived <> 'null'",
            listed(runs)
        );
        Ok(query_scalar::<i64>(sql).fetch_all(&self.pool).await?.into_iter().collect())
    }

    /// For each of these runs the current run of the photo that it is compared with, if that one has pictures.
    pub async fn baseline_runs(&self, runs: &[i64]) -> Result<HashMap<i64, i64>, LedgerError> {
        if runs.is_empty() {
            return Ok(HashMap::new());
        }
        let pairs: Vec<(i64, i64)> = query_as(format!(
            "SELECT r.run_id, b.run_id FROM photo_run r CROSS JOIN photo_run b
              WHERE r.run_id IN ({}) AND b.photo_id = r.baseline_photo_id AND b.is_current = 1
                AND b.derived IS NOT NULL AND b.derived <> 'null'",
            listed(runs)
        ))
        .fetch_all(&self.pool)
        .await?;
        Ok(pairs.into_iter().collect())
    }
}

/// Numbers as a list of SQL.
pub(crate) fn listed(runs: &[i64]) -> String {
    runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
