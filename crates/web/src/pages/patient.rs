//! One patient: the course of each view and region with its error band, before and after, and what may be chosen.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use cicatrix_ledger::{Sheet, SheetRow, Table};
use serde::Deserialize;

use crate::pages::jobs::pictures;
use crate::pages::{Shell, Visitor, asked, html, query};
use crate::problem::Problem;
use crate::words::{VerdictWords, escaped, interval, percent, verdict};
use crate::{Shared, chart};

#[derive(Deserialize)]
pub(crate) struct Asked {
    view: Option<String>,
    region: Option<String>,
    /// The session that is laid over the baseline.
    session: Option<String>,
    /// A baseline was chosen a moment ago.
    chosen: Option<String>,
}

#[derive(Template)]
#[template(path = "patient.html")]
struct PatientPage {
    shell: Shell,
    clinic: String,
    address: String,
    views: Vec<Choice>,
    regions: Vec<Choice>,
    region: String,
    trend: String,
    rows: Vec<ChangeLine>,
    sessions: Vec<SessionLine>,
    pair: Option<Pair>,
    slope: Option<String>,
    csv: String,
    was_chosen: bool,
    /// Its changes are to be computed anew.
    waits: bool,
}

/// One of several to look at.
struct Choice {
    name: String,
    address: String,
    is_chosen: bool,
}

struct ChangeLine {
    session: String,
    address: String,
    days: String,
    region: String,
    change: String,
    interval: String,
    mdc: String,
    verdict: VerdictWords,
    /// Why there is no number, and what to do.
    why: String,
    advice: &'static str,
    tier: String,
    shots: i64,
    is_eligible: bool,
    /// A visit before the baseline, which was chosen late: its change is no course.
    is_before: bool,
}

struct SessionLine {
    session: String,
    address: String,
    is_baseline: bool,
    days: String,
    treatment: String,
    measured: i64,
    retake: i64,
    aside: i64,
    open: i64,
    problem: String,
}

/// Pictures of the baseline and of a session, laid over each other.
struct Pair {
    baseline: i64,
    baseline_session: String,
    follow_up: i64,
    session: String,
    has_change: bool,
    has_confidence: bool,
    others: Vec<Choice>,
    told: String,
}

pub(crate) async fn show(
    State(dashboard): State<Shared>,
    Path((clinic, patient)): Path<(String, String)>,
    Query(wanted): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let of_patient = [("clinic_id", clinic.as_str()), ("patient_id", patient.as_str())];
    let sessions = dashboard.ledger.sheet(Table::Sessions, &of_patient).await?;
    if sessions.is_empty() {
        return Err(Problem::not_found(format!("clinic {clinic} has no patient {patient}")));
    }
    let of_psi = [of_patient[0], of_patient[1], ("measure", "psi")];
    let changes = dashboard.ledger.sheet(Table::Changes, &of_psi).await?;
    let photos = dashboard.ledger.sheet(Table::Photos, &of_patient).await?;
    let trends = dashboard.ledger.sheet(Table::Trends, &of_psi).await?;
    let address = format!("/patients/{}/{}", escaped(&clinic), escaped(&patient));

    let views: BTreeSet<&str> = photos.rows().filter_map(|row| row.text("view")).collect();
    let view = chosen(asked(wanted.view.as_ref()), &views);
    let of_view = |row: &SheetRow<'_>| row.text("view") == Some(view.as_str());
    let regions: BTreeSet<&str> = changes.rows().filter(of_view).filter_map(|row| row.text("region")).collect();
    let region = chosen(asked(wanted.region.as_ref()), &regions);
    let own: Vec<SheetRow<'_>> =
        changes.rows().filter(of_view).filter(|row| row.text("region") == Some(region.as_str())).collect();

    let points: Vec<chart::Point> = own.iter().map(|row| point(*row, &address)).collect();
    let pair = pair(&photos, &changes, &view, &region, asked(wanted.session.as_ref()), &address)
        .filter(|_| dashboard.pictures.is_some());
    let page = PatientPage {
        views: choices(&views, &view, |name| format!("{address}?{}", query(&[("view", Some(name))]))),
        regions: choices(&regions, &region, |name| {
            format!("{address}?{}", query(&[("view", Some(&view)), ("region", Some(name))]))
        }),
        trend: chart::trend(
            &format!("Change of scar contrast of {patient}, {view}, {region}"),
            &points,
            &sessions.rows().filter_map(treatment).collect::<Vec<_>>(),
        ),
        rows: changes.rows().filter(of_view).map(|row| change_line(row, &address)).collect(),
        sessions: sessions.rows().map(|row| session_line(row, &address)).collect(),
        slope: trends.rows().filter(of_view).find(|row| row.text("region") == Some(region.as_str())).and_then(slope),
        csv: query(&[("clinic_id", Some(&clinic)), ("patient_id", Some(&patient))]),
        was_chosen: wanted.chosen.is_some(),
        waits: dashboard.ledger.waits_for_changes(&clinic, &patient).await?,
        shell: visitor.shell(&dashboard, "patients", format!("Patient {patient}")),
        pair,
        region,
        clinic,
        address,
    };
    Ok(html(&page))
}

/// What was asked for if it is there, else the first.
fn chosen(asked: Option<&str>, known: &BTreeSet<&str>) -> String {
    asked.filter(|name| known.contains(name)).or(known.first().copied()).unwrap_or_default().to_owned()
}

fn choices(known: &BTreeSet<&str>, chosen: &str, address: impl Fn(&str) -> String) -> Vec<Choice> {
    known
        .iter()
        .map(|name| Choice { name: (*name).to_owned(), address: address(name), is_chosen: *name == chosen })
        .collect()
}

fn session_address(address: &str, session: &str) -> String {
    format!("{address}/sessions/{}", escaped(session))
}

fn change_of(row: SheetRow<'_>) -> Option<[f64; 3]> {
    Some([row.real("change_pct")?, row.real("ci95_lo")?, row.real("ci95_hi")?])
}

fn point(row: SheetRow<'_>, address: &str) -> chart::Point {
    let session = row.text("session").unwrap_or_default();
    let day = row.real("days_since_baseline").unwrap_or(0.0);
    let change = change_of(row);
    let eligible = row.int("endpoint_eligible") == Some(1);
    let told = match change {
        Some([change, low, high]) => format!("{}, 95 % {}", percent(change), interval(low, high)),
        None => format!("not measurable: {}", row.text("reason").unwrap_or("its session says why")),
    };
    let note = if eligible || change.is_none() { "" } else { "; no endpoint" };
    chart::Point {
        day,
        label: format!("Session {session}, day {day:.0}: {told}{note}"),
        change,
        mdc: row.real("mdc95_pct"),
        is_eligible: eligible,
        address: session_address(address, session),
    }
}

fn change_line(row: SheetRow<'_>, address: &str) -> ChangeLine {
    let change = change_of(row);
    let session = row.text("session").unwrap_or_default().to_owned();
    let why = row.text("reason").unwrap_or_default();
    ChangeLine {
        address: session_address(address, &session),
        session,
        days: row.int("days_since_baseline").map(|days| days.to_string()).unwrap_or_default(),
        region: row.text("region").unwrap_or_default().to_owned(),
        change: change.map(|[change, ..]| percent(change)).unwrap_or_default(),
        interval: change.map(|[_, low, high]| interval(low, high)).unwrap_or_default(),
        mdc: row.real("mdc95_pct").map(|mdc| interval(-mdc, chart::worsening(mdc))).unwrap_or_default(),
        verdict: verdict(row.text("verdict").unwrap_or_default()),
        advice: crate::pages::tonight::advice(why).unwrap_or_default(),
        why: why.to_owned(),
        tier: row.text("quality_tier").unwrap_or_default().to_owned(),
        shots: row.int("n_shots").unwrap_or(0),
        is_eligible: row.int("endpoint_eligible") == Some(1),
        is_before: row.int("days_since_baseline").is_some_and(|days| days < 0),
    }
}

/// The day of the last treatment before a session, and what it was.
fn treatment(row: SheetRow<'_>) -> Option<(f64, String)> {
    let what = row.text("modality")?;
    let depth = row.real("needle_depth_mm").map_or(String::new(), |depth| format!(", {depth} mm"));
    let (day, before) = (row.real("days_since_baseline")?, row.real("days_since_treatment")?);
    Some((day - before, format!("{what}{depth}, {before:.0} days before {}", row.text("session_date")?)))
}

fn session_line(row: SheetRow<'_>, address: &str) -> SessionLine {
    let session = row.text("session").unwrap_or_default().to_owned();
    let count = |name| row.int(name).unwrap_or(0);
    let mut treatment: Vec<String> = Vec::new();
    treatment.extend(row.text("modality").map(str::to_owned));
    treatment.extend(row.real("needle_depth_mm").map(|depth| format!("{depth} mm")));
    treatment.extend(row.text("device").map(str::to_owned));
    treatment.extend(row.int("days_since_treatment").map(|days| format!("{days} days before")));
    SessionLine {
        address: session_address(address, &session),
        session,
        is_baseline: row.int("is_baseline") == Some(1),
        days: row.int("days_since_baseline").map(|days| days.to_string()).unwrap_or_default(),
        treatment: treatment.join(", "),
        measured: count("n_measured"),
        retake: count("n_not_measurable"),
        aside: count("n_quarantined"),
        open: count("n_unfinished"),
        problem: [row.text("problem_reason"), row.text("problem_detail")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": "),
    }
}

/// Change by session, from the series' own trend.
fn slope(row: SheetRow<'_>) -> Option<String> {
    let [slope, low, high] = [row.real("pct_per_session")?, row.real("ci95_lo")?, row.real("ci95_hi")?];
    Some(format!(
        "{} a session (95 % {}), over {} sessions",
        percent(slope),
        interval(low, high),
        row.int("n_sessions")?
    ))
}

/// The reference photo of the baseline, and the first measured photo of the wanted session, or of the last one.
fn pair(
    photos: &Sheet,
    changes: &Sheet,
    view: &str,
    region: &str,
    wanted: Option<&str>,
    address: &str,
) -> Option<Pair> {
    let has = |row: SheetRow<'_>, name: &str| pictures(row).iter().any(|known| known == name);
    let measured: Vec<SheetRow<'_>> =
        photos.rows().filter(|row| row.text("view") == Some(view) && has(*row, "aligned.webp")).collect();
    let baseline = measured.iter().copied().find(|row| row.int("is_reference") == Some(1))?;
    let mut follow_ups: BTreeMap<&str, SheetRow<'_>> = BTreeMap::new();
    for row in measured {
        if let Some(session) = row.text("session").filter(|session| Some(*session) != baseline.text("session")) {
            follow_ups.entry(session).or_insert(row);
        }
    }
    let session = wanted.filter(|wanted| follow_ups.contains_key(wanted)).or(follow_ups.keys().next_back().copied())?;
    let follow_up = *follow_ups.get(session)?;
    let change = changes.rows().find(|row| {
        row.text("view") == Some(view) && row.text("region") == Some(region) && row.text("session") == Some(session)
    });
    let told = match change.and_then(change_of) {
        Some([change, low, high]) => format!("{region}: {} (95 % {})", percent(change), interval(low, high)),
        None if region.is_empty() => "there is no number yet".to_owned(),
        None => format!("{region}: no number"),
    };
    let other = |name: &&str| {
        format!("{address}?{}#pair", query(&[("view", Some(view)), ("region", Some(region)), ("session", Some(name))]))
    };
    Some(Pair {
        baseline: baseline.int("run_id")?,
        baseline_session: baseline.text("session").unwrap_or_default().to_owned(),
        follow_up: follow_up.int("run_id")?,
        session: session.to_owned(),
        has_change: has(follow_up, "change.png"),
        has_confidence: has(follow_up, "confidence.png"),
        others: follow_ups
            .keys()
            .map(|name| Choice { name: (*name).to_owned(), address: other(name), is_chosen: *name == session })
            .collect(),
        told,
    })
}
