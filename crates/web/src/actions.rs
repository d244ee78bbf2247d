//! What is done from a page: always a form with the token of its session. Runs are counted and shown before anything is done,
//! and where the count has changed since, it is shown again.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State as FromState};
use axum::response::{IntoResponse, Redirect, Response};
use cicatrix_ledger::{By, Selection, State, Table};
use cicatrix_model::{ClinicId, PatientId, SessionKey};
use serde::Deserialize;

use crate::access::address_of_ours;
use crate::pages::jobs::Asked;
use crate::pages::{Shell, Visitor, asked, html, known};
use crate::problem::Problem;
use crate::words::{self, escaped};
use crate::{Dashboard, Shared};

/// What was done to more runs than this is not undone by one button.
const MOST_UNDONE: usize = 500;
/// Characters of a name, and of a reason.
const LONGEST: [usize; 2] = [80, 500];

/// Who, why, and the token of the form.
#[derive(Debug, Deserialize)]
pub(crate) struct Signed {
    form: String,
    who: Option<String>,
    why: Option<String>,
}

impl Signed {
    /// Whether it may be done at all.
    fn permitted(&self, dashboard: &Dashboard, visitor: &Visitor) -> Result<(), Problem> {
        if dashboard.settings.read_only {
            return Err(Problem::refused("this dashboard is read-only: nothing can be changed from it"));
        }
        if !visitor.sent(&self.form) {
            return Err(Problem::refused("the form does not come from a page of this session: load the page anew"));
        }
        Ok(())
    }

    /// Who does it, and why.
    fn by(&self, dashboard: &Dashboard) -> Result<By, Problem> {
        let who = asked(self.who.as_ref()).or(dashboard.settings.user.as_deref());
        let (Some(who), Some(why)) = (who, asked(self.why.as_ref())) else {
            return Err(Problem::bad("say who you are and why it is done: both are kept with it"));
        };
        let is_long = |text: &str, longest| text.chars().count() > longest;
        if is_long(who, LONGEST[0]) || is_long(why, LONGEST[1]) {
            return Err(Problem::bad("a name has at most 80 characters, and a reason 500"));
        }
        Ok(By { who: who.to_owned(), why: Some(why.to_owned()) })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RunsForm {
    #[serde(flatten)]
    signed: Signed,
    #[serde(flatten)]
    asked: Asked,
    verb: String,
    /// Numbers, with commas; all that match the filter where there are none.
    runs: Option<String>,
    /// How many there were when it was asked; empty before it was.
    expected: Option<String>,
    /// The page to go back to.
    back: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Retry,
    Cancel,
    Discard,
    Restore,
}

impl Verb {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "retry" => Ok(Verb::Retry),
            "cancel" => Ok(Verb::Cancel),
            "discard" => Ok(Verb::Discard),
            "restore" => Ok(Verb::Restore),
            _ => Err(Problem::bad("there are retry, cancel, discard and restore")),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Retry => "retry",
            Verb::Cancel => "cancel",
            Verb::Discard => "discard",
            Verb::Restore => "restore",
        }
    }

    /// What the button says that asks for it.
    pub(crate) fn asks(self) -> &'static str {
        match self {
            Verb::Retry => "Read again…",
            Verb::Cancel => "Cancel…",
            Verb::Discard => "Take off the lists…",
            Verb::Restore => "Back on the lists…",
        }
    }

    /// What the button says that does it.
    fn button(self, n: i64) -> String {
        let runs = words::runs(n);
        match self {
            Verb::Retry => format!("Read {runs} again"),
            Verb::Cancel => format!("Cancel {runs}"),
            Verb::Discard => format!("Take {runs} off the lists"),
            Verb::Restore => format!("Put {runs} back on the lists"),
        }
    }

    /// What comes of it.
    fn told(self, n: i64) -> &'static str {
        match (self, n) {
            (Verb::Retry, 1) => {
                "It is read again, before others; what was said of it is gone then. Until a worker has done so, changes of its \
                 patient are missing on all pages and in the tables."
            }
            (Verb::Retry, _) => {
                "They are read again, before others; what was said of them is gone then. Until a worker has done so, changes of \
                 their patients are missing on all pages and in the tables."
            }
            (Verb::Cancel, 1) => {
                "It is not read; what waits for it is cancelled as well. Reading it again brings it back."
            }
            (Verb::Cancel, _) => {
                "They are not read; what waits for them is cancelled as well. Reading them again brings them back."
            }
            (Verb::Discard, 1) => "It leaves the lists and keeps its result. It can be brought back to the lists.",
            (Verb::Discard, _) => "They leave the lists and keep their result. They can be brought back to the lists.",
            (Verb::Restore, 1) => "It is back on the lists.",
            (Verb::Restore, _) => "They are back on the lists.",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Verb::Retry => "will be read again",
            Verb::Cancel => "cancelled",
            Verb::Discard => "taken off the lists",
            Verb::Restore => "back on the lists",
        }
    }

    /// What brings back how it was. A run that is read again has lost what was said of it, so there is no way back from that.
    fn undo(self) -> Option<Verb> {
        match self {
            Verb::Retry => None,
            Verb::Cancel => Some(Verb::Retry),
            Verb::Discard => Some(Verb::Restore),
            Verb::Restore => Some(Verb::Discard),
        }
    }

    /// Whether it can be done to a run in this state. Of a measured one it is regions that are on the lists.
    pub(crate) fn is_for(self, state: State) -> bool {
        let is_without_number =
            matches!(state, State::NotMeasurable | State::Quarantined | State::Failed | State::Cancelled);
        match self {
            Verb::Retry => is_without_number,
            Verb::Cancel => state.is_unfinished(),
            Verb::Discard | Verb::Restore => is_without_number || state == State::Measured,
        }
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    shell: Shell,
    verb: &'static str,
    told: &'static str,
    button: String,
    total: i64,
    /// Runs that were chosen, and for which it cannot be done.
    others: i64,
    groups: Vec<(String, String, i64)>,
    runs: String,
    asked: Vec<(&'static str, String)>,
    back: String,
    has_changed: bool,
}

#[derive(Template)]
#[template(path = "done.html")]
struct DonePage {
    shell: Shell,
    n: usize,
    said: String,
    /// What brings it back: its name and words.
    undo: Option<(&'static str, &'static str)>,
    /// The runs that were changed, by number, so that just these can be brought back.
    runs: String,
    back: String,
}

/// Retry, cancel, discard or restore: shows what it is about, then does it.
pub(crate) async fn runs(
    FromState(dashboard): FromState<Shared>,
    visitor: Visitor,
    Form(form): Form<RunsForm>,
) -> Result<Response, Problem> {
    form.signed.permitted(&dashboard, &visitor)?;
    let verb = Verb::parse(&form.verb)?;
    let named = numbers(form.runs.as_ref())?;
    let back = address_of_ours(asked(form.back.as_ref()).unwrap_or_default(), "/jobs");
    let filter = form.asked.filter()?;
    let groups = match named.is_empty() {
        true => dashboard.ledger.matching(&filter).await?,
        false => dashboard.ledger.matching_named(&named).await?,
    };
    // Of measured runs only those that somebody named: most have nothing on the lists.
    let is_named = !named.is_empty();
    let is_for = |(name, ..): &(String, Option<String>, i64)| {
        name.parse().is_ok_and(|state| verb.is_for(state) && (is_named || state != State::Measured))
    };
    let count = |groups: &[(String, Option<String>, i64)]| groups.iter().map(|(_, _, n)| n).sum::<i64>();
    let all = count(&groups);
    let groups: Vec<_> = match verb {
        Verb::Retry => {
            let which = if is_named { Selection::Runs(named.clone()) } else { Selection::Matching(filter.clone()) };
            dashboard.ledger.matching_retry(&which).await?
        }
        _ => groups.into_iter().filter(is_for).collect(),
    };
    let total = count(&groups);
    let others = all - total;
    let expected: Option<i64> = asked(form.expected.as_ref()).and_then(|text| text.parse().ok());
    if expected != Some(total) {
        let group = |(name, reason, n): (String, Option<String>, i64)| {
            (words::state(&name).to_owned(), reason.unwrap_or_default(), n)
        };
        let page = ConfirmPage {
            verb: verb.name(),
            told: verb.told(total),
            button: verb.button(total),
            total,
            others,
            groups: groups.into_iter().map(group).collect(),
            runs: joined(&named),
            asked: form.asked.fields(),
            back,
            has_changed: expected.is_some(),
            shell: visitor.shell(&dashboard, "jobs", format!("{}?", verb.button(total))),
        };
        return Ok(html(&page));
    }
    let by = form.signed.by(&dashboard)?;
    let runs = match named.is_empty() {
        true => dashboard.ledger.matching_numbers(&filter).await?,
        false => named,
    };
    let selection = Selection::Runs(runs);
    let changed = match verb {
        Verb::Retry => dashboard.ledger.retry(&selection, &by, &dashboard.settings.plan).await?,
        Verb::Cancel => dashboard.ledger.cancel(&selection, &by).await?,
        Verb::Discard => dashboard.ledger.dismiss(&selection, &by).await?,
        Verb::Restore => dashboard.ledger.restore(&selection, &by).await?,
    };
    let n = changed.len();
    let page = DonePage {
        n,
        said: format!("{} {}", words::runs(i64::try_from(n).unwrap_or(i64::MAX)), verb.done()),
        undo: verb.undo().filter(|_| (1..=MOST_UNDONE).contains(&n)).map(|verb| (verb.name(), verb.asks())),
        runs: joined(&changed),
        back,
        shell: visitor.shell(&dashboard, "jobs", "Done"),
    };
    Ok(html(&page))
}

fn numbers(text: Option<&String>) -> Result<Vec<i64>, Problem> {
    let Some(text) = asked(text) else { return Ok(Vec::new()) };
    let numbers: Result<Vec<i64>, _> = text.split([',', ' ']).filter(|part| !part.is_empty()).map(str::parse).collect();
    numbers.map_err(|_| Problem::bad("runs are numbers with commas between them"))
}

fn joined(runs: &[i64]) -> String {
    runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[derive(Debug, Deserialize)]
pub(crate) struct PauseForm {
    #[serde(flatten)]
    signed: Signed,
    verb: String,
    /// All clinics, where there is none.
    clinic: Option<String>,
    /// Said where no clinic is named.
    all: Option<String>,
    confirmed: Option<String>,
}

#[derive(Template)]
#[template(path = "pausing.html")]
struct PausingPage {
    shell: Shell,
    verb: &'static str,
    clinic: String,
    button: String,
    /// Photos of it that are open.
    open: u64,
}

/// Pause, resume: says how many photos it is about, then does it; each undoes the other.
pub(crate) async fn pauses(
    FromState(dashboard): FromState<Shared>,
    visitor: Visitor,
    Form(form): Form<PauseForm>,
) -> Result<Response, Problem> {
    form.signed.permitted(&dashboard, &visitor)?;
    let clinic = asked(form.clinic.as_ref()).map(str::parse::<ClinicId>).transpose();
    let clinic = clinic.map_err(|error| Problem::bad(error.to_string()))?;
    if clinic.is_none() && asked(form.all.as_ref()).is_none() {
        return Err(Problem::bad("name a clinic, or say that all clinics are meant"));
    }
    let verb = match form.verb.as_str() {
        "pause" => "pause",
        "resume" => "resume",
        _ => return Err(Problem::bad("there are pause and resume")),
    };
    if let Some(clinic) = &clinic {
        known(&dashboard, Some(clinic.as_str())).await?;
    }
    if form.confirmed.is_none() {
        return pausing(&dashboard, visitor, verb, clinic.as_ref()).await;
    }
    let by = form.signed.by(&dashboard)?;
    if verb == "pause" {
        dashboard.ledger.pause(clinic.as_ref(), &by).await?;
    } else {
        dashboard.ledger.resume(clinic.as_ref(), &by).await?;
    }
    Ok(Redirect::to("/queues").into_response())
}

async fn pausing(
    dashboard: &Dashboard,
    visitor: Visitor,
    verb: &'static str,
    clinic: Option<&ClinicId>,
) -> Result<Response, Problem> {
    let queues = dashboard.ledger.queues().await?;
    let own = queues.iter().filter(|queue| clinic.is_none_or(|clinic| queue.clinic == clinic.as_str()));
    let word = if verb == "pause" { "Pause" } else { "Resume" };
    let button = clinic.map_or_else(|| format!("{word} all clinics"), |clinic| format!("{word} clinic {clinic}"));
    let page = PausingPage {
        open: own.map(|queue| queue.counts.unfinished()).sum(),
        verb,
        clinic: clinic.map(ToString::to_string).unwrap_or_default(),
        shell: visitor.shell(dashboard, "queues", format!("{button}?")),
        button,
    };
    Ok(html(&page))
}

#[derive(Debug, Deserialize)]
pub(crate) struct BaselineForm {
    #[serde(flatten)]
    signed: Signed,
    /// The one that the manifests say, where there is none.
    session: Option<String>,
    confirmed: Option<String>,
}

#[derive(Template)]
#[template(path = "choose.html")]
struct ChoosePage {
    shell: Shell,
    address: String,
    session: String,
    /// Of the patient, all of which are read again.
    photos: String,
}

/// Chooses a session as the baseline.
pub(crate) async fn baseline(
    FromState(dashboard): FromState<Shared>,
    Path((clinic, patient)): Path<(String, String)>,
    visitor: Visitor,
    Form(form): Form<BaselineForm>,
) -> Result<Response, Problem> {
    form.signed.permitted(&dashboard, &visitor)?;
    let wrong = |error: cicatrix_model::IdError| Problem::bad(error.to_string());
    let session = asked(form.session.as_ref()).map(str::parse::<SessionKey>).transpose().map_err(wrong)?;
    let of_patient = [("clinic_id", clinic.as_str()), ("patient_id", patient.as_str())];
    if dashboard.ledger.sheet(Table::Sessions, &of_patient).await?.is_empty() {
        return Err(Problem::not_found(format!("clinic {clinic} has no patient {patient}")));
    }
    if form.confirmed.is_none() {
        let page = ChoosePage {
            address: format!("/patients/{}/{}", escaped(&clinic), escaped(&patient)),
            session: session.map(|session| session.to_string()).unwrap_or_default(),
            photos: words::photos(dashboard.ledger.sheet(Table::Photos, &of_patient).await?.len() as u64),
            shell: visitor.shell(&dashboard, "patients", format!("Another baseline for {patient}?")),
        };
        return Ok(html(&page));
    }
    let by = form.signed.by(&dashboard)?;
    let (clinic_id, patient_id): (ClinicId, PatientId) =
        (clinic.parse().map_err(wrong)?, patient.parse().map_err(wrong)?);
    dashboard.ledger.pin_baseline(&clinic_id, &patient_id, session, &by, &dashboard.settings.plan).await?;
    let to = format!("/patients/{}/{}?chosen=1", escaped(&clinic), escaped(&patient));
    Ok(Redirect::to(&to).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_nothing_else() {
        assert_eq!(numbers(Some(&"1, 2,3".to_owned())).unwrap(), [1, 2, 3]);
        assert!(numbers(Some(&"1;drop".to_owned())).is_err());
        assert!(numbers(None).unwrap().is_empty());
    }
}
